//! Responses and the headers that every one carries.

use crate::cors;
use crate::error::ApiError;
use crate::head::Head;
use crate::plan::{Facts, Settings};
use mix_value::escjson::write_string;
use mix_value::{Value, escjson, msgpack};

/// Media type of JSON responses.
pub(crate) const JSON: &str = "application/json; charset=utf-8";
/// Media type of text responses.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
/// Media type of MessagePack responses.
pub(crate) const MSGPACK: &str = "application/msgpack";

/// A finished response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Lower-case names in the order in which they are sent.
    pub headers: Vec<(&'static str, String)>,
    /// The body; the driver leaves it out for HEAD.
    pub body: Vec<u8>,
    /// Stable code of the failure, for logs; empty on success.
    pub code: &'static str,
}

impl Response {
    /// First header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What the request fixes about its response.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub request_id: String,
    /// Retired prefix: `Deprecation: true`.
    pub deprecated: bool,
    /// Asked at the origin of files, where there is nothing that active content could misuse.
    pub on_files_origin: bool,
    cors: Vec<(&'static str, String)>,
}

/// Whether a request is made at the origin that serves only files.
pub fn is_files_origin(settings: &Settings, head: &Head) -> bool {
    let Some(origin) = &settings.files_origin else {
        return false;
    };
    let (scheme, authority) = origin.split_once("://").unwrap_or(("", origin));
    let usual = if scheme == "http" { ":80" } else { ":443" };
    let without_port = |host: &str| {
        host.strip_suffix(usual)
            .unwrap_or(host)
            .to_ascii_lowercase()
    };
    without_port(head.host()) == without_port(authority)
}

impl Frame {
    pub fn new(settings: &Settings, head: &Head, facts: &Facts) -> Frame {
        let kept = head.header("x-request-id").filter(|id| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        });
        Frame {
            request_id: kept.unwrap_or(&facts.request_id).to_owned(),
            deprecated: false,
            on_files_origin: is_files_origin(settings, head),
            cors: cors::headers(settings, head),
        }
    }

    /// Any response.
    pub fn respond(&self, status: u16, media_type: &str, body: Vec<u8>) -> Response {
        let mut headers = Vec::with_capacity(8);
        if status != 204 && status != 304 {
            headers.push(("content-type", media_type.to_owned()));
        }
        headers.push(("cache-control", "no-store".to_owned()));
        headers.push(("x-content-type-options", "nosniff".to_owned()));
        headers.push(("x-request-id", self.request_id.clone()));
        if self.deprecated {
            headers.push(("deprecation", "true".to_owned()));
        }
        headers.extend(self.cors.iter().cloned());
        Response {
            status,
            headers,
            body,
            code: "",
        }
    }

    /// A JSON response of a text that is JSON already.
    pub fn json_text(&self, status: u16, text: String) -> Response {
        self.respond(status, JSON, text.into_bytes())
    }

    /// A value as EscJSON or MessagePack.
    pub fn value(&self, status: u16, value: &Value, format: Format) -> Result<Response, ApiError> {
        self.written(status, value, format, escjson::format)
    }

    /// The same of a value that says what is undefined, such as the tree of a query.
    pub fn tree(&self, status: u16, value: &Value, format: Format) -> Result<Response, ApiError> {
        self.written(status, value, format, escjson::format_tree)
    }

    fn written(
        &self,
        status: u16,
        value: &Value,
        format: Format,
        tagged: fn(&Value) -> Result<String, escjson::FormatError>,
    ) -> Result<Response, ApiError> {
        match format {
            Format::MessagePack => {
                let bytes = msgpack::encode(value)
                    .map_err(|error| ApiError::new(500, "not_json", error.to_string()))?;
                Ok(self.respond(status, MSGPACK, bytes))
            }
            Format::Json { tags } => {
                let text = if tags {
                    tagged(value).map_err(|error| error.to_string())
                } else {
                    escjson::format_plain(value).map_err(|error| error.to_string())
                };
                let text = text.map_err(|message| ApiError::new(500, "not_json", message))?;
                Ok(self.json_text(status, text))
            }
        }
    }

