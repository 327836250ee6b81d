//! One request and its response over `wasi:http`.

use std::future::Future;
use std::pin::Pin;

use futures::future::{Either, select};
use mix_plugin_sdk::Bytes;
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};

use crate::bindings::wasi::http::client;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, HeaderError, Method, Request as WasiRequest, Response as WasiResponse,
    Scheme, Trailers,
};
use crate::bindings::{wit_future, wit_stream};
use crate::delivery::Body;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::response::{Head, too_large};

/// Read from a body, or written to one, at once.
const CHUNK: usize = 64 * 1024;
/// Most bytes of all headers of a response.
const LARGEST_HEAD: usize = 64 * 1024;

/// How a host is given a client certificate: PEM text with tabs in the place of line ends.
const CLIENT_TLS: &str = "x-rmx-client-tls";

/// What the end of a body tells.
type End = Result<Option<Trailers>, ErrorCode>;

/// The body of a response, while it comes. What is left of the body of the request goes out
/// meanwhile; both end when this is dropped.
pub struct WireBody {
    stream: StreamReader<u8>,
    upload: Upload,
    /// Tells the host that the body was read, when it is dropped.
    consumed: Option<FutureWriter<Result<(), ErrorCode>>>,
    end: Option<FutureReader<End>>,
}

/// The body of a request on its way. It never ends by itself.
type Upload = Pin<Box<dyn Future<Output = ()>>>;

/// Sends a request; the body of the response is yet to be read.
pub async fn send(request: &Request) -> Result<(Head, WireBody), Refusal> {
    let mut headers = request.headers.clone();
    if let Some(length) = length(request) {
        headers.push((
            "content-length".to_string(),
            length.to_string().into_bytes(),
        ));
    }
    if let Some(number) = request.token {
        // The host puts the token in its place.
        headers.push(("x-rmx-token".to_string(), number.to_string().into_bytes()));
    }
    if request.token.is_none() && request.is_redirected {
        headers.push(("x-rmx-token".to_string(), b"none".to_vec()));
    }
    if let Some(pem) = &request.client_tls {
        // The host takes it off; it is here only if the host said so.
        let value = pem.replace('\n', "\t").into_bytes();
        headers.push((CLIENT_TLS.to_string(), value));
    }
    let headers = Fields::from_list(&headers).map_err(|error| bad_header(&error))?;
    let (writer, body) = wit_stream::new();
    let (trailers, no_trailers) = wit_future::new::<End>(|| Ok(None));
    let contents = request.body.as_ref().map(|_| body);
    let (wasi, _sent) = WasiRequest::new(headers, contents, no_trailers, None);
    address(&wasi, request)?;

    // The body is written while the response is awaited: a server may answer early.
    let upload: Upload = Box::pin(upload(request.body.clone(), writer, trailers));
    let answer = Box::pin(client::send(wasi));
    let denied = |error| match error {
        // The host knows where a token may go.
        ErrorCode::HttpRequestDenied if request.token.is_some() => Refusal::blocked("token"),
        error => refusal(error),
    };
    let (response, upload) = match select(answer, upload).await {
        Either::Left((response, upload)) => (response.map_err(denied)?, upload),
        Either::Right(((), _)) => {
            return Err(Refusal::new("ERR_NETWORK", "the upload ended the exchange"));
        }
    };
    receive(response, upload)
}

/// What is said about the length of the body. Methods that may have a body say so if they have none, or
/// it would go out in chunks, of which there is none: many servers refuse that.
fn length(request: &Request) -> Option<usize> {
    match (&request.body, request.method.as_str()) {
        (Some(body), _) => Some(body.len()),
        (None, "GET" | "HEAD" | "CONNECT") => None,
        (None, _) => Some(0),
    }
}

async fn upload(body: Option<Bytes>, mut writer: StreamWriter<u8>, trailers: FutureWriter<End>) {
    for chunk in body.iter().flat_map(|body| body.chunks(CHUNK)) {
        // What is left over is not wanted by the server.
        if !writer.write_all(chunk.to_vec()).await.is_empty() {
            break;
        }
    }
    drop(writer);
    // Whoever does not read the trailers does not need them.
    let _ = trailers.write(Ok(None)).await;
    std::future::pending::<()>().await;
}

fn address(wasi: &WasiRequest, request: &Request) -> Result<(), Refusal> {
    let url = &request.url;
    let scheme = match url.scheme() {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    let host = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_string(),
    };
    wasi.set_method(&method(&request.method)).map_err(|()| {
        Refusal::new(
            "ERR_RANGE",
            format!("method {} is not possible", request.method),
        )
    })?;
    wasi.set_scheme(Some(&scheme))
        .and_then(|()| wasi.set_authority(Some(&authority)))
        .and_then(|()| wasi.set_path_with_query(Some(&path)))
        .map_err(|()| Refusal::new("ERR_URL", "the host does not accept this URL"))
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_string()),
    }
}

fn receive(response: WasiResponse, upload: Upload) -> Result<(Head, WireBody), Refusal> {
    let head = Head {
        status: response.get_status_code(),
        headers: response.get_headers().copy_all(),
    };
    let size: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    if size > LARGEST_HEAD {
        return Err(too_large(LARGEST_HEAD));
    }
    let (consumed, outcome) = wit_future::new::<Result<(), ErrorCode>>(|| Ok(()));
    let (stream, trailers) = WasiResponse::consume_body(response, outcome);
    let body = WireBody {
        stream,
        upload,
        consumed: Some(consumed),
        end: Some(trailers),
    };
    Ok((head, body))
}

