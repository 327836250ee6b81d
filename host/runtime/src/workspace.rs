//! Folders of workspaces and apps.

use anyhow::{Context, Result, bail};
use mix_app_files::{app_of_folder, folder_name};
use mix_http_api::{APP_NAME, WORKSPACE_NAME, is_app_name, is_workspace_name};
use mix_output_file::OutputFile;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// An app of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// Folder of workspaces.
    pub ws_dir: PathBuf,
    /// Workspace.
    pub workspace: String,
    /// App.
    pub app: String,
}

impl Place {
    /// An app by its names, which are checked.
    pub fn new(ws_dir: &Path, workspace: &str, app: &str) -> Result<Place> {
        if !is_workspace_name(workspace) {
            bail!("{workspace:?} is no workspace name: {WORKSPACE_NAME}");
        }
        if !is_app_name(app) {
            bail!("{app:?} is no app name: {APP_NAME}");
        }
        Ok(Place {
            ws_dir: std::path::absolute(ws_dir)?,
            workspace: workspace.to_owned(),
            app: app.to_owned(),
        })
    }

    /// Folder of the workspace.
    pub fn workspace_folder(&self) -> PathBuf {
        self.ws_dir.join(&self.workspace)
    }

    /// Folder of the app.
    pub fn folder(&self) -> PathBuf {
        self.workspace_folder().join(folder_name(&self.app))
    }

    /// Folder of the app's files.
    pub fn files(&self) -> PathBuf {
        self.folder().join("files")
    }

    /// Folder of the app's programs.
    pub fn code(&self) -> PathBuf {
        self.files().join("code")
    }

    /// Folder of the sealed values of the workspace's users.
    pub fn secrets(&self) -> PathBuf {
        self.workspace_folder().join("_rmx_secrets")
    }

    /// Folder of a plugin for this app. Names of plugins come from outside.
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.folder().join("plugins").join(folder_name(name))
    }

    /// Folder of the workspace's own keys.
    pub fn keys(&self) -> PathBuf {
        self.workspace_folder().join(".keys")
    }

    /// The place of what all apps of the workspace share in memory: it has no folder.
    pub fn shared_memory(&self) -> Place {
        Place {
            app: String::new(),
            ..self.clone()
        }
    }

    /// Whether this is the place of what is shared in memory.
    pub fn is_memory(&self) -> bool {
        self.app.is_empty()
    }

    /// Makes the folders that are missing.
    pub fn create(&self) -> Result<()> {
        let folder = self.code();
        private_folder(&folder).with_context(|| format!("{} cannot be created", folder.display()))
    }
}

/// The app of a folder; `None` if the folder is not one of an app that users see.
pub fn app_name(folder: &str) -> Option<String> {
    let is_internal = |name: &str| matches!(name, "_rmx_admin" | "_rmx_secrets");
    app_of_folder(folder).filter(|name| is_app_name(name) && !is_internal(name))
}

/// A folder, with its parents, that only its owner can enter.
pub fn private_folder(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Writes a file of a workspace so that a reader sees the old content or the new, never a part.
/// Nobody but its owner can read it.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let folder = folder_of(path)?;
    private_folder(folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    replace(path, folder, content)
}

/// Writes a file that a command was asked for, whole or not at all; who can read it, and the folders
/// that are made for it, is left to the user's `umask`.
pub fn write_output(path: &Path, content: &[u8]) -> Result<()> {
    let folder = folder_of(path)?;
    fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be created", folder.display()))?;
    let mut file = OutputFile::create(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(content)
        .and_then(|()| file.finish())
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn folder_of(path: &Path) -> Result<&Path> {
    path.parent()
        .with_context(|| format!("{} has no folder", path.display()))
}

fn replace(path: &Path, folder: &Path, content: &[u8]) -> Result<()> {
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .with_context(|| format!("{} cannot be written", folder.display()))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_private_and_what_a_command_makes_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let plain = scratch.path().join("plain");
        fs::write(&plain, "").unwrap();
        for (write, path, readable) in [
            (
                write_atomically as fn(&Path, &[u8]) -> Result<()>,
                "a/b",
                0o600,
            ),
            (write_output, "c/d", mode(&plain)),
        ] {
            let path = scratch.path().join(path);
            write(&path, b"old").unwrap();
            write(&path, b"new").unwrap();
            assert_eq!(
                (mode(&path), fs::read(&path).unwrap()),
                (readable, b"new".to_vec())
            );
        }
    }

    #[test]
    fn apps_that_users_see_have_folders() {
        assert_eq!(app_name("my%2Eapp-1_x").as_deref(), Some("my.app-1_x"));
        for other in [".install", "my.app", "_rmx_admin", "a%2"] {
            assert_eq!(app_name(other), None, "{other}");
        }
        assert!(Place::new(Path::new("/w"), "local", "../x").is_err());
        assert!(Place::new(Path::new("/w"), "..", "app").is_err());
    }
}
