//! Files of a preopened folder by their descriptors, for components.
//!
//! The C library of components makes a stream for each read and each write, waits for it and drops it, and asks for
//! the hash of a file whenever it looks at one. Here each of these is one call of the host, and a
//! positioned one, so that a file needs no cursor and no lock.

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, ErrorCode, OpenFlags, PathFlags,
};

use super::FolderFile;

/// Most bytes that one call of the host writes: it copies them before.
const PIECE: usize = 1 << 20;

/// A name below a preopened folder.
pub(super) struct Place {
    root: &'static Descriptor,
    path: String,
}

impl Place {
    /// Where a path is: below the preopened folder with the longest name that it begins with.
    pub fn of(path: &Path) -> io::Result<Place> {
        static ROOTS: OnceLock<Vec<(Descriptor, String)>> = OnceLock::new();
        let path = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let path = relative(path);
        let roots = ROOTS.get_or_init(get_directories).iter();
        let below = roots.filter_map(|(root, name)| Some((root, below(path, relative(name))?)));
        let (root, path) = below
            .min_by_key(|(_, path)| path.len())
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(Place {
            root,
            path: if path.is_empty() { "." } else { path }.to_owned(),
        })
    }

    /// Opens the file there.
    pub fn open(&self, write: bool) -> io::Result<File> {
        self.open_with(OpenFlags::empty(), write)
    }

    /// Makes the file there, if there is none.
    pub fn create_new(&self) -> io::Result<File> {
        self.open_with(OpenFlags::CREATE | OpenFlags::EXCLUSIVE, true)
    }

    fn open_with(&self, open: OpenFlags, write: bool) -> io::Result<File> {
        let mut wanted = DescriptorFlags::READ;
        wanted.set(DescriptorFlags::WRITE, write);
        let follow = PathFlags::SYMLINK_FOLLOW;
        let opened = self.root.open_at(follow, &self.path, open, wanted);
        opened.map(|file| File { file }).map_err(failed)
    }

    /// Renames the file there over another.
    pub fn rename(&self, to: &Place) -> io::Result<()> {
        let renamed = self.root.rename_at(&self.path, to.root, &to.path);
        renamed.map_err(failed)
    }

    /// Removes the file there.
    pub fn remove(&self) -> io::Result<()> {
        self.root.unlink_file_at(&self.path).map_err(failed)
    }

    /// Whether something is there.
    pub fn exists(&self) -> io::Result<bool> {
        match self.stat() {
            Ok(_) => Ok(true),
            Err(ErrorCode::NoEntry) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// When what is there was changed last; none where that is not known.
    pub fn modified(&self) -> io::Result<Option<SystemTime>> {
        let time = self.stat().map_err(failed)?.data_modification_timestamp;
        Ok(time
            .and_then(|time| UNIX_EPOCH.checked_add(Duration::new(time.seconds, time.nanoseconds))))
    }

    fn stat(&self) -> Result<DescriptorStat, ErrorCode> {
        self.root.stat_at(PathFlags::SYMLINK_FOLLOW, &self.path)
    }
}

/// A path without what stands for the folder that all others are in.
fn relative(path: &str) -> &str {
    let mut rest = path;
    loop {
        rest = match rest {
            "." => return "",
            _ => match rest.strip_prefix('/').or_else(|| rest.strip_prefix("./")) {
                Some(behind) => behind,
                None => return rest.trim_end_matches('/'),
            },
        }
    }
}

/// The part of a path that is below a folder.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder)?;
    if folder.is_empty() || rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// One open file.
pub(super) struct File {
    file: Descriptor,
}

impl FolderFile for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len();
        let (bytes, _) = self.file.read(wanted as u64, offset).map_err(failed)?;
        let count = bytes.len().min(wanted);
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(&bytes[..bytes.len().min(PIECE)], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    // A host that says more than it was given wrote all of it.
                    let written =
                        usize::try_from(count).map_or(bytes.len(), |n| n.min(bytes.len()));
                    bytes = &bytes[written..];
                    offset += count;
                }
                Err(ErrorCode::Interrupted) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.stat().map(|stat| stat.size).map_err(failed)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_size(len).map_err(failed)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data().map_err(failed)
    }
}

/// The error of the standard library for one of the host.
fn failed(code: ErrorCode) -> io::Error {
    use io::ErrorKind;
    let kind = match code {
        ErrorCode::Access | ErrorCode::NotPermitted => ErrorKind::PermissionDenied,
        ErrorCode::WouldBlock => ErrorKind::WouldBlock,
        ErrorCode::Busy | ErrorCode::TextFileBusy => ErrorKind::ResourceBusy,
        ErrorCode::Deadlock => ErrorKind::Deadlock,
        ErrorCode::Quota => ErrorKind::QuotaExceeded,
        ErrorCode::Exist => ErrorKind::AlreadyExists,
        ErrorCode::FileTooLarge => ErrorKind::FileTooLarge,
        ErrorCode::Interrupted => ErrorKind::Interrupted,
        ErrorCode::Invalid => ErrorKind::InvalidInput,
        ErrorCode::IsDirectory => ErrorKind::IsADirectory,
        ErrorCode::TooManyLinks => ErrorKind::TooManyLinks,
        ErrorCode::NameTooLong => ErrorKind::InvalidFilename,
        ErrorCode::NoEntry => ErrorKind::NotFound,
        ErrorCode::InsufficientMemory => ErrorKind::OutOfMemory,
        ErrorCode::InsufficientSpace => ErrorKind::StorageFull,
        ErrorCode::NotDirectory => ErrorKind::NotADirectory,
        ErrorCode::NotEmpty => ErrorKind::DirectoryNotEmpty,
        ErrorCode::Unsupported => ErrorKind::Unsupported,
        ErrorCode::Pipe => ErrorKind::BrokenPipe,
        ErrorCode::ReadOnly => ErrorKind::ReadOnlyFilesystem,
        ErrorCode::InvalidSeek => ErrorKind::NotSeekable,
        ErrorCode::CrossDevice => ErrorKind::CrossesDevices,
        _ => ErrorKind::Other,
    };
    let message = code.message();
    let shown = message.split(", similar").next().unwrap_or(message);
    io::Error::new(kind, shown)
}
