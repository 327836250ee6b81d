//! Opening a connection: an HTTP request that asks to go on as something else.

use crate::bindings::Failure;
use crate::home::Home;
use crate::instance::failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    AUTHORIZATION, CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use mix_sandbox::outbound::{Outbound, guard};
use mix_value::{Map, Token, Value, escjson};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi_http::Error;

/// What the server appends to the key before it hashes it (RFC 6455, 1.3).
const SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of an answer that refuses which are looked at.
const LONGEST_REFUSAL: usize = 16 * 1024;

/// Longest time to connect.
const LONGEST: Duration = Duration::from_secs(300);

/// What the program wants.
pub struct Wishes {
    url: Uri,
    headers: HeaderMap,
    /// Number of a token that the host keeps for the run.
    token: Option<u64>,
    time: Duration,
    /// How long a reader waits for a message.
    pub patience: Option<Duration>,
}

fn seconds(map: &Map, name: &str) -> Result<Option<Duration>, Failure> {
    let seconds = match map.get(name) {
        None | Some(Value::Null | Value::Undefined) => return Ok(None),
        Some(Value::Int(seconds)) => *seconds as f64,
        Some(Value::Float(seconds)) => *seconds,
        Some(_) => {
            let message = format!("{name} is a number of seconds");
            return Err(failure("ERR_EXPECTED_NUMBER", message));
        }
    };
    if !(0.0..=1e9).contains(&seconds) {
        let message = format!("{name} is a number of seconds, 0 or more");
        return Err(failure("ERR_RANGE", message));
    }
    Ok((seconds > 0.0).then(|| Duration::from_secs_f64(seconds)))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let bad = || failure("ERR_RANGE", format!("header {name:?} cannot be sent"));
    let name = name.parse().map_err(|_| bad())?;
    Ok((name, HeaderValue::from_str(value).map_err(|_| bad())?))
}

