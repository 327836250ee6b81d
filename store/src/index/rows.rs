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

/// Single rows are sorted while they are fewer than one of so many rows, but at most [`SORTED`]
/// of them; more go into plain bits.
const ONE_OF: u32 = 256;
const SORTED: usize = 4096;
/// Bitmaps of more rows for each 2^16 of them are merged as they are: they are plain bits themselves.
const DENSE: u64 = 4096;

/// Most bitmaps that are put one behind the other.
const LINKS: u32 = 8;

/// Collects the union of the rows of many terms.
#[derive(Default)]
pub(crate) struct Union {
    few: Vec<u32>,
    /// The greatest of them.
    greatest: u32,
    /// Bitmaps that are not dense, each behind the one before, as those of one term in some segments.
    chain: RoaringBitmap,
    /// How many.
    links: u32,
    dense: RoaringBitmap,
    /// One bit per row, once there are many single rows.
    bits: Vec<u8>,
}

impl Union {
    pub fn add(&mut self, rows: Rows<'_>) {
        match rows {
            Rows::Few(rows) => {
                // A list out of order is no reason to fail, see `to_bitmap`.
                let last = rows.iter().copied().max().unwrap_or(0);
                self.add_single(rows.iter().copied(), rows.len() as u64, last);
            }
            Rows::Many(rows) if is_dense(rows) => self.dense |= rows,
            Rows::Many(rows)
                if self.links < LINKS && !self.has_single() && self.is_behind(rows) =>
            {
                self.links += 1;
                self.chain |= rows;
            }
            Rows::Many(rows) => {
                self.add_chain();
                self.add_single(rows.iter(), rows.len(), rows.max().unwrap_or(0));
            }
        }
    }

    fn is_behind(&self, rows: &RoaringBitmap) -> bool {
        self.chain.max() < rows.min()
    }

    fn has_single(&self) -> bool {
        !self.few.is_empty() || !self.bits.is_empty()
    }

    /// Adds `count` rows one by one, none greater than `last`: to merge lists takes longer than to set their bits.
    fn add_single(&mut self, rows: impl Iterator<Item = u32>, count: u64, last: u32) {
        self.greatest = self.greatest.max(last);
        if self.bits.is_empty() {
            let most = (self.greatest / ONE_OF) as usize;
            if self.few.len() as u64 + count <= most.clamp(64, SORTED) as u64 {
                self.few.extend(rows);
                return;
            }
            self.reach(self.greatest);
            for row in std::mem::take(&mut self.few) {
                set(&mut self.bits, row);
            }
        }
        self.reach(last);
        let bits = &mut self.bits;
        rows.for_each(|row| set(bits, row));
    }

    /// Adds the rows of the chain, now that there are others.
    fn add_chain(&mut self) {
        self.links = LINKS;
        let chain = std::mem::take(&mut self.chain);
        self.add_single(chain.iter(), chain.len(), chain.max().unwrap_or(0));
    }

    /// Makes room for the bit of a row.
    fn reach(&mut self, row: u32) {
        let byte = row as usize / 8;
        if byte >= self.bits.len() {
            self.bits.resize((byte + 1).next_power_of_two(), 0);
        }
    }

    pub fn finish(mut self) -> RoaringBitmap {
        if self.has_single() {
            self.add_chain();
        }
        let mut all = self.dense | self.chain;
        if !self.bits.is_empty() {
            all |= RoaringBitmap::from_lsb0_bytes(0, &self.bits);
        }
        self.few.sort_unstable();
        self.few.dedup();
        if !self.few.is_empty() {
            all |= Rows::Few(&self.few).to_bitmap();
        }
        all
    }
}

/// Whether a bitmap has so many rows that most of it is plain bits.
fn is_dense(rows: &RoaringBitmap) -> bool {
    let part = |row: Option<u32>| u64::from(row.unwrap_or(0) >> 16);
    let parts = part(rows.max()) - part(rows.min()) + 1;
    rows.len() > DENSE * parts
}

/// Sets the bit of a row, for which there is room.
fn set(bits: &mut [u8], row: u32) {
    bits[row as usize / 8] |= 1 << (row % 8);
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

    #[test]
    fn lists_out_of_order_are_put_in_order() {
        let mut union = Union::default();
        for first in 0..200_u32 {
            union.add(Rows::Few(&[900_000 - first, first, 40_000 + first]));
        }
        let all = (0..200).chain(40_000..40_200).chain(899_801..900_001);
        assert_eq!(union.finish(), all.collect());
    }

    /// Lists, short bitmaps one behind the other or not, and long ones, in all orders.
    #[test]
    fn the_order_of_what_is_added_does_not_matter() {
        let spread = |first: u32, step: u32, count: u32| -> RoaringBitmap {
            (0..count).map(|number| first + number * step).collect()
        };
        let parts = [
            spread(5, 7, 40),
            spread(1_000, 13, 900),
            spread(20_000, 3, 3_000),
            spread(70_000, 5, 2_000),
            spread(10, 11, 10_000),
            spread(0, 1, 30_000),
            spread(300_000, 1, 20),
        ];
        for seed in 0..200_usize {
            let mut union = Union::default();
            let mut expected = RoaringBitmap::new();
            for turn in 0..seed % 9 {
                let part = &parts[(seed * 31 + turn * (seed + 3)) % parts.len()];
                expected |= part;
                if (seed + turn).is_multiple_of(3) {
                    let rows: Vec<u32> = part.iter().collect();
                    rows.chunks(16).for_each(|few| union.add(Rows::Few(few)));
                } else {
                    union.add(Rows::Many(part));
                }
            }
            assert_eq!(union.finish(), expected, "{seed}");
        }
    }
}
