//! Names of entries: refused, never repaired.

use crate::error::{PackageError, Result};
use crate::limits::MAX_NAME;
use mix_value::fold_case_simple;
use unicode_normalization::UnicodeNormalization;

/// The name as text, if it is one that is accepted.
pub(crate) fn check(bytes: &[u8]) -> Result<String> {
    let shown = String::from_utf8_lossy(bytes).into_owned();
    let bad = |message| Err(PackageError::unsafe_entry(&shown, message));
    if bytes.len() > MAX_NAME {
        return bad("the name of an entry is longer than 1024 bytes");
    }
    let Ok(name) = std::str::from_utf8(bytes) else {
        return bad("the name of an entry is not UTF-8");
    };
    if name.starts_with('/') {
        return bad("the name of an entry is absolute");
    }
    if name.contains('\\') {
        return bad("the name of an entry has a backslash");
    }
    if name.chars().any(char::is_control) {
        return bad("the name of an entry has a control character");
    }
    let mut drive = name.chars();
    if drive.next().is_some_and(|c| c.is_ascii_alphabetic()) && drive.next() == Some(':') {
        return bad("the name of an entry begins with a drive letter");
    }
    let inner = name.strip_suffix('/').unwrap_or(name);
    if inner
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        return bad("the name of an entry has an empty segment, . or ..");
    }
    Ok(name.to_owned())
}

/// Equal for names that some disk may take for the same.
pub(crate) fn folded(name: &str) -> String {
    name.nfc().map(fold_case_simple).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/./b",
            "a//b",
            "",
            "/",
            ".",
            "..",
            "a\\..\\x",
            "C:/x",
            "c:x",
            "a\0b",
            "a\nb",
            "a\u{7f}",
        ] {
            let error = check(name.as_bytes()).expect_err(name);
            assert_eq!(error.code, "unsafe_entry");
        }
        assert!(check(b"\xff").is_err() && check("x".repeat(1025).as_bytes()).is_err());
        assert!(check(b"apps/demo.mp").is_ok() && check("a/ü/...".as_bytes()).is_ok());
    }

    #[test]
    fn names_are_compared_without_case_and_form() {
        assert_eq!(folded("Apps/\u{e9}"), folded("apps/E\u{301}"));
        assert_ne!(folded("a"), folded("b"));
    }
}
