//! Installs packages into the folder of a workspace: all of it or nothing.
//!
//! Works on folders and record stores directly, without any component. A server uses it with its
//! own databases of the apps closed; every database is locked while it is changed.
//!
//! # How an install goes
//!
//! ```text
//! Turn::take ── one install per workspace
//!   Staging ── upload ── <ws>/.install/<id>/
//!     plan ── read and check the package, conditions, ids, duplicates ──► Plan (report: dry run ends here)
//!       stage ── new apps and files completely, journal "prepared"
//!         begin ── journal "committing": the point of no return
//!           Changes::apply(app) for each app, repeated until it is done, also after a crash (recover)
//!         finish ── journal and staging removed
//! ```
//!
//! # Main types
//!
//! * [`Staging`], [`Plan`], [`Commit`], [`Changes`]: the stages of an install.
//! * [`Request`]: what the caller wants; [`Report`]: what became of it.
//! * [`recover`]: finishes what a crash left; [`unfinished`]: the same app by app, before the next install.
//! * [`export`], [`import`]: whole workspaces.

mod apply;
mod assign;
mod conditions;
mod database;
mod journal;
mod libraries;
mod mastertape;
mod plan;
mod report;
mod staging;

pub use apply::{Changes, Commit, recover, unfinished};
pub use mastertape::{Exported, Imported, Keep, export, import};
pub use plan::{Plan, Request};
pub use report::{AppReport, Report};
pub use staging::{PATIENCE, Staging, Turn};