    /// The one error shape.
    pub fn error(&self, error: ApiError) -> Response {
        let mut text = String::from("{\"error\":{\"code\":");
        write_string(&mut text, error.code);
        text.push_str(&format!(",\"status\":{},\"message\":", error.status));
        write_string(&mut text, &error.message);
        text.push_str(",\"requestId\":");
        write_string(&mut text, &self.request_id);
        if !error.details.is_empty() {
            // Details that have no JSON form are left out rather than turn an error into another one.
            if let Ok(details) = escjson::format(&Value::Map(error.details)) {
                text.push_str(",\"details\":");
                text.push_str(&details);
            }
        }
        text.push_str("}}");
        let mut response = self.json_text(error.status, text);
        response.headers.extend(error.headers);
        response.code = error.code;
        response
    }
}

/// Encoding of a value in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json { tags: bool },
    MessagePack,
}

/// Which of the offered media types the caller takes, by `Accept`; the first offered one on a tie. `None`: none of them.
pub(crate) fn negotiate<'a>(head: &Head, offered: &[&'a str]) -> Option<&'a str> {
    let ranges: Vec<(String, f32)> = head
        .headers
        .iter()
        .filter(|(name, _)| name == "accept")
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next()?.to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok())
                .unwrap_or(1.0);
            (!name.is_empty()).then_some((name, weight))
        })
        .collect();
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let mut best: Option<(&str, f32)> = None;
    for candidate in offered {
        let weight = weight_of(candidate, &ranges);
        if weight > 0.0 && best.is_none_or(|(_, found)| weight > found) {
            best = Some((candidate, weight));
        }
    }
    best.map(|(name, _)| name)
}

/// Types that `Accept` names without `*`, as they can stand in a header, a few of them.
pub(crate) fn named_types(head: &Head) -> Vec<String> {
    const MOST: usize = 32;
    let is_token = |part: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        (1..=127).contains(&part.len()) && part.bytes().all(good)
    };
    head.headers
        .iter()
        .filter(|(name, _)| name == "accept")
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|range| {
            let name = range.split(';').next()?.trim().to_ascii_lowercase();
            let (kind, subtype) = name.split_once('/')?;
            (is_token(kind) && is_token(subtype)).then_some(name)
        })
        .take(MOST)
        .collect()
}

/// The most specific range that covers the type decides.
fn weight_of(candidate: &str, ranges: &[(String, f32)]) -> f32 {
    let family = candidate.split('/').next().unwrap_or("");
    let family_range = format!("{family}/*");
    for wanted in [candidate, family_range.as_str(), "*/*"] {
        if let Some((_, weight)) = ranges.iter().find(|(name, _)| name == wanted) {
            return *weight;
        }
    }
    0.0
}

/// JSON or MessagePack by `Accept`; 406 if neither is taken.
pub(crate) fn value_format(head: &Head) -> Result<Format, ApiError> {
    match negotiate(head, &["application/json", MSGPACK]) {
        Some(MSGPACK) => Ok(Format::MessagePack),
        Some(_) => Ok(Format::Json { tags: true }),
        None => Err(not_acceptable()),
    }
}

/// True for media types that a browser runs.
pub(crate) fn is_active(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or("").trim();
    let name = name.to_ascii_lowercase();
    matches!(
        name.as_str(),
        "text/html" | "text/javascript" | "application/javascript" | "text/xml" | "application/xml"
    ) || name.ends_with("+xml")
}

/// What users or agents made must not script against the interface of the server.
pub(crate) fn sandbox() -> (&'static str, String) {
    let policy = "sandbox allow-scripts allow-forms allow-popups";
    ("content-security-policy", policy.to_owned())
}

/// 406.
pub(crate) fn not_acceptable() -> ApiError {
    ApiError::new(
        406,
        "not_acceptable",
        "the response has none of the types in Accept",
    )
}
