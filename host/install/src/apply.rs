//! From the point of no return on: every step can be done again.

use crate::database::{SYSTEM, failed, find, id_of, lock, open};
use crate::journal::{self, Journal, Step};
use crate::libraries;
use crate::plan::{Setup, doomed, files_failed};
use crate::report::Report;
use crate::staging::{INSTALLS, LOCK, NEW, Staging, Turn, private_folder};
use mix_app_files::{AppFiles, FilePath, Storage};
use mix_package::{PackageError, Result};
use mix_store::query::Pipeline;
use mix_store::{Database, SaveOptions, content_hash};
use mix_value::{Map, Ref, Value, msgpack};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Ids that are deleted in one commit.
const DELETIONS: usize = 10_000;
/// Folders of an app that are exchanged as a whole.
const PARTS: [&str; 3] = ["v2", "files", "plugins"];

/// An install that is ready to be done.
pub struct Commit {
    changes: Arc<Changes>,
    report: Report,
    setup: Setup,
}

/// What an install changes; every change may be made again.
pub struct Changes {
    staging: Staging,
    journal: Journal,
}

impl Commit {
    pub(crate) fn new(staging: Staging, journal: Journal, report: Report, setup: Setup) -> Commit {
        Commit {
            changes: Arc::new(Changes { staging, journal }),
            report,
            setup,
        }
    }

    /// What it changes.
    pub fn changes(&self) -> &Arc<Changes> {
        &self.changes
    }

    /// What is done.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Apps whose agent `_rmx_setup` is called afterwards, and its parameters.
    pub fn setup(&self) -> (&[String], &Map) {
        (&self.setup.apps, &self.setup.params)
    }
}

impl Changes {
    /// The apps that are changed, in the order in which that is done.
    pub fn apps(&self) -> Vec<String> {
        self.journal
            .steps
            .iter()
            .map(|step| step.app.clone())
            .collect()
    }

    /// Fails if another process has the records of an app open that is changed.
    pub fn check_free(&self) -> Result<()> {
        for step in &self.journal.steps {
            let app = self.staging.workspace.join(&step.folder);
            if app.is_dir() {
                drop(lock(&app)?);
            }
        }
        Ok(())
    }

    /// The point of no return.
    pub fn begin(&self) -> Result<()> {
        let journal = Journal {
            committing: true,
            ..self.journal.clone()
        };
        journal::write(&self.staging.folder, &journal)
    }

    /// Changes one app. May be repeated.
    pub fn apply(&self, app: &str) -> Result<()> {
        let steps = &self.journal.steps;
        match steps.iter().find(|step| step.app == app) {
            Some(step) => apply(step, &self.staging, &self.journal.actor),
            None => Ok(()),
        }
    }

    /// Removes what is left of the install.
    pub fn finish(&self) -> Result<()> {
        fs::remove_dir_all(&self.staging.folder)?;
        Ok(())
    }
}

/// Finishes or removes what interrupted installs left in a workspace. Nobody else works on it.
pub fn recover(workspace: &Path, storage: &Storage) -> Result<()> {
    if !workspace.join(INSTALLS).is_dir() {
        return Ok(());
    }
    let _turn = Turn::take(workspace)?;
    for changes in unfinished(workspace, storage)? {
        for app in changes.apps() {
            changes.apply(&app)?;
        }
        changes.finish()?;
    }
    Ok(())
}

