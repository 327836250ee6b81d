//! Blocks whose entries are blocks, as they are kept while a segment is read.

use std::ops::Range;

use super::Damaged;
use super::block::{Entries, Span};

/// Longest keys of all entries together; longer ones were never written.
const MAX_KEYS: usize = 64 << 20;

/// First keys and places of some blocks, at least one.
pub(crate) struct Interior {
    /// The keys, one behind the other.
    keys: Vec<u8>,
    children: Vec<Child>,
    /// Number of bytes that all keys begin with.
    shared: usize,
    /// Of each key the bytes behind those, as a number: to look for a key among these takes few
    /// reads of memory.
    heads: Vec<u64>,
}

struct Child {
    /// Where its first key lies among the keys.
    first: Range<usize>,
    block: Span,
}

impl Interior {
    /// Reads all entries of a block.
    pub(super) fn read(entries: &mut Entries<'_>) -> Result<Interior, Damaged> {
        let mut read = Interior {
            keys: Vec::new(),
            children: Vec::new(),
            shared: 0,
            heads: Vec::new(),
        };
        while !entries.is_done() {
            entries.next_key()?;
            let block = entries.span()?;
            let from = read.keys.len();
            read.keys.extend_from_slice(&entries.key);
            let first = from..read.keys.len();
            if first.end > MAX_KEYS {
                return Err(Damaged);
            }
            read.children.push(Child { first, block });
        }
        let Some(last) = read.children.len().checked_sub(1) else {
            return Err(Damaged);
        };
        // Sorted, so that what the first and the last begin with is what all begin with.
        let pairs = read.first(0).iter().zip(read.first(last));
        let shared = pairs.take_while(|(a, b)| a == b).count();
        let keys = (0..=last).map(|at| read.first(at));
        if !keys.is_sorted() {
            return Err(Damaged);
        }
        read.heads = (0..=last)
            .map(|at| head(&read.first(at)[shared..]))
            .collect();
        read.shared = shared;
        Ok(read)
    }

    /// Number of blocks.
    pub(super) fn len(&self) -> usize {
        self.children.len()
    }

    /// A block, below [`Interior::len`].
    pub(super) fn child(&self, at: usize) -> Span {
        self.children[at].block
    }

    /// Its first key.
    pub(super) fn first(&self, at: usize) -> &[u8] {
        &self.keys[self.children[at].first.clone()]
    }

    /// Number of blocks whose first key is less than `key`.
    pub(super) fn count_below(&self, key: &[u8]) -> usize {
        self.count(key, |first| first < key)
    }

    /// Number of blocks whose first key is less than `key`, or equal to it.
    pub(super) fn count_up_to(&self, key: &[u8]) -> usize {
        self.count(key, |first| first <= key)
    }

    /// Number of keys that are `before`, which those less than `key` are and those greater are not.
    fn count(&self, key: &[u8], before: impl Fn(&[u8]) -> bool) -> usize {
        let (start, rest) = key.split_at(self.shared.min(key.len()));
        let (from, to) = match start == &self.first(0)[..self.shared] {
            true => {
                let head = head(rest);
                let from = count_less(&self.heads, head);
                // Mostly none: keys that are drawn at random differ early.
                let same = match self.heads.get(from) == Some(&head) {
                    true => self.heads[from..].partition_point(|other| *other == head),
                    false => 0,
                };
                (from, from + same)
            }
            false => (0, self.children.len()),
        };
        let same = &self.children[from..to];
        from + same.partition_point(|child| before(&self.keys[child.first.clone()]))
    }

    /// Bytes that it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.keys.len() + size_of_val(&*self.children) + size_of_val(&*self.heads)
    }
}