impl Body for WireBody {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        if self.end.is_none() {
            return Ok(None);
        }
        let reading = Box::pin(self.stream.read(Vec::with_capacity(CHUNK)));
        let (result, bytes) = match select(reading, &mut self.upload).await {
            Either::Left((read, _)) => read,
            Either::Right(((), _)) => return Ok(None),
        };
        if !bytes.is_empty() || matches!(result, StreamResult::Complete(_)) {
            return Ok(Some(bytes));
        }
        drop(self.consumed.take());
        if let Some(trailers) = self.end.take() {
            // Tells whether the body ended as it should.
            trailers.await.map_err(refusal)?;
        }
        Ok(None)
    }
}

fn bad_header(error: &HeaderError) -> Refusal {
    let text = match error {
        HeaderError::InvalidSyntax => "a header is malformed",
        HeaderError::Forbidden => "a header may not be set in this host",
        HeaderError::SizeExceeded => "the headers are too large",
        _ => "the headers are not accepted by this host",
    };
    Refusal::new("ERR_RANGE", text)
}

/// What an error of the host means to a program.
fn refusal(error: ErrorCode) -> Refusal {
    use ErrorCode as E;
    let (code, text): (_, String) = match error {
        E::DestinationIpProhibited => return Refusal::blocked("address"),
        E::HttpRequestDenied => return Refusal::blocked("host"),
        E::DnsTimeout => (
            "ERR_NETWORK",
            "the name could not be looked up in time".into(),
        ),
        E::DnsError(_) | E::DestinationNotFound => {
            ("ERR_NETWORK", "the host name has no address".into())
        }
        E::DestinationUnavailable | E::DestinationIpUnroutable => {
            ("ERR_NETWORK", "the host is not reachable".into())
        }
        E::ConnectionRefused => ("ERR_NETWORK", "connection refused".into()),
        E::ConnectionTerminated => ("ERR_NETWORK", "the connection broke off".into()),
        E::ConnectionLimitReached => ("ERR_NETWORK", "too many connections".into()),
        E::ConnectionTimeout
        | E::ConnectionReadTimeout
        | E::ConnectionWriteTimeout
        | E::HttpResponseTimeout => ("ERR_TIMEOUT", "the host does not answer".into()),
        E::TlsProtocolError | E::TlsAlertReceived(_) => {
            ("ERR_TLS", "no secure connection to the host".into())
        }
        E::TlsCertificateError => ("ERR_TLS", "the certificate of the host is not valid".into()),
        E::HttpRequestUriInvalid | E::HttpRequestUriTooLong => {
            ("ERR_URL", "the URL is not accepted".into())
        }
        E::HttpRequestMethodInvalid => ("ERR_RANGE", "the method is not accepted".into()),
        E::HttpResponseHeaderSectionSize(_)
        | E::HttpResponseHeaderSize(_)
        | E::HttpResponseBodySize(_)
        | E::HttpResponseTrailerSectionSize(_)
        | E::HttpResponseTrailerSize(_) => ("ERR_TOO_LARGE", "the response is too large".into()),
        E::HttpResponseIncomplete => ("ERR_NETWORK", "the response broke off".into()),
        E::HttpProtocolError => (
            "ERR_NETWORK",
            "the host does not speak HTTP, or broke the connection off".into(),
        ),
        E::InternalError(Some(text)) => return told(&text),
        other => ("ERR_NETWORK", format!("{other:?}")),
    };
    Refusal::new(code, text)
}

/// A host may name code and reason itself, as `ERR_X: text`.
fn told(text: &str) -> Refusal {
    const CODES: [&str; 6] = [
        "ERR_URL_BLOCKED",
        "ERR_NETWORK",
        "ERR_TLS",
        "ERR_TIMEOUT",
        "ERR_TOO_LARGE",
        "ERR_CANCELED",
    ];
    let named = text
        .split_once(": ")
        .and_then(|(code, text)| Some((CODES.iter().find(|known| **known == code)?, text)));
    match named {
        Some((code, text)) => Refusal::new(code, text),
        None => Refusal::new("ERR_NETWORK", "the exchange failed"),
    }
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::{Map, Value};

    use super::*;

    #[test]
    fn lengths_are_said_where_there_may_be_a_body() {
        for (method, body, expected) in [
            ("GET", None, None),
            ("HEAD", None, None),
            ("GET", Some("ab"), Some(2)),
            ("POST", Some("ü"), Some(2)),
            ("POST", None, Some(0)),
            ("DELETE", None, Some(0)),
            ("PROPFIND", None, Some(0)),
        ] {
            let mut map = Map::from([
                ("url".into(), Value::string("https://e.com/")),
                ("method".into(), Value::string(method)),
            ]);
            if let Some(body) = body {
                map.insert("body".into(), Value::string(body));
            }
            let request = Request::parse(&map).unwrap().unwrap();
            assert_eq!(length(&request), expected, "{method}");
        }
    }
}
