//! A record source in memory.

use std::collections::HashMap;
use std::sync::Arc;

use mix_value::msgpack::{self, DecodeError};
use mix_value::{Ref, Value};

use roaring::RoaringBitmap;

use crate::query::ast::{CompareOp, ListOp};
use crate::query::{Atom, AtomTest, QueryError, RecordSource, Sets, StoredRow};

pub(super) const GENERATION: &str = "k3f9a0Zq";

/// Rows of one database under one row view.
pub(super) struct Memory {
    pub(super) rows: Vec<(Value, Arc<[u8]>)>,
    pub(super) bound: u64,
    pub(super) include_deleted: bool,
    pub(super) include_superseded: bool,
    /// Answers [`RecordSource::sets`] from the values.
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
            bytes: self.rows[row as usize].1.clone().into(),
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

    fn visible(&self) -> Result<Option<Arc<RoaringBitmap>>, MemoryError> {
        let rows = (0..self.bound).filter(|row| self.visible(*row));
        let rows = rows.map(|row| row as u32);
        Ok(self.indexed.then(|| Arc::new(rows.collect())))
    }

    /// From the values; every third row it does not know.
    fn sets(&self, atom: &Atom, want: bool) -> Result<Option<Sets>, MemoryError> {
        // Longer paths may lead through refs, which an index of plain members does not know.
        let [name] = atom.path.as_slice() else {
            return Ok(None);
        };
        let mut sets = Sets::default();
        for row in 0..self.bound {
            let value = self.value(row).get(name).cloned().unwrap_or_default();
            let truth = match &atom.test {
                AtomTest::Compare(CompareOp::Eq, wanted) => mix_value::equal(&value, wanted),
                AtomTest::Within(ListOp::In, list) if !value.is_undefined() => {
                    let values = value.as_array().unwrap_or(std::slice::from_ref(&value));
                    Some(values.iter().any(|value| {
                        list.iter()
                            .any(|item| mix_value::equal(value, item) == Some(true))
                    }))
                }
                AtomTest::Within(ListOp::In, _) => None,
                AtomTest::Exists => Some(!value.is_undefined()),
                _ => return Ok(None),
            };
            if row % 3 == 2 {
                sets.maybe.insert(row as u32);
            } else if truth == Some(want) {
                sets.sure.insert(row as u32);
            }
        }
        Ok(Some(sets))
    }

    fn corrupt(&self, row: u64, _: DecodeError) -> MemoryError {
        MemoryError::Corrupt(row)
    }
}
