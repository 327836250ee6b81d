//! Segments: immutable files with the index of a range of rows.
//!
//! `docs/STORE.md` describes the bytes. A segment holds two trees of terms: one
//! of the rows that were current when it was written, one of the past ones, so
//! that history costs queries over the present nothing. Beside them it holds
//! which rows its rows superseded, and its tombstones.
//!
//! Everything is read on demand, block by block, through a bounded [`Cache`],
//! and every block has a checksum.

mod block;
mod cache;
mod cursor;
mod filter;
mod interior;
mod merge;
mod passing;
mod reader;
mod writer;

use block::Span;
pub(crate) use cache::{Cache, Cached};
pub(crate) use cursor::TermCursor;
pub(crate) use filter::hash as filter_hash;
pub(crate) use merge::Merge;
pub(crate) use reader::{Bytes, Segment};
pub(crate) use writer::{SegmentWriter, Sink};

/// Longest list of rows that is written beside its term.
const FEW: usize = 16;
/// Start of a segment file: name and version of the format.
const HEADER: [u8; 8] = *b"MXIX\x04\0\0\0";
/// Bytes at the end of a segment file.
const TRAILER: usize = 144;

/// Bytes are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// One of the two trees of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Rows that were current when the segment was written.
    Present = 0,
    /// Rows that were superseded by then.
    Past = 1,
}

impl Part {
    pub const BOTH: [Part; 2] = [Part::Present, Part::Past];
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tree {
    root: Span,
    /// Levels; 0 without terms.
    height: u32,
    terms: u64,
}

/// What opening a segment reads: its last bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Trailer {
    generation: [u8; 8],
    first: u32,
    rows: u32,
    split: u32,
    trees: [Tree; 2],
    replaced: Span,
    superseded: Span,
    tombstones: Span,
    /// Where the filter of ids and revisions begins, and the bytes of all its pages.
    filter: Span,
}

impl Trailer {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER);
        out.extend(HEADER);
        out.extend(self.generation);
        for number in [self.first, self.rows, self.split, 0] {
            out.extend(number.to_le_bytes());
        }
        let span = |out: &mut Vec<u8>, span: Span| {
            out.extend(span.offset.to_le_bytes());
            out.extend(span.len.to_le_bytes());
        };
        for tree in self.trees {
            span(&mut out, tree.root);
            out.extend(tree.height.to_le_bytes());
            out.extend(tree.terms.to_le_bytes());
        }
        for part in [self.replaced, self.superseded, self.tombstones, self.filter] {
            span(&mut out, part);
        }
        out.resize(TRAILER - 4, 0);
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Trailer> {
        let (checked, sum) = bytes.split_last_chunk::<4>()?;
        if bytes.len() != TRAILER || crc32c::crc32c(checked) != u32::from_le_bytes(*sum) {
            return None;
        }
        let mut rest = checked.strip_prefix(&HEADER)?;
        let mut take = |len: usize| -> Option<&[u8]> {
            let (bytes, after) = rest.split_at_checked(len)?;
            rest = after;
            Some(bytes)
        };
        let generation: [u8; 8] = take(8)?.try_into().ok()?;
        let mut u32_of = || Some(u32::from_le_bytes(take(4)?.try_into().ok()?));
        let (first, rows, split, _) = (u32_of()?, u32_of()?, u32_of()?, u32_of()?);
        let mut trailer = Trailer {
            generation,
            first,
            rows,
            split,
            ..Trailer::default()
        };
        let mut span = |len: usize| -> Option<(Span, &[u8])> {
            let bytes = take(len)?;
            let (offset, after) = bytes.split_first_chunk::<8>()?;
            let (len, after) = after.split_first_chunk::<4>()?;
            let span = Span {
                offset: u64::from_le_bytes(*offset),
                len: u32::from_le_bytes(*len),
            };
            Some((span, after))
        };
        for tree in &mut trailer.trees {
            let (root, after) = span(24)?;
            let (height, terms) = after.split_first_chunk::<4>()?;
            *tree = Tree {
                root,
                height: u32::from_le_bytes(*height),
                terms: u64::from_le_bytes(terms.try_into().ok()?),
            };
        }
        trailer.replaced = span(12)?.0;
        trailer.superseded = span(12)?.0;
        trailer.tombstones = span(12)?.0;
        trailer.filter = span(12)?.0;
        Some(trailer)
    }
}
