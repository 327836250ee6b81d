//! The allocator of the system with a counter.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, which counts the bytes that are allocated.
#[derive(Debug, Default)]
pub struct Counted {
    used: AtomicUsize,
}

impl Counted {
    /// Nothing is allocated yet.
    pub const fn new() -> Counted {
        Counted {
            used: AtomicUsize::new(0),
        }
    }

    /// Bytes allocated now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn add(&self, block: *mut u8, size: usize) -> *mut u8 {
        if !block.is_null() {
            self.used.fetch_add(size, Ordering::Relaxed);
        }
        block
    }
}

// SAFETY: everything is passed on unchanged; only numbers are added up beside it.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged.
        let block = unsafe { System.alloc(layout) };
        self.add(block, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged.
        let block = unsafe { System.alloc_zeroed(layout) };
        self.add(block, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on unchanged.
        unsafe { System.dealloc(block, layout) };
        self.used.fetch_sub(layout.size(), Ordering::Relaxed);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on unchanged.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            self.used.fetch_add(size, Ordering::Relaxed);
            self.used.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        moved
    }
}
