//! `mixer build`.

use super::Exit;
use super::check::sources;
use crate::programs;
use crate::standalone;
use crate::workspace::write_atomically;
use clap::{Args, ValueEnum};
use mix_compiler::CompileOptions;
use std::path::PathBuf;

/// Compiles sources into an executable.
#[derive(Debug, Args)]
pub struct Build {
    /// Files or folders.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where to; named after the first path without it.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What to make; by the ending of the output without it.
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// Warnings fail too.
    #[arg(long)]
    warnings_as_errors: bool,
    /// Print the issues as JSON on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// A program of the VM (`.mixexe`).
    Exe,
    /// One composed component (`.wasm`).
    Standalone,
}

impl Build {
    pub fn execute(self) -> Result<(), Exit> {
        let output = match &self.output {
            Some(output) => output.clone(),
            None => PathBuf::from(format!("{}.mixexe", programs::name_after(&self.paths[0]))),
        };
        let target = match (
            self.target,
            output.extension().and_then(|ending| ending.to_str()),
        ) {
            (Some(target), _) => target,
            (None, Some("wasm")) => Target::Standalone,
            (None, Some("mixlib" | "remix")) => {
                return Err(Exit::usage(
                    "libraries and packages cannot be built yet; end the output in .mixexe or .wasm",
                ));
            }
            (None, _) => Target::Exe,
        };
        let files = sources(&self.paths)?;
        let compiled = programs::compile(&files, &CompileOptions::default())?;
        if self.json {
            println!("{}", compiled.report);
        } else {
            eprint!("{}", compiled.text);
        }
        let Some(executable) = compiled.executable else {
            return Err(Exit::reported());
        };
        if self.warnings_as_errors && compiled.warnings > 0 {
            return Err(Exit::reported());
        }
        let bytes = match target {
            Target::Exe => executable,
            Target::Standalone => {
                let name = programs::name_after(&self.paths[0]);
                standalone::compose(&name, &[(name.clone(), executable)], &[])
                    .map_err(|error| Exit::failed(format!("error: {error:#}")))?
            }
        };
        write_atomically(&std::path::absolute(&output).map_err(Exit::io)?, &bytes)
            .map_err(|error| Exit::io(format!("{error:#}")))
    }
}
