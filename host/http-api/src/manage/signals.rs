//! Requests about signals.

use super::Job;
use crate::body::{object, refuse_unknown, value};
use crate::control::{bad_timeout, timeout};
use crate::error::ApiError;
use crate::form::Params;
use crate::head::Head;
use mix_value::{Map, Value, msgpack};

/// How long a signal lives, and the longest that can be asked for.
const LIFE_MS: u64 = 3_600_000;
/// How long a caller waits who does not say.
const WAIT_MS: u64 = 60_000;
/// Longest wait.
const MAX_WAIT_MS: u64 = 300_000;

/// `{timeout?}`
pub(super) fn create(head: &Head, body: &[u8]) -> Result<Job, ApiError> {
    let mut members = object(head, body)?;
    refuse_unknown(&members, &["timeout"])?;
    let life_ms = match members.remove("timeout") {
        None | Some(Value::Null) => LIFE_MS,
        Some(Value::Int(wanted)) if wanted > 0 => (wanted as u64).min(LIFE_MS),
        Some(_) => return Err(bad_timeout()),
    };
    Ok(Job::CreateSignal { life_ms })
}

/// `?timeout=`
pub(super) fn wait(head: &Head) -> Result<Job, ApiError> {
    let wait_ms = match Params::of(head)?.text("timeout")? {
        None => WAIT_MS,
        Some(text) => timeout(&text)?.min(MAX_WAIT_MS),
    };
    Ok(Job::AwaitSignal { wait_ms })
}

/// Any value.
pub(super) fn set(head: &Head, body: &[u8], limit: u64) -> Result<Job, ApiError> {
    let value = match body {
        // Without a body there is nothing to tell but that it happened.
        [] => Value::Map(Map::new()),
        body => value(head, body)?,
    };
    let size = msgpack::encode(&value)
        .map_err(|error| ApiError::new(400, "bad_value", error.to_string()))?
        .len();
    if size as u64 > limit {
        return Err(ApiError::new(
            413,
            "params_too_large",
            format!("the value is larger than {limit} bytes"),
        ));
    }
    Ok(Job::SetSignal(value))
}
