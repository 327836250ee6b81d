//! Module `mime`: reading media types, multipart forms both ways.
//!
//! Results that may be absent are `null` or the bare value; the library wraps it.

use memchr::memmem;

use super::Builtin;
use super::args::{self, pass_undefined};
use super::mime_parameters::{self, is_token};
use crate::failure::Failure;
use crate::heap::{Map, Text, Value};
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#mime_parse_media_type" => parse_media_type,
        "#mime_format_form" => format_form,
        "#mime_parse_form" => parse_form,
        _ => return None,
    })
}

/// `[type, parameters]` of a media type.
fn parse_media_type(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[0])?.as_str();
    let (kind, rest) = match text.find(';') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let kind = kind.trim_matches([' ', '\t']);
    let plain = match kind.split_once('/') {
        Some((first, second)) => is_token(first) && is_token(second),
        None => is_token(kind),
    };
    Ok(match mime_parameters::read(rest) {
        Some(parameters) if plain => {
            Value::array(vec![Value::text(kind.to_lowercase()), text_map(parameters)])
        }
        _ => Value::Null,
    })
}

fn text_map(entries: impl IntoIterator<Item = (String, String)>) -> Value {
    let entries = entries.into_iter();
    Value::Map(Map::of_entries(
        entries
            .map(|(key, value)| (Text::new(key), Value::text(value)))
            .collect(),
    ))
}

/// One value of a form.
struct Element<'a> {
    name: &'a str,
    value: &'a [u8],
    content_type: Option<&'a str>,
    filename: Option<&'a str>,
}

/// `null` or `some(text)`.
fn optional<'a>(record: &'a Map, key: &str) -> Result<Option<&'a str>, Failure> {
    match record.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Case(case)) if case.name().as_str() == "some" => match case.argument() {
            Some(text) => Ok(Some(args::text(text)?)),
            None => Ok(None),
        },
        Some(other) => Err(Failure::expected(
            "ERR_EXPECTED_CASE",
            "null or some(text)",
            other,
        )),
    }
}

fn elements(form: &Map) -> Result<Vec<Element<'_>>, Failure> {
    let mut found = Vec::new();
    for (name, values) in form.iter() {
        for element in args::array(values)?.items() {
            let record = args::map(element)?;
            let value = record.get("value").unwrap_or(&Value::Undefined);
            found.push(Element {
                name: name.as_str(),
                value: args::binary(value)?,
                content_type: optional(record, "contentType")?,
                filename: optional(record, "filename")?,
            });
        }
    }
    Ok(found)
}