/// Headers that are those of the connection.
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 7] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
    ];
    let name = name.to_ascii_lowercase();
    RESERVED.contains(&name.as_str())
        || ["proxy-", "x-rmx-", "sec-websocket-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

impl Wishes {
    /// The configuration of `websocket.create`.
    pub fn of(config: &Value) -> Result<Wishes, Failure> {
        let config = super::super::map(config)?;
        let url = super::super::text(config.get("url").unwrap_or(&Value::Undefined))?;
        let url: Uri = url
            .parse()
            .map_err(|error| failure("ERR_URL", format!("{error}")))?;
        let mut headers = HeaderMap::new();
        let given = |name: &str| config.get(name).filter(|value| **value != Value::Null);
        if let Some(given) = given("headers") {
            let Value::Map(given) = given else {
                return Err(failure("ERR_EXPECTED_MAP", "headers is a map".to_owned()));
            };
            for (name, value) in given {
                let values = value.as_array().unwrap_or(std::slice::from_ref(value));
                for value in values {
                    let (header, value) = header(name, super::super::text(value)?)?;
                    if !is_reserved(name) {
                        headers.append(header, value);
                    }
                }
            }
        }
        let mut kept = None;
        match given("oauth_token") {
            None => {}
            Some(Value::Token(Token::Reference(number))) => kept = Some(*number),
            // The token that stands for none.
            Some(Value::Token(Token::Sealed(body))) if body.is_empty() => {}
            Some(Value::Token(Token::Sealed(_))) => {
                return Err(failure("ERR_URL_BLOCKED", "token".to_owned()));
            }
            Some(token) => {
                let token = super::super::text(token)?;
                headers.insert(
                    AUTHORIZATION,
                    header("authorization", &format!("Bearer {token}"))?.1,
                );
            }
        }
        if let Some(auth) = given("basic_auth") {
            if given("oauth_token").is_some() {
                let message = "basic_auth and oauth_token exclude each other".to_owned();
                return Err(failure("ERR_RANGE", message));
            }
            let part = |name: &str| {
                super::super::text(auth.get(name).unwrap_or(&Value::Undefined)).map(str::to_owned)
            };
            let both = STANDARD.encode(format!("{}:{}", part("username")?, part("password")?));
            headers.insert(
                AUTHORIZATION,
                header("authorization", &format!("Basic {both}"))?.1,
            );
        }
        if let Some(protocols) = given("subprotocols") {
            let Value::Array(protocols) = protocols else {
                let message = "subprotocols is an array of strings".to_owned();
                return Err(failure("ERR_EXPECTED_ARRAY", message));
            };
            let names: Result<Vec<&str>, Failure> =
                protocols.iter().map(super::super::text).collect();
            let names = names?.join(", ");
            if !names.is_empty() {
                let value = header("sec-websocket-protocol", &names)?.1;
                headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
            }
        }
        Ok(Wishes {
            url,
            headers,
            token: kept,
            time: seconds(config, "timeout")?.map_or(LONGEST, |time| time.min(LONGEST)),
            patience: seconds(config, "readTimeout")?,
        })
    }
}

/// What a server answers that accepts a connection with this key.
pub fn accepted(key: &str) -> String {
    let text = format!("{key}{SUFFIX}");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Connects, asks for the upgrade and checks the answer.
///
/// `home`: the server that the run is on.
pub async fn perform(
    outbound: &Outbound,
    home: Option<&Arc<dyn Home>>,
    wishes: Wishes,
) -> Result<Upgraded, Failure> {
    let time = wishes.time;
    match tokio::time::timeout(time, connect(outbound, home, wishes)).await {
        Ok(done) => done,
        Err(_) => Err(failure(
            "ERR_TIMEOUT",
            format!("no connection within {} s", time.as_secs_f64()),
        )),
    }
}

async fn connect(
    outbound: &Outbound,
    home: Option<&Arc<dyn Home>>,
    wishes: Wishes,
) -> Result<Upgraded, Failure> {
    let nonce: [u8; 16] =
        super::random().ok_or_else(|| failure("ERR_NETWORK", "no random numbers".to_owned()))?;
    let key = STANDARD.encode(nonce);
    let url = http_url(wishes.url)?;
    if !home.is_some_and(|home| home.is_own(&url)) {
        outbound.judge(&url).map_err(blocked)?;
    }
    let offered = wishes.headers.get(SEC_WEBSOCKET_PROTOCOL).cloned();
    let mut request = Request::get(url);
    if let Some(headers) = request.headers_mut() {
        headers.extend(wishes.headers);
    }
    let request = request
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .body(())
        .map_err(|error| failure("ERR_URL", error.to_string()))?;
    let token = wishes.token;
    let answered = outbound.upgrade(home, request, token).await;
    let mut response = answered.map_err(|error| match error {
        Error::HttpRequestDenied if token.is_some() => {
            failure("ERR_URL_BLOCKED", "token".to_owned())
        }
        error => refused(error),
    })?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(failure("ERR_NETWORK", no_upgrade(response).await));
    }
    check(response.headers(), &accepted(&key), offered.as_ref())
        .map_err(|message| failure("ERR_NETWORK", message.to_owned()))?;
    hyper::upgrade::on(&mut response)
        .await
        .map_err(|error| failure("ERR_NETWORK", error.to_string()))
}

/// What is wrong with an answer that agrees to the upgrade (RFC 6455, 4.1). `offered`: the subprotocols.
fn check(
    headers: &HeaderMap,
    expected: &str,
    offered: Option<&HeaderValue>,
) -> Result<(), &'static str> {
    let all = |name: HeaderName| {
        let values = headers.get_all(name);
        let texts = values.iter().map(|value| value.to_str().unwrap_or("?"));
        let words = texts.flat_map(|text| text.split(',').map(str::trim));
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>()
    };
    let says = |name, word: &str| all(name).iter().any(|one| one.eq_ignore_ascii_case(word));
    if !says(UPGRADE, "websocket")
        || !says(CONNECTION, "upgrade")
        || all(SEC_WEBSOCKET_ACCEPT) != [expected]
    {
        return Err("the server does not speak the WebSocket protocol");
    }
    let offered = offered.and_then(|names| names.to_str().ok()).unwrap_or("");
    let is_offered = |name: &&str| offered.split(',').any(|one| one.trim() == *name);
    match all(SEC_WEBSOCKET_PROTOCOL).as_slice() {
        [] => {}
        [one] if is_offered(one) => {}
        _ => return Err("the server chose a subprotocol that was not offered"),
    }
    match all(SEC_WEBSOCKET_EXTENSIONS).is_empty() {
        true => Ok(()),
        false => Err("the server chose an extension that was not offered"),
    }
}

