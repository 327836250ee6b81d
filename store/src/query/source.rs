//! What a query runs over.

use std::ops::Deref;
use std::sync::Arc;

use mix_value::msgpack::DecodeError;
use mix_value::{Ref, Value};

use roaring::{MultiOps, RoaringBitmap};

use super::ast::{CompareOp, ListOp};
use super::error::QueryError;
use crate::row_bytes::RowBytes;

/// One stored version of a record, as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Row number.
    pub row: u64,
    /// The record in MessagePack, without `_rmx_superseded`.
    pub bytes: RowBytes,
    /// Whether a newer version exists within the bound; then the record reads
    /// as if it had the member `_rmx_superseded: true`.
    pub superseded: bool,
}

/// A row view at a fixed bound: what it shows never changes while it is used.
pub trait RecordSource {
    /// Error of the source, into which query errors turn.
    type Error: From<QueryError>;

    /// The first visible row at or after `from`.
    fn next_row(&self, from: u64) -> Result<Option<StoredRow>, Self::Error>;

    /// The rows with these numbers, which are visible, in this order.
    fn read_rows(
        &self,
        rows: &[u32],
        visit: &mut dyn FnMut(StoredRow) -> Result<(), QueryError>,
    ) -> Result<(), Self::Error> {
        for row in rows {
            let number = u64::from(*row);
            if let Some(stored) = self.next_row(number)?.filter(|found| found.row == number) {
                visit(stored)?;
            }
        }
        Ok(())
    }

    /// The record behind a ref: by id the live current version within the
    /// bound; else by revision exactly that row, deleted, superseded or
    /// outside the view or not; else nothing.
    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>, Self::Error>;

    /// The row with this revision, if there is one within the bound.
    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>, Self::Error>;

    /// The first row that is after a watermark `<generation>.<rows>`; none for
    /// one of a generation that is neither the present nor the one before.
    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>, Self::Error>;

    /// All visible rows; none if the source has no index.
    fn visible(&self) -> Result<Option<Arc<RoaringBitmap>>, Self::Error> {
        Ok(None)
    }

    /// The rows for which the truth of an atom is `want`, visible or not; none
    /// if the index cannot tell.
    fn sets(&self, atom: &Atom, want: bool) -> Result<Option<Sets>, Self::Error> {
        let _ = (atom, want);
        Ok(None)
    }

    /// Rows among which all lie that have, somewhere at the path of an atom, a
    /// value that passes its test; none if the index cannot tell.
    fn somewhere(&self, atom: &Atom) -> Result<Option<RoaringBitmap>, Self::Error> {
        let _ = atom;
        Ok(None)
    }

    /// `rows` by the value they have at a path; none if the index does not know
    /// that of all of them.
    fn sorted(
        &self,
        path: &[Arc<str>],
        descending: bool,
        rows: &Arc<RoaringBitmap>,
    ) -> Result<Option<BoxedSorted<Self::Error>>, Self::Error> {
        let _ = (path, descending, rows);
        Ok(None)
    }

    /// The error for a row whose bytes are no record.
    fn corrupt(&self, row: u64, error: DecodeError) -> Self::Error;
}

/// What points to a source is one.
impl<P: Deref<Target: RecordSource>> RecordSource for P {
    type Error = <P::Target as RecordSource>::Error;

    fn next_row(&self, from: u64) -> Result<Option<StoredRow>, Self::Error> {
        (**self).next_row(from)
    }

    fn read_rows(
        &self,
        rows: &[u32],
        visit: &mut dyn FnMut(StoredRow) -> Result<(), QueryError>,
    ) -> Result<(), Self::Error> {
        (**self).read_rows(rows, visit)
    }

    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>, Self::Error> {
        (**self).resolve(reference)
    }

    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>, Self::Error> {
        (**self).row_of_revision(revision)
    }

    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>, Self::Error> {
        (**self).row_of_watermark(generation, rows)
    }

    fn visible(&self) -> Result<Option<Arc<RoaringBitmap>>, Self::Error> {
        (**self).visible()
    }

    fn sets(&self, atom: &Atom, want: bool) -> Result<Option<Sets>, Self::Error> {
        (**self).sets(atom, want)
    }

    fn somewhere(&self, atom: &Atom) -> Result<Option<RoaringBitmap>, Self::Error> {
        (**self).somewhere(atom)
    }

    fn sorted(
        &self,
        path: &[Arc<str>],
        descending: bool,
        rows: &Arc<RoaringBitmap>,
    ) -> Result<Option<BoxedSorted<Self::Error>>, Self::Error> {
        (**self).sorted(path, descending, rows)
    }

    fn corrupt(&self, row: u64, error: DecodeError) -> Self::Error {
        (**self).corrupt(row, error)
    }
}

