//! Files in memory.

use std::collections::BTreeMap;
use std::time::SystemTime;

use mix_plugin_sdk::{Bytes, Caller, Failure, Map};

use crate::info;
use mix_file_path::{FilePath, FolderPath};

/// Most bytes of all files together.
const MOST_BYTES: usize = 128 << 20;
/// Most files.
const MOST_FILES: usize = 100_000;

/// Files by the text of their path.
#[derive(Default)]
pub struct Store {
    files: BTreeMap<String, File>,
    bytes: usize,
}

struct File {
    path: FilePath,
    content: Bytes,
    modified: SystemTime,
}

impl Store {
    /// Describes a file.
    pub fn get(&self, who: &Caller, path: &FilePath) -> Result<Map, Failure> {
        Ok(describe(who, self.find(path)?))
    }

    /// The content of a file.
    pub fn read(&self, path: &FilePath) -> Result<Bytes, Failure> {
        Ok(self.find(path)?.content.clone())
    }

    /// Descriptions of all files below a folder, ascending by path.
    pub fn list(&self, who: &Caller, folder: &FolderPath) -> Vec<Map> {
        let folder: Vec<String> = folder.names().collect();
        self.files
            .values()
            .filter(|file| {
                let mut names = file.path.names();
                folder
                    .iter()
                    .all(|name| names.next().as_ref() == Some(name))
                    && names.next().is_some()
            })
            .map(|file| describe(who, file))
            .collect()
    }

    /// Writes a file.
    pub fn create(
        &mut self,
        who: &Caller,
        path: &FilePath,
        content: Bytes,
    ) -> Result<Map, Failure> {
        may_change(path)?;
        self.check_place(path)?;
        let text = path.text();
        let before = self.files.get(&text).map_or(0, |file| file.content.len());
        let bytes = self.bytes - before + content.len();
        if bytes > MOST_BYTES || self.files.len() >= MOST_FILES {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                format!("a run keeps at most {MOST_FILES} files of {MOST_BYTES} bytes together"),
            ));
        }
        self.bytes = bytes;
        let file = File {
            path: path.clone(),
            content,
            modified: SystemTime::now(),
        };
        let description = describe(who, &file);
        self.files.insert(text, file);
        Ok(description)
    }

    /// Deletes a file.
    pub fn delete(&mut self, path: &FilePath) -> Result<(), Failure> {
        may_change(path)?;
        let removed = self
            .files
            .remove(&path.text())
            .ok_or_else(|| missing(path))?;
        self.bytes -= removed.content.len();
        Ok(())
    }

    /// Renames a file to a path that is free.
    pub fn rename(&mut self, who: &Caller, from: &FilePath, to: &FilePath) -> Result<Map, Failure> {
        may_change(from)?;
        may_change(to)?;
        let content = self.read(from)?;
        if from == to {
            return self.get(who, to);
        }
        if self.files.contains_key(&to.text()) {
            return Err(exists(to, "exists"));
        }
        // The file to go must not be in the way of its own new place.
        let kept = self.files.remove(&from.text());
        self.bytes -= content.len();
        let made = self.create(who, to, content);
        if let (Err(_), Some(kept)) = (&made, kept) {
            self.bytes += kept.content.len();
            self.files.insert(from.text(), kept);
        }
        made
    }

    fn find(&self, path: &FilePath) -> Result<&File, Failure> {
        self.files.get(&path.text()).ok_or_else(|| missing(path))
    }

    /// A file is no folder and a folder no file.
    fn check_place(&self, path: &FilePath) -> Result<(), Failure> {
        let text = path.text();
        let above = text.match_indices('/').map(|(end, _)| &text[..end]);
        if above
            .filter(|above| !above.is_empty())
            .any(|above| self.files.contains_key(above))
        {
            return Err(exists(path, "lies below something that is no folder"));
        }
        let below = format!("{text}/");
        match self.files.range(below.clone()..).next() {
            Some((first, _)) if first.starts_with(&below) => Err(exists(path, "is a folder")),
            _ => Ok(()),
        }
    }
}

fn describe(who: &Caller, file: &File) -> Map {
    let size = file.content.len() as u64;
    info::describe(who, &file.path, size, Some(file.modified))
}

fn may_change(path: &FilePath) -> Result<(), Failure> {
    if path.is_code() {
        return Err(Failure::new(
            "ERR_PERMISSION",
            format!(
                "{} belongs to the programs of the app, which only an install changes",
                path.text()
            ),
        ));
    }
    Ok(())
}

fn missing(path: &FilePath) -> Failure {
    Failure::new("ERR_NOT_FOUND", format!("no file {}", path.text()))
}

fn exists(path: &FilePath, how: &str) -> Failure {
    Failure::new("ERR_EXISTS", format!("{} {how}", path.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    fn paths(store: &Store, folder: &str) -> Vec<String> {
        let files = store.list(&Caller::default(), &FolderPath::parse(folder).unwrap());
        files
            .iter()
            .map(|file| file["path"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn write_read_rename_delete() {
        let (mut store, who) = (Store::default(), Caller::default());
        store.create(&who, &p("a/b/ü"), b"one"[..].into()).unwrap();
        store
            .create(&who, &p("/a/b/ü"), b"two!"[..].into())
            .unwrap();
        assert_eq!(&*store.read(&p("a/b/ü")).unwrap(), b"two!");
        assert_eq!(store.bytes, 4);
        store.create(&who, &p("x"), b""[..].into()).unwrap();
        let taken = store.rename(&who, &p("x"), &p("a/b/ü")).unwrap_err();
        assert_eq!(taken.code, "ERR_EXISTS");
        store.rename(&who, &p("a/b/ü"), &p("c")).unwrap();
        assert_eq!(paths(&store, ""), ["/c", "/x"]);
        store.delete(&p("c")).unwrap();
        assert_eq!(store.delete(&p("c")).unwrap_err().code, "ERR_NOT_FOUND");
        assert_eq!(store.bytes, 0);
    }

    #[test]
    fn folders_are_those_of_their_files() {
        let (mut store, who) = (Store::default(), Caller::default());
        for path in ["b/2", "b/1/x", "b-1", "a", "bb/1"] {
            store.create(&who, &p(path), b""[..].into()).unwrap();
        }
        assert_eq!(paths(&store, "b"), ["/b/1/x", "/b/2"]);
        assert_eq!(paths(&store, "").len(), 5);
        assert!(paths(&store, "a").is_empty());
        for path in ["b", "a/b", "code/x"] {
            assert!(
                store.create(&who, &p(path), b""[..].into()).is_err(),
                "{path}"
            );
        }
        // Into a folder of its own old name.
        store.rename(&who, &p("a"), &p("a/b")).unwrap();
        assert_eq!(paths(&store, "a"), ["/a/b"]);
        assert!(store.rename(&who, &p("a/b"), &p("b-1/x")).is_err());
        assert_eq!(paths(&store, "a"), ["/a/b"]);
    }

    #[test]
    fn the_store_is_bounded() {
        let (mut store, who) = (Store::default(), Caller::default());
        let half: Bytes = vec![0; MOST_BYTES / 2 + 1].into();
        store.create(&who, &p("a"), half.clone()).unwrap();
        store.create(&who, &p("a"), half.clone()).unwrap();
        let full = store.create(&who, &p("b"), half).unwrap_err();
        assert_eq!(full.code, "ERR_TOO_LARGE");
        assert_eq!(paths(&store, ""), ["/a"]);
    }
}
