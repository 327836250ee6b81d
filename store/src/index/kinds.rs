//! Which kinds of terms a path has at all. Mostly a path has numbers or strings
//! alone, and then the questions about all else need no look into the index.

use std::sync::LazyLock;

use super::segment::{Part, Segment};
use super::term::{Flag, KeyRange, Path};
use crate::error::Result;

/// A set of kinds of terms. It may name a kind that no row has, but misses none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u32);

const NULL: u32 = 1 << 16;
const BOOL: u32 = 1 << 17;
const NUMBER: u32 = 1 << 18;
/// A number whose key may stand for several.
const INEXACT: u32 = 1 << 19;
const NAN: u32 = 1 << 20;
const STRING: u32 = 1 << 21;
const REF: u32 = 1 << 22;
const CASE: u32 = 1 << 23;
const ELEMENT: u32 = 1 << 24;

impl Kinds {
    pub fn add(&mut self, other: Kinds) {
        self.0 |= other.0;
    }

    pub fn has_flag(self, flag: Flag) -> bool {
        self.0 & 1 << (flag as u32) != 0
    }

    pub fn has_elements(self) -> bool {
        self.0 & ELEMENT != 0
    }

    pub fn has_refs(self) -> bool {
        self.0 & REF != 0
    }

    /// Whether the order of the keys is not all of the order of the values.
    pub fn is_inexact(self) -> bool {
        self.0 & (INEXACT | CASE) != 0
    }

    /// Whether there may be a key in a range.
    pub fn may_have(self, range: &KeyRange) -> bool {
        let mut rest = self.0 & !ELEMENT & !0xffff;
        for (kind, all) in kinds() {
            if range.to <= all.from || all.to <= range.from {
                rest &= !kind;
            }
        }
        rest != 0
    }

    /// What a segment has of a path.
    pub fn of_segment(segment: &Segment, path: &Path) -> Result<Kinds> {
        let mut found = Kinds::default();
        for part in Part::BOTH {
            let (from, to) = path.flags();
            segment.scan(part, &from, &to, &mut |_| true, &mut |term, _| {
                found.add_flag(term.last().copied());
            })?;
            for (kind, range) in kinds() {
                let (from, to) = (path.value(&range.from), path.value(&range.to));
                if found.0 & kind == 0 && segment.has_between(part, &from, &to)? {
                    found.0 |= kind;
                }
            }
            let all = KeyRange::all();
            let (from, to) = (path.element(&all.from), path.element(&all.to));
            if segment.has_between(part, &from, &to)? {
                found.0 |= ELEMENT;
            }
        }
        Ok(found)
    }

    /// Adds the last byte of the term of a flag.
    fn add_flag(&mut self, flag: Option<u8>) {
        if let Some(flag @ 1..16) = flag {
            self.0 |= 1 << flag;
        }
    }

    /// Adds the kind of a term; `rest` is what follows its path.
    pub fn add_term(&mut self, rest: &[u8]) {
        match rest {
            [1, flag] => self.add_flag(Some(*flag)),
            [2, key @ ..] => {
                for (kind, range) in kinds() {
                    if *range.from <= *key && *key < *range.to {
                        self.0 |= kind;
                    }
                }
            }
            _ => self.0 |= ELEMENT,
        }
    }
}

/// The keys of each kind. Inexact numbers are numbers too.
fn kinds() -> &'static [(u32, KeyRange); 9] {
    static KINDS: LazyLock<[(u32, KeyRange); 9]> = LazyLock::new(all_kinds);
    &KINDS
}

fn all_kinds() -> [(u32, KeyRange); 9] {
    let [low, high] = KeyRange::inexact();
    [
        (NULL, KeyRange::null()),
        (BOOL, KeyRange::bools()),
        (NUMBER, KeyRange::numbers()),
        (INEXACT, low),
        (INEXACT, high),
        (NAN, KeyRange::nan()),
        (STRING, KeyRange::strings()),
        (REF, KeyRange::refs()),
        (CASE, KeyRange::cases()),
    ]
}
