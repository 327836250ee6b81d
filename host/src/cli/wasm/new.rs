//! `mixer wasm new`: a project that `mixer wasm build` builds.

use crate::cli::{Exit, output};
use clap::Args;
use std::fs;
use std::path::PathBuf;

/// Writes a project.
#[derive(Debug, Args)]
pub struct New {
    /// The folder, which names the library: small letters, digits and `_`, a letter first.
    dir: PathBuf,
}

/// In the texts of the project it stands for the name of the library.
const NAME: &str = "LIBRARY_NAME";

const FILES: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        include_str!("../../../scaffold/wasm/Cargo.toml.txt"),
    ),
    (
        "src/lib.rs",
        include_str!("../../../scaffold/wasm/lib.rs.txt"),
    ),
    (
        "src/mix.rs",
        include_str!("../../../scaffold/wasm/mix.rs.txt"),
    ),
    (
        "README.md",
        include_str!("../../../scaffold/wasm/README.md"),
    ),
    (".gitignore", "target/\n"),
];

impl New {
    pub fn execute(self) -> Result<(), Exit> {
        let name = super::name_of(&self.dir);
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
        if !begins || name.len() > 64 || !name.bytes().all(is_word) {
            return Err(Exit::usage(format!(
                "{name:?} is no name of a library: small letters, digits and _, a letter first"
            )));
        }
        let shown = self.dir.display();
        if fs::read_dir(&self.dir).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Exit::usage(format!(
                "{shown} is there already and not empty"
            )));
        }
        for (path, text) in FILES {
            let path = self.dir.join(path);
            let text = text.replace(NAME, &name);
            let written = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, text));
            written.map_err(|error| Exit::io(format!("{}: {error}", path.display())))?;
        }
        output::line(format_args!(
            "{shown} is ready: `mixer wasm build {shown}` makes {name}.wasm"
        ))
    }
}
