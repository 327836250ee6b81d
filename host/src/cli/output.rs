//! Standard output. Whoever stops reading, as `head` does, ends the command quietly; any other
//! trouble is an error of output.

use super::Exit;
use std::fmt;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

/// Writes a text.
pub fn text(text: impl fmt::Display) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    written.map_err(unwritten)
}

/// Writes bytes.
pub fn bytes(bytes: &[u8]) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(unwritten)
}

fn unwritten(error: io::Error) -> Exit {
    match error.kind() {
        ErrorKind::BrokenPipe => Exit::with_code(0, ""),
        _ => Exit::io(format!("standard output: {error}")),
    }
}

/// Writes a line.
pub fn line(text: impl fmt::Display) -> Result<(), Exit> {
    self::text(format_args!("{text}\n"))
}

/// Writes messages for people to standard error. Nobody can be told when that fails.
pub fn messages(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Standard output for what is long: it goes out in large pieces.
pub struct Long {
    out: BufWriter<StdoutLock<'static>>,
    is_unread: bool,
}

impl Long {
    /// Locks standard output.
    pub fn new() -> Long {
        Long {
            out: BufWriter::new(io::stdout().lock()),
            is_unread: false,
        }
    }

    /// Writes what is left and gives the end of the command that wrote. One that failed because nobody reads
    /// any longer has done its work.
    pub fn end(mut self, done: Result<(), Exit>) -> Result<(), Exit> {
        let written = self.flush();
        if self.is_unread {
            return Ok(());
        }
        done?;
        written.map_err(|error| Exit::io(format!("standard output: {error}")))
    }

    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.is_unread |= matches!(&done, Err(error) if error.kind() == ErrorKind::BrokenPipe);
        done
    }
}

impl Write for Long {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.noted(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.noted(done)
    }
}
