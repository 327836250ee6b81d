//! A file that a command was asked to write.
//!
//! Whoever reads it sees the old content or the new, never a part, so the content goes into a file
//! beside it that takes its name at the end. What is no file (`/dev/null`, `/dev/stdout`, a pipe) is
//! written to instead: to put a file in its place would break it for every program of the machine.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// As many links as Linux follows.
const LINKS: usize = 40;

/// A file that is being written.
pub enum OutputFile {
    /// Takes the name when it is complete.
    Aside(BufWriter<NamedTempFile>, PathBuf),
    /// Has the name already, and is no file that could be replaced.
    InPlace(BufWriter<File>),
}

impl OutputFile {
    /// Begins a file. Who can read it is left to the user's `umask`.
    pub fn create(path: &Path) -> io::Result<OutputFile> {
        let Some(path) = replaceable(path)? else {
            // At the end: `/dev/stdout` may be a file that others have begun.
            let file = File::options().append(true).open(path)?;
            return Ok(OutputFile::InPlace(BufWriter::new(file)));
        };
        let file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder_of(&path))?;
        Ok(OutputFile::Aside(BufWriter::new(file), path))
    }

    /// Ends it. One that is dropped before leaves what was there.
    pub fn finish(self) -> io::Result<()> {
        match self {
            OutputFile::Aside(file, path) => {
                let file = file.into_inner()?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|error| error.error)?;
                Ok(())
            }
            OutputFile::InPlace(mut file) => file.flush(),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            OutputFile::Aside(file, _) => file.write(bytes),
            OutputFile::InPlace(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            OutputFile::Aside(file, _) => file.flush(),
            OutputFile::InPlace(file) => file.flush(),
        }
    }
}

/// Where the file lies, or would lie, behind all links; `None` for what must not be replaced.
fn replaceable(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let kind = match fs::symlink_metadata(&path) {
            Ok(about) => about.file_type(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(path)),
            Err(error) => return Err(error),
        };
        if kind.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if !kind.is_symlink() {
            return Ok(kind.is_file().then_some(path));
        }
        // What a process has open has no other name that could be relied on.
        if folder_of(&path).canonicalize()?.starts_with("/proc") {
            return Ok(None);
        }
        path = folder_of(&path).join(fs::read_link(&path)?);
    }
    Err(io::Error::other("too many links"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::process::Command;

    fn write(path: &Path, content: &str) -> io::Result<()> {
        let mut file = OutputFile::create(path)?;
        file.write_all(content.as_bytes())?;
        file.finish()
    }

    #[test]
    fn a_file_is_replaced_whole_or_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a");
        write(&path, "old").unwrap();
        let mut broken = OutputFile::create(&path).unwrap();
        broken.write_all(b"half").unwrap();
        drop(broken);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        let refused = write(scratch.path(), "x").expect_err("a folder");
        assert_eq!(refused.kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn links_are_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        symlink("folder/file", at("link")).unwrap();
        symlink(at("link"), at("further")).unwrap();
        for content in ["new", "newer"] {
            write(&at("further"), content).unwrap();
            assert!(at("link").is_symlink() && at("further").is_symlink());
            assert_eq!(fs::read_to_string(at("folder/file")).unwrap(), content);
        }
        symlink("round", at("round")).unwrap();
        write(&at("round"), "x").expect_err("a circle");
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        let scratch = tempfile::tempdir().unwrap();
        let pipe = scratch.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let reading = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut text = String::new();
                File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        write(&pipe, "through").unwrap();
        assert_eq!(reading.join().unwrap(), "through");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }

    #[test]
    fn what_a_process_has_open_is_written_to() {
        use std::os::fd::AsRawFd;
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("log");
        fs::write(&path, "before, ").unwrap();
        let open = File::options().append(true).open(&path).unwrap();
        let link = scratch.path().join("stdout");
        symlink(format!("/proc/self/fd/{}", open.as_raw_fd()), &link).unwrap();
        write(&link, "after").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before, after");
    }
}
