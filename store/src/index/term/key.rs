//! Keys: values as byte strings that sort like the values.

use mix_value::Value;
use mix_value::msgpack::Token;

/// Longest string, in characters, that has a key of its own.
const MAX_STRING: usize = 256;

const NULL: u8 = 0x10;
const FALSE: u8 = 0x20;
const TRUE: u8 = 0x21;
const NUMBER: u8 = 0x30;
const STRING: u8 = 0x40;
const REF: u8 = 0x60;
const CASE: u8 = 0x90;
/// Greater than every key.
pub(crate) const KEYS_END: u8 = 0xff;

/// Keys of one kind, or of all: what lies between `from` (inclusive) and `to` (exclusive).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
}

impl KeyRange {
    pub fn new(from: impl Into<Vec<u8>>, to: impl Into<Vec<u8>>) -> KeyRange {
        KeyRange {
            from: from.into(),
            to: to.into(),
        }
    }

    /// Exactly one key.
    pub fn only(key: Vec<u8>) -> KeyRange {
        KeyRange {
            to: after(&key),
            from: key,
        }
    }

    /// Every key.
    pub fn all() -> KeyRange {
        KeyRange::new([NULL], [KEYS_END])
    }

    pub fn null() -> KeyRange {
        KeyRange::only(vec![NULL])
    }

    pub fn bools() -> KeyRange {
        KeyRange::new([FALSE], [TRUE + 1])
    }

    /// All numbers but NaN.
    pub fn numbers() -> KeyRange {
        KeyRange::new(after(&nan_key()), [NUMBER + 1])
    }

    pub fn nan() -> KeyRange {
        KeyRange::only(nan_key())
    }

    pub fn strings() -> KeyRange {
        KeyRange::new([STRING], [STRING + 1])
    }

    pub fn refs() -> KeyRange {
        KeyRange::new([REF], [REF + 1])
    }

    pub fn cases() -> KeyRange {
        KeyRange::new([CASE], [CASE + 1])
    }

    /// Numbers whose key may stand for several.
    pub fn inexact() -> [KeyRange; 2] {
        const LIMIT: f64 = 9_007_199_254_740_992.0;
        [
            KeyRange::new(after(&nan_key()), after(&number_key(-LIMIT))),
            KeyRange::new(number_key(LIMIT), [NUMBER + 1]),
        ]
    }

    /// Strings that begin with this one.
    pub fn prefix(text: &str) -> KeyRange {
        let from = string_key(text);
        let mut to = from.clone();
        // The byte ff occurs in no UTF-8 text, so nothing that begins with `text` is beyond it.
        to.push(0xff);
        KeyRange { from, to }
    }

    /// Whether there is only one key in it.
    pub fn is_only(&self) -> bool {
        self.to.strip_suffix(&[0]) == Some(&self.from)
    }
}

/// The least byte string greater than `key`.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

/// How an index knows a constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// All values with this key are equal to it, and no others are.
    Exact(Vec<u8>),
    /// Equal values have this key, and some others may have it too.
    Rough(Vec<u8>),
    /// A string that is too long.
    Long,
    Array,
    /// It has no key.
    Other,
    /// Nothing is equal to it.
    Never,
}

/// How an index knows a constant of a query.
pub(crate) fn key_of(value: &Value) -> Key {
    match value {
        Value::Null => Key::Exact(vec![NULL]),
        Value::Bool(set) => Key::Exact(vec![FALSE + u8::from(*set)]),
        Value::Int(number) => number_of(*number as f64),
        Value::Float(number) if number.is_nan() => Key::Never,
        Value::Float(number) => number_of(*number),
        Value::BigInt(big) => number_of(big.to_f64()),
        Value::String(text) if fits(text) => Key::Exact(string_key(text)),
        Value::String(_) => Key::Long,
        Value::Ref(id) => match ref_key(id.as_str()) {
            Some(key) => Key::Exact(key),
            None => Key::Other,
        },
        Value::Array(_) => Key::Array,
        Value::Case(case) => {
            let index = case
                .argument
                .as_deref()
                .and_then(|argument| argument.get("_rmx_index"));
            match index.and_then(plain_key) {
                Some(key) => Key::Rough(case_key(&case.name, &key)),
                None => Key::Other,
            }
        }
        Value::Map(_) | Value::Binary(_) => Key::Other,
        Value::Undefined | Value::Token(_) | Value::Handle(_) => Key::Never,
    }
}

