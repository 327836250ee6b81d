//! Errors, kinds, rounding, the debug log, chains of actions.

use super::Builtin;
use crate::failure::Failure;
use crate::heap::Value;
use crate::surroundings::Surroundings;
use crate::text_form;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#fail" => fail,
        "#fail_code" => fail_code,
        "#fail_text" => fail_text,
        "#unique_counter" => unique_counter,
        "#datacase" => datacase,
        "#floor" => floor,
        "#ceil" => ceil,
        "#debug" => debug,
        "#get_next_actions" => get_next_actions,
        "#set_next_actions" => set_next_actions,
        "#push_next_actions" => push_next_actions,
        "#push_idle_actions" => push_idle_actions,
        _ => return None,
    })
}

fn message(value: &Value) -> Result<&str, Failure> {
    match value {
        Value::Text(text) | Value::Ref(text) => Ok(text),
        Value::Undefined => Err(Failure::undefined("the message")),
        other => Err(Failure::expected("ERR_EXPECTED_STRING", "a string", other)),
    }
}

fn fail(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Err(Failure::fail(message(&args[0])?))
}

fn fail_code(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let code = message(&args[0])?.to_owned();
    let text = message(&args[1])?;
    Err(if code == "RT_FAIL" {
        Failure::fail(text)
    } else {
        Failure::new(code, text)
    })
}

/// Raises the string form of an error: with the code that it starts with, or
/// as `RT_FAIL`.
fn fail_text(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let text = message(&args[0])?;
    let coded = text.split_once(": ").filter(|(code, _)| {
        (code.starts_with("ERR_") || code.starts_with("RT_"))
            && code
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    });
    Err(match coded {
        Some(("RT_FAIL", rest)) => Failure::fail(rest),
        Some((code, _)) if !is_ordinary(code) => Failure::fail(text),
        Some((code, rest)) => Failure::new(code.to_owned(), rest),
        None => Failure::fail(text),
    })
}

/// False for codes that only the VM itself may raise: `try` does not catch them.
fn is_ordinary(code: &str) -> bool {
    Failure::new(code.to_owned(), "").is_catchable()
}

/// A text that is greater than all before it in this session.
fn unique_counter(surroundings: &mut Surroundings, _: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::text(format!("{:016}", surroundings.unique())))
}

fn datacase(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(match &args[0] {
        Value::Undefined => Value::Undefined,
        value => Value::text(value.kind()),
    })
}

fn floor(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    round("floor", &args[0], f64::floor)
}

fn ceil(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    round("ceil", &args[0], f64::ceil)
}

fn round(name: &'static str, value: &Value, rounded: fn(f64) -> f64) -> Result<Value, Failure> {
    match value {
        Value::Undefined | Value::Null | Value::Int(_) => Ok(value.clone()),
        Value::Float(number) => Ok(Value::number(rounded(*number))),
        other => Err(Failure::one_operand(name, other)),
    }
}

fn debug(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let text = text_form::log_text(&args[0]);
    surroundings.log(text);
    Ok(Value::Null)
}

fn actions(value: &mut Value) -> Result<Vec<Value>, Failure> {
    match value.take() {
        Value::Array(array) => Ok(array.into_items()),
        Value::Undefined => Err(Failure::undefined("the list of actions")),
        other => Err(Failure::expected(
            "ERR_EXPECTED_ARRAY",
            "an array of actions",
            &other,
        )),
    }
}

fn get_next_actions(surroundings: &mut Surroundings, _: &mut [Value]) -> Result<Value, Failure> {
    Ok(Value::array(surroundings.next_actions.clone()))
}

fn set_next_actions(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    surroundings.next_actions = actions(&mut args[1])?;
    Ok(Value::Null)
}

fn push_next_actions(
    surroundings: &mut Surroundings,
    args: &mut [Value],
) -> Result<Value, Failure> {
    surroundings.next_actions.extend(actions(&mut args[1])?);
    Ok(Value::Null)
}

fn push_idle_actions(
    surroundings: &mut Surroundings,
    args: &mut [Value],
) -> Result<Value, Failure> {
    surroundings.idle_actions.extend(actions(&mut args[1])?);
    Ok(Value::Null)
}
