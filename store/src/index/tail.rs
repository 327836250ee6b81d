//! The terms of the newest rows, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use roaring::RoaringBitmap;

use super::extract::terms_of;
use super::rows::Rows;
use super::segment::{Leaf, Part, SegmentWriter};

/// Longest plain list of rows.
const FEW: usize = 32;

/// Rows of one term.
#[derive(Debug, Clone)]
pub(crate) enum Posting {
    Few(Vec<u32>),
    Many(RoaringBitmap),
}

impl Posting {
    /// Adds a row that is not below the others.
    pub fn push(&mut self, row: u32) {
        match self {
            Posting::Few(rows) if rows.last() == Some(&row) => {}
            Posting::Few(rows) if rows.len() < FEW => rows.push(row),
            Posting::Few(rows) => {
                let mut many: RoaringBitmap = rows.iter().copied().collect();
                many.insert(row);
                *self = Posting::Many(many);
            }
            Posting::Many(rows) => {
                rows.insert(row);
            }
        }
    }

    pub fn rows(&self) -> Rows<'_> {
        match self {
            Posting::Few(rows) => Rows::Few(rows),
            Posting::Many(rows) => Rows::Many(rows),
        }
    }
}

/// The index of the rows from `first` on. It only grows.
pub(crate) struct Tail {
    inner: RwLock<Inner>,
}

struct Inner {
    /// Rows below are contained.
    covered: u32,
    terms: BTreeMap<Box<[u8]>, Posting>,
}

impl Tail {
    pub fn new(first: u32) -> Tail {
        Tail {
            inner: RwLock::new(Inner {
                covered: first,
                terms: BTreeMap::new(),
            }),
        }
    }

    /// Indexes the rows up to `until`; `body` gives them.
    pub fn extend<E, B: std::ops::Deref<Target = [u8]>>(
        &self,
        until: u32,
        body: impl Fn(u32) -> Result<B, E>,
    ) -> Result<(), E> {
        if self.read().covered >= until {
            return Ok(());
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        while inner.covered < until {
            let row = inner.covered;
            let terms = terms_of(&body(row)?);
            for term in terms {
                if let Some(posting) = inner.terms.get_mut(&*term) {
                    posting.push(row);
                } else {
                    inner.terms.insert(term.into(), Posting::Few(vec![row]));
                }
            }
            inner.covered += 1;
        }
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        // A row is entered wholly or, after a panic, once more: terms keep each row once.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, term: &[u8], visit: &mut dyn FnMut(Rows<'_>)) {
        if let Some(posting) = self.read().terms.get(term) {
            visit(posting.rows());
        }
    }

    /// All terms of `from..to`, ascending.
    pub fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], Rows<'_>)) {
        let range = (Bound::Included(from), Bound::Excluded(to));
        for (term, posting) in self.read().terms.range::<[u8], _>(range) {
            visit(term, posting.rows());
        }
    }

    /// The first terms of `from..to`, or the last ones: at most `count`, ascending.
    pub fn edge(&self, from: &[u8], to: &[u8], last: bool, count: usize) -> Leaf {
        let inner = self.read();
        let range = (Bound::Included(from), Bound::Excluded(to));
        let terms = inner.terms.range::<[u8], _>(range);
        let terms = terms.map(|(term, posting)| (&**term, posting));
        let owned = |(term, posting): (&[u8], &Posting)| (term.to_vec(), posting.clone());
        if last {
            let mut found: Leaf = terms.rev().take(count).map(owned).collect();
            found.reverse();
            found
        } else {
            terms.take(count).map(owned).collect()
        }
    }

    /// Writes all terms of the rows below `until` into a segment.
    pub fn write(
        &self,
        writer: &mut SegmentWriter,
        until: u32,
        superseded: &RoaringBitmap,
    ) -> std::io::Result<()> {
        for (term, posting) in &self.read().terms {
            let mut rows = posting.rows().to_bitmap();
            rows.remove_range(until..);
            let past = &rows & superseded;
            rows -= &past;
            writer.add(Part::Present, term, Rows::Many(&rows))?;
            writer.add(Part::Past, term, Rows::Many(&past))?;
        }
        Ok(())
    }
}
