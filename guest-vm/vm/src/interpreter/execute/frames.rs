//! The frame that runs, and what becomes of its registers when it is left.

use mix_bytecode::{Function, Op};

use crate::heap::Value;
use crate::heap::value::InstanceId;
use crate::interpreter::window::{NARROW, Registers, Window, window};
use crate::machine::Frame;

/// What the loop knows of the frame that runs.
pub(super) struct Entered<'a> {
    pub base: usize,
    pub instance: InstanceId,
    pub size: usize,
    pub code: &'a [Op],
    /// What is still to be run of it, if nothing jumps.
    pub rest: &'a [Op],
    pub r: &'a mut Window,
}

impl<'a> Entered<'a> {
    /// The topmost frame, if it has few registers.
    #[inline(always)]
    pub fn of(frames: &[Frame], functions: &'a [Function], stack: &'a mut [Value]) -> Option<Self> {
        let frame = frames.last()?;
        let function = functions.get(frame.function as usize)?;
        let size = usize::from(function.registers);
        if size > NARROW {
            return None;
        }
        let base = frame.base as usize;
        Some(Self {
            base,
            instance: frame.instance,
            size,
            code: &function.code,
            rest: function.code.get(frame.pc as usize..)?,
            r: window(stack, base)?,
        })
    }
}

/// Last references to objects: what the loop has no more use for and cannot drop itself.
#[derive(Debug)]
pub(crate) struct Garbage {
    values: Vec<Value>,
}

impl Default for Garbage {
    fn default() -> Self {
        Self {
            // All registers of a frame, its result, its closure and its stream.
            values: Vec::with_capacity(NARROW + 8),
        }
    }
}

impl Garbage {
    /// Keeps the value if it is the last reference to its object; true if it is.
    #[inline(always)]
    pub fn keep(&mut self, value: Value) -> bool {
        match value.loosen() {
            Some(object) => {
                // Without a call: there is always room, the loop ends when something is here.
                if self.values.len() < self.values.capacity() {
                    self.values.push(object);
                } else {
                    std::mem::forget(object);
                }
                true
            }
            None => false,
        }
    }

    /// Drops all; false if there was nothing.
    #[inline]
    pub fn empty(&mut self) -> bool {
        let any = !self.values.is_empty();
        if any {
            self.values.clear();
        }
        any
    }
}

/// Makes the registers of a frame undefined; true if something is to be dropped.
#[inline(always)]
pub(super) fn clear(r: &mut Window, size: usize, garbage: &mut Garbage) -> bool {
    macro_rules! plain {
        ($($index:literal)*) => { true $( & r[$index].is_plain() )* };
    }
    macro_rules! clear {
        ($($index:literal)*) => { $( std::mem::forget(r[$index].take()); )* };
    }
    // Registers above the frame are undefined anyway.
    if size <= 4 && plain!(0 1 2 3) {
        clear!(0 1 2 3);
        false
    } else if size <= 8 && plain!(0 1 2 3 4 5 6 7) {
        clear!(0 1 2 3 4 5 6 7);
        false
    } else {
        clear_range(r, 0..size as u16, garbage)
    }
}

/// Makes some registers undefined; true if something is to be dropped.
#[inline(always)]
pub(super) fn clear_range(
    r: &mut Window,
    range: std::ops::Range<u16>,
    garbage: &mut Garbage,
) -> bool {
    let mut any = false;
    for index in range {
        let value = r.reg_mut(index).take();
        if value.is_plain() {
            std::mem::forget(value);
        } else {
            any |= garbage.keep(value);
        }
    }
    any
}
