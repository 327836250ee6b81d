//! Rows in the order of the values at a path.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Snapshot;
use super::term::{Flag, KeyRange, after, value_of};
use crate::error::Result;
use crate::query::SortedGroup;

/// Some rows, by the value they have at a path.
pub(crate) struct SortedRows {
    index: Snapshot,
    /// Terms still to come.
    from: Vec<u8>,
    to: Vec<u8>,
    /// Bytes of a term before its key.
    skip: usize,
    descending: bool,
    /// Rows still to come.
    left: RoaringBitmap,
}

impl Snapshot {
    /// `rows` sorted by a path; none if the index does not know the order of
    /// all of them.
    pub fn sorted(
        &self,
        steps: &[Arc<str>],
        descending: bool,
        rows: &RoaringBitmap,
    ) -> Result<Option<SortedRows>> {
        let Some(view) = self.path(steps)? else {
            return Ok(None);
        };
        if view.is_superseded() || !view.unsure.is_disjoint(rows) {
            return Ok(None);
        }
        for flag in [Flag::Other, Flag::Long] {
            if !view.flag(flag)?.is_disjoint(rows) {
                return Ok(None);
            }
        }
        if !view.whole_arrays()?.is_disjoint(rows) {
            return Ok(None);
        }
        for prefix in view.prefixes() {
            // A value of another record.
            if !self.between(&prefix, &KeyRange::refs())?.is_disjoint(rows) {
                return Ok(None);
            }
        }
        for range in KeyRange::inexact().into_iter().chain([KeyRange::cases()]) {
            if !view.values(&range)?.is_disjoint(rows) {
                return Ok(None);
            }
        }
        let all = KeyRange::all();
        Ok(Some(SortedRows {
            from: view.path.value(&all.from),
            to: view.path.value(&all.to),
            skip: view.path.values_len(),
            index: self.clone(),
            descending,
            left: rows.clone(),
        }))
    }

    /// The first term of `from..to`, or the last, and its rows.
    fn edge(&self, from: &[u8], to: &[u8], last: bool) -> Result<Option<(Vec<u8>, RoaringBitmap)>> {
        Ok(self
            .tail
            .edge(from, to, last)
            .map(|(term, posting)| (term, posting.rows().to_bitmap())))
    }
}

impl SortedRows {
    /// The next rows with the same value, ascending; in the end those without one.
    pub fn next_group(&mut self) -> Result<Option<SortedGroup>> {
        while !self.left.is_empty() {
            let found = if self.from < self.to {
                self.index.edge(&self.from, &self.to, self.descending)?
            } else {
                None
            };
            let Some((term, mut rows)) = found else {
                let rows = std::mem::take(&mut self.left);
                return Ok(Some(SortedGroup {
                    key: None,
                    defined: false,
                    rows: rows.iter().collect(),
                }));
            };
            if self.descending {
                self.to.clone_from(&term);
            } else {
                self.from = after(&term);
            }
            rows &= &self.left;
            if rows.is_empty() {
                continue;
            }
            self.left -= &rows;
            return Ok(Some(SortedGroup {
                key: term.get(self.skip..).and_then(value_of),
                defined: true,
                rows: rows.iter().collect(),
            }));
        }
        Ok(None)
    }
}
