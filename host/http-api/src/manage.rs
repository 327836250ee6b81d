//! What is the server's own: workspaces, apps and grants.
//!
//! Here a request becomes a [`Job`] with checked members, and what the server has [`Done`]
//! becomes the response. The job itself is the driver's.

mod activities;
mod apps;
mod auth;
pub(crate) mod files;
mod grants;
mod links;
mod maintenance;
mod mcp;
pub(crate) mod packages;
mod registered;
mod session;
mod signals;
mod workspaces;

pub use activities::{ACTIVITIES, ActivityFilter};
pub use auth::{HIDDEN, SignIn, checked_provider};
pub use files::Content;
pub use grants::is_inside;
pub use links::is_linkable;
pub use maintenance::Maintenance;
pub use session::Purpose;

use crate::access::Access;
use crate::conditional::{Precondition, is_known};
use crate::error::ApiError;
use crate::head::Head;
use crate::plan::Settings;
use crate::records::fnv128;
use crate::response::{self, Format, Frame, Response, TEXT};
use crate::route::{Action, Route};
use crate::sse::EVENT_STREAM;
use crate::topic::Topic;
use mix_file_path::percent;
use mix_identity::Grant;
use mix_value::{Map, Value};

/// Media type of measurements.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is to be done, with members whose kinds and names are checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Measurements of the server.
    Metrics,
    /// The workspaces in which the caller has any grant.
    ListWorkspaces,
    /// A new workspace; without a name the server makes one up.
    CreateWorkspace(Option<String>),
    /// A workspace with the apps that the caller has a grant for.
    GetWorkspace,
    /// Changes of a workspace.
    PatchWorkspace {
        /// New org.
        org: Option<String>,
        /// New owner: a user name.
        owner: Option<String>,
    },
    /// Deletes a workspace.
    DeleteWorkspace,
    /// Drops what is cached, checkpoints the records.
    FlushWorkspace,
    /// An app with the agents that the caller may run.
    GetApp,
    /// A new app, with its metadata.
    CreateApp(Map),
    /// Deletes an app.
    DeleteApp,
    /// Metadata of an app.
    GetMetadata,
    /// Settings of the app's runtime.
    GetRuntime,
    /// Metadata of all apps that the caller sees.
    ListMetadata,
    /// Replaces the metadata; makes the app if it is absent.
    PutMetadata(Map),
    /// Changes members of the metadata; null removes.
    PatchMetadata(Map),
    /// Grants of the scope.
    ListGrants,
    /// A new grant, inside the scope.
    AddGrant(Grant),
    /// One grant of the scope.
    GetGrant,
    /// Deletes one grant of the scope.
    DeleteGrant,
    /// Describes an agent, an alias or a registered query.
    DescribeAgent,
    /// Registers a query.
    PutQuery {
        /// Its name.
        name: String,
        /// Member `query` or `queryAST`.
        source: Map,
        /// The other members of its record.
        members: Map,
    },
    /// Deletes a registered query.
    DeleteQuery,
    /// The bytes of this member of a record.
    Raw(String),
    /// A new signal.
    CreateSignal {
        /// Milliseconds until it is forgotten.
        life_ms: u64,
    },
    /// Waits for a signal.
    AwaitSignal {
        /// Longest wait.
        wait_ms: u64,
    },
    /// Gives a signal its value.
    SetSignal(Value),
    /// Cancels a signal.
    CancelSignal,
    /// A link to an endpoint of the app.
    CreateLink {
        /// Path of the endpoint below the app.
        endpoint: String,
        /// The time after which it is gone, not yet checked.
        expires: Option<Value>,
    },
    /// A link that is not there: one that is has been followed before.
    FollowLink,
    /// Deletes a link.
    DeleteLink,
    /// An interactive session over a WebSocket connection.
    Session {
        /// What the client opens it for.
        purpose: Purpose,
        /// What the client has sent to be answered.
        key: String,
    },
    /// A file of the pages that show the description of the interface.
    Swagger(String),
    /// The messages of a topic, as they come.
    Subscribe {
        /// The topic.
        topic: Topic,
        /// Id of the last message that the reader has.
        last: Option<u64>,
    },
    /// A message of the Model Context Protocol.
    Mcp {
        /// The conversation it belongs to; none before it has begun.
        session: Option<String>,
        /// The version of the protocol that was agreed on; none where nobody says.
        version: Option<String>,
        /// The only app whose tools count.
        app: Option<String>,
        /// The message.
        message: Vec<u8>,
    },
    /// Installs the package that was sent, or that lies elsewhere.
    Install {
        /// Where it lies.
        from: Option<Elsewhere>,
        /// Over what was published later.
        force: bool,
        /// Only says what would be done.
        dry_run: bool,
        /// Where it is to run.
        platform: Option<String>,
        /// What it is to run in.
        surface: Option<String>,
    },
    /// The whole workspace.
    Export {
        /// Superseded versions too.
        history: bool,
    },
    /// Sends the whole workspace to another server, which imports it.
    PushExport {
        /// The other server.
        to: Elsewhere,
        /// Name of the workspace there.
        ws: String,
    },
    /// A workspace from the mastertape that was sent, or that another server has.
    Import {
        /// The other server.
        from: Option<Elsewhere>,
        /// Name of the workspace there.
        remote: String,
        /// Its name.
        name: String,
        /// In the place of one that is there.
        replace: bool,
        /// With the grants of the tape.
        grants: bool,
    },
    /// Public keys of the tokens that a workspace, or the server, issues.
    Keys,
    /// The providers of a workspace, or the one of that name.
    ListAuthConfigs(Option<String>),
    /// A new provider.
    AddAuthConfig(Map),
    /// One provider.
    GetAuthConfig,
    /// Another description of a provider.
    PutAuthConfig(Map),
    /// Changes of a provider; null removes.
    PatchAuthConfig(Map),
    /// Deletes a provider.
    DeleteAuthConfig,
    /// A step of signing in.
    SignIn(SignIn),
    /// Counts entries of the activity log.
    CountActivities(ActivityFilter),
    /// Maintains the records of an app.
    Modify(Maintenance),
    /// The content of a file.
    GetFile(String),
    /// What a folder holds.
    ListFiles {
        /// The folder.
        path: String,
        /// All below it.
        recursive: bool,
        /// Only what comes later.
        after: Option<String>,
    },
    /// A new file, or new content.
    PutFile {
        /// Where.
        path: String,
        /// Over one that is there.
        force: bool,
        /// Its content.
        content: Vec<u8>,
    },
    /// Deletes a file, or all files below a folder.
    DeleteFile(String),
    /// What is known about a file.
    GetProps(String),
    /// Renames a file.
    RenameFile {
        /// From.
        from: String,
        /// To.
        to: String,
    },
    /// Reserves a path for an upload.
    RegisterFile {
        /// Where.
        path: String,
        /// An address of the client.
        url: String,
        /// What the client says about it.
        metadata: Map,
    },
    /// The file that a ticket is for.
    Upload,
    /// Copies a file.
    CopyFile {
        /// The app that it is copied from.
        from_app: String,
        /// From.
        from: String,
        /// To.
        to: String,
        /// Over one that is there.
        force: bool,
    },
}

