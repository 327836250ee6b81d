//! The agents of the app for the program that embeds the component (`mix:embed/agents`).

use std::future::pending;
use std::pin::pin;

use futures::future::{Either, select};
use futures::stream::{self, Stream, StreamExt};
use mix_http_api::dialog::{self, Ask, Asked};
use mix_http_api::{ApiError, RunOutcome};
use mix_value::{Map, Value, escjson, msgpack};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

use crate::bindings::exports::mix::embed::agents::Failure;
use crate::bindings::mix::vm::session::{self, Action, AgentCall, Event, Input, Invocation, Push};
use crate::bindings::mix::vm::types::Issue;
use crate::bindings::wit_stream;
use crate::{agent, app};

/// Items of a stream that are read at once.
const WAITING: usize = 16;

/// Runs an agent with parameters in JSON.
pub async fn run(agent: &str, params: &str) -> Result<String, Failure> {
    let params = parameters(params).map_err(refused)?;
    text(agent, agent::run(agent, params, None).await)
}

/// Parameters in their wire form; no text is an empty map.
pub fn parameters(text: &str) -> Result<Vec<u8>, ApiError> {
    let bad = |message: String| ApiError::new(400, "bad_value", message);
    let value = match text.trim() {
        "" => Value::Map(Map::new()),
        text => escjson::parse(text).map_err(|error| bad(format!("parameters: {error}")))?,
    };
    if !matches!(value, Value::Map(_)) {
        return Err(bad("parameters must be an object".to_string()));
    }
    msgpack::encode(&value).map_err(|error| bad(error.to_string()))
}

/// The output as JSON, or why there is none.
pub fn text(agent: &str, outcome: RunOutcome) -> Result<String, Failure> {
    match outcome {
        RunOutcome::Output(value) => escjson::format(&value).map_err(|error| Failure {
            code: "ERR_NOT_SERIALIZABLE".to_string(),
            message: error.to_string(),
            stack: Vec::new(),
        }),
        RunOutcome::Failed {
            code,
            message,
            stack,
        } => Err(Failure {
            code,
            message,
            stack: agent::frames(&stack),
        }),
        outcome => Err(refused(
            outcome.error(agent).unwrap_or_else(ApiError::internal),
        )),
    }
}

fn refused(error: ApiError) -> Failure {
    Failure {
        code: error.code.to_string(),
        message: error.message,
        stack: Vec::new(),
    }
}

/// A session between two streams of messages.
pub fn session(messages: StreamReader<String>) -> StreamReader<String> {
    let (told, answers) = wit_stream::new();
    wit_bindgen::spawn_local(talk(messages, told));
    answers
}

/// What a session waits for.
enum Turn {
    /// The next message, if it may come now.
    Message(Option<String>),
    /// What the session tells.
    Event(Option<Event>),
    /// The session has taken an action.
    Taken(StreamWriter<Action>),
}

