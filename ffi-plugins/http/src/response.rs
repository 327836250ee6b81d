//! The map that describes a response.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use mix_plugin_sdk::{Map, Value};

use crate::media::{self, Mode};
use crate::refusal::Refusal;

/// What came over the wire.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// In the order of the response.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Not yet decompressed.
    pub body: Vec<u8>,
}

/// How the program wants the body.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// As a binary in any case.
    pub binary: bool,
    /// Own table of media types.
    pub media_types: Option<&'a Map>,
    /// Decompress gzip.
    pub undo_gzip: bool,
    /// Most bytes after decompression.
    pub limit: usize,
}

impl Response {
    /// First value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))?;
        Some(text_of(&found.1))
    }

    /// The response map; `requested` is the URL before redirects.
    pub fn describe(mut self, requested: &str, wishes: Wishes<'_>) -> Result<Map, Refusal> {
        if wishes.undo_gzip
            && self
                .header("content-encoding")
                .is_some_and(|it| it.trim().eq_ignore_ascii_case("gzip"))
        {
            self.body = unpack(&self.body, wishes.limit)?;
            // They describe what came over the wire, not the body that is given on.
            self.headers.retain(|(name, _)| {
                !name.eq_ignore_ascii_case("content-encoding")
                    && !name.eq_ignore_ascii_case("content-length")
            });
        }
        let content_type = self.header("content-type");
        let mode = match &content_type {
            _ if wishes.binary => Mode::Binary,
            Some(content_type) => media::mode(content_type, wishes.media_types),
            None if std::str::from_utf8(&self.body).is_ok() => Mode::Text,
            None => Mode::Binary,
        };
        let body = match mode {
            Mode::Text => Value::string(media::text(
                content_type.as_deref().unwrap_or_default(),
                &self.body,
            )),
            Mode::Binary => Value::binary(self.body),
        };
        Ok(Map::from([
            ("status".into(), Value::Int(self.status.into())),
            ("headers".into(), headers(&self.headers)),
            ("body".into(), body),
            ("requested_url".into(), Value::string(requested)),
        ]))
    }
}

fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut plain = Vec::new();
    if packed.is_empty() {
        // Of HEAD, 204 and 304.
        return Ok(plain);
    }
    MultiGzDecoder::new(packed)
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| {
            Refusal::new(
                "ERR_NETWORK",
                format!("the body is not valid gzip: {error}"),
            )
        })?;
    if plain.len() > limit {
        Err(too_large(limit))
    } else {
        Ok(plain)
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
    use std::io::Write;

    use super::*;

    const WISHES: Wishes = Wishes {
        binary: false,
        media_types: None,
        undo_gzip: true,
        limit: 1000,
    };

    fn response(headers: &[(&str, &str)], body: &[u8]) -> Response {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        Response {
            status: 200,
            headers: headers.collect(),
            body: body.to_vec(),
        }
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn headers_are_canonical_and_joined() {
        let map = response(
            &[
                ("x-a", "1"),
                ("X-A", "2"),
                ("set-cookie", "a"),
                ("set-cookie", "b"),
                ("ETAG", "\"e\""),
            ],
            b"",
        )
        .describe("https://e.com/", WISHES)
        .unwrap();
        let headers = map["headers"].as_map().unwrap();
        assert_eq!(headers["X-A"], Value::string("1, 2"));
        assert_eq!(headers["Set-Cookie"], Value::string("a\nb"));
        assert_eq!(headers["Etag"], Value::string("\"e\""));
        assert_eq!(map["requested_url"], Value::string("https://e.com/"));
    }

    #[test]
    fn text_or_binary() {
        let body = |response: Response, wishes| {
            response
                .describe("u", wishes)
                .unwrap()
                .remove("body")
                .unwrap()
        };
        let json = response(&[("content-type", "application/json")], b"{}");
        assert_eq!(body(json.clone(), WISHES), Value::string("{}"));
        assert_eq!(
            body(
                json,
                Wishes {
                    binary: true,
                    ..WISHES
                }
            ),
            Value::binary(b"{}".as_slice())
        );
        assert_eq!(body(response(&[], b"abc"), WISHES), Value::string("abc"));
        assert_eq!(
            body(response(&[], b"\xff"), WISHES),
            Value::binary(b"\xff".as_slice())
        );
    }

    #[test]
    fn gzip_is_undone_within_the_limit() {
        let packed = |size| {
            response(
                &[("content-encoding", "gzip"), ("content-length", "9")],
                &gzip(&vec![b'a'; size]),
            )
        };
        let map = packed(1000).describe("u", WISHES).unwrap();
        assert_eq!(map["body"], Value::string("a".repeat(1000)));
        assert_eq!(map["headers"], Value::map::<&str>([]));
        assert_eq!(
            packed(1001).describe("u", WISHES).unwrap_err().code,
            "ERR_TOO_LARGE"
        );
        let broken = response(&[("content-encoding", "gzip")], b"nonsense");
        assert_eq!(
            broken.clone().describe("u", WISHES).unwrap_err().code,
            "ERR_NETWORK"
        );
        assert!(
            broken
                .describe(
                    "u",
                    Wishes {
                        undo_gzip: false,
                        ..WISHES
                    }
                )
                .is_ok()
        );
        assert!(
            response(&[("content-encoding", "gzip")], b"")
                .describe("u", WISHES)
                .is_ok()
        );
    }
}
