//! An open segment: its blocks and bitmaps, each of which is looked at only if its checksum is right.
//!
//! `leaves` finds the leaf of a key, `terms` the rows of terms, `ids` those of ids and revisions, `flags` what
//! supersedes and deletes; `verify` reads all of it.

mod flags;
mod ids;
mod leaves;
mod terms;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use roaring::RoaringBitmap;

pub(super) use terms::skip_rows;

use super::block::{Entries, SUM, Span};
use super::cache::Cached;
use super::interior::Interior;
use super::{Cache, Damaged, TRAILER, Trailer};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{FolderFile, read_exact_at};
use crate::row_bytes::RowBytes;

/// Longest block or bitmap; longer ones were never written.
const MAX_SPAN: u32 = 1 << 30;
/// Trees are never higher.
const MAX_HEIGHT: u32 = 16;

/// Where the bytes of a segment are.
pub(crate) enum Bytes {
    Memory(Vec<u8>),
    File(Box<dyn FolderFile>),
}

/// An open segment.
pub(crate) struct Segment {
    /// Its file, or the one it will have.
    pub name: String,
    bytes: Bytes,
    trailer: Trailer,
    cache: Arc<Cache>,
    number: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Segment {
    /// Opens a segment by its last bytes; none if it is no segment of this
    /// format and generation.
    pub fn open(
        name: &str,
        bytes: Bytes,
        generation: [u8; 8],
        cache: &Arc<Cache>,
    ) -> Result<Option<Segment>> {
        let len = match &bytes {
            Bytes::Memory(bytes) => bytes.len() as u64,
            Bytes::File(file) => file.len().doing(|| format!("reading {name}"))?,
        };
        let Some(start) = len.checked_sub(TRAILER as u64) else {
            return Ok(None);
        };
        let mut end = [0; TRAILER];
        read(&bytes, start, &mut end).doing(|| format!("reading {name}"))?;
        let Some(trailer) = Trailer::decode(&end) else {
            return Ok(None);
        };
        let fits = trailer.generation == generation
            && trailer.first.checked_add(trailer.rows).is_some()
            && trailer.trees.iter().all(|tree| tree.height <= MAX_HEIGHT);
        Ok(fits.then(|| Segment {
            name: name.to_owned(),
            bytes,
            trailer,
            number: cache.new_file(),
            cache: Arc::clone(cache),
            len,
        }))
    }

    /// The first row.
    pub fn first(&self) -> u32 {
        self.trailer.first
    }

    /// The row behind the last one.
    pub fn end(&self) -> u32 {
        self.trailer.first + self.trailer.rows
    }

    /// Rows superseded by rows below this one are in the part of the past.
    pub fn split(&self) -> u32 {
        self.trailer.split
    }

    /// The bytes, if it has no file yet.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Memory(bytes) => Some(bytes),
            Bytes::File(_) => None,
        }
    }

    pub(super) fn damaged(&self, offset: u64) -> StoreError {
        StoreError::IndexDamaged {
            segment: self.name.clone(),
            offset,
        }
    }

    /// What lies at a place, if its checksum is right.
    fn load(&self, span: Span) -> Result<RowBytes> {
        let len = self.checked_len(span)?;
        let bytes = self.read(span.offset, len + SUM)?;
        self.checked(&bytes, 0, span)
    }

    /// The length of what lies at a place, if that is in the file.
    pub(super) fn checked_len(&self, span: Span) -> Result<usize> {
        let end = span.offset.checked_add(u64::from(span.len) + SUM as u64);
        if span.len > MAX_SPAN || end.is_none_or(|end| end > self.len) {
            return Err(self.damaged(span.offset));
        }
        Ok(span.len as usize)
    }

    /// So many bytes from a place on.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Arc<[u8]>> {
        RowBytes::filled(len, |bytes| {
            read(&self.bytes, offset, bytes).doing(|| format!("reading {}", self.name))
        })
    }

    /// What lies at a place, which begins at `from` in bytes that were read, if its checksum is right.
    pub(super) fn checked(&self, bytes: &Arc<[u8]>, from: usize, span: Span) -> Result<RowBytes> {
        let damaged = || self.damaged(span.offset);
        let len = span.len as usize;
        let body = RowBytes::part(bytes, from, len).ok_or_else(damaged)?;
        let sum = RowBytes::part(bytes, from + len, SUM).ok_or_else(damaged)?;
        match crc32c::crc32c(&body).to_le_bytes() == *sum {
            true => Ok(body),
            false => Err(damaged()),
        }
    }

    /// Reads entries of a block.
    pub(super) fn entries<'a, R>(
        &self,
        block: &'a [u8],
        at: Span,
        read: impl FnOnce(&mut Entries<'a>) -> std::result::Result<R, Damaged>,
    ) -> Result<R> {
        let entries = Entries::new(block).and_then(|mut entries| read(&mut entries));
        entries.map_err(|Damaged| self.damaged(at.offset))
    }

    pub(super) fn leaf(&self, span: Span) -> Result<RowBytes> {
        if let Some(Cached::Bytes(bytes)) = self.cache.get(self.number, span.offset) {
            return Ok(bytes);
        }
        let bytes = self.load(span)?;
        let cached = Cached::Bytes(bytes.clone());
        self.cache
            .put(self.number, span.offset, cached, bytes.len());
        Ok(bytes)
    }

    fn interior(&self, span: Span) -> Result<Arc<Interior>> {
        if let Some(Cached::Interior(block)) = self.cache.get(self.number, span.offset) {
            return Ok(block);
        }
        let bytes = self.load(span)?;
        let block = Arc::new(self.entries(&bytes, span, Interior::read)?);
        let cached = Cached::Interior(Arc::clone(&block));
        self.cache
            .put(self.number, span.offset, cached, block.size());
        Ok(block)
    }

    fn bitmap(&self, span: Span) -> Result<Arc<RoaringBitmap>> {
        if let Some(Cached::Rows(rows)) = self.cache.get(self.number, span.offset) {
            return Ok(rows);
        }
        let bytes = self.load(span)?;
        let rows = Arc::new(self.rows_of(&bytes, span)?);
        let cached = Cached::Rows(Arc::clone(&rows));
        self.cache
            .put(self.number, span.offset, cached, bytes.len());
        Ok(rows)
    }

    fn rows_of(&self, bytes: &[u8], at: Span) -> Result<RoaringBitmap> {
        RoaringBitmap::deserialize_from(bytes).map_err(|_| self.damaged(at.offset))
    }
}

fn read(bytes: &Bytes, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    match bytes {
        Bytes::File(file) => read_exact_at(&**file, offset, buffer),
        Bytes::Memory(all) => {
            let part = usize::try_from(offset)
                .ok()
                .and_then(|start| all.get(start..)?.get(..buffer.len()));
            buffer.copy_from_slice(part.ok_or(std::io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }
}
