//! The files of an app, wherever they lie.
//!
//! Without a bucket all lie in the folder of the app. With one, programs do, and what an install or an import has put
//! there until it is moved ([`AppFiles::settle`]); all other files are objects. Of a file that is at both places the one in
//! the folder counts: it is newer.

use crate::disk::{Disk, Draft};
use crate::entry::{Facts, Item, Listing};
use crate::error::{FilesError, Result};
use crate::path_locks::{Held, PathLocks};
use crate::remote::{Object, Remote, known};
use mix_file_path::{FilePath, FolderPath};
use mix_object_store::StoreError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// What a change depends on: it gets the tag of the file that is there, if there is one.
pub type Condition = dyn Fn(Option<&str>) -> bool + Send + Sync;

/// The files of an app.
#[derive(Debug, Clone)]
pub struct AppFiles {
    disk: Disk,
    remote: Option<Remote>,
    locks: Arc<PathLocks>,
}

/// A file that is there, to be read.
pub enum Opened {
    /// In the folder of the app.
    File(File),
    /// In the bucket.
    Object(Object),
}

impl Opened {
    /// Bytes of it, as they come.
    pub fn read(self, range: Range<u64>) -> Result<Box<dyn Read + Send>> {
        match self {
            Opened::File(mut file) => {
                file.seek(SeekFrom::Start(range.start))?;
                Ok(Box::new(file.take(range.end.saturating_sub(range.start))))
            }
            Opened::Object(object) => object.read(range),
        }
    }
}

impl AppFiles {
    /// The files below a folder, which need not be there yet.
    pub fn new(root: PathBuf) -> AppFiles {
        AppFiles {
            disk: Disk::new(root),
            remote: None,
            locks: Arc::default(),
        }
    }

    /// With the locks of all who change files of this folder.
    pub(crate) fn with_locks(mut self, locks: Arc<PathLocks>) -> AppFiles {
        self.locks = locks;
        self
    }

    pub(crate) fn with_remote(mut self, remote: Remote) -> AppFiles {
        self.remote = Some(remote);
        self
    }

    /// Changes of these paths wait for each other, so that what one of them has looked at stays. They wait for a store that
    /// says nothing as long as for an answer of it.
    fn hold<const N: usize>(&self, paths: [&FilePath; N]) -> Result<Held> {
        if let Some(remote) = &self.remote {
            return remote.hold_within(paths).ok_or(StoreError::Slow.into());
        }
        let root = self.disk.root().display();
        let names = paths.map(|path| format!("{root}{}", path.text()));
        Ok(self.locks.hold(names))
    }

    fn check(&self, path: &FilePath, condition: Option<&Condition>) -> Result<()> {
        let Some(condition) = condition else {
            return Ok(());
        };
        let tag = match self.stat(path) {
            Ok(facts) => Some(facts.tag),
            Err(FilesError::NotFound) => None,
            Err(error) => return Err(error),
        };
        match condition(tag.as_deref()) {
            true => Ok(()),
            false => Err(FilesError::Unmet),
        }
    }

    /// The folder on this machine.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The bucket, for paths that may lie there.
    fn remote(&self, path: &FilePath) -> Option<&Remote> {
        self.remote.as_ref().filter(|_| !path.is_code())
    }

    /// What is known about a file.
    pub fn stat(&self, path: &FilePath) -> Result<Facts> {
        match (self.disk.stat(path), self.remote(path)) {
            (Err(FilesError::NotFound), Some(remote)) => {
                remote.look(path)?.map(known).ok_or(FilesError::NotFound)
            }
            (found, _) => found,
        }
    }

    /// Opens a file for reading.
    pub fn open(&self, path: &FilePath) -> Result<(Opened, Facts)> {
        match (self.disk.open(path), self.remote(path)) {
            (Err(FilesError::NotFound), Some(remote)) => {
                let found = remote.open(path)?.ok_or(FilesError::NotFound)?;
                Ok((Opened::Object(found.0), found.1))
            }
            (found, _) => found.map(|(file, facts)| (Opened::File(file), facts)),
        }
    }

