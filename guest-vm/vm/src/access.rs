//! Reading and changing places inside values (language 4.4).

use mix_bytecode::{PathStep, PatternElement};

use crate::failure::Failure;
use crate::heap::{Array, Map, Stream, Text, Value};

type Result<T = Value> = std::result::Result<T, Failure>;

/// The index that a number stands for.
#[must_use]
pub fn position(index: &Value) -> Option<usize> {
    match index {
        Value::Int(number) => usize::try_from(*number).ok(),
        Value::Float(number) => usize::try_from(mix_value::number::float_to_int(*number)?).ok(),
        _ => None,
    }
}

/// The item of an array at an index that is an int.
#[inline(always)]
pub(crate) fn item_here<'a>(array: &'a Value, index: &Value) -> Option<&'a Value> {
    match (array, index) {
        (Value::Array(array), Value::Int(index)) => {
            array.items().get(usize::try_from(*index).ok()?)
        }
        _ => None,
    }
}

/// The item of an array at an index, if the array has one there.
#[must_use]
pub fn item<'a>(array: &'a Value, index: &Value) -> Option<&'a Value> {
    match array {
        Value::Array(array) => array.items().get(position(index)?),
        _ => None,
    }
}

fn index_failure(index: &Value, length: usize) -> Failure {
    let text = crate::text_form::log_text(index);
    Failure::new(
        "RT_INDEX",
        format!("index {text} outside array of length {length}"),
    )
    .with("index", index.clone())
    .with("length", length as i64)
}

fn not_a_map(value: &Value) -> Failure {
    Failure::not_a("RT_NOT_A_MAP", "a map", value)
}

fn not_an_array(value: &Value) -> Failure {
    Failure::not_a("RT_NOT_AN_ARRAY", "an array", value)
}

/// `RT_KEY`.
#[must_use]
pub fn key_failure(key: &Value) -> Failure {
    let kind = key.kind();
    Failure::new("RT_KEY", format!("key must be a string, not {kind}")).with("kind", kind)
}

/// `m.k`.
pub fn field(map: &Value, key: &Text) -> Result {
    match map {
        Value::Map(map) => Ok(map.get(key).cloned().unwrap_or_default()),
        Value::Undefined | Value::Null => Ok(Value::Undefined),
        other => Err(not_a_map(other)),
    }
}

/// `m.(k)`.
pub fn key(map: &Value, key: &Value) -> Result {
    match (map, key) {
        (Value::Map(map), Value::Text(key)) => Ok(map.get(key).cloned().unwrap_or_default()),
        (Value::Map(_) | Value::Undefined | Value::Null, Value::Undefined)
        | (Value::Undefined | Value::Null, Value::Text(_)) => Ok(Value::Undefined),
        (Value::Map(_) | Value::Undefined | Value::Null, key) => Err(key_failure(key)),
        (other, _) => Err(not_a_map(other)),
    }
}

/// `a[i]`.
pub fn index(array: &Value, index: &Value) -> Result {
    match array {
        Value::Array(array) => {
            if index.is_undefined() {
                return Err(index_failure(index, array.items().len()));
            }
            let items = array.items();
            position(index)
                .and_then(|position| items.get(position))
                .cloned()
                .ok_or_else(|| index_failure(index, items.len()))
        }
        Value::Undefined => Ok(Value::Undefined),
        other => Err(not_an_array(other)),
    }
}

/// `a[i]?`.
pub fn has_index(array: &Value, index: &Value) -> Result<bool> {
    match array {
        Value::Array(array) => {
            Ok(position(index).is_some_and(|position| position < array.items().len()))
        }
        Value::Undefined => Ok(false),
        other => Err(not_an_array(other)),
    }
}

fn tuple_failure(expected: u32, length: usize) -> Failure {
    Failure::new(
        "RT_TUPLE",
        format!("expected {expected} elements, found {length}"),
    )
    .with("expected", i64::from(expected))
    .with("length", length as i64)
}

/// `t[#i of n]`; `u32::MAX` for n accepts any length.
pub fn tuple_item(tuple: &Value, position: u32, length: u32) -> Result {
    match tuple {
        Value::Array(array) => {
            let items = array.items();
            if length != u32::MAX && items.len() != length as usize {
                return Err(tuple_failure(length, items.len()));
            }
            items
                .get(position as usize)
                .cloned()
                .ok_or_else(|| index_failure(&Value::Int(position.into()), items.len()))
        }
        Value::Undefined => Ok(Value::Undefined),
        other => Err(not_an_array(other)),
    }
}

/// `a[from..to]`, both inclusive and optional, as a stream.
pub fn slice(array: &Value, from: Option<&Value>, to: Option<&Value>) -> Result {
    let Value::Array(array) = array else {
        return match array {
            Value::Undefined => Ok(Value::Undefined),
            other => Err(not_an_array(other)),
        };
    };
    let length = array.items().len();
    let bound = |value: &Value| -> Result<Option<i64>> {
        match value {
            Value::Undefined => Ok(None),
            Value::Int(number) => Ok(Some(*number)),
            Value::Float(number) if number.fract() == 0.0 || number.is_infinite() => {
                // Saturates, which is what clipping asks for.
                Ok(Some(*number as i64))
            }
            other => Err(index_failure(other, length)),
        }
    };
    let start = match from.map(bound).transpose()? {
        Some(None) => return Ok(Value::Undefined),
        Some(Some(number)) => usize::try_from(number.max(0)).unwrap_or(usize::MAX),
        None => 0,
    };
    let end = match to.map(bound).transpose()? {
        Some(None) => return Ok(Value::Undefined),
        Some(Some(number)) => {
            usize::try_from(number.saturating_add(1).max(0)).unwrap_or(usize::MAX)
        }
        None => length,
    };
    let end = end.min(length);
    Ok(Value::Stream(Stream::of_array(
        array.clone(),
        start.min(end),
        end,
    )))
}

