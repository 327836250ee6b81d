//! Module `binary`: byte sequences and their text forms.

use std::rc::Rc;

use super::Builtin;
use super::args::{self, pass_undefined};
use crate::failure::Failure;
use crate::heap::{Seen, Value};
use crate::surroundings::Surroundings;
use crate::wire;

/// Longest binary that a function makes.
const MAX_BINARY: usize = 256 * 1024 * 1024;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#binary_empty" => |_, _| Ok(Value::binary(Vec::new())),
        "#binary_length" => length,
        "#binary_sub" => sub,
        "#binary_concat" => concat,
        "#binary_index_of_left" => index_of_left,
        "#binary_byte_at" => byte_at,
        "#binary_from_byte" => from_byte,
        "#binary_of_string" => of_string,
        "#binary_to_string" => to_string,
        "#binary_of_base64" => of_base64,
        "#binary_to_base64" => to_base64,
        "#binary_of_hex" => of_hex,
        "#binary_to_hex" => to_hex,
        "#binary_format_rmx_code" => format_rmx_code,
        "#binary_parse_rmx_code" => parse_rmx_code,
        "#binary_like" => like,
        "#binary_equal_constant_time" => equal_constant_time,
        _ => return None,
    })
}

fn length(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(Value::Int(args::binary(&args[0])?.len() as i64))
}

fn sub(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let bytes = args::binary(&args[2])?;
    let start = args::clamped(&args[0], bytes.len())?;
    let end = args::clamped(&args[1], bytes.len())?;
    Ok(Value::binary(
        bytes.get(start..end).unwrap_or_default().to_vec(),
    ))
}

fn concat(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let mut out = Vec::new();
    for item in args::array(&args[0])?.items() {
        out.extend_from_slice(args::binary(item)?);
        if out.len() > MAX_BINARY {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                "the binary would have more than 256 MiB",
            ));
        }
    }
    Ok(Value::binary(out))
}

fn index_of_left(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (needle, bytes) = (args::binary(&args[0])?, args::binary(&args[1])?);
    let found = memchr::memmem::find(bytes, needle);
    Ok(found.map_or(Value::Undefined, |at| Value::Int(at as i64)))
}

fn byte_at(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let bytes = args::binary(&args[1])?;
    let found = usize::try_from(args::integral(&args[0])?)
        .ok()
        .and_then(|at| bytes.get(at));
    Ok(found.map_or(Value::Undefined, |byte| Value::Int(i64::from(*byte))))
}

fn from_byte(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let number = args::integral(&args[0])?;
    match u8::try_from(number) {
        Ok(byte) => Ok(Value::binary(vec![byte])),
        Err(_) => Err(Failure::range(format!("{number} is not a byte, 0 to 255"))),
    }
}

fn of_string(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(Value::binary(args::text(&args[0])?.as_bytes().to_vec()))
}

fn to_string(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    match std::str::from_utf8(args::binary(&args[0])?) {
        Ok(text) => Ok(Value::text(text)),
        Err(error) => Err(Failure::new(
            "ERR_UTF8",
            format!("the bytes are not UTF-8: {error}"),
        )),
    }
}

fn of_base64(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    decode_base64(args::text(&args[0])?).map(Value::binary)
}

/// Both alphabets, padding optional, ASCII white space ignored.
fn decode_base64(text: &str) -> Result<Vec<u8>, Failure> {
    let bad = || Failure::new("ERR_PARSE", "malformed base64");
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut digits, mut padding) = (0_u32, 0, 0_usize, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => continue,
            _ => return Err(bad()),
        };
        if padding > 0 {
            return Err(bad());
        }
        digits += 1;
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            // The low eight bits are the next byte.
            out.push((bits >> count) as u8);
        }
    }
    let missing = (4 - digits % 4) % 4;
    if digits % 4 == 1 || (padding > 0 && padding != missing) {
        return Err(bad());
    }
    Ok(out)
}

fn to_base64(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = args::binary(&args[0])?;
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                let digit = group >> (18 - 6 * place) & 63;
                out.push(char::from(DIGITS[digit as usize]));
            } else {
                out.push('=');
            }
        }
    }
    Ok(Value::text(out))
}

fn of_hex(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let text = args::text(&args[0])?.as_bytes();
    let bad = || Failure::new("ERR_PARSE", "malformed hexadecimal digits");
    if !text.len().is_multiple_of(2) {
        return Err(bad());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(bad);
    let bytes: Result<Vec<u8>, Failure> = text
        .chunks_exact(2)
        .map(|pair| Ok((digit(pair[0])? * 16 + digit(pair[1])?) as u8))
        .collect();
    bytes.map(Value::binary)
}

fn to_hex(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = args::binary(&args[0])?;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes.iter() {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Ok(Value::text(out))
}

fn format_rmx_code(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let mut open = vec![&args[0]];
    let mut seen = Seen::default();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(_) | Value::Map(_) | Value::Case(_) if seen.again(value) => {}
            Value::Token(_) => {
                return Err(Failure::new(
                    "ERR_NOT_SERIALIZABLE",
                    "a token has no binary form".to_owned(),
                ));
            }
            Value::Array(array) => open.extend(array.items()),
            Value::Map(map) => open.extend(map.values()),
            Value::Case(case) => open.extend(case.argument()),
            _ => {}
        }
    }
    wire::encode(&args[0]).map(Value::binary)
}

fn parse_rmx_code(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    wire::decode(args::binary(&args[0])?)
        .map_err(|error| Failure::new("ERR_PARSE", error.to_string()))
}

/// The bytes of a binary or the UTF-8 of a string.
fn like(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    match &args[0] {
        Value::Binary(bytes) => Ok(Value::Binary(Rc::clone(bytes))),
        Value::Text(text) | Value::Ref(text) => Ok(Value::binary(text.as_bytes().to_vec())),
        other => Err(Failure::expected(
            "ERR_EXPECTED_BINARY",
            "a string or a binary",
            other,
        )),
    }
}

/// Compares without telling by the time taken where the first difference is.
fn equal_constant_time(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (a, b) = (args::binary(&args[0])?, args::binary(&args[1])?);
    let same_length = a.len() == b.len();
    let difference = a
        .iter()
        .zip(b.iter())
        .fold(0_u8, |sum, (x, y)| sum | (x ^ y));
    Ok(Value::Bool(
        same_length && std::hint::black_box(difference) == 0,
    ))
}