/// What a server says that answers otherwise: its status, and its message if it has one.
async fn no_upgrade(response: Response<Incoming>) -> String {
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LONGEST_REFUSAL).collect();
    let body = body
        .await
        .map(|body| body.to_bytes().to_vec())
        .unwrap_or_default();
    let parsed = String::from_utf8(body)
        .ok()
        .and_then(|text| escjson::parse_plain(&text).ok());
    let message = parsed
        .as_ref()
        .and_then(|answer| answer.get("error")?.get("message")?.as_str());
    match message {
        Some(message) => format!("the server answers with status {status}: {message}"),
        None => format!("the server answers with status {status}"),
    }
}

/// `ws` and `wss` over the schemes that they are upgraded from.
fn http_url(url: Uri) -> Result<Uri, Failure> {
    let scheme = match url.scheme_str() {
        Some("wss") => "https",
        Some("ws") => "http",
        _ => return Err(blocked(guard::Reason::Scheme)),
    };
    let mut parts = url.into_parts();
    parts.scheme = scheme.parse().ok();
    if parts.path_and_query.is_none() {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    }
    Uri::from_parts(parts).map_err(|error| failure("ERR_URL", error.to_string()))
}

fn blocked(reason: guard::Reason) -> Failure {
    match reason {
        guard::Reason::Parse => failure("ERR_URL", "no URL with a host".to_owned()),
        reason => failure("ERR_URL_BLOCKED", reason.to_string()),
    }
}

/// What an error on the way means to a program.
fn refused(error: Error) -> Failure {
    let (code, text) = match error {
        Error::DestinationIpProhibited => ("ERR_URL_BLOCKED", "address"),
        Error::HttpRequestDenied => ("ERR_URL_BLOCKED", "host"),
        Error::HttpRequestUriInvalid => ("ERR_URL", "the URL is not accepted"),
        Error::TlsCertificateError => ("ERR_TLS", "the certificate of the host is not valid"),
        Error::TlsProtocolError | Error::TlsAlertReceived { .. } => {
            ("ERR_TLS", "no secure connection to the host")
        }
        Error::ConnectionTimeout | Error::HttpResponseTimeout => {
            ("ERR_TIMEOUT", "the host does not answer")
        }
        Error::ConnectionRefused => ("ERR_NETWORK", "connection refused"),
        Error::ConnectionTerminated | Error::HttpResponseIncomplete => (
            "ERR_NETWORK",
            "the host ended the connection without an answer",
        ),
        Error::HttpProtocolError => ("ERR_NETWORK", "the host does not speak HTTP"),
        Error::DnsError { .. } => ("ERR_NETWORK", "the host name has no address"),
        _ => ("ERR_NETWORK", "the host is not reachable"),
    };
    failure(code, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_agrees_to_what_was_asked() {
        let checked = |more: &[(&'static str, &str)], offered: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            let usual = [
                ("upgrade", "WebSocket"),
                ("connection", "keep-alive, Upgrade"),
                ("sec-websocket-accept", "right"),
            ];
            for (name, value) in usual.iter().chain(more) {
                let value = HeaderValue::from_str(value).expect("a value");
                headers.append(*name, value);
            }
            let offered = offered.map(HeaderValue::from_static);
            check(&headers, "right", offered.as_ref())
        };
        assert_eq!(checked(&[], None), Ok(()));
        assert_eq!(checked(&[], Some("a, b")), Ok(()));
        let protocol = "sec-websocket-protocol";
        assert_eq!(checked(&[(protocol, "b")], Some("a, b")), Ok(()));
        let no_protocol = Err("the server chose a subprotocol that was not offered");
        assert_eq!(checked(&[(protocol, "c")], Some("a, b")), no_protocol);
        assert_eq!(checked(&[(protocol, "a, b")], Some("a, b")), no_protocol);
        assert_eq!(checked(&[(protocol, "a")], None), no_protocol);
        let extension = [("sec-websocket-extensions", "permessage-deflate")];
        assert!(checked(&extension, None).is_err());
        assert!(checked(&[("sec-websocket-accept", "wrong")], None).is_err());
        let other = check(&HeaderMap::new(), "right", None);
        assert_eq!(
            other,
            Err("the server does not speak the WebSocket protocol")
        );
    }
}
