//! The operators of language 4.3 on any values. The interpreter handles small
//! cases (two ints) itself and comes here for the rest.

use std::cmp::Ordering;

use mix_value::fold::compare_folded;

use crate::compare::{self, Ordered};
use crate::failure::Failure;
use crate::heap::{Stream, Value, room};
use crate::text_form::plain_text;

type Result = std::result::Result<Value, Failure>;

/// `a + b`. The left side is extended in place if it is uniquely owned.
pub fn add(mut a: Value, b: &Value) -> Result {
    match (&mut a, b) {
        (Value::Int(x), Value::Int(y)) => Ok(match x.checked_add(*y) {
            Some(sum) => Value::Int(sum),
            None => Value::Float(*x as f64 + *y as f64),
        }),
        (Value::Undefined, _) | (_, Value::Undefined) => Ok(Value::Undefined),
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Int(x), Value::Float(y)) => Ok(Value::Float(*x as f64 + y)),
        (Value::Float(x), Value::Int(y)) => Ok(Value::Float(*x + *y as f64)),
        (Value::Float(x), Value::Float(y)) => Ok(Value::Float(*x + y)),
        (Value::Text(x), Value::Text(y) | Value::Ref(y)) => {
            x.push_str(y)?;
            Ok(a)
        }
        (Value::Text(x), Value::Int(_) | Value::Float(_)) => {
            if let Some(text) = plain_text(b) {
                x.push_str(&text)?;
            }
            Ok(a)
        }
        (Value::Int(_) | Value::Float(_) | Value::Ref(_), Value::Text(y)) => {
            // A ref is copied: it stays what it is.
            let mut text = plain_text(&a).map_or(String::new(), |text| text.as_str().to_owned());
            room::reserve_text(&mut text, y.len())?;
            text.push_str(y);
            Ok(Value::text(text))
        }
        (Value::Array(x), Value::Array(y)) => {
            if x.items().is_empty() {
                return Ok(b.clone());
            }
            if !y.items().is_empty() {
                x.items_to_grow(y.items().len())?
                    .extend_from_slice(y.items());
            }
            Ok(a)
        }
        (Value::Map(x), Value::Map(y)) => {
            if x.is_empty() {
                return Ok(b.clone());
            }
            x.extend(y);
            Ok(a)
        }
        _ => Err(Failure::operand("+", &a, b)),
    }
}

/// The sum of two ints, if it is one.
#[inline(always)]
pub(crate) fn sum(x: i64, y: i64) -> Option<Value> {
    x.checked_add(y).map(Value::Int)
}

/// Their difference, if it is one.
#[inline(always)]
pub(crate) fn difference(x: i64, y: i64) -> Option<Value> {
    x.checked_sub(y).map(Value::Int)
}

/// The product of two ints of 32 bits: in WebAssembly the check of longer ones is a call.
#[inline(always)]
pub(crate) fn small_product(x: i64, y: i64) -> Option<Value> {
    let (x, y) = (i32::try_from(x).ok()?, i32::try_from(y).ok()?);
    Some(Value::Int(i64::from(x) * i64::from(y)))
}

/// The remainder of two ints of 32 bits.
#[inline(always)]
pub(crate) fn small_remainder(x: i64, y: i64) -> Option<f64> {
    let (a, b) = (i32::try_from(x).ok()?, i32::try_from(y).ok()?);
    if b <= 0 {
        return None;
    }
    Some(f64::from(a % b).copysign(f64::from(a)))
}

/// The remainder of a float that is an int of 32 bits.
#[inline(always)]
pub(crate) fn small_float_remainder(x: f64, y: i64) -> Option<f64> {
    // The conversion saturates, so what comes back equal is an int.
    let (a, b) = (x as i32, i32::try_from(y).ok()?);
    if b <= 0 || f64::from(a) != x {
        return None;
    }
    Some(f64::from(a % b).copysign(x))
}

/// The largest int not above, if it has 32 bits.
#[inline(always)]
pub(crate) fn small_floor(x: f64) -> Option<i64> {
    let whole = x.floor();
    let int = whole as i32;
    // The negative zero is no int.
    (f64::from(int).to_bits() == whole.to_bits()).then_some(i64::from(int))
}

/// Integers up to here are floats exactly.
const EXACT: u64 = 1 << 53;

/// The remainder of two floats, with the sign of the left one.
#[inline(always)]
#[must_use]
pub fn remainder(x: f64, y: f64) -> f64 {
    // The conversion saturates, so what comes back equal is an int.
    let (a, b) = (x as i64, y as i64);
    if a as f64 == x
        && b as f64 == y
        && b != 0
        && a.unsigned_abs() <= EXACT
        && b.unsigned_abs() <= EXACT
    {
        ((a % b) as f64).copysign(x)
    } else {
        x % y
    }
}

/// `- * / %` and their symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
}

