//! From a request to what has to be done.

use crate::access::{self, Access, Need};
use crate::body;
use crate::cors;
use crate::error::ApiError;
use crate::head::{Head, without_port};
use crate::manage::{self, Managed};
use crate::manage::{files, packages};
use crate::openapi;
use crate::records::{self, Endpoint, FamilyCall};
use crate::response::{Frame, JSON, Response, TEXT};
use crate::route::{self, Action, Route};
use crate::run::{self, AgentRun};
use mix_value::escjson::write_string;
use std::sync::Arc;

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
    /// Largest package.
    pub package_limit: u64,
    /// Run time without `timeout`.
    pub agent_timeout_ms: u64,
    /// Greatest run time.
    pub agent_timeout_max_ms: u64,
    /// Run time of an asynchronous run without `timeout`.
    pub postpone_timeout_ms: u64,
    /// Greatest run time of an asynchronous run.
    pub postpone_timeout_max_ms: u64,
    /// Allowed origins; `*` is any.
    pub cors_origins: Vec<String>,
    /// Origin at which only files of apps are served, if they have one of their own.
    pub files_origin: Option<String>,
    /// Host names accepted; `None`: all (not listening on loopback).
    pub allowed_hosts: Option<Vec<String>>,
    /// The only workspace, if there is only one.
    pub only_workspace: Option<String>,
    /// Who may do what.
    pub access: Access,
    /// Who sees the description of the interface.
    pub docs: Docs,
}

/// Who sees the description of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Docs {
    /// Everybody.
    Public,
    /// Callers with a token.
    Auth,
    /// Nobody.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: "0".to_owned(),
            body_limit: 32 << 20,
            params_limit: 1 << 20,
            package_limit: 512 << 20,
            agent_timeout_ms: 60_000,
            agent_timeout_max_ms: 300_000,
            postpone_timeout_ms: 60_000,
            postpone_timeout_max_ms: 3_600_000,
            cors_origins: vec!["*".to_owned()],
            files_origin: None,
            allowed_hosts: None,
            only_workspace: None,
            access: Access::Open { records: true },
            docs: Docs::Public,
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
    /// Stable code of what is wrong with writing to the disk, if something is.
    pub disk_trouble: Option<&'static str>,
    /// Entries of activity logs that could not be written.
    pub activity_drops: u64,
    /// Stable code of what is wrong with the keys of the identity services, if something is.
    pub key_trouble: Option<&'static str>,
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
    /// Do something that is the server's own.
    Manage(Box<Managed>),
}

/// A request that is fine so far.
#[derive(Debug)]
pub struct NeedsBody {
    /// Route, for logs and for checks of existence before the body is read.
    pub route: Route,
    /// Token of the caller, not yet verified.
    pub token: Option<String>,
    /// What has to be allowed; nothing is left to be asked where nobody is known.
    pub need: Need,
    /// Most bytes to read; one more is `body_too_large`.
    pub limit: u64,
    head: Head,
    frame: Frame,
    settings: Arc<Settings>,
    task: Result<Task, ApiError>,
}

#[derive(Debug)]
enum Task {
    Reply(Response),
    Run(run::Prepared),
    Records(records::Prepared),
    Manage(manage::Prepared),
}

/// Judges the head of a request.
pub fn plan(settings: &Arc<Settings>, head: Head, facts: &Facts) -> Plan {
    let mut frame = Frame::new(settings, &head, facts);
    if cors::is_preflight(&head) {
        return Plan::Reply(frame.respond(204, TEXT, Vec::new()));
    }
    match judge(settings, &head, facts, &mut frame) {
        Err(error) => Plan::Reply(frame.error(error)),
        Ok(judged) => {
            let judged_action = judged.route.action;
            Plan::Body(Box::new(NeedsBody {
                route: judged.route,
                token: judged.token,
                need: judged.need,
                limit: limit_of(settings, judged_action, &head),
                head,
                frame,
                settings: settings.clone(),
                task: judged.task,
            }))
        }
    }
}

struct Judged {
    route: Route,
    token: Option<String>,
    need: Need,
    task: Result<Task, ApiError>,
}

