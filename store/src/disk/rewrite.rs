//! Data files of a new generation, written row by row into a folder of their own.

use std::sync::Arc;

use mix_value::msgpack;
use roaring::RoaringBitmap;

use super::checkpoint::FLAGS_HEADER;
use crate::data;
use crate::error::{Doing, Result, StoreError};
use crate::fields;
use crate::folder::{Folder, FolderFile};
use crate::ids::draw;
use crate::raw;
use crate::state::State;
use crate::time::parse_time;

/// Rows are written in pieces of about this size.
const PIECE: usize = 1 << 20;

/// The growing files.
pub(crate) struct Rewrite {
    pub folder: Arc<dyn Folder>,
    dat: Box<dyn FolderFile>,
    off: Box<dyn FolderFile>,
    crc: Box<dyn FolderFile>,
    pending: Vec<u8>,
    offsets: Vec<u8>,
    sums: Vec<u8>,
    /// Rows and bytes, with those that are pending.
    rows: u32,
    dat_len: u64,
    time: i64,
}

impl Rewrite {
    /// Creates the files; there are none in the folder.
    pub fn new(folder: Arc<dyn Folder>) -> Result<Rewrite> {
        data::create_files(&*folder)?;
        let open = |name: &str| folder.open(name, true).doing(|| format!("opening {name}"));
        let (dat, off, crc) = (open(data::DAT)?, open(data::OFF)?, open(data::CRC)?);
        Ok(Rewrite {
            folder,
            dat,
            off,
            crc,
            pending: Vec::new(),
            offsets: Vec::new(),
            sums: Vec::new(),
            rows: 0,
            dat_len: 0,
            time: 0,
        })
    }

    /// Rows so far.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Bytes of all rows so far.
    pub fn dat_len(&self) -> u64 {
        self.dat_len
    }

    /// Appends a row with its new number in it.
    pub fn push(&mut self, body: &[u8]) -> Result<()> {
        let malformed = || StoreError::Corrupt("a row is no record".into());
        let body = raw::with_int(body, fields::ROW, i64::from(self.rows)).ok_or_else(malformed)?;
        if self.rows == u32::MAX {
            return Err(StoreError::DbFull("no more than 2^32-1 rows".into()));
        }
        let start = self.pending.len();
        data::write_row(&mut self.pending, &body);
        let framed = &self.pending[start..];
        self.offsets.extend(self.dat_len.to_le_bytes());
        self.sums.extend(crc32c::crc32c(framed).to_le_bytes());
        self.dat_len += framed.len() as u64;
        self.rows += 1;
        let time = raw::member(&body, fields::MODIFIED_AT)
            .and_then(|bytes| msgpack::decode(bytes).ok())
            .and_then(|text| parse_time(text.as_str()?));
        self.time = time.unwrap_or(self.time);
        if self.pending.len() >= PIECE {
            self.write_pending()?;
        }
        Ok(())
    }

    fn write_pending(&mut self) -> Result<()> {
        let rows = u64::from(self.rows) - (self.offsets.len() / 8) as u64;
        let start = self.dat_len - self.pending.len() as u64;
        for (name, file, at, bytes) in [
            (data::DAT, &self.dat, start, &mut self.pending),
            (data::OFF, &self.off, 4 + 8 * rows, &mut self.offsets),
            (data::CRC, &self.crc, 4 + 4 * rows, &mut self.sums),
        ] {
            file.write_at(at, bytes)
                .doing(|| format!("writing {name}"))?;
            bytes.clear();
        }
        Ok(())
    }

    /// Writes what is pending and makes the rows durable.
    pub fn sync(&mut self) -> Result<()> {
        self.write_pending()?;
        for (name, file) in [
            (data::DAT, &self.dat),
            (data::OFF, &self.off),
            (data::CRC, &self.crc),
        ] {
            file.sync().doing(|| format!("syncing {name}"))?;
        }
        Ok(())
    }

    /// The state of the rows so far, of a new generation.
    pub fn state(&self, fence: u64, sequence: u64, flags: String) -> Result<State> {
        Ok(State {
            fence,
            generation: draw()?,
            rows: self.rows,
            dat_len: self.dat_len,
            sequence,
            time: self.time,
            flags,
            segments: Vec::new(),
        })
    }
}

/// The bytes of a flags file.
pub(crate) fn flags_file(superseded: &RoaringBitmap, deleted: &RoaringBitmap) -> Result<Vec<u8>> {
    let mut bytes = FLAGS_HEADER.to_vec();
    for bitmap in [superseded, deleted] {
        append_bitmap(&mut bytes, bitmap)?;
    }
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    Ok(bytes)
}

/// Length and portable form of a bitmap.
pub(crate) fn append_bitmap(bytes: &mut Vec<u8>, bitmap: &RoaringBitmap) -> Result<()> {
    // A bitmap over u32 stays far below 4 GiB.
    bytes.extend((bitmap.serialized_size() as u32).to_le_bytes());
    bitmap
        .serialize_into(bytes)
        .doing(|| "writing a bitmap".into())
}
