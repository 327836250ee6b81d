//! Reads a segment.

mod ids;

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::block::{Entries, SUM, Span};
use super::cache::Cached;
use super::interior::Interior;
use super::passing::Passing;
use super::{Cache, Damaged, FEW, HEADER, Part, TRAILER, Trailer, filter};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{FolderFile, read_exact_at};
use crate::index::rows::Rows;
use crate::row_bytes::RowBytes;

/// Longest block or bitmap; longer ones were never written.
const MAX_SPAN: u32 = 1 << 30;
/// Bytes of a bitmap without rows, which has nothing but a header.
const NO_ROWS: u32 = 8;
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

/// A leaf, and a key where another one begins.
type Found = (Span, Option<Arc<[u8]>>);

/// A leaf, and the block with the one behind it, with the number of that one there.
type Place = (Span, Option<(Arc<Interior>, usize)>);

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

    /// Rows that rows of this segment below `bound` superseded.
    pub fn superseded(&self, bound: u32) -> Result<Arc<RoaringBitmap>> {
        if bound >= self.end() {
            return self.bitmap(self.trailer.superseded);
        }
        let replaced = self.replaced()?;
        let below = replaced.iter().take_while(|(row, _)| *row < bound);
        Ok(Arc::new(below.map(|(_, previous)| *previous).collect()))
    }

    /// The rows that superseded others, and those others.
    pub fn replaced(&self) -> Result<Vec<(u32, u32)>> {
        let bytes = self.load(self.trailer.replaced)?;
        let pairs = bytes.as_chunks::<8>().0.iter().map(|pair| {
            let [a, b, c, d, e, f, g, h] = *pair;
            (
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            )
        });
        Ok(pairs.collect())
    }

    /// Whether a row is a tombstone.
    pub fn is_tombstone(&self, row: u32) -> Result<bool> {
        if self.trailer.tombstones.len <= NO_ROWS {
            return Ok(false);
        }
        Ok(self.tombstones()?.contains(row))
    }

    /// The tombstones of the segment.
    pub fn tombstones(&self) -> Result<Arc<RoaringBitmap>> {
        self.bitmap(self.trailer.tombstones)
    }

    /// The leaf that holds the first term at or after `key`, if there is one,
    /// and the first key of the leaf behind it.
    pub(super) fn descend(&self, part: Part, key: &[u8]) -> Result<Option<Found>> {
        let place = self.place(part, key)?;
        Ok(place.map(|(span, next)| {
            let next = next.map(|(block, at)| block.first(at).into());
            (span, next)
        }))
    }

    fn place(&self, part: Part, key: &[u8]) -> Result<Option<Place>> {
        let tree = self.trailer.trees[part as usize];
        if tree.height == 0 {
            return Ok(None);
        }
        let (mut span, mut next) = (tree.root, None);
        for _ in 1..tree.height {
            let block = self.interior(span)?;
            // A key before all others belongs into the first block.
            let at = block.count_up_to(key).saturating_sub(1);
            span = block.child(at);
            if at + 1 < block.len() {
                next = Some((block, at + 1));
            }
        }
        Ok(Some((span, next)))
    }

    /// The leaf that holds a term, if any does.
    fn leaf_of(&self, part: Part, term: &[u8]) -> Result<Option<Span>> {
        let tree = self.trailer.trees[part as usize];
        if tree.height == 0 {
            return Ok(None);
        }
        let child = |block: &Interior| block.child(block.count_up_to(term).saturating_sub(1));
        let mut span = tree.root;
        for _ in 1..tree.height {
            let known = self
                .cache
                .look(self.number, span.offset, |cached| match cached {
                    Cached::Interior(block) => Some(child(block)),
                    _ => None,
                });
            span = match known.flatten() {
                Some(span) => span,
                None => child(&*self.interior(span)?),
            };
        }
        Ok(Some(span))
    }

    /// The leaf with the last term before `key`, and its own first key, if it
    /// is known; none if all terms are beyond.
    pub(super) fn last_leaf(&self, part: Part, key: &[u8]) -> Result<Option<Found>> {
        let tree = self.trailer.trees[part as usize];
        if tree.height == 0 {
            return Ok(None);
        }
        let (mut span, mut first) = (tree.root, None);
        for level in 1..tree.height {
            let block = self.interior(span)?;
            let Some(at) = block.count_below(key).checked_sub(1) else {
                return Ok(None);
            };
            if level + 1 == tree.height {
                first = Some(block.first(at).into());
            }
            span = block.child(at);
        }
        Ok(Some((span, first)))
    }

    /// The rows of a term.
    pub fn get(&self, part: Part, term: &[u8], visit: &mut dyn FnMut(Rows<'_>)) -> Result<()> {
        self.get_from(part, term, true, visit)
    }

    /// The rows of a term; `keep`: its leaf is kept in the cache.
    fn get_from(
        &self,
        part: Part,
        term: &[u8],
        keep: bool,
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        let Some(span) = self.leaf_of(part, term)? else {
            return Ok(());
        };
        let block = match keep {
            true => self.leaf(span)?,
            false => self.load(span)?,
        };
        let payload = self.entries(&block, span, |entries| {
            let found = entries.find(term, skip_rows)?;
            Ok(found.then(|| entries.position()))
        })?;
        match payload {
            Some(payload) => self.rows_at(&block, payload, span, None, visit),
            None => Ok(()),
        }
    }

    /// Whether there is a term in `from..to`.
    pub fn has_between(&self, part: Part, from: &[u8], to: &[u8]) -> Result<bool> {
        let mut start: Arc<[u8]> = from.into();
        while let Some((span, next)) = self.descend(part, &start)? {
            let block = self.leaf(span)?;
            let found = self.entries(&block, span, |entries| {
                entries.seek(from, skip_rows)?;
                if entries.is_done() {
                    return Ok(None);
                }
                entries.next_key()?;
                Ok(Some(*entries.key < *to))
            })?;
            match (found, next) {
                (Some(found), _) => return Ok(found),
                (None, Some(next)) if *next < *to => start = self.further(&start, next, span)?,
                (None, _) => break,
            }
        }
        Ok(false)
    }

    /// Shows rows whose payload is at a place in a leaf; `passing`: long lists are read with it.
    pub(super) fn rows_at(
        &self,
        block: &[u8],
        payload: usize,
        at: Span,
        passing: Option<&mut Passing>,
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        let mut entries = Entries::new(block).map_err(|Damaged| self.damaged(at.offset))?;
        entries
            .go_to(payload)
            .map_err(|Damaged| self.damaged(at.offset))?;
        match passing {
            None => self.rows(&mut entries, at, visit),
            Some(passing) => self.rows_with(&mut entries, at, visit, |span| {
                Ok(Arc::new(self.rows_of(&passing.list(self, span)?, span)?))
            }),
        }
    }

    fn rows(
        &self,
        entries: &mut Entries<'_>,
        at: Span,
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        self.rows_with(entries, at, visit, |span| self.bitmap(span))
    }

    fn rows_with(
        &self,
        entries: &mut Entries<'_>,
        at: Span,
        visit: &mut dyn FnMut(Rows<'_>),
        list: impl FnOnce(Span) -> Result<Arc<RoaringBitmap>>,
    ) -> Result<()> {
        let broken = |Damaged| self.damaged(at.offset);
        let count = entries.number().map_err(broken)? as usize;
        if count > FEW {
            let span = entries.span().map_err(broken)?;
            visit(Rows::Many(&*list(span)?));
            return Ok(());
        }
        let mut few = [0; FEW];
        let mut row = self.trailer.first;
        for slot in &mut few[..count] {
            let gap = entries.number().map_err(broken)?;
            row = u32::try_from(gap)
                .ok()
                .and_then(|gap| row.checked_add(gap))
                .ok_or_else(|| self.damaged(at.offset))?;
            *slot = row;
        }
        visit(Rows::Few(&few[..count]));
        Ok(())
    }

    /// The rows of all terms of `from..to`; short lists of several terms come together.
    pub fn rows_between(
        &self,
        part: Part,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(Rows<'_>),
    ) -> Result<()> {
        let mut few = Vec::new();
        let mut start: Arc<[u8]> = from.into();
        while let Some((span, next)) = self.descend(part, &start)? {
            let block = self.leaf(span)?;
            let broken = |Damaged| self.damaged(span.offset);
            // Keys are compared at the two ends alone.
            let whole = next.as_ref().is_some_and(|next| **next <= *to);
            let end = self.entries(&block, span, |entries| {
                if whole {
                    return Ok(usize::MAX);
                }
                entries.seek(to, skip_rows)?;
                Ok(entries.position())
            })?;
            let mut entries = Entries::new(&block).map_err(broken)?;
            entries.seek(&start, skip_rows).map_err(broken)?;
            while !entries.is_done() && entries.position() < end {
                entries.skip_key().map_err(broken)?;
                let count = entries.number().map_err(broken)? as usize;
                if count > FEW {
                    let list = entries.span().map_err(broken)?;
                    visit(Rows::Many(&*self.bitmap(list)?));
                } else {
                    self.few_rows(&mut entries, count, &mut few)
                        .map_err(broken)?;
                }
            }
            visit(Rows::Few(&few));
            few.clear();
            match next {
                Some(next) if *next < *to => start = self.further(&start, next, span)?,
                _ => break,
            }
        }
        Ok(())
    }

    /// Appends a list of so many rows that stands beside its term.
    #[inline]
    fn few_rows(
        &self,
        entries: &mut Entries<'_>,
        count: usize,
        rows: &mut Vec<u32>,
    ) -> std::result::Result<(), Damaged> {
        let mut row = self.trailer.first;
        for _ in 0..count {
            let gap = u32::try_from(entries.number()?).map_err(|_| Damaged)?;
            row = row.checked_add(gap).ok_or(Damaged)?;
            rows.push(row);
        }
        Ok(())
    }

    /// All terms of `from..to` that pass `keep`, with their rows.
    pub fn scan(
        &self,
        part: Part,
        from: &[u8],
        to: &[u8],
        keep: &mut dyn FnMut(&[u8]) -> bool,
        visit: &mut dyn FnMut(&[u8], Rows<'_>),
    ) -> Result<()> {
        let mut start: Arc<[u8]> = from.into();
        while let Some((span, next)) = self.descend(part, &start)? {
            let block = self.leaf(span)?;
            let broken = |Damaged| self.damaged(span.offset);
            let mut entries = Entries::new(&block).map_err(broken)?;
            entries.seek(&start, skip_rows).map_err(broken)?;
            while !entries.is_done() {
                entries.next_key().map_err(broken)?;
                if *entries.key >= *to {
                    return Ok(());
                }
                if !keep(&entries.key) {
                    skip_rows(&mut entries).map_err(broken)?;
                    continue;
                }
                let key = std::mem::take(&mut entries.key);
                self.rows(&mut entries, span, &mut |rows| visit(&key, rows))?;
                entries.key = key;
            }
            match next {
                Some(next) if *next < *to => start = self.further(&start, next, span)?,
                _ => break,
            }
        }
        Ok(())
    }

    /// The first key of the next leaf, which is behind the present one in every good segment.
    fn further(&self, start: &[u8], next: Arc<[u8]>, span: Span) -> Result<Arc<[u8]>> {
        if *next > *start {
            Ok(next)
        } else {
            Err(self.damaged(span.offset))
        }
    }

    /// Reads every block and bitmap; the offset of the first that is damaged.
    pub fn verify(&self) -> Result<()> {
        let mut start = [0; HEADER.len()];
        read(&self.bytes, 0, &mut start).doing(|| format!("reading {}", self.name))?;
        if start != HEADER {
            return Err(self.damaged(0));
        }
        for part in Part::BOTH {
            let mut before: Option<Vec<u8>> = None;
            let mut disorder = false;
            let mut count = 0;
            self.scan(part, &[], &[0xff; 8], &mut |_| true, &mut |term, _| {
                disorder |= before.as_deref().is_some_and(|before| before >= term);
                before = Some(term.to_vec());
                count += 1;
            })?;
            let tree = self.trailer.trees[part as usize];
            if disorder || count != tree.terms {
                return Err(self.damaged(tree.root.offset));
            }
        }
        for page in 0..u64::from(self.trailer.filter.len) / filter::PAGE as u64 {
            self.load(self.filter_page(page)?)?;
        }
        self.replaced()?;
        self.bitmap(self.trailer.superseded)?;
        self.tombstones()?;
        Ok(())
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

pub(super) fn skip_rows(entries: &mut Entries<'_>) -> std::result::Result<(), Damaged> {
    let count = entries.number()? as usize;
    if count > FEW {
        entries.span()?;
    } else {
        for _ in 0..count {
            entries.number()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::segment::{SegmentWriter, Sink, TermCursor};

    const GENERATION: [u8; 8] = *b"k3f9a0Zq";

    fn term(number: u32) -> Vec<u8> {
        format!("term {number:06}").into_bytes()
    }

    /// A segment of several levels; the term of number n has n % 40 + 1 rows.
    fn segment(terms: u32) -> Segment {
        let sink = Sink::Memory(Vec::new());
        let mut writer = SegmentWriter::new(sink, GENERATION, 5, 100, 105).expect("memory");
        for number in 0..terms {
            let rows: Vec<u32> = (5..6 + number % 40).collect();
            let part = if number % 3 == 0 {
                Part::Past
            } else {
                Part::Present
            };
            writer
                .add(part, &term(number), Rows::Few(&rows))
                .expect("memory");
        }
        let Ok(Sink::Memory(bytes)) = writer.finish(&[(7, 3)], &RoaringBitmap::new()) else {
            panic!("not in memory");
        };
        let cache = Arc::new(Cache::new(1 << 20));
        let opened = Segment::open("idx-5-100.seg", Bytes::Memory(bytes), GENERATION, &cache);
        opened.expect("memory").expect("a segment")
    }

    #[test]
    fn terms_are_found_in_trees_of_every_height() {
        for terms in [0, 1, 2, 300, 3_000, 60_000] {
            let segment = segment(terms);
            segment.verify().expect("as it was written");
            let mut seen = 0;
            for part in Part::BOTH {
                segment
                    .scan(part, b"", b"u", &mut |_| true, &mut |found, rows| {
                        let number: u32 = std::str::from_utf8(&found[5..])
                            .expect("digits")
                            .parse()
                            .expect("a number");
                        assert_eq!(rows.to_bitmap().len(), u64::from(number % 40 + 1));
                        seen += 1;
                    })
                    .expect("reads");
            }
            assert_eq!(seen, terms);
            for number in (0..terms).step_by(97) {
                let mut found = RoaringBitmap::new();
                for part in Part::BOTH {
                    let add = &mut |rows: Rows<'_>| found |= rows.to_bitmap();
                    segment.get(part, &term(number), add).expect("reads");
                }
                assert_eq!(found.len(), u64::from(number % 40 + 1));
            }
        }
    }

    #[test]
    fn cursors_go_through_a_range_from_both_ends() {
        for terms in [0, 1, 40, 3_000, 60_000] {
            let segment = Arc::new(segment(terms));
            let here: Vec<u32> = (0..terms).filter(|number| number % 3 != 0).collect();
            for (from, to) in [
                (0, terms),
                (terms / 8, terms / 3 * 2),
                (7, 8),
                (8, 7),
                (2, terms + 9),
            ] {
                let wanted: Vec<u32> = here
                    .iter()
                    .copied()
                    .filter(|number| (from..to).contains(number))
                    .collect();
                for descending in [false, true] {
                    let mut cursor = TermCursor::new(
                        Arc::clone(&segment),
                        Part::Present,
                        &term(from).into(),
                        &term(to).into(),
                        descending,
                    );
                    let mut found = Vec::new();
                    while cursor.fill().expect("reads") {
                        let name = cursor.term().expect("is there").to_vec();
                        let number: u32 = std::str::from_utf8(&name[5..])
                            .expect("digits")
                            .parse()
                            .expect("a number");
                        cursor
                            .rows(&mut |rows| {
                                assert_eq!(rows.to_bitmap().len(), u64::from(number % 40 + 1));
                            })
                            .expect("reads");
                        found.push(number);
                        cursor.advance();
                    }
                    if descending {
                        found.reverse();
                    }
                    assert_eq!(found, wanted, "{from}..{to} of {terms}");
                }
                let mut count = 0;
                let (low, high) = (term(from), term(to.max(from)));
                segment
                    .rows_between(Part::Present, &low, &high, &mut |rows| {
                        count += match rows {
                            Rows::Few(rows) => rows.len() as u64,
                            Rows::Many(rows) => rows.len(),
                        };
                    })
                    .expect("reads");
                let rows = wanted.iter().map(|number| u64::from(number % 40 + 1));
                assert_eq!(count, rows.sum::<u64>(), "{from}..{to} of {terms}");
                let any = segment.has_between(Part::Present, &term(from), &term(to.max(from)));
                assert_eq!(
                    any.expect("reads"),
                    !wanted.is_empty(),
                    "{from}..{to} of {terms}"
                );
            }
        }
    }
}
