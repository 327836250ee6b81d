//! Failures with stable codes.

use mix_value::{Map, Value};
use std::sync::Arc;

/// A failure as the caller sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Stable code, for instance `not_found`.
    pub code: &'static str,
    /// One line for people; no secrets, no file-system paths.
    pub message: String,
    /// Facts for programs; left out when empty.
    pub details: Map,
    /// Headers that belong to this failure, for instance `allow`.
    pub headers: Vec<(&'static str, String)>,
}

impl ApiError {
    /// A failure without details.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        let headers = match (status, code) {
            (401, _) => vec![("www-authenticate", "Bearer".to_owned())],
            // Another process holds the records: that takes longer than a queue.
            (503, "db_locked") => vec![("retry-after", "5".to_owned())],
            // Until then somebody may have deleted something.
            (507, _) => vec![("retry-after", "60".to_owned())],
            (429 | 503, _) => vec![("retry-after", "1".to_owned())],
            _ => Vec::new(),
        };
        ApiError {
            status,
            code,
            message: message.into(),
            details: Map::new(),
            headers,
        }
    }

    /// Adds one fact to the details.
    pub fn with_detail(mut self, name: &str, value: Value) -> Self {
        self.details.insert(Arc::from(name), value);
        self
    }

    /// 400 `bad_param`.
    pub fn bad_param(message: impl Into<String>) -> Self {
        Self::new(400, "bad_param", message)
    }

    /// 400 `bad_name`.
    pub fn bad_name(kind: &str) -> Self {
        Self::new(400, "bad_name", format!("not a valid {kind} name"))
    }

    /// 404 `no_such_app`.
    pub fn no_such_app() -> Self {
        Self::new(404, "no_such_app", "no such app")
    }

    /// 413 `body_too_large`.
    pub fn body_too_large(limit: u64) -> Self {
        Self::new(
            413,
            "body_too_large",
            format!("the body is larger than {limit} bytes"),
        )
    }

    /// 500 `internal`; the cause belongs into the log only.
    pub fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "internal error; the log has the cause under the request id",
        )
    }
}
