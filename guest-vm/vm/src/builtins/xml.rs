//! Module `xml`: characters by name or number.

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::{Map, Value};
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#xml_decode_entities" => decode_entities,
        _ => return None,
    })
}

/// What stands between `&` and `;` as text; nothing if it is unknown.
fn decoded(name: &str, entities: &Map) -> Result<Option<String>, Failure> {
    let Some(number) = name.strip_prefix('#') else {
        return match entities.get(name) {
            Some(text) => Ok(Some(args::text(text)?.as_str().to_owned())),
            None => Ok(None),
        };
    };
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Ok(None);
    }
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    Ok(char::from_u32(code)
        .filter(|c| *c != '\0')
        .map(String::from))
}

/// `(entities, text)`: the text with references replaced; unknown and
/// unterminated ones stay.
fn decode_entities(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let entities = args::map(&args[0])?;
    let mut rest = args::text(&args[1])?.as_str();
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        // A reference has no other `&` before its end.
        let end = rest
            .find([';', '&'])
            .filter(|end| rest[*end..].starts_with(';'));
        match end.map(|end| (end, &rest[..end])) {
            Some((end, name)) => match decoded(name, entities)? {
                Some(text) => {
                    out.push_str(&text);
                    rest = &rest[end + 1..];
                }
                None => out.push('&'),
            },
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    Ok(Value::text(out))
}
