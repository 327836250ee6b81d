//! What a call makes on its way, and takes back if it fails: a database that could not be made, or
//! was refused, leaves no folder that looks like one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{LIVE, NEW, OLD};
use crate::folder::{AppFolder, NativeAppFolder, NativeFolder};

/// Name of the file with the lock of the operating system.
pub(crate) const LOCK: &str = "LOCK";

/// What there was at a path, and what was made there.
pub(crate) struct Made {
    path: PathBuf,
    /// The folders that had to be made, the last one first.
    folders: Vec<PathBuf>,
    /// Under any of its names.
    had_database: bool,
}

impl Made {
    /// Makes the folder at `path`, and those around it.
    pub fn folder(path: &Path) -> io::Result<Made> {
        let mut folders = Vec::new();
        for folder in path.ancestors().filter(|it| !it.as_os_str().is_empty()) {
            if folder.try_exists()? {
                break;
            }
            folders.push(folder.to_path_buf());
        }
        let mut had_database = false;
        for name in [LIVE, NEW, OLD] {
            had_database |= path.join(name).try_exists()?;
        }
        NativeFolder::create(path)?;
        Ok(Made {
            path: path.to_path_buf(),
            folders,
            had_database,
        })
    }

    /// Removes it, as far as nobody else has begun something there. `locked`: the caller, or who
    /// called it, has the lock.
    pub fn take_back(self, locked: bool) {
        let lock = File::open(self.path.join(LOCK)).ok();
        let is_free = |lock: &File| locked || lock.try_lock().is_ok();
        if lock.as_ref().is_some_and(|lock| !is_free(lock)) {
            // Somebody is at work there.
            return;
        }
        if !self.had_database && (locked || lock.is_some()) {
            self.take_back_database();
        }
        if self.folders.is_empty() {
            return;
        }
        let is_lock_alone = fs::read_dir(&self.path)
            .is_ok_and(|mut all| all.all(|item| item.is_ok_and(|item| item.file_name() == LOCK)));
        if is_lock_alone {
            // Whoever waits for it looks whether it still is there.
            let _ = fs::remove_file(self.path.join(LOCK));
        }
        for folder in &self.folders {
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// A folder for a database in which none was begun.
    fn take_back_database(&self) {
        let app = NativeAppFolder::new(&self.path);
        let names = app.folder(LIVE).and_then(|folder| folder.list());
        let is_begun = |name: &String| name.starts_with("LEASE.") || name.starts_with("db.state.");
        if names.is_ok_and(|names| !names.iter().any(is_begun)) {
            let _ = app.remove_all(LIVE);
        }
    }
}
