//! Rows in the order of the values at a path.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Snapshot;
use super::edge::BaseTerms;
use super::rows::Rows;
use super::tail::Posting;
use super::term::{Flag, KeyRange, Path, after, value_of};
use crate::error::{Result, StoreError};
use crate::query::{GroupRows, SortedGroup};
use crate::table::Table;

/// Some rows, by the value they have at a path.
pub(crate) struct SortedRows {
    index: Snapshot,
    path: Path,
    /// Terms still to come.
    from: Vec<u8>,
    to: Vec<u8>,
    descending: bool,
    /// The rows that are wanted.
    rows: Arc<RoaringBitmap>,
    stored: BaseTerms,
    tail: TailCursor,
    /// The present term.
    term: Vec<u8>,
    done: bool,
    table: Arc<Table>,
}

/// Terms read of the newest rows.
#[derive(Default)]
struct TailCursor {
    /// In the order they are wanted.
    terms: VecDeque<(Vec<u8>, Posting)>,
    /// Terms read the last time.
    count: usize,
    done: bool,
}

/// So many terms of the tail are read at first, and twice as many each time up to the second number.
const AHEAD: (usize, usize) = (2, 64);

impl Snapshot {
    /// `rows` sorted by a path; none if the index does not know the order of
    /// all of them.
    pub fn sorted(
        &self,
        steps: &[Arc<str>],
        descending: bool,
        rows: &Arc<RoaringBitmap>,
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
        for prefix in &view.prefixes {
            // A value of another record.
            if !prefix.refs(self)?.is_disjoint(rows) {
                return Ok(None);
            }
        }
        if view.kinds.is_inexact() {
            for range in KeyRange::inexact().into_iter().chain([KeyRange::cases()]) {
                if !view.values(&range)?.is_disjoint(rows) {
                    return Ok(None);
                }
            }
        }
        let all = KeyRange::all();
        let (from, to) = (view.path.value(&all.from), view.path.value(&all.to));
        Ok(Some(SortedRows {
            stored: BaseTerms::new(self, &from, &to, descending, true)?,
            tail: TailCursor::default(),
            from,
            to,
            path: view.path,
            index: self.clone(),
            table: Arc::clone(table),
            descending,
            rows: Arc::clone(rows),
            term: Vec::new(),
            done: false,
        }))
    }
}

impl SortedRows {
    /// The next rows with the same value, ascending; in the end those without one.
    pub fn next_group(&mut self) -> Result<Option<SortedGroup>> {
        while !self.done {
            let found = match self.next_term() {
                Err(StoreError::IndexDamaged { .. }) => {
                    // Goes on behind the last term, in an index built anew.
                    self.table.rebuild()?;
                    self.index = self.table.index(self.index.bound, self.index.history)?;
                    self.stored =
                        BaseTerms::new(&self.index, &self.from, &self.to, self.descending, false)?;
                    self.tail = TailCursor::default();
                    self.next_term()?
                }
                other => other?,
            };
            let Some(rows) = found else {
                self.done = true;
                let mut rows = RoaringBitmap::clone(&self.rows);
                rows -= self.index.rows(&self.path.flag(Flag::Exists))?;
                return Ok((!rows.is_empty()).then_some(SortedGroup {
                    key: None,
                    defined: false,
                    rows: GroupRows::Many(rows),
                }));
            };
            if !rows.is_empty() {
                let skip = self.path.values_len();
                return Ok(Some(SortedGroup {
                    key: self.term.get(skip..).and_then(value_of),
                    defined: true,
                    rows,
                }));
            }
        }
        Ok(None)
    }

    /// The wanted rows of the next terms whose rows are known, each with all its rows, at most so
    /// many.
    pub fn take_rows(&mut self, most: usize, rows: &mut Vec<u32>) {
        self.tail
            .fill(&self.index, &self.from, &self.to, self.descending);
        let newest = self.tail.terms.front().map(|(term, _)| &**term);
        let wanted = &self.rows;
        let last = self.stored.take_known(newest, most, &mut |row| {
            if wanted.contains(row) {
                rows.push(row);
            }
        });
        if let Some(last) = last {
            if self.descending {
                self.to.clear();
                self.to.extend_from_slice(last);
            } else {
                self.from = after(last);
            }
        }
    }

    /// The wanted rows of the next term; none at the end.
    fn next_term(&mut self) -> Result<Option<GroupRows>> {
        self.stored.fill(&self.index)?;
        self.tail
            .fill(&self.index, &self.from, &self.to, self.descending);
        let stored = self.stored.term();
        let newest = self.tail.terms.front().map(|(term, _)| &**term);
        let order = match (stored, newest) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(stored), Some(newest)) if self.descending => newest.cmp(stored),
            (Some(stored), Some(newest)) => stored.cmp(newest),
        };
        let best = if order.is_le() { stored } else { newest };
        self.term.clear();
        self.term.extend_from_slice(best.unwrap_or_default());
        let mut found = Found {
            wanted: &self.rows,
            first: None,
            few: Vec::new(),
            many: RoaringBitmap::new(),
        };
        if order.is_le() {
            self.stored.rows(&mut |rows| found.add(rows))?;
            // Nothing can fail any longer.
            self.stored.advance();
        }
        let same = |(term, _): &mut (Vec<u8>, Posting)| *term == self.term;
        if let Some((_, posting)) = self.tail.terms.pop_front_if(same) {
            found.add(posting.rows());
        }
        let rows = found.finish();
        if self.descending {
            self.to.clone_from(&self.term);
        } else {
            self.from = after(&self.term);
        }
        Ok(Some(rows))
    }
}

impl TailCursor {
    /// Reads ahead if nothing is left: more each time.
    fn fill(&mut self, index: &Snapshot, from: &[u8], to: &[u8], descending: bool) {
        if self.done || !self.terms.is_empty() {
            return;
        }
        if from < to {
            self.count = (self.count * 2).clamp(AHEAD.0, AHEAD.1);
            let terms = index.tail.edge(from, to, descending, self.count);
            self.terms.extend(terms);
        }
        self.done = self.terms.is_empty();
    }
}

/// Gathers the wanted rows of a term.
struct Found<'a> {
    wanted: &'a RoaringBitmap,
    /// The only one, as long as there are no others.
    first: Option<u32>,
    few: Vec<u32>,
    many: RoaringBitmap,
}

impl Found<'_> {
    fn add(&mut self, rows: Rows<'_>) {
        match rows {
            Rows::Few(rows) => {
                for row in rows.iter().filter(|row| self.wanted.contains(**row)) {
                    if self.first.is_none() && self.few.is_empty() {
                        self.first = Some(*row);
                    } else {
                        self.few.extend(self.first.take());
                        self.few.push(*row);
                    }
                }
            }
            Rows::Many(rows) => self.many |= rows & self.wanted,
        }
    }

    fn finish(mut self) -> GroupRows {
        if self.many.is_empty() {
            if let Some(row) = self.first {
                return GroupRows::One(row);
            }
            if !self.few.is_sorted() {
                self.few.sort_unstable();
            }
            return GroupRows::Few(self.few);
        }
        self.many.extend(self.few.into_iter().chain(self.first));
        GroupRows::Many(self.many)
    }
}
