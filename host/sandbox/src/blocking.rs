//! WASI that keeps its thread, for a guest of this program whose store may block it.
//!
//! Nothing here is asynchronous for the engine: files are read and written where they are asked
//! for, a pause is slept through after the other tasks of the thread were handed to another one. A store
//! that is linked with nothing else can be called in place, without a task ([`crate::immediate`]),
//! although its guest works on files. What waits for long waits for a future instead
//! (`mix:host/timer`, `wit/host`).

mod folders;
mod streams;

use crate::immediate::{self, nanoseconds};
use crate::state::GuestState;
use anyhow::Result;
use std::time::Duration;
use wasmtime::component::{FutureReader, HasData, Linker, ResourceTable};
use wasmtime::{Engine, StoreContextMut};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::sync::filesystem::types;
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams as io_streams};

/// What stands for the time of the host.
pub const TIMER: &str = "mix:host/timer@0.1.0";

/// The linker for guests whose store has a thread of its own (`Grants::own_thread`).
pub fn linker(engine: &Engine) -> Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    let all = &mut linker;
    immediate::add_what_computes(all)?;
    monotonic_clock::add_to_linker::<_, WasiClocks>(all, GuestState::clocks)?;
    poll::add_to_linker::<_, Blocking>(all, blocking)?;
    io_streams::add_to_linker::<_, Blocking>(all, blocking)?;
    preopens::add_to_linker::<_, WasiFilesystem>(all, GuestState::filesystem)?;
    types::add_to_linker::<_, Blocking>(all, blocking)?;
    let mut timer = all.instance(TIMER)?;
    timer.func_wrap("now", |_, (): ()| Ok((nanoseconds(),)))?;
    timer.func_wrap("after", after)?;
    Ok(linker)
}

/// A future that is ready when the time has passed.
fn after(
    mut store: StoreContextMut<'_, GuestState>,
    (nanoseconds,): (u64,),
) -> wasmtime::Result<(FutureReader<()>,)> {
    let ready = async move {
        // Others have their turn even if no time is to pass.
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
        Ok::<_, wasmtime::Error>(())
    };
    Ok((FutureReader::<()>::new(&mut store, Box::pin(ready))?,))
}

/// Streams, folders and pauses that keep the thread.
struct Blocking;

impl HasData for Blocking {
    type Data<'a> = Handles<'a>;
}

struct Handles<'a> {
    state: &'a mut GuestState,
}

impl Handles<'_> {
    fn table(&mut self) -> &mut ResourceTable {
        immediate::table(self.state)
    }
}

fn blocking(state: &mut GuestState) -> Handles<'_> {
    Handles { state }
}
