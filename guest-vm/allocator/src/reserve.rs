//! Memory that is held back for the time when none is left.
//!
//! A program that fills memory by many small steps would find its end in any of them, and a small allocation that fails ends the
//! instance, with all that runs in it. So a part of memory is held back. When there is nothing else left it is given
//! free, and [`is_used`] says so: whoever runs programs has to look there after each of their steps, and to end the one
//! that it runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What is held back: more than a step asks for in small blocks, but for the few that read large texts.
const SIZE: usize = 4 << 20;

/// Blocks from this size on are not given of it: whoever needs one can do without.
const LARGE: usize = 1 << 20;

/// Where memory begins to be filled: below nothing is held back, so that it costs nothing where programs are small.
const FILLED: usize = 16 << 20;

/// How many blocks are made before it is tried again to hold something back.
const PATIENCE: u32 = 1024;

static USED: AtomicBool = AtomicBool::new(false);

/// Set when memory has come to its end; whoever ends a program for it unsets it.
pub fn used() -> &'static AtomicBool {
    &USED
}

/// The reserve.
pub(crate) struct Reserve {
    block: Cell<*mut u8>,
    patience: Cell<u32>,
}

impl Reserve {
    pub(crate) const fn new() -> Reserve {
        Reserve {
            block: Cell::new(null_mut()),
            patience: Cell::new(0),
        }
    }

    /// After a new block was made: holds something back if memory begins to be filled.
    #[inline]
    pub(crate) fn keep(&self) {
        if self.block.get().is_null() && memory() > FILLED {
            self.take();
        }
    }

    #[cold]
    #[inline(never)]
    fn take(&self) {
        if let Some(left) = self.patience.get().checked_sub(1) {
            self.patience.set(left);
            return;
        }
        self.patience.set(PATIENCE);
        // SAFETY: the size of the layout is not 0.
        self.block.set(unsafe { System.alloc(layout()) });
    }

    /// Gives it free for a block of so many bytes; false if that is not what it is for, or it is used already.
    #[cold]
    #[inline(never)]
    pub(crate) fn give(&self, size: usize) -> bool {
        let block = self.block.get();
        if block.is_null() || size >= LARGE {
            return false;
        }
        USED.store(true, Relaxed);
        self.block.set(null_mut());
        self.patience.set(PATIENCE);
        // SAFETY: it was made in `take`, with this layout, and is forgotten here.
        unsafe { System.dealloc(block, layout()) };
        true
    }
}

fn layout() -> Layout {
    const { assert!(SIZE > 0 && SIZE <= isize::MAX as usize) };
    // SAFETY: the alignment is a power of two, and the size is not too large.
    unsafe { Layout::from_size_align_unchecked(SIZE, 16) }
}

/// Bytes of the memory.
#[cfg(target_arch = "wasm32")]
fn memory() -> usize {
    core::arch::wasm32::memory_size(0) << 16
}

/// Only where there is one thread.
#[cfg(not(target_arch = "wasm32"))]
fn memory() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_given_once() {
        let reserve = Reserve::new();
        assert!(!reserve.give(16), "nothing is held back yet");
        reserve.keep();
        assert!(!reserve.give(LARGE), "large blocks are not given of it");
        assert!(!USED.load(Relaxed));
        assert!(reserve.give(LARGE - 1));
        assert!(USED.swap(false, Relaxed));
        assert!(!reserve.give(16));
        // It is held back again after a while.
        for _ in 0..=PATIENCE {
            assert!(!reserve.give(16));
            reserve.keep();
        }
        assert!(reserve.give(16));
    }
}
