//! The files of one app on disk.

use std::fs::{self, File, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mix_folder_listing::names;
use mix_plugin_sdk::{Caller, Failure, Map};

use crate::info;
use mix_file_path::{FilePath, FolderPath, decode};

/// Largest file that is read or written as one value.
const LARGEST_FILE: u64 = 60 << 20;
/// Most files of one listing.
const MOST_FILES: usize = 100_000;
/// Life of a file below `/ephemeral/`.
const EPHEMERAL: Duration = Duration::from_secs(24 * 60 * 60);
/// Begin of the names of temporary files. No path is encoded so.
const TEMPORARY: &str = "%tmp-";

/// The folder that holds the files of an app.
#[derive(Debug)]
pub struct Storage {
    root: PathBuf,
    who: Caller,
}

impl Storage {
    /// The files below a folder, on behalf of somebody.
    pub fn new(root: PathBuf, who: Caller) -> Storage {
        Storage { root, who }
    }

    /// Describes a file.
    pub fn get(&self, path: &FilePath) -> Result<Map, Failure> {
        let metadata = self.find(path)?.1;
        Ok(self.describe(path, &metadata))
    }

    /// The content of a file.
    pub fn read(&self, path: &FilePath) -> Result<Vec<u8>, Failure> {
        let (place, metadata) = self.find(path)?;
        let too_large = || {
            let text = path.text();
            Failure::new(
                "ERR_TOO_LARGE",
                format!("file {text} is larger than {LARGEST_FILE} bytes"),
            )
        };
        if metadata.len() > LARGEST_FILE {
            return Err(too_large());
        }
        let fault = |error| failure("reading", path, &error);
        let mut content = Vec::with_capacity(metadata.len() as usize);
        // The file may grow while it is read.
        File::open(place)
            .map_err(fault)?
            .take(LARGEST_FILE + 1)
            .read_to_end(&mut content)
            .map_err(fault)?;
        if content.len() as u64 > LARGEST_FILE {
            return Err(too_large());
        }
        Ok(content)
    }

    /// Writes a file: a temporary one first, which then takes its place.
    pub fn create(&self, path: &FilePath, content: &[u8]) -> Result<Map, Failure> {
        let text = path.text();
        may_change(path)?;
        if content.len() as u64 > LARGEST_FILE {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                format!("more than {LARGEST_FILE} bytes for file {text}"),
            ));
        }
        let fault = |error| failure("writing", path, &error);
        self.free_place(path, false)?;
        let temporary = self.root.join(format!(
            "{TEMPORARY}{:016x}",
            RandomState::new().hash_one(&text)
        ));
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&temporary)?;
            file.write_all(content)?;
            file.sync_all()
        })();
        let placed = written
            .map_err(fault)
            .and_then(|()| self.place(path, false, |place| fs::rename(&temporary, place)));
        if let Err(failure) = placed {
            // The failure that matters is the first one.
            let _ = fs::remove_file(&temporary);
            return Err(failure);
        }
        self.get(path)
    }

    /// Deletes a file, and the folders that became empty.
    pub fn delete(&self, path: &FilePath) -> Result<(), Failure> {
        may_change(path)?;
        let (place, _) = self.find(path)?;
        fs::remove_file(&place).map_err(|error| failure("deleting", path, &error))?;
        self.remove_empty_parents(&place);
        Ok(())
    }

    /// Renames a file to a path that is free.
    pub fn rename(&self, from: &FilePath, to: &FilePath) -> Result<Map, Failure> {
        may_change(from)?;
        may_change(to)?;
        let (source, _) = self.find(from)?;
        if from == to {
            return self.get(to);
        }
        // A link never replaces a file, so of two renames to one path the second one fails.
        self.place(to, true, |target| match fs::hard_link(&source, target) {
            Err(error) if error.kind() == ErrorKind::Unsupported => fs::rename(&source, target),
            linked => linked.and_then(|()| fs::remove_file(&source)),
        })?;
        self.remove_empty_parents(&source);
        self.get(to)
    }

    /// Makes the folders above a path and puts a file there. Another run may remove a
    /// folder that it finds empty in between: then once more.
    fn place(
        &self,
        path: &FilePath,
        new: bool,
        put: impl Fn(&Path) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let place = self.free_place(path, new)?;
            match put(&place) {
                Ok(()) => {
                    sync_folder(&place);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::NotFound && tries < 3 => {}
                Err(error) if new && error.kind() == ErrorKind::AlreadyExists => {
                    return Err(exists(path, "exists"));
                }
                Err(error) => return Err(failure("writing", path, &error)),
            }
        }
    }

    /// Place of a file to be; `new`: nothing may be there.
    fn free_place(&self, path: &FilePath, new: bool) -> Result<PathBuf, Failure> {
        let place = self.make_parents(path)?;
        match self.stat(&place) {
            Ok(_) if new => Err(exists(path, "exists")),
            Ok(metadata) if metadata.is_dir() => Err(exists(path, "is a folder")),
            _ => Ok(place),
        }
    }

    /// All files below a folder, ascending by path.
    pub fn list(&self, folder: &FolderPath) -> Result<Vec<Map>, Failure> {
        let mut place = self.root.clone();
        for name in folder.names() {
            place.push(name);
            match self.stat(&place) {
                Ok(metadata) if metadata.is_dir() => {}
                _ => return Ok(Vec::new()),
            }
        }
        let mut found = Vec::new();
        // Folders still to be read: a stack instead of recursion.
        let mut open = vec![(folder.clone(), place)];
        while let Some((folder, place)) = open.pop() {
            let names = match names(&place, MOST_FILES + 1) {
                Ok(names) if names.len() > MOST_FILES => return Err(too_many()),
                Ok(names) => names,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(io_failure("listing files", &error)),
            };
            for name in names {
                let Some(segment) = name.to_str().and_then(decode) else {
                    continue;
                };
                let place = place.join(&name);
                // Links are not followed: they are neither file nor folder here.
                let Ok(metadata) = self.stat(&place) else {
                    continue;
                };
                if metadata.is_dir() {
                    open.push((folder.folder(segment), place));
                } else if metadata.is_file() {
                    let path = folder.file(segment);
                    if expired(&path, &metadata) {
                        let _ = self.delete(&path);
                        continue;
                    }
                    if found.len() == MOST_FILES {
                        return Err(too_many());
                    }
                    found.push((path.text(), path, metadata));
                }
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found
            .iter()
            .map(|(_, path, metadata)| self.describe(path, metadata))
            .collect())
    }

    fn describe(&self, path: &FilePath, metadata: &Metadata) -> Map {
        info::describe(&self.who, path, metadata.len(), metadata.modified().ok())
    }

    /// Place and metadata of a file that is there.
    fn find(&self, path: &FilePath) -> Result<(PathBuf, Metadata), Failure> {
        let missing = || Failure::new("ERR_NOT_FOUND", format!("no file {}", path.text()));
        let mut place = self.root.clone();
        let mut metadata = None;
        for name in path.names() {
            // Every step must be a real folder, so that no link is followed on the way.
            if metadata
                .as_ref()
                .is_some_and(|parent: &Metadata| !parent.is_dir())
            {
                return Err(missing());
            }
            place.push(name);
            metadata = match self.stat(&place) {
                Ok(metadata) => Some(metadata),
                Err(error) if is_absent(&error) => return Err(missing()),
                Err(error) => return Err(failure("looking at", path, &error)),
            };
        }
        match metadata {
            Some(metadata) if metadata.is_file() && expired(path, &metadata) => {
                // Gone for the program in any case.
                let _ = fs::remove_file(&place);
                Err(missing())
            }
            Some(metadata) if metadata.is_file() => Ok((place, metadata)),
            _ => Err(missing()),
        }
    }

    fn stat(&self, place: &Path) -> io::Result<Metadata> {
        fs::symlink_metadata(place)
    }

    /// Makes the folders above a file and gives its place.
    fn make_parents(&self, path: &FilePath) -> Result<PathBuf, Failure> {
        let fault = |error| failure("writing", path, &error);
        fs::create_dir_all(&self.root).map_err(fault)?;
        let mut place = self.root.clone();
        let mut names = path.names().peekable();
        while let Some(name) = names.next() {
            place.push(name);
            if names.peek().is_none() {
                break;
            }
            match self.stat(&place) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(_) => return Err(exists(path, "lies below something that is no folder")),
                Err(error) if error.kind() == ErrorKind::NotFound => match fs::create_dir(&place) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                        return Err(fault(error));
                    }
                    _ => {}
                },
                Err(error) => return Err(fault(error)),
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

fn too_many() -> Failure {
    let message = format!("more than {MOST_FILES} files; list a folder of them");
    Failure::new("ERR_TOO_LARGE", message)
}

/// Programs of the app are written when it is installed, not by its agents.
fn may_change(path: &FilePath) -> Result<(), Failure> {
    if path.is_code() {
        let message = format!(
            "{} belongs to the programs of the app, which only an install changes",
            path.text()
        );
        return Err(Failure::new("ERR_PERMISSION", message));
    }
    Ok(())
}

/// A rename lasts once its folder is on disk. Not every file system can be asked for that.
fn sync_folder(place: &Path) {
    if let Some(folder) = place.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = folder.sync_all();
    }
}

