//! Heap values from their wire form.
//!
//! Records of one kind have the same keys. Where the keys of a map are those of one before, and its members hold
//! no others, it is read in one go ([`Decoder::record`]); whatever else comes, and whatever is malformed, is left to the [`Reader`].

use std::rc::Rc;

use mix_value::msgpack::{self, DecodeError, Reader, Token};

use crate::heap::{Case, Map, Shape, Text, Value};

/// What has begun and has parts to come.
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
    recent: Vec<Known>,
}

/// A key list that has come.
#[derive(Debug)]
struct Known {
    shape: Rc<Shape>,
    /// False once a member under these keys held others.
    is_flat: bool,
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
            // Members of a map are seldom maps themselves.
            let record = match stack.last() {
                Some(Building::Map { .. }) => None,
                _ => self.next_record(reader)?,
            };
            let part = match record {
                Some(record) => Some(record),
                None => begin(reader.next()?, &mut stack),
            };
            let Some(mut done) = part else { continue };
            loop {
                // What is open stays where it is until its last part: to take it off and put it back costs more
                // than reading a part.
                match stack.last_mut() {
                    Some(Building::Array { left, items }) if *left > 1 => {
                        items.push(done);
                        *left -= 1;
                        break;
                    }
                    Some(Building::Map { left, values, .. }) if *left > 1 => {
                        values.push(done);
                        *left -= 1;
                        break;
                    }
                    _ => {}
                }
                done = match stack.pop() {
                    None => return Ok(done),
                    Some(Building::Array { mut items, .. }) => {
                        items.push(done);
                        Value::array(items)
                    }
                    Some(Building::Map {
                        keys, mut values, ..
                    }) => {
                        values.push(done);
                        self.map(&keys, values)
                    }
                    Some(Building::Case { name }) => Value::Case(Case::new(name, Some(done))),
                };
            }
        }
    }

    fn next_record(&mut self, reader: &mut Reader<'_>) -> Result<Option<Value>, DecodeError> {
        let found = reader.rest().and_then(|rest| self.record(rest));
        let Some((record, length)) = found else {
            return Ok(None);
        };
        reader.past(length)?;
        Ok(Some(record))
    }

    /// The record that `input` begins with, and its length, if it has known keys and its members hold no others.
    fn record(&mut self, input: &[u8]) -> Option<(Value, usize)> {
        let (count, mut position) = msgpack::map_start(input)?;
        let members = input.get(position..)?;
        let is_its = |known: &&mut Known| {
            let keys = known.shape.keys();
            let first = keys
                .first()
                .filter(|_| known.is_flat && keys.len() == count);
            first.is_some_and(|key| msgpack::short_str(members, key.as_str()).is_some())
        };
        let known = self.recent.iter_mut().rev().find(is_its)?;
        let mut values = Vec::with_capacity(count);
        for key in known.shape.keys() {
            position += msgpack::short_str(input.get(position..)?, key.as_str())?;
            match push_flat(&mut values, input.get(position..)?) {
                Some(length) => position += length,
                None => {
                    known.is_flat = false;
                    return None;
                }
            }
        }
        Some((Value::Map(Map::of_shape(&known.shape, values)), position))
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
        let fits = |known: &Known| {
            let known = known.shape.keys().iter().map(Text::as_str);
            known.eq(keys.iter().copied())
        };
        let shape = match self.recent.iter().find(|known| fits(known)) {
            Some(known) => Rc::clone(&known.shape),
            None => {
                let shape = Shape::new(keys.iter().map(|key| (*key).into()).collect());
                if self.recent.len() >= RECENT {
                    self.recent.remove(0);
                }
                self.recent.push(Known {
                    shape: Rc::clone(&shape),
                    is_flat: true,
                });
                shape
            }
        };
        Value::Map(Map::of_shape(&shape, values))
    }
}

