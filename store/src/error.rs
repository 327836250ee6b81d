//! Everything that can go wrong, with the stable codes of the store.

use std::io;

use mix_value::{Map, Value};

use crate::query::QueryError;

/// Result of the store's calls.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a call gave no result. [`StoreError::code`] is stable; the text is for people.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A record that is no map.
    #[error("a record must be a map, not {kind}")]
    BadRecord {
        /// Kind of what was given.
        kind: &'static str,
    },
    /// A record whose engine-owned fields do not hang together.
    #[error("{0}")]
    BadExact(String),
    /// A value that cannot be stored as it is.
    #[error("{reason}{}", at(path))]
    BadValue {
        /// Path in the record.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something else where an id is needed.
    #[error("a ref was expected, not {found}")]
    ExpectedRef {
        /// What was found.
        found: String,
    },
    /// An option that does not exist.
    #[error(
        "unknown option {0:?}: there are KeepOriginal, OriginalIdAlways, DontUseId, Upsert and TryToUseId"
    )]
    BadOption(String),
    /// Ids that no record has ever had.
    #[error("no record {0}")]
    NotFound(String),
    /// Something that names no database.
    #[error("no database: {0}")]
    BadDb(String),
    /// One temporary ref on two records.
    #[error("the temporary ref {0:?} names two records")]
    DuplicateAlias(String),
    /// A temporary ref that names no record of the batch.
    #[error("the temporary ref {id:?} names no record of the batch{}", at(path))]
    UnresolvedRef {
        /// Path in the record.
        path: String,
        /// The ref.
        id: String,
    },
    /// Nested deeper than 128 levels.
    #[error("nested deeper than {} levels{}", mix_value::MAX_DEPTH, at(path))]
    TooDeep {
        /// Path in the record.
        path: String,
    },
    /// A token or a handle.
    #[error("a {kind} cannot be stored{}", at(path))]
    NotStorable {
        /// Path in the record.
        path: String,
        /// Kind of the value.
        kind: &'static str,
    },
    /// A record or batch beyond its limit.
    #[error("{0}")]
    TooLarge(String),
    /// A batch with more bytes than one may have, of records that are not too large.
    #[error("a batch has at most {0} bytes")]
    BatchTooLarge(usize),
    /// The id of an input is a revision.
    #[error("{0} is a revision, not a record")]
    IdConflict(String),
    /// The database, or the row view, is read-only.
    #[error("the database is opened read-only")]
    ReadOnly,
    /// There is no such database.
    #[error("there is no database {0}")]
    NoSuchDb(String),
    /// Something is in the way of what was to be created.
    #[error("{0} is there already")]
    Exists(String),
    /// `name.txt` says another name.
    #[error("the folder of {expected:?} belongs to {found:?}")]
    NameMismatch {
        /// Name asked for.
        expected: String,
        /// Name in the folder.
        found: String,
    },
    /// Another process holds the database.
    #[error("the database is locked by {holder}")]
    Locked {
        /// Program, pid and age as far as known.
        holder: String,
    },
    /// The work replaces files and needs the OS lock of the folder.
    #[error(
        "this replaces files and needs the lock of the folder, which this opener does not have"
    )]
    NeedsLock,
    /// The work is for databases on disk.
    #[error("a database in memory has no files: {0} is for databases on disk")]
    InMemory(&'static str),
    /// A reader found no quiet moment.
    #[error("the database changes too fast to be read")]
    Busy,
    /// The lease went to another writer; nothing was saved.
    #[error("another process took over the database; nothing was saved, try again")]
    LeaseLost,
    /// It could not be found out whether the commit is there.
    #[error("the commit may or may not be saved ({0}); read before trying again")]
    CommitUnknown(String),
    /// No room for more rows, or a quota.
    #[error("the database is full: {0}")]
    DbFull(String),
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// Reading or writing failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// The system's error.
        source: io::Error,
    },
    /// The database stopped writing after an earlier failure.
    #[error("the database must be reopened after an earlier failure: {0}")]
    Failed(String),
    /// The files are damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A block of an index segment is not what was written; the index can be built anew.
    #[error("the index segment {segment} is damaged at byte {offset}")]
    IndexDamaged {
        /// File name of the segment.
        segment: String,
        /// Where the damaged block begins.
        offset: u64,
    },
    /// The files have another format.
    #[error("unsupported format {0}")]
    UnsupportedFormat(String),
    /// A watermark of another generation, or an unknown revision.
    #[error("stale watermark {0:?}")]
    StaleWatermark(String),
    /// A query was refused or stopped.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// One record of a batch was refused, and so the whole batch.
    #[error("record {index}: {source}")]
    InRecord {
        /// Index in the batch.
        index: usize,
        /// Why.
        source: Box<StoreError>,
    },
}

fn at(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!(" at {path}")
    }
}

