//! Percent encoding of URL components (module `http`) and the query texts of
//! URL builders (module `env`).

use super::Builtin;
use super::args::{self, pass_undefined};
use crate::failure::Failure;
use crate::heap::Value;
use crate::surroundings::Surroundings;
use crate::text_form;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#url_component_escape" => escape_component,
        "#url_component_unescape" => unescape_component,
        "#env_query_text" => query_text,
        _ => return None,
    })
}

/// Appends a text, percent-encoded but for unreserved characters.
pub(super) fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b'*' | b'!' | b'(' | b')' | b'\'' => {
                out.push(char::from(byte));
            }
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

fn escape_component(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let mut out = String::new();
    escape(&mut out, args::text(&args[0])?);
    Ok(Value::text(out))
}

fn unescape_component(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[0])?;
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Failure::new(
                "ERR_PARSE",
                "% without two hexadecimal digits",
            ));
        };
        out.push((high * 16 + low) as u8);
    }
    match String::from_utf8(out) {
        Ok(text) => Ok(Value::text(text)),
        Err(_) => Err(Failure::new("ERR_UTF8", "the decoded bytes are not UTF-8")),
    }
}

/// `?k=v&…` of a map, values other than strings as EscJSON; `""` for null and `{}`.
fn query_text(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut out = String::new();
    if !matches!(args[0], Value::Null) {
        for (key, value) in args::map(&args[0])?.iter() {
            out.push(if out.is_empty() { '?' } else { '&' });
            escape(&mut out, key);
            out.push('=');
            match value {
                Value::Text(text) => escape(&mut out, text),
                value => escape(&mut out, &text_form::format_esc_json(value)?),
            }
        }
    }
    Ok(Value::text(out))
}
