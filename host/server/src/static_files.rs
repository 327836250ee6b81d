//! Files of the operator, for paths that are no part of the interface: pages of an app, for instance.
//!
//! A path leads to a file of the folder or, if it names a folder, to its `index.html`. Nothing is
//! listed, and links that leave the folder lead nowhere.

use super::reply::{Reply, Streamed};
use anyhow::{Context, Result, ensure};
use mix_app_files::media_type;
use mix_http_api::{Response, percent_decode};
use std::fs::File;
use std::path::{Path, PathBuf};

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

    /// The file behind a raw path, and its media type.
    fn find(&self, path: &str) -> Option<(File, u64, String)> {
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
        let about = place.metadata().ok().filter(|about| about.is_file())?;
        let file = File::open(&place).ok()?;
        let kind = media_type(&place.file_name()?.to_string_lossy());
        Some((file, about.len(), kind))
    }

    /// Where a path leads, if it stays in the folder.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        let found = path.canonicalize().ok()?;
        found.starts_with(&self.root).then_some(found)
    }

    /// The file in the place of an answer that there is no such path; that answer if there is none.
    pub fn answer(&self, path: &str, missing: Response) -> Reply {
        let Some((file, length, kind)) = self.find(path) else {
            return missing.into();
        };
        let mut head = missing;
        head.status = 200;
        head.code = "";
        head.body = Vec::new();
        for (name, value) in &mut head.headers {
            if *name == "content-type" {
                kind.clone_into(value);
            }
        }
        Reply {
            head,
            stream: Some(Streamed::reader(Box::new(file), length)),
        }
    }
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
            let (mut file, _, kind) = files.find(path)?;
            let mut text = String::new();
            file.read_to_string(&mut text).ok()?;
            Some((text, kind))
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
