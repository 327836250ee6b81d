//! Whether all of a segment is as it was written.

use super::super::{HEADER, Part, filter};
use super::{Segment, read};
use crate::error::{Doing, Result};

impl Segment {
    /// Reads every block and bitmap; the offset of the first that is damaged.
    pub fn verify(&self) -> Result<()> {
        let mut start = [0; HEADER.len()];
        read(&self.bytes, 0, &mut start).doing(|| format!("reading {}", self.name))?;
        if start != HEADER {
            return Err(self.damaged(0));
        }
        for part in Part::BOTH {
            let mut before: Option<Vec<u8>> = None;
            let mut disorder = false;
            let mut count = 0;
            self.scan(part, &[], &[0xff; 8], &mut |_| true, &mut |term, _| {
                disorder |= before.as_deref().is_some_and(|before| before >= term);
                before = Some(term.to_vec());
                count += 1;
            })?;
            let tree = self.trailer.trees[part as usize];
            if disorder || count != tree.terms {
                return Err(self.damaged(tree.root.offset));
            }
        }
        for page in 0..u64::from(self.trailer.filter.len) / filter::PAGE as u64 {
            self.load(self.filter_page(page)?)?;
        }
        self.replaced()?;
        self.bitmap(self.trailer.superseded)?;
        self.tombstones()?;
        Ok(())
    }
}
