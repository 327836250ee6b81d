//! Requests that open an interactive session.

use super::Job;
use crate::error::ApiError;
use crate::form::Params;
use crate::head::Head;
use crate::json;
use mix_value::Value;

/// What a client opens a session for.
#[derive(Debug, Clone, PartialEq)]
pub enum Purpose {
    /// To see a module that is pushed with these arguments, an array, and whatever follows.
    View(Value),
    /// To call an agent whose one instance keeps its cells.
    Calls,
}

/// The only version of the protocol.
const VERSION: &str = "13";

/// The handshake (RFC 6455, 4.2.1), `?args=` with an array, and `?calls=`.
pub(super) fn open(head: &Head) -> Result<Job, ApiError> {
    let names = |header: &str, wanted: &str| {
        head.headers
            .iter()
            .filter(|(name, _)| name == header)
            .flat_map(|(_, value)| value.split(','))
            .any(|one| one.trim().eq_ignore_ascii_case(wanted))
    };
    let upgrades = names("connection", "upgrade") && names("upgrade", "websocket");
    if head.method != "GET" || !upgrades {
        return Err(ApiError::bad_param(
            "a session is opened with a WebSocket handshake",
        ));
    }
    let key = head.header("sec-websocket-key").map(str::trim);
    let Some(key) = key.filter(|key| is_key(key)) else {
        return Err(ApiError::bad_param(
            "Sec-WebSocket-Key is 16 bytes in Base64",
        ));
    };
    if head.header("sec-websocket-version").map(str::trim) != Some(VERSION) {
        let mut error = ApiError::bad_param("Sec-WebSocket-Version must be 13");
        error
            .headers
            .push(("sec-websocket-version", VERSION.to_owned()));
        return Err(error);
    }
    let mut purpose = Purpose::View(Value::Array(Vec::new()));
    let params = Params::of(head)?;
    let args = params.text("args")?;
    if let Some(text) = &args {
        purpose = match json::body(text.as_bytes(), false)? {
            args @ Value::Array(_) => Purpose::View(args),
            _ => return Err(ApiError::bad_param("args must be a JSON array")),
        };
    }
    if params.flag("calls", false)? {
        if args.is_some() {
            return Err(ApiError::bad_param(
                "args and calls exclude each other: an agent gets its parameters with each call",
            ));
        }
        purpose = Purpose::Calls;
    }
    Ok(Job::Session {
        purpose,
        key: key.to_owned(),
    })
}

fn is_key(key: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with("==") && key[..22].bytes().all(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_handshake_opens_a_session() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ];
        let head = |headers: &[(&str, &str)], target: &str| Head {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            authority: None,
        };
        assert!(open(&head(&good, "/x?args=%5B1%5D")).is_ok());
        assert!(open(&head(&good, "/x?args=1")).is_err());
        let purpose = |target: &str| match open(&head(&good, target)) {
            Ok(Job::Session { purpose, .. }) => Some(purpose),
            _ => None,
        };
        assert_eq!(purpose("/x?calls=true"), Some(Purpose::Calls));
        let nothing = Purpose::View(Value::Array(Vec::new()));
        assert_eq!(purpose("/x?calls=0"), Some(nothing));
        assert_eq!(purpose("/x?calls=maybe"), None);
        assert_eq!(purpose("/x?calls=1&args=%5B1%5D"), None);
        for left_out in 0..good.len() {
            let mut less = good.to_vec();
            less.remove(left_out);
            assert!(open(&head(&less, "/x")).is_err(), "{left_out}");
        }
        let mut short = good.to_vec();
        short[2].1 = "c2hvcnQ=";
        assert!(open(&head(&short, "/x")).is_err());
    }
}
