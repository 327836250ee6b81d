//! Module `container`: arrays and maps alike, paths through them, merges.
//!
//! Merges and path updates work level by level on explicit stacks or on paths
//! that programs hold as arrays, so deep values do not consume the stack.

use super::Builtin;
use super::args;
use crate::access::position;
use crate::failure::Failure;
use crate::heap::{Array, Map, Text, Value};
use crate::surroundings::Surroundings;

/// Most elements an array may grow to by a path.
const MAX_GROWTH: usize = 1_000_000;

/// Deepest nesting that merges follow.
const MAX_DEPTH: usize = 1_000;

/// Most parts that a merge looks at: parts that a container holds many times are merged each time.
const MAX_PARTS: usize = 10_000_000;

/// Parts of a merge between looks at the memory.
const PARTS_BETWEEN_CHECKS: usize = 10_000;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#container_keys" => keys,
        "#container_children" => children,
        "#container_get" => get,
        "#container_rebuild" => rebuild,
        "#container_descend" => descend,
        "#container_path_update" => |_, args| path_update(args, false),
        "#container_path_augment" => |_, args| path_update(args, true),
        "#container_shallow_merge" => |own, args| merge(own, args, &SHALLOW),
        "#container_deep_merge" => |own, args| merge(own, args, &DEEP),
        "#container_deep_merge_builder" => |own, args| merge(own, args, &BUILDER),
        "#container_merge_replace_builder" => |own, args| merge(own, args, &REPLACE),
        _ => return None,
    })
}

/// The keys of the children: strings, numbers, or none.
fn keys(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::array(match &args[0] {
        Value::Array(array) => (0..array.items().len() as i64).map(Value::Int).collect(),
        Value::Map(map) => map.keys().cloned().map(Value::Text).collect(),
        Value::Undefined => return Err(Failure::undefined("the container")),
        _ => Vec::new(),
    }))
}

/// The children in the order of their keys.
fn children(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(match &args[0] {
        Value::Array(array) => Value::Array(array.clone()),
        Value::Map(map) => Value::array(map.values().cloned().collect()),
        Value::Undefined => return Err(Failure::undefined("the container")),
        _ => Value::array(Vec::new()),
    })
}

fn child(key: &Value, container: &Value) -> Value {
    match (key, container) {
        (Value::Text(key), Value::Map(map)) => map.get(key).cloned().unwrap_or_default(),
        (key, Value::Array(array)) => position(key)
            .and_then(|at| array.items().get(at))
            .cloned()
            .unwrap_or_default(),
        _ => Value::Undefined,
    }
}

fn get(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(child(&args[0], &args[1]))
}

/// A container of the same keys with other children.
fn rebuild(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let children = args::take_array(&mut args[1])?;
    Ok(match &args[0] {
        Value::Array(_) => Value::Array(children),
        Value::Map(map) => {
            let entries = map.keys().cloned().zip(children.into_items()).collect();
            Value::Map(Map::of_entries(entries))
        }
        other => other.clone(),
    })
}

fn descend(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut here = args[1].clone();
    for key in args::array(&args[0])?.items() {
        here = child(key, &here);
    }
    Ok(here)
}

/// A step of a path.
enum Key<'a> {
    Name(&'a Text),
    Index(i64),
}

fn key(value: &Value) -> Result<Key<'_>, Failure> {
    match value {
        Value::Int(_) | Value::Float(_) => args::integral(value).map(Key::Index),
        value => args::text(value).map(Key::Name),
    }
}

/// `(path, value, container)`.
fn path_update(args: &mut [Value], augment: bool) -> Result<Value, Failure> {
    let path = args::array(&args[0])?.clone();
    let value = args::defined(&mut args[1], "the new value")?;
    let mut container = args[2].take();
    if container.is_undefined() && !augment && !path.items().is_empty() {
        return Err(Failure::undefined("the container"));
    }
    let mut here = &mut container;
    let steps = path.items();
    for (number, step) in steps.iter().enumerate() {
        let step = key(step)?;
        if augment && matches!(here, Value::Null | Value::Undefined) {
            *here = match step {
                Key::Name(_) => Value::Map(Map::new()),
                Key::Index(_) => Value::array(Vec::new()),
            };
        }
        let last = number + 1 == steps.len();
        here = match step {
            Key::Name(name) => step_into_map(here, name, augment || last)?,
            Key::Index(index) => step_into_array(here, index, augment)?,
        };
    }
    *here = value;
    Ok(container)
}

