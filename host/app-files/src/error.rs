//! What can go wrong with files.

use std::io;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, FilesError>;

/// A failure; texts hold no places of the host.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Not a path of a file.
    #[error("not a path of a file, {0}")]
    BadPath(&'static str),
    /// Nothing is there.
    #[error("no such file")]
    NotFound,
    /// Something is there already.
    #[error("{0}")]
    Exists(&'static str),
    /// The system refused.
    #[error("the files of the app: {}", .0.kind())]
    Io(#[from] io::Error),
}

impl FilesError {
    /// True if there is no room left.
    pub fn is_full(&self) -> bool {
        matches!(self, FilesError::Io(error)
            if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}
