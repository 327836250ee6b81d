//! The rows of a database: where each one lies and how versions hang together.
//!
//! The rows that [segments](crate::index::segment) cover are the *base*: they
//! stay on disk and are read on demand. The newest rows are in memory, until a
//! checkpoint writes a segment for them. Rows only ever get appended, so a
//! reader with a bound needs no copy: what lies below its bound never changes.

mod flags;
mod marked;
mod segments;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::base::Base;
use crate::error::{Result, StoreError};
use crate::fields;
use crate::ids::Id;
use crate::index::segment::Merge;
use crate::index::{Snapshot, Tail};
pub(crate) use crate::overrides::Overrides;
use crate::row_bytes::RowBytes;
use flags::Flags;

/// No row.
pub(crate) const NONE: u32 = u32::MAX;

/// What the table keeps of one row in memory.
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
    /// Time of the commit.
    pub time: i64,
    /// Tombstone.
    pub deleted: bool,
    /// Where in the body the mark of superseded rows goes; 0 if that is not known.
    pub mark: u16,
    /// None when it can be read from the data file.
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
    /// Where in the body the mark of superseded rows goes.
    pub mark: usize,
    pub body: Arc<[u8]>,
    pub crc: u32,
    /// Length with the prefix.
    pub len: u32,
    pub follows: Follows,
}

/// Which version a row replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// It is the first of its id.
    Nothing,
    /// The newest of its id so far, if there is one.
    Newest,
    Row(u32),
}

struct Inner {
    base: Arc<Base>,
    /// What the base will be once its rows are stored.
    next_base: Option<Arc<Base>>,
    /// Terms of the rows behind the base, built when a query asks for them.
    tail: Arc<Tail>,
    /// The rows behind the base.
    rows: Vec<RowMeta>,
    /// Newest row of each id, of the rows behind the base.
    ids: HashMap<Id, u32>,
    revs: HashMap<Id, u32>,
    /// Rows below are in the data file.
    stored: u32,
    overrides: Arc<Overrides>,
}

/// The rows at a moment.
pub(crate) struct Moment {
    /// Their number.
    pub bound: u32,
    /// Those on disk.
    pub base: Arc<Base>,
    /// Flags set by hand, if there are any.
    pub overrides: Option<Arc<Overrides>>,
}

/// All rows of a database.
pub(crate) struct Table {
    inner: RwLock<Inner>,
    /// Superseded rows and tombstones as of the latest bound asked for.
    flags: Mutex<Option<Flags>>,
    /// A merge of segments under way.
    pub(crate) merge: Mutex<Option<Merge>>,
    warnings: Mutex<Vec<String>>,
    bodies_read: AtomicU64,
}

impl Default for Table {
    fn default() -> Table {
        Table::new(Base::empty())
    }
}

