//! A folder of the operating system.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use std::sync::Arc;

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

    fn options() -> OpenOptions {
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

/// How often a folder is listed again whose files come and go meanwhile: each look takes
/// microseconds, and where others write without a pause most of them fail.
const MAX_LOOKS: u32 = 2_000;

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        // Names that are not UTF-8 are none of the store's.
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Looks again as long as something is missing, but the folder is there. What stays missing is
/// nothing that is not there: whoever waits for an exchange of folders shall not take it for one.
fn again<T>(
    mut look: impl FnMut() -> io::Result<T>,
    is_there: impl Fn() -> io::Result<()>,
) -> io::Result<T> {
    for _ in 0..=MAX_LOOKS {
        match look() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => is_there()?,
            other => return other,
        }
    }
    Err(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "its files come and go all the time; try again",
    ))
}

impl Folder for NativeFolder {
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn FolderFile>> {
        let file = NativeFolder::options()
            .read(true)
            .write(write)
            .open(self.path.join(name))?;
        Ok(Box::new(NativeFile::new(file)))
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let file = NativeFolder::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path.join(name))?;
        Ok(Box::new(NativeFile::new(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        // In a component a name that goes away while the folder is listed ends the list: its
        // system interface asks about each one.
        let is_there = || fs::metadata(&self.path).map(drop);
        again(|| names(&self.path), is_there)
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    fn modified(&self, name: &str) -> io::Result<Option<i64>> {
        let changed = fs::metadata(self.path.join(name))?.modified()?;
        let since = changed.duration_since(std::time::UNIX_EPOCH).ok();
        Ok(since.and_then(|since| i64::try_from(since.as_millis()).ok()))
    }

    fn changed(&self) -> io::Result<Option<SystemTime>> {
        Ok(fs::metadata(&self.path)?.modified().ok())
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
#[cfg(not(unix))]
struct NativeFile {
    file: std::sync::Mutex<File>,
}

#[cfg(not(unix))]
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

#[cfg(not(unix))]
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
    fn a_list_goes_on_until_nothing_vanishes_meanwhile() {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let mut looks = 0;
        let look = || {
            looks += 1;
            if looks < 100 { Err(gone()) } else { Ok(looks) }
        };
        assert_eq!(again(look, || Ok(())).expect("is listed"), 100);
        // A folder that is not there is told from one that is never quiet.
        let never = || -> io::Result<()> { Err(gone()) };
        let error = again(never, || Err(gone())).expect_err("no folder");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = again(never, || Ok(())).expect_err("never quiet");
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        // Anything else is said at once.
        let mut looks = 0;
        let refused = || -> io::Result<()> {
            looks += 1;
            Err(io::ErrorKind::PermissionDenied.into())
        };
        assert!(again(refused, || Ok(())).is_err());
        assert_eq!(looks, 1);
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_list() {
        let folder = NativeFolder::new(concat!(env!("CARGO_MANIFEST_DIR"), "/none"));
        let error = folder.list().expect_err("no folder");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
