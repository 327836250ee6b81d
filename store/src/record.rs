//! Records as they are handed out.

use mix_value::{Ref, Value, msgpack};

use crate::error::{Result, StoreError};
use crate::row_bytes::RowBytes;
use crate::{fields, raw};

/// One version of a record, as its stored bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    row: u32,
    encoded: RowBytes,
}

impl Record {
    pub(crate) fn new(row: u32, encoded: impl Into<RowBytes>) -> Record {
        Record {
            row,
            encoded: encoded.into(),
        }
    }

    /// The same with `_rmx_superseded: true`.
    pub(crate) fn superseded(self) -> Record {
        match raw::with_true(&self.encoded, fields::SUPERSEDED) {
            Some(encoded) => Record { encoded, ..self },
            None => self,
        }
    }

    /// Row number.
    pub fn row(&self) -> u32 {
        self.row
    }

    /// The MessagePack map.
    pub fn encoded(&self) -> &RowBytes {
        &self.encoded
    }

    /// The record as a value.
    pub fn value(&self) -> Result<Value> {
        msgpack::decode(&self.encoded)
            .map_err(|error| StoreError::Corrupt(format!("row {}: {error}", self.row)))
    }

    /// The id of the record.
    pub fn id(&self) -> Result<Ref> {
        self.reference(fields::ID)
    }

    /// The revision.
    pub fn rev(&self) -> Result<Ref> {
        self.reference(fields::REV)
    }

    fn reference(&self, field: &str) -> Result<Ref> {
        match raw::member(&self.encoded, field).map(msgpack::decode) {
            Some(Ok(Value::Ref(id))) => Ok(id),
            _ => Err(StoreError::Corrupt(format!(
                "row {} has no {field}",
                self.row
            ))),
        }
    }
}
