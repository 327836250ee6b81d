//! One request: plan, body, run or call, response.

use super::Server;
use super::bodies::Reserved;
use crate::bindings::{Failure, Issue};
use crate::environment;
use crate::programs::{Executable, Missing};
use crate::run::{self, Outcome, RunContext, RunRequest};
use crate::stream::HostReply;
use crate::workspace::Place;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use mix_http_api::{
    AgentRun, ApiError, CallFailure, Facts, FamilyCall, Head, NeedsBody, Plan, Route, RunOutcome,
    Step,
};
use mix_value::{Value, msgpack};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest request line.
const MAX_TARGET: usize = 16 << 10;

/// Time for a body without regard to its size.
const BODY_GRACE: Duration = Duration::from_secs(10);

/// A body must come at least this fast.
const BODY_RATE: u64 = 1 << 10;

/// What the plan says about a request, for the log.
#[derive(Default)]
struct Record {
    route: &'static str,
    place: String,
}

/// Answers one request.
pub async fn handle(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let start = Instant::now();
    let method = request.method().as_str().to_owned();
    let mut record = Record::default();
    let answer = answer(&server, request, &mut record).await;
    tracing::info!(
        target: "mixer::access",
        method = %method,
        route = record.route,
        place = %record.place,
        status = answer.status,
        code = answer.code,
        ms = start.elapsed().as_secs_f64() * 1e3,
        bytes = answer.body.len(),
        request = answer.header("x-request-id").unwrap_or_default(),
        "request"
    );
    Ok(convert(answer))
}

fn convert(answer: mix_http_api::Response) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(*name, value);
    }
    builder
        .body(Full::new(Bytes::from(answer.body)))
        .unwrap_or_else(|error| {
            // Only a header value with control characters can get here, and no answer is made with one.
            tracing::error!(%error, "malformed response");
            let mut response = Response::new(Full::default());
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
}

async fn answer(
    server: &Arc<Server>,
    request: Request<Incoming>,
    record: &mut Record,
) -> mix_http_api::Response {
    let (parts, body) = request.into_parts();
    let target = match parts.uri.path_and_query() {
        Some(target) => target.as_str().to_owned(),
        None => "/".to_owned(),
    };
    let too_long = target.len() > MAX_TARGET;
    let head = Head {
        method: parts.method.as_str().to_owned(),
        target: if too_long { "/".to_owned() } else { target },
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text_of(value.as_bytes())))
            .collect(),
        authority: parts
            .uri
            .authority()
            .map(|authority| authority.as_str().to_owned()),
    };
    let facts = Facts {
        request_id: request_id(),
        uptime_seconds: server.started.elapsed().as_secs(),
        trouble: (!server.ws_dir.is_dir()).then_some("missing"),
    };
    let pending = match mix_http_api::plan(&server.settings, head, &facts) {
        Plan::Reply(reply) if !too_long => return reply,
        Plan::Reply(_) => {
            return server.refuse(
                &facts,
                ApiError::new(431, "headers_too_large", "the request line is too long"),
            );
        }
        Plan::Body(pending) => pending,
    };
    record.route = pending.route.pattern();
    if server.stopping.is_raised() {
        return pending.refuse(ApiError::new(
            503,
            "shutting_down",
            "the server is shutting down",
        ));
    }
    let place = match place_of(server, &pending.route) {
        Ok(place) => place,
        Err(error) => return pending.refuse(error),
    };
    record.place = format!("{}/{}", place.workspace, place.app);
    let program = match &pending.route {
        Route::Agent { agent, .. } => match server.programs.find(&place, agent) {
            Ok(program) => Some(program),
            Err(missing) => {
                let outcome = missing_outcome(missing);
                let error = outcome.error(agent).unwrap_or_else(ApiError::internal);
                return pending.refuse(error);
            }
        },
        _ => None,
    };
    let (bytes, _reserved) = match read_body(server, &pending, body).await {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    match (pending.with_body(&bytes), program) {
        (Step::Reply(reply), _) => reply,
        (Step::Run(run), Some(program)) => run_agent(server, place, *run, program).await,
        (Step::Run(run), None) => run.finish(RunOutcome::NoSuchAgent),
        (Step::Call(call), _) => call_family(server, place, *call).await,
    }
}

/// Bytes of a header as text; what is no UTF-8 is read as Latin-1.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| *byte as char).collect(),
    }
}

/// 22 random characters.
fn request_id() -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = [0u8; 22];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness ids repeat; requests are served all the same.
        bytes.fill(0);
    }
    bytes
        .iter()
        .map(|byte| LETTERS[usize::from(byte & 63)] as char)
        .collect()
}

fn place_of(server: &Server, route: &Route) -> Result<Place, ApiError> {
    let (ws, app) = match route {
        Route::Agent { ws, app, .. }
        | Route::Documents { ws, app }
        | Route::Document { ws, app, .. }
        | Route::Save { ws, app }
        | Route::Query { ws, app }
        | Route::QueryParse { ws, app } => (ws, app),
        Route::Root | Route::Health | Route::Ready => return Err(ApiError::internal()),
    };
    let place = Place::new(&server.ws_dir, ws, app).map_err(|_| ApiError::bad_name("app"))?;
    if matches!(route, Route::Agent { .. }) {
        // Looking for the program tells what is missing.
        return Ok(place);
    }
    if !place.workspace_folder().is_dir() {
        return Err(ApiError::new(404, "no_such_ws", "no such workspace"));
    }
    if !place.folder().is_dir() {
        return Err(ApiError::new(404, "no_such_app", "no such app"));
    }
    Ok(place)
}

