//! Heap values to and from the MessagePack wire form, without a tree in between.

use std::rc::Rc;

use mix_value::msgpack::{self, DecodeError, EncodeError, OpenCase, Reader, Token, Writer};

use crate::failure::Failure;
use crate::heap::{Case, Map, MapIter, Shape, Text, Value};
use crate::text_form::not_serializable;

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
        match open.pop() {
            None => return Ok(()),
            Some(Open::Array(mut items)) => {
                if let Some(item) = items.next() {
                    current = Some(item);
                    open.push(Open::Array(items));
                }
            }
            Some(Open::Map(mut entries)) => {
                if let Some((key, member)) = entries.next() {
                    writer.str(key).map_err(bad)?;
                    current = Some(member);
                    open.push(Open::Map(entries));
                }
            }
            Some(Open::Case(started)) => writer.case_end(started).map_err(bad)?,
        }
    }
}

enum Building<'a> {
    Array {
        left: usize,
        items: Vec<Value>,
    },
    Map {
        left: usize,
        keys: Vec<&'a str>,
        values: Vec<Value>,
    },
    Case {
        name: Text,
    },
}

/// Reads wire forms and remembers key lists, so that the records of a batch
/// share theirs.
#[derive(Debug, Default)]
pub struct Decoder {
    recent: Vec<Rc<Shape>>,
}

/// Items reserved at most before the first one is read: a claimed length is no proof.
const PREALLOCATED: usize = 1024;

/// Key lists remembered by a decoder.
const RECENT: usize = 8;

impl Decoder {
    /// Reads one value that fills the whole input.
    #[inline]
    pub fn decode(&mut self, input: &[u8]) -> Result<Value, DecodeError> {
        if let Some(value) = short(input) {
            return Ok(value);
        }
        self.decode_any(input)
    }

    fn decode_any(&mut self, input: &[u8]) -> Result<Value, DecodeError> {
        let mut reader = Reader::new(input);
        let value = self.value(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    fn value(&mut self, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
        let mut stack: Vec<Building<'_>> = Vec::new();
        loop {
            let mut done = match reader.next()? {
                Token::Undefined => Value::Undefined,
                Token::Null => Value::Null,
                Token::Bool(value) => Value::Bool(value),
                Token::Int(number) => Value::Int(number),
                Token::Float(number) => Value::Float(number),
                // Programs see the nearest float (language 3.2).
                Token::BigInt(number) => Value::Float(number.to_f64()),
                Token::Str(text) => Value::text(text),
                Token::Bin(bytes) => Value::binary(bytes.to_vec()),
                Token::Ref(id) => Value::Ref(id.into()),
                Token::SealedToken(body) => {
                    Value::Token(Rc::new(mix_value::Token::Sealed(body.into())))
                }
                Token::TokenReference(number) => {
                    Value::Token(Rc::new(mix_value::Token::Reference(number)))
                }
                Token::Handle(number) => Value::Handle(number),
                Token::Key(key) => {
                    if let Some(Building::Map { keys, .. }) = stack.last_mut() {
                        keys.push(key);
                    }
                    continue;
                }
                Token::ArrayStart(0) => Value::array(Vec::new()),
                Token::ArrayStart(left) => {
                    stack.push(Building::Array {
                        left,
                        items: Vec::with_capacity(left.min(PREALLOCATED)),
                    });
                    continue;
                }
                Token::MapStart(0) => Value::Map(Map::new()),
                Token::MapStart(left) => {
                    stack.push(Building::Map {
                        left,
                        keys: Vec::with_capacity(left.min(PREALLOCATED)),
                        values: Vec::with_capacity(left.min(PREALLOCATED)),
                    });
                    continue;
                }
                Token::CaseStart {
                    name,
                    has_argument: false,
                } => Value::constant(name),
                Token::CaseStart {
                    name,
                    has_argument: true,
                } => {
                    stack.push(Building::Case { name: name.into() });
                    continue;
                }
            };
            loop {
                match stack.pop() {
                    None => return Ok(done),
                    Some(Building::Array { left, mut items }) => {
                        items.push(done);
                        if left > 1 {
                            stack.push(Building::Array {
                                left: left - 1,
                                items,
                            });
                            break;
                        }
                        done = Value::array(items);
                    }
                    Some(Building::Map {
                        left,
                        keys,
                        mut values,
                    }) => {
                        values.push(done);
                        if left > 1 {
                            stack.push(Building::Map {
                                left: left - 1,
                                keys,
                                values,
                            });
                            break;
                        }
                        done = self.map(&keys, values);
                    }
                    Some(Building::Case { name }) => {
                        done = Value::Case(Case::new(name, Some(done)));
                    }
                }
            }
        }
    }

    fn map(&mut self, keys: &[&str], mut values: Vec<Value>) -> Value {
        // A member that is undefined is no member (database 2.2).
        if values.iter().any(Value::is_undefined) {
            let entries = keys
                .iter()
                .zip(values)
                .filter(|(_, value)| !value.is_undefined());
            return Value::Map(Map::of_entries(
                entries.map(|(k, v)| ((*k).into(), v)).collect(),
            ));
        }
        if keys.len() > crate::heap::map::SMALL || !keys.is_sorted_by(|a, b| a < b) {
            let entries = keys.iter().map(|key| (*key).into()).zip(values.drain(..));
            return Value::Map(Map::of_entries(entries.collect()));
        }
        let fits = |shape: &Rc<Shape>| {
            shape.keys().len() == keys.len()
                && shape
                    .keys()
                    .iter()
                    .zip(keys)
                    .all(|(known, key)| known.as_str() == *key)
        };
        let shape = match self.recent.iter().position(fits) {
            Some(position) => Rc::clone(&self.recent[position]),
            None => {
                let shape = Shape::new(keys.iter().map(|key| (*key).into()).collect());
                if self.recent.len() >= RECENT {
                    self.recent.remove(0);
                }
                self.recent.push(Rc::clone(&shape));
                shape
            }
        };
        Value::Map(Map::of_shape(&shape, values))
    }
}

/// What most replies are: a short value that holds no others. `None`: the reader is asked.
// A value that is returned through memory is copied from there in other pieces than it was written in.
#[inline(always)]
fn short(input: &[u8]) -> Option<Value> {
    let (token, length) = msgpack::short(input)?;
    if length != input.len() {
        return None;
    }
    Some(match token {
        Token::Null => Value::Null,
        Token::Bool(value) => Value::Bool(value),
        Token::Int(number) => Value::Int(number),
        Token::Float(number) => Value::Float(number),
        Token::Str(text) => Value::text(text),
        Token::Bin(bytes) => Value::binary(bytes.to_vec()),
        _ => return None,
    })
}

/// Reads one value.
pub fn decode(input: &[u8]) -> Result<Value, DecodeError> {
    Decoder::default().decode(input)
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
