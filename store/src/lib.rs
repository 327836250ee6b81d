//! The record store: append-only, history-preserving, every field indexed.

mod batch;
mod data;
mod database;
mod disk;
pub mod error;
pub mod fields;
pub mod folder;
mod ids;
mod index;
mod log;
mod options;
mod prepare;
pub mod query;
pub mod raw;
mod record;
mod state;
mod table;
pub mod time;
mod view;

pub use batch::content_hash;
pub use database::Database;
pub use error::{Result, StoreError};
pub use options::{OpenOptions, SaveOptions, Sync};
pub use record::Record;
pub use view::{AsOf, Stat, View, id_argument};
