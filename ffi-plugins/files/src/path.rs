//! Paths of files: what they may be, and their form on disk.

use mix_plugin_sdk::Failure;
use unicode_normalization::is_nfc;

/// Longest path in bytes.
const LONGEST_PATH: usize = 1024;
/// Longest segment in bytes.
const LONGEST_SEGMENT: usize = 255;

/// A checked path of a file: at least one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath {
    segments: Vec<String>,
}

/// A checked path of a folder; no segment is the whole app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPath {
    segments: Vec<String>,
}

impl FilePath {
    /// Reads a path; a leading `/` is optional.
    pub fn parse(text: &str) -> Result<FilePath, Failure> {
        let segments = segments(text.strip_prefix('/').unwrap_or(text), text)?;
        Ok(FilePath { segments })
    }

    /// As the program sees it, with a leading `/`.
    pub fn text(&self) -> String {
        text(&self.segments)
    }

    /// Names on disk, outermost first.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.segments.iter().map(|segment| encode(segment))
    }

    /// True for files that are deleted a day after they were made.
    pub fn is_ephemeral(&self) -> bool {
        self.segments[0] == "ephemeral" && self.segments.len() > 1
    }

    /// True for the executables of the app, in any spelling that a disk may take for the same.
    pub fn is_code(&self) -> bool {
        self.segments[0].eq_ignore_ascii_case("code")
    }

    /// The path of a file in a folder.
    pub fn within(folder: &FolderPath, segment: String) -> FilePath {
        let mut segments = folder.segments.clone();
        segments.push(segment);
        FilePath { segments }
    }
}

impl FolderPath {
    /// Reads a path; leading and trailing `/` are optional.
    pub fn parse(text: &str) -> Result<FolderPath, Failure> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        // `//` is an empty name, not the root written twice.
        let inner = if inner == "/" {
            inner
        } else {
            inner.strip_suffix('/').unwrap_or(inner)
        };
        let segments = if inner.is_empty() {
            Vec::new()
        } else {
            segments(inner, text)?
        };
        Ok(FolderPath { segments })
    }

    /// Names on disk, outermost first.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.segments.iter().map(|segment| encode(segment))
    }

    /// The folder in this folder.
    pub fn within(&self, segment: String) -> FolderPath {
        let mut segments = self.segments.clone();
        segments.push(segment);
        FolderPath { segments }
    }
}

fn text(segments: &[String]) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push('/');
        text.push_str(segment);
    }
    text
}

fn segments(inner: &str, whole: &str) -> Result<Vec<String>, Failure> {
    let bad = |reason: &str| {
        let shown: String = whole.chars().take(100).collect();
        Failure::range(format!("not a path of a file, {reason}: {shown:?}"))
    };
    // The leading `/` counts, given or not.
    if inner.len() + 1 > LONGEST_PATH {
        return Err(bad("longer than 1024 bytes"));
    }
    if !is_nfc(inner) {
        return Err(bad("not in Unicode normal form C"));
    }
    let mut segments = Vec::new();
    for segment in inner.split('/') {
        match segment {
            "" => return Err(bad("a name in it is empty")),
            "." | ".." => return Err(bad("`.` and `..` are not allowed")),
            _ => {}
        }
        if segment.len() > LONGEST_SEGMENT {
            return Err(bad("a name in it is longer than 255 bytes"));
        }
        // Disks take no longer names; characters besides ASCII letters and digits count threefold.
        if encode(segment).len() > LONGEST_SEGMENT {
            return Err(bad(
                "a name in it is longer than 255 bytes when percent-encoded",
            ));
        }
        if segment
            .chars()
            .any(|char| char.is_control() || char == '\\')
        {
            return Err(bad("control characters and `\\` are not allowed"));
        }
        segments.push(segment.to_string());
    }
    Ok(segments)
}

/// The name on disk: bytes outside of `[A-Za-z0-9._~-]` are written `%XX`.
fn encode(segment: &str) -> String {
    let mut name = String::with_capacity(segment.len());
    for &byte in segment.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

/// The segment of a name on disk; none if no segment is encoded so, for instance the name
/// of a temporary file.
pub fn decode(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*byte);
        }
    }
    let segment = String::from_utf8(bytes).ok()?;
    // Only what `encode` writes: otherwise two names would mean one path.
    (encode(&segment) == name && segments(&segment, &segment).is_ok_and(|list| list.len() == 1))
        .then_some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> String {
        FilePath::parse(text)
            .unwrap()
            .names()
            .collect::<Vec<_>>()
            .join("/")
    }

    #[test]
    fn good_paths() {
        assert_eq!(FilePath::parse("a/b.txt").unwrap().text(), "/a/b.txt");
        assert_eq!(FilePath::parse("/a/b.txt").unwrap().text(), "/a/b.txt");
        assert_eq!(disk("/a b/ü%.txt"), "a%20b/%C3%BC%25.txt");
        assert_eq!(disk("/.hidden/..."), ".hidden/...");
        assert!(FilePath::parse("/ephemeral/x").unwrap().is_ephemeral());
        assert!(!FilePath::parse("/ephemeral").unwrap().is_ephemeral());
        assert!(FilePath::parse("a/".repeat(511).trim_end_matches('/')).is_ok());
    }

    #[test]
    fn bad_paths() {
        let long = "x".repeat(256);
        let longer = format!("/{}", "abc/".repeat(300));
        for text in [
            "",
            "/",
            "//",
            "a//b",
            "a/",
            "..",
            "/..",
            "a/../b",
            "./a",
            "a/.",
            "a\\b",
            "..\\a",
            "a\0",
            "a\nb",
            "a\u{7f}",
            "a\u{85}b",
            "e\u{301}",
            &"ü".repeat(50),
            &long,
            &longer,
        ] {
            assert_eq!(
                FilePath::parse(text).unwrap_err().code,
                "ERR_RANGE",
                "{text:?}"
            );
        }
    }

    #[test]
    fn folders() {
        for text in ["", "/"] {
            assert_eq!(FolderPath::parse(text).unwrap().names().count(), 0);
        }
        for text in ["a/b", "/a/b", "a/b/", "/a/b/"] {
            assert_eq!(
                FolderPath::parse(text).unwrap().names().collect::<Vec<_>>(),
                ["a", "b"]
            );
        }
        for text in ["//", "a//", "..", "/../"] {
            assert!(FolderPath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_decode_to_what_was_encoded() {
        for segment in ["a", "ü ö", "100%", "a:b*?", "...", "~x"] {
            assert_eq!(decode(&encode(segment)).as_deref(), Some(segment));
        }
        for name in [
            "%", "%2", "%zz", "%41", "%2f", "%2F", "a b", "%tmp-1", "%FF", "..", "%00", "",
        ] {
            assert_eq!(decode(name), None, "{name:?}");
        }
    }
}
