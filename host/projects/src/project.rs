//! Files that a project begins with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// In the texts of a project it stands for its name.
const NAME: &str = "PROJECT_NAME";

/// Longest name of a project.
const MAX_NAME: usize = 64;

/// The files of a new project.
pub struct Project {
    /// Paths below its folder, and texts.
    pub files: Vec<(String, String)>,
}

/// Why a project was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is something in the folder.
    #[error("{} is there already and not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A file cannot be written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Whether a project can have this name: small letters, digits and `_`, a letter first.
pub fn is_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= MAX_NAME
        && name.bytes().all(is_word)
}

impl Project {
    /// A project of that name out of templates (path, text).
    pub(crate) fn of(name: &str, templates: &[(&str, &str)]) -> Project {
        let files = templates
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.replace(NAME, name)))
            .collect();
        Project { files }
    }

    /// Writes it into a folder that is not there yet, or empty.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(WriteError::NotEmpty(folder.to_owned()));
        }
        for (path, text) in &self.files {
            let path = folder.join(path);
            let written = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| fs::write(&path, text));
            written.map_err(|error| WriteError::Io { path, error })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_written_once_and_into_its_own_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("new");
        let project = Project::of("demo", &[("a/b.txt", "PROJECT_NAME, PROJECT_NAME")]);
        project.write(&folder).unwrap();
        let text = fs::read_to_string(folder.join("a/b.txt")).unwrap();
        assert_eq!(text, "demo, demo");
        let again = project.write(&folder).unwrap_err();
        assert!(
            again
                .to_string()
                .ends_with("is there already and not empty")
        );
        let within_a_file = project.write(&folder.join("a/b.txt/c")).unwrap_err();
        assert!(within_a_file.to_string().contains("b.txt"));
    }

    #[test]
    fn names_are_words() {
        assert!(is_name("demo") && is_name("a_1") && is_name(&"a".repeat(64)));
        for bad in ["", "1a", "_a", "A", "a-b", "a/b", "..", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
