//! Where the files of all apps of a server lie.

use crate::error::{FilesError, Result};
use crate::files::AppFiles;
use crate::path_locks::{Held, PathLocks};
use crate::remote::{Remote, objects_of};
use mix_file_path::app_of_folder;
use mix_object_store::Bucket;
use std::path::Path;
use std::sync::Arc;

/// The folders of apps, and the bucket beside them if there is one.
#[derive(Clone, Default)]
pub struct Storage {
    bucket: Option<Arc<Bucket>>,
    locks: Arc<PathLocks>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Storage")
            .field("has_bucket", &self.bucket.is_some())
            .finish()
    }
}

impl Storage {
    /// Programs lie in the folders of the apps, all other files in a bucket.
    pub fn on(bucket: Bucket) -> Storage {
        Storage {
            bucket: Some(Arc::new(bucket)),
            locks: Arc::default(),
        }
    }

    /// The bucket, if there is one.
    pub fn bucket(&self) -> Option<&Arc<Bucket>> {
        self.bucket.as_ref()
    }

    /// The files of an app by its folder, `WS_DIR/WORKSPACE/FOLDER`.
    pub fn files(&self, app_folder: &Path) -> AppFiles {
        let files = AppFiles::new(app_folder.join("files")).with_locks(self.locks.clone());
        let name = |path: Option<&Path>| Some(path?.file_name()?.to_str()?.to_owned());
        let app = name(Some(app_folder)).and_then(|folder| app_of_folder(&folder));
        match (&self.bucket, name(app_folder.parent()), app) {
            (Some(bucket), Some(workspace), Some(app)) => files.with_remote(Remote::new(
                bucket.clone(),
                self.locks.clone(),
                &workspace,
                &app,
            )),
            _ => files,
        }
    }

    /// Keeps files of a workspace from being moved into the bucket, until what is returned is dropped: for whoever
    /// exchanges or deletes whole folders. Waits for a file that is on its way.
    pub fn hold(&self, workspace: &str) -> Option<Held> {
        self.bucket.as_ref()?;
        Some(self.locks.hold([workspace.to_owned()]))
    }

    /// Deletes what the bucket holds of a workspace, or of one of its apps.
    pub fn clear(&self, workspace: &str, app: Option<&str>) -> Result<u64> {
        let objects = self.objects(workspace, app)?;
        self.delete(&objects).map_err(|(_, error)| error)?;
        Ok(objects.len() as u64)
    }

    /// Keys of what the bucket holds of a workspace, or of one of its apps.
    pub fn objects(&self, workspace: &str, app: Option<&str>) -> Result<Vec<String>> {
        let Some(bucket) = &self.bucket else {
            return Ok(Vec::new());
        };
        let prefix = match app {
            Some(app) => format!("{workspace}/{app}/"),
            None => format!("{workspace}/"),
        };
        objects_of(bucket, &prefix)
    }

    /// Deletes objects of the bucket, up to the first failure; that says how many were deleted before.
    pub fn delete(&self, objects: &[String]) -> std::result::Result<(), (usize, FilesError)> {
        let Some(bucket) = &self.bucket else {
            return Ok(());
        };
        for (number, key) in objects.iter().enumerate() {
            let deleted = bucket.delete(key);
            deleted.map_err(|error| (number, FilesError::Store(error)))?;
        }
        Ok(())
    }

    /// Removes what processes that died while they wrote files have left in a workspace. Says how many files they were.
    pub fn remove_drafts(&self, workspace_folder: &Path) -> usize {
        let apps = std::fs::read_dir(workspace_folder).into_iter().flatten();
        apps.flatten()
            .filter(|item| item.file_name().to_str().and_then(app_of_folder).is_some())
            .map(|item| self.files(&item.path()).disk().remove_drafts())
            .sum()
    }

    /// Moves what lies in the folders of a workspace into the bucket, where an install or an import has left it, or
    /// because the bucket is new. Says how many files it were.
    pub fn settle(&self, workspace_folder: &Path) -> Result<u64> {
        let mut moved = 0;
        if self.bucket.is_none() {
            return Ok(0);
        }
        for item in std::fs::read_dir(workspace_folder)?.flatten() {
            let name = item.file_name();
            let is_app = name.to_str().and_then(app_of_folder).is_some();
            if is_app && item.path().join("files").is_dir() {
                moved += self.files(&item.path()).settle()?;
            }
        }
        Ok(moved)
    }
}
