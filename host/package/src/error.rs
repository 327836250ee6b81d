//! Why a package is refused.

use mix_value::{Map, Value};
use std::io;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, PackageError>;

/// Why a package is refused, with a stable code.
#[derive(Debug, thiserror::Error)]
#[error("{message}{}", place(.entry.as_deref()))]
pub struct PackageError {
    /// Stable code, for instance `bad_zip`.
    pub code: &'static str,
    /// One line for people.
    pub message: Box<str>,
    /// Name of the entry.
    pub entry: Option<Box<str>>,
    /// Byte offset in it.
    pub offset: Option<u64>,
    /// Index of a record in it.
    pub index: Option<u64>,
    /// The limit that was passed.
    pub limit: Option<u64>,
    /// What was found instead.
    pub found: Option<Box<str>>,
    #[source]
    source: Option<io::Error>,
}

fn place(entry: Option<&str>) -> String {
    entry.map_or_else(String::new, |entry| format!(" ({entry})"))
}

impl PackageError {
    /// A failure without details.
    pub fn new(code: &'static str, message: impl Into<String>) -> PackageError {
        PackageError {
            code,
            message: message.into().into(),
            entry: None,
            offset: None,
            index: None,
            limit: None,
            found: None,
            source: None,
        }
    }

    /// Not a zip file that is accepted.
    pub fn bad_zip(message: impl Into<String>) -> PackageError {
        PackageError::new("bad_zip", message)
    }

    /// A manifest whose member at the JSON path is wrong.
    pub fn bad_manifest(path: &str, message: &str) -> PackageError {
        PackageError::new("bad_manifest", format!("{path}: {message}")).found(path)
    }

    /// An entry that must not be there, or not under that name.
    pub fn unsafe_entry(entry: &str, message: &str) -> PackageError {
        PackageError::new("unsafe_entry", message).at(entry)
    }

    /// An entry whose bytes are wrong.
    pub fn corrupt(entry: &str, message: impl Into<String>) -> PackageError {
        PackageError::new("corrupt_entry", message).at(entry)
    }

    /// An entry that must be there.
    pub fn missing(entry: &str) -> PackageError {
        PackageError::new("missing_entry", "the package lacks an entry").at(entry)
    }

    /// The same failure under another code.
    pub fn as_code(mut self, code: &'static str) -> PackageError {
        self.code = code;
        self
    }

    /// Names the entry.
    pub fn at(mut self, entry: &str) -> PackageError {
        self.entry = Some(entry.chars().take(300).collect::<String>().into());
        self
    }

    /// Names the byte offset in the entry.
    pub fn offset(mut self, offset: u64) -> PackageError {
        self.offset = Some(offset);
        self
    }

    /// Names the index of a record.
    pub fn index(mut self, index: u64) -> PackageError {
        self.index = Some(index);
        self
    }

    /// Names the limit that was passed.
    pub fn limit(mut self, limit: u64) -> PackageError {
        self.limit = Some(limit);
        self
    }

    /// Says what was found instead.
    pub fn found(mut self, found: impl Into<String>) -> PackageError {
        self.found = Some(found.into().chars().take(100).collect::<String>().into());
        self
    }

    /// The status of an HTTP response.
    pub fn status(&self) -> u16 {
        match self.code {
            "app_missing" | "install_running" | "newer_installed" | "not_for_platform"
            | "wrong_base" | "exists" => 409,
            "package_too_large" => 413,
            "busy" | "db_locked" | "db_busy" => 503,
            "disk_full" | "db_full" => 507,
            "upstream" => 502,
            "internal" | "db_corrupt" | "db_io" | "db_failed" => 500,
            _ => 422,
        }
    }

    /// Facts for programs.
    pub fn details(&self) -> Map {
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let mut details = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                details.insert(name.into(), value);
            }
        };
        put("entry", self.entry.as_deref().map(Value::from));
        put("offset", self.offset.map(number));
        put("index", self.index.map(number));
        put("limit", self.limit.map(number));
        put("found", self.found.as_deref().map(Value::from));
        details
    }
}

impl From<io::Error> for PackageError {
    fn from(error: io::Error) -> PackageError {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        let (code, message) = if full {
            ("disk_full", "the disk is full".to_owned())
        } else {
            ("internal", format!("files: {}", error.kind()))
        };
        PackageError {
            source: Some(error),
            ..PackageError::new(code, message)
        }
    }
}