/// The place of a key, made if it may be missing.
fn step_into_map<'a>(
    here: &'a mut Value,
    name: &Text,
    may_be_missing: bool,
) -> Result<&'a mut Value, Failure> {
    let Value::Map(map) = here else {
        return Err(Failure::expected("ERR_EXPECTED_MAP", "a map", here));
    };
    let missing = || {
        Failure::new(
            "ERR_KEY_NOT_FOUND",
            format!("there is no key {:?}", name.as_str()),
        )
    };
    if !map.contains(name) {
        if !may_be_missing {
            return Err(missing());
        }
        map.insert(name.clone(), Value::Null);
    }
    map.get_mut(name).ok_or_else(missing)
}

/// The place of an index; the array grows if it may.
fn step_into_array(here: &mut Value, index: i64, grow: bool) -> Result<&mut Value, Failure> {
    let Value::Array(array) = here else {
        return Err(Failure::expected("ERR_EXPECTED_ARRAY", "an array", here));
    };
    let length = array.items().len();
    let outside = || {
        let message = format!("there is no element {index} in an array of {length}");
        Failure::new("ERR_INDEX_OUT_OF_RANGE", message)
    };
    let at = usize::try_from(index).map_err(|_| outside())?;
    if at >= length {
        if !grow {
            return Err(outside());
        }
        if at >= MAX_GROWTH {
            return Err(Failure::range("an array grows to at most 1000000 elements"));
        }
        array.items_mut().resize(at + 1, Value::Null);
    }
    Ok(&mut array.items_mut()[at])
}

/// How two containers are merged.
struct Rules {
    /// Children are merged, too.
    deep: bool,
    /// Arrays are merged index by index, not replaced.
    arrays: bool,
    /// A null in the second keeps what the first has.
    null_keeps: bool,
}

const SHALLOW: Rules = Rules {
    deep: false,
    arrays: true,
    null_keeps: false,
};
const DEEP: Rules = Rules {
    deep: true,
    arrays: true,
    null_keeps: false,
};
const BUILDER: Rules = Rules {
    deep: true,
    arrays: true,
    null_keeps: true,
};
const REPLACE: Rules = Rules {
    deep: true,
    arrays: false,
    null_keeps: false,
};

fn merge(surroundings: &Surroundings, args: &mut [Value], rules: &Rules) -> Result<Value, Failure> {
    let first = args::defined(&mut args[0], "the first container")?;
    let second = args::defined(&mut args[1], "the second container")?;
    let mut merge = Merge {
        surroundings,
        rules,
        parts: 0,
    };
    merge.merged(first, &second, 0)
}

struct Merge<'a> {
    surroundings: &'a Surroundings,
    rules: &'a Rules,
    /// Parts that were looked at.
    parts: usize,
}

impl Merge<'_> {
    /// Counts a part: one that a container holds many times is copied each time.
    fn count(&mut self) -> Result<(), Failure> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            let message = "containers with more than 10000000 parts";
            return Err(Failure::new("ERR_TOO_LARGE", message));
        }
        match self.parts % PARTS_BETWEEN_CHECKS {
            0 => self.surroundings.room_for(0),
            _ => Ok(()),
        }
    }

    fn merged(&mut self, first: Value, second: &Value, depth: usize) -> Result<Value, Failure> {
        self.count()?;
        if depth > MAX_DEPTH {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                "containers nested deeper than 1000 levels",
            ));
        }
        match (first, second) {
            (Value::Map(mut map), Value::Map(other)) => {
                for (key, value) in other.iter() {
                    let new = match map.get_mut(key) {
                        Some(own) => self.part(own.take(), value, depth)?,
                        None => value.clone(),
                    };
                    map.insert(key.clone(), new);
                }
                Ok(Value::Map(map))
            }
            (Value::Array(array), Value::Array(other)) if self.rules.arrays => {
                let mut items = array.into_items();
                for (index, value) in other.items().iter().enumerate() {
                    match items.get_mut(index) {
                        Some(own) => *own = self.part(own.take(), value, depth)?,
                        None => items.push(value.clone()),
                    }
                }
                Ok(Value::Array(Array::new(items)))
            }
            (first, Value::Null) if self.rules.null_keeps => Ok(first),
            (_, second) => Ok(second.clone()),
        }
    }

    fn part(&mut self, own: Value, other: &Value, depth: usize) -> Result<Value, Failure> {
        if self.rules.deep {
            self.merged(own, other, depth + 1)
        } else {
            Ok(other.clone())
        }
    }
}
