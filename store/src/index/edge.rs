//! The first terms of a path, from either end: what `order` and `limit` ask for
//! again and again. They are merged of all segments once, and kept in the cache.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Snapshot;
use super::rows::Rows;
use super::segment::TermCursor;
use crate::error::Result;

/// So many terms are kept.
const TERMS: usize = 64;
/// And of their rows at most so many together.
const ROWS: usize = 1024;

/// A term and all its rows.
type Posted = (Box<[u8]>, Box<[u32]>);

/// The first terms of a range in the segments of a base, in one direction.
pub(crate) struct Edge {
    /// Where the range begins; its end follows from that.
    from: Vec<u8>,
    descending: bool,
    /// In order.
    terms: Vec<Posted>,
    /// There are no other terms.
    complete: bool,
}

impl Edge {
    /// Whether it is that of this range and direction.
    pub fn is_of(&self, from: &[u8], descending: bool) -> bool {
        self.from == from && self.descending == descending
    }

    /// Memory it takes.
    pub fn size(&self) -> usize {
        let terms = self.terms.iter();
        let sizes = terms.map(|(term, rows)| size_of::<Self>() + term.len() + 4 * rows.len());
        self.from.len() + sizes.sum::<usize>()
    }
}

/// The terms of a range in the segments, in order.
pub(super) struct BaseTerms {
    /// Those to begin with, and the present one of them.
    edge: Option<(Arc<Edge>, usize)>,
    merged: Merged,
    /// The range, or what of it is behind the edge.
    from: Arc<[u8]>,
    to: Arc<[u8]>,
    descending: bool,
}

impl BaseTerms {
    /// The terms of `from..to`, of which the first ones may be known.
    pub fn new(
        index: &Snapshot,
        from: &[u8],
        to: &[u8],
        descending: bool,
        whole: bool,
    ) -> Result<BaseTerms> {
        let mut terms = BaseTerms {
            edge: None,
            merged: Merged::default(),
            from: from.into(),
            to: to.into(),
            descending,
        };
        if whole && index.sees_present_only() {
            let edge = index
                .base
                .edge(from, descending, || Edge::read(index, from, to, descending))?;
            terms.edge = Some((edge, 0));
        } else {
            terms.merged = terms.behind(index);
        }
        Ok(terms)
    }

    fn behind(&self, index: &Snapshot) -> Merged {
        Merged::new(index, &self.from, &self.to, self.descending)
    }

    /// Makes sure that the present term is read.
    pub fn fill(&mut self, index: &Snapshot) -> Result<()> {
        if let Some((edge, at)) = &self.edge {
            if *at < edge.terms.len() {
                return Ok(());
            }
            if !edge.complete {
                if let Some((last, _)) = edge.terms.last() {
                    if self.descending {
                        self.to = Arc::from(&**last);
                    } else {
                        self.from = super::term::after(last).into();
                    }
                }
                self.merged = self.behind(index);
            }
            self.edge = None;
        }
        self.merged.fill()
    }

    /// The present term, after [`BaseTerms::fill`]; none at the end.
    pub fn term(&self) -> Option<&[u8]> {
        match &self.edge {
            Some((edge, at)) => edge.terms.get(*at).map(|(term, _)| &**term),
            None => self.merged.term(),
        }
    }

