//! Debug data (`.dbg`): where the functions of a program are in its sources, apart from the program.
//!
//! A JSON object `{"dbg": 1, "functions": [{"module", "function", "lines": [[file, line, column], …]}, …]}`. Whoever has it
//! decodes errors of a program without the program itself.

use mix_bytecode::{Program, library};
use serde::{Deserialize, Serialize};

/// Version of the form.
const VERSION: u32 = 1;

/// Places of the functions of a program.
#[derive(Debug, Serialize, Deserialize)]
pub struct DebugData {
    dbg: u32,
    functions: Vec<Function>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Function {
    module: String,
    function: String,
    /// File, line and column of each instruction that has a place.
    lines: Vec<(String, u32, u32)>,
}

impl DebugData {
    /// What a program knows.
    pub fn of(program: &Program) -> DebugData {
        let functions = program.functions.iter().filter_map(|function| {
            let module = program.modules.get(function.module.index())?;
            let mut lines: Vec<(String, u32, u32)> = function
                .lines
                .iter()
                .filter_map(|line| {
                    Some((
                        program.string(line.file)?.to_owned(),
                        line.line,
                        line.column,
                    ))
                })
                .collect();
            lines.sort();
            lines.dedup();
            Some(Function {
                module: module.name.to_string(),
                function: function.name.to_string(),
                lines,
            })
        });
        DebugData {
            dbg: VERSION,
            functions: functions.collect(),
        }
    }

    /// Out of the bytes of an executable, a library, or debug data.
    pub fn read(bytes: &[u8]) -> Result<DebugData, String> {
        if bytes.starts_with(b"{") {
            let data: DebugData = serde_json::from_slice(bytes)
                .map_err(|error| format!("this is no debug data: {error}"))?;
            return match data.dbg {
                VERSION => Ok(data),
                other => Err(format!("debug data of version {other} cannot be read")),
            };
        }
        if bytes.starts_with(&library::MAGIC) {
            let library = library::decode(bytes).map_err(|error| error.to_string())?;
            return Ok(DebugData::of(&library.program));
        }
        let program = mix_bytecode::decode(bytes).map_err(|error| error.to_string())?;
        Ok(DebugData::of(&program))
    }

    /// The bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings and numbers always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// File and column of a line of a function.
    pub fn place(&self, module: &str, function: &str, line: u32) -> Option<(String, u32)> {
        let functions = self
            .functions
            .iter()
            .filter(|one| one.module == module && one.function == function);
        let places = functions
            .flat_map(|one| &one.lines)
            .filter(|place| place.1 == line);
        let (file, _, column) = places.min_by_key(|place| place.2)?;
        Some((file.clone(), *column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_and_other_files_refused() {
        let text = r#"{"dbg":1,"functions":[{"module":"m","function":"f","lines":[["a.mix",3,9],["a.mix",3,5],["a.mix",4,1]]}]}"#;
        let data = DebugData::read(text.as_bytes()).expect("debug data");
        assert_eq!(data.place("m", "f", 3), Some(("a.mix".to_owned(), 5)));
        assert_eq!(data.place("m", "g", 3), None);
        let again = DebugData::read(&data.to_bytes()).expect("debug data");
        assert_eq!(again.place("m", "f", 4), Some(("a.mix".to_owned(), 1)));
        for wrong in ["", "{", "{}", r#"{"dbg":2,"functions":[]}"#, "MIX"] {
            assert!(DebugData::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