/// How many of some sorted numbers are less than one. Where they are about evenly spread, as ids are
/// that are drawn at random, it lies near the place that this tells, and few of them are read.
fn count_less(sorted: &[u64], number: u64) -> usize {
    let (Some(least), Some(greatest)) = (sorted.first(), sorted.last()) else {
        return 0;
    };
    if number <= *least {
        return 0;
    }
    if number > *greatest {
        return sorted.len();
    }
    // Now the first one is less, and the last one is not.
    let (mut low, mut high) = (0, sorted.len() - 1);
    let share = (number - least) as f64 / (greatest - least) as f64;
    let guess = ((share * high as f64) as usize).clamp(low, high);
    let mut step = 2;
    if sorted[guess] < number {
        low = guess;
        while low + step < high {
            if sorted[low + step] >= number {
                high = low + step;
                break;
            }
            low += step;
            step *= 2;
        }
    } else {
        high = guess;
        while low + step < high {
            if sorted[high - step] < number {
                low = high - step;
                break;
            }
            high -= step;
            step *= 2;
        }
    }
    low + 1 + sorted[low + 1..high].partition_point(|other| *other < number)
}

/// The first eight bytes as a number, with zeros behind those that are less: of two texts the one
/// with the lesser number is less.
fn head(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let known = bytes.len().min(8);
    head[..known].copy_from_slice(&bytes[..known]);
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::segment::block::{Builder, write_span};

    fn interior(keys: &[&[u8]]) -> Result<Interior, Damaged> {
        let mut builder = Builder::default();
        for (number, key) in keys.iter().enumerate() {
            builder.key(key);
            let offset = number as u64;
            write_span(&mut builder.bytes, Span { offset, len: 1 });
        }
        builder.close();
        Interior::read(&mut Entries::new(&builder.bytes)?)
    }

    #[test]
    fn a_key_is_found_among_others_like_it() {
        for start in [&b""[..], b"path of an id"] {
            let mut keys: Vec<Vec<u8>> = Vec::new();
            for middle in [
                &b""[..],
                b"\0",
                b"\0\0",
                b"a",
                b"abcdefgh",
                b"abcdefgi",
                b"\xff",
            ] {
                for end in [&b""[..], b"\0", b"0", b"12345678", b"12345679"] {
                    keys.push([start, middle, end].concat());
                }
            }
            keys.sort();
            keys.dedup();
            let all: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            // Each key looked for in blocks of every second one, and of those behind the first few.
            for skipped in [0, 1, 7] {
                let here: Vec<&[u8]> = all.iter().copied().skip(skipped).step_by(2).collect();
                let interior = interior(&here).expect("as it was written");
                let others = [&b""[..], b"\0", b"o", b"path of", b"path of an ie", b"q"];
                for key in all.iter().copied().chain(others) {
                    let below = here.iter().filter(|first| **first < key).count();
                    let up_to = here.iter().filter(|first| **first <= key).count();
                    assert_eq!(interior.count_below(key), below, "{key:?}");
                    assert_eq!(interior.count_up_to(key), up_to, "{key:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_counted_however_they_are_spread() {
        let spread: [fn(u64) -> u64; 6] = [
            |n| n * 1_000_003,
            |n| n / 7,
            |n| n * n * n,
            |n| 1 << (n % 64).min(n),
            |n| u64::MAX - 300 + n,
            |_| 5,
        ];
        for of in spread {
            for count in [0, 1, 2, 3, 10, 200] {
                let mut sorted: Vec<u64> = (0..count).map(of).collect();
                sorted.sort_unstable();
                let near = sorted
                    .iter()
                    .flat_map(|n| [n.saturating_sub(1), *n, n.saturating_add(1)]);
                for number in near.chain([0, 1, u64::MAX / 2, u64::MAX]) {
                    let less = sorted.iter().filter(|other| **other < number).count();
                    assert_eq!(count_less(&sorted, number), less, "{number} in {sorted:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_such_block_is_damaged() {
        assert!(interior(&[]).is_err());
        assert!(interior(&[b"b", b"a"]).is_err());
    }
}