    /// Shows the rows of the present term.
    pub fn rows(&self, visit: &mut dyn FnMut(Rows<'_>)) -> Result<()> {
        match &self.edge {
            Some((edge, at)) => {
                if let Some((_, rows)) = edge.terms.get(*at) {
                    visit(Rows::Few(rows));
                }
                Ok(())
            }
            None => self.merged.rows(visit),
        }
    }

    /// Shows the rows of known terms that come before `end`, at most so many and of each term all;
    /// gives the last of these terms, behind which it goes on.
    pub fn take_known(
        &mut self,
        end: Option<&[u8]>,
        most: usize,
        visit: &mut dyn FnMut(u32),
    ) -> Option<&[u8]> {
        let (edge, at) = self.edge.as_mut()?;
        let begun = *at;
        let left = edge.terms.get(begun..)?;
        let before = match end {
            Some(end) if self.descending => left.partition_point(|(term, _)| **term > *end),
            Some(end) => left.partition_point(|(term, _)| **term < *end),
            None => left.len(),
        };
        let mut room = most;
        for (_, rows) in &left[..before] {
            match room.checked_sub(rows.len()) {
                Some(rest) => room = rest,
                None => break,
            }
            rows.iter().for_each(|row| visit(*row));
            *at += 1;
        }
        let last = edge.terms.get(begun..*at)?.last();
        last.map(|(term, _)| &**term)
    }

    /// Goes to the next term.
    pub fn advance(&mut self) {
        match &mut self.edge {
            Some((_, at)) => *at += 1,
            None => self.merged.advance(),
        }
    }
}

impl Edge {
    fn read(index: &Snapshot, from: &[u8], to: &[u8], descending: bool) -> Result<Edge> {
        let mut merged = Merged::new(index, &from.into(), &to.into(), descending);
        let mut edge = Edge {
            from: from.to_vec(),
            descending,
            terms: Vec::new(),
            complete: false,
        };
        let mut left = ROWS;
        while edge.terms.len() < TERMS {
            merged.fill()?;
            let Some(term) = merged.term() else {
                edge.complete = true;
                break;
            };
            let (mut found, mut fits) = (Vec::new(), true);
            merged.rows(&mut |rows| match rows {
                Rows::Few(rows) => found.extend_from_slice(rows),
                Rows::Many(rows) if rows.len() <= left as u64 => found.extend(rows),
                Rows::Many(_) => fits = false,
            })?;
            if !fits || found.len() > left {
                break;
            }
            left -= found.len();
            // Inputs are in row order as they should be.
            if !found.is_sorted() {
                found.sort_unstable();
            }
            edge.terms.push((term.into(), found.into()));
            merged.advance();
        }
        Ok(edge)
    }
}

/// The terms of several segments, merged.
#[derive(Default)]
struct Merged {
    cursors: Vec<TermCursor>,
    descending: bool,
    /// The cursors that have the present term.
    same: Vec<usize>,
}

impl Merged {
    fn new(index: &Snapshot, from: &Arc<[u8]>, to: &Arc<[u8]>, descending: bool) -> Merged {
        let cursors = index
            .parts(false)
            .map(|(segment, part)| TermCursor::new(Arc::clone(segment), part, from, to, descending))
            .collect();
        Merged {
            cursors,
            descending,
            same: Vec::new(),
        }
    }

    fn fill(&mut self) -> Result<()> {
        for cursor in &mut self.cursors {
            cursor.fill()?;
        }
        let mut best: Option<&[u8]> = None;
        self.same.clear();
        for (number, cursor) in self.cursors.iter().enumerate() {
            let Some(term) = cursor.term() else { continue };
            let order = best.map_or(Ordering::Less, |best| term.cmp(best));
            if order == Ordering::Equal {
                self.same.push(number);
            } else if best.is_none() || self.descending == (order == Ordering::Greater) {
                best = Some(term);
                self.same.clear();
                self.same.push(number);
            }
        }
        Ok(())
    }

    fn term(&self) -> Option<&[u8]> {
        self.cursors.get(*self.same.first()?)?.term()
    }

    fn rows(&self, visit: &mut dyn FnMut(Rows<'_>)) -> Result<()> {
        let present = self.same.iter().filter_map(|at| self.cursors.get(*at));
        present
            .into_iter()
            .try_for_each(|cursor| cursor.rows(visit))
    }

    fn advance(&mut self) {
        for number in &self.same {
            if let Some(cursor) = self.cursors.get_mut(*number) {
                cursor.advance();
            }
        }
    }
}
