//! The rows of a database in memory: where each one lies, how versions hang
//! together, and a bounded cache of row bodies.
//!
//! Rows only ever get appended, so a reader with a bound needs no copy: what
//! lies below its bound never changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use mix_value::{Value, msgpack};
use roaring::RoaringBitmap;

use crate::data::DataFile;
use crate::error::{Result, StoreError};
use crate::ids::Id;
use crate::index::{Snapshot, Tail};

/// Bodies of rows that can be read again from the data file are kept up to
/// this many bytes.
const CACHE_BYTES: usize = 64 << 20;
/// Bytes read at once when a row is not in memory.
const READ_AHEAD: u64 = 64 << 10;
/// No row.
pub(crate) const NONE: u32 = u32::MAX;

/// What the table keeps of one row.
#[derive(Debug, Clone)]
pub(crate) struct RowMeta {
    /// Start of the row (with its length prefix) in the data file.
    pub start: u64,
    /// Length with the prefix.
    pub len: u32,
    /// Checksum of prefix and body.
    pub crc: u32,
    /// Row of the version before, or [`NONE`].
    pub previous: u32,
    /// Row of the version after, or [`NONE`].
    pub next: u32,
    /// Time of the commit.
    pub time: i64,
    /// Tombstone.
    pub deleted: bool,
    body: Option<Arc<[u8]>>,
}

/// What is known of a row, and its body.
pub(crate) type StoredBody = (RowMeta, Arc<[u8]>);

/// A row to append.
#[derive(Debug, Clone)]
pub(crate) struct NewRow {
    pub id: Id,
    pub rev: Id,
    pub time: i64,
    pub deleted: bool,
    pub body: Arc<[u8]>,
    pub crc: u32,
    /// Length with the prefix.
    pub len: u32,
}

#[derive(Default)]
struct Inner {
    rows: Vec<RowMeta>,
    /// Newest row of each id.
    ids: HashMap<Id, u32>,
    revs: HashMap<Id, u32>,
    /// Rows below are in the data file and may leave the cache.
    stored: u32,
    cached_bytes: usize,
    hand: usize,
    file: Option<Arc<DataFile>>,
    overrides: Arc<Overrides>,
}

/// Flags set by hand, which win over the derived ones (outside of asOf).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Overrides {
    pub superseded: BTreeMap<u32, bool>,
    pub deleted: BTreeMap<u32, bool>,
}

impl Overrides {
    /// `{superseded: {set: [...], clear: [...]}, deleted: {...}}`, as it lies in the log.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let rows = |flags: &BTreeMap<u32, bool>, wanted: bool| {
            let rows = flags.iter().filter(|(_, set)| **set == wanted);
            Value::Array(rows.map(|(row, _)| Value::Int(i64::from(*row))).collect())
        };
        let lists = |flags| Value::map([("set", rows(flags, true)), ("clear", rows(flags, false))]);
        let value = Value::map([
            ("superseded", lists(&self.superseded)),
            ("deleted", lists(&self.deleted)),
        ]);
        msgpack::encode(&value).map_err(|error| StoreError::TooLarge(error.to_string()))
    }

    /// Reads what [`Overrides::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Option<Overrides> {
        let value = msgpack::decode(bytes).ok()?;
        let mut overrides = Overrides::default();
        for (key, flags) in [
            ("superseded", &mut overrides.superseded),
            ("deleted", &mut overrides.deleted),
        ] {
            for (list, set) in [("set", true), ("clear", false)] {
                let Some(rows) = value.get(key).and_then(|flag| flag.get(list)) else {
                    continue;
                };
                for row in rows.as_array()? {
                    flags.insert(u32::try_from(row.as_int()?).ok()?, set);
                }
            }
        }
        Some(overrides)
    }
}

/// All rows of a database.
pub(crate) struct Table {
    inner: RwLock<Inner>,
    /// Built on demand from the rows.
    tail: Arc<Tail>,
    /// Superseded rows and tombstones as of the latest bound asked for.
    flags: Mutex<Flags>,
    bodies_read: AtomicU64,
}

