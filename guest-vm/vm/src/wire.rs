//! Heap values to and from the MessagePack wire form, without a tree in between.

mod decoder;

use mix_value::msgpack::{EncodeError, OpenCase, Writer};

use crate::failure::Failure;
use crate::heap::{MapIter, Value};
use crate::text_form::not_serializable;

pub use decoder::{Decoder, decode};

/// Deepest nesting that is written; the same limit holds when reading.
const DEPTH: usize = mix_value::MAX_WIRE_DEPTH;

/// Longest wire form that is written, in bytes. A value whose parts are shared is longer there than in memory.
const LONGEST: usize = 256 << 20;

/// The wire form of a value.
pub fn encode(value: &Value) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    encode_into(&mut out, value)?;
    Ok(out)
}

/// The wire form of an array of these values: the arguments of a foreign function.
pub fn encode_arguments(arguments: &[Value]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(64);
    write_arguments(&mut out, arguments)?;
    Ok(out)
}

/// Appends the wire form of an array of these values.
fn write_arguments(out: &mut Vec<u8>, arguments: &[Value]) -> Result<(), Failure> {
    Writer::new(out)
        .array(arguments.len())
        .map_err(|error| not_encodable(&error))?;
    for argument in arguments {
        match argument {
            // Of one byte, as most numbers are.
            Value::Int(number @ 0..=0x7f) => out.push(*number as u8),
            argument => encode_into(out, argument)?,
        }
    }
    Ok(())
}

/// Largest buffer that is kept for the next call.
const KEPT: usize = 64 << 10;

/// The buffer of arguments, used again by the next call.
#[derive(Debug, Default)]
pub struct Arguments {
    buffer: Vec<u8>,
}

impl Arguments {
    /// The wire form of an array of these values.
    #[inline]
    pub fn written(&mut self, arguments: &[Value]) -> Result<&Vec<u8>, Failure> {
        self.buffer.clear();
        write_arguments(&mut self.buffer, arguments)?;
        Ok(&self.buffer)
    }

    /// After the call: a large buffer is not kept.
    #[inline]
    pub fn release(&mut self) {
        if self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        }
    }
}

fn not_encodable(error: &EncodeError) -> Failure {
    Failure::new("ERR_NOT_SERIALIZABLE", error.to_string())
}

/// Where a part of a value is, as `[2].name`; empty for the value itself.
fn place_in(value: &Value, part: &Value) -> String {
    let mut path = String::new();
    find_part(value, part, &mut path);
    path
}

/// The parts before the one looked for were written already, so they are no deeper than `DEPTH`.
fn find_part(value: &Value, part: &Value, path: &mut String) -> bool {
    if std::ptr::eq(value, part) {
        return true;
    }
    let length = path.len();
    let mut found = |step: &str, inner: &Value| {
        path.truncate(length);
        path.push_str(step);
        find_part(inner, part, path)
    };
    match value {
        Value::Array(array) => {
            let mut items = array.items().iter().enumerate();
            items.any(|(index, item)| found(&format!("[{index}]"), item))
        }
        Value::Map(map) => map
            .iter()
            .any(|(key, member)| found(&format!(".{key}"), member)),
        Value::Case(case) => case.argument().is_some_and(|argument| found("^", argument)),
        _ => false,
    }
}

enum Open<'a> {
    Array(std::slice::Iter<'a, Value>),
    Map(MapIter<'a>),
    Case(OpenCase),
}

/// Appends the wire form of a value.
pub fn encode_into(out: &mut Vec<u8>, root: &Value) -> Result<(), Failure> {
    let value = root;
    let mut writer = Writer::new(out);
    let bad = |error: EncodeError| not_encodable(&error);
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut current = Some(value);
    loop {
        if let Some(value) = current.take() {
            if value.is_nested() && open.len() >= DEPTH {
                return Err(Failure::new(
                    "ERR_NOT_SERIALIZABLE",
                    "value is nested too deeply",
                ));
            }
            if writer.position() > LONGEST {
                return Err(Failure::new(
                    "ERR_TOO_LARGE",
                    "the value would have more than 256 MiB in its wire form",
                ));
            }
            match value {
                Value::Null => writer.null(),
                Value::Bool(value) => writer.bool(*value),
                Value::Int(number) => writer.int(*number),
                Value::Float(number) => writer.float(*number),
                Value::Text(text) => writer.str(text).map_err(bad)?,
                Value::Ref(id) => writer.ref_(id).map_err(bad)?,
                Value::Binary(bytes) => writer.bin(bytes).map_err(bad)?,
                Value::Handle(number) => writer.handle(*number),
                Value::Token(token) => writer.token(token).map_err(bad)?,
                Value::Array(array) => {
                    writer.array(array.items().len()).map_err(bad)?;
                    open.push(Open::Array(array.items().iter()));
                }
                Value::Map(map) => {
                    writer.map(map.len()).map_err(bad)?;
                    open.push(Open::Map(map.iter()));
                }
                Value::Case(case) => {
                    let started = writer.case_begin(case.name()).map_err(bad)?;
                    match case.argument() {
                        Some(argument) => {
                            open.push(Open::Case(started));
                            current = Some(argument);
                            continue;
                        }
                        None => writer.case_end(started).map_err(bad)?,
                    }
                }
                Value::Undefined => writer.undefined(),
                other => return Err(not_serializable(other, &place_in(root, other))),
            }
        }
        let is_over = match open.last_mut() {
            None => return Ok(()),
            Some(Open::Array(items)) => {
                current = items.next();
                current.is_none()
            }
            Some(Open::Map(entries)) => match entries.next() {
                Some((key, member)) => {
                    writer.str(key).map_err(bad)?;
                    current = Some(member);
                    false
                }
                None => true,
            },
            Some(Open::Case(_)) => true,
        };
        if is_over && let Some(Open::Case(started)) = open.pop() {
            writer.case_end(started).map_err(bad)?;
        }
    }
}

/// The same value in the form that other crates use.
pub fn to_value(value: &Value) -> Result<mix_value::Value, Failure> {
    let bytes = encode(value)?;
    mix_value::msgpack::decode(&bytes)
        .map_err(|error| Failure::internal(&format!("encoded value is malformed: {error}")))
}

/// A value of the other crates on the heap.
pub fn of_value(value: &mix_value::Value) -> Result<Value, Failure> {
    let bytes = mix_value::msgpack::encode(value).map_err(|error| not_encodable(&error))?;
    decode(&bytes)
        .map_err(|error| Failure::internal(&format!("encoded value is malformed: {error}")))
}
