//! Packages into workspaces, workspaces out and in.

use super::workspaces;
use crate::Server;
use crate::grants::Rights;
use crate::identity::Admitted;
use crate::records::{map, text};
use crate::reply::{Reply, Streamed};
use crate::sign_in;
use crate::turns;
use mix_app_files::{FilesError, Shelves, Storage};
use mix_http_api::{ApiError, Content, Done, Elsewhere, Managed, Need, RunOutcome};
use mix_identity::Grant;
use mix_install::{Changes, Keep, Request, Staging, Turn};
use mix_package::{PackageError, Tape, Warning};
use mix_runtime::environment;
use mix_runtime::programs::Missing;
use mix_runtime::run::{self, RunRequest};
use mix_runtime::workspace::{Place, private_folder};
use mix_value::{Map, Value, msgpack};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempPath;

/// Begin of the names of uploads that are under way.
pub const UPLOAD: &str = ".upload-";
/// Begin of the names of folders for imports and exports that are under way.
pub const TRANSFER: &str = ".transfer-";
/// The agent that is called after an install.
const SETUP: &str = "_rmx_setup";
/// How often a step behind the point of no return is tried.
const ATTEMPTS: usize = 3;

/// Installs an uploaded package.
pub async fn install(
    server: &Arc<Server>,
    who: &Admitted,
    ws: &str,
    upload: TempPath,
    request: Request,
    dry_run: bool,
) -> Result<Done, ApiError> {
    let workspace = server.ws_dir.join(ws);
    let files = server.files.clone();
    let name = ws.to_owned();
    // Held to the end: one install of a workspace at a time.
    let _turn = turn(server, ws).await?;
    let left = {
        let (workspace, files) = (workspace.clone(), files.clone());
        blocking(move || mix_install::unfinished(&workspace, files.storage())).await?
    };
    for changes in left {
        make(server, ws, Arc::new(changes)).await?;
    }
    let plan = blocking(move || {
        let staging = Staging::new(&workspace, files.storage().clone())?;
        upload
            .persist(staging.upload())
            .map_err(|error| error.error)?;
        if !dry_run {
            let size = std::fs::metadata(staging.upload())?.len();
            room(&files, &name, size)?;
        }
        staging.plan(&request)
    })
    .await?;
    let not_called = || map([("called", Value::Bool(false))]);
    if dry_run {
        return Ok(Done::Value(200, plan.report().to_value(not_called())));
    }
    let commit = {
        let (files, name) = (server.files.clone(), ws.to_owned());
        blocking(move || {
            let commit = plan.stage()?;
            // What was unpacked lies in the workspace, too.
            files.usage.forget(&name);
            let counted = room(&files, &name, 0);
            if counted.is_err() {
                // It goes again.
                files.usage.forget(&name);
            }
            counted?;
            commit.changes().begin()?;
            Ok(commit)
        })
        .await?
    };
    make(server, ws, commit.changes().clone()).await?;
    let mut setup = not_called();
    let (apps, params) = commit.setup();
    let (apps, params) = (apps.to_vec(), params.clone());
    let report = commit.report().clone();
    server.files.usage.forget(ws);
    super::files::settle(server, ws);
    for app in apps {
        let place = Place::new(&server.ws_dir, ws, &app).map_err(|_| ApiError::internal())?;
        if let Some(told) = call_setup(server, who, place, params.clone()).await {
            setup = told;
        }
    }
    Ok(Done::Value(200, report.to_value(setup)))
}

/// The turn at the apps of a workspace: among the requests of this server, and then among all programs that work on the folder.
pub struct AppsTurn {
    /// Given back first.
    _folder: Turn,
    _here: turns::Turn,
}

/// Takes the turn at the apps of a workspace: installs have it, and who deletes one. Whoever waits for others of this server
/// keeps no thread waiting: there are not many of those, for all workspaces together.
pub async fn turn(server: &Server, ws: &str) -> Result<AppsTurn, ApiError> {
    let waiting = tokio::time::timeout(mix_install::PATIENCE, server.installing.of(ws));
    let here = waiting.await.map_err(|_| failed(Turn::refused()))?;
    let workspace = server.ws_dir.join(ws);
    Ok(AppsTurn {
        _folder: blocking(move || Turn::take(&workspace)).await?,
        _here: here,
    })
}

