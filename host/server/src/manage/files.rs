//! Files of apps: content, listings, changes, signed addresses.

use super::{may, on_disk};
use crate::Server;
use crate::identity::Admitted;
use crate::records::{map, text};
use crate::reply::{Reply, Streamed};
use crate::signatures;
use mix_app_files::{AppFiles, Facts, FilePath, FilesError, FolderPath, Item};
use mix_http_api::{ApiError, Content, Done, Managed};
use mix_identity::{Permission, Target};
use mix_runtime::workspace::Place;
use mix_value::{Map, Value};
use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Most lines of one listing.
const MAX_LISTED: usize = 10_000;

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
    let opening = path.clone();
    let (file, facts) = on_disk(move || Ok(AppFiles::new(place.files()).open(&opening)))
        .await?
        .map_err(failed)?;
    let content = Content {
        media_type: media_type(&path),
        size: facts.size,
        tag: Some(facts.tag),
        is_public: path.is_public(),
        attachment: None,
    };
    let (head, range) = managed.content(&content);
    let stream = (!range.is_empty()).then(|| Streamed::file(file, range));
    Ok(Reply { head, stream })
}

pub async fn list(
    server: &Arc<Server>,
    place: &Place,
    folder: &str,
    recursive: bool,
    after: Option<String>,
) -> Result<Done, ApiError> {
    let folder = FolderPath::parse(folder).map_err(|bad| failed(bad.into()))?;
    let files = AppFiles::new(place.files());
    let listing = on_disk(move || Ok(files.list(&folder, recursive, after.as_deref(), MAX_LISTED)))
        .await?
        .map_err(failed)?;
    let next = listing
        .items
        .last()
        .filter(|_| listing.more)
        .map(Item::path);
    let signer = signatures::Signer::of(place)?;
    let items = listing.items.iter().map(|item| match item {
        Item::File(path, facts) => info(server, place, &signer, path, facts),
        Item::Folder(path) => map([("app", text(&place.app)), ("path", text(path))]),
    });
    Ok(Done::Part(Value::Array(items.collect()), next))
}

pub async fn put(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    path: &str,
    content: Vec<u8>,
    force: bool,
) -> Result<Done, ApiError> {
    let path = parsed(path)?;
    may_change(server, who, place, &path).await?;
    let files = AppFiles::new(place.files());
    let target = path.clone();
    let is_new = on_disk(move || {
        Ok((|| {
            let mut draft = files.draft()?;
            draft.write_all(&content)?;
            files.put(&target, draft, force)
        })())
    })
    .await?
    .map_err(failed)?;
    if path.is_code() {
        server.programs.forget(&place.folder());
    }
    described(server, place, &path, is_new).await
}

pub async fn delete(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    wanted: &str,
) -> Result<Done, ApiError> {
    let files = AppFiles::new(place.files());
    if wanted.ends_with('/') {
        let folder = FolderPath::parse(wanted).map_err(|bad| failed(bad.into()))?;
        let inside = format!("{}x", folder.text());
        // The whole app holds its programs too.
        for path in [inside.as_str(), "/code/x"] {
            if path == inside || folder.text() == "/" {
                may_change(server, who, place, &parsed(path)?).await?;
            }
        }
        let removed = on_disk(move || Ok(files.remove_folder(&folder)))
            .await?
            .map_err(failed)?;
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
    on_disk(move || Ok(files.remove(&target)))
        .await?
        .map_err(failed)?;
    if path.is_code() {
        server.programs.forget(&place.folder());
    }
    Ok(Done::Nothing)
}

pub async fn props(server: &Arc<Server>, place: &Place, path: &str) -> Result<Done, ApiError> {
    described(server, place, &parsed(path)?, false).await
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
    let files = AppFiles::new(place.files());
    let target = to.clone();
    on_disk(move || Ok(files.rename(&from, &target)))
        .await?
        .map_err(failed)?;
    server.programs.forget(&place.folder());
    described(server, place, &to, false).await
}

pub async fn copy(
    server: &Arc<Server>,
    who: &Admitted,
    place: &Place,
    from_app: &str,
    from: &str,
    to: &str,
    force: bool,
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
    let (source, files) = (
        AppFiles::new(from_place.files()),
        AppFiles::new(place.files()),
    );
    let target = to.clone();
    let is_new = on_disk(move || {
        Ok((|| {
            let (mut file, _) = source.open(&from)?;
            let mut draft = files.draft()?;
            std::io::copy(&mut file, &mut draft)?;
            files.put(&target, draft, force)
        })())
    })
    .await?
    .map_err(failed)?;
    if to.is_code() {
        server.programs.forget(&place.folder());
    }
    described(server, place, &to, is_new).await
}

async fn described(
    server: &Arc<Server>,
    place: &Place,
    path: &FilePath,
    is_new: bool,
) -> Result<Done, ApiError> {
    let (files, wanted) = (AppFiles::new(place.files()), path.clone());
    let facts = on_disk(move || Ok(files.stat(&wanted)))
        .await?
        .map_err(failed)?;
    let signer = signatures::Signer::of(place)?;
    let status = if is_new { 201 } else { 200 };
    Ok(Done::Value(
        status,
        info(server, place, &signer, path, &facts),
    ))
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

fn info(
    server: &Server,
    place: &Place,
    signer: &signatures::Signer,
    path: &FilePath,
    facts: &Facts,
) -> Value {
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let metadata = Map::from([
        (Arc::from("size"), number(facts.size)),
        (Arc::from("contentType"), text(&media_type(path))),
        (Arc::from("modifiedAt"), text(&time_text(facts.modified))),
        (Arc::from("etag"), text(&format!("\"{}\"", facts.tag))),
    ]);
    let url = if path.is_code() {
        Value::Null
    } else {
        text(&signer.url(&server.base_url, place, path))
    };
    map([
        ("app", text(&place.app)),
        ("path", text(&path.text())),
        ("kind", text("persisted")),
        ("metadata", Value::Map(metadata)),
        ("url", url),
    ])
}

fn time_text(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    mix_store::time::format_time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// By the ending; content is not looked at.
fn media_type(path: &FilePath) -> String {
    let guess = mime_guess::from_path(path.last()).first_or_octet_stream();
    match guess.type_() {
        mime_guess::mime::TEXT => format!("{guess}; charset=utf-8"),
        _ => guess.to_string(),
    }
}

fn parsed(path: &str) -> Result<FilePath, ApiError> {
    FilePath::parse(path).map_err(|bad| failed(bad.into()))
}

fn no_such_file() -> ApiError {
    ApiError::new(404, "not_found", "no such file")
}

fn failed(error: FilesError) -> ApiError {
    match error {
        FilesError::BadPath(_) => ApiError::new(400, "bad_path", error.to_string()),
        FilesError::NotFound => no_such_file(),
        FilesError::Exists(_) => ApiError::new(409, "exists", error.to_string()),
        FilesError::Io(_) if error.is_full() => ApiError::new(507, "disk_full", "the disk is full"),
        FilesError::Io(error) => {
            tracing::error!(%error, "files of an app");
            ApiError::internal()
        }
    }
}
