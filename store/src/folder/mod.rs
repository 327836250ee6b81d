//! What the store needs of a file system: one flat folder of files.
//!
//! [`NativeFolder`] is `std::fs` natively, and descriptors of WASI for components on a
//! preopened folder. Tests bring folders that lose unsynced writes or fail on purpose.

mod native;
#[cfg(target_os = "wasi")]
mod wasi;

use std::io;
use std::time::SystemTime;

use std::sync::Arc;

pub use native::{NativeAppFolder, NativeFolder};

use crate::error::{Doing, Result};

/// The folder of an app, in which the folder of the database lies. Compaction
/// writes a new one beside it and exchanges the two.
pub trait AppFolder: Send + Sync {
    /// A folder in it; [`io::ErrorKind::NotFound`] if it is not there.
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Folder>>;

    /// Creates a folder, if it is not there.
    fn create(&self, name: &str) -> io::Result<Arc<dyn Folder>>;

    /// Whether a folder is there, for everybody and now.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Renames a folder to a name that is free.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a folder and its files; none there is as good.
    fn remove_all(&self, name: &str) -> io::Result<()>;

    /// Makes created and renamed names durable, where the platform can.
    fn sync(&self) -> io::Result<()>;
}

/// One folder.
pub trait Folder: Send + Sync {
    /// Opens a file that exists.
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn FolderFile>>;

    /// Creates a file exclusively: [`io::ErrorKind::AlreadyExists`] if it is there.
    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>>;

    /// Renames a file over another.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Whether a file is there, for everybody and now.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// When a file was changed last, in milliseconds since 1970; none where that is not known.
    fn modified(&self, name: &str) -> io::Result<Option<i64>> {
        let _ = name;
        Ok(None)
    }

    /// When a name in it was made, renamed or removed last, by the clock of the file
    /// system; none where that is not known.
    fn changed(&self) -> io::Result<Option<SystemTime>> {
        Ok(None)
    }

    /// Makes created and renamed names durable, where the platform can.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait FolderFile: Send + Sync {
    /// Reads up to `buffer.len()` bytes; 0 at the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// True if there are no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends to a length.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;
}

/// Reads exactly `buffer.len()` bytes.
pub(crate) fn read_exact_at(
    file: &dyn FolderFile,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    if read_up_to(file, offset, buffer)? < buffer.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Reads `buffer.len()` bytes, fewer where the file ends before; gives how many.
pub(crate) fn read_up_to(
    file: &dyn FolderFile,
    offset: u64,
    buffer: &mut [u8],
) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(offset + read as u64, &mut buffer[read..]) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Everything in a file; nothing if there is no such file. One that cannot be read is not taken
/// for one that is not there.
pub(crate) fn read_whole(folder: &dyn Folder, name: &str) -> Result<Option<Vec<u8>>> {
    match folder.open(name, false) {
        Ok(file) => read_to_end(&*file, 0)
            .map(Some)
            .doing(|| format!("reading {name}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).doing(|| format!("opening {name}")),
    }
}

/// Bytes that [`read_to_end`] reads at first, and then at a time.
const FIRST: usize = 4 << 10;
const NEXT: usize = 64 << 10;

/// Reads a file from `offset` to its end.
pub(crate) fn read_to_end(file: &dyn FolderFile, mut offset: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // Mostly there is little or nothing behind: what others wrote since the last look.
    let mut chunk = vec![0; FIRST];
    loop {
        match file.read_at(offset, &mut chunk) {
            Ok(0) => return Ok(content),
            Ok(count) => {
                content.extend_from_slice(&chunk[..count]);
                offset += count as u64;
                chunk.resize(NEXT, 0);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
