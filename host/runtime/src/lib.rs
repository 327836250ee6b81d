//! Runs programs: everything between the engine and the command line or the server.
//!
//! # Rooms
//!
//! * [`compose`]: components out of components; [`standalone`], [`carrier`]: an app, its VM and its families as one.
//! * [`assembly`]: what all runs share: the VM, the plugins, the table of foreign functions.
//! * [`vm`]: the VM alone and composed with families, and which of them a program needs.
//! * [`snapshot`]: programs that are loaded already, in memory and in components.
//! * [`run`]: one run: a fresh VM instance and its limits; [`run_context`]: what it reaches; [`interactive`]: a session driven action by action; [`listener`]: the events of both.
//! * [`shares`]: processor time, shared between workspaces.
//! * [`progress`]: what a run tells while it goes on.
//! * [`plugin`], [`instance`], [`stream`], [`desk`]: plugins behind the host, each in a store of its own.
//! * [`manifest`], [`contract`]: what a plugin needs and is granted, which versions of the contract fit.
//! * [`tape`]: recorded and replayed requests.
//! * [`download`]: HTTP requests of the host itself; those of guests are in [`mix_sandbox`].
//! * [`program_log`]: lines that programs write.
//! * [`neighbours`]: databases outside of the run's own app; [`remote_main`]: its own one on another server.
//! * [`workspace`], [`programs`], [`libraries`], [`signature`], [`lock`]: folders of workspaces and apps, what is installed in them, who may write.
//! * [`schema`]: what agents take, for clients that call them as tools; [`wasm_library`]: function libraries for module `wasm`.
//! * [`secrets_key`]: where the keys of the users' secrets come from.
//!
//! # Data flow of a run
//!
//! ```text
//! RunRequest ─► fresh store + VM instance ─► load(program) ─► session(run-agent) ─► Outcome
//!                    │             └─ from an image, if the program was loaded before ─┘
//!                    │ family import
//!                    ├─ core, crypto        composed with the VM if the program uses them, no host involved
//!                    └─ db, files, http, …  RunContext ─► Instance (own store) ─► plugin
//! ```

pub mod assembly;
pub mod bindings;
pub mod carrier;
pub mod compose;
pub mod contract;
pub mod desk;
pub mod download;
pub mod embedding;
pub mod environment;
pub mod families;
pub mod guests;
pub mod home;
pub mod instance;
pub mod interactive;
mod interfaces;
pub mod libraries;
pub mod listener;
pub mod lock;
pub mod manifest;
pub mod neighbours;
pub mod pace;
pub mod plugin;
pub mod program_log;
pub mod programs;
pub mod progress;
pub mod remote_main;
mod room;
pub mod run;
pub mod run_context;
pub mod schema;
pub mod secrets_key;
pub mod shares;
mod short;
pub mod signature;
pub mod snapshot;
pub mod standalone;
pub mod stream;
pub mod tape;
pub mod threads;
pub mod trace;
pub mod vm;
pub mod wasm_library;
pub mod workspace;
