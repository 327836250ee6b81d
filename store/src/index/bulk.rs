//! The terms of many rows at once, for a new segment: gathered path by path,
//! sorted in the end.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::extract::{Terms, extract, unindexed};
use super::rows::Rows;
use super::segment::{Part, SegmentWriter};
use super::term::{Flag, Path, SPACE_ELEMENTS, SPACE_FLAGS, SPACE_VALUES};

/// Kinds of flags, one more than the greatest of them.
const FLAGS: usize = 9;
/// Recent keys of a path that are not kept twice.
const RECENT: usize = 128;

/// The terms of a run of rows, added in ascending order.
#[derive(Default)]
pub(crate) struct Bulk {
    columns: Vec<Column>,
    /// Columns by the bytes of their paths.
    by_path: HashMap<Box<[u8]>, usize>,
    /// The column of the last term: that of the next is often the next one.
    last: usize,
    row: u32,
}

/// The terms of one path.
struct Column {
    path: Path,
    flags: [Vec<u32>; FLAGS],
    values: Keys,
    elements: Keys,
}

/// Keys and the rows that have them.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    recent: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// The first bytes of the key, so that they sort like it.
    start: u64,
    place: Place,
    row: u32,
}

/// Where a key lies among the bytes of its column.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    from: u32,
    len: u32,
}

impl Bulk {
    /// Adds the terms of a row.
    pub fn add(&mut self, row: u32, body: &[u8]) {
        self.row = row;
        if !extract(body, self) {
            for column in &mut self.columns {
                column.forget(row);
            }
            unindexed(body, self);
        }
    }

    fn column(&mut self, path: &Path) -> &mut Column {
        let is = |column: Option<&Column>| {
            column.is_some_and(|column| column.path.steps() == path.steps())
        };
        if !is(self.columns.get(self.last)) {
            self.last = if is(self.columns.get(self.last + 1)) {
                self.last + 1
            } else if let Some(known) = self.by_path.get(path.steps()) {
                *known
            } else {
                self.by_path.insert(path.steps().into(), self.columns.len());
                self.columns.push(Column {
                    path: path.clone(),
                    flags: Default::default(),
                    values: Keys::default(),
                    elements: Keys::default(),
                });
                self.columns.len() - 1
            };
        }
        &mut self.columns[self.last]
    }

    /// Writes all terms into a segment; those of superseded rows into the part of the past.
    pub fn write(
        mut self,
        writer: &mut SegmentWriter,
        superseded: &RoaringBitmap,
    ) -> std::io::Result<()> {
        // Paths sort like the terms that begin with them.
        self.columns
            .sort_unstable_by_key(|column| column.path.prefix());
        let mut out = Out {
            writer,
            superseded,
            term: Vec::new(),
            rows: Vec::new(),
            past: Vec::new(),
        };
        for column in &mut self.columns {
            column.write(&mut out)?;
        }
        Ok(())
    }
}

impl Terms for Bulk {
    fn flag(&mut self, path: &Path, flag: Flag) {
        let row = self.row;
        let rows = &mut self.column(path).flags[flag as usize];
        if rows.last() != Some(&row) {
            rows.push(row);
        }
    }

    fn value(&mut self, path: &Path, key: &[u8]) {
        let row = self.row;
        self.column(path).values.push(key, row);
    }

    fn element(&mut self, path: &Path, key: &[u8]) {
        let row = self.row;
        self.column(path).elements.push(key, row);
    }
}

impl Column {
    /// Takes out what a row, the last one, has added.
    fn forget(&mut self, row: u32) {
        for rows in &mut self.flags {
            rows.pop_if(|last| *last == row);
        }
        for keys in [&mut self.values, &mut self.elements] {
            while keys.entries.pop_if(|entry| entry.row == row).is_some() {}
        }
    }

    fn write(&mut self, out: &mut Out<'_>) -> std::io::Result<()> {
        out.term = self.path.prefix();
        out.term.push(SPACE_FLAGS);
        let len = out.term.len();
        for (flag, rows) in self.flags.iter().enumerate() {
            if !rows.is_empty() {
                // Less than FLAGS.
                out.term.push(flag as u8);
                out.rows.clone_from(rows);
                out.write()?;
                out.term.truncate(len);
            }
        }
        for (space, keys) in [
            (SPACE_VALUES, &mut self.values),
            (SPACE_ELEMENTS, &mut self.elements),
        ] {
            out.term.truncate(len - 1);
            out.term.push(space);
            keys.write(out)?;
        }
        Ok(())
    }
}

impl Keys {
    fn push(&mut self, key: &[u8], row: u32) {
        let mut first = [0; 8];
        let short = key.len().min(8);
        first[..short].copy_from_slice(&key[..short]);
        let start = u64::from_be_bytes(first);
        let mut hash = start ^ key.len() as u64;
        for eight in key.get(8..).unwrap_or_default().chunks(8) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            hash =
                hash.rotate_left(13).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from_le_bytes(word);
        }
        let slot = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize % RECENT;
        if self.recent.is_empty() {
            self.recent.resize(RECENT, Place::default());
        }
        let mut place = self.recent[slot];
        if place.len == 0 || self.bytes_of(place) != key {
            place = Place {
                // A commit has at most 64 MiB, and few of them are behind the last checkpoint.
                from: self.bytes.len() as u32,
                len: key.len() as u32,
            };
            self.bytes.extend_from_slice(key);
            self.recent[slot] = place;
        }
        self.entries.push(Entry { start, place, row });
    }

    fn bytes_of(&self, place: Place) -> &[u8] {
        &self.bytes[place.from as usize..][..place.len as usize]
    }

    fn write(&mut self, out: &mut Out<'_>) -> std::io::Result<()> {
        let mut entries = std::mem::take(&mut self.entries);
        let order = |a: &Entry, b: &Entry| {
            a.start.cmp(&b.start).then_with(|| {
                if a.place == b.place {
                    std::cmp::Ordering::Equal
                } else {
                    self.bytes_of(a.place).cmp(self.bytes_of(b.place))
                }
            })
        };
        entries.sort_unstable_by(|a, b| order(a, b).then(a.row.cmp(&b.row)));
        let len = out.term.len();
        for same in entries.chunk_by(|a, b| order(a, b).is_eq()) {
            let Some(first) = same.first() else { continue };
            out.term.extend_from_slice(self.bytes_of(first.place));
            out.rows.clear();
            out.rows.extend(same.iter().map(|entry| entry.row));
            out.rows.dedup();
            out.write()?;
            out.term.truncate(len);
        }
        Ok(())
    }
}

/// Where terms go.
struct Out<'a> {
    writer: &'a mut SegmentWriter,
    superseded: &'a RoaringBitmap,
    term: Vec<u8>,
    rows: Vec<u32>,
    past: Vec<u32>,
}

impl Out<'_> {
    /// Writes the rows of the term.
    fn write(&mut self) -> std::io::Result<()> {
        if !self.superseded.is_empty() {
            let superseded = self.superseded;
            self.past.clear();
            self.past
                .extend(self.rows.extract_if(.., |row| superseded.contains(*row)));
        }
        let (term, writer) = (&self.term, &mut *self.writer);
        writer.add(Part::Present, term, Rows::Few(&self.rows))?;
        if !self.past.is_empty() {
            writer.add(Part::Past, term, Rows::Few(&self.past))?;
        }
        Ok(())
    }
}
