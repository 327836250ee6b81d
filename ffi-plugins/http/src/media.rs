//! Text or binary, and which text.

use std::cmp::Reverse;

use mix_plugin_sdk::{Map, Value};

/// How a body is given to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As a string.
    Text,
    /// As a binary.
    Binary,
}

/// Media types that are text. Everything else is binary.
const TEXT: [&str; 8] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/xml",
    "application/*+xml",
    "application/javascript",
    "application/x-www-form-urlencoded",
    "application/x-ndjson",
];

/// Mode of a media type, by the table of the program and then by the default one.
pub fn mode(content_type: &str, table: Option<&Map>) -> Mode {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let own = table.iter().flat_map(|table| {
        table
            .iter()
            .filter_map(|(pattern, mode)| Some((&**pattern, wish(mode)?)))
    });
    best(own, &essence)
        .or_else(|| {
            best(
                TEXT.into_iter().map(|pattern| (pattern, Mode::Text)),
                &essence,
            )
        })
        .unwrap_or(Mode::Binary)
}

/// `textMode` or `binaryMode`, with or without the name of the module that defines it.
fn wish(mode: &Value) -> Option<Mode> {
    let name = match mode {
        Value::Case(case) => &case.name,
        Value::String(name) => name,
        _ => return None,
    };
    match name.rsplit('.').next()? {
        "textMode" => Some(Mode::Text),
        "binaryMode" => Some(Mode::Binary),
        _ => None,
    }
}

/// An exact entry, else the matching pattern with the most characters besides `*`, ties by
/// byte order.
fn best<'a>(entries: impl Iterator<Item = (&'a str, Mode)>, essence: &str) -> Option<Mode> {
    entries
        .filter(|(pattern, _)| matches(pattern.as_bytes(), essence.as_bytes()))
        .min_by_key(|(pattern, _)| {
            let fixed = pattern.bytes().filter(|byte| *byte != b'*').count();
            (*pattern != essence, Reverse(fixed), *pattern)
        })
        .map(|(_, mode)| mode)
}

/// `*` is any run of bytes. Linear in the product of the lengths, without recursion.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and up to where it reaches.
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, reach)) = star {
            star = Some((at, reach + 1));
            p = at + 1;
            t = reach + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// What marks a text as UTF-8 at its beginning; it is no part of it.
pub const MARK: &[u8] = b"\xef\xbb\xbf";

/// Decodes text: the character set of the media type if it is known, else UTF-8, else
/// ISO-8859-1.
pub fn text(content_type: &str, bytes: &[u8]) -> String {
    if let Some(encoding) = encoding(content_type) {
        let (text, _) = encoding.decode_with_bom_removal(bytes);
        return text.into_owned();
    }
    match std::str::from_utf8(bytes.strip_prefix(MARK).unwrap_or(bytes)) {
        Ok(text) => text.to_string(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Decodes text piece by piece, if its character set is named and known.
pub fn decoder(content_type: &str) -> Option<encoding_rs::Decoder> {
    Some(encoding(content_type)?.new_decoder_with_bom_removal())
}

fn encoding(content_type: &str) -> Option<&'static encoding_rs::Encoding> {
    encoding_rs::Encoding::for_label(charset(content_type)?.as_bytes())
}

fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::mix_value::Case;

    use super::*;

    fn table(entries: &[(&str, &str)]) -> Map {
        let mode = |name: &str| {
            Value::Case(Case {
                name: name.into(),
                argument: None,
            })
        };
        entries
            .iter()
            .map(|(pattern, name)| ((*pattern).into(), mode(name)))
            .collect()
    }

    #[test]
    fn default_modes() {
        for text in [
            "text/html",
            "TEXT/Plain; charset=x",
            "application/json",
            "application/ld+json",
            "image/svg+xml;a",
            "application/xml",
        ] {
            let expected = if text.starts_with("image") {
                Mode::Binary
            } else {
                Mode::Text
            };
            assert_eq!(mode(text, None), expected, "{text}");
        }
        for binary in [
            "image/png",
            "application/octet-stream",
            "application/json2",
            "",
            "application/pdf",
        ] {
            assert_eq!(mode(binary, None), Mode::Binary, "{binary}");
        }
    }

    #[test]
    fn the_table_of_the_program_comes_first() {
        let table = table(&[
            ("text/*", "http.binaryMode"),
            ("text/html", "http.textMode"),
            ("*", "textMode"),
            ("text/h*", "binaryMode"),
        ]);
        assert_eq!(mode("text/html", Some(&table)), Mode::Text);
        assert_eq!(mode("text/plain", Some(&table)), Mode::Binary);
        assert_eq!(mode("image/png", Some(&table)), Mode::Text);
        assert_eq!(mode("application/json", Some(&Map::new())), Mode::Text);
    }

    #[test]
    fn patterns() {
        assert!(matches(b"a*b*c", b"aXbYbc") && matches(b"*", b"") && matches(b"a*", b"a"));
        assert!(!matches(b"a*b", b"abc") && !matches(b"", b"a") && !matches(b"a", b""));
        let (pattern, input) = ("*a".repeat(50), "b".repeat(5000));
        assert!(!matches(pattern.as_bytes(), input.as_bytes()));
    }

    #[test]
    fn character_sets() {
        assert_eq!(text("text/plain; charset=windows-1252", b"\x80"), "€");
        assert_eq!(
            text("text/plain; charset=\"Shift_JIS\"", &[0x93, 0xfa]),
            "日"
        );
        assert_eq!(text("text/plain", "ü".as_bytes()), "ü");
        assert_eq!(text("text/plain; charset=klingon", b"\xfc"), "ü");
        assert_eq!(text("text/plain; charset=utf-8", b"\xff"), "\u{fffd}");
        // The mark at the beginning is no part of the text, named or not.
        for content_type in ["application/json", "application/json; charset=utf-8", ""] {
            assert_eq!(
                text(content_type, b"\xef\xbb\xbf{}"),
                "{}",
                "{content_type}"
            );
        }
        assert_eq!(text("text/plain", b"a\xef\xbb\xbf"), "a\u{feff}");
    }
}
