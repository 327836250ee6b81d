//! Workspaces: folders, and who owns them.

use super::packages::{TRANSFER, UPLOAD};
use super::{may, names, on_disk, sees};
use crate::Server;
use crate::identity::Admitted;
use crate::records::{map, text};
use anyhow::Context;
use mix_app_files::{Held, Storage};
use mix_http_api::{ApiError, Done, LOGGING_APP, is_workspace_name};
use mix_identity::{Permission, Target};
use mix_runtime::workspace::{app_name, private_folder};
use mix_value::Value;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Begin of the names of folders that are being deleted.
const LEFTOVER: &str = ".deleted-";

/// Begin of the name of a workspace that another one is taking the place of.
const REPLACED: &str = ".replaced-";

/// Length of a name that the server makes up.
const MADE_UP: usize = 10;

/// Names of all workspaces.
async fn all(server: &Arc<Server>) -> Result<Vec<String>, ApiError> {
    let ws_dir = server.ws_dir.clone();
    on_disk(move || {
        Ok(folders(&ws_dir)?
            .into_iter()
            .filter(|name| is_workspace_name(name))
            .collect())
    })
    .await
}

pub async fn list(server: &Arc<Server>, who: &Admitted) -> Result<Done, ApiError> {
    let mut seen = Vec::new();
    for name in all(server).await? {
        if sees(server, who, &name, &Target::Workspace).await? {
            seen.push(name);
        }
    }
    seen.sort();
    Ok(Done::Value(200, map([("workspaces", names(seen))])))
}

