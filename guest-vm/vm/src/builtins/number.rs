//! Module `number`: arithmetic, rounding, text forms, sets of 32 bits.

use super::Builtin;
use super::args::{self, Number, pass_undefined};
use super::number_pattern::{self, Signs};
use super::number_text::{self, Parsed};
use crate::failure::Failure;
use crate::heap::{Map, Value};
use crate::surroundings::Surroundings;
use crate::text_form::plain_text;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#number_add" => |_, args| exact(args, i64::checked_add, |x, y| x + y),
        "#number_sub" => |_, args| exact(args, i64::checked_sub, |x, y| x - y),
        "#number_mul" => |_, args| exact(args, i64::checked_mul, |x, y| x * y),
        "#number_div" => |_, args| exact(args, |_, _| None, |x, y| x / y),
        "#number_rem" => |_, args| exact(args, |_, _| None, |x, y| x % y),
        "#number_mod" => |_, args| exact(args, |_, _| None, floored_remainder),
        "#number_neg" => neg,
        "#number_div_int" => |_, args| truncated(args, i128::checked_div),
        "#number_rem_int" => |_, args| truncated(args, i128::checked_rem),
        "#number_mod_int" => |_, args| truncated(args, floored_remainder_int),
        "#number_abs" => abs,
        "#number_min" => |_, args| extreme(args, |x, y| y < x),
        "#number_max" => |_, args| extreme(args, |x, y| y > x),
        "#number_round" => |_, args| rounded(args, f64::round),
        "#number_trunc" => |_, args| rounded(args, f64::trunc),
        "#number_floor" => |_, args| rounded(args, f64::floor),
        "#number_ceil" => |_, args| rounded(args, f64::ceil),
        "#number_acos" => |_, args| real(args, f64::acos),
        "#number_acosh" => |_, args| real(args, f64::acosh),
        "#number_asin" => |_, args| real(args, f64::asin),
        "#number_asinh" => |_, args| real(args, f64::asinh),
        "#number_atan" => |_, args| real(args, f64::atan),
        "#number_atanh" => |_, args| real(args, f64::atanh),
        "#number_cos" => |_, args| real(args, f64::cos),
        "#number_cosh" => |_, args| real(args, f64::cosh),
        "#number_sin" => |_, args| real(args, f64::sin),
        "#number_sinh" => |_, args| real(args, f64::sinh),
        "#number_tan" => |_, args| real(args, f64::tan),
        "#number_tanh" => |_, args| real(args, f64::tanh),
        "#number_exp" => |_, args| real(args, f64::exp),
        "#number_expm1" => |_, args| real(args, f64::exp_m1),
        "#number_log" => |_, args| real(args, f64::ln),
        "#number_log10" => |_, args| real(args, f64::log10),
        "#number_log1p" => |_, args| real(args, f64::ln_1p),
        "#number_sqrt" => |_, args| real(args, f64::sqrt),
        "#number_copysign" => copysign,
        "#number_hypot" => |_, args| real2(args, f64::hypot),
        "#number_pow" => |_, args| real2(args, f64::powf),
        "#number_atan2" => |_, args| real2(args, f64::atan2),
        "#number_to_string" => to_string,
        "#number_parse" => parse,
        "#number_parse_int" => |_, args| parse_integer(args, number_text::parse_int),
        "#number_parse_hex" => |_, args| parse_integer(args, number_text::parse_hex),
        "#number_format_hex_int" => format_hex_int,
        "#number_bit_test" => bit_test,
        "#number_bit_set" => |_, args| change_bit(args, |bit, set| set | bit),
        "#number_bit_clear" => |_, args| change_bit(args, |bit, set| set & !bit),
        "#number_bit_and" => |_, args| bits(args, |a, b| a & b),
        "#number_bit_or" => |_, args| bits(args, |a, b| a | b),
        "#number_bit_xor" => |_, args| bits(args, |a, b| a ^ b),
        "#number_is_nan" => |_, args| test(args, f64::is_nan),
        "#number_is_finite" => |_, args| test(args, f64::is_finite),
        "#number_is_int" => |_, args| test(args, |x| x.is_finite() && x.fract() == 0.0),
        "#number_format" => format,
        _ => return None,
    })
}

