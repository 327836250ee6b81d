//! The files of an app as its users and agents see them: with addresses, with what was registered about them, within
//! what the workspace may store.

use crate::disk::Draft;
use crate::entry::{Facts, Item, media_type};
use crate::error::{FilesError, Result};
use crate::files::{AppFiles, Condition, Opened};
use crate::registered::{Registration, Registrations};
use crate::signature::Signer;
use crate::storage::Storage;
use crate::tickets::{Claim, Tickets};
use crate::usage::Usage;
use mix_file_path::{FilePath, FolderPath, folder_name};
use mix_object_store::signing::encode;
use mix_value::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// The files of all apps of a server.
pub struct Shelves {
    ws_dir: PathBuf,
    storage: Storage,
    /// What workspaces store, against what they may.
    pub usage: Usage,
    tickets: Tickets,
    base_url: OnceLock<String>,
    /// Where files are read, if not there.
    files_origin: OnceLock<String>,
}

/// The files of one app.
#[derive(Clone)]
pub struct Shelf {
    shelves: Arc<Shelves>,
    workspace: String,
    app: String,
    files: AppFiles,
    registered: Registrations,
}

impl std::fmt::Debug for Shelves {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shelves")
            .field("ws_dir", &self.ws_dir)
            .finish_non_exhaustive()
    }
}

impl Shelves {
    /// Of the workspaces in a folder, each of which may store `limit` bytes (0: any number).
    pub fn new(ws_dir: &Path, storage: Storage, limit: u64) -> Arc<Shelves> {
        Arc::new(Shelves {
            ws_dir: ws_dir.to_owned(),
            usage: Usage::new(ws_dir.to_owned(), storage.clone(), limit),
            storage,
            tickets: Tickets::of(ws_dir),
            base_url: OnceLock::new(),
            files_origin: OnceLock::new(),
        })
    }

    /// Says under which address the server is reached, once it is known, and at which origin of
    /// their own files are read, if they have one.
    pub fn reached_at(&self, base_url: &str, files_origin: Option<&str>) {
        // The first one counts.
        let _ = self.base_url.set(base_url.to_owned());
        if let Some(origin) = files_origin {
            let _ = self.files_origin.set(origin.to_owned());
        }
    }

    /// Whether a workspace has an app of that name.
    pub fn has_app(&self, workspace: &str, app: &str) -> bool {
        let folder = self.ws_dir.join(workspace).join(folder_name(app));
        folder.is_dir()
    }

    /// Where files are read.
    fn files_url(&self) -> &str {
        match self.files_origin.get() {
            Some(origin) => origin,
            None => self.base_url(),
        }
    }

    fn base_url(&self) -> &str {
        self.base_url.get().map_or("", String::as_str)
    }

    /// Where the files lie.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The files of an app. The names are checked by the caller.
    pub fn of(self: &Arc<Self>, workspace: &str, app: &str) -> Shelf {
        let folder = self.ws_dir.join(workspace).join(folder_name(app));
        Shelf {
            shelves: self.clone(),
            workspace: workspace.to_owned(),
            app: app.to_owned(),
            files: self.storage.files(&folder),
            registered: Registrations::beside(&folder.join("files")),
        }
    }

    /// Whether the upload of a ticket may begin.
    pub fn check_ticket(&self, ticket: &str) -> Result<()> {
        self.tickets.check(ticket)
    }

    /// Takes a ticket for its upload.
    pub fn claim(&self, ticket: &str) -> Result<Claim> {
        self.tickets.claim(ticket)
    }
}

impl Shelf {
    /// The files themselves.
    pub fn files(&self) -> &AppFiles {
        &self.files
    }

    /// Opens a file for reading.
    pub fn open(&self, path: &FilePath) -> Result<(Opened, Facts)> {
        self.files.open(path)
    }

    /// Where everybody reads a public file of the bucket; none for other files.
    pub fn public_address(&self, path: &FilePath) -> Option<String> {
        let domain = self.shelves.storage.bucket()?.public_domain()?;
        path.is_public().then(|| {
            let path = encode(&path.text(), true);
            format!("https://{domain}/{}/{}{path}", self.workspace, self.app)
        })
    }

    /// Describes a file, or one that is registered and still to come.
    pub fn describe(&self, path: &FilePath) -> Result<Map> {
        match self.files.stat(path) {
            Ok(facts) => self.persisted(&self.signer()?, path, &facts),
            Err(FilesError::NotFound) => match self.registered.get(path)? {
                Some(found) if found.ticket.is_some() => Ok(self.awaited(&found)),
                _ => Err(FilesError::NotFound),
            },
            Err(error) => Err(error),
        }
    }

