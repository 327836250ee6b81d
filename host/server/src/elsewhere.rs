//! Packages from other servers, and workspaces to them.

use crate::Server;
use crate::manage::packages::UPLOAD;
use crate::reply::{ReplyBody, Streamed};
use http_body_util::BodyExt;
use mix_http_api::{ApiError, Elsewhere};
use mix_sandbox::outbound::TransferError;
use mix_value::Value;
use std::fs::File;
use std::time::Duration;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

/// Time for each piece of what is fetched.
const PIECE_LIMIT: Duration = Duration::from_secs(60);
/// Time for all of it.
const TOTAL_LIMIT: Duration = Duration::from_secs(3600);
/// How much of the answer of another server is looked at.
const MAX_ANSWER: usize = 64 << 10;

/// Fetches what lies at an address, and `path` behind it, into a file.
pub async fn fetch(server: &Server, from: &Elsewhere, path: &str) -> Result<TempPath, ApiError> {
    let url = format!("{}{path}", base(from, path));
    let fetching = fetched(server, &url, from.token.as_deref());
    match tokio::time::timeout(TOTAL_LIMIT, fetching).await {
        Ok(result) => result,
        Err(_) => Err(upstream("it takes too long")),
    }
}

async fn fetched(server: &Server, url: &str, token: Option<&str>) -> Result<TempPath, ApiError> {
    let answer = server
        .assembly
        .outbound
        .fetch(url, token)
        .await
        .map_err(failed)?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(refused(status, answer.into_body()).await);
    }
    let limit = server.settings.package_limit;
    let too_large = || {
        let message = format!("the package is larger than {limit} bytes");
        ApiError::new(413, "package_too_large", message)
    };
    let mut body = answer.into_body();
    if hyper::body::Body::size_hint(&body)
        .exact()
        .is_some_and(|size| size > limit)
    {
        return Err(too_large());
    }
    let file = tempfile::Builder::new()
        .prefix(UPLOAD)
        .tempfile_in(&server.ws_dir)
        .map_err(on_disk)?;
    let (file, path) = file.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut length: u64 = 0;
    loop {
        match tokio::time::timeout(PIECE_LIMIT, body.frame()).await {
            Err(_) => return Err(upstream("it comes too slowly")),
            // This includes a body that is shorter than announced.
            Ok(Some(Err(_))) => return Err(upstream("it broke off")),
            Ok(None) => break,
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                length += data.len() as u64;
                if length > limit {
                    return Err(too_large());
                }
                file.write_all(&data).await.map_err(on_disk)?;
            }
        }
    }
    file.flush().await.map_err(on_disk)?;
    Ok(path)
}

/// Sends a file to a path of another server, which has to answer with success.
pub async fn send(server: &Server, to: &Elsewhere, path: &str, file: File) -> Result<(), ApiError> {
    let size = file.metadata().map_err(on_disk)?.len();
    let body = ReplyBody::Streamed(Streamed::file(file, 0..size).map_err(on_disk)?);
    let url = format!("{}{path}", base(to, path));
    let outbound = &server.assembly.outbound;
    let media_type = "application/octet-stream";
    let sending = outbound.post(&url, to.token.as_deref(), media_type, body);
    let answer = sending.await.map_err(failed)?;
    let status = answer.status().as_u16();
    if answer.status().is_success() {
        return Ok(());
    }
    Err(refused(status, answer.into_body()).await)
}

/// The address without what would double a separator.
fn base<'a>(elsewhere: &'a Elsewhere, path: &str) -> &'a str {
    match path {
        "" => &elsewhere.url,
        _ => elsewhere.url.trim_end_matches('/'),
    }
}

fn failed(error: TransferError) -> ApiError {
    match error {
        TransferError::Blocked(reason) => {
            let message = format!("the address is not allowed: {reason}");
            ApiError::new(400, "url_blocked", message)
                .with_detail("reason", Value::from(reason.as_str()))
        }
        TransferError::Failed(reason) => upstream(&reason),
    }
}

fn upstream(reason: &str) -> ApiError {
    ApiError::new(502, "upstream", format!("the other server: {reason}"))
}

/// The failure of an answer that is none of success, with the code that the other server may have given.
async fn refused(status: u16, body: hyper::body::Incoming) -> ApiError {
    let error = upstream(&format!("it answers {status}"));
    let error = error.with_detail("status", Value::Int(i64::from(status)));
    let reading = http_body_util::Limited::new(body, MAX_ANSWER).collect();
    let Ok(Ok(text)) = tokio::time::timeout(PIECE_LIMIT, reading).await else {
        return error;
    };
    let answer: serde_json::Value = serde_json::from_slice(&text.to_bytes()).unwrap_or_default();
    match answer["error"]["code"].as_str() {
        Some(code) if code.len() <= 64 => error.with_detail("code", Value::from(code)),
        _ => error,
    }
}

fn on_disk(error: std::io::Error) -> ApiError {
    let full = matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    );
    if full {
        return ApiError::new(507, "disk_full", "the disk is full");
    }
    tracing::error!(%error, "a package cannot be stored");
    ApiError::internal()
}