/// Something on another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its address.
    pub url: String,
    /// Token for there.
    pub token: Option<String>,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// A value, with its status.
    Value(u16, Value),
    /// A value, with its status and the address of what was made.
    Made(Value, String),
    /// Bytes of a media type.
    Bytes(String, Vec<u8>),
    /// Measurements in the text form of Prometheus.
    Measured(String),
    /// A part of a page of the server's own.
    Asset(&'static str, Vec<u8>),
    /// A JSON text, or nothing, as the answer to a message of a conversation.
    Message {
        /// Status.
        status: u16,
        /// Id of a conversation that has begun with it.
        session: Option<String>,
        /// The answer.
        text: String,
    },
    /// 204.
    Nothing,
    /// 302 to an address, with a cookie for the browser.
    Redirect(String, Option<String>),
    /// A part of a list; the path after which it goes on.
    Part(Value, Option<String>),
}

/// A job on its way.
#[derive(Debug)]
pub struct Managed {
    /// Where.
    pub route: Route,
    /// What.
    pub job: Job,
    /// Id of the request.
    pub request_id: String,
    format: Format,
    conditions: Conditions,
    frame: Frame,
}

/// What the caller has already, and the part that it wants.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
    if_unmodified_since: Option<String>,
    if_range: Option<String>,
    range: Option<String>,
    precondition: Option<Precondition>,
}

impl Conditions {
    /// Those that a request has for reading.
    pub(crate) fn of(head: &Head) -> Conditions {
        let header = |name| head.header(name).map(str::to_owned);
        Conditions {
            if_none_match: header("if-none-match"),
            if_modified_since: header("if-modified-since"),
            if_unmodified_since: header("if-unmodified-since"),
            if_range: header("if-range"),
            // There are no parts of what is only described.
            range: header("range").filter(|_| head.method != "HEAD"),
            precondition: Precondition::of(head),
        }
    }
}

/// What the head decides.
#[derive(Debug)]
pub(crate) struct Prepared {
    format: Format,
    if_none_match: Option<String>,
}

