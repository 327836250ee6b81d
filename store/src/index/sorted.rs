//! Rows in the order of the values at a path.

use std::collections::VecDeque;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Snapshot;
use super::rows::Union;
use super::segment::{Part, Segment};
use super::tail::Posting;
use super::term::{Flag, KeyRange, after, value_of};
use crate::error::{Result, StoreError};
use crate::query::SortedGroup;
use crate::table::Table;

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
    cursors: Vec<Cursor>,
    table: Arc<Table>,
}

/// Terms read of one part of the index.
struct Cursor {
    /// None: the tail.
    segment: Option<(Arc<Segment>, Part)>,
    /// Ascending.
    terms: VecDeque<(Vec<u8>, Posting)>,
    done: bool,
}

/// So many terms of the tail are read at once.
const AHEAD: usize = 64;

impl Snapshot {
    /// `rows` sorted by a path; none if the index does not know the order of
    /// all of them.
    pub fn sorted(
        &self,
        steps: &[Arc<str>],
        descending: bool,
        rows: &RoaringBitmap,
        table: &Arc<Table>,
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
            cursors: cursors(self),
            index: self.clone(),
            table: Arc::clone(table),
            descending,
            left: rows.clone(),
        }))
    }
}

impl SortedRows {
    /// The next rows with the same value, ascending; in the end those without one.
    pub fn next_group(&mut self) -> Result<Option<SortedGroup>> {
        while !self.left.is_empty() {
            let Some((term, mut rows)) = self.next_term()? else {
                let rows = std::mem::take(&mut self.left);
                return Ok(Some(SortedGroup {
                    key: None,
                    defined: false,
                    rows: rows.iter().collect(),
                }));
            };
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

    fn next_term(&mut self) -> Result<Option<(Vec<u8>, RoaringBitmap)>> {
        match self.fill() {
            Err(StoreError::IndexDamaged { .. }) => {
                // Goes on behind the last term, in an index built anew.
                self.table.rebuild()?;
                self.index = self.table.index(self.index.bound, self.index.history)?;
                self.cursors = cursors(&self.index);
                self.fill()?;
            }
            other => other?,
        }
        let fronts = self.cursors.iter().filter_map(|cursor| {
            let edge = if self.descending {
                cursor.terms.back()
            } else {
                cursor.terms.front()
            };
            edge.map(|(term, _)| term)
        });
        let next = if self.descending {
            fronts.max()
        } else {
            fronts.min()
        };
        let Some(term) = next.cloned() else {
            return Ok(None);
        };
        let mut union = Union::default();
        for cursor in &mut self.cursors {
            let found = if self.descending {
                cursor.terms.pop_back_if(|(other, _)| *other == term)
            } else {
                cursor.terms.pop_front_if(|(other, _)| *other == term)
            };
            if let Some((_, posting)) = found {
                union.add(posting.rows());
            }
        }
        if self.descending {
            self.to.clone_from(&term);
        } else {
            self.from = after(&term);
        }
        Ok(Some((term, union.finish())))
    }

    /// Reads ahead where nothing is left.
    fn fill(&mut self) -> Result<()> {
        for cursor in &mut self.cursors {
            if cursor.done || !cursor.terms.is_empty() || self.from >= self.to {
                continue;
            }
            let (from, to) = (&self.from, &self.to);
            cursor.terms = match &cursor.segment {
                None => self
                    .index
                    .tail
                    .edge(from, to, self.descending, AHEAD)
                    .into(),
                Some((segment, part)) if self.descending => {
                    segment.last_terms(*part, from, to)?.into()
                }
                Some((segment, part)) => segment.first_terms(*part, from, to)?.into(),
            };
            cursor.done = cursor.terms.is_empty();
        }
        Ok(())
    }
}

fn cursors(index: &Snapshot) -> Vec<Cursor> {
    let segments = index
        .parts(false)
        .map(|(segment, part)| Some((Arc::clone(segment), part)));
    segments
        .chain([None])
        .map(|segment| Cursor {
            segment,
            terms: VecDeque::new(),
            done: false,
        })
        .collect()
}
