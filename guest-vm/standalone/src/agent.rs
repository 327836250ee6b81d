//! Running an agent on the VM.

use std::pin::pin;

use futures::future::{Either, join, select};
use mix_http_api::RunOutcome;
use mix_value::{Value, msgpack};
use wit_bindgen::{StreamReader, StreamResult};

use crate::app;
use crate::bindings::mix::vm::session::{self, Action, AgentCall, Event};
use crate::bindings::mix::vm::types::Issue;
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wit_stream;

/// Events read at once.
const EVENTS: usize = 64;
/// Errors that tell, before any code of the user ran, that the parameters do not fit.
const BAD_PARAMETERS: &str = "RT_PARAM";

/// Runs an agent to its end or to the end of its time; `params` is a map in its wire form.
pub async fn run(agent: &str, params: Vec<u8>, timeout_ms: Option<u64>) -> RunOutcome {
    if let Err(outcome) = app::with(|app| app.load(agent)) {
        return outcome;
    }
    let (mut actions, reader) = wit_stream::new();
    // The session takes the program that the VM holds now: nothing is awaited in between.
    let session = session::run(reader);
    let action = Action::RunAgent(AgentCall {
        agent: agent.to_string(),
        params,
    });
    let running = async {
        let events = session.await;
        let send = async {
            // A session that is over takes no action; its events tell why.
            actions.write_all(vec![action]).await;
            drop(actions);
        };
        join(send, follow(events)).await.1
    };
    match timeout_ms {
        Some(timeout_ms) => within(timeout_ms, running).await,
        None => running.await,
    }
}

/// What runs, to its end or to the end of its time.
pub async fn within(timeout_ms: u64, running: impl Future<Output = RunOutcome>) -> RunOutcome {
    let time = monotonic_clock::wait_for(timeout_ms.saturating_mul(1_000_000));
    // What loses is dropped: with its events unread the session ends too.
    match select(pin!(running), pin!(time)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => RunOutcome::TimedOut,
    }
}

async fn follow(mut events: StreamReader<Event>) -> RunOutcome {
    let mut outcome = None;
    loop {
        let (result, batch) = events.read(Vec::with_capacity(EVENTS)).await;
        for event in batch {
            match event {
                Event::Result(value) => outcome = Some(output(&value)),
                Event::Issue(issue) if outcome.is_none() => outcome = Some(failed(issue)),
                Event::Issue(issue) => eprintln!("warning: {}: {}", issue.code, issue.message),
                Event::Log(line) => eprintln!("{line}"),
                Event::Output(_)
                | Event::ClientActions(_)
                | Event::IdleActions(_)
                | Event::Done(_) => {}
            }
        }
        if !matches!(result, StreamResult::Complete(_)) {
            return outcome.unwrap_or(RunOutcome::Internal);
        }
    }
}

fn output(bytes: &[u8]) -> RunOutcome {
    match msgpack::decode(bytes) {
        Ok(Value::Undefined) => RunOutcome::Output(Value::Null),
        Ok(value) => RunOutcome::Output(value),
        Err(error) => {
            eprintln!("error: the VM gave no value: {error}");
            RunOutcome::Internal
        }
    }
}

fn failed(issue: Issue) -> RunOutcome {
    match issue.code.as_str() {
        BAD_PARAMETERS if issue.mix_stack.is_empty() => RunOutcome::BadParameters(issue.message),
        _ => RunOutcome::Failed {
            code: issue.code,
            message: issue.message,
            stack: issue
                .mix_stack
                .into_iter()
                .map(|frame| (frame.module, frame.function, frame.line))
                .collect(),
        },
    }
}

/// `module.function:line` of each frame.
pub fn frames(stack: &[(String, String, u32)]) -> Vec<String> {
    stack
        .iter()
        .map(|(module, function, line)| format!("{module}.{function}:{line}"))
        .collect()
}
