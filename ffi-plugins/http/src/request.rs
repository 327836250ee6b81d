//! The request that a program asks for.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mix_file_path::percent;
use mix_plugin_sdk::mix_value::Token;
use mix_plugin_sdk::mix_value::number::{format_float, format_int};
use mix_plugin_sdk::{Bytes, Failure, Map, Value};
use url::Url;

use crate::guard;
use crate::refusal::Refusal;

/// Headers that belong to the connection: what a program sets is ignored.
const IGNORED: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
];

/// Most text of a client certificate with those that vouch for it and its key.
const LARGEST_IDENTITY: usize = 32 << 10;

/// A checked request.
#[derive(Debug, Clone)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// With the parameters.
    pub url: Url,
    /// Names in lower case, in the order of the program.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Number of a token that the host keeps, for the authorisation.
    pub token: Option<u64>,
    /// It follows a redirect from elsewhere: the host adds no token of its own.
    pub is_redirected: bool,
    /// None for no body at all.
    pub body: Option<Bytes>,
    /// Wish of the program.
    pub timeout: Option<Duration>,
    /// The body is to be a binary in any case.
    pub binary: bool,
    /// Own table of media types.
    pub media_types: Option<Map>,
    /// True if the program left compression to the library.
    pub undo_gzip: bool,
    /// PEM text of a client certificate and its key.
    pub client_tls: Option<String>,
}

/// Wrong kinds are failures, everything else that is wrong is a refusal.
pub type Checked<T> = Result<Result<T, Refusal>, Failure>;

macro_rules! attempt {
    ($checked:expr) => {
        match $checked {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal)),
        }
    };
}

impl Request {
    /// Reads the map of the program.
    pub fn parse(map: &Map) -> Checked<Request> {
        let method = string(map, "method")?.unwrap_or("GET").to_ascii_uppercase();
        if !is_token(&method) || method.len() > 64 {
            return Ok(Err(Refusal::new(
                "ERR_RANGE",
                "method is not an HTTP token",
            )));
        }
        let Some(url) = string(map, "url")? else {
            return Err(Failure::new(
                "ERR_EXPECTED_STRING",
                "member url of a request must be a string",
            ));
        };
        let mut url = attempt!(guard::parse(url));
        url.set_fragment(None);
        attempt!(append_params(&mut url, sub_map(map, "params")?)?);

        let (body, content_type) = match map.get("body") {
            None | Some(Value::Null | Value::Undefined) => (None, None),
            Some(Value::String(text)) => (
                Some(text.as_bytes().into()),
                Some("text/plain; charset=utf-8"),
            ),
            Some(Value::Binary(bytes)) => (Some(bytes.clone()), Some("application/octet-stream")),
            Some(other) => {
                let message = format!(
                    "member body of a request must be a string or binary, not {}",
                    other.kind()
                );
                return Err(Failure::new("ERR_EXPECTED_STRING", message));
            }
        };
        let mut headers = attempt!(own_headers(sub_map(map, "headers")?)?);
        let mut token = None;
        match attempt!(authorization(map)?) {
            None => {}
            Some(Authorization::Text(text)) => {
                put_default(&mut headers, "authorization", text.as_bytes());
            }
            Some(Authorization::Kept(number)) => {
                let is_absent = headers.iter().all(|(own, _)| own != "authorization");
                token = is_absent.then_some(number);
            }
        }
        put_default(&mut headers, "accept", b"*/*");
        if let Some(content_type) = content_type {
            put_default(&mut headers, "content-type", content_type.as_bytes());
        }
        let undo_gzip = put_default(&mut headers, "accept-encoding", b"gzip");

        match string(map, "sendFrom")? {
            None | Some("auto" | "server") => {}
            Some("client") => {
                return Ok(Err(Refusal::new(
                    "ERR_UNSUPPORTED",
                    "a server cannot send from the client",
                )));
            }
            Some(_) => {
                return Ok(Err(Refusal::new(
                    "ERR_RANGE",
                    "sendFrom must be auto, server or client",
                )));
            }
        }
        Ok(Ok(Request {
            method,
            url,
            headers,
            token,
            is_redirected: false,
            body,
            timeout: attempt!(timeout(map)?),
            binary: boolean(map, "returnBinaryResponseBody")?,
            media_types: sub_map(map, "mediaTypes")?.cloned(),
            undo_gzip,
            client_tls: attempt!(client_tls(map)?),
        }))
    }
}

fn member<'a>(map: &'a Map, key: &str) -> Option<&'a Value> {
    map.get(key)
        .filter(|value| !matches!(value, Value::Null | Value::Undefined))
}