impl StoreError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::BadRecord { .. } => "bad_record",
            StoreError::BadExact(_) => "bad_record",
            StoreError::BadValue { .. } => "bad_value",
            StoreError::ExpectedRef { .. } => "expected_ref",
            StoreError::BadOption(_) => "bad_option",
            StoreError::BadDb(_) => "bad_db",
            StoreError::DuplicateAlias(_) => "duplicate_alias",
            StoreError::UnresolvedRef { .. } => "unresolved_ref",
            StoreError::TooDeep { .. } => "too_deep",
            StoreError::NotStorable { .. } => "not_storable",
            StoreError::TooLarge(_) | StoreError::BatchTooLarge(_) => "too_large",
            StoreError::IdConflict(_) => "id_conflict",
            StoreError::ReadOnly => "read_only",
            StoreError::NotFound(_) => "not_found",
            StoreError::NoSuchDb(_) => "no_such_db",
            StoreError::Exists(_) => "exists",
            StoreError::NameMismatch { .. } => "name_mismatch",
            StoreError::Locked { .. } => "db_locked",
            StoreError::NeedsLock => "db_locked",
            StoreError::InMemory(_) => "bad_db",
            StoreError::Busy => "db_busy",
            StoreError::LeaseLost => "lease_lost",
            StoreError::CommitUnknown(_) => "commit_unknown",
            StoreError::DbFull(_) => "db_full",
            StoreError::DiskFull => "disk_full",
            StoreError::Io { .. } => "db_io",
            StoreError::Failed(_) => "db_failed",
            StoreError::Corrupt(_) | StoreError::IndexDamaged { .. } => "db_corrupt",
            StoreError::UnsupportedFormat(_) => "unsupported_format",
            StoreError::StaleWatermark(_) => "stale_watermark",
            StoreError::Query(error) => error.code.as_str(),
            StoreError::InRecord { source, .. } => source.code(),
        }
    }

    /// True if a file was missing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// True if fewer records at a time may do.
    pub(crate) fn is_batch_too_large(&self) -> bool {
        matches!(self.innermost(), StoreError::BatchTooLarge(_))
    }

    fn innermost(&self) -> &StoreError {
        match self {
            StoreError::InRecord { source, .. } => source.innermost(),
            other => other,
        }
    }

    /// The code that Mix programs see.
    pub fn program_code(&self) -> &'static str {
        match self.code() {
            "bad_record" if matches!(self.innermost(), StoreError::BadExact(_)) => "ERR_DB",
            "bad_record" => "ERR_EXPECTED_MAP",
            "expected_ref" => "ERR_EXPECTED_REF",
            "not_storable" | "not_json" => "ERR_NOT_SERIALIZABLE",
            "too_large" => "ERR_TOO_LARGE",
            "not_found" => "ERR_NOT_FOUND",
            "id_conflict" | "exists" => "ERR_CONFLICT",
            "forbidden" => "ERR_PERMISSION",
            "db_locked" | "db_busy" | "lease_lost" | "commit_unknown" | "db_full" | "disk_full"
            | "db_io" | "db_failed" | "db_corrupt" | "unsupported_format" => "ERR_IO",
            "query_syntax" | "query_type" | "query_unsupported" | "query_too_complex"
            | "not_indexable" | "missing_param" | "stale_watermark" | "expansion_limit"
            | "unknown_opcode" | "query_timeout" | "result_too_large" => "ERR_QUERY",
            _ => "ERR_DB",
        }
    }

    /// Facts for programs: the code, and index and path where there are some.
    pub fn details(&self) -> Map {
        let mut map = Map::new();
        map.insert("code".into(), Value::from(self.code()));
        self.add_details(&mut map);
        map
    }

    fn add_details(&self, map: &mut Map) {
        match self {
            StoreError::InRecord { index, source } => {
                map.insert(
                    "index".into(),
                    Value::Int(i64::try_from(*index).unwrap_or(i64::MAX)),
                );
                source.add_details(map);
            }
            StoreError::BadValue { path, .. }
            | StoreError::UnresolvedRef { path, .. }
            | StoreError::TooDeep { path }
            | StoreError::NotStorable { path, .. } => {
                map.insert("path".into(), Value::from(path.as_str()));
            }
            StoreError::Query(error) => {
                let offset = error
                    .offset()
                    .and_then(|offset| i64::try_from(offset).ok())
                    .map(Value::Int);
                let facts = [
                    ("offset", offset),
                    ("expected", error.expected_text().map(Value::from)),
                    ("path", error.path().map(Value::from)),
                    ("param", error.param().map(Value::from)),
                ];
                for (key, value) in facts {
                    if let Some(value) = value {
                        map.insert(key.into(), value);
                    }
                }
            }
            _ => {}
        }
    }

    /// The same error for another call that waited for the same write.
    pub(crate) fn repeated(&self) -> StoreError {
        match self {
            StoreError::DiskFull => StoreError::DiskFull,
            StoreError::LeaseLost => StoreError::LeaseLost,
            StoreError::ReadOnly => StoreError::ReadOnly,
            StoreError::Busy => StoreError::Busy,
            StoreError::CommitUnknown(why) => StoreError::CommitUnknown(why.clone()),
            StoreError::Failed(why) => StoreError::Failed(why.clone()),
            StoreError::Corrupt(what) => StoreError::Corrupt(what.clone()),
            StoreError::IndexDamaged { segment, offset } => StoreError::IndexDamaged {
                segment: segment.clone(),
                offset: *offset,
            },
            StoreError::DbFull(why) => StoreError::DbFull(why.clone()),
            StoreError::NotFound(ids) => StoreError::NotFound(ids.clone()),
            StoreError::NoSuchDb(name) => StoreError::NoSuchDb(name.clone()),
            StoreError::UnsupportedFormat(what) => StoreError::UnsupportedFormat(what.clone()),
            StoreError::Locked { holder } => StoreError::Locked {
                holder: holder.clone(),
            },
            StoreError::Io { doing, source } => StoreError::Io {
                doing: doing.clone(),
                source: io::Error::new(source.kind(), source.to_string()),
            },
            other => StoreError::Io {
                doing: "writing".into(),
                source: io::Error::other(other.to_string()),
            },
        }
    }

    /// The same error, as that of one record of a batch.
    pub(crate) fn in_record(self, index: usize) -> StoreError {
        StoreError::InRecord {
            index,
            source: Box::new(self),
        }
    }
}

/// Adds what was tried to an I/O error.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull,
            _ => StoreError::Io {
                doing: what(),
                source,
            },
        })
    }
}
