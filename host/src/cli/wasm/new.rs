//! `mixer wasm new`: a project that `mixer wasm build` builds.

use crate::cli::{Exit, output};
use clap::Args;
use mix_projects::{is_name, library};
use std::path::PathBuf;

/// Writes a project.
#[derive(Debug, Args)]
pub struct New {
    /// The folder, which names the library: small letters, digits and `_`, a letter first.
    dir: PathBuf,
}

impl New {
    pub fn execute(self) -> Result<(), Exit> {
        let name = super::name_of(&self.dir);
        if !is_name(&name) {
            return Err(Exit::usage(format!(
                "{name:?} is no name of a library: small letters, digits and _, a letter first"
            )));
        }
        library::project(&name).write(&self.dir)?;
        let shown = self.dir.display();
        output::line(format_args!(
            "{shown} is ready: `mixer wasm build {shown}` makes {name}.wasm"
        ))
    }
}
