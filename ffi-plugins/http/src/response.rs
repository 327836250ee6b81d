//! The head of a response, and the map that describes it.

use mix_plugin_sdk::{Map, Value};

use crate::refusal::Refusal;

/// What comes before the body.
#[derive(Debug, Clone)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// In the order of the response.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// How the program wants the body.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// As a binary in any case.
    pub binary: bool,
    /// Own table of media types.
    pub media_types: Option<Map>,
    /// Decompress gzip.
    pub undo_gzip: bool,
    /// Most bytes after decompression.
    pub limit: usize,
}

impl Head {
    /// First value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(text_of(&found.1))
    }

    /// Whether the body is compressed.
    pub fn is_gzip(&self) -> bool {
        // The second one is an old name of the first.
        self.header("content-encoding")
            .is_some_and(|it| ["gzip", "x-gzip"].contains(&it.trim().to_ascii_lowercase().as_str()))
    }

    /// Leaves headers out.
    pub fn remove(&mut self, names: &[&str]) {
        self.headers
            .retain(|(own, _)| !names.iter().any(|name| own.eq_ignore_ascii_case(name)));
    }

    /// The response map without its body; `requested` is the URL before redirects.
    pub fn describe(&self, requested: &str) -> Map {
        Map::from([
            ("status".into(), Value::Int(self.status.into())),
            ("headers".into(), headers(&self.headers)),
            ("requested_url".into(), Value::string(requested)),
        ])
    }
}

/// The body is larger than allowed.
pub fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        "ERR_TOO_LARGE",
        format!("the response is larger than {limit} bytes"),
    )
}

fn headers(list: &[(String, Vec<u8>)]) -> Value {
    let mut map = std::collections::BTreeMap::<String, String>::new();
    for (name, value) in list {
        let name = canonical(name);
        let separator = if name == "Set-Cookie" { "\n" } else { ", " };
        let value = text_of(value);
        map.entry(name)
            .and_modify(|all| {
                all.push_str(separator);
                all.push_str(&value);
            })
            .or_insert(value);
    }
    Value::map(
        map.into_iter()
            .map(|(name, value)| (name, Value::string(value))),
    )
}

/// Each word between `-` capitalised.
fn canonical(name: &str) -> String {
    let mut begin = true;
    name.chars()
        .map(|char| {
            let char = if begin {
                char.to_ascii_uppercase()
            } else {
                char.to_ascii_lowercase()
            };
            begin = char == '-';
            char
        })
        .collect()
}

/// UTF-8 if it is, else ISO-8859-1.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_string(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_canonical_and_joined() {
        let headers = [
            ("x-a", "1"),
            ("X-A", "2"),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
            ("ETAG", "\"e\""),
        ];
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let head = Head {
            status: 200,
            headers: headers.to_vec(),
        };
        let map = head.describe("https://e.com/");
        let headers = map["headers"].as_map().unwrap();
        assert_eq!(headers["X-A"], Value::string("1, 2"));
        assert_eq!(headers["Set-Cookie"], Value::string("a\nb"));
        assert_eq!(headers["Etag"], Value::string("\"e\""));
        assert_eq!(map["requested_url"], Value::string("https://e.com/"));
        let packed = |how: &str| {
            let headers = vec![("Content-Encoding".to_owned(), how.as_bytes().to_vec())];
            let status = 200;
            Head { status, headers }.is_gzip()
        };
        assert!(packed("gzip") && packed(" X-GZIP ") && !packed("gzip, gzip") && !packed("br"));
    }
}