/// The value that a token is; none: it opens one, which is on the stack then, or is a key.
fn begin<'a>(token: Token<'a>, stack: &mut Vec<Building<'a>>) -> Option<Value> {
    let opened = match token {
        Token::Key(key) => {
            if let Some(Building::Map { keys, .. }) = stack.last_mut() {
                keys.push(key);
            }
            return None;
        }
        Token::ArrayStart(0) => return Some(Value::array(Vec::new())),
        Token::ArrayStart(left) => Building::Array {
            left,
            items: Vec::with_capacity(left.min(PREALLOCATED)),
        },
        Token::MapStart(0) => return Some(Value::Map(Map::new())),
        Token::MapStart(left) => Building::Map {
            left,
            keys: Vec::with_capacity(left.min(PREALLOCATED)),
            values: Vec::with_capacity(left.min(PREALLOCATED)),
        },
        Token::CaseStart {
            name,
            has_argument: false,
        } => return Some(Value::constant(name)),
        Token::CaseStart {
            name,
            has_argument: true,
        } => Building::Case { name: name.into() },
        token => return scalar(&token),
    };
    stack.push(opened);
    None
}

/// A value that holds no others.
fn scalar(token: &Token<'_>) -> Option<Value> {
    Some(match token {
        Token::Undefined => Value::Undefined,
        Token::Null => Value::Null,
        Token::Bool(value) => Value::Bool(*value),
        Token::Int(number) => Value::Int(*number),
        Token::Float(number) => Value::Float(*number),
        // Programs see the nearest float (language 3.2).
        Token::BigInt(number) => Value::Float(number.to_f64()),
        Token::Str(text) => Value::text(*text),
        Token::Bin(bytes) => Value::binary(bytes.to_vec()),
        Token::Ref(id) => Value::Ref((*id).into()),
        Token::SealedToken(body) => Value::Token(Rc::new(mix_value::Token::Sealed((*body).into()))),
        Token::TokenReference(number) => {
            Value::Token(Rc::new(mix_value::Token::Reference(*number)))
        }
        Token::Handle(number) => Value::Handle(*number),
        Token::Key(_) | Token::ArrayStart(_) | Token::MapStart(_) | Token::CaseStart { .. } => {
            return None;
        }
    })
}

/// Reads the member that `input` begins with and gives its length; none: it is undefined, holds others or is malformed.
// Each kind is written where it stays: a value that is moved right after it was made is waited for.
#[inline(always)]
fn push_flat(values: &mut Vec<Value>, input: &[u8]) -> Option<usize> {
    let Some((token, length)) = msgpack::short(input) else {
        return push_longer(values, input);
    };
    match token {
        Token::Null => values.push(Value::Null),
        Token::Bool(value) => values.push(Value::Bool(value)),
        Token::Int(number) => values.push(Value::Int(number)),
        Token::Float(number) => values.push(Value::Float(number)),
        Token::Str(text) => values.push(Value::text(text)),
        Token::Ref(id) => values.push(Value::Ref(id.into())),
        _ => return push_longer(values, input),
    }
    Some(length)
}