fn expected(code: &'static str, key: &str, what: &str, found: &Value) -> Failure {
    Failure::new(
        code,
        format!(
            "member {key} of a request must be {what}, not {}",
            found.kind()
        ),
    )
}

fn string<'a>(map: &'a Map, key: &str) -> Result<Option<&'a str>, Failure> {
    match member(map, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(expected("ERR_EXPECTED_STRING", key, "a string", other)),
    }
}

fn boolean(map: &Map, key: &str) -> Result<bool, Failure> {
    match member(map, key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(expected("ERR_EXPECTED_BOOL", key, "a bool", other)),
    }
}

fn sub_map<'a>(map: &'a Map, key: &str) -> Result<Option<&'a Map>, Failure> {
    match member(map, key) {
        None => Ok(None),
        Some(Value::Map(inner)) => Ok(Some(inner)),
        Some(other) => Err(expected("ERR_EXPECTED_MAP", key, "a map", other)),
    }
}

fn timeout(map: &Map) -> Checked<Option<Duration>> {
    let seconds = match member(map, "timeout") {
        None => return Ok(Ok(None)),
        Some(Value::Int(seconds)) => *seconds as f64,
        Some(Value::Float(seconds)) => *seconds,
        Some(other) => {
            return Err(expected(
                "ERR_EXPECTED_NUMBER",
                "timeout",
                "a number of seconds",
                other,
            ));
        }
    };
    if seconds.is_nan() || seconds <= 0.0 {
        return Ok(Err(Refusal::new(
            "ERR_RANGE",
            "timeout must be more than 0 seconds",
        )));
    }
    // More than fits is no limit of its own; the operator's stays.
    Ok(Ok(Duration::try_from_secs_f64(seconds).ok()))
}

fn client_tls(map: &Map) -> Checked<Option<String>> {
    let Some(given) = sub_map(map, "clientTLS")? else {
        return Ok(Ok(None));
    };
    let mut pem = String::new();
    for (key, begins) in [("certificate", "CERTIFICATE"), ("key", "PRIVATE KEY")] {
        let Some(text) = string(given, key)? else {
            let message = format!("member clientTLS.{key} of a request must be PEM text");
            return Err(Failure::new("ERR_EXPECTED_STRING", message));
        };
        let printable = text
            .bytes()
            .all(|byte| matches!(byte, b'\n' | b'\r' | b' '..=b'~'));
        if !printable || !text.contains(&format!("{begins}-----")) {
            return Ok(Err(Refusal::new(
                "ERR_RANGE",
                format!("clientTLS.{key} is no PEM text with a {begins}"),
            )));
        }
        for line in text.lines() {
            pem.push_str(line.trim());
            pem.push('\n');
        }
    }
    if pem.len() > LARGEST_IDENTITY {
        return Ok(Err(Refusal::new(
            "ERR_RANGE",
            format!("clientTLS has more than {LARGEST_IDENTITY} characters"),
        )));
    }
    Ok(Ok(Some(pem)))
}

/// What proves who asks.
enum Authorization {
    /// The header.
    Text(String),
    /// A token that the host keeps, by its number.
    Kept(u64),
}

fn authorization(map: &Map) -> Checked<Option<Authorization>> {
    let token = match member(map, "oauthToken") {
        None => None,
        Some(Value::String(token)) => Some(Authorization::Text(format!("Bearer {token}"))),
        Some(Value::Token(Token::Reference(number))) => Some(Authorization::Kept(*number)),
        // The token that stands for none.
        Some(Value::Token(Token::Sealed(body))) if body.is_empty() => None,
        Some(Value::Token(Token::Sealed(_))) => return Ok(Err(Refusal::blocked("token"))),
        Some(other) => {
            return Err(expected(
                "ERR_EXPECTED_STRING",
                "oauthToken",
                "a string or token",
                other,
            ));
        }
    };
    match (sub_map(map, "basicAuth")?, token) {
        (Some(_), Some(_)) => Ok(Err(Refusal::new(
            "ERR_RANGE",
            "basicAuth and oauthToken exclude each other",
        ))),
        (None, token) => Ok(Ok(token)),
        (Some(basic), None) => {
            let part = |key| Ok::<_, Failure>(string(basic, key)?.unwrap_or_default());
            let pair = format!("{}:{}", part("username")?, part("password")?);
            let header = format!("Basic {}", STANDARD.encode(pair));
            Ok(Ok(Some(Authorization::Text(header))))
        }
    }
}

