//! Why a function gave no result.

use std::borrow::Cow;
use std::fmt;

use mix_value::{Value, msgpack};

use crate::bindings::family::mix::ffi::types;

/// A failure of a foreign function: the program sees code and message as a runtime error
/// or as `error("<code>: <message>")`.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Stable code, for instance `ERR_NOT_FOUND`.
    pub code: Cow<'static, str>,
    /// One line: what went wrong, where, what to do.
    pub message: String,
    /// Further facts for the host.
    pub detail: Option<Value>,
}

impl Failure {
    /// A failure with a code of the library's list (`ERR_…`).
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Failure {
        Failure {
            code: code.into(),
            message: message.into(),
            detail: None,
        }
    }

    /// The same with further facts.
    pub fn with_detail(mut self, detail: Value) -> Failure {
        self.detail = Some(detail);
        self
    }

    /// `ERR_RANGE`: right kind of argument, value outside of what is allowed.
    pub fn range(message: impl Into<String>) -> Failure {
        Failure::new("ERR_RANGE", message)
    }

    /// `ERR_UNSUPPORTED`: not available in this host.
    pub fn unsupported(message: impl Into<String>) -> Failure {
        Failure::new("ERR_UNSUPPORTED", message)
    }

    /// `ERR_INTERNAL`: an invariant is broken.
    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new("ERR_INTERNAL", message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> types::Failure {
        types::Failure {
            code: failure.code.into_owned(),
            message: failure.message,
            // Facts that have no wire form are left out rather than hide the failure.
            detail: failure
                .detail
                .and_then(|value| msgpack::encode(&value).ok()),
        }
    }
}
