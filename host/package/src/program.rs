//! Programs in a package: which of them this runtime executes.

use crate::error::{PackageError, Result};
use mix_bytecode::component::{self, CarriedError};
use mix_bytecode::{format, library};
use wasmparser::{Parser, Payload};

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

/// The interface by which a component is one of the embedding world, and the versions that are run.
const AGENTS: &str = "mix:embed/agents@";
const VERSIONS: &str = "0.1.";

/// True for a component of the embedding world; refused if it is of another version.
fn exports_agents(bytes: &[u8]) -> std::result::Result<bool, String> {
    if !Parser::is_component(bytes) {
        return Ok(false);
    }
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| error.to_string())? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    let name = export.map_err(|error| error.to_string())?.name.name;
                    match name.strip_prefix(AGENTS) {
                        Some(version) if version.starts_with(VERSIONS) => return Ok(true),
                        Some(_) => {
                            return Err(format!("it exports {name}, and {VERSIONS}x is run"));
                        }
                        None => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

/// Looks at a file of that name. What begins as a program of this VM must be one.
pub(crate) fn judge(entry: &str, name: &str, bytes: &[u8]) -> Result<Code> {
    let lower = name.to_ascii_lowercase();
    let refused = |reason: String| {
        let message = format!("the program cannot be used: {reason}");
        PackageError::new("incompatible_code", message).at(entry)
    };
    if lower.ends_with(".wasm") {
        // A component of an app carries its programs, or is one of the embedding world; any other is for other hosts.
        let programs = match component::carried(bytes) {
            Err(CarriedError::NoComponent) => Vec::new(),
            found => found.map_err(|error| refused(error.to_string()))?,
        };
        for program in &programs {
            verify(true, program).map_err(refused)?;
        }
        let is_own = !programs.is_empty() || exports_agents(bytes).map_err(refused)?;
        return Ok(match is_own {
            true => Code::Own,
            false => Code::Foreign,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A component that exports an empty instance under a name.
    fn exporting(name: &str) -> Vec<u8> {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        // An instance of no exports.
        component.extend([5, 3, 1, 1, 0]);
        let mut export = vec![1, 0, name.len() as u8];
        export.extend(name.bytes());
        // Instance number 0, of the type that it has.
        export.extend([5, 0, 0]);
        component.extend([11, export.len() as u8]);
        component.extend(export);
        component
    }

    #[test]
    fn components_of_the_embedding_world_are_its_own() {
        let judge = |bytes: &[u8]| judge("code/x.wasm", "x.wasm", bytes);
        let own = exporting("mix:embed/agents@0.1.0");
        assert_eq!(judge(&own).ok(), Some(Code::Own));
        for foreign in [
            exporting("mix:ffi/family@0.1.1"),
            b"\0asm\x0d\0\x01\0".to_vec(),
            b"\0asm\x01\0\0\0".to_vec(),
            b"text".to_vec(),
        ] {
            assert_eq!(judge(&foreign).ok(), Some(Code::Foreign));
        }
        for refused in [
            exporting("mix:embed/agents@0.2.0"),
            exporting("mix:embed/agents@1.0.0"),
            own[..own.len() - 1].to_vec(),
        ] {
            let error = judge(&refused).expect_err("refused");
            assert_eq!(error.code, "incompatible_code");
        }
    }
}
