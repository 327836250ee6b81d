//! Checks of arguments, for library functions written in Mix.

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::{Stream, Value};
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#expect_array" => array,
        "#expect_map" => map,
        "#expect_string" => string,
        "#expect_binary" => binary,
        "#expect_bool" => boolean,
        "#expect_stream" => stream,
        "#stream_singleton" => stream_singleton,
        "#expect_count" => count,
        "#expect_integer" => integer,
        "#expect_key" => key,
        "#truth" => truth,
        "#defined" => defined,
        "#if_then_else" => if_then_else,
        _ => return None,
    })
}

fn array(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    args::array(&args[0])?;
    Ok(args[0].take())
}

fn map(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    args::map(&args[0])?;
    Ok(args[0].take())
}

/// A string; a ref becomes the string of its id.
fn string(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Text(args::text(&args[0])?.clone()))
}

fn binary(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    args::binary(&args[0])?;
    Ok(args[0].take())
}

fn boolean(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Bool(args::boolean(&args[0])?))
}

fn stream(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    args::stream(&args[0])?;
    Ok(args[0].take())
}

fn stream_singleton(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Stream(Stream::singleton(args::defined(
        &mut args[0],
        "the element",
    )?)))
}

/// An integral number, negative ones as 0.
fn count(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Int(args::integral(&args[0])?.max(0)))
}

/// An integral number as an int.
fn integer(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::Int(args::integral(&args[0])?))
}

/// A key of a join: a string or undefined.
fn key(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Undefined => Ok(Value::Undefined),
        value => Ok(Value::Text(args::text(value)?.clone())),
    }
}

/// What a predicate says: undefined counts as false (stdlib U4).
fn truth(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Undefined => Ok(Value::Bool(false)),
        value => Ok(Value::Bool(args::boolean(value)?)),
    }
}

fn defined(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    args::defined(&mut args[0], "the value")
}

fn if_then_else(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Undefined => Ok(Value::Undefined),
        condition => {
            let chosen = if args::boolean(condition)? { 1 } else { 2 };
            Ok(args[chosen].take())
        }
    }
}
