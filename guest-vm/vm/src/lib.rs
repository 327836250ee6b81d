//! The Mix VM: heap, interpreter, streams, spreadsheet.
//!
//! A plain library without I/O: it builds natively (tests, `mixer eval`) and
//! for WebAssembly (the VM component). It never blocks and never recurses on
//! the Rust stack for Mix calls or deep values.
//!
//! ```text
//! executable ──Vm::load──▶ Vm ──session()──▶ Session ◀── Action (run agent, load, input, invoke)
//!                                               │
//!                 Step ◀── run(host, fuel) ─────┘
//!                  ├ Event    output, log, result, issue … for whoever drives the session
//!                  ├ Waiting  foreign functions to start, stream batches to fetch; resume() answers
//!                  ├ Ready    the slice of fuel is used up
//!                  └ Idle     nothing left to do
//! ```
//!
//! - [`Vm`], [`Session`]: loading and running
//! - [`boundary`]: what passes between a session and its driver
//! - [`heap`]: values; [`wire`] and [`text_form`]: their encoded and printed forms
//! - [`compare`], [`operators`], [`access`], [`conform`]: the operations of the language on values
//! - [`interpreter`]: the instruction loop, calls, streams, errors
//! - [`builtins`]: functions for the standard library, in [`surroundings`]
//! - [`metrics`]: counters, profile and levels of tracing
//! - `sheet`: instances, cells, propagation, actions
//! - `routine`: coroutines, channels, mutexes and who is next

pub mod access;
mod base_case;
pub mod boundary;
pub mod builtins;
pub mod compare;
pub mod conform;
pub mod failure;
pub mod heap;
pub mod interpreter;
mod loaded;
mod machine;
pub mod metrics;
pub mod operators;
mod routine;
mod session;
mod sheet;
pub mod surroundings;
pub mod text_form;
mod vm;
pub mod wire;

pub use boundary::{
    Action, Event, ForeignCall, FunctionTable, Host, HostFailure, Issue, Linked, Location,
    NoFunctions, NoHost, Pending, Reply, Step, TraceFrame, parts, short_way,
};
pub use failure::Failure;
pub use heap::Value;
pub use session::Session;
pub use vm::{MemoryLimit, ModuleInfo, Options, Summary, Vm};
