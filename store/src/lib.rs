//! The record store: append-only, history-preserving, every field indexed.
//!
//! A [`Database`] is a sequence of rows; each row is one version of a record.
//! Nothing is changed in place: saving and deleting append rows, and readers
//! look at a [`View`], the rows of one moment, which later commits never touch.
//! [`query`] finds and shapes records of a view.
//!
//! ```
//! use mix_store::query::{Pipeline, QueryOptions};
//! use mix_store::{Database, OpenOptions, SaveOptions};
//! use mix_value::escjson;
//!
//! let db = Database::in_memory(OpenOptions::default())?; // or Database::open(folder, ...)
//! let ada = escjson::parse(r#"{"entity":"person","name":"Ada","age":36}"#)?;
//! let saved = db.save(vec![ada], &SaveOptions::default().with_actor("ada@example.com"))?;
//! let found = db.get_one(saved[0].id()?.as_str())?.expect("just saved");
//! assert_eq!(found.encoded(), saved[0].encoded());
//!
//! let adults = Pipeline::parse("entity == \"person\" and age >= 18 | .name")?;
//! for name in db.query(&adults, &QueryOptions::default())? {
//!     assert_eq!(name?.into_value()?.as_str(), Some("Ada"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a commit goes
//!
//! ```text
//! save ── prepare (checks, blobs) ── batch (ids, revisions, rows) ── disk: one frame in the
//! write log, one sync, one look at the fence ── table (readers see it)
//!                                        later: checkpoint ── db.dat, db.off, db.crc, db.state
//! ```
//!
//! Records are encoded once. The bytes of a row are what lies on disk, what a
//! query over live records yields and what programs receive.
//!
//! # Who may write
//!
//! Natively the lock of the operating system keeps a second process out. A
//! component has no such locks, so every writer takes a lease for each turn of
//! writing, and a *fence* number makes a lost lease harmless; see `disk`.
//! [`folder::Folder`] is all that the store needs of a file system. Calls that
//! wait for the writer are written together, with one sync (`writing`);
//! [`OpenOptions::sync`] opts out of syncing.
//!
//! # Beside reading and writing
//!
//! * [`Database::compact`], [`Database::prune`] and [`Database::purge`] write a
//!   new generation of the files beside the old one and exchange the two
//!   folders; readers keep what they have (`maintenance`, `disk::swap`).
//! * [`check`] names everything that is damaged, [`fix`] recovers every record
//!   that is not, [`Database::copy_to`] and [`Database::export_image`] copy.
//! * [`transfer`] exports and imports records.
//! * [`Database::subscribe`] tells of every commit.

mod base;
mod batch;
mod data;
mod database;
mod disk;
pub mod error;
pub mod fields;
pub mod folder;
pub mod holder;
mod ids;
mod index;
mod log;
mod made;
mod maintenance;
mod notice;
mod options;
mod overrides;
mod plain;
mod prepare;
pub mod query;
pub mod raw;
mod record;
mod repair;
mod row_bytes;
mod row_files;
mod state;
mod table;
pub mod time;
pub mod transfer;
mod view;
mod writing;

pub use batch::content_hash;
pub use database::Database;
pub use disk::{Finding, Fixed};
pub use error::{Result, StoreError};
pub use notice::{Notice, Subscription};
pub use options::{OpenOptions, Rewriting, Rewritten, SaveOptions, Sync};
pub use plain::{Draft, Plain, PlainReader};
pub use record::Record;
pub use repair::{LogEntry, check, check_in, fix, import_image, peek_log};
pub use row_bytes::RowBytes;
pub use view::{AsOf, Stat, View, id_argument};
