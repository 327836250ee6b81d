//! Calls in place and the ticks of the epoch.

use std::time::Duration;

use mix_sandbox::engine::config;
use mix_sandbox::state::{Grants, GuestState, InPlace};
use wasmtime::{Engine, Instance, Module};

/// Exports a function `f` that does nothing.
const IDLE: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x04\x01\x02\0\x0b";

#[test]
fn ticks_before_a_call_in_place_are_not_its_own() -> anyhow::Result<()> {
    // An engine of its own, so that only this test makes it tick.
    let engine = Engine::new(&config()?)?;
    let grants = Grants {
        memory: 1 << 20,
        ..Grants::default()
    };
    let mut store = GuestState::store(&engine, grants)?;
    let module = Module::new(&engine, IDLE)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let idle = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    // Whether a call that may take no time at all is stopped, which only a tick does.
    let mut is_stopped = |ticks: usize| {
        InPlace::within(Duration::ZERO, None).call(&mut store, |store| {
            for _ in 0..ticks {
                engine.increment_epoch();
            }
            idle.call(store, ()).is_err()
        })
    };
    assert!(!is_stopped(0));
    for _ in 0..5 {
        engine.increment_epoch();
    }
    assert!(!is_stopped(0));
    assert!(!is_stopped(1));
    assert!(is_stopped(2));
    assert!(!is_stopped(0));
    Ok(())
}
