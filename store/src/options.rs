//! Options of saving and opening.

use std::sync::Arc;

use mix_value::Ref;

use crate::error::{Result, StoreError};
use crate::time::{Clock, SystemClock};

/// How records are saved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveOptions {
    /// Store every engine-owned field of the input in `_rmx_original`.
    pub keep_original: bool,
    /// Store `_rmx_original_id` and `_rmx_original_rev` whenever the input had them.
    pub original_id_always: bool,
    /// Do not insert under an id that is not known yet.
    pub dont_use_id: bool,
    /// Put the members over the current content instead of replacing it.
    pub upsert: bool,
    /// Who saves; empty is `anonymous`.
    pub actor: String,
}

impl SaveOptions {
    /// Sets options by their names, with either initial case.
    pub fn with_names<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<SaveOptions> {
        for name in names {
            match name {
                "KeepOriginal" | "keepOriginal" => self.keep_original = true,
                "OriginalIdAlways" | "originalIdAlways" => self.original_id_always = true,
                "DontUseId" | "dontUseId" => self.dont_use_id = true,
                "TryToUseId" | "tryToUseId" => self.dont_use_id = false,
                "Upsert" | "upsert" => self.upsert = true,
                _ => return Err(StoreError::BadOption(name.chars().take(60).collect())),
            }
        }
        Ok(self)
    }

    /// Sets who saves.
    pub fn with_actor(mut self, actor: impl Into<String>) -> SaveOptions {
        self.actor = actor.into();
        self
    }

    pub(crate) fn actor(&self) -> &str {
        if self.actor.is_empty() {
            "anonymous"
        } else {
            &self.actor
        }
    }
}

/// When a commit is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Before it is acknowledged.
    #[default]
    Full,
    /// Whenever the system likes: a commit survives the end of the process, but
    /// the last ones may be missing after a power cut or a crash of the system.
    Off,
}

/// What a rewriting of the files keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewriting {
    /// Live current versions only, unless more is asked for.
    Compact {
        /// All versions and tombstones.
        keep_history: bool,
        /// Tombstones too.
        keep_deleted: bool,
    },
    /// All but superseded rows and tombstones from before a time, in milliseconds since 1970.
    Prune {
        /// The time.
        before: i64,
    },
    /// All but every version and tombstone of these records.
    Purge {
        /// The ids.
        ids: Vec<Ref>,
    },
}

/// What a rewriting did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Rows before.
    pub rows_before: u64,
    /// Rows now.
    pub rows_after: u64,
    /// Bytes of all rows before.
    pub bytes_before: u64,
    /// Bytes of all rows now.
    pub bytes_after: u64,
    /// The watermark now.
    pub watermark: String,
}

/// How a database is opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// Name of the app, written to or compared with `name.txt`.
    pub name: Option<String>,
    /// Only read, take no lock.
    pub read_only: bool,
    /// Where that fails because of damage, read the rows that are intact.
    pub damaged: bool,
    /// Create it if it is not there.
    pub create: bool,
    /// Durability of commits.
    pub sync: Sync,
    /// How long to wait for the lease of another writer, in milliseconds.
    pub wait: u64,
    /// How long to wait for another process that holds the OS lock, in milliseconds.
    pub lock_wait: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What the lease says about its holder.
    pub program: String,
    /// Most bytes of a database in memory.
    pub memory_limit: u64,
    /// The caller holds the OS lock of the folder already, on behalf of this process.
    pub os_lock_held: bool,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            name: None,
            read_only: false,
            damaged: false,
            create: true,
            sync: Sync::Full,
            wait: 15_000,
            lock_wait: 0,
            clock: Arc::new(SystemClock),
            program: "mix-store".into(),
            memory_limit: 64 << 20,
            os_lock_held: false,
        }
    }
}

impl std::fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenOptions")
            .field("name", &self.name)
            .field("read_only", &self.read_only)
            .field("create", &self.create)
            .field("sync", &self.sync)
            .finish_non_exhaustive()
    }
}