impl Default for Table {
    fn default() -> Table {
        Table::new(None)
    }
}

#[derive(Default, Clone)]
struct Flags {
    bound: u32,
    superseded: Arc<RoaringBitmap>,
    deleted: Arc<RoaringBitmap>,
}

impl Table {
    /// An empty table whose stored rows are in `file`.
    pub fn new(file: Option<Arc<DataFile>>) -> Table {
        Table {
            inner: RwLock::new(Inner {
                file,
                ..Inner::default()
            }),
            tail: Arc::new(Tail::new(0)),
            flags: Mutex::default(),
            bodies_read: AtomicU64::new(0),
        }
    }

    /// The index as of a bound.
    pub fn index(&self, bound: u32) -> Result<Snapshot> {
        self.tail.extend(bound, |row| self.body(row))?;
        let (superseded, deleted) = self.flags(bound);
        Ok(Snapshot {
            tail: Arc::clone(&self.tail),
            bound,
            superseded,
            deleted,
        })
    }

    /// Superseded rows and tombstones below a bound, as they follow from the rows.
    fn flags(&self, bound: u32) -> (Arc<RoaringBitmap>, Arc<RoaringBitmap>) {
        let mut known = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        if bound < known.bound {
            let mut early = Flags::default();
            early.extend(&self.read(), bound);
            return (early.superseded, early.deleted);
        }
        known.extend(&self.read(), bound);
        (Arc::clone(&known.superseded), Arc::clone(&known.deleted))
    }

