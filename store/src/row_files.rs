//! `db.dat`, `db.off` and `db.crc`, read page by page through a bounded cache.

mod places;

use std::io;
use std::sync::Arc;

use crate::data::{CRC, CRC_HEADER, DAT, OFF, OFF_HEADER, checked_body};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, FolderFile, read_exact_at};
use crate::index::segment::{Cache, Cached};
use crate::row_bytes::RowBytes;
pub(crate) use places::Places;

/// Bytes of a file that are read at once.
const PAGE: u64 = 8 << 10;
/// So many rows are read and checked at once, if they are small.
pub(crate) const BLOCK: u32 = 16;
/// Rows that take more bytes together are read one by one.
const BLOCK_BYTES: u64 = 64 << 10;

/// Where a row lies in `db.dat`, its length with what stands before its body, and its checksum.
type Place = (u64, u32, u32);

/// The files of the rows.
pub(crate) struct RowFiles {
    files: [(Box<dyn FolderFile>, &'static str, u64); 3],
    cache: Arc<Cache>,
    /// The number of the blocks in the cache.
    blocks: u64,
    /// And that of rows that were read alone.
    alone: u64,
    /// And that of the places of rows.
    places: u64,
}

/// Neighbouring rows, checked.
pub(crate) struct RowBlock {
    bytes: Arc<[u8]>,
    /// The first row.
    first: u32,
    /// Where the body of each row lies, and its length.
    bodies: Vec<(u32, u32)>,
}

impl RowFiles {
    /// Opens `db.dat`, `db.off` and `db.crc`, and checks that they are as long
    /// as `rows` rows of `end` bytes.
    pub fn open(folder: &dyn Folder, rows: u32, end: u64, cache: Arc<Cache>) -> Result<RowFiles> {
        let short =
            |name: &str| StoreError::Corrupt(format!("{name} is too short for {rows} rows"));
        let open = |name: &'static str, header: &[u8], len: u64| {
            let file = match folder.open(name, false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(short(name)),
                other => other.doing(|| format!("opening {name}"))?,
            };
            if file.len().doing(|| format!("reading {name}"))? < len {
                return Err(short(name));
            }
            let mut start = vec![0; header.len()];
            read_exact_at(&*file, 0, &mut start).doing(|| format!("reading {name}"))?;
            if start != header {
                return Err(StoreError::Corrupt(format!("{name} has a wrong header")));
            }
            Ok((file, name, cache.new_file()))
        };
        let rows = u64::from(rows);
        let files = [
            open(DAT, &[], end)?,
            open(OFF, &OFF_HEADER, 4 + 8 * rows)?,
            open(CRC, &CRC_HEADER, 4 + 4 * rows)?,
        ];
        if rows == 0 && end != 0 {
            return Err(StoreError::Corrupt("data without rows".into()));
        }
        Ok(RowFiles {
            files,
            blocks: cache.new_file(),
            alone: cache.new_file(),
            places: cache.new_file(),
            cache,
        })
    }

    /// Bytes of `db.off` or `db.crc`, of which `valid` bytes are known to be good.
    fn read(&self, file: usize, offset: u64, out: &mut [u8], valid: u64) -> Result<()> {
        let (handle, name, number) = &self.files[file];
        let end = offset + out.len() as u64;
        if end > valid {
            return Err(StoreError::Corrupt(format!("{name} is too short")));
        }
        if out.len() as u64 > 4 * PAGE {
            return read_exact_at(&**handle, offset, out).doing(|| format!("reading {name}"));
        }
        let mut at = offset;
        while at < end {
            let page = at / PAGE * PAGE;
            let until = (page + PAGE).min(end);
            let wanted = (at - page) as usize..(until - page) as usize;
            let cached = match self.cache.get(*number, page) {
                // The last page of a file grows.
                Some(Cached::Bytes(bytes)) if bytes.len() >= wanted.end => bytes,
                _ => {
                    let len = (valid.min(page + PAGE) - page) as usize;
                    let bytes = RowBytes::filled(len, |bytes| {
                        read_exact_at(&**handle, page, bytes).doing(|| format!("reading {name}"))
                    })?;
                    let bytes = RowBytes::from(bytes);
                    let cached = Cached::Bytes(bytes.clone());
                    self.cache.put(*number, page, cached, bytes.len());
                    bytes
                }
            };
            let to = (at - offset) as usize;
            out[to..to + wanted.len()].copy_from_slice(&cached[wanted]);
            at = until;
        }
        Ok(())
    }

    /// Bytes of a file that are not kept: what is made of them is.
    fn read_once(&self, file: usize, offset: u64, out: &mut [u8]) -> Result<()> {
        let (handle, name, _) = &self.files[file];
        read_exact_at(&**handle, offset, out).doing(|| format!("reading {name}"))
    }

    /// Start of a row, of `rows`.
    pub fn start(&self, row: u32, rows: u32) -> Result<u64> {
        let mut bytes = [0; 8];
        let valid = 4 + 8 * u64::from(rows);
        self.read(1, 4 + 8 * u64::from(row), &mut bytes, valid)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Place, length and checksum of a row, of `rows` that take `end` bytes.
    pub fn place(&self, row: u32, rows: u32, end: u64) -> Result<Place> {
        let wrong = || StoreError::Corrupt(format!("row {row} has a wrong offset"));
        let start = self.start(row, rows)?;
        let next = if row + 1 < rows {
            self.start(row + 1, rows)?
        } else {
            end
        };
        let len = next
            .checked_sub(start)
            .filter(|len| *len > 0 && next <= end && (row > 0 || start == 0))
            .and_then(|len| u32::try_from(len).ok())
            .ok_or_else(wrong)?;
        let mut crc = [0; 4];
        let valid = 4 + 4 * u64::from(rows);
        self.read(2, 4 + 4 * u64::from(row), &mut crc, valid)?;
        Ok((start, len, u32::from_le_bytes(crc)))
    }

    /// As [`RowFiles::place`], of a row far from those read before: where there are so many rows that
    /// their places do not all fit into the cache, what would be read around this one is not kept, so
    /// that it pushes nothing out.
    fn place_alone(&self, row: u32, rows: u32, end: u64) -> Result<Place> {
        let wrong = || StoreError::Corrupt(format!("row {row} has a wrong offset"));
        if row >= rows {
            return Err(wrong());
        }
        let (group, at) = (row / Places::ROWS, row % Places::ROWS);
        if let Some(place) = self.kept(group, rows, end, |places| places.get(at))? {
            return Ok(place);
        }
        let mut starts = [0; 16];
        let known = if row + 1 < rows { 16 } else { 8 };
        self.read_once(1, 4 + 8 * u64::from(row), &mut starts[..known])?;
        let mut sum = [0; 4];
        self.read_once(2, 4 + 4 * u64::from(row), &mut sum)?;
        let start = u64::from_le_bytes(*starts.first_chunk().unwrap_or(&[0; 8]));
        let next = match starts.last_chunk() {
            Some(next) if row + 1 < rows => u64::from_le_bytes(*next),
            _ => end,
        };
        let len = next
            .checked_sub(start)
            .filter(|len| *len > 0 && next <= end && (row > 0 || start == 0))
            .and_then(|len| u32::try_from(len).ok())
            .ok_or_else(wrong)?;
        Ok((start, len, u32::from_le_bytes(sum)))
    }

    /// What `look` finds in the places of a group of rows, of `rows`, which are read if they are not
    /// there or are of fewer rows; none if it finds nothing in them, or if they are not kept.
    fn kept<R>(
        &self,
        group: u32,
        rows: u32,
        end: u64,
        look: impl Fn(&Places) -> Option<Option<R>>,
    ) -> Result<Option<R>> {
        if !self.cache.has_room(Places::size_of(rows)) {
            return Ok(None);
        }
        let known = self
            .cache
            .look(self.places, u64::from(group), |cached| match cached {
                Cached::Places(places) => look(places),
                _ => None,
            });
        match known.flatten() {
            Some(found) => Ok(found),
            None => Ok(look(&self.read_places(group, rows, end)?).flatten()),
        }
    }

    /// Reads and keeps the places of a group of rows, of `rows`.
    fn read_places(&self, group: u32, rows: u32, end: u64) -> Result<Places> {
        let first = group * Places::ROWS;
        let count = rows.saturating_sub(first).min(Places::ROWS) as usize;
        // One more start, but behind the last row.
        let more = usize::from((first as usize + count) < rows as usize);
        let mut offsets = vec![0; 8 * (count + more)];
        self.read_once(1, 4 + 8 * u64::from(first), &mut offsets)?;
        let mut sums = vec![0; 4 * count];
        self.read_once(2, 4 + 4 * u64::from(first), &mut sums)?;
        let starts = offsets.as_chunks::<8>().0.iter();
        let starts: Vec<u64> = starts
            .map(|bytes| u64::from_le_bytes(*bytes))
            .chain((more == 0).then_some(end))
            .collect();
        let sums = sums.as_chunks::<4>().0.iter();
        let sums: Vec<u32> = sums.map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let places = Places::new(first, &starts, &sums, end);
        let cached = Cached::Places(places.clone());
        let size = Places::size_of(count as u32) as usize;
        self.cache.put(self.places, u64::from(group), cached, size);
        Ok(places)
    }

    /// The body at a place, checked.
    pub fn body(&self, row: u32, place: Place, end: u64) -> Result<RowBytes> {
        let (start, len, crc) = place;
        if start
            .checked_add(u64::from(len))
            .is_none_or(|next| next > end)
        {
            return Err(StoreError::Corrupt(format!("{DAT} is too short")));
        }
        let framed = RowBytes::filled(len as usize, |bytes| self.read_once(0, start, bytes))?;
        let body = checked_body(row, &framed, crc)?.len();
        let from = framed.len() - body;
        RowBytes::part(&framed, from, body)
            .ok_or_else(|| StoreError::Corrupt(format!("row {row} has a wrong length")))
    }

    /// The body of a row, if it is in the cache.
    pub fn known(&self, row: u32) -> Option<RowBytes> {
        let alone = (self.alone, u64::from(row));
        match self
            .cache
            .get_either(alone, (self.blocks, u64::from(row / BLOCK)))
        {
            Some(Cached::Bytes(body)) => Some(body),
            Some(Cached::Block(cached)) => cached.body(row),
            _ => None,
        }
    }

    /// Keeps a row of a block that is not kept, in memory of its own.
    pub fn keep(&self, row: u32, body: &RowBytes) {
        let cached = || Cached::Bytes(Arc::<[u8]>::from(&**body).into());
        self.cache
            .put_again(self.alone, u64::from(row), cached, body.len());
    }

    /// The body of a row, of `rows` that take `end` bytes, checked.
    pub fn row(&self, row: u32, rows: u32, end: u64) -> Result<RowBytes> {
        if let Some(body) = self.known(row) {
            return Ok(body);
        }
        let body = self.body(row, self.place_alone(row, rows, end)?, end)?;
        let cached = || Cached::Bytes(body.clone());
        self.cache
            .put_again(self.alone, u64::from(row), cached, body.len());
        Ok(body)
    }

    /// The block of a row, of `rows` that take `end` bytes; none if it has none.
    /// `keep`: it goes into the cache as a whole.
    pub fn block_of(
        &self,
        row: u32,
        rows: u32,
        end: u64,
        keep: bool,
    ) -> Result<Option<Arc<RowBlock>>> {
        let number = row / BLOCK;
        if let Some(Cached::Block(cached)) = self.cache.get(self.blocks, u64::from(number))
            && cached.contains(row)
        {
            return Ok(Some(cached));
        }
        let Some(read) = self.block(number, rows, end)? else {
            return Ok(None);
        };
        let read = Arc::new(read);
        if keep {
            let cached = Cached::Block(Arc::clone(&read));
            let size = read.bytes.len() + size_of::<RowBlock>();
            self.cache.put(self.blocks, u64::from(number), cached, size);
        }
        Ok(Some(read))
    }

    /// Where so many rows begin, from the first one of a block on, and where the last one ends; and
    /// their checksums.
    fn places_of_block(
        &self,
        first: u32,
        count: usize,
        rows: u32,
        end: u64,
    ) -> Result<(Vec<u64>, Vec<u32>)> {
        let (group, at) = (first / Places::ROWS, first % Places::ROWS);
        if let Some(found) = self.kept(group, rows, end, |places| places.block(at, count))? {
            return Ok(found);
        }
        // One more start, but behind the last row.
        let known = count + usize::from(first as u64 + (count as u64) < u64::from(rows));
        let mut offsets = [0; 8 * (BLOCK as usize + 1)];
        let offsets = &mut offsets[..8 * known];
        let valid = 4 + 8 * u64::from(rows);
        self.read(1, 4 + 8 * u64::from(first), offsets, valid)?;
        let mut sums = [0; 4 * BLOCK as usize];
        let sums = &mut sums[..4 * count];
        let valid = 4 + 4 * u64::from(rows);
        self.read(2, 4 + 4 * u64::from(first), sums, valid)?;
        let offsets = offsets.as_chunks::<8>().0.iter();
        let sums = sums.as_chunks::<4>().0.iter();
        let starts = offsets.map(|bytes| u64::from_le_bytes(*bytes));
        let starts = starts.chain((known == count).then_some(end));
        Ok((
            starts.collect(),
            sums.map(|bytes| u32::from_le_bytes(*bytes)).collect(),
        ))
    }

    /// Reads a block; none if its rows are too large, or one is damaged: then
    /// whoever reads that one is told.
    fn block(&self, block: u32, rows: u32, end: u64) -> Result<Option<RowBlock>> {
        let first = block * BLOCK;
        let count = rows.saturating_sub(first).min(BLOCK) as usize;
        let (places, sums) = self.places_of_block(first, count, rows, end)?;
        let (Some(from), Some(to)) = (places.first().copied(), places.last().copied()) else {
            return Ok(None);
        };
        let fits = to.checked_sub(from).is_some_and(|len| len <= BLOCK_BYTES) && to <= end;
        if !fits || !places.is_sorted() || first == 0 && from != 0 {
            return Ok(None);
        }
        let bytes = RowBytes::filled((to - from) as usize, |bytes| self.read_once(0, from, bytes))?;
        let mut bodies = Vec::with_capacity(count);
        for (index, sum) in sums.into_iter().enumerate() {
            // Below BLOCK_BYTES.
            let (start, next) = (
                (places[index] - from) as usize,
                (places[index + 1] - from) as usize,
            );
            let framed = &bytes[start..next];
            let Ok(body) = checked_body(first + index as u32, framed, sum) else {
                return Ok(None);
            };
            bodies.push(((next - body.len()) as u32, body.len() as u32));
        }
        Ok(Some(RowBlock {
            bytes,
            first,
            bodies,
        }))
    }
}

impl RowBlock {
    fn contains(&self, row: u32) -> bool {
        let at = row.checked_sub(self.first);
        at.is_some_and(|at| (at as usize) < self.bodies.len())
    }

    /// The body of a row, if it is one of these.
    #[inline]
    pub fn body(&self, row: u32) -> Option<RowBytes> {
        let at = row.checked_sub(self.first)?;
        let (from, len) = *self.bodies.get(at as usize)?;
        RowBytes::part(&self.bytes, from as usize, len as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::folder::NativeFolder;

    const ROWS: u32 = 200;

    fn body(number: u32) -> Vec<u8> {
        vec![number as u8; 1000 + number as usize]
    }

    /// Files of rows; `damage` is a byte of `db.dat` that is changed.
    fn stored(folder: &Path, damage: Option<usize>) -> (RowFiles, u64) {
        let (mut dat, mut off, mut crc) = (Vec::new(), OFF_HEADER.to_vec(), CRC_HEADER.to_vec());
        for number in 0..ROWS {
            let start = dat.len();
            off.extend((start as u64).to_le_bytes());
            crate::data::write_row(&mut dat, &body(number));
            crc.extend(crc32c::crc32c(&dat[start..]).to_le_bytes());
        }
        if let Some(at) = damage {
            dat[at] ^= 1;
        }
        let end = dat.len() as u64;
        for (name, bytes) in [(DAT, dat), (OFF, off), (CRC, crc)] {
            std::fs::write(folder.join(name), bytes).expect("writes");
        }
        // Less than the rows take, so that pages are forgotten and read again.
        let cache = Arc::new(Cache::new(64 << 10));
        let files = RowFiles::open(&NativeFolder::new(folder), ROWS, end, cache).expect("opens");
        (files, end)
    }

    fn read(files: &RowFiles, row: u32, end: u64) -> Result<RowBytes> {
        let alone = files.body(row, files.place(row, ROWS, end)?, end)?;
        let block = files.block_of(row, ROWS, end, !row.is_multiple_of(3))?;
        if let Some(body) = block.and_then(|block| block.body(row)) {
            assert_eq!(alone, body);
        }
        assert_eq!(alone, files.row(row, ROWS, end)?);
        Ok(alone)
    }

    #[test]
    fn rows_are_read_on_demand() {
        let folder = tempfile::tempdir().expect("scratch");
        let (files, end) = stored(folder.path(), None);
        for number in [150, 0, 199, 7, 8, 150].into_iter().chain(0..ROWS) {
            assert_eq!(*read(&files, number, end).expect("reads"), *body(number));
        }
    }

    /// Places that were read when there were fewer rows do not hide those that came since, and where
    /// no places are kept rows are found all the same.
    #[test]
    fn rows_are_found_while_they_become_more() {
        let folder = tempfile::tempdir().expect("scratch");
        let (mut files, end) = stored(folder.path(), None);
        for limit in [64 << 10, 100] {
            let cache = Arc::new(Cache::new(limit));
            assert_eq!(cache.has_room(Places::size_of(ROWS)), limit > 100);
            (files.cache, files.alone, files.places) = (cache, 7, 8);
            for rows in [1, 150, 151, ROWS] {
                let end = if rows < ROWS {
                    files.start(rows, ROWS).expect("reads")
                } else {
                    end
                };
                for row in [0, rows / 2, rows - 1] {
                    assert_eq!(*files.row(row, rows, end).expect("reads"), *body(row));
                }
                assert!(files.row(rows, rows, end).is_err());
            }
        }
    }

    #[test]
    fn damage_is_reported_for_the_row_it_hits() {
        let folder = tempfile::tempdir().expect("scratch");
        let (files, end) = stored(folder.path(), Some(1002 + 1003 + 500));
        for number in 0..ROWS {
            let read = read(&files, number, end);
            if number == 2 {
                assert_eq!(read.expect_err("damaged").code(), "db_corrupt");
                let among_others = files.row(number, ROWS, end);
                assert_eq!(among_others.expect_err("damaged").code(), "db_corrupt");
            } else {
                assert_eq!(*read.expect("reads"), *body(number));
            }
        }
    }
}
