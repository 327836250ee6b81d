//! Decodes as much of a stored record as a query looks at.

use std::sync::Arc;

use mix_value::msgpack::{DecodeError, DecodeErrorKind, Reader, Token};
use mix_value::{Case, Map, Ref, Value};

use super::budget::{Budget, VALUE_SIZE, entry_size};
use super::error::QueryError;
use super::plan::Needs;
use super::source::StoredRow;

const SUPERSEDED: &str = "_rmx_superseded";

/// Why a row was not decoded.
pub(super) enum Failure {
    /// It is no record.
    Corrupt(DecodeError),
    /// It is beyond the memory of the query.
    Query(QueryError),
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Failure {
        Failure::Corrupt(error)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::Query(error)
    }
}

/// The members `needs` of a row.
pub(super) fn decode_row(
    row: &StoredRow,
    needs: &Needs,
    budget: &Budget,
) -> Result<Value, Failure> {
    let mut reader = Reader::new(&row.bytes);
    let Token::MapStart(len) = reader.next()? else {
        return Err(Failure::Corrupt(DecodeError {
            offset: 0,
            kind: DecodeErrorKind::InvalidMarker,
        }));
    };
    let mut map = Map::new();
    for _ in 0..len {
        let Token::Key(key) = reader.next()? else {
            continue;
        };
        if needs.includes(key) {
            budget.charge(entry_size(key))?;
            let member = read(&mut reader, budget)?;
            map.insert(Arc::from(key), member);
        } else {
            reader.skip_value()?;
        }
    }
    reader.finish()?;
    if row.superseded && needs.includes(SUPERSEDED) {
        map.insert(SUPERSEDED.into(), Value::Bool(true));
    }
    Ok(Value::Map(map))
}

/// Builds the value of the next events. Recursion is bounded by the reader.
fn read(reader: &mut Reader<'_>, budget: &Budget) -> Result<Value, Failure> {
    let offset = reader.position();
    let value = match reader.next()? {
        Token::Undefined => Value::Undefined,
        Token::Null => Value::Null,
        Token::Bool(b) => Value::Bool(b),
        Token::Int(i) => Value::Int(i),
        Token::Float(f) => Value::Float(f),
        Token::BigInt(big) => Value::BigInt(big),
        Token::Str(text) | Token::Key(text) => {
            budget.charge(text.len())?;
            Value::String(text.into())
        }
        Token::Bin(bytes) => {
            budget.charge(bytes.len())?;
            Value::Binary(bytes.into())
        }
        Token::Ref(id) => {
            budget.charge(id.len())?;
            match Ref::new(id) {
                Ok(id) => Value::Ref(id),
                Err(_) => {
                    return Err(Failure::Corrupt(DecodeError {
                        offset,
                        kind: DecodeErrorKind::MalformedExtension,
                    }));
                }
            }
        }
        Token::ArrayStart(len) => {
            budget.charge(len.saturating_mul(VALUE_SIZE))?;
            let mut items = Vec::with_capacity(len);
            for _ in 0..len {
                items.push(read(reader, budget)?);
            }
            Value::Array(items)
        }
        Token::MapStart(len) => {
            let mut map = Map::new();
            for _ in 0..len {
                if let Token::Key(key) = reader.next()? {
                    budget.charge(entry_size(key))?;
                    let member = read(reader, budget)?;
                    map.insert(Arc::from(key), member);
                }
            }
            Value::Map(map)
        }
        Token::CaseStart { name, has_argument } => {
            budget.charge(name.len())?;
            let argument = if has_argument {
                Some(Box::new(read(reader, budget)?))
            } else {
                None
            };
            Value::Case(Case {
                name: name.into(),
                argument,
            })
        }
        Token::SealedToken(body) => Value::Token(mix_value::Token::Sealed(body.into())),
        Token::TokenReference(number) => Value::Token(mix_value::Token::Reference(number)),
        Token::Handle(number) => Value::Handle(number),
    };
    budget.charge(VALUE_SIZE)?;
    Ok(value)
}
