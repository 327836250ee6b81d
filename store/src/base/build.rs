//! Reading rows to index them, and verifying the segments there are.

use std::sync::{Arc, Mutex};

use super::Base;
use super::growth::MERGE_STEP;
use crate::error::{Doing, Result, StoreError};
use crate::folder::Folder;
use crate::index::segment::{Bytes, Cache, Segment};
use crate::table::Table;

/// Rows of a segment that is built from stored rows.
const SLICE: u32 = 8192;
/// Bytes of such rows.
const SLICE_BYTES: usize = 32 << 20;

impl Base {
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

/// Writes segments for all rows of a folder whose state names none, merged as far as they are to be, so
/// that the commits to come have no merge to begin with; gives their names, in row order.
pub(crate) fn write_segments(
    folder: &dyn Folder,
    state: &crate::state::State,
) -> Result<Vec<String>> {
    let (base, _) = Base::open(folder, state)?;
    let table = Table::new(base);
    load_into(&table, state.rows, state.dat_len, Some(folder), &mut || {})?;
    let mut names = Vec::new();
    loop {
        // Each merge leaves fewer segments, and one that fails leaves them as they are.
        let before = std::mem::replace(&mut names, table.extend_segments(Some(folder)));
        table.set_stored(state.rows);
        if names == before && !table.is_merging() {
            break;
        }
    }
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
