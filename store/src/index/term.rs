//! Terms: the byte strings an index is made of.
//!
//! A term says one thing about a path of a record: a flag, a value, or an
//! element of an array. Terms sort by path, then by what they say, and values
//! of one path in the total order of the language, so that ranges, prefixes and
//! sorting are runs of neighbouring terms.
//!
//! ```text
//! term   = path , space , rest
//! path   = { step bytes (00 as 00 ff) , 00 01 } , 00 00
//! space  = 01 flags      rest = the flag's byte
//!        | 02 values     rest = key: the value itself, reached through maps alone
//!        | 03 elements   rest = key: an element of the one array on the way
//! key    = 10 null | 20 false | 21 true | 30 number | 40 UTF-8 string
//!        | 60 24 bytes id | 90 name 00 key of `_rmx_index` (case)
//! number = 8 bytes of the nearest float, big-endian, bits changed so that they sort; NaN is all zeros
//! id     = 32 characters of 6 bits
//! ```

mod key;

use std::sync::Arc;

pub(crate) use key::*;

/// Deepest path that is indexed.
pub(crate) const MAX_STEPS: usize = 8;
/// Longest path, in bytes of its steps, that is indexed.
pub(crate) const MAX_PATH: usize = 512;

const STEP_END: [u8; 2] = [0, 1];
const PATH_END: [u8; 2] = [0, 0];
pub(super) const SPACE_FLAGS: u8 = 1;
pub(super) const SPACE_VALUES: u8 = 2;
pub(super) const SPACE_ELEMENTS: u8 = 3;

/// What a path of a record may be, beside having a value with a key.
///
/// *Plainly* means: through maps alone, with no array on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flag {
    /// There is a value, plainly reached.
    Exists = 1,
    /// An array, plainly reached.
    Array = 2,
    /// A value without a key, plainly reached: map, binary, most cases.
    Other = 3,
    /// A string too long for a key, plainly reached.
    Long = 4,
    /// A ref inside an array, at any depth.
    RefInside = 5,
    /// An element without a key, of the one array on the way.
    OtherElement = 6,
    /// An array inside an array.
    Nested = 7,
    /// On the empty path: the record has more terms than are indexed.
    Unindexed = 8,
}

/// The beginning of the terms of a path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Path {
    bytes: Vec<u8>,
}

impl Path {
    /// A path of member names; none if it is beyond what is indexed.
    pub fn of(steps: &[Arc<str>]) -> Option<Path> {
        let len: usize = steps.iter().map(|step| step.len()).sum();
        if steps.len() > MAX_STEPS || len > MAX_PATH {
            return None;
        }
        let mut path = Path::default();
        for step in steps {
            path.push(step);
        }
        Some(path)
    }

    /// Goes down to a member; gives what [`Path::pop`] needs.
    pub fn push(&mut self, step: &str) -> usize {
        let before = self.bytes.len();
        if has_zero(step.as_bytes()) {
            for byte in step.bytes() {
                self.bytes.push(byte);
                if byte == 0 {
                    self.bytes.push(0xff);
                }
            }
        } else {
            self.bytes.extend_from_slice(step.as_bytes());
        }
        self.bytes.extend(STEP_END);
        before
    }

    /// Goes back up.
    pub fn pop(&mut self, before: usize) {
        self.bytes.truncate(before);
    }

    fn space(&self, space: u8, rest: usize) -> Vec<u8> {
        let mut term = Vec::with_capacity(self.bytes.len() + 3 + rest);
        term.extend_from_slice(&self.bytes);
        term.extend(PATH_END);
        term.push(space);
        term
    }

    pub fn flag(&self, flag: Flag) -> Vec<u8> {
        let mut term = self.space(SPACE_FLAGS, 1);
        term.push(flag as u8);
        term
    }

    /// The range of the terms of all flags.
    pub fn flags(&self) -> (Vec<u8>, Vec<u8>) {
        (self.space(SPACE_FLAGS, 0), self.space(SPACE_FLAGS + 1, 0))
    }

    /// The path without the bytes that end it.
    pub fn steps(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that all terms of the path begin with.
    pub fn prefix(&self) -> Vec<u8> {
        let mut prefix = Vec::with_capacity(self.bytes.len() + 2);
        prefix.extend_from_slice(&self.bytes);
        prefix.extend(PATH_END);
        prefix
    }

    /// The term of a value with this key.
    pub fn value(&self, key: &[u8]) -> Vec<u8> {
        let mut term = self.space(SPACE_VALUES, key.len());
        term.extend_from_slice(key);
        term
    }

    /// The term of an element with this key.
    pub fn element(&self, key: &[u8]) -> Vec<u8> {
        let mut term = self.space(SPACE_ELEMENTS, key.len());
        term.extend_from_slice(key);
        term
    }

    /// Bytes before the key in the terms of values.
    pub fn values_len(&self) -> usize {
        self.bytes.len() + 3
    }
}

/// Whether there is a zero byte, eight looked at together.
fn has_zero(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let (words, rest) = bytes.as_chunks::<8>();
    let in_word = |eight: &[u8; 8]| {
        let word = u64::from_le_bytes(*eight);
        word.wrapping_sub(ONES) & !word & (ONES << 7) != 0
    };
    words.iter().any(in_word) || rest.contains(&0)
}

/// The term of a ref at a path of one step; none if the ref is not well-formed.
pub(crate) fn ref_term(step: &str, id: &str) -> Option<Vec<u8>> {
    let bytes = Vec::with_capacity(step.len() + 32);
    let mut path = Path { bytes };
    path.push(step);
    let mut term = path.bytes;
    term.extend(PATH_END);
    term.push(SPACE_VALUES);
    write_ref_key(id, &mut term).then_some(term)
}

/// A term taken apart: what the terms of its path begin with, and the rest.
pub(crate) fn split_path(term: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    // A zero byte that begins a path's end is followed by another one; those
    // inside a path are not.
    while let Some(zero) = term[at..].iter().position(|byte| *byte == 0) {
        at += zero + 2;
        if term.get(at - 1) == Some(&0) {
            break;
        }
        at = at.min(term.len());
    }
    term.split_at(at.min(term.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_do_not_run_into_each_other() {
        let path = |steps: &[&str]| {
            let steps: Vec<Arc<str>> = steps.iter().map(|step| Arc::from(*step)).collect();
            Path::of(&steps).expect("short").value(&[0x10])
        };
        let all = [
            path(&["a"]),
            path(&["a", "b"]),
            path(&["ab"]),
            path(&["a\u{0}", "b"]),
            path(&["a\u{0}\u{1}b"]),
            path(&["a\u{0}"]),
            path(&[""]),
            path(&[]),
            path(&["", ""]),
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert!(i == j || !a.starts_with(b), "{i} {j}");
            }
        }
    }
}
