//! Reading the arguments of builtins.

use std::rc::Rc;

use crate::failure::Failure;
use crate::heap::{Array, Map, Opaque, Stream, Text, Value};

/// Ends a builtin of a *scalar* module with `undefined` if any argument is
/// undefined (stdlib U1).
macro_rules! pass_undefined {
    ($args:expr) => {
        if $args.iter().any($crate::heap::Value::is_undefined) {
            return Ok($crate::heap::Value::Undefined);
        }
    };
}
pub(super) use pass_undefined;

fn wrong(code: &'static str, what: &str, value: &Value) -> Failure {
    match value {
        Value::Undefined => Failure::undefined(&format!("{what} is needed: the argument")),
        other => Failure::expected(code, what, other),
    }
}

/// A string, or a ref read as its id.
pub(super) fn text(value: &Value) -> Result<&Text, Failure> {
    match value {
        Value::Text(text) | Value::Ref(text) => Ok(text),
        other => Err(wrong("ERR_EXPECTED_STRING", "a string", other)),
    }
}

/// A bool.
pub(crate) fn boolean(value: &Value) -> Result<bool, Failure> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        other => Err(wrong("ERR_EXPECTED_BOOL", "a bool", other)),
    }
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The nearest float.
    pub(super) fn float(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }

    /// The value of a program.
    pub(super) fn value(self) -> Value {
        match self {
            Number::Int(int) => Value::Int(int),
            Number::Float(float) => Value::Float(float),
        }
    }
}

/// A number.
pub(super) fn number(value: &Value) -> Result<Number, Failure> {
    match value {
        Value::Int(int) => Ok(Number::Int(*int)),
        Value::Float(float) => Ok(Number::Float(*float)),
        other => Err(wrong("ERR_EXPECTED_NUMBER", "a number", other)),
    }
}

/// An integral number, as an index or a count is; an integral float is accepted.
pub(super) fn integral(value: &Value) -> Result<i64, Failure> {
    match number(value)? {
        Number::Int(int) => Ok(int),
        Number::Float(float) => mix_value::number::float_to_int(float)
            .ok_or_else(|| Failure::range(format!("{float} is not an integer"))),
    }
}

/// A count, clamped to 0 ..= `limit`.
pub(super) fn clamped(value: &Value, limit: usize) -> Result<usize, Failure> {
    let count = integral(value)?;
    Ok(usize::try_from(count.max(0))
        .unwrap_or(usize::MAX)
        .min(limit))
}

/// Bytes.
pub(super) fn binary(value: &Value) -> Result<&Rc<Vec<u8>>, Failure> {
    match value {
        Value::Binary(bytes) => Ok(bytes),
        other => Err(wrong("ERR_EXPECTED_BINARY", "a binary", other)),
    }
}

/// An array.
pub(super) fn array(value: &Value) -> Result<&Array, Failure> {
    match value {
        Value::Array(array) => Ok(array),
        other => Err(wrong("ERR_EXPECTED_ARRAY", "an array", other)),
    }
}

/// An array, moved out of the argument.
pub(super) fn take_array(value: &mut Value) -> Result<Array, Failure> {
    match value.take() {
        Value::Array(array) => Ok(array),
        other => Err(wrong("ERR_EXPECTED_ARRAY", "an array", &other)),
    }
}

/// A map.
pub(super) fn map(value: &Value) -> Result<&Map, Failure> {
    match value {
        Value::Map(map) => Ok(map),
        other => Err(wrong("ERR_EXPECTED_MAP", "a map", other)),
    }
}

/// A map, moved out of the argument.
pub(super) fn take_map(value: &mut Value) -> Result<Map, Failure> {
    match value.take() {
        Value::Map(map) => Ok(map),
        other => Err(wrong("ERR_EXPECTED_MAP", "a map", &other)),
    }
}

/// A stream.
pub(super) fn stream(value: &Value) -> Result<&Rc<Stream>, Failure> {
    match value {
        Value::Stream(stream) => Ok(stream),
        other => Err(wrong("ERR_EXPECTED_STREAM", "a stream", other)),
    }
}

/// An object of the library.
pub(super) fn opaque(value: &Value) -> Result<&Opaque, Failure> {
    match value {
        Value::Opaque(object) => Ok(object),
        other => Err(wrong(
            "ERR_EXPECTED_OPAQUE",
            "an object of the library",
            other,
        )),
    }
}

/// A value that may be stored: anything but undefined.
pub(super) fn defined(value: &mut Value, what: &str) -> Result<Value, Failure> {
    match value.take() {
        Value::Undefined => Err(Failure::undefined(what)),
        value => Ok(value),
    }
}
