//! Values of at most 32 bytes on their way between a VM and a plugin (`mix:packed/short`): nothing of them is
//! put into the memory of either, which would be a good part of what such a call costs.

use crate::bindings::{Answer, ShortValue, packed};
use crate::plugin::{CallResult, ShortCalls};
use mix_sandbox::state::GuestState;
use mix_value::packed::{Block, Short};
use wasmtime::Store;

/// What a call with short arguments answered.
pub enum Answered {
    /// A short value. What came from a plugin may be none at all.
    Short(Short),
    /// A longer one, or a failure.
    Whole(CallResult),
}

impl Answered {
    /// A result, in the shorter form if it fits.
    pub fn of(result: CallResult) -> Answered {
        match result.as_deref().ok().and_then(Short::new) {
            Some(value) => Answered::Short(value),
            None => Answered::Whole(result),
        }
    }
}

impl ShortCalls {
    /// Calls a function of a plugin; `None`: it has not begun.
    pub fn ask(
        &self,
        store: &mut Store<GuestState>,
        function: u32,
        args: Short,
    ) -> wasmtime::Result<Option<Answered>> {
        let (answer,) = self.call.call(&mut *store, (function, args.into()))?;
        Ok(match answer {
            Answer::Value(value) => Some(Answered::Short(value.into())),
            Answer::Kept => Some(Answered::Whole(self.take.call(store, ())?.0)),
            Answer::Declined => None,
        })
    }
}

impl From<Short> for ShortValue {
    fn from(Short { size, bytes }: Short) -> ShortValue {
        let Block { a, b, c, d } = bytes;
        let bytes = packed::Block { a, b, c, d };
        ShortValue { size, bytes }
    }
}

impl From<ShortValue> for Short {
    fn from(ShortValue { size, bytes }: ShortValue) -> Short {
        let packed::Block { a, b, c, d } = bytes;
        let bytes = Block { a, b, c, d };
        Short { size, bytes }
    }
}
