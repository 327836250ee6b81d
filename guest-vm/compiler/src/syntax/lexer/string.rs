//! String literals: plain with escapes, raw without.

use crate::issue::Code;

/// What was read from the start of a text.
pub struct Read {
    /// Bytes that belong to the literal, also if it is bad.
    pub length: usize,
    /// The decoded string.
    pub result: Result<String, StringError>,
}

/// Why a literal is bad, and where in it.
pub struct StringError {
    pub code: Code,
    pub start: usize,
    pub end: usize,
    pub hint: &'static str,
}

/// Reads the literal at the start of a text. The text may start with anything.
pub fn read(text: &str) -> Read {
    if let Some(rest) = text.strip_prefix("\"\"\"") {
        return match rest.find("\"\"\"") {
            Some(length) => Read {
                length: length + 6,
                result: Ok(rest[..length].to_string()),
            },
            None => Read {
                length: text.len(),
                result: Err(unclosed(3, "a raw string ends with `\"\"\"`")),
            },
        };
    }
    if text.starts_with('"') {
        return plain(text);
    }
    Read {
        length: text.chars().next().map_or(0, char::len_utf8),
        result: Err(unclosed(0, "a string starts with `\"`")),
    }
}

fn unclosed(end: usize, hint: &'static str) -> StringError {
    StringError {
        code: Code::LexString,
        start: 0,
        end,
        hint,
    }
}

fn plain(text: &str) -> Read {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut error = None;
    let mut at = 1;
    loop {
        let rest = &text[at..];
        let Some(stop) = rest.find(['"', '\\', '\n', '\r']) else {
            at = text.len();
            break;
        };
        out.push_str(&rest[..stop]);
        at += stop;
        match bytes[at] {
            b'"' => {
                return Read {
                    length: at + 1,
                    result: match error {
                        Some(error) => Err(error),
                        None => Ok(out),
                    },
                };
            }
            b'\\' => match escape(&text[at..]) {
                Ok((character, length)) => {
                    out.push(character);
                    at += length;
                }
                Err(length) => {
                    error.get_or_insert(StringError {
                        code: Code::LexEscape,
                        start: at,
                        end: at + length,
                        hint: escape_hint(&text[at..at + length]),
                    });
                    at += length;
                }
            },
            _ => break,
        }
    }
    Read {
        length: at,
        result: Err(unclosed(
            1,
            "close it on the same line, or use a raw string \"\"\"…\"\"\"",
        )),
    }
}

/// The character and length of the escape at the start of `text`, or the length of a bad one.
fn escape(text: &str) -> Result<(char, usize), usize> {
    let character = match text[1..].chars().next() {
        Some('"') => '"',
        Some('\\') => '\\',
        Some('/') => '/',
        Some('\'') => '\'',
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unicode(text),
        Some('\n' | '\r') | None => return Err(1),
        Some(other) => return Err(1 + other.len_utf8()),
    };
    Ok((character, 2))
}

fn escape_hint(escape: &str) -> &'static str {
    match escape.as_bytes().get(1..3) {
        Some([b'u', b'{']) => "`\\u{…}` has 1 to 6 hexadecimal digits and ends at \\u{10FFFF}",
        Some([b'u', b'd' | b'D']) => {
            "this is half of a character; write both halves, or the whole as `\\u{…}`"
        }
        _ if escape.starts_with("\\u") => "write four hexadecimal digits, or `\\u{…}`",
        _ if escape.starts_with("\\x") => "a character by its number is written `\\u{…}`",
        _ => {
            "a backslash is written `\\\\`; there are \\\" \\/ \\' \\b \\f \\n \\r \\t \\uHHHH and \\u{H…}, \
             and a raw string \"\"\"…\"\"\" has no escapes"
        }
    }
}

fn unicode(text: &str) -> Result<(char, usize), usize> {
    if let Some(rest) = text.strip_prefix("\\u{") {
        let digits = hex_length(rest, 7);
        let closed = rest.as_bytes().get(digits) == Some(&b'}');
        let length = 3 + digits + usize::from(closed);
        if !closed || digits == 0 || digits > 6 {
            return Err(length);
        }
        return u32::from_str_radix(&rest[..digits], 16)
            .ok()
            .and_then(char::from_u32)
            .map(|character| (character, length))
            .ok_or(length);
    }
    let first = four(&text[2..]).ok_or_else(|| 2 + hex_length(&text[2..], 4))?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 6));
    }
    let second = text[6..].strip_prefix("\\u").and_then(four).ok_or(6usize)?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return Err(6);
    }
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
        .map(|character| (character, 12))
        .ok_or(12)
}

fn hex_length(text: &str, limit: usize) -> usize {
    text.bytes()
        .take(limit)
        .take_while(u8::is_ascii_hexdigit)
        .count()
}

fn four(text: &str) -> Option<u32> {
    if hex_length(text, 4) < 4 {
        return None;
    }
    u32::from_str_radix(&text[..4], 16).ok()
}
