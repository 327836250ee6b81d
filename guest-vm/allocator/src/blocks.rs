//! Lists of freed blocks.

use crate::reserve::Reserve;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Small sizes differ by so much.
const STEP: usize = 16;

/// Alignment of the blocks of the lists: what the system gives without more ado.
const ALIGN: usize = 8;

/// Number of small sizes.
const SMALL: usize = 32;

/// Number of sizes. Above the small ones there are four to each power of two.
const SIZES: usize = SMALL + 12;

/// Largest small block.
const LARGEST_SMALL: usize = STEP * SMALL;

/// Largest block that is kept: most records and answers are shorter.
const LARGEST: usize = 4096;

/// Bytes that a list holds at most.
const KEPT: usize = 64 << 10;

/// True where a component has one thread.
const ALONE: bool = cfg!(all(target_family = "wasm", not(target_feature = "atomics")));

/// The allocator: small blocks from lists, the rest from the system.
pub struct Blocks {
    lists: Lists,
    made: AtomicU64,
}

// SAFETY: the lists are used where there is one thread only (`ALONE`).
unsafe impl Sync for Blocks {}

impl Blocks {
    /// Empty lists.
    pub const fn new() -> Blocks {
        Blocks {
            lists: Lists::new(),
            made: AtomicU64::new(0),
        }
    }

    /// The same, and something is held back for the time when no memory is left ([`crate::reserve`]).
    pub const fn with_reserve() -> Blocks {
        let mut lists = Lists::new();
        lists.reserve = Some(Reserve::new());
        Blocks {
            lists,
            made: AtomicU64::new(0),
        }
    }

    /// How many blocks were asked for so far; they are counted where there is one thread only.
    pub fn made(&self) -> u64 {
        self.made.load(Relaxed)
    }

    #[inline]
    fn count(&self) {
        // One thread: no need to add in one step.
        self.made.store(self.made.load(Relaxed) + 1, Relaxed);
    }
}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks::new()
    }
}

