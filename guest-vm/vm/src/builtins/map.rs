//! Module `map`, and the operations on sets, which are maps to `true`.

use std::collections::{BTreeMap, BTreeSet};

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::{Map, Text, Value};
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#map_length" => length,
        "#map_keys" => keys,
        "#map_values" => values,
        "#map_bindings" => bindings,
        "#map_get" => get,
        "#map_safe_get" => safe_get,
        "#map_contains" => contains,
        "#map_set" => set,
        "#map_remove" => remove,
        "#map_add" => add,
        "#map_descend" => descend,
        "#map_descend_safe" => |_, args| Ok(followed(args)?.unwrap_or_default()),
        "#map_invert" => invert,
        "#set_of_array" => set_of_array,
        "#set_union" => set_union,
        "#set_intersection" => |_, args| select(args, |key, other| other.contains(key)),
        "#set_difference" => |_, args| select(args, |key, other| !other.contains(key)),
        "#set_is_subset" => set_is_subset,
        _ => return None,
    })
}

fn length(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Undefined => Ok(Value::Undefined),
        Value::Null => Ok(Value::Int(0)),
        value => Ok(Value::Int(args::map(value)?.len() as i64)),
    }
}

fn keys(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Undefined => Ok(Value::Undefined),
        Value::Null => Ok(Value::array(Vec::new())),
        value => Ok(Value::array(
            args::map(value)?.keys().cloned().map(Value::Text).collect(),
        )),
    }
}

fn values(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::array(
        args::map(&args[0])?.values().cloned().collect(),
    ))
}

fn bindings(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let pair =
        |(key, value): (&Text, &Value)| Value::array(vec![Value::Text(key.clone()), value.clone()]);
    Ok(Value::array(
        args::map(&args[0])?.iter().map(pair).collect(),
    ))
}

fn get(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    if args[1].is_undefined() {
        return Ok(Value::Undefined);
    }
    let map = args::map(&args[1])?;
    Ok(map.get(args::text(&args[0])?).cloned().unwrap_or_default())
}

fn safe_get(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(match (&args[0], &args[1]) {
        (Value::Text(key), Value::Map(map)) => map.get(key).cloned().unwrap_or_default(),
        _ => Value::Undefined,
    })
}

fn contains(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    if args[1].is_undefined() {
        return Ok(Value::Bool(false));
    }
    let map = args::map(&args[1])?;
    Ok(Value::Bool(map.contains(args::text(&args[0])?)))
}

fn set(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let key = args::text(&args[0])?.clone();
    let value = args::defined(&mut args[1], "the value")?;
    let mut map = args::take_map(&mut args[2])?;
    map.insert(key, value);
    Ok(Value::Map(map))
}

fn remove(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut map = args::take_map(&mut args[1])?;
    map.remove(args::text(&args[0])?);
    Ok(Value::Map(map))
}

fn add(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let second = args::map(&args[1])?.clone();
    let mut first = args::take_map(&mut args[0])?;
    if first.is_empty() {
        return Ok(Value::Map(second));
    }
    first.extend(&second);
    Ok(Value::Map(first))
}

fn descend(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut here = Value::Map(args::map(&args[1])?.clone());
    for step in args::array(&args[0])?.items() {
        let key = args::text(step)?;
        let next = args::map(&here)?.get(key).cloned();
        here = next.ok_or_else(|| {
            Failure::new(
                "ERR_KEY_NOT_FOUND",
                format!("there is no key {:?}", key.as_str()),
            )
        })?;
    }
    Ok(here)
}

/// What keys lead to through nested maps.
fn followed(args: &[Value]) -> Result<Option<Value>, Failure> {
    let mut here = Value::Map(args::map(&args[1])?.clone());
    for step in args::array(&args[0])?.items() {
        let key = args::text(step)?;
        let next = match &here {
            Value::Map(map) => map.get(key).cloned(),
            _ => None,
        };
        match next {
            Some(value) => here = value,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

fn invert(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut members: BTreeMap<Text, BTreeSet<Text>> = BTreeMap::new();
    for (key, value) in args::map(&args[0])?.iter() {
        for member in args::array(value)?.items() {
            members
                .entry(args::text(member)?.clone())
                .or_default()
                .insert(key.clone());
        }
    }
    let entries = members
        .into_iter()
        .map(|(member, keys)| {
            (
                member,
                Value::array(keys.into_iter().map(Value::Text).collect()),
            )
        })
        .collect();
    Ok(Value::Map(Map::of_entries(entries)))
}

/// A member of a set.
fn member(value: &Value) -> Result<Text, Failure> {
    args::text(value).cloned()
}

fn set_of_array(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut entries = Vec::new();
    for item in args::array(&args[0])?.items() {
        entries.push((member(item)?, Value::Bool(true)));
    }
    Ok(Value::Map(Map::of_entries(entries)))
}

fn set_union(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let second = args::map(&args[1])?.clone();
    let mut first = args::take_map(&mut args[0])?;
    if first.len() < second.len() {
        let mut union = second;
        union.extend(&first);
        return Ok(Value::Map(union));
    }
    first.extend(&second);
    Ok(Value::Map(first))
}

/// The members of the first set that a test with the second selects.
fn select(args: &[Value], keep: fn(&str, &Map) -> bool) -> Result<Value, Failure> {
    let (first, second) = (args::map(&args[0])?, args::map(&args[1])?);
    let kept = first.iter().filter(|(key, _)| keep(key, second));
    let entries = kept
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Ok(Value::Map(Map::of_entries(entries)))
}

fn set_is_subset(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (first, second) = (args::map(&args[0])?, args::map(&args[1])?);
    Ok(Value::Bool(first.keys().all(|key| second.contains(key))))
}
