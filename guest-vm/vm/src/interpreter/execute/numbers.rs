//! Arithmetic and comparisons of numbers, as far as they take no call: none in all other cases.

use crate::heap::Value;
use crate::operators;

#[inline(always)]
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        _ => None,
    }
}

#[inline(always)]
fn arithmetic(
    a: &Value,
    b: &Value,
    ints: impl Fn(i64, i64) -> Option<Value>,
    floats: impl Fn(f64, f64) -> f64,
) -> Option<Value> {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => ints(*x, *y),
        (Value::Float(x), Value::Float(y)) => Some(Value::Float(floats(*x, *y))),
        (a, b) => Some(Value::Float(floats(float(a)?, float(b)?))),
    }
}

#[inline(always)]
fn arithmetic_int(
    a: &Value,
    number: i32,
    ints: impl Fn(i64, i64) -> Option<Value>,
    floats: impl Fn(f64, f64) -> f64,
) -> Option<Value> {
    match a {
        Value::Int(x) => ints(*x, i64::from(number)),
        Value::Float(x) => Some(Value::Float(floats(*x, f64::from(number)))),
        _ => None,
    }
}

#[inline(always)]
pub(super) fn add(a: &Value, b: &Value) -> Option<Value> {
    arithmetic(a, b, operators::sum, |x, y| x + y)
}

#[inline(always)]
pub(super) fn sub(a: &Value, b: &Value) -> Option<Value> {
    arithmetic(a, b, operators::difference, |x, y| x - y)
}

#[inline(always)]
pub(super) fn mul(a: &Value, b: &Value) -> Option<Value> {
    arithmetic(a, b, operators::small_product, |x, y| x * y)
}

#[inline(always)]
pub(super) fn div(a: &Value, b: &Value) -> Option<Value> {
    Some(Value::Float(float(a)? / float(b)?))
}

#[inline(always)]
pub(super) fn rem(a: &Value, b: &Value) -> Option<Value> {
    match b {
        Value::Int(y) => rem_by(a, *y),
        _ => None,
    }
}

#[inline(always)]
pub(super) fn add_int(a: &Value, number: i32) -> Option<Value> {
    arithmetic_int(a, number, operators::sum, |x, y| x + y)
}

#[inline(always)]
pub(super) fn sub_int(a: &Value, number: i32) -> Option<Value> {
    arithmetic_int(a, number, operators::difference, |x, y| x - y)
}

#[inline(always)]
pub(super) fn mul_int(a: &Value, number: i32) -> Option<Value> {
    arithmetic_int(a, number, operators::small_product, |x, y| x * y)
}

#[inline(always)]
pub(super) fn div_int(a: &Value, number: i32) -> Option<Value> {
    Some(Value::Float(float(a)? / f64::from(number)))
}

#[inline(always)]
pub(super) fn rem_int(a: &Value, number: i32) -> Option<Value> {
    rem_by(a, i64::from(number))
}

#[inline(always)]
fn rem_by(a: &Value, y: i64) -> Option<Value> {
    let value = match a {
        Value::Int(x) => operators::small_remainder(*x, y)?,
        Value::Float(x) => operators::small_float_remainder(*x, y)?,
        _ => return None,
    };
    Some(Value::Float(value))
}

/// A number beside one of the other kind, if it is a float exactly.
#[inline(always)]
fn exact(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(f64::from(i32::try_from(*number).ok()?)),
        _ => None,
    }
}

/// Does the relation hold between two numbers?
#[inline(always)]
pub(super) fn holds(
    a: &Value,
    b: &Value,
    ints: impl Fn(&i64, &i64) -> bool,
    floats: impl Fn(&f64, &f64) -> bool,
) -> Option<bool> {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => Some(ints(x, y)),
        (Value::Float(x), Value::Float(y)) => Some(floats(x, y)),
        (a, b) => Some(floats(&exact(a)?, &exact(b)?)),
    }
}

/// The same for a small number on the right.
#[inline(always)]
pub(super) fn holds_int(
    a: &Value,
    number: i32,
    ints: impl Fn(&i64, &i64) -> bool,
    floats: impl Fn(&f64, &f64) -> bool,
) -> Option<bool> {
    match a {
        Value::Int(x) => Some(ints(x, &i64::from(number))),
        Value::Float(x) => Some(floats(x, &f64::from(number))),
        _ => None,
    }
}