/// The elements that an array pattern binds, in order.
pub fn destructure(elements: &[PatternElement], array: &Value, out: &mut [Value]) -> Result<()> {
    let Value::Array(array) = array else {
        return Err(Failure::internal("pattern on a value that is no array"));
    };
    let items = array.items();
    let count = |kind: PatternElement| elements.iter().filter(|e| **e == kind).count();
    let plain = count(PatternElement::Plain);
    let optional = count(PatternElement::Optional);
    let Some(surplus) = items.len().checked_sub(plain) else {
        return Err(Failure::internal("pattern on an array that is too short"));
    };
    let mut filled = optional.min(surplus);
    let mut rest = surplus - filled;
    let mut next = 0;
    for (element, place) in elements.iter().zip(out) {
        *place = match element {
            PatternElement::Plain => {
                next += 1;
                items.get(next - 1).cloned().unwrap_or_default()
            }
            PatternElement::Optional if filled > 0 => {
                filled -= 1;
                next += 1;
                items.get(next - 1).cloned().unwrap_or_default()
            }
            PatternElement::Optional => Value::Undefined,
            PatternElement::Multiple => {
                let part = items.get(next..next + rest).unwrap_or_default();
                next += rest;
                rest = 0;
                Value::Array(Array::new(part.to_vec()))
            }
        };
    }
    Ok(())
}

/// A step of an update with its key or index evaluated.
enum Place<'a> {
    Key(&'a Text),
    Index(&'a Value),
    Tuple(u32, u32),
}

/// `target with path = value`, in place. `dynamic` are the keys and indices
/// that the path asks for, `field` gives the names in it.
pub fn update(
    target: &mut Value,
    path: &[PathStep],
    dynamic: &[Value],
    field: impl Fn(mix_bytecode::ConstId) -> Option<Text>,
    value: Value,
) -> Result<()> {
    if target.is_undefined() {
        return Ok(());
    }
    if value.is_undefined() {
        let key = match path.last() {
            Some(PathStep::Field(name)) => field(*name),
            Some(PathStep::Key) => match dynamic.last() {
                Some(Value::Text(key)) => Some(key.clone()),
                _ => None,
            },
            _ => return Err(Failure::undefined_stored("an array")),
        };
        return Err(match key {
            Some(key) => Failure::undefined_member(&key),
            None => Failure::undefined_stored("a map"),
        });
    }
    let mut names = Vec::with_capacity(path.len());
    for step in path {
        names.push(match step {
            PathStep::Field(name) => field(*name),
            _ => None,
        });
    }
    let mut dynamic = dynamic.iter();
    let mut places = Vec::with_capacity(path.len());
    for (step, name) in path.iter().zip(&names) {
        places.push(match step {
            PathStep::Field(_) => match name {
                Some(name) => Place::Key(name),
                None => return Err(Failure::internal("update path names no field")),
            },
            PathStep::Key => match dynamic.next() {
                Some(Value::Text(key)) => Place::Key(key),
                Some(other) => return Err(key_failure(other)),
                None => return Err(Failure::internal("update path lacks a key")),
            },
            PathStep::Index => match dynamic.next() {
                Some(index) => Place::Index(index),
                None => return Err(Failure::internal("update path lacks an index")),
            },
            PathStep::Tuple { index, length } => Place::Tuple(*index, *length),
        });
    }
    let mut here = target;
    for (number, place) in places.iter().enumerate() {
        let last = number + 1 == places.len();
        let path_failure = || {
            let text = path_text(&places[..=number]);
            Failure::new("RT_PATH", format!("no place to update at {text}")).with("path", text)
        };
        here = match (place, here) {
            (Place::Key(key), Value::Map(map)) => {
                if last {
                    insert(map, key, value);
                    return Ok(());
                }
                map.get_mut(key).ok_or_else(path_failure)?
            }
            (Place::Index(index), Value::Array(array)) => {
                let length = array.items().len();
                let found = position(index).filter(|position| *position < length);
                let Some(found) = found else {
                    return Err(if last {
                        index_failure(index, length)
                    } else {
                        path_failure()
                    });
                };
                &mut array.items_mut()[found]
            }
            (Place::Tuple(index, length), Value::Array(array)) => {
                let found = array.items().len();
                if *length != u32::MAX && found != *length as usize {
                    return Err(tuple_failure(*length, found));
                }
                if *index as usize >= found {
                    return Err(index_failure(&Value::Int((*index).into()), found));
                }
                &mut array.items_mut()[*index as usize]
            }
            _ => return Err(path_failure()),
        };
        if last {
            *here = value;
            return Ok(());
        }
    }
    Ok(())
}

fn insert(map: &mut Map, key: &Text, value: Value) {
    match map.get_mut(key) {
        Some(place) => *place = value,
        None => map.insert(key.clone(), value),
    }
}

fn path_text(places: &[Place<'_>]) -> String {
    let mut text = String::new();
    for place in places {
        match place {
            Place::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Place::Index(index) => {
                text.push('[');
                text.push_str(&crate::text_form::log_text(index));
                text.push(']');
            }
            Place::Tuple(index, _) => {
                text.push_str(&format!("[#{index}]"));
            }
        }
    }
    text
}
