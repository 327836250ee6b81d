//! Runs of agents: what the driver gets and what it gives back.

use crate::body;
use crate::control::{self, Control};
use crate::error::ApiError;
use crate::form::parse_pairs;
use crate::head::Head;
use crate::params;
use crate::plan::{Facts, Settings};
use crate::response::{self, Format, Frame, Response};
use crate::sse::{EVENT_STREAM, event};
use mix_value::{Map, Value, msgpack};
use std::sync::Arc;

/// An agent to be run.
#[derive(Debug, Clone)]
pub struct AgentRun {
    /// Workspace.
    pub workspace: String,
    /// App.
    pub app: String,
    /// Agent.
    pub agent: String,
    /// The parameter map in its wire form.
    pub params: Vec<u8>,
    /// Time for the run, already clamped.
    pub timeout_ms: u64,
    /// True if the caller gets a signal instead of the output. Needs a user.
    pub asynchronous: bool,
    /// True if the caller gets the events of the run as they come.
    pub streamed: bool,
    /// True if the run ends when the caller goes away.
    pub cancel_on_disconnect: bool,
    /// Method, headers (without credentials) and, if asked for, the body: for the environment of the run.
    pub request_method: String,
    /// Lower-case names.
    pub request_headers: Vec<(String, String)>,
    /// Only with `include_raw_body`.
    pub request_body: Option<Vec<u8>>,
    /// The parameters are texts because a query string or a form says nothing else.
    pub has_texts: bool,
    /// Id of the request.
    pub request_id: String,
    shape: Shape,
    frame: Frame,
}

/// How the output is sent.
#[derive(Debug, Clone)]
struct Shape {
    format: Format,
    output_tags: bool,
    field: Option<String>,
    /// Type that a string or binary member is sent in, by `Accept`.
    raw_type: Option<String>,
    /// True if the caller takes JSON too.
    takes_json: bool,
    body_limit: u64,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub enum RunOutcome {
    /// Value of cell `output`.
    Output(Value),
    /// Runtime error of the program: code and message.
    Failed {
        /// `RT_…` or `ERR_…`.
        code: String,
        /// One line.
        message: String,
        /// Module, function and line of each frame, innermost first; empty for callers who may not see it.
        stack: Vec<(String, String, u32)>,
    },
    /// Parameters were rejected before user code ran.
    BadParameters(String),
    /// Time over.
    TimedOut,
    /// Memory over.
    OutOfMemory,
    /// No free slot in time.
    Busy,
    /// No free slot of the workspace in time.
    WorkspaceBusy,
    /// The server is going down.
    ShuttingDown,
    /// The app was deleted while the agent ran.
    Canceled,
    /// No such workspace.
    NoSuchWorkspace,
    /// No such app.
    NoSuchApp,
    /// No such agent.
    NoSuchAgent,
    /// The program is damaged or of another version.
    IncompatibleCode(String),
    /// The program needs a function that no plugin brings.
    MissingFunction(String),
    /// A fault of the server; the cause is logged, not shown.
    Internal,
}

impl RunOutcome {
    /// What an error with that code says of the whole run; none: it is one of the program.
    pub fn of_code(code: &str) -> Option<RunOutcome> {
        match code {
            "RT_TIMEOUT" => Some(RunOutcome::TimedOut),
            "RT_MEMORY" => Some(RunOutcome::OutOfMemory),
            "RT_INTERNAL" => Some(RunOutcome::Internal),
            _ => None,
        }
    }

