//! Runs of agents for requests.

use super::events::Events;
use super::identity::Admitted;
use super::neighbours::Rights;
use super::occupancy::Presence;
use super::registered::{self, Runnable};
use super::reply::Reply;
use super::slots::Slot;
use super::{Server, manage, signals};
use mix_http_api::{AgentRun, ApiError, RunOutcome, event};
use mix_identity::{Permission, Target};
use mix_runtime::bindings::Issue;
use mix_runtime::environment;
use mix_runtime::programs::{Executable, Missing};
use mix_runtime::progress::{self, Told, Watch};
use mix_runtime::run::{self, Outcome, RunRequest};
use mix_runtime::workspace::Place;
use mix_value::{Value, escjson, msgpack};
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

/// A run that everything is known about.
struct Ready {
    request: RunRequest,
    run: AgentRun,
    presence: Presence,
    /// True if the caller may see the stack of a failure.
    shows_stack: bool,
}

/// Runs what the name stands for and makes the response.
pub async fn answer(
    server: &Arc<Server>,
    place: Place,
    who: &Admitted,
    mut run: AgentRun,
    runnable: Runnable,
    presence: Presence,
) -> Reply {
    let (program, agent, fixed) = match runnable {
        Runnable::Agent {
            program,
            agent,
            fixed,
            ..
        } => (program, agent, fixed),
        Runnable::Query(_) if run.asynchronous => {
            let message = "a registered query does not run asynchronously";
            return run.refuse(ApiError::bad_param(message)).into();
        }
        Runnable::Query(query) => {
            return match registered::run(server, place, &query, &run).await {
                Ok(outcome) if run.streamed => {
                    let mut response = run.events();
                    response.body = run.last_event(outcome).into_bytes();
                    response.into()
                }
                Ok(outcome) => run.finish(outcome).into(),
                Err(error) => run.refuse(error).into(),
            };
        }
    };
    if let Err(error) = registered::with_fixed(&mut run, fixed) {
        return run.refuse(error).into();
    }
    let ready = prepare(server, place, who, run, (program, agent), presence).await;
    if ready.run.asynchronous {
        return begin(server, who, ready).into();
    }
    let slot = match server.slots.acquire(&ready.request.place.workspace).await {
        Ok(slot) => slot,
        Err(none) => return ready.run.finish(none.outcome()).into(),
    };
    if ready.run.streamed {
        return stream(server, ready, slot);
    }
    if ready.run.cancel_on_disconnect {
        // Dropped with the connection.
        let (run, outcome) = perform(server.clone(), ready, slot).await;
        return run.finish(outcome).into();
    }
    let refusal = ready.run.clone();
    match tokio::spawn(perform(server.clone(), ready, slot)).await {
        Ok((run, outcome)) => run.finish(outcome).into(),
        Err(error) => {
            tracing::error!(%error, request = %refusal.request_id, "the run failed");
            refusal.finish(RunOutcome::Internal).into()
        }
    }
}

/// Runs and tells what happens; the run ends with its reader.
fn stream(server: &Arc<Server>, mut ready: Ready, slot: Slot) -> Reply {
    let (progress, watch) = progress::progress();
    ready.request.progress = Some(progress);
    let (events, reply) = Events::begin(ready.run.events());
    let shows_log = ready.shows_stack;
    let running = perform(server.clone(), ready, slot);
    tokio::spawn(async move {
        let both = async {
            let telling = tell(&events, watch, shows_log);
            let ((run, outcome), ()) = tokio::join!(running, telling);
            events.write(run.last_event(outcome)).await;
        };
        tokio::select! {
            () = both => {}
            () = events.left() => {}
        }
    });
    reply
}

/// Lines of the log are for those only who may change the app.
async fn tell(events: &Events, mut watch: Watch, shows_log: bool) {
    while let Some(Some(told)) = events.wait(watch.next()).await {
        let text = match told {
            Told::Log(line) if shows_log => event("log", None, &json_text(Value::from(line))),
            Told::Actions(actions) => match msgpack::decode(&actions) {
                Ok(actions) => event("actions", None, &json_text(actions)),
                Err(_) => continue,
            },
            Told::Gap if shows_log => event("gap", None, "null"),
            Told::Log(_) | Told::Gap => continue,
        };
        if !events.write(text).await {
            return;
        }
    }
}

/// A value that came out of a program has a text form.
fn json_text(value: Value) -> String {
    escjson::format(&value).unwrap_or_else(|_| "null".to_owned())
}

