//! The zip container: a reader that refuses whatever two readers could understand differently.
//!
//! The central directory is the truth. Before any entry is read, all of them are looked at: names,
//! kinds, declared sizes, local headers, and that no two lie in the same bytes. While an entry is
//! unpacked its bytes are counted; it ends at the limit, not at the end of what it claims.

use crate::error::{PackageError, Result};
use crate::limits::{Limits, MAX_NAME, MAX_RATIO, RATIO_FROM};
use crate::names;
use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};

const END: u32 = 0x0605_4b50;
const END_LEN: u64 = 22;
const LOCATOR_64: u32 = 0x0706_4b50;
const LOCATOR_64_LEN: u64 = 20;
const END_64: u32 = 0x0606_4b50;
const END_64_LEN: u64 = 56;
const CENTRAL: u32 = 0x0201_4b50;
const CENTRAL_LEN: u64 = 46;
const LOCAL: u32 = 0x0403_4b50;
const LOCAL_LEN: u64 = 30;
/// Encrypted: the entry, strongly, the directory.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Anything that a container can be read from.
pub trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// What the directory says about an entry.
#[derive(Debug, Clone)]
struct Entry {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    header: u64,
    /// Where its bytes begin.
    data: u64,
}

/// An opened container.
pub struct Archive<R> {
    reader: BufReader<R>,
    /// In byte order of names; folders are left out.
    entries: BTreeMap<String, Entry>,
}

/// Where the directory is.
struct Directory {
    count: u64,
    start: u64,
    end: u64,
}

impl<R: Source> Archive<R> {
    /// Reads and checks the directory.
    pub fn open(reader: R, limits: &Limits) -> Result<Archive<R>> {
        let mut reader = BufReader::with_capacity(64 << 10, reader);
        let directory = find_directory(&mut reader).map_err(truncated)?;
        if directory.count > limits.entries {
            return Err(PackageError::new("bomb", "too many entries").limit(limits.entries));
        }
        let mut archive = Archive {
            reader,
            entries: BTreeMap::new(),
        };
        archive.read_directory(&directory, limits)?;
        archive.check_places(&directory)?;
        Ok(archive)
    }

