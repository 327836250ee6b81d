//! Meaning of tagged objects.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::ParseErrorKind::{self, MalformedTag, UnknownTag};
use super::hex_float;
use crate::{BigInt, Case, Map, Ref, Value};

/// Accepts missing padding; the parser turns `-_` into `+/` first.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const TYPE: &str = "_rmx_type";
const VALUE: &str = "_rmx_value";
const DATA: &str = "data";

/// Turns an object whose `_rmx_type` starts with `{tag}` or `{str}` into the
/// value it stands for; other objects are maps.
pub(super) fn interpret(mut map: Map) -> Result<Value, ParseErrorKind> {
    let Some(Value::String(kind)) = map.get(TYPE) else {
        return Ok(Value::Map(map));
    };
    if let Some(rest) = kind.strip_prefix("{str}") {
        let unescaped = Value::from(rest);
        map.insert(TYPE.into(), unescaped);
        return Ok(Value::Map(map));
    }
    let Some(tag) = kind.strip_prefix("{tag}").map(str::to_owned) else {
        return Ok(Value::Map(map));
    };
    map.remove(TYPE);
    let malformed = || MalformedTag(shown(&tag));
    let value = if tag == "bin" || tag == "blob" || tag.starts_with("blob:") {
        map.remove(VALUE).or_else(|| map.remove(DATA))
    } else {
        map.remove(VALUE)
    };
    if !map.is_empty() {
        return Err(malformed());
    }
    match (tag.as_str(), value) {
        ("undefined", None) => Ok(Value::Undefined),
        ("null", None) => Ok(Value::Null),
        ("nan", None) => Ok(Value::Float(f64::NAN)),
        ("posinf", None) => Ok(Value::Float(f64::INFINITY)),
        ("neginf", None) => Ok(Value::Float(f64::NEG_INFINITY)),
        ("bool", Some(Value::Bool(b))) => Ok(Value::Bool(b)),
        ("str", Some(Value::String(text))) => Ok(Value::String(text)),
        ("int", Some(Value::String(digits))) => {
            BigInt::from_decimal(&digits).map_err(|_| malformed())
        }
        ("float", Some(Value::String(hex))) => hex_float::parse(&hex)
            .map(Value::Float)
            .ok_or_else(malformed),
        ("ref" | "case:db.ref", Some(Value::String(id))) => Ref::from_shared(id)
            .map(Value::Ref)
            .map_err(|_| malformed()),
        ("bin", Some(Value::String(text))) => decode_base64(&text).ok_or_else(malformed),
        ("blob", Some(Value::Binary(bytes))) => Ok(blob(None, bytes)),
        (
            "ref" | "case:db.ref" | "undefined" | "null" | "nan" | "posinf" | "neginf" | "bool"
            | "str" | "int" | "float" | "bin" | "blob",
            _,
        ) => Err(malformed()),
        (_, value) => {
            if let Some(mime) = tag.strip_prefix("blob:") {
                return match value {
                    Some(Value::Binary(bytes)) => Ok(blob(Some(mime), bytes)),
                    _ => Err(malformed()),
                };
            }
            let Some(name) = tag.strip_prefix("case:") else {
                return Err(UnknownTag(shown(&tag)));
            };
            if value.as_ref().is_some_and(Value::is_undefined) {
                return Err(ParseErrorKind::Undefined);
            }
            Case::new(name, value)
                .map(Value::Case)
                .map_err(|_| malformed())
        }
    }
}

fn blob(mime: Option<&str>, bytes: Arc<[u8]>) -> Value {
    let mut map = Map::new();
    map.insert(TYPE.into(), Value::from("blob"));
    if let Some(mime) = mime {
        map.insert("_rmx_content_type".into(), Value::from(mime));
    }
    map.insert(DATA.into(), Value::Binary(bytes));
    Value::Map(map)
}

fn decode_base64(text: &str) -> Option<Value> {
    let standard: String = text
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    LENIENT.decode(standard).ok().map(Value::binary)
}

/// A tag as it is shown in an error: never more than a line of it.
fn shown(tag: &str) -> String {
    let mut shown: String = "{tag}".chars().chain(tag.chars()).take(60).collect();
    if tag.chars().count() > 55 {
        shown.push('…');
    }
    shown
}
