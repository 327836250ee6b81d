//! `wasmtime serve` as published, built as a dependency: `stock-wasmtime serve -S cli --dir D::/ws app.wasm`.
//!
//! The command line crate is used as it is; this program only picks the one
//! subcommand that the tests need, which keeps the build short.

use clap::Parser;
use wasmtime_cli::commands::ServeCommand;

/// The subcommands that are built in.
#[derive(Parser)]
#[command(name = "stock-wasmtime", version)]
enum Command {
    /// Serves requests from a component (`wasmtime serve`).
    Serve(Box<ServeCommand>),
}

fn main() -> anyhow::Result<()> {
    let Command::Serve(command) = Command::parse();
    Ok(command.execute()?)
}
