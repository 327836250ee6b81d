//! Parameters of headers: `; key=value` with values as tokens, between quotes,
//! percent-encoded (`key*=`) or in pieces (`key*0=`, `key*1=`).

use std::collections::BTreeMap;

/// Most pieces of one value.
const MAX_PIECES: usize = 1000;

/// Is it a token of HTTP?
pub(super) fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

/// A value between quotes, and what follows it.
fn quoted(text: &str, escapes: bool) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            // Browsers write backslashes as they are.
            '\\' if escapes || text[at + 1..].starts_with('"') => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// Keys in lower case with their values as written, quotes undone.
fn pairs(mut text: &str, escapes: bool) -> Option<Vec<(String, String)>> {
    let blank = [' ', '\t', '\r', '\n'];
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches(blank);
        if text.is_empty() {
            return Some(found);
        }
        text = text.strip_prefix(';')?.trim_start_matches(blank);
        if text.is_empty() {
            return Some(found);
        }
        let (key, rest) = text.split_once('=')?;
        let key = key.trim_end_matches(blank);
        if !is_token(key) {
            return None;
        }
        let rest = rest.trim_start_matches(blank);
        let value;
        (value, text) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner, escapes)?,
            None => {
                let end = rest
                    .find(|c| c == ';' || blank.contains(&c))
                    .unwrap_or(rest.len());
                if !is_token(&rest[..end]) {
                    return None;
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        found.push((key.to_ascii_lowercase(), value));
    }
}

fn percent_decoded(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let code = digit(bytes.next()?)? * 16 + digit(bytes.next()?)?;
            out.push(u8::try_from(code).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(())
}

fn text_of(charset: &str, bytes: Vec<u8>) -> Option<String> {
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" | "" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

/// Charset and rest of `charset'language'text`.
fn charset(value: &str) -> Option<(&str, &str)> {
    let (charset, rest) = value.split_once('\'')?;
    Some((charset, rest.split_once('\'')?.1))
}

/// Joins pieces in the order of their numbers, which start at 0.
fn joined(pieces: &BTreeMap<usize, (bool, String)>) -> Option<String> {
    let mut bytes = Vec::new();
    let mut known = "";
    for (expected, (number, (encoded, value))) in pieces.iter().enumerate() {
        if expected != *number {
            return None;
        }
        let mut rest = value.as_str();
        if *encoded && *number == 0 {
            (known, rest) = charset(value)?;
        }
        if *encoded {
            percent_decoded(rest, &mut bytes)?;
        } else {
            bytes.extend_from_slice(rest.as_bytes());
        }
    }
    text_of(known, bytes)
}

fn read_with(text: &str, escapes: bool) -> Option<Vec<(String, String)>> {
    let mut plain: BTreeMap<String, String> = BTreeMap::new();
    let mut extended: BTreeMap<String, String> = BTreeMap::new();
    let mut pieces: BTreeMap<String, BTreeMap<usize, (bool, String)>> = BTreeMap::new();
    for (key, value) in pairs(text, escapes)? {
        let before = match key.split_once('*') {
            None => plain.insert(key, value),
            Some((name, "")) => {
                let (charset, rest) = charset(&value)?;
                let mut bytes = Vec::new();
                percent_decoded(rest, &mut bytes)?;
                extended.insert(name.to_owned(), text_of(charset, bytes)?)
            }
            Some((name, number)) => {
                let (number, encoded) = match number.strip_suffix('*') {
                    Some(number) => (number, true),
                    None => (number, false),
                };
                let number: usize = number.parse().ok().filter(|n| *n < MAX_PIECES)?;
                let of_name = pieces.entry(name.to_owned()).or_default();
                of_name
                    .insert(number, (encoded, value))
                    .map(|(_, value)| value)
            }
        };
        // The same key twice.
        if before.is_some() {
            return None;
        }
    }
    for (name, pieces) in &pieces {
        if extended.insert(name.clone(), joined(pieces)?).is_some() {
            return None;
        }
    }
    // Where both forms are given, the extended one is meant.
    plain.append(&mut extended);
    Some(plain.into_iter().collect())
}

/// The parameters of a media type, keys in lower case and ascending; `None` if
/// they are malformed or a key occurs twice.
pub(super) fn read(text: &str) -> Option<Vec<(String, String)>> {
    read_with(text, true)
}

/// The parameters of a part of a form, where a backslash stands for itself.
pub(super) fn read_form(text: &str) -> Option<Vec<(String, String)>> {
    read_with(text, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        let pairs = read(text)?;
        let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Some(pairs.join("|"))
    }

    #[test]
    fn forms_of_parameters() {
        for (text, expected) in [
            ("", Some("")),
            ("; A=b ;c=\"d e\"", Some("a=b|c=d e")),
            (";a=\"b\\\"c\\\\\";", Some("a=b\"c\\")),
            ("; t*=utf-8'en'%e2%82%ac%20x", Some("t=€ x")),
            ("; t*=ISO-8859-1''%a3", Some("t=£")),
            ("; t*0=a; t*1=\"b;\"; t*2=c", Some("t=ab;c")),
            ("; t*0*=utf-8''%c3; t*1*=%a9; t*2=x", Some("t=éx")),
            ("; t=a; t*=utf-8''b", Some("t=b")),
            ("; a=b; a=c", None),
            ("; a", None),
            ("; a=", None),
            ("; a=\"b", None),
            ("; =b", None),
            ("; t*0=a; t*2=c", None),
            ("; t*=utf-8''%zz", None),
            ("; t*=utf-8''%ff", None),
            ("; t*=koi8-r''x", None),
            ("; t*=x", None),
            ("a=b", None),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }
}
