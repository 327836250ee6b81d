//! What library functions hand to the host: requests (module `http`), file
//! designators (`file`), log texts (`logging`), variables (`env`).

use std::rc::Rc;

use mix_value::Token;

use super::Builtin;
use super::args;
use super::number_text::{self, Parsed};
use crate::failure::Failure;
use crate::heap::{Map, Value};
use crate::surroundings::Surroundings;

/// Longest log message in bytes.
const MAX_LOG: usize = 64 * 1024;

pub(super) fn find(name: &str) -> Option<Builtin> {
    Some(match name {
        "#http_request" => http_request,
        "#http_body" => http_body,
        "#http_response" => http_response,
        "#file_designator" => file_designator,
        "#log_text" => log_text,
        "#log" => log,
        "#env_variable" => env_variable,
        "#env_number" => env_number,
        "#env_client" => env_client,
        "#not_available" => not_available,
        "#token_empty" => |_, _| Ok(Value::Token(Rc::new(Token::Sealed([].into())))),
        _ => return None,
    })
}

/// What hosts without screens lack.
fn not_available(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Err(Failure::new(
        "ERR_UNSUPPORTED",
        format!(
            "{} is not available on this host",
            args::text(&args[0])?.as_str()
        ),
    ))
}

/// `(method, url, config)`: one map with all of it, the config checked.
fn http_request(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let method = args::text(&args[0])?.to_uppercase();
    let url = args::text(&args[1])?.clone();
    let mut request = match args[2].take() {
        Value::Null => Map::new(),
        mut config => args::take_map(&mut config)?,
    };
    check_config(&request)?;
    request.remove("body");
    request.insert("method".into(), Value::text(method));
    request.insert("url".into(), Value::Text(url));
    Ok(Value::Map(request))
}

fn check_config(config: &Map) -> Result<(), Failure> {
    for (key, value) in config.iter() {
        if !matches!(value, Value::Null) {
            let about = |failure: Failure| failure.about(&format!("member {key} of a request"));
            check_member(key, value).map_err(about)?;
        }
    }
    let given = |key: &str| !matches!(config.get(key), None | Some(Value::Null));
    if given("basicAuth") && given("oauthToken") {
        return Err(Failure::range(
            "basicAuth and oauthToken exclude each other",
        ));
    }
    Ok(())
}

