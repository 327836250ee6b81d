//! Module `bool`: three-valued logic.

use super::Builtin;
use super::args;
use crate::failure::Failure;
use crate::heap::Value;
use crate::surroundings::Surroundings;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#bool_not" => not,
        "#bool_and" => and,
        "#bool_or" => or,
        "#bool_to_string" => to_string,
        _ => return None,
    })
}

/// A truth value, `None` for undefined.
fn truth(value: &Value) -> Result<Option<bool>, Failure> {
    match value {
        Value::Undefined => Ok(None),
        value => args::boolean(value).map(Some),
    }
}

fn value(truth: Option<bool>) -> Value {
    truth.map_or(Value::Undefined, Value::Bool)
}

fn not(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(value(truth(&args[0])?.map(|flag| !flag)))
}

fn and(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(value(match (truth(&args[0])?, truth(&args[1])?) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }))
}

fn or(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(value(match (truth(&args[0])?, truth(&args[1])?) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }))
}

fn to_string(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(match truth(&args[0])? {
        None => Value::Undefined,
        Some(true) => Value::text("true"),
        Some(false) => Value::text("false"),
    })
}
