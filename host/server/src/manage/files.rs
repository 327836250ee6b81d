//! Files of apps: content, listings, changes, registrations, uploads.

use super::{may, on_disk};
use crate::Server;
use crate::identity::Admitted;
use crate::reply::{Reply, Streamed};
use mix_app_files::{
    Condition, FilePath, FilesError, FolderPath, Opened, Shelf, Shelves, StoreError, media_type,
};
use mix_http_api::{ApiError, Content, Done, Managed, Precondition};
use mix_identity::{Permission, Target};
use mix_runtime::workspace::Place;
use mix_value::{Map, Value};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempPath;

/// Most lines of one listing.
const MAX_LISTED: usize = 10_000;
/// How often a file is looked at that changes while it is opened.
const ATTEMPTS: usize = 3;

/// How a file is changed.
pub struct Way {
    /// Over one that is there.
    force: bool,
    /// What it depends on.
    precondition: Option<Precondition>,
}

impl Way {
    /// The way that a request says.
    pub fn of(managed: &Managed, force: bool) -> Way {
        Way {
            force,
            precondition: managed.precondition(),
        }
    }

    fn condition(self) -> Option<Box<Condition>> {
        let precondition = self.precondition?;
        Some(Box::new(move |tag| precondition.is_met(tag)))
    }
}

