//! Files of an app in a bucket: the object of `/path` has the key `WORKSPACE/APP/path`.

use crate::disk::{Disk, Draft};
use crate::entry::{Facts, Item, is_expired, media_type};
use crate::error::{FilesError, Result};
use crate::path_locks::{Held, PathLocks};
use mix_file_path::{FilePath, FolderPath};
use mix_object_store::{Bucket, Entry, ObjectFacts, StoreError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// Longest key that stores take.
const LONGEST_KEY: usize = 1024;
/// Most objects that one listing looks at.
const MOST_OBJECTS: usize = 1_000_000;

/// The part of a bucket that is an app's.
#[derive(Clone)]
pub struct Remote {
    bucket: Arc<Bucket>,
    locks: Arc<PathLocks>,
    /// `WORKSPACE/APP`.
    root: String,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Remote")
            .field("root", &self.root)
            .finish()
    }
}

/// An object that is there, to be read.
#[derive(Clone)]
pub struct Object {
    bucket: Arc<Bucket>,
    key: String,
    facts: ObjectFacts,
}

impl Object {
    /// Bytes of it as they come.
    pub fn read(&self, range: Range<u64>) -> Result<Box<dyn Read + Send>> {
        let reader = self.bucket.read(&self.key, &self.facts, range)?;
        Ok(Box::new(reader))
    }
}

impl Remote {
    pub fn new(bucket: Arc<Bucket>, locks: Arc<PathLocks>, workspace: &str, app: &str) -> Remote {
        Remote {
            bucket,
            locks,
            root: format!("{workspace}/{app}"),
        }
    }

    fn names<const N: usize>(&self, paths: [&FilePath; N]) -> [String; N] {
        paths.map(|path| format!("{}{}", self.root, path.text()))
    }

    /// Changes of these paths wait for each other, as long as the store may keep one waiting.
    pub fn hold_within<const N: usize>(&self, paths: [&FilePath; N]) -> Option<Held> {
        let limit = self.bucket.patience();
        self.locks.hold_within(self.names(paths), limit)
    }

    fn key(&self, path: &FilePath) -> Result<String> {
        let key = format!("{}{}", self.root, path.text());
        if key.len() > LONGEST_KEY {
            return Err(FilesError::TooLong);
        }
        Ok(key)
    }

    pub fn look(&self, path: &FilePath) -> Result<Option<ObjectFacts>> {
        let Ok(key) = self.key(path) else {
            return Ok(None);
        };
        let found = self.bucket.look(&key)?;
        match found {
            Some(facts) if is_expired(path, facts.modified) => {
                // Gone for everybody in any case.
                let _ = self.bucket.delete(&key);
                Ok(None)
            }
            other => Ok(other),
        }
    }

    pub fn open(&self, path: &FilePath) -> Result<Option<(Object, Facts)>> {
        let Some(facts) = self.look(path)? else {
            return Ok(None);
        };
        let object = Object {
            bucket: self.bucket.clone(),
            key: self.key(path)?,
            facts: facts.clone(),
        };
        Ok(Some((object, known(facts))))
    }

    pub fn put(&self, path: &FilePath, draft: &mut Draft, replace: bool) -> Result<()> {
        let size = draft.size()?;
        self.write(path, draft.content()?, size, replace)
    }

    pub fn write(
        &self,
        path: &FilePath,
        content: &mut dyn Read,
        size: u64,
        replace: bool,
    ) -> Result<()> {
        let key = self.key(path)?;
        let written = self
            .bucket
            .write(&key, content, size, &media_type(path.last()), replace);
        written.map_err(|error| match error {
            StoreError::Exists => FilesError::Exists("the file exists"),
            other => other.into(),
        })
    }

    /// Files and folders do not mix, though a bucket could hold both.
    pub fn check_place(&self, path: &FilePath) -> Result<()> {
        let below = format!("{}/", self.key(path)?);
        let page = self.bucket.list(&below, true, None, None)?;
        if !page.entries.is_empty() {
            return Err(FilesError::Exists("a folder is there"));
        }
        let text = path.text();
        for (at, _) in text.match_indices('/').skip(1) {
            let key = format!("{}{}", self.root, &text[..at]);
            if self.bucket.look(&key)?.is_some() {
                return Err(FilesError::Exists("a file is where a folder should be"));
            }
        }
        Ok(())
    }

    pub fn delete(&self, path: &FilePath) -> Result<()> {
        Ok(self.bucket.delete(&self.key(path)?)?)
    }

