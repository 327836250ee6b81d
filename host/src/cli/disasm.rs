//! `mixer disasm`.

use super::Exit;
use clap::Args;
use std::path::PathBuf;

/// Prints the instructions of an executable.
#[derive(Debug, Args)]
pub struct Disasm {
    /// A `.mixexe`.
    file: PathBuf,
}

impl Disasm {
    pub fn execute(self) -> Result<(), Exit> {
        let name = self.file.display();
        let bytes =
            std::fs::read(&self.file).map_err(|error| Exit::io(format!("{name}: {error}")))?;
        let program = mix_bytecode::decode(&bytes)
            .map_err(|error| Exit::failed(format!("error: {name}: {error}")))?;
        print!("{}", mix_bytecode::disassemble::disassemble(&program));
        Ok(())
    }
}
