//! The activity log: what was done in each workspace, by whom, how long it took, and what came of it.
//!
//! Each workspace keeps it as records of its app `_rmx_logging`, which administrators of the
//! workspace read like any other. What is done is noted while it goes on ([`Draft`]), told to one
//! task, and written in batches, so that nobody waits for it. What cannot be written is counted.
//!
//! No parameter, output, token or text of a query is ever part of it.

mod log;

use super::Server;
use super::identity::Admitted;
use mix_http_api::{Action, ActivityFilter, ApiError, Done, Route};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Entries that wait to be written.
const QUEUE: usize = 65_536;

/// How long entries are gathered.
const PERIOD: Duration = Duration::from_secs(1);

/// Entries of one batch.
const BATCH: usize = 20_000;

/// Longest time between two removals of what is too old.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Status and code of what nobody waited for the end of.
const GIVEN_UP: (u16, &str) = (499, "canceled");

/// How a run was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// By a request.
    Http,
    /// By another agent.
    Agent,
    /// As a tool of a language model.
    Mcp,
    /// By a request that did not wait.
    Async,
}

impl Via {
    fn name(self) -> &'static str {
        match self {
            Via::Http => "http",
            Via::Agent => "agent",
            Via::Mcp => "mcp",
            Via::Async => "async",
        }
    }
}

/// One entry.
#[derive(Debug, Clone)]
struct Entry {
    workspace: String,
    activity: &'static str,
    subject: String,
    anonymous: bool,
    app: String,
    agent: String,
    /// Milliseconds since 1970.
    start: i64,
    duration: Duration,
    queued: Duration,
    status: u16,
    code: &'static str,
    bytes_in: u64,
    bytes_out: u64,
    via: Via,
    postponed: Option<Postponed>,
    request_id: String,
}

/// What went on after the answer.
#[derive(Debug, Clone)]
pub struct Postponed {
    /// How long.
    pub duration: Duration,
    /// Code of the failure that ended it; empty without one.
    pub code: String,
}

enum Told {
    Entry(Box<Entry>),
    /// Everything told before is to be written; then the sender is told.
    Write(oneshot::Sender<()>),
}

/// Where entries are told.
#[derive(Default)]
pub struct Activities {
    /// Not set: nothing is logged.
    queue: OnceLock<mpsc::Sender<Told>>,
    dropped: AtomicU64,
    /// Held by whoever has a log open: new entries wait while old ones are removed, however long that takes.
    turn: Mutex<()>,
}

impl Activities {
    /// Entries that could not be written so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn tell(&self, entry: Entry) {
        if let Some(queue) = self.queue.get()
            && queue.try_send(Told::Entry(Box::new(entry))).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when everything that was told before is written, or counted as lost.
    pub async fn written(&self) {
        let (send, done) = oneshot::channel();
        if let Some(queue) = self.queue.get()
            && queue.send(Told::Write(send)).await.is_ok()
        {
            let _ = done.await;
        }
    }
}

/// Begins to log; entries older than `retention` are removed.
pub fn start(server: &Arc<Server>, retention: Duration) {
    let (send, told) = mpsc::channel(QUEUE);
    if server.activities.queue.set(send).is_err() {
        return;
    }
    tokio::spawn(write(server.clone(), told));
    tokio::spawn(prune(server.clone(), retention));
}

async fn write(server: Arc<Server>, mut told: mpsc::Receiver<Told>) {
    let mut batch = Vec::new();
    while let Some(first) = told.recv().await {
        batch.push(first);
        let end = tokio::time::Instant::now() + PERIOD;
        while batch.len() < BATCH && !matches!(batch.last(), Some(Told::Write(_))) {
            match tokio::time::timeout_at(end, told.recv()).await {
                Ok(Some(next)) => batch.push(next),
                Ok(None) | Err(_) => break,
            }
        }
        let mut entries = Vec::new();
        let mut waiting = Vec::new();
        for told in batch.drain(..) {
            match told {
                Told::Entry(entry) => entries.push(*entry),
                Told::Write(done) => waiting.push(done),
            }
        }
        let lost = log::append(&server, entries).await;
        server.activities.dropped.fetch_add(lost, Ordering::Relaxed);
        for done in waiting {
            let _ = done.send(());
        }
    }
}

async fn prune(server: Arc<Server>, retention: Duration) {
    let pause = retention.clamp(Duration::from_secs(1), DAY);
    loop {
        let now = since_1970(SystemTime::now());
        let oldest = now.saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        log::remove_before(&server, oldest).await;
        tokio::time::sleep(pause).await;
    }
}

/// Entries that a filter finds.
pub async fn count(
    server: &Arc<Server>,
    ws: &str,
    filter: &ActivityFilter,
) -> Result<Done, ApiError> {
    server.activities.written().await;
    log::count(server, ws, filter).await
}

/// Makes the log of a workspace that has none yet.
pub async fn make(server: &Arc<Server>, ws: &str) -> Result<(), ApiError> {
    log::make(server, ws).await
}

