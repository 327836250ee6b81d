//! Why there was no complete exchange.

use std::fmt;

use mix_plugin_sdk::{Map, Value};

/// What a program sees as `{error: "<code>: <text>"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code.
    pub code: &'static str,
    /// One line for people; for `ERR_URL_BLOCKED` the stable reason.
    pub text: String,
}

impl Refusal {
    /// A refusal with a code.
    pub fn new(code: &'static str, text: impl Into<String>) -> Refusal {
        Refusal {
            code,
            text: text.into(),
        }
    }

    /// `ERR_URL_BLOCKED` with its reason.
    pub fn blocked(reason: &str) -> Refusal {
        Refusal::new("ERR_URL_BLOCKED", reason)
    }

    /// The response map.
    pub fn response(&self) -> Map {
        Map::from([("error".into(), Value::string(self.to_string()))])
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}