    /// A file as a whole; none if it is larger than `most` bytes.
    pub fn read(&self, path: &FilePath, most: u64) -> Result<Option<Vec<u8>>> {
        let (opened, facts) = self.open(path)?;
        if facts.size > most {
            return Ok(None);
        }
        let mut content = Vec::with_capacity(usize::try_from(facts.size).unwrap_or(0));
        // The range bounds what is read.
        opened.read(0..facts.size)?.read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Begins a file.
    pub fn draft(&self) -> Result<Draft> {
        self.disk.draft()
    }

    /// Puts a finished draft in its place; true if nothing was there before.
    pub fn put(&self, path: &FilePath, draft: Draft, replace: bool) -> Result<bool> {
        self.put_if(path, draft, replace, None)
    }

    /// The same, if a condition is met.
    pub fn put_if(
        &self,
        path: &FilePath,
        mut draft: Draft,
        replace: bool,
        condition: Option<&Condition>,
    ) -> Result<bool> {
        let _held = self.hold([path])?;
        self.check(path, condition)?;
        let Some(remote) = self.remote(path) else {
            return self.disk.put(path, draft, replace);
        };
        let on_disk = self.disk.stat(path).is_ok();
        let is_there = on_disk || remote.look(path)?.is_some();
        if is_there && !replace {
            return Err(FilesError::Exists("the file exists"));
        }
        if !is_there {
            remote.check_place(path)?;
        }
        remote.put(path, &mut draft, replace)?;
        if on_disk {
            self.disk.remove(path)?;
        }
        Ok(!is_there)
    }

    /// Writes a file at once.
    pub fn write(&self, path: &FilePath, content: &[u8]) -> Result<bool> {
        let mut draft = self.draft()?;
        draft.write_all(content)?;
        self.put(path, draft, true)
    }

    /// Moves a file of another folder on the same disk into the folder of this app; one that is not there any more was
    /// moved before.
    pub fn adopt(&self, path: &FilePath, from: &AppFiles) -> Result<()> {
        self.disk.adopt(path, &from.disk)
    }

    /// Deletes a file, and the folders that became empty.
    pub fn remove(&self, path: &FilePath) -> Result<()> {
        self.remove_if(path, None)
    }

    /// The same, if a condition is met.
    pub fn remove_if(&self, path: &FilePath, condition: Option<&Condition>) -> Result<()> {
        let _held = self.hold([path])?;
        self.check(path, condition)?;
        let Some(remote) = self.remote(path) else {
            return self.disk.remove(path);
        };
        let was_there = remote.look(path)?.is_some();
        if was_there {
            remote.delete(path)?;
        }
        match self.disk.remove(path) {
            Err(FilesError::NotFound) if was_there => Ok(()),
            other => other,
        }
    }

    /// Deletes the files that are below a folder and says how many it were.
    pub fn remove_folder(&self, folder: &FolderPath) -> Result<u64> {
        let mut removed = 0;
        let mut after = None;
        loop {
            let listing = self.list(folder, true, after.as_deref(), 10_000)?;
            for item in &listing.items {
                if let Item::File(path, _) = item {
                    match self.remove(path) {
                        Ok(()) => removed += 1,
                        // Somebody else was faster.
                        Err(FilesError::NotFound) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            if !listing.more {
                return Ok(removed);
            }
            after = listing.items.last().map(Item::path);
        }
    }

    /// Renames a file to a path that is free.
    pub fn rename(&self, from: &FilePath, to: &FilePath) -> Result<()> {
        let (Some(remote), Some(_)) = (self.remote(from), self.remote(to)) else {
            if self.remote.is_none() {
                let _held = self.hold([from, to])?;
                return self.disk.rename(from, to);
            }
            // One of the two is a program.
            return self.rename_by_copy(from, to);
        };
        if from == to {
            return self.stat(from).map(|_| ());
        }
        let held = self.hold([from, to])?;
        if self.disk.stat(to).is_ok() || remote.look(to)?.is_some() {
            return Err(FilesError::Exists("the target exists"));
        }
        if self.disk.stat(from).is_ok() {
            drop(held);
            return self.rename_by_copy(from, to);
        }
        if remote.look(from)?.is_none() {
            return Err(FilesError::NotFound);
        }
        remote.check_place(to)?;
        if !remote.copy(from, to)? {
            return Err(FilesError::NotFound);
        }
        remote.delete(from)
    }

    fn rename_by_copy(&self, from: &FilePath, to: &FilePath) -> Result<()> {
        let (opened, facts) = self.open(from)?;
        let mut draft = self.draft()?;
        std::io::copy(&mut opened.read(0..facts.size)?, &mut draft)?;
        self.put(to, draft, false)?;
        self.remove(from)
    }

    /// Files and folders in a folder, or all files below it, sorted by path, after a path.
    pub fn list(
        &self,
        folder: &FolderPath,
        recursive: bool,
        after: Option<&str>,
        most: usize,
    ) -> Result<Listing> {
        let Some(remote) = &self.remote else {
            return self.disk.list(folder, recursive, after, most);
        };
        let mut found: BTreeMap<String, Item> = self
            .disk
            .list(folder, recursive, after, usize::MAX)?
            .items
            .into_iter()
            .map(|item| (item.path(), item))
            .collect();
        remote.list(folder, recursive, after, most, &mut found)?;
        let more = found.len() > most;
        Ok(Listing {
            items: found.into_values().take(most).collect(),
            more,
        })
    }

    /// Moves into the bucket what lies in the folder and does not belong there. Says how many files it were.
    pub fn settle(&self) -> Result<u64> {
        let Some(remote) = &self.remote else {
            return Ok(0);
        };
        let mut moved = 0;
        let root = FolderPath::parse("/")?;
        for item in self.disk.list(&root, true, None, usize::MAX)?.items {
            if let Item::File(path, _) = item
                && !path.is_code()
            {
                remote.take_from(&self.disk, &path)?;
                moved += 1;
            }
        }
        Ok(moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn of_many_who_replace_what_they_read_nobody_is_lost() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let files = AppFiles::new(scratch.path().join("files"));
        let path = FilePath::parse("/count").expect("a path");
        files.write(&path, b"0").expect("written");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut added = 0;
                    while added < 8 {
                        let (opened, facts) = files.open(&path).expect("opened");
                        let mut text = String::new();
                        let mut content = opened.read(0..facts.size).expect("read");
                        content.read_to_string(&mut text).expect("a text");
                        let number: u32 = text.parse().expect("a number");
                        let mut draft = files.draft().expect("a draft");
                        write!(draft, "{}", number + 1).expect("written");
                        let same = move |tag: Option<&str>| tag == Some(facts.tag.as_str());
                        match files.put_if(&path, draft, true, Some(&same)) {
                            Ok(is_new) => {
                                assert!(!is_new);
                                added += 1;
                            }
                            Err(error) => assert!(matches!(error, FilesError::Unmet)),
                        }
                    }
                });
            }
        });
        let content = files.read(&path, 100).expect("read");
        assert_eq!(content.as_deref(), Some(&b"32"[..]));
        let none = |tag: Option<&str>| tag.is_none();
        let removed = files.remove_if(&path, Some(&none));
        assert!(matches!(removed, Err(FilesError::Unmet)));
        files.remove_if(&path, None).expect("removed");
    }

    #[test]
    fn folders_of_several_pages_are_removed() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let root = scratch.path().join("files");
        fs::create_dir_all(root.join("a/b")).expect("folders");
        for number in 0..12_000 {
            let folder = if number % 2 == 0 { "a" } else { "a/b" };
            fs::write(root.join(folder).join(number.to_string()), b"").expect("a file");
        }
        fs::write(root.join("kept"), b"").expect("a file");
        let files = AppFiles::new(root);
        let folder = |path| FolderPath::parse(path).expect("a folder");
        assert_eq!(files.remove_folder(&folder("/a")).expect("removed"), 12_000);
        assert_eq!(files.remove_folder(&folder("/a")).expect("removed"), 0);
        let left = files.list(&folder("/"), true, None, 10).expect("listed");
        assert_eq!(left.items.len(), 1);
    }
}
