//! `mixer compose`.

use super::Exit;
use super::install::Program;
use super::select::{self, Ingredients};
use clap::Args;
use mix_runtime::programs;
use mix_runtime::workspace::write_output;
use std::path::PathBuf;

/// Makes one component that stock WASI hosts can serve, of several programs.
#[derive(Debug, Args)]
pub struct Compose {
    /// Programs: `.mixexe`, `.mix`, folders of sources, or those of a component (`.wasm`).
    programs: Vec<PathBuf>,
    #[command(flatten)]
    ingredients: Ingredients,
    /// Name of the app in addresses; named after the first program without it
    #[arg(long, value_name = "A")]
    app: Option<String>,
    /// Where to.
    #[arg(short, long, value_name = "OUT.wasm")]
    output: PathBuf,
}

impl Compose {
    pub fn execute(self) -> Result<(), Exit> {
        let mut programs = Vec::new();
        for path in &self.programs {
            let name = programs::name_after(path);
            let executables = Program::load(path, &[])?.executables();
            if executables.iter().any(|one| one.component().is_some()) {
                return Err(Exit::failed(format!(
                    "error: {}: it carries no program of this VM; it is a component of its own already, which needs no composing",
                    path.display()
                )));
            }
            programs.extend(executables.into_iter().map(|one| (name.clone(), one)));
        }
        let app = match (self.app, programs.first()) {
            (Some(app), _) => app,
            (None, Some((name, _))) => name.clone(),
            (None, None) => return Err(Exit::usage("no program: name at least one, or --app")),
        };
        let bytes = select::component(&self.ingredients.recipe(app, programs)?)?;
        let output = std::path::absolute(&self.output).map_err(Exit::io)?;
        write_output(&output, &bytes).map_err(|error| Exit::io(format!("{error:#}")))
    }
}