    /// False if there is nothing to be copied.
    pub fn copy(&self, from: &FilePath, to: &FilePath) -> Result<bool> {
        Ok(self.bucket.copy(&self.key(from)?, &self.key(to)?)?)
    }

    /// Lines of a listing behind `after`, a few more than `most` if there are more.
    pub fn list(
        &self,
        folder: &FolderPath,
        recursive: bool,
        after: Option<&str>,
        most: usize,
        found: &mut BTreeMap<String, Item>,
    ) -> Result<()> {
        let prefix = format!("{}{}", self.root, folder.text());
        let start = after
            .filter(|after| after.starts_with(&folder.text()))
            .map(|after| format!("{}{after}", self.root));
        let (mut next, mut count) = (None, 0);
        loop {
            let page = self
                .bucket
                .list(&prefix, !recursive, start.as_deref(), next.as_deref())?;
            for entry in page.entries {
                let item = match entry {
                    Entry::Object(key, facts) => self.file(&key).map(|path| (path, facts)),
                    Entry::Folder(key) => {
                        if let Some(text) = self.folder(&key).filter(|text| is_after(text, after)) {
                            count += 1;
                            found.insert(text.clone(), Item::Folder(text));
                        }
                        continue;
                    }
                };
                let Some((path, facts)) = item.filter(|(path, facts)| {
                    is_after(&path.text(), after) && !is_expired(path, facts.modified)
                }) else {
                    continue;
                };
                count += 1;
                // What lies in the folder of the app is newer.
                found
                    .entry(path.text())
                    .or_insert_with(|| Item::File(path, known(facts)));
            }
            if count > MOST_OBJECTS {
                return Err(FilesError::Exists("too many files; list a folder of them"));
            }
            match page.next {
                Some(token) if count <= most => next = Some(token),
                _ => return Ok(()),
            }
        }
    }

    /// The path of a key; none for what no app has put there.
    fn file(&self, key: &str) -> Option<FilePath> {
        let path = FilePath::parse(key.strip_prefix(&self.root)?).ok()?;
        (!path.is_code()).then_some(path)
    }

    fn folder(&self, key: &str) -> Option<String> {
        let text = key.strip_prefix(&self.root)?;
        let folder = FolderPath::parse(text).ok()?;
        (folder.text() == text && !folder.file("x".to_owned()).is_code()).then(|| text.to_owned())
    }

    /// Moves a file of the disk here.
    pub fn take_from(&self, disk: &Disk, path: &FilePath) -> Result<()> {
        // Nobody exchanges or deletes the app meanwhile, and nobody changes the file.
        let workspace = self.root.split('/').next().unwrap_or_default();
        let _workspace = self.locks.hold([workspace.to_owned()]);
        let _held = self.locks.hold(self.names([path]));
        let (mut file, facts): (File, Facts) = match disk.open(path) {
            Ok(found) => found,
            // Replaced or deleted in between.
            Err(FilesError::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        self.write(path, &mut file, facts.size, true)?;
        match disk.remove(path) {
            Err(FilesError::NotFound) => Ok(()),
            other => other,
        }
    }
}

/// All keys that begin so.
pub fn objects_of(bucket: &Bucket, prefix: &str) -> Result<Vec<String>> {
    let (mut keys, mut next) = (Vec::new(), None::<String>);
    loop {
        let page = bucket.list(prefix, false, None, next.as_deref())?;
        keys.extend(page.entries.into_iter().filter_map(|entry| match entry {
            Entry::Object(key, _) => Some(key),
            Entry::Folder(_) => None,
        }));
        match page.next {
            Some(token) => next = Some(token),
            None => return Ok(keys),
        }
    }
}

/// Bytes of all objects whose keys begin so.
pub fn objects_of_size(bucket: &Bucket, prefix: &str) -> Result<u64> {
    let (mut bytes, mut next) = (0, None::<String>);
    loop {
        let page = bucket.list(prefix, false, None, next.as_deref())?;
        for entry in page.entries {
            if let Entry::Object(_, facts) = entry {
                bytes += facts.size;
            }
        }
        match page.next {
            Some(token) => next = Some(token),
            None => return Ok(bytes),
        }
    }
}

fn is_after(text: &str, after: Option<&str>) -> bool {
    after.is_none_or(|after| text > after)
}

pub fn known(facts: ObjectFacts) -> Facts {
    Facts {
        size: facts.size,
        modified: facts.modified,
        tag: facts.tag,
    }
}
