//! The command line: flags, exit codes, one module per command.

mod addresses;
mod build;
mod check;
mod codec;
mod compose;
mod config;
mod db;
mod debug_data;
mod disasm;
mod doc;
mod error_decode;
mod eval;
mod execution;
mod exit;
mod inspect;
mod install;
mod logging;
mod lsp;
mod mcp;
mod output;
mod package;
mod plugin;
mod repl;
mod run;
mod select;
mod serve;
mod units;
mod wasm;

pub use exit::Exit;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use mix_trust::TrustError;
use std::path::{Path, PathBuf};

/// Examples below the help.
const EXAMPLES: &str = "\
Examples:
  mixer run hello.mix hello           run agent `hello` of a source file
  mixer check app/                    look for mistakes in all sources of a folder
  mixer repl                          try things out
  mixer build app/ -o app.remix       make a package of an app
  mixer install app.remix --ws-dir data
  mixer serve --ws-dir data           serve the agents and records of `data` over HTTP

`mixer COMMAND --help` says more about a command.";

/// Compiles, runs and serves programs in the language Mix.
#[derive(Debug, Parser)]
#[command(name = "mixer", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// How log lines look (default: pretty on a terminal, else json).
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    /// Only errors in the log.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// More in the log; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Colours in messages.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: Color,
    /// Authorities that vouch for servers beside those that are built in: certificates (PEM), one or several.
    #[arg(long, global = true, value_name = "FILE", env = "MIXER_CA_FILE")]
    ca_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// Look of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves workspaces over HTTP.
    Serve(Box<serve::Serve>),
    /// Runs one agent and prints its output.
    Run(run::Run),
    /// Installs a package, or a program and its files, into a workspace.
    Install(Box<install::Install>),
    /// Checks sources and prints what is wrong with them.
    Check(check::Check),
    /// Compiles sources into an executable, a package or one component.
    Build(build::Build),
    /// Shows what is in a component of `build`.
    Inspect(inspect::Inspect),
    /// Evaluates one expression.
    Eval(eval::Eval),
    /// Writes the documentation as a static site.
    Doc(doc::Doc),
    /// Enters definitions and expressions one by one.
    Repl(repl::Repl),
    /// Serves an editor over standard input and output (language server protocol).
    Lsp(lsp::Lsp),
    /// Makes one component that stock WASI hosts can serve.
    Compose(compose::Compose),
    /// Offers agents as tools over the Model Context Protocol, on standard input and output.
    Mcp(Box<mcp::Mcp>),
    /// Inspects and changes the records of an app.
    Db(db::Db),
    /// Makes, checks and describes plugins.
    Plugin(plugin::Plugin),
    /// Makes, describes and calls function libraries compiled to WebAssembly.
    Wasm(wasm::Wasm),
    /// Turns the stack of a reported error into places and lines of the sources.
    ErrorDecode(error_decode::ErrorDecode),
    /// Prints the instructions of an executable.
    Disasm(disasm::Disasm),
    /// Converts values between encodings, standard input to standard output.
    #[command(hide = true)]
    Codec(codec::Codec),
}

/// Runs the program; the result is its exit code.
pub fn main() -> u8 {
    let command = Cli::command();
    let flags = config::Flags::of(&command);
    let (arguments, decided) = match config::with_file(std::env::args_os().collect(), &flags) {
        Ok(found) => found,
        Err(exit) => return exit.report(),
    };
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    if let (Command::Serve(wanted), Some((_, found))) = (&cli.command, matches.subcommand())
        && wanted.prints_config()
    {
        return code_of(output::line(config::print(&flags, found, &decided)));
    }
    logging::start(cli.log_format, cli.quiet, cli.verbose, cli.color);
    if let Some(file) = &cli.ca_file
        && let Err(exit) = trust(file)
    {
        return exit.report();
    }
    let done = match cli.command {
        Command::Serve(command) => command.execute(),
        Command::Run(command) => command.execute(),
        Command::Install(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Build(command) => command.execute(),
        Command::Inspect(command) => command.execute(),
        Command::Eval(command) => command.execute(),
        Command::Doc(command) => command.execute(),
        Command::Repl(command) => command.execute(),
        Command::Lsp(command) => command.execute(),
        Command::Compose(command) => command.execute(),
        Command::Mcp(command) => command.execute(),
        Command::Db(command) => command.execute(),
        Command::Plugin(command) => command.execute(),
        Command::Wasm(command) => command.execute(),
        Command::ErrorDecode(command) => command.execute(),
        Command::Disasm(command) => command.execute(),
        Command::Codec(command) => command.execute(),
    };
    code_of(done)
}

/// Trusts the authorities of a file as well.
fn trust(file: &Path) -> Result<(), Exit> {
    let shown = file.display();
    let added = mix_trust::add_file(file);
    let added = added.map_err(|error| {
        let message = format!("--ca-file {shown}: {error}");
        match error {
            TrustError::Unreadable(_) => Exit::io(message),
            _ => Exit::usage(message),
        }
    })?;
    tracing::debug!(file = %shown, added, "further authorities are trusted");
    Ok(())
}

fn code_of(done: Result<(), Exit>) -> u8 {
    match done {
        Ok(()) => 0,
        Err(exit) => exit.report(),
    }
}

/// Help and version go to standard output; mistakes are one line on standard error.
fn usage(error: &clap::Error) -> u8 {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => code_of(output::text(error)),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::messages(&error.to_string());
            2
        }
        _ => {
            let text = error.to_string();
            let lines: Vec<&str> = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .collect();
            let message: Vec<&str> = lines
                .into_iter()
                .take_while(|line| {
                    !line.starts_with("Usage:") && !line.starts_with("For more information")
                })
                .collect();
            output::messages(&format!("{}\n", message.join(" ")));
            2
        }
    }
}

/// The async runtime of a command.
fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::io(format!("the runtime cannot start: {error}")))
}
