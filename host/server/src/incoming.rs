//! A request as it comes in: its head, and its body within limits of size, memory and time.

use super::Server;
use super::bodies::Reserved;
use super::manage::packages::UPLOAD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use mix_http_api::{ApiError, Head, NeedsBody};
use mix_runtime::home::InsideBody;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

/// Longest request line.
const MAX_TARGET: usize = 16 << 10;

/// Longest headers of a request, all together.
pub const MAX_HEADERS: usize = 64 << 10;

/// Time for a body without regard to its size.
const BODY_GRACE: Duration = Duration::from_secs(10);

/// A body must come at least this fast.
const BODY_RATE: u64 = 1 << 10;

/// What is read of a refused body, at most.
const PASSED: usize = 8 << 20;

/// Longest wait for a part of a refused body, and time for all of it.
const PASSING: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// The body of a request from outside, or of one that a run makes.
pub enum RequestBody {
    /// From a connection.
    Network(Incoming),
    /// From a run.
    Inside(InsideBody),
}

/// The body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BrokenOff {
    /// On its way.
    #[error(transparent)]
    Network(#[from] hyper::Error),
    /// Where it was made.
    #[error(transparent)]
    Inside(#[from] std::io::Error),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            RequestBody::Network(body) => {
                Pin::new(body).poll_frame(context).map_err(BrokenOff::from)
            }
            RequestBody::Inside(body) => {
                Pin::new(body).poll_frame(context).map_err(BrokenOff::from)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Network(body) => body.is_end_stream(),
            RequestBody::Inside(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Network(body) => body.size_hint(),
            RequestBody::Inside(body) => body.size_hint(),
        }
    }
}

/// The head; the error says what of it is too long.
pub fn head(parts: &http::request::Parts) -> Result<Head, &'static str> {
    let target = match parts.uri.path_and_query() {
        Some(target) => target.as_str(),
        None => "/",
    };
    if target.len() > MAX_TARGET {
        return Err("the request line is longer than 16 KiB");
    }
    // As they are sent, with `: ` and the end of the line.
    let lengths = parts.headers.iter();
    let lengths = lengths.map(|(name, value)| name.as_str().len() + value.len() + 4);
    if lengths.sum::<usize>() > MAX_HEADERS {
        return Err("the headers are longer than 64 KiB");
    }
    Ok(Head {
        method: parts.method.as_str().to_owned(),
        target: target.to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text_of(value.as_bytes())))
            .collect(),
        authority: parts
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned()),
    })
}

/// Bytes of a header as text; what is no UTF-8 is read as Latin-1.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| *byte as char).collect(),
    }
}

/// Takes in what a refused client is sending: many read no answer before they have sent everything,
/// and find a closed connection instead.
pub async fn let_pass(mut body: RequestBody) {
    if body.is_end_stream() {
        return;
    }
    let (pause, time) = PASSING;
    let passing = async {
        let mut passed = 0;
        while passed < PASSED
            && let Ok(Some(Ok(frame))) = tokio::time::timeout(pause, body.frame()).await
        {
            passed += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Beyond that it is cut off.
    let _ = tokio::time::timeout(time, passing).await;
}

/// The body in a file, in the folder of workspaces.
pub async fn spool(
    server: &Server,
    pending: &NeedsBody,
    mut body: RequestBody,
) -> Result<TempPath, mix_http_api::Response> {
    let internal = |error: std::io::Error| {
        tracing::error!(%error, "an upload cannot be stored");
        let full = matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        );
        pending.refuse(if full {
            ApiError::new(507, "disk_full", "the disk is full")
        } else {
            ApiError::internal()
        })
    };
    let file = tempfile::Builder::new()
        .prefix(UPLOAD)
        .tempfile_in(&server.ws_dir)
        .map_err(internal)?;
    let (file, path) = file.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let start = Instant::now();
    let mut length: u64 = 0;
    loop {
        let allowed = BODY_GRACE + Duration::from_secs(length / BODY_RATE);
        let left = allowed.saturating_sub(start.elapsed()).min(BODY_GRACE);
        match tokio::time::timeout(left, body.frame()).await {
            Err(_) => return Err(too_slow(pending)),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "the body broke off");
                return Err(pending.refuse(ApiError::new(400, "bad_json", "the body broke off")));
            }
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                length += data.len() as u64;
                if length > pending.limit {
                    let_pass(body).await;
                    return Err(pending.too_large());
                }
                file.write_all(&data).await.map_err(internal)?;
            }
        }
    }
    file.flush().await.map_err(internal)?;
    Ok(path)
}

fn too_slow(pending: &NeedsBody) -> mix_http_api::Response {
    let mut reply = pending.refuse(ApiError::new(
        408,
        "slow_request",
        "the body comes too slowly",
    ));
    reply.headers.push(("connection", "close".to_owned()));
    reply
}

/// The body, and the memory that is set aside for it.
pub async fn body(
    server: &Server,
    pending: &NeedsBody,
    mut body: RequestBody,
) -> Result<(Vec<u8>, Reserved), mix_http_api::Response> {
    let crowded = || {
        ApiError::new(
            503,
            "busy",
            "too many large requests at once; send it again later",
        )
    };
    // The announced length is at most the limit: the plan has checked it.
    let Some(mut reserved) = server
        .bodies
        .reserve(&pending.route.ws, body.size_hint().exact())
        .await
    else {
        return Err(pending.refuse(crowded()));
    };
    let start = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let allowed = BODY_GRACE + Duration::from_secs(bytes.len() as u64 / BODY_RATE);
        let left = allowed.saturating_sub(start.elapsed()).min(BODY_GRACE);
        match tokio::time::timeout(left, body.frame()).await {
            Err(_) => return Err(too_slow(pending)),
            Ok(None) => return Ok((bytes, reserved)),
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "the body broke off");
                return Err(pending.refuse(ApiError::new(400, "bad_json", "the body broke off")));
            }
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if (bytes.len() + data.len()) as u64 > pending.limit {
                    let_pass(body).await;
                    return Err(pending.too_large());
                }
                if !reserved.grow((bytes.len() + data.len()) as u64) {
                    return Err(pending.refuse(crowded()));
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}
