//! Whole values to bytes and back.

use std::sync::Arc;

use super::{DecodeError, EncodeError, Reader, Token, Writer};
use crate::{Case, MAX_WIRE_DEPTH, Map, Ref, Value};

/// Upper bound for allocations made before the elements have been seen.
const PREALLOCATED: usize = 1024;

/// Encodes a value.
pub fn encode(value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    encode_into(&mut out, value)?;
    Ok(out)
}

/// Appends a value to a buffer. After an error the buffer holds a part of it.
pub fn encode_into(out: &mut Vec<u8>, value: &Value) -> Result<(), EncodeError> {
    write(&mut Writer::new(out), value, 0)
}

fn write(writer: &mut Writer<'_>, value: &Value, depth: usize) -> Result<(), EncodeError> {
    if depth >= MAX_WIRE_DEPTH && matches!(value, Value::Array(_) | Value::Map(_) | Value::Case(_))
    {
        return Err(EncodeError::TooDeep);
    }
    match value {
        Value::Undefined => writer.undefined(),
        Value::Null => writer.null(),
        Value::Bool(b) => writer.bool(*b),
        Value::Int(i) => writer.int(*i),
        Value::Float(f) => writer.float(*f),
        Value::BigInt(big) => writer.big_int(big),
        Value::String(text) => writer.str(text)?,
        Value::Ref(r) => writer.ref_(r.as_str())?,
        Value::Binary(bytes) => writer.bin(bytes)?,
        Value::Array(items) => {
            writer.array(items.len())?;
            for item in items {
                write(writer, item, depth + 1)?;
            }
        }
        Value::Map(map) => {
            writer.map(map.len())?;
            for (key, member) in map {
                writer.str(key)?;
                write(writer, member, depth + 1)?;
            }
        }
        Value::Case(case) => {
            let open = writer.case_begin(&case.name)?;
            if let Some(argument) = &case.argument {
                write(writer, argument, depth + 1)?;
            }
            writer.case_end(open)?;
        }
        Value::Token(token) => writer.token(token)?,
        Value::Handle(handle) => writer.handle(*handle),
    }
    Ok(())
}

/// Decodes a value that fills the whole input.
pub fn decode(input: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(input);
    let value = decode_next(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Builds the value of the next events. Recursion is bounded by the reader.
pub fn decode_next(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let offset = reader.position();
    Ok(match reader.next()? {
        Token::Undefined => Value::Undefined,
        Token::Null => Value::Null,
        Token::Bool(b) => Value::Bool(b),
        Token::Int(i) => Value::Int(i),
        Token::Float(f) => Value::Float(f),
        Token::BigInt(big) => Value::BigInt(big),
        Token::Str(text) => Value::String(text.into()),
        // Keys are consumed by the map arm below.
        Token::Key(text) => Value::String(text.into()),
        Token::Bin(bytes) => Value::Binary(bytes.into()),
        Token::Ref(id) => Ref::new(id).map(Value::Ref).map_err(|_| DecodeError {
            offset,
            kind: super::DecodeErrorKind::MalformedExtension,
        })?,
        Token::ArrayStart(len) => {
            let mut items = Vec::with_capacity(len.min(PREALLOCATED));
            for _ in 0..len {
                items.push(decode_next(reader)?);
            }
            Value::Array(items)
        }
        Token::MapStart(len) => {
            // Collected first: keys come in order as a rule, and a sorted list becomes
            // a map at once, which is much cheaper than key by key.
            let mut members = Vec::with_capacity(len.min(PREALLOCATED));
            for _ in 0..len {
                if let Token::Key(key) = reader.next()? {
                    members.push((Arc::from(key), decode_next(reader)?));
                }
            }
            Value::Map(Map::from_iter(members))
        }
        Token::CaseStart { name, has_argument } => {
            let argument = if has_argument {
                Some(Box::new(decode_next(reader)?))
            } else {
                None
            };
            Value::Case(Case {
                name: name.into(),
                argument,
            })
        }
        Token::SealedToken(body) => Value::Token(crate::Token::Sealed(body.into())),
        Token::TokenReference(number) => Value::Token(crate::Token::Reference(number)),
        Token::Handle(number) => Value::Handle(number),
    })
}
