//! Messages of an interactive session over a WebSocket connection: JSON objects with a `type`.
//!
//! | from the client | members |
//! |---|---|
//! | `load`, `push` | `module`, `args`: an array, empty without it |
//! | `pop` | |
//! | `input` | `cell`, `value` |
//! | `invoke` | `name`; `env` (`$agent_environment` without it), `arg`, `nextActions` |
//! | `run` | `agent`, `params`: a map, empty without it |
//!
//! Each may have an `id`, any value, which comes back with its `done`.
//!
//! | from the server | members |
//! |---|---|
//! | `output` | `cell`, `version`, `value` |
//! | `actions`, `idleActions` | `actions`: for the client |
//! | `result` | `value`: what the agent of `run` gave |
//! | `log` | `text`; for those only who may change the app |
//! | `issue` | `code`, `message`, and `mixStack` for those who may change the app |
//! | `done` | `id`: everything that the message asked for is done |
//!
//! `invoke` of `$call` calls the one instance of the agent that `env` names, with `arg` as its
//! parameters. A session for calls takes nothing else, and tells `result`, `issue` and `done` only.

use crate::error::ApiError;
use crate::json;
use mix_value::{Map, Value, escjson, msgpack};
use std::sync::Arc;

/// Environment of actions that outsiders may invoke.
const OUTSIDE: &str = "$agent_environment";

/// Invocation that calls a persistent agent, named by its environment.
const CALL: &str = "$call";

/// What a client asks a session for, values in their wire form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Replaces all views.
    Load(String, Vec<u8>),
    /// Puts a view on top.
    Push(String, Vec<u8>),
    /// Removes the top view.
    Pop,
    /// Assigns a cell.
    Input(String, Vec<u8>),
    /// Invokes an action.
    Invoke {
        /// Of the action.
        name: String,
        /// Its environment.
        env: String,
        /// Its argument.
        arg: Vec<u8>,
        /// An array.
        next_actions: Vec<u8>,
    },
    /// Runs an agent in a view of its own.
    Run(String, Vec<u8>),
}

/// A message of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What comes back when it is done.
    pub id: Value,
    /// What is to be done.
    pub ask: Ask,
}

impl Ask {
    /// True if it calls the instance of that agent.
    pub fn calls(&self, agent: &str) -> bool {
        matches!(self, Ask::Invoke { name, env, .. } if name == CALL && env == agent)
    }

    /// The module that the client must be allowed to run for this.
    pub fn module(&self) -> Option<&str> {
        match self {
            Ask::Load(module, _) | Ask::Push(module, _) | Ask::Run(module, _) => Some(module),
            Ask::Invoke { name, env, .. } if name == CALL => Some(env),
            Ask::Pop | Ask::Input(..) | Ask::Invoke { .. } => None,
        }
    }
}

/// Reads a message.
pub fn asked(text: &str) -> Result<Asked, ApiError> {
    let Value::Map(mut members) = json::body(text.as_bytes(), true)? else {
        return Err(ApiError::bad_param("a message is an object"));
    };
    let id = members.remove("id").unwrap_or(Value::Null);
    let kind = required(&mut members, "type")?;
    let ask = match kind.as_str() {
        "load" => Ask::Load(
            required(&mut members, "module")?,
            array(&mut members, "args")?,
        ),
        "push" => Ask::Push(
            required(&mut members, "module")?,
            array(&mut members, "args")?,
        ),
        "pop" => Ask::Pop,
        "input" => Ask::Input(
            required(&mut members, "cell")?,
            encoded(members.remove("value").unwrap_or(Value::Null))?,
        ),
        "invoke" => Ask::Invoke {
            name: required(&mut members, "name")?,
            env: match members.remove("env") {
                None => OUTSIDE.to_owned(),
                Some(Value::String(env)) => env.to_string(),
                Some(_) => return Err(ApiError::bad_param("env must be a string")),
            },
            arg: encoded(members.remove("arg").unwrap_or(Value::Null))?,
            next_actions: array(&mut members, "nextActions")?,
        },
        "run" => Ask::Run(
            required(&mut members, "agent")?,
            match members.remove("params") {
                None => encoded(Value::Map(Map::new()))?,
                Some(params @ Value::Map(_)) => encoded(params)?,
                Some(_) => return Err(ApiError::bad_param("params must be an object")),
            },
        ),
        _ => {
            let known = "load, push, pop, input, invoke or run";
            return Err(ApiError::bad_param(format!("type must be {known}")));
        }
    };
    if let Some(name) = members.keys().next() {
        return Err(ApiError::bad_param(format!("unknown member {name}")));
    }
    Ok(Asked { id, ask })
}

