//! The rows on disk that segments cover: nothing of them is kept in memory but
//! a bounded cache.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mix_value::msgpack;
use roaring::RoaringBitmap;

use crate::error::{Doing, Result, StoreError};
use crate::fields;
use crate::folder::{Folder, FolderFile};
use crate::ids::{Id, draw, text_of};
use crate::index::segment::{
    Bytes, Cache, Cached, Merge, Segment, SegmentWriter, Sink, filter_hash,
};
use crate::index::{Bulk, Edge, Kinds, segment_name, term};
use crate::raw;
use crate::row_bytes::RowBytes;
use crate::row_files::{RowBlock, RowFiles};
use crate::table::Table;
use crate::time::parse_time;

/// Most bytes of blocks and pages that are kept.
const CACHE_BYTES: usize = 16 << 20;
/// Rows of a segment that is built from stored rows.
const SLICE: u32 = 8192;
/// Bytes of such rows.
const SLICE_BYTES: usize = 32 << 20;
/// A merge writes at least so many bytes with each checkpoint.
const MERGE_STEP: u64 = 4 << 20;
/// For each byte of a new segment, so many bytes are merged.
const MERGE_RATIO: u64 = 8;
/// So many neighbours of about the same size are merged.
const MERGE_WIDTH: usize = 4;
/// More segments than this are merged whatever their sizes.
const MAX_SEGMENTS: usize = 32;

/// Rows on disk, and the segments that cover them.
pub(crate) struct Base {
    /// Number of rows.
    pub rows: u32,
    /// Bytes they take in `db.dat`.
    pub end: u64,
    /// Time of the last one.
    pub time: i64,
    pub generation: [u8; 8],
    /// In row order, without gaps.
    pub segments: Vec<Arc<Segment>>,
    files: Option<Arc<RowFiles>>,
    cache: Arc<Cache>,
    /// The numbers of ids and of revisions in the cache.
    newest: [u64; 2],
    /// That of the versions of records.
    versions: u64,
    /// And that of the first terms of paths.
    edges: u64,
    /// What paths that were asked for have, by their bytes.
    kinds: Mutex<HashMap<Box<[u8]>, Kinds>>,
}

/// So many paths are remembered.
const KNOWN_PATHS: usize = 4096;

/// What a checkpoint adds to a base.
pub(crate) struct Addition<'a> {
    pub bulk: Bulk,
    /// The row behind the last one.
    pub until: u32,
    pub end: u64,
    pub time: i64,
    pub replaced: &'a [(u32, u32)],
    pub tombstones: &'a RoaringBitmap,
    /// All rows that rows below `until` superseded.
    pub superseded: &'a Arc<RoaringBitmap>,
}

impl Base {
    /// No rows, and no files.
    pub fn empty() -> Base {
        Base {
            rows: 0,
            end: 0,
            time: i64::MIN,
            generation: [0; 8],
            segments: Vec::new(),
            files: None,
            newest: [0; 2],
            versions: 0,
            edges: 0,
            cache: Arc::new(Cache::new(0)),
            kinds: Mutex::default(),
        }
    }