fn since_1970(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What an action is in the log; `None`: it is not logged.
fn activity_of(action: Action) -> Option<&'static str> {
    Some(match action {
        Action::RunAgent | Action::Session => "run-agent",
        Action::Query | Action::RunQuery | Action::GetDocument | Action::Raw => "query",
        Action::PostDocuments
        | Action::Save
        | Action::PutQuery
        | Action::PutAppmeta
        | Action::PatchAppmeta => "save",
        Action::DeleteDocuments | Action::DeleteDocument | Action::DeleteQuery => "delete",
        Action::GetFile
        | Action::GetContent
        | Action::PutContent
        | Action::PostContent
        | Action::DeleteContent
        | Action::PatchProps
        | Action::CopyFile
        | Action::RegisterFile => "file",
        Action::Install => "install",
        Action::Export | Action::PushExport => "export",
        Action::Import => "import",
        Action::AddGrant | Action::DeleteGrant => "grant",
        Action::BeginSignIn
        | Action::ReturnSignIn
        | Action::ExchangeToken
        | Action::OriginalToken => "sign-in",
        Action::CreateWorkspace
        | Action::AddAuthConfig
        | Action::PutAuthConfig
        | Action::PatchAuthConfig
        | Action::DeleteAuthConfig
        | Action::PatchWorkspace
        | Action::FlushWorkspace
        | Action::CreateApp
        | Action::DeleteApp
        | Action::CreateLink
        | Action::Modify => "admin",
        _ => return None,
    })
}

/// An action that goes on. Dropped before its end, it was given up.
pub struct Draft {
    log: Arc<Activities>,
    begun: Instant,
    entry: Option<Entry>,
}

impl Draft {
    /// Of a request that was admitted; `None` if it is not one that is logged.
    pub fn of_request(
        server: &Server,
        who: &Admitted,
        route: &Route,
        via: Via,
        request_id: &str,
    ) -> Option<Draft> {
        server.activities.queue.get()?;
        let activity = activity_of(route.action)?;
        let place = (route.ws.as_str(), route.app.as_str());
        let mut draft = Draft::new(server, who, place, activity, request_id);
        if let Some(entry) = &mut draft.entry {
            entry.agent.clone_from(&route.name);
            entry.via = via;
        }
        Some(draft)
    }

    /// Of a run that no request of its own asks for.
    pub fn of_run(
        server: &Server,
        who: &Admitted,
        (ws, app, agent): (&str, &str, &str),
        via: Via,
        request_id: &str,
    ) -> Draft {
        let mut draft = Draft::new(server, who, (ws, app), "run-agent", request_id);
        if let Some(entry) = &mut draft.entry {
            entry.agent = agent.to_owned();
            entry.via = via;
        }
        draft
    }

    fn new(
        server: &Server,
        who: &Admitted,
        (ws, app): (&str, &str),
        activity: &'static str,
        request_id: &str,
    ) -> Draft {
        let anonymous = who.caller.user.is_none();
        let subject = match anonymous {
            true => "anonymous".to_owned(),
            false => format!("user/{}", who.caller.name()),
        };
        Draft {
            log: server.activities.clone(),
            begun: Instant::now(),
            entry: Some(Entry {
                workspace: ws.to_owned(),
                activity,
                subject,
                anonymous,
                app: app.to_owned(),
                agent: String::new(),
                start: since_1970(SystemTime::now()),
                duration: Duration::ZERO,
                queued: Duration::ZERO,
                status: 0,
                code: "",
                bytes_in: 0,
                bytes_out: 0,
                via: Via::Http,
                postponed: None,
                request_id: request_id.to_owned(),
            }),
        }
    }

    /// The workspace that the action makes.
    pub fn set_workspace(&mut self, name: &str) {
        if let Some(entry) = &mut self.entry {
            entry.workspace = name.to_owned();
        }
    }

    /// How it was asked for.
    pub fn set_via(&mut self, via: Via) {
        if let Some(entry) = &mut self.entry {
            entry.via = via;
        }
    }

    /// Bytes of the body of the request.
    pub fn set_bytes_in(&mut self, bytes: u64) {
        if let Some(entry) = &mut self.entry {
            entry.bytes_in = bytes;
        }
    }

    /// It has waited for its turn until now.
    pub fn served(&mut self) {
        let queued = self.begun.elapsed();
        if let Some(entry) = &mut self.entry {
            entry.queued = queued;
        }
    }

    /// It was answered: what is told later does not count as its time.
    pub fn answered(&mut self, status: u16, code: &'static str, bytes: u64) {
        let duration = self.begun.elapsed();
        if let Some(entry) = &mut self.entry {
            entry.duration = duration;
            entry.status = status;
            entry.code = code;
            entry.bytes_out = bytes;
        }
    }

    /// Work went on after the answer, and has ended.
    pub fn postponed(mut self, postponed: Postponed) {
        if let Some(entry) = &mut self.entry {
            entry.postponed = Some(postponed);
        }
        drop(self);
    }

    /// The end, with what the caller got.
    pub fn finish(mut self, status: u16, code: &'static str, bytes: u64) {
        self.answered(status, code, bytes);
    }

    /// It is not logged after all.
    pub fn discard(mut self) {
        self.entry = None;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let Some(mut entry) = self.entry.take() else {
            return;
        };
        if entry.status == 0 {
            entry.duration = self.begun.elapsed();
            (entry.status, entry.code) = GIVEN_UP;
        }
        self.log.tell(entry);
    }
}
