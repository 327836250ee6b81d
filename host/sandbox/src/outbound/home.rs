//! Requests of guests to the very server that they are on: answered without a network.
//!
//! A guest never sees a token. It marks a request with the number of one, and the mark is taken off
//! here; whoever answers, or sends it on, knows the token.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::DuplexStream;
use wasmtime_wasi_http::{Error, WasiBody};

/// The header that names a token of the run by its number.
const MARK: &str = "x-rmx-token";

/// In the place of a number: the request follows a redirect from elsewhere and gets no token at all, not even the one that its
/// target would have got without being asked, and nothing that proves which agent asks: it is not the agent that chose the target.
const NO_TOKEN: &str = "none";

/// Which token a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// What is usual for its target.
    Usual,
    /// None.
    Nothing,
    /// The token of the run with that number.
    Token(u64),
}

impl Mark {
    /// The number of the token that it asks for.
    pub(super) fn token(self) -> Option<u64> {
        match self {
            Mark::Token(number) => Some(number),
            Mark::Usual | Mark::Nothing => None,
        }
    }
}

/// Number of the token of whoever called the run. Higher ones are tokens that the run was given.
pub const CALLERS_TOKEN: u64 = 1;

/// Headers that only this host may send.
const RESERVED: &str = "x-rmx-";

/// A body on its way inside of the process.
pub type InsideBody = UnsyncBoxBody<Bytes, io::Error>;

/// The answer to a request inside of the process.
pub type Answering = Pin<Box<dyn Future<Output = http::Response<InsideBody>> + Send>>;

/// An authorisation that may have to be fetched first.
pub type Authorizing = Pin<Box<dyn Future<Output = Option<http::HeaderValue>> + Send>>;

/// The server that a run is on, as the run reaches it.
pub trait Home: Send + Sync {
    /// Whether an address is the server's own.
    fn is_own(&self, uri: &http::Uri) -> bool;

    /// Answers a request to the server itself. `with_token`: as the caller of the run.
    fn answer(self: Arc<Self>, request: http::Request<InsideBody>, with_token: bool) -> Answering;

    /// A connection to the server itself, for what is more than a request and its answer.
    /// `with_token`: as the caller of the run.
    fn connect(self: Arc<Self>, with_token: bool) -> DuplexStream;

    /// The authorisation of a token of the run for another server; none: it must not go there.
    fn authorization(self: Arc<Self>, uri: http::Uri, token: u64) -> Authorizing;

    /// The authorisation of a request to another server that has none of its own; mostly none.
    fn usual_authorization(self: Arc<Self>, uri: http::Uri) -> Authorizing;

    /// What proves to a trusted server which agent asks.
    fn origin(&self, uri: &http::Uri) -> Option<http::HeaderValue>;

    /// The place of the run in a trace (W3C Trace Context), if it is traced: `traceparent`, and `tracestate` if there is one.
    fn trace(&self) -> Option<(http::HeaderValue, Option<http::HeaderValue>)>;
}

/// Adds what proves who asks to a request that leaves the process.
pub(super) async fn sign<B>(
    home: &Arc<dyn Home>,
    request: &mut http::Request<B>,
    mark: Mark,
) -> Result<(), Error> {
    let uri = request.uri().clone();
    let value = match mark {
        Mark::Token(token) => {
            let value = home.clone().authorization(uri, token).await;
            Some(value.ok_or(Error::HttpRequestDenied)?)
        }
        Mark::Nothing => None,
        Mark::Usual if request.headers().contains_key(AUTHORIZATION) => None,
        Mark::Usual => home.clone().usual_authorization(uri).await,
    };
    if let Some(value) = value {
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    // A program may know better.
    if !request.headers().contains_key("traceparent")
        && let Some((place, state)) = home.trace()
    {
        let headers = request.headers_mut();
        headers.insert("traceparent", place);
        headers.remove("tracestate");
        if let Some(state) = state {
            headers.insert("tracestate", state);
        }
    }
    if mark != Mark::Nothing
        && let Some(origin) = home.origin(request.uri())
    {
        let name = http::HeaderName::from_static("x-rmx-origin");
        request.headers_mut().insert(name, origin);
    }
    Ok(())
}

/// Takes off what only this host may send, and gives the token that the request asks for. A mark that is no number is one that
/// nobody was given.
pub(super) fn take_marks<B>(request: &mut http::Request<B>) -> Mark {
    let headers = request.headers_mut();
    let mark = headers.get(MARK).map(|mark| mark.to_str().ok());
    let mark = match mark {
        None => Mark::Usual,
        Some(Some(NO_TOKEN)) => Mark::Nothing,
        Some(mark) => {
            let number = mark.and_then(|mark| mark.parse().ok());
            Mark::Token(number.unwrap_or(0))
        }
    };
    let reserved: Vec<http::HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(RESERVED))
        .cloned()
        .collect();
    for name in reserved {
        headers.remove(name);
    }
    mark
}

