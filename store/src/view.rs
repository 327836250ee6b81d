//! Row views: which rows of which moment a reader sees.

mod check;
mod source;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mix_value::{Ref, Value};
use roaring::RoaringBitmap;

use crate::base::Base;
use crate::disk::Previous;
use crate::error::{Result, StoreError};
use crate::ids::{id_of, text_of};
use crate::index::Snapshot;
use crate::query::{Execution, Pipeline, PreparedQuery, QueryOptions};
use crate::record::Record;
use crate::row_bytes::RowBytes;
use crate::table::{Moment, Overrides, Table};
use crate::time::parse_moment;
use source::Last;

/// A moment of the past.
#[derive(Debug, Clone, PartialEq)]
pub enum AsOf {
    /// The first n rows.
    Rows(u32),
    /// The rows of a watermark.
    Watermark(String),
    /// The rows with a time up to this one, in milliseconds since 1970.
    Time(i64),
}

impl AsOf {
    /// Reads a watermark, a row count, a time, or a date, which is the beginning of its day.
    pub fn from_value(value: &Value) -> Result<AsOf> {
        let bad = || StoreError::BadDb("asOf must be a watermark, a row count or a time".into());
        match value {
            Value::String(text) => match parse_moment(text) {
                Some(time) => Ok(AsOf::Time(time)),
                None if text.contains('.') => Ok(AsOf::Watermark(text.to_string())),
                None => Err(bad()),
            },
            other => other
                .as_int()
                .and_then(|rows| u32::try_from(rows).ok())
                .map(AsOf::Rows)
                .ok_or_else(bad),
        }
    }
}

/// The rows of one moment. It never changes, whatever is committed later.
#[derive(Clone)]
pub struct View {
    table: Arc<Table>,
    generation: [u8; 8],
    /// Where the rows of the generation before went.
    previous: Option<Arc<Previous>>,
    bound: u32,
    include_deleted: bool,
    include_superseded: bool,
    /// None for views of the past, which setFlags does not touch.
    overrides: Option<Arc<Overrides>>,
    /// The rows on disk when the view was made.
    base: Arc<Base>,
    found: Arc<Found>,
}

/// What was found out about a view, when it was first asked for.
#[derive(Default)]
struct Found {
    marked: OnceLock<Marked>,
    index: Mutex<Option<Snapshot>>,
    /// The rows read last: a query mostly goes on beside the row before.
    last: Mutex<Last>,
}

/// Flags of the rows of a view.
struct Marked {
    superseded: Arc<RoaringBitmap>,
    deleted: Arc<RoaringBitmap>,
    visible: Arc<RoaringBitmap>,
}

impl View {
    pub(crate) fn new(
        table: Arc<Table>,
        generation: [u8; 8],
        previous: Option<Arc<Previous>>,
    ) -> View {
        let Moment {
            bound,
            base,
            overrides,
        } = table.now();
        View {
            base,
            table,
            generation,
            previous,
            bound,
            include_deleted: false,
            include_superseded: false,
            overrides,
            found: Arc::default(),
        }
    }

    /// Whether flags of rows were set by hand.
    pub(crate) fn has_overrides(&self) -> bool {
        self.overrides.is_some()
    }

    /// Where the rows of the generation before went.
    pub(crate) fn previous(&self) -> Option<Previous> {
        self.previous.as_deref().cloned()
    }

    /// The same moment with other rows.
    pub fn including(mut self, deleted: bool, superseded: bool) -> View {
        if (self.include_deleted, self.include_superseded) == (deleted, superseded) {
            return self;
        }
        self.include_deleted = deleted;
        self.include_superseded = superseded;
        self.found = Arc::default();
        self
    }

    /// The view of an earlier moment.
    pub fn as_of(mut self, moment: &AsOf) -> Result<View> {
        let bound = match moment {
            AsOf::Rows(rows) => *rows,
            AsOf::Watermark(watermark) => self.row_of_watermark(watermark)?,
            AsOf::Time(time) => self.table.rows_until(*time)?,
        };
        self.bound = self.bound.min(bound);
        self.overrides = None;
        self.found = Arc::default();
        Ok(self)
    }

    /// Rows below this one exist in the view.
    pub fn bound(&self) -> u32 {
        self.bound
    }

    /// The generation of the row numbers.
    pub fn generation(&self) -> &str {
        text_of(&self.generation)
    }

    /// `<generation>.<rows>`.
    pub fn watermark(&self) -> String {
        format!("{}.{}", self.generation(), self.bound)
    }

