//! The terms of the newest rows, in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{PoisonError, RwLock};

use roaring::RoaringBitmap;

use super::extract::terms_of;
use super::kinds::Kinds;
use super::rows::Rows;
use super::term::split_path;

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
    /// By what the terms of a path begin with.
    paths: HashMap<Box<[u8]>, PathTerms>,
}

/// The terms of one path, without it.
#[derive(Default)]
struct PathTerms {
    kinds: Kinds,
    terms: BTreeMap<Box<[u8]>, Posting>,
}

/// Some terms with their rows, in order.
pub(crate) type Run = Vec<(Vec<u8>, Posting)>;

impl Tail {
    pub fn new(first: u32) -> Tail {
        Tail {
            inner: RwLock::new(Inner {
                covered: first,
                paths: HashMap::new(),
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
            for term in terms_of(&body(row)?) {
                inner.add(&term, row);
            }
            inner.covered += 1;
        }
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        // A row is entered wholly or, after a panic, once more: terms keep each row once.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of a path.
    pub fn kinds(&self, path: &[u8]) -> Kinds {
        let inner = self.read();
        inner
            .paths
            .get(path)
            .map_or(Kinds::default(), |path| path.kinds)
    }

    pub fn get(&self, term: &[u8], visit: &mut dyn FnMut(Rows<'_>)) {
        let (path, rest) = split_path(term);
        let inner = self.read();
        let terms = inner.paths.get(path).map(|path| &path.terms);
        if let Some(posting) = terms.and_then(|terms| terms.get(rest)) {
            visit(posting.rows());
        }
    }

    /// All terms of `from..to`, which are terms of one path, ascending.
    pub fn scan(&self, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], Rows<'_>)) {
        let (path, start) = split_path(from);
        let Some(end) = to.strip_prefix(path) else {
            return;
        };
        let inner = self.read();
        let Some(found) = inner.paths.get(path) else {
            return;
        };
        let mut term = path.to_vec();
        let range = (Bound::Included(start), Bound::Excluded(end));
        for (rest, posting) in found.terms.range::<[u8], _>(range) {
            term.truncate(path.len());
            term.extend_from_slice(rest);
            visit(&term, posting.rows());
        }
    }

    /// The first terms of `from..to`, or the last ones with the greatest first:
    /// at most `count` of one path.
    pub fn edge(&self, from: &[u8], to: &[u8], last: bool, count: usize) -> Run {
        let (path, start) = split_path(from);
        let inner = self.read();
        let (Some(end), Some(found)) = (to.strip_prefix(path), inner.paths.get(path)) else {
            return Run::new();
        };
        let range = (Bound::Included(start), Bound::Excluded(end));
        let terms = found.terms.range::<[u8], _>(range);
        let terms = terms.map(|(rest, posting)| (&**rest, posting));
        let owned = |(rest, posting): (&[u8], &Posting)| ([path, rest].concat(), posting.clone());
        if last {
            terms.rev().take(count).map(owned).collect()
        } else {
            terms.take(count).map(owned).collect()
        }
    }
}

impl Inner {
    fn add(&mut self, term: &[u8], row: u32) {
        let (path, rest) = split_path(term);
        let found = match self.paths.get_mut(path) {
            Some(found) => found,
            None => self.paths.entry(path.into()).or_default(),
        };
        if let Some(posting) = found.terms.get_mut(rest) {
            posting.push(row);
        } else {
            found.kinds.add_term(rest);
            found.terms.insert(rest.into(), Posting::Few(vec![row]));
        }
    }
}
