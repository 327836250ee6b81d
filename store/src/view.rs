//! Row views: which rows of which moment a reader sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mix_value::msgpack::DecodeError;
use mix_value::{Ref, Value};
use roaring::RoaringBitmap;

use crate::base::Base;
use crate::batch::content_hash;
use crate::disk::Previous;
use crate::error::{Result, StoreError};
use crate::fields;
use crate::ids::{id_of, text_of};
use crate::index::{Snapshot, SortedRows};
use crate::query::{
    Atom, BoxedSorted, Execution, Pipeline, PreparedQuery, QueryError, QueryOptions, RecordSource,
    Sets, Sorted, SortedGroup, StoredRow,
};
use crate::raw;
use crate::record::Record;
use crate::row_bytes::RowBytes;
use crate::row_files::{BLOCK, RowBlock};
use crate::table::{Overrides, Table};
use crate::time::parse_time;

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
    /// Reads a watermark, a row count or a time text.
    pub fn from_value(value: &Value) -> Result<AsOf> {
        let bad = || StoreError::BadDb("asOf must be a watermark, a row count or a time".into());
        match value {
            Value::String(text) => match parse_time(text) {
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
    /// Looked up when first asked for.
    marked: Arc<OnceLock<Marked>>,
    index: Arc<Mutex<Option<Snapshot>>>,
    /// The rows on disk when the view was made, and those read last: a query
    /// mostly goes on beside the row before.
    base: Arc<Base>,
    last: Arc<Mutex<Last>>,
}

/// What was read last.
#[derive(Default)]
struct Last {
    row: Option<u32>,
    block: Option<Arc<RowBlock>>,
    /// The block is in the cache.
    kept: bool,
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
        let (bound, overrides) = (table.len(), table.overrides());
        let plain = overrides.superseded.is_empty() && overrides.deleted.is_empty();
        View {
            base: table.base(),
            last: Arc::default(),
            table,
            generation,
            previous,
            bound,
            include_deleted: false,
            include_superseded: false,
            overrides: (!plain).then_some(overrides),
            marked: Arc::default(),
            index: Arc::default(),
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
        self.include_deleted = deleted;
        self.include_superseded = superseded;
        self.marked = Arc::default();
        self.index = Arc::default();
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
        self.marked = Arc::default();
        self.index = Arc::default();
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
        if let Some(marked) = self.marked.get() {
            return Ok(marked);
        }
        let flags = self.table.mended(|| self.table.flags(self.bound))?;
        if self.overrides.is_none() && !self.include_superseded && !self.include_deleted {
            return Ok(self.marked.get_or_init(|| Marked {
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
        Ok(self.marked.get_or_init(|| Marked {
            superseded,
            deleted,
            visible: Arc::new(visible),
        }))
    }

    /// Asks the index of this moment; damaged parts of it are built anew.
    fn ask<R>(&self, question: impl Fn(&Snapshot) -> Result<R>) -> Result<R> {
        self.table.mended(|| {
            let flags = self.flags()?;
            let mut known = self.index.lock().unwrap_or_else(PoisonError::into_inner);
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
        let bodies = self.table.bodies(rows)?;
        // The changed ones are written one behind the other.
        let more = fields::SUPERSEDED.len() + raw::MORE;
        let room = bodies.iter().map(|body| body.len() + more).sum();
        let mut bytes = Vec::with_capacity(if superseded.is_empty() { 0 } else { room });
        let mut places = Vec::with_capacity(rows.len());
        for (row, body) in rows.iter().zip(&bodies) {
            let from = bytes.len();
            let changed = superseded.contains(*row)
                && raw::append_with_true(&mut bytes, body, fields::SUPERSEDED).is_some();
            places.push(changed.then_some(from..bytes.len()));
        }
        let bytes: Arc<[u8]> = bytes.into();
        let records = rows.iter().zip(bodies).zip(places);
        let records = records.map(|((row, body), place)| {
            let changed = place.and_then(|place| RowBytes::part(&bytes, place.start, place.len()));
            Record::new(*row, changed.unwrap_or(body))
        });
        Ok(records.collect())
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
                Ok(Some(Record::new(row, self.table.body(row)?)))
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

    /// Reads every row and checks what hangs together; one line for each finding, at most 1000.
    pub fn check(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for segment in &self.table.base().segments {
            if let Err(error) = segment.verify() {
                findings.push(error.to_string());
            }
        }
        for row in 0..self.bound {
            if findings.len() >= 1000 {
                findings.push("there is more".into());
                break;
            }
            if let Err(finding) = self.check_row(row) {
                findings.push(format!("row {row}: {finding}"));
            }
        }
        findings
    }

    fn check_row(&self, row: u32) -> std::result::Result<(), String> {
        let record = Record::new(
            row,
            self.table.body(row).map_err(|error| error.to_string())?,
        );
        let value = record.value().map_err(|error| error.to_string())?;
        let read = |result: Result<Option<u32>>| result.map_err(|error| error.to_string());
        let text = |field: &str| {
            value
                .get(field)
                .and_then(Value::as_ref_value)
                .map(|id| id.as_str().to_owned())
        };
        let rev = text(fields::REV).ok_or("has no revision")?;
        if read(self.row_of_revision(&rev))? != Some(row) {
            return Err(format!("its revision {rev} belongs to another row"));
        }
        let previous = text(fields::PREVIOUS);
        let id = text(fields::ID).and_then(|id| id_of(&id));
        let before = match id {
            Some(id) => read(self.table.newest(&id, row))?,
            None => return Err("has no id".into()),
        };
        let expected = match before {
            None => None,
            Some(before) => Some(Record::new(
                before,
                self.table.body(before).map_err(|error| error.to_string())?,
            )),
        };
        let expected = expected
            .and_then(|record| record.rev().ok())
            .map(|rev| rev.as_str().to_owned());
        // What a rewriting removed may still be named.
        let dangles = match (&expected, previous.as_deref()) {
            (None, Some(rev)) => read(self.row_of_revision(rev))?.is_none(),
            _ => false,
        };
        if previous != expected && !dangles {
            return Err(format!(
                "{} is {previous:?}, the version before is {expected:?}",
                fields::PREVIOUS
            ));
        }
        let Some(stored) = value.get(fields::CONTENT_HASH).and_then(Value::as_str) else {
            let deleted = value.get(fields::DELETED).and_then(Value::as_bool);
            return if deleted == Some(true) {
                Ok(())
            } else {
                Err("has no content hash".into())
            };
        };
        let content = value.as_map().into_iter().flatten();
        let content = content.filter(|(key, _)| !fields::is_engine_owned(key));
        let content = content
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        match content_hash(&content) {
            Ok(hash) if hash == stored => Ok(()),
            _ => Err("its content does not match its hash".into()),
        }
    }

    /// The body of a row.
    fn body(&self, row: u32) -> Result<RowBytes> {
        if row >= self.base.rows {
            return self.table.body(row);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = last.row.is_some_and(|last| row.wrapping_sub(last) <= BLOCK);
        let wanted = if beside { BLOCK } else { 1 };
        self.body_beside(row, wanted, &mut last)
    }

    /// The body of a row, which is perhaps in the block read last; of its block
    /// so many rows are wanted, or may be.
    fn body_beside(&self, row: u32, wanted: u32, last: &mut Last) -> Result<RowBytes> {
        last.row = Some(row);
        if let Some(body) = last.block.as_ref().and_then(|block| block.body(row)) {
            if !last.kept {
                self.base.keep(row, &body);
            }
            return Ok(body);
        }
        if wanted > 1 && row < self.base.rows {
            // A block of which little is wanted would push more out of the cache than it is worth.
            let keep = wanted * 2 >= BLOCK;
            if !keep && let Some(body) = self.base.known(row) {
                return Ok(body);
            }
            last.block = self.base.block(row, keep)?;
            last.kept = keep;
            if let Some(body) = last.block.as_ref().and_then(|block| block.body(row)) {
                if !keep {
                    self.base.keep(row, &body);
                }
                return Ok(body);
            }
        }
        self.table.body(row)
    }

    fn stored_row(&self, row: u32) -> Result<StoredRow> {
        self.table.count_reads(1);
        Ok(StoredRow {
            row: u64::from(row),
            bytes: self.body(row)?,
            superseded: self.is_superseded(row)?,
        })
    }
}

impl Sorted<StoreError> for SortedRows {
    fn next_group(&mut self) -> Result<Option<SortedGroup>> {
        SortedRows::next_group(self)
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

impl RecordSource for View {
    type Error = StoreError;

    fn next_row(&self, from: u64) -> Result<Option<StoredRow>> {
        let Ok(from) = u32::try_from(from) else {
            return Ok(None);
        };
        let visible = &self.flags()?.visible;
        // Mostly a row that an index found.
        let found = if visible.contains(from) {
            Some(from)
        } else {
            visible.range(from..).next()
        };
        found.map(|row| self.stored_row(row)).transpose()
    }

    fn read_rows(
        &self,
        rows: &[u32],
        visit: &mut dyn FnMut(StoredRow) -> std::result::Result<(), QueryError>,
    ) -> Result<()> {
        self.table.count_reads(rows.len() as u64);
        let superseded = &self.flags()?.superseded;
        let none = superseded.is_empty();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut block, mut wanted) = (u32::MAX, 1);
        for (at, row) in rows.iter().enumerate() {
            if row / BLOCK != block {
                block = row / BLOCK;
                let same = rows[at..].iter().take_while(|next| **next / BLOCK == block);
                // In the order of a value rows come more than once to a block, but not more often.
                wanted = same.take(BLOCK as usize).count() as u32;
            }
            visit(StoredRow {
                row: u64::from(*row),
                bytes: self.body_beside(*row, wanted, &mut last)?,
                superseded: !none && superseded.contains(*row),
            })?;
        }
        Ok(())
    }

    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>> {
        View::resolve(self, reference.as_str())?
            .map(|row| self.stored_row(row))
            .transpose()
    }

    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>> {
        Ok(View::row_of_revision(self, revision.as_str())?.map(u64::from))
    }

    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>> {
        Ok(self.rows_of_generation(generation, rows))
    }

    fn visible(&self) -> Result<Option<Arc<RoaringBitmap>>> {
        Ok(Some(Arc::clone(&self.flags()?.visible)))
    }

    fn sets(&self, atom: &Atom, want: bool) -> Result<Option<Sets>> {
        self.ask(|index| index.sets(atom, want))
    }

    fn somewhere(&self, atom: &Atom) -> Result<Option<RoaringBitmap>> {
        self.ask(|index| index.somewhere(atom))
    }

    fn sorted(
        &self,
        path: &[Arc<str>],
        descending: bool,
        rows: &Arc<RoaringBitmap>,
    ) -> Result<Option<BoxedSorted<StoreError>>> {
        let sorted = self.ask(|index| index.sorted(path, descending, rows, &self.table))?;
        Ok(sorted.map(|sorted| Box::new(sorted) as BoxedSorted<StoreError>))
    }

    fn corrupt(&self, row: u64, error: DecodeError) -> StoreError {
        StoreError::Corrupt(format!("row {row}: {error}"))
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
