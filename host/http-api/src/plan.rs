//! From a request to what has to be done.

use crate::cors;
use crate::error::ApiError;
use crate::head::Head;
use crate::records::{self, Endpoint, FamilyCall};
use crate::response::{Frame, JSON, Response, TEXT};
use crate::route::{self, Permission, Route};
use crate::run::{self, AgentRun};
use mix_value::escjson::write_string;

/// What the operator configured, as far as answers depend on it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Program version.
    pub version: String,
    /// Build number.
    pub build: String,
    /// Largest request body and largest response.
    pub body_limit: u64,
    /// Largest agent parameters.
    pub params_limit: u64,
    /// Run time without `timeout`.
    pub agent_timeout_ms: u64,
    /// Greatest run time.
    pub agent_timeout_max_ms: u64,
    /// Allowed origins; `*` is any.
    pub cors_origins: Vec<String>,
    /// Host names accepted; `None`: all (not listening on loopback).
    pub allowed_hosts: Option<Vec<String>>,
    /// The only workspace, if there is only one.
    pub only_workspace: Option<String>,
    /// True: records are open to callers without identity. False: only agents are.
    pub open_records: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: "0".to_owned(),
            body_limit: 32 << 20,
            params_limit: 1 << 20,
            agent_timeout_ms: 60_000,
            agent_timeout_max_ms: 300_000,
            cors_origins: vec!["*".to_owned()],
            allowed_hosts: None,
            only_workspace: None,
            open_records: true,
        }
    }
}

/// What the driver knows and this crate cannot.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Fresh random id, used unless the caller sent one.
    pub request_id: String,
    /// Seconds since start.
    pub uptime_seconds: u64,
    /// Stable code of what is wrong with the folder of workspaces, if something is.
    pub trouble: Option<&'static str>,
}

/// What to do after the head.
#[derive(Debug)]
pub enum Plan {
    /// Send this.
    Reply(Response),
    /// Read the body and go on.
    Body(Box<NeedsBody>),
}

/// What to do after the body.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Reply(Response),
    /// Run an agent.
    Run(Box<AgentRun>),
    /// Call the record store.
    Call(Box<FamilyCall>),
}

/// A request that is fine so far.
#[derive(Debug)]
pub struct NeedsBody {
    /// Route, for logs and for checks of existence before the body is read.
    pub route: Route,
    /// Most bytes to read; one more is `body_too_large`.
    pub limit: u64,
    head: Head,
    frame: Frame,
    settings: Settings,
    task: Task,
}

#[derive(Debug)]
enum Task {
    Run((String, String, String), run::Prepared),
    Records((String, String), records::Prepared),
}

/// Judges the head of a request.
pub fn plan(settings: &Settings, head: Head, facts: &Facts) -> Plan {
    let mut frame = Frame::new(settings, &head, facts);
    if cors::is_preflight(&head) {
        return Plan::Reply(frame.respond(204, TEXT, Vec::new()));
    }
    match judge(settings, &head, facts, &mut frame) {
        Ok(Judged::Reply(response)) => Plan::Reply(response),
        Err(error) => Plan::Reply(frame.error(error)),
        Ok(Judged::Task(route, task)) => Plan::Body(Box::new(NeedsBody {
            route,
            limit: settings.body_limit,
            head,
            frame,
            settings: settings.clone(),
            task,
        })),
    }
}

enum Judged {
    Reply(Response),
    Task(Route, Task),
}

/// Order: path and names, size, token, permission; existence and body follow in the driver.
fn judge(
    settings: &Settings,
    head: &Head,
    facts: &Facts,
    frame: &mut Frame,
) -> Result<Judged, ApiError> {
    check_host(settings, head)?;
    let found = route::find(head.path())?;
    frame.deprecated = found.v0;
    let method = head.routed_method();
    if !found.route.methods().contains(&method) {
        let mut allow: Vec<&str> = found.route.methods().to_vec();
        if allow.contains(&"GET") {
            allow.insert(1, "HEAD");
        }
        let mut error = ApiError::new(
            405,
            "method_not_allowed",
            format!("this resource has no {}", head.method),
        );
        error.headers.push(("allow", allow.join(", ")));
        return Err(error);
    }
    check_length(settings, head)?;
    check_token(head)?;
    check_permission(settings, &found.route, method)?;
    let task = match found.route.clone() {
        Route::Root => {
            let text = format!("mixer {} (build {})\n", settings.version, settings.build);
            return Ok(Judged::Reply(frame.respond(200, TEXT, text.into_bytes())));
        }
        Route::Health => return Ok(Judged::Reply(health(settings, facts, frame))),
        Route::Ready => return Ok(Judged::Reply(ready(facts, frame))),
        Route::Agent { ws, app, agent, .. } => {
            check_workspace(settings, &ws)?;
            Task::Run((ws, app, agent), run::prepare(settings, head)?)
        }
        Route::Documents { ws, app } => {
            let endpoint = if method == "DELETE" {
                Endpoint::DeleteDocuments
            } else {
                Endpoint::PostDocuments
            };
            records_task(settings, head, (ws, app), endpoint)?
        }
        Route::Document { ws, app, id } => {
            let endpoint = if method == "DELETE" {
                Endpoint::DeleteDocument(id)
            } else {
                Endpoint::GetDocument(id)
            };
            records_task(settings, head, (ws, app), endpoint)?
        }
        Route::Save { ws, app } => records_task(settings, head, (ws, app), Endpoint::Save)?,
        Route::Query { ws, app } => records_task(settings, head, (ws, app), Endpoint::Query)?,
        Route::QueryParse { ws, app } => records_task(settings, head, (ws, app), Endpoint::Parse)?,
    };
    Ok(Judged::Task(found.route, task))
}

