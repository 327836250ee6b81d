//! Programs in a package: which of them this runtime executes.

use crate::error::{PackageError, Result};
use mix_bytecode::component::{self, CarriedError};
use mix_bytecode::{format, library};

/// What a file of the code folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// A program or library of the VM, verified.
    Own,
    /// Made for another runtime: kept, never executed.
    Foreign,
    /// Neither: a plain file.
    Plain,
}

/// True for names that are programs by their ending.
pub(crate) fn is_code_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".mixexe", ".mixlib", ".wasm"]
        .iter()
        .any(|ending| lower.ends_with(ending))
}

/// True for names that are programs or libraries of this VM by their ending.
pub(crate) fn is_own_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with(".mixexe") || lower.ends_with(".mixlib")
}

/// Looks at a file of that name. What begins as a program of this VM must be one.
pub(crate) fn judge(entry: &str, name: &str, bytes: &[u8]) -> Result<Code> {
    let lower = name.to_ascii_lowercase();
    let refused = |reason: String| {
        let message = format!("the program cannot be used: {reason}");
        PackageError::new("incompatible_code", message).at(entry)
    };
    if lower.ends_with(".wasm") {
        // A component of an app carries its programs; any other is for other hosts.
        let programs = match component::carried(bytes) {
            Err(CarriedError::NoComponent) => Vec::new(),
            found => found.map_err(|error| refused(error.to_string()))?,
        };
        for program in &programs {
            verify(true, program).map_err(refused)?;
        }
        return Ok(match programs.is_empty() {
            true => Code::Foreign,
            false => Code::Own,
        });
    }
    let is_program = lower.ends_with(".mixexe");
    if !is_program && !lower.ends_with(".mixlib") {
        return Ok(Code::Plain);
    }
    let magic = if is_program {
        format::MAGIC
    } else {
        library::MAGIC
    };
    if !bytes.starts_with(&magic) {
        return Ok(Code::Foreign);
    }
    verify(is_program, bytes)
        .map(|()| Code::Own)
        .map_err(refused)
}

fn verify(is_program: bool, bytes: &[u8]) -> std::result::Result<(), String> {
    let program = if is_program {
        mix_bytecode::decode(bytes).map_err(|error| error.to_string())?
    } else {
        library::decode(bytes)
            .map_err(|error| error.to_string())?
            .program
    };
    // One that uses libraries is verified when it is joined with them.
    if program.externals.libraries.is_empty() {
        mix_bytecode::verify(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}