    /// The failure that the outcome is, `None` for an output.
    pub fn error(&self, agent: &str) -> Option<ApiError> {
        let text = |value: &str| Value::String(Arc::from(value));
        Some(match self {
            RunOutcome::Output(_) => return None,
            RunOutcome::Failed {
                code,
                message,
                stack,
            } => {
                if let Some(outcome) = RunOutcome::of_code(code) {
                    return outcome.error(agent);
                }
                let error = ApiError::new(
                    500,
                    "agent_error",
                    format!("agent {agent} failed: {message}"),
                )
                .with_detail("code", text(code))
                .with_detail("message", text(message));
                if stack.is_empty() {
                    return Some(error);
                }
                let frames = stack.iter().map(|(module, function, line)| {
                    let line = Value::Int(i64::from(*line));
                    Value::Array(vec![text(module), text(function), line])
                });
                error.with_detail("mixStack", Value::Array(frames.collect()))
            }
            RunOutcome::BadParameters(message) => ApiError::new(400, "bad_value", message.clone()),
            RunOutcome::TimedOut => ApiError::new(
                504,
                "agent_timeout",
                format!("agent {agent} ran out of time"),
            ),
            RunOutcome::OutOfMemory => ApiError::new(
                500,
                "agent_memory",
                format!("agent {agent} ran out of memory"),
            ),
            RunOutcome::Busy => ApiError::new(503, "busy", "all run slots are taken; try again")
                .with_detail("limit", text("server")),
            RunOutcome::WorkspaceBusy => ApiError::new(
                503,
                "busy",
                "all run slots of the workspace are taken; try again",
            )
            .with_detail("limit", text("workspace")),
            RunOutcome::ShuttingDown => {
                ApiError::new(503, "shutting_down", "the server is shutting down")
            }
            RunOutcome::Canceled => ApiError::new(
                409,
                "canceled",
                format!("the app was deleted while agent {agent} ran"),
            ),
            RunOutcome::NoSuchWorkspace => ApiError::new(404, "no_such_ws", "no such workspace"),
            RunOutcome::NoSuchApp => ApiError::no_such_app(),
            RunOutcome::NoSuchAgent => ApiError::new(
                404,
                "no_such_agent",
                format!("the app has no agent {agent}"),
            ),
            RunOutcome::IncompatibleCode(message) => {
                ApiError::new(500, "incompatible_code", message.clone())
            }
            RunOutcome::MissingFunction(message) => {
                ApiError::new(500, "missing_function", message.clone())
            }
            RunOutcome::Internal => ApiError::internal(),
        })
    }
}

/// Everything about a run that the head decides.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    control: Control,
    /// Parameters of a GET.
    query: Vec<(String, String)>,
    raw_type: Option<String>,
    takes_json: bool,
    format: Format,
    streamed: bool,
}

/// Checks the query string and `Accept`.
pub(crate) fn prepare(settings: &Settings, head: &Head) -> Result<Prepared, ApiError> {
    params::limit(settings, head.query().len())?;
    let (control, query) = control::take(settings, parse_pairs(head.query())?)?;
    // An agent that takes the bytes as they are may unpack them.
    if !control.include_raw_body {
        body::check_coding(head)?;
    }
    // A binary member is of whatever type the caller knows it to be.
    let named = match control.field {
        Some(_) => response::named_types(head),
        None => Vec::new(),
    };
    let mut offered = vec!["application/json", response::MSGPACK];
    if control.field.is_some() {
        offered.extend(RAW_TYPES);
    }
    if settings.only_workspace.is_none() {
        offered.push(EVENT_STREAM);
    }
    for name in &named {
        if !offered.contains(&name.as_str()) && name != EVENT_STREAM {
            offered.push(name);
        }
    }
    let chosen = response::negotiate(head, &offered).ok_or_else(response::not_acceptable)?;
    let streamed = chosen == EVENT_STREAM;
    if streamed && control.asynchronous {
        return Err(ApiError::bad_param(
            "a run is either asynchronous or a stream of events",
        ));
    }
    Ok(Prepared {
        control,
        query,
        raw_type: (RAW_TYPES.contains(&chosen) || named.iter().any(|name| name == chosen))
            .then(|| chosen.to_owned())
            .filter(|chosen| !VALUE_TYPES.contains(&chosen.as_str())),
        takes_json: response::negotiate(head, &["application/json"]).is_some(),
        format: match chosen {
            response::MSGPACK => Format::MessagePack,
            _ => Format::Json { tags: true },
        },
        streamed,
    })
}

/// Encodings of values.
const VALUE_TYPES: [&str; 3] = ["application/json", response::MSGPACK, EVENT_STREAM];

