//! A file that a command was given to read.
//!
//! Whoever names a file may be mistaken, or may not know what it is: `/dev/zero` never ends, and a named pipe to which nobody
//! writes never begins. So nothing is read without a limit, which is said when it is passed, and what is no file is
//! refused with its kind. What a shell hands over as a file (`<(command)`, `/dev/stdin`) is one to its user, and is read like
//! any other.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Reads a file of at most so many bytes. The error says what is wrong with it, as the end of a sentence that
/// begins with its name.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata().map_or(0, |about| about.len());
    if length > most {
        return Err(too_large(most));
    }
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    read_from(file, most, &mut content)?;
    Ok(content)
}

/// The same of a text.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    text(read(path, most)?)
}

/// Reads standard input up to its end.
pub fn read_standard_input(most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    read_from(io::stdin().lock(), most, &mut content)?;
    Ok(content)
}

/// The same of a text.
pub fn read_text_of_standard_input(most: u64) -> io::Result<String> {
    text(read_standard_input(most)?)
}

/// Opens a file whose reader has limits of its own, or needs none, as it keeps nothing.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if let Some(error) = refusal(path, kind) {
        return Err(error);
    }
    File::open(path)
}

/// A reader that fails where the limit is passed.
pub fn limited(reader: impl Read, most: u64) -> impl Read {
    Limited {
        reader,
        left: most,
        most,
    }
}

struct Limited<R> {
    reader: R,
    left: u64,
    most: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // One more than may come, so that it shows whether more would come.
        let room = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX);
        let length = into.len().min(room);
        let count = self.reader.read(&mut into[..length])?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(too_large(self.most)),
        }
        Ok(count)
    }
}

fn read_from(reader: impl Read, most: u64, content: &mut Vec<u8>) -> io::Result<()> {
    limited(reader, most).read_to_end(content)?;
    Ok(())
}

fn text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(
            ErrorKind::InvalidData,
            format!("it is no text: line {line} is not UTF-8"),
        )
    })
}

/// Why nothing can be read from what has this name.
fn refusal(path: &Path, kind: FileType) -> Option<io::Error> {
    if kind.is_dir() {
        return Some(io::Error::new(
            ErrorKind::IsADirectory,
            "it is a folder, and a file is needed",
        ));
    }
    let what = special(path, kind)?;
    Some(io::Error::new(ErrorKind::InvalidInput, what))
}

#[cfg(unix)]
fn special(path: &Path, kind: FileType) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    // What a process has open already is there to be read: `<(command)` is called `/dev/fd/63`.
    let is_open = ["/dev/fd", "/dev/stdin", "/proc"]
        .iter()
        .any(|place| path.starts_with(place));
    if kind.is_fifo() && !is_open {
        return Some("it is a named pipe, to which nobody may ever write; name a file");
    }
    kind.is_socket()
        .then_some("it is a socket, and a file is needed")
}

#[cfg(not(unix))]
fn special(_path: &Path, _kind: FileType) -> Option<&'static str> {
    None
}

fn too_large(most: u64) -> io::Error {
    io::Error::new(
        ErrorKind::FileTooLarge,
        format!("it is larger than {}, the most that is read", size(most)),
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        gibi if gibi >= 1 << 30 && gibi % (1 << 30) == 0 => format!("{} GiB", gibi >> 30),
        mebi if mebi >= 1 << 20 && mebi % (1 << 20) == 0 => format!("{} MiB", mebi >> 20),
        kibi if kibi >= 1 << 10 && kibi % (1 << 10) == 0 => format!("{} KiB", kibi >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    fn wrong(path: &Path, most: u64) -> String {
        read(path, most).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"four");
        assert_eq!(read_text(&path, u64::MAX).unwrap(), "four");
        assert_eq!(
            wrong(&path, 3),
            "it is larger than 3 bytes, the most that is read"
        );
        fs::write(&path, b"a\nb\xff").unwrap();
        let error = read_text(&path, 10).unwrap_err();
        assert_eq!(error.to_string(), "it is no text: line 2 is not UTF-8");
        assert_eq!(
            read(&scratch.path().join("none"), 1).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn what_never_ends_is_read_up_to_its_limit_too() {
        assert_eq!(
            wrong(Path::new("/dev/zero"), 1 << 20),
            "it is larger than 1 MiB, the most that is read"
        );
        assert_eq!(read(Path::new("/dev/null"), 0).unwrap(), b"");
        let mut content = Vec::new();
        let error = limited(io::repeat(1), 2 << 10)
            .read_to_end(&mut content)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("2 KiB"), "{error}");
        // Exactly as much as may come is not too much.
        content.clear();
        limited(io::repeat(1).take(5), 5)
            .read_to_end(&mut content)
            .unwrap();
        assert_eq!(content.len(), 5);
    }

    #[test]
    fn what_is_no_file_is_refused_with_its_kind() {
        let scratch = tempfile::tempdir().unwrap();
        assert!(wrong(scratch.path(), 1).contains("it is a folder"));
        let pipe = scratch.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert!(wrong(&pipe, 1).contains("it is a named pipe"));
        let socket = scratch.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(wrong(&socket, 1).contains("it is a socket"));
    }
}
