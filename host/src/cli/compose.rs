//! `mixer compose`.

use super::Exit;
use super::install::Program;
use super::select;
use clap::Args;
use mix_runtime::assembly::Replacement;
use mix_runtime::guests;
use mix_runtime::programs;
use mix_runtime::standalone;
use mix_runtime::workspace::write_atomically;
use std::path::PathBuf;

/// Makes one component that stock WASI hosts can serve.
#[derive(Debug, Args)]
pub struct Compose {
    /// Programs: `.mixexe`, `.mix` or folders of sources.
    programs: Vec<PathBuf>,
    /// Further foreign functions (a component); may be repeated.
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    /// Another component in the place of a family: `NAME=FILE`, or `files=memory`; may be repeated.
    #[arg(long = "family", value_name = "NAME=FILE", value_parser = select::family)]
    families: Vec<(String, Replacement)>,
    /// Name of the app in addresses; named after the first program without it
    #[arg(long, value_name = "A")]
    app: Option<String>,
    /// Where to.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

impl Compose {
    pub fn execute(self) -> Result<(), Exit> {
        let mut composed = Vec::new();
        for path in &self.programs {
            let executable = Program::load(path, &[])?.executable.bytes;
            composed.push((programs::name_after(path), executable));
        }
        let mut plugins = Vec::new();
        for path in &self.plugins {
            let bytes = std::fs::read(path)
                .map_err(|error| Exit::io(format!("{}: {error}", path.display())))?;
            plugins.push((path.display().to_string(), bytes));
        }
        let mut replaced = Vec::new();
        for (name, replacement) in self.families {
            let bytes =
                match replacement {
                    Replacement::Memory => guests::in_memory(&name)
                        .map(<[u8]>::to_vec)
                        .ok_or_else(|| {
                            Exit::usage(format!("family {name} has no form that lives in memory"))
                        })?,
                    Replacement::File(path) => std::fs::read(&path)
                        .map_err(|error| Exit::io(format!("{}: {error}", path.display())))?,
                };
            replaced.push((name, bytes));
        }
        let app = match (self.app, composed.first()) {
            (Some(app), _) => app,
            (None, Some((name, _))) => name.clone(),
            (None, None) => return Err(Exit::usage("no program: name at least one, or --app")),
        };
        let bytes = standalone::compose(&app, &composed, &plugins, &replaced)
            .map_err(|error| Exit::failed(format!("error: {error:#}")))?;
        let output = std::path::absolute(&self.output).map_err(Exit::io)?;
        write_atomically(&output, &bytes).map_err(|error| Exit::io(format!("{error:#}")))
    }
}