pub async fn create(
    server: &Arc<Server>,
    who: &Admitted,
    name: Option<&str>,
) -> Result<Done, ApiError> {
    let name = match name {
        Some(name) if name.starts_with('_') && !who.everything => {
            return Err(ApiError::new(
                403,
                "forbidden",
                "names that begin with _ are for administrators of the server",
            ));
        }
        Some(name) => name.to_owned(),
        None => made_up_name()?,
    };
    // Whoever deletes or makes it at this moment comes first.
    let _presence = server
        .occupancy
        .enter(&name, "")
        .ok_or_else(|| ApiError::new(409, "exists", "the workspace is being deleted"))?;
    let folder = server.ws_dir.join(&name);
    let made = on_disk(move || {
        let made = fs::create_dir(&folder);
        match made {
            Ok(()) => private_folder(&folder).map(|()| true).map_err(Into::into),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    if !made {
        return Err(ApiError::new(409, "exists", "the workspace exists"));
    }
    server.grants.forget(&name);
    if let Some(user) = &who.caller.user {
        let described = server.grants.describe(&name, Some(user.name()), None).await;
        if let Err(error) = described {
            // Without an owner nobody but an administrator could use or delete it.
            remove(&server.ws_dir, server.ws_dir.join(&name)).await?;
            server.grants.forget(&name);
            return Err(error);
        }
    }
    let answer = map([("ok", Value::Bool(true)), ("name", text(&name))]);
    Ok(Done::Value(201, answer))
}

pub async fn get(server: &Arc<Server>, who: &Admitted, ws: &str) -> Result<Done, ApiError> {
    let apps = visible_apps(server, who, ws).await?;
    Ok(Done::Value(
        200,
        map([("name", text(ws)), ("apps", names(apps))]),
    ))
}

/// Apps that any grant of the caller reaches, sorted.
pub async fn visible_apps(
    server: &Arc<Server>,
    who: &Admitted,
    ws: &str,
) -> Result<Vec<String>, ApiError> {
    let folder = server.ws_dir.join(ws);
    let all = on_disk(move || {
        Ok(folders(&folder)?
            .into_iter()
            .filter_map(|name| app_name(&name))
            .collect::<Vec<_>>())
    })
    .await?;
    let mut seen = Vec::new();
    for app in all {
        // The activity log is for administrators of the workspace.
        let is_visible = match app.as_str() {
            LOGGING_APP => {
                may(
                    server,
                    who,
                    ws,
                    Permission::GrantPermissions,
                    &Target::Workspace,
                )
                .await?
            }
            _ => sees(server, who, ws, &Target::App(app.clone())).await?,
        };
        if is_visible {
            seen.push(app);
        }
    }
    seen.sort();
    Ok(seen)
}

pub async fn patch(
    server: &Arc<Server>,
    ws: &str,
    org: Option<String>,
    owner: Option<String>,
) -> Result<Done, ApiError> {
    if let Some(org) = org.as_deref().filter(|org| *org != ws) {
        let others = all(server).await?;
        server.grants.name_org(org, &others).await?;
    }
    let rights = if org.is_none() && owner.is_none() {
        server.grants.of(ws).await?
    } else {
        server.grants.describe(ws, owner, org).await?
    };
    let owner = rights.workspace.owner.as_deref();
    let answer = map([
        ("name", text(ws)),
        ("org", text(&rights.org)),
        ("owner", owner.map_or(Value::Null, text)),
    ]);
    Ok(Done::Value(200, answer))
}

pub async fn delete(server: &Arc<Server>, ws: &str) -> Result<Done, ApiError> {
    let Some(_closed) = server.occupancy.close(ws, "").await else {
        return Err(ApiError::new(404, "no_such_ws", "no such workspace"));
    };
    let folder = server.ws_dir.join(ws);
    let _pause = server.grants.pause(ws).await;
    server.assembly.close(&folder).await;
    server.programs.forget(&folder);
    let _held = clear(server, ws, None).await?;
    let gone = remove(&server.ws_dir, folder).await?;
    server.grants.forget(ws);
    server.links.forget(ws, None);
    server.forget_topics(ws, None);
    server.files.usage.forget(ws);
    if !gone {
        return Err(ApiError::new(404, "no_such_ws", "no such workspace"));
    }
    Ok(Done::Nothing)
}

pub async fn flush(server: &Arc<Server>, ws: &str) -> Result<Done, ApiError> {
    let folder = server.ws_dir.join(ws);
    server.programs.forget(&folder);
    server.assembly.checkpoint(&folder).await;
    Ok(Done::Nothing)
}

/// Deletes what a bucket holds of a workspace or an app that is about to go. While that fails, it stays. Nothing is moved
/// into the bucket until what is returned is dropped.
pub async fn clear(server: &Server, ws: &str, app: Option<&str>) -> Result<Option<Held>, ApiError> {
    let (files, ws, app) = (server.files.clone(), ws.to_owned(), app.map(str::to_owned));
    let cleared = on_disk(move || {
        let held = files.storage().hold(&ws);
        Ok(files.storage().clear(&ws, app.as_deref()).map(|_| held))
    })
    .await?;
    cleared.map_err(super::files::failed)
}

/// Takes a folder out of sight at once, then deletes what is in it; false if it was not there.
pub async fn remove(ws_dir: &Path, folder: PathBuf) -> Result<bool, ApiError> {
    let aside = ws_dir.join(format!("{LEFTOVER}{}", made_up_name()?));
    on_disk(move || {
        match fs::rename(&folder, &aside) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        fs::remove_dir_all(&aside).with_context(|| aside.display().to_string())?;
        Ok(true)
    })
    .await
}

/// Puts a workspace that was built aside in the place of one that may be there. At every moment the
/// old or the new one is there, or comes back at the next start. While the store of files fails, the old one stays;
/// if it begins to fail in the middle, so many files of the old one are left in it.
pub async fn replace(
    ws_dir: &Path,
    ws: &str,
    built: PathBuf,
    storage: &Storage,
) -> Result<usize, ApiError> {
    let gone = ws_dir.join(format!("{LEFTOVER}{}", made_up_name()?));
    let (storage, name) = (storage.clone(), ws.to_owned());
    let (folder, aside) = (ws_dir.join(ws), ws_dir.join(format!("{REPLACED}{ws}")));
    let ws_dir = ws_dir.to_owned();
    let replaced = on_disk(move || {
        let _held = storage.hold(&name);
        // What a bucket holds belongs to the old one, or to one that was deleted.
        let objects = match storage.objects(&name, None) {
            Ok(objects) => objects,
            Err(error) => return Ok(Err(error)),
        };
        if folder.exists() {
            fs::rename(&folder, &aside)?;
        }
        if let Err(error) = fs::rename(&built, &folder) {
            if aside.exists() {
                fs::rename(&aside, &folder)?;
            }
            return Err(error.into());
        }
        fs::File::open(&ws_dir)?.sync_all()?;
        let mut left = 0;
        if let Err((deleted, error)) = storage.delete(&objects) {
            if deleted == 0 {
                // Nothing is lost yet.
                fs::rename(&folder, &built)?;
                if aside.exists() {
                    fs::rename(&aside, &folder)?;
                }
                return Ok(Err(error));
            }
            left = objects.len() - deleted;
            tracing::error!(workspace = name, %error, left, "files of a replaced workspace stay in the store");
        }
        if aside.exists() {
            // From here on there is nothing to go back to.
            fs::rename(&aside, &gone)?;
            if let Err(error) = fs::remove_dir_all(&gone) {
                tracing::warn!(workspace = name, %error, "a replaced workspace is deleted at the next start");
            }
        }
        Ok(Ok(left))
    })
    .await?;
    replaced.map_err(super::files::failed)
}

/// Brings back or deletes the workspaces whose replacement was interrupted.
fn finish_replacements(ws_dir: &Path, storage: &Storage) {
    for name in folders(ws_dir).unwrap_or_default() {
        let Some(ws) = name.strip_prefix(REPLACED) else {
            continue;
        };
        let (folder, aside) = (ws_dir.join(ws), ws_dir.join(&name));
        let done = if folder.exists() {
            match storage.clear(ws, None) {
                Ok(_) => fs::remove_dir_all(&aside),
                Err(error) => Err(std::io::Error::other(error)),
            }
        } else {
            fs::rename(&aside, &folder)
        };
        if let Err(error) = done {
            tracing::error!(name, %error, "an interrupted import cannot be undone");
        }
    }
}

/// Deletes what interrupted deletions, uploads and transfers left.
pub fn remove_leftovers(ws_dir: &Path, storage: &Storage) {
    finish_replacements(ws_dir, storage);
    for item in fs::read_dir(ws_dir).into_iter().flatten().flatten() {
        if item.file_name().to_string_lossy().starts_with(UPLOAD) {
            let _ = fs::remove_file(item.path());
        }
    }
    for name in folders(ws_dir).unwrap_or_default() {
        if (name.starts_with(LEFTOVER) || name.starts_with(TRANSFER))
            && let Err(error) = fs::remove_dir_all(ws_dir.join(&name))
        {
            tracing::warn!(name, %error, "an interrupted deletion cannot be finished");
        }
    }
}

fn folders(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        if item.file_type()?.is_dir()
            && let Ok(name) = item.file_name().into_string()
        {
            found.push(name);
        }
    }
    Ok(found)
}

/// Random letters and digits, a letter first.
pub fn made_up_name() -> Result<String, ApiError> {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0u8; MADE_UP];
    getrandom::fill(&mut bytes).map_err(|_| ApiError::internal())?;
    Ok(bytes
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            let among = if index == 0 { 26 } else { LETTERS.len() };
            LETTERS[usize::from(*byte) % among] as char
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(root: &Path, name: &str, text: &str) {
        fs::create_dir(root.join(name)).expect("a folder");
        fs::write(root.join(name).join("text"), text).expect("a file");
    }

    fn text(root: &Path) -> Option<String> {
        fs::read_to_string(root.join("acme/text")).ok()
    }

    #[tokio::test]
    async fn a_workspace_takes_the_place_of_another() {
        let root = tempfile::tempdir().expect("a folder");
        for new in ["first", "second"] {
            workspace(root.path(), ".transfer-x", new);
            let built = root.path().join(".transfer-x");
            replace(root.path(), "acme", built, &Storage::default())
                .await
                .expect("it fits");
            assert_eq!(text(root.path()).as_deref(), Some(new));
        }
        let left = folders(root.path()).expect("it can be listed");
        assert_eq!(left, ["acme"]);
    }

    #[test]
    fn a_replacement_that_broke_off_leaves_one_of_the_two() {
        // Before the new one came: the old one comes back.
        let root = tempfile::tempdir().expect("a folder");
        workspace(root.path(), ".replaced-acme", "old");
        workspace(root.path(), ".transfer-x", "new");
        remove_leftovers(root.path(), &Storage::default());
        assert_eq!(text(root.path()).as_deref(), Some("old"));
        // After: the old one goes.
        workspace(root.path(), ".replaced-acme", "older");
        remove_leftovers(root.path(), &Storage::default());
        assert_eq!(text(root.path()).as_deref(), Some("old"));
        assert_eq!(folders(root.path()).expect("it can be listed"), ["acme"]);
    }
}
