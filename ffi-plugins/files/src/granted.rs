//! The folder that holds the files of the app.

use std::path::{Path, PathBuf};

use mix_file_path::folder_name;
use mix_plugin_sdk::{Failure, caller};

use crate::designator::Designator;
use crate::storage::Storage;

/// The files that are meant, where the host grants them.
pub fn storage(app: &Designator) -> Result<Storage, Failure> {
    let who = caller();
    app.check(&who)?;
    let granted = Path::new("/files");
    if granted.is_dir() {
        return Ok(Storage::new(granted.to_path_buf(), who));
    }
    let workspace = match std::env::var("MIXER_WS") {
        Ok(name) if !name.is_empty() => name,
        _ if !who.workspace.is_empty() => who.workspace.clone(),
        _ => "local".to_string(),
    };
    if Path::new("/ws").is_dir() && is_workspace(&workspace) && !who.app.is_empty() {
        let folder: PathBuf = ["/ws", &workspace, &folder_name(&who.app), "files"]
            .iter()
            .collect();
        return Ok(Storage::new(folder, who));
    }
    Err(Failure::unsupported(
        "this run is given no folder for files",
    ))
}

fn is_workspace(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    name.len() <= 64 && !name.starts_with('-') && name.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_apps() {
        assert_eq!(folder_name("my.app_1-x"), "my%2Eapp_1-x");
        assert_eq!(folder_name("../x"), "%2E%2E%2Fx");
        assert!(is_workspace("local") && !is_workspace("../x") && !is_workspace("-x"));
    }
}
