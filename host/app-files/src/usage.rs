//! How much workspaces store, against what they may.

use crate::error::{FilesError, Result};
use crate::remote::objects_of_size;
use crate::storage::Storage;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a count is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// How long a count is believed that refuses something.
const REFUSING: Duration = Duration::from_secs(5);
/// Workspaces whose count is kept.
const MOST: usize = 10_000;

/// What each workspace may store, and how much that is now.
pub struct Usage {
    ws_dir: PathBuf,
    storage: Storage,
    /// Bytes of each workspace; none: any number.
    limit: Option<u64>,
    counts: Mutex<HashMap<String, Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    bytes: u64,
    at: Instant,
}

impl Usage {
    /// Of the workspaces in a folder; `limit` 0: they may store what they want.
    pub fn new(ws_dir: PathBuf, storage: Storage, limit: u64) -> Usage {
        Usage {
            ws_dir,
            storage,
            limit: Some(limit).filter(|limit| *limit > 0),
            counts: Mutex::default(),
        }
    }

    /// Whether there is a limit at all.
    pub fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Makes sure that a workspace may store so many bytes more, and counts them. May look at all its files.
    pub fn add(&self, workspace: &str, more: u64) -> Result<()> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        for believed in [BELIEVED, REFUSING] {
            let bytes = self.count(workspace, believed)?;
            if bytes.saturating_add(more) <= limit {
                let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(count) = counts.get_mut(workspace) {
                    count.bytes = count.bytes.saturating_add(more);
                }
                return Ok(());
            }
        }
        Err(FilesError::Full { limit })
    }

    /// Makes sure that what lies in a folder is not more than a workspace may store.
    pub fn fits(&self, folder: &Path) -> Result<()> {
        match self.limit {
            Some(limit) if on_disk(folder)? > limit => Err(FilesError::Full { limit }),
            _ => Ok(()),
        }
    }

    /// As [`Usage::add`], as far as that is known without looking at files; false: it has to be asked.
    pub fn add_at_once(&self, workspace: &str, more: u64) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get_mut(workspace) else {
            return false;
        };
        let bytes = count.bytes.saturating_add(more);
        let fits = bytes <= limit && count.at.elapsed() < BELIEVED;
        if fits {
            count.bytes = bytes;
        }
        fits
    }

    /// Something was deleted: it is counted anew when that matters.
    pub fn forget(&self, workspace: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.remove(workspace);
    }

    fn count(&self, workspace: &str, believed: Duration) -> Result<u64> {
        {
            let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = counts.get(workspace)
                && count.at.elapsed() < believed
            {
                return Ok(count.bytes);
            }
        }
        let mut bytes = on_disk(&self.ws_dir.join(workspace))?;
        if let Some(bucket) = self.storage.bucket() {
            bytes += objects_of_size(bucket, &format!("{workspace}/"))?;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST {
            counts.clear();
        }
        let at = Instant::now();
        counts.insert(workspace.to_owned(), Count { bytes, at });
        Ok(bytes)
    }
}

/// Bytes of all files below a folder.
fn on_disk(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        // What goes while it is counted does not count.
        for item in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match item.metadata() {
                Ok(found) if found.is_dir() => open.push(item.path()),
                Ok(found) => bytes += found.len(),
                Err(_) => {}
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_stores_what_it_may_and_no_more() {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join("w/a/files")).expect("a folder");
        let file = root.path().join("w/a/files/x");
        fs::write(&file, [0; 600]).expect("written");
        let usage = Usage::new(root.path().to_owned(), Storage::default(), 1000);
        assert!(!usage.add_at_once("w", 1), "not yet counted");
        usage.add("w", 400).expect("just fits");
        assert!(!usage.add_at_once("w", 1));
        assert!(matches!(
            usage.add("w", 1),
            Err(FilesError::Full { limit: 1000 })
        ));
        // Another workspace has its own.
        usage.add("v", 1000).expect("empty");
        fs::remove_file(&file).expect("removed");
        usage.forget("w");
        usage.add("w", 1000).expect("empty again");
        let other = root.path().join(".other");
        fs::create_dir(&other).expect("a folder");
        fs::write(other.join("x"), [0; 1000]).expect("written");
        usage.fits(&other).expect("just fits");
        fs::write(other.join("y"), [0]).expect("written");
        assert!(matches!(
            usage.fits(&other),
            Err(FilesError::Full { limit: 1000 })
        ));
        let unlimited = Usage::new(root.path().to_owned(), Storage::default(), 0);
        unlimited.add("w", u64::MAX).expect("no limit");
        assert!(unlimited.add_at_once("w", u64::MAX));
    }
}
