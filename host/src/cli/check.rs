//! `mixer check`.

use super::Exit;
use crate::programs::{self, Source};
use clap::Args;
use std::path::PathBuf;

/// Checks sources.
#[derive(Debug, Args)]
pub struct Check {
    /// Files or folders.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Print the issues as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Warnings fail too.
    #[arg(long)]
    warnings_as_errors: bool,
}

impl Check {
    pub fn execute(self) -> Result<(), Exit> {
        let files = sources(&self.paths)?;
        let compiled = programs::check(&files)?;
        if self.json {
            println!("{}", compiled.report);
        } else {
            eprint!("{}", compiled.text);
        }
        if compiled.errors > 0 || self.warnings_as_errors && compiled.warnings > 0 {
            return Err(Exit::reported());
        }
        Ok(())
    }
}

/// The texts of files and folders.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<mix_compiler::SourceFile>, Exit> {
    let mut files = Vec::new();
    for path in paths {
        match programs::read(path).map_err(|error| Exit::io(format!("{error:#}")))? {
            Source::Texts(found) => files.extend(found),
            Source::Executable(_) => {
                return Err(Exit::usage(format!(
                    "{} is compiled already",
                    path.display()
                )));
            }
        }
    }
    Ok(files)
}
