//! Records of several rows, those that are superseded with their mark.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{NONE, Table};
use crate::error::Result;
use crate::fields;
use crate::raw;
use crate::record::Record;
use crate::row_bytes::RowBytes;

/// Most bytes of rows that are copied while nobody can append any.
const TOGETHER: usize = 64 << 10;
/// So many rows have room from the start.
const FEW: usize = 100;

impl Table {
    /// Records of several rows, with the mark of those that are superseded. The links of rows below
    /// `linked` are as the flags say.
    pub fn marked(
        &self,
        rows: &[u32],
        superseded: &RoaringBitmap,
        linked: u32,
    ) -> Result<Vec<Record>> {
        let mut records: Vec<Record> = Vec::with_capacity(rows.len());
        // Those that get their mark at the end, because they are large or were not in memory.
        let mut late = Vec::new();
        // What is mostly the next one: the version before.
        let mut previous = NONE;
        while let Some(left) = rows.get(records.len()..).filter(|left| !left.is_empty()) {
            self.mark_newest(left, superseded, linked, &mut previous, &mut records);
            if let Some(row) = rows.get(records.len()) {
                if *row == previous || superseded.contains(*row) {
                    late.push(records.len());
                }
                records.push(Record::new(*row, self.body(*row)?));
                previous = NONE;
            }
        }
        let maps = late.iter().map(|at| (&**records[*at].encoded(), 0));
        let copies: Vec<RowBytes> = raw::all_with_true(maps, fields::SUPERSEDED).collect();
        for (at, copy) in late.into_iter().zip(copies) {
            records[at] = Record::new(rows[at], copy);
        }
        Ok(records)
    }

    /// The first of those rows, as long as they are in memory and small.
    fn mark_newest(
        &self,
        rows: &[u32],
        superseded: &RoaringBitmap,
        linked: u32,
        previous: &mut u32,
        records: &mut Vec<Record>,
    ) {
        let inner = self.read();
        let mut newest: Vec<(&Arc<[u8]>, u16, bool)> = Vec::new();
        let mut size = 0;
        for row in rows {
            let behind = row.checked_sub(inner.base.rows);
            let meta = behind.and_then(|behind| inner.rows.get(behind as usize));
            let Some((meta, body)) = meta.and_then(|meta| Some((meta, meta.body.as_ref()?))) else {
                break;
            };
            size += body.len();
            // Who appends waits meanwhile, so large ones are copied at the end.
            if size > TOGETHER {
                break;
            }
            if newest.is_empty() {
                newest.reserve(rows.len().min(FEW));
            }
            let is_superseded = *row == *previous || superseded.contains(*row);
            newest.push((body, meta.mark, is_superseded));
            *previous = if *row < linked { meta.previous } else { NONE };
        }
        let marked = newest.iter().filter(|(.., marked)| *marked);
        let maps = marked.map(|(body, place, _)| (&***body, *place));
        let mut copies = raw::all_with_true(maps, fields::SUPERSEDED);
        for (row, (body, _, marked)) in rows.iter().zip(&newest) {
            let copy = if *marked { copies.next() } else { None };
            records.push(match copy {
                Some(copy) => Record::new(*row, copy),
                None => Record::new(*row, Arc::clone(body)),
            });
        }
    }
}
