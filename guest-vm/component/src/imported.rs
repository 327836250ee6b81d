//! The imported family, and the shorter way to it for short values.

use std::cell::Cell;

use mix_value::packed::{Received, Short};

use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::Failure;
use crate::bindings::mix::packed::short::{self, Answer, ShortValue};

thread_local! {
    /// The functions whose last calls took the longer way: a bit for all whose numbers are equal modulo 64.
    /// A guess that is wrong costs time, nothing else.
    static LONG: Cell<u64> = const { Cell::new(0) };
}

/// Calls a function that never waits.
pub fn call(function: u32, args: &[u8]) -> Result<Received, Failure> {
    let bit = 1 << (function % u64::BITS);
    let Some(Short { size, bytes }) = Short::new(args) else {
        return family::call(function, args).map(Received::from);
    };
    if LONG.get() & bit == 0 {
        match short::call(function, ShortValue { size, bytes }) {
            Answer::Value(ShortValue { size, bytes }) => {
                return Received::try_from(Short { size, bytes }).map_err(|error| Failure {
                    code: "ERR_INTERNAL".to_string(),
                    message: error.to_string(),
                    detail: None,
                });
            }
            Answer::Kept => {
                LONG.set(LONG.get() | bit);
                return short::take().map(Received::from);
            }
            Answer::Declined => LONG.set(LONG.get() | bit),
        }
    }
    let answer = family::call(function, args)?;
    if Short::new(&answer).is_some() {
        LONG.set(LONG.get() & !bit);
    }
    Ok(Received::from(answer))
}