/// An operation that is exact on ints where the result fits; null if an argument is null.
fn exact(
    args: &[Value],
    ints: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value, Failure> {
    pass_undefined!(args);
    if args.iter().any(|arg| matches!(arg, Value::Null)) {
        return Ok(Value::Null);
    }
    let (x, y) = (args::number(&args[0])?, args::number(&args[1])?);
    if let (Number::Int(a), Number::Int(b)) = (x, y)
        && let Some(result) = ints(a, b)
    {
        return Ok(Value::Int(result));
    }
    Ok(Value::Float(floats(x.float(), y.float())))
}

/// The remainder with the sign of the divisor.
fn floored_remainder(x: f64, y: f64) -> f64 {
    let remainder = x % y;
    if remainder == 0.0 || (remainder < 0.0) == (y < 0.0) {
        remainder
    } else {
        remainder + y
    }
}

fn floored_remainder_int(x: i128, y: i128) -> Option<i128> {
    let remainder = x.checked_rem(y)?;
    Some(if remainder != 0 && (remainder < 0) != (y < 0) {
        remainder + y
    } else {
        remainder
    })
}

fn neg(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(match &args[0] {
        Value::Undefined => Value::Undefined,
        Value::Null => Value::Null,
        value => match args::number(value)? {
            Number::Int(int) => int
                .checked_neg()
                .map_or(Value::Float(-(int as f64)), Value::Int),
            Number::Float(float) => Value::Float(-float),
        },
    })
}

/// A number without its fraction; `ERR_RANGE` unless it is finite and of a size
/// that no result can need.
fn whole(value: &Value) -> Result<i128, Failure> {
    match args::number(value)? {
        Number::Int(int) => Ok(i128::from(int)),
        Number::Float(float) if float.is_finite() && float.abs() < 1e38 => Ok(float as i128),
        Number::Float(float) => Err(Failure::range(format!(
            "{float} is outside of the integers"
        ))),
    }
}

fn truncated(args: &[Value], operation: fn(i128, i128) -> Option<i128>) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (x, y) = (whole(&args[0])?, whole(&args[1])?);
    let result = operation(x, y).ok_or_else(|| Failure::range("the divisor is zero"))?;
    Ok(i64::try_from(result).map_or(Value::Float(result as f64), Value::Int))
}

fn abs(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(match args::number(&args[0])? {
        Number::Int(int) => int
            .checked_abs()
            .map_or(Value::Float((int as f64).abs()), Value::Int),
        Number::Float(float) => Value::Float(float.abs()),
    })
}

fn extreme(args: &[Value], second: fn(f64, f64) -> bool) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (x, y) = (args::number(&args[0])?, args::number(&args[1])?);
    if x.float().is_nan() || y.float().is_nan() {
        return Ok(Value::Float(f64::NAN));
    }
    let wins = match (x, y) {
        // Ints that floats cannot tell apart.
        (Number::Int(a), Number::Int(b)) if a as f64 == b as f64 => {
            if second(0.0, 1.0) {
                b > a
            } else {
                b < a
            }
        }
        _ => second(x.float(), y.float()),
    };
    Ok(if wins { y.value() } else { x.value() })
}

fn rounded(args: &[Value], round: fn(f64) -> f64) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(match args::number(&args[0])? {
        Number::Int(int) => Value::Int(int),
        Number::Float(float) => Value::number(round(float)),
    })
}

fn real(args: &[Value], function: fn(f64) -> f64) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(Value::Float(function(args::number(&args[0])?.float())))
}

fn real2(args: &[Value], function: fn(f64, f64) -> f64) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (x, y) = (args::number(&args[0])?, args::number(&args[1])?);
    Ok(Value::Float(function(x.float(), y.float())))
}

