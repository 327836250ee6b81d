//! The families in the slots, and the imported one.
//!
//! A function of slot `s` has the number `(s + 1) << 24` plus its number there, one of the
//! imported family its own number.

use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::{Failure, Function, Reply};

/// Bits of a number that count within a slot.
const BITS: u32 = 24;

/// Which family has the function of that number: 0 is the imported one, the slots come after it.
pub fn family_of(function: u32) -> u32 {
    function >> BITS
}

/// All functions with their numbers.
pub fn describe() -> Vec<(u32, Function)> {
    let slots = (0..SLOTS).flat_map(|slot| {
        let first = (slot + 1) << BITS;
        (first..).zip(describe_slot(slot))
    });
    slots.chain((0..).zip(family::describe())).collect()
}

/// Calls a function that never waits.
pub fn call(function: u32, args: &[u8]) -> Result<Vec<u8>, Failure> {
    match (function >> BITS).checked_sub(1) {
        None => family::call(function, args),
        Some(slot) => call_slot(slot, function & ((1 << BITS) - 1), args),
    }
}

/// Starts a function that may wait.
pub async fn start(function: u32, args: Vec<u8>) -> Result<Reply, Failure> {
    match (function >> BITS).checked_sub(1) {
        None => family::start(function, args).await,
        Some(slot) => start_slot(slot, function & ((1 << BITS) - 1), args).await,
    }
}

fn unknown(slot: u32) -> Failure {
    Failure {
        code: "ERR_INTERNAL".to_string(),
        message: format!("there is no slot {slot}: the VM has {SLOTS}"),
        detail: None,
    }
}

/// The one place that names the imports.
macro_rules! slots {
    ($count:literal: $($number:literal $slot:ident),+) => {
        const SLOTS: u32 = $count;

        fn describe_slot(slot: u32) -> Vec<Function> {
            match slot {
                $($number => crate::bindings::$slot::describe(),)+
                _ => Vec::new(),
            }
        }

        fn call_slot(slot: u32, function: u32, args: &[u8]) -> Result<Vec<u8>, Failure> {
            match slot {
                $($number => crate::bindings::$slot::call(function, args),)+
                _ => Err(unknown(slot)),
            }
        }

        async fn start_slot(slot: u32, function: u32, args: Vec<u8>) -> Result<Reply, Failure> {
            match slot {
                $($number => crate::bindings::$slot::start(function, args).await,)+
                _ => Err(unknown(slot)),
            }
        }
    };
}

slots! {8: 0 slot0, 1 slot1, 2 slot2, 3 slot3, 4 slot4, 5 slot5, 6 slot6, 7 slot7}
