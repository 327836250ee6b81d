//! Agents as tools: the Model Context Protocol over HTTP and for a program that started this one.
//!
//! What messages mean is `mix-mcp`'s; here are the conversations, which tools a caller has, and
//! the runs.

mod conversations;
mod running;

pub use conversations::Conversations;

use super::activity::{Draft, Via};
use super::handler::random_text;
use super::identity::Admitted;
use super::manage::{may, visible_apps};
use super::records::Database;
use super::registered;
use super::runs;
use super::{Options, Server};
use futures::future::BoxFuture;
use mix_http_api::{Access, AgentRun, ApiError, Done, Managed, RunOutcome};
use mix_identity::{Permission, Target};
use mix_mcp::message::{self, Incoming};
use mix_mcp::tools::{self, Tool};
use mix_mcp::{Call, Session, Step, outcome, schema};
use mix_runtime::assembly::Assembly;
use mix_runtime::workspace::Place;
use mix_value::{Map, Value, escjson};
use running::{Refused, Running};
use std::sync::{Arc, Mutex, PoisonError};

/// App whose agent may decide which tools there are, and the agent.
const DESKTOP: (&str, &str) = ("_rmx_desktop", "list_mcp_tools");

/// One client: what was agreed on, and what it has running.
#[derive(Default)]
pub struct Conversation {
    session: Mutex<Session>,
    running: Running,
}

/// Where and for whom tools are.
struct Scope<'a> {
    server: &'a Arc<Server>,
    who: &'a Admitted,
    ws: &'a str,
    /// The only app whose tools count.
    app: Option<&'a str>,
    request_id: &'a str,
}

/// Answers a message over HTTP.
pub async fn answer(
    server: &Arc<Server>,
    who: &Admitted,
    managed: &Managed,
    session: Option<&str>,
    version: Option<&str>,
    app: Option<&str>,
    text: &[u8],
) -> Result<Done, ApiError> {
    let user = who.principal();
    let done = |status, session, text| {
        Ok(Done::Message {
            status,
            session,
            text,
        })
    };
    let incoming = match message::parse(text) {
        Ok(incoming) => incoming,
        Err(text) => return done(200, None, text),
    };
    let begins = matches!(&incoming, Incoming::Request { method, .. } if method == "initialize");
    // What is spoken is agreed on by the first message, whatever its header says.
    let unknown = version.filter(|version| !begins && !mix_mcp::is_spoken(version));
    if unknown.is_some() {
        let known = mix_mcp::spoken();
        return Err(ApiError::bad_param(format!(
            "Mcp-Protocol-Version names a version of the protocol that is not spoken here: {known}"
        )));
    }
    let (begun, conversation) = match session {
        _ if begins => {
            let (id, conversation) = server.conversations.begin(&user);
            (Some(id), conversation)
        }
        None => (None, Arc::default()),
        Some(id) => match server.conversations.find(id, &user) {
            Some(conversation) => (None, conversation),
            // Clients begin anew when they read this status.
            None => {
                let what = "this conversation is over: send initialize";
                let text = message::error(&id_of(&incoming), message::NOT_INITIALIZED, what);
                return done(404, None, text);
            }
        },
    };
    let scope = Scope {
        server,
        who,
        ws: &managed.route.ws,
        app,
        request_id: &managed.request_id,
    };
    match conversation.take(&scope, incoming).await {
        Some(text) => done(200, begun, text),
        None => done(202, begun, String::new()),
    }
}

fn id_of(incoming: &Incoming) -> serde_json::Value {
    match incoming {
        Incoming::Request { id, .. } => id.clone(),
        _ => serde_json::Value::Null,
    }
}

impl Conversation {
    /// Does what a message asks; the answer, if it has one.
    async fn take(&self, scope: &Scope<'_>, incoming: Incoming) -> Option<String> {
        let step = {
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            session.step(incoming, &scope.server.settings.version)
        };
        match step {
            Step::Nothing => None,
            Step::Reply(text) => Some(text),
            Step::Cancel(id) => {
                self.running.stop(&id);
                None
            }
            Step::List(id, cursor) => Some(match scope.listed().await {
                Err(error) => message::error(&id, message::INTERNAL, &error.message),
                Ok(tools) => match tools::page(&tools, cursor.as_deref()) {
                    Some(page) => message::result(&id, page),
                    None => message::error(&id, message::INVALID_PARAMS, "no such cursor"),
                },
            }),
            Step::Call(call) => self.call(scope, call).await,
        }
    }

