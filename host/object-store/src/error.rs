//! What can go wrong with a store.

/// A result of this crate.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A failure. Texts name no keys of access.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke off.
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the store does not answer in time")]
    Slow,
    /// The store refuses.
    #[error("the store answers {status} {code}: {message}")]
    Refused {
        /// Status of the answer.
        status: u16,
        /// Code of the store, for instance `AccessDenied`.
        code: String,
        /// Its text.
        message: String,
    },
    /// An answer that is none.
    #[error("the answer of the store is malformed: {0}")]
    Malformed(&'static str),
    /// The object has been replaced since it was looked at.
    #[error("the object has changed meanwhile")]
    Changed,
    /// An object of that key is there.
    #[error("the object exists")]
    Exists,
    /// What is to be written cannot be read.
    #[error("what is to be stored cannot be read: {}", .0.kind())]
    Source(#[from] std::io::Error),
}

impl StoreError {
    /// Whether the same request may succeed a moment later.
    pub(crate) fn passes(&self) -> bool {
        match self {
            StoreError::Unreachable(_) | StoreError::Slow => true,
            StoreError::Refused { status, .. } => matches!(status, 429 | 500 | 502..=504),
            _ => false,
        }
    }

    /// The code of the store, if it gave one.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        matches!(self, StoreError::Refused { code, .. } if code == wanted)
    }
}
