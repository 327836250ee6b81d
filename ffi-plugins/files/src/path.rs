//! Paths that a program gives.

use mix_file_path::{BadPath, FilePath, FolderPath};
use mix_plugin_sdk::Failure;

/// The path of a file.
pub fn file(text: &str) -> Result<FilePath, Failure> {
    FilePath::parse(text).map_err(|bad| refused(text, bad))
}

/// The path of a folder.
pub fn folder(text: &str) -> Result<FolderPath, Failure> {
    FolderPath::parse(text).map_err(|bad| refused(text, bad))
}

fn refused(text: &str, bad: BadPath) -> Failure {
    let shown: String = text.chars().take(100).collect();
    Failure::range(format!("{bad}: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_path_is_named_with_the_reason() {
        let failure = file("a/../b").unwrap_err();
        assert_eq!(failure.code, "ERR_RANGE");
        assert_eq!(
            failure.message,
            "not a path of a file, `.` and `..` are not allowed: \"a/../b\""
        );
        assert_eq!(folder("//").unwrap_err().code, "ERR_RANGE");
        assert!(file(&"x".repeat(10_000)).unwrap_err().message.len() < 300);
    }
}
