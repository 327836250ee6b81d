//! Libraries that no program of an app uses any more.

use mix_bytecode::{LibraryId, library};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Removes them with their debug files, and says how many there were.
pub(crate) fn remove_unused(code: &Path) -> u64 {
    let mut used: HashSet<LibraryId> = HashSet::new();
    let mut libraries: HashMap<LibraryId, (PathBuf, Vec<LibraryId>)> = HashMap::new();
    for item in fs::read_dir(code).into_iter().flatten().flatten() {
        let path = item.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let Ok(bytes) = fs::read(&path) else { continue };
        match ending {
            Some("mixexe") => match mix_bytecode::decode(&bytes) {
                Ok(program) => used.extend(program.externals.libraries.iter().cloned()),
                // Nobody knows what it uses.
                Err(_) => return 0,
            },
            Some("mixlib") => {
                if let Ok(library) = library::decode(&bytes) {
                    let needs = library.program.externals.libraries.to_vec();
                    libraries.insert(library.id, (path, needs));
                }
            }
            _ => {}
        }
    }
    let mut open: Vec<LibraryId> = used.iter().cloned().collect();
    while let Some(id) = open.pop() {
        for needed in libraries.get(&id).map_or(&[][..], |(_, needs)| needs) {
            if used.insert(needed.clone()) {
                open.push(needed.clone());
            }
        }
    }
    let mut removed = 0;
    for (_, (path, _)) in libraries.iter().filter(|(id, _)| !used.contains(id)) {
        if fs::remove_file(path).is_ok() {
            removed += 1;
        }
        let _ = fs::remove_file(path.with_extension("mixlib.dbg"));
        let _ = fs::remove_file(path.with_extension("dbg"));
    }
    removed
}
