//! The index over every path of every record.
//!
//! A record is a set of [terms](term); the index knows the rows of each. What
//! an index says about a row is true of that row whatever is committed later,
//! so nothing is ever taken out; which rows are visible is a matter of the view.
//!
//! ```text
//! record ── extract ──▶ terms ──▶ tail (memory)
//!                                  │
//! query ── atoms ──▶ rows of terms ┘   ──▶ surely, perhaps
//!       └─ sorted ─▶ terms in order
//! ```
//!
//! An index never changes a result: rows it cannot decide are handed out as
//! *perhaps*, and the query reads them.

mod atoms;
mod extract;
mod rows;
mod sorted;
mod tail;
pub(crate) mod term;

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::error::Result;
use rows::{Rows, Union};
pub(crate) use sorted::SortedRows;
pub(crate) use tail::Tail;

/// The index as of one moment: rows below a bound.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub tail: Arc<Tail>,
    pub bound: u32,
    /// Rows that are not the newest of their id, for `_rmx_superseded`.
    pub superseded: Arc<RoaringBitmap>,
    /// Tombstones.
    pub deleted: Arc<RoaringBitmap>,
}

impl Snapshot {
    /// The rows of a term. Rows at or beyond the bound may be among them.
    fn rows(&self, term: &[u8]) -> Result<RoaringBitmap> {
        let mut union = Union::default();
        self.tail.get(term, &mut |rows| union.add(rows));
        Ok(union.finish())
    }

    /// As [`Snapshot::rows`], also rows that were superseded when they were indexed.
    fn all_rows(&self, term: &[u8]) -> Result<RoaringBitmap> {
        self.rows(term)
    }

    /// Whether the terms of a row are seen.
    fn covers(&self, row: u32) -> bool {
        row < self.bound
    }

    /// The union of the rows of all terms of `from..to` whose term passes `keep`.
    fn rows_between(
        &self,
        from: &[u8],
        to: &[u8],
        keep: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<RoaringBitmap> {
        let mut union = Union::default();
        if from < to {
            self.tail.scan(from, to, &mut |term, rows: Rows<'_>| {
                if keep(term) {
                    union.add(rows);
                }
            });
        }
        Ok(union.finish())
    }
}
