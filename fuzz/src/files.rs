//! Database files in memory, made of an input.
//!
//! An input is one byte and then files: the number of a name in [`NAMES`], a length (2 bytes,
//! little-endian) and the content. With an odd first byte all checksums are made right, so
//! that what lies behind them is read too.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mix_store::folder::{Folder, FolderFile};

/// Names of the files an input can have.
pub const NAMES: [&str; 12] = [
    "name.txt",
    "db.state.1",
    "write.log.1",
    "db.dat",
    "db.off",
    "db.crc",
    "flags-4.rbm",
    "idx-0-6.seg",
    "prev.rbm",
    "LEASE.1",
    "db.state.2",
    "write.log.2",
];
/// No file grows beyond this.
const LONGEST: usize = 32 << 20;

type Content = Arc<Mutex<Vec<u8>>>;

/// A folder in memory; clones are the same one.
#[derive(Clone, Default)]
pub struct Files(Arc<Mutex<BTreeMap<String, Content>>>);

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    /// The files of an input.
    pub fn of_input(input: &[u8]) -> Files {
        let Some((first, mut rest)) = input.split_first() else {
            return Files::default();
        };
        let mut files = BTreeMap::new();
        while let [name, low, high, more @ ..] = rest {
            let name = NAMES[usize::from(*name) % NAMES.len()];
            let len = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
            let (content, behind) = more.split_at(len);
            files.insert(name.to_owned(), content.to_vec());
            rest = behind;
        }
        if first % 2 == 1 {
            mend(&mut files);
        }
        let shared = files
            .into_iter()
            .map(|(name, content)| (name, Arc::new(Mutex::new(content))));
        Files(Arc::new(Mutex::new(shared.collect())))
    }

    /// The input that these files are made of.
    pub fn to_input(&self, first: u8) -> Vec<u8> {
        let mut input = vec![first];
        for (name, content) in &*lock(&self.0) {
            let Some(number) = NAMES.iter().position(|known| known == name) else {
                continue;
            };
            let content = lock(content);
            let Ok(len) = u16::try_from(content.len()) else {
                continue;
            };
            // There are few names.
            input.push(number as u8);
            input.extend(len.to_le_bytes());
            input.extend_from_slice(&content);
        }
        input
    }

    /// A folder with copies of the files.
    pub fn copied(&self) -> Files {
        let copies = lock(&self.0)
            .iter()
            .map(|(name, content)| (name.clone(), Arc::new(Mutex::new(lock(content).clone()))))
            .collect();
        Files(Arc::new(Mutex::new(copies)))
    }
}

/// Makes checksums right wherever there is room for one.
fn mend(files: &mut BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files.iter_mut() {
        match name.split('.').next() {
            Some("write") => mend_log(bytes),
            Some("flags-4" | "prev") => mend_end(bytes),
            Some("idx-0-6") => mend_segment(bytes),
            Some("db") if name.starts_with("db.state") => mend_state(bytes),
            _ => {}
        }
    }
    let (Some(dat), Some(off)) = (files.get("db.dat"), files.get("db.off")) else {
        return;
    };
    let starts: Vec<usize> = off
        .get(4..)
        .unwrap_or_default()
        .as_chunks::<8>()
        .0
        .iter()
        .map(|bytes| usize::try_from(u64::from_le_bytes(*bytes)).unwrap_or(usize::MAX))
        .collect();
    let mut sums = vec![0x4d, 0x58, 0x43, 0x02];
    for (row, start) in starts.iter().enumerate() {
        let end = starts.get(row + 1).copied().unwrap_or(dat.len());
        let sum = dat.get(*start..end).map_or(0, crc32c::crc32c);
        sums.extend(sum.to_le_bytes());
    }
    files.insert("db.crc".into(), sums);
}

/// Writes the checksum of what lies before `at` there.
fn put(bytes: &mut [u8], from: usize, at: usize) {
    let Some(end) = at.checked_add(4) else { return };
    let sum = bytes.get(from..at).map(crc32c::crc32c);
    if let (Some(sum), Some(place)) = (sum, bytes.get_mut(at..end)) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
}

fn mend_end(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(4) {
        put(bytes, 0, at);
    }
}

fn mend_state(bytes: &mut Vec<u8>) {
    let line = bytes.split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default().to_vec();
    *bytes = line.clone();
    bytes.extend(format!("\n{:08x}\n", crc32c::crc32c(&line)).into_bytes());
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_le_bytes(four.unwrap_or_default()) as usize
}

fn mend_log(bytes: &mut [u8]) {
    put(bytes, 0, 52);
    let mut at = 56;
    while bytes.get(at..at + 4) == Some(b"MXWF") {
        let end = at + 48 + number(bytes, at + 44).min(1 << 26);
        put(bytes, at, end);
        at = end + 4;
    }
}

fn mend_segment(bytes: &mut [u8]) {
    let Some(trailer) = bytes.len().checked_sub(144) else {
        return;
    };
    put(bytes, trailer, trailer + 140);
    // Roots of the trees, pairs, superseded rows, tombstones.
    for place in [32, 56, 80, 92, 104] {
        let at = trailer + place;
        let offset = number(bytes, at);
        put(bytes, offset, offset.saturating_add(number(bytes, at + 8)));
    }
    let filter = number(bytes, trailer + 116);
    for page in 0..number(bytes, trailer + 124).min(bytes.len()) / 4096 {
        let offset = filter.saturating_add(page * 4100);
        put(bytes, offset, offset.saturating_add(4096));
    }
}

struct OpenFile(Content);

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Folder for Files {
    fn open(&self, name: &str, _write: bool) -> io::Result<Box<dyn FolderFile>> {
        let content = lock(&self.0).get(name).cloned().ok_or_else(not_found)?;
        Ok(Box::new(OpenFile(content)))
    }

    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let mut files = lock(&self.0);
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = Content::default();
        files.insert(name.to_owned(), Arc::clone(&content));
        Ok(Box::new(OpenFile(content)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = lock(&self.0);
        let content = files.remove(from).ok_or_else(not_found)?;
        files.insert(to.to_owned(), content);
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

impl FolderFile for OpenFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = lock(&self.0);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = content.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = from.saturating_add(bytes.len());
        if end > LONGEST {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut content = lock(&self.0);
        if content.len() < end {
            content.resize(end, 0);
        }
        content[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > LONGEST {
            return Err(io::ErrorKind::StorageFull.into());
        }
        lock(&self.0).resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
