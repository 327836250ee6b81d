//! The `.remix` package: a zip file that carries apps into a workspace.
//!
//! This crate reads, checks and writes packages; it changes nothing outside of what it is given.
//! Whatever is wrong with a package is found when it is opened, before anybody acts on it.
//!
//! # Data flow
//!
//! ```text
//! bytes ──container──► entries (names, sizes, places, CRC checked; counted while unpacked)
//!       ──package────► manifest (version 1 or 2) ──► Package: apps, record sets, checks, warnings
//!                      every entry decoded once: records, JSON, queries, patterns, programs, hashes
//! NewPackage, write() ──pack──► bytes, the same for the same input
//! ```
//!
//! # Main types
//!
//! * [`Package`]: one that was found in order; records and files are unpacked when asked for.
//! * [`App`], [`RecordSet`], [`PackedFile`], [`Check`], [`Rule`]: what it carries.
//! * [`PackageError`]: why one is refused, with a stable code.
//! * [`Limits`]: how large one may be.
//! * [`NewPackage`], [`write`]: writing.
//!
//! ```
//! use mix_package::{Limits, NewPackage, Package};
//! use std::io::Cursor;
//!
//! let new = NewPackage { id: "demo".into(), app: "demo".into(), updates: "*".into(), ..NewPackage::default() };
//! let bytes = new.write(Cursor::new(Vec::new()))?.into_inner();
//! let package = Package::open(Cursor::new(bytes), &Limits::PACKAGE)?;
//! assert_eq!(package.apps[0].name, "demo");
//! # Ok::<(), mix_package::PackageError>(())
//! ```

mod container;
mod error;
mod limits;
mod manifest;
mod model;
mod names;
mod pack;
mod package;
mod patterns;
mod program;
mod records;
mod writer;

pub use container::{Archive, Source};
pub use error::{PackageError, Result};
pub use limits::Limits;
pub use model::{
    App, Check, Content, Format, PackedFile, RecordSet, RecordSource, Rule, Tape, Warning,
};
pub use pack::Packer;
pub use package::{Package, is_internal};
pub use patterns::Pattern;
pub use writer::{Input, NewPackage, portable, write};
