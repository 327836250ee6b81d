//! The imported family, and the shorter way to it for short values.

use std::cell::Cell;

use mix_value::packed::{Received, Short};
use mix_vm::{ForeignCall, HostFailure};

use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::Failure;
use crate::bindings::mix::packed::short::{self, Answer, ShortValue};
use crate::wire::boxed;

thread_local! {
    /// The functions whose last calls took the longer way: a bit for all whose numbers are equal modulo 64.
    /// A guess that is wrong costs time, nothing else.
    static LONG: Cell<u64> = const { Cell::new(0) };
}

/// Calls a function that never waits.
pub fn call(call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
    let ForeignCall { function, args, .. } = *call;
    let Some(Short { size, bytes }) = Short::new(args) else {
        return longer(call).map_err(boxed);
    };
    let bit = 1 << (function % u64::BITS);
    if LONG.get() & bit == 0 {
        match short::call(function, ShortValue { size, bytes }) {
            Answer::Value(ShortValue { size, bytes }) => {
                let Ok(answer) = Received::try_from(Short { size, bytes }) else {
                    return Err(lying(size));
                };
                call.answer = answer;
                return Ok(());
            }
            Answer::Kept => {
                LONG.set(LONG.get() | bit);
                call.answer = short::take().map_err(boxed)?.into();
                return Ok(());
            }
            Answer::Declined => LONG.set(LONG.get() | bit),
        }
    }
    longer(call).map_err(boxed)?;
    if Short::fits(&call.answer) {
        LONG.set(LONG.get() & !bit);
    }
    Ok(())
}

fn longer(call: &mut ForeignCall<'_>) -> Result<(), Failure> {
    call.answer = family::call(call.function, call.args)?.into();
    Ok(())
}

#[cold]
fn lying(size: u32) -> Box<HostFailure> {
    boxed(Failure {
        code: "ERR_INTERNAL".to_string(),
        message: format!("a short value of {size} bytes came, which has 32 at most"),
        detail: None,
    })
}