/// A boundary of 32 characters that no value holds; the same for the same form.
fn boundary(elements: &[Element<'_>]) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for byte in elements.iter().flat_map(|element| element.value) {
        state = (state ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    loop {
        let mut text = String::with_capacity(32);
        for _ in 0..32 {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            text.push(char::from(DIGITS[(mixed >> 32) as usize % DIGITS.len()]));
        }
        let finder = memmem::Finder::new(text.as_bytes());
        if !elements.iter().any(|e| finder.find(e.value).is_some()) {
            return text;
        }
    }
}

/// A name as browsers write it between quotes.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// `(form, crlf)`: body and boundary.
fn format_form(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let end = if args::boolean(&args[1])? {
        "\r\n"
    } else {
        "\n"
    };
    let elements = elements(args::map(&args[0])?)?;
    let boundary = boundary(&elements);
    let mut body = Vec::new();
    for element in &elements {
        let mut head = format!(
            "--{boundary}{end}Content-Disposition: form-data; name=\"{}\"",
            quoted(element.name)
        );
        if let Some(filename) = element.filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
        }
        head.push_str(end);
        if let Some(content_type) = element.content_type {
            if content_type.contains(['\r', '\n', '\0']) {
                return Err(Failure::range("a content type has no line end"));
            }
            head.push_str(&format!("Content-Type: {content_type}{end}"));
        }
        head.push_str(end);
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(element.value);
        body.extend_from_slice(end.as_bytes());
    }
    body.extend_from_slice(format!("--{boundary}--{end}").as_bytes());
    Ok(Value::array(vec![
        Value::binary(body),
        Value::text(boundary),
    ]))
}

/// A delimiter line: where the content before it ends, where it ends itself,
/// whether it is the last.
struct Delimiter {
    start: usize,
    end: usize,
    last: bool,
}

fn next_delimiter(body: &[u8], from: usize, finder: &memmem::Finder<'_>) -> Option<Delimiter> {
    let mut at = from;
    loop {
        let found = at + finder.find(&body[at..])?;
        let after = found + finder.needle().len();
        at = found + 1;
        let start = match &body[..found] {
            [] => 0,
            [.., b'\r', b'\n'] => found - 2,
            [.., b'\n'] => found - 1,
            _ => continue,
        };
        let last = body[after..].starts_with(b"--");
        let tail = &body[if last { after + 2 } else { after }..];
        let blank = tail
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count();
        let line_end = match &tail[blank..] {
            [] => 0,
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => continue,
        };
        let end = body.len() - tail.len() + blank + line_end;
        return Some(Delimiter {
            // The line end before the content may also end the delimiter before.
            start: start.max(from),
            end,
            last,
        });
    }
}

/// Head and content of a part. Without an empty line the part is its head only.
fn split_part(part: &[u8]) -> Option<(&str, &[u8])> {
    let mut at = 0;
    loop {
        let Some(length) = memchr::memchr(b'\n', &part[at..]) else {
            return Some((std::str::from_utf8(part).ok()?, &[]));
        };
        let line_end = at + length;
        let line = &part[at..line_end];
        if matches!(line, [] | [b'\r']) {
            return Some((
                std::str::from_utf8(&part[..at]).ok()?,
                &part[line_end + 1..],
            ));
        }
        at = line_end + 1;
    }
}

/// Undoes [`quoted`].
fn unquoted(name: &str) -> String {
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}

fn some(text: Option<String>) -> Value {
    text.map_or(Value::Null, |text| Value::case("some", Value::text(text)))
}

/// Name and element of a part; none without a name.
fn element_of(head: &str, content: &[u8]) -> Option<(String, Value)> {
    let mut disposition = Vec::new();
    let mut content_type = None;
    let unfolded = head
        .replace("\r\n", "\n")
        .replace("\n ", " ")
        .replace("\n\t", " ");
    for line in unfolded.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                let parameters = value.find(';').map_or("", |at| &value[at..]);
                disposition = mime_parameters::read_form(parameters)?;
            }
            "content-type" => content_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let take = |key: &str| {
        let found = disposition.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| unquoted(value))
    };
    let element = Map::of_entries(vec![
        ("contentType".into(), some(content_type)),
        ("filename".into(), some(take("filename"))),
        ("value".into(), Value::binary(content.to_vec())),
    ]);
    Some((take("name")?, Value::Map(element)))
}

/// `(body, boundary)`: the form.
fn parse_form(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let body = args::binary(&args[0])?;
    let needle = format!("--{}", args::text(&args[1])?.as_str());
    let finder = memmem::Finder::new(needle.as_bytes());
    let mut form: Vec<(Text, Vec<Value>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let Some(mut before) = next_delimiter(body, 0, &finder) else {
        return Ok(Value::Null);
    };
    while !before.last {
        let Some(after) = next_delimiter(body, before.end, &finder) else {
            return Ok(Value::Null);
        };
        let part = &body[before.end..after.start];
        if let Some((head, content)) = split_part(part)
            && let Some((name, element)) = element_of(head, content)
        {
            let place = *places.entry(name.clone()).or_insert(form.len());
            match form.get_mut(place) {
                Some((_, elements)) => elements.push(element),
                None => form.push((Text::new(name), vec![element])),
            }
        }
        before = after;
    }
    let entries = form.into_iter();
    Ok(Value::Map(Map::of_entries(
        entries.map(|(k, v)| (k, Value::array(v))).collect(),
    )))
}