fn copysign(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let (x, y) = (args::number(&args[0])?, args::number(&args[1])?);
    let negative = y.float().is_sign_negative();
    Ok(match x {
        Number::Int(int) => match if negative {
            Some(-int.saturating_abs())
        } else {
            int.checked_abs()
        } {
            Some(result) if int != i64::MIN => Value::Int(result),
            _ => Value::Float((int as f64).copysign(y.float())),
        },
        Number::Float(float) => Value::Float(float.copysign(y.float())),
    })
}

fn to_string(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let number = args::number(&args[0])?;
    Ok(Value::text(
        plain_text(&number.value()).unwrap_or_else(|| "".into()),
    ))
}

fn parse(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(match number_text::parse(args::text(&args[0])?)? {
        Parsed::Int(int) => Value::Int(int),
        Parsed::Float(float) => Value::Float(float),
    })
}

fn parse_integer(
    args: &[Value],
    parse: fn(&str) -> Result<i64, Failure>,
) -> Result<Value, Failure> {
    pass_undefined!(args);
    parse(args::text(&args[0])?).map(Value::Int)
}

/// Widest number that may be asked for.
const MAX_WIDTH: usize = 10_000;

fn format_hex_int(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let width = args::clamped(&args[0], usize::MAX)?;
    if width > MAX_WIDTH {
        return Err(Failure::range(
            "the width of a number is at most 10000 digits",
        ));
    }
    let number = whole(&args[1])?;
    let digits = format!("{:x}", number.unsigned_abs());
    Ok(Value::text(number_text::format_hex(
        width,
        number < 0,
        &digits,
    )))
}

/// A set of 32 bits: a number modulo 2^32.
fn set(value: &Value) -> Result<u32, Failure> {
    match args::number(value)? {
        // Keeping the low bits is the reduction.
        Number::Int(int) => Ok(int as u32),
        Number::Float(float) if float.is_finite() => {
            Ok(float.trunc().rem_euclid(4_294_967_296.0) as u32)
        }
        Number::Float(float) => Err(Failure::range(format!("{float} is no set of bits"))),
    }
}

fn set_value(set: u32) -> Value {
    Value::Int(i64::from(set.cast_signed()))
}

/// A bit by its number.
fn bit(value: &Value) -> Result<u32, Failure> {
    match u32::try_from(args::integral(value)?) {
        Ok(number @ 0..32) => Ok(1 << number),
        _ => Err(Failure::range("bits have the numbers 0 to 31")),
    }
}

fn bit_test(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(Value::Bool(set(&args[1])? & bit(&args[0])? != 0))
}

fn change_bit(args: &[Value], change: fn(u32, u32) -> u32) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(set_value(change(bit(&args[0])?, set(&args[1])?)))
}

fn bits(args: &[Value], operation: fn(u32, u32) -> u32) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(set_value(operation(set(&args[0])?, set(&args[1])?)))
}

fn test(args: &[Value], property: fn(f64) -> bool) -> Result<Value, Failure> {
    pass_undefined!(args);
    Ok(Value::Bool(property(args::number(&args[0])?.float())))
}

/// A text option of `format`.
fn option<'a>(options: Option<&'a Map>, key: &str, default: &'a str) -> Result<&'a str, Failure> {
    match options.and_then(|options| options.get(key)) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => args::text(value).map(|text| text.as_str()),
    }
}

fn format(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    pass_undefined!(args);
    let options = match &args[0] {
        Value::Null => None,
        value => Some(args::map(value)?),
    };
    let locale = option(options, "locale", "en-US")?;
    if locale != "en-US" {
        return Err(Failure::range(format!(
            "unknown locale {locale:?}; there is only \"en-US\""
        )));
    }
    let plain = Signs::default();
    let signs = Signs {
        decimal: option(options, "decimal", plain.decimal)?,
        group: option(options, "group", plain.group)?,
        plus: option(options, "plusSign", plain.plus)?,
        minus: option(options, "minusSign", plain.minus)?,
    };
    let pattern = option(options, "format", number_pattern::DEFAULT_PATTERN)?;
    let number = args::number(&args[1])?;
    let text = plain_text(&number.value()).unwrap_or_else(|| "".into());
    number_pattern::format(pattern, &signs, &text).map(Value::text)
}
