//! Short exchanges of the server itself with addresses that somebody else has named: the rules for
//! guests hold for them, and redirects are not followed.

use super::Outbound;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use std::time::Duration;
use wasmtime_wasi_http::Error;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The rules do not allow the address.
    #[error("the address is not allowed")]
    Refused,
    /// Nobody answers, or not as it should be.
    #[error("no answer: {0}")]
    Failed(String),
}

impl Outbound {
    /// One request and its whole answer, of at most `most` bytes.
    pub async fn ask(
        &self,
        request: http::Request<Bytes>,
        most: usize,
        within: Duration,
    ) -> Result<http::Response<Bytes>, AskError> {
        let request = request.map(|body| {
            let body = Full::new(body).map_err(|never| match never {});
            body.boxed_unsync()
        });
        let asking = async {
            let response = self.send(request, None, None).await.map_err(translated)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, most).collect().await;
            let body = body.map_err(|error| AskError::Failed(error.to_string()))?;
            Ok(http::Response::from_parts(head, body.to_bytes()))
        };
        let late = |_| AskError::Failed("too slow".to_owned());
        tokio::time::timeout(within, asking).await.map_err(late)?
    }
}

fn translated(error: Error) -> AskError {
    match error {
        Error::DestinationIpProhibited
        | Error::HttpRequestDenied
        | Error::HttpRequestUriInvalid => AskError::Refused,
        other => AskError::Failed(format!("{other:?}")),
    }
}
