//! `mixer plugin component`: what compilers of C and its like leave to do.

use crate::cli::Exit;
use clap::Args;
use mix_projects::component;
use mix_runtime::plugin::LARGEST_COMPONENT;
use mix_runtime::workspace::write_output;
use std::path::PathBuf;

/// Makes a component of a core module that carries its type, as those do that are linked with C bindings.
#[derive(Debug, Args)]
pub struct Component {
    /// The core module.
    module: PathBuf,
    /// Where to.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Component {
    pub fn execute(self) -> Result<(), Exit> {
        let path = self.module.display();
        let module = mix_input_file::read(&self.module, LARGEST_COMPONENT)
            .map_err(|error| Exit::io(format!("{path}: {error}")))?;
        let made =
            component(&module).map_err(|error| Exit::failed(format!("error: {path}: {error}")))?;
        let output = std::path::absolute(&self.output).map_err(Exit::io)?;
        write_output(&output, &made).map_err(|error| Exit::io(format!("{error:#}")))
    }
}