    fn signer(&self) -> Result<Signer> {
        Signer::of(&self.shelves.ws_dir.join(&self.workspace).join(".keys"))
    }

    fn persisted(&self, signer: &Signer, path: &FilePath, facts: &Facts) -> Result<Map> {
        let mut metadata = Map::new();
        if !self.registered.is_empty()
            && let Some(found) = self.registered.get(path)?
        {
            metadata = found.metadata;
        }
        let size = i64::try_from(facts.size).unwrap_or(i64::MAX);
        metadata.insert("size".into(), Value::Int(size));
        metadata.insert("contentType".into(), Value::from(media_type(path.last())));
        metadata.insert("modifiedAt".into(), Value::from(time_text(facts.modified)));
        metadata.insert("etag".into(), Value::from(format!("\"{}\"", facts.tag)));
        let url = if path.is_code() {
            Value::Null
        } else {
            let place = (self.workspace.as_str(), self.app.as_str());
            let own = || signer.url(self.shelves.files_url(), place, path);
            Value::from(self.public_address(path).unwrap_or_else(own))
        };
        Ok(self.row(&path.text(), "persisted", metadata, url))
    }

    fn awaited(&self, found: &Registration) -> Map {
        let url = Value::from(found.url.as_str());
        self.row(&found.path, "client", found.metadata.clone(), url)
    }

    fn row(&self, path: &str, kind: &str, metadata: Map, url: Value) -> Map {
        Map::from([
            ("app".into(), Value::from(self.app.as_str())),
            ("path".into(), Value::from(path)),
            ("kind".into(), Value::from(kind)),
            ("metadata".into(), Value::Map(metadata)),
            ("url".into(), url),
        ])
    }

    /// Describes files and folders in a folder, or all files below it, sorted by path, after a path; and says where the
    /// list goes on.
    pub fn list(
        &self,
        folder: &FolderPath,
        recursive: bool,
        after: Option<&str>,
        most: usize,
    ) -> Result<(Vec<Map>, Option<String>)> {
        enum Line {
            Stored(Item),
            Awaited(Registration),
        }
        let listing = self.files.list(folder, recursive, after, most)?;
        let mut lines: BTreeMap<String, Line> = listing
            .items
            .into_iter()
            .map(|item| (item.path(), Line::Stored(item)))
            .collect();
        let last = lines.last_key_value().map(|(path, _)| path.clone());
        let mut more = listing.more;
        let prefix = folder.text();
        for found in self.registered.waiting()? {
            let Some(rest) = found.path.strip_prefix(&prefix) else {
                continue;
            };
            let (path, line) = match rest.split_once('/').filter(|_| !recursive) {
                None => (found.path.clone(), Line::Awaited(found)),
                Some((name, _)) => {
                    let path = format!("{prefix}{name}/");
                    (path.clone(), Line::Stored(Item::Folder(path)))
                }
            };
            let in_part = after.is_none_or(|after| path.as_str() > after)
                && !(more && last.as_ref().is_some_and(|last| path > *last));
            if in_part {
                lines.entry(path).or_insert(line);
            }
        }
        while lines.len() > most {
            lines.pop_last();
            more = true;
        }
        let next = lines.last_key_value().map(|(path, _)| path.clone());
        let signer = self.signer()?;
        let rows = lines.into_iter().map(|(path, line)| match line {
            Line::Stored(Item::File(path, facts)) => self.persisted(&signer, &path, &facts),
            Line::Stored(Item::Folder(_)) => Ok(Map::from([
                ("app".into(), Value::from(self.app.as_str())),
                ("path".into(), Value::from(path)),
            ])),
            Line::Awaited(found) => Ok(self.awaited(&found)),
        });
        Ok((rows.collect::<Result<_>>()?, next.filter(|_| more)))
    }

    /// Begins a file of so many bytes, if the workspace may store them.
    pub fn draft(&self, size: u64) -> Result<Draft> {
        self.shelves.usage.add(&self.workspace, size)?;
        self.files.draft()
    }

    /// Puts a finished file in its place; true if nothing was there before.
    pub fn put(&self, path: &FilePath, draft: Draft, replace: bool) -> Result<bool> {
        self.put_if(path, draft, replace, None)
    }

    fn put_if(
        &self,
        path: &FilePath,
        draft: Draft,
        replace: bool,
        condition: Option<&Condition>,
    ) -> Result<bool> {
        let is_new = self.files.put_if(path, draft, replace, condition)?;
        // What was registered is about another content.
        self.registered.remove(path)?;
        Ok(is_new)
    }

