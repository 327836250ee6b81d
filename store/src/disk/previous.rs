//! `prev.rbm`: which rows of the generation before were kept.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::rewrite::append_bitmap;
use crate::error::Result;
use crate::folder::{Folder, read_to_end};

/// Name of the file.
pub(crate) const PREV: &str = "prev.rbm";
const HEADER: [u8; 4] = [0x4d, 0x58, 0x50, 0x02];

/// The rows that a compaction kept, numbered as they were before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Previous {
    pub generation: [u8; 8],
    pub kept: RoaringBitmap,
}

impl Previous {
    /// The row count now that stands for `rows` rows then.
    pub fn translate(&self, rows: u32) -> u32 {
        match rows.checked_sub(1) {
            // No more rows were kept than there are now, so the count fits.
            Some(last) => self.kept.rank(last) as u32,
            None => 0,
        }
    }

    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = HEADER.to_vec();
        bytes.extend(self.generation);
        append_bitmap(&mut bytes, &self.kept)?;
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        Ok(bytes)
    }

    pub fn decode(bytes: &[u8]) -> Option<Previous> {
        let (checked, crc) = bytes.split_last_chunk::<4>()?;
        let rest = checked.strip_prefix(&HEADER)?;
        if crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (len, bitmap) = rest.split_first_chunk::<4>()?;
        if bitmap.len() != u32::from_le_bytes(*len) as usize {
            return None;
        }
        Some(Previous {
            generation: *generation,
            kept: RoaringBitmap::deserialize_from(bitmap).ok()?,
        })
    }
}

/// Reads the file; without it, or with a damaged one, old watermarks are stale.
pub(crate) fn read_previous(
    folder: &dyn Folder,
    warnings: &mut Vec<String>,
) -> Option<Arc<Previous>> {
    let file = folder.open(PREV, false).ok()?;
    let previous = read_to_end(&*file, 0)
        .ok()
        .and_then(|bytes| Previous::decode(&bytes));
    if previous.is_none() {
        warnings.push(format!(
            "{PREV} is damaged; watermarks of the generation before are stale"
        ));
    }
    previous.map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_translated_and_every_flipped_bit_is_found() {
        let previous = Previous {
            generation: *b"k3f9a0Zq",
            kept: [1, 2, 5].into_iter().collect(),
        };
        let translated: Vec<u32> = (0..8).map(|rows| previous.translate(rows)).collect();
        assert_eq!(translated, [0, 0, 1, 2, 2, 2, 3, 3]);
        let bytes = previous.encode().expect("encodes");
        assert_eq!(Previous::decode(&bytes), Some(previous));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Previous::decode(&bad), None, "bit {bit}");
        }
    }
}