    /// `None` if the client has taken the request back.
    async fn call(&self, scope: &Scope<'_>, call: Call) -> Option<String> {
        let mut place = match self.running.begin(&call.id) {
            Ok(place) => place,
            Err(Refused::Busy) => {
                let failure = outcome::failure("busy", "too many calls at once");
                return Some(message::result(&call.id, failure));
            }
            Err(Refused::SameId) => {
                let what = "a call with this id is still running";
                return Some(message::error(&call.id, message::INVALID_REQUEST, what));
            }
        };
        tokio::select! {
            result = scope.call(&call) => Some(match result {
                Ok(result) => message::result(&call.id, result),
                Err(refusal) => message::error(&call.id, message::INVALID_PARAMS, &refusal),
            }),
            () = place.stopped() => None,
        }
    }
}

impl Scope<'_> {
    /// All tools that apps offer which the caller sees, and what was left out of them.
    async fn offered(&self) -> Result<(Vec<Tool>, Vec<String>), ApiError> {
        let described = match self.decided().await? {
            Some(described) => described,
            None => self.recorded().await?,
        };
        let described = described.into_iter().map(|one| self.completed(one));
        let (mut tools, warnings) = tools::discover(described.collect());
        tools.retain(|tool| self.app.is_none_or(|app| tool.app == app));
        Ok((tools, warnings))
    }

    /// A tool that does not say what it takes or does takes and does what its agent says.
    fn completed(
        &self,
        (app, mut described): (String, serde_json::Value),
    ) -> (String, serde_json::Value) {
        let is_open = |member: &str| described[member].is_null();
        if described.is_object() && (is_open("inputSchema") || is_open("description")) {
            let of = described["app"].as_str().unwrap_or(&app);
            let place = Place::new(&self.server.ws_dir, self.ws, of);
            let agent = described["agent"].as_str();
            let program = place
                .ok()
                .zip(agent)
                .and_then(|(place, agent)| self.server.programs.find(&place, agent).ok());
            if let (Some(program), Some(agent)) = (program, agent)
                && let Some(schema) = program.input_schema(agent)
            {
                let text = serde_json::json!(program.description(agent));
                for (member, found) in [("inputSchema", schema.clone()), ("description", text)] {
                    if described[member].is_null() {
                        described[member] = found;
                    }
                }
            }
        }
        (app, described)
    }

    /// Those that the caller may run.
    async fn listed(&self) -> Result<Vec<Tool>, ApiError> {
        let (tools, warnings) = self.offered().await?;
        for warning in warnings {
            tracing::warn!(workspace = %self.ws, "{warning}");
        }
        let mut listed = Vec::new();
        for tool in tools {
            if self.may_run(&tool.app, &tool.agent).await? {
                listed.push(tool);
            }
        }
        Ok(listed)
    }

    async fn may_run(&self, app: &str, agent: &str) -> Result<bool, ApiError> {
        let target = Target::Agent(app.to_owned(), agent.to_owned());
        may(self.server, self.who, self.ws, Permission::Run, &target).await
    }

    /// What the agent says that decides about tools; `None` without one.
    async fn decided(&self) -> Result<Option<Vec<(String, serde_json::Value)>>, ApiError> {
        let (app, agent) = DESKTOP;
        let Ok(place) = Place::new(&self.server.ws_dir, self.ws, app) else {
            return Ok(None);
        };
        if self.server.programs.find(&place, agent).is_err() {
            return Ok(None);
        }
        if !self.may_run(app, agent).await? {
            return Ok(Some(Vec::new()));
        }
        let wrong = |why: &str| {
            tracing::warn!(workspace = %self.ws, "agent {app}/{agent} {why}: there are no tools");
            Ok(Some(Vec::new()))
        };
        match self.run(app, agent, Map::new()).await? {
            RunOutcome::Output(Value::Map(mut output)) => match output.remove("tools") {
                Some(Value::Array(tools)) => Ok(Some(
                    tools
                        .iter()
                        .filter_map(|tool| Some((app.to_owned(), json(tool)?)))
                        .collect(),
                )),
                _ => wrong("gives no tools"),
            },
            RunOutcome::Output(_) => wrong("gives no map"),
            failed => match failed.error(agent) {
                Some(error) => wrong(&format!("fails: {}", error.message)),
                None => wrong("fails"),
            },
        }
    }

    /// The records that describe tools, of all apps that the caller sees.
    async fn recorded(&self) -> Result<Vec<(String, serde_json::Value)>, ApiError> {
        let mut described = Vec::new();
        for app in visible_apps(self.server, self.who, self.ws).await? {
            let place = Place::new(&self.server.ws_dir, self.ws, &app)
                .map_err(|_| ApiError::bad_name("app"))?;
            if !registered::has_records(&place) {
                continue;
            }
            let query = format!(
                "_rmx_type == \"mcp_tool\" | orderAsc(name) | limit({}) | {{name, description, inputSchema, agent, app}}",
                tools::MAX_TOOLS
            );
            let rows = Database::new(self.server, place)
                .query(&query, Map::new())
                .await?;
            let tools = rows.into_iter().filter_map(|row| json(&Value::Map(row)));
            described.extend(tools.map(|tool| (app.clone(), tool)));
        }
        Ok(described)
    }

    /// The result of a call; the error is a protocol error about its parameters.
    async fn call(&self, call: &Call) -> Result<serde_json::Value, String> {
        let failed = |error: ApiError| outcome::failure(error.code, &error.message);
        let (tools, _) = match self.offered().await {
            Ok(offered) => offered,
            Err(error) => return Ok(failed(error)),
        };
        let Some(tool) = tools.iter().find(|tool| tool.name == call.name) else {
            return Err(format!("there is no tool {}", call.name));
        };
        schema::check(&tool.input_schema, &call.arguments)
            .map_err(|misfit| format!("{} {}", misfit.place, misfit.wanted))?;
        let text = serde_json::Value::Object(call.arguments.clone()).to_string();
        let params = match escjson::parse_plain(&text) {
            Ok(Value::Map(params)) => params,
            Ok(_) => return Err("arguments must be an object".to_owned()),
            Err(error) => return Err(format!("arguments: {error}")),
        };
        match self.may_run(&tool.app, &tool.agent).await {
            Ok(true) => {}
            Ok(false) => {
                let what = format!("this needs run on agent/{}/{}", tool.app, tool.agent);
                return Ok(outcome::failure("forbidden", &what));
            }
            Err(error) => return Ok(failed(error)),
        }
        let run = match self.run(&tool.app, &tool.agent, params).await {
            Ok(run) => run,
            Err(error) => return Ok(failed(error)),
        };
        if let RunOutcome::Failed { code, message, .. } = &run {
            return Ok(outcome::failure(code, message));
        }
        if let Some(error) = run.error(&tool.agent) {
            return Ok(failed(error));
        }
        let RunOutcome::Output(output) = run else {
            return Ok(failed(ApiError::internal()));
        };
        Ok(match escjson::format(&output) {
            Ok(text) if text.len() as u64 > self.server.settings.body_limit => {
                outcome::failure("output_too_large", "the output is too large")
            }
            Ok(text) => outcome::output(text),
            Err(error) => outcome::failure("not_json", &error.to_string()),
        })
    }

    async fn run(&self, app: &str, agent: &str, params: Map) -> Result<RunOutcome, ApiError> {
        let place =
            Place::new(&self.server.ws_dir, self.ws, app).map_err(|_| ApiError::bad_name("app"))?;
        let names = (self.ws, app, agent);
        let run = AgentRun::for_tool(&self.server.settings, names, params, self.request_id)?;
        let draft = Draft::of_run(self.server, self.who, names, Via::Mcp, self.request_id);
        runs::outcome(self.server, place, self.who, run, draft).await
    }
}

