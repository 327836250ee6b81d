//! Objects of one bucket on an S3-compatible store.
//!
//! A [`Bucket`] is addressed by path (`ENDPOINT/BUCKET/KEY`) and speaks the part of the protocol that files of
//! apps need: look, read (also a part), write (large objects in parts), copy, delete, list. Every request carries
//! a signature of version 4 ([`signing`]); what a store refuses or breaks off is a [`StoreError`], what may pass is
//! tried again. The functions block: they are for threads that may, and use the tasks of the runtime that the
//! bucket was made in.
//!
//! * [`Bucket`], [`Settings`]: a bucket and how it is reached;
//! * [`ObjectFacts`], [`ObjectReader`]: what is known of an object, and its bytes as they come;
//! * [`signing`]: signatures; `xml`, `time`: the forms of answers.

mod bucket;
mod error;
mod listing;
mod settings;
pub mod signing;
mod time;
mod transport;
mod upload;
mod xml;

pub use bucket::{Bucket, ObjectFacts, ObjectReader};
pub use error::{Result, StoreError};
pub use listing::{Entry, Page};
pub use settings::{Settings, SettingsError};
