//! The commands of `mixer db`: looking into record stores and maintaining them.
//!
//! [`DbArgs`] are the arguments, [`run`] carries them out on the files of one
//! database, without any component. Results go to the writer that is given:
//! as a table on a terminal, else as JSON Lines, or as `--output` says.
//! Messages and progress go to standard error. A [`Failure`] has the exit code.
//!
//! ```text
//! DbArgs ── target (which folder, how to open) ── reading | writing | files
//!                                                       └── output (table, JSON, JSON Lines, CSV)
//! ```

mod args;
mod csv_quotes;
mod csv_records;
mod failure;
mod files;
mod output;
mod progress;
mod reading;
mod target;
mod writing;

pub use args::{Action, DbArgs, FileFormat, Output};
pub use failure::Failure;

use std::io::Write;

/// Where results and progress go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal {
    /// Results are read by a person.
    pub results: bool,
    /// Progress is seen by a person.
    pub progress: bool,
}

/// A line for people, on standard error. Nobody can be told when that fails.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Carries out a command.
pub fn run(args: DbArgs, terminal: Terminal, out: &mut dyn Write) -> Result<(), Failure> {
    let output = args.output.unwrap_or(if terminal.results {
        Output::Table
    } else {
        Output::Jsonl
    });
    let mut printer = output::Printer::new(out, output);
    let target = target::Target::new(&args)?;
    match args.action {
        Action::Stat => reading::stat(&target, &mut printer),
        Action::Get { ids } => reading::get(&target, &ids, &mut printer),
        Action::History { id } => reading::history(&target, &id, &mut printer),
        Action::Query(query) => reading::query(&target, *query, &mut printer),
        Action::Parse(query) => reading::parse(&query, &mut printer),
        Action::Watermark => reading::watermark(&target, &mut printer),
        Action::Log => files::log(&target, &mut printer),
        Action::Save { file, options } => writing::save(&target, &file, &options, &mut printer),
        Action::Upsert { file } => writing::save(&target, &file, &["Upsert".into()], &mut printer),
        Action::Delete { ids } => writing::delete(&target, &ids, &mut printer),
        Action::Import(import) => writing::import(&target, *import, terminal, &mut printer),
        Action::Export(export) => reading::export(&target, *export, terminal, &mut printer),
        Action::Compact {
            keep_history,
            keep_deleted,
        } => files::compact(&target, keep_history, keep_deleted, &mut printer),
        Action::Prune { before } => files::prune(&target, &before, &mut printer),
        Action::Purge { ids } => files::purge(&target, &ids, &mut printer),
        Action::Check => files::check(&target, &mut printer),
        Action::Reindex => files::reindex(&target),
        Action::Fix { out } => files::fix(&target, &out, &mut printer),
        Action::Copy { out } => files::copy(&target, &out),
        Action::Flush => files::flush(&target),
    }
}