/// Appends the parameters to the query, keys ascending.
fn append_params(url: &mut Url, params: Option<&Map>) -> Checked<()> {
    let mut query = url.query().unwrap_or_default().to_string();
    for (key, value) in params.into_iter().flatten() {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Int(number) => format_int(*number),
                Value::Float(number) => format_float(*number),
                other => {
                    return Err(expected(
                        "ERR_EXPECTED_STRING",
                        "params",
                        "a map of strings, numbers, bools, arrays of them or null",
                        other,
                    ));
                }
            };
            if !query.is_empty() {
                query.push('&');
            }
            escape(&mut query, key);
            query.push('=');
            escape(&mut query, &text);
        }
    }
    if params.is_some_and(|params| !params.is_empty()) && !query.is_empty() {
        url.set_query(Some(&query));
    }
    // The limit holds for what is sent.
    Ok(guard::parse(url.as_str()).map(|_| ()))
}

/// As `http.urlComponentEscape`.
fn escape(out: &mut String, text: &str) {
    out.push_str(&percent::encode(text, b"-_.~*!()'"));
}

fn own_headers(map: Option<&Map>) -> Checked<Vec<(String, Vec<u8>)>> {
    let mut headers = Vec::new();
    for (name, value) in map.into_iter().flatten() {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            Value::Null => continue,
            value => std::slice::from_ref(value),
        };
        let lower = name.to_ascii_lowercase();
        if !is_token(&lower) {
            return Ok(Err(Refusal::new(
                "ERR_RANGE",
                format!("{name:?} is no name of a header"),
            )));
        }
        for value in values {
            let Value::String(text) = value else {
                return Err(expected(
                    "ERR_EXPECTED_STRING",
                    "headers",
                    "a map of strings or arrays of strings",
                    value,
                ));
            };
            if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return Ok(Err(Refusal::new(
                    "ERR_RANGE",
                    format!("the value of header {name} holds a line end"),
                )));
            }
            if !is_ignored(&lower) {
                headers.push((lower.clone(), text.trim().as_bytes().to_vec()));
            }
        }
    }
    Ok(Ok(headers))
}

fn is_ignored(lower: &str) -> bool {
    IGNORED.contains(&lower) || lower.starts_with("proxy-") || lower.starts_with("x-rmx-")
}

/// Adds a header that the program did not set; tells whether it was added.
fn put_default(headers: &mut Vec<(String, Vec<u8>)>, name: &str, value: &[u8]) -> bool {
    let absent = headers.iter().all(|(own, _)| own != name);
    if absent {
        headers.push((name.to_string(), value.to_vec()));
    }
    absent
}

