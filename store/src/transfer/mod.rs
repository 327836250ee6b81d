//! Export and import of records: JSON Lines, JSON and MessagePack.
//!
//! [`Database::export`](crate::Database::export) writes records or the results
//! of a query; [`Records`] reads them again, one after the other, and
//! [`Database::import`](crate::Database::import) saves them, or
//! [`Database::import_held`](crate::Database::import_held) what is [`Held`] in memory. MessagePack has no
//! tags: there a string `{ref}X` means a ref and `{str}` protects a string
//! that only looks like one.

mod exact;
mod export;
mod held;
mod import;
mod repeated;
mod tags;

pub use export::ExportOptions;
pub use held::Held;
pub use import::{ImportOptions, Records, reading, reading_array, unmarked};

/// A file format of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One EscJSON record per line.
    #[default]
    Jsonl,
    /// One EscJSON array.
    Json,
    /// One MessagePack array.
    Mp,
}