/// Ends a task with whoever waits for it.
struct Ended(tokio::task::AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// In a task of its own: the answer may enter stores, which is not possible inside of another one.
pub(super) async fn ask(
    home: Arc<dyn Home>,
    request: http::Request<WasiBody>,
    token: Option<u64>,
) -> Result<http::Response<WasiBody>, Error> {
    // Those of providers are for others.
    if token.is_some_and(|token| token != CALLERS_TOKEN) {
        return Err(Error::HttpRequestDenied);
    }
    let broken = |error: Error| io::Error::other(format!("{error:?}"));
    let request = request.map(|body| body.map_err(broken).boxed_unsync());
    let answering = tokio::spawn(home.answer(request, token.is_some()));
    let _ended = Ended(answering.abort_handle());
    match answering.await {
        Ok(response) => {
            Ok(response.map(|body| body.map_err(|_| Error::ConnectionTerminated).boxed_unsync()))
        }
        Err(error) => {
            tracing::error!(%error, "a request to this server broke off");
            Err(Error::ConnectionTerminated)
        }
    }
}

/// Sends a request for another protocol on a connection to the server itself.
pub(super) async fn upgrade(
    home: Arc<dyn Home>,
    mut request: http::Request<Empty<Bytes>>,
    token: Option<u64>,
) -> Result<http::Response<Incoming>, Error> {
    // Those of providers are for others.
    if token.is_some_and(|token| token != CALLERS_TOKEN) {
        return Err(Error::HttpRequestDenied);
    }
    if token.is_some() {
        request.headers_mut().remove(AUTHORIZATION);
    }
    let uri = std::mem::take(request.uri_mut());
    if let Some(authority) = uri.authority()
        && let Ok(host) = authority.as_str().parse()
    {
        request.headers_mut().insert(HOST, host);
    }
    let path = uri.path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(Default::default, Into::into);
    let stream = TokioIo::new(home.connect(token.is_some()));
    let broken = |_| Error::ConnectionTerminated;
    let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
    // It ends with whoever takes the connection over.
    tokio::spawn(connection.with_upgrades());
    sender.send_request(request).await.map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_say_which_token_and_do_not_go_on() {
        for (header, expected) in [
            (None, Mark::Usual),
            (Some("none"), Mark::Nothing),
            (Some("7"), Mark::Token(7)),
            (Some("-1"), Mark::Token(0)),
            (Some("None"), Mark::Token(0)),
        ] {
            let mut request = http::Request::new(());
            if let Some(header) = header {
                let header = http::HeaderValue::from_static(header);
                request.headers_mut().insert(MARK, header);
            }
            assert_eq!(take_marks(&mut request), expected);
            assert!(request.headers().is_empty());
        }
    }

    /// A server of which everything is known.
    struct Known;

    fn known(text: &'static str) -> Option<http::HeaderValue> {
        Some(http::HeaderValue::from_static(text))
    }

    impl Home for Known {
        fn is_own(&self, _: &http::Uri) -> bool {
            false
        }

        fn answer(self: Arc<Self>, _: http::Request<InsideBody>, _: bool) -> Answering {
            panic!("it is not asked itself")
        }

        fn connect(self: Arc<Self>, _: bool) -> DuplexStream {
            panic!("it is not asked itself")
        }

        fn authorization(self: Arc<Self>, _: http::Uri, _: u64) -> Authorizing {
            Box::pin(async { known("token") })
        }

        fn usual_authorization(self: Arc<Self>, _: http::Uri) -> Authorizing {
            Box::pin(async { known("usual") })
        }

        fn origin(&self, _: &http::Uri) -> Option<http::HeaderValue> {
            known("proof")
        }

        fn trace(&self) -> Option<(http::HeaderValue, Option<http::HeaderValue>)> {
            None
        }
    }

    #[tokio::test]
    async fn a_redirect_from_elsewhere_leads_nowhere_in_the_name_of_the_agent() {
        let home: Arc<dyn Home> = Arc::new(Known);
        for (mark, authorization, origin) in [
            (Mark::Usual, Some("usual"), Some("proof")),
            (Mark::Token(2), Some("token"), Some("proof")),
            (Mark::Nothing, None, None),
        ] {
            let mut request = http::Request::new(());
            sign(&home, &mut request, mark).await.expect("signed");
            let header = |name: &str| request.headers().get(name)?.to_str().ok();
            let found = (header("authorization"), header("x-rmx-origin"));
            assert_eq!(found, (authorization, origin), "{mark:?}");
        }
    }
}