    /// Notes that a query read a row.
    pub fn count_read(&self) {
        self.bodies_read.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of rows read by queries so far.
    pub fn bodies_read(&self) -> u64 {
        self.bodies_read.load(Ordering::Relaxed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Changes are single assignments after all checks, so a panic elsewhere leaves no half state.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of rows.
    pub fn len(&self) -> u32 {
        // push refuses row NONE, so the count fits.
        self.read().rows.len() as u32
    }

    /// Bytes all rows take in the data file.
    pub fn end(&self) -> u64 {
        self.read()
            .rows
            .last()
            .map_or(0, |row| row.start + u64::from(row.len))
    }

    /// Time of the last row.
    pub fn last_time(&self) -> i64 {
        self.read().rows.last().map_or(i64::MIN, |row| row.time)
    }

    /// Appends rows, all at once.
    pub fn append(&self, rows: Vec<NewRow>) -> Result<()> {
        let mut inner = self.write();
        for row in rows {
            let number = inner.rows.len() as u32;
            if number == NONE {
                return Err(StoreError::DbFull("no more than 2^32-1 rows".into()));
            }
            let start = inner
                .rows
                .last()
                .map_or(0, |row| row.start + u64::from(row.len));
            let previous = inner.ids.insert(row.id, number).unwrap_or(NONE);
            if let Some(meta) = inner.rows.get_mut(previous as usize) {
                meta.next = number;
            }
            inner.revs.insert(row.rev, number);
            inner.rows.push(RowMeta {
                start,
                len: row.len,
                crc: row.crc,
                previous,
                next: NONE,
                time: row.time,
                deleted: row.deleted,
                body: Some(row.body),
            });
        }
        Ok(())
    }

    /// Says that rows below `rows` are in the data file.
    pub fn set_stored(&self, rows: u32) {
        let mut inner = self.write();
        let from = inner.stored as usize;
        inner.stored = rows;
        inner.cached_bytes += inner.rows[from.min(rows as usize)..rows as usize]
            .iter()
            .map(|row| row.len as usize)
            .sum::<usize>();
        inner.evict(CACHE_BYTES);
    }

    /// Newest row of an id below a bound.
    pub fn newest(&self, id: &Id, bound: u32) -> Option<u32> {
        let inner = self.read();
        let mut row = *inner.ids.get(id)?;
        while row >= bound {
            row = inner.rows.get(row as usize)?.previous;
            if row == NONE {
                return None;
            }
        }
        Some(row)
    }

    /// Row of a revision below a bound.
    pub fn revision(&self, rev: &Id, bound: u32) -> Option<u32> {
        self.read()
            .revs
            .get(rev)
            .copied()
            .filter(|row| *row < bound)
    }

    /// What is known of a row.
    pub fn meta(&self, row: u32) -> Option<RowMeta> {
        let inner = self.read();
        inner.rows.get(row as usize).map(|meta| RowMeta {
            body: None,
            ..meta.clone()
        })
    }

    /// The rows `from..bound` that pass `keep`, at most `count`.
    pub fn scan(
        &self,
        from: u32,
        bound: u32,
        count: usize,
        keep: impl Fn(u32, &RowMeta) -> bool,
    ) -> Vec<u32> {
        let inner = self.read();
        (from..bound.min(inner.rows.len() as u32))
            .filter(|row| keep(*row, &inner.rows[*row as usize]))
            .take(count)
            .collect()
    }

    /// The first row of `from..bound` that passes `keep`.
    pub fn next(&self, from: u32, bound: u32, keep: impl Fn(u32, &RowMeta) -> bool) -> Option<u32> {
        let inner = self.read();
        (from..bound.min(inner.rows.len() as u32))
            .find(|row| keep(*row, &inner.rows[*row as usize]))
    }

    /// Number of rows with a time up to `time`; times never decrease.
    pub fn rows_until(&self, time: i64) -> u32 {
        self.read().rows.partition_point(|row| row.time <= time) as u32
    }

    /// The body of a row, checked when it is read from the file.
    pub fn body(&self, row: u32) -> Result<Arc<[u8]>> {
        {
            let inner = self.read();
            match inner.rows.get(row as usize) {
                Some(RowMeta {
                    body: Some(body), ..
                }) => return Ok(Arc::clone(body)),
                Some(_) => {}
                None => return Err(StoreError::Corrupt(format!("row {row} does not exist"))),
            }
        }
        self.write().load(row)
    }

    /// Rows that are not in the data files yet, with their bodies: the first
    /// of them, and all in order.
    pub fn unstored(&self) -> (u32, Vec<StoredBody>) {
        let inner = self.read();
        let rows = inner.rows[inner.stored as usize..]
            .iter()
            .filter_map(|row| Some((row.clone(), row.body.clone()?)))
            .collect();
        (inner.stored, rows)
    }

    /// Flags set by hand.
    pub fn overrides(&self) -> Arc<Overrides> {
        Arc::clone(&self.read().overrides)
    }

    /// Adds flags set by hand; a later one of a row replaces an earlier one.
    pub fn add_overrides(&self, added: Overrides) {
        let mut inner = self.write();
        let overrides = Arc::make_mut(&mut inner.overrides);
        overrides.superseded.extend(added.superseded);
        overrides.deleted.extend(added.deleted);
    }
}

impl Flags {
    fn extend(&mut self, inner: &Inner, bound: u32) {
        for row in self.bound..bound.min(inner.rows.len() as u32) {
            let meta = &inner.rows[row as usize];
            if meta.previous != NONE {
                Arc::make_mut(&mut self.superseded).insert(meta.previous);
            }
            if meta.deleted {
                Arc::make_mut(&mut self.deleted).insert(row);
            }
            self.bound = row + 1;
        }
    }
}

impl Inner {
    /// Reads a row, and those behind it as far as one read reaches.
    fn load(&mut self, row: u32) -> Result<Arc<[u8]>> {
        let index = row as usize;
        if let Some(body) = self.rows.get(index).and_then(|meta| meta.body.clone()) {
            return Ok(body);
        }
        let Some(file) = self.file.clone().filter(|_| row < self.stored) else {
            return Err(StoreError::Corrupt(format!("row {row} is not in memory")));
        };
        let start = self.rows[index].start;
        let last = self.rows[index..self.stored as usize]
            .partition_point(|meta| meta.start + u64::from(meta.len) <= start + READ_AHEAD)
            .max(1)
            + index;
        let end = self.rows[last - 1].start + u64::from(self.rows[last - 1].len);
        let bytes = file.read(start, end)?;
        let mut wanted = None;
        for number in index..last {
            let meta = &mut self.rows[number];
            if meta.body.is_some() {
                continue;
            }
            let from = (meta.start - start) as usize;
            let framed = &bytes[from..from + meta.len as usize];
            // A row behind the wanted one may be damaged; whoever reads it will hear of it.
            match crate::data::checked_body(number as u32, framed, meta.crc) {
                Ok(body) => {
                    let body: Arc<[u8]> = body.into();
                    if number == index {
                        wanted = Some(Arc::clone(&body));
                    }
                    meta.body = Some(body);
                    self.cached_bytes += meta.len as usize;
                }
                Err(error) if number == index => return Err(error),
                Err(_) => {}
            }
        }
        self.evict(CACHE_BYTES);
        wanted.ok_or_else(|| StoreError::Corrupt(format!("row {row} cannot be read")))
    }

    /// Forgets bodies of stored rows, round robin, until the rest is small enough.
    fn evict(&mut self, limit: usize) {
        if self.file.is_none() {
            return;
        }
        let stored = self.stored as usize;
        let mut visited = 0;
        while self.cached_bytes > limit && visited < stored {
            self.hand = if self.hand + 1 < stored {
                self.hand + 1
            } else {
                0
            };
            visited += 1;
            let meta = &mut self.rows[self.hand];
            if meta.body.take().is_some() {
                self.cached_bytes = self.cached_bytes.saturating_sub(meta.len as usize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::folder::NativeFolder;

    const ROWS: u8 = 200;

    fn body(number: u8) -> Vec<u8> {
        vec![number; 1000 + usize::from(number)]
    }

    /// A table whose rows are all in the file and none in memory; `damage` is
    /// a byte of the file that is changed.
    fn stored_table(folder: &Path, damage: Option<usize>) -> Table {
        let mut dat = Vec::new();
        let mut rows = Vec::new();
        for number in 0..ROWS {
            let start = dat.len();
            crate::data::write_row(&mut dat, &body(number));
            let framed = &dat[start..];
            rows.push(NewRow {
                id: [number; 32],
                rev: [number; 32],
                time: i64::from(number),
                deleted: false,
                body: body(number).into(),
                crc: crc32c::crc32c(framed),
                len: framed.len() as u32,
            });
        }
        if let Some(at) = damage {
            dat[at] ^= 1;
        }
        std::fs::write(folder.join(crate::data::DAT), dat).expect("writes");
        let file = DataFile::open(&NativeFolder::new(folder)).expect("opens");
        let table = Table::new(Some(Arc::new(file)));
        table.append(rows).expect("appends");
        table.set_stored(u32::from(ROWS));
        table.write().evict(0);
        assert_eq!(table.read().cached_bytes, 0);
        table
    }

    #[test]
    fn forgotten_rows_are_read_again() {
        let folder = tempfile::tempdir().expect("scratch");
        let table = stored_table(folder.path(), None);
        for number in [150, 0, 199, 7, 8, 150] {
            assert_eq!(
                *table.body(u32::from(number)).expect("reads"),
                *body(number)
            );
        }
        for number in 0..ROWS {
            assert_eq!(
                *table.body(u32::from(number)).expect("reads"),
                *body(number)
            );
        }
        let cached: usize = table
            .read()
            .rows
            .iter()
            .filter(|row| row.body.is_some())
            .map(|row| row.len as usize)
            .sum();
        assert_eq!(table.read().cached_bytes, cached);
        table.write().evict(10_000);
        assert!(table.read().cached_bytes <= 10_000);
        assert!(table.body(u32::from(ROWS)).is_err());
    }

    #[test]
    fn damage_is_reported_for_the_row_it_hits() {
        let folder = tempfile::tempdir().expect("scratch");
        let table = stored_table(folder.path(), Some(1002 + 1003 + 500));
        for number in 0..ROWS {
            let read = table.body(u32::from(number));
            if number == 2 {
                assert_eq!(read.expect_err("damaged").code(), "db_corrupt");
            } else {
                assert_eq!(*read.expect("reads"), *body(number));
            }
        }
    }
}
