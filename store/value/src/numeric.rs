//! Comparison of the three numeric kinds by mathematical value.

use std::cmp::Ordering;

use crate::Value;

/// Compares two numbers exactly; none if one is NaN.
///
/// Values of other kinds give none too; callers pass numbers only.
pub(crate) fn compare_numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::BigInt(a), Value::BigInt(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => compare_int_float(*a, *b),
        (Value::Float(a), Value::Int(b)) => compare_int_float(*b, *a).map(Ordering::reverse),
        // A big integer lies outside of all ints, so its sign decides.
        (Value::Int(_), Value::BigInt(b)) => Some(if b.is_negative() {
            Ordering::Greater
        } else {
            Ordering::Less
        }),
        (Value::BigInt(a), Value::Int(_)) => Some(if a.is_negative() {
            Ordering::Less
        } else {
            Ordering::Greater
        }),
        (Value::BigInt(a), Value::Float(b)) if !b.is_nan() => Some(a.compare_float(*b)),
        (Value::Float(a), Value::BigInt(b)) if !a.is_nan() => Some(b.compare_float(*a).reverse()),
        _ => None,
    }
}

/// Exact comparison, without rounding the integer to a float.
pub(crate) fn compare_int_float(int: i64, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    let integral = float.trunc();
    // In range by the two checks above, so the cast is exact.
    Some(int.cmp(&(integral as i64)).then_with(|| {
        let rest = float - integral;
        0.0_f64.partial_cmp(&rest).unwrap_or(Ordering::Equal)
    }))
}