/// `a op b`.
pub fn arithmetic(op: Arithmetic, a: &Value, b: &Value) -> Result {
    let exact = |x: i64, y: i64| match op {
        Arithmetic::Sub => x.checked_sub(y),
        Arithmetic::Mul => x.checked_mul(y),
        Arithmetic::Div | Arithmetic::Rem => None,
    };
    let float = |x: f64, y: f64| {
        Ok(Value::Float(match op {
            Arithmetic::Sub => x - y,
            Arithmetic::Mul => x * y,
            Arithmetic::Div => x / y,
            Arithmetic::Rem => remainder(x, y),
        }))
    };
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => match exact(*x, *y) {
            Some(number) => Ok(Value::Int(number)),
            None => float(*x as f64, *y as f64),
        },
        (Value::Undefined, _) | (_, Value::Undefined) => Ok(Value::Undefined),
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Float(x), Value::Float(y)) => float(*x, *y),
        (Value::Int(x), Value::Float(y)) => float(*x as f64, *y),
        (Value::Float(x), Value::Int(y)) => float(*x, *y as f64),
        _ => Err(Failure::operand(
            match op {
                Arithmetic::Sub => "-",
                Arithmetic::Mul => "*",
                Arithmetic::Div => "/",
                Arithmetic::Rem => "%",
            },
            a,
            b,
        )),
    }
}

/// `- a`.
pub fn negate(a: &Value) -> Result {
    match a {
        Value::Undefined | Value::Null => Ok(a.clone()),
        Value::Int(number) => Ok(match number.checked_neg() {
            Some(number) => Value::Int(number),
            None => Value::Float(-(*number as f64)),
        }),
        Value::Float(number) => Ok(Value::Float(-number)),
        other => Err(Failure::one_operand("-", other)),
    }
}

/// `not a`.
pub fn not(a: &Value) -> Result {
    match a {
        Value::Undefined => Ok(Value::Undefined),
        Value::Bool(value) => Ok(Value::Bool(!value)),
        other => Err(Failure::one_operand("not", other)),
    }
}

/// `a && b` (`and`) or `a || b` of two evaluated sides.
pub fn kleene(and: bool, a: &Value, b: &Value) -> Result {
    let op = if and { "&&" } else { "||" };
    let side = |value: &Value| match value {
        Value::Bool(value) => Ok(Some(*value)),
        Value::Undefined => Ok(None),
        _ => Err(Failure::operand(op, a, b)),
    };
    let (x, y) = (side(a)?, side(b)?);
    // The value that decides alone: false for `&&`, true for `||`.
    let decisive = !and;
    Ok(if x == Some(decisive) || y == Some(decisive) {
        Value::Bool(decisive)
    } else if x.is_none() || y.is_none() {
        Value::Undefined
    } else {
        Value::Bool(and)
    })
}

/// The four relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Relation {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Relation::Lt => order.is_lt(),
            Relation::Le => order.is_le(),
            Relation::Gt => order.is_gt(),
            Relation::Ge => order.is_ge(),
        }
    }
}

/// `a == b`, or `a != b` with `negated`.
pub fn equality(negated: bool, a: &Value, b: &Value) -> Result {
    Ok(match compare::equal(a, b)? {
        Some(equal) => Value::Bool(equal != negated),
        None => Value::Undefined,
    })
}

/// `a relation b`.
pub fn relation(relation: Relation, a: &Value, b: &Value) -> Result {
    Ok(match compare::order(a, b)? {
        Some(Ordered::Is(order)) => Value::Bool(relation.holds(order)),
        Some(Ordered::Never) => Value::Bool(false),
        None => Value::Undefined,
    })
}

fn folded(
    op: &'static str,
    a: &Value,
    b: &Value,
) -> std::result::Result<Option<Ordering>, Failure> {
    match (a, b) {
        (Value::Undefined, Value::Undefined | Value::Null | Value::Text(_))
        | (Value::Null | Value::Text(_), Value::Undefined) => Ok(None),
        (Value::Null, Value::Null) => Ok(Some(Ordering::Equal)),
        (Value::Null, Value::Text(_)) => Ok(Some(Ordering::Less)),
        (Value::Text(_), Value::Null) => Ok(Some(Ordering::Greater)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(compare_folded(a, b))),
        _ => Err(Failure::operand(op, a, b)),
    }
}

/// `a ==:ci b`, or `a !=:ci b` with `negated`.
pub fn equality_ci(negated: bool, a: &Value, b: &Value) -> Result {
    let op = if negated { "!=:ci" } else { "==:ci" };
    Ok(match folded(op, a, b)? {
        Some(order) => Value::Bool(order.is_eq() != negated),
        None => Value::Undefined,
    })
}

/// `a relation:ci b`.
pub fn relation_ci(relation: Relation, a: &Value, b: &Value) -> Result {
    let op = match relation {
        Relation::Lt => "<:ci",
        Relation::Le => "<=:ci",
        Relation::Gt => ">:ci",
        Relation::Ge => ">=:ci",
    };
    Ok(match folded(op, a, b)? {
        Some(order) => Value::Bool(relation.holds(order)),
        None => Value::Undefined,
    })
}

/// `a ++ b`.
pub fn concat(a: &Value, b: &Value) -> Result {
    match (a, b) {
        (Value::Stream(x), Value::Stream(y)) => Ok(Value::Stream(Stream::concat(x, y))),
        _ => Err(Failure::operand("++", a, b)),
    }
}
