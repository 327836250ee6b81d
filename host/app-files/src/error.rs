//! What can go wrong with files.

use mix_file_path::BadPath;
use mix_object_store::StoreError;
use std::io;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, FilesError>;

/// A failure; texts hold no places of the host.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Not a path of a file.
    #[error(transparent)]
    BadPath(#[from] BadPath),
    /// Too long for the bucket.
    #[error("not a path of a file, with workspace and app it is longer than 1024 bytes")]
    TooLong,
    /// Nothing is there.
    #[error("no such file")]
    NotFound,
    /// Something is there already.
    #[error("{0}")]
    Exists(&'static str),
    /// Whoever changes it has another one in mind.
    #[error("the file is another one than the condition of the request says")]
    Unmet,
    /// More than may wait at once.
    #[error("{0}")]
    TooMany(&'static str),
    /// A ticket that was used, is too old or was never given.
    #[error("the ticket was used, or is too old")]
    Expired,
    /// The workspace stores as much as it may.
    #[error("the workspace stores as much as it may, {limit} bytes")]
    Full {
        /// Bytes that it may store.
        limit: u64,
    },
    /// The bucket refuses, or cannot be reached.
    #[error("the store of files fails")]
    Store(#[from] StoreError),
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