/// A value without tags.
fn json(value: &Value) -> Option<serde_json::Value> {
    serde_json::from_str(&escjson::format_plain(value).ok()?).ok()
}

/// One conversation on a folder of workspaces, without a server in between: the one who started
/// this program may do everything.
pub struct Local {
    server: Arc<Server>,
    who: Admitted,
    ws: String,
    app: Option<String>,
    conversation: Conversation,
}

impl Local {
    /// The tools of a workspace, of one app if it is named.
    pub fn new(
        assembly: Arc<Assembly>,
        mut options: Options,
        ws: String,
        app: Option<String>,
    ) -> Local {
        options.settings.access = Access::Open { records: true };
        Local {
            server: Server::new(assembly, options, "mixer:".to_owned(), None),
            who: Admitted::anonymous(true),
            ws,
            app,
            conversation: Conversation::default(),
        }
    }

    /// Takes a message; the answer, if it has one. Calls may overlap. Boxed so that what runs
    /// agents is compiled with this crate, once.
    pub fn take<'a>(&'a self, text: &'a [u8]) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            let incoming = match message::parse(text) {
                Ok(incoming) => incoming,
                Err(text) => return Some(text),
            };
            let request_id = random_text(22);
            let scope = Scope {
                server: &self.server,
                who: &self.who,
                ws: &self.ws,
                app: self.app.as_deref(),
                request_id: &request_id,
            };
            self.conversation.take(&scope, incoming).await
        })
    }

    /// Makes records durable, at the end.
    pub async fn close(&self) {
        self.server.assembly.flush().await;
    }
}
