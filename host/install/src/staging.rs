//! The folder in which an install is prepared, and the turn of a workspace.

use crate::database::fresh_id;
use crate::journal;
use mix_app_files::Storage;
use mix_package::{PackageError, Result};
use mix_store::holder::is_in_place;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the folder of installs in a workspace.
pub(crate) const INSTALLS: &str = ".install";
/// Folder of whole new apps in that of an install.
pub(crate) const NEW: &str = "new";
/// Name of the lock in it.
pub(crate) const LOCK: &str = "LOCK";
/// Longest wait for another install.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The turn of a workspace: one install at a time, over all processes.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
    /// The folders that had to be made for it, the last one first.
    made: Vec<PathBuf>,
}

impl Turn {
    /// What is told to who has waited in vain.
    pub fn refused() -> PackageError {
        PackageError::new(
            "install_running",
            "another install of the workspace is running",
        )
    }

    /// Waits for the turn, at most a minute. Blocks the thread.
    pub fn take(workspace: &Path) -> Result<Turn> {
        let folder = workspace.join(INSTALLS);
        let mut made = Vec::new();
        for folder in folder.ancestors().filter(|it| !it.as_os_str().is_empty()) {
            if folder.try_exists()? {
                break;
            }
            made.push(folder.to_path_buf());
        }
        let path = folder.join(LOCK);
        let open = || -> std::io::Result<File> {
            private_folder(&folder)?;
            let mut how = OpenOptions::new();
            how.create(true).truncate(false).write(true).mode(0o600);
            how.open(&path)
        };
        let mut file = open()?;
        let end = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) if is_in_place(&file, &path)? => return Ok(Turn { _lock: file, made }),
                // Who had it has taken it back.
                Ok(()) => file = open()?,
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(25));
                }
                Err(TryLockError::WouldBlock) => return Err(Turn::refused()),
            }
        }
    }
}

impl Turn {
    /// Removes what was made for the turn, if nothing came of it: an install that failed makes no workspace.
    pub fn take_back(self) {
        let Some(folder) = self.made.first() else {
            return;
        };
        let is_lock_alone = fs::read_dir(folder)
            .is_ok_and(|mut all| all.all(|item| item.is_ok_and(|item| item.file_name() == LOCK)));
        if is_lock_alone {
            // Whoever waits for it looks whether it still is there.
            let _ = fs::remove_file(folder.join(LOCK));
        }
        for folder in &self.made {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

/// A folder of its own for one install; gone when dropped, unless it was committed.
#[derive(Debug)]
pub struct Staging {
    pub(crate) workspace: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) storage: Storage,
}

impl Staging {
    /// Makes the folder. `storage`: where the files of the apps of the workspace lie.
    pub fn new(workspace: &Path, storage: Storage) -> Result<Staging> {
        let folder = workspace.join(INSTALLS).join(fresh_id()?.as_str());
        private_folder(&folder)?;
        Ok(Staging {
            workspace: workspace.to_owned(),
            folder,
            storage,
        })
    }

    /// Where the package is stored.
    pub fn upload(&self) -> PathBuf {
        self.folder.join("upload.remix")
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !journal::is_committing(&self.folder)
            && let Err(error) = fs::remove_dir_all(&self.folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the rest of an install cannot be removed");
        }
    }
}

pub(crate) fn private_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
