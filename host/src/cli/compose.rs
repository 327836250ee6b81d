//! `mixer compose`.

use super::Exit;
use super::install::Program;
use crate::standalone;
use crate::workspace::write_atomically;
use clap::Args;
use std::path::PathBuf;

/// Makes one component that stock WASI hosts can serve.
#[derive(Debug, Args)]
pub struct Compose {
    /// Programs: `.mixexe`, `.mix` or folders of sources.
    programs: Vec<PathBuf>,
    /// Further foreign functions (a component); may be repeated.
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    /// Where to.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

impl Compose {
    pub fn execute(self) -> Result<(), Exit> {
        let mut executables = Vec::new();
        for path in &self.programs {
            executables.push(Program::load(path, &[])?.executable.bytes.to_vec());
        }
        let mut plugins = Vec::new();
        for path in &self.plugins {
            let bytes = std::fs::read(path)
                .map_err(|error| Exit::io(format!("{}: {error}", path.display())))?;
            plugins.push((path.display().to_string(), bytes));
        }
        let bytes = standalone(&executables, &plugins)?;
        let output = std::path::absolute(&self.output).map_err(Exit::io)?;
        write_atomically(&output, &bytes).map_err(|error| Exit::io(format!("{error:#}")))
    }
}

/// The composed component.
pub fn standalone(executables: &[Vec<u8>], plugins: &[(String, Vec<u8>)]) -> Result<Vec<u8>, Exit> {
    standalone::compose(executables, plugins)
        .map_err(|error| Exit::failed(format!("error: {error:#}")))
}
