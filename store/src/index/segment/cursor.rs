//! Goes through the terms of a range of one tree, from either end.

use std::sync::Arc;

use super::Part;
use super::block::Span;
use super::passing::Passing;
use super::reader::{Segment, skip_rows};
use crate::error::Result;
use crate::index::rows::Rows;
use crate::row_bytes::RowBytes;

/// Greater than every term.
const END: [u8; 8] = [0xff; 8];

/// A place among the terms of a range. Reads a leaf when it gets there, and of
/// it sixteen entries at a time.
pub(crate) struct TermCursor {
    segment: Arc<Segment>,
    part: Part,
    from: Arc<[u8]>,
    to: Arc<[u8]>,
    descending: bool,
    /// The next leaf is the one with the first term from here on, or, when
    /// descending, with the last term before; none behind the last leaf.
    edge: Option<Arc<[u8]>>,
    leaf: Option<Open>,
    /// Keys of the entries read ahead.
    keys: Vec<u8>,
    /// Of each entry read ahead: where its key is in `keys`, and its payload in the leaf.
    ahead: Vec<Ahead>,
    /// The present one of them.
    at: usize,
    /// The whole tree is gone through, once.
    passing: Option<Passing>,
}

struct Open {
    block: RowBytes,
    span: Span,
    /// Runs still to be read.
    runs: std::ops::Range<usize>,
}

struct Ahead {
    key: std::ops::Range<usize>,
    payload: usize,
}

impl TermCursor {
    pub fn new(
        segment: Arc<Segment>,
        part: Part,
        from: &Arc<[u8]>,
        to: &Arc<[u8]>,
        descending: bool,
    ) -> TermCursor {
        TermCursor {
            segment,
            part,
            from: Arc::clone(from),
            to: Arc::clone(to),
            descending,
            edge: (from < to).then(|| Arc::clone(if descending { to } else { from })),
            leaf: None,
            keys: Vec::new(),
            ahead: Vec::new(),
            at: 0,
            passing: None,
        }
    }

    /// Goes through all terms of a tree, reading much at a time and keeping nothing in the cache.
    pub fn passing(segment: Arc<Segment>, part: Part) -> TermCursor {
        let (from, to) = (Arc::default(), Arc::from(END));
        TermCursor {
            passing: Some(Passing::default()),
            ..TermCursor::new(segment, part, &from, &to, false)
        }
    }

    /// Makes sure that the present term is read; false at the end.
    pub fn fill(&mut self) -> Result<bool> {
        while self.at >= self.ahead.len() {
            let more = match &mut self.leaf {
                Some(leaf) if self.descending => leaf.runs.next_back(),
                Some(leaf) => leaf.runs.next(),
                None => None,
            };
            match more {
                Some(run) => self.read(run)?,
                None if !self.next_leaf()? => return Ok(false),
                None => {}
            }
        }
        Ok(true)
    }

    /// The present term, after [`TermCursor::fill`].
    pub fn term(&self) -> Option<&[u8]> {
        let entry = self.ahead.get(self.at)?;
        self.keys.get(entry.key.clone())
    }

    /// Shows the rows of the present term.
    pub fn rows(&self, visit: &mut dyn FnMut(Rows<'_>)) -> Result<()> {
        let (Some(entry), Some(leaf)) = (self.ahead.get(self.at), &self.leaf) else {
            return Ok(());
        };
        self.segment
            .rows_at(&leaf.block, entry.payload, leaf.span, None, visit)
    }

    /// As [`TermCursor::rows`], of a cursor that passes through.
    pub fn rows_passed(&mut self, visit: &mut dyn FnMut(Rows<'_>)) -> Result<()> {
        let (Some(entry), Some(leaf)) = (self.ahead.get(self.at), &self.leaf) else {
            return Ok(());
        };
        let passing = self.passing.as_mut();
        self.segment
            .rows_at(&leaf.block, entry.payload, leaf.span, passing, visit)
    }

    /// Goes to the next term.
    pub fn advance(&mut self) {
        self.at += 1;
    }

    fn next_leaf(&mut self) -> Result<bool> {
        let Some(edge) = self.edge.take() else {
            return Ok(false);
        };
        let found = if self.descending {
            self.segment.last_leaf(self.part, &edge)?
        } else {
            self.segment.descend(self.part, &edge)?
        };
        let Some((span, next)) = found else {
            return Ok(false);
        };
        let block = match &mut self.passing {
            Some(passing) => passing.leaf(&self.segment, span)?,
            None => self.segment.leaf(span)?,
        };
        let mut runs = 0..0;
        self.segment.entries(&block, span, |entries| {
            let run = entries.run_of(&edge)?;
            runs = if self.descending {
                0..entries.runs().min(run + 1)
            } else {
                run..entries.runs()
            };
            Ok(())
        })?;
        let goes_on = |next: &Arc<[u8]>| {
            if self.descending {
                *next < edge
            } else {
                *next > edge
            }
        };
        if !next.as_ref().is_none_or(goes_on) {
            return Err(self.segment.damaged(span.offset));
        }
        self.edge = next.filter(|next| {
            if self.descending {
                **next > *self.from
            } else {
                **next < *self.to
            }
        });
        self.leaf = Some(Open { block, span, runs });
        Ok(true)
    }

    /// Reads the entries of a run that are in the range.
    fn read(&mut self, run: usize) -> Result<()> {
        self.keys.clear();
        self.ahead.clear();
        self.at = 0;
        let Some(leaf) = &self.leaf else {
            return Ok(());
        };
        let (keys, ahead) = (&mut self.keys, &mut self.ahead);
        self.segment.entries(&leaf.block, leaf.span, |entries| {
            entries.go_to_run(run)?;
            let end = entries.run_end(run)?;
            while entries.position() < end {
                entries.next_key()?;
                if *entries.key >= *self.to {
                    break;
                }
                if *entries.key >= *self.from {
                    let start = keys.len();
                    keys.extend_from_slice(&entries.key);
                    ahead.push(Ahead {
                        key: start..keys.len(),
                        payload: entries.position(),
                    });
                }
                skip_rows(entries)?;
            }
            Ok(())
        })?;
        if self.descending {
            self.ahead.reverse();
        }
        Ok(())
    }
}
