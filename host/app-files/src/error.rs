//! What can go wrong with files.

use mix_file_path::BadPath;
use std::io;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, FilesError>;

/// A failure; texts hold no places of the host.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Not a path of a file.
    #[error(transparent)]
    BadPath(#[from] BadPath),
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