    /// Names of all entries, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// True if there is such an entry.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Bytes of an entry when it is unpacked.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.entries.get(name).map(|entry| entry.size)
    }

    /// The content of an entry of at most `most` bytes.
    pub fn read(&mut self, name: &str, most: u64) -> Result<Vec<u8>> {
        let size = self.size(name).ok_or_else(|| PackageError::missing(name))?;
        if size > most {
            let message = format!("the entry is larger than {most} bytes");
            return Err(PackageError::corrupt(name, message).limit(most));
        }
        // The claimed size is no reason to set memory aside.
        let mut content = Vec::with_capacity(size.min(1 << 20) as usize);
        self.copy(name, &mut content)?;
        Ok(content)
    }

    /// Unpacks an entry and verifies its size and CRC.
    pub fn copy(&mut self, name: &str, out: &mut dyn Write) -> Result<u64> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| PackageError::missing(name))?
            .clone();
        self.reader.seek(SeekFrom::Start(entry.data))?;
        let packed = (&mut self.reader).take(entry.packed);
        let (crc, size, used) = match entry.method {
            STORED => {
                let mut packed = packed;
                let (crc, size) = pump(name, &mut packed, entry.size, out)?;
                (crc, size, size)
            }
            _ => {
                let mut unpacked = DeflateDecoder::new(packed);
                let (crc, size) = pump(name, &mut unpacked, entry.size, out)?;
                (crc, size, unpacked.total_in())
            }
        };
        if size != entry.size || used != entry.packed {
            return Err(PackageError::corrupt(
                name,
                "the sizes of the entry are wrong",
            ));
        }
        if crc != entry.crc {
            return Err(PackageError::corrupt(name, "the CRC of the entry is wrong"));
        }
        Ok(size)
    }

    fn read_directory(&mut self, directory: &Directory, limits: &Limits) -> Result<()> {
        self.reader.seek(SeekFrom::Start(directory.start))?;
        let mut at = directory.start;
        let mut total: u64 = 0;
        let mut seen: HashSet<String> = HashSet::new();
        let mut folders: HashSet<String> = HashSet::new();
        for _ in 0..directory.count {
            let (name, entry, length) = self.central_header().map_err(truncated)?;
            at = at.saturating_add(length);
            if at > directory.end {
                return Err(PackageError::bad_zip("the directory is too short"));
            }
            if !seen.insert(names::folded(name.trim_end_matches('/'))) {
                return Err(PackageError::unsafe_entry(
                    &name,
                    "two entries have the same name",
                ));
            }
            if name.ends_with('/') {
                if entry.size != 0 {
                    return Err(PackageError::unsafe_entry(&name, "a folder has content"));
                }
                folders.insert(names::folded(name.trim_end_matches('/')));
                continue;
            }
            check_sizes(&name, &entry, limits)?;
            total = total.saturating_add(entry.size);
            if total > limits.total {
                return Err(
                    PackageError::new("bomb", "the entries are too large together")
                        .limit(limits.total),
                );
            }
            self.entries.insert(name, entry);
        }
        if at != directory.end {
            return Err(PackageError::bad_zip("the directory is too long"));
        }
        // What is a file cannot be a folder as well.
        for name in self.entries.keys() {
            let folded = names::folded(name);
            let mut parents = folded.match_indices('/').map(|(end, _)| &folded[..end]);
            let clash = parents.any(|parent| seen.contains(parent) && !folders.contains(parent));
            if clash || folders.contains(&folded) {
                let message = "the name is one of a file and of a folder";
                return Err(PackageError::unsafe_entry(name, message));
            }
        }
        Ok(())
    }

    /// One header of the directory, and its length.
    fn central_header(&mut self) -> Result<(String, Entry, u64)> {
        let mut head = [0; CENTRAL_LEN as usize];
        self.reader.read_exact(&mut head)?;
        if u32_at(&head, 0) != CENTRAL {
            return Err(PackageError::bad_zip("the directory is damaged"));
        }
        let lengths = [28, 30, 32].map(|at| u64::from(u16_at(&head, at)));
        let [name_len, extra_len, comment_len] = lengths;
        let mut name = vec![0; name_len as usize];
        self.reader.read_exact(&mut name)?;
        if name.len() > MAX_NAME {
            name.truncate(MAX_NAME + 1);
        }
        let name = names::check(&name)?;
        let mut extra = vec![0; extra_len as usize];
        self.reader.read_exact(&mut extra)?;
        self.reader.seek_relative(comment_len as i64)?;
        let mut entry = Entry {
            flags: u16_at(&head, 8),
            method: u16_at(&head, 10),
            crc: u32_at(&head, 16),
            packed: u64::from(u32_at(&head, 20)),
            size: u64::from(u32_at(&head, 24)),
            header: u64::from(u32_at(&head, 42)),
            data: 0,
        };
        wide(
            &extra,
            [&mut entry.size, &mut entry.packed, &mut entry.header],
        )
        .ok_or_else(|| PackageError::bad_zip("an entry lacks its 64-bit sizes").at(&name))?;
        let disk = u16_at(&head, 34);
        if disk != 0 && disk != u16::MAX {
            return Err(PackageError::bad_zip(
                "the zip file is split over several disks",
            ));
        }
        if entry.flags & ENCRYPTED != 0 {
            return Err(PackageError::bad_zip("an entry is encrypted").at(&name));
        }
        if entry.method != STORED && entry.method != DEFLATED {
            return Err(
                PackageError::bad_zip("an entry is packed by an unknown method")
                    .at(&name)
                    .found(entry.method.to_string()),
            );
        }
        // Made on Unix or macOS: the upper half of the attributes is the mode.
        if matches!(head[5], 3 | 19) {
            let kind = (u32_at(&head, 38) >> 16) & 0o170_000;
            let plain =
                kind == 0 || kind == 0o100_000 || (kind == 0o040_000 && name.ends_with('/'));
            if !plain {
                let message = "an entry is neither a file nor a folder";
                return Err(PackageError::unsafe_entry(&name, message));
            }
        }
        let length = CENTRAL_LEN + name_len + extra_len + comment_len;
        Ok((name, entry, length))
    }

    /// Local headers must agree with the directory, and no two entries share bytes.
    fn check_places(&mut self, directory: &Directory) -> Result<()> {
        let mut order: Vec<(u64, String)> = self
            .entries
            .iter()
            .map(|(name, entry)| (entry.header, name.clone()))
            .collect();
        order.sort();
        let mut free = 0;
        for (header, name) in order {
            if header < free {
                return Err(PackageError::bad_zip("entries overlap").at(&name));
            }
            let data = self.local_header(header, &name).map_err(truncated)?;
            let Some(entry) = self.entries.get_mut(&name) else {
                continue;
            };
            entry.data = data;
            free = data
                .checked_add(entry.packed)
                .filter(|end| *end <= directory.start)
                .ok_or_else(|| {
                    PackageError::bad_zip("an entry reaches beyond the file").at(&name)
                })?;
        }
        Ok(())
    }

    /// Checks a local header and gives the place of the data behind it.
    fn local_header(&mut self, header: u64, name: &str) -> Result<u64> {
        let mut head = [0; LOCAL_LEN as usize];
        self.reader.seek(SeekFrom::Start(header))?;
        self.reader.read_exact(&mut head)?;
        let other = |what| Err(PackageError::bad_zip(what).at(name));
        if u32_at(&head, 0) != LOCAL {
            return other("an entry has no local header");
        }
        let mut local_name = vec![0; usize::from(u16_at(&head, 26))];
        self.reader.read_exact(&mut local_name)?;
        if local_name != name.as_bytes() {
            return other("the local header has another name");
        }
        let entry = self.entries.get(name);
        if entry.is_none_or(|entry| entry.method != u16_at(&head, 8)) {
            return other("the local header has another method");
        }
        if u16_at(&head, 6) & ENCRYPTED != 0 {
            return other("an entry is encrypted");
        }
        let extra = u64::from(u16_at(&head, 28));
        Ok(header + LOCAL_LEN + local_name.len() as u64 + extra)
    }
}