/// Checks `Accept`.
pub(crate) fn prepare(
    settings: &Settings,
    route: &Route,
    head: &Head,
) -> Result<Prepared, ApiError> {
    // A browser opens connections for pages of any site.
    let is_open = matches!(settings.access, Access::Open { .. });
    if route.action == Action::Mcp || route.action == Action::Session && is_open {
        mcp::check_origin(settings, head)?;
    }
    // Only documents come in another form than JSON.
    let format = match route.action {
        Action::GetAppMeta | Action::GetRuntime | Action::GetAppmeta | Action::ListAppmeta => {
            response::value_format(head)?
        }
        _ => Format::Json { tags: true },
    };
    let tagged = matches!(
        route.action,
        Action::GetAppMeta | Action::GetRuntime | Action::GetFile | Action::GetContent
    );
    let if_none_match = head.header("if-none-match").filter(|_| tagged);
    Ok(Prepared {
        format,
        if_none_match: if_none_match.map(str::to_owned),
    })
}

/// The job, once the body is there.
pub(crate) fn with_body(
    settings: &Settings,
    head: &Head,
    frame: Frame,
    route: Route,
    prepared: Prepared,
    body: &[u8],
) -> Result<Managed, ApiError> {
    let job = match route.action {
        Action::Metrics => Job::Metrics,
        Action::ListWorkspaces => Job::ListWorkspaces,
        Action::CreateWorkspace => workspaces::create(&route, head, body)?,
        Action::GetWorkspace => Job::GetWorkspace,
        Action::PatchWorkspace => workspaces::patch(head, body)?,
        Action::DeleteWorkspace => Job::DeleteWorkspace,
        Action::FlushWorkspace => Job::FlushWorkspace,
        Action::GetApp => Job::GetApp,
        Action::CreateApp => Job::CreateApp(apps::metadata(&route, head, body)?),
        Action::DeleteApp => Job::DeleteApp,
        Action::GetAppMeta | Action::GetAppmeta => Job::GetMetadata,
        Action::GetRuntime => Job::GetRuntime,
        Action::ListAppmeta => Job::ListMetadata,
        Action::PutAppmeta => Job::PutMetadata(apps::metadata(&route, head, body)?),
        Action::PatchAppmeta => Job::PatchMetadata(apps::metadata(&route, head, body)?),
        Action::ListGrants => Job::ListGrants,
        Action::AddGrant => grants::add(&route, head, body)?,
        Action::GetGrant => Job::GetGrant,
        Action::DeleteGrant => Job::DeleteGrant,
        Action::DescribeAgent => Job::DescribeAgent,
        Action::PutQuery => registered::put(&route, head, body)?,
        Action::DeleteQuery => Job::DeleteQuery,
        Action::Raw => registered::raw(head)?,
        Action::CreateSignal => signals::create(head, body)?,
        Action::AwaitSignal => signals::wait(head)?,
        Action::SetSignal => signals::set(head, body, settings.params_limit)?,
        Action::CancelSignal => Job::CancelSignal,
        Action::Session => session::open(head)?,
        Action::Swagger => Job::Swagger(route.path.clone()),
        Action::Subscribe => Job::Subscribe {
            // The route has one.
            topic: route.topic.clone().ok_or_else(ApiError::internal)?,
            // One that is no number is of another server.
            last: head
                .header("last-event-id")
                .map(|id| id.trim().parse().unwrap_or(0)),
        },
        Action::Mcp => mcp::message(head, body)?,
        Action::Install => packages::install(head, body)?,
        Action::Export => packages::export(head)?,
        Action::PushExport => packages::push(&route, head, body)?,
        Action::Import => packages::import(head, body)?,
        Action::WorkspaceKeys | Action::ServerKeys => Job::Keys,
        Action::ListAuthConfigs => auth::list(head)?,
        Action::AddAuthConfig => Job::AddAuthConfig(auth::full(head, body)?),
        Action::GetAuthConfig => Job::GetAuthConfig,
        Action::PutAuthConfig => Job::PutAuthConfig(auth::full(head, body)?),
        Action::PatchAuthConfig => Job::PatchAuthConfig(auth::partial(head, body)?),
        Action::DeleteAuthConfig => Job::DeleteAuthConfig,
        Action::BeginSignIn => auth::begin(head)?,
        Action::ReturnSignIn => auth::come_back(head)?,
        Action::ExchangeToken => auth::exchange(head, body)?,
        Action::OriginalToken => auth::original(head, body)?,
        Action::CountActivities => activities::count(&route, head, body)?,
        Action::Modify => maintenance::modify(head, body)?,
        Action::GetFile => Job::GetFile(route.path.clone()),
        Action::GetContent => files::content(head)?,
        Action::PutContent => files::put(head, body)?,
        Action::PostContent => files::post(head, body)?,
        Action::DeleteContent => files::delete(head)?,
        Action::GetProps => files::props(head)?,
        Action::PatchProps => files::rename(head)?,
        Action::CopyFile => files::copy(&route, head)?,
        Action::RegisterFile => files::register(head, body)?,
        Action::Upload => Job::Upload,
        Action::CreateLink => links::create(&route, head, body)?,
        Action::FollowLink => Job::FollowLink,
        Action::DeleteLink => Job::DeleteLink,
        _ => return Err(ApiError::internal()),
    };
    Ok(Managed {
        request_id: frame.request_id.clone(),
        route,
        job,
        format: prepared.format,
        conditions: Conditions {
            if_none_match: prepared.if_none_match,
            ..Conditions::of(head)
        },
        frame,
    })
}

