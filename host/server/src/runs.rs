//! Runs of agents for requests.

mod going;

use super::activity::{Draft, Via};
use super::events::Events;
use super::identity::Admitted;
use super::neighbours::{Inside, Lent, Rights};
use super::occupancy::Presence;
use super::registered::{self, Runnable};
use super::reply::Reply;
use super::slots::{NoSlot, Slot};
use super::{Server, manage, signals};
use going::Going;
use mix_http_api::{AgentRun, ApiError, RunOutcome, event};
use mix_identity::{Permission, Target};
use mix_runtime::bindings::Issue;
use mix_runtime::environment;
use mix_runtime::neighbours::Neighbours;
use mix_runtime::programs::{Executable, Missing};
use mix_runtime::progress::{self, Told};
use mix_runtime::run::{BROKE_OFF, Outcome, RunRequest};
use mix_runtime::trace::{Kind, Open, Trace};
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
pub struct Ready {
    request: RunRequest,
    run: Arc<AgentRun>,
    presence: Presence,
    /// True if the caller may see the stack of a failure.
    shows_stack: bool,
    /// Its entry in the activity log.
    draft: Option<Draft>,
    rights: Arc<Rights>,
    /// The run that asks for it.
    inside: Option<Inside>,
    span: Option<Open>,
}

/// A run as it is asked for.
pub struct Asked<'a> {
    /// Where.
    pub place: Place,
    /// By whom.
    pub who: &'a Admitted,
    /// What.
    pub run: AgentRun,
    /// By which other run.
    pub inside: Option<Inside>,
    /// Its place in a trace.
    pub trace: Option<Trace>,
}

