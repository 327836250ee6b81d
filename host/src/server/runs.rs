//! Runs of agents for requests.

use super::Server;
use super::identity::Admitted;
use super::occupancy::Presence;
use crate::bindings::Issue;
use crate::environment;
use crate::programs::{Executable, Missing};
use crate::run::{self, Outcome, RunRequest};
use crate::workspace::Place;
use mix_http_api::{AgentRun, RunOutcome};
use mix_value::{Value, msgpack};
use std::sync::Arc;
use std::time::Duration;

/// Why there is nothing to run, as an outcome.
pub fn missing_outcome(missing: Missing) -> RunOutcome {
    match missing {
        Missing::Workspace => RunOutcome::NoSuchWorkspace,
        Missing::App => RunOutcome::NoSuchApp,
        Missing::Agent => RunOutcome::NoSuchAgent,
        Missing::Damaged(reason) => RunOutcome::IncompatibleCode(reason),
    }
}

/// Waits for a slot, runs the agent and makes the response.
pub async fn answer(
    server: &Arc<Server>,
    place: Place,
    who: &Admitted,
    run: AgentRun,
    program: Arc<Executable>,
    presence: Presence,
) -> mix_http_api::Response {
    let Some(slot) = server.slots.acquire().await else {
        return run.finish(RunOutcome::Busy);
    };
    let user = who.caller.name();
    let request = RunRequest {
        environment: environment::of_request(
            &place,
            &run,
            &who.caller,
            &server.base_url,
            server.environment.clone(),
        ),
        place,
        agent: run.agent.clone(),
        params: run.params.clone(),
        program,
        user,
        timeout: Duration::from_millis(run.timeout_ms),
        memory: server.agent_memory,
        allowed: None,
    };
    let assembly = server.assembly.clone();
    let running = async move {
        let _slot = slot;
        tokio::select! {
            outcome = run::run(&assembly, request) => Some(outcome),
            () = presence.stopped() => None,
        }
    };
    let outcome = if run.cancel_on_disconnect {
        // Dropped with the connection.
        running.await
    } else {
        match tokio::spawn(running).await {
            Ok(outcome) => outcome,
            Err(error) => Some(Outcome::Broken(error.to_string())),
        }
    };
    let outcome = match outcome {
        Some(outcome) => translate(outcome, &run),
        None => RunOutcome::Canceled,
    };
    run.finish(outcome)
}

fn translate(outcome: Outcome, run: &AgentRun) -> RunOutcome {
    match outcome {
        Outcome::Output(bytes) => match msgpack::decode(&bytes) {
            Ok(Value::Undefined) => RunOutcome::Output(Value::Null),
            Ok(value) => RunOutcome::Output(value),
            Err(error) => {
                tracing::error!(%error, request = %run.request_id, "the VM gave no value");
                RunOutcome::Internal
            }
        },
        Outcome::NotLoaded(issue) if issue.code == "ERR_FFI_MISSING" => {
            RunOutcome::MissingFunction(issue.message)
        }
        Outcome::NotLoaded(issue) => RunOutcome::IncompatibleCode(issue.message),
        Outcome::Issue(issue) => translate_issue(*issue, run),
        Outcome::TimedOut => RunOutcome::TimedOut,
        Outcome::OutOfMemory => RunOutcome::OutOfMemory,
        Outcome::Broken(reason) => {
            tracing::error!(%reason, request = %run.request_id, "the VM failed");
            RunOutcome::Internal
        }
    }
}

fn translate_issue(issue: Issue, run: &AgentRun) -> RunOutcome {
    let stack: Vec<String> = issue
        .mix_stack
        .iter()
        .take(10)
        .map(|frame| format!("{}.{}:{}", frame.module, frame.function, frame.line))
        .collect();
    tracing::warn!(
        target: "mix-vm",
        request = %run.request_id,
        workspace = %run.workspace,
        app = %run.app,
        agent = %run.agent,
        code = %issue.code,
        stack = %stack.join(" < "),
        "{}",
        issue.message
    );
    match issue.code.as_str() {
        "RT_TIMEOUT" => RunOutcome::TimedOut,
        "RT_MEMORY" => RunOutcome::OutOfMemory,
        "RT_INTERNAL" => RunOutcome::Internal,
        "RT_PARAM" if issue.mix_stack.is_empty() => RunOutcome::BadParameters(issue.message),
        _ => RunOutcome::Failed {
            code: issue.code,
            message: issue.message,
        },
    }
}