/// Makes the changes of an install.
async fn make(server: &Arc<Server>, ws: &str, changes: Arc<Changes>) -> Result<(), ApiError> {
    for app in changes.apps() {
        apply(server, ws, &app, &changes).await?;
    }
    blocking(move || changes.finish()).await
}

/// Changes one app while nobody works in it.
async fn apply(
    server: &Arc<Server>,
    ws: &str,
    app: &str,
    changes: &Arc<Changes>,
) -> Result<(), ApiError> {
    let place = Place::new(&server.ws_dir, ws, app).map_err(|_| ApiError::internal())?;
    let _paused = server.occupancy.pause(ws, app);
    for attempt in 1.. {
        let (name, changes) = (app.to_owned(), changes.clone());
        let work = tokio::task::spawn_blocking(move || changes.apply(&name));
        let result = match server.assembly.closed(&place, work).await {
            Ok(result) => result,
            Err(error) => {
                tracing::error!(%error, app, "a step of an install broke off");
                return Err(ApiError::internal());
            }
        };
        server.programs.forget(&place.folder());
        match result {
            Ok(()) => break,
            Err(error) if attempt < ATTEMPTS => {
                tracing::warn!(%error, app, "a step of an install is tried again");
            }
            Err(error) => {
                tracing::error!(%error, app, "an install is finished before the next one, or at the next start");
                return Err(failed(error));
            }
        }
    }
    Ok(())
}

/// Runs the agent `_rmx_setup` as the installer; none if there is no such agent.
async fn call_setup(
    server: &Arc<Server>,
    who: &Admitted,
    place: Place,
    params: Map,
) -> Option<Value> {
    let program = match server.programs.find(&place, SETUP) {
        Ok(program) => program,
        Err(Missing::Damaged(reason)) => return Some(setup_failed(&reason)),
        Err(_) => return None,
    };
    let Ok(_slot) = server.slots.acquire(&place.workspace).await else {
        return Some(setup_failed("all run slots are taken"));
    };
    let rights = crate::neighbours::Rights::of_run(server, who, &place, SETUP, None);
    rights.begin(Duration::from_millis(server.settings.agent_timeout_ms));
    let request = RunRequest {
        environment: environment::of_command(&place, SETUP, server.environment.clone()),
        neighbours: Some(rights),
        place,
        agent: SETUP.to_owned(),
        params: msgpack::encode(&Value::Map(params)).unwrap_or_default(),
        program,
        user: who.caller.name(),
        timeout: Duration::from_millis(server.settings.agent_timeout_ms),
        memory: server.agent_memory,
        allowed: None,
        progress: None,
    };
    let outcome = run::run(&server.assembly, request).await;
    Some(match crate::runs::outcome_of(outcome, "install") {
        RunOutcome::Output(_) => map([("called", Value::Bool(true)), ("ok", Value::Bool(true))]),
        other => {
            let error = other.error(SETUP).unwrap_or_else(ApiError::internal);
            setup_failed(&error.message)
        }
    })
}

fn setup_failed(message: &str) -> Value {
    map([
        ("called", Value::Bool(true)),
        ("ok", Value::Bool(false)),
        ("error", text(message)),
    ])
}

/// Sends the whole workspace.
pub async fn export(
    server: &Arc<Server>,
    managed: &Managed,
    history: bool,
) -> Result<Reply, ApiError> {
    let ws = managed.route.ws.clone();
    let rights = server.grants.of(&ws).await?;
    let file = taped(server, &ws, &rights, history).await?;
    let size = file.metadata().map_err(|error| failed(error.into()))?.len();
    let content = Content {
        media_type: "application/octet-stream".to_owned(),
        size,
        attachment: Some(format!("{ws}.remix")),
        ..Content::default()
    };
    let (head, range) = managed.content(&content);
    let stream = Streamed::file(file, range).map_err(|error| failed(error.into()))?;
    Ok(Reply {
        head,
        stream: Some(stream),
    })
}