/// Members that are not known are nobody's concern.
fn check_member(key: &str, value: &Value) -> Result<(), Failure> {
    match key {
        "params" => {
            args::map(value)?;
        }
        "headers" => {
            for value in args::map(value)?.values() {
                match value {
                    Value::Array(values) => texts(values.items())?,
                    value => texts([value])?,
                }
            }
        }
        "basicAuth" => {
            let auth = args::map(value)?;
            texts(
                ["username", "password"].map(|part| auth.get(part).unwrap_or(&Value::Undefined)),
            )?;
        }
        "clientTLS" => {
            let tls = args::map(value)?;
            texts(["key", "certificate"].map(|part| tls.get(part).unwrap_or(&Value::Undefined)))?;
        }
        "oauthToken" if !matches!(value, Value::Token(_)) => texts([value])?,
        "timeout" => {
            let seconds = args::number(value)?.float();
            if seconds.is_nan() || seconds < 0.0 {
                return Err(Failure::range("must be a number of seconds, 0 or more"));
            }
        }
        "sendFrom" => {
            let from = args::text(value)?;
            if !matches!(from.as_str(), "auto" | "server" | "client") {
                return Err(Failure::range("must be \"auto\", \"server\" or \"client\""));
            }
        }
        "returnBinaryResponseBody" => {
            args::boolean(value)?;
        }
        "mediaTypes" => {
            for mode in args::map(value)?.values() {
                match mode {
                    Value::Case(case)
                        if matches!(case.name().as_str(), "http.textMode" | "http.binaryMode") => {}
                    other => {
                        let what = "http.textMode or http.binaryMode";
                        return Err(Failure::expected("ERR_EXPECTED_CASE", what, other));
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn texts<'a>(values: impl IntoIterator<Item = &'a Value>) -> Result<(), Failure> {
    for value in values {
        args::text(value)?;
    }
    Ok(())
}

/// The body of a request: a string or a binary.
fn http_body(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match args[0].take() {
        body @ Value::Binary(_) => Ok(body),
        body => Ok(Value::Text(args::text(&body)?.clone())),
    }
}

/// `(parts)`: a response that came whole, or as its map and the pieces of its body.
fn http_response(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut parts = args::take_array(&mut args[0])?.into_items();
    let malformed = || Failure::internal("a response of other parts than a map and its body");
    let last = match parts.pop() {
        // It came whole, or it broke off.
        Some(whole @ Value::Map(_)) => return Ok(whole),
        Some(last) if !parts.is_empty() => last,
        _ => return Err(malformed()),
    };
    let is_text = matches!(last, Value::Text(_));
    parts.push(last);
    let size = parts.iter().map(piece).map(<[u8]>::len).sum();
    let mut parts = parts.into_iter();
    let Some(Value::Map(mut response)) = parts.next() else {
        return Err(malformed());
    };
    // Each piece goes as soon as it is part of the whole.
    let body = if is_text {
        let mut body = String::with_capacity(size);
        for part in parts {
            match part {
                Value::Text(text) => body.push_str(text.as_str()),
                _ => return Err(malformed()),
            }
        }
        Value::text(body)
    } else {
        let mut body = Vec::with_capacity(size);
        for part in parts {
            match part {
                Value::Binary(bytes) => body.extend_from_slice(&bytes),
                _ => return Err(malformed()),
            }
        }
        Value::binary(body)
    };
    response.insert("body".into(), body);
    Ok(Value::Map(response))
}

/// The bytes of a piece of a body.
fn piece(part: &Value) -> &[u8] {
    match part {
        Value::Binary(bytes) => bytes,
        Value::Text(text) => text.as_str().as_bytes(),
        _ => &[],
    }
}

/// `null`, `some(app)` or a case of module `file`.
fn file_designator(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    match &args[0] {
        Value::Null => Ok(Value::Null),
        Value::Undefined => Err(Failure::undefined("the designator of the app")),
        Value::Case(case) => {
            match (case.name().as_str(), case.argument()) {
                ("some" | "file.workspace_app", Some(app)) => {
                    args::text(app)?;
                }
                ("file.elsewhere", Some(app)) => {
                    args::map(app)?;
                }
                _ => {
                    return Err(Failure::expected(
                        "ERR_EXPECTED_CASE",
                        "a designator",
                        &args[0],
                    ));
                }
            }
            Ok(args[0].take())
        }
        other => Err(Failure::expected(
            "ERR_EXPECTED_CASE",
            "null or some(app)",
            other,
        )),
    }
}

/// A message, cut to what a log line holds.
fn log_text(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let text = args::text(&args[0])?;
    if text.len() <= MAX_LOG {
        return Ok(Value::Text(text.clone()));
    }
    Ok(Value::text(
        &text.as_str()[..text.floor_char_boundary(MAX_LOG)],
    ))
}

/// `(severity, text)`: one line of the log, in order with those of `debug`.
fn log(surroundings: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let text = args::text(&args[1])?.as_str();
    let text = &text[..text.floor_char_boundary(MAX_LOG)];
    surroundings.log(format!("{}: {text}", args::text(&args[0])?.as_str()));
    Ok(Value::Null)
}

/// `(name, variables)`: the variable of that name; if there is none, a dotted
/// name descends into variables that are maps.
fn env_variable(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let name = args::text(&args[0])?;
    let mut here = args::map(&args[1])?;
    if let Some(value) = here.get(name) {
        return Ok(value.clone());
    }
    let mut steps = name.split('.').peekable();
    while let Some(step) = steps.next() {
        match here.get(step) {
            Some(value) if steps.peek().is_none() => return Ok(value.clone()),
            Some(Value::Map(map)) => here = map,
            _ => break,
        }
    }
    Ok(Value::Undefined)
}

/// A number or the number that a string is; undefined otherwise.
fn env_number(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    Ok(match &args[0] {
        number @ (Value::Int(_) | Value::Float(_)) => number.clone(),
        Value::Text(text) => match number_text::parse(text) {
            Ok(Parsed::Int(int)) => Value::Int(int),
            Ok(Parsed::Float(float)) => Value::Float(float),
            Err(_) => Value::Undefined,
        },
        _ => Value::Undefined,
    })
}

/// The variables that start with `client_`, without that prefix.
fn env_client(_: &mut Surroundings, args: &mut [Value]) -> Result<Value, Failure> {
    let mut entries = Vec::new();
    for (key, value) in args::map(&args[0])?.iter() {
        if let Some(name) = key.strip_prefix("client_") {
            entries.push((name.into(), value.clone()));
        }
    }
    Ok(Value::Map(Map::of_entries(entries)))
}
