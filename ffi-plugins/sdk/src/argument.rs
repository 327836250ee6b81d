//! From the argument list of a call to the parameters of a Rust function.

use std::sync::Arc;

use mix_value::msgpack::{self, DecodeError, DecodeErrorKind, Reader, Token};
use mix_value::number::format_float;
use mix_value::packed::Received;
use mix_value::{Map, Ref, Value};

use crate::{Failure, Handle};

/// The bytes of a `binary`.
pub type Bytes = Arc<[u8]>;

/// An argument of the wrong kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// Code of the failure, `ERR_EXPECTED_X`.
    pub code: &'static str,
    /// What is expected, for people: "a string".
    pub expected: &'static str,
    /// Where in an array it is, counted from 0, and of what kind; none if it is the argument itself.
    pub item: Option<(usize, &'static str)>,
}

impl Mismatch {
    /// An argument of the wrong kind.
    pub fn new(code: &'static str, expected: &'static str) -> Mismatch {
        Mismatch {
            code,
            expected,
            item: None,
        }
    }
}

/// A type that an argument can be read as.
#[diagnostic::on_unimplemented(
    message = "a foreign function cannot take `{Self}`",
    label = "no argument of Mix is read as this type",
    note = "take String, bool, i64, f64, Bytes, Map, Value, Handle, an Option or a Vec of one of these, or implement FromArgument"
)]
pub trait FromArgument: Sized {
    /// The argument as this type, or what was expected.
    fn from_argument(value: Value) -> Result<Self, Mismatch>;

    /// A shortcut for values that hold no others, straight from the wire form. None: the
    /// argument becomes a [`Value`] first, and [`from_argument`](Self::from_argument) decides.
    fn from_token(token: &Token<'_>) -> Option<Self> {
        let _ = token;
        None
    }

    /// A shortcut for lists of such values: the argument that `bytes` begin with, and its length there. None says
    /// nothing about them, and whatever it gives is what the longer way would give.
    fn from_wire(bytes: &[u8]) -> Option<(Self, usize)> {
        let _ = bytes;
        None
    }

    /// As [`from_wire`](Self::from_wire), for a list of them.
    fn list_from_wire(bytes: &[u8]) -> Option<(Vec<Self>, usize)> {
        let _ = bytes;
        None
    }

    /// A list of them, an array unless such a list has a form of its own.
    fn list_from_argument(value: Value) -> Result<Vec<Self>, Mismatch> {
        let Value::Array(values) = value else {
            return Err(Mismatch::new("ERR_EXPECTED_ARRAY", "an array"));
        };
        let item = |(index, value): (usize, Value)| {
            let kind = value.kind();
            Self::from_argument(value).map_err(|mismatch| Mismatch {
                item: Some((index, mismatch.item.map_or(kind, |(_, inner)| inner))),
                ..mismatch
            })
        };
        values.into_iter().enumerate().map(item).collect()
    }

    /// As [`from_token`](Self::from_token), for a list of them.
    fn list_from_token(token: &Token<'_>) -> Option<Vec<Self>> {
        let _ = token;
        None
    }

    /// True if `undefined` is an acceptable argument.
    const ACCEPTS_UNDEFINED: bool = false;
}

/// Most bytes of arguments that stay in memory while the function is at work.
const KEPT: usize = 4 << 10;

/// The arguments of one call as they came.
#[derive(Debug)]
pub struct Incoming {
    function: &'static str,
    params: u8,
    bytes: Received,
}

impl Incoming {
    /// `bytes`: what came for a function with that many parameters.
    #[inline]
    pub fn new(function: &'static str, params: u8, bytes: impl Into<Received>) -> Incoming {
        Incoming {
            function,
            params,
            bytes: bytes.into(),
        }
    }

    /// Checks the number of arguments. Each one is read when it is taken.
    #[inline(always)]
    pub fn arguments(&mut self) -> Result<Arguments<'_>, Failure> {
        let (position, left) = match *self.bytes {
            // Nearly all.
            [head @ 0x90..=0x9f, ..] if head & 0x0f == self.params => (1, self.params.into()),
            _ => self.start()?,
        };
        let arguments = Arguments {
            function: self.function,
            bytes: &mut self.bytes,
            position,
            left,
            taken: 0,
        };
        if left == 0 {
            arguments.check_end()?;
        }
        Ok(arguments)
    }

    /// Where the first argument is, and how many there are.
    #[cold]
    fn start(&self) -> Result<(usize, usize), Failure> {
        let Incoming {
            function, params, ..
        } = *self;
        let start =
            msgpack::array_start(&self.bytes).map_err(|error| malformed(function, &error))?;
        let Some((count, position)) = start else {
            return Err(Failure::internal(format!(
                "arguments of {function} are no array"
            )));
        };
        if count != usize::from(params) {
            return Err(Failure::internal(format!(
                "{function} takes {params} arguments, not {count}"
            )));
        }
        Ok((position, count))
    }
}

