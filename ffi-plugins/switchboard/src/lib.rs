//! The switchboard: one family of foreign functions made of up to eight.
//!
//! The VM imports one `mix:ffi/family`. Where families are composed with the VM into one
//! component, this component stands between: it imports eight families (`slot0` to
//! `slot7`, see `wit/switchboard`) and exports their functions as one list. Numbers are
//! shifted, bytes and streams are passed on untouched, so a call through it costs one more
//! synchronous crossing and nothing else.

#[allow(unsafe_code, missing_docs, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/ffi", "../../wit/switchboard"],
        world: "mix:switchboard/switchboard",
        generate_all,
    });
}

use std::cell::Cell;

use bindings::exports::mix::ffi::{binding, family};
use bindings::mix::ffi::types::{Caller, Failure, Function, Reply};

/// A function of the list: which slot has it, and its number there.
struct Route {
    slot: u8,
    function: u32,
}

thread_local! {
    /// Number of functions of each slot, once it was asked for.
    static COUNTS: [Cell<Option<u32>>; SLOTS as usize] = const { [const { Cell::new(None) }; SLOTS as usize] };
}

/// Slots are asked for their functions only up to the one that has the number.
fn route(function: u32) -> Result<Route, Failure> {
    COUNTS.with(|counts| {
        let mut rest = function;
        let mut total = 0;
        for (slot, count) in (0..SLOTS).zip(counts) {
            let functions = count.get().unwrap_or_else(|| {
                let functions = describe_slot(slot).len() as u32;
                count.set(Some(functions));
                functions
            });
            if rest < functions {
                return Ok(Route {
                    slot,
                    function: rest,
                });
            }
            rest -= functions;
            total += functions;
        }
        Err(unknown(function, total))
    })
}

fn unknown(function: u32, count: u32) -> Failure {
    Failure {
        code: "ERR_INTERNAL".to_string(),
        message: format!("the families composed here have {count} functions, no number {function}"),
        detail: None,
    }
}

/// The one place that names the imports.
macro_rules! slots {
    ($count:literal: $($number:literal $slot:ident $binding:ident),+) => {
        const SLOTS: u8 = $count;

        fn describe_slot(slot: u8) -> Vec<Function> {
            match slot {
                $($number => bindings::$slot::describe(),)+
                _ => Vec::new(),
            }
        }

        fn call_slot(slot: u8, function: u32, args: &[u8]) -> Result<Vec<u8>, Failure> {
            match slot {
                $($number => bindings::$slot::call(function, args),)+
                _ => Err(unknown(function, 0)),
            }
        }

        async fn start_slot(slot: u8, function: u32, args: Vec<u8>) -> Result<Reply, Failure> {
            match slot {
                $($number => bindings::$slot::start(function, args).await,)+
                _ => Err(unknown(function, 0)),
            }
        }

        fn bind_slots(who: &Caller) {
            $(bindings::$binding::bind(who);)+
        }
    };
}

slots! {8:
    0 slot0 binding0, 1 slot1 binding1, 2 slot2 binding2, 3 slot3 binding3,
    4 slot4 binding4, 5 slot5 binding5, 6 slot6 binding6, 7 slot7 binding7
}

#[global_allocator]
static ALLOCATOR: mix_allocator::Blocks = mix_allocator::Blocks::new();

struct Switchboard;

impl family::Guest for Switchboard {
    fn describe() -> Vec<Function> {
        (0..SLOTS).flat_map(describe_slot).collect()
    }

    fn call(function: u32, args: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let Route { slot, function } = route(function)?;
        call_slot(slot, function, &args)
    }

    async fn start(function: u32, args: Vec<u8>) -> Result<Reply, Failure> {
        let Route { slot, function } = route(function)?;
        start_slot(slot, function, args).await
    }
}

impl binding::Guest for Switchboard {
    fn bind(who: Caller) {
        bind_slots(&who);
    }
}

#[allow(unsafe_code)]
mod export {
    use super::{Switchboard, bindings};
    bindings::export!(Switchboard with_types_in bindings);
}
