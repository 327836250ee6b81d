//! What the embedding program calls.

use std::cell::RefCell;
use std::collections::BTreeMap;

use mix_http_api::ApiError;
use mix_http_api::dialog::{self, Ask};
use mix_value::{Map, Value, escjson, msgpack};
use mix_vm::{Action, Event, Issue, Session};

use crate::bindings::exports::mix::embed::agents_sync::{Failure, Guest};
use crate::{Component, drive, program};

/// Sessions that are open at the same time.
const MOST_SESSIONS: usize = 1_000;

thread_local! {
    static SESSIONS: RefCell<Sessions> = const { RefCell::new(Sessions::new()) };
}

struct Sessions {
    open: BTreeMap<u32, Session>,
    last: u32,
}

impl Sessions {
    const fn new() -> Sessions {
        Sessions {
            open: BTreeMap::new(),
            last: 0,
        }
    }
}

impl Guest for Component {
    fn names() -> Vec<String> {
        let modules = program::loaded().map(|vm| vm.summary().modules);
        let modules = modules.unwrap_or_default().into_iter();
        let mut names: Vec<String> = modules
            .filter(|module| module.agent)
            .map(|module| module.name)
            .collect();
        names.sort();
        names
    }

    fn run(agent: String, params: String) -> Result<String, Failure> {
        run(agent, &params)
    }

    fn open() -> u32 {
        let Some(vm) = program::loaded() else {
            return 0;
        };
        SESSIONS.with_borrow_mut(|sessions| {
            if sessions.open.len() >= MOST_SESSIONS {
                // The oldest one: whoever still asks is told that it is not open.
                sessions.open.pop_first();
            }
            sessions.last = sessions.last.wrapping_add(1).max(1);
            sessions.open.insert(sessions.last, drive::session(&vm));
            sessions.last
        })
    }

    fn ask(session: u32, message: String) -> Vec<String> {
        ask(session, &message)
    }

    fn close(session: u32) {
        SESSIONS.with_borrow_mut(|sessions| sessions.open.remove(&session));
    }
}

fn run(agent: String, params: &str) -> Result<String, Failure> {
    let vm = program::loaded().ok_or_else(|| failure("RT_INTERNAL", "no program is loaded"))?;
    let known = |module: &mix_vm::ModuleInfo| module.agent && module.name == agent;
    if !vm.summary().modules.iter().any(known) {
        return Err(failure(
            "no_such_agent",
            format!("the app has no agent {agent}"),
        ));
    }
    let params = parameters(params).map_err(|message| failure("bad_value", message))?;
    let mut session = drive::session(&vm);
    session.act(Action::RunAgent { agent, params });
    let mut outcome = None;
    drive::to_the_end(&mut session, |event| match event {
        Event::Result(value) => outcome = Some(Ok(value)),
        Event::Issue(issue) if outcome.is_none() => outcome = Some(Err(issue)),
        Event::Issue(issue) => eprintln!("warning: {}: {}", issue.code, issue.message),
        Event::Log(line) => eprintln!("{line}"),
        _ => {}
    });
    match outcome {
        Some(Ok(value)) => text(&value),
        Some(Err(issue)) => Err(Failure {
            code: issue.code,
            message: issue.message,
            stack: issue
                .mix_stack
                .iter()
                .map(|frame| format!("{}.{}:{}", frame.module, frame.function, frame.line))
                .collect(),
        }),
        None => Err(failure("RT_INTERNAL", "the agent ended without an output")),
    }
}

fn parameters(text: &str) -> Result<Vec<u8>, String> {
    let value = match text.trim() {
        "" => Value::Map(Map::new()),
        text => escjson::parse(text).map_err(|error| format!("parameters: {error}"))?,
    };
    if !matches!(value, Value::Map(_)) {
        return Err("parameters must be an object".to_string());
    }
    msgpack::encode(&value).map_err(|error| error.to_string())
}

fn text(value: &[u8]) -> Result<String, Failure> {
    let value =
        msgpack::decode(value).map_err(|error| failure("RT_INTERNAL", error.to_string()))?;
    let value = match value {
        Value::Undefined => Value::Null,
        value => value,
    };
    escjson::format(&value).map_err(|error| failure("ERR_NOT_SERIALIZABLE", error.to_string()))
}

fn failure(code: &str, message: impl Into<String>) -> Failure {
    Failure {
        code: code.to_string(),
        message: message.into(),
        stack: Vec::new(),
    }
}

fn ask(number: u32, message: &str) -> Vec<String> {
    let asked = match dialog::asked(message) {
        Ok(asked) => asked,
        Err(error) => return refusal(Value::Null, &error),
    };
    // A foreign function of the host may ask other sessions meanwhile.
    let session = SESSIONS.with_borrow_mut(|sessions| sessions.open.remove(&number));
    let Some(mut session) = session else {
        let error = ApiError::new(
            404,
            "no_such_session",
            format!("session {number} is not open"),
        );
        return refusal(asked.id, &error);
    };
    session.act(action(asked.ask));
    let mut told = Vec::new();
    drive::to_the_end(&mut session, |event| told.extend(message_of(event)));
    SESSIONS.with_borrow_mut(|sessions| sessions.open.insert(number, session));
    told.push(dialog::told("done", [("id", asked.id)]));
    told
}

fn refusal(id: Value, error: &ApiError) -> Vec<String> {
    let members = [
        ("code", Value::from(error.code)),
        ("message", Value::from(error.message.clone())),
    ];
    vec![
        dialog::told("issue", members),
        dialog::told("done", [("id", id)]),
    ]
}

fn action(ask: Ask) -> Action {
    match ask {
        Ask::Load(module, args) => Action::Load { module, args },
        Ask::Push(module, args) => Action::Push { module, args },
        Ask::Pop => Action::Pop,
        Ask::Input(cell, value) => Action::Input { cell, value },
        Ask::Invoke {
            name,
            env,
            arg,
            next_actions,
        } => Action::of_invocation(name, env, arg, next_actions),
        Ask::Run(agent, params) => Action::RunAgent { agent, params },
    }
}

fn message_of(event: Event) -> Option<String> {
    let value = |bytes: &[u8]| msgpack::decode(bytes).unwrap_or(Value::Null);
    Some(match event {
        Event::Output {
            cell,
            version,
            value: bytes,
        } => dialog::told(
            "output",
            [
                ("cell", Value::from(cell)),
                ("version", Value::Int(version as i64)),
                ("value", value(&bytes)),
            ],
        ),
        Event::Log(line) | Event::Evaluated(line) => {
            dialog::told("log", [("text", Value::from(line))])
        }
        Event::ClientActions(actions) => dialog::told("actions", [("actions", value(&actions))]),
        Event::IdleActions(actions) => dialog::told("idleActions", [("actions", value(&actions))]),
        Event::Result(result) => dialog::told("result", [("value", value(&result))]),
        Event::Issue(issue) => told_issue(issue),
        // Said once for the message.
        Event::Done(_) => return None,
    })
}

fn told_issue(issue: Issue) -> String {
    let frames = issue.mix_stack.into_iter().map(|frame| {
        let line = Value::Int(i64::from(frame.line));
        Value::Array(vec![
            Value::from(frame.module),
            Value::from(frame.function),
            line,
        ])
    });
    let members = [
        ("code", Value::from(issue.code)),
        ("message", Value::from(issue.message)),
        ("mixStack", Value::Array(frames.collect())),
    ];
    dialog::told("issue", members)
}
