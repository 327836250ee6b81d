//! Records that are stored as they come: members in order, with values that hold nothing to look at.
//!
//! Most records that a call brings encoded are of this kind. They become no [`Value`]: their bytes, in the
//! shortest form, and their content hash are made while they are read.

use mix_value::msgpack::{Reader, Token, Writer};
use mix_value::{Value, escjson};

use crate::batch::hash_of_text;
use crate::prepare::MAX_KEY;

/// What the engine-owned fields begin with, and others that are looked at.
const OWNED: &str = "_rmx_";

/// A record that is going to be saved.
#[derive(Debug, Clone)]
pub enum Draft {
    /// Any value. What is no map is refused.
    Value(Value),
    /// One that is stored as it is.
    Plain(Plain),
}

impl From<Value> for Draft {
    fn from(value: Value) -> Draft {
        Draft::Value(value)
    }
}

/// The content of a record, as it is stored, and its hash.
#[derive(Debug, Clone)]
pub struct Plain {
    /// The members, encoded, in order.
    members: Box<[u8]>,
    count: usize,
    /// Bytes of the members that come before the engine-owned fields.
    before: usize,
    hash: String,
}

impl Plain {
    /// Number of members.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The members before the engine-owned fields, and those behind them.
    pub(crate) fn members(&self) -> (&[u8], &[u8]) {
        self.members.split_at(self.before)
    }

    /// The content hash.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }
}

/// Reads plain records, one after another.
#[derive(Debug, Default)]
pub struct PlainReader {
    text: String,
    members: Vec<u8>,
}

impl PlainReader {
    /// The record that `bytes` begin with, and its length there. None: it has to become a [`Value`] first, which
    /// says nothing about whether it can be saved. What is given is stored as the value would be.
    pub fn read(&mut self, bytes: &[u8]) -> Option<(Plain, usize)> {
        let mut reader = Reader::new(bytes);
        let Token::MapStart(count) = reader.next().ok()? else {
            return None;
        };
        self.members.clear();
        self.text.clear();
        self.text.push('{');
        let mut before = None;
        let mut last: Option<&str> = None;
        for _ in 0..count {
            let Token::Key(key) = reader.next().ok()? else {
                return None;
            };
            let in_order = last.is_none_or(|last| last < key);
            if !in_order || key.len() > MAX_KEY || key.starts_with(OWNED) {
                return None;
            }
            if last.is_some() {
                self.text.push(',');
            }
            last = Some(key);
            if before.is_none() && key > OWNED {
                before = Some(self.members.len());
            }
            escjson::write_string(&mut self.text, key);
            self.text.push(':');
            Writer::new(&mut self.members).str(key).ok()?;
            match reader.next().ok()? {
                Token::ArrayStart(count) => {
                    Writer::new(&mut self.members).array(count).ok()?;
                    self.text.push('[');
                    for index in 0..count {
                        if index > 0 {
                            self.text.push(',');
                        }
                        self.scalar(&reader.next().ok()?)?;
                    }
                    self.text.push(']');
                }
                token => self.scalar(&token)?,
            }
        }
        self.text.push('}');
        if !reader.is_done() {
            return None;
        }
        let plain = Plain {
            members: self.members.as_slice().into(),
            count,
            before: before.unwrap_or(self.members.len()),
            hash: hash_of_text(&self.text),
        };
        Some((plain, reader.position()))
    }

    /// A value that holds no others, and stands for nothing else.
    fn scalar(&mut self, token: &Token<'_>) -> Option<()> {
        let mut writer = Writer::new(&mut self.members);
        let number = match *token {
            Token::Null => {
                writer.null();
                self.text.push_str("null");
                return Some(());
            }
            Token::Bool(flag) => {
                writer.bool(flag);
                self.text.push_str(if flag { "true" } else { "false" });
                return Some(());
            }
            Token::Str(text) => {
                writer.str(text).ok()?;
                escjson::write_string(&mut self.text, text);
                return Some(());
            }
            Token::Int(int) => {
                writer.int(int);
                Value::Int(int)
            }
            Token::Float(float) => {
                writer.float(float);
                Value::Float(float)
            }
            _ => return None,
        };
        escjson::format_into(&mut self.text, &number).ok()
    }
}

#[cfg(test)]
mod tests {
    use mix_value::{Map, msgpack};
    use proptest::prelude::*;

    use super::*;
    use crate::batch::content_hash;

    fn read(bytes: &[u8]) -> Option<(Plain, usize)> {
        PlainReader::default().read(bytes)
    }

    fn map(members: &[(&str, Value)]) -> Map {
        let members = members.iter().cloned();
        members.map(|(key, value)| (key.into(), value)).collect()
    }

    /// Values of all kinds that are stored as they are.
    fn scalars() -> Vec<Value> {
        let ints = [0, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, i64::MAX];
        let negative = [-1, -32, -33, -128, -129, -32_768, -32_769, i64::MIN];
        let floats = [0.0, -0.0, 1.0, 2.5, 1e300, f64::NAN, f64::INFINITY, -1e16];
        let texts = [
            "",
            "a",
            "\"\\\n\u{1}",
            "é€𝄞",
            &"x".repeat(40),
            &"y".repeat(70_000),
        ];
        let mut all = vec![Value::Null, Value::Bool(true), Value::Bool(false)];
        all.extend(ints.into_iter().chain(negative).map(Value::Int));
        all.extend(floats.map(Value::Float));
        all.extend(texts.map(Value::from));
        all.push(Value::Array(all.clone()));
        all.push(Value::Array(Vec::new()));
        all
    }

