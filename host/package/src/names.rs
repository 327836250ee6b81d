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

/// Equal for names that some disk may take for the same: without case, also where that changes the length (`ß`, `SS`), in
/// normal form C.
pub(crate) fn folded(name: &str) -> String {
    name.nfc().flat_map(fold_case).nfc().collect()
}

/// The full case folding of a character.
fn fold_case(c: char) -> impl Iterator<Item = char> {
    let simple = fold_case_simple(c);
    let mut full: Vec<char> = simple.to_uppercase().flat_map(char::to_lowercase).collect();
    if simple.to_lowercase().len() > 1 {
        full = simple.to_lowercase().collect();
    } else if simple.to_uppercase().len() == 1 {
        full = vec![simple];
    }
    full.into_iter()
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
        for (one, other) in [
            ("stra\u{df}e", "STRASSE"),
            ("stra\u{df}e", "STRA\u{1e9e}E"),
            ("\u{fb01}le", "FILE"),
            ("\u{149}", "\u{2bc}N"),
            ("\u{130}", "i\u{307}"),
            ("\u{1fb3}", "\u{391}\u{399}"),
            ("\u{1fbc}", "\u{3b1}\u{3b9}"),
            ("\u{3c3}\u{3c2}", "\u{3a3}\u{3a3}"),
            ("\u{390}", "\u{399}\u{308}\u{301}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        // Letters of their own.
        assert_ne!(folded("\u{131}"), folded("i"));
    }
}
