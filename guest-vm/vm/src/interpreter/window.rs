//! The registers of the running frame, and how values are put into them.
//!
//! A function of at most 256 registers, which is nearly every one, sees its
//! registers as an array of exactly that length: a register number reduced to
//! a byte cannot lie outside, so reading and writing a register needs no check
//! of bounds. Longer functions use a slice. The array reaches beyond the
//! registers of the frame; the verifier has seen to it that no instruction does.

use crate::heap::Value;

/// Registers that are always there above the first one of a frame.
pub(super) const NARROW: usize = 256;

/// Access to the registers of a frame.
pub(super) trait Window {
    /// True if a function with so many registers can use this window.
    fn fits(registers: u16) -> bool;
    /// The window of the frame that begins at `base`.
    fn of(stack: &mut [Value], base: usize, registers: usize) -> Option<&mut Self>;
    /// A register.
    fn reg(&self, number: u16) -> &Value;
    /// A register, to be changed.
    fn reg_mut(&mut self, number: u16) -> &mut Value;
    /// All registers.
    fn all(&mut self) -> &mut [Value];
}

impl Window for [Value; NARROW] {
    #[inline(always)]
    fn fits(registers: u16) -> bool {
        usize::from(registers) <= NARROW
    }
    #[inline(always)]
    fn of(stack: &mut [Value], base: usize, _: usize) -> Option<&mut Self> {
        stack.get_mut(base..)?.first_chunk_mut()
    }
    #[inline(always)]
    fn reg(&self, number: u16) -> &Value {
        &self[usize::from(number as u8)]
    }
    #[inline(always)]
    fn reg_mut(&mut self, number: u16) -> &mut Value {
        &mut self[usize::from(number as u8)]
    }
    #[inline(always)]
    fn all(&mut self) -> &mut [Value] {
        self
    }
}

impl Window for [Value] {
    fn fits(_: u16) -> bool {
        true
    }
    fn of(stack: &mut [Value], base: usize, registers: usize) -> Option<&mut Self> {
        stack.get_mut(base..base + registers)
    }
    fn reg(&self, number: u16) -> &Value {
        &self[usize::from(number)]
    }
    fn reg_mut(&mut self, number: u16) -> &mut Value {
        &mut self[usize::from(number)]
    }
    fn all(&mut self) -> &mut [Value] {
        self
    }
}

/// Puts a value into a register. What was there is dropped; mostly it is a
/// number, of which nothing has to be dropped.
#[inline(always)]
pub(super) fn put(register: &mut Value, value: Value) {
    let old = std::mem::replace(register, value);
    if old.is_plain() {
        std::mem::forget(old);
    } else {
        discard(old);
    }
}

#[inline(never)]
fn discard(value: Value) {
    drop(value);
}

/// A copy; numbers first.
#[inline(always)]
pub(super) fn copy(value: &Value) -> Value {
    match value {
        Value::Int(number) => Value::Int(*number),
        Value::Float(number) => Value::Float(*number),
        other => copy_other(other),
    }
}

#[inline(never)]
fn copy_other(value: &Value) -> Value {
    value.clone()
}

/// Moves a value out; numbers first.
#[inline(always)]
pub(super) fn take(register: &mut Value) -> Value {
    match *register {
        Value::Int(number) => {
            std::mem::forget(std::mem::replace(register, Value::Undefined));
            Value::Int(number)
        }
        Value::Float(number) => {
            std::mem::forget(std::mem::replace(register, Value::Undefined));
            Value::Float(number)
        }
        _ => register.take(),
    }
}

/// Makes registers undefined.
#[inline(always)]
pub(super) fn clear(registers: &mut [Value]) {
    for register in registers {
        put(register, Value::Undefined);
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
