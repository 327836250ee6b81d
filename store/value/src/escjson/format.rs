//! Values to text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Map, Value, number};

/// Why a value has no text form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The kind has no text form (in plain mode: no native JSON form).
    #[error("a value of kind {0} has no {1} form")]
    NotSerializable(&'static str, &'static str),
    /// Deeper than [`super::MAX_PARSE_DEPTH`].
    #[error("value is nested too deeply")]
    TooDeep,
}

/// The EscJSON text of a value. Undefined has one only as the whole value.
pub fn format(value: &Value) -> Result<String, FormatError> {
    let mut out = String::new();
    format_into(&mut out, value)?;
    Ok(out)
}

/// Appends the EscJSON text of a value. After an error there is a part of it.
pub fn format_into(out: &mut String, value: &Value) -> Result<(), FormatError> {
    if value.is_undefined() {
        out.push_str(UNDEFINED);
    } else {
        Formatter {
            out,
            tagged: true,
            undefined: false,
        }
        .value(value, 0)?;
    }
    Ok(())
}

/// The same of a value in which undefined may be anywhere, such as the tree of a query. It is read
/// with [`UndefinedMembers::Anywhere`](super::UndefinedMembers::Anywhere).
pub fn format_tree(value: &Value) -> Result<String, FormatError> {
    let mut out = String::new();
    Formatter {
        out: &mut out,
        tagged: true,
        undefined: true,
    }
    .value(value, 0)?;
    Ok(out)
}

/// The text of undefined.
const UNDEFINED: &str = r#"{"_rmx_type":"{tag}undefined"}"#;

/// The plain JSON text of a value.
pub fn format_plain(value: &Value) -> Result<String, FormatError> {
    let mut out = String::new();
    Formatter {
        out: &mut out,
        tagged: false,
        undefined: false,
    }
    .value(value, 0)?;
    Ok(out)
}

/// Appends a JSON string: only `"`, `\` and U+0000 to U+001F are escaped.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    while let Some(index) = first_escaped(rest.as_bytes()) {
        out.push_str(&rest[..index]);
        // One byte, as all that are escaped are.
        let byte = rest.as_bytes()[index];
        rest = &rest[index + 1..];
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            8 => out.push_str("\\b"),
            9 => out.push_str("\\t"),
            10 => out.push_str("\\n"),
            12 => out.push_str("\\f"),
            13 => out.push_str("\\r"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push_str(rest);
    out.push('"');
}

/// Where the first byte is that is escaped. Eight are looked at together: most texts have none.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    // The high bit of each byte that is below `limit`, and perhaps of some behind one.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let is_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, eight) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslashes = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = below(word, 0x20) | quotes | backslashes;
        if found != 0 {
            // The lowest bit is exact.
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(is_escaped)?;
    Some(bytes.len() - rest.len() + found)
}

/// Appends the JSON text of a finite float. An integral one beyond ±2^53
/// keeps a mark of being a float, so that it is read as the float it is.
fn write_finite(out: &mut String, float: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let start = out.len();
    number::write_float(out, float);
    if float.abs() > EXACT && !out[start..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

struct Formatter<'a> {
    out: &'a mut String,
    tagged: bool,
    /// Undefined has a form wherever it is.
    undefined: bool,
}

impl Formatter<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), FormatError> {
        if depth > super::MAX_PARSE_DEPTH {
            return Err(FormatError::TooDeep);
        }
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Bool(true) => self.out.push_str("true"),
            Value::Bool(false) => self.out.push_str("false"),
            Value::Int(i) => self.out.push_str(&number::format_int(*i)),
            Value::Float(f) if f.is_finite() => write_finite(self.out, *f),
            Value::String(text) => write_string(self.out, text),
            Value::Array(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.value(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => self.map(map, depth)?,
            Value::Undefined if self.undefined => self.out.push_str(UNDEFINED),
            Value::Undefined | Value::Token(_) | Value::Handle(_) => {
                return Err(FormatError::NotSerializable(
                    value.kind(),
                    if self.tagged { "EscJSON" } else { "JSON" },
                ));
            }
            _ if !self.tagged => {
                return Err(FormatError::NotSerializable(exotic_kind(value), "JSON"));
            }
            Value::Float(f) if f.is_nan() => self.tag("nan"),
            Value::Float(f) if *f > 0.0 => self.tag("posinf"),
            Value::Float(_) => self.tag("neginf"),
            Value::BigInt(big) => self.tag_text("int", &big.to_string()),
            Value::Ref(r) => self.tag_text("case:db.ref", r.as_str()),
            Value::Binary(bytes) => self.tag_text("bin", &STANDARD.encode(bytes)),
            Value::Case(case) => {
                self.out.push_str(r#"{"_rmx_type":"{tag}case:"#);
                self.out.push_str(&case.name);
                self.out.push('"');
                if let Some(argument) = &case.argument {
                    self.out.push_str(r#","_rmx_value":"#);
                    self.value(argument, depth + 1)?;
                }
                self.out.push('}');
            }
        }
        Ok(())
    }

    fn map(&mut self, map: &Map, depth: usize) -> Result<(), FormatError> {
        self.out.push('{');
        for (index, (key, member)) in map.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write_string(self.out, key);
            self.out.push(':');
            match member {
                Value::String(text) if self.tagged && &**key == "_rmx_type" && is_special(text) => {
                    let mut escaped = String::with_capacity(text.len() + 5);
                    escaped.push_str("{str}");
                    escaped.push_str(text);
                    write_string(self.out, &escaped);
                }
                _ => self.value(member, depth + 1)?,
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn tag(&mut self, tag: &str) {
        self.out.push_str(r#"{"_rmx_type":"{tag}"#);
        self.out.push_str(tag);
        self.out.push_str("\"}");
    }

    fn tag_text(&mut self, tag: &str, text: &str) {
        self.out.push_str(r#"{"_rmx_type":"{tag}"#);
        self.out.push_str(tag);
        self.out.push_str(r#"","_rmx_value":"#);
        write_string(self.out, text);
        self.out.push('}');
    }
}

fn is_special(text: &str) -> bool {
    text.starts_with("{tag}") || text.starts_with("{str}")
}

fn exotic_kind(value: &Value) -> &'static str {
    match value {
        Value::Float(f) if f.is_nan() => "NaN",
        Value::Float(_) => "infinity",
        Value::BigInt(_) => "integer beyond 64 bits",
        other => other.kind(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_that_is_escaped_is_found_wherever_it_is() {
        for byte in 0..=0x7f_u8 {
            let is_escaped = byte < 0x20 || byte == b'"' || byte == b'\\';
            for before in 0..20 {
                let mut text = "\u{e9}".repeat(before / 2) + &"a".repeat(before % 2);
                let index = text.len();
                text.push(char::from(byte));
                text.push_str("!\u{7ff}\u{10ffff}!!!!!!!\u{80}");
                let found = first_escaped(text.as_bytes());
                assert_eq!(found, is_escaped.then_some(index), "{text:?}");
                let mut out = String::new();
                write_string(&mut out, &text);
                let back = crate::escjson::parse_plain(&out).expect("a JSON string");
                assert_eq!(back, Value::from(text.as_str()));
            }
        }
    }
}
