//! Equality, ordering and sort order of heap values (language 3.4, 3.5),
//! without recursion.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::failure::Failure;
use crate::heap::{Case, Map, Seen, Value};

fn is_incomparable(value: &Value) -> bool {
    matches!(
        value,
        Value::Function(_)
            | Value::Stream(_)
            | Value::Token(_)
            | Value::Appstate
            | Value::Handle(_)
            | Value::Opaque(_)
    )
}

/// `a == b`; none if one side is undefined.
pub fn equal(a: &Value, b: &Value) -> Result<Option<bool>, Failure> {
    if a.is_undefined() || b.is_undefined() {
        return Ok(None);
    }
    equal_defined(a, b).map(Some)
}

/// `a === b`.
pub fn same(a: &Value, b: &Value) -> Result<bool, Failure> {
    match (a.is_undefined(), b.is_undefined()) {
        (true, true) => Ok(true),
        (false, false) => equal_defined(a, b),
        _ => Ok(false),
    }
}

/// `a === b` where values without equality are the same only if they are one object
/// (the "changed" of cells; literals in patterns).
#[must_use]
pub fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Function(a), Value::Function(b)) => Rc::ptr_eq(a, b),
        (Value::Stream(a), Value::Stream(b)) => Rc::ptr_eq(a, b),
        (Value::Opaque(a), Value::Opaque(b)) => Rc::ptr_eq(a, b),
        (Value::Appstate, Value::Appstate) => true,
        (Value::Handle(a), Value::Handle(b)) => a == b,
        // A container with such parts counts as changed unless it is the same object.
        _ => same(a, b).unwrap_or(false),
    }
}

fn equal_defined(a: &Value, b: &Value) -> Result<bool, Failure> {
    let mut work: Vec<(&Value, &Value)> = Vec::new();
    let mut seen = Seen::default();
    let (mut a, mut b) = (a, b);
    loop {
        let equal = match (a, b) {
            (Value::Array(_) | Value::Map(_) | Value::Case(_), _) if seen.pair_again(a, b) => true,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Text(a), Value::Text(b)) | (Value::Ref(a), Value::Ref(b)) => a == b,
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => {
                int_float(*a, *b) == Some(Ordering::Equal)
            }
            (Value::Binary(a), Value::Binary(b)) => a == b,
            (Value::Link(a), Value::Link(b)) => a == b,
            (Value::Instance(a), Value::Instance(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => {
                let (a, b) = (a.items(), b.items());
                if a.len() == b.len() {
                    // The last pair is compared last.
                    work.extend(a.iter().zip(b).rev());
                    true
                } else {
                    false
                }
            }
            (Value::Map(a), Value::Map(b)) => {
                if a.len() == b.len() && a.keys().eq(b.keys()) {
                    work.extend(a.values().zip(b.values()));
                    true
                } else {
                    false
                }
            }
            (Value::Case(a), Value::Case(b)) => {
                a.name() == b.name()
                    && match (a.argument(), b.argument()) {
                        (None, None) => true,
                        (Some(a), Some(b)) => {
                            work.push((a, b));
                            true
                        }
                        _ => false,
                    }
            }
            // null is equal to nothing else, not even compared.
            (Value::Null, _) | (_, Value::Null) => false,
            (a, b) => {
                if let Some(bad) = [a, b].into_iter().find(|value| is_incomparable(value)) {
                    return Err(Failure::not_comparable(bad));
                }
                false
            }
        };
        if !equal {
            return Ok(false);
        }
        match work.pop() {
            Some(next) => (a, b) = next,
            None => return Ok(true),
        }
    }
}

/// `a` compared with `b`; none if that is undefined, and `Unordered` if a NaN decides.
pub fn order(a: &Value, b: &Value) -> Result<Option<Ordered>, Failure> {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        return Ok(Some(Ordered::Is(a.cmp(b))));
    }
    walk(a, b, &mut relation)
}

/// Result of comparing two comparable values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// Less, equal, greater.
    Is(Ordering),
    /// A NaN: all four relations are false.
    Never,
}

fn relation(a: &Value, b: &Value) -> Result<Option<Ordered>, Failure> {
    Ok(Some(Ordered::Is(match (a, b) {
        (Value::Undefined, _) | (_, Value::Undefined) => return Ok(None),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) | (Value::Ref(a), Value::Ref(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => match a.partial_cmp(b) {
            Some(order) => order,
            None => return Ok(Some(Ordered::Never)),
        },
        (Value::Int(a), Value::Float(b)) => match int_float(*a, *b) {
            Some(order) => order,
            None => return Ok(Some(Ordered::Never)),
        },
        (Value::Float(a), Value::Int(b)) => match int_float(*b, *a) {
            Some(order) => order.reverse(),
            None => return Ok(Some(Ordered::Never)),
        },
        (Value::Null, Value::Null) => Ordering::Equal,
        (a, b) => {
            if let Some(bad) = [a, b].into_iter().find(|value| is_incomparable(value)) {
                return Err(Failure::not_comparable(bad));
            }
            match (a, b) {
                (Value::Null, _) => Ordering::Less,
                (_, Value::Null) => Ordering::Greater,
                // Cases of different names, and all else.
                _ => return Ok(None),
            }
        }
    })))
}

/// The total order of sorting; undefined before everything, and what has no
/// order after everything.
#[must_use]
pub fn sort_order(a: &Value, b: &Value) -> Ordering {
    let mut leaf = |a: &Value, b: &Value| {
        Ok(Some(Ordered::Is(rank(a).cmp(&rank(b)).then_with(|| {
            match (a, b) {
                (Value::Case(a), Value::Case(b)) => a.name().cmp(b.name()),
                (Value::Float(a), Value::Float(b)) => a
                    .partial_cmp(b)
                    .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())),
                (Value::Int(a), Value::Float(b)) => int_float(*a, *b).unwrap_or(Ordering::Greater),
                (Value::Float(a), Value::Int(b)) => {
                    int_float(*b, *a).map_or(Ordering::Less, Ordering::reverse)
                }
                _ => match relation(a, b) {
                    Ok(Some(Ordered::Is(order))) => order,
                    _ => Ordering::Equal,
                },
            }
        }))))
    };
    match walk(a, b, &mut leaf) {
        Ok(Some(Ordered::Is(order))) => order,
        _ => Ordering::Equal,
    }
}