/// Order: path and names, size, token, permission; existence and body follow in the driver.
fn judge(
    settings: &Settings,
    head: &Head,
    facts: &Facts,
    frame: &mut Frame,
) -> Result<Judged, ApiError> {
    if !frame.on_files_origin {
        check_host(settings, head)?;
    }
    // Refusals say it too.
    frame.deprecated = route::is_v0(head.path());
    let route = route::find(head.routed_method(), head.path())?;
    if frame.on_files_origin && route.action != Action::GetFile {
        return Err(route::no_such_route());
    }
    body::check_transfer(head)?;
    check_length(settings, route.action, head)?;
    let token = access::token(head)?;
    let need = match (route.action, settings.docs) {
        (Action::OpenApi | Action::Swagger, Docs::Auth) => Need::Token,
        (Action::OpenApi | Action::Swagger, Docs::Off) => return Err(route::no_such_route()),
        (Action::Import, _) => Need::CreateOrOwn(packages::import_name(head)?),
        _ => Need::of(&route),
    };
    if let Access::Open { records } = settings.access {
        access::judge_open(settings, head, token.as_deref(), &need, records)?;
    }
    check_workspace(settings, &route)?;
    // Told after token, permission and existence only.
    let task = task(settings, head, facts, frame, &route);
    Ok(Judged {
        route,
        token,
        need,
        task,
    })
}

/// What the driver has to do, and what of the head it has to know.
fn task(
    settings: &Settings,
    head: &Head,
    facts: &Facts,
    frame: &Frame,
    route: &Route,
) -> Result<Task, ApiError> {
    let records = |endpoint| records::prepare(endpoint, head).map(Task::Records);
    if route.action != Action::RunAgent {
        body::check_coding(head)?;
    }
    match route.action {
        Action::Root => {
            let text = format!("mixer {} (build {})\n", settings.version, settings.build);
            Ok(Task::Reply(frame.respond(200, TEXT, text.into_bytes())))
        }
        Action::Health => Ok(Task::Reply(health(settings, facts, frame))),
        Action::OpenApi => {
            let text = openapi::document(settings);
            Ok(Task::Reply(frame.json_text(200, text)))
        }
        // The page names its files relative to this path.
        Action::Swagger if route.path.is_empty() && !head.path().ends_with('/') => {
            let mut reply = frame.respond(308, TEXT, Vec::new());
            reply.headers.push(("location", "swagger/".to_owned()));
            Ok(Task::Reply(reply))
        }
        Action::Ready => Ok(Task::Reply(ready(facts, frame))),
        Action::RunAgent | Action::RunQuery => run::prepare(settings, head).map(Task::Run),
        Action::PostDocuments => records(Endpoint::PostDocuments),
        Action::DeleteDocuments => records(Endpoint::DeleteDocuments),
        Action::GetDocument => records(Endpoint::GetDocument(route.id.clone())),
        Action::DeleteDocument => records(Endpoint::DeleteDocument(route.id.clone())),
        Action::Save => records(Endpoint::Save),
        Action::Query => records(Endpoint::Query),
        Action::ParseQuery => records(Endpoint::Parse),
        _ => manage::prepare(settings, route, head).map(Task::Manage),
    }
}

fn check_host(settings: &Settings, head: &Head) -> Result<(), ApiError> {
    if head.header_count("host") > 1 {
        // A proxy in front of the server may have gone by the other one.
        return Err(ApiError::new(
            421,
            "bad_host",
            "the request names more than one host",
        ));
    }
    let Some(allowed) = &settings.allowed_hosts else {
        return Ok(());
    };
    if allowed.contains(&without_port(head.host())) {
        return Ok(());
    }
    Err(ApiError::new(
        421,
        "bad_host",
        "this server is not known under that host name",
    ))
}

/// Most bytes of a body.
fn limit_of(settings: &Settings, action: Action, head: &Head) -> u64 {
    if is_file(action, head) {
        settings.package_limit
    } else {
        settings.body_limit
    }
}

/// Bodies that are too large for memory. A package may also be named by its address, in a small one.
fn is_file(action: Action, head: &Head) -> bool {
    match action {
        Action::Upload => true,
        Action::Install | Action::Import => !packages::is_address(head),
        _ => false,
    }
}

fn too_large(settings: &Settings, action: Action, head: &Head) -> ApiError {
    let limit = limit_of(settings, action, head);
    if is_file(action, head) && action != Action::Upload {
        let message = format!("the package is larger than {limit} bytes");
        return ApiError::new(413, "package_too_large", message);
    }
    ApiError::body_too_large(limit)
}

fn check_length(settings: &Settings, action: Action, head: &Head) -> Result<(), ApiError> {
    let Some(text) = head.header("content-length") else {
        return Ok(());
    };
    match text.parse::<u64>() {
        Ok(length) if length <= limit_of(settings, action, head) => Ok(()),
        // More digits than fit are too many bytes as well.
        _ => Err(too_large(settings, action, head)),
    }
}

