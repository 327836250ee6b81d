//! Signed requests, and their answers within limits of time and size.

use crate::error::{Result, StoreError};
use crate::settings::Settings;
use crate::signing::{Signed, Signer, encode, hash, query};
use crate::time;
use crate::xml;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::{Duration, SystemTime};

/// Time to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Largest answer that is read as a whole: a page of a listing.
const MAX_ANSWER: usize = 8 << 20;
/// How often a request is sent that may succeed a moment later.
const ATTEMPTS: u32 = 3;
/// Before the second attempt; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(200);

/// A request before it is signed.
pub struct Call<'a> {
    pub method: Method,
    /// The key; none for the bucket itself.
    pub key: Option<&'a str>,
    pub query: &'a [(&'a str, &'a str)],
    /// Lower-case names.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Bytes,
}

impl Call<'_> {
    /// One without query, headers and body.
    pub fn plain(method: Method, key: &str) -> Call<'_> {
        Call {
            method,
            key: Some(key),
            query: &[],
            headers: &[],
            body: Bytes::new(),
        }
    }
}

/// How requests get to the store.
pub struct Transport {
    settings: Settings,
    /// Host and port of the store, and what its URL has behind them.
    host: String,
    base: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Transport {
    pub fn new(settings: Settings) -> Result<Transport> {
        let unusable = |what: &str| StoreError::Unreachable(what.to_owned());
        let tls = mix_trust::client_config()
            .map_err(|error| unusable(&error.to_string()))?
            .with_no_client_auth();
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        let endpoint: http::Uri = settings
            .endpoint
            .parse()
            .map_err(|_| unusable("the endpoint is no address"))?;
        let host = match (endpoint.host(), endpoint.port_u16(), endpoint.scheme_str()) {
            (Some(host), Some(443), Some("https")) | (Some(host), Some(80), Some("http")) => {
                host.to_owned()
            }
            (Some(_), ..) => endpoint
                .authority()
                .map_or_else(String::new, |authority| authority.as_str().to_owned()),
            (None, ..) => return Err(unusable("the endpoint has no host")),
        };
        let base = endpoint.path().trim_end_matches('/').to_owned();
        Ok(Transport {
            settings,
            host,
            base,
            client,
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The path of a key as the store sees it.
    fn path(&self, key: Option<&str>) -> String {
        let bucket = &self.settings.bucket;
        match key {
            Some(key) => format!("{}/{bucket}/{}", self.base, encode(key, true)),
            None => format!("{}/{bucket}", self.base),
        }
    }

    /// The source of a copy, as a header names it.
    pub fn source(&self, key: &str) -> String {
        format!("/{}/{}", self.settings.bucket, encode(key, true))
    }

    /// Sends a request, again if that may help; the answer is one of success. All attempts together take no longer than
    /// the store may keep anybody waiting, so that one which says nothing is asked once.
    pub async fn send(&self, call: &Call<'_>) -> Result<Response<Incoming>> {
        let sending = tokio::time::timeout(self.settings.timeout, self.try_to_send(call));
        sending.await.unwrap_or(Err(StoreError::Slow))
    }

    async fn try_to_send(&self, call: &Call<'_>) -> Result<Response<Incoming>> {
        let mut attempt = 1;
        loop {
            match self.send_once(call).await {
                Err(error) if error.passes() && attempt < ATTEMPTS => {
                    tracing::debug!(%error, attempt, "a request to the store is sent again");
                    tokio::time::sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn send_once(&self, call: &Call<'_>) -> Result<Response<Incoming>> {
        let request = self.signed(call)?;
        let answer = match self.client.request(request).await {
            Ok(answer) => answer,
            Err(error) => return Err(StoreError::Unreachable(root(&error))),
        };
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        // The answer to HEAD has no body.
        let text = self.text(answer).await.unwrap_or_default();
        let code = xml::text(&text, "Code").unwrap_or_default();
        match (status, code.as_str()) {
            (412, _) if has(call, "if-match") => Err(StoreError::Changed),
            (412, _) | (409, "ConditionalRequestConflict") if has(call, "if-none-match") => {
                Err(StoreError::Exists)
            }
            _ => Err(StoreError::Refused {
                status,
                code,
                message: xml::text(&text, "Message")
                    .unwrap_or_default()
                    .chars()
                    .take(200)
                    .collect(),
            }),
        }
    }

    fn signed(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>> {
        let time = time::basic(SystemTime::now());
        let body_hash = hash(&call.body);
        let mut headers: Vec<(&str, &str)> = call.headers.to_vec();
        headers.extend([
            ("host", self.host.as_str()),
            ("x-amz-content-sha256", body_hash.as_str()),
            ("x-amz-date", time.as_str()),
        ]);
        headers.sort_unstable();
        let (path, query) = (self.path(call.key), query(call.query));
        let settings = &self.settings;
        let signer = Signer {
            access_key: &settings.access_key,
            secret_key: &settings.secret_key,
            region: &settings.region,
            time: &time,
        };
        let authorization = signer.authorization(&Signed {
            method: call.method.as_str(),
            path: &path,
            query: &query,
            headers: &headers,
            body_hash: &body_hash,
        });
        let scheme = settings.endpoint.split("://").next().unwrap_or("https");
        let mut url = format!("{scheme}://{}{path}", self.host);
        if !query.is_empty() {
            url.push('?');
            url.push_str(&query);
        }
        let mut request = Request::builder().method(call.method.clone()).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request
            .header("authorization", authorization)
            .body(Full::new(call.body.clone()))
            .map_err(|_| StoreError::Malformed("a header of the request"))
    }

    /// The text of an answer.
    pub async fn text(&self, answer: Response<Incoming>) -> Result<String> {
        let mut body = answer.into_body();
        let mut text = BytesMut::new();
        while let Some(piece) = piece(&mut body, self.settings.timeout).await? {
            if text.len() + piece.len() > MAX_ANSWER {
                return Err(StoreError::Malformed("it is too long"));
            }
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text.to_vec()).map_err(|_| StoreError::Malformed("it is no text"))
    }
}

/// The next bytes of a body, which must come within that time.
pub async fn piece(body: &mut Incoming, limit: Duration) -> Result<Option<Bytes>> {
    loop {
        match tokio::time::timeout(limit, body.frame()).await {
            Err(_) => return Err(StoreError::Slow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(StoreError::Unreachable(root(&error))),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn has(call: &Call<'_>, name: &str) -> bool {
    call.headers.iter().any(|(found, _)| *found == name)
}

/// The innermost cause, which says what happened.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A store that answers every request with these bytes, and then says nothing more; the number
    /// of requests that it has got.
    fn store(answer: &'static str, timeout: Duration) -> (Transport, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(AtomicU32::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer.as_bytes());
                open.push(stream);
            }
        });
        let settings = Settings {
            endpoint: format!("http://127.0.0.1:{port}"),
            region: "r".to_owned(),
            bucket: "b".to_owned(),
            access_key: "a".to_owned(),
            secret_key: "s".to_owned(),
            public_domain: None,
            timeout,
        };
        (Transport::new(settings).expect("a transport"), asked)
    }

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_store_that_says_nothing_is_waited_for_once() {
        let (transport, asked) = store("", SHORT);
        let answer = transport.send(&Call::plain(Method::GET, "x")).await;
        assert!(matches!(answer, Err(StoreError::Slow)), "{answer:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_store_that_fails_is_given_up_after_a_few_attempts() {
        let refusal = "HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let (transport, asked) = store(refusal, LONG);
        let answer = transport.send(&Call::plain(Method::GET, "x")).await;
        let is_refused = matches!(answer, Err(StoreError::Refused { status: 503, .. }));
        assert!(is_refused, "{answer:?}");
        assert_eq!(asked.load(Ordering::SeqCst), ATTEMPTS);
    }

    #[tokio::test]
    async fn a_body_that_stops_is_given_up() {
        let (transport, _) = store("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", SHORT);
        let answer = transport.send(&Call::plain(Method::GET, "x")).await;
        let text = transport.text(answer.expect("a head")).await;
        assert!(matches!(text, Err(StoreError::Slow)), "{text:?}");
        // One that fails, and does not say why in time.
        let (transport, _) = store("HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\nhalf", SHORT);
        let answer = transport.send(&Call::plain(Method::GET, "x")).await;
        assert!(matches!(answer, Err(StoreError::Slow)), "{answer:?}");
    }
}