fn push_longer(values: &mut Vec<Value>, input: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(input);
    let value = scalar(&reader.next().ok()?)?;
    if value.is_undefined() {
        return None;
    }
    values.push(value);
    Some(reader.position())
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

#[cfg(test)]
mod tests {
    use mix_value::MAX_WIRE_DEPTH;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::encode;

    type Plain = mix_value::Value;

    fn wire(value: &Plain) -> Vec<u8> {
        msgpack::encode(value).expect("encodes")
    }

    /// What a decoder says that has read `before`, beside one that has read nothing.
    fn both(before: &[u8], bytes: &[u8]) -> [Result<Vec<u8>, DecodeError>; 2] {
        let mut warm = Decoder::default();
        let _ = warm.decode(before);
        [warm.decode(bytes), decode(bytes)].map(|read| Ok(encode(&read?).expect("encodes")))
    }

    fn member() -> impl Strategy<Value = Plain> {
        let scalar = prop_oneof![
            Just(Plain::Null),
            any::<bool>().prop_map(Plain::Bool),
            any::<i64>().prop_map(Plain::Int),
            (-200..70_000_i64).prop_map(Plain::Int),
            any::<f64>().prop_map(Plain::Float),
            ".{0,40}".prop_map(|text| Plain::from(text.as_str())),
            Just(Plain::from("x".repeat(300).as_str())),
            "[a-z0-9]{1,32}".prop_map(|id| Plain::Ref(mix_value::Ref::new(&id).expect("an id"))),
            proptest::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| Plain::Binary(bytes.as_slice().into())),
        ];
        let list = proptest::collection::vec(scalar.clone(), 0..3).prop_map(Plain::Array);
        prop_oneof![12 => scalar, 1 => list]
    }

    fn record() -> impl Strategy<Value = Plain> {
        let keys = proptest::sample::select(vec![
            "a",
            "b",
            "c",
            "name",
            "a key of more than 31 bytes, for once",
        ]);
        proptest::collection::btree_map(keys, member(), 0..5).prop_map(|members| {
            let members = members.into_iter();
            Plain::Map(members.map(|(key, value)| (key.into(), value)).collect())
        })
    }

    proptest! {
        #[test]
        fn what_was_read_before_changes_nothing(
            first in proptest::collection::vec(record(), 1..4),
            second in proptest::collection::vec(record(), 1..8),
            damage in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
            cut in proptest::option::of(any::<proptest::sample::Index>()),
        ) {
            let before = wire(&Plain::Array(first));
            let mut bytes = wire(&Plain::Array(second));
            if let Some((place, byte)) = damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Some(length) = cut {
                bytes.truncate(length.index(bytes.len()));
            }
            let [warm, cold] = both(&before, &bytes);
            prop_assert_eq!(warm, cold);
        }
    }

    fn film(title: Plain) -> Plain {
        let members = [("a", Plain::Int(1998)), ("title", title)];
        Plain::Map(members.map(|(key, value)| (key.into(), value)).into())
    }

    #[test]
    fn records_of_one_kind_share_their_keys_wherever_they_are() {
        let mut decoder = Decoder::default();
        let record = |title: &str| film(title.into());
        let case = mix_value::Case::new("some", Some(record("in a case"))).expect("a name");
        let all = Plain::Array(vec![
            record("first"),
            record("second"),
            Plain::Array(vec![record("in a list"), Plain::Null]),
            Plain::Case(case),
            film(Plain::Array(vec![record("inside")])),
            record("after"),
        ]);
        let read = decoder.decode(&wire(&all)).expect("decodes");
        assert_eq!(encode(&read).expect("encodes"), wire(&all));
        let [known] = &*decoder.recent else {
            panic!("one key list");
        };
        // One of them holds others, so later ones are read by the reader; its keys are still these.
        assert!(!known.is_flat);
        assert_eq!(Rc::strong_count(&known.shape), 8);
    }

    #[test]
    fn undefined_members_longer_forms_and_too_many_bytes_are_told_as_ever() {
        let before = wire(&film("known".into()));
        let undefined = [
            0x82, 0xa1, b'a', 1, 0xa5, b't', b'i', b't', b'l', b'e', 0xc7, 0, 1,
        ];
        let long_key = [
            0x82, 0xd9, 1, b'a', 1, 0xa5, b't', b'i', b't', b'l', b'e', 2,
        ];
        let long_map = [
            0xdf, 0, 0, 0, 2, 0xa1, b'a', 1, 0xa5, b't', b'i', b't', b'l', b'e', 2,
        ];
        let twice = [0x82, 0xa1, b'a', 1, 0xa1, b'a', 2];
        let mut more = before.clone();
        more.push(0xc0);
        for bytes in [
            &undefined[..],
            &long_key,
            &long_map,
            &twice,
            &more,
            &before[..5],
        ] {
            let [warm, cold] = both(&before, bytes);
            assert_eq!(warm, cold, "{bytes:?}");
        }
    }

    #[test]
    fn a_record_as_deep_as_can_be_is_read_and_one_deeper_is_refused() {
        let before = wire(&film("known".into()));
        for (lists, is_read) in [(MAX_WIRE_DEPTH - 1, true), (MAX_WIRE_DEPTH, false)] {
            let mut bytes = vec![0x91; lists];
            bytes.extend(&before);
            let [warm, cold] = both(&before, &bytes);
            assert_eq!(warm.is_ok(), is_read);
            assert_eq!(warm, cold);
        }
    }
}