/// A composed component has one workspace, and what is the server's own is not there.
fn check_workspace(settings: &Settings, route: &Route) -> Result<(), ApiError> {
    let Some(only) = &settings.only_workspace else {
        return Ok(());
    };
    if !is_offered(settings, route.action) {
        return Err(ApiError::new(
            404,
            "no_such_route",
            "this component has no such path",
        ));
    }
    if !route.ws.is_empty() && *only != route.ws {
        return Err(ApiError::new(404, "no_such_ws", "no such workspace"));
    }
    Ok(())
}

/// False for what is the server's own, where there is only a component.
pub(crate) fn is_offered(settings: &Settings, action: Action) -> bool {
    settings.only_workspace.is_none()
        || matches!(
            action,
            Action::Root
                | Action::Health
                | Action::OpenApi
                | Action::DescribeAgent
                | Action::RunAgent
                | Action::RunQuery
                | Action::PostDocuments
                | Action::DeleteDocuments
                | Action::GetDocument
                | Action::DeleteDocument
                | Action::Save
                | Action::Query
                | Action::ParseQuery
                | Action::GetFile
                | Action::GetContent
                | Action::PutContent
                | Action::PostContent
                | Action::DeleteContent
                | Action::GetProps
                | Action::PatchProps
                | Action::CopyFile
        )
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
    let drops = facts.activity_drops;
    let troubles = [facts.trouble, facts.key_trouble, facts.disk_trouble];
    if troubles.iter().all(Option::is_none) {
        let text = format!("{{\"status\":\"ok\",\"activityDrops\":{drops}}}");
        return frame.json_text(200, text);
    }
    let mut text = String::from("{\"status\":\"degraded\",\"checks\":{\"wsDir\":");
    write_string(&mut text, facts.trouble.unwrap_or("ok"));
    text.push_str(",\"jwks\":");
    write_string(&mut text, facts.key_trouble.unwrap_or("ok"));
    text.push_str(",\"disk\":");
    write_string(&mut text, facts.disk_trouble.unwrap_or("ok"));
    text.push_str(&format!("}},\"activityDrops\":{drops}}}"));
    frame.respond(503, JSON, text.into_bytes())
}

impl NeedsBody {
    /// The request id, for logs.
    pub fn request_id(&self) -> &str {
        &self.frame.request_id
    }

    /// A header of the request, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The response for a failure found by the driver.
    pub fn refuse(&self, error: ApiError) -> Response {
        self.frame.error(error)
    }

    /// The response when the body has more than `limit` bytes.
    pub fn too_large(&self) -> Response {
        self.frame
            .error(too_large(&self.settings, self.route.action, &self.head))
    }

    /// True if the body is to be kept in a file: [`NeedsBody::with_body`] is told none then.
    pub fn is_spooled(&self) -> bool {
        is_file(self.route.action, &self.head)
    }

    /// Expiry and signature of the address of a file, if it has them.
    pub fn signature(&self) -> Option<(String, String)> {
        files::signature(&self.head)
    }

    /// What is wrong with the head apart from token, permission and existence: no body is needed to tell.
    pub fn flaw(&self) -> Option<Response> {
        let error = self.task.as_ref().err()?;
        Some(self.frame.error(error.clone()))
    }

    /// Goes on with the whole body.
    pub fn with_body(self, body: &[u8]) -> Step {
        if body.len() as u64 > self.limit {
            return Step::Reply(self.too_large());
        }
        let frame = self.frame.clone();
        let route = self.route;
        let task = match self.task {
            Ok(task) => task,
            Err(error) => return Step::Reply(frame.error(error)),
        };
        let made = match task {
            Task::Reply(response) => return Step::Reply(response),
            Task::Run(prepared) => run::with_body(
                &self.settings,
                &self.head,
                self.frame,
                (route.ws, route.app, route.name),
                prepared,
                body,
            )
            .map(|run| Step::Run(Box::new(run))),
            Task::Records(prepared) => records::with_body(
                &self.settings,
                &self.head,
                self.frame,
                (route.ws, route.app),
                prepared,
                body,
            )
            .map(|call| Step::Call(Box::new(call))),
            Task::Manage(prepared) => manage::with_body(
                &self.settings,
                &self.head,
                self.frame,
                route,
                prepared,
                body,
            )
            .map(|managed| Step::Manage(Box::new(managed))),
        };
        made.unwrap_or_else(|error| Step::Reply(frame.error(error)))
    }
}

/// The response for a failure found before there was a plan.
pub fn refuse(settings: &Settings, facts: &Facts, error: ApiError) -> Response {
    Frame::new(settings, &Head::default(), facts).error(error)
}
