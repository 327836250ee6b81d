//! `mixer wasm`: function libraries compiled to WebAssembly, which programs call with module `wasm`.

mod build;
mod call;
mod new;

use super::Exit;
use super::output;
use clap::{Args, Subcommand};
use mix_runtime::plugin::LARGEST_COMPONENT;
use mix_runtime::wasm_library::WasmLibrary;
use std::path::{Path, PathBuf};

/// Makes, describes and calls function libraries.
#[derive(Debug, Args)]
pub struct Wasm {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a project for a new library (Rust).
    New(new::New),
    /// Builds the library of a project, and its `manifest.json`.
    Build(build::Build),
    /// Prints the manifest of a library: its functions and their types, as JSON.
    Manifest(File),
    /// Shows what is in a library, and why programs could not call it.
    Inspect(File),
    /// Calls a function of a library as a program does, and prints its result.
    Call(Box<call::Call>),
}

/// A library.
#[derive(Debug, Args)]
pub struct File {
    /// The library (`.wasm`).
    file: PathBuf,
}

impl Wasm {
    pub fn execute(self) -> Result<(), Exit> {
        match self.command {
            Command::New(command) => command.execute(),
            Command::Build(command) => command.execute(),
            Command::Manifest(File { file }) => {
                let (_, library) = usable(&file)?;
                output::line(pretty(&library.manifest(&name_of(&file))))
            }
            Command::Inspect(File { file }) => inspect(&file),
            Command::Call(command) => command.execute(),
        }
    }
}

fn inspect(path: &Path) -> Result<(), Exit> {
    let (bytes, library) = read(path)?;
    output::line(format_args!("library {}", name_of(path)))?;
    output::line("functions")?;
    for function in &library.functions {
        let kind = function.kind.as_deref().unwrap_or("of unknown type");
        output::line(format_args!("  {} : {kind}", function.name))?;
        if !function.doc.is_empty() {
            output::line(format_args!("    {}", function.doc))?;
        }
    }
    output::line("imports")?;
    for (module, name) in &library.imports {
        output::line(format_args!("  {module}.{name}"))?;
    }
    let kilobytes = library.memory_pages.saturating_mul(64);
    output::line(format_args!("memory {kilobytes} KiB at first"))?;
    output::line(format_args!("size {} bytes", bytes.len()))?;
    complain(path, &library)
}

/// The bytes of a library, and what is in it.
fn read(path: &Path) -> Result<(Vec<u8>, WasmLibrary), Exit> {
    let shown = path.display();
    let bytes = mix_input_file::read(path, LARGEST_COMPONENT)
        .map_err(|error| Exit::io(format!("{shown}: {error}")))?;
    let library = WasmLibrary::read(&bytes)
        .map_err(|error| Exit::failed(format!("error: {shown}: {error:#}")))?;
    Ok((bytes, library))
}

/// The same of one that programs can call.
fn usable(path: &Path) -> Result<(Vec<u8>, WasmLibrary), Exit> {
    let (bytes, library) = read(path)?;
    complain(path, &library)?;
    Ok((bytes, library))
}

fn complain(path: &Path, library: &WasmLibrary) -> Result<(), Exit> {
    if library.flaws.is_empty() {
        return Ok(());
    }
    let shown = path.display();
    let lines = library.flaws.iter();
    let lines: Vec<String> = lines
        .map(|flaw| format!("error: {shown}: {flaw}"))
        .collect();
    Err(Exit::failed(lines.join("\n")))
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}")
}
