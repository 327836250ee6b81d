//! Paths of the files of an app: what they may be, and their form on disk.
//!
//! Whoever touches these files uses this crate: family `files` in its components, and the host, which
//! serves, installs and exports them. A text becomes a [`FilePath`] or [`FolderPath`] if it is a path at all;
//! its segments are percent-encoded into names on disk, and [`decode`] goes back. The folders of apps have names
//! of their own ([`folder_name`]); [`percent`] is the encoding itself, for whoever writes addresses.

mod app_folder;
pub mod percent;

pub use app_folder::{app_of_folder, folder_name};

use unicode_normalization::is_nfc;

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a path of a file, {0}")]
pub struct BadPath(&'static str);

type Result<T> = std::result::Result<T, BadPath>;

/// Longest path in bytes.
const LONGEST_PATH: usize = 1024;
/// Longest segment in bytes, and longest name on disk.
const LONGEST_SEGMENT: usize = 255;

/// A checked path of a file: at least one segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub fn parse(text: &str) -> Result<FilePath> {
        let segments = segments(text.strip_prefix('/').unwrap_or(text))?;
        Ok(FilePath { segments })
    }

    /// With a leading `/`.
    pub fn text(&self) -> String {
        text(&self.segments)
    }

    /// Names on disk, outermost first.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.segments.iter().map(|segment| encode(segment))
    }

    /// The last segment.
    pub fn last(&self) -> &str {
        self.segments.last().map_or("", String::as_str)
    }

    /// True for files that everybody may read.
    pub fn is_public(&self) -> bool {
        self.segments[0] == "public" && self.segments.len() > 1
    }

    /// True for files that are deleted a day after they were made.
    pub fn is_ephemeral(&self) -> bool {
        self.segments[0] == "ephemeral" && self.segments.len() > 1
    }

    /// True for the programs of the app, in any spelling that a disk may take for the same.
    pub fn is_code(&self) -> bool {
        self.segments[0].eq_ignore_ascii_case("code")
    }

    /// The folder that the file is in.
    pub fn parent(&self) -> FolderPath {
        let end = self.segments.len().saturating_sub(1);
        FolderPath {
            segments: self.segments[..end].to_vec(),
        }
    }
}

