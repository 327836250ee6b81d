//! From the argument list of a call to the parameters of a Rust function.

use std::sync::Arc;

use mix_value::{Map, Ref, Value, msgpack};

use crate::Failure;

/// The bytes of a `binary`.
pub type Bytes = Arc<[u8]>;

/// An argument of the wrong kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// Code of the failure, `ERR_EXPECTED_X`.
    pub code: &'static str,
    /// What is expected, for people: "a string".
    pub expected: &'static str,
}

/// A type that an argument can be read as.
#[diagnostic::on_unimplemented(
    message = "a foreign function cannot take `{Self}`",
    label = "no argument of Mix is read as this type",
    note = "take String, bool, i64, f64, Bytes, Vec<Value>, Map, Value, an Option of one of these, or implement FromArgument"
)]
pub trait FromArgument: Sized {
    /// The argument as this type, or what was expected.
    fn from_argument(value: Value) -> Result<Self, Mismatch>;

    /// True if `undefined` is an acceptable argument.
    const ACCEPTS_UNDEFINED: bool = false;
}

/// The arguments of one call, taken one by one.
#[derive(Debug)]
pub struct Arguments {
    function: &'static str,
    values: std::vec::IntoIter<Value>,
    taken: usize,
}

impl Arguments {
    /// Reads the wire form and checks the number of arguments.
    pub fn decode(function: &'static str, params: u8, bytes: &[u8]) -> Result<Arguments, Failure> {
        let value = msgpack::decode(bytes).map_err(|error| {
            Failure::internal(format!("arguments of {function} are malformed: {error}"))
        })?;
        let Value::Array(values) = value else {
            return Err(Failure::internal(format!(
                "arguments of {function} are no array"
            )));
        };
        if values.len() != usize::from(params) {
            return Err(Failure::internal(format!(
                "{function} takes {params} arguments, not {}",
                values.len()
            )));
        }
        Ok(Arguments {
            function,
            values: values.into_iter(),
            taken: 0,
        })
    }

    /// The next argument as `T`.
    pub fn take<T: FromArgument>(&mut self) -> Result<T, Failure> {
        let value = self.values.next().unwrap_or_default();
        self.taken += 1;
        let (function, position) = (self.function, self.taken);
        if matches!(value, Value::Undefined) && !T::ACCEPTS_UNDEFINED {
            return Err(Failure::new(
                "ERR_UNDEFINED",
                format!("argument {position} of {function} is undefined"),
            ));
        }
        let found = value.kind();
        T::from_argument(value).map_err(|Mismatch { code, expected }| {
            Failure::new(
                code,
                format!("argument {position} of {function} must be {expected}, not {found}"),
            )
        })
    }
}

impl FromArgument for Value {
    fn from_argument(value: Value) -> Result<Value, Mismatch> {
        Ok(value)
    }

    const ACCEPTS_UNDEFINED: bool = true;
}

macro_rules! from_argument {
    ($($type:ty, $code:literal, $expected:literal, $pattern:pat => $result:expr;)+) => {$(
        impl FromArgument for $type {
            fn from_argument(value: Value) -> Result<$type, Mismatch> {
                match value {
                    $pattern => Ok($result),
                    _ => Err(Mismatch { code: $code, expected: $expected }),
                }
            }
        }
    )+};
}

from_argument! {
    bool, "ERR_EXPECTED_BOOL", "a bool", Value::Bool(flag) => flag;
    Arc<str>, "ERR_EXPECTED_STRING", "a string", Value::String(text) => text;
    String, "ERR_EXPECTED_STRING", "a string", Value::String(text) => String::from(&*text);
    Bytes, "ERR_EXPECTED_BINARY", "a binary", Value::Binary(bytes) => bytes;
    Vec<Value>, "ERR_EXPECTED_ARRAY", "an array", Value::Array(values) => values;
    Map, "ERR_EXPECTED_MAP", "a map", Value::Map(map) => map;
    Ref, "ERR_EXPECTED_REF", "a ref", Value::Ref(reference) => reference;
}

impl FromArgument for f64 {
    fn from_argument(value: Value) -> Result<f64, Mismatch> {
        match value {
            // Rounds to the nearest float, as arithmetic of the language does.
            Value::Int(number) => Ok(number as f64),
            Value::Float(number) => Ok(number),
            _ => Err(Mismatch {
                code: "ERR_EXPECTED_NUMBER",
                expected: "a number",
            }),
        }
    }
}

/// An integral float is accepted as an int.
impl FromArgument for i64 {
    fn from_argument(value: Value) -> Result<i64, Mismatch> {
        let is_number = matches!(value, Value::Int(_) | Value::Float(_) | Value::BigInt(_));
        value.as_int().ok_or(Mismatch {
            code: if is_number {
                "ERR_RANGE"
            } else {
                "ERR_EXPECTED_NUMBER"
            },
            expected: "an integral number",
        })
    }
}

/// `null` is none.
impl<T: FromArgument> FromArgument for Option<T> {
    fn from_argument(value: Value) -> Result<Option<T>, Mismatch> {
        match value {
            Value::Null => Ok(None),
            value => T::from_argument(value).map(Some),
        }
    }
}
