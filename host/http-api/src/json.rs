//! JSON bodies: one walk for depth, duplicate keys and the place of an error, then the value.

use crate::error::ApiError;
use mix_value::escjson::{self, Mode, Options, UndefinedMembers};
use mix_value::{Map, Value};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Reads a JSON body as a Mix value. `tags` interprets `{tag}` objects; a member that is undefined is left out.
pub(crate) fn body(bytes: &[u8], tags: bool) -> Result<Value, ApiError> {
    let mode = if tags { Mode::Tagged } else { Mode::Plain };
    parsed(bytes, mode, UndefinedMembers::Drop)
}

/// The same with tags, and with what may be undefined.
pub(crate) fn tagged(bytes: &[u8], undefined: UndefinedMembers) -> Result<Value, ApiError> {
    parsed(bytes, Mode::Tagged, undefined)
}

fn parsed(bytes: &[u8], mode: Mode, undefined: UndefinedMembers) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ApiError::new(400, "bad_json", "the body is not UTF-8")
            .with_detail("offset", Value::Int(error.valid_up_to() as i64))
    })?;
    check(text)?;
    let options = Options {
        mode,
        undefined_members: undefined,
        ..Options::default()
    };
    let parsed = escjson::parse_with(text, &options);
    // The text is JSON, so what is left to fail is a tag.
    let value = parsed.map_err(|error| ApiError::new(400, "bad_value", error.to_string()))?;
    if matches!(value, Value::Undefined) {
        return Err(ApiError::new(
            400,
            "bad_value",
            "undefined cannot be a body",
        ));
    }
    Ok(value)
}

/// A value without its undefined members, as those of JSON are. An element of an array cannot be left out.
pub(crate) fn settled(value: Value) -> Result<Value, ApiError> {
    Ok(match value {
        Value::Undefined => {
            let message = "undefined is not allowed in an array or a case";
            return Err(ApiError::new(400, "bad_value", message));
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().map(settled).collect::<Result<_, _>>()?)
        }
        Value::Map(map) => {
            let members = map.into_iter().filter(|(_, member)| !member.is_undefined());
            let settled = members.map(|(key, member)| Ok((key, settled(member)?)));
            Value::Map(settled.collect::<Result<Map, ApiError>>()?)
        }
        Value::Case(mut case) => {
            if let Some(argument) = case.argument.take() {
                case.argument = Some(Box::new(settled(*argument)?));
            }
            Value::Case(case)
        }
        other => other,
    })
}

/// Levels of arrays and objects in a body.
const MAX_DEPTH: usize = 128;

/// Fails unless `text` is one JSON text of at most [`MAX_DEPTH`] levels without duplicate keys.
pub(crate) fn check(text: &str) -> Result<(), ApiError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    // Its own limit allows one level less; `Shape` counts instead.
    reader.disable_recursion_limit();
    let shape = Shape { levels: MAX_DEPTH };
    let checked = shape.deserialize(&mut reader).and_then(|()| reader.end());
    checked.map_err(|error| {
        let offset = match error.is_eof() {
            true => text.len(),
            false => offset_of(text, error.line(), error.column()),
        };
        let message = error.to_string();
        let reason = match message.split(" at line ").next() {
            Some(reason) if reason.starts_with("EOF") => "the text ends too early",
            Some("expected ident") => "expected true, false or null",
            Some("unexpected end of hex escape" | "lone leading surrogate in hex escape") => {
                "unpaired surrogate"
            }
            Some(reason) => reason,
            None => "malformed JSON",
        };
        ApiError::new(400, "bad_json", format!("{reason} at byte {offset}"))
            .with_detail("offset", Value::Int(offset as i64))
    })
}

/// serde_json counts lines and columns from 1, columns in bytes.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// Any JSON value, visited for its shape only.
#[derive(Clone, Copy)]
struct Shape {
    /// Levels that may still be opened.
    levels: usize,
}

impl Shape {
    fn inside<E: de::Error>(self) -> Result<Shape, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Shape { levels }),
            None => Err(E::custom(format!("more than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        let mut seen = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format!("duplicate key {key:?}")));
            }
            members.next_value_seed(inside)?;
            seen.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        body(text.as_bytes(), true)
            .expect_err("must be refused")
            .code
    }

    #[test]
    fn bad_bodies_have_codes() {
        assert_eq!(code("{"), "bad_json");
        assert_eq!(code(r#"{"a":1,"a":2}"#), "bad_json");
        assert_eq!(code("1 2"), "bad_json");
        assert_eq!(code(&"[".repeat(100_000)), "bad_json");
        assert_eq!(
            body(b"\"\xff\"", true).expect_err("not UTF-8").code,
            "bad_json"
        );
        assert_eq!(code(r#"{"a":{"_rmx_type":"{tag}token"}}"#), "bad_value");
    }

    #[test]
    fn nesting_is_allowed_up_to_128_levels() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(body(nested(128).as_bytes(), true).is_ok());
        assert_eq!(code(&nested(129)), "bad_json");
    }

    #[test]
    fn the_offset_of_an_error_is_in_the_details() {
        let error = body(b"{\n\"a\": x}", true).expect_err("malformed");
        assert_eq!(error.details.get("offset"), Some(&Value::Int(7)));
        for (text, expected) in [
            ("[", "the text ends too early at byte 1"),
            (r#"{"a":1"#, "the text ends too early at byte 6"),
            ("nope", "expected true, false or null at byte 1"),
            (r#"["\ud800"]"#, "unpaired surrogate at byte 8"),
        ] {
            let error = body(text.as_bytes(), true).expect_err("malformed");
            assert_eq!(error.message, expected, "{text}");
        }
    }
}
