//! From what a Rust function returns to the wire form.

use std::sync::Arc;

use mix_value::msgpack::{self, EncodeError, Writer};
use mix_value::{Map, Value};

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
        msgpack::encode(&self)
            .map(Encoded)
            .map_err(|error| not_encodable(&error))
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
            None => ().encode(),
        }
    }
}

/// Values that hold no others are written at once; `room` is what their wire form takes, or a bit
/// more: what is exact need not be moved when it is handed over.
#[inline]
fn written(
    room: usize,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<Encoded, Failure> {
    let mut out = Vec::with_capacity(room);
    write(&mut Writer::new(&mut out)).map_err(|error| not_encodable(&error))?;
    Ok(Encoded(out))
}

#[cold]
fn not_encodable(error: &EncodeError) -> Failure {
    Failure::new(
        "ERR_NOT_SERIALIZABLE",
        format!("the result has no wire form: {error}"),
    )
}

/// Room for a number.
const NUMBER: usize = 9;

/// Room for a text of that length.
fn text_room(length: usize) -> usize {
    let head = match length {
        0..=31 => 1,
        32..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    };
    head + length
}

/// Room for a binary of that length.
fn binary_room(length: usize) -> usize {
    let head = match length {
        0..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    };
    head + length
}

macro_rules! into_value {
    ($($type:ty, $value:ident, $writer:ident: $room:expr => $write:expr;)+) => {$(
        impl IntoValue for $type {
            #[inline]
            fn encode(self) -> Result<Encoded, Failure> {
                let $value = self;
                written($room, |$writer| $write)
            }
        }
    )+};
}

into_value! {
    (), _nothing, writer: 1 => { writer.null(); Ok(()) };
    bool, flag, writer: 1 => { writer.bool(flag); Ok(()) };
    i64, number, writer: NUMBER => { writer.int(number); Ok(()) };
    f64, number, writer: NUMBER => { writer.float(number); Ok(()) };
    String, text, writer: text_room(text.len()) => writer.str(&text);
    &str, text, writer: text_room(text.len()) => writer.str(text);
    Arc<str>, text, writer: text_room(text.len()) => writer.str(&text);
    Vec<u8>, bytes, writer: binary_room(bytes.len()) => writer.bin(&bytes);
    Arc<[u8]>, bytes, writer: binary_room(bytes.len()) => writer.bin(&bytes);
}

impl IntoValue for Vec<Value> {
    fn encode(self) -> Result<Encoded, Failure> {
        Value::Array(self).encode()
    }
}

impl IntoValue for Map {
    fn encode(self) -> Result<Encoded, Failure> {
        Value::Map(self).encode()
    }
}
