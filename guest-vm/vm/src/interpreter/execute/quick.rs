//! Builtins that the loop performs itself for the usual kind of argument.

use crate::heap::value::whole;
use crate::heap::{Opaque, Value};
use crate::loaded::Quick;
use crate::operators;

/// What came of a builtin.
pub(super) enum Answer {
    /// Its value.
    Value(Value),
    /// Null; the second argument lies in another object now too.
    Pushed,
    /// Not this way.
    Unknown,
}

/// Performs a builtin on its first and second argument; one that has only one ignores the other.
#[inline(always)]
pub(super) fn perform(quick: Quick, first: &Value, second: &Value) -> Answer {
    let value = match (quick, first) {
        (Quick::Length, Value::Array(array)) => Some(Value::Int(array.items().len() as i64)),
        (Quick::Truth, Value::Bool(value)) => Some(whole(Value::Bool(*value))),
        (Quick::Sqrt, Value::Float(number)) => Some(Value::Float(number.sqrt())),
        (Quick::Sqrt, Value::Int(number)) => Some(Value::Float((*number as f64).sqrt())),
        (Quick::Floor, Value::Int(number)) => Some(Value::Int(*number)),
        (Quick::Floor, Value::Float(number)) => operators::small_floor(*number).map(Value::Int),
        (Quick::Defined, value) if !value.is_undefined() => Some(value.share()),
        (Quick::BoxGet, Value::Opaque(object)) => match &**object {
            Opaque::Box(content) => content.try_borrow().ok().map(|content| content.share()),
            _ => None,
        },
        (Quick::BoxSet, Value::Opaque(object)) => {
            let Opaque::Box(content) = &**object else {
                return Answer::Unknown;
            };
            let Ok(mut content) = content.try_borrow_mut() else {
                return Answer::Unknown;
            };
            // What it held is dropped elsewhere, unless that takes no work.
            if !content.is_plain() {
                return Answer::Unknown;
            }
            std::mem::forget(std::mem::replace(&mut *content, second.share()));
            return Answer::Pushed;
        }
        (Quick::Push, _) if push(first, second) => return Answer::Pushed,
        _ => None,
    };
    value.map_or(Answer::Unknown, Answer::Value)
}

/// Adds a value to an array under construction that has room; false if there is none.
#[inline(always)]
pub(super) fn push(builder: &Value, element: &Value) -> bool {
    let Value::Opaque(object) = builder else {
        return false;
    };
    let Opaque::Builder(items) = &**object else {
        return false;
    };
    let Ok(mut items) = items.try_borrow_mut() else {
        return false;
    };
    if element.is_undefined() || items.len() >= items.capacity() {
        return false;
    }
    items.push_back(element.share());
    true
}
