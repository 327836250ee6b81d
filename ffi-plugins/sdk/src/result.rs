//! From what a Rust function returns to the wire form.

use std::sync::Arc;

use mix_value::{Map, Value, msgpack};

use crate::Failure;

/// A value that is in its wire form already, for instance a stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded(pub Vec<u8>);

/// A result of a function.
#[diagnostic::on_unimplemented(
    message = "a foreign function cannot return `{Self}`",
    label = "this type is no value of Mix",
    note = "return (), bool, i64, f64, String, Vec<u8>, Vec<Value>, Map, Value, alone or in a Result with mix_plugin_sdk::Failure"
)]
pub trait IntoValue {
    /// The wire form.
    fn encode(self) -> Result<Encoded, Failure>;
}

impl IntoValue for Encoded {
    fn encode(self) -> Result<Encoded, Failure> {
        Ok(self)
    }
}

impl IntoValue for Value {
    fn encode(self) -> Result<Encoded, Failure> {
        msgpack::encode(&self).map(Encoded).map_err(|error| {
            Failure::new(
                "ERR_NOT_SERIALIZABLE",
                format!("the result has no wire form: {error}"),
            )
        })
    }
}

impl<T: IntoValue> IntoValue for Result<T, Failure> {
    fn encode(self) -> Result<Encoded, Failure> {
        self?.encode()
    }
}

/// None is `null`.
impl<T: IntoValue> IntoValue for Option<T> {
    fn encode(self) -> Result<Encoded, Failure> {
        match self {
            Some(result) => result.encode(),
            None => Value::Null.encode(),
        }
    }
}

macro_rules! into_value {
    ($($type:ty, $value:ident => $result:expr;)+) => {$(
        impl IntoValue for $type {
            fn encode(self) -> Result<Encoded, Failure> {
                let $value = self;
                $result.encode()
            }
        }
    )+};
}

into_value! {
    (), _nothing => Value::Null;
    bool, flag => Value::Bool(flag);
    i64, number => Value::Int(number);
    f64, number => Value::float(number);
    String, text => Value::string(text);
    &str, text => Value::string(text);
    Arc<str>, text => Value::String(text);
    Vec<u8>, bytes => Value::binary(bytes);
    Arc<[u8]>, bytes => Value::Binary(bytes);
    Vec<Value>, values => Value::Array(values);
    Map, map => Value::Map(map);
}
