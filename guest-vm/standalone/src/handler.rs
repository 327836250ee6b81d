//! A request from plan to response.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use mix_http_api::alias::Alias;
use mix_http_api::{
    Access, Action, AgentRun, ApiError, Done, Facts, Job, NeedsBody, Plan, Response, Route,
    RunOutcome, Settings, Step, described, plan,
};
use mix_value::{Map, Value};

use crate::bindings::wasi::http::types::{ErrorCode, Request, Response as WasiResponse};
use crate::exchange::{self, NoBody};
use crate::{agent, app, files, records, settings};

static SETTINGS: OnceLock<Arc<Settings>> = OnceLock::new();
static BEGIN: OnceLock<Instant> = OnceLock::new();

/// Answers a request.
pub async fn handle(request: Request) -> Result<WasiResponse, ErrorCode> {
    let head = exchange::head(&request);
    let head_only = head.is_head();
    let facts = Facts {
        request_id: random_name(),
        uptime_seconds: BEGIN.get_or_init(Instant::now).elapsed().as_secs(),
        ..Facts::default()
    };
    let settings = SETTINGS.get_or_init(|| Arc::new(settings::of_environment()));
    let response = match plan(settings, head, &facts) {
        Plan::Reply(response) => response,
        Plan::Body(pending) => answer(*pending, request, settings).await,
    };
    exchange::respond(response, head_only)
}

async fn answer(pending: NeedsBody, request: Request, settings: &Settings) -> Response {
    let found = match found(&pending.route).await {
        Ok(found) => found,
        Err(error) => return pending.refuse(error),
    };
    if let Some(flaw) = pending.flaw() {
        return flaw;
    }
    let bytes = match exchange::body(request, pending.limit).await {
        Ok(bytes) => bytes,
        Err(NoBody::TooLarge) => return pending.too_large(),
        Err(NoBody::BrokenOff) => {
            return pending.refuse(ApiError::new(400, "bad_json", "the body broke off"));
        }
    };
    match pending.with_body(&bytes) {
        Step::Reply(response) => response,
        Step::Call(call) => records::call(*call).await,
        Step::Manage(managed) if managed.job == Job::DescribeAgent => {
            let told = describe(&managed.route.name, found).await;
            managed.finish(told.map(|told| Done::Value(200, told)))
        }
        // Of what is the server's own only files are offered here.
        Step::Manage(managed) => files::answer(*managed).await,
        Step::Run(run) if run.asynchronous => run.refuse(ApiError::new(
            401,
            "unauthenticated",
            "an asynchronous run needs a token",
        )),
        Step::Run(run) => execute(*run, found, settings).await,
    }
}

/// What a name stands for.
enum Found {
    /// An agent; or the request is about something else.
    Own,
    /// A further name of an agent.
    Alias(Alias),
    /// A registered query: its record.
    Query(Map),
}

async fn execute(mut run: AgentRun, found: Found, settings: &Settings) -> Response {
    let agent = match found {
        Found::Own => run.agent.clone(),
        Found::Alias(Alias { agent, fixed, .. }) => match run.fix(fixed) {
            Ok(()) => agent,
            Err(error) => return run.refuse(error),
        },
        Found::Query(record) => {
            let mut refusal = None;
            let asking = async {
                match records::registered(&record, &run).await {
                    Ok(output) => RunOutcome::Output(output),
                    Err(error) => {
                        refusal = Some(error);
                        RunOutcome::Internal
                    }
                }
            };
            let outcome = agent::within(run.timeout_ms, asking).await;
            return match refusal {
                Some(error) => run.refuse(error),
                None => run.finish(outcome),
            };
        }
    };
    let outcome = agent::run(&agent, run.params.clone(), Some(run.timeout_ms)).await;
    run.finish(told(outcome, settings))
}

async fn describe(name: &str, found: Found) -> Result<Value, ApiError> {
    Ok(match found {
        Found::Own => {
            let (description, params) = app::with(|app| app.described(name));
            described::agent(name, "agent", &description, params, &Map::new())
        }
        Found::Alias(alias) => {
            let (_, params) = app::with(|app| app.described(&alias.agent));
            described::agent(name, "alias", &alias.description, params, &alias.fixed)
        }
        Found::Query(record) => {
            let params = records::params(&record).await?;
            described::query(name, &record, params)
        }
    })
}

/// An outcome as clients see it: where everybody may write, everybody may see the stack.
fn told(outcome: RunOutcome, settings: &Settings) -> RunOutcome {
    match outcome {
        RunOutcome::Failed {
            code,
            message,
            stack,
        } => {
            let frames = agent::frames(&stack).join(" < ");
            eprintln!("warning: {code}: {message} at {frames}");
            let shows = matches!(settings.access, Access::Open { records: true });
            RunOutcome::Failed {
                code,
                message,
                stack: if shows { stack } else { Vec::new() },
            }
        }
        other => other,
    }
}

/// What a request names must be there before its body is read.
async fn found(route: &Route) -> Result<Found, ApiError> {
    if route.app.is_empty() {
        return Ok(Found::Own);
    }
    // The one app of this component is the only one there is.
    let loaded = app::with(|app| {
        if app.name != route.app {
            Err(RunOutcome::NoSuchApp)
        } else if matches!(route.action, Action::RunAgent | Action::DescribeAgent) {
            app.load(&route.name)
        } else {
            Ok(())
        }
    });
    let missing = |outcome: &RunOutcome| {
        outcome
            .error(&route.name)
            .unwrap_or_else(ApiError::internal)
    };
    match loaded {
        Ok(()) if route.action == Action::RunQuery => {
            let query = records::query(&route.name).await?;
            query
                .map(Found::Query)
                .ok_or_else(|| ApiError::new(404, "not_found", "no registered query of that name"))
        }
        Ok(()) => Ok(Found::Own),
        Err(outcome @ RunOutcome::NoSuchApp) => Err(missing(&outcome)),
        Err(outcome) => {
            if let Some(alias) = records::alias(&route.name).await? {
                return match app::with(|app| app.load(&alias.agent)) {
                    Ok(()) => Ok(Found::Alias(alias)),
                    Err(_) => Err(alias.leads_nowhere()),
                };
            }
            let query = records::query(&route.name).await?;
            query.map(Found::Query).ok_or_else(|| missing(&outcome))
        }
    }
}

/// 22 random characters.
pub fn random_name() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0u8; 22];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness ids repeat; requests are served all the same.
        bytes.fill(0);
    }
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte & 63)]))
        .collect()
}
