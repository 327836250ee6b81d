//! Blocks whose entries are blocks, as they are kept while a segment is read.

use std::ops::Range;

use super::Damaged;
use super::block::{Entries, Span};

/// Longest keys of all entries together; longer ones were never written.
const MAX_KEYS: usize = 64 << 20;

/// First keys and places of some blocks, at least one.
pub(crate) struct Interior {
    /// The keys, one behind the other: looking for one of them stays in one piece of memory.
    keys: Vec<u8>,
    children: Vec<Child>,
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
        match read.children.is_empty() {
            true => Err(Damaged),
            false => Ok(read),
        }
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

    /// Number of blocks whose first key is `so`, which is true up to one of them and false from there on.
    pub(super) fn count_while(&self, so: impl Fn(&[u8]) -> bool) -> usize {
        self.children
            .partition_point(|child| so(&self.keys[child.first.clone()]))
    }

    /// Bytes that it takes in memory.
    pub(super) fn size(&self) -> usize {
        self.keys.len() + size_of_val(&*self.children)
    }
}