async fn read_body(
    server: &Server,
    pending: &NeedsBody,
    mut body: Incoming,
) -> Result<(Vec<u8>, Reserved), mix_http_api::Response> {
    let crowded = || {
        ApiError::new(
            503,
            "busy",
            "too many large requests at once; send it again later",
        )
    };
    // The announced length is at most the limit: the plan has checked it.
    let Some(mut reserved) = server.bodies.reserve(body.size_hint().exact()).await else {
        return Err(pending.refuse(crowded()));
    };
    let start = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let allowed = BODY_GRACE + Duration::from_secs(bytes.len() as u64 / BODY_RATE);
        let left = allowed.saturating_sub(start.elapsed()).min(BODY_GRACE);
        match tokio::time::timeout(left, body.frame()).await {
            Err(_) => {
                let mut reply = pending.refuse(ApiError::new(
                    408,
                    "slow_request",
                    "the body comes too slowly",
                ));
                reply.headers.push(("connection", "close".to_owned()));
                return Err(reply);
            }
            Ok(None) => return Ok((bytes, reserved)),
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "the body broke off");
                return Err(pending.refuse(ApiError::new(400, "bad_json", "the body broke off")));
            }
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if (bytes.len() + data.len()) as u64 > pending.limit {
                    return Err(pending.too_large());
                }
                if !reserved.grow((bytes.len() + data.len()) as u64) {
                    return Err(pending.refuse(crowded()));
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}

fn missing_outcome(missing: Missing) -> RunOutcome {
    match missing {
        Missing::Workspace => RunOutcome::NoSuchWorkspace,
        Missing::App => RunOutcome::NoSuchApp,
        Missing::Agent => RunOutcome::NoSuchAgent,
        Missing::Damaged(reason) => RunOutcome::IncompatibleCode(reason),
    }
}

async fn run_agent(
    server: &Arc<Server>,
    place: Place,
    run: AgentRun,
    program: Arc<Executable>,
) -> mix_http_api::Response {
    let Some(slot) = server.slots.acquire().await else {
        return run.finish(RunOutcome::Busy);
    };
    let request = RunRequest {
        environment: environment::of_request(
            &place,
            &run,
            &server.base_url,
            server.environment.clone(),
        ),
        place,
        agent: run.agent.clone(),
        params: run.params.clone(),
        program,
        user: "anonymous".to_owned(),
        timeout: Duration::from_millis(run.timeout_ms),
        memory: server.agent_memory,
        allowed: None,
    };
    let assembly = server.assembly.clone();
    let running = async move {
        let _slot = slot;
        run::run(&assembly, request).await
    };
    let outcome = if run.cancel_on_disconnect {
        // Dropped with the connection.
        running.await
    } else {
        match tokio::spawn(running).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Broken(error.to_string()),
        }
    };
    let outcome = translate(outcome, &run);
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

async fn call_family(
    server: &Arc<Server>,
    place: Place,
    call: FamilyCall,
) -> mix_http_api::Response {
    let Some(_slot) = server.calls.acquire().await else {
        return call.refuse(ApiError::new(503, "busy", "too many calls of records wait"));
    };
    let missing = || CallFailure {
        code: "ERR_FFI_MISSING".to_owned(),
        message: format!("no plugin offers {}", call.function),
        detail: None,
    };
    let Some(target) = server.assembly.find(call.function) else {
        return call.finish(Err(missing()));
    };
    let Ok(args) = msgpack::encode(&call.args) else {
        return call.refuse(ApiError::new(
            400,
            "bad_value",
            "the request has a value that cannot be stored",
        ));
    };
    let who = run::caller(&place, "", "anonymous", Some(server.query_timeout));
    let context = RunContext::new(server.assembly.clone(), place, who, None);
    let started =
        tokio::time::timeout(server.query_timeout, context.start_target(target, args)).await;
    let result = match started {
        Err(_) => Err(CallFailure {
            code: "ERR_TIMEOUT".to_owned(),
            message: "the record store did not answer in time".to_owned(),
            detail: None,
        }),
        Ok(Err(failure)) => Err(call_failure(failure)),
        Ok(Ok(HostReply::One(bytes))) => {
            msgpack::decode(&bytes).map_err(|error| internal(&call, &error.to_string()))
        }
        Ok(Ok(HostReply::Many(_))) => Err(internal(&call, "a stream instead of a value")),
    };
    if let Err(failure) = &result {
        tracing::debug!(request = %call.request_id, code = %failure.code, "{}", failure.message);
    }
    call.finish(result)
}

fn call_failure(failure: Failure) -> CallFailure {
    CallFailure {
        code: failure.code,
        message: failure.message,
        detail: failure
            .detail
            .and_then(|bytes| msgpack::decode(&bytes).ok()),
    }
}

fn internal(call: &FamilyCall, reason: &str) -> CallFailure {
    tracing::error!(request = %call.request_id, function = call.function, reason, "unusable reply");
    CallFailure {
        code: "ERR_INTERNAL".to_owned(),
        message: "unusable reply".to_owned(),
        detail: None,
    }
}
