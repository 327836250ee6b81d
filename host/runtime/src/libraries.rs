//! Compiled libraries in files: those that stand beside a program, and linking with them.

use crate::workspace::write_atomically;
use anyhow::{Context, Result};
use mix_bytecode::library;
use mix_bytecode::{Library, LibraryId, Program};
use std::fs;
use std::path::{Path, PathBuf};

/// Ending of the files.
pub const ENDING: &str = "mixlib";

/// Largest library that is read.
const MAX_LIBRARY: u64 = 64 << 20;

/// A library with the file it was read from.
#[derive(Debug, Clone)]
pub struct LibraryFile {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub library: Library,
}

/// Reads a `.mixlib`.
pub fn read(path: &Path) -> Result<LibraryFile> {
    let shown = path.display();
    let bytes = mix_input_file::read(path, MAX_LIBRARY)
        .with_context(|| format!("{shown} cannot be read"))?;
    let library = library::decode(&bytes).with_context(|| shown.to_string())?;
    Ok(LibraryFile {
        path: path.to_owned(),
        library,
    })
}

/// The libraries in a folder, in the order of their names; files that cannot be read are left
/// out: a program that needs them says so.
pub fn beside(folder: &Path) -> Vec<LibraryFile> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|item| item.path())
        .filter(|path| is_library(path))
        .collect();
    paths.sort();
    let found = paths.iter().filter_map(|path| match read(path) {
        Ok(library) => Some(library),
        Err(error) => {
            tracing::warn!("{error:#}");
            None
        }
    });
    found.collect()
}

/// By the ending of its name.
pub fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
}

/// A program joined with the libraries it uses; one that uses none stays as it is.
pub fn linked(program: Program, libraries: &[LibraryFile]) -> Result<Program> {
    if program.externals.libraries.is_empty() {
        return Ok(program);
    }
    let available: Vec<Library> = libraries.iter().map(|file| file.library.clone()).collect();
    Ok(mix_bytecode::link(program, &available)?)
}

/// The files of the libraries that a program uses, directly or through other libraries.
pub fn used<'a>(program: &Program, libraries: &'a [LibraryFile]) -> Vec<&'a LibraryFile> {
    let mut used: Vec<&LibraryFile> = Vec::new();
    let mut wanted: Vec<&LibraryId> = program.externals.libraries.iter().collect();
    while let Some(id) = wanted.pop() {
        let found = libraries.iter().find(|file| file.library.id == *id);
        if let Some(file) = found
            && !used.iter().any(|other| other.library.id == *id)
        {
            wanted.extend(&file.library.program.externals.libraries);
            used.push(file);
        }
    }
    used
}

/// A name for the file of a library that no other content has.
pub fn file_name(id: &LibraryId) -> String {
    format!("{id}.{ENDING}").replace('@', "-")
}

/// Copies libraries into a folder, under names that no other content has.
pub fn copy(libraries: &[&LibraryFile], folder: &Path) -> Result<()> {
    for file in libraries {
        let name = file_name(&file.library.id);
        let bytes = fs::read(&file.path)
            .with_context(|| format!("{} cannot be read", file.path.display()))?;
        write_atomically(&folder.join(name), &bytes)?;
    }
    Ok(())
}