fn required(members: &mut Map, name: &str) -> Result<String, ApiError> {
    match members.remove(name) {
        Some(Value::String(text)) => Ok(text.to_string()),
        _ => Err(ApiError::bad_param(format!("{name} must be a string"))),
    }
}

fn array(members: &mut Map, name: &str) -> Result<Vec<u8>, ApiError> {
    match members.remove(name) {
        None => encoded(Value::Array(Vec::new())),
        Some(value @ Value::Array(_)) => encoded(value),
        Some(_) => Err(ApiError::bad_param(format!("{name} must be an array"))),
    }
}

fn encoded(value: Value) -> Result<Vec<u8>, ApiError> {
    msgpack::encode(&value).map_err(|error| ApiError::new(400, "bad_value", error.to_string()))
}

/// A message for a client; what has no text form is null.
pub fn told(kind: &str, members: impl IntoIterator<Item = (&'static str, Value)>) -> String {
    let mut map = Map::new();
    map.insert(Arc::from("type"), Value::from(kind));
    for (name, value) in members {
        let value = match escjson::format(&value) {
            Ok(_) => value,
            Err(_) => Value::Null,
        };
        map.insert(Arc::from(name), value);
    }
    escjson::format(&Value::Map(map)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_is_to_be_done() {
        let one = asked(r#"{"type":"input","cell":"c","value":3,"id":"x"}"#).expect("a message");
        assert_eq!(one.id, Value::from("x"));
        assert_eq!(one.ask, Ask::Input("c".to_owned(), vec![3]));
        let one = asked(r#"{"type":"invoke","name":"a"}"#).expect("a message");
        let expected = Ask::Invoke {
            name: "a".to_owned(),
            env: OUTSIDE.to_owned(),
            arg: vec![0xc0],
            next_actions: vec![0x90],
        };
        assert_eq!((one.id, one.ask), (Value::Null, expected));
        for (text, module) in [
            (r#"{"type":"load","module":"m"}"#, Some("m")),
            (r#"{"type":"run","agent":"a"}"#, Some("a")),
            (r#"{"type":"invoke","name":"$call","env":"b"}"#, Some("b")),
            (r#"{"type":"pop"}"#, None),
        ] {
            let one = asked(text).expect(text);
            assert_eq!(one.ask.module(), module, "{text}");
        }
    }

    #[test]
    fn malformed_messages_have_codes() {
        for (text, code) in [
            ("", "bad_json"),
            ("[]", "bad_param"),
            ("{}", "bad_param"),
            (r#"{"type":"jump"}"#, "bad_param"),
            (r#"{"type":"pop","far":1}"#, "bad_param"),
            (r#"{"type":"load","module":"m","args":{}}"#, "bad_param"),
            (r#"{"type":"run","agent":"a","params":[]}"#, "bad_param"),
            (r#"{"type":"pop","type":"pop"}"#, "bad_json"),
        ] {
            assert_eq!(asked(text).expect_err(text).code, code, "{text}");
        }
    }

    #[test]
    fn answers_are_objects_with_a_type() {
        let text = told(
            "output",
            [("cell", Value::from("c")), ("value", Value::Int(1))],
        );
        assert_eq!(text, r#"{"cell":"c","type":"output","value":1}"#);
    }
}
