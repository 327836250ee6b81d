//! A bounded cache of what was read from files.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;

use super::interior::Interior;
use crate::ids::Id;
use crate::index::Edge;
use crate::row_bytes::RowBytes;
use crate::row_files::{Places, RowBlock};

/// Bookkeeping of an entry.
const ENTRY: usize = 96;

/// Something read from a file.
#[derive(Clone)]
pub(crate) enum Cached {
    Bytes(RowBytes),
    Interior(Arc<Interior>),
    Rows(Arc<RoaringBitmap>),
    Block(Arc<RowBlock>),
    Places(Places),
    Edge(Arc<Edge>),
    /// An id or a revision, and the newest row that has it.
    Newest(Box<Id>, u32),
    /// An id, and all rows that have it.
    Versions(Box<Id>, Arc<[u32]>),
}

/// Hashes file numbers and offsets, which nobody chooses freely.
#[derive(Default, Clone, Copy)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
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

struct Entry {
    cached: Cached,
    size: usize,
    /// It was asked for since it came, or since its last chance.
    used: bool,
}

/// A file, and an offset in it.
pub(crate) type Place = (u64, u64);
type Entries = HashMap<Place, Entry, BuildHasherDefault<PlaceHasher>>;

/// Keeps as many bytes as it may, those that are asked for.
///
/// What came first is forgotten first, but what was asked for meanwhile gets another chance behind
/// all others. So all of the memory holds what is asked for, nothing moves when it is found, and what
/// is read once goes soon.
pub(crate) struct Cache {
    limit: usize,
    inner: Mutex<Inner>,
    files: AtomicU64,
}

#[derive(Default)]
struct Inner {
    entries: Entries,
    /// All of them, the next to be forgotten first.
    order: VecDeque<Place>,
    bytes: usize,
    seen: Seen,
}

/// So many get another chance at most before one is forgotten: then the next one goes, whatever it is.
const CHANCES: usize = 64;

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
    fn mark(&mut self, place: Place) -> bool {
        let hash = BuildHasherDefault::<PlaceHasher>::default().hash_one(place);
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
        inner.get((file, offset))
    }

    /// What `look` sees, if it is there: for a short look that needs nothing of it later.
    pub fn look<R>(&self, file: u64, offset: u64, look: impl FnOnce(&Cached) -> R) -> Option<R> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.find((file, offset)).map(look)
    }

    /// As [`Cache::look`] at several places, in turn; none of what is not there.
    ///
    /// All of them at once, so that the processor waits for the memory of all of them together.
    pub fn look_each(
        &self,
        places: impl Iterator<Item = Place>,
        mut look: impl FnMut(usize, Option<&Cached>),
    ) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, place) in places.enumerate() {
            look(number, inner.find(place));
        }
    }

    /// The first of two that is there.
    pub fn get_either(&self, first: Place, second: Place) -> Option<Cached> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let found = inner.get(first);
        found.or_else(|| inner.get(second))
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

    /// True if so many bytes of one kind may stay here.
    pub fn has_room(&self, bytes: u64) -> bool {
        bytes <= self.limit as u64 / 2
    }
}

impl Inner {
    fn get(&mut self, place: Place) -> Option<Cached> {
        self.find(place).cloned()
    }

    fn find(&mut self, place: Place) -> Option<&Cached> {
        let entry = self.entries.get_mut(&place)?;
        if !entry.used {
            entry.used = true;
        }
        Some(&entry.cached)
    }

    fn add(&mut self, place: Place, cached: Cached, size: usize, limit: usize) {
        // What takes a large part of the cache would only push out the rest.
        if size > limit / 4 {
            return;
        }
        self.make_room(size, limit);
        let entry = Entry {
            cached,
            size,
            used: false,
        };
        match self.entries.insert(place, entry) {
            Some(before) => self.bytes -= before.size,
            None => self.order.push_back(place),
        }
        self.bytes += size;
    }

    /// Forgets entries until there is room for so many bytes.
    fn make_room(&mut self, size: usize, limit: usize) {
        let mut chances = CHANCES;
        while self.bytes + size > limit
            && let Some(place) = self.order.pop_front()
        {
            match self.entries.get_mut(&place) {
                Some(entry) if entry.used && chances > 0 => {
                    chances -= 1;
                    entry.used = false;
                    self.order.push_back(place);
                }
                _ => {
                    let gone = self.entries.remove(&place);
                    self.bytes -= gone.map_or(0, |entry| entry.size);
                    chances = CHANCES;
                }
            }
        }
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
        assert!((50..60).contains(&kept), "{kept}");
        // All of them are asked for, so one of them goes.
        cache.put(1, 1000, Cached::Bytes(bytes.clone()), bytes.len());
        assert!(cache.get(1, 1000).is_some());
        // The same place again takes no more room.
        for _ in 0..100 {
            cache.put(1, 1000, Cached::Bytes(bytes.clone()), bytes.len());
        }
        let kept = (0..=1000).filter(|n| cache.get(1, *n).is_some()).count();
        assert!((50..60).contains(&kept), "{kept}");
    }

    /// What is asked for again and again is there all the time, if it fits.
    #[test]
    fn what_fits_stays() {
        let cache = Cache::new(1 << 20);
        let bytes = RowBytes::from(vec![0; 1000]);
        let count = 800;
        let mut missed = 0;
        for number in 0..20_u64 * count {
            let place = number * 7919 % count;
            if cache.get(1, place).is_none() {
                missed += 1;
                cache.put(1, place, Cached::Bytes(bytes.clone()), bytes.len());
            }
            // And this one only once.
            if number % 10 == 0 {
                cache.put(2, number, Cached::Bytes(bytes.clone()), bytes.len());
            }
        }
        assert!(missed < count * 3 / 2, "{missed}");
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
