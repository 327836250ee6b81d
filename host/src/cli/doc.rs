//! `mixer doc`.

use super::check::{Sources, options, sources};
use super::{Exit, output};
use clap::Args;
use mix_runtime::programs;
use std::fs;
use std::path::PathBuf;

/// Writes the documentation of the library, and of sources, as a static site with search.
#[derive(Debug, Args)]
pub struct Doc {
    /// Files or folders whose modules are documented too.
    paths: Vec<PathBuf>,
    /// Folder for the site; created if absent.
    #[arg(short, long, value_name = "DIR", default_value = "doc")]
    out: PathBuf,
}

impl Doc {
    pub fn execute(self) -> Result<(), Exit> {
        let Sources { files, libraries } = sources(&self.paths)?;
        if !files.is_empty() {
            let checked = programs::check(&files, &options(&files, &libraries)?)?;
            eprint!("{}", checked.text);
            if checked.errors > 0 {
                return Err(Exit::reported());
            }
        }
        let own = mix_compiler::documentation(&files);
        let library = mix_stdlib::modules()
            .iter()
            .filter_map(|module| mix_compiler::library_documentation(module.name));
        let modules: Vec<_> = own.modules.into_iter().chain(library).collect();
        for file in mix_documentation::site("Mix", &modules) {
            let path = self.out.join(&file.path);
            let written = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, &file.content));
            written.map_err(|error| Exit::io(format!("{}: {error}", path.display())))?;
        }
        output::line(format_args!(
            "documented {} modules in {}",
            modules.len(),
            self.out.join("index.html").display()
        ))?;
        Ok(())
    }
}
