//! Where programs come from: files are found, sources compiled.

use super::executable::{COMPONENT, EXECUTABLE};
use crate::libraries::{self, LibraryFile};
use crate::plugin::LARGEST_COMPONENT;
use anyhow::{Context, Result, bail};
use mix_bytecode::format::MAX_SIZE;
use mix_compiler::{CompileOptions, SourceFile};
use std::fs;
use std::path::Path;

/// Deepest folder below a program's folder that is looked at.
pub(super) const MAX_DEPTH: usize = 32;

/// Largest source; those of whole apps have some hundred kilobytes.
const MAX_SOURCE: u64 = 16 << 20;

/// Name of the folder beside the sources whose content becomes files of the app.
pub(super) const FILES: &str = "files";

/// What a path holds.
pub enum Source {
    /// A compiled program.
    Executable(Vec<u8>),
    /// A component that carries compiled programs.
    Component(Vec<u8>),
    /// Source texts, with the libraries that stand beside them.
    Texts(Vec<SourceFile>, Vec<LibraryFile>),
    /// A compiled library.
    Library(Box<LibraryFile>),
}

/// Reads a `.mixexe`, a `.wasm`, a `.mixlib`, a `.mix`, or all `.mix` files below a folder, with the
/// libraries in it.
pub fn read(path: &Path) -> Result<Source> {
    let facts = fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
    if facts.is_dir() {
        let mut files = Vec::new();
        collect(path, path, 0, &mut files)?;
        if files.is_empty() {
            bail!("{} holds no .mix file", path.display());
        }
        return Ok(Source::Texts(files, libraries::beside(path)));
    }
    if libraries::is_library(path) {
        return Ok(Source::Library(libraries::read(path)?.into()));
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(EXECUTABLE) => Ok(Source::Executable(content(path, MAX_SIZE as u64)?)),
        Some(COMPONENT) => Ok(Source::Component(content(path, LARGEST_COMPONENT)?)),
        Some("remix") => bail!("{}: a package is given alone", path.display()),
        _ => Ok(Source::Texts(vec![source(path)?], Vec::new())),
    }
}

fn source(path: &Path) -> Result<SourceFile> {
    let bytes = content(path, MAX_SOURCE)?;
    Ok(SourceFile::new(path.display().to_string(), bytes))
}

fn content(path: &Path, most: u64) -> Result<Vec<u8>> {
    mix_input_file::read(path, most).with_context(|| format!("{} cannot be read", path.display()))
}

/// Sources in the order of their paths, so that builds repeat.
fn collect(root: &Path, folder: &Path, depth: usize, files: &mut Vec<SourceFile>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{} is nested too deeply", folder.display());
    }
    let mut items = fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    items.sort_by_key(fs::DirEntry::file_name);
    for item in items {
        let path = item.path();
        let kind = item.file_type()?;
        let hidden = item.file_name().to_string_lossy().starts_with('.');
        if kind.is_dir() && !hidden && path != root.join(FILES) {
            collect(root, &path, depth + 1, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "mix") {
            files.push(source(&path)?);
        }
    }
    Ok(())
}

/// A finished compilation, with what there is to say about it.
pub struct Compiled {
    /// The executable (or library), if there were no errors; not yet linked with libraries.
    pub executable: Option<Vec<u8>>,
    /// Errors and warnings for people.
    pub text: String,
    /// The same as JSON.
    pub report: String,
    /// How many errors.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
}

/// Compiles and links sources.
pub fn compile(files: &[SourceFile], options: &CompileOptions) -> Result<Compiled> {
    let compilation = mix_compiler::compile(files, options);
    let executable = compilation.program.as_ref().map(mix_bytecode::encode);
    Ok(finish(&compilation, executable))
}

/// Compiles sources into a library; `executable` is the `.mixlib`.
pub fn compile_library(
    files: &[SourceFile],
    name: &str,
    version: &str,
    options: &CompileOptions,
) -> Result<Compiled> {
    let (compilation, library) = mix_compiler::compile_library(files, name, version, options);
    Ok(finish(&compilation, library))
}

/// Compiles one expression that may use the modules of `files`.
pub fn compile_expression(
    text: &str,
    files: &[SourceFile],
    options: &CompileOptions,
) -> Result<Compiled> {
    let compilation = mix_compiler::compile_expression(text, files, options);
    let executable = compilation.program.as_ref().map(mix_bytecode::encode);
    Ok(finish(&compilation, executable))
}

/// Looks for errors only.
pub fn check(files: &[SourceFile], options: &CompileOptions) -> Result<Compiled> {
    Ok(finish(&mix_compiler::check(files, options), None))
}

fn finish(compilation: &mix_compiler::Compilation, executable: Option<Vec<u8>>) -> Compiled {
    Compiled {
        executable,
        text: compilation.text(),
        report: compilation.report().to_string(),
        errors: compilation.errors.len(),
        warnings: compilation.warnings.len(),
    }
}

/// Name for an app or an executable after a path; `main` if the path gives none.
pub fn name_after(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = absolute
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    match name {
        Some(name) if mix_http_api::is_app_name(&name) => name,
        _ => "main".to_owned(),
    }
}
