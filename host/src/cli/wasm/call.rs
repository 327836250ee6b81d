//! `mixer wasm call`.

use super::usable;
use crate::cli::run::print;
use crate::cli::select::GuestFlags;
use crate::cli::{Exit, execution, units};
use clap::Args;
use mix_compiler::{CompileOptions, SourceFile};
use mix_runtime::programs::{self, Executable};
use mix_runtime::run::RunRequest;
use mix_runtime::workspace::Place;
use mix_value::{Value, escjson, msgpack};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Calls a function of a library.
#[derive(Debug, Args)]
pub struct Call {
    /// The library (`.wasm`).
    file: PathBuf,
    /// The function.
    function: String,
    /// Its arguments, each as EscJSON.
    #[arg(allow_hyphen_values = true)]
    arguments: Vec<String>,
    /// Plain JSON, no tags.
    #[arg(long)]
    no_esc: bool,
    /// Time.
    #[arg(long, value_name = "D", default_value = "60s", value_parser = units::duration)]
    timeout: Duration,
    #[command(flatten)]
    guests: GuestFlags,
}

/// The call as a program makes it, with the limits that a program has.
const PROGRAM: &str = r#"
module call(p:data)
  import wasm
  foreign def invoke : wasm.ffi -> string -> array(data) -> data = "$wasm_call"
  cell output = invoke(wasm.load(p.library), p.function, p.arguments)
module end
"#;

impl Call {
    pub fn execute(self) -> Result<(), Exit> {
        let (bytes, library) = usable(&self.file)?;
        let mut functions = library.functions.iter();
        let Some(function) = functions.find(|function| function.name == self.function) else {
            let names: Vec<&str> = library.functions.iter().map(|one| &*one.name).collect();
            return Err(Exit::failed(format!(
                "error: {} has no function {}; it has {}",
                self.file.display(),
                self.function,
                names.join(", ")
            )));
        };
        let given = self.arguments.len();
        if let Some(wanted) = function.arity().filter(|wanted| *wanted != given) {
            return Err(Exit::usage(format!(
                "{} takes {wanted} argument{}, not {given}: {} : {}",
                function.name,
                if wanted == 1 { "" } else { "s" },
                function.name,
                function.kind.as_deref().unwrap_or_default()
            )));
        }
        let arguments = self
            .arguments
            .iter()
            .map(|text| {
                escjson::parse(text).map_err(|error| Exit::usage(format!("{text}: {error}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let params = Value::map([
            ("library", Value::Binary(bytes.into())),
            ("function", Value::from(self.function.as_str())),
            ("arguments", Value::Array(arguments)),
        ]);
        let params = msgpack::encode(&params).map_err(Exit::usage)?;
        let source = SourceFile::new("call.mix".to_owned(), PROGRAM.as_bytes().to_vec());
        let compiled = programs::compile(&[source], &CompileOptions::default())?;
        let program = compiled
            .executable
            .ok_or_else(|| Exit::failed(compiled.text))?;
        let program = Executable::read(program)?;
        let scratch = execution::scratch()?;
        let place = Place::new(scratch.path(), "local", "wasm").map_err(Exit::usage)?;
        let program = Arc::new(program);
        let request = RunRequest {
            params,
            ..execution::request(&self.guests, place, "call", program, self.timeout)?
        };
        let outcome = execution::outcome(&self.guests, None, request)?;
        print(outcome, &self.function, false, !self.no_esc)
    }
}
