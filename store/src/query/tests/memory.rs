//! A record source in memory.

use std::collections::HashMap;
use std::sync::Arc;

use mix_value::msgpack::{self, DecodeError};
use mix_value::{Ref, Value};

use crate::query::{Atom, AtomTest, QueryError, RecordSource, StoredRow};

pub(super) const GENERATION: &str = "k3f9a0Zq";

/// Rows of one database under one row view.
pub(super) struct Memory {
    pub(super) rows: Vec<(Value, Arc<[u8]>)>,
    pub(super) bound: u64,
    pub(super) include_deleted: bool,
    pub(super) include_superseded: bool,
    /// Answers [`RecordSource::candidates`] from the values.
    pub(super) indexed: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum MemoryError {
    Query(QueryError),
    Corrupt(u64),
}

impl From<QueryError> for MemoryError {
    fn from(error: QueryError) -> MemoryError {
        MemoryError::Query(error)
    }
}

impl Memory {
    pub(super) fn new(records: Vec<Value>) -> Memory {
        let rows: Vec<(Value, Arc<[u8]>)> = records
            .into_iter()
            .map(|record| {
                let bytes = msgpack::encode(&record).expect("test records encode");
                (record, bytes.into())
            })
            .collect();
        let bound = rows.len() as u64;
        Memory {
            rows,
            bound,
            include_deleted: false,
            include_superseded: false,
            indexed: false,
        }
    }

    fn id(&self, row: u64) -> Option<&Ref> {
        self.rows[row as usize]
            .0
            .get("_rmx_id")
            .and_then(Value::as_ref_value)
    }

    fn newest(&self) -> HashMap<&Ref, u64> {
        (0..self.bound)
            .filter_map(|row| self.id(row).map(|id| (id, row)))
            .collect()
    }

    fn is_deleted(&self, row: u64) -> bool {
        self.rows[row as usize].0.get("_rmx_deleted").is_some()
    }

    fn is_superseded(&self, row: u64) -> bool {
        self.id(row).is_some_and(|id| self.newest()[id] != row)
    }

    fn stored(&self, row: u64) -> StoredRow {
        StoredRow {
            row,
            bytes: self.rows[row as usize].1.clone(),
            superseded: self.is_superseded(row),
        }
    }

    fn row_with(&self, member: &str, reference: &Ref) -> Option<u64> {
        (0..self.bound).find(|row| {
            self.rows[*row as usize]
                .0
                .get(member)
                .and_then(Value::as_ref_value)
                == Some(reference)
        })
    }

    pub(super) fn visible(&self, row: u64) -> bool {
        (!self.is_deleted(row) || self.include_deleted)
            && (!self.is_superseded(row) || self.include_superseded)
    }

    pub(super) fn value(&self, row: u64) -> Value {
        let mut value = self.rows[row as usize].0.clone();
        if self.is_superseded(row)
            && let Value::Map(map) = &mut value
        {
            map.insert("_rmx_superseded".into(), Value::Bool(true));
        }
        value
    }

    pub(super) fn lookup(&self, reference: &Ref) -> Option<u64> {
        match self.newest().get(reference) {
            Some(row) if !self.is_deleted(*row) => Some(*row),
            _ => self.row_with("_rmx_rev", reference),
        }
    }
}

impl RecordSource for Memory {
    type Error = MemoryError;

    fn next_row(&self, from: u64) -> Result<Option<StoredRow>, MemoryError> {
        Ok((from..self.bound)
            .find(|row| self.visible(*row))
            .map(|row| self.stored(row)))
    }

    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>, MemoryError> {
        Ok(self.lookup(reference).map(|row| self.stored(row)))
    }

    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>, MemoryError> {
        Ok(self.row_with("_rmx_rev", revision))
    }

    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>, MemoryError> {
        Ok((generation == GENERATION).then_some(rows))
    }

    fn candidates(&self, atoms: &[Atom]) -> Result<Option<Vec<u64>>, MemoryError> {
        if !self.indexed {
            return Ok(None);
        }
        let passes = |row: u64, atom: &Atom| {
            // Longer paths may lead through refs, which an index of plain members does not know.
            let [name] = atom.path.as_slice() else {
                return true;
            };
            let Some(value) = self.rows[row as usize].0.get(name) else {
                // Computed at read time, so that no index has it.
                return &**name == "_rmx_superseded";
            };
            match &atom.test {
                AtomTest::Equal(wanted) => mix_value::equal(value, wanted) == Some(true),
                AtomTest::OneOf(list) => {
                    let values = value.as_array().unwrap_or(std::slice::from_ref(value));
                    values.iter().any(|value| {
                        list.iter()
                            .any(|item| mix_value::equal(value, item) == Some(true))
                    })
                }
                AtomTest::Prefix(prefix) => value
                    .as_str()
                    .is_some_and(|text| text.starts_with(&**prefix)),
                AtomTest::Exists => true,
            }
        };
        Ok(Some(
            (0..self.bound)
                .filter(|row| atoms.iter().all(|atom| passes(*row, atom)))
                .collect(),
        ))
    }

    fn corrupt(&self, row: u64, _: DecodeError) -> MemoryError {
        MemoryError::Corrupt(row)
    }
}
