//! The registers of the running frame, and how values are put into them.
//!
//! A function of at most 256 registers, which is nearly every one, sees its
//! registers as an array of exactly that length: a register number reduced to
//! a byte cannot lie outside, so reading and writing a register needs no check
//! of bounds. Longer functions are run instruction by instruction on a slice.
//! The array reaches beyond the registers of the frame; the verifier has seen
//! to it that no instruction does.

use crate::heap::Value;

/// Registers that are always there above the first one of a frame.
pub(super) const NARROW: usize = 256;

/// The registers of a frame with few of them.
pub(super) type Window = [Value; NARROW];

/// The window of the frame that begins at `base`.
#[inline(always)]
pub(super) fn window(stack: &mut [Value], base: usize) -> Option<&mut Window> {
    stack.get_mut(base..)?.first_chunk_mut()
}

/// Access by the number of a register.
pub(super) trait Registers {
    /// A register.
    fn reg(&self, number: u16) -> &Value;
    /// A register, to be changed.
    fn reg_mut(&mut self, number: u16) -> &mut Value;
}

impl Registers for Window {
    #[inline(always)]
    fn reg(&self, number: u16) -> &Value {
        &self[usize::from(number as u8)]
    }
    #[inline(always)]
    fn reg_mut(&mut self, number: u16) -> &mut Value {
        &mut self[usize::from(number as u8)]
    }
}

/// Makes registers undefined.
pub(super) fn clear(registers: &mut [Value]) {
    for register in registers {
        *register = Value::Undefined;
    }
}

/// Moves `count` registers out.
pub(super) fn take_range(registers: &mut [Value], base: u16, count: u8) -> Vec<Value> {
    let start = usize::from(base);
    registers[start..start + usize::from(count)]
        .iter_mut()
        .map(Value::take)
        .collect()
}
