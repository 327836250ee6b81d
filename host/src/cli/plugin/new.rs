//! `mixer plugin new`: a project that builds with the ordinary tools of its language.

use crate::cli::Exit;
use crate::cli::output;
use clap::{Args, ValueEnum};
use mix_compiler::{CompileOptions, SourceFile};
use mix_runtime::{guests, programs};
use std::fs;
use std::path::PathBuf;

/// Sources of the SDK, which a Rust project carries with it.
mod sdk {
    include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
}

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
    /// clang and wit-bindgen.
    C,
}

/// In the texts of a project it stands for the name of the plugin.
const NAME: &str = "PLUGIN_NAME";

const CONTRACT: &str = include_str!("../../../../wit/ffi/ffi.wit");
const WORLD: &str = include_str!("../../../scaffold/plugin.wit");
const TESTS: &str = include_str!("../../../scaffold/tests.mix");

impl Language {
    /// Paths and texts of its project.
    fn files(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Language::Rust => vec![
                (
                    "Cargo.toml",
                    include_str!("../../../scaffold/rust/Cargo.toml.txt"),
                ),
                (
                    ".cargo/config.toml",
                    include_str!("../../../scaffold/rust/config.toml"),
                ),
                (".gitignore", "target/\n"),
                (
                    "src/lib.rs",
                    include_str!("../../../scaffold/rust/lib.rs.txt"),
                ),
                (
                    "README.md",
                    include_str!("../../../scaffold/rust/README.md"),
                ),
            ],
            Language::Js => vec![
                (
                    "package.json",
                    include_str!("../../../scaffold/js/package.json"),
                ),
                ("plugin.js", include_str!("../../../scaffold/js/plugin.js")),
                ("mix.js", include_str!("../../../scaffold/js/mix.js")),
                (".gitignore", "node_modules/\n*.wasm\n"),
                ("README.md", include_str!("../../../scaffold/js/README.md")),
            ],
            Language::Python => vec![
                (
                    "plugin.py",
                    include_str!("../../../scaffold/python/plugin.py"),
                ),
                ("mix.py", include_str!("../../../scaffold/python/mix.py")),
                (
                    "requirements.txt",
                    include_str!("../../../scaffold/python/requirements.txt"),
                ),
                (".gitignore", "__pycache__/\n*.wasm\n"),
                (
                    "README.md",
                    include_str!("../../../scaffold/python/README.md"),
                ),
            ],
            Language::C => vec![
                ("plugin.c", include_str!("../../../scaffold/c/plugin.c")),
                ("mix.h", include_str!("../../../scaffold/c/mix.h")),
                ("wire.h", include_str!("../../../scaffold/c/wire.h")),
                ("wire.c", include_str!("../../../scaffold/c/wire.c")),
                ("family.c", include_str!("../../../scaffold/c/family.c")),
                ("Makefile", include_str!("../../../scaffold/c/Makefile")),
                (".gitignore", "bindings/\n*.wasm\n"),
                ("README.md", include_str!("../../../scaffold/c/README.md")),
            ],
        }
    }
}

impl New {
    pub fn execute(self) -> Result<(), Exit> {
        let good = self
            .name
            .starts_with(|first: char| first.is_ascii_lowercase())
            && self.name.len() <= 64
            && self
                .name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !good {
            return Err(Exit::usage(format!(
                "{:?} is no name of a plugin: small letters and digits, a letter first",
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
        if fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Exit::usage(format!(
                "{} is there already and not empty",
                folder.display()
            )));
        }
        let mut files: Vec<(String, String)> = self
            .lang
            .files()
            .into_iter()
            .chain([("tests.mix", TESTS)])
            .map(|(path, text)| (path.to_owned(), text.replace(NAME, &self.name)))
            .collect();
        match self.lang {
            Language::Rust => files.extend(
                sdk::SDK
                    .iter()
                    .map(|(path, text)| (format!("sdk/{path}"), for_others(path, text))),
            ),
            _ => files.extend([
                ("wit/deps/ffi.wit".to_owned(), CONTRACT.to_owned()),
                ("wit/plugin.wit".to_owned(), WORLD.replace(NAME, &self.name)),
            ]),
        }
        for (path, text) in files {
            let path = folder.join(path);
            let written = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, text));
            written.map_err(|error| Exit::io(format!("{}: {error}", path.display())))?;
        }
        output::line(format_args!(
            "{} is ready: {} says how to build it",
            folder.display(),
            folder.join("README.md").display()
        ))?;
        Ok(())
    }
}

/// A file of the SDK outside of its repository: its own tests need what is not there.
fn for_others(path: &str, text: &str) -> String {
    match text.split_once("\n[dev-dependencies]") {
        Some((kept, _)) if path.ends_with("Cargo.toml") => format!("{kept}\n"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_carries_the_whole_sdk() {
        let carries = |path: &str| sdk::SDK.iter().any(|(carried, _)| *carried == path);
        assert!(carries("ffi-plugins/sdk/src/lib.rs") && carries("wit/ffi/ffi.wit"));
        assert!(carries("store/value/src/msgpack/reader.rs"));
        let text = for_others("x/Cargo.toml", "[a]\n\n[dev-dependencies]\nb = 1\n");
        assert_eq!(text, "[a]\n\n");
    }
}
