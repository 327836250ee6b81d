//! Equality, the relational order of `<  <=  >  >=`, and the total sort order.

use std::cmp::Ordering;

use crate::numeric::compare_numbers;
use crate::{Case, Value};

/// How two values stand to each other under `<  <=  >  >=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The left one is smaller.
    Less,
    /// Both are equal.
    Equal,
    /// The left one is greater.
    Greater,
    /// A NaN is involved: every comparison is false.
    Unordered,
    /// Not comparable, or a side is undefined: every comparison is undefined.
    Incomparable,
}

impl From<Ordering> for Relation {
    fn from(order: Ordering) -> Relation {
        match order {
            Ordering::Less => Relation::Less,
            Ordering::Equal => Relation::Equal,
            Ordering::Greater => Relation::Greater,
        }
    }
}

impl Relation {
    fn then_with(self, next: impl FnOnce() -> Relation) -> Relation {
        if self == Relation::Equal {
            next()
        } else {
            self
        }
    }
}

/// `a == b`. None if a side is undefined, or if both are tokens or handles,
/// which cannot be compared (the language raises an error for them).
pub fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::Undefined, _) | (_, Value::Undefined) => None,
        (Value::Token(_) | Value::Handle(_), _) | (_, Value::Token(_) | Value::Handle(_)) => None,
        (Value::Null, Value::Null) => Some(true),
        (Value::Bool(a), Value::Bool(b)) => Some(a == b),
        (Value::String(a), Value::String(b)) => Some(a == b),
        (Value::Ref(a), Value::Ref(b)) => Some(a == b),
        (Value::Binary(a), Value::Binary(b)) => Some(a == b),
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            all_equal(a.iter().zip(b))
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() || !a.keys().eq(b.keys()) {
                return Some(false);
            }
            all_equal(a.values().zip(b.values()))
        }
        (Value::Case(a), Value::Case(b)) => {
            if a.name != b.name {
                return Some(false);
            }
            match (&a.argument, &b.argument) {
                (None, None) => Some(true),
                (Some(a), Some(b)) => equal(a, b),
                _ => Some(false),
            }
        }
        _ if is_number(a) && is_number(b) => Some(compare_numbers(a, b) == Some(Ordering::Equal)),
        _ => Some(false),
    }
}

fn all_equal<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Option<bool> {
    for (a, b) in pairs {
        match equal(a, b) {
            Some(true) => {}
            other => return other,
        }
    }
    Some(true)
}

/// The relational order. None where [`relate`] gives no order.
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match relate(a, b) {
        Relation::Less => Some(Ordering::Less),
        Relation::Equal => Some(Ordering::Equal),
        Relation::Greater => Some(Ordering::Greater),
        Relation::Unordered | Relation::Incomparable => None,
    }
}

/// The relational order with its two ways of giving none.
pub fn relate(a: &Value, b: &Value) -> Relation {
    match (a, b) {
        (Value::Undefined, _) | (_, Value::Undefined) => Relation::Incomparable,
        (Value::Token(_) | Value::Handle(_), _) | (_, Value::Token(_) | Value::Handle(_)) => {
            Relation::Incomparable
        }
        (Value::Null, Value::Null) => Relation::Equal,
        (Value::Null, _) => Relation::Less,
        (_, Value::Null) => Relation::Greater,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b).into(),
        (Value::String(a), Value::String(b)) => a.cmp(b).into(),
        (Value::Ref(a), Value::Ref(b)) => a.cmp(b).into(),
        (Value::Binary(a), Value::Binary(b)) => a.cmp(b).into(),
        (Value::Array(a), Value::Array(b)) => {
            for (a, b) in a.iter().zip(b) {
                let relation = relate(a, b);
                if relation != Relation::Equal {
                    return relation;
                }
            }
            a.len().cmp(&b.len()).into()
        }
        (Value::Map(a), Value::Map(b)) => {
            for ((ka, va), (kb, vb)) in a.iter().zip(b) {
                let relation = Relation::from(ka.cmp(kb)).then_with(|| relate(va, vb));
                if relation != Relation::Equal {
                    return relation;
                }
            }
            a.len().cmp(&b.len()).into()
        }
        (Value::Case(a), Value::Case(b)) => relate_cases(a, b),
        _ if is_number(a) && is_number(b) => match compare_numbers(a, b) {
            Some(order) => order.into(),
            None => Relation::Unordered,
        },
        _ => Relation::Incomparable,
    }
}

fn relate_cases(a: &Case, b: &Case) -> Relation {
    if a.name != b.name {
        return Relation::Incomparable;
    }
    match (&a.argument, &b.argument) {
        (None, None) => Relation::Equal,
        (None, Some(_)) => Relation::Less,
        (Some(_), None) => Relation::Greater,
        (Some(a), Some(b)) => relate(a, b),
    }
}

/// The total order of sorting: first by kind (null, bool, number, string,
/// binary, ref, array, map, case), inside a kind as [`relate`], with NaN the
/// smallest number and equal to itself. So that it is total over every value,
/// undefined comes before everything, tokens and handles after everything.
pub fn sort_order(a: &Value, b: &Value) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Ref(a), Value::Ref(b)) => a.cmp(b),
        (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            first_difference(a.iter().zip(b).map(|(a, b)| sort_order(a, b)))
                .then(a.len().cmp(&b.len()))
        }
        (Value::Map(a), Value::Map(b)) => first_difference(
            a.iter()
                .zip(b)
                .map(|((ka, va), (kb, vb))| ka.cmp(kb).then_with(|| sort_order(va, vb))),
        )
        .then(a.len().cmp(&b.len())),
        (Value::Case(a), Value::Case(b)) => {
            a.name
                .cmp(&b.name)
                .then_with(|| match (&a.argument, &b.argument) {
                    (None, None) => Ordering::Equal,
                    (None, Some(_)) => Ordering::Less,
                    (Some(_), None) => Ordering::Greater,
                    (Some(a), Some(b)) => sort_order(a, b),
                })
        }
        (Value::Handle(a), Value::Handle(b)) => a.cmp(b),
        _ if is_number(a) => compare_numbers(a, b).unwrap_or_else(|| is_nan(b).cmp(&is_nan(a))),
        // null, undefined; and tokens, which are opaque: all equal.
        _ => Ordering::Equal,
    })
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::BigInt(_))
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Float(f) if f.is_nan())
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Undefined => 0,
        Value::Null => 1,
        Value::Bool(_) => 2,
        Value::Int(_) | Value::Float(_) | Value::BigInt(_) => 3,
        Value::String(_) => 4,
        Value::Binary(_) => 5,
        Value::Ref(_) => 6,
        Value::Array(_) => 7,
        Value::Map(_) => 8,
        Value::Case(_) => 9,
        Value::Token(_) => 10,
        Value::Handle(_) => 11,
    }
}