/// A token of RFC 9110.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map {
        match mix_plugin_sdk::mix_value::escjson::parse(text).unwrap() {
            Value::Map(map) => map,
            other => panic!("{other:?}"),
        }
    }

    fn good(text: &str) -> Request {
        Request::parse(&map(text)).unwrap().unwrap()
    }

    fn header(request: &Request, name: &str) -> Option<String> {
        let found = request.headers.iter().find(|(own, _)| own == name)?;
        Some(String::from_utf8(found.1.clone()).unwrap())
    }

    #[test]
    fn defaults() {
        let request = good(r#"{"url":"https://example.com","unknown":1}"#);
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("GET", "https://example.com/")
        );
        assert_eq!(header(&request, "accept").unwrap(), "*/*");
        assert_eq!(header(&request, "accept-encoding").unwrap(), "gzip");
        assert!(
            request.undo_gzip
                && request.body.is_none()
                && header(&request, "content-type").is_none()
        );
        let request = good(r#"{"url":"https://example.com","method":"patch","body":"x"}"#);
        assert_eq!(request.method, "PATCH");
        assert_eq!(
            header(&request, "content-type").unwrap(),
            "text/plain; charset=utf-8"
        );
    }

    #[test]
    fn params_are_appended_in_order() {
        let request = good(
            r#"{"url":"https://e.com/p?q=1#f","params":{"z":[1,true,null,"a b&"],"b":1.5,"ü":"'","n":null}}"#,
        );
        assert_eq!(
            request.url.as_str(),
            "https://e.com/p?q=1&b=1.5&z=1&z=true&z=a%20b%26&%C3%BC=%27"
        );
        assert_eq!(
            good(r#"{"url":"https://e.com","params":{}}"#).url.as_str(),
            "https://e.com/"
        );
    }

    #[test]
    fn headers_of_the_program_win_except_those_of_the_connection() {
        let request = good(
            r#"{"url":"https://e.com","body":"x","headers":{"Content-Type":"a/b","X":["1","2"],"Host":"evil",
               "X-Rmx-Origin":"x","Proxy-Authorization":"x","Content-Length":"9","Accept-Encoding":"br","Skip":null}}"#,
        );
        assert_eq!(header(&request, "content-type").unwrap(), "a/b");
        assert_eq!(
            request
                .headers
                .iter()
                .filter(|(name, _)| name == "x")
                .count(),
            2
        );
        for name in [
            "host",
            "x-rmx-origin",
            "proxy-authorization",
            "content-length",
            "skip",
        ] {
            assert_eq!(header(&request, name), None);
        }
        assert!(!request.undo_gzip);
    }

    #[test]
    fn authorisation() {
        let request = good(
            r#"{"url":"https://e.com","basicAuth":{"username":"Aladdin","password":"open sesame"}}"#,
        );
        assert_eq!(
            header(&request, "authorization").unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        let request = good(r#"{"url":"https://e.com","oauthToken":"t"}"#);
        assert_eq!(header(&request, "authorization").unwrap(), "Bearer t");
    }

    #[test]
    fn client_certificates_are_one_text() {
        let request = good(
            r#"{"url":"https://e.com","clientTLS":{
                "certificate":"-----BEGIN CERTIFICATE-----\r\nQQ==\r\n-----END CERTIFICATE-----",
                "key":" -----BEGIN PRIVATE KEY-----\nQg==\n-----END PRIVATE KEY-----\n"}}"#,
        );
        assert_eq!(
            request.client_tls.as_deref(),
            Some(
                "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n\
                 -----BEGIN PRIVATE KEY-----\nQg==\n-----END PRIVATE KEY-----\n"
            )
        );
        assert!(header(&request, "x-rmx-client-tls").is_none());
    }

    #[test]
    fn wrong_kinds_fail() {
        for (text, code) in [
            (r#"{}"#, "ERR_EXPECTED_STRING"),
            (r#"{"url":1}"#, "ERR_EXPECTED_STRING"),
            (r#"{"url":"https://e.com","params":[]}"#, "ERR_EXPECTED_MAP"),
            (
                r#"{"url":"https://e.com","params":{"a":{}}}"#,
                "ERR_EXPECTED_STRING",
            ),
            (
                r#"{"url":"https://e.com","headers":{"a":1}}"#,
                "ERR_EXPECTED_STRING",
            ),
            (
                r#"{"url":"https://e.com","timeout":"1"}"#,
                "ERR_EXPECTED_NUMBER",
            ),
            (
                r#"{"url":"https://e.com","body":{}}"#,
                "ERR_EXPECTED_STRING",
            ),
            (
                r#"{"url":"https://e.com","clientTLS":1}"#,
                "ERR_EXPECTED_MAP",
            ),
            (
                r#"{"url":"https://e.com","clientTLS":{"key":"y"}}"#,
                "ERR_EXPECTED_STRING",
            ),
            (
                r#"{"url":"https://e.com","returnBinaryResponseBody":1}"#,
                "ERR_EXPECTED_BOOL",
            ),
        ] {
            assert_eq!(Request::parse(&map(text)).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for (text, code) in [
            (r#"{"url":"nowhere"}"#, "ERR_URL"),
            (r#"{"url":"https://e.com","method":"A B"}"#, "ERR_RANGE"),
            (
                r#"{"url":"https://e.com","headers":{"a":"x\ny"}}"#,
                "ERR_RANGE",
            ),
            (
                r#"{"url":"https://e.com","headers":{"a":"x\ry"}}"#,
                "ERR_RANGE",
            ),
            (
                r#"{"url":"https://e.com","headers":{"a":"x\u0000y"}}"#,
                "ERR_RANGE",
            ),
            (
                r#"{"url":"https://e.com","headers":{"a":["b","x\ny"]}}"#,
                "ERR_RANGE",
            ),
            (
                r#"{"url":"https://e.com","headers":{"a b":"x"}}"#,
                "ERR_RANGE",
            ),
            (r#"{"url":"https://e.com","timeout":0}"#, "ERR_RANGE"),
            (
                r#"{"url":"https://e.com","basicAuth":{},"oauthToken":"t"}"#,
                "ERR_RANGE",
            ),
            (
                r#"{"url":"https://e.com","sendFrom":"client"}"#,
                "ERR_UNSUPPORTED",
            ),
            (r#"{"url":"https://e.com","sendFrom":"moon"}"#, "ERR_RANGE"),
            (
                r#"{"url":"https://e.com","clientTLS":{"certificate":"x","key":"y"}}"#,
                "ERR_RANGE",
            ),
        ] {
            assert_eq!(
                Request::parse(&map(text)).unwrap().unwrap_err().code,
                code,
                "{text}"
            );
        }
    }
}