/// Takes messages one by one: the next one when what the last one asked for is done.
async fn talk(messages: StreamReader<String>, mut told: StreamWriter<String>) {
    let mut messages = pin!(items(messages));
    // The first good message says which program is meant.
    let first = loop {
        match messages.next().await.as_deref().map(dialog::asked) {
            None => return,
            Some(Ok(asked)) => break asked,
            Some(Err(error)) => {
                if !tell(&mut told, refusal(Value::Null, error)).await {
                    return;
                }
            }
        }
    };
    let loaded = app::with(|app| app.load_module(first.ask.module().unwrap_or_default()));
    if let Err(error) = loaded.map_err(|outcome| outcome.error("")) {
        let error = error.unwrap_or_else(ApiError::internal);
        tell(&mut told, refusal(first.id, error)).await;
        return;
    }
    let (actions, reader) = wit_stream::new();
    // The session takes the program that the VM holds now: nothing is awaited in between.
    let mut events = pin!(items(session::run(reader).await));
    // The message that is under way, and the stream of actions: at rest, or being written to.
    let mut current = Some(first.id);
    let mut resting = None;
    let mut sending = Some(Box::pin(send(actions, first.ask)));
    loop {
        let message = async {
            match (&current, &resting) {
                (None, Some(_)) => messages.next().await,
                _ => pending().await,
            }
        };
        let taken = async {
            match &mut sending {
                Some(sending) => sending.await,
                None => pending().await,
            }
        };
        let turn = match select(events.next(), select(pin!(taken), pin!(message))).await {
            Either::Left((event, _)) => Turn::Event(event),
            Either::Right((Either::Left((actions, _)), _)) => Turn::Taken(actions),
            Either::Right((Either::Right((message, _)), _)) => Turn::Message(message),
        };
        let texts = match turn {
            // The end of the messages is that of the session.
            Turn::Message(None) | Turn::Event(None) => return,
            Turn::Message(Some(text)) => match (dialog::asked(&text), resting.take()) {
                (Ok(Asked { id, ask }), Some(actions)) => {
                    current = Some(id);
                    sending = Some(Box::pin(send(actions, ask)));
                    continue;
                }
                (Ok(_), None) => continue,
                (Err(error), actions) => {
                    resting = actions;
                    refusal(Value::Null, error)
                }
            },
            Turn::Taken(actions) => {
                sending = None;
                resting = Some(actions);
                continue;
            }
            Turn::Event(Some(Event::Done(_))) => {
                let id = current.take().unwrap_or(Value::Null);
                vec![dialog::told("done", [("id", id)])]
            }
            Turn::Event(Some(event)) => vec![message_of(event)],
        };
        if !tell(&mut told, texts).await {
            return;
        }
    }
}

async fn send(mut actions: StreamWriter<Action>, ask: Ask) -> StreamWriter<Action> {
    // What a session that is over does not take is of no use to anybody.
    actions.write_all(vec![action(ask)]).await;
    actions
}

/// False: nobody reads any more.
async fn tell(told: &mut StreamWriter<String>, texts: Vec<String>) -> bool {
    told.write_all(texts).await.is_empty()
}

/// The items of a stream, read in batches.
fn items<T: 'static>(reader: StreamReader<T>) -> impl Stream<Item = T> {
    let batches = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        let (result, batch) = reader.read(Vec::with_capacity(WAITING)).await;
        let more = matches!(result, StreamResult::Complete(_));
        (more || !batch.is_empty()).then(|| (batch, more.then_some(reader)))
    });
    batches.flat_map(stream::iter)
}

fn refusal(id: Value, error: ApiError) -> Vec<String> {
    let members = [
        ("code", Value::from(error.code)),
        ("message", Value::from(error.message)),
    ];
    vec![
        dialog::told("issue", members),
        dialog::told("done", [("id", id)]),
    ]
}

fn message_of(event: Event) -> String {
    let value = |bytes: &[u8]| msgpack::decode(bytes).unwrap_or(Value::Null);
    match event {
        Event::Output(output) => dialog::told(
            "output",
            [
                ("cell", Value::from(output.cell)),
                ("version", Value::Int(output.version as i64)),
                ("value", value(&output.value)),
            ],
        ),
        Event::Log(line) => dialog::told("log", [("text", Value::from(line))]),
        Event::ClientActions(actions) => dialog::told("actions", [("actions", value(&actions))]),
        Event::IdleActions(actions) => dialog::told("idleActions", [("actions", value(&actions))]),
        Event::Result(result) => dialog::told("result", [("value", value(&result))]),
        Event::Issue(issue) => told_issue(issue),
        Event::Done(number) => dialog::told("done", [("id", Value::Int(number as i64))]),
    }
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

fn action(ask: Ask) -> Action {
    match ask {
        Ask::Load(module, args) => Action::Load(Push { module, args }),
        Ask::Push(module, args) => Action::Push(Push { module, args }),
        Ask::Pop => Action::Pop,
        Ask::Input(cell, value) => Action::Input(Input { cell, value }),
        Ask::Invoke {
            name,
            env,
            arg,
            next_actions,
        } => Action::Invoke(Invocation {
            name,
            env,
            arg,
            next_actions,
        }),
        Ask::Run(agent, params) => Action::RunAgent(AgentCall { agent, params }),
    }
}
