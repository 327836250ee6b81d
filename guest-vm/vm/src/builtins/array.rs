//! Module `array`: what needs no callback.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::Builtin;
use super::args;
use crate::access::position;
use crate::compare;
use crate::failure::Failure;
use crate::heap::{Map, Text, Value, room};
use crate::surroundings::Surroundings;
use crate::text_form::log_text;

/// Most elements of an array that a function makes of a number, or of one array many times.
const MAX_COUNT: usize = 100_000_000;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#array_length" => length,
        "#array_size" => size,
        "#array_keys" => keys,
        "#array_get" => get,
        "#array_safe_get" => safe_get,
        "#array_set" => set,
        "#array_add" => add,
        "#array_zip" => zip,
        "#array_flatten" => flatten,
        "#array_enumerate" => enumerate,
        "#array_rev" => rev,
        "#array_contains" => contains,
        "#array_features_one" => features_one,
        "#array_features_all" => features_all,
        "#array_first" => |_, args| end(args, 0),
        "#array_last" => |_, args| end(args, usize::MAX),
        "#array_firstn" => firstn,
        "#array_skipn" => skipn,
        "#array_lastn" => lastn,
        "#array_positions" => positions,
        "#next_permutation" => next_permutation,
        _ => return None,
    })
}

fn length(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Undefined => Ok(Value::Undefined),
        Value::Null => Ok(Value::Int(0)),
        // A Vec never holds more than 2^63 items.
        value => Ok(Value::Int(args::array(value)?.items().len() as i64)),
    }
}

fn size(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Int(args::array(&args[0])?.items().len() as i64))
}

fn numbers(count: usize) -> Value {
    Value::array((0..count as i64).map(Value::Int).collect())
}

fn keys(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Undefined => Ok(Value::Undefined),
        Value::Null => Ok(numbers(0)),
        value => Ok(numbers(args::array(value)?.items().len())),
    }
}

fn enumerate(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let count = args::clamped(&args[0], usize::MAX)?;
    check_count(surroundings, count)?;
    Ok(numbers(count))
}

/// Refuses an array of so many elements that a function makes of little.
fn check_count(surroundings: &Surroundings, count: usize) -> Result<(), Failure> {
    if count > MAX_COUNT {
        let message = "an array that a function makes has at most 100000000 elements";
        return Err(Failure::new("ERR_TOO_LARGE", message));
    }
    surroundings.room_for(count)
}

fn outside(index: &Value, length: usize) -> Failure {
    let index = log_text(index);
    Failure::new(
        "ERR_INDEX_OUT_OF_RANGE",
        format!("there is no element {index} in an array of {length}"),
    )
}

/// The position that an index means, which must exist.
fn existing(index: &Value, length: usize) -> Result<usize, Failure> {
    let number = args::integral(index)?;
    match usize::try_from(number) {
        Ok(position) if position < length => Ok(position),
        _ => Err(outside(index, length)),
    }
}

fn get(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let items = args::array(&args[1])?.items();
    let index = existing(&args[0], items.len())?;
    Ok(items[index].clone())
}

fn safe_get(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let Value::Array(array) = &args[1] else {
        return Ok(Value::Undefined);
    };
    Ok(position(&args[0])
        .and_then(|at| array.items().get(at))
        .cloned()
        .unwrap_or_default())
}

fn set(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut array = args::take_array(&mut args[2])?;
    let index = existing(&args[0], array.items().len())?;
    array.items_mut()[index] = args::defined(&mut args[1], "the new element")?;
    Ok(Value::Array(array))
}

fn add(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let second = args::array(&args[1])?.clone();
    let mut first = args::take_array(&mut args[0])?;
    if first.items().is_empty() {
        return Ok(Value::Array(second));
    }
    if !second.items().is_empty() {
        first
            .items_to_grow(second.items().len())?
            .extend_from_slice(second.items());
    }
    Ok(Value::Array(first))
}

fn zip(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (a, b) = (
        args::array(&args[0])?.items(),
        args::array(&args[1])?.items(),
    );
    if a.len() != b.len() {
        return Err(Failure::new(
            "ERR_LENGTH_MISMATCH",
            format!("the arrays have {} and {} elements", a.len(), b.len()),
        ));
    }
    let pair = |(x, y): (&Value, &Value)| Value::array(vec![x.clone(), y.clone()]);
    Ok(Value::array(a.iter().zip(b).map(pair).collect()))
}

fn flatten(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let parts = args::array(&args[0])?.items();
    // One array may be many of the parts.
    let mut count = 0_usize;
    for part in parts {
        count = count.saturating_add(args::array(part)?.items().len());
    }
    check_count(surroundings, count)?;
    let mut out = Vec::with_capacity(count);
    for part in parts {
        out.extend_from_slice(args::array(part)?.items());
    }
    Ok(Value::array(out))
}

fn rev(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut items = args::take_array(&mut args[0])?.into_items();
    items.reverse();
    Ok(Value::array(items))
}