/// Sends the whole workspace to another server, which imports it.
pub async fn push(
    server: &Arc<Server>,
    ws: &str,
    to: &Elsewhere,
    remote: &str,
) -> Result<Done, ApiError> {
    let rights = server.grants.of(ws).await?;
    let file = taped(server, ws, &rights, true).await?;
    let path = format!("/v1/ws-import?ws={remote}");
    crate::elsewhere::send(server, to, &path, file).await?;
    let answer = map([("ok", Value::Bool(true)), ("ws", text(remote))]);
    Ok(Done::Value(200, answer))
}

/// The whole workspace as a file.
async fn taped(
    server: &Arc<Server>,
    ws: &str,
    rights: &Rights,
    history: bool,
) -> Result<File, ApiError> {
    let tape = tape(server, ws, rights).await?;
    let (ws_dir, workspace) = (server.ws_dir.clone(), server.ws_dir.join(ws));
    let files = server.files.clone();
    blocking(move || {
        let scratch = tempfile::Builder::new()
            .prefix(TRANSFER)
            .tempdir_in(&ws_dir)?;
        let mut file = tempfile::tempfile_in(&ws_dir)?;
        let out = file.try_clone()?;
        let storage = files.storage();
        mix_install::export(
            &workspace,
            storage,
            &tape,
            &now_text(),
            history,
            scratch.path(),
            out,
        )?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    })
    .await
}

/// Whether the workspace may store so much more.
fn room(files: &Shelves, ws: &str, more: u64) -> Result<(), PackageError> {
    stored(files.usage.add(ws, more))
}

fn stored(counted: Result<(), FilesError>) -> Result<(), PackageError> {
    match counted {
        Ok(()) => Ok(()),
        Err(FilesError::Full { limit }) => {
            let message = "the workspace stores as much as it may";
            Err(PackageError::new("disk_full", message).limit(limit))
        }
        Err(error) => {
            tracing::error!(%error, "what a workspace stores cannot be counted");
            Err(PackageError::new(
                "internal",
                "the workspace cannot be counted",
            ))
        }
    }
}

async fn tape(server: &Server, ws: &str, rights: &Rights) -> Result<Tape, ApiError> {
    let grants = rights.grants().map(|(_, grant)| {
        (
            grant.subject.to_string(),
            grant.role.to_string(),
            grant.resource.to_string(),
        )
    });
    Ok(Tape {
        server: server.name().to_owned(),
        workspace: ws.to_owned(),
        org: rights.org.clone(),
        grants: grants.collect(),
        auth_configs: sign_in::exported(server, ws).await?,
    })
}