    #[test]
    fn members_and_hash_are_those_of_the_value() {
        let keys = ["", "Z", "_", "_rmx", "_rm\u{7f}", "_rmx`", "a", "é"];
        let mut records: Vec<Map> = scalars()
            .into_iter()
            .map(|value| map(&[("a", Value::Int(1)), ("value", value)]))
            .collect();
        for first in 0..keys.len() {
            let some = keys[first..].iter().map(|key| (*key, Value::from(*key)));
            records.push(map(&some.collect::<Vec<_>>()));
        }
        records.push(Map::new());
        for record in records {
            let value = Value::Map(record.clone());
            let mut bytes = msgpack::encode(&value).expect("encodes");
            let length = bytes.len();
            bytes.extend([0xc0; 3]);
            let (plain, read) = read(&bytes).expect("plain");
            assert_eq!((read, plain.len()), (length, record.len()));
            let (before, behind) = plain.members();
            let members = [before, behind].concat();
            assert!(bytes[..length].ends_with(&members));
            let expected = record.keys().filter(|key| ***key < *OWNED).count();
            let mut head = Vec::new();
            Writer::new(&mut head).map(expected).expect("short");
            head.extend(before);
            let decoded = msgpack::decode(&head).expect("a map");
            assert_eq!(decoded.as_map().map(Map::len), Some(expected));
            assert_eq!(plain.hash(), content_hash(&record).expect("a hash"));
        }
    }

    fn member() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-200..70_000_i64).prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            any::<String>().prop_map(|text| Value::from(text.as_str())),
        ];
        let list = proptest::collection::vec(scalar.clone(), 0..20).prop_map(Value::Array);
        prop_oneof![4 => scalar, 1 => list]
    }

    proptest! {
        #[test]
        fn any_such_record_is_stored_as_its_value_is(
            members in proptest::collection::btree_map("_?(r?m?x?_?)[`A-Za-z]{0,3}", member(), 0..20),
        ) {
            let record: Map = members.into_iter().map(|(key, value)| (key.into(), value)).collect();
            let bytes = msgpack::encode(&Value::Map(record.clone())).expect("encodes");
            let is_owned = record.keys().any(|key| key.starts_with(OWNED));
            let plain = read(&bytes);
            prop_assert_eq!(plain.is_none(), is_owned);
            if let Some((plain, length)) = plain {
                prop_assert_eq!(length, bytes.len());
                let (before, behind) = plain.members();
                prop_assert!(bytes.ends_with(&[before, behind].concat()));
                prop_assert_eq!(plain.hash(), content_hash(&record).expect("a hash"));
            }
        }
    }

    #[test]
    fn longer_forms_become_the_shortest() {
        // {"a": 1, "b": 2.5 as four bytes}
        let long = [
            0xde, 0, 2, 0xd9, 1, b'a', 0xd3, 0, 0, 0, 0, 0, 0, 0, 1, 0xa1, b'b', 0xca, 0x40, 0x20,
            0, 0,
        ];
        let record = map(&[("a", Value::Int(1)), ("b", Value::Float(2.5))]);
        let (plain, length) = read(&long).expect("plain");
        assert_eq!(length, long.len());
        let (_, members) = plain.members();
        let shortest = msgpack::encode(&Value::Map(record.clone())).expect("encodes");
        assert_eq!(members, &shortest[1..]);
        assert_eq!(plain.hash(), content_hash(&record).expect("a hash"));
    }

    #[test]
    fn what_is_looked_at_is_not_plain() {
        let id = mix_value::Ref::new("0123456789abcdefghijABCDEFGHIJ00").expect("a ref");
        let inner = Value::Array(vec![Value::Array(Vec::new())]);
        let long = "k".repeat(MAX_KEY + 1);
        for (key, value) in [
            ("_rmx_id", Value::Ref(id.clone())),
            ("_rmx_type", Value::from("blob")),
            ("_rmx_", Value::Null),
            ("a", Value::Ref(id.clone())),
            ("a", Value::Array(vec![Value::Ref(id)])),
            ("a", Value::Undefined),
            ("a", Value::Map(Map::new())),
            ("a", inner),
            ("a", Value::Binary([1][..].into())),
            (&*long, Value::Null),
        ] {
            let bytes = msgpack::encode(&Value::Map(map(&[(key, value)]))).expect("encodes");
            assert!(read(&bytes).is_none(), "{key}");
        }
        // Keys out of order or twice, no map, and a map that is cut off.
        for bytes in [
            &[0x82, 0xa1, b'b', 1, 0xa1, b'a', 2][..],
            &[0x82, 0xa1, b'a', 1, 0xa1, b'a', 2],
            &[0x90],
            &[0xc0],
            &[0x82, 0xa1, b'a', 1],
            &[],
        ] {
            assert!(read(bytes).is_none(), "{bytes:?}");
        }
    }
}
