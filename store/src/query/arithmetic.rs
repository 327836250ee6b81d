//! Calculations.

use std::borrow::Cow;

use mix_value::{Value, number};

use super::ast::ArithmeticOp;
use super::budget::{Budget, footprint};
use super::error::QueryError;

/// `left op right`. Kinds that do not fit give undefined.
pub(super) fn calculate(
    op: ArithmeticOp,
    left: Cow<'_, Value>,
    right: Cow<'_, Value>,
    budget: &Budget,
) -> Result<Value, QueryError> {
    if left.is_undefined() || right.is_undefined() {
        return Ok(Value::Undefined);
    }
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    if let (Some(a), Some(b)) = (left.as_float(), right.as_float()) {
        return Ok(numbers(op, &left, &right, a, b));
    }
    if op != ArithmeticOp::Add {
        return Ok(Value::Undefined);
    }
    match (&*left, &*right) {
        (Value::Array(_), Value::Array(_)) | (Value::Map(_), Value::Map(_)) => {
            for side in [&left, &right] {
                if let Cow::Borrowed(value) = side {
                    budget.charge(footprint(value)?)?;
                }
            }
        }
        (a, b) => return concatenate(a, b, budget),
    }
    Ok(match (left.into_owned(), right.into_owned()) {
        (Value::Array(mut a), Value::Array(mut b)) => {
            a.append(&mut b);
            Value::Array(a)
        }
        (Value::Map(mut a), Value::Map(b)) => {
            a.extend(b);
            Value::Map(a)
        }
        _ => Value::Undefined,
    })
}

fn numbers(op: ArithmeticOp, left: &Value, right: &Value, a: f64, b: f64) -> Value {
    if let (Value::Int(a), Value::Int(b)) = (left, right) {
        let exact = match op {
            ArithmeticOp::Add => a.checked_add(*b),
            ArithmeticOp::Sub => a.checked_sub(*b),
            ArithmeticOp::Mul => a.checked_mul(*b),
            ArithmeticOp::Div | ArithmeticOp::Rem => None,
        };
        if let Some(exact) = exact {
            return Value::Int(exact);
        }
    }
    Value::float(match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Sub => a - b,
        ArithmeticOp::Mul => a * b,
        ArithmeticOp::Div => a / b,
        ArithmeticOp::Rem => a % b,
    })
}

/// A string with a string, a number or a ref, in either order.
fn concatenate(left: &Value, right: &Value, budget: &Budget) -> Result<Value, QueryError> {
    if left.as_str().is_none() && right.as_str().is_none() {
        return Ok(Value::Undefined);
    }
    let (Some(left), Some(right)) = (text(left), text(right)) else {
        return Ok(Value::Undefined);
    };
    budget.charge(left.len().saturating_add(right.len()))?;
    Ok(Value::from(format!("{left}{right}")))
}

fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Ref(id) => Some(Cow::Borrowed(id.as_str())),
        Value::Int(int) => Some(Cow::Owned(number::format_int(*int))),
        Value::Float(_) | Value::BigInt(_) => value
            .as_float()
            .map(|float| Cow::Owned(number::format_float(float))),
        _ => None,
    }
}
