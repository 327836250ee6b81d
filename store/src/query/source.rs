//! What a query runs over.

use std::sync::Arc;

use mix_value::msgpack::DecodeError;
use mix_value::{Ref, Value};

use super::error::QueryError;

/// One stored version of a record, as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Row number.
    pub row: u64,
    /// The record in MessagePack, without `_rmx_superseded`.
    pub bytes: Arc<[u8]>,
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

    /// The record behind a ref: by id the live current version within the
    /// bound; else by revision exactly that row, deleted, superseded or
    /// outside the view or not; else nothing.
    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>, Self::Error>;

    /// The row with this revision, if there is one within the bound.
    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>, Self::Error>;

    /// The first row that is after a watermark `<generation>.<rows>`; none for
    /// one of a generation that is neither the present nor the one before.
    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>, Self::Error>;

    /// Rows, ascending, among which every visible row lies that passes all
    /// atoms. More rows than that change nothing but the time it takes. None:
    /// all rows must be read. The atoms are never empty.
    fn candidates(&self, atoms: &[Atom]) -> Result<Option<Vec<u64>>, Self::Error> {
        let _ = atoms;
        Ok(None)
    }

    /// The error for a row whose bytes are no record.
    fn corrupt(&self, row: u64, error: DecodeError) -> Self::Error;
}

impl<S: RecordSource + ?Sized> RecordSource for &S {
    type Error = S::Error;

    fn next_row(&self, from: u64) -> Result<Option<StoredRow>, S::Error> {
        (**self).next_row(from)
    }

    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>, S::Error> {
        (**self).resolve(reference)
    }

    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>, S::Error> {
        (**self).row_of_revision(revision)
    }

    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>, S::Error> {
        (**self).row_of_watermark(generation, rows)
    }

    fn candidates(&self, atoms: &[Atom]) -> Result<Option<Vec<u64>>, S::Error> {
        (**self).candidates(atoms)
    }

    fn corrupt(&self, row: u64, error: DecodeError) -> S::Error {
        (**self).corrupt(row, error)
    }
}

impl<S: RecordSource + ?Sized> RecordSource for Arc<S> {
    type Error = S::Error;

    fn next_row(&self, from: u64) -> Result<Option<StoredRow>, S::Error> {
        (**self).next_row(from)
    }

    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>, S::Error> {
        (**self).resolve(reference)
    }

    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>, S::Error> {
        (**self).row_of_revision(revision)
    }

    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>, S::Error> {
        (**self).row_of_watermark(generation, rows)
    }

    fn candidates(&self, atoms: &[Atom]) -> Result<Option<Vec<u64>>, S::Error> {
        (**self).candidates(atoms)
    }

    fn corrupt(&self, row: u64, error: DecodeError) -> S::Error {
        (**self).corrupt(row, error)
    }
}

/// A condition that every result of a query passes, from its leading filters:
/// food for an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    /// Member names from the record down. A step passes through arrays and
    /// refs (the record behind a ref is outside this row); an index over plain
    /// members is safe with atoms of one step.
    pub path: Vec<Arc<str>>,
    /// What holds at its end.
    pub test: AtomTest,
}

/// What holds of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum AtomTest {
    /// It is equal to this constant, as a whole.
    Equal(Value),
    /// It, or an element of it if it is an array, is equal to one of these.
    OneOf(Vec<Value>),
    /// It is a string that starts with this one.
    Prefix(Arc<str>),
    /// It is not undefined.
    Exists,
}

impl AtomTest {
    /// The name of the test, for explanations.
    pub fn name(&self) -> &'static str {
        match self {
            AtomTest::Equal(_) => "equal",
            AtomTest::OneOf(_) => "one of",
            AtomTest::Prefix(_) => "prefix",
            AtomTest::Exists => "exists",
        }
    }
}
