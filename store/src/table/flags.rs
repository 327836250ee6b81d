//! Which rows are superseded, which are tombstones, and which are live.

use std::sync::{Arc, PoisonError};

use roaring::RoaringBitmap;

use super::{Inner, NONE, Table};
use crate::error::Result;

/// Rows with certain flags, as they follow from the rows.
#[derive(Clone)]
pub(crate) struct Flags {
    pub(super) bound: u32,
    /// Rows that are not the newest of their id.
    pub superseded: Arc<RoaringBitmap>,
    /// Tombstones.
    pub deleted: Arc<RoaringBitmap>,
    /// Rows that are neither.
    pub live: Arc<RoaringBitmap>,
}

impl Table {
    /// Superseded rows and tombstones below a bound.
    pub fn flags(&self, bound: u32) -> Result<Flags> {
        let mut known = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, extension) = {
            let inner = self.read();
            if let Some(known) = &mut *known
                && known.bound >= inner.base.rows
                && known.bound <= bound
            {
                known.extend(&inner, bound);
                return Ok(known.clone());
            }
            let mut extension = Flags::empty(inner.base.rows);
            extension.extend(&inner, bound);
            (Arc::clone(&inner.base), extension)
        };
        let (mut superseded, mut deleted) = base.flags(bound)?;
        superseded |= &*extension.superseded;
        deleted |= &*extension.deleted;
        let mut live = RoaringBitmap::new();
        live.insert_range(0..bound);
        live -= &superseded;
        live -= &deleted;
        let flags = Flags {
            bound,
            superseded: Arc::new(superseded),
            deleted: Arc::new(deleted),
            live: Arc::new(live),
        };
        if known.as_ref().is_none_or(|known| known.bound < bound) {
            *known = Some(flags.clone());
        }
        Ok(flags)
    }
}

impl Flags {
    fn empty(bound: u32) -> Flags {
        Flags {
            bound,
            superseded: Arc::default(),
            deleted: Arc::default(),
            live: Arc::default(),
        }
    }

    fn extend(&mut self, inner: &Inner, bound: u32) {
        let bound = bound.min(inner.len());
        let first = self.bound.max(inner.base.rows);
        if first < bound {
            Arc::make_mut(&mut self.live).insert_range(first..bound);
        }
        for row in first..bound {
            let meta = &inner.rows[(row - inner.base.rows) as usize];
            if meta.previous != NONE {
                Arc::make_mut(&mut self.superseded).insert(meta.previous);
                Arc::make_mut(&mut self.live).remove(meta.previous);
            }
            if meta.deleted {
                Arc::make_mut(&mut self.deleted).insert(row);
                Arc::make_mut(&mut self.live).remove(row);
            }
        }
        self.bound = self.bound.max(bound);
    }
}
