//! `mixer check`.

use super::{Exit, output};
use crate::fetch;
use clap::Args;
use mix_compiler::{CompileOptions, SourceFile};
use mix_runtime::libraries::LibraryFile;
use mix_runtime::programs::{self, Source};
use std::collections::HashSet;
use std::path::PathBuf;

/// Checks sources.
#[derive(Debug, Args)]
pub struct Check {
    /// Files or folders; libraries (`.mixlib`) that they use.
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
        let Sources { files, libraries } = sources(&self.paths)?;
        let compiled = programs::check(&files, &options(&files, &libraries)?)?;
        if self.json {
            output::line(&compiled.report)?;
        } else {
            output::messages(&compiled.text);
        }
        if compiled.errors > 0 || self.warnings_as_errors && compiled.warnings > 0 {
            return Err(Exit::reported());
        }
        Ok(())
    }
}

/// What paths on the command line hold.
#[derive(Debug, Default)]
pub struct Sources {
    /// Source texts.
    pub files: Vec<SourceFile>,
    /// Libraries that they may use.
    pub libraries: Vec<LibraryFile>,
}

/// How sources are compiled that may use some libraries; the texts they name are fetched.
pub fn options(files: &[SourceFile], libraries: &[LibraryFile]) -> Result<CompileOptions, Exit> {
    let mut options = CompileOptions {
        libraries: libraries.iter().map(|file| file.library.clone()).collect(),
        ..CompileOptions::default()
    };
    fetch::fetch(files, &mut options).map_err(Exit::io)?;
    Ok(options)
}

/// The texts of files and folders, and the libraries among them.
pub fn sources(paths: &[PathBuf]) -> Result<Sources, Exit> {
    let mut sources = Sources::default();
    let mut given = HashSet::new();
    for path in paths {
        // Given twice it is meant once, however it is written.
        if !given.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            continue;
        }
        match programs::read(path).map_err(|error| Exit::io(format!("{error:#}")))? {
            Source::Texts(found, libraries) => {
                sources.files.extend(found);
                sources.libraries.extend(libraries);
            }
            Source::Library(library) => sources.libraries.push(*library),
            Source::Executable(_) | Source::Component(_) => {
                return Err(Exit::usage(format!(
                    "{} is compiled already",
                    path.display()
                )));
            }
        }
    }
    // The same library may be given and stand beside the sources too.
    let mut seen = Vec::new();
    sources.libraries.retain(|file| {
        let new = !seen.contains(&file.library.id);
        seen.push(file.library.id.clone());
        new
    });
    Ok(sources)
}
