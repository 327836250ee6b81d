//! A folder of the operating system.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use std::sync::Arc;

#[cfg(target_os = "wasi")]
use super::wasi::Place;
use super::{AppFolder, Folder, FolderFile};

/// A folder of the operating system, or a preopened one of a component.
#[derive(Debug, Clone)]
pub struct NativeFolder {
    path: PathBuf,
}

impl NativeFolder {
    /// The folder at `path`, which exists.
    pub fn new(path: impl Into<PathBuf>) -> NativeFolder {
        NativeFolder { path: path.into() }
    }

    /// Creates the folder, only for its owner where the platform knows owners.
    pub fn create(path: &Path) -> io::Result<NativeFolder> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(path)?;
        Ok(NativeFolder::new(path))
    }

    /// Where a file of it is.
    #[cfg(target_os = "wasi")]
    fn place(&self, name: &str) -> io::Result<Place> {
        Place::of(&self.path.join(name))
    }

    /// How files are made: for their owner only, where the platform knows owners.
    pub(crate) fn options() -> OpenOptions {
        #[allow(unused_mut)] // Only changed on platforms with file modes.
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        options
    }
}

impl Folder for NativeFolder {
    #[cfg(not(target_os = "wasi"))]
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn FolderFile>> {
        let file = NativeFolder::options()
            .read(true)
            .write(write)
            .open(self.path.join(name))?;
        Ok(Box::new(NativeFile::new(file)))
    }

    #[cfg(target_os = "wasi")]
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn FolderFile>> {
        Ok(Box::new(self.place(name)?.open(write)?))
    }

    #[cfg(not(target_os = "wasi"))]
    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let file = NativeFolder::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path.join(name))?;
        Ok(Box::new(NativeFile::new(file)))
    }

    #[cfg(target_os = "wasi")]
    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        Ok(Box::new(self.place(name)?.create_new()?))
    }

    #[cfg(not(target_os = "wasi"))]
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    #[cfg(target_os = "wasi")]
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.place(from)?.rename(&self.place(to)?)
    }

    #[cfg(not(target_os = "wasi"))]
    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    #[cfg(target_os = "wasi")]
    fn remove(&self, name: &str) -> io::Result<()> {
        self.place(name)?.remove()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = mix_folder_listing::names(&self.path, usize::MAX)?;
        // Names that are not UTF-8 are none of the store's.
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        Ok(names.collect())
    }

    #[cfg(not(target_os = "wasi"))]
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    #[cfg(target_os = "wasi")]
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.place(name)?.exists()
    }

    fn modified(&self, name: &str) -> io::Result<Option<i64>> {
        #[cfg(not(target_os = "wasi"))]
        let changed = Some(fs::metadata(self.path.join(name))?.modified()?);
        #[cfg(target_os = "wasi")]
        let changed = self.place(name)?.modified()?;
        let since = changed.and_then(|changed| changed.duration_since(std::time::UNIX_EPOCH).ok());
        Ok(since.and_then(|since| i64::try_from(since.as_millis()).ok()))
    }

    #[cfg(not(target_os = "wasi"))]
    fn changed(&self) -> io::Result<Option<SystemTime>> {
        Ok(fs::metadata(&self.path)?.modified().ok())
    }

    #[cfg(target_os = "wasi")]
    fn changed(&self) -> io::Result<Option<SystemTime>> {
        Place::of(&self.path)?.modified()
    }

    #[cfg(unix)]
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Where the host of a component cannot sync a folder, the order of renames
    /// has to do. What fails although the host can is an error.
    #[cfg(target_os = "wasi")]
    fn sync(&self) -> io::Result<()> {
        use io::ErrorKind::{InvalidInput, IsADirectory, PermissionDenied, Unsupported};
        let cannot = [Unsupported, InvalidInput, IsADirectory, PermissionDenied];
        match File::open(&self.path).and_then(|folder| folder.sync_all()) {
            Err(error) if cannot.contains(&error.kind()) => Ok(()),
            other => other,
        }
    }

    #[cfg(not(any(unix, target_os = "wasi")))]
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The folder of an app, of the operating system or preopened.
#[derive(Debug, Clone)]
pub struct NativeAppFolder {
    path: PathBuf,
}

impl NativeAppFolder {
    /// The folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> NativeAppFolder {
        NativeAppFolder { path: path.into() }
    }
}

impl AppFolder for NativeAppFolder {
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        let path = self.path.join(name);
        if fs::metadata(&path)?.is_dir() {
            Ok(Arc::new(NativeFolder::new(path)))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        Ok(Arc::new(NativeFolder::create(&self.path.join(name))?))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove_all(&self, name: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync(&self) -> io::Result<()> {
        NativeFolder::new(&self.path).sync()
    }
}

#[cfg(unix)]
struct NativeFile {
    file: File,
}

#[cfg(unix)]
impl NativeFile {
    fn new(file: File) -> NativeFile {
        NativeFile { file }
    }
}

#[cfg(unix)]
impl FolderFile for NativeFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Without positioned reads and writes the cursor is shared, hence the lock.
#[cfg(not(any(unix, target_os = "wasi")))]
struct NativeFile {
    file: std::sync::Mutex<File>,
}

#[cfg(not(any(unix, target_os = "wasi")))]
impl NativeFile {
    fn new(file: File) -> NativeFile {
        NativeFile {
            file: std::sync::Mutex::new(file),
        }
    }

    fn file(&self) -> std::sync::MutexGuard<'_, File> {
        // A panic while holding the lock leaves the cursor anywhere, and every use sets it first.
        self.file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(not(any(unix, target_os = "wasi")))]
impl FolderFile for NativeFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        use std::io::{Read, Seek};
        let mut file = self.file();
        file.seek(io::SeekFrom::Start(offset))?;
        file.read(buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        use std::io::{Seek, Write};
        let mut file = self.file();
        file.seek(io::SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file().metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file().set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file().sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_has_no_list() {
        let folder = NativeFolder::new(concat!(env!("CARGO_MANIFEST_DIR"), "/none"));
        let error = folder.list().expect_err("no folder");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