fn records_task(
    settings: &Settings,
    head: &Head,
    place: (String, String),
    endpoint: Endpoint,
) -> Result<Task, ApiError> {
    check_workspace(settings, &place.0)?;
    Ok(Task::Records(place, records::prepare(endpoint, head)?))
}

fn check_host(settings: &Settings, head: &Head) -> Result<(), ApiError> {
    let Some(allowed) = &settings.allowed_hosts else {
        return Ok(());
    };
    let host = head
        .authority
        .as_deref()
        .or(head.header("host"))
        .unwrap_or("");
    let name = match host.strip_prefix('[') {
        Some(rest) => format!("[{}]", rest.split(']').next().unwrap_or("")),
        None => host.split(':').next().unwrap_or("").to_ascii_lowercase(),
    };
    if allowed.contains(&name) {
        return Ok(());
    }
    Err(ApiError::new(
        421,
        "bad_host",
        "this server is not known under that host name",
    ))
}

fn check_length(settings: &Settings, head: &Head) -> Result<(), ApiError> {
    let Some(text) = head.header("content-length") else {
        return Ok(());
    };
    match text.parse::<u64>() {
        Ok(length) if length <= settings.body_limit => Ok(()),
        // More digits than fit are too many bytes as well.
        _ => Err(ApiError::body_too_large(settings.body_limit)),
    }
}

/// No keys are configured, so no token can be verified; one that cannot be verified is never "anonymous".
fn check_token(head: &Head) -> Result<(), ApiError> {
    let in_query = head.routed_method() == "GET"
        && head
            .query()
            .split('&')
            .any(|pair| pair == "token" || pair.starts_with("token="));
    if head.header_count("authorization") > 0 || in_query {
        return Err(ApiError::new(
            401,
            "bad_token",
            "the token cannot be verified: this server has no keys",
        ));
    }
    Ok(())
}

fn check_permission(settings: &Settings, route: &Route, method: &str) -> Result<(), ApiError> {
    match route.permission(method) {
        Permission::None | Permission::Run => Ok(()),
        Permission::Read | Permission::Write if settings.open_records => Ok(()),
        Permission::Read | Permission::Write => Err(ApiError::new(
            401,
            "unauthenticated",
            "records are served on a loopback address only, to programs and to browsers of a named origin",
        )),
    }
}

fn check_workspace(settings: &Settings, ws: &str) -> Result<(), ApiError> {
    match &settings.only_workspace {
        Some(only) if only != ws => Err(ApiError::new(404, "no_such_ws", "no such workspace")),
        _ => Ok(()),
    }
}

fn health(settings: &Settings, facts: &Facts, frame: &Frame) -> Response {
    let mut text = String::from("{\"status\":\"ok\",\"version\":");
    write_string(&mut text, &settings.version);
    text.push_str(",\"build\":");
    write_string(&mut text, &settings.build);
    text.push_str(&format!(",\"uptime\":{}}}", facts.uptime_seconds));
    frame.json_text(200, text)
}

fn ready(facts: &Facts, frame: &Frame) -> Response {
    match facts.trouble {
        None => frame.json_text(200, "{\"status\":\"ok\"}".to_owned()),
        Some(code) => {
            let mut text = String::from("{\"status\":\"degraded\",\"checks\":{\"wsDir\":");
            write_string(&mut text, code);
            text.push_str(",\"jwks\":\"ok\",\"disk\":\"ok\"}}");
            frame.respond(503, JSON, text.into_bytes())
        }
    }
}

impl NeedsBody {
    /// The request id, for logs.
    pub fn request_id(&self) -> &str {
        &self.frame.request_id
    }

    /// The response for a failure found by the driver.
    pub fn refuse(&self, error: ApiError) -> Response {
        self.frame.error(error)
    }

    /// The response when the body has more than `limit` bytes.
    pub fn too_large(&self) -> Response {
        self.frame.error(ApiError::body_too_large(self.limit))
    }

    /// Goes on with the whole body.
    pub fn with_body(self, body: &[u8]) -> Step {
        if body.len() as u64 > self.limit {
            return Step::Reply(self.too_large());
        }
        let frame = self.frame.clone();
        let made = match self.task {
            Task::Run(place, prepared) => run::with_body(
                &self.settings,
                &self.head,
                self.frame,
                place,
                prepared,
                body,
            )
            .map(|run| Step::Run(Box::new(run))),
            Task::Records(place, prepared) => records::with_body(
                &self.settings,
                &self.head,
                self.frame,
                place,
                prepared,
                body,
            )
            .map(|call| Step::Call(Box::new(call))),
        };
        made.unwrap_or_else(|error| Step::Reply(frame.error(error)))
    }
}

/// The response for a failure found before there was a plan.
pub fn refuse(settings: &Settings, facts: &Facts, error: ApiError) -> Response {
    Frame::new(settings, &Head::default(), facts).error(error)
}
