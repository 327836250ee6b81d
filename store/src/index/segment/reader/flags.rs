//! Which rows of a segment supersede others, and which are tombstones.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::Segment;
use crate::error::Result;

/// Bytes of a bitmap without rows, which has nothing but a header.
const NO_ROWS: u32 = 8;

impl Segment {
    /// Rows that rows of this segment below `bound` superseded.
    pub fn superseded(&self, bound: u32) -> Result<Arc<RoaringBitmap>> {
        if bound >= self.end() {
            return self.bitmap(self.trailer.superseded);
        }
        let replaced = self.replaced()?;
        let below = replaced.iter().take_while(|(row, _)| *row < bound);
        Ok(Arc::new(below.map(|(_, previous)| *previous).collect()))
    }

    /// The rows that superseded others, and those others.
    pub fn replaced(&self) -> Result<Vec<(u32, u32)>> {
        let bytes = self.load(self.trailer.replaced)?;
        let pairs = bytes.as_chunks::<8>().0.iter().map(|pair| {
            let [a, b, c, d, e, f, g, h] = *pair;
            (
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            )
        });
        Ok(pairs.collect())
    }

    /// Whether a row is a tombstone.
    pub fn is_tombstone(&self, row: u32) -> Result<bool> {
        if self.trailer.tombstones.len <= NO_ROWS {
            return Ok(false);
        }
        Ok(self.tombstones()?.contains(row))
    }

    /// The tombstones of the segment.
    pub fn tombstones(&self) -> Result<Arc<RoaringBitmap>> {
        self.bitmap(self.trailer.tombstones)
    }
}