fn check_sizes(name: &str, entry: &Entry, limits: &Limits) -> Result<()> {
    let bomb = |message: &str, limit| Err(PackageError::new("bomb", message).at(name).limit(limit));
    if entry.size > limits.entry {
        return bomb("the entry is too large", limits.entry);
    }
    if entry.size > RATIO_FROM && entry.size / MAX_RATIO >= entry.packed.max(1) {
        return bomb("the entry expands too much", MAX_RATIO);
    }
    if entry.method == STORED && entry.size != entry.packed {
        return Err(PackageError::corrupt(
            name,
            "the sizes of the entry are wrong",
        ));
    }
    Ok(())
}

/// Copies at most `most` bytes, and finds out whether there is one more.
fn pump(name: &str, from: &mut dyn Read, most: u64, to: &mut dyn Write) -> Result<(u32, u64)> {
    let mut crc = Crc::new();
    let mut size: u64 = 0;
    let mut piece = [0; 32 << 10];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok((crc.sum(), size)),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if is_damage(&error) => {
                return Err(PackageError::corrupt(name, "the entry cannot be unpacked"));
            }
            Err(error) => return Err(error.into()),
        };
        size += read as u64;
        if size > most {
            let message = "the entry is larger than it says";
            return Err(PackageError::corrupt(name, message).limit(most));
        }
        crc.update(&piece[..read]);
        to.write_all(&piece[..read])?;
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof
    )
}

/// A file that ends too early is no zip file.
fn truncated(error: PackageError) -> PackageError {
    use std::error::Error;
    let early = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|source| {
            matches!(
                source.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::InvalidInput
            )
        });
    if early {
        PackageError::bad_zip("the file is truncated")
    } else {
        error
    }
}

