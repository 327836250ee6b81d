//! Files in a folder of this machine.

use crate::entry::{Facts, Item, Listing, is_expired};
use crate::error::{FilesError, Result};
use mix_file_path::{FilePath, FolderPath, decode};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// Begin of the names of files that are being written. No segment is stored so.
const DRAFT: &str = "%tmp-";
/// Nobody writes a file for so long: what is older was left by a process that died.
const LONGEST_WRITE: Duration = Duration::from_secs(3600);
/// Most files that one listing looks at.
const MOST_FILES: usize = 1_000_000;

/// The folder that holds the files of an app.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
}

/// A file that is being written: gone when dropped, unless it was put in its place.
#[derive(Debug)]
pub struct Draft {
    file: NamedTempFile,
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Draft {
    /// Bytes so far.
    pub fn size(&self) -> Result<u64> {
        Ok(self.file.as_file().metadata()?.len())
    }

    /// What will be known about it in its place on this machine.
    pub(crate) fn facts(&self) -> Result<Facts> {
        Ok(facts(&self.file.as_file().metadata()?))
    }

    /// What was written, from its beginning.
    pub(crate) fn content(&mut self) -> Result<&mut File> {
        self.file.as_file_mut().seek(SeekFrom::Start(0))?;
        Ok(self.file.as_file_mut())
    }
}

impl Disk {
    /// The files below a folder, which need not be there yet.
    pub fn new(root: PathBuf) -> Disk {
        Disk { root }
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is known about a file.
    pub fn stat(&self, path: &FilePath) -> Result<Facts> {
        self.find(path).map(|(_, metadata)| facts(&metadata))
    }

    /// Opens a file for reading.
    pub fn open(&self, path: &FilePath) -> Result<(File, Facts)> {
        let (place, _) = self.find(path)?;
        let file = File::open(place)?;
        // Of what was opened, which may be newer than what was found.
        let facts = facts(&file.metadata()?);
        Ok((file, facts))
    }

    /// Begins a file.
    pub fn draft(&self) -> Result<Draft> {
        private_folder(&self.root)?;
        let file = tempfile::Builder::new()
            .prefix(DRAFT)
            .tempfile_in(&self.root)?;
        Ok(Draft { file })
    }

    /// Removes drafts that a process has left which died while it wrote. Says how many they were.
    pub fn remove_drafts(&self) -> usize {
        let is_left = |item: &fs::DirEntry| {
            let age = || item.metadata().ok()?.modified().ok()?.elapsed().ok();
            item.file_name().to_string_lossy().starts_with(DRAFT)
                && item.file_type().is_ok_and(|kind| kind.is_file())
                && age().is_some_and(|age| age > LONGEST_WRITE)
        };
        fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .filter(is_left)
            .filter(|item| fs::remove_file(item.path()).is_ok())
            .count()
    }

    /// Puts a finished draft in its place; true if nothing was there before.
    pub fn put(&self, path: &FilePath, draft: Draft, replace: bool) -> Result<bool> {
        draft.file.as_file().sync_all()?;
        let mut file = draft.file;
        let mut tries = 0;
        loop {
            tries += 1;
            let place = self.make_parents(path)?;
            let there = match fs::symlink_metadata(&place) {
                Ok(found) if found.is_dir() => {
                    return Err(FilesError::Exists("a folder is there"));
                }
                found => found.is_ok(),
            };
            let placed = if replace {
                file.persist(&place)
            } else {
                file.persist_noclobber(&place)
            };
            match placed {
                Ok(_) => {
                    sync_folder(&place);
                    return Ok(!there);
                }
                // Whoever removed the folder in between found it empty: once more.
                Err(error) if error.error.kind() == ErrorKind::NotFound && tries < 3 => {
                    file = error.file;
                }
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                    return Err(FilesError::Exists("the file exists"));
                }
                Err(error) => return Err(error.error.into()),
            }
        }
    }

