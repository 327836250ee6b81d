//! Why a function gave no result.

use std::borrow::Cow;
use std::fmt;

use mix_value::{Map, Value, msgpack};

use crate::bindings::family::mix::ffi::types;

/// First byte of the last item of a stream that failed; MessagePack never uses it.
const FAILED: u8 = 0xc1;

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

    /// `ERR_WAITS`, of the short way of a function (`NAME?` or `NAME*`): nothing has happened,
    /// and the function itself is to be started.
    pub fn waits() -> Failure {
        Failure::new("ERR_WAITS", "start the function")
    }

    /// `ERR_INTERNAL`: an invariant is broken.
    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new("ERR_INTERNAL", message)
    }
}

impl Failure {
    /// The last item of a stream that failed (`reply.many` in `wit/ffi`).
    pub(crate) fn to_item(&self) -> Vec<u8> {
        let mut map = Map::from([
            ("code".into(), Value::string(&*self.code)),
            ("message".into(), Value::string(self.message.as_str())),
        ]);
        if let Some(detail) = &self.detail {
            map.insert("detail".into(), detail.clone());
        }
        let encoded = msgpack::encode(&Value::Map(map.clone())).or_else(|_| {
            // Facts that have no wire form are left out rather than hide the failure.
            map.remove("detail");
            msgpack::encode(&Value::Map(map))
        });
        // Two short texts always have a wire form; without one the item still says "failed".
        let mut item = vec![FAILED];
        item.extend(encoded.unwrap_or_default());
        item
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_stream_says_why() {
        let failure = Failure::new("ERR_DB", "gone").with_detail(Value::Int(7));
        let item = failure.to_item();
        assert_eq!(item[0], FAILED);
        let map = msgpack::decode(&item[1..]).unwrap();
        assert_eq!(map.get("code"), Some(&Value::string("ERR_DB")));
        assert_eq!(map.get("message"), Some(&Value::string("gone")));
        assert_eq!(map.get("detail"), Some(&Value::Int(7)));
        // Facts without wire form do not hide the failure.
        let item = failure
            .with_detail((0..1000).fold(Value::Null, |inner, _| Value::Array(vec![inner])))
            .to_item();
        assert_eq!(
            msgpack::decode(&item[1..]).unwrap().get("code"),
            Some(&Value::string("ERR_DB"))
        );
    }
}
