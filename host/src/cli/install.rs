//! `mixer install`, and how the other commands get a program.

use super::Exit;
use crate::programs::{self, Executable, Source};
use crate::workspace::Place;
use clap::Args;
use mix_compiler::{CompileOptions, SourceFile};
use std::path::{Path, PathBuf};

/// Installs a program.
#[derive(Debug, Args)]
pub struct Install {
    /// A folder of sources, a `.mix` or a `.mixexe`.
    path: PathBuf,
    /// Folder of workspaces.
    #[arg(long, value_name = "DIR", env = "MIXER_WS_DIR")]
    ws_dir: PathBuf,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local")]
    ws: String,
    /// App; named after the path without it.
    #[arg(long, value_name = "A")]
    app: Option<String>,
}

impl Install {
    pub fn execute(self) -> Result<(), Exit> {
        let program = Program::load(&self.path, &[])?;
        let app = self.app.unwrap_or_else(|| programs::name_after(&self.path));
        let place = Place::new(&self.ws_dir, &self.ws, &app).map_err(Exit::usage)?;
        program
            .install(&place)
            .map_err(|error| Exit::io(format!("{error:#}")))?;
        eprintln!("installed {} into {}/{}", self.path.display(), self.ws, app);
        Ok(())
    }
}

/// A program that can be run or installed.
pub struct Program {
    /// The executable.
    pub executable: Executable,
    path: PathBuf,
}

impl Program {
    /// Reads or compiles what the path holds; diagnostics go to standard error.
    pub fn load(path: &Path, agents: &[String]) -> Result<Program, Exit> {
        let bytes = match programs::read(path).map_err(|error| Exit::io(format!("{error:#}")))? {
            Source::Executable(bytes) => bytes,
            Source::Texts(files) => build(&files, agents)?,
        };
        let executable = Executable::read(bytes)
            .map_err(|error| Exit::failed(format!("error: {}: {error:#}", path.display())))?;
        Ok(Program {
            executable,
            path: path.to_owned(),
        })
    }

    /// Puts it into an app.
    pub fn install(&self, place: &Place) -> anyhow::Result<()> {
        let name = programs::name_after(&self.path);
        programs::install(place, &name, &self.executable.bytes, &self.path)
    }
}

/// Compiles sources; issues are printed.
pub fn build(files: &[SourceFile], agents: &[String]) -> Result<Vec<u8>, Exit> {
    let options = CompileOptions {
        agents: agents.to_vec(),
        ..CompileOptions::default()
    };
    let compiled = programs::compile(files, &options)?;
    eprint!("{}", compiled.text);
    compiled.executable.ok_or_else(Exit::reported)
}