/// Makes a workspace from an exported one.
pub async fn import(
    server: &Arc<Server>,
    who: &Admitted,
    name: &str,
    upload: TempPath,
    replace: bool,
    with_grants: bool,
) -> Result<Done, ApiError> {
    if name.starts_with('_') && !who.everything {
        return Err(ApiError::new(
            403,
            "forbidden",
            "names that begin with _ are for administrators of the server",
        ));
    }
    let folder = server.ws_dir.join(name);
    let exists = || {
        ApiError::new(
            409,
            "exists",
            "the workspace exists (replace=true takes its place)",
        )
    };
    if folder.exists() && !replace {
        return Err(exists());
    }
    let owner = who.caller.user.as_ref().map(mix_identity::User::name);
    let (ws_dir, ws, here) = (
        server.ws_dir.clone(),
        name.to_owned(),
        server.name().to_owned(),
    );
    let outbound = server.assembly.outbound.clone();
    let files = server.files.clone();
    let (built, mut done) = blocking(move || {
        let built = tempfile::Builder::new()
            .prefix(TRANSFER)
            .tempdir_in(&ws_dir)?;
        private_folder(built.path())?;
        let grant = |tape: &Tape, grant: &(String, String, String)| {
            let (subject, role, resource) = grant;
            let from = format!("agent/{}:{}.", tape.server, tape.workspace);
            let subject = match subject.strip_prefix(&from) {
                Some(rest) => format!("agent/{here}:{ws}.{rest}"),
                None => subject.clone(),
            };
            let is_good = Grant::parse(&subject, role, resource).is_ok();
            (with_grants && is_good).then(|| (subject, role.clone(), resource.clone()))
        };
        let auth_config = |given: &Map| {
            let given = with_grants.then(|| given.clone())?;
            sign_in::imported(&outbound, given)
        };
        let keep = Keep {
            grant: &grant,
            auth_config: &auth_config,
        };
        let done = mix_install::import(&upload, built.path(), owner.as_deref(), &ws, &keep)?;
        stored(files.usage.fits(built.path()))?;
        Ok((built, done))
    })
    .await?;
    // Callers of a workspace that is replaced wait for the new one.
    let _paused = folder.exists().then(|| server.occupancy.pause(name, ""));
    let Some(_closed) = server.occupancy.close(name, "").await else {
        return Err(ApiError::new(
            409,
            "exists",
            "the workspace is being deleted",
        ));
    };
    // The package may have taken its time, and somebody else may have made the workspace meanwhile. From here on nobody does.
    let need = Need::CreateOrOwn(name.to_owned());
    server.judge_again(who, &need, name).await?;
    let _pause = server.grants.pause(name).await;
    server.assembly.close(&folder).await;
    server.programs.forget(&folder);
    if folder.exists() {
        if !replace {
            return Err(exists());
        }
        done.warnings.push(Warning {
            code: "replaced",
            entry: None,
            message: "the workspace that was there is gone, with its secrets".to_owned(),
        });
    }
    let storage = server.files.storage();
    let left = workspaces::replace(&server.ws_dir, name, built.path().to_owned(), storage).await?;
    if left > 0 {
        done.warnings.push(Warning {
            code: "upstream",
            entry: None,
            message: format!(
                "the store of files failed: {left} files of the workspace that was there are left in it"
            ),
        });
    }
    // The folder has another name now: there is nothing left to delete.
    let _ = built.keep();
    server.grants.forget(name);
    server.forget_topics(name, None);
    server.files.usage.forget(name);
    super::files::settle(server, name);
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let apps = done.apps.iter().map(|app| text(app)).collect();
    let warnings = done.warnings.iter().map(|warning| {
        map([
            ("code", text(warning.code)),
            ("message", text(&warning.message)),
            ("entry", warning.entry.as_deref().map_or(Value::Null, text)),
        ])
    });
    let report = map([
        ("apps", Value::Array(apps)),
        ("grants", number(done.grants)),
        ("droppedGrants", number(done.dropped_grants)),
        ("authConfigs", number(done.auth_configs)),
        ("droppedAuthConfigs", number(done.dropped_auth_configs)),
        ("warnings", Value::Array(warnings.collect())),
    ]);
    let answer = map([
        ("ok", Value::Bool(true)),
        ("name", text(name)),
        ("report", report),
    ]);
    Ok(Done::Value(201, answer))
}

/// Finishes what a crash left of installs, in all workspaces.
pub fn recover(ws_dir: &Path, storage: &Storage) {
    let folders = std::fs::read_dir(ws_dir).into_iter().flatten().flatten();
    for item in folders.filter(|item| item.path().join(".install").is_dir()) {
        if let Err(error) = mix_install::recover(&item.path(), storage) {
            tracing::error!(
                workspace = %item.file_name().to_string_lossy(),
                %error,
                "an interrupted install cannot be finished"
            );
        }
    }
}

fn now_text() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    mix_store::time::format_time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The failure of an install as callers see it.
pub fn failed(error: PackageError) -> ApiError {
    let status = error.status();
    if matches!(error.code, "internal" | "db_io" | "db_failed") {
        tracing::error!(%error, cause = ?std::error::Error::source(&error), "an install");
        return ApiError::internal();
    }
    let mut told = ApiError::new(status, error.code, error.to_string());
    told.details = error.details();
    told
}

/// Work that blocks, off the threads that serve connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PackageError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(failed),
        Err(error) => {
            tracing::error!(%error, "an install broke off");
            Err(ApiError::internal())
        }
    }
}