fn expired(path: &FilePath, metadata: &Metadata) -> bool {
    let age = || {
        SystemTime::now()
            .duration_since(metadata.modified().ok()?)
            .ok()
    };
    path.is_ephemeral() && age().is_some_and(|age| age > EPHEMERAL)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn exists(path: &FilePath, how: &str) -> Failure {
    Failure::new("ERR_EXISTS", format!("{} {how}", path.text()))
}

fn failure(doing: &str, path: &FilePath, error: &io::Error) -> Failure {
    io_failure(&format!("{doing} file {}", path.text()), error)
}

/// The kind of an error, not its text, which may hold places of the host.
fn io_failure(doing: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::NotFound => "ERR_NOT_FOUND",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "ERR_PERMISSION",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "ERR_TOO_LARGE"
        }
        ErrorKind::InvalidFilename => "ERR_RANGE",
        _ => "ERR_IO",
    };
    Failure::new(code, format!("{doing} failed: {}", error.kind()))
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::Value;

    use super::*;

    struct Scratch {
        folder: tempfile::TempDir,
        storage: Storage,
    }

    fn scratch() -> Scratch {
        let folder = tempfile::tempdir().unwrap();
        let who = Caller {
            app: "shop".into(),
            ..Caller::default()
        };
        let storage = Storage::new(folder.path().join("files"), who);
        Scratch { folder, storage }
    }

    fn p(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    fn paths(storage: &Storage, folder: &str) -> Vec<String> {
        let files = storage.list(&FolderPath::parse(folder).unwrap()).unwrap();
        files
            .iter()
            .map(|file| file["path"].as_str().unwrap().to_string())
            .collect()
    }

    #[test]
    fn write_read_rename_delete() {
        let Scratch { storage, folder } = scratch();
        let file = storage.create(&p("a/b/ü.txt"), b"one").unwrap();
        assert_eq!(file["path"], Value::string("/a/b/ü.txt"));
        assert_eq!(file["metadata"].get("size"), Some(&Value::Int(3)));
        assert_eq!(file["kind"], Value::string("persisted"));
        storage.create(&p("/a/b/ü.txt"), b"two!").unwrap();
        assert_eq!(storage.read(&p("a/b/ü.txt")).unwrap(), b"two!");
        storage.create(&p("x"), b"").unwrap();
        assert_eq!(
            storage.rename(&p("a/b/ü.txt"), &p("x")).unwrap_err().code,
            "ERR_EXISTS"
        );
        storage.rename(&p("a/b/ü.txt"), &p("c/d")).unwrap();
        assert_eq!(paths(&storage, ""), ["/c/d", "/x"]);
        assert!(
            !folder.path().join("files/a").exists(),
            "empty folders are removed"
        );
        storage.delete(&p("c/d")).unwrap();
        assert_eq!(storage.delete(&p("c/d")).unwrap_err().code, "ERR_NOT_FOUND");
        assert_eq!(paths(&storage, "/"), ["/x"]);
        let left: Vec<_> = fs::read_dir(folder.path().join("files")).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left");
    }

    #[test]
    fn listing_goes_by_folder_and_path() {
        let Scratch { storage, .. } = scratch();
        assert!(paths(&storage, "").is_empty());
        for path in ["b/2", "b/1/x", "b-1", "a", "bb/1"] {
            storage.create(&p(path), b"").unwrap();
        }
        assert_eq!(
            paths(&storage, ""),
            ["/a", "/b-1", "/b/1/x", "/b/2", "/bb/1"]
        );
        assert_eq!(paths(&storage, "b"), ["/b/1/x", "/b/2"]);
        assert!(paths(&storage, "a").is_empty() && paths(&storage, "nowhere/x").is_empty());
    }

    #[test]
    fn programs_are_not_for_agents() {
        let Scratch { storage, folder } = scratch();
        fs::create_dir_all(folder.path().join("files/code")).unwrap();
        fs::write(folder.path().join("files/code/main.mixexe"), "program").unwrap();
        storage.create(&p("x"), b"").unwrap();
        for path in ["code/main.mixexe", "/code/new", "CODE/new", "code"] {
            assert_eq!(
                storage.create(&p(path), b"").unwrap_err().code,
                "ERR_PERMISSION"
            );
            assert_eq!(storage.delete(&p(path)).unwrap_err().code, "ERR_PERMISSION");
            assert_eq!(
                storage.rename(&p("x"), &p(path)).unwrap_err().code,
                "ERR_PERMISSION"
            );
            assert_eq!(
                storage.rename(&p(path), &p("y")).unwrap_err().code,
                "ERR_PERMISSION"
            );
        }
        assert_eq!(storage.read(&p("code/main.mixexe")).unwrap(), b"program");
    }

    #[test]
    fn files_and_folders_do_not_mix() {
        let Scratch { storage, .. } = scratch();
        storage.create(&p("a/b"), b"").unwrap();
        assert_eq!(storage.create(&p("a"), b"").unwrap_err().code, "ERR_EXISTS");
        assert_eq!(
            storage.create(&p("a/b/c"), b"").unwrap_err().code,
            "ERR_EXISTS"
        );
        for path in ["a", "a/b/c", "b"] {
            assert_eq!(storage.read(&p(path)).unwrap_err().code, "ERR_NOT_FOUND");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;
        let Scratch { storage, folder } = scratch();
        storage.create(&p("real"), b"inside").unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/secret"), "secret").unwrap();
        let root = folder.path().join("files");
        symlink(folder.path().join("outside"), root.join("folder")).unwrap();
        symlink(folder.path().join("outside/secret"), root.join("file")).unwrap();
        for path in ["folder/secret", "file"] {
            assert_eq!(storage.read(&p(path)).unwrap_err().code, "ERR_NOT_FOUND");
            assert!(storage.delete(&p(path)).is_err());
        }
        assert_eq!(
            storage.create(&p("folder/new"), b"").unwrap_err().code,
            "ERR_EXISTS"
        );
        assert_eq!(paths(&storage, ""), ["/real"]);
        // A write replaces the link itself.
        storage.create(&p("file"), b"mine").unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join("outside/secret")).unwrap(),
            "secret"
        );
    }

    #[test]
    fn ephemeral_files_end_after_a_day() {
        let Scratch { storage, folder } = scratch();
        storage.create(&p("ephemeral/x"), b"").unwrap();
        storage.create(&p("keep/x"), b"").unwrap();
        for name in ["ephemeral/x", "keep/x"] {
            let file = File::options()
                .write(true)
                .open(folder.path().join("files").join(name))
                .unwrap();
            file.set_modified(SystemTime::now() - EPHEMERAL - Duration::from_secs(1))
                .unwrap();
        }
        assert_eq!(
            storage.get(&p("ephemeral/x")).unwrap_err().code,
            "ERR_NOT_FOUND"
        );
        assert_eq!(paths(&storage, ""), ["/keep/x"]);
    }

    #[test]
    fn messages_hold_no_places_of_the_host() {
        let Scratch { folder, .. } = scratch();
        fs::write(folder.path().join("blocked"), "").unwrap();
        let storage = Storage::new(folder.path().join("blocked/files"), Caller::default());
        let failure = storage.create(&p("x"), b"").unwrap_err();
        assert!(
            !failure.message.contains(folder.path().to_str().unwrap()),
            "{failure}"
        );
    }
}
