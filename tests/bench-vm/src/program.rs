//! The programs and what a run of one gives.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// Programs in the order of the table.
const NAMES: [&str; 10] = [
    "fib",
    "nbody",
    "spectral_norm",
    "binary_trees",
    "string_building",
    "array_pipeline",
    "sorting",
    "pattern_matching",
    "record_update",
    "json",
];

/// A program in up to three languages.
pub struct Program {
    /// Name of its files.
    pub name: String,
    /// The text that it is given; empty for most.
    pub input: String,
    /// Without an extension.
    path: PathBuf,
}

/// One run.
pub struct Measured {
    /// How long it took.
    pub time: Duration,
    /// What it computed.
    pub text: String,
}

impl Program {
    /// The file in a language, by its extension.
    pub fn file(&self, extension: &str) -> Option<PathBuf> {
        Some(self.path.with_extension(extension)).filter(|path| path.exists())
    }

    /// The source in a language.
    pub fn source(&self, extension: &str) -> Result<Option<String>> {
        let Some(path) = self.file(extension) else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(&path);
        text.map(Some)
            .with_context(|| format!("{} cannot be read", path.display()))
    }
}

/// All programs.
pub fn all() -> Result<Vec<Program>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let movies = here.join("../../examples/movies/files/data/movies.json");
    NAMES
        .iter()
        .map(|name| {
            let input = if *name == "json" {
                std::fs::read_to_string(&movies)
                    .with_context(|| format!("{} cannot be read", movies.display()))?
            } else {
                String::new()
            };
            Ok(Program {
                name: (*name).to_owned(),
                input,
                path: here.join("programs").join(name),
            })
        })
        .collect()
}
