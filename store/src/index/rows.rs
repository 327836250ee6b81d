//! Row lists of terms, and unions of many of them.

use roaring::RoaringBitmap;

/// The rows of one term.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// Ascending.
    Few(&'a [u32]),
    Many(&'a RoaringBitmap),
}

impl Rows<'_> {
    pub fn to_bitmap(self) -> RoaringBitmap {
        match self {
            // Ascending as they should be; if not, they are put in order.
            Rows::Few(rows) => RoaringBitmap::from_sorted_iter(rows.iter().copied())
                .unwrap_or_else(|_| rows.iter().copied().collect()),
            Rows::Many(rows) => rows.clone(),
        }
    }

    /// The greatest row below a bound.
    pub fn last_below(self, bound: u32) -> Option<u32> {
        match self {
            Rows::Few(rows) => rows.iter().copied().rfind(|row| *row < bound),
            Rows::Many(rows) => rows.range(..bound).next_back(),
        }
    }
}

/// So many single rows are sorted; more go into plain bits.
const SORTED: usize = 4096;
/// A bitmap of at most so many rows is taken apart.
const SPARSE: u64 = 16_384;

/// Collects the union of the rows of many terms.
#[derive(Default)]
pub(crate) struct Union {
    few: Vec<u32>,
    many: RoaringBitmap,
    /// One bit per row, once there are many single rows.
    bits: Vec<u8>,
}

impl Union {
    pub fn add(&mut self, rows: Rows<'_>) {
        match rows {
            Rows::Few(rows) if self.bits.is_empty() => {
                self.few.extend_from_slice(rows);
                if self.few.len() > SORTED {
                    let few = std::mem::take(&mut self.few);
                    self.set(few.into_iter());
                }
            }
            Rows::Few(rows) => self.set(rows.iter().copied()),
            // Merging containers of few rows each costs more than their rows.
            Rows::Many(rows) if !self.bits.is_empty() && rows.len() <= SPARSE => {
                self.set(rows.iter());
            }
            Rows::Many(rows) if self.few.len() as u64 + rows.len() <= SORTED as u64 => {
                self.few.extend(rows);
            }
            Rows::Many(rows) if rows.len() <= SPARSE => {
                let few = std::mem::take(&mut self.few);
                self.set(few.into_iter().chain(rows));
            }
            Rows::Many(rows) => self.many |= rows,
        }
    }

    fn set(&mut self, rows: impl Iterator<Item = u32>) {
        for row in rows {
            let byte = row as usize / 8;
            if byte >= self.bits.len() {
                self.bits.resize((byte + 1).next_power_of_two(), 0);
            }
            self.bits[byte] |= 1 << (row % 8);
        }
    }

    pub fn finish(mut self) -> RoaringBitmap {
        self.few.sort_unstable();
        self.few.dedup();
        let mut all = self.many;
        if !self.few.is_empty() {
            all |= Rows::Few(&self.few).to_bitmap();
        }
        if !self.bits.is_empty() {
            all |= RoaringBitmap::from_lsb0_bytes(0, &self.bits);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_is_the_union() {
        for count in [0_u32, 1, 5000, 20_000] {
            let mut union = Union::default();
            let mut expected = RoaringBitmap::new();
            for number in 0..count {
                let row = number.wrapping_mul(7919) % 100_000;
                expected.insert(row);
                union.add(Rows::Few(&[row]));
            }
            for more in [50_000..51_000, 70_000..73_500, 0..90_000, 10..20] {
                let more: RoaringBitmap = more.collect();
                union.add(Rows::Many(&more));
                expected |= more;
            }
            assert_eq!(union.finish(), expected);
        }
    }
}