/// Types that are offered with `field` beside the encodings of values.
const RAW_TYPES: [&str; 4] = [
    TEXT_TYPES[0],
    TEXT_TYPES[1],
    TEXT_TYPES[2],
    "application/octet-stream",
];

/// Those that a text can be sent in.
const TEXT_TYPES: [&str; 3] = ["text/plain", "text/html", "text/javascript"];

/// The run, once the body is there.
pub(crate) fn with_body(
    settings: &Settings,
    head: &Head,
    frame: Frame,
    (workspace, app, agent): (String, String, String),
    prepared: Prepared,
    body: &[u8],
) -> Result<AgentRun, ApiError> {
    let get = head.routed_method() == "GET";
    let control = prepared.control;
    let has_texts = get || params::is_form(head);
    let params = if get {
        params::of_query(prepared.query)
    } else {
        params::of_body(settings, head, &control, body)?
    };
    let params = msgpack::encode(&params)
        .map_err(|error| ApiError::new(400, "bad_value", error.to_string()))?;
    if !control.include_raw_body {
        params::limit(settings, params.len())?;
    }
    let request_headers = head
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "authorization" | "cookie" | "x-rmx-origin"))
        .cloned()
        .collect();
    Ok(AgentRun {
        workspace,
        app,
        agent,
        params,
        timeout_ms: control.timeout_ms,
        asynchronous: control.asynchronous,
        streamed: prepared.streamed,
        cancel_on_disconnect: (get || prepared.streamed) && !control.asynchronous,
        request_method: head.method.clone(),
        request_headers,
        request_body: control.include_raw_body.then(|| body.to_vec()),
        has_texts,
        request_id: frame.request_id.clone(),
        shape: Shape {
            format: prepared.format,
            output_tags: control.output_tags,
            field: control.field,
            raw_type: prepared.raw_type,
            takes_json: prepared.takes_json,
            body_limit: settings.body_limit,
        },
        frame,
    })
}

impl AgentRun {
    /// A run that no request of its own asks for: its output goes into another answer.
    pub fn for_tool(
        settings: &Settings,
        (workspace, app, agent): (&str, &str, &str),
        params: Map,
        request_id: &str,
    ) -> Result<AgentRun, ApiError> {
        let params = msgpack::encode(&Value::Map(params))
            .map_err(|error| ApiError::new(400, "bad_value", error.to_string()))?;
        params::limit(settings, params.len())?;
        let facts = Facts {
            request_id: request_id.to_owned(),
            ..Facts::default()
        };
        Ok(AgentRun {
            workspace: workspace.to_owned(),
            app: app.to_owned(),
            agent: agent.to_owned(),
            params,
            timeout_ms: settings.agent_timeout_ms,
            asynchronous: false,
            streamed: false,
            cancel_on_disconnect: true,
            request_method: "POST".to_owned(),
            request_headers: Vec::new(),
            request_body: None,
            has_texts: false,
            request_id: request_id.to_owned(),
            shape: Shape {
                format: Format::Json { tags: true },
                output_tags: true,
                field: None,
                raw_type: None,
                takes_json: true,
                body_limit: settings.body_limit,
            },
            frame: Frame::new(settings, &Head::default(), &facts),
        })
    }

    /// The response to a finished run.
    pub fn finish(&self, outcome: RunOutcome) -> Response {
        let mut response = match (outcome.error(&self.agent), outcome) {
            (Some(error), _) => self.frame.error(error),
            (None, RunOutcome::Output(value)) => self
                .output(value)
                .unwrap_or_else(|error| self.frame.error(error)),
            (None, _) => self.frame.error(ApiError::internal()),
        };
        response
            .headers
            .push(("x-run-timeout", self.timeout_ms.to_string()));
        response
    }

    /// The head of the response to a run whose events follow.
    pub fn events(&self) -> Response {
        let mut response = self.frame.respond(200, EVENT_STREAM, Vec::new());
        response
            .headers
            .push(("x-run-timeout", self.timeout_ms.to_string()));
        response
    }

