//! A bounded cache of what was read from files.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;

use super::interior::Interior;
use crate::ids::Id;
use crate::index::Edge;
use crate::row_bytes::RowBytes;
use crate::row_files::RowBlock;

/// Bookkeeping of an entry.
const ENTRY: usize = 64;

/// Something read from a file.
#[derive(Clone)]
pub(crate) enum Cached {
    Bytes(RowBytes),
    Interior(Arc<Interior>),
    Rows(Arc<RoaringBitmap>),
    Block(Arc<RowBlock>),
    Edge(Arc<Edge>),
    /// An id or a revision, and the newest row that has it.
    Newest(Box<Id>, u32),
    /// An id, and all rows that have it.
    Versions(Box<Id>, Arc<[u32]>),
}

/// Hashes file numbers and offsets, which nobody chooses freely.
#[derive(Default, Clone, Copy)]
struct Places(u64);

impl Hasher for Places {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(29) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

type Entries = HashMap<(u64, u64), (Cached, usize), BuildHasherDefault<Places>>;

/// Keeps about as many bytes as it may, the recently used ones.
///
/// Two generations: what is used moves into the young one; when that is full
/// it becomes the old one, and what was in the old one is forgotten.
pub(crate) struct Cache {
    limit: usize,
    inner: Mutex<Inner>,
    files: AtomicU64,
}

#[derive(Default)]
struct Inner {
    young: Entries,
    old: Entries,
    bytes: usize,
    seen: Seen,
}

/// What was there lately without being kept: two filters with a bit for each, of which the older
/// one is forgotten when the younger one has had its share.
#[derive(Default)]
struct Seen {
    /// Made when they are needed.
    young: Vec<u64>,
    old: Vec<u64>,
    marks: usize,
}

impl Seen {
    /// Bits of each filter.
    const BITS: usize = 1 << 18;
    /// Bits that are set in one of them: of what was not there, a fifth is taken for what was.
    const MARKS: usize = Seen::BITS / 8;

    /// True if it was there lately; from now on it was.
    fn mark(&mut self, place: (u64, u64)) -> bool {
        let hash = BuildHasherDefault::<Places>::default().hash_one(place);
        let (word, bit) = (hash as usize % Seen::BITS / 64, 1 << (hash % 64));
        let known = |filter: &[u64]| filter.get(word).is_some_and(|bits| bits & bit != 0);
        if known(&self.young) {
            return true;
        }
        let seen = known(&self.old);
        if self.marks >= Seen::MARKS || self.young.is_empty() {
            self.old = std::mem::take(&mut self.young);
            self.young.resize(Seen::BITS / 64, 0);
            self.marks = 0;
        }
        self.young[word] |= bit;
        self.marks += 1;
        seen
    }
}

impl Cache {
    pub fn new(limit: usize) -> Cache {
        Cache {
            limit,
            inner: Mutex::default(),
            files: AtomicU64::new(0),
        }
    }

    /// A number for a file, which no other has.
    pub fn new_file(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }

    pub fn get(&self, file: u64, offset: u64) -> Option<Cached> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.get((file, offset), self.limit)
    }

    /// The first of two that is there.
    pub fn get_either(&self, first: (u64, u64), second: (u64, u64)) -> Option<Cached> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let found = inner.get(first, self.limit);
        found.or_else(|| inner.get(second, self.limit))
    }

    pub fn put(&self, file: u64, offset: u64, cached: Cached, size: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.add((file, offset), cached, size + ENTRY, self.limit);
    }

    /// As [`Cache::put`], from the second time on: what is read once all over a database pushes
    /// nothing out, and takes less time.
    pub fn put_again(&self, file: u64, offset: u64, cached: impl FnOnce() -> Cached, size: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.seen.mark((file, offset)) {
            inner.add((file, offset), cached(), size + ENTRY, self.limit);
        }
    }

    /// True if all of a file of that length may stay here.
    pub fn has_room(&self, bytes: u64) -> bool {
        bytes <= self.limit as u64 / 4
    }
}

impl Inner {
    fn get(&mut self, key: (u64, u64), limit: usize) -> Option<Cached> {
        if let Some((cached, _)) = self.young.get(&key) {
            return Some(cached.clone());
        }
        let (cached, size) = self.old.remove(&key)?;
        self.add(key, cached.clone(), size, limit);
        Some(cached)
    }

    fn add(&mut self, key: (u64, u64), cached: Cached, size: usize, limit: usize) {
        // What takes a large part of the cache would only push out the rest.
        if size > limit / 4 {
            return;
        }
        if self.bytes + size > limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += size;
        self.young.insert(key, (cached, size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recently_used_stay() {
        let cache = Cache::new(64 * 1024);
        let bytes = RowBytes::from(vec![0; 1000]);
        for number in 0..1000 {
            cache.put(1, number, Cached::Bytes(bytes.clone()), bytes.len());
            assert!(cache.get(1, 0).is_some(), "{number}");
        }
        let kept = (0..1000).filter(|n| cache.get(1, *n).is_some()).count();
        assert!((10..70).contains(&kept), "{kept}");
    }

    #[test]
    fn what_is_there_once_pushes_nothing_out() {
        let cache = Cache::new(2 << 20);
        let bytes = RowBytes::from(vec![0; 1000]);
        let put = |number| cache.put_again(1, number, || Cached::Bytes(bytes.clone()), bytes.len());
        for number in [0, 0].into_iter().chain(1..10_000) {
            put(number);
        }
        assert!(cache.get(1, 0).is_some());
        // Among so many others it is still known that they were there.
        for number in 1..500 {
            put(number);
            assert!(cache.get(1, number).is_some(), "{number}");
        }
        // But not for ever.
        (10_000..200_000).for_each(put);
        let kept = (500..1500).filter(|number| {
            put(*number);
            cache.get(1, *number).is_some()
        });
        let kept = kept.count();
        assert!(kept < 400, "{kept}");
    }
}
