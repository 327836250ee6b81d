//! Integers outside the range of `i64`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use num_bigint::Sign;
use num_traits::{FromPrimitive, ToPrimitive};

use crate::{Value, ValueError};

const MAX_BYTES: usize = 4096;
/// Decimal digits that surely cover [`MAX_BYTES`] bytes.
const MAX_DIGITS: usize = 9866;

/// An integer of at most 4096 bytes that does not fit an `i64`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BigInt(Arc<num_bigint::BigInt>);

impl BigInt {
    /// The number of a two's-complement big-endian byte sequence:
    /// [`Value::Int`] if it fits, else [`Value::BigInt`].
    pub fn from_signed_bytes(bytes: &[u8]) -> Result<Value, ValueError> {
        if bytes.is_empty() || bytes.len() > MAX_BYTES {
            return Err(ValueError::IntegerSize);
        }
        Ok(normalise(num_bigint::BigInt::from_signed_bytes_be(bytes)))
    }

    /// The number with these decimal digits, after an optional minus.
    pub fn from_decimal(text: &str) -> Result<Value, ValueError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ValueError::IntegerText);
        }
        if let Ok(small) = text.parse::<i64>() {
            return Ok(Value::Int(small));
        }
        if digits.trim_start_matches('0').len() > MAX_DIGITS {
            return Err(ValueError::IntegerSize);
        }
        let number: num_bigint::BigInt = text.parse().map_err(|_| ValueError::IntegerText)?;
        match normalise(number) {
            Value::BigInt(big) if big.to_signed_bytes().len() > MAX_BYTES => {
                Err(ValueError::IntegerSize)
            }
            value => Ok(value),
        }
    }

    /// An unsigned 64-bit number.
    pub fn from_u64(number: u64) -> Value {
        match i64::try_from(number) {
            Ok(small) => Value::Int(small),
            Err(_) => Value::BigInt(BigInt(Arc::new(number.into()))),
        }
    }

    /// Minimal two's-complement big-endian bytes.
    pub fn to_signed_bytes(&self) -> Vec<u8> {
        self.0.to_signed_bytes_be()
    }

    /// The nearest float; infinite beyond the floats.
    pub fn to_f64(&self) -> f64 {
        // num-bigint rounds to nearest and saturates to the infinities.
        self.0.to_f64().unwrap_or(f64::NAN)
    }

    /// True below zero.
    pub fn is_negative(&self) -> bool {
        self.0.sign() == Sign::Minus
    }

    /// Exact comparison with a float that is not NaN.
    pub(crate) fn compare_float(&self, float: f64) -> Ordering {
        match num_bigint::BigInt::from_f64(float) {
            // from_f64 truncates, which cannot matter: beyond 64 bits every float is integral,
            // and a smaller one lies on the same side of this number as its integral part.
            Some(integral) => (*self.0).cmp(&integral),
            None if float > 0.0 => Ordering::Less,
            None => Ordering::Greater,
        }
    }
}

fn normalise(number: num_bigint::BigInt) -> Value {
    match number.to_i64() {
        Some(small) => Value::Int(small),
        None => Value::BigInt(BigInt(Arc::new(number))),
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0, f)
    }
}
