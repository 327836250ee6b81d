//! What is known about files.

use mix_file_path::FilePath;
use std::time::{Duration, SystemTime};

/// Life of a file below `/ephemeral/`.
pub(crate) const EPHEMERAL: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Bytes.
    pub size: u64,
    /// Time of the last change.
    pub modified: SystemTime,
    /// Changes with every write; without quotes.
    pub tag: String,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A file.
    File(FilePath, Facts),
    /// A folder, as text with a trailing `/`.
    Folder(String),
}

impl Item {
    /// The path as text.
    pub fn path(&self) -> String {
        match self {
            Item::File(path, _) => path.text(),
            Item::Folder(text) => text.clone(),
        }
    }
}

/// A part of a listing.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Sorted by path.
    pub items: Vec<Item>,
    /// True if there are more after the last one.
    pub more: bool,
}

/// Media type of a file by the ending of its name; content is not looked at.
pub fn media_type(name: &str) -> String {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    match guess.type_() {
        mime_guess::mime::TEXT => format!("{guess}; charset=utf-8"),
        _ => guess.to_string(),
    }
}

/// Whether a file has outlived what its path promises.
pub(crate) fn is_expired(path: &FilePath, modified: SystemTime) -> bool {
    let age = SystemTime::now().duration_since(modified);
    path.is_ephemeral() && age.is_ok_and(|age| age > EPHEMERAL)
}
