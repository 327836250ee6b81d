//! Looking for an id or a revision, which most segments do not have: the filter tells of most of them.

use super::super::block::Span;
use super::super::cache::Cached;
use super::super::{Part, filter};
use super::Segment;
use crate::error::Result;
use crate::index::rows::Rows;
use crate::row_bytes::RowBytes;

/// Leaves of ids are kept of segments up to this size.
const SMALL: u64 = 4 << 20;

impl Segment {
    /// As [`Segment::get`] in both parts, of the term of an id or of a revision,
    /// which most segments do not have.
    /// `hash`: its [`filter_hash`](super::filter_hash).
    pub fn get_id(&self, term: &[u8], hash: u64, visit: &mut dyn FnMut(Rows<'_>)) -> Result<()> {
        let place = self.filter_place(hash);
        let known = self
            .cache
            .look(place.0, place.1, |chunk| self.filter_tells(chunk, hash));
        let may_have = match known.flatten() {
            Some(tells) => tells,
            None => self.filter_read(hash)?,
        };
        if may_have {
            // Ids are drawn at random: of many, the next one is in another leaf.
            let keep = self.len <= SMALL;
            for part in Part::BOTH {
                self.get_from(part, term, keep, visit)?;
            }
        }
        Ok(())
    }

    /// Where in the cache the part of the filter is that tells of a hash.
    pub fn filter_place(&self, hash: u64) -> (u64, u64) {
        let (chunk, _, _) = self.filter_part(hash);
        let first = (chunk * filter::CHUNK) as u64;
        let offset = self.trailer.filter.offset;
        (self.number, offset.saturating_add(first * filter::STRIDE))
    }

    /// Whether there may be a term with a hash, by what is at its place in the cache.
    pub fn filter_tells(&self, cached: &Cached, hash: u64) -> Option<bool> {
        match cached {
            // Without pages something else may lie there.
            Cached::Bytes(chunk) if self.trailer.filter.len > 0 => {
                Some(self.chunk_tells(chunk, hash))
            }
            _ => None,
        }
    }

    /// The chunk of the filter that tells of a hash, the page there, and the group in that.
    fn filter_part(&self, hash: u64) -> (usize, usize, usize) {
        let pages = self.trailer.filter.len as usize / filter::PAGE;
        let (page, group) = filter::place(hash, pages);
        (page / filter::CHUNK, page % filter::CHUNK, group)
    }

    fn chunk_tells(&self, chunk: &[u8], hash: u64) -> bool {
        let (_, page, group) = self.filter_part(hash);
        let page = chunk.get(page * filter::PAGE..).unwrap_or_default();
        filter::may_have(page, group, hash)
    }

    /// As [`Segment::filter_tells`] of what is not in the cache; from now on it is.
    fn filter_read(&self, hash: u64) -> Result<bool> {
        let pages = self.trailer.filter.len as usize / filter::PAGE;
        if pages == 0 {
            return Ok(false);
        }
        let chunk = self.filter_chunk(self.filter_part(hash).0, pages)?;
        Ok(self.chunk_tells(&chunk, hash))
    }

    /// Some pages of the filter, of so many, that are read and kept together.
    fn filter_chunk(&self, chunk: usize, pages: usize) -> Result<RowBytes> {
        let first = chunk * filter::CHUNK;
        let offset = self.filter_page(first as u64)?.offset;
        let mut bytes = Vec::with_capacity(filter::CHUNK * filter::PAGE);
        for page in first..pages.min(first + filter::CHUNK) {
            bytes.extend_from_slice(&self.load(self.filter_page(page as u64)?)?);
        }
        let bytes = RowBytes::from(bytes);
        let cached = Cached::Bytes(bytes.clone());
        self.cache.put(self.number, offset, cached, bytes.len());
        Ok(bytes)
    }

    pub(super) fn filter_page(&self, page: u64) -> Result<Span> {
        let start = self.trailer.filter.offset;
        let offset = start.checked_add(page * filter::STRIDE);
        Ok(Span {
            offset: offset.ok_or_else(|| self.damaged(start))?,
            len: filter::PAGE as u32,
        })
    }
}
