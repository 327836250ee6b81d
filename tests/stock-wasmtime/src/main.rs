//! `wasmtime` as published, built as a dependency: `stock-wasmtime serve -S cli --dir D::/ws app.wasm`.
//!
//! The command line crate is used as it is; this program only picks the
//! subcommands that the tests need, which keeps the build short.

use clap::Parser;
use wasmtime_cli::commands::{RunCommand, ServeCommand};

/// The subcommands that are built in.
#[derive(Parser)]
#[command(name = "stock-wasmtime", version)]
enum Command {
    /// Runs a component as a command (`wasmtime run`).
    Run(Box<RunCommand>),
    /// Serves requests from a component (`wasmtime serve`).
    Serve(Box<ServeCommand>),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Run(command) => command.execute()?,
        Command::Serve(command) => command.execute()?,
    }
    Ok(())
}
