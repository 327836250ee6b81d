//! What one client has agreed on, and what its messages ask for.

use crate::message::{self, Incoming};
use serde_json::{Map, Value, json};

/// Versions of the protocol, the newest first.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];

/// Whether a version of the protocol is spoken here.
pub fn is_spoken(version: &str) -> bool {
    VERSIONS.contains(&version)
}

/// The versions, for people.
pub fn spoken() -> String {
    VERSIONS.join(", ")
}

/// The conversation with one client.
#[derive(Debug, Clone, Default)]
pub struct Session {
    initialized: bool,
}

/// A tool to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Id of the request.
    pub id: Value,
    /// Name of the tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// What a message asks of the driver.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Send this.
    Reply(String),
    /// Nothing is to be sent.
    Nothing,
    /// Send a page of the tools.
    List(Value, Option<String>),
    /// Run a tool.
    Call(Call),
    /// Stop the run for the request with this id.
    Cancel(Value),
}

impl Session {
    /// A conversation that has begun already.
    pub fn begun() -> Session {
        Session { initialized: true }
    }

    /// True after `initialize`.
    pub fn has_begun(&self) -> bool {
        self.initialized
    }

    /// Takes the next message.
    pub fn step(&mut self, message: Incoming, version: &str) -> Step {
        match message {
            Incoming::Answer => Step::Nothing,
            Incoming::Notification { method, params } => match method.as_str() {
                "notifications/cancelled" => match params.get("requestId") {
                    Some(id) => Step::Cancel(id.clone()),
                    None => Step::Nothing,
                },
                _ => Step::Nothing,
            },
            Incoming::Request { id, method, params } => {
                match method.as_str() {
                    "initialize" => {
                        self.initialized = true;
                        Step::Reply(message::result(&id, initialize(&params, version)))
                    }
                    "ping" => Step::Reply(message::result(&id, json!({}))),
                    "tools/list" | "tools/call" if !self.initialized => Step::Reply(
                        message::error(&id, message::NOT_INITIALIZED, "send initialize first"),
                    ),
                    "tools/list" => list(id, &params),
                    "tools/call" => call(id, params),
                    _ => Step::Reply(message::error(
                        &id,
                        message::NO_SUCH_METHOD,
                        &format!("there is no method {method}"),
                    )),
                }
            }
        }
    }
}

fn initialize(params: &Value, version: &str) -> Value {
    let wanted = params["protocolVersion"].as_str().unwrap_or_default();
    let spoken = VERSIONS.iter().find(|version| **version == wanted);
    json!({
        "protocolVersion": spoken.unwrap_or(&VERSIONS[0]),
        "capabilities": { "tools": { "listChanged": false } },
        "serverInfo": { "name": "mixer", "version": version },
    })
}

fn list(id: Value, params: &Value) -> Step {
    match &params["cursor"] {
        Value::Null => Step::List(id, None),
        Value::String(cursor) => Step::List(id, Some(cursor.clone())),
        _ => Step::Reply(message::error(
            &id,
            message::INVALID_PARAMS,
            "cursor must be a string",
        )),
    }
}

fn call(id: Value, params: Value) -> Step {
    let refuse = |what: &str| Step::Reply(message::error(&id, message::INVALID_PARAMS, what));
    let Value::Object(mut params) = params else {
        return refuse("params must name a tool");
    };
    let Some(Value::String(name)) = params.remove("name") else {
        return refuse("name must be the name of a tool");
    };
    match params.remove("arguments") {
        None | Some(Value::Null) => Step::Call(Call {
            id,
            name,
            arguments: Map::new(),
        }),
        Some(Value::Object(arguments)) => Step::Call(Call {
            id,
            name,
            arguments,
        }),
        Some(_) => refuse("arguments must be an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(session: &mut Session, message: Value) -> Step {
        let message = message::parse(message.to_string().as_bytes()).expect("a message");
        session.step(message, "1.0")
    }

    fn answer(step: Step) -> Value {
        match step {
            Step::Reply(text) => serde_json::from_str(&text).expect("an answer is JSON"),
            other => panic!("{other:?} is no answer"),
        }
    }

    #[test]
    fn a_session_begins_with_a_version_that_both_speak() {
        let mut session = Session::default();
        let early = json!({"jsonrpc":"2.0","id":1,"method":"tools/list"});
        let refused = answer(step(&mut session, early.clone()));
        assert_eq!(refused["error"]["code"], message::NOT_INITIALIZED);
        for (asked, given) in [("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-06-18")] {
            let hello = json!({"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":asked}});
            let agreed = answer(step(&mut session, hello));
            assert_eq!(agreed["result"]["protocolVersion"], given);
            assert_eq!(agreed["result"]["serverInfo"]["name"], "mixer");
        }
        assert_eq!(step(&mut session, early), Step::List(json!(1), None));
    }

    #[test]
    fn requests_become_steps() {
        let mut session = Session::begun();
        let mut ask = |method: &str, params: Value| {
            step(
                &mut session,
                json!({"jsonrpc":"2.0","id":"x","method":method,"params":params}),
            )
        };
        assert_eq!(answer(ask("ping", json!({})))["result"], json!({}));
        assert_eq!(
            answer(ask("resources/list", json!({})))["error"]["code"],
            message::NO_SUCH_METHOD
        );
        for wrong in [
            json!({}),
            json!({"name": 7}),
            json!({"name":"a","arguments":[]}),
        ] {
            let refused = answer(ask("tools/call", wrong));
            assert_eq!(refused["error"]["code"], message::INVALID_PARAMS);
        }
        let called = ask("tools/call", json!({"name":"a","arguments":{"n":1}}));
        assert!(matches!(called, Step::Call(call) if call.arguments["n"] == 1));
        let stop =
            json!({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}});
        assert_eq!(step(&mut session, stop), Step::Cancel(json!("x")));
    }
}
