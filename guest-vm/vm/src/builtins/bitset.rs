//! Module `bitset`: sets of 64-bit integers as vectors of 128 bits, by the
//! number of the vector. Vectors without elements are never kept.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::{Opaque, Value};
use crate::surroundings::Surroundings;

/// Name of sets in messages.
const NAME: &str = "bitset";

type Bits = BTreeMap<i64, u128>;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#bitset_of_array" => of_array,
        "#bitset_to_array" => to_array,
        "#bitset_length" => length,
        "#bitset_contains" => contains,
        "#bitset_add" => |_, args| change(args, |bits, bit| bits | bit),
        "#bitset_remove" => |_, args| change(args, |bits, bit| bits & !bit),
        "#bitset_equal" => |_, args| Ok(Value::Bool(set(&args[0])? == set(&args[1])?)),
        "#bitset_is_subset" => is_subset,
        "#bitset_union" => |_, args| combine(args, |a, b| a | b),
        "#bitset_intersection" => |_, args| combine(args, |a, b| a & b),
        "#bitset_difference" => |_, args| combine(args, |a, b| a & !b),
        _ => return None,
    })
}

fn set(value: &Value) -> Result<&Bits, Failure> {
    let wrong = || Failure::expected("ERR_EXPECTED_OPAQUE", "a bitset", value);
    match value {
        Value::Undefined => Err(Failure::undefined("the bitset")),
        Value::Opaque(object) => match &**object {
            Opaque::Object { object, .. } => object.downcast_ref().ok_or_else(wrong),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn value(bits: Bits) -> Value {
    Value::opaque(Opaque::Object {
        name: NAME,
        object: Box::new(bits),
    })
}

/// The vector of an element and its bit there.
fn place(element: &Value) -> Result<(i64, u128), Failure> {
    let number = args::integral(element)?;
    Ok((number.div_euclid(128), 1 << number.rem_euclid(128)))
}

fn of_array(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut bits = Bits::new();
    for item in args::array(&args[0])?.items() {
        let (vector, bit) = place(item)?;
        *bits.entry(vector).or_default() |= bit;
    }
    Ok(value(bits))
}

fn to_array(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut out = Vec::new();
    for (vector, bits) in set(&args[0])? {
        let mut rest = *bits;
        while rest != 0 {
            out.push(Value::Int(vector * 128 + i64::from(rest.trailing_zeros())));
            rest &= rest - 1;
        }
    }
    Ok(Value::array(out))
}

fn length(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let count: u64 = set(&args[0])?
        .values()
        .map(|bits| u64::from(bits.count_ones()))
        .sum();
    Ok(Value::Int(count as i64))
}

fn contains(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (vector, bit) = place(&args[0])?;
    Ok(Value::Bool(
        set(&args[1])?
            .get(&vector)
            .is_some_and(|bits| bits & bit != 0),
    ))
}

/// `(element, set)`. A set that nothing else holds is changed in place.
fn change(args: &mut [Value], change: fn(u128, u128) -> u128) -> Result<Value, Failure> {
    let (vector, bit) = place(&args[0])?;
    let apply = |bits: &mut Bits| {
        let changed = change(bits.get(&vector).copied().unwrap_or(0), bit);
        if changed == 0 {
            bits.remove(&vector);
        } else {
            bits.insert(vector, changed);
        }
    };
    set(&args[1])?;
    let mut own = args[1].take();
    if let Value::Opaque(object) = &mut own
        && let Some(Opaque::Object { object, .. }) = Rc::get_mut(object)
        && let Some(bits) = object.downcast_mut()
    {
        apply(bits);
        return Ok(own);
    }
    let mut bits = set(&own)?.clone();
    apply(&mut bits);
    Ok(value(bits))
}

fn is_subset(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let (first, second) = (set(&args[0])?, set(&args[1])?);
    let inside = |(vector, bits): (&i64, &u128)| bits & !second.get(vector).unwrap_or(&0) == 0;
    Ok(Value::Bool(first.iter().all(inside)))
}

fn combine(args: &[Value], combine: fn(u128, u128) -> u128) -> Result<Value, Failure> {
    let (first, second) = (set(&args[0])?, set(&args[1])?);
    let mut out = Bits::new();
    for vector in first.keys().chain(second.keys()) {
        let of = |set: &Bits| set.get(vector).copied().unwrap_or(0);
        let bits = combine(of(first), of(second));
        if bits != 0 {
            out.insert(*vector, bits);
        }
    }
    Ok(value(out))
}
