//! The value type.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{BigInt, Case, Ref, Token};

/// A map in ascending UTF-8 byte order of its keys.
pub type Map = BTreeMap<Arc<str>, Value>;

/// Any Mix datum.
///
/// `PartialEq` is identity of representation for tests and caches: `Int(1)`
/// and `Float(1.0)` differ, two NaN are the same, undefined equals undefined.
/// The language's `==` is [`crate::equal`].
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// "No value". Never stored; reading an absent member yields it.
    #[default]
    Undefined,
    /// The null value.
    Null,
    /// True or false.
    Bool(bool),
    /// A number held as a 64-bit integer.
    Int(i64),
    /// A number held as a binary64.
    Float(f64),
    /// An integer outside the range of `Int`, from foreign data.
    BigInt(BigInt),
    /// Unicode text.
    String(Arc<str>),
    /// The name of a record or of one of its revisions.
    Ref(Ref),
    /// Bytes.
    Binary(Arc<[u8]>),
    /// Ordered values; also tuples.
    Array(Vec<Value>),
    /// String keys with values; also records.
    Map(Map),
    /// A case name with or without an argument.
    Case(Case),
    /// An opaque access credential.
    Token(Token),
    /// The number of a host object, valid within one run.
    Handle(u64),
}

impl Value {
    /// Builds a string value.
    pub fn string(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }

    /// Builds a binary value.
    pub fn binary(bytes: impl Into<Arc<[u8]>>) -> Value {
        Value::Binary(bytes.into())
    }

    /// Builds a map from pairs; a later pair replaces an earlier one.
    pub fn map<K: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Map(pairs.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The float, with the one NaN that is ever stored.
    pub fn float(number: f64) -> Value {
        Value::Float(if number.is_nan() { f64::NAN } else { number })
    }

    /// Name of the kind as people read it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Undefined => "undefined",
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Float(_) | Value::BigInt(_) => "number",
            Value::String(_) => "string",
            Value::Ref(_) => "ref",
            Value::Binary(_) => "binary",
            Value::Array(_) => "array",
            Value::Map(_) => "map",
            Value::Case(_) => "case",
            Value::Token(_) => "token",
            Value::Handle(_) => "handle",
        }
    }

    /// Member `key` of a map; none for absent members and other kinds.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The map.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The bool.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The ref.
    pub fn as_ref_value(&self) -> Option<&Ref> {
        match self {
            Value::Ref(r) => Some(r),
            _ => None,
        }
    }

    /// The bytes of a binary.
    pub fn as_binary(&self) -> Option<&[u8]> {
        match self {
            Value::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A number that is an integer within 64 bits, in either representation.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            Value::Float(f) => crate::number::float_to_int(*f),
            _ => None,
        }
    }

    /// A number as the nearest float.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            Value::BigInt(b) => Some(b.to_f64()),
            _ => None,
        }
    }

    /// True for [`Value::Undefined`].
    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// True for [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Undefined, Value::Undefined) | (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => {
                a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
            }
            (Value::BigInt(a), Value::BigInt(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Ref(a), Value::Ref(b)) => a == b,
            (Value::Binary(a), Value::Binary(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Case(a), Value::Case(b)) => a == b,
            (Value::Token(a), Value::Token(b)) => a == b,
            (Value::Handle(a), Value::Handle(b)) => a == b,
            _ => false,
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Value {
        Value::Int(i)
    }
}

impl From<f64> for Value {
    fn from(f: f64) -> Value {
        Value::float(f)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
    }
}

impl From<Ref> for Value {
    fn from(r: Ref) -> Value {
        Value::Ref(r)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Value {
        Value::Array(items)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl From<Case> for Value {
    fn from(case: Case) -> Value {
        Value::Case(case)
    }
}
