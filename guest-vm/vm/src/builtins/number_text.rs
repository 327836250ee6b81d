//! Reading numbers from text.

use crate::failure::Failure;

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Parsed {
    /// Fits 64 bits and was written without point and exponent.
    Int(i64),
    /// Anything else.
    Float(f64),
}

fn malformed(text: &str) -> Failure {
    let shown: String = text.chars().take(40).collect();
    Failure::new("ERR_PARSE", format!("not a number: {shown:?}"))
}

fn sign_of(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// Length of the run of decimal digits at the start.
fn digit_run(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// `number.parse`: the whole text is a decimal number, `Infinity` or `NaN`.
pub(crate) fn parse(text: &str) -> Result<Parsed, Failure> {
    if text == "NaN" {
        return Ok(Parsed::Float(f64::NAN));
    }
    let (negative, body) = sign_of(text);
    if body == "Infinity" {
        return Ok(Parsed::Float(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }));
    }
    let whole = digit_run(body);
    let mut rest = &body[whole..];
    let mut digits = whole;
    let mut plain = true;
    if let Some(fraction) = rest.strip_prefix('.') {
        plain = false;
        let run = digit_run(fraction);
        digits += run;
        rest = &fraction[run..];
    }
    if digits == 0 {
        return Err(malformed(text));
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        plain = false;
        let (_, exponent) = sign_of(exponent);
        let run = digit_run(exponent);
        if run == 0 {
            return Err(malformed(text));
        }
        rest = &exponent[run..];
    }
    if !rest.is_empty() {
        return Err(malformed(text));
    }
    if plain && let Ok(int) = text.parse::<i64>() {
        return Ok(Parsed::Int(int));
    }
    // The grammar above is within that of Rust's floats.
    text.parse::<f64>()
        .map(Parsed::Float)
        .map_err(|_| malformed(text))
}

/// Digits of a base after a sign, as a 64-bit integer.
fn integer(text: &str, negative: bool, digits: &str, base: u32) -> Result<i64, Failure> {
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return Err(malformed(text));
    }
    let significant = digits.trim_start_matches('0');
    let outside = || Failure::range("the number does not fit 64 bits");
    if significant.is_empty() {
        return Ok(0);
    }
    let magnitude = i128::from_str_radix(significant, base).map_err(|_| outside())?;
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| outside())
}

/// `number.parseInt`: decimal digits with an optional sign.
pub(crate) fn parse_int(text: &str) -> Result<i64, Failure> {
    let (negative, digits) = sign_of(text);
    integer(text, negative, digits, 10)
}

/// `number.parseHex`: hexadecimal digits with an optional sign and `0x`.
pub(crate) fn parse_hex(text: &str) -> Result<i64, Failure> {
    let (negative, body) = sign_of(text);
    let digits = body
        .strip_prefix("0x")
        .or_else(|| body.strip_prefix("0X"))
        .unwrap_or(body);
    integer(text, negative, digits, 16)
}

/// `number.formatHexInt` of an already truncated number.
pub(crate) fn format_hex(width: usize, negative: bool, magnitude: &str) -> String {
    let sign = if negative { "-" } else { "" };
    format!("{sign}{magnitude:0>width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Parsed, String> {
        parse(text).map_err(|failure| failure.code().to_owned())
    }

    fn read_int(text: &str) -> Result<i64, String> {
        parse_int(text).map_err(|failure| failure.code().to_owned())
    }

    #[test]
    fn reads_decimal_numbers() {
        assert_eq!(read("1.5e2"), Ok(Parsed::Float(150.0)));
        assert_eq!(read("-042"), Ok(Parsed::Int(-42)));
        assert_eq!(read(".5"), Ok(Parsed::Float(0.5)));
        assert_eq!(read("5."), Ok(Parsed::Float(5.0)));
        assert_eq!(read("1e999"), Ok(Parsed::Float(f64::INFINITY)));
        assert_eq!(
            read("9223372036854775808"),
            Ok(Parsed::Float(9_223_372_036_854_775_808.0))
        );
        assert_eq!(read("-Infinity"), Ok(Parsed::Float(f64::NEG_INFINITY)));
        for text in [
            "", " 1", "1 ", "12px", ".", "e5", "1e", "1e+", "inf", "nan", "0x1", "--1", "+NaN",
        ] {
            assert_eq!(read(text), Err("ERR_PARSE".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn reads_integers() {
        assert_eq!(read_int("+007"), Ok(7));
        assert_eq!(read_int("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(read_int("9223372036854775808"), Err("ERR_RANGE".to_owned()));
        assert_eq!(read_int(&"9".repeat(100)), Err("ERR_RANGE".to_owned()));
        assert_eq!(read_int("12.0"), Err("ERR_PARSE".to_owned()));
        assert_eq!(parse_hex("fF").ok(), Some(255));
        assert_eq!(parse_hex("-0x10").ok(), Some(-16));
        assert!(parse_hex("0x").is_err());
    }
}
