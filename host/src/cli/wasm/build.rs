//! `mixer wasm build`: the project is built by its own tools.

use super::{complain, pretty};
use crate::cli::{Exit, output};
use clap::Args;
use mix_runtime::plugin::LARGEST_COMPONENT;
use mix_runtime::wasm_library::WasmLibrary;
use mix_runtime::workspace::write_output;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What libraries are compiled for.
const TARGET: &str = "wasm32-unknown-unknown";

/// Builds a library.
#[derive(Debug, Args)]
pub struct Build {
    /// The project, a folder with a `Cargo.toml`.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Only with what Cargo has fetched already.
    #[arg(long)]
    offline: bool,
}

impl Build {
    pub fn execute(self) -> Result<(), Exit> {
        let project = self.dir.join("Cargo.toml");
        if !project.is_file() {
            return Err(Exit::usage(format!(
                "{} is no file; `mixer wasm new DIR` makes a project",
                project.display()
            )));
        }
        let built = self.library(&project)?;
        let bytes = read(&built)?;
        let library = WasmLibrary::read(&bytes)
            .map_err(|error| Exit::failed(format!("error: {}: {error:#}", built.display())))?;
        complain(&built, &library)?;
        let name = super::name_of(&built);
        let target = self.dir.join(format!("{name}.wasm"));
        let manifest = self.dir.join("manifest.json");
        let described = format!("{}\n", pretty(&library.manifest(&name)));
        for (path, content) in [(&target, &bytes[..]), (&manifest, described.as_bytes())] {
            write_output(path, content).map_err(|error| Exit::io(format!("{error:#}")))?;
        }
        output::line(format_args!(
            "{}: {} functions, described in {}",
            target.display(),
            library.functions.len(),
            manifest.display()
        ))
    }

    /// The module that Cargo has made.
    fn library(&self, project: &Path) -> Result<PathBuf, Exit> {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["build", "--release", "--target", TARGET])
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--manifest-path")
            .arg(project)
            .args(self.offline.then_some("--offline"))
            .stderr(Stdio::inherit());
        let done = cargo.output().map_err(|error| {
            Exit::io(format!(
                "cargo cannot be started ({error}); install Rust with the target {TARGET}"
            ))
        })?;
        if !done.status.success() {
            return Err(Exit::failed(format!(
                "error: cargo failed; what is wrong stands above (where it is the target: rustup target add {TARGET})"
            )));
        }
        let lines = String::from_utf8_lossy(&done.stdout);
        let mut made = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|message| message["reason"] == "compiler-artifact")
            .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
            .filter_map(|file| file.as_str().map(PathBuf::from))
            .filter(|file| file.extension().is_some_and(|kind| kind == "wasm"));
        made.next_back().ok_or_else(|| {
            Exit::failed(
                "error: the project makes no library; its Cargo.toml needs crate-type = [\"cdylib\"]",
            )
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Exit> {
    mix_input_file::read(path, LARGEST_COMPONENT)
        .map_err(|error| Exit::io(format!("{}: {error}", path.display())))
}