impl Managed {
    /// What a change of a file depends on.
    pub fn precondition(&self) -> Option<Precondition> {
        self.conditions.precondition.clone()
    }

    /// The response to the finished job.
    pub fn finish(&self, result: Result<Done, ApiError>) -> Response {
        result
            .and_then(|done| match done {
                Done::Nothing => Ok(self.frame.respond(204, TEXT, Vec::new())),
                Done::Redirect(address, cookie) => {
                    let mut response = self.frame.respond(302, TEXT, Vec::new());
                    response.headers.push(("location", address));
                    response
                        .headers
                        .extend(cookie.map(|cookie| ("set-cookie", cookie)));
                    Ok(response)
                }
                Done::Part(value, next) => {
                    let mut response = self.value(200, &value)?;
                    response
                        .headers
                        .extend(next.map(|next| ("x-next", header_text(&next))));
                    Ok(response)
                }
                Done::Value(status, value) => self.value(status, &value),
                Done::Made(value, place) => {
                    let mut response = self.value(201, &value)?;
                    response.headers.push(("location", place));
                    Ok(response)
                }
                Done::Message {
                    status,
                    session,
                    text,
                } => {
                    let mut response = self.frame.json_text(status, text);
                    response
                        .headers
                        .extend(session.map(|id| (mcp::SESSION, id)));
                    Ok(response)
                }
                Done::Bytes(media_type, bytes) => Ok(self.bytes(&media_type, bytes)),
                Done::Measured(text) => Ok(self.frame.respond(200, METRICS, text.into_bytes())),
                Done::Asset(media_type, bytes) => {
                    let mut response = self.frame.respond(200, media_type, bytes);
                    let policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";
                    response
                        .headers
                        .push(("content-security-policy", policy.to_owned()));
                    Ok(response)
                }
            })
            .unwrap_or_else(|error| self.frame.error(error))
    }

    /// The head of a response after which the connection is one of WebSocket messages.
    pub fn switching(&self, accepted: String) -> Response {
        let mut response = self.frame.respond(101, TEXT, Vec::new());
        response.headers.retain(|(name, _)| *name != "content-type");
        response.headers.extend([
            ("connection", "Upgrade".to_owned()),
            ("upgrade", "websocket".to_owned()),
            ("sec-websocket-accept", accepted),
        ]);
        response
    }

    /// A response that says where the answer is.
    pub fn redirect(&self, address: String) -> Response {
        let mut response = self.frame.respond(302, TEXT, Vec::new());
        response.headers.push(("location", address));
        response
    }

    /// The head of a response that is a stream of events.
    pub fn events(&self) -> Response {
        self.frame.respond(200, EVENT_STREAM, Vec::new())
    }

    /// The head of a response with the content of a file, and the bytes of it that are sent.
    pub fn content(&self, content: &Content) -> (Response, std::ops::Range<u64>) {
        files::respond(&self.frame, content, &self.conditions)
    }

    fn bytes(&self, media_type: &str, bytes: Vec<u8>) -> Response {
        let mut response = self.frame.respond(200, media_type, bytes);
        if response::is_active(media_type) {
            response.headers.push(response::sandbox());
        }
        response
    }

    fn value(&self, status: u16, value: &Value) -> Result<Response, ApiError> {
        let mut response = self.frame.value(status, value, self.format)?;
        if matches!(self.route.action, Action::GetAppMeta | Action::GetRuntime) {
            let tag = format!("\"{:032x}\"", fnv128(&[&response.body]));
            let wanted = self.conditions.precondition.as_ref();
            if !wanted.is_none_or(|wanted| wanted.is_as_wanted(Some(&tag))) {
                return Err(Precondition::unmet());
            }
            if is_known(self.conditions.if_none_match.as_deref(), &tag) {
                response = self.frame.respond(304, TEXT, Vec::new());
            }
            response.headers.push(("etag", tag));
        }
        Ok(response)
    }
}

/// A path as it can stand in a header.
fn header_text(text: &str) -> String {
    percent::encode(text, b"-._~/")
}