    /// Writes a file at once.
    pub fn write(&self, path: &FilePath, content: &[u8]) -> Result<bool> {
        let mut draft = self.draft()?;
        draft.write_all(content)?;
        self.put(path, draft, true)
    }

    /// Moves a file here from another folder on the same disk; one that is not there any more was
    /// moved before.
    pub fn adopt(&self, path: &FilePath, from: &Disk) -> Result<()> {
        let source = match from.find(path) {
            Ok((source, _)) => source,
            Err(FilesError::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        };
        let place = self.make_parents(path)?;
        // An empty folder is none.
        if fs::symlink_metadata(&place).is_ok_and(|there| there.is_dir())
            && fs::remove_dir(&place).is_err()
        {
            return Err(FilesError::Exists("a folder is there"));
        }
        fs::rename(&source, &place)?;
        sync_folder(&place);
        Ok(())
    }

    /// Deletes a file, and the folders that became empty.
    pub fn remove(&self, path: &FilePath) -> Result<()> {
        let (place, _) = self.find(path)?;
        fs::remove_file(&place)?;
        self.remove_empty_parents(&place);
        Ok(())
    }

    /// Renames a file to a path that is free.
    pub fn rename(&self, from: &FilePath, to: &FilePath) -> Result<()> {
        let (source, _) = self.find(from)?;
        if from == to {
            return Ok(());
        }
        let place = self.make_parents(to)?;
        // A link never replaces a file, so of two renames to one path the second one fails.
        let moved = match fs::hard_link(&source, &place) {
            Err(error) if error.kind() == ErrorKind::Unsupported => fs::rename(&source, &place),
            linked => linked.and_then(|()| fs::remove_file(&source)),
        };
        match moved {
            Ok(()) => {
                sync_folder(&place);
                self.remove_empty_parents(&source);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(FilesError::Exists("the target exists"))
            }
            // Somebody else took it away in between.
            Err(_) if fs::symlink_metadata(&source).is_err() => Err(FilesError::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// Files and folders in a folder, or all files below it, sorted by path, after a path.
    pub fn list(
        &self,
        folder: &FolderPath,
        recursive: bool,
        after: Option<&str>,
        most: usize,
    ) -> Result<Listing> {
        let mut place = self.root.clone();
        for name in folder.names() {
            place.push(name);
            match fs::symlink_metadata(&place) {
                Ok(found) if found.is_dir() => {}
                _ => return Ok(Listing::default()),
            }
        }
        let mut found = Vec::new();
        // Folders still to be read: a stack instead of recursion.
        let mut open = vec![(folder.clone(), place)];
        while let Some((folder, place)) = open.pop() {
            let entries = match fs::read_dir(&place) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in entries {
                let entry = entry?;
                let Some(segment) = entry.file_name().to_str().and_then(decode) else {
                    continue;
                };
                // Links are neither file nor folder here.
                let Ok(metadata) = fs::symlink_metadata(entry.path()) else {
                    continue;
                };
                if metadata.is_dir() && recursive {
                    open.push((folder.folder(segment), entry.path()));
                } else if metadata.is_dir() {
                    if !holds_files(&entry.path()) {
                        continue;
                    }
                    found.push(Item::Folder(folder.folder(segment).text()));
                } else if metadata.is_file() {
                    let path = folder.file(segment);
                    if !expired(&path, &metadata) {
                        found.push(Item::File(path, facts(&metadata)));
                    }
                }
                if found.len() > MOST_FILES {
                    return Err(FilesError::Exists("too many files; list a folder of them"));
                }
            }
        }
        let mut items: Vec<(String, Item)> = found
            .into_iter()
            .map(|item| (item.path(), item))
            .filter(|(path, _)| after.is_none_or(|after| path.as_str() > after))
            .collect();
        items.sort_by(|a, b| a.0.cmp(&b.0));
        let more = items.len() > most;
        items.truncate(most);
        Ok(Listing {
            items: items.into_iter().map(|(_, item)| item).collect(),
            more,
        })
    }

    /// Place and metadata of a file that is there.
    fn find(&self, path: &FilePath) -> Result<(PathBuf, Metadata)> {
        let mut place = self.root.clone();
        let mut metadata: Option<Metadata> = None;
        for name in path.names() {
            // Every step must be a real folder, so that no link is followed on the way.
            if metadata.as_ref().is_some_and(|parent| !parent.is_dir()) {
                return Err(FilesError::NotFound);
            }
            place.push(name);
            metadata = match fs::symlink_metadata(&place) {
                Ok(found) => Some(found),
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
                {
                    return Err(FilesError::NotFound);
                }
                Err(error) => return Err(error.into()),
            };
        }
        match metadata {
            Some(found) if found.is_file() && expired(path, &found) => {
                // Gone for everybody in any case.
                let _ = fs::remove_file(&place);
                Err(FilesError::NotFound)
            }
            Some(found) if found.is_file() => Ok((place, found)),
            _ => Err(FilesError::NotFound),
        }
    }

    /// Makes the folders above a file and gives its place.
    fn make_parents(&self, path: &FilePath) -> Result<PathBuf> {
        private_folder(&self.root)?;
        let mut place = self.root.clone();
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            place.push(name);
            if names.peek().is_none() {
                break;
            }
            match fs::symlink_metadata(&place) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(FilesError::Exists("a file is where a folder should be")),
                Err(error) if error.kind() == ErrorKind::NotFound => private_folder(&place)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(place)
    }

    /// Folders exist while they hold files.
    fn remove_empty_parents(&self, place: &Path) {
        let mut folder = place.parent();
        while let Some(parent) =
            folder.filter(|parent| *parent != self.root && parent.starts_with(&self.root))
        {
            if fs::remove_dir(parent).is_err() {
                return;
            }
            folder = parent.parent();
        }
    }
}

/// Whether any file is below a folder.
fn holds_files(folder: &Path) -> bool {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_file() => return true,
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                _ => {}
            }
        }
    }
    false
}

fn facts(metadata: &Metadata) -> Facts {
    let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
    // Every write makes a new file, so number, size and time tell two contents apart.
    let nanos = modified
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    Facts {
        size: metadata.len(),
        modified,
        tag: format!("{:x}-{:x}-{nanos:x}", metadata.ino(), metadata.len()),
    }
}

/// A folder, with its parents, that only its owner can enter.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// A rename lasts once its folder is on disk. Not every file system can be asked for that.
fn sync_folder(place: &Path) {
    if let Some(folder) = place.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = folder.sync_all();
    }
}

fn expired(path: &FilePath, metadata: &Metadata) -> bool {
    metadata
        .modified()
        .is_ok_and(|modified| is_expired(path, modified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EPHEMERAL;
    use std::io::Read;
    use std::time::{Duration, SystemTime};

    fn p(text: &str) -> FilePath {
        FilePath::parse(text).expect("a path")
    }

    fn scratch() -> (tempfile::TempDir, Disk) {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let files = Disk::new(folder.path().join("files"));
        (folder, files)
    }

    fn paths(files: &Disk, folder: &str, recursive: bool) -> Vec<String> {
        let folder = FolderPath::parse(folder).expect("a folder");
        let listing = files
            .list(&folder, recursive, None, 100)
            .expect("a listing");
        listing.items.iter().map(Item::path).collect()
    }

    #[test]
    fn write_read_rename_delete_list() {
        let (folder, files) = scratch();
        assert!(files.write(&p("/a/b/ü.txt"), b"one").expect("written"));
        let first = files.stat(&p("/a/b/ü.txt")).expect("there");
        assert!(!files.write(&p("/a/b/ü.txt"), b"two").expect("replaced"));
        assert_ne!(files.stat(&p("/a/b/ü.txt")).expect("there").tag, first.tag);
        let draft = files.draft().expect("a draft");
        assert!(matches!(
            files.put(&p("/a/b/ü.txt"), draft, false),
            Err(FilesError::Exists(_))
        ));
        let mut text = String::new();
        let (mut file, facts) = files.open(&p("/a/b/ü.txt")).expect("there");
        file.read_to_string(&mut text).expect("text");
        assert_eq!((text.as_str(), facts.size), ("two", 3));
        files.write(&p("/a/c"), b"").expect("written");
        fs::create_dir(folder.path().join("files/a/empty")).expect("a folder");
        assert_eq!(paths(&files, "/a", false), ["/a/b/", "/a/c"]);
        assert_eq!(paths(&files, "/", true), ["/a/b/ü.txt", "/a/c"]);
        assert!(matches!(
            files.rename(&p("/a/b/ü.txt"), &p("/a/c")),
            Err(FilesError::Exists(_))
        ));
        files.rename(&p("/a/b/ü.txt"), &p("/x")).expect("renamed");
        assert!(!folder.path().join("files/a/b").exists());
        files.remove(&p("/x")).expect("removed");
        assert!(matches!(files.stat(&p("/x")), Err(FilesError::NotFound)));
    }

    #[test]
    fn listings_go_on_after_a_path() {
        let (_folder, files) = scratch();
        for name in ["a", "b", "c"] {
            files.write(&p(name), b"").expect("written");
        }
        let all = FolderPath::parse("/").expect("a folder");
        let first = files.list(&all, false, None, 2).expect("a listing");
        assert!(first.more && first.items.len() == 2);
        let rest = files.list(&all, false, Some("/b"), 2).expect("a listing");
        assert!(!rest.more && rest.items[0].path() == "/c");
    }

    #[test]
    fn links_are_not_followed_and_drafts_are_not_seen() {
        let (folder, files) = scratch();
        files.write(&p("real"), b"inside").expect("written");
        fs::create_dir(folder.path().join("outside")).expect("a folder");
        fs::write(folder.path().join("outside/secret"), "secret").expect("a file");
        let root = folder.path().join("files");
        std::os::unix::fs::symlink(folder.path().join("outside"), root.join("folder"))
            .expect("a link");
        std::os::unix::fs::symlink(folder.path().join("outside/secret"), root.join("file"))
            .expect("a link");
        let _draft = files.draft().expect("a draft");
        for path in ["folder/secret", "file"] {
            assert!(matches!(files.open(&p(path)), Err(FilesError::NotFound)));
            assert!(files.remove(&p(path)).is_err());
        }
        assert!(files.write(&p("folder/new"), b"").is_err());
        assert_eq!(paths(&files, "/", true), ["/real"]);
        assert!(!FilesError::NotFound.is_full());
    }

    #[test]
    fn ephemeral_files_end_after_a_day() {
        let (folder, files) = scratch();
        for name in ["ephemeral/x", "keep/x"] {
            files.write(&p(name), b"").expect("written");
            let file = File::options()
                .write(true)
                .open(folder.path().join("files").join(name))
                .expect("there");
            let past = SystemTime::now() - EPHEMERAL - Duration::from_secs(1);
            file.set_modified(past).expect("a time");
        }
        assert_eq!(paths(&files, "/", true), ["/keep/x"]);
        assert!(matches!(
            files.stat(&p("ephemeral/x")),
            Err(FilesError::NotFound)
        ));
    }

    #[test]
    fn drafts_of_a_process_that_died_go() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let disk = Disk::new(folder.path().to_path_buf());
        let path = FilePath::parse("/a/b.txt").expect("a path");
        disk.write(&path, b"stays").expect("written");
        let new = disk.draft().expect("a draft");
        let (_, left) = disk.draft().expect("a draft").file.keep().expect("kept");
        assert_eq!(disk.remove_drafts(), 0);
        for old in [left, folder.path().join("a/b.txt")] {
            let then = std::time::SystemTime::now() - 2 * LONGEST_WRITE;
            let file = File::options().write(true).open(old).expect("a file");
            file.set_modified(then).expect("set");
        }
        assert_eq!(disk.remove_drafts(), 1);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
        assert!(disk.stat(&path).is_ok());
        drop(new);
        assert_eq!(Disk::new(folder.path().join("absent")).remove_drafts(), 0);
    }
}
