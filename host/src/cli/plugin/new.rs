//! `mixer plugin new`: a project that builds with the ordinary tools of its language.

use crate::cli::Exit;
use crate::cli::output;
use clap::{Args, ValueEnum};
use mix_compiler::{CompileOptions, SourceFile};
use mix_projects::{is_name, plugin};
use mix_runtime::{guests, programs};
use std::path::PathBuf;

/// Writes a project for a new plugin.
#[derive(Debug, Args)]
pub struct New {
    /// Name of the plugin and of its module in Mix: small letters and digits, a letter first.
    name: String,
    /// Language.
    #[arg(long, value_enum)]
    lang: Language,
    /// Folder; named after the plugin without it.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Cargo and the SDK.
    Rust,
    /// npm, jco and componentize-qjs.
    Js,
    /// pip and componentize-py.
    Python,
    /// clang and make.
    C,
}

impl From<Language> for plugin::Language {
    fn from(language: Language) -> plugin::Language {
        match language {
            Language::Rust => plugin::Language::Rust,
            Language::Js => plugin::Language::JavaScript,
            Language::Python => plugin::Language::Python,
            Language::C => plugin::Language::C,
        }
    }
}

impl New {
    pub fn execute(self) -> Result<(), Exit> {
        // `_` ends the name of the family in that of a function.
        if !is_name(&self.name) || self.name.contains('_') {
            return Err(Exit::usage(format!(
                "{:?} is no name of a plugin: small letters and digits, a letter first, 64 at most",
                self.name
            )));
        }
        if guests::FAMILIES.contains(&self.name.as_str()) {
            return Err(Exit::usage(format!(
                "{} is a family of the library: choose another name",
                self.name
            )));
        }
        let module = format!("module {}\nmodule end\n", self.name);
        let file = SourceFile::new("plugin.mix", module);
        if programs::check(&[file], &CompileOptions::default())?.errors > 0 {
            return Err(Exit::usage(format!(
                "{} is a word of the language: choose another name",
                self.name
            )));
        }
        let folder = self.dir.unwrap_or_else(|| PathBuf::from(&self.name));
        plugin::project(self.lang.into(), &self.name).write(&folder)?;
        output::line(format_args!(
            "{} is ready: {} says how to build it",
            folder.display(),
            folder.join("README.md").display()
        ))
    }
}
