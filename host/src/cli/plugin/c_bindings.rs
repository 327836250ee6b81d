//! `mixer plugin c-bindings`: the C side of the contract.

use crate::cli::Exit;
use clap::Args;
use mix_projects::c_bindings;
use mix_runtime::workspace::write_output;
use std::path::PathBuf;

/// Writes the C side of a plugin's world: header, source, and the type of its component as an object file.
#[derive(Debug, Args)]
pub struct CBindings {
    /// Folder of the WIT texts, with one world; what they need is in `deps` below it.
    #[arg(default_value = "wit")]
    wit: PathBuf,
    /// Folder for the files, which are named after the world.
    #[arg(short, long, value_name = "DIR", default_value = "bindings")]
    output: PathBuf,
}

impl CBindings {
    pub fn execute(self) -> Result<(), Exit> {
        // What the generator does not know it says by a panic, which is part of the error.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let files = c_bindings(&self.wit);
        std::panic::set_hook(hook);
        let files = files
            .map_err(|error| Exit::failed(format!("error: {}: {error}", self.wit.display())))?;
        let folder = std::path::absolute(&self.output).map_err(Exit::io)?;
        for (name, content) in files {
            write_output(&folder.join(name), &content)
                .map_err(|error| Exit::io(format!("{error:#}")))?;
        }
        Ok(())
    }
}