/// A condition on what one path of a record leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    /// Member names from the record down. A step passes through arrays and refs.
    pub path: Vec<Arc<str>>,
    /// What holds at its end.
    pub test: AtomTest,
}

/// What holds of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum AtomTest {
    /// It compares like that with a constant.
    Compare(CompareOp, Value),
    /// It lies between two constants of the same kind: the first comparison is
    /// `>` or `>=`, the second `<` or `<=`. Only asked for its truth.
    Between(CompareOp, Value, CompareOp, Value),
    /// Its elements, or it itself, are like that in a list.
    Within(ListOp, Vec<Value>),
    /// It is not undefined.
    Exists,
}

/// Rows an index found. Both sets may hold rows that are not visible; a row in
/// both counts as sure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sets {
    /// They surely pass.
    pub sure: RoaringBitmap,
    /// They must be read to know.
    pub maybe: RoaringBitmap,
}

impl Sets {
    /// Rows that surely pass.
    pub fn sure(rows: RoaringBitmap) -> Sets {
        Sets {
            sure: rows,
            maybe: RoaringBitmap::new(),
        }
    }

    /// Rows that must be read.
    pub fn maybe(rows: RoaringBitmap) -> Sets {
        Sets {
            sure: RoaringBitmap::new(),
            maybe: rows,
        }
    }

    /// The rows that pass both.
    pub fn and(&mut self, other: Sets) {
        let mut possible = std::mem::take(&mut self.maybe) | &self.sure;
        possible &= other.maybe | &other.sure;
        self.sure &= other.sure;
        possible -= &self.sure;
        self.maybe = possible;
    }

    /// The rows that pass one of both.
    pub fn or(&mut self, other: Sets) {
        self.sure = united(std::mem::take(&mut self.sure), other.sure);
        self.maybe |= other.maybe;
        self.maybe -= &self.sure;
    }
}

/// Lists of more rows than this are merged as plain bits: row by row takes longer.
const LONG: u64 = 256;

/// The union of two sets.
fn united(one: RoaringBitmap, other: RoaringBitmap) -> RoaringBitmap {
    match one.len().min(other.len()) > LONG {
        true => [one, other].union(),
        false => one | other,
    }
}

/// [`Sorted`] of any kind.
pub type BoxedSorted<E> = Box<dyn Sorted<E>>;

/// Rows in the order of a value.
pub trait Sorted<E>: Send {
    /// The next rows that have the same value; in the end those without one.
    fn next_group(&mut self) -> Result<Option<SortedGroup>, E>;

    /// Adds the rows of the next groups as far as they are at hand, at most so many; those of a
    /// group all or none. [`Sorted::next_group`] goes on behind them.
    fn take_rows(&mut self, most: usize, rows: &mut Vec<u32>) {
        let _ = (most, rows);
    }
}

/// Rows with the same value.
#[derive(Debug, Clone, PartialEq)]
pub struct SortedGroup {
    /// The value, if the index knows all of it.
    pub key: Option<Value>,
    /// False: the rows have no value.
    pub defined: bool,
    /// The rows, ascending.
    pub rows: GroupRows,
}

/// Rows in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupRows {
    /// A single one.
    One(u32),
    /// Some.
    Few(Vec<u32>),
    /// Perhaps very many.
    Many(RoaringBitmap),
}

impl GroupRows {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        match self {
            GroupRows::One(_) => false,
            GroupRows::Few(rows) => rows.is_empty(),
            GroupRows::Many(rows) => rows.is_empty(),
        }
    }
}

/// Goes through [`GroupRows`].
pub enum GroupRowsIter {
    /// A single one.
    One(Option<u32>),
    /// Through a list.
    Few(std::vec::IntoIter<u32>),
    /// Through a bitmap.
    Many(roaring::bitmap::IntoIter),
}

impl std::fmt::Debug for GroupRowsIter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupRowsIter").finish_non_exhaustive()
    }
}

impl Default for GroupRowsIter {
    fn default() -> GroupRowsIter {
        GroupRowsIter::One(None)
    }
}

impl Iterator for GroupRowsIter {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            GroupRowsIter::One(row) => row.take(),
            GroupRowsIter::Few(rows) => rows.next(),
            GroupRowsIter::Many(rows) => rows.next(),
        }
    }
}

impl IntoIterator for GroupRows {
    type Item = u32;
    type IntoIter = GroupRowsIter;

    fn into_iter(self) -> GroupRowsIter {
        match self {
            GroupRows::One(row) => GroupRowsIter::One(Some(row)),
            GroupRows::Few(rows) => GroupRowsIter::Few(rows.into_iter()),
            GroupRows::Many(rows) => GroupRowsIter::Many(rows.into_iter()),
        }
    }
}