    /// The checkpointed rows that segments named by the state cover, with what
    /// was wrong with the segments.
    pub fn open(folder: &dyn Folder, state: &crate::state::State) -> Result<(Base, Vec<String>)> {
        let cache = Arc::new(Cache::new(CACHE_BYTES));
        let files = RowFiles::open(folder, state.rows, state.dat_len, Arc::clone(&cache))?;
        let mut base = Base {
            rows: 0,
            end: 0,
            time: i64::MIN,
            generation: state.generation,
            segments: Vec::new(),
            files: Some(Arc::new(files)),
            newest: [cache.new_file(), cache.new_file()],
            versions: cache.new_file(),
            edges: cache.new_file(),
            cache,
            kinds: Mutex::default(),
        };
        let mut warnings = Vec::new();
        for name in &state.segments {
            let opened = match folder.open(name, false) {
                Ok(file) => Segment::open(name, Bytes::File(file), base.generation, &base.cache),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).doing(|| format!("opening {name}")),
            };
            let fits = |segment: &Segment| {
                segment.first() == base.rows
                    && segment.end() > base.rows
                    && segment.end() <= state.rows
            };
            match opened {
                Ok(Some(segment)) if fits(&segment) => {
                    base.rows = segment.end();
                    base.segments.push(Arc::new(segment));
                }
                _ => {
                    warnings.push(format!(
                        "the index segment {name} is missing or damaged; the index is built anew from row {}",
                        base.rows
                    ));
                    break;
                }
            }
        }
        base.end = state.dat_len;
        if base.rows < state.rows {
            let files = base.files.as_ref();
            base.end = match files {
                Some(files) => files.start(base.rows, state.rows)?,
                None => 0,
            };
        } else if base.rows > 0 {
            base.time = state.time;
        }
        Ok((base, warnings))
    }

    /// The block with a row and its neighbours, if they are small; `keep`: in the cache.
    pub fn block(&self, row: u32, keep: bool) -> Result<Option<Arc<RowBlock>>> {
        match &self.files {
            Some(files) if row < self.rows => files.block_of(row, self.rows, self.end, keep),
            _ => Ok(None),
        }
    }

    /// The body of a row, if it is in the cache.
    pub fn known(&self, row: u32) -> Option<RowBytes> {
        let files = self.files.as_ref().filter(|_| row < self.rows)?;
        files.known(row)
    }

    /// Keeps a row of a block that is not kept.
    pub fn keep(&self, row: u32, body: &RowBytes) {
        if let Some(files) = &self.files {
            files.keep(row, body);
        }
    }

    pub fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// Names of the segments, up to the first that has no file yet.
    pub fn names(&self) -> Vec<String> {
        self.segments
            .iter()
            .take_while(|segment| segment.in_memory().is_none())
            .map(|segment| segment.name.clone())
            .collect()
    }

    fn files(&self) -> Result<&Arc<RowFiles>> {
        let missing = || StoreError::Corrupt("there are no files of rows".into());
        self.files.as_ref().ok_or_else(missing)
    }

    /// The body of a row; `place` is that of a row behind the base.
    pub fn body(&self, row: u32, place: Option<(u64, u32, u32)>) -> Result<RowBytes> {
        let files = self.files()?;
        match place {
            Some(place) => {
                let end = place.0 + u64::from(place.1);
                files.body(row, place, end)
            }
            None => files.row(row, self.rows, self.end),
        }
    }

    /// Bytes that the rows below `row` take.
    pub fn start_of(&self, row: u32) -> Result<u64> {
        if row >= self.rows {
            return Ok(self.end);
        }
        self.files()?.start(row, self.rows)
    }

    /// The first terms from `from` on, or up to there, which `read` reads if they are not known.
    pub fn edge(
        &self,
        from: &[u8],
        descending: bool,
        read: impl FnOnce() -> Result<Edge>,
    ) -> Result<Arc<Edge>> {
        let place = filter_hash(from) << 1 | u64::from(descending);
        if let Some(Cached::Edge(edge)) = self.cache.get(self.edges, place)
            && edge.is_of(from, descending)
        {
            return Ok(edge);
        }
        let edge = Arc::new(read()?);
        let cached = Cached::Edge(Arc::clone(&edge));
        self.cache.put(self.edges, place, cached, edge.size());
        Ok(edge)
    }

    /// What kinds of terms a path has in the segments.
    pub fn kinds(&self, path: &term::Path) -> Result<Kinds> {
        let known = || self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kinds) = known().get(path.steps()) {
            return Ok(*kinds);
        }
        let mut kinds = Kinds::default();
        for segment in &self.segments {
            kinds.add(Kinds::of_segment(segment, path)?);
        }
        let mut known = known();
        if known.len() >= KNOWN_PATHS {
            known.clear();
        }
        known.insert(path.steps().into(), kinds);
        Ok(kinds)
    }

    /// The newest row below `bound` with this id, or revision.
    pub fn find(&self, field: &str, id: &Id, bound: u32) -> Result<Option<u32>> {
        let number = self.newest[usize::from(field == fields::REV)];
        let place = place_of(id);
        if let Some(Cached::Newest(known, row)) = self.cache.get(number, place)
            && *known == *id
            && row < bound
        {
            return Ok(Some(row));
        }
        let found = self.look_for(field, id, bound)?;
        if let Some(row) = found.filter(|_| bound >= self.rows) {
            let size = size_of::<Id>() + size_of::<u32>();
            self.cache
                .put(number, place, Cached::Newest(Box::new(*id), row), size);
        }
        Ok(found)
    }

    /// Looks for an id, or a revision, in the segments.
    fn look_for(&self, field: &str, id: &Id, bound: u32) -> Result<Option<u32>> {
        let Some(wanted) = id_term(field, id) else {
            return Ok(None);
        };
        for segment in self.segments.iter().rev() {
            if segment.first() >= bound {
                continue;
            }
            let mut newest = None;
            segment.get_id(&wanted, &mut |rows| {
                newest = newest.max(rows.last_below(bound));
            })?;
            if newest.is_some() {
                return Ok(newest);
            }
        }
        Ok(None)
    }

    /// All rows with this id, ascending.
    pub fn find_all(&self, id: &Id) -> Result<Arc<[u32]>> {
        let place = place_of(id);
        if let Some(Cached::Versions(known, rows)) = self.cache.get(self.versions, place)
            && *known == *id
        {
            return Ok(rows);
        }
        let mut found = RoaringBitmap::new();
        if let Some(wanted) = id_term(fields::ID, id) {
            for segment in &self.segments {
                segment.get_id(&wanted, &mut |rows| found |= rows.to_bitmap())?;
            }
        }
        let rows: Arc<[u32]> = found.iter().collect();
        let size = size_of::<Id>() + size_of_val(&*rows);
        let cached = Cached::Versions(Box::new(*id), Arc::clone(&rows));
        self.cache.put(self.versions, place, cached, size);
        Ok(rows)
    }

    pub fn is_tombstone(&self, row: u32) -> Result<bool> {
        for segment in &self.segments {
            if row < segment.end() {
                return Ok(segment.tombstones()?.contains(row));
            }
        }
        Ok(false)
    }

    /// Rows that rows below `bound` superseded, and the tombstones below it.
    pub fn flags(&self, bound: u32) -> Result<(RoaringBitmap, RoaringBitmap)> {
        let (mut superseded, mut deleted) = (RoaringBitmap::new(), RoaringBitmap::new());
        for segment in &self.segments {
            if segment.first() >= bound {
                break;
            }
            superseded |= &*segment.superseded(bound)?;
            deleted |= &*segment.tombstones()?;
        }
        deleted.remove_range(bound..);
        Ok((superseded, deleted))
    }

    /// Number of rows with a time up to `time`.
    pub fn rows_until(&self, time: i64) -> Result<u32> {
        let (mut low, mut high) = (0, self.rows);
        while low < high {
            let row = low + (high - low) / 2;
            let body = self.body(row, None)?;
            let text = raw::member(&body, fields::MODIFIED_AT)
                .and_then(|bytes| msgpack::decode(bytes).ok());
            let of_row = text
                .as_ref()
                .and_then(|text| parse_time(text.as_str()?))
                .ok_or_else(|| StoreError::Corrupt(format!("row {row} has no time")))?;
            if of_row <= time {
                low = row + 1;
            } else {
                high = row;
            }
        }
        Ok(low)
    }

    /// The same rows with an index built from them.
    pub fn rebuilt(&self) -> Result<Base> {
        let table = Table::new(Base {
            rows: 0,
            end: 0,
            time: i64::MIN,
            generation: self.generation,
            segments: Vec::new(),
            files: self.files.clone(),
            newest: [self.cache.new_file(), self.cache.new_file()],
            versions: self.cache.new_file(),
            edges: self.cache.new_file(),
            cache: Arc::clone(&self.cache),
            kinds: Mutex::default(),
        });
        load(&table, self.rows, self.end, &mut || {})?;
        table.extend_segments(None);
        table.set_stored(self.rows);
        let base = table.base();
        if base.rows < self.rows {
            let reasons = table.take_warnings().join("; ");
            return Err(StoreError::Corrupt(format!(
                "the index cannot be built: {reasons}"
            )));
        }
        Ok(Base {
            rows: base.rows,
            end: base.end,
            time: self.time,
            generation: base.generation,
            segments: base.segments.clone(),
            files: base.files.clone(),
            newest: base.newest,
            versions: base.versions,
            edges: base.edges,
            cache: Arc::clone(&base.cache),
            kinds: Mutex::default(),
        })
    }

    /// This base with the rows of an addition, and a step of merging.
    pub fn extended(
        &self,
        folder: Option<&dyn Folder>,
        addition: Addition<'_>,
        merge: &mut Option<Merge>,
    ) -> Result<Base> {
        let mut segments = Vec::with_capacity(self.segments.len() + 1);
        for segment in &self.segments {
            segments.push(match (folder, segment.in_memory()) {
                (Some(folder), Some(bytes)) => {
                    let (file, temporary) = create(folder)?;
                    let mut sink = Sink::file(file);
                    sink.write_all(bytes)
                        .doing(|| format!("writing {}", segment.name))?;
                    Arc::new(self.place(Some(folder), sink, &temporary, &segment.name)?)
                }
                _ => Arc::clone(segment),
            });
        }
        let mut added = 0;
        if addition.until > self.rows {
            let name = segment_name(self.rows, addition.until);
            let (sink, temporary) = new_sink(folder)?;
            let failed = || format!("writing {name}");
            let rows = addition.until - self.rows;
            let mut writer =
                SegmentWriter::new(sink, self.generation, self.rows, rows, addition.until)
                    .doing(failed)?;
            // Of rows that are none of these, the present part stays as it is.
            let mut superseded = (**addition.superseded).clone();
            superseded.remove_range(..self.rows);
            addition
                .bulk
                .write(&mut writer, &superseded)
                .doing(failed)?;
            let sink = writer
                .finish(addition.replaced, addition.tombstones)
                .doing(failed)?;
            let segment = self.place(folder, sink, &temporary, &name)?;
            added = segment.len;
            segments.push(Arc::new(segment));
        }
        let mut base = Base {
            rows: addition.until,
            end: addition.end,
            time: addition.time,
            generation: self.generation,
            segments,
            files: self.files.clone(),
            newest: [self.cache.new_file(), self.cache.new_file()],
            versions: self.cache.new_file(),
            edges: self.cache.new_file(),
            cache: Arc::clone(&self.cache),
            kinds: Mutex::default(),
        };
        base.merge(
            folder,
            (added * MERGE_RATIO).max(MERGE_STEP),
            addition.superseded,
            merge,
        )?;
        Ok(base)
    }

    /// Goes on with a merge, or begins one if neighbours are of about the same size.
    fn merge(
        &mut self,
        folder: Option<&dyn Folder>,
        bytes: u64,
        superseded: &Arc<RoaringBitmap>,
        under_way: &mut Option<Merge>,
    ) -> Result<()> {
        let mut merge = match under_way.take() {
            Some(merge) => merge,
            None => {
                let Some(window) = self.to_merge() else {
                    return Ok(());
                };
                let (sink, temporary) = new_sink(folder)?;
                Merge::new(
                    self.segments[window].to_vec(),
                    sink,
                    temporary,
                    self.generation,
                    self.rows,
                    Arc::clone(superseded),
                )?
            }
        };
        if !merge.step(bytes)? {
            *under_way = Some(merge);
            return Ok(());
        }
        let at = merge.inputs.first().and_then(|first| {
            let same = |segment: &Arc<Segment>| segment.first() == first.first();
            self.segments.iter().position(same)
        });
        let end = merge.inputs.last().map_or(0, |last| last.end());
        let count = merge.inputs.len();
        let replaces = at.filter(|at| {
            let last = self.segments.get(at + count - 1);
            last.is_some_and(|last| last.end() == end)
        });
        if let Some(at) = replaces {
            let (name, temporary) = (merge.name.clone(), merge.temporary.clone());
            let sink = merge.finish()?;
            let merged = self.place(folder, sink, &temporary, &name)?;
            self.segments.splice(at..at + count, [Arc::new(merged)]);
        }
        Ok(())
    }

    /// Neighbours to merge.
    fn to_merge(&self) -> Option<std::ops::Range<usize>> {
        let level = |segment: &Arc<Segment>| (segment.end() - segment.first()).ilog2() / 2;
        let levels: Vec<u32> = self.segments.iter().map(level).collect();
        let mut end = levels.len();
        while end > 0 {
            let mut start = end - 1;
            let mut greatest = levels[start];
            // Smaller ones among them go along.
            while start > 0 && levels[start - 1] <= levels[end - 1].max(greatest) {
                start -= 1;
                greatest = greatest.max(levels[start]);
            }
            if end - start >= MERGE_WIDTH {
                return Some(start..end);
            }
            end = start;
        }
        (levels.len() > MAX_SEGMENTS).then(|| levels.len() - MAX_SEGMENTS / 2..levels.len())
    }

    /// Gives a written segment its name, and opens it.
    fn place(
        &self,
        folder: Option<&dyn Folder>,
        sink: Sink,
        temporary: &str,
        name: &str,
    ) -> Result<Segment> {
        let bytes = match (sink, folder) {
            (Sink::Memory(bytes), _) => Bytes::Memory(bytes),
            (Sink::File { file, .. }, Some(folder)) => {
                folder
                    .rename(temporary, name)
                    .doing(|| format!("renaming {temporary}"))?;
                Bytes::File(file)
            }
            (Sink::File { file, .. }, None) => Bytes::File(file),
        };
        let opened = Segment::open(name, bytes, self.generation, &self.cache)?;
        opened.ok_or_else(|| StoreError::Corrupt(format!("{name} cannot be read back")))
    }
}