/// The sort order as library functions use it: parts without an order are
/// `ERR_NOT_COMPARABLE`.
pub fn library_order(a: &Value, b: &Value) -> Result<Ordering, Failure> {
    let mut leaf = |a: &Value, b: &Value| {
        let bad = [a, b].into_iter().find(|value| rank(value) == UNORDERED);
        match bad {
            Some(bad) => {
                let kind = bad.kind();
                Err(
                    Failure::new("ERR_NOT_COMPARABLE", format!("{kind} cannot be compared"))
                        .with("kind", kind),
                )
            }
            None => Ok(Some(Ordered::Is(sort_order(a, b)))),
        }
    };
    Ok(match walk(a, b, &mut leaf)? {
        Some(Ordered::Is(order)) => order,
        _ => Ordering::Equal,
    })
}

/// Rank of what has no order.
const UNORDERED: u8 = 10;

fn rank(value: &Value) -> u8 {
    match value {
        Value::Undefined => 0,
        Value::Null => 1,
        Value::Bool(_) => 2,
        Value::Int(_) | Value::Float(_) => 3,
        Value::Text(_) => 4,
        Value::Binary(_) => 5,
        Value::Ref(_) => 6,
        Value::Array(_) => 7,
        Value::Map(_) => 8,
        Value::Case(_) => 9,
        _ => UNORDERED,
    }
}

enum Pending<'a> {
    Array(&'a [Value], &'a [Value], usize),
    Map(Box<(crate::heap::MapIter<'a>, crate::heap::MapIter<'a>)>),
}

type Leaf<'f> = dyn FnMut(&Value, &Value) -> Result<Option<Ordered>, Failure> + 'f;

/// Walks two values side by side until the first difference.
fn walk(a: &Value, b: &Value, leaf: &mut Leaf<'_>) -> Result<Option<Ordered>, Failure> {
    let mut work: Vec<Pending<'_>> = Vec::new();
    let mut seen = Seen::default();
    let mut pair = Some((a, b));
    loop {
        if let Some((a, b)) = pair.take() {
            let result = match (a, b) {
                // Met before, and nothing has decided since.
                (Value::Array(_) | Value::Map(_) | Value::Case(_), _) if seen.pair_again(a, b) => {
                    None
                }
                (Value::Array(a), Value::Array(b)) => {
                    work.push(Pending::Array(a.items(), b.items(), 0));
                    None
                }
                (Value::Map(a), Value::Map(b)) => {
                    work.push(Pending::Map(Box::new((Map::iter(a), Map::iter(b)))));
                    None
                }
                (Value::Case(x), Value::Case(y)) if x.name() == y.name() => {
                    match (Case::argument(x), Case::argument(y)) {
                        (Some(x), Some(y)) => {
                            pair = Some((x, y));
                            continue;
                        }
                        (x, y) => Some(Some(Ordered::Is(x.is_some().cmp(&y.is_some())))),
                    }
                }
                (a, b) => Some(leaf(a, b)?),
            };
            match result {
                None | Some(Some(Ordered::Is(Ordering::Equal))) => {}
                Some(decided) => return Ok(decided),
            }
        }
        match work.last_mut() {
            None => return Ok(Some(Ordered::Is(Ordering::Equal))),
            Some(Pending::Array(a, b, index)) => match (a.get(*index), b.get(*index)) {
                (Some(a), Some(b)) => {
                    *index += 1;
                    pair = Some((a, b));
                }
                (a, b) => match a.is_some().cmp(&b.is_some()) {
                    Ordering::Equal => {
                        work.pop();
                    }
                    decided => return Ok(Some(Ordered::Is(decided))),
                },
            },
            Some(Pending::Map(iters)) => match (iters.0.next(), iters.1.next()) {
                (Some((ka, va)), Some((kb, vb))) => match ka.cmp(kb) {
                    Ordering::Equal => pair = Some((va, vb)),
                    decided => return Ok(Some(Ordered::Is(decided))),
                },
                (a, b) => match a.is_some().cmp(&b.is_some()) {
                    Ordering::Equal => {
                        work.pop();
                    }
                    decided => return Ok(Some(Ordered::Is(decided))),
                },
            },
        }
    }
}

/// Compares without rounding the integer; none for NaN.
fn int_float(int: i64, float: f64) -> Option<Ordering> {
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
    let whole = float.trunc();
    // Within range by the two checks, so the cast is exact.
    Some(int.cmp(&(whole as i64)).then_with(|| {
        0.0_f64
            .partial_cmp(&(float - whole))
            .unwrap_or(Ordering::Equal)
    }))
}