/// The end record is the last thing in the file, but for its comment.
fn find_directory<R: Source>(reader: &mut BufReader<R>) -> Result<Directory> {
    let length = reader.seek(SeekFrom::End(0))?;
    let no_zip = || PackageError::bad_zip("this is no zip file");
    let span = length.min(END_LEN + u64::from(u16::MAX));
    reader.seek(SeekFrom::Start(length - span))?;
    let mut tail = vec![0; span as usize];
    reader.read_exact(&mut tail)?;
    let last = tail
        .len()
        .checked_sub(END_LEN as usize)
        .ok_or_else(no_zip)?;
    let found = (0..=last).rev().find(|at| {
        u32_at(&tail, *at) == END
            && at + END_LEN as usize + usize::from(u16_at(&tail, at + 20)) == tail.len()
    });
    let at = found.ok_or_else(no_zip)?;
    let end = &tail[at..];
    let end_at = length - span + at as u64;
    let mut directory = Directory {
        count: u64::from(u16_at(end, 10)),
        start: u64::from(u32_at(end, 16)),
        end: 0,
    };
    let mut size = u64::from(u32_at(end, 12));
    let disks = [4, 6].map(|at| u16_at(end, at));
    if disks.iter().any(|disk| *disk != 0 && *disk != u16::MAX) || u16_at(end, 8) != u16_at(end, 10)
    {
        return Err(PackageError::bad_zip(
            "the zip file is split over several disks",
        ));
    }
    let mut limit = end_at;
    let is_wide = directory.count == u64::from(u16::MAX)
        || directory.start == u64::from(u32::MAX)
        || size == u64::from(u32::MAX);
    if is_wide && end_at >= LOCATOR_64_LEN {
        let mut locator = [0; LOCATOR_64_LEN as usize];
        reader.seek(SeekFrom::Start(end_at - LOCATOR_64_LEN))?;
        reader.read_exact(&mut locator)?;
        if u32_at(&locator, 0) == LOCATOR_64 {
            if u32_at(&locator, 4) != 0 || u32_at(&locator, 16) > 1 {
                return Err(PackageError::bad_zip(
                    "the zip file is split over several disks",
                ));
            }
            limit = u64_at(&locator, 8);
            let mut wide = [0; END_64_LEN as usize];
            reader.seek(SeekFrom::Start(limit))?;
            reader.read_exact(&mut wide)?;
            if u32_at(&wide, 0) != END_64 || u64_at(&wide, 24) != u64_at(&wide, 32) {
                return Err(PackageError::bad_zip("the end of the zip file is damaged"));
            }
            directory.count = u64_at(&wide, 32);
            size = u64_at(&wide, 40);
            directory.start = u64_at(&wide, 48);
        }
    }
    directory.end = directory
        .start
        .checked_add(size)
        .filter(|end| *end == limit)
        .ok_or_else(|| PackageError::bad_zip("the directory is not where it should be"))?;
    Ok(directory)
}

