//! Reading a segment from one end to the other, once.

use std::sync::Arc;

use super::block::{SUM, Span};
use super::reader::Segment;
use crate::error::Result;
use crate::row_bytes::RowBytes;

/// So many bytes are read at once, where what is wanted next is among them.
const AHEAD: u64 = 64 << 10;

/// What was read of a segment by who goes through one of its trees. Blocks and long lists of rows lie
/// in the file in the order of the terms, the lists of a leaf before it: so a read of many
/// bytes serves for many of them, and nothing goes into the cache, which is for queries.
#[derive(Default)]
pub(super) struct Passing {
    leaves: Window,
    lists: Window,
    /// Where the leaf before ends.
    behind: u64,
}

impl Passing {
    /// The leaf at a place, which is behind the one before.
    pub fn leaf(&mut self, segment: &Segment, span: Span) -> Result<RowBytes> {
        let len = segment.checked_len(span)?;
        let gap = span.offset.saturating_sub(self.behind);
        let end = span.offset + (len + SUM) as u64;
        if !self.leaves.has(span.offset, end) {
            // Where long lists lie between the leaves, these are read alone.
            let (from, ahead) = match gap < AHEAD / 2 {
                true => (self.behind.min(span.offset), AHEAD),
                false => (span.offset, 0),
            };
            self.leaves = Window::read(segment, from, end.max(from.saturating_add(ahead)))?;
        }
        self.behind = end;
        self.leaves.part(segment, span)
    }

    /// The list of rows at a place, of a term of the leaf that was read last.
    pub fn list(&mut self, segment: &Segment, span: Span) -> Result<RowBytes> {
        let len = segment.checked_len(span)?;
        let end = span.offset + (len + SUM) as u64;
        if self.leaves.has(span.offset, end) {
            return self.leaves.part(segment, span);
        }
        if !self.lists.has(span.offset, end) {
            let until = end.max(span.offset.saturating_add(AHEAD));
            self.lists = Window::read(segment, span.offset, until)?;
        }
        self.lists.part(segment, span)
    }
}

/// Bytes of a file from a place on.
#[derive(Default)]
struct Window {
    from: u64,
    bytes: Option<Arc<[u8]>>,
}

impl Window {
    /// The bytes of `from..until`, as far as the file has them.
    fn read(segment: &Segment, from: u64, until: u64) -> Result<Window> {
        let len = until.min(segment.len).saturating_sub(from);
        let bytes = segment.read(from, len as usize)?;
        Ok(Window {
            from,
            bytes: Some(bytes),
        })
    }

    fn has(&self, from: u64, until: u64) -> bool {
        let bytes = self.bytes.as_ref();
        bytes.is_some_and(|bytes| from >= self.from && until - self.from <= bytes.len() as u64)
    }

    fn part(&self, segment: &Segment, span: Span) -> Result<RowBytes> {
        match &self.bytes {
            Some(bytes) => segment.checked(bytes, (span.offset - self.from) as usize, span),
            None => Err(segment.damaged(span.offset)),
        }
    }
}
