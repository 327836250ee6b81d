//! The texts as the editor has them, and which files are compiled together.

use lsp_types::Uri;
use mix_bytecode::library::{self, Library};
use mix_compiler::analysis::Analysis;
use mix_compiler::{CompileOptions, SourceFile, analyze, imports};
use mix_file_path::percent;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// Largest file that is read beside a document.
const MAX_FILE: u64 = 16 << 20;

/// Files and libraries that are compiled with one document.
const MAX_FILES: usize = 500;

/// A text that is open in the editor.
#[derive(Debug)]
pub struct Document {
    /// What the editor has.
    pub text: String,
    /// The number of this state of the text.
    pub version: i32,
    /// What was found in it, unless something changed since.
    analysis: Option<Analysis>,
    /// Its issues were not told yet.
    pub untold: bool,
}

/// All open documents.
#[derive(Debug, Default)]
pub struct Documents {
    open: HashMap<Uri, Document>,
}

impl Documents {
    /// A document is open with this text.
    pub fn set(&mut self, uri: Uri, text: String, version: i32) {
        let document = Document {
            text,
            version,
            analysis: None,
            untold: true,
        };
        self.open.insert(uri, document);
        self.forget();
    }

    /// A document is no longer open.
    pub fn close(&mut self, uri: &Uri) {
        self.open.remove(uri);
        self.forget();
    }

    /// Some file changed: what was found in others may not hold any more.
    pub fn forget(&mut self) {
        for document in self.open.values_mut() {
            document.analysis = None;
            document.untold = true;
        }
    }

    /// An open document.
    pub fn get(&self, uri: &Uri) -> Option<&Document> {
        self.open.get(uri)
    }

    /// A document whose issues are to be told.
    pub fn untold(&self) -> Option<Uri> {
        let mut untold = self.open.iter().filter(|(_, document)| document.untold);
        untold.next().map(|(uri, _)| uri.clone())
    }

    /// The issues of a document were told.
    pub fn told(&mut self, uri: &Uri) {
        if let Some(document) = self.open.get_mut(uri) {
            document.untold = false;
        }
    }

    /// What is found in a document as it is.
    pub fn analysis(&mut self, uri: &Uri) -> Option<&Analysis> {
        if self.open.get(uri)?.analysis.is_none() {
            let text = self.open.get(uri)?.text.clone();
            let analysis = self.analyze(uri, text);
            self.open.get_mut(uri)?.analysis = Some(analysis);
        }
        self.open.get(uri)?.analysis.as_ref()
    }

    /// What is found in a document with this text instead of its own; it is the first source.
    pub fn analyze(&self, uri: &Uri, text: String) -> Analysis {
        let (files, libraries) = self.compiled_with(uri, text);
        let options = CompileOptions {
            libraries,
            ..CompileOptions::default()
        };
        analyze(&files, &options)
    }

    /// A document and the files beside it with the modules that it imports, directly or not.
    fn compiled_with(&self, uri: &Uri, text: String) -> (Vec<SourceFile>, Vec<Library>) {
        let path = path_of(uri);
        let name = path.as_ref().map_or_else(
            || uri.as_str().to_owned(),
            |path| path.display().to_string(),
        );
        let mut files = vec![SourceFile::new(name, text)];
        let Some(folder) = path.as_deref().and_then(Path::parent) else {
            return (files, Vec::new());
        };
        let beside = self.beside(folder, path.as_deref());
        let mut wanted: Vec<String> = imports(&files[0].text).1;
        let mut known: BTreeSet<String> = imports(&files[0].text).0.into_iter().collect();
        let mut taken = BTreeSet::new();
        while let Some(module) = wanted.pop() {
            if !known.insert(module.clone()) {
                continue;
            }
            let found = beside
                .iter()
                .enumerate()
                .find(|(index, other)| !taken.contains(index) && other.modules.contains(&module));
            if let Some((index, other)) = found {
                taken.insert(index);
                known.extend(other.modules.iter().cloned());
                wanted.extend(other.imports.iter().cloned());
                files.push(other.file.clone());
            }
        }
        (files, libraries(folder))
    }

    /// The other sources of a folder, open ones as the editor has them.
    fn beside(&self, folder: &Path, but: Option<&Path>) -> Vec<Beside> {
        let open: HashMap<PathBuf, &Document> = self
            .open
            .iter()
            .filter_map(|(uri, document)| Some((path_of(uri)?, document)))
            .collect();
        let paths = files_of(folder, "mix");
        let paths = paths.into_iter().filter(|path| Some(&**path) != but);
        paths
            .filter_map(|path| {
                let text = match open.get(&path) {
                    Some(document) => document.text.clone().into_bytes(),
                    None => read(&path)?,
                };
                let (modules, imports) = imports(&text);
                Some(Beside {
                    file: SourceFile::new(path.display().to_string(), text),
                    modules,
                    imports,
                })
            })
            .collect()
    }
}

/// A source beside a document.
struct Beside {
    file: SourceFile,
    modules: Vec<String>,
    imports: Vec<String>,
}

/// The file of a `file:` address.
pub fn path_of(uri: &Uri) -> Option<PathBuf> {
    let is_file = uri.scheme().is_some_and(|scheme| scheme.as_str() == "file");
    if !is_file {
        return None;
    }
    let path = uri.path().as_estr().decode().into_string().ok()?;
    Some(PathBuf::from(path.into_owned()))
}

/// The address of a file.
pub fn address_of(path: &Path) -> Option<Uri> {
    let path = percent::encode(path.to_str()?, b"/-_.~");
    format!("file://{path}").parse().ok()
}

/// The files of a folder with some ending, in the order of their names.
fn files_of(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    paths.truncate(MAX_FILES);
    paths
}

/// The content of a file that is not too large.
fn read(path: &Path) -> Option<Vec<u8>> {
    mix_input_file::read(path, MAX_FILE).ok()
}

/// The libraries in a folder; what cannot be read is missing, and imports of it say so.
fn libraries(folder: &Path) -> Vec<Library> {
    let paths = files_of(folder, "mixlib");
    let bytes = paths.iter().filter_map(|path| read(path));
    bytes
        .filter_map(|bytes| library::decode(&bytes).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_files_are_read_back() {
        let path = Path::new("/a b/ü%20/x.mix");
        let address = address_of(path).expect("an address");
        assert_eq!(path_of(&address).as_deref(), Some(path));
        let other: Uri = "untitled:Untitled-1".parse().expect("an address");
        assert_eq!(path_of(&other), None);
    }
}