    /// The same, if a condition is met, with a description of what was written.
    pub fn put_described(
        &self,
        path: &FilePath,
        draft: Draft,
        replace: bool,
        condition: Option<&Condition>,
    ) -> Result<(bool, Map)> {
        let facts = draft.facts()?;
        let is_new = self.put_if(path, draft, replace, condition)?;
        Ok((is_new, self.written(path, &facts)?))
    }

    fn written(&self, path: &FilePath, facts: &Facts) -> Result<Map> {
        match self.describe(path) {
            // Somebody has deleted it since.
            Err(FilesError::NotFound) => self.persisted(&self.signer()?, path, facts),
            other => other,
        }
    }

    /// Deletes a file, or the registration of one that is still to come.
    pub fn remove(&self, path: &FilePath) -> Result<()> {
        self.remove_if(path, None)
    }

    /// The same, if a condition is met.
    pub fn remove_if(&self, path: &FilePath, condition: Option<&Condition>) -> Result<()> {
        let is_awaited = self.registered.get(path)?.is_some();
        let removed = match self.files.remove_if(path, condition) {
            Err(FilesError::NotFound) if is_awaited => Ok(()),
            other => other,
        };
        removed?;
        self.registered.remove(path)?;
        self.shelves.usage.forget(&self.workspace);
        Ok(())
    }

    /// Deletes all below a folder and says how many files it were.
    pub fn remove_folder(&self, folder: &FolderPath) -> Result<u64> {
        let mut removed = self.files.remove_folder(folder)?;
        removed += self.registered.remove_below(&folder.text())?;
        self.shelves.usage.forget(&self.workspace);
        Ok(removed)
    }

    /// Renames a file to a path that is free.
    pub fn rename(&self, from: &FilePath, to: &FilePath) -> Result<()> {
        if from != to && self.is_awaited(to)? {
            return Err(FilesError::Exists("the target is registered for an upload"));
        }
        self.files.rename(from, to)?;
        if from != to {
            self.registered.rename(from, to)?;
        }
        Ok(())
    }

    fn is_awaited(&self, path: &FilePath) -> Result<bool> {
        let found = self.registered.get(path)?;
        Ok(found.is_some_and(|found| found.ticket.is_some()))
    }

    /// Reserves a path for an upload and describes it, with the address that the upload goes to. What was registered
    /// there before and is still to come makes way.
    pub fn register(&self, path: &FilePath, url: &str, metadata: Map) -> Result<Map> {
        if self.files.stat(path).is_ok() {
            return Err(FilesError::Exists("the file exists"));
        }
        let (ticket, hash) =
            self.shelves
                .tickets
                .issue(&self.workspace, &self.app, &path.text())?;
        let mut registration = Registration {
            path: path.text(),
            url: url.to_owned(),
            metadata,
            ticket: Some(hash),
        };
        self.registered.put(&registration)?;
        let upload = format!("{}/v1/upload/{ticket}", self.shelves.base_url());
        let address = ("_rmx_upload_url".into(), Value::from(upload));
        registration.metadata.extend([address]);
        Ok(self.awaited(&registration))
    }

    /// Stores the upload of a ticket and describes the file.
    pub fn upload(&self, claim: Claim, draft: Draft) -> Result<Map> {
        let path = FilePath::parse(&claim.path)?;
        let found = self.registered.get(&path)?;
        let Some(mut found) = found.filter(|found| found.ticket.as_ref() == Some(&claim.hash))
        else {
            // Registered again, written or deleted since.
            claim.used();
            return Err(FilesError::Expired);
        };
        let facts = draft.facts()?;
        match self.files.put(&path, draft, false) {
            Ok(_) => {}
            Err(error @ FilesError::Exists(_)) => {
                claim.used();
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        found.ticket = None;
        self.registered.put(&found)?;
        claim.used();
        self.written(&path, &facts)
    }
}

fn time_text(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    mix_store::time::format_time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn what_is_deleted_at_once_was_written_all_the_same() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let shelves = Shelves::new(scratch.path(), Storage::default(), 0);
        let shelf = shelves.of("acme", "shop");
        let path = FilePath::parse("/a/b.txt").expect("a path");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _ = shelf.remove(&path);
                }
            });
            for _ in 0..500 {
                let mut draft = shelf.draft(3).expect("a draft");
                draft.write_all(b"abc").expect("written");
                let put = shelf.put_described(&path, draft, true, None);
                let size = put.map(|(_, row)| match row.get("metadata") {
                    Some(Value::Map(metadata)) => metadata.get("size").cloned(),
                    _ => None,
                });
                assert_eq!(size.expect("written"), Some(Value::Int(3)));
            }
            over.store(true, Ordering::Relaxed);
        });
    }
}
