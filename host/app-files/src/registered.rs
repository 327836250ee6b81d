//! What was registered about files: an address and metadata that the client gave, and the ticket of an upload that is
//! still to come. It lies in the folder of the files, under a name that no file has.

use crate::disk::private_folder;
use crate::error::{FilesError, Result};
use mix_file_path::FilePath;
use mix_value::{Map, Value, escjson};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The folder beside the files; no segment is stored so.
const FOLDER: &str = "%registered";
/// Most registrations of an app.
const MOST: usize = 10_000;

/// What was registered about a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// Its path.
    pub path: String,
    /// The address that the client gave.
    pub url: String,
    /// The metadata that the client gave.
    pub metadata: Map,
    /// Hash of the ticket of the upload; none once it has come.
    pub ticket: Option<String>,
}

/// The registrations of an app.
#[derive(Debug, Clone)]
pub struct Registrations {
    folder: PathBuf,
}

impl Registrations {
    /// Those beside the files in a folder.
    pub fn beside(root: &Path) -> Registrations {
        Registrations {
            folder: root.join(FOLDER),
        }
    }

    fn place(&self, path: &str) -> PathBuf {
        self.folder.join(format!("{}.json", hash(path)))
    }

    /// What was registered about a path.
    pub fn get(&self, path: &FilePath) -> Result<Option<Registration>> {
        let path = path.text();
        match fs::read_to_string(self.place(&path)) {
            Ok(text) => Ok(read(&text).filter(|found| found.path == path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Registers, in the place of what was there.
    pub fn put(&self, registration: &Registration) -> Result<()> {
        private_folder(&self.folder)?;
        let place = self.place(&registration.path);
        if !place.exists() && fs::read_dir(&self.folder)?.take(MOST).count() >= MOST {
            return Err(FilesError::TooMany(
                "the app has too many registered files; upload or delete some",
            ));
        }
        let mut members = Map::from([
            ("path".into(), Value::from(registration.path.as_str())),
            ("url".into(), Value::from(registration.url.as_str())),
            ("metadata".into(), Value::Map(registration.metadata.clone())),
        ]);
        if let Some(ticket) = &registration.ticket {
            members.insert("ticket".into(), Value::from(ticket.as_str()));
        }
        let text = escjson::format(&Value::Map(members)).map_err(Error::other)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(place).map_err(|error| error.error)?;
        Ok(())
    }

    /// Forgets a path.
    pub fn remove(&self, path: &FilePath) -> Result<()> {
        match fs::remove_file(self.place(&path.text())) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Forgets what is below a folder (a text with `/` at its end) and says how many files are not to come any more.
    pub fn remove_below(&self, folder: &str) -> Result<u64> {
        let mut removed = 0;
        for (place, found) in self.all()? {
            if found.path.starts_with(folder) {
                removed += u64::from(found.ticket.is_some());
                fs::remove_file(place)?;
            }
        }
        Ok(removed)
    }

    /// What was registered about a file goes with it.
    pub fn rename(&self, from: &FilePath, to: &FilePath) -> Result<()> {
        if let Some(mut found) = self.get(from)? {
            found.path = to.text();
            self.put(&found)?;
            self.remove(from)?;
        }
        Ok(())
    }

    /// Whether anything was registered at all.
    pub fn is_empty(&self) -> bool {
        !self.folder.is_dir()
    }

    /// Files that are still to come.
    pub fn waiting(&self) -> Result<Vec<Registration>> {
        let all = self.all()?.into_iter().map(|(_, found)| found);
        Ok(all.filter(|found| found.ticket.is_some()).collect())
    }

    fn all(&self) -> Result<Vec<(PathBuf, Registration)>> {
        let mut all = Vec::new();
        let items = match fs::read_dir(&self.folder) {
            Ok(items) => items,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(error.into()),
        };
        for item in items.take(MOST) {
            let place = item?.path();
            let text = fs::read_to_string(&place).unwrap_or_default();
            all.extend(read(&text).map(|found| (place, found)));
        }
        Ok(all)
    }
}

fn read(text: &str) -> Option<Registration> {
    let Value::Map(members) = escjson::parse(text).ok()? else {
        return None;
    };
    let word = |name: &str| members.get(name)?.as_str().map(str::to_owned);
    Some(Registration {
        path: word("path")?,
        url: word("url")?,
        metadata: members.get("metadata")?.as_map()?.clone(),
        ticket: word("ticket"),
    })
}

/// A text as a name of a file that says nothing about it.
pub(crate) fn hash(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
