//! `multipart/form-data` bodies.

use crate::error::ApiError;
use crate::form::twice;
use crate::head::parameters;
use mix_value::{Map, Value};
use std::sync::Arc;

/// More parts than this are refused.
const MAX_PARTS: usize = 1_000;

/// Names and values of the parts: text as strings, files as `{filename, contentType, data}`.
pub(crate) fn parse(body: &[u8], boundary: &str) -> Result<Vec<(String, Value)>, ApiError> {
    if boundary.is_empty() || boundary.len() > 70 {
        return Err(bad("missing or too long boundary"));
    }
    let delimiter = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut at =
        find(body, &delimiter, 0).ok_or_else(|| bad("boundary not found"))? + delimiter.len();
    loop {
        if body[at..].starts_with(b"--") {
            return Ok(parts);
        }
        if !body[at..].starts_with(b"\r\n") {
            return Err(bad("malformed boundary line"));
        }
        at += 2;
        let header_end = find(body, b"\r\n\r\n", at).ok_or_else(|| bad("part without headers"))?;
        let mut closing = b"\r\n".to_vec();
        closing.extend_from_slice(&delimiter);
        let content_end =
            find(body, &closing, header_end + 2).ok_or_else(|| bad("unterminated part"))?;
        let content_start = (header_end + 4).min(content_end);
        parts.push(part(
            &body[at..header_end],
            &body[content_start..content_end],
        )?);
        if parts.len() > MAX_PARTS {
            return Err(bad("too many parts"));
        }
        at = content_end + closing.len();
    }
}

/// The parts of a form in which each has one value.
pub(crate) fn once(body: &[u8], boundary: &str) -> Result<Map, ApiError> {
    let mut members = Map::new();
    for (name, value) in parse(body, boundary)? {
        if members.insert(Arc::from(name.as_str()), value).is_some() {
            return Err(twice(&name));
        }
    }
    Ok(members)
}

fn part(headers: &[u8], content: &[u8]) -> Result<(String, Value), ApiError> {
    let headers = std::str::from_utf8(headers).map_err(|_| bad("part header is not UTF-8"))?;
    let mut name = None;
    let mut filename = None;
    let mut media_type = "application/octet-stream";
    for line in headers.split("\r\n") {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        if key.trim().eq_ignore_ascii_case("content-type") {
            media_type = value.trim();
        }
        if key.trim().eq_ignore_ascii_case("content-disposition") {
            for (key, text) in parameters(value) {
                match key.as_str() {
                    "name" => name = Some(text),
                    "filename" => filename = Some(text),
                    _ => {}
                }
            }
        }
    }
    let name = name.ok_or_else(|| bad("part without a name"))?;
    let value = match filename {
        None => {
            let text = std::str::from_utf8(content).map_err(|_| bad("text part is not UTF-8"))?;
            Value::String(Arc::from(text))
        }
        Some(filename) => {
            let mut map = Map::new();
            map.insert(Arc::from("filename"), Value::String(Arc::from(filename)));
            map.insert(
                Arc::from("contentType"),
                Value::String(Arc::from(media_type)),
            );
            map.insert(Arc::from("data"), Value::Binary(Arc::from(content)));
            Value::Map(map)
        }
    };
    Ok((name, value))
}

fn bad(reason: &str) -> ApiError {
    ApiError::bad_param(format!("multipart body: {reason}"))
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + needle.len() <= haystack.len() {
        // Skipping to the first byte keeps long binary parts linear.
        let skip = haystack[at..].iter().position(|byte| *byte == needle[0])?;
        at += skip;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_file_parts() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhello\r\n--b\r\n\
            Content-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: image/png\r\n\r\n\x00\xff\r\n--b--\r\n";
        let parts = parse(body, "b").expect("well formed");
        assert_eq!(
            parts[0],
            ("a".to_owned(), Value::String(Arc::from("hello")))
        );
        let Value::Map(file) = &parts[1].1 else {
            panic!("a file is a map")
        };
        assert_eq!(
            file.get("data"),
            Some(&Value::Binary(Arc::from(&b"\x00\xff"[..])))
        );
        assert_eq!(
            file.get("contentType"),
            Some(&Value::String(Arc::from("image/png")))
        );
    }

    #[test]
    fn malformed_bodies_are_refused() {
        for body in [
            &b""[..],
            b"--b",
            b"--b\r\n",
            b"--b\r\nx\r\n\r\n",
            b"--b\r\n\r\n\r\nx\r\n--b--",
        ] {
            assert!(parse(body, "b").is_err());
        }
    }
}
