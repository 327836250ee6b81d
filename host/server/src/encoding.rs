//! Compression of responses.

use flate2::Compression;
use flate2::write::GzEncoder;
use mix_http_api::{Head, Response};
use std::io::Write;

/// Smaller bodies gain nothing.
const SMALLEST: usize = 1 << 10;
/// Larger ones keep a connection waiting for too long.
const LARGEST: usize = 4 << 20;
/// What is added to the tag of a compressed response.
const MARK: &str = "-gzip\"";

/// Whether the caller takes gzip.
pub fn accepts_gzip(head: &Head) -> bool {
    let mut offered = head
        .headers
        .iter()
        .filter(|(name, _)| name == "accept-encoding")
        .flat_map(|(_, value)| value.split(','));
    offered.any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip") && weight.parse::<f32>().is_ok_and(|q| q > 0.0)
    })
}

/// Tags of compressed responses as those of what was compressed.
pub fn without_marks(head: &mut Head) {
    for (name, value) in &mut head.headers {
        if name == "if-none-match" && value.contains(MARK) {
            *value = value.replace(MARK, "\"");
        }
    }
}

/// Compresses a body in memory, if that is worth it.
pub fn compress(response: &mut Response) {
    let is_text = response.header("content-type").is_some_and(|kind| {
        kind.starts_with("text/")
            || kind.starts_with("application/json")
            || kind.starts_with("application/msgpack")
    });
    let fits = (SMALLEST..=LARGEST).contains(&response.body.len());
    if !is_text || !fits || response.header("content-range").is_some() {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder
        .write_all(&response.body)
        .and_then(|()| encoder.finish());
    let Ok(packed) = packed else { return };
    if packed.len() >= response.body.len() {
        return;
    }
    response.body = packed;
    for (name, value) in &mut response.headers {
        if *name == "etag" && value.ends_with('"') {
            value.truncate(value.len() - 1);
            value.push_str(MARK);
        }
    }
    response
        .headers
        .push(("content-encoding", "gzip".to_owned()));
    response
        .headers
        .push(("vary", "Accept-Encoding".to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: &str, value: &str) -> Head {
        Head {
            headers: vec![(name.to_owned(), value.to_owned())],
            ..Head::default()
        }
    }

    #[test]
    fn gzip_is_taken_or_not() {
        for (value, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(
                accepts_gzip(&head("accept-encoding", value)),
                expected,
                "{value}"
            );
        }
        let mut asked = head("if-none-match", "\"a-gzip\", \"b\"");
        without_marks(&mut asked);
        assert_eq!(asked.headers[0].1, "\"a\", \"b\"");
    }

    #[test]
    fn large_texts_become_smaller_and_get_a_tag_of_their_own() {
        let mut response = Response {
            status: 200,
            headers: vec![
                ("content-type", "application/json; charset=utf-8".to_owned()),
                ("etag", "\"x\"".to_owned()),
            ],
            body: vec![b' '; 10_000],
            code: "",
        };
        compress(&mut response);
        assert!(response.body.len() < 200);
        assert_eq!(response.header("etag"), Some("\"x-gzip\""));
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        let before = response.clone();
        response.headers[0].1 = "image/png".to_owned();
        compress(&mut response);
        assert_eq!(response.body, before.body);
    }
}