/// Where an id is in the cache. Ids are drawn at random, but for those that come
/// from elsewhere, which are compared like all others.
fn place_of(id: &Id) -> u64 {
    let words = id.as_chunks::<8>().0.iter();
    words.fold(0, |sum, word| {
        sum.rotate_left(17) ^ u64::from_le_bytes(*word)
    })
}

/// The term of an id, or of a revision.
fn id_term(field: &str, id: &Id) -> Option<Vec<u8>> {
    let mut path = term::Path::default();
    path.push(field);
    Some(path.value(&term::ref_key(text_of(id))?))
}

fn create(folder: &dyn Folder) -> Result<(Box<dyn FolderFile>, String)> {
    let suffix: [u8; 8] = draw()?;
    let temporary = format!("tmp-{}", text_of(&suffix));
    let file = folder
        .create_new(&temporary)
        .doing(|| format!("creating {temporary}"))?;
    Ok((file, temporary))
}

fn new_sink(folder: Option<&dyn Folder>) -> Result<(Sink, String)> {
    match folder {
        Some(folder) => {
            let (file, temporary) = create(folder)?;
            Ok((Sink::file(file), temporary))
        }
        None => Ok((Sink::Memory(Vec::new()), String::new())),
    }
}

/// Reads every block of the segments that a state names; the name of each that
/// is not whole, and what is wrong with it.
pub(crate) fn verify_segments(
    folder: &dyn Folder,
    state: &crate::state::State,
) -> Vec<(String, String)> {
    let cache = Arc::new(Cache::new(MERGE_STEP as usize));
    let mut wrong = Vec::new();
    let mut next = 0;
    for name in &state.segments {
        let verified = folder
            .open(name, false)
            .doing(|| format!("opening {name}"))
            .and_then(|file| Segment::open(name, Bytes::File(file), state.generation, &cache))
            .and_then(|segment| {
                let Some(segment) = segment else {
                    return Err(StoreError::Corrupt(
                        "is no index segment of this generation".into(),
                    ));
                };
                if segment.first() != next || segment.end() <= next || segment.end() > state.rows {
                    return Err(StoreError::Corrupt(format!(
                        "does not begin with row {next}"
                    )));
                }
                next = segment.end();
                segment.verify()
            });
        if let Err(error) = verified {
            wrong.push((name.clone(), error.to_string()));
        }
    }
    wrong
}

