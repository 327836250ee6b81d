//! Locks between processes: one server per folder of workspaces, one writer per app.

use crate::bindings::Failure;
use crate::workspace::private_folder;
use anyhow::{Context, Result};
use mix_store::holder;
use mix_store::time::{Clock, SystemClock};
use mix_value::{Map, Value, msgpack};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a second writer waits for the first.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lock on an app's records; released when dropped, also by the system when the process dies.
#[derive(Debug)]
pub struct AppLock(#[allow(dead_code, reason = "held, never read")] File);

/// Somebody else has the records open.
#[derive(Debug, thiserror::Error)]
#[error("the records in {} are in use by {holder}", .folder.display())]
pub struct Locked {
    folder: PathBuf,
    /// Program, process and since when, as far as that is known.
    holder: String,
}

impl Locked {
    /// As a caller in a program sees it; no paths.
    pub fn failure(&self) -> Failure {
        let mut detail = Map::new();
        detail.insert(Arc::from("code"), Value::String(Arc::from("db_locked")));
        Failure {
            code: "ERR_IO".to_owned(),
            message: format!(
                "db_locked: the records of the app are in use by {}",
                self.holder
            ),
            detail: msgpack::encode(&Value::Map(detail)).ok(),
        }
    }
}

/// Takes the lock on an app's records, waiting a moment for another process.
pub async fn take(folder: &Path) -> Result<AppLock> {
    let mut file = open(&folder.join("LOCK"))?;
    let end = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => {
                holder::note(&mut file, "mixer", SystemClock.now());
                return Ok(AppLock(file));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context("the lock file of the app cannot be locked");
            }
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Locked {
                    folder: folder.to_owned(),
                    holder: holder::of(&mut file),
                }
                .into());
            }
        }
    }
}

/// The lock that keeps a second server out; `None` if another one holds it.
pub fn server(ws_dir: &Path) -> Result<Option<File>> {
    private_folder(ws_dir).with_context(|| format!("{} cannot be created", ws_dir.display()))?;
    let file = open(&ws_dir.join(".server.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).context("the lock file of the server cannot be locked")
        }
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} cannot be opened", path.display()))
}
