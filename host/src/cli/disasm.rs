//! `mixer disasm`.

use super::{Exit, output};
use clap::Args;
use mix_bytecode::format::MAX_SIZE;
use mix_runtime::libraries;
use std::path::PathBuf;

/// Prints the instructions of an executable.
#[derive(Debug, Args)]
pub struct Disasm {
    /// A `.mixexe` or `.mixlib`.
    file: PathBuf,
}

impl Disasm {
    pub fn execute(self) -> Result<(), Exit> {
        let name = self.file.display();
        let bytes = mix_input_file::read(&self.file, MAX_SIZE as u64)
            .map_err(|error| Exit::io(format!("{name}: {error}")))?;
        let failed =
            |error: &dyn std::fmt::Display| Exit::failed(format!("error: {name}: {error}"));
        let program = if libraries::is_library(&self.file) {
            let library = mix_bytecode::library::decode(&bytes).map_err(|error| failed(&error))?;
            output::line(format_args!("; library {}", library.id))?;
            for (_, interface) in &library.interfaces {
                output::line(interface)?;
            }
            library.program
        } else {
            mix_bytecode::decode(&bytes).map_err(|error| failed(&error))?
        };
        output::text(mix_bytecode::disassemble::disassemble(&program))?;
        Ok(())
    }
}
