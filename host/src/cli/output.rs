//! Standard output. Whoever stops reading, as `head` does, ends the command quietly; any other
//! trouble is an error of output.

use super::Exit;
use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Writes a text.
pub fn text(text: impl fmt::Display) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Exit::with_code(0, ""),
        _ => Exit::io(format!("standard output: {error}")),
    })
}

/// Writes a line.
pub fn line(text: impl fmt::Display) -> Result<(), Exit> {
    self::text(format_args!("{text}\n"))
}

/// Writes messages for people to standard error. Nobody can be told when that fails.
pub fn messages(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
