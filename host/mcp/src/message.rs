//! JSON-RPC 2.0 messages.

use mix_value::escjson::{self, Duplicates, Mode, Options};
use serde_json::{Value, json};

/// The text is no JSON.
pub const PARSE_ERROR: i64 = -32700;
/// No request, or several at once.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const NO_SUCH_METHOD: i64 = -32601;
/// Parameters of a method, name of a tool or arguments that do not fit.
pub const INVALID_PARAMS: i64 = -32602;
/// A fault of the server.
pub const INTERNAL: i64 = -32603;
/// The session has not begun.
pub const NOT_INITIALIZED: i64 = -32002;

/// A message of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// Wants an answer.
    Request {
        /// A string or a number.
        id: Value,
        /// Name of the method.
        method: String,
        /// An object, or null.
        params: Value,
    },
    /// Wants none.
    Notification {
        /// Name of the method.
        method: String,
        /// An object, or null.
        params: Value,
    },
    /// An answer; nothing was asked.
    Answer,
}

/// Reads one message; the error is the text of its answer.
pub fn parse(bytes: &[u8]) -> Result<Incoming, String> {
    let message: Value = serde_json::from_slice(bytes)
        .map_err(|fault| error(&Value::Null, PARSE_ERROR, &format!("no JSON: {fault}")))?;
    if let Some(fault) = twofold(bytes) {
        return Err(error(&Value::Null, PARSE_ERROR, &fault));
    }
    let Value::Object(mut members) = message else {
        let what = if message.is_array() {
            "send one message at a time: batches are not taken"
        } else {
            "a message is an object"
        };
        return Err(error(&Value::Null, INVALID_REQUEST, what));
    };
    let id = members.remove("id");
    let at = |id: &Option<Value>| id.clone().unwrap_or(Value::Null);
    if members.get("jsonrpc") != Some(&json!("2.0")) {
        let what = "member jsonrpc must be \"2.0\"";
        return Err(error(&at(&id), INVALID_REQUEST, what));
    }
    let method = match members.remove("method") {
        Some(Value::String(method)) => method,
        None if members.contains_key("result") || members.contains_key("error") => {
            return Ok(Incoming::Answer);
        }
        _ => {
            return Err(error(
                &at(&id),
                INVALID_REQUEST,
                "member method must be a string",
            ));
        }
    };
    let params = members.remove("params").unwrap_or(Value::Null);
    if !params.is_object() && !params.is_null() {
        return Err(error(&at(&id), INVALID_PARAMS, "params must be an object"));
    }
    match id {
        None => Ok(Incoming::Notification { method, params }),
        Some(id) if id.is_string() || id.is_number() => {
            Ok(Incoming::Request { id, method, params })
        }
        Some(_) => {
            let what = "an id is a string or a number";
            Err(error(&Value::Null, INVALID_REQUEST, what))
        }
    }
}

/// Why a JSON text is none that all readers understand alike: a member of an object comes twice.
fn twofold(bytes: &[u8]) -> Option<String> {
    let options = Options {
        mode: Mode::Plain,
        duplicates: Duplicates::Refuse,
        ..Options::default()
    };
    let text = std::str::from_utf8(bytes).ok()?;
    escjson::parse_with(text, &options)
        .err()
        .map(|fault| fault.to_string())
}

/// The answer to a request.
pub fn result(id: &Value, result: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

/// The answer to a request that cannot be met.
pub fn error(id: &Value, code: i64, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> i64 {
        let answer = parse(text.as_bytes()).expect_err("must be refused");
        let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        answer["error"]["code"].as_i64().expect("it has a code")
    }

    #[test]
    fn what_is_no_message_is_refused_with_its_code() {
        assert_eq!(code("{"), PARSE_ERROR);
        assert_eq!(code("\u{0}"), PARSE_ERROR);
        let twice = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":{"b":1,"b":2}}}"#;
        assert_eq!(code(twice), PARSE_ERROR);
        assert_eq!(code("[]"), INVALID_REQUEST);
        assert_eq!(code("7"), INVALID_REQUEST);
        assert_eq!(code(r#"{"id":1,"method":"ping"}"#), INVALID_REQUEST);
        assert_eq!(code(r#"{"jsonrpc":"2.0","id":1}"#), INVALID_REQUEST);
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
            INVALID_REQUEST
        );
        assert_eq!(
            code(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#),
            INVALID_PARAMS
        );
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(code(&deep), PARSE_ERROR);
    }

    #[test]
    fn answers_are_told_from_requests_and_notifications() {
        let read = |text: &str| parse(text.as_bytes()).expect("a message");
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","id":4,"result":{}}"#),
            Incoming::Answer
        );
        assert!(matches!(
            read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            Incoming::Notification { .. }
        ));
        assert!(matches!(
            read(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#),
            Incoming::Request { .. }
        ));
    }
}