/// The arguments of one call, taken one by one.
#[derive(Debug)]
pub struct Arguments<'a> {
    function: &'static str,
    bytes: &'a mut Received,
    /// Where the next argument begins.
    position: usize,
    left: usize,
    taken: usize,
}

impl Arguments<'_> {
    /// The next argument as `T`.
    #[inline(always)]
    pub fn take<T: FromArgument>(&mut self) -> Result<T, Failure> {
        self.taken += 1;
        if self.left == 0 {
            // More than were announced: as if an `undefined` followed.
            return self.convert(Value::Undefined);
        }
        self.left -= 1;
        if let Some((token, length)) = msgpack::short(self.rest())
            && let Some(argument) = T::from_token(&token)
        {
            self.position += length;
            self.taken_last()?;
            return Ok(argument);
        }
        if let Some((argument, length)) = T::from_wire(self.rest()) {
            self.position += length;
            self.taken_last()?;
            return Ok(argument);
        }
        self.take_any()
    }

    /// An argument in any form.
    fn take_any<T: FromArgument>(&mut self) -> Result<T, Failure> {
        let mut reader = Reader::at(self.bytes, self.position);
        let token = reader
            .next()
            .map_err(|error| malformed(self.function, &error))?;
        if reader.is_done()
            && let Some(argument) = T::from_token(&token)
        {
            self.position = reader.position();
            self.taken_last()?;
            return Ok(argument);
        }
        let mut reader = Reader::at(self.bytes, self.position);
        let value =
            msgpack::decode_next(&mut reader).map_err(|error| malformed(self.function, &error))?;
        self.position = reader.position();
        self.taken_last()?;
        self.convert(value)
    }

    /// The bytes of the arguments that are still to be taken.
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    fn convert<T: FromArgument>(&self, value: Value) -> Result<T, Failure> {
        let (function, position) = (self.function, self.taken);
        if matches!(value, Value::Undefined) && !T::ACCEPTS_UNDEFINED {
            return Err(Failure::new(
                "ERR_UNDEFINED",
                format!("argument {position} of {function} is undefined"),
            ));
        }
        let kind = value.kind();
        let number = match value {
            Value::Int(number) => Some(Value::Int(number)),
            Value::Float(number) => Some(Value::Float(number)),
            _ => None,
        };
        T::from_argument(value).map_err(|mismatch| {
            let expected = mismatch.expected;
            // That it is a number says nothing where another one is wanted.
            let found = match (mismatch.code, mismatch.item, number) {
                ("ERR_RANGE", None, Some(Value::Int(number))) => format!(", not {number}"),
                ("ERR_RANGE", None, Some(Value::Float(number))) => {
                    format!(", not {}", format_float(number))
                }
                ("ERR_RANGE", _, _) => String::new(),
                (_, item, _) => format!(", not {}", item.map_or(kind, |(_, kind)| kind)),
            };
            let place = match mismatch.item {
                None => String::new(),
                Some((index, _)) => format!("item {index} of "),
            };
            let message =
                format!("{place}argument {position} of {function} must be {expected}{found}");
            Failure::new(mismatch.code, message)
        })
    }

    /// After the last argument nothing may follow, and its bytes are needed no longer.
    #[inline(always)]
    fn taken_last(&mut self) -> Result<(), Failure> {
        if self.left == 0 {
            self.check_end()?;
            if self.bytes.len() > KEPT {
                *self.bytes = Received::default();
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn check_end(&self) -> Result<(), Failure> {
        if self.position == self.bytes.len() {
            return Ok(());
        }
        Err(trailing(self.function, self.position))
    }
}

#[cold]
fn trailing(function: &str, offset: usize) -> Failure {
    let kind = DecodeErrorKind::TrailingBytes;
    malformed(function, &DecodeError { offset, kind })
}

#[cold]
fn malformed(function: &str, error: &DecodeError) -> Failure {
    Failure::internal(format!("arguments of {function} are malformed: {error}"))
}

impl FromArgument for Value {
    fn from_argument(value: Value) -> Result<Value, Mismatch> {
        Ok(value)
    }

    fn from_token(token: &Token<'_>) -> Option<Value> {
        Some(match *token {
            Token::Null => Value::Null,
            Token::Bool(flag) => Value::Bool(flag),
            Token::Int(number) => Value::Int(number),
            Token::Float(number) => Value::Float(number),
            Token::Str(text) => Value::String(text.into()),
            Token::Bin(bytes) => Value::Binary(bytes.into()),
            Token::Ref(id) => Value::Ref(Ref::new(id).ok()?),
            _ => return None,
        })
    }

    fn list_from_argument(value: Value) -> Result<Vec<Value>, Mismatch> {
        match value {
            Value::Array(values) => Ok(values),
            _ => Err(Mismatch::new("ERR_EXPECTED_ARRAY", "an array")),
        }
    }

    const ACCEPTS_UNDEFINED: bool = true;
}

macro_rules! from_argument {
    ($($type:ty, $code:literal, $expected:literal, $pattern:pat => $result:expr
        $(, $token:pat => $taken:expr)?;)+) => {$(
        impl FromArgument for $type {
            fn from_argument(value: Value) -> Result<$type, Mismatch> {
                match value {
                    $pattern => Ok($result),
                    _ => Err(Mismatch::new($code, $expected)),
                }
            }

            $(fn from_token(token: &Token<'_>) -> Option<$type> {
                match *token {
                    $token => Some($taken),
                    _ => None,
                }
            })?
        }
    )+};
}

from_argument! {
    bool, "ERR_EXPECTED_BOOL", "a bool", Value::Bool(flag) => flag, Token::Bool(flag) => flag;
    Arc<str>, "ERR_EXPECTED_STRING", "a string", Value::String(text) => text, Token::Str(text) => text.into();
    String, "ERR_EXPECTED_STRING", "a string", Value::String(text) => String::from(&*text), Token::Str(text) => text.into();
    Bytes, "ERR_EXPECTED_BINARY", "a binary", Value::Binary(bytes) => bytes, Token::Bin(bytes) => bytes.into();
    Handle, "ERR_EXPECTED_OPAQUE", "a handle", Value::Handle(number) => Handle(number);
    Map, "ERR_EXPECTED_MAP", "a map", Value::Map(map) => map;
    Ref, "ERR_EXPECTED_REF", "a ref", Value::Ref(reference) => reference;
}

impl FromArgument for f64 {
    fn from_argument(value: Value) -> Result<f64, Mismatch> {
        match value {
            // Rounds to the nearest float, as arithmetic of the language does.
            Value::Int(number) => Ok(number as f64),
            Value::Float(number) => Ok(number),
            _ => Err(Mismatch::new("ERR_EXPECTED_NUMBER", "a number")),
        }
    }

    fn from_token(token: &Token<'_>) -> Option<f64> {
        match *token {
            Token::Int(number) => Some(number as f64),
            Token::Float(number) => Some(number),
            _ => None,
        }
    }
}

/// An integral float is accepted as an int.
impl FromArgument for i64 {
    fn from_argument(value: Value) -> Result<i64, Mismatch> {
        let is_number = matches!(value, Value::Int(_) | Value::Float(_) | Value::BigInt(_));
        let mismatch = match is_number {
            true => Mismatch::new("ERR_RANGE", "a whole number of 64 bits"),
            false => Mismatch::new("ERR_EXPECTED_NUMBER", "a whole number"),
        };
        value.as_int().ok_or(mismatch)
    }

    fn from_token(token: &Token<'_>) -> Option<i64> {
        match *token {
            Token::Int(number) => Some(number),
            _ => None,
        }
    }
}

/// A byte is a whole number up to 255; a list of bytes is a `binary`.
impl FromArgument for u8 {
    fn from_argument(value: Value) -> Result<u8, Mismatch> {
        let number = i64::from_argument(value)?;
        u8::try_from(number).map_err(|_| Mismatch::new("ERR_RANGE", "a number from 0 to 255"))
    }

    fn list_from_argument(value: Value) -> Result<Vec<u8>, Mismatch> {
        Bytes::from_argument(value).map(|bytes| bytes.to_vec())
    }

    fn list_from_token(token: &Token<'_>) -> Option<Vec<u8>> {
        match *token {
            Token::Bin(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

/// An array whose items all fit.
impl<T: FromArgument> FromArgument for Vec<T> {
    fn from_argument(value: Value) -> Result<Vec<T>, Mismatch> {
        T::list_from_argument(value)
    }

    fn from_token(token: &Token<'_>) -> Option<Vec<T>> {
        T::list_from_token(token)
    }

    fn from_wire(bytes: &[u8]) -> Option<(Vec<T>, usize)> {
        T::list_from_wire(bytes)
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

    fn from_token(token: &Token<'_>) -> Option<Option<T>> {
        match token {
            Token::Null => Some(None),
            token => T::from_token(token).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(params: u8, values: &[Value]) -> Incoming {
        let bytes = msgpack::encode(&Value::Array(values.to_vec())).unwrap();
        Incoming::new("$test", params, bytes)
    }

    fn code<T: std::fmt::Debug>(taken: Result<T, Failure>) -> String {
        taken.unwrap_err().code.into_owned()
    }

    #[test]
    fn arguments_are_taken_in_order() {
        let nested = Value::Array(vec![Value::Int(1), Value::Array(Vec::new())]);
        let values = [
            Value::Int(-7),
            Value::string("text"),
            nested.clone(),
            Value::binary(vec![1, 2]),
            Value::Null,
            Value::Float(3.0),
            Value::Undefined,
        ];
        let mut incoming = incoming(7, &values);
        let mut arguments = incoming.arguments().unwrap();
        assert_eq!(arguments.take::<i64>(), Ok(-7));
        assert_eq!(arguments.take::<String>().as_deref(), Ok("text"));
        assert_eq!(arguments.take::<Value>(), Ok(nested));
        assert_eq!(arguments.take::<Bytes>().as_deref(), Ok(&[1, 2][..]));
        assert_eq!(arguments.take::<Option<i64>>(), Ok(None));
        // An integral float is an integer, by the way over the tree.
        assert_eq!(arguments.take::<i64>(), Ok(3));
        assert_eq!(arguments.take::<Value>(), Ok(Value::Undefined));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let values = [Value::string("x"), Value::Undefined, Value::Float(0.5)];
        let mut incoming = incoming(3, &values);
        let mut arguments = incoming.arguments().unwrap();
        assert_eq!(code(arguments.take::<i64>()), "ERR_EXPECTED_NUMBER");
        assert_eq!(code(arguments.take::<bool>()), "ERR_UNDEFINED");
        let half = arguments.take::<i64>().expect_err("no whole number");
        assert_eq!(half.code, "ERR_RANGE");
        assert_eq!(
            half.message,
            "argument 3 of $test must be a whole number of 64 bits, not 0.5"
        );
    }

    #[test]
    fn lists_are_taken_item_by_item() {
        let texts =
            |texts: &[&str]| Value::Array(texts.iter().copied().map(Value::string).collect());
        let mut incoming = incoming(
            8,
            &[
                texts(&["a", "b"]),
                Value::Array(vec![texts(&["c"]), texts(&[])]),
                Value::binary(vec![1, 255]),
                Value::Array(vec![Value::Null, Value::Int(4)]),
                Value::Array(vec![Value::string("x"), Value::Int(4)]),
                Value::Array(vec![texts(&["x"]), Value::Array(vec![Value::Null])]),
                Value::Array(vec![Value::Int(1)]),
                Value::Int(256),
            ],
        );
        let mut arguments = incoming.arguments().unwrap();
        let list = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(arguments.take(), Ok(list(&["a", "b"])));
        assert_eq!(arguments.take(), Ok(vec![list(&["c"]), list(&[])]));
        assert_eq!(arguments.take(), Ok(vec![1u8, 255]));
        assert_eq!(arguments.take(), Ok(vec![None, Some(4.0)]));
        let failure = arguments.take::<Vec<String>>().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "ERR_EXPECTED_STRING: item 1 of argument 5 of $test must be a string, not number"
        );
        let failure = arguments.take::<Vec<Vec<String>>>().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "ERR_EXPECTED_STRING: item 1 of argument 6 of $test must be a string, not null"
        );
        assert_eq!(code(arguments.take::<Vec<u8>>()), "ERR_EXPECTED_BINARY");
        let failure = arguments.take::<u8>().unwrap_err();
        assert_eq!(
            failure.to_string(),
            "ERR_RANGE: argument 8 of $test must be a number from 0 to 255, not 256"
        );
    }

    #[test]
    fn malformed_arguments_never_reach_a_function() {
        let decode = |params: u8, bytes: &[u8]| {
            let mut incoming = Incoming::new("$test", params, bytes.to_vec());
            incoming.arguments().and_then(|mut arguments| match params {
                0 => Ok(Value::Null),
                _ => arguments.take::<Value>(),
            })
        };
        for bytes in [
            &[][..],
            &[0x80],
            &[0xc1],
            &[0x91],
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(code(decode(1, bytes)), "ERR_INTERNAL", "{bytes:?}");
        }
        assert_eq!(code(decode(2, &[0x91, 0x01])), "ERR_INTERNAL");
        assert_eq!(code(decode(0, &[0x90, 0x01])), "ERR_INTERNAL");
        let take = |bytes: &[u8]| code(decode(1, bytes));
        // Bytes after the last argument, a text cut short, a byte that MessagePack never uses.
        for bytes in [&[0x91, 0x01, 0x02][..], &[0x91, 0xa5, 0x61], &[0x91, 0xc1]] {
            assert_eq!(take(bytes), "ERR_INTERNAL", "{bytes:?}");
        }
    }
}
