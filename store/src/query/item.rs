//! Results of a query.

use mix_value::msgpack::EncodeError;
use mix_value::{Value, msgpack};

use super::source::StoredRow;
use crate::row_bytes::RowBytes;
use crate::{fields, raw};

/// One result.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryItem {
    /// A record as it is stored.
    Stored(StoredRow),
    /// A value the query made.
    Value(Value),
}

impl QueryItem {
    /// The value.
    pub fn into_value(self) -> Result<Value, msgpack::DecodeError> {
        match self {
            QueryItem::Value(value) => Ok(value),
            QueryItem::Stored(row) => {
                let mut value = msgpack::decode(&row.bytes)?;
                if row.superseded
                    && let Value::Map(map) = &mut value
                {
                    map.insert("_rmx_superseded".into(), Value::Bool(true));
                }
                Ok(value)
            }
        }
    }

    /// The value in MessagePack: a stored record as it is, byte for byte,
    /// unless it is superseded. A stored row that does not decode is given as it is.
    pub fn into_bytes(self) -> Result<RowBytes, EncodeError> {
        match self {
            QueryItem::Stored(row) if !row.superseded => Ok(row.bytes),
            QueryItem::Stored(row) => {
                Ok(raw::with_true(&row.bytes, fields::SUPERSEDED).unwrap_or(row.bytes))
            }
            QueryItem::Value(value) => msgpack::encode(&value).map(RowBytes::from),
        }
    }
}

/// Some results of a query that works in slices.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// The results, in order.
    pub items: Vec<QueryItem>,
    /// No more results follow.
    pub finished: bool,
}
