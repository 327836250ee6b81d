//! Requests that the server itself sends because somebody asked it to: packages from and workspaces to other servers. The
//! rules for their targets are those for guests.

use super::{Outbound, guard, translate};
use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::io;
use std::time::Duration;
use wasmtime_wasi_http::Error;

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 10;
/// Time to the head of an answer. The other side may have to pack a workspace first.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// Why a request of the server has no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The rules do not allow the target; the word says which one.
    #[error("the address is not allowed: {0}")]
    Blocked(String),
    /// No connection, or no answer.
    #[error("no answer: {0}")]
    Failed(String),
}

impl From<guard::Reason> for TransferError {
    fn from(reason: guard::Reason) -> TransferError {
        TransferError::Blocked(reason.to_string())
    }
}

impl Outbound {
    /// Fetches; redirects are followed, and a token goes with the first target's origin only.
    pub async fn fetch(
        &self,
        url: &str,
        token: Option<&str>,
    ) -> Result<Response<Incoming>, TransferError> {
        let mut uri = guard::read(url)?;
        let mut token = token;
        for _ in 0..=MAX_REDIRECTS {
            let request = request("GET", &uri, token)
                .body(http_body_util::Empty::new().map_err(|never| match never {}))
                .map_err(|_| TransferError::Blocked("url".to_owned()))?;
            let answer = self.transfer(request).await?;
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.headers().get(LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| resolved(&uri, location));
            let next =
                next.ok_or_else(|| TransferError::Failed("a redirect to nowhere".to_owned()))?;
            if !self.dangerous && next.scheme() != uri.scheme() {
                return Err(guard::Reason::Scheme.into());
            }
            if next.scheme() != uri.scheme() || next.authority() != uri.authority() {
                token = None;
            }
            uri = next;
        }
        Err(TransferError::Blocked("redirects".to_owned()))
    }

    /// Sends a body; redirects are not followed.
    pub async fn post<B>(
        &self,
        url: &str,
        token: Option<&str>,
        media_type: &str,
        body: B,
    ) -> Result<Response<Incoming>, TransferError>
    where
        B: Body<Data = Bytes, Error = io::Error> + Send + 'static,
    {
        let request = request("POST", &guard::read(url)?, token)
            .header("content-type", media_type)
            .body(body)
            .map_err(|_| TransferError::Blocked("url".to_owned()))?;
        self.transfer(request).await
    }

    async fn transfer<B>(&self, request: Request<B>) -> Result<Response<Incoming>, TransferError>
    where
        B: Body<Data = Bytes, Error = io::Error> + Send + 'static,
    {
        self.judge(request.uri())?;
        let failed = |error: Error| match error {
            Error::DestinationIpProhibited => guard::Reason::Address.into(),
            other => TransferError::Failed(other.to_string()),
        };
        let client: Client<_, UnsyncBoxBody<Bytes, io::Error>> =
            Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(self.connector(None).map_err(failed)?);
        let sending = client.request(request.map(BodyExt::boxed_unsync));
        match tokio::time::timeout(ANSWER_LIMIT, sending).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failed(translate(error))),
            Err(_) => Err(TransferError::Failed("it takes too long".to_owned())),
        }
    }
}

fn request(method: &str, uri: &Uri, token: Option<&str>) -> http::request::Builder {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.header("accept", "*/*")
}

/// The target of a redirect: another URL, or another path of the same server.
fn resolved(from: &Uri, location: &str) -> Option<Uri> {
    let from = url::Url::parse(&from.to_string()).ok()?;
    guard::read(from.join(location).ok()?.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn targets_are_judged_as_those_of_guests() {
        let outbound = Outbound::new(false);
        for (url, reason) in [
            ("http://example.com/x.remix", "scheme"),
            ("file:///etc/passwd", "url"),
            ("https://10.0.0.5/x", "address"),
            ("https://[::1]/x", "address"),
            ("https://localhost/x", "host"),
            ("https://a:b@example.com/x", "userinfo"),
            ("nonsense", "url"),
            ("https://example.com:99999/x", "url"),
        ] {
            match outbound.fetch(url, Some("t")).await {
                Err(TransferError::Blocked(found)) => assert_eq!(found, reason, "{url}"),
                other => panic!("{url}: {other:?}"),
            }
        }
    }

    #[test]
    fn redirects_are_resolved() {
        let from: Uri = "https://a.org/x/y?z".parse().expect("a URL");
        for (location, expected) in [
            ("https://b.org/q#f", Some("https://b.org/q")),
            ("//b.org/q", Some("https://b.org/q")),
            ("/q?r", Some("https://a.org/q?r")),
            ("q", Some("https://a.org/x/q")),
            ("../q", Some("https://a.org/q")),
            ("https://", None),
        ] {
            let found = resolved(&from, location).map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
    }
}
