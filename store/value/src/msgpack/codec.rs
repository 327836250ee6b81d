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
    build(reader, None)
}

/// As [`decode_next`]; `before` are the keys of a map before it in the same array, which mostly are its own.
fn build(
    reader: &mut Reader<'_>,
    before: Option<&mut Vec<Arc<str>>>,
) -> Result<Value, DecodeError> {
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
            let mut keys = Vec::new();
            for _ in 0..len {
                items.push(build(reader, Some(&mut keys))?);
            }
            Value::Array(items)
        }
        Token::MapStart(len) => {
            // Collected first: keys come in order as a rule, and a sorted list becomes
            // a map at once, which is much cheaper than key by key.
            let mut members = Vec::with_capacity(len.min(PREALLOCATED));
            let mut known = Known {
                keys: before.as_deref().map_or(&[], Vec::as_slice),
                at: 0,
            };
            let mut is_other = false;
            for _ in 0..len {
                if let Token::Key(key) = reader.next()? {
                    let key = known.take(key).unwrap_or_else(|| {
                        is_other = true;
                        Arc::from(key)
                    });
                    members.push((key, build(reader, None)?));
                }
            }
            if let Some(before) = before.filter(|_| is_other) {
                before.clear();
                before.extend(members.iter().map(|(key, _)| Arc::clone(key)));
            }
            Value::Map(Map::from_iter(members))
        }
        Token::CaseStart { name, has_argument } => {
            let argument = if has_argument {
                Some(Box::new(build(reader, None)?))
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

/// The keys of a map, for another one: those that both have are kept once.
struct Known<'a> {
    keys: &'a [Arc<str>],
    at: usize,
}

impl Known<'_> {
    /// The same key, if it comes behind those that were taken. In order, as keys are as a rule, all are found.
    fn take(&mut self, key: &str) -> Option<Arc<str>> {
        while let Some(known) = self.keys.get(self.at) {
            if **known == *key {
                self.at += 1;
                return Some(Arc::clone(known));
            }
            if **known > *key {
                return None;
            }
            self.at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_an_array_share_their_keys() {
        let map = |keys: &[&str]| Value::map(keys.iter().map(|key| (*key, Value::from(*key))));
        let shapes: [&[&str]; 8] = [
            &["a", "b", "c"],
            &["a", "b", "c"],
            &["b"],
            &["a", "c", "d"],
            &[],
            &["a", "c", "d"],
            &["x", "y"],
            &["c"],
        ];
        let maps = Value::Array(shapes.iter().map(|keys| map(keys)).collect());
        let decoded = decode(&encode(&maps).expect("encodes")).expect("decodes");
        assert_eq!(decoded, maps);
        let Value::Array(decoded) = decoded else {
            panic!("an array")
        };
        let keys = |index: usize| -> Vec<&Arc<str>> {
            let map = decoded[index].as_map().expect("a map");
            map.keys().collect()
        };
        let same = |a: &[&Arc<str>], b: &[&Arc<str>]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        assert!(same(&keys(0), &keys(1)));
        assert!(same(&keys(0)[1..2], &keys(2)));
        assert!(same(&keys(3), &keys(5)));
        // Out of order nothing is lost.
        let unsorted = [
            0x92, 0x82, 0xa1, b'b', 1, 0xa1, b'a', 2, 0x82, 0xa1, b'b', 3, 0xa1, b'a', 4,
        ];
        let pair = |b, a| Value::map([("a", Value::Int(a)), ("b", Value::Int(b))]);
        let expected = Value::Array(vec![pair(1, 2), pair(3, 4)]);
        assert_eq!(decode(&unsorted), Ok(expected));
    }
}
