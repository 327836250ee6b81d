//! Percent-decoding and urlencoded pairs.

use crate::error::ApiError;
use crate::head::Head;

/// Decodes `%XX` once; `plus` also reads `+` as a blank. `None` for a broken escape or bytes that are no UTF-8.
pub fn percent_decode(text: &str, plus: bool) -> Option<String> {
    let plain = !text.contains('%') && (!plus || !text.contains('+'));
    if plain {
        return Some(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let high = hex(*bytes.get(at + 1)?)?;
                let low = hex(*bytes.get(at + 2)?)?;
                out.push(high * 16 + low);
                at += 3;
            }
            b'+' if plus => {
                out.push(b' ');
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Names and values of a query or an urlencoded body, in order.
pub fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, ApiError> {
    let bad = || ApiError::bad_param("the query or form is not percent-encoded UTF-8");
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((
                percent_decode(name, true).ok_or_else(bad)?,
                percent_decode(value, true).ok_or_else(bad)?,
            ))
        })
        .collect()
}

/// Parameters of a query string, each of which has one value.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of a request.
    pub fn of(head: &Head) -> Result<Params, ApiError> {
        parse_pairs(head.query()).map(Params)
    }

    /// A value, if it is given.
    pub fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        Ok(only(&self.0, name)?.cloned())
    }

    /// A boolean, or the default.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.text(name)? {
            None => Ok(default),
            Some(text) => boolean(name, &text),
        }
    }
}

/// The value of a name, if it is given; 400 if more than one is: nobody can know which counts.
pub(crate) fn only<'a>(
    pairs: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a String>, ApiError> {
    let mut found = pairs.iter().filter(|(found, _)| found == name);
    let first = found.next().map(|(_, value)| value);
    match found.next() {
        None => Ok(first),
        Some(_) => Err(twice(name)),
    }
}

/// 400 for a parameter of one value that has more.
pub(crate) fn twice(name: &str) -> ApiError {
    ApiError::bad_param(format!("{name} is given twice"))
}

/// Reads a boolean parameter: `true false 1 0` or empty (= true).
pub(crate) fn boolean(name: &str, text: &str) -> Result<bool, ApiError> {
    match text {
        "true" | "1" | "" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ApiError::bad_param(format!(
            "parameter {name} must be true, false, 1 or 0"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_once() {
        let pairs = parse_pairs("a=1+2&b=%2B&c&a=%2525").unwrap();
        let expected = [("a", "1 2"), ("b", "+"), ("c", ""), ("a", "%25")];
        assert_eq!(pairs.len(), expected.len());
        for (found, (name, value)) in pairs.iter().zip(expected) {
            assert_eq!((found.0.as_str(), found.1.as_str()), (name, value));
        }
    }

    #[test]
    fn a_parameter_of_one_value_is_given_once() {
        let head = Head {
            target: "/x?a=1&b=2&a=1&c".to_owned(),
            ..Head::default()
        };
        let params = Params::of(&head).expect("well formed");
        assert_eq!(params.text("b"), Ok(Some("2".to_owned())));
        assert_eq!(params.text("d"), Ok(None));
        assert_eq!(params.flag("c", false), Ok(true));
        assert_eq!(
            params.text("a").map_err(|error| error.code),
            Err("bad_param")
        );
    }

    #[test]
    fn broken_escapes_are_refused() {
        assert!(parse_pairs("a=%zz").is_err());
        assert!(parse_pairs("a=%f").is_err());
        assert!(parse_pairs("a=%ff").is_err());
    }
}