/// Installs that passed the point of no return and were not finished, and removes what others left.
/// The caller has the turn: they come before any new one, which they would undo later.
pub fn unfinished(workspace: &Path, storage: &Storage) -> Result<Vec<Changes>> {
    let installs = workspace.join(INSTALLS);
    let folders = match fs::read_dir(&installs) {
        Ok(folders) => folders,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for item in folders {
        let item = item?;
        if item.file_name() == LOCK {
            continue;
        }
        // Dropping it removes what was not committed.
        let staging = Staging {
            workspace: workspace.to_owned(),
            folder: item.path(),
            storage: storage.clone(),
        };
        let Some(journal) = journal::read(&staging.folder)? else {
            continue;
        };
        if journal.committing {
            tracing::info!(
                install = %item.file_name().to_string_lossy(),
                "an interrupted install is finished"
            );
            found.push(Changes { staging, journal });
        }
    }
    Ok(found)
}

fn apply(step: &Step, staging: &Staging, actor: &str) -> Result<()> {
    let target = staging.workspace.join(&step.folder);
    let workspace = staging.workspace.file_name().and_then(|name| name.to_str());
    let _held = workspace.and_then(|name| staging.storage.hold(name));
    if step.is_whole {
        return exchange(step, staging, &target);
    }
    private_folder(&target)?;
    let lock = lock(&target)?;
    let database = open(&target, &step.app)?;
    save(&database, step, &staging.folder, actor)?;
    database.close().map_err(failed)?;
    drop(lock);
    let files = staging.storage.files(&target);
    for path in doomed(&files, step)? {
        match files.remove(&path) {
            Ok(()) | Err(mix_app_files::FilesError::NotFound) => {}
            Err(error) => return Err(files_failed(error)),
        }
    }
    let staged = AppFiles::new(
        staging
            .folder
            .join("changed")
            .join(&step.folder)
            .join("files"),
    );
    for text in &step.files {
        let path = FilePath::parse(text).map_err(|bad| files_failed(bad.into()))?;
        files.adopt(&path, &staged).map_err(files_failed)?;
    }
    if step.has_code {
        libraries::remove_unused(&target.join("files").join("code"));
    }
    Ok(())
}

/// Puts a whole new app in the place of the old one.
fn exchange(step: &Step, staging: &Staging, target: &Path) -> Result<()> {
    let new = staging.folder.join(NEW).join(&step.folder);
    if !new.is_dir() {
        // Done before.
        return Ok(());
    }
    clear(step, staging)?;
    if !target.exists() {
        fs::rename(&new, target)?;
        sync(&staging.workspace)?;
        return Ok(());
    }
    let old = staging.folder.join("old").join(&step.folder);
    private_folder(&old)?;
    // The lock stays where it is: whoever waits for it waits for this app.
    let _lock = lock(target)?;
    for part in PARTS {
        let (coming, there) = (new.join(part), target.join(part));
        let is_coming = coming.exists();
        if there.exists() && (is_coming || part == "plugins") {
            fs::rename(&there, old.join(part))?;
        }
        if is_coming {
            fs::rename(&coming, &there)?;
        }
    }
    // What a rewriting of the old records left aside.
    for item in fs::read_dir(target)?.flatten() {
        let name = item.file_name();
        if name.to_string_lossy().starts_with("v2.") {
            fs::rename(item.path(), old.join(&name))?;
        }
    }
    sync(target)?;
    fs::remove_dir_all(&new)?;
    Ok(())
}

/// What a bucket holds of the old app goes. The files of the new one are in its folder until they are moved.
fn clear(step: &Step, staging: &Staging) -> Result<()> {
    if let Some(workspace) = staging.workspace.file_name().and_then(|name| name.to_str()) {
        let cleared = staging.storage.clear(workspace, Some(&step.app));
        cleared.map_err(files_failed)?;
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<()> {
    Ok(fs::File::open(folder)?.sync_all()?)
}

/// Deletes and saves the records of an app.
pub(crate) fn save(database: &Database, step: &Step, staging: &Path, actor: &str) -> Result<()> {
    for set in &step.sets {
        let options = SaveOptions::default()
            .with_names(set.options.iter().map(String::as_str))
            .map_err(failed)?
            .with_actor(actor);
        if let Some(clauses) = &set.delete {
            delete(database, clauses, actor)?;
        }
        for name in &set.batches {
            let bytes = fs::read(staging.join("records").join(name))?;
            let Ok(Value::Array(records)) = msgpack::decode(&bytes) else {
                return Err(PackageError::new("internal", "a staged file is damaged"));
            };
            if !is_saved(database, &records, &options)? {
                database.save(records, &options).map_err(failed)?;
            }
        }
    }
    let about: Vec<Value> = [&step.metadata, &step.install]
        .into_iter()
        .flatten()
        .cloned()
        .map(Value::Map)
        .collect();
    let options = SaveOptions::default().with_actor(SYSTEM);
    database.save(about, &options).map_err(failed)?;
    Ok(())
}

fn delete(database: &Database, clauses: &Value, actor: &str) -> Result<()> {
    let query = Pipeline::from_value(clauses)
        .map_err(|error| PackageError::new("internal", error.to_string()))?;
    let mut ids: Vec<Ref> = Vec::new();
    find(database, &query, Map::new(), &mut |record| {
        ids.extend(id_of(&record));
        Ok(())
    })?;
    for some in ids.chunks(DELETIONS) {
        database.delete(some, actor).map_err(failed)?;
    }
    Ok(())
}

/// A batch is one commit, so its first record tells whether all of it is there.
fn is_saved(database: &Database, records: &[Value], options: &SaveOptions) -> Result<bool> {
    let Some(Value::Map(first)) = records.first() else {
        return Ok(true);
    };
    let Some(id) = id_of(first).filter(|_| !options.upsert) else {
        return Ok(false);
    };
    let Some(stored) = database.get_one(id.as_str()).map_err(failed)? else {
        return Ok(false);
    };
    let Value::Map(stored) = stored.value().map_err(failed)? else {
        return Ok(false);
    };
    let mut content = first.clone();
    content.retain(|key, value| !mix_store::fields::is_engine_owned(key) && !value.is_undefined());
    let hash = content_hash(&content).map_err(failed)?;
    Ok(stored.get("_rmx_content_hash").and_then(Value::as_str) == Some(hash.as_str()))
}