impl Table {
    /// A table whose first rows are those of `base`.
    pub fn new(base: Base) -> Table {
        Table {
            inner: RwLock::new(Inner {
                next_base: None,
                tail: Arc::new(Tail::new(base.rows)),
                rows: Vec::new(),
                ids: HashMap::new(),
                revs: HashMap::new(),
                stored: base.rows,
                overrides: Arc::default(),
                base: Arc::new(base),
            }),
            flags: Mutex::default(),
            merge: Mutex::default(),
            warnings: Mutex::default(),
            bodies_read: AtomicU64::new(0),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Changes are single assignments after all checks, so a panic elsewhere leaves no half state.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows on disk.
    pub fn base(&self) -> Arc<Base> {
        Arc::clone(&self.read().base)
    }

    /// Notes something that was found and mended.
    pub fn warn(&self, warning: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < 100 {
            warnings.push(warning);
        }
    }

    /// What was found and mended since the last look.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *warnings)
    }

    /// Runs something that reads segments. When one of them is damaged, all
    /// are built anew from the rows, and it runs once more.
    pub fn mended<R>(&self, work: impl Fn() -> Result<R>) -> Result<R> {
        match work() {
            Err(error @ StoreError::IndexDamaged { .. }) => {
                self.warn(format!("{error}; the index is built anew"));
                self.rebuild()?;
                work()
            }
            other => other,
        }
    }

    /// As [`Table::mended`], of something that reads the segments of a base.
    fn mended_of<R>(&self, base: &Arc<Base>, work: impl Fn(&Base) -> Result<R>) -> Result<R> {
        match work(base) {
            Err(StoreError::IndexDamaged { .. }) => self.mended(|| {
                // Perhaps it is built anew already.
                let now = self.base();
                work(if now.rows == base.rows { &now } else { base })
            }),
            other => other,
        }
    }

    /// Builds the index of the base anew, in memory until the next checkpoint.
    pub fn rebuild(&self) -> Result<()> {
        let base = self.base();
        let rebuilt = Arc::new(base.rebuilt()?);
        *self.merge.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut inner = self.write();
        if inner.base.rows == rebuilt.rows {
            inner.base = rebuilt;
            inner.next_base = None;
        }
        Ok(())
    }

    /// The index as of a bound; `history`: also of rows that were superseded
    /// when they were indexed.
    pub fn index(&self, bound: u32, history: bool) -> Result<Snapshot> {
        let (base, tail) = {
            let inner = self.read();
            (Arc::clone(&inner.base), Arc::clone(&inner.tail))
        };
        tail.extend(bound, |row| self.body(row))?;
        let flags = self.flags(bound)?;
        Ok(Snapshot {
            base,
            tail,
            bound,
            history,
            superseded: flags.superseded,
            deleted: flags.deleted,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> u32 {
        self.read().len()
    }

    /// Bytes all rows take in the data file.
    pub fn end(&self) -> u64 {
        self.read().end()
    }

    /// Bytes the rows below a bound take.
    pub fn start_of(&self, bound: u32) -> Result<u64> {
        let base = {
            let inner = self.read();
            let behind = bound.checked_sub(inner.base.rows);
            if let Some(behind) = behind {
                let meta = inner.rows.get(behind as usize);
                return Ok(meta.map_or_else(|| inner.end(), |meta| meta.start));
            }
            Arc::clone(&inner.base)
        };
        base.start_of(bound)
    }

    /// Time of the last row.
    pub fn last_time(&self) -> i64 {
        let inner = self.read();
        inner.rows.last().map_or(inner.base.time, |row| row.time)
    }

    /// Appends rows, all at once.
    pub fn append(&self, rows: Vec<NewRow>) -> Result<()> {
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(match row.follows {
                Follows::Nothing => None,
                Follows::Row(row) => Some(row),
                Follows::Newest if self.read().ids.contains_key(&row.id) => None,
                Follows::Newest => self.newest(&row.id, u32::MAX)?,
            });
        }
        let mut inner = self.write();
        for (row, found) in rows.into_iter().zip(found) {
            let number = inner.len();
            if number == NONE {
                return Err(StoreError::DbFull("no more than 2^32-1 rows".into()));
            }
            let start = inner.end();
            let previous = inner.ids.insert(row.id, number).or(found);
            inner.revs.insert(row.rev, number);
            inner.rows.push(RowMeta {
                start,
                len: row.len,
                crc: row.crc,
                previous: previous.unwrap_or(NONE),
                time: row.time,
                deleted: row.deleted,
                mark: u16::try_from(row.mark).unwrap_or(0),
                body: Some(row.body),
            });
        }
        Ok(())
    }

    /// Says that rows below `rows` are in the data file.
    pub fn set_stored(&self, rows: u32) {
        // So that the flags are known up to the new base without reading it.
        let known = self.flags(rows).is_ok();
        let mut inner = self.write();
        inner.stored = rows;
        match inner.next_base.take() {
            Some(base) if known && base.rows <= inner.len() => {
                let gone = (base.rows - inner.base.rows) as usize;
                inner.rows.drain(..gone);
                let first = base.rows;
                if inner.rows.is_empty() {
                    inner.ids.clear();
                    inner.revs.clear();
                } else {
                    inner.ids.retain(|_, row| *row >= first);
                    inner.revs.retain(|_, row| *row >= first);
                }
                inner.tail = Arc::new(Tail::new(first));
                inner.base = base;
            }
            _ if inner.base.has_files() => {
                let stored = rows.saturating_sub(inner.base.rows) as usize;
                for meta in inner.rows.iter_mut().take(stored) {
                    meta.body = None;
                }
            }
            _ => {}
        }
    }

    /// Newest row of an id below a bound.
    pub fn newest(&self, id: &Id, bound: u32) -> Result<Option<u32>> {
        self.find(fields::ID, id, bound)
    }

    /// The rows of all versions of a record below a bound, newest first.
    pub fn versions(&self, id: &Id, bound: u32) -> Result<Vec<u32>> {
        let mut rows = Vec::new();
        let base = {
            let inner = self.read();
            let mut row = inner.ids.get(id).copied().unwrap_or(NONE);
            while row != NONE && row >= inner.base.rows {
                if row < bound {
                    rows.push(row);
                }
                let meta = inner.rows.get((row - inner.base.rows) as usize);
                row = meta.map_or(NONE, |meta| meta.previous);
            }
            Arc::clone(&inner.base)
        };
        let in_base = self.mended_of(&base, |base| base.find_all(id))?;
        rows.extend(in_base.iter().rev().filter(|row| **row < bound));
        Ok(rows)
    }

    /// Row of a revision below a bound.
    pub fn revision(&self, rev: &Id, bound: u32) -> Result<Option<u32>> {
        self.find(fields::REV, rev, bound)
    }

    fn find(&self, field: &str, id: &Id, bound: u32) -> Result<Option<u32>> {
        let (base, newest) = {
            let inner = self.read();
            let known = if field == fields::ID {
                &inner.ids
            } else {
                &inner.revs
            };
            let mut row = known.get(id).copied().unwrap_or(NONE);
            while row != NONE && row >= bound && row >= inner.base.rows {
                let meta = inner.rows.get((row - inner.base.rows) as usize);
                row = meta
                    .filter(|_| field == fields::ID)
                    .map_or(NONE, |meta| meta.previous);
            }
            (Arc::clone(&inner.base), row)
        };
        if newest < bound {
            return Ok(Some(newest));
        }
        self.mended_of(&base, |base| base.find(field, id, bound))
    }

    /// The tombstone flag of a row, as it follows from the rows.
    pub fn is_tombstone(&self, row: u32) -> Result<bool> {
        let base = {
            let inner = self.read();
            if let Some(behind) = row.checked_sub(inner.base.rows) {
                let meta = inner.rows.get(behind as usize);
                return Ok(meta.is_some_and(|meta| meta.deleted));
            }
            Arc::clone(&inner.base)
        };
        self.mended_of(&base, |base| base.is_tombstone(row))
    }

    /// Number of rows with a time up to `time`; times never decrease.
    pub fn rows_until(&self, time: i64) -> Result<u32> {
        let base = {
            let inner = self.read();
            let behind = inner.rows.partition_point(|row| row.time <= time) as u32;
            if behind > 0 || inner.base.time <= time {
                return Ok(inner.base.rows + behind);
            }
            Arc::clone(&inner.base)
        };
        base.rows_until(time)
    }

    /// The body of a row, checked when it is read from the file.
    pub fn body(&self, row: u32) -> Result<RowBytes> {
        let (base, place) = {
            let inner = self.read();
            match row.checked_sub(inner.base.rows) {
                None => (Arc::clone(&inner.base), None),
                Some(behind) => match inner.rows.get(behind as usize) {
                    Some(RowMeta {
                        body: Some(body), ..
                    }) => return Ok(Arc::clone(body).into()),
                    Some(meta) => {
                        let place = (meta.start, meta.len, meta.crc);
                        (Arc::clone(&inner.base), Some(place))
                    }
                    None => return Err(StoreError::Corrupt(format!("row {row} does not exist"))),
                },
            }
        };
        base.body(row, place)
    }

    /// The bodies of several rows, in their order.
    pub fn bodies(&self, rows: &[u32]) -> Result<Vec<RowBytes>> {
        let mut bodies: Vec<RowBytes> = Vec::with_capacity(rows.len());
        while let Some(left) = rows.get(bodies.len()..).filter(|left| !left.is_empty()) {
            {
                let inner = self.read();
                let newest = |row: &u32| {
                    let behind = row.checked_sub(inner.base.rows)?;
                    let body = inner.rows.get(behind as usize)?.body.as_ref()?;
                    Some(Arc::clone(body).into())
                };
                bodies.extend(left.iter().map_while(newest));
            }
            // The next one is not in memory.
            if let Some(row) = rows.get(bodies.len()) {
                bodies.push(self.body(*row)?);
            }
        }
        Ok(bodies)
    }

    /// Rows that are not in the data files yet, with their bodies: the first
    /// of them, and all in order.
    pub fn unstored(&self) -> (u32, Vec<StoredBody>) {
        let inner = self.read();
        let from = inner.stored.saturating_sub(inner.base.rows) as usize;
        let rows = inner.rows[from..]
            .iter()
            .filter_map(|row| Some((row.clone(), row.body.clone()?)))
            .collect();
        (inner.stored, rows)
    }

    /// What a view of this moment begins with.
    pub fn now(&self) -> Moment {
        let inner = self.read();
        let overrides = &inner.overrides;
        let plain = overrides.superseded.is_empty() && overrides.deleted.is_empty();
        Moment {
            bound: inner.len(),
            base: Arc::clone(&inner.base),
            overrides: (!plain).then(|| Arc::clone(overrides)),
        }
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

    /// Notes that a query read rows.
    pub fn count_reads(&self, rows: u64) {
        self.bodies_read.fetch_add(rows, Ordering::Relaxed);
    }

    /// Number of rows read by queries so far.
    pub fn bodies_read(&self) -> u64 {
        self.bodies_read.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn len(&self) -> u32 {
        // append refuses row NONE, so the count fits.
        self.base.rows + self.rows.len() as u32
    }

    fn end(&self) -> u64 {
        self.rows
            .last()
            .map_or(self.base.end, |row| row.start + u64::from(row.len))
    }
}