    /// The row count of a watermark of this generation, or of the one before.
    pub fn row_of_watermark(&self, watermark: &str) -> Result<u32> {
        let stale = || StoreError::StaleWatermark(watermark.chars().take(60).collect());
        let (generation, rows) = watermark.split_once('.').ok_or_else(stale)?;
        if rows.is_empty() || !rows.bytes().all(|b| b.is_ascii_digit()) {
            return Err(stale());
        }
        let rows = rows.parse().map_err(|_| stale())?;
        let here = self
            .rows_of_generation(generation, rows)
            .ok_or_else(stale)?;
        u32::try_from(here).map_err(|_| stale())
    }

    /// The row count here for `rows` rows of a generation; none if it is
    /// neither this one nor the one before.
    fn rows_of_generation(&self, generation: &str, rows: u64) -> Option<u64> {
        if generation == self.generation() {
            return Some(rows);
        }
        let previous = self.previous.as_ref()?;
        (generation == text_of(&previous.generation)).then(|| {
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            u64::from(previous.translate(rows))
        })
    }

    /// Number of rows from before a time.
    pub(crate) fn rows_before(&self, time: i64) -> Result<u32> {
        let rows = self.table.rows_until(time.saturating_sub(1))?;
        Ok(rows.min(self.bound))
    }

    /// The rows of all versions of a record, newest first.
    pub fn versions(&self, id: &str) -> Result<Vec<u32>> {
        let Some(id) = id_of(id) else {
            return Ok(Vec::new());
        };
        self.table.versions(&id, self.bound)
    }

    /// Up to `count` visible rows from `from` on, ascending.
    pub fn rows(&self, from: u32, count: usize) -> Result<Vec<u32>> {
        let flags = self.flags()?;
        Ok(flags.visible.range(from..).take(count).collect())
    }

    /// Whether a row is visible.
    pub fn contains(&self, row: u32) -> Result<bool> {
        Ok(self.flags()?.visible.contains(row))
    }

    /// Whether a row is not the newest of its id.
    pub fn is_superseded(&self, row: u32) -> Result<bool> {
        Ok(self.flags()?.superseded.contains(row))
    }

    fn is_deleted(&self, row: u32) -> Result<bool> {
        if let Some(set) = self
            .overrides
            .as_ref()
            .and_then(|overrides| overrides.deleted.get(&row))
        {
            return Ok(*set);
        }
        self.table.is_tombstone(row)
    }

    /// The flags of the rows at this moment.
    fn flags(&self) -> Result<&Marked> {
        if let Some(marked) = self.found.marked.get() {
            return Ok(marked);
        }
        let flags = self.table.mended(|| self.table.flags(self.bound))?;
        if self.overrides.is_none() && !self.include_superseded && !self.include_deleted {
            return Ok(self.found.marked.get_or_init(|| Marked {
                superseded: flags.superseded,
                deleted: flags.deleted,
                visible: flags.live,
            }));
        }
        let (mut superseded, mut deleted) = (flags.superseded, flags.deleted);
        if let Some(overrides) = &self.overrides {
            apply(
                &overrides.superseded,
                Arc::make_mut(&mut superseded),
                self.bound,
            );
            apply(&overrides.deleted, Arc::make_mut(&mut deleted), self.bound);
        }
        let mut visible = RoaringBitmap::new();
        visible.insert_range(0..self.bound);
        if !self.include_superseded {
            visible -= &*superseded;
        }
        if !self.include_deleted {
            visible -= &*deleted;
        }
        Ok(self.found.marked.get_or_init(|| Marked {
            superseded,
            deleted,
            visible: Arc::new(visible),
        }))
    }

    /// Asks the index of this moment; damaged parts of it are built anew.
    fn ask<R>(&self, question: impl Fn(&Snapshot) -> Result<R>) -> Result<R> {
        self.table.mended(|| {
            let flags = self.flags()?;
            let mut known = self
                .found
                .index
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = &*known {
                match question(index) {
                    Err(StoreError::IndexDamaged { .. }) => *known = None,
                    other => return other,
                }
            }
            let history = self.include_superseded || self.overrides.is_some();
            let mut index = self.table.index(self.bound, history)?;
            index.superseded = Arc::clone(&flags.superseded);
            index.deleted = Arc::clone(&flags.deleted);
            question(known.insert(index))
        })
    }

    /// The stored bytes of a row, without `_rmx_superseded`.
    pub fn stored(&self, row: u32) -> Result<RowBytes> {
        self.table.body(row)
    }

    /// A row as readers get it.
    pub fn record(&self, row: u32) -> Result<Record> {
        let record = Record::new(row, self.body(row)?);
        Ok(if self.is_superseded(row)? {
            record.superseded()
        } else {
            record
        })
    }

