//! Failures of the record store, as HTTP shows them.

use crate::error::ApiError;
use mix_value::{Map, Value};

/// A failure of the call, as the family reported it.
#[derive(Debug, Clone)]
pub struct CallFailure {
    /// `ERR_…`.
    pub code: String,
    /// One line.
    pub message: String,
    /// With member `code` = the code of the engine.
    pub detail: Option<Value>,
}

impl CallFailure {
    /// Status and code; `query` tells what ran out of room.
    pub fn error(&self, query: bool) -> ApiError {
        let detail = match &self.detail {
            Some(Value::Map(map)) => map.clone(),
            _ => Map::new(),
        };
        let engine_code = match detail.get("code") {
            Some(Value::String(code)) => code.as_ref(),
            _ => "",
        };
        let known = ENGINE_CODES.iter().find(|(_, code)| *code == engine_code);
        let (status, code) = match (known, self.code.as_str()) {
            (Some((status, code)), _) => (*status, *code),
            (None, "ERR_TIMEOUT") => (504, "query_timeout"),
            // The store ran out of memory: by what a query gathered, or by what was sent.
            (None, "ERR_TOO_LARGE") if query => (413, "result_too_large"),
            (None, "ERR_TOO_LARGE") => (413, "too_large"),
            (None, "ERR_FFI_MISSING") => (500, "missing_function"),
            _ => return ApiError::internal(),
        };
        // The store puts its code before the message, for programs that see no other.
        let message = self.message.strip_prefix(code);
        let message = message.and_then(|rest| rest.strip_prefix(": "));
        let message = message.unwrap_or(&self.message).to_owned();
        let mut error = ApiError::new(status, code, message);
        error.details = detail;
        error.details.remove("code");
        error
    }
}

/// Codes of the record store with their status.
const ENGINE_CODES: [(u16, &str); 42] = [
    (400, "bad_record"),
    (400, "bad_value"),
    (400, "expected_ref"),
    (400, "bad_option"),
    (400, "bad_db"),
    (400, "duplicate_alias"),
    (400, "unresolved_ref"),
    (400, "too_deep"),
    (400, "not_storable"),
    (400, "not_json"),
    (400, "query_syntax"),
    (400, "query_type"),
    (400, "query_unsupported"),
    (400, "query_too_complex"),
    (400, "not_indexable"),
    (400, "missing_param"),
    (400, "expansion_limit"),
    (400, "unknown_opcode"),
    (400, "bad_param"),
    (409, "stale_watermark"),
    (504, "query_timeout"),
    (413, "result_too_large"),
    (413, "too_large"),
    (404, "not_found"),
    (410, "deleted"),
    (409, "id_conflict"),
    (409, "exists"),
    (409, "read_only"),
    (404, "no_such_db"),
    (500, "name_mismatch"),
    (403, "forbidden"),
    (503, "db_locked"),
    (503, "db_busy"),
    (503, "lease_lost"),
    (500, "commit_unknown"),
    (507, "db_full"),
    (507, "disk_full"),
    (500, "db_io"),
    (500, "db_failed"),
    (500, "db_corrupt"),
    (500, "unsupported_format"),
    (404, "no_such_app"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_said_once() {
        let error = |code: &str, message: &str| {
            let failure = CallFailure {
                code: "ERR_QUERY".to_owned(),
                message: message.to_owned(),
                detail: Some(Value::map([("code", Value::from(code))])),
            };
            failure.error(true).message
        };
        let message = "query_syntax: a stage is expected (offset 8)";
        assert_eq!(
            error("query_syntax", message),
            "a stage is expected (offset 8)"
        );
        assert_eq!(error("bad_value", "query_syntax: x"), "query_syntax: x");
        assert_eq!(error("bad_value", "no map"), "no map");
    }
}