impl FolderPath {
    /// Reads a path; leading and trailing `/` are optional.
    pub fn parse(text: &str) -> Result<FolderPath> {
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
            segments(inner)?
        };
        Ok(FolderPath { segments })
    }

    /// With a leading and a trailing `/`.
    pub fn text(&self) -> String {
        text(&self.segments) + "/"
    }

    /// Names on disk, outermost first.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.segments.iter().map(|segment| encode(segment))
    }

    /// A file in this folder, by a segment that was checked, for instance by [`decode`].
    pub fn file(&self, segment: String) -> FilePath {
        let mut segments = self.segments.clone();
        segments.push(segment);
        FilePath { segments }
    }

    /// A folder in this folder, by a segment that was checked.
    pub fn folder(&self, segment: String) -> FolderPath {
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

fn segments(inner: &str) -> Result<Vec<String>> {
    let bad = |reason| Err(BadPath(reason));
    // The leading `/` counts, given or not.
    if inner.len() + 1 > LONGEST_PATH {
        return bad("longer than 1024 bytes");
    }
    if !is_nfc(inner) {
        return bad("not in Unicode normal form C");
    }
    let mut segments = Vec::new();
    for segment in inner.split('/') {
        match segment {
            "" => return bad("a name in it is empty"),
            "." | ".." => return bad("`.` and `..` are not allowed"),
            _ => {}
        }
        if segment.len() > LONGEST_SEGMENT {
            return bad("a name in it is longer than 255 bytes");
        }
        if segment
            .chars()
            .any(|char| char.is_control() || char == '\\')
        {
            return bad("control characters and `\\` are not allowed");
        }
        if encode(segment).len() > LONGEST_SEGMENT {
            return bad("a name in it, with `%25` for each `%`, is longer than 255 bytes");
        }
        segments.push(segment.to_owned());
    }
    Ok(segments)
}

/// The name on disk: bytes outside of `[A-Za-z0-9._~-]` are written `%XX`. Where that is longer than disks take, `%` only is. The two
/// forms do not meet: the second is the shorter one because of a byte that the first never has.
pub fn encode(segment: &str) -> String {
    let name = percent::encode(segment, b"-._~");
    if name.len() > LONGEST_SEGMENT {
        return segment.replace('%', "%25");
    }
    name
}

/// The segment of a name on disk; none if no segment is stored so, for instance the name of a
/// file that is being written.
pub fn decode(name: &str) -> Option<String> {
    let segment = String::from_utf8(percent::decode(name)?).ok()?;
    // Only what `encode` writes: otherwise two names would mean one path.
    (encode(&segment) == name && segments(&segment).is_ok_and(|list| list.len() == 1))
        .then_some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bad_paths_are_refused() {
        let long = "x".repeat(256);
        let longer = format!("/{}", "abc/".repeat(300));
        let (signs, umlauts) = ("%".repeat(86), "ü".repeat(128));
        for text in [
            "", "/", "//", "a//b", "a/", "..", "/..", "a/../b", "./a", "a/.", "a\\b", "..\\a",
            "a\0", "a\nb", "a\u{7f}", "a\u{85}b", "e\u{301}", &long, &longer, &signs, &umlauts,
        ] {
            assert!(FilePath::parse(text).is_err(), "{text:?}");
        }
        assert!(FolderPath::parse("//").is_err() && FolderPath::parse("/..").is_err());
    }

    #[test]
    fn good_paths_and_their_names() {
        let disk = |text| {
            let path = FilePath::parse(text).expect("a path");
            path.names().collect::<Vec<_>>().join("/")
        };
        assert_eq!(FilePath::parse("a/b.txt").unwrap().text(), "/a/b.txt");
        assert_eq!(FilePath::parse("/a/b.txt").unwrap().text(), "/a/b.txt");
        assert_eq!(disk("/a b/ü%.txt"), "a%20b/%C3%BC%25.txt");
        assert_eq!(disk("/.hidden/..."), ".hidden/...");
        assert!(FilePath::parse("a/".repeat(511).trim_end_matches('/')).is_ok());
        let longest = "ü".repeat(127);
        assert_eq!(disk(&longest), longest, "too long when it is encoded");
        let shorter = "ü".repeat(42);
        assert_eq!(disk(&shorter), "%C3%BC".repeat(42));
        let with_sign = format!("{}%", "ü".repeat(126));
        assert_eq!(disk(&with_sign), format!("{}%25", "ü".repeat(126)));
    }

    #[test]
    fn folders() {
        for text in ["", "/"] {
            assert_eq!(FolderPath::parse(text).unwrap().names().count(), 0);
        }
        for text in ["a/b", "/a/b", "a/b/", "/a/b/"] {
            let names: Vec<String> = FolderPath::parse(text).unwrap().names().collect();
            assert_eq!(names, ["a", "b"]);
        }
        for text in ["//", "a//", "..", "/../"] {
            assert!(FolderPath::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_decode_to_what_was_encoded() {
        let (letters, signs) = ("日本".repeat(42), "100% ".repeat(36));
        for segment in ["a", "ü ö", "100%", "a:b*?", "...", "~x", &letters, &signs] {
            assert_eq!(decode(&encode(segment)).as_deref(), Some(segment));
        }
        // Each segment has one name: these are none of the first form, and too short for the second.
        assert_eq!(decode("日本"), None);
        assert_eq!(decode(&format!("{}%C3%BC", "ü".repeat(20))), None);
        for name in [
            "%", "%2", "%zz", "%41", "%2f", "%2F", "a b", "%tmp-1", "%FF", "..", "%00", "",
        ] {
            assert_eq!(decode(name), None, "{name:?}");
        }
    }

    #[test]
    fn kinds_are_told_by_the_first_segment() {
        let path = |text| FilePath::parse(text).expect("a path");
        assert!(path("/public/a").is_public() && !path("/public").is_public());
        assert!(path("ephemeral/x").is_ephemeral());
        assert!(path("/Code/x").is_code() && !path("/a/code").is_code());
        assert_eq!(path("/a/b/c").parent().text(), "/a/b/");
        assert_eq!(path("/a").parent().text(), "/");
    }

    proptest! {
        #[test]
        fn names_on_disk_hold_one_segment_and_come_back(text in "\\PC{1,90}|[%ü ]{40,130}|[%2C3B]{60,130}") {
            if let Ok(path) = FilePath::parse(&text) {
                let names: Vec<String> = path.names().collect();
                for name in &names {
                    prop_assert!(!name.contains('/') && name != "." && name != "..");
                }
                let back: Option<Vec<String>> = names.iter().map(|name| decode(name)).collect();
                prop_assert_eq!(back, Some(path.segments.clone()));
            }
        }
    }
}
