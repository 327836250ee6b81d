//! The rows on disk that segments cover: nothing of them is kept in memory but
//! a bounded cache.

mod build;
mod growth;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use mix_value::msgpack;
use roaring::RoaringBitmap;

use crate::error::{Doing, Result, StoreError};
use crate::fields;
use crate::folder::Folder;
use crate::ids::{Id, text_of};
use crate::index::segment::{Bytes, Cache, Cached, Segment, filter_hash};
use crate::index::{Edge, Kinds, term};
use crate::raw;
use crate::row_bytes::RowBytes;
use crate::row_files::{RowBlock, RowFiles};
use crate::time::parse_time;
pub(crate) use build::{load, verify_segments, write_segments};
pub(crate) use growth::Addition;

/// Most bytes of blocks and pages that are kept.
const CACHE_BYTES: usize = 16 << 20;

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

/// The filters of so many segments are asked at once.
const SEGMENTS: usize = u64::BITS as usize;
/// So many paths are remembered.
const KNOWN_PATHS: usize = 4096;

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
        let known = self.cache.look(number, place, |cached| match cached {
            Cached::Newest(known, row) if **known == *id && *row < bound => Some(*row),
            _ => None,
        });
        if let Some(row) = known.flatten() {
            return Ok(Some(row));
        }
        let found = self.look_for(field, id, bound)?;
        if let Some(row) = found.filter(|_| bound >= self.rows) {
            let size = size_of::<Id>() + size_of::<u32>();
            let cached = || Cached::Newest(Box::new(*id), row);
            self.cache.put_again(number, place, cached, size);
        }
        Ok(found)
    }

    /// Looks for an id, or a revision, in the segments.
    fn look_for(&self, field: &str, id: &Id, bound: u32) -> Result<Option<u32>> {
        let Some(wanted) = term::ref_term(field, text_of(id)) else {
            return Ok(None);
        };
        let hash = filter_hash(&wanted);
        for segments in self.segments.rchunks(SEGMENTS) {
            let mut rest = self.may_have(segments, hash);
            while let Some(at) = rest.checked_ilog2() {
                rest &= !(1 << at);
                let segment = &segments[at as usize];
                if segment.first() >= bound {
                    continue;
                }
                let mut newest = None;
                segment.get_id(&wanted, hash, &mut |rows| {
                    newest = newest.max(rows.last_below(bound));
                })?;
                if newest.is_some() {
                    return Ok(newest);
                }
            }
        }
        Ok(None)
    }

    /// Of some segments, at most [`SEGMENTS`], those that may have a term with a hash, as bits: all of
    /// which the filter in the cache does not say that they have not.
    fn may_have(&self, segments: &[Arc<Segment>], hash: u64) -> u64 {
        let mut found = 0;
        let places = segments.iter().map(|segment| segment.filter_place(hash));
        self.cache.look_each(places, |at, cached| {
            let tells = cached.and_then(|cached| segments[at].filter_tells(cached, hash));
            found |= u64::from(tells != Some(false)) << at;
        });
        found
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
        if let Some(wanted) = term::ref_term(fields::ID, text_of(id)) {
            let hash = filter_hash(&wanted);
            for segment in &self.segments {
                segment.get_id(&wanted, hash, &mut |rows| found |= rows.to_bitmap())?;
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
                return segment.is_tombstone(row);
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
}

/// Where an id is in the cache. Ids are drawn at random, but for those that come
/// from elsewhere, which are compared like all others.
fn place_of(id: &Id) -> u64 {
    let words = id.as_chunks::<8>().0.iter();
    words.fold(0, |sum, word| {
        sum.rotate_left(17) ^ u64::from_le_bytes(*word)
    })
}
