//! How a command ends when it does not end well.

use std::fmt;
use std::path::Path;

use mix_store::StoreError;
use mix_store::query::QueryError;

/// A failure with its exit code; an empty message says that everything is
/// printed already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// For standard error.
    pub message: String,
}

impl Failure {
    /// Exit code 1: the work failed.
    pub(crate) fn work(message: impl fmt::Display) -> Failure {
        Failure {
            code: 1,
            message: format!("error {message}"),
        }
    }

    /// Exit code 1: what was found is printed.
    pub(crate) fn findings() -> Failure {
        Failure {
            code: 1,
            message: String::new(),
        }
    }

    /// Exit code 2: wrong usage.
    pub(crate) fn usage(message: impl fmt::Display) -> Failure {
        Failure {
            code: 2,
            message: format!("error: {message}"),
        }
    }

    /// Exit code 3: input or output.
    pub(crate) fn io(what: impl fmt::Display, error: impl fmt::Display) -> Failure {
        Failure {
            code: 3,
            message: format!("error: {what}: {error}"),
        }
    }

    /// A database that cannot be opened.
    pub(crate) fn opening(path: &Path, error: StoreError) -> Failure {
        let mend = match error.code() {
            "db_corrupt" => {
                "; `mixer db check` says where, `--read-only` shows and `mixer db fix --out DIR` saves what is intact"
            }
            _ => "",
        };
        let mut failure = Failure::from(error);
        let path = path.display().to_string();
        if !failure.message.contains(&path) {
            failure.message.push_str(&format!(" (in {path})"));
        }
        failure.message.push_str(mend);
        failure
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let code = match error.code() {
            "db_locked" | "db_busy" | "lease_lost" => 5,
            "db_io" | "disk_full" | "no_such_db" => 3,
            _ => 1,
        };
        Failure {
            code,
            message: format!("error {}: {error}", error.code()),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::from(StoreError::from(error))
    }
}