/// Fills in what the short fields could not hold; none if it is not there.
fn wide(extra: &[u8], fields: [&mut u64; 3]) -> Option<()> {
    let mut rest = extra;
    let mut values: &[u8] = &[];
    while rest.len() >= 4 {
        let (kind, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let content = rest.get(4..4 + length)?;
        if kind == 1 {
            values = content;
        }
        rest = &rest[4 + length..];
    }
    for field in fields {
        if *field == u64::from(u32::MAX) && !values.is_empty() {
            *field = u64_at(values.get(..8)?, 0);
            values = &values[8..];
        }
    }
    Some(())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Packer;
    use std::io::Cursor;

    fn packed(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut packer = Packer::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            packer.add(name, &mut &content[..]).expect("packed");
        }
        packer.finish().expect("packed").into_inner()
    }

    fn open(bytes: &[u8]) -> Result<Archive<Cursor<Vec<u8>>>> {
        Archive::open(Cursor::new(bytes.to_vec()), &Limits::PACKAGE)
    }

    fn code(bytes: &[u8]) -> &'static str {
        let opened = open(bytes).and_then(|mut archive| {
            let names: Vec<String> = archive.names().map(str::to_owned).collect();
            for name in names {
                archive.copy(&name, &mut io::sink())?;
            }
            Ok(())
        });
        opened.map_or_else(|error| error.code, |()| "ok")
    }

    /// Replaces bytes wherever they stand.
    fn swapped(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.to_vec();
        let mut at = 0;
        while at + from.len() <= bytes.len() {
            if &bytes[at..at + from.len()] == from {
                bytes[at..at + from.len()].copy_from_slice(to);
            }
            at += 1;
        }
        bytes
    }

    #[test]
    fn entries_come_back() {
        let text = "abc".repeat(10_000);
        let bytes = packed(&[("a", b""), ("b/c", text.as_bytes())]);
        let mut archive = open(&bytes).expect("a zip file");
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(archive.read("b/c", 1 << 20).expect("read"), text.as_bytes());
        assert_eq!(archive.read("a", 0).expect("read"), b"");
        assert_eq!(archive.read("b/c", 5).expect_err("large").limit, Some(5));
        assert!(bytes.len() < text.len() / 10);
    }

    #[test]
    fn damage_is_told() {
        let bytes = packed(&[("first", b"hello hello hello"), ("other", b"x")]);
        assert_eq!(code(&bytes), "ok");
        assert_eq!(code(b""), "bad_zip");
        assert_eq!(code(&[0; 200]), "bad_zip");
        for cut in [1, 10, 22, 40, bytes.len() - 1] {
            assert_eq!(code(&bytes[..bytes.len() - cut]), "bad_zip", "{cut}");
            assert_eq!(code(&bytes[cut..]), "bad_zip", "{cut}");
        }
        // A name in the directory alone, in both places twice, one that leads out.
        let at = bytes
            .windows(5)
            .rposition(|part| part == b"other")
            .expect("there");
        let mut other = bytes.clone();
        other[at..at + 5].copy_from_slice(b"third");
        assert_eq!(code(&other), "bad_zip");
        assert_eq!(code(&swapped(&bytes, b"other", b"first")), "unsafe_entry");
        assert_eq!(code(&swapped(&bytes, b"other", b"FIRST")), "unsafe_entry");
        assert_eq!(code(&swapped(&bytes, b"other", b"../xy")), "unsafe_entry");
        // Both entries at one place.
        let directory = bytes
            .windows(4)
            .rposition(|part| part == b"PK\x01\x02")
            .expect("there");
        let mut overlapping = bytes.clone();
        overlapping[directory + 42..directory + 46].copy_from_slice(&[0; 4]);
        assert_eq!(code(&overlapping), "bad_zip");
        // A wrong CRC, a larger size, encryption, another method, a link.
        for (offset, value, expected) in [
            (16, 0xAA, "corrupt_entry"),
            (24, 2, "corrupt_entry"),
            (8, 1, "bad_zip"),
            (10, 9, "bad_zip"),
            (41, 0xA1, "unsafe_entry"),
        ] {
            let mut bad = bytes.clone();
            bad[directory + offset] ^= value;
            bad[directory + 5] = 3;
            assert_eq!(code(&bad), expected, "{offset}");
        }
    }

    #[test]
    fn bombs_are_refused_before_they_are_unpacked() {
        let zeros = vec![0; 2 << 20];
        assert_eq!(code(&packed(&[("zeros", &zeros)])), "bomb");
        let few = Limits {
            entries: 1,
            ..Limits::PACKAGE
        };
        let two = packed(&[("a", b""), ("b", b"")]);
        let refused = Archive::open(Cursor::new(two), &few).map(|_| ());
        assert_eq!(refused.expect_err("too many").code, "bomb");
        let small = Limits {
            total: 5,
            ..Limits::PACKAGE
        };
        let bytes = packed(&[("a", b"123"), ("b", b"123")]);
        let refused = Archive::open(Cursor::new(bytes), &small).map(|_| ());
        assert_eq!(refused.expect_err("too large").code, "bomb");
        assert_eq!(code(&packed(&[("a", b"x"), ("a/b", b"x")])), "unsafe_entry");
    }
}