/// Reads the rows behind the base of a table up to `rows`, which end at `end`,
/// and indexes them in slices, in memory.
pub(crate) fn load(table: &Table, rows: u32, end: u64, beat: &mut dyn FnMut()) -> Result<()> {
    load_into(table, rows, end, None, beat)
}

/// As [`load`]; with a folder the segments of whole slices are written there.
fn load_into(
    table: &Table,
    rows: u32,
    end: u64,
    folder: Option<&dyn Folder>,
    beat: &mut dyn FnMut(),
) -> Result<()> {
    let base = table.base();
    let files = Arc::clone(base.files()?);
    let (mut slice, mut bytes) = (Vec::new(), 0);
    for row in base.rows..rows {
        let place = files.place(row, rows, end)?;
        let body = files.body(row, place, end)?;
        bytes += body.len();
        slice.push(crate::disk::new_row(row, &body, place.2, place.1)?);
        let full = slice.len() >= SLICE as usize || bytes >= SLICE_BYTES;
        if full || row + 1 == rows {
            beat();
            bytes = 0;
            table.append(std::mem::take(&mut slice))?;
            if full {
                table.extend_segments(folder);
            }
            table.set_stored(row + 1);
        }
    }
    Ok(())
}

/// Writes segments for all rows of a folder whose state names none; gives their
/// names, in row order.
pub(crate) fn write_segments(
    folder: &dyn Folder,
    state: &crate::state::State,
) -> Result<Vec<String>> {
    let (base, _) = Base::open(folder, state)?;
    let table = Table::new(base);
    load_into(&table, state.rows, state.dat_len, Some(folder), &mut || {})?;
    let names = table.extend_segments(Some(folder));
    table.drop_merge(folder);
    // Without all of them the next opener only takes longer.
    let kept: Vec<String> = folder
        .list()
        .doing(|| "listing the folder".into())?
        .into_iter()
        .filter(|name| name.starts_with("idx-") && !names.contains(name))
        .collect();
    for merged in kept {
        folder
            .remove(&merged)
            .doing(|| format!("removing {merged}"))?;
    }
    Ok(names)
}
