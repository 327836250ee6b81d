//! Sorting, grouping and deduplicating by keys that a callback computed before.
//! The keys lie in a builder, which may hold undefined ones.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};

use mix_value::fold::fold_string;

use super::Builtin;
use super::args;
use super::builder::take_items;
use crate::compare;
use crate::failure::Failure;
use crate::heap::{Map, Text, Value};
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#keys_extreme" => extreme,
        "#keys_sort" => sort,
        "#keys_deduplicate" => deduplicate,
        "#keys_split" => split,
        "#keys_merge" => merge,
        "#keys_group" => group,
        "#order_before" => order_before,
        "#same" => same,
        _ => return None,
    })
}

/// Refuses keys that have no order.
fn comparable(keys: &[Value]) -> Result<(), Failure> {
    for key in keys {
        match key {
            Value::Function(_)
            | Value::Stream(_)
            | Value::Token(_)
            | Value::Handle(_)
            | Value::Opaque(_)
            | Value::Appstate
            | Value::Link(_)
            | Value::Instance(_) => {
                let kind = key.kind();
                return Err(Failure::new(
                    "ERR_NOT_COMPARABLE",
                    format!("{kind} has no place in an order"),
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The keys of a builder, which must be as many as the elements.
fn keys_for(builder: &Value, count: usize) -> Result<Vec<Value>, Failure> {
    let keys = take_items(builder)?;
    if keys.len() == count {
        Ok(keys)
    } else {
        Err(Failure::internal("keys and elements differ in number"))
    }
}

fn extreme(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let greatest = args::boolean(&args[0])?;
    let keys = take_items(&args[1])?;
    comparable(&keys)?;
    let wanted = if greatest {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let mut best = 0;
    for (index, key) in keys.iter().enumerate() {
        if compare::sort_order(key, &keys[best]) == wanted {
            best = index;
        }
    }
    Ok(if keys.is_empty() {
        Value::Undefined
    } else {
        Value::Int(best as i64)
    })
}

/// `(descending, ignore case, keys, array)`: a stable sort in either direction.
fn sort(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let descending = args::boolean(&args[0])?;
    let ignore_case = args::boolean(&args[1])?;
    let items = args::array(&args[3])?.items();
    let mut keys = keys_for(&args[2], items.len())?;
    comparable(&keys)?;
    if ignore_case {
        for key in &mut keys {
            if !key.is_undefined() {
                *key = Value::text(fold_string(args::text(key)?));
            }
        }
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| {
        let order = compare::sort_order(&keys[*a], &keys[*b]);
        if descending { order.reverse() } else { order }
    });
    Ok(Value::array(
        order
            .into_iter()
            .map(|index| items[index].clone())
            .collect(),
    ))
}

/// `(keep the last, keys, array)`: one element for each key.
fn deduplicate(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let keep_last = args::boolean(&args[0])?;
    let items = args::array(&args[2])?.items();
    let keys = keys_for(&args[1], items.len())?;
    let mut seen: HashSet<Text> = HashSet::new();
    let mut out = Vec::new();
    let mut visit = |index: usize| -> Result<(), Failure> {
        if seen.insert(args::text(&keys[index])?.clone()) {
            out.push(items[index].clone());
        }
        Ok(())
    };
    if keep_last {
        (0..items.len()).rev().try_for_each(&mut visit)?;
        out.reverse();
    } else {
        (0..items.len()).try_for_each(&mut visit)?;
    }
    Ok(Value::array(out))
}

/// `(keys, array)`: arrays of neighbours with equal keys.
fn split(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let items = args::array(&args[1])?.items();
    let keys = keys_for(&args[0], items.len())?;
    let mut out = Vec::new();
    let mut start = 0;
    for index in 1..=items.len() {
        if index == items.len() || !compare::same(&keys[index - 1], &keys[index])? {
            out.push(Value::array(items[start..index].to_vec()));
            start = index;
        }
    }
    Ok(Value::array(out))
}

/// `(keys, array, keys, array)`: merges two sorted arrays, the first wins ties.
fn merge(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (a, b) = (
        args::array(&args[1])?.items(),
        args::array(&args[3])?.items(),
    );
    let (keys_a, keys_b) = (keys_for(&args[0], a.len())?, keys_for(&args[2], b.len())?);
    comparable(&keys_a)?;
    comparable(&keys_b)?;
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if compare::sort_order(&keys_b[j], &keys_a[i]) == Ordering::Less {
            out.push(b[j].clone());
            j += 1;
        } else {
            out.push(a[i].clone());
            i += 1;
        }
    }
    out.extend_from_slice(&a[i..]);
    out.extend_from_slice(&b[j..]);
    Ok(Value::array(out))
}

/// `(keys, array)`: a map from each key to its elements; undefined keys are left out.
fn group(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let items = args::array(&args[1])?.items();
    let keys = keys_for(&args[0], items.len())?;
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<(Text, Vec<Value>)> = Vec::new();
    for (key, item) in keys.iter().zip(items) {
        if key.is_undefined() {
            continue;
        }
        let key = args::text(key)?;
        let place = *places.entry(key.as_str()).or_insert_with(|| {
            groups.push((key.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(item.clone());
    }
    let groups: BTreeMap<Text, Vec<Value>> = groups.into_iter().collect();
    let entries = groups
        .into_iter()
        .map(|(key, items)| (key, Value::array(items)))
        .collect();
    Ok(Value::Map(Map::of_entries(entries)))
}

fn order_before(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    comparable(args)?;
    Ok(Value::Bool(
        compare::sort_order(&args[0], &args[1]) == Ordering::Less,
    ))
}

fn same(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    compare::same(&args[0], &args[1]).map(Value::Bool)
}
