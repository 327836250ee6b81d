//! From what a Rust function returns to the wire form.

use std::sync::Arc;

use mix_value::msgpack::{self, EncodeError, Writer};
use mix_value::{Map, Value};

use crate::{Failure, Outgoing};

/// A value that is in its wire form already, for instance a stored record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded(pub Vec<u8>);

/// A result of a function.
#[diagnostic::on_unimplemented(
    message = "a foreign function cannot return `{Self}`",
    label = "this type is no value of Mix",
    note = "return (), bool, i64, f64, String, Vec<u8>, Map, Value, Handle, an Option or a Vec of one of these, alone or in a Result with mix_plugin_sdk::Failure"
)]
pub trait IntoValue {
    /// The wire form.
    fn encode(self) -> Result<Encoded, Failure>;

    /// Writes the wire form to where it leaves; for types that can be written in the form that is wanted there.
    #[inline(always)]
    fn hand_over(self, to: &mut Outgoing) -> Result<(), Failure>
    where
        Self: Sized,
    {
        *to = Outgoing::from(self.encode()?);
        Ok(())
    }

    /// The wire form of a list of them, an array unless such a list has a form of its own.
    fn encode_list(list: Vec<Self>) -> Result<Encoded, Failure>
    where
        Self: Sized,
    {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer
            .array(list.len())
            .map_err(|error| not_encodable(&error))?;
        for item in list {
            let Encoded(item) = item.encode()?;
            writer.raw(&item);
        }
        Ok(Encoded(out))
    }

    /// As [`hand_over`](Self::hand_over), for a list of them.
    fn hand_over_list(list: Vec<Self>, to: &mut Outgoing) -> Result<(), Failure>
    where
        Self: Sized,
    {
        *to = Outgoing::from(Self::encode_list(list)?);
        Ok(())
    }
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

    fn encode_list(list: Vec<Value>) -> Result<Encoded, Failure> {
        Value::Array(list).encode()
    }
}

impl<T: IntoValue> IntoValue for Result<T, Failure> {
    fn encode(self) -> Result<Encoded, Failure> {
        self?.encode()
    }

    #[inline(always)]
    fn hand_over(self, to: &mut Outgoing) -> Result<(), Failure> {
        self?.hand_over(to)
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

    fn hand_over(self, to: &mut Outgoing) -> Result<(), Failure> {
        match self {
            Some(result) => result.hand_over(to),
            None => ().hand_over(to),
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

/// The same to where it leaves.
#[inline(always)]
fn write_to(
    to: &mut Outgoing,
    room: usize,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<(), Failure> {
    let out = to.begin_bytes(room);
    write(&mut Writer::new(out)).map_err(|error| not_encodable(&error))
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

            #[inline(always)]
            fn hand_over(self, to: &mut Outgoing) -> Result<(), Failure> {
                let $value = self;
                write_to(to, $room, |$writer| $write)
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
    Arc<[u8]>, bytes, writer: binary_room(bytes.len()) => writer.bin(&bytes);
}

/// A byte is a number; a list of bytes is a `binary`.
impl IntoValue for u8 {
    fn encode(self) -> Result<Encoded, Failure> {
        i64::from(self).encode()
    }

    #[inline]
    fn encode_list(bytes: Vec<u8>) -> Result<Encoded, Failure> {
        written(binary_room(bytes.len()), |writer| writer.bin(&bytes))
    }

    #[inline(always)]
    fn hand_over_list(bytes: Vec<u8>, to: &mut Outgoing) -> Result<(), Failure> {
        write_to(to, binary_room(bytes.len()), |writer| writer.bin(&bytes))
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
    #[inline]
    fn encode(self) -> Result<Encoded, Failure> {
        T::encode_list(self)
    }

    #[inline(always)]
    fn hand_over(self, to: &mut Outgoing) -> Result<(), Failure> {
        T::hand_over_list(self, to)
    }
}

impl IntoValue for Map {
    fn encode(self) -> Result<Encoded, Failure> {
        Value::Map(self).encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(of: impl IntoValue) -> Value {
        let Encoded(bytes) = of.encode().unwrap();
        msgpack::decode(&bytes).unwrap()
    }

    #[test]
    fn lists_are_arrays_and_lists_of_bytes_binaries() {
        let texts =
            |texts: &[&str]| Value::Array(texts.iter().copied().map(Value::string).collect());
        assert_eq!(
            value(vec!["a".to_owned(), "b".to_owned()]),
            texts(&["a", "b"])
        );
        assert_eq!(
            value(vec![Some(1.5), None]),
            Value::Array(vec![Value::Float(1.5), Value::Null])
        );
        assert_eq!(
            value(vec![vec!["x"], vec![]]),
            Value::Array(vec![texts(&["x"]), texts(&[])])
        );
        assert_eq!(value(vec![1u8, 2]), Value::binary(vec![1, 2]));
        assert_eq!(
            value(vec![Value::Null, Value::Int(3)]),
            Value::Array(vec![Value::Null, Value::Int(3)])
        );
        assert_eq!(
            value(vec![7i64; 70_000]).as_array().map(<[_]>::len),
            Some(70_000)
        );
        let failed = vec![Ok(1i64), Err(Failure::range("two"))].encode();
        assert_eq!(failed.unwrap_err().code, "ERR_RANGE");
    }
}