/// Everything about a run whose parameters are complete.
async fn prepare(
    server: &Arc<Server>,
    place: Place,
    who: &Admitted,
    mut run: AgentRun,
    (program, agent): (Arc<Executable>, String),
    presence: Presence,
) -> Ready {
    let app = Target::App(place.app.clone());
    let shows_stack = manage::may(server, who, &place.workspace, Permission::Write, &app).await;
    Ready {
        request: RunRequest {
            environment: environment::of_request(
                &place,
                &run,
                &who.caller,
                &server.base_url,
                server.environment.clone(),
            ),
            neighbours: Some(Rights::of_run(server, who, &place, &agent)),
            place,
            agent,
            params: std::mem::take(&mut run.params),
            program,
            user: who.caller.name(),
            timeout: Duration::from_millis(run.timeout_ms),
            memory: server.agent_memory,
            allowed: None,
            progress: None,
        },
        run,
        presence,
        shows_stack: shows_stack.unwrap_or(false),
    }
}

/// What comes of running a name of an app for somebody who may run it. Dropped, the run ends.
pub async fn outcome(
    server: &Arc<Server>,
    place: Place,
    who: &Admitted,
    mut run: AgentRun,
) -> Result<RunOutcome, ApiError> {
    let runnable = registered::find(server, &place, &run.agent).await?;
    let Some(presence) = server.occupancy.enter(&place.workspace, &place.app) else {
        return Ok(RunOutcome::Canceled);
    };
    let (program, agent) = match runnable {
        Runnable::Query(query) => return registered::run(server, place, &query, &run).await,
        Runnable::Agent {
            program,
            agent,
            fixed,
            ..
        } => {
            registered::with_fixed(&mut run, fixed)?;
            (program, agent)
        }
    };
    let ready = prepare(server, place, who, run, (program, agent), presence).await;
    let slot = match server.slots.acquire(&ready.request.place.workspace).await {
        Ok(slot) => slot,
        Err(none) => return Ok(none.outcome()),
    };
    let (_, outcome) = perform(server.clone(), ready, slot).await;
    Ok(outcome)
}

/// Runs in the background; the caller gets a signal at once.
fn begin(server: &Arc<Server>, who: &Admitted, ready: Ready) -> mix_http_api::Response {
    if who.caller.user.is_none() {
        return ready.run.refuse(ApiError::new(
            401,
            "unauthenticated",
            "an asynchronous run needs a token",
        ));
    }
    let life = signals::LIFE + ready.request.timeout + server.run_queue_wait;
    let id = match server.signals.create(&who.caller.name(), life) {
        Ok(id) => id,
        Err(error) => return ready.run.refuse(error),
    };
    let response = ready.run.begun(&id, &signals::url(server, &id));
    let server = server.clone();
    tokio::spawn(async move {
        let running = async {
            match server.slots.acquire(&ready.request.place.workspace).await {
                Ok(slot) => perform(server.clone(), ready, slot).await,
                Err(none) => (ready.run, none.outcome()),
            }
        };
        let (run, outcome) = tokio::select! {
            done = running => done,
            () = server.signals.canceled(&id) => return,
        };
        let result = match outcome {
            RunOutcome::Output(value) => Ok(run.select(value)),
            outcome => Err(outcome.error(&run.agent).unwrap_or_else(ApiError::internal)),
        };
        server.signals.finish(&id, result);
    });
    response
}

async fn perform(server: Arc<Server>, ready: Ready, _slot: Slot) -> (AgentRun, RunOutcome) {
    let outcome = tokio::select! {
        outcome = run::run(&server.assembly, ready.request) => {
            translate(outcome, &ready.run, ready.shows_stack)
        }
        () = ready.presence.stopped() => RunOutcome::Canceled,
    };
    (ready.run, outcome)
}

/// The outcome of a run that no caller asked for.
pub fn outcome_of(outcome: Outcome, request: &str) -> RunOutcome {
    match outcome {
        Outcome::Output(bytes) => match msgpack::decode(&bytes) {
            Ok(value) => RunOutcome::Output(value),
            Err(_) => RunOutcome::Internal,
        },
        Outcome::NotLoaded(issue) => RunOutcome::IncompatibleCode(issue.message),
        Outcome::Issue(issue) => RunOutcome::Failed {
            code: issue.code,
            message: issue.message,
            stack: Vec::new(),
        },
        Outcome::TimedOut => RunOutcome::TimedOut,
        Outcome::OutOfMemory => RunOutcome::OutOfMemory,
        Outcome::Broken(reason) => {
            tracing::error!(%reason, request, "the VM failed");
            RunOutcome::Internal
        }
    }
}

fn translate(outcome: Outcome, run: &AgentRun, shows_stack: bool) -> RunOutcome {
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
        Outcome::Issue(issue) => translate_issue(*issue, run, shows_stack),
        Outcome::TimedOut => RunOutcome::TimedOut,
        Outcome::OutOfMemory => RunOutcome::OutOfMemory,
        Outcome::Broken(reason) => {
            tracing::error!(%reason, request = %run.request_id, "the VM failed");
            RunOutcome::Internal
        }
    }
}

fn translate_issue(issue: Issue, run: &AgentRun, shows_stack: bool) -> RunOutcome {
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
            stack: issue
                .mix_stack
                .into_iter()
                .filter(|_| shows_stack)
                .map(|frame| (frame.module, frame.function, frame.line))
                .collect(),
        },
    }
}