    /// Rows as readers get them, in this order; they share their memory, so ask for some at a time.
    pub fn records(&self, rows: &[u32]) -> Result<Vec<Record>> {
        let superseded = &self.flags()?.superseded;
        if superseded.is_empty() {
            let bodies = self.table.bodies(rows)?;
            let records = rows.iter().zip(bodies);
            return Ok(records.map(|(row, body)| Record::new(*row, body)).collect());
        }
        // Flags that were set by hand are not those that follow from the rows.
        let linked = match self.overrides {
            None => self.bound,
            Some(_) => 0,
        };
        self.table.marked(rows, superseded, linked)
    }

    /// The row a ref stands for: the live current version of an id, or exactly
    /// the version of a revision.
    pub fn resolve(&self, id: &str) -> Result<Option<u32>> {
        Ok(self.resolved(id)?.map(|(row, _)| row))
    }

    /// The row a ref stands for, and whether it is the newest of its id.
    fn resolved(&self, id: &str) -> Result<Option<(u32, bool)>> {
        let Some(id) = id_of(id) else {
            return Ok(None);
        };
        if let Some(row) = self.table.newest(&id, self.bound)?
            && !self.is_deleted(row)?
        {
            return Ok(Some((row, true)));
        }
        let row = self.table.revision(&id, self.bound)?;
        Ok(row.map(|row| (row, false)))
    }

    /// The row of a revision.
    pub fn row_of_revision(&self, rev: &str) -> Result<Option<u32>> {
        match id_of(rev) {
            Some(rev) => self.table.revision(&rev, self.bound),
            None => Ok(None),
        }
    }

    /// The record a ref stands for.
    pub fn get(&self, id: &str) -> Result<Option<Record>> {
        match self.resolved(id)? {
            // The newest is not superseded, if nobody said otherwise.
            Some((row, true)) if self.overrides.is_none() => {
                let body = match row < self.base.rows {
                    true => self.base.body(row, None)?,
                    false => self.table.body(row)?,
                };
                Ok(Some(Record::new(row, body)))
            }
            Some((row, _)) => self.record(row).map(Some),
            None => Ok(None),
        }
    }

    /// Runs a query over this moment, with the deleted and superseded rows its
    /// options ask for.
    pub fn query(self, pipeline: &Pipeline, options: &QueryOptions) -> Result<Execution<View>> {
        let view = self.including(options.include_deleted, options.include_superseded);
        PreparedQuery::new(pipeline, options)?.run(view, options)
    }

    /// How a query would find its rows: its clauses, and for each condition of
    /// its leading filters the numbers of visible rows for which the index tells
    /// that it is true (`t`), that it is false (`f`), and that they must be read
    /// (`m`); then for all filters together the rows that surely pass (`sure`)
    /// and those to be read (`read`).
    pub fn explain(self, pipeline: &Pipeline, options: &QueryOptions) -> Result<Value> {
        let view = self.including(options.include_deleted, options.include_superseded);
        let plan = PreparedQuery::new(pipeline, options)?.explain(&view)?;
        let mut explained = Value::map([
            ("ast", pipeline.to_value()),
            ("rows", Value::Int(i64::from(view.bound))),
        ]);
        if let (Value::Map(all), Value::Map(plan)) = (&mut explained, plan) {
            all.extend(plan);
        }
        Ok(explained)
    }

    /// Number of records read so far, by all views of the database since it was opened.
    pub fn records_read(&self) -> u64 {
        self.table.bodies_read()
    }

    /// Whether the id names a record whose current version is a tombstone.
    pub fn is_tombstoned(&self, id: &str) -> Result<bool> {
        let Some(id) = id_of(id) else {
            return Ok(false);
        };
        match self.table.newest(&id, self.bound)? {
            Some(row) => self.is_deleted(row),
            None => Ok(false),
        }
    }
}

/// Numbers about a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// All rows.
    pub rows: u64,
    /// Rows of live current versions.
    pub live: u64,
    /// Bytes all rows take.
    pub bytes: u64,
}

impl View {
    /// Numbers about the moment of this view.
    pub fn stat(&self) -> Result<Stat> {
        let head = self.clone().including(false, false);
        Ok(Stat {
            rows: u64::from(self.bound),
            live: head.flags()?.visible.len(),
            bytes: self.table.start_of(self.bound)?,
        })
    }
}

/// Puts flags set by hand over derived ones.
fn apply(overrides: &BTreeMap<u32, bool>, rows: &mut RoaringBitmap, bound: u32) {
    for (row, set) in overrides.range(..bound) {
        if *set {
            rows.insert(*row);
        } else {
            rows.remove(*row);
        }
    }
}

/// The text of an id argument: a ref, or a string that is not empty.
pub fn id_argument(value: &Value) -> Result<Ref> {
    match value {
        Value::Ref(id) => Ok(id.clone()),
        Value::String(text) => Ref::new(text).map_err(|_| StoreError::ExpectedRef {
            found: "an empty or overlong string".into(),
        }),
        other => Err(StoreError::ExpectedRef {
            found: other.kind().into(),
        }),
    }
}
