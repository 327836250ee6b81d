//! Refs of records (module `db`), what an index holds (`query`), and values kept
//! for the session (`registry`), cases taken apart (`reflect`).

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::{Text, Value};
use crate::surroundings::Surroundings;

/// Longest string that an index must hold, in characters.
const INDEXED_TEXT: usize = 256;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#registry_put" => registry_put,
        "#registry_put_once" => registry_put_once,
        "#registry_at" => registry_at,
        "#case_parts" => case_parts,
        "#case_with" => case_with,
        "#db_make_ref" => make_ref,
        "#db_string_ref" => string_ref,
        "#db_is_ref" => |_, args| Ok(Value::Bool(matches!(args[0], Value::Ref(_)))),
        "#query_indexable" => |_, args| Ok(Value::Bool(indexable(&args[0]))),
        _ => return None,
    })
}

/// Most values that a session keeps.
const MAX_REGISTRY: usize = 1_000_000;

/// Keeps a case value; its number.
fn registry_put(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match args[0].take() {
        case @ Value::Case(_) => {
            let number = surroundings.registry.len();
            if number >= MAX_REGISTRY {
                return Err(Failure::new(
                    "ERR_TOO_LARGE",
                    "the registry holds 1000000 values",
                ));
            }
            surroundings.registry.push(case);
            Ok(Value::Int(number as i64))
        }
        Value::Undefined => Err(Failure::undefined("the value")),
        other => Err(Failure::expected("ERR_EXPECTED_CASE", "a case", &other)),
    }
}

/// `(place, value)`: keeps a case value unless the place has one; its number.
fn registry_put_once(
    surroundings: &mut Surroundings,
    args: &mut [Value],
) -> Result<Value, Failure> {
    let place = args::text(&args[0])?.clone();
    if let Some(number) = surroundings.registry_places.get(place.as_str()) {
        return Ok(Value::Int(*number as i64));
    }
    let number = surroundings.registry.len();
    let stored = registry_put(surroundings, &mut args[1..])?;
    surroundings
        .registry_places
        .insert(place.as_str().to_owned(), number);
    Ok(stored)
}

/// The value with a number; undefined without one.
fn registry_at(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let number = crate::access::position(&args[0]);
    Ok(number
        .and_then(|at| surroundings.registry.get(at))
        .cloned()
        .unwrap_or_default())
}

/// `some([name, argument])` of a case, the argument `null` or `some`; `null` of
/// anything else.
fn case_parts(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(match &args[0] {
        Value::Undefined => return Err(Failure::undefined("the value")),
        Value::Case(case) => {
            let argument = match case.argument() {
                Some(argument) => Value::case("some", argument.clone()),
                None => Value::Null,
            };
            let parts = vec![Value::Text(case.name().clone()), argument];
            Value::case("some", Value::array(parts))
        }
        _ => Value::Null,
    })
}

/// `(case, argument)`: the case of the same name with another argument.
fn case_with(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let argument = args[1].take();
    if matches!(argument, Value::Undefined) {
        return Err(Failure::undefined("the argument"));
    }
    match &args[0] {
        Value::Case(case) => Ok(Value::case(case.name().as_str(), argument)),
        Value::Undefined => Err(Failure::undefined("the value")),
        other => Err(Failure::expected("ERR_EXPECTED_CASE", "a case", other)),
    }
}

fn make_ref(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    if let Value::Ref(_) = &args[0] {
        return Ok(args[0].take());
    }
    let text = args::text(&args[0])?;
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let id = match text.strip_prefix("{ref}") {
        Some("") | None => text.as_str(),
        Some(id) => id,
    };
    match mix_value::Ref::new(id) {
        Ok(_) => Ok(Value::Ref(Text::new(id))),
        Err(error) => Err(Failure::range(error.to_string())),
    }
}

fn string_ref(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Null => Ok(Value::text("")),
        Value::Text(id) => Ok(Value::text(id.strip_prefix("{ref}").unwrap_or(id))),
        Value::Ref(id) => Ok(Value::Text(id.clone())),
        Value::Undefined => Err(Failure::undefined("the ref")),
        other => Err(Failure::expected("ERR_EXPECTED_REF", "a ref", other)),
    }
}

/// Must an engine find this value through an index (database 7.4)?
fn indexable(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Ref(_) => true,
        Value::Text(text) => text.scalars() <= INDEXED_TEXT,
        Value::Case(case) => match case.argument() {
            Some(Value::Map(map)) => match map.get("_rmx_index") {
                Some(index @ (Value::Text(_) | Value::Ref(_) | Value::Bool(_) | Value::Null)) => {
                    indexable(index)
                }
                _ => false,
            },
            _ => false,
        },
        _ => false,
    }
}