    /// The last event: `result` with the output, or `error` with the body of an error.
    pub fn last_event(&self, outcome: RunOutcome) -> String {
        let tags = self.shape.output_tags;
        let text = match (outcome.error(&self.agent), outcome) {
            (None, RunOutcome::Output(value)) => {
                let value = self.select(value);
                self.frame.value(200, &value, Format::Json { tags })
            }
            (error, _) => Err(error.unwrap_or_else(ApiError::internal)),
        };
        let text = text.and_then(|response| {
            if response.body.len() as u64 > self.shape.body_limit {
                return Err(self.too_large());
            }
            String::from_utf8(response.body).map_err(|_| ApiError::internal())
        });
        match text {
            Ok(text) => event("result", None, &text),
            Err(error) => {
                let body = self.frame.error(error).body;
                event("error", None, &String::from_utf8_lossy(&body))
            }
        }
    }

    fn too_large(&self) -> ApiError {
        ApiError::new(
            500,
            "output_too_large",
            format!("the output is larger than {} bytes", self.shape.body_limit),
        )
    }

    /// What the caller wants of the output: all of it, or one member.
    pub fn select(&self, output: Value) -> Value {
        match (&self.shape.field, output) {
            (None, value) => value,
            (Some(field), Value::Map(mut map)) => map.remove(field.as_str()).unwrap_or(Value::Null),
            (Some(_), _) => Value::Null,
        }
    }

    /// The response to an asynchronous run that has begun: where its signal is.
    pub fn begun(&self, id: &str, url: &str) -> Response {
        let text = |text: &str| Value::String(Arc::from(text));
        let member = |name: &str, value| (Arc::from(name), value);
        let signal = Map::from([member("id", text(id)), member("url", text(url))]);
        let body = Value::Map(Map::from([member("signal", Value::Map(signal))]));
        let made = self.frame.value(202, &body, self.shape.format);
        let mut response = made.unwrap_or_else(|error| self.frame.error(error));
        response.headers.push(("location", url.to_owned()));
        response
            .headers
            .push(("x-run-timeout", self.timeout_ms.to_string()));
        response
    }

    fn output(&self, value: Value) -> Result<Response, ApiError> {
        let value = self.select(value);
        let response = match (&value, self.shape.raw_type.as_deref()) {
            (Value::String(text), Some(media_type)) if TEXT_TYPES.contains(&media_type) => {
                self.raw(media_type, text.as_bytes().to_vec())
            }
            (Value::Binary(bytes), Some(media_type)) => self.raw(media_type, bytes.to_vec()),
            (_, Some(media_type)) if !RAW_TYPES.contains(&media_type) && !self.shape.takes_json => {
                return Err(response::not_acceptable());
            }
            _ => self.encoded(&value)?,
        };
        if response.body.len() as u64 > self.shape.body_limit {
            return Err(self.too_large());
        }
        Ok(response)
    }

    fn encoded(&self, value: &Value) -> Result<Response, ApiError> {
        let format = match self.shape.format {
            Format::Json { .. } => Format::Json {
                tags: self.shape.output_tags,
            },
            other => other,
        };
        self.frame.value(200, value, format)
    }

    fn raw(&self, media_type: &str, body: Vec<u8>) -> Response {
        let full = if media_type.starts_with("text/") {
            format!("{media_type}; charset=utf-8")
        } else {
            media_type.to_owned()
        };
        let mut response = self.frame.respond(200, &full, body);
        if response::is_active(media_type) {
            response.headers.push(response::sandbox());
        }
        response
    }

    /// The response for a failure found by the driver.
    pub fn refuse(&self, error: ApiError) -> Response {
        self.frame.error(error)
    }

    /// The request headers as a Mix map.
    pub fn header_map(&self) -> Value {
        let mut map = Map::new();
        for (name, value) in &self.request_headers {
            map.insert(
                Arc::from(name.as_str()),
                Value::String(Arc::from(value.as_str())),
            );
        }
        Value::Map(map)
    }
}
