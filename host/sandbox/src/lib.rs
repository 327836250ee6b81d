//! What guests run in, whatever they are: the VM of a run, a plugin, a component under test.
//!
//! * [`engine`]: the one engine configuration, the cache of native code, the epoch ticker.
//! * [`state`]: the data of a store: what its guest was granted, its limits, its deadline.
//! * [`linker`], [`immediate`], [`blocking`]: what a guest may import; all of WASI, what never waits, and what
//!   keeps its thread while it waits.
//! * [`outbound`]: HTTP requests of guests, guarded and pooled.
//! * [`open_files`]: room for the files and connections of all of them.
//! * [`meter`]: processor time of calls; [`messages`]: what a guest writes to its standard error.
//!
//! # Data flow
//!
//! ```text
//! Grants ─► GuestState::store(engine) ─► Store ─┐
//! linker(engine) ─► instantiate_pre(component) ─┴─► instance ─► guest code
//!                                                     ├─ epoch tick ─► GuestState: stop, pause or go on
//!                                                     └─ wasi:http  ─► Egress ─► Outbound ─► guard ─► pool
//! ```
//!
//! The host functions of WASI are compiled here, once: crates above bring their own data along as
//! [`state::GuestState::owner`] instead of a type parameter.

pub mod blocking;
pub mod engine;
pub mod immediate;
pub mod linker;
pub mod messages;
pub mod meter;
pub mod open_files;
pub mod outbound;
pub mod state;
