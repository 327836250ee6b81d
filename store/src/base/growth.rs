//! How the segments of a base grow: one more with each checkpoint, and neighbours
//! of about the same size become one, step by step.

use std::sync::{Arc, Mutex};

use roaring::RoaringBitmap;

use super::Base;
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, FolderFile};
use crate::ids::{draw, text_of};
use crate::index::segment::{Bytes, Merge, Segment, SegmentWriter, Sink};
use crate::index::{Bulk, segment_name};

/// A merge writes at least so many bytes with each checkpoint.
pub(super) const MERGE_STEP: u64 = 4 << 20;
/// For each byte of a new segment, so many bytes are merged.
const MERGE_RATIO: u64 = 8;
/// So many neighbours of about the same size are merged.
const MERGE_WIDTH: usize = 4;
/// More segments than this are merged whatever their sizes.
const MAX_SEGMENTS: usize = 32;

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
