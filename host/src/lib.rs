//! `mixer`: the command line of the runtime.
//!
//! * [`cli`]: a file for every command: what it takes, what it prints, its exit code.
//! * [`repl`]: `mixer repl` on a session of `mix-runtime`.
//! * [`fetch`]: source texts behind addresses, for the commands that compile.
//!
//! Programs are run by `mix-runtime`, requests are served by `mix-server`.

pub mod cli;
pub mod fetch;
pub mod repl;