/// Runs what the name stands for and makes the response.
pub async fn answer(
    server: &Arc<Server>,
    mut asked: Asked<'_>,
    runnable: Runnable,
    presence: Presence,
    draft: &mut Option<Draft>,
) -> Reply {
    let run = &mut asked.run;
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
            return match registered::run(server, asked.place, &query, run).await {
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
    if let Err(error) = run.fix(fixed) {
        return run.refuse(error).into();
    }
    let who = asked.who;
    let mut ready = prepare(server, asked, (program, agent), presence).await;
    if ready.run.asynchronous {
        return begin(server, who, ready, draft).into();
    }
    let turn = match ready.turn(server).await {
        Ok(turn) => turn,
        Err(none) => return ready.run.finish(none.outcome()).into(),
    };
    ready.draft = draft.take();
    if ready.run.streamed {
        return stream(server, ready, turn);
    }
    let cancels = ready.run.cancel_on_disconnect;
    let refusal = ready.run.clone();
    let going = Going::begin(server, ready, turn);
    if cancels {
        // Dropped with the connection.
        return going.respond().await.into();
    }
    match tokio::spawn(going.respond()).await {
        Ok(response) => response.into(),
        Err(error) => {
            tracing::error!(%error, request = %refusal.request_id, "the run failed");
            refusal.finish(RunOutcome::Internal).into()
        }
    }
}

/// Runs and tells what happens; the run ends with its reader, unless it has answered.
fn stream(server: &Arc<Server>, mut ready: Ready, turn: Turn) -> Reply {
    let (progress, mut watch) = progress::progress();
    ready.request.progress = Some(progress);
    let (events, reply) = Events::begin(ready.run.events());
    let shows_log = ready.shows_stack;
    let mut going = Going::begin(server, ready, turn);
    tokio::spawn(async move {
        let running = async {
            let mut answer = std::pin::pin!(going.answer());
            loop {
                tokio::select! {
                    biased;
                    told = events.wait(watch.next()) => match told {
                        Some(Some(told)) => {
                            if let Some(text) = event_of(told, shows_log) {
                                events.write(text).await;
                            }
                        }
                        // The run is over, or nobody reads any more.
                        Some(None) | None => return answer.await,
                    },
                    outcome = &mut answer => {
                        while let Some(told) = watch.ready() {
                            if let Some(text) = event_of(told, shows_log) {
                                events.write(text).await;
                            }
                        }
                        return outcome;
                    }
                }
            }
        };
        let outcome = tokio::select! {
            outcome = running => outcome,
            () = events.left() => return,
        };
        let (status, code) = match outcome.error(&going.run.agent) {
            Some(error) => (error.status, error.code),
            None => (200, ""),
        };
        let last = going.run.last_event(outcome);
        let bytes = last.len() as u64;
        tokio::select! {
            _ = events.write(last) => {}
            () = events.left() => {}
        }
        going.leave(status, code, bytes);
    });
    reply
}

/// What a reader is told; lines of the log are for those only who may change the app.
fn event_of(told: Told, shows_log: bool) -> Option<String> {
    Some(match told {
        Told::Log(line) if shows_log => event("log", None, &json_text(Value::from(line))),
        Told::Actions(actions) => {
            event("actions", None, &json_text(msgpack::decode(&actions).ok()?))
        }
        Told::Gap if shows_log => event("gap", None, "null"),
        Told::Log(_) | Told::Gap => return None,
    })
}

/// A value that came out of a program has a text form.
fn json_text(value: Value) -> String {
    escjson::format(&value).unwrap_or_else(|_| "null".to_owned())
}

/// Everything about a run whose parameters are complete.
async fn prepare(
    server: &Arc<Server>,
    asked: Asked<'_>,
    (program, agent): (Arc<Executable>, String),
    presence: Presence,
) -> Ready {
    let Asked {
        place,
        who,
        mut run,
        inside,
        trace,
    } = asked;
    if let Some(inside) = &inside
        && !run.asynchronous
    {
        // Whoever asks does not wait longer.
        run.timeout_ms = run.timeout_ms.min(inside.left_ms().max(1));
    }
    let rights = Rights::of_run(server, who, &place, &agent, inside.as_ref());
    let span = trace.and_then(|place| place.begin(format!("run {agent}"), Kind::Internal));
    let span = span.map(|mut span| {
        span.note("mixer.workspace", place.workspace.as_str());
        span.note("mixer.app", place.app.as_str());
        span.note("mixer.agent", agent.as_str());
        rights.belongs_to(span.place());
        span
    });
    let operator = server.environment.clone();
    let environment = match server.assembly.vms.asks_families(&program, &agent) {
        // Nothing that could ask for it is part of the run.
        false => environment::of_operator(operator),
        true => {
            let org = server.org_of(&place.workspace).await;
            let hosted = server.hosting(&org);
            let mut environment =
                environment::of_request(&place, &run, &who.caller, &hosted, &program, operator);
            environment.extend(rights.variables());
            environment
        }
    };
    let app = Target::App(place.app.clone());
    let shows_stack = manage::may(server, who, &place.workspace, Permission::Write, &app).await;
    Ready {
        request: RunRequest {
            environment,
            neighbours: Some(rights.clone()),
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
        run: Arc::new(run),
        presence,
        shows_stack: shows_stack.unwrap_or(false),
        draft: None,
        rights,
        inside,
        span,
    }
}

impl Ready {
    /// Waits for a slot. Whoever waits for another run lends it its own, unless that is lent
    /// already: runs that wait for each other shall not fill all slots.
    async fn turn(&self, server: &Server) -> Result<Turn, NoSlot> {
        if !self.run.asynchronous
            && let Some(lent) = self.inside.as_ref().and_then(Inside::borrow_slot)
        {
            return Ok(Turn::Lent(lent));
        }
        let slot = server.slots.acquire(&self.request.place.workspace).await?;
        Ok(Turn::Slot(slot))
    }
}

/// The right to run now.
pub enum Turn {
    /// A slot of its own.
    Slot(#[allow(dead_code, reason = "held, never read")] Slot),
    /// That of the run that waits for it; given back when dropped.
    Lent(#[allow(dead_code, reason = "held, never read")] Lent),
}

/// What comes of running a name of an app for somebody who may run it. Dropped, the run ends.
pub async fn outcome(
    server: &Arc<Server>,
    place: Place,
    who: &Admitted,
    mut run: AgentRun,
    mut draft: Draft,
) -> Result<RunOutcome, ApiError> {
    let runnable = registered::find(server, &place, &run.agent).await?;
    let Some(presence) = server.occupancy.enter(&place.workspace, &place.app) else {
        return Ok(RunOutcome::Canceled);
    };
    let (program, agent) = match runnable {
        Runnable::Query(query) => {
            let result = registered::run(server, place, &query, &run).await;
            match &result {
                Ok(outcome) => note(&mut draft, outcome, &run.agent),
                Err(error) => draft.answered(error.status, error.code, 0),
            }
            return result;
        }
        Runnable::Agent {
            program,
            agent,
            fixed,
            ..
        } => {
            run.fix(fixed)?;
            (program, agent)
        }
    };
    let asked = Asked {
        place,
        who,
        run,
        inside: None,
        trace: None,
    };
    let mut ready = prepare(server, asked, (program, agent), presence).await;
    let turn = match ready.turn(server).await {
        Ok(turn) => turn,
        Err(none) => {
            let outcome = none.outcome();
            note(&mut draft, &outcome, &ready.run.agent);
            return Ok(outcome);
        }
    };
    ready.draft = Some(draft);
    let mut going = Going::begin(server, ready, turn);
    let outcome = going.answer().await;
    let (status, code) = result_of(&outcome, &going.run.agent);
    going.leave(status, code, 0);
    Ok(outcome)
}

/// Status and code of an outcome.
fn result_of(outcome: &RunOutcome, agent: &str) -> (u16, &'static str) {
    match outcome.error(agent) {
        Some(error) => (error.status, error.code),
        None => (200, ""),
    }
}

fn note(draft: &mut Draft, outcome: &RunOutcome, agent: &str) {
    let (status, code) = result_of(outcome, agent);
    draft.answered(status, code, 0);
}

/// Runs in the background; the caller gets a signal at once.
fn begin(
    server: &Arc<Server>,
    who: &Admitted,
    mut ready: Ready,
    draft: &mut Option<Draft>,
) -> mix_http_api::Response {
    if who.caller.user.is_none() {
        return ready.run.refuse(ApiError::new(
            401,
            "unauthenticated",
            "an asynchronous run needs a token",
        ));
    }
    let life = signals::LIFE + ready.request.timeout + server.run_queue_wait;
    let id = match server.signals.create(&who.principal(), life) {
        Ok(id) => id,
        Err(error) => return ready.run.refuse(error),
    };
    let response = ready.run.begun(&id, &signals::url(server, &id));
    let mut draft = draft.take();
    if let Some(draft) = &mut draft {
        draft.set_via(Via::Async);
    }
    let server = server.clone();
    tokio::spawn(async move {
        let run = ready.run.clone();
        let running = async {
            match ready.turn(&server).await {
                Ok(turn) => {
                    ready.draft = draft.take();
                    let mut going = Going::begin(&server, ready, turn);
                    let outcome = going.answer().await;
                    (outcome, Some(going))
                }
                Err(none) => {
                    let outcome = none.outcome();
                    if let Some(draft) = &mut draft {
                        note(draft, &outcome, &run.agent);
                    }
                    (outcome, None)
                }
            }
        };
        let (outcome, going) = tokio::select! {
            done = running => done,
            () = server.signals.canceled(&id) => return,
        };
        let (status, code) = result_of(&outcome, &run.agent);
        let result = match outcome {
            RunOutcome::Output(value) => Ok(run.select(value)),
            outcome => Err(outcome.error(&run.agent).unwrap_or_else(ApiError::internal)),
        };
        server.signals.finish(&id, result);
        if let Some(going) = going {
            going.leave(status, code, 0);
        }
    });
    response
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
            tracing::error!(%reason, request, "{BROKE_OFF}");
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
            tracing::error!(%reason, request = %run.request_id, "{BROKE_OFF}");
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
    if let Some(outcome) = RunOutcome::of_code(&issue.code) {
        return outcome;
    }
    match issue.code.as_str() {
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
