//! The index over every path of every record.
//!
//! A record is a set of [terms](term); the index knows the rows of each. What
//! an index says about a row is true of that row whatever is committed later,
//! so nothing is ever taken out; which rows are visible is a matter of the view.
//!
//! ```text
//! record ── extract ──▶ terms ──▶ tail (memory) ── checkpoint ──▶ segments (files)
//!                                  │                               │   merged bit by bit
//! query ── atoms ──▶ rows of terms ┴───────────────────────────────┘
//!       └─ sorted ─▶ terms in order                  ──▶ surely, perhaps
//! ```
//!
//! An index never changes a result: rows it cannot decide are handed out as
//! *perhaps*, and the query reads them.

mod atoms;
mod bulk;
mod edge;
mod extract;
mod kinds;
mod rows;
pub(crate) mod segment;
mod sorted;
mod tail;
pub(crate) mod term;

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::base::Base;
use crate::error::Result;
pub(crate) use bulk::Bulk;
pub(crate) use edge::Edge;
pub(crate) use kinds::Kinds;
use rows::Union;
use segment::{Part, Segment};
pub(crate) use sorted::SortedRows;
pub(crate) use tail::Tail;
use term::Path;

/// Name of the segment over the rows `first..end`.
pub(crate) fn segment_name(first: u32, end: u32) -> String {
    format!("idx-{first}-{}.seg", end - first)
}

/// The index as of one moment: rows below a bound.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub base: Arc<Base>,
    pub tail: Arc<Tail>,
    pub bound: u32,
    /// Also rows that were superseded when they were indexed.
    pub history: bool,
    /// Rows that are not the newest of their id, for `_rmx_superseded`.
    pub superseded: Arc<RoaringBitmap>,
    /// Tombstones.
    pub deleted: Arc<RoaringBitmap>,
}

impl Snapshot {
    /// The parts of the segments to look into.
    fn parts(&self, all: bool) -> impl Iterator<Item = (&Arc<Segment>, Part)> {
        let segments = self.base.segments.iter();
        segments
            .take_while(|segment| segment.first() < self.bound)
            .flat_map(move |segment| {
                // What was superseded later than this moment is in the part of the past.
                let past = all || self.history || self.bound < segment.split();
                let parts = if past {
                    &Part::BOTH[..]
                } else {
                    &Part::BOTH[..1]
                };
                parts.iter().map(move |part| (segment, *part))
            })
    }

    /// Whether of all segments just the part of the present is looked into, so
    /// that what is found there is the same at every such moment.
    fn sees_present_only(&self) -> bool {
        let split = |segment: &Arc<Segment>| segment.split() <= self.bound;
        !self.history && self.bound >= self.base.rows && self.base.segments.iter().all(split)
    }

    /// The rows of a term. Rows at or beyond the bound may be among them.
    fn rows(&self, term: &[u8]) -> Result<RoaringBitmap> {
        self.rows_in(term, false)
    }

    /// As [`Snapshot::rows`], also rows that were superseded when they were indexed.
    fn all_rows(&self, term: &[u8]) -> Result<RoaringBitmap> {
        self.rows_in(term, true)
    }

    fn rows_in(&self, term: &[u8], all: bool) -> Result<RoaringBitmap> {
        let mut union = Union::default();
        for (segment, part) in self.parts(all) {
            segment.get(part, term, &mut |rows| union.add(rows))?;
        }
        self.tail.get(term, &mut |rows| union.add(rows));
        Ok(union.finish())
    }

    /// Whether the terms of a row are seen.
    fn covers(&self, row: u32) -> bool {
        self.history || !self.superseded.contains(row)
    }

    /// What kinds of terms a path has.
    fn kinds(&self, path: &Path) -> Result<Kinds> {
        let mut kinds = self.base.kinds(path)?;
        kinds.add(self.tail.kinds(&path.prefix()));
        Ok(kinds)
    }

    /// The union of the rows of all terms of `from..to`, which are of one path.
    fn rows_between(&self, from: &[u8], to: &[u8]) -> Result<RoaringBitmap> {
        let mut union = Union::default();
        if from < to {
            for (segment, part) in self.parts(false) {
                segment.rows_between(part, from, to, &mut |rows| union.add(rows))?;
            }
            self.tail.scan(from, to, &mut |_, rows| union.add(rows));
        }
        Ok(union.finish())
    }

    /// As [`Snapshot::rows_between`], of terms that pass `keep`.
    fn rows_that(
        &self,
        from: &[u8],
        to: &[u8],
        keep: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<RoaringBitmap> {
        let mut union = Union::default();
        for (segment, part) in self.parts(false) {
            segment.scan(part, from, to, keep, &mut |_, rows| union.add(rows))?;
        }
        self.tail.scan(from, to, &mut |term, rows| {
            if keep(term) {
                union.add(rows);
            }
        });
        Ok(union.finish())
    }
}
