//! The example apps pass the checker.

use mix_compiler::{CompileOptions, SourceFile};
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "mix") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn examples_have_no_errors() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let apps = std::fs::read_dir(&examples).expect("the examples folder is part of the repository");
    for app in apps.flatten() {
        let mut files = Vec::new();
        for path in sources(&app.path()) {
            let text = std::fs::read(&path).expect("the file was just listed");
            files.push(SourceFile::new(path.display().to_string(), text));
        }
        let result = mix_compiler::check(&files, &CompileOptions::default());
        assert!(result.errors.is_empty(), "{}", result.text());
    }
}
