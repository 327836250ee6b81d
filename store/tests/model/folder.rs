//! Folders in memory: files as fast as they can be, without any tricks.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use mix_store::folder::{AppFolder, Folder, FolderFile};

type Bytes = Arc<Mutex<Vec<u8>>>;

#[derive(Clone, Default)]
pub struct MemoryFolder(Arc<Mutex<BTreeMap<String, Bytes>>>);

struct MemoryFile(Bytes);

#[derive(Clone, Default)]
pub struct MemoryApp(Arc<Mutex<BTreeMap<String, MemoryFolder>>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while holding it")
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Folder for MemoryFolder {
    fn open(&self, name: &str, _write: bool) -> io::Result<Box<dyn FolderFile>> {
        let bytes = lock(&self.0).get(name).cloned().ok_or_else(not_found)?;
        Ok(Box::new(MemoryFile(bytes)))
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let mut files = lock(&self.0);
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = Bytes::default();
        files.insert(name.to_owned(), bytes.clone());
        Ok(Box::new(MemoryFile(bytes)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = lock(&self.0);
        let bytes = files.remove(from).ok_or_else(not_found)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        lock(&self.0).remove(name).map(drop).ok_or_else(not_found)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.0).keys().cloned().collect())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(lock(&self.0).contains_key(name))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl FolderFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = lock(&self.0);
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, written: &[u8]) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let end = offset as usize + written.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(written);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.0).resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl MemoryApp {
    pub fn database(&self) -> MemoryFolder {
        lock(&self.0).get("v2").cloned().expect("a database")
    }
}

impl AppFolder for MemoryApp {
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        let folder = lock(&self.0).get(name).cloned().ok_or_else(not_found)?;
        Ok(Arc::new(folder))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        let folder = lock(&self.0).entry(name.to_owned()).or_default().clone();
        Ok(Arc::new(folder))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(lock(&self.0).contains_key(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut folders = lock(&self.0);
        let folder = folders.remove(from).ok_or_else(not_found)?;
        folders.insert(to.to_owned(), folder);
        Ok(())
    }

    fn remove_all(&self, name: &str) -> io::Result<()> {
        if let Some(folder) = lock(&self.0).remove(name) {
            lock(&folder.0).clear();
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