/// The content of a file. `is_served`: by its address, not by the file manager.
pub async fn serve(
    server: &Arc<Server>,
    managed: &Managed,
    wanted: &str,
    is_served: bool,
) -> Result<Reply, ApiError> {
    let place = super::place(server, managed)?;
    let path = parsed(wanted)?;
    if is_served && path.is_code() {
        return Err(no_such_file());
    }
    let shelf = shelf(server, &place);
    for attempt in 1.. {
        let (opening, files) = (path.clone(), shelf.clone());
        let (opened, facts) = work(move || files.open(&opening)).await?;
        if let (true, Opened::Object(_), Some(address)) =
            (is_served, &opened, shelf.public_address(&path))
        {
            return Ok(managed.redirect(address).into());
        }
        let content = Content {
            media_type: media_type(path.last()),
            size: facts.size,
            tag: Some(facts.tag),
            modified: Some(facts.modified).filter(is_past),
            is_public: path.is_public(),
            ..Content::default()
        };
        let (head, range) = managed.content(&content);
        if range.is_empty() {
            return Ok(Reply { head, stream: None });
        }
        let length = range.end - range.start;
        let reading = on_disk(move || Ok(opened.read(range))).await?;
        match reading {
            Ok(reader) => {
                let stream = Some(Streamed::reader(reader, length));
                return Ok(Reply { head, stream });
            }
            // Replaced between the look and the opening.
            Err(FilesError::Store(StoreError::Changed)) if attempt < ATTEMPTS => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(ApiError::internal())
}

/// Clocks go wrong, and nothing was changed in times to come.
pub fn is_past(time: &SystemTime) -> bool {
    *time <= SystemTime::now()
}

pub async fn list(
    server: &Arc<Server>,
    place: &Place,
    folder: &str,
    recursive: bool,
    after: Option<String>,
) -> Result<Done, ApiError> {
    let folder = FolderPath::parse(folder).map_err(|bad| failed(bad.into()))?;
    let shelf = shelf(server, place);
    let (rows, next) =
        work(move || shelf.list(&folder, recursive, after.as_deref(), MAX_LISTED)).await?;
    let rows = rows.into_iter().map(Value::Map).collect();
    Ok(Done::Part(Value::Array(rows), next))
}

pub async fn put(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    path: &str,
    content: Vec<u8>,
    way: Way,
) -> Result<Done, ApiError> {
    let path = parsed(path)?;
    may_change(server, who, place, &path).await?;
    let (shelf, target) = (shelf(server, place), path.clone());
    let written = work(move || {
        let mut draft = shelf.draft(content.len() as u64)?;
        draft.write_all(&content)?;
        let force = way.force;
        shelf.put_described(&target, draft, force, way.condition().as_deref())
    })
    .await?;
    if path.is_code() {
        server.programs.forget(&place.folder());
    }
    Ok(told(written))
}

pub async fn delete(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    wanted: &str,
    way: Way,
) -> Result<Done, ApiError> {
    let shelf = shelf(server, place);
    if wanted.ends_with('/') {
        // A folder has no tag.
        if way.precondition.is_some_and(|wanted| !wanted.is_met(None)) {
            return Err(Precondition::unmet());
        }
        let folder = FolderPath::parse(wanted).map_err(|bad| failed(bad.into()))?;
        let inside = format!("{}x", folder.text());
        // The whole app holds its programs too.
        for path in [inside.as_str(), "/code/x"] {
            if path == inside || folder.text() == "/" {
                may_change(server, who, place, &parsed(path)?).await?;
            }
        }
        let removed = work(move || shelf.remove_folder(&folder)).await?;
        server.programs.forget(&place.folder());
        return if removed == 0 {
            Err(no_such_file())
        } else {
            Ok(Done::Nothing)
        };
    }
    let path = parsed(wanted)?;
    may_change(server, who, place, &path).await?;
    let target = path.clone();
    work(move || shelf.remove_if(&target, way.condition().as_deref())).await?;
    if path.is_code() {
        server.programs.forget(&place.folder());
    }
    Ok(Done::Nothing)
}

pub async fn props(server: &Arc<Server>, place: &Place, path: &str) -> Result<Done, ApiError> {
    described(shelf(server, place), parsed(path)?).await
}

pub async fn rename(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    from: &str,
    to: &str,
) -> Result<Done, ApiError> {
    let (from, to) = (parsed(from)?, parsed(to)?);
    for path in [&from, &to] {
        may_change(server, who, place, path).await?;
    }
    let (shelf, target) = (shelf(server, place), to.clone());
    work({
        let shelf = shelf.clone();
        move || shelf.rename(&from, &target)
    })
    .await?;
    server.programs.forget(&place.folder());
    described(shelf, to).await
}

pub async fn copy(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    from_app: &str,
    from: &str,
    to: &str,
    way: Way,
) -> Result<Done, ApiError> {
    let (from, to) = (parsed(from)?, parsed(to)?);
    let source = Target::App(from_app.to_owned());
    if !may(server, who, &place.workspace, Permission::Read, &source).await? {
        let need = mix_http_api::Need::Allowed(&[Permission::Read], source);
        return Err(need.refusal(who.caller.user.is_none()));
    }
    may_change(server, who, place, &to).await?;
    let from_place = Place::new(&server.ws_dir, &place.workspace, from_app)
        .map_err(|_| ApiError::bad_name("app"))?;
    if !from_place.folder().is_dir() {
        return Err(ApiError::no_such_app());
    }
    let (source, shelf) = (shelf(server, &from_place), shelf(server, place));
    let target = to.clone();
    let written = work(move || {
        let (opened, facts) = source.open(&from)?;
        let mut draft = shelf.draft(facts.size)?;
        std::io::copy(&mut opened.read(0..facts.size)?, &mut draft)?;
        let force = way.force;
        shelf.put_described(&target, draft, force, way.condition().as_deref())
    })
    .await?;
    if to.is_code() {
        server.programs.forget(&place.folder());
    }
    Ok(told(written))
}

pub async fn register(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    path: &str,
    url: String,
    metadata: Map,
) -> Result<Done, ApiError> {
    let path = parsed(path)?;
    may_change(server, who, place, &path).await?;
    let shelf = shelf(server, place);
    let row = work(move || shelf.register(&path, &url, metadata)).await?;
    Ok(Done::Value(201, Value::Map(row)))
}

/// Whether the upload of a ticket may begin: asked before its body is read.
pub async fn check_ticket(server: &Arc<Server>, ticket: &str) -> Result<(), ApiError> {
    let (files, ticket) = (server.files.clone(), ticket.to_owned());
    work(move || files.check_ticket(&ticket)).await
}

/// Stores what was uploaded with a ticket.
pub async fn upload(
    server: &Arc<Server>,
    ticket: &str,
    content: TempPath,
) -> Result<Done, ApiError> {
    let (files, ticket) = (server.files.clone(), ticket.to_owned());
    let claim = work(move || files.claim(&ticket)).await?;
    let (ws, app) = (claim.workspace.clone(), claim.app.clone());
    let place = Place::new(&server.ws_dir, &ws, &app).map_err(|_| failed(FilesError::Expired))?;
    let _presence = crate::named::enter(server, &ws, &app).await?;
    if !place.folder().is_dir() {
        return Err(failed(FilesError::Expired));
    }
    let shelf = shelf(server, &place);
    let is_code = parsed(&claim.path)?.is_code();
    let row = work(move || {
        let mut file = std::fs::File::open(&content)?;
        let mut draft = shelf.draft(file.metadata()?.len())?;
        std::io::copy(&mut file, &mut draft)?;
        shelf.upload(claim, draft)
    })
    .await?;
    if is_code {
        server.programs.forget(&place.folder());
    }
    Ok(Done::Value(201, Value::Map(row)))
}

/// Moves into the bucket, in the background, what an install or an import has left in the folders of a workspace.
pub fn settle(server: &Server, ws: &str) {
    let (files, folder) = (server.files.clone(), server.ws_dir.join(ws));
    if files.storage().bucket().is_some() {
        tokio::task::spawn_blocking(move || settle_now(&files, &folder));
    }
}

/// The same for all workspaces.
pub fn settle_all(ws_dir: &Path, files: &Arc<Shelves>) {
    let (files, ws_dir) = (files.clone(), ws_dir.to_owned());
    if files.storage().bucket().is_none() {
        return;
    }
    tokio::task::spawn_blocking(move || {
        for item in std::fs::read_dir(&ws_dir).into_iter().flatten().flatten() {
            let name = item.file_name();
            if name.to_str().is_some_and(mix_http_api::is_workspace_name) && item.path().is_dir() {
                settle_now(&files, &item.path());
            }
        }
    });
}

/// How often it is looked for what died in the middle.
const SWEPT_EVERY: Duration = Duration::from_secs(3600);

/// Removes, now and then, what processes that died while they wrote files have left in all workspaces: it takes room, and
/// nobody sees it.
pub fn sweep(ws_dir: PathBuf, files: Arc<Shelves>) {
    tokio::spawn(async move {
        loop {
            let (ws_dir, files) = (ws_dir.clone(), files.clone());
            let sweeping = tokio::task::spawn_blocking(move || {
                let all = std::fs::read_dir(&ws_dir).into_iter().flatten().flatten();
                let is_workspace = |name: &str| mix_http_api::is_workspace_name(name);
                all.filter(|item| item.file_name().to_str().is_some_and(is_workspace))
                    .map(|item| files.storage().remove_drafts(&item.path()))
                    .sum::<usize>()
            });
            if let Ok(removed @ 1..) = sweeping.await {
                tracing::info!(removed, "files were removed that nobody has finished");
            }
            tokio::time::sleep(SWEPT_EVERY).await;
        }
    });
}

fn settle_now(files: &Shelves, folder: &Path) {
    match files.storage().settle(folder) {
        Ok(0) => {}
        Ok(moved) => tracing::info!(moved, "files were moved to the store"),
        // They are served from the folder until the next start.
        Err(error) => {
            tracing::error!(%error, cause = ?std::error::Error::source(&error), "files cannot be moved to the store")
        }
    }
}

fn shelf(server: &Server, place: &Place) -> Shelf {
    server.files.of(&place.workspace, &place.app)
}

async fn described(shelf: Shelf, path: FilePath) -> Result<Done, ApiError> {
    let row = work(move || shelf.describe(&path)).await?;
    Ok(Done::Value(200, Value::Map(row)))
}

/// What was written, and whether it is new.
fn told((is_new, row): (bool, Map)) -> Done {
    Done::Value(if is_new { 201 } else { 200 }, Value::Map(row))
}

/// Work with files, with the failures that callers see.
async fn work<T: Send + 'static>(
    work: impl FnOnce() -> mix_app_files::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    on_disk(move || Ok(work())).await?.map_err(failed)
}

/// Programs are changed by administrators of the app only.
async fn may_change(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    path: &FilePath,
) -> Result<(), ApiError> {
    let app = Target::App(place.app.clone());
    let admin = Permission::GrantPermissions;
    if path.is_code() && !may(server, who, &place.workspace, admin, &app).await? {
        let need = mix_http_api::Need::Allowed(&[Permission::GrantPermissions], app);
        return Err(need.refusal(who.caller.user.is_none()));
    }
    Ok(())
}

fn parsed(path: &str) -> Result<FilePath, ApiError> {
    FilePath::parse(path).map_err(|bad| failed(bad.into()))
}

fn no_such_file() -> ApiError {
    ApiError::new(404, "not_found", "no such file")
}

/// The failure as callers see it.
pub fn failed(error: FilesError) -> ApiError {
    match error {
        FilesError::BadPath(_) | FilesError::TooLong => {
            ApiError::new(400, "bad_path", error.to_string())
        }
        FilesError::NotFound => no_such_file(),
        FilesError::Exists(_) => ApiError::new(409, "exists", error.to_string()),
        FilesError::Unmet => Precondition::unmet(),
        FilesError::TooMany(_) => ApiError::new(429, "rate_limited", error.to_string()),
        FilesError::Expired => ApiError::new(410, "expired", error.to_string()),
        FilesError::Full { limit } => {
            let bytes = Value::Int(i64::try_from(limit).unwrap_or(i64::MAX));
            ApiError::new(507, "disk_full", error.to_string())
                .with_detail("limit", "workspace".into())
                .with_detail("bytes", bytes)
        }
        FilesError::Store(cause) => {
            tracing::error!(%cause, "the store of files fails");
            ApiError::new(502, "upstream", "the store of files fails; try again later")
        }
        FilesError::Io(_) if error.is_full() => ApiError::new(507, "disk_full", "the disk is full"),
        FilesError::Io(error) => {
            tracing::error!(%error, "files of an app");
            ApiError::internal()
        }
    }
}
