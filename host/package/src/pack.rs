//! Writes a zip file: equal input gives equal bytes.

use crate::error::{PackageError, Result};
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use std::io::{Read, Seek, SeekFrom, Write};

/// 1980-01-01.
const DATE: u16 = 1 << 5 | 1;
/// What a reader must know: deflate.
const VERSION: u16 = 20;
/// What a reader must know: 64-bit places.
const VERSION_64: u16 = 45;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
const SHORT: u64 = u32::MAX as u64;

/// A zip file that is being written.
pub struct Packer<W: Write + Seek> {
    out: W,
    at: u64,
    entries: Vec<Packed>,
}

struct Packed {
    name: String,
    crc: u32,
    packed: u64,
    size: u64,
    header: u64,
}

impl<W: Write + Seek> Packer<W> {
    /// Begins at the start of `out`.
    pub fn new(out: W) -> Packer<W> {
        Packer {
            out,
            at: 0,
            entries: Vec::new(),
        }
    }

    /// Adds an entry and says how many bytes it had.
    pub fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<u64> {
        let header = self.at;
        let mut entry = Packed {
            name: name.to_owned(),
            crc: 0,
            packed: 0,
            size: 0,
            header,
        };
        self.put(&local(&entry))?;
        let start = self.at;
        let mut crc = Crc::new();
        let mut encoder = DeflateEncoder::new(&mut self.out, Compression::default());
        let mut piece = [0; 32 << 10];
        loop {
            let read = content.read(&mut piece)?;
            if read == 0 {
                break;
            }
            crc.update(&piece[..read]);
            entry.size += read as u64;
            encoder.write_all(&piece[..read])?;
        }
        encoder.try_finish()?;
        entry.packed = encoder.total_out();
        drop(encoder);
        entry.crc = crc.sum();
        if entry.size >= SHORT || entry.packed >= SHORT {
            return Err(PackageError::new("bomb", "an entry has more than 4 GiB")
                .at(name)
                .limit(SHORT));
        }
        self.at = start + entry.packed;
        self.out.seek(SeekFrom::Start(header))?;
        self.out.write_all(&local(&entry))?;
        self.out.seek(SeekFrom::Start(self.at))?;
        let size = entry.size;
        self.entries.push(entry);
        Ok(size)
    }

    /// Writes the directory.
    pub fn finish(mut self) -> Result<W> {
        let start = self.at;
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            self.put(&central(entry))?;
        }
        let (size, count) = (self.at - start, entries.len() as u64);
        if count >= u64::from(u16::MAX) || start >= SHORT || size >= SHORT {
            let end = self.at;
            let mut wide = Vec::new();
            wide.extend(0x0606_4b50u32.to_le_bytes());
            wide.extend(44u64.to_le_bytes());
            wide.extend(VERSION_64.to_le_bytes());
            wide.extend(VERSION_64.to_le_bytes());
            wide.extend([0; 8]);
            for number in [count, count, size, start] {
                wide.extend(number.to_le_bytes());
            }
            wide.extend(0x0706_4b50u32.to_le_bytes());
            wide.extend([0; 4]);
            wide.extend(end.to_le_bytes());
            wide.extend(1u32.to_le_bytes());
            self.put(&wide)?;
        }
        let mut end = Vec::new();
        end.extend(0x0605_4b50u32.to_le_bytes());
        end.extend([0; 4]);
        let short_count = count.min(u64::from(u16::MAX)) as u16;
        end.extend(short_count.to_le_bytes());
        end.extend(short_count.to_le_bytes());
        end.extend((size.min(SHORT) as u32).to_le_bytes());
        end.extend((start.min(SHORT) as u32).to_le_bytes());
        end.extend([0; 2]);
        self.put(&end)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// Flags, method, time, date, CRC, sizes and the length of the name: the same in both headers.
fn common(entry: &Packed) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(UTF8.to_le_bytes());
    bytes.extend(8u16.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(DATE.to_le_bytes());
    bytes.extend(entry.crc.to_le_bytes());
    bytes.extend((entry.packed as u32).to_le_bytes());
    bytes.extend((entry.size as u32).to_le_bytes());
    bytes.extend((entry.name.len() as u16).to_le_bytes());
    bytes
}

fn local(entry: &Packed) -> Vec<u8> {
    let mut bytes = 0x0403_4b50u32.to_le_bytes().to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(common(entry));
    bytes.extend([0; 2]);
    bytes.extend(entry.name.as_bytes());
    bytes
}

fn central(entry: &Packed) -> Vec<u8> {
    let is_far = entry.header >= SHORT;
    let version = if is_far { VERSION_64 } else { VERSION };
    let mut bytes = 0x0201_4b50u32.to_le_bytes().to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(version.to_le_bytes());
    bytes.extend(common(entry));
    bytes.extend((if is_far { 12u16 } else { 0 }).to_le_bytes());
    bytes.extend([0; 10]);
    bytes.extend((entry.header.min(SHORT) as u32).to_le_bytes());
    bytes.extend(entry.name.as_bytes());
    if is_far {
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(8u16.to_le_bytes());
        bytes.extend(entry.header.to_le_bytes());
    }
    bytes
}
