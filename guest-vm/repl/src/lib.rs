//! The read-eval-print loop of Mix (language 8) without its terminal.
//!
//! ```text
//! line ──Repl::enter──▶ pieces ──compile──▶ program ──Machine──▶ events ──▶ [Output]
//!                         └── # commands ─── actions ──Machine──▶ events ──▶ [Output]
//! ```
//!
//! - [`Repl`]: the definitions so far with their values, and the view stack of `#load`
//! - [`Machine`]: who runs programs; the host drives the VM component with it, tests a VM in the process
//! - [`Output`]: what is to be shown
//! - [`Candidate`]: what could be typed next
//!
//! A phrase becomes a program of its own, in which definitions that it does not touch are the
//! values they had (see [`mix_compiler::session`]). Functions and streams have no such form and
//! are made again, so that a stream starts anew in each phrase. The views of `#load` run in a
//! session of their own, with the modules as they were when it was loaded.

mod command;
mod complete;
mod machine;
mod repl;

pub use complete::Candidate;
pub use machine::Machine;
pub use repl::{Output, Repl};
