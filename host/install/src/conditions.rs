//! Whether the apps of a package may be installed, and how.

use crate::database::{look, newest};
use mix_app_files::folder_name;
use mix_package::{App, Format, PackageError, Result, Rule};
use mix_store::Database;
use mix_value::{Map, Value};
use std::path::{Path, PathBuf};

/// What happens to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is not there yet.
    Create,
    /// It is there and is made anew, records and all.
    Fresh,
    /// It is there: new metadata, code and resources.
    Replace,
    /// It is there: what the package brings comes over it.
    Update,
    /// It stays as it is.
    Skip(&'static str),
}

/// An app of the package beside what is installed.
pub(crate) struct Target {
    pub name: String,
    pub folder: PathBuf,
    pub action: Action,
    /// Its records now.
    pub database: Option<Database>,
    /// Its metadata now.
    pub metadata: Option<Map>,
}

/// What the caller says about where and how.
pub(crate) struct Circumstances<'a> {
    pub force: bool,
    pub platform: Option<&'a str>,
    pub surface: Option<&'a str>,
}

pub(crate) fn target(
    workspace: &Path,
    format: Format,
    app: &App,
    given: &Circumstances<'_>,
) -> Result<Target> {
    for (wanted, offered, what) in [
        (given.platform, &app.platforms, "platform"),
        (given.surface, &app.surfaces, "surface"),
    ] {
        if let Some(wanted) = wanted
            && !offered.is_empty()
            && !offered.iter().any(|one| one == wanted)
        {
            let message = format!("app {} is not for {what} {wanted:?}", app.name);
            return Err(PackageError::new("not_for_platform", message).found(wanted));
        }
    }
    let folder = workspace.join(folder_name(&app.name));
    let exists = folder.is_dir();
    let database = if exists { look(&folder)? } else { None };
    let metadata = match &database {
        Some(database) => newest(database, "app")?,
        None => None,
    };
    let mut action = action(app, exists, database.as_ref())?;
    let is_newer = match (
        published(metadata.as_ref()),
        published(app.metadata.as_ref()),
    ) {
        (Some(installed), Some(coming)) => installed > coming,
        _ => false,
    };
    if is_newer && !given.force && !matches!(action, Action::Create | Action::Skip(_)) {
        if format != Format::V1 {
            let message = format!("app {} was published later than the package", app.name);
            return Err(PackageError::new("newer_installed", message).found(app.name.as_str()));
        }
        action = Action::Skip("newer_installed");
    }
    Ok(Target {
        name: app.name.clone(),
        folder,
        action,
        database,
        metadata,
    })
}

fn action(app: &App, exists: bool, database: Option<&Database>) -> Result<Action> {
    let missing = || {
        let message = format!("the package updates app {}, which is not there", app.name);
        PackageError::new("app_missing", message).found(app.name.as_str())
    };
    Ok(match (&app.rule, exists) {
        (Rule::Replace | Rule::IfAbsent | Rule::Fresh | Rule::Any, false) => Action::Create,
        (Rule::Replace, true) => Action::Replace,
        (Rule::IfAbsent, true) => Action::Skip("exists"),
        (Rule::Fresh, true) => Action::Fresh,
        (Rule::Any | Rule::UpdateOnly, true) => Action::Update,
        (Rule::UpdateOnly | Rule::UpdateOf(_), false) => return Err(missing()),
        (Rule::UpdateOf(line), true) => {
            let installed = match database {
                Some(database) => newest(database, "install")?,
                None => None,
            };
            let found = installed
                .as_ref()
                .and_then(|record| record.get("id"))
                .and_then(Value::as_str)
                .unwrap_or_default();
            if found != line {
                let message = format!(
                    "app {} was not installed from the package line {line:?}",
                    app.name
                );
                return Err(PackageError::new("wrong_base", message).found(found));
            }
            Action::Update
        }
    })
}

/// When an app was published, in milliseconds since 1970.
fn published(metadata: Option<&Map>) -> Option<f64> {
    metadata?.get("last_published_at")?.as_float()
}