/// Keys that a case's `_rmx_index` may have.
fn plain_key(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => Some(vec![NULL]),
        Value::Bool(set) => Some(vec![FALSE + u8::from(*set)]),
        Value::String(text) if fits(text) => Some(string_key(text)),
        Value::Ref(id) => ref_key(id.as_str()),
        _ => None,
    }
}

/// As [`plain_key`], of an encoded value: appends the key; false if it has none.
pub(crate) fn write_plain_key(token: &Token<'_>, out: &mut Vec<u8>) -> bool {
    match token {
        Token::Null => out.push(NULL),
        Token::Bool(set) => out.push(FALSE + u8::from(*set)),
        Token::Str(text) if fits(text) => {
            out.push(STRING);
            out.extend_from_slice(text.as_bytes());
        }
        Token::Ref(id) => return write_ref_key(id, out),
        _ => return false,
    }
    true
}

/// Appends the key of an encoded scalar; false if it has none.
pub(crate) fn write_scalar_key(token: &Token<'_>, out: &mut Vec<u8>) -> bool {
    let number = match token {
        Token::Int(number) => *number as f64,
        Token::Float(number) => *number,
        Token::BigInt(big) => big.to_f64(),
        token => return write_plain_key(token, out),
    };
    out.extend_from_slice(&number_bytes(number));
    true
}

/// The value of a key, where the key tells all of it.
pub(crate) fn value_of(key: &[u8]) -> Option<Value> {
    match key {
        [NULL] => Some(Value::Null),
        [FALSE] => Some(Value::Bool(false)),
        [TRUE] => Some(Value::Bool(true)),
        [STRING, text @ ..] => std::str::from_utf8(text).ok().map(Value::from),
        [REF, packed @ ..] => mix_value::Ref::new(&unpack(packed)?).ok().map(Value::Ref),
        _ => None,
    }
}

pub(crate) fn fits(text: &str) -> bool {
    // A character takes at most four bytes: most strings need no count.
    text.len() <= MAX_STRING || text.len() <= 4 * MAX_STRING && text.chars().count() <= MAX_STRING
}

pub(crate) fn string_key(text: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(text.len() + 2);
    key.push(STRING);
    key.extend_from_slice(text.as_bytes());
    key
}

/// The text of a string key.
pub(crate) fn text_of_key(key: &[u8]) -> Option<&str> {
    let text = key.strip_prefix(&[STRING])?;
    std::str::from_utf8(text).ok()
}

fn number_of(number: f64) -> Key {
    /// Below this every int is a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let key = number_key(number);
    if number.abs() < EXACT {
        Key::Exact(key)
    } else {
        Key::Rough(key)
    }
}

/// Numbers by their nearest float: equal ones share a key, and beyond 2^53
/// some others do too.
fn number_key(number: f64) -> Vec<u8> {
    number_bytes(number).to_vec()
}

fn number_bytes(number: f64) -> [u8; 9] {
    let mut key = [0; 9];
    key[0] = NUMBER;
    if !number.is_nan() {
        let bits = if number == 0.0 { 0 } else { number.to_bits() };
        let sortable = if bits >> 63 == 1 {
            !bits
        } else {
            bits | 1 << 63
        };
        key[1..].copy_from_slice(&sortable.to_be_bytes());
    }
    key
}

fn nan_key() -> Vec<u8> {
    number_key(f64::NAN)
}