/// Is a value equal to one of some items?
fn has(items: &[Value], wanted: &Value) -> Result<bool, Failure> {
    for item in items {
        if compare::equal(item, wanted)? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn contains(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let items = args::array(&args[1])?.items();
    if args[0].is_undefined() {
        return Err(Failure::undefined("the element that is looked for"));
    }
    has(items, &args[0]).map(Value::Bool)
}

fn features_one(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (a, b) = (
        args::array(&args[0])?.items(),
        args::array(&args[1])?.items(),
    );
    let all = Searched::new(a, b.len())?;
    for item in b {
        if all.has(item)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn features_all(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (a, b) = (
        args::array(&args[0])?.items(),
        args::array(&args[1])?.items(),
    );
    let all = Searched::new(a, b.len())?;
    for item in b {
        if !all.has(item)? {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

/// Comparisons up to which nothing is gained by hashes.
const FEW: usize = 256;

/// Elements among which others are looked for. Many texts, or many ints, are looked for by their hashes: of two of
/// them equality is that of their contents. What else is looked for is compared with all.
struct Searched<'a> {
    items: &'a [Value],
    hashes: Hashes<'a>,
}

enum Hashes<'a> {
    None,
    Texts(HashSet<&'a str>),
    Ints(HashSet<i64>),
}

impl<'a> Searched<'a> {
    /// `times`: how often something is looked for.
    fn new(items: &'a [Value], times: usize) -> Result<Self, Failure> {
        let mut hashes = Hashes::None;
        if items.len().saturating_mul(times) > FEW {
            let texts = items.iter().map(|item| match item {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            });
            let ints = items.iter().map(|item| match item {
                Value::Int(number) => Some(*number),
                _ => None,
            });
            if let Some(set) = hashed(items.len(), texts)? {
                hashes = Hashes::Texts(set);
            } else if let Some(set) = hashed(items.len(), ints)? {
                hashes = Hashes::Ints(set);
            }
        }
        Ok(Self { items, hashes })
    }

    fn has(&self, wanted: &Value) -> Result<bool, Failure> {
        match (&self.hashes, wanted) {
            (Hashes::Texts(set), Value::Text(text)) => Ok(set.contains(text.as_str())),
            (Hashes::Ints(set), Value::Int(number)) => Ok(set.contains(number)),
            _ => has(self.items, wanted),
        }
    }
}

/// All of them, if there are only such.
fn hashed<T: Eq + Hash>(
    count: usize,
    mut items: impl Iterator<Item = Option<T>>,
) -> Result<Option<HashSet<T>>, Failure> {
    let mut set = HashSet::new();
    // Room for all is made only where the first is one.
    let Some(Some(first)) = items.next() else {
        return Ok(None);
    };
    set.try_reserve(count).map_err(|_| room::exhausted())?;
    set.insert(first);
    for item in items {
        match item {
            Some(item) => set.insert(item),
            None => return Ok(None),
        };
    }
    Ok(Some(set))
}

/// The first element, or the last if `index` is beyond it.
fn end(args: &[Value], index: usize) -> Result<Value, Failure> {
    let items = args::array(&args[0])?.items();
    match items.get(index.min(items.len().saturating_sub(1))) {
        Some(item) => Ok(item.clone()),
        None => Err(Failure::new("ERR_EMPTY", "the array is empty")),
    }
}

/// The elements of a range. An array that nothing else holds is cut rather than copied, unless
/// much of its memory would stay behind unused.
fn range(
    array: &mut Value,
    range: impl FnOnce(usize) -> std::ops::Range<usize>,
) -> Result<Value, Failure> {
    let mut array = args::take_array(array)?;
    let length = array.items().len();
    let range = range(length);
    if range == (0..length) {
        return Ok(Value::Array(array));
    }
    if let Some(items) = array.unshared()
        && range.len() >= items.capacity() / 4
    {
        items.truncate(range.end);
        items.drain(..range.start);
        return Ok(Value::Array(array));
    }
    Ok(Value::array(array.items()[range].to_vec()))
}

fn firstn(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let count = args::clamped(&args[0], usize::MAX)?;
    range(&mut args[1], |length| 0..count.min(length))
}

fn skipn(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let count = args::clamped(&args[0], usize::MAX)?;
    range(&mut args[1], |length| count.min(length)..length)
}

fn lastn(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let count = args::clamped(&args[0], usize::MAX)?;
    range(&mut args[1], |length| length - count.min(length)..length)
}

/// The first position of each string.
fn positions(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut first: HashMap<Text, usize> = HashMap::new();
    for (index, item) in args::array(&args[0])?.items().iter().enumerate() {
        first.entry(args::text(item)?.clone()).or_insert(index);
    }
    let entries = first
        .into_iter()
        .map(|(key, index)| (key, Value::Int(index as i64)))
        .collect();
    Ok(Value::Map(Map::of_entries(entries)))
}

/// The next order of some numbers, lexicographically; undefined after the last.
fn next_permutation(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut order = Vec::new();
    for item in args::array(&args[0])?.items() {
        order.push(args::integral(item)?);
    }
    let Some(pivot) = order.windows(2).rposition(|pair| pair[0] < pair[1]) else {
        return Ok(Value::Undefined);
    };
    if let Some(other) = order.iter().rposition(|number| *number > order[pivot]) {
        order.swap(pivot, other);
    }
    order[pivot + 1..].reverse();
    Ok(Value::array(order.into_iter().map(Value::Int).collect()))
}