// SAFETY: both parts keep the contract of `GlobalAlloc`, and which of them a block belongs to
// depends on its layout alone.
unsafe impl GlobalAlloc for Blocks {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged.
        unsafe {
            if ALONE {
                self.count();
                self.lists.alloc(layout)
            } else {
                System.alloc(layout)
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on unchanged.
        unsafe {
            if ALONE {
                self.lists.dealloc(block, layout);
            } else {
                System.dealloc(block, layout);
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged; a block of `alloc` has the bytes of its layout.
        unsafe {
            if ALONE && size_number(layout).is_some() {
                let block = self.lists.alloc(layout);
                if !block.is_null() {
                    block.write_bytes(0, layout.size());
                }
                block
            } else if ALONE && self.lists.reserve.is_some() {
                self.lists.fresh_zeroed(layout)
            } else {
                System.alloc_zeroed(layout)
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on unchanged.
        unsafe {
            if ALONE {
                self.lists.realloc(block, layout, size)
            } else {
                System.realloc(block, layout, size)
            }
        }
    }
}

/// The freed blocks of each size.
struct Lists {
    of_sizes: UnsafeCell<[List; SIZES]>,
    /// What is held back, if something is.
    reserve: Option<Reserve>,
}

#[derive(Clone, Copy)]
struct List {
    first: Option<NonNull<Free>>,
    /// Bytes in the list.
    kept: usize,
}

/// What lies at the beginning of a freed block.
struct Free {
    next: Option<NonNull<Free>>,
}

/// Which list a small block belongs to.
#[inline]
fn small_number(layout: Layout) -> Option<usize> {
    // A size of 0 wraps around and is none of them.
    let number = layout.size().wrapping_sub(1) / STEP;
    (number < SMALL && layout.align() <= ALIGN).then_some(number)
}

/// Which list a block belongs to; none for those of the system.
#[inline]
fn size_number(layout: Layout) -> Option<usize> {
    small_number(layout).or_else(|| larger_number(layout))
}

/// The same for one that is not small.
#[inline]
fn larger_number(layout: Layout) -> Option<usize> {
    let last = layout.size().wrapping_sub(1);
    if layout.align() > ALIGN || !(LARGEST_SMALL..LARGEST).contains(&last) {
        return None;
    }
    let power = last.ilog2();
    let quarter = (last >> (power - 2)) % 4;
    Some(SMALL + (power - LARGEST_SMALL.ilog2()) as usize * 4 + quarter)
}

/// The size of all blocks of a list.
#[inline]
fn size_of_all(number: usize) -> usize {
    match number.checked_sub(SMALL) {
        None => (number + 1) * STEP,
        Some(quarters) => ((5 + quarters % 4) * (LARGEST_SMALL / 4)) << (quarters / 4),
    }
}

/// The layout of all blocks of a list.
#[inline]
fn whole(number: usize) -> Layout {
    const { assert!(LARGEST <= isize::MAX as usize && ALIGN.is_power_of_two()) };
    // SAFETY: the alignment is a power of two, and the size is at most `LARGEST`.
    unsafe { Layout::from_size_align_unchecked(size_of_all(number), ALIGN) }
}

impl Lists {
    const fn new() -> Lists {
        const EMPTY: List = List {
            first: None,
            kept: 0,
        };
        Lists {
            of_sizes: UnsafeCell::new([EMPTY; SIZES]),
            reserve: None,
        }
    }

    /// # Safety
    /// As `GlobalAlloc::alloc`, by one thread at a time.
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged; a small block is of that list.
        unsafe {
            match small_number(layout) {
                Some(number) => self.alloc_of(number),
                None => self.alloc_larger(layout),
            }
        }
    }

    /// Out of line: it would stand at most places that allocate.
    ///
    /// # Safety
    /// As [`Lists::alloc`].
    #[inline(never)]
    unsafe fn alloc_larger(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged; a block is of the list of its size.
        unsafe {
            match larger_number(layout) {
                Some(number) => self.alloc_of(number),
                None => self.fresh(layout),
            }
        }
    }

    /// # Safety
    /// By one thread at a time.
    #[inline]
    unsafe fn alloc_of(&self, number: usize) -> *mut u8 {
        // SAFETY: nobody else uses the lists meanwhile, and what is in a list is a free block
        // that begins with a `Free`.
        unsafe {
            let list = &mut (*self.of_sizes.get())[number];
            match list.first {
                Some(free) => {
                    list.first = free.as_ref().next;
                    list.kept -= size_of_all(number);
                    free.as_ptr().cast()
                }
                None => self.fresh(whole(number)),
            }
        }
    }

    /// A block of the system; of what is held back where nothing else is left.
    ///
    /// # Safety
    /// As [`Lists::alloc`].
    #[inline(never)]
    unsafe fn fresh(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged.
        let block = unsafe { System.alloc(layout) };
        match &self.reserve {
            None => block,
            // SAFETY: passed on unchanged.
            Some(reserve) if block.is_null() && reserve.give(layout.size()) => unsafe {
                System.alloc(layout)
            },
            Some(reserve) => {
                reserve.keep();
                block
            }
        }
    }

    /// The same for a block of zeros.
    ///
    /// # Safety
    /// As [`Lists::alloc`].
    #[inline(never)]
    unsafe fn fresh_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on unchanged.
        unsafe {
            let block = System.alloc_zeroed(layout);
            match &self.reserve {
                Some(reserve) if block.is_null() && reserve.give(layout.size()) => {
                    System.alloc_zeroed(layout)
                }
                _ => block,
            }
        }
    }

    /// The same for a block that grows or shrinks.
    ///
    /// # Safety
    /// As `GlobalAlloc::realloc`, of a block of the system.
    unsafe fn moved(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: passed on unchanged; a block that could not be moved is as it was.
        unsafe {
            let moved = System.realloc(block, layout, size);
            match &self.reserve {
                Some(reserve) if moved.is_null() && reserve.give(size) => {
                    System.realloc(block, layout, size)
                }
                _ => moved,
            }
        }
    }

    /// # Safety
    /// As `GlobalAlloc::dealloc`, by one thread at a time.
    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on unchanged; a small block is of that list.
        unsafe {
            match small_number(layout) {
                Some(number) => self.dealloc_of(number, block),
                None => self.dealloc_larger(block, layout),
            }
        }
    }

    /// # Safety
    /// As [`Lists::dealloc`].
    #[inline(never)]
    unsafe fn dealloc_larger(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on unchanged; a block is of the list of its size.
        unsafe {
            match larger_number(layout) {
                Some(number) => self.dealloc_of(number, block),
                None => System.dealloc(block, layout),
            }
        }
    }

    /// # Safety
    /// As [`Lists::dealloc`], of a block of that list.
    #[inline]
    unsafe fn dealloc_of(&self, number: usize, block: *mut u8) {
        // SAFETY: nobody else uses the lists meanwhile; the block is free now, large enough for
        // a `Free` and aligned to `ALIGN`, and of the layout `whole(number)`.
        unsafe {
            let list = &mut (*self.of_sizes.get())[number];
            let size = size_of_all(number);
            if list.kept + size > KEPT {
                System.dealloc(block, whole(number));
                return;
            }
            let free: *mut Free = block.cast();
            free.write(Free { next: list.first });
            list.first = NonNull::new(free);
            list.kept += size;
        }
    }

    /// # Safety
    /// As `GlobalAlloc::realloc`, by one thread at a time.
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: `size` with this alignment is a layout, by the contract.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: a block goes back to where it came from, and never more is copied than both hold.
        unsafe {
            match (size_number(layout), size_number(wanted)) {
                (None, None) => self.moved(block, layout, size),
                (Some(old), Some(new)) if old == new => block,
                _ => {
                    let moved = self.alloc(wanted);
                    if moved.is_null() {
                        return null_mut();
                    }
                    moved.copy_from_nonoverlapping(block, layout.size().min(size));
                    self.dealloc(block, layout);
                    moved
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    fn kept(lists: &Lists) -> usize {
        // SAFETY: one thread, and no reference is alive.
        unsafe { (*lists.of_sizes.get()).iter().map(|list| list.kept).sum() }
    }

    #[test]
    fn blocks_of_a_size_are_used_again() {
        let lists = Lists::new();
        // SAFETY: blocks are freed once, with their layout.
        unsafe {
            let first = lists.alloc(layout(40));
            lists.dealloc(first, layout(40));
            assert_eq!(kept(&lists), 48);
            // 33 to 48 bytes are one size.
            let second = lists.alloc(layout(33));
            assert_eq!((first, kept(&lists)), (second, 0));
            lists.dealloc(second, layout(33));
        }
    }

    #[test]
    fn lists_are_bounded() {
        let lists = Lists::new();
        let count = 3 * KEPT / 512;
        // SAFETY: blocks are freed once, with their layout.
        unsafe {
            let blocks: Vec<_> = (0..count).map(|_| lists.alloc(layout(512))).collect();
            for block in blocks {
                lists.dealloc(block, layout(512));
            }
            assert_eq!(kept(&lists), KEPT);
            let large = lists.alloc(layout(LARGEST + 1));
            lists.dealloc(large, layout(LARGEST + 1));
            assert_eq!(kept(&lists), KEPT);
        }
    }

    #[test]
    fn layouts_find_their_list() {
        assert_eq!(size_number(layout(0)), None);
        assert_eq!(size_number(layout(1)), Some(0));
        assert_eq!(size_number(layout(16)), Some(0));
        assert_eq!(size_number(layout(17)), Some(1));
        assert_eq!(size_number(layout(512)), Some(31));
        assert_eq!(size_number(layout(513)), Some(32));
        assert_eq!(size_number(layout(4096)), Some(SIZES - 1));
        assert_eq!(size_number(layout(4097)), None);
        // The least that a block has room for is one more than the list before has.
        let mut before = 0;
        for number in 0..SIZES {
            let size = size_of_all(number);
            assert_eq!(size_number(layout(before + 1)), Some(number));
            assert_eq!(size_number(layout(size)), Some(number));
            assert!(size.is_multiple_of(ALIGN) && before < size);
            before = size;
        }
        assert_eq!(before, LARGEST);
        let wide = Layout::from_size_align(16, 64).unwrap();
        assert_eq!(size_number(wide), None);
    }

    /// Random histories: what was written is read again, whatever moved meanwhile.
    #[test]
    fn blocks_keep_what_was_written() {
        let lists = Lists::new();
        let mut seed = 7u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        let mut live: Vec<(*mut u8, usize, u8)> = Vec::new();
        // SAFETY: each block is freed once, with its layout, and read within its size.
        unsafe {
            let check = |&(block, size, mark): &(*mut u8, usize, u8)| {
                assert!(
                    std::slice::from_raw_parts(block, size)
                        .iter()
                        .all(|&byte| byte == mark)
                );
            };
            for step in 0..20_000 {
                match random(3) {
                    0 => {
                        let (size, mark) = (1 + random(5000), step as u8);
                        let block = lists.alloc(layout(size));
                        assert!(!block.is_null());
                        block.write_bytes(mark, size);
                        live.push((block, size, mark));
                    }
                    1 if !live.is_empty() => {
                        let entry = live.swap_remove(random(live.len()));
                        check(&entry);
                        lists.dealloc(entry.0, layout(entry.1));
                    }
                    2 if !live.is_empty() => {
                        let (block, old, mark) = live.swap_remove(random(live.len()));
                        let size = 1 + random(5000);
                        let block = lists.realloc(block, layout(old), size);
                        assert!(!block.is_null());
                        check(&(block, old.min(size), mark));
                        block.write_bytes(mark, size);
                        live.push((block, size, mark));
                    }
                    _ => {}
                }
            }
            for entry in live {
                check(&entry);
                lists.dealloc(entry.0, layout(entry.1));
            }
        }
        assert!(kept(&lists) <= KEPT * SIZES);
    }
}
