//! A view as what queries read: rows, one after another or many at once, and what
//! the index tells of them.

use std::sync::{Arc, PoisonError};

use mix_value::Ref;
use mix_value::msgpack::DecodeError;
use roaring::RoaringBitmap;

use super::View;
use crate::error::{Result, StoreError};
use crate::index::SortedRows;
use crate::query::{
    Atom, BoxedSorted, QueryError, RecordSource, Sets, Sorted, SortedGroup, StoredRow,
};
use crate::row_bytes::RowBytes;
use crate::row_files::{BLOCK, RowBlock};

/// What was read last.
#[derive(Default)]
pub(super) struct Last {
    row: Option<u32>,
    block: Option<Arc<RowBlock>>,
    /// The block is in the cache.
    kept: bool,
}

impl Last {
    /// The body of a row of the block read last, if that is in the cache.
    #[inline]
    fn kept_body(&mut self, row: u32) -> Option<RowBytes> {
        let block = self.block.as_ref().filter(|_| self.kept)?;
        let body = block.body(row)?;
        self.row = Some(row);
        Some(body)
    }
}

impl View {
    /// The body of a row.
    pub(super) fn body(&self, row: u32) -> Result<RowBytes> {
        if row >= self.base.rows {
            return self.table.body(row);
        }
        let mut last = self
            .found
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
        if row < self.base.rows {
            self.base.body(row, None)
        } else {
            self.table.body(row)
        }
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

    fn take_rows(&mut self, most: usize, rows: &mut Vec<u32>) {
        SortedRows::take_rows(self, most, rows);
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
        let mut last = self
            .found
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut left = rows;
        while let Some(first) = left.first() {
            let block = first / BLOCK;
            // In the order of a value rows come more than once to a block, but not more often.
            let most = left.len().min(BLOCK as usize);
            let same = left[..most].iter().take_while(|row| **row / BLOCK == block);
            let (these, others) = left.split_at(same.count());
            left = others;
            for row in these {
                let bytes = match last.kept_body(*row) {
                    Some(bytes) => bytes,
                    None => self.body_beside(*row, these.len() as u32, &mut last)?,
                };
                visit(StoredRow {
                    row: u64::from(*row),
                    bytes,
                    superseded: !none && superseded.contains(*row),
                })?;
            }
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
