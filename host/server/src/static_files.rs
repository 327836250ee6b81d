//! Files of the operator, for paths that are no part of the interface: pages of an app, for instance.
//!
//! A path leads to a file of the folder or, if it names a folder, to its `index.html`. Nothing is
//! listed, and links that leave the folder lead nowhere. Answers have tag and time of the file, so that a caller
//! that has it already is told so, and can have a part of it.

use super::manage::files::is_past;
use super::reply::{Reply, Streamed};
use anyhow::{Context, Result, ensure};
use mix_app_files::media_type;
use mix_http_api::{Content, FixedRequest, Response, percent_decode};
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What a folder shows.
const INDEX: &str = "index.html";

/// The folder.
pub struct StaticFiles {
    root: PathBuf,
}

impl StaticFiles {
    /// A folder that is there.
    pub fn new(folder: &Path) -> Result<StaticFiles> {
        let root = folder
            .canonicalize()
            .with_context(|| format!("{} cannot be read", folder.display()))?;
        ensure!(root.is_dir(), "{} is no folder", folder.display());
        Ok(StaticFiles { root })
    }

    /// The file behind a raw path, and what is told of it.
    fn find(&self, path: &str) -> Option<(File, Content)> {
        let mut place = self.root.clone();
        for part in path.strip_prefix('/')?.trim_end_matches('/').split('/') {
            let part = percent_decode(part, false)?;
            let is_name = !part.is_empty()
                && part != "."
                && part != ".."
                && !part.contains(['/', '\\'])
                && !part.chars().any(char::is_control);
            if !is_name {
                return None;
            }
            place.push(part);
        }
        let mut place = self.inside(&place)?;
        if place.is_dir() {
            place = self.inside(&place.join(INDEX))?;
        }
        // Before it is opened: a pipe would wait for somebody who writes.
        place.metadata().ok().filter(Metadata::is_file)?;
        let file = File::open(&place).ok()?;
        // Of what is open: another file may have come into its place since.
        let about = file.metadata().ok().filter(Metadata::is_file)?;
        let modified = about.modified().unwrap_or(UNIX_EPOCH);
        let content = Content {
            media_type: media_type(&place.file_name()?.to_string_lossy()),
            size: about.len(),
            tag: Some(tag(&about)),
            modified: Some(modified).filter(is_past),
            is_of_operator: true,
            ..Content::default()
        };
        Some((file, content))
    }

    /// Where a path leads, if it stays in the folder.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let found = path.canonicalize().ok()?;
        found.starts_with(&self.root).then_some(found)
    }

    /// The file in the place of an answer that there is no such path; that answer if there is none.
    pub fn answer(&self, request: &FixedRequest, missing: Response) -> Reply {
        let Some((file, content)) = self.find(request.path()) else {
            return missing.into();
        };
        let (head, range) = request.content(&content);
        if head.status >= 300 {
            return head.into();
        }
        match Streamed::file(file, range) {
            Ok(stream) => Reply {
                head,
                stream: Some(stream),
            },
            Err(_) => missing.into(),
        }
    }
}

/// Changes with the content. Without the number of the file: servers that share an address may have the same files.
fn tag(about: &Metadata) -> String {
    let (time, sign) = match about
        .modified()
        .unwrap_or(UNIX_EPOCH)
        .duration_since(UNIX_EPOCH)
    {
        Ok(time) => (time, ""),
        Err(earlier) => (earlier.duration(), "-"),
    };
    format!("{:x}-{sign}{:x}", about.len(), time.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn paths_lead_into_the_folder_and_nowhere_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("site");
        std::fs::create_dir_all(root.join("docs")).expect("a folder");
        for (name, text) in [
            ("a b.html", "page"),
            ("docs/index.html", "docs"),
            ("../secret", "hush"),
        ] {
            std::fs::write(root.join(name), text).expect("a file");
        }
        std::os::unix::fs::symlink("../secret", root.join("out")).expect("a link");
        std::os::unix::fs::symlink("docs", root.join("in")).expect("a link");
        let pipe = std::process::Command::new("mkfifo")
            .arg(root.join("pipe"))
            .status();
        assert!(pipe.is_ok_and(|made| made.success()));
        let files = StaticFiles::new(&root).expect("it is there");
        let found = |path: &str| {
            let (mut file, content) = files.find(path)?;
            let mut text = String::new();
            file.read_to_string(&mut text).ok()?;
            Some((text, content.media_type))
        };
        let page = |text: &str| Some((text.to_owned(), "text/html; charset=utf-8".to_owned()));
        assert_eq!(found("/a%20b.html"), page("page"));
        assert_eq!(found("/docs"), page("docs"));
        assert_eq!(found("/docs/"), page("docs"));
        assert_eq!(found("/in/index.html"), page("docs"));
        for path in [
            "/",
            "/out",
            "/pipe",
            "/none",
            "/../secret",
            "/%2e%2e/secret",
            "/docs/%2e%2e/%2e%2e/secret",
            "/docs%2findex.html",
            "/docs//index.html",
            "/a%00",
            "docs",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
        assert!(StaticFiles::new(&root.join("none")).is_err());
    }
}
