//! Writing segments for the rows of a table.

use std::sync::{Arc, PoisonError};

use roaring::RoaringBitmap;

use super::{NONE, Table};
use crate::base::{Addition, Base};
use crate::error::{Result, StoreError};
use crate::folder::Folder;
use crate::index::Bulk;

impl Table {
    /// Writes segments for all rows, and merges some; gives the names of all
    /// segments in row order. They count when [`Table::set_stored`] says that
    /// their rows are in the data files. Without a folder they stay in memory.
    pub fn extend_segments(&self, folder: Option<&dyn Folder>) -> Vec<String> {
        let mut base = self.base();
        let mut extended = self.try_extend(folder, &base);
        if let Err(error @ StoreError::IndexDamaged { .. }) = &extended {
            self.warn(format!("{error}; the index is built anew"));
            if self.rebuild().is_ok() {
                base = self.base();
                extended = self.try_extend(folder, &base);
            }
        }
        match extended {
            Ok(next) => {
                let names = next.names();
                self.write().next_base = Some(Arc::new(next));
                names
            }
            Err(error) => {
                self.warn(format!("no index segment was written: {error}"));
                *self.merge.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.write().next_base = None;
                base.names()
            }
        }
    }

    /// Whether a merge is under way.
    pub fn is_merging(&self) -> bool {
        let merge = self.merge.lock().unwrap_or_else(PoisonError::into_inner);
        merge.is_some()
    }

    fn try_extend(&self, folder: Option<&dyn Folder>, base: &Arc<Base>) -> Result<Base> {
        let until = self.len();
        let flags = self.mended(|| self.flags(until))?;
        let mut bulk = Bulk::default();
        for row in base.rows..until {
            bulk.add(row, &self.body(row)?);
        }
        let (replaced, tombstones) = {
            let inner = self.read();
            let numbered = || inner.rows.iter().zip(inner.base.rows..);
            let replaced: Vec<(u32, u32)> = numbered()
                .filter(|(meta, _)| meta.previous != NONE)
                .map(|(meta, row)| (row, meta.previous))
                .collect();
            let tombstones: RoaringBitmap = numbered()
                .filter(|(meta, _)| meta.deleted)
                .map(|(_, row)| row)
                .collect();
            (replaced, tombstones)
        };
        let mut merge = self.merge.lock().unwrap_or_else(PoisonError::into_inner);
        base.extended(
            folder,
            Addition {
                bulk,
                until,
                end: self.end(),
                time: self.last_time(),
                replaced: &replaced,
                tombstones: &tombstones,
                superseded: &flags.superseded,
            },
            &mut merge,
        )
    }
}
