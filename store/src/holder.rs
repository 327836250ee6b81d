//! What `LOCK` says of its holder, and whether it still is the one that counts.
//!
//! Who is kept out wants to know by whom. The lock itself does not need it: it
//! is that of the operating system on the file.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::disk::process_id;
use crate::time::format_time;

/// Longest note that is shown or written over.
const LONGEST: u64 = 200;

/// Notes in the file whose lock this process has taken which program that is, and since when.
pub fn note(file: &mut File, program: &str, now: i64) {
    let mut note = format!(
        "{program} (pid {}, since {})",
        process_id(),
        format_time(now)
    );
    // Written over the one before: to cut the file first would cost a write to the disk.
    let before = file
        .metadata()
        .map_or(0, |metadata| metadata.len().min(LONGEST));
    while (note.len() as u64) + 1 < before {
        note.push(' ');
    }
    note.push('\n');
    let _ = file.rewind().and_then(|()| file.write_all(note.as_bytes()));
}

/// Who holds the lock, as far as that is noted.
pub fn of(file: &mut File) -> String {
    let mut note = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(LONGEST).read_to_string(&mut note));
    match read {
        Ok(_) if !note.trim().is_empty() => note.trim().to_owned(),
        _ => "another process (LOCK)".into(),
    }
}

/// Whether an open file still is what has its name: the one that a call took back, with the folder that it had made, is not.
#[cfg(unix)]
pub fn is_in_place(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let open = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Files that are open are not removed there.
#[cfg(not(unix))]
pub fn is_in_place(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}
