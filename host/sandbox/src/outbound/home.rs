//! Requests of guests to the very server that they are on: answered without a network.
//!
//! A guest never sees the token of its run. It marks a request with the number of the token, and
//! the mark is taken off here; whoever answers, or sends it on, knows the token.

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, WasiBody};

/// The header that names the token of the run by its number.
const MARK: &str = "x-rmx-token";

/// Headers that only this host may send.
const RESERVED: &str = "x-rmx-";

/// A body on its way inside of the process.
pub type InsideBody = UnsyncBoxBody<Bytes, io::Error>;

/// The answer to a request inside of the process.
pub type Answering = Pin<Box<dyn Future<Output = http::Response<InsideBody>> + Send>>;

/// The server that a run is on, as the run reaches it.
pub trait Home: Send + Sync {
    /// Whether an address is the server's own.
    fn is_own(&self, uri: &http::Uri) -> bool;

    /// Answers a request to the server itself. `with_token`: as the caller of the run.
    fn answer(self: Arc<Self>, request: http::Request<InsideBody>, with_token: bool) -> Answering;

    /// The authorisation of the run's token for another server; none: it must not go there.
    fn authorization(&self, uri: &http::Uri) -> Option<http::HeaderValue>;

    /// What proves to a trusted server which agent asks.
    fn origin(&self, uri: &http::Uri) -> Option<http::HeaderValue>;

    /// The place of the run in a trace (W3C Trace Context), if it is traced.
    fn traceparent(&self) -> Option<http::HeaderValue>;
}

impl dyn Home {
    /// Adds what proves who asks to a request that leaves the process.
    pub(super) fn sign(
        &self,
        request: &mut http::Request<WasiBody>,
        with_token: bool,
    ) -> Result<(), Error> {
        if with_token {
            let value = self.authorization(request.uri());
            let value = value.ok_or(Error::HttpRequestDenied)?;
            request
                .headers_mut()
                .insert(http::header::AUTHORIZATION, value);
        }
        if let Some(place) = self.traceparent() {
            // A program may know better.
            request.headers_mut().entry("traceparent").or_insert(place);
        }
        if let Some(origin) = self.origin(request.uri()) {
            let name = http::HeaderName::from_static("x-rmx-origin");
            request.headers_mut().insert(name, origin);
        }
        Ok(())
    }
}

/// Takes off what only this host may send; true if the request asks for the token of the run.
pub(super) fn take_marks(request: &mut http::Request<WasiBody>) -> bool {
    let headers = request.headers_mut();
    let is_marked = headers.contains_key(MARK);
    let reserved: Vec<http::HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(RESERVED))
        .cloned()
        .collect();
    for name in reserved {
        headers.remove(name);
    }
    is_marked
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
    with_token: bool,
) -> Result<http::Response<WasiBody>, Error> {
    let broken = |error: Error| io::Error::other(format!("{error:?}"));
    let request = request.map(|body| body.map_err(broken).boxed_unsync());
    let answering = tokio::spawn(home.answer(request, with_token));
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