/// The key of a well-formed ref.
pub(crate) fn ref_key(id: &str) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(26);
    write_ref_key(id, &mut key).then_some(key)
}

/// Appends the key of a ref; false, and nothing appended, if it is not well-formed.
pub(super) fn write_ref_key(id: &str, out: &mut Vec<u8>) -> bool {
    let (fours, rest) = id.as_bytes().as_chunks::<4>();
    let Ok(fours) = <&[[u8; 4]; 8]>::try_from(fours) else {
        return false;
    };
    let mut key = [REF; 25];
    let mut wrong = !rest.is_empty();
    for (four, bytes) in fours.iter().zip(key[1..].as_chunks_mut::<3>().0) {
        let digits = four.map(|byte| u32::from(DIGITS[usize::from(byte)]));
        let [a, b, c, d] = digits;
        wrong |= (a | b | c | d) > 0x3f;
        let bits = a << 18 | b << 12 | c << 6 | d;
        bytes.copy_from_slice(&bits.to_be_bytes()[1..]);
    }
    if !wrong {
        out.extend_from_slice(&key);
    }
    !wrong
}

/// What [`digit`] tells of each byte; greater than all digits if it is none.
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut byte = 0;
    while byte < digits.len() {
        if let Some(digit) = digit(byte as u8) {
            digits[byte] = digit;
        }
        byte += 1;
    }
    digits
};

/// The place of a character of an id among all, in the order of their bytes.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'Z' => Some(byte - b'A' + 10),
        b'a'..=b'z' => Some(byte - b'a' + 36),
        _ => None,
    }
}

fn unpack(packed: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(32);
    for three in packed.as_chunks::<3>().0 {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for shift in [18, 12, 6, 0] {
            text.push(match (bits >> shift & 63) as u8 {
                digit @ 0..10 => (b'0' + digit) as char,
                digit @ 10..36 => (b'A' + digit - 10) as char,
                digit @ 36..62 => (b'a' + digit - 36) as char,
                _ => return None,
            });
        }
    }
    (text.len() == 32).then_some(text)
}

/// The key of a case that sorts by its `_rmx_index`.
fn case_key(name: &str, index: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + index.len() + 3);
    write_case_key(name, &mut key);
    key.extend_from_slice(index);
    key
}

/// Appends the beginning of the key of a case; the key of its `_rmx_index` follows.
pub(crate) fn write_case_key(name: &str, out: &mut Vec<u8>) {
    out.push(CASE);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use mix_value::sort_order;

    #[test]
    fn keys_sort_like_their_values() {
        let mut values = vec![
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Float(f64::NEG_INFINITY),
            Value::Float(f64::INFINITY),
            Value::Float(-0.0),
            Value::Int(0),
            Value::Float(1e-300),
            Value::Float(-1e-300),
            Value::Int(-7),
            Value::Int(7),
            Value::Float(7.5),
            Value::from(""),
            Value::from("a"),
            Value::from("a\u{0}"),
            Value::from("ab"),
            Value::from("\u{10ffff}"),
        ];
        for id in ["0", "9", "A", "Z", "a", "z"] {
            let id = format!("{}{}", id.repeat(31), "5");
            values.push(Value::Ref(mix_value::Ref::new(&id).expect("a ref")));
        }
        for a in &values {
            for b in &values {
                let (Key::Exact(ka) | Key::Rough(ka), Key::Exact(kb) | Key::Rough(kb)) =
                    (key_of(a), key_of(b))
                else {
                    panic!("{a:?} or {b:?} has no key");
                };
                assert_eq!(ka.cmp(&kb), sort_order(a, b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn refs_come_back_from_their_keys() {
        for id in ["aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF", &"z".repeat(32)] {
            let value = value_of(&ref_key(id).expect("well-formed")).expect("a value");
            assert_eq!(value.as_ref_value().map(|id| id.as_str()), Some(id));
        }
        assert_eq!(ref_key("p"), None);
        assert_eq!(ref_key(&"-".repeat(32)), None);
    }
}
