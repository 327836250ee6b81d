//! `mixer eval`.

use super::Exit;
use super::check::{Sources, options, sources};
use super::execution;
use super::run::print;
use super::select::GuestFlags;
use super::units;
use clap::{Args, ValueEnum};
use mix_runtime::plugin::Access;
use mix_runtime::programs::{self, Executable};
use mix_runtime::run::RunRequest;
use mix_runtime::workspace::Place;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Evaluates one expression.
#[derive(Debug, Args)]
pub struct Eval {
    /// The expression, possibly after definitions.
    #[arg(allow_hyphen_values = true)]
    expression: String,
    /// Sources whose modules can be used; may be repeated.
    #[arg(long, value_name = "F")]
    file: Vec<PathBuf>,
    /// Plain JSON, no tags.
    #[arg(long)]
    no_esc: bool,
    /// Time.
    #[arg(long, value_name = "D", default_value = "60s", value_parser = units::duration)]
    timeout: Duration,
    /// What the expression may reach.
    #[arg(long, value_enum, value_delimiter = ',')]
    allow: Vec<Allowed>,
    #[command(flatten)]
    guests: GuestFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Allowed {
    /// Records of a temporary app.
    Db,
    /// Requests.
    Http,
    /// Files of a temporary app.
    Files,
    /// Secrets of a temporary workspace.
    Secrets,
}

impl Eval {
    pub fn execute(self) -> Result<(), Exit> {
        let Sources { files, libraries } = sources(&self.file)?;
        let compiled =
            programs::compile_expression(&self.expression, &files, &options(&files, &libraries)?)?;
        eprint!("{}", compiled.text);
        let program = compiled.executable.ok_or_else(Exit::reported)?;
        let program = Executable::linked(program, &mut |_| libraries.clone())
            .map_err(|error| Exit::failed(format!("error: {error:#}")))?;
        let scratch = execution::scratch()?;
        let place = Place::new(scratch.path(), "local", "eval").map_err(Exit::usage)?;
        let allowed = self
            .allow
            .iter()
            .map(|allowed| match allowed {
                Allowed::Db => Access::Records,
                Allowed::Http => Access::Network,
                Allowed::Files => Access::Files,
                Allowed::Secrets => Access::Secrets,
            })
            .collect();
        let request = RunRequest {
            allowed: Some(allowed),
            ..execution::request(&self.guests, place, "", Arc::new(program), self.timeout)?
        };
        let outcome = execution::outcome(&self.guests, None, request)?;
        print(outcome, "the expression", false, !self.no_esc)
    }
}
