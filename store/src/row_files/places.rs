//! Where rows lie, as it is kept: six bytes and a half for each row instead of the twelve in the
//! files, and all of a row close together, so that the places of rows all over a database fit into the
//! cache and one of them takes few reads of memory.

use std::sync::Arc;

use super::{BLOCK, Place};

/// Rows that share one start: those of a block.
const RUN: usize = BLOCK as usize;

/// The places of some neighbouring rows. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Places {
    runs: Arc<[Run]>,
    /// Of so many rows.
    rows: u32,
}

#[derive(Clone, Copy)]
struct Run {
    /// Of the first row.
    start: u64,
    sums: [u32; RUN],
    /// All zeros if a row is too long for such a number, or if a place is wrong.
    lens: [u16; RUN],
}

impl Places {
    /// So many rows have their places in one of these.
    pub const ROWS: u32 = 512;

    /// Bytes that the places of so many rows take.
    pub fn size_of(rows: u32) -> u64 {
        u64::from(rows.div_ceil(RUN as u32)) * size_of::<Run>() as u64
    }

    /// The places of the rows from `first` on: where each begins, with the start of the row behind
    /// the last one, and their checksums. Rows end at `end`.
    pub fn new(first: u32, starts: &[u64], sums: &[u32], end: u64) -> Places {
        let rows = sums.len().min(starts.len().saturating_sub(1));
        let runs = (0..rows).step_by(RUN).map(|at| {
            let count = (rows - at).min(RUN);
            let starts = &starts[at..at + count + 1];
            let mut run = Run {
                start: starts[0],
                sums: [0; RUN],
                lens: [0; RUN],
            };
            run.sums[..count].copy_from_slice(&sums[at..at + count]);
            let lens = starts.windows(2).map(|pair| {
                let len = pair[1].checked_sub(pair[0]).filter(|len| *len > 0)?;
                u16::try_from(len).ok()
            });
            let fits = starts[count] <= end && (first as usize + at > 0 || starts[0] == 0);
            let lens: Option<Vec<u16>> = lens.collect();
            if let Some(lens) = lens.filter(|_| fits) {
                run.lens[..count].copy_from_slice(&lens);
            }
            run
        });
        Places {
            runs: runs.collect(),
            rows: rows as u32,
        }
    }

    /// The place of a row, counted from the first; `Some(None)` if it has to be read, and none if
    /// there was no such row.
    pub fn get(&self, at: u32) -> Option<Option<Place>> {
        if at >= self.rows {
            return None;
        }
        let run = self.runs.get(at as usize / RUN)?;
        let at = at as usize % RUN;
        let before: u32 = run.lens[..at].iter().map(|len| u32::from(*len)).sum();
        let len = u32::from(run.lens[at]);
        let place = (run.start.saturating_add(before.into()), len, run.sums[at]);
        Some((len > 0).then_some(place))
    }

    /// Where so many rows of a block begin and where the last one ends, and their checksums, as
    /// [`Places::get`]; `at`: its first row.
    pub fn block(&self, at: u32, count: usize) -> Option<Option<(Vec<u64>, Vec<u32>)>> {
        if at as usize + count > self.rows as usize {
            return None;
        }
        let run = self.runs.get(at as usize / RUN)?;
        let (lens, sums) = (run.lens.get(..count)?, run.sums.get(..count)?);
        if lens.contains(&0) {
            return Some(None);
        }
        let mut next = run.start;
        let mut starts = Vec::with_capacity(count + 1);
        starts.push(next);
        starts.extend(lens.iter().map(|len| {
            next = next.saturating_add(u64::from(*len));
            next
        }));
        Some(Some((starts, sums.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_what_they_were_made_of() {
        // Row 40 is too long, row 70 has no length, and behind row 100 they are beyond the end.
        let len = |row: usize| match row {
            40 => 70_000,
            70 => 0,
            row => 1 + row as u64 * 600,
        };
        let mut starts = vec![1_000];
        starts.extend((0..200).map(len));
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let sums: Vec<u32> = (0..200).map(|row| row * 7_919).collect();
        let places = Places::new(512, &starts, &sums, starts[101]);
        for at in 0..200 {
            let plain = !(32..48).contains(&at) && at < 64;
            let found = plain.then(|| (starts[at], len(at) as u32, sums[at]));
            // The run of row 70 begins with 64; that of row 100, with 96.
            let found = match at {
                80..96 => Some((starts[at], len(at) as u32, sums[at])),
                _ => found,
            };
            assert_eq!(places.get(at as u32), Some(found), "{at}");
        }
        assert_eq!(places.get(200), None);
        for block in 0..12 {
            let here = block * 16..block * 16 + 16;
            let plain = ![2, 4].contains(&block) && block < 6;
            let found =
                plain.then(|| (starts[here.start..=here.end].to_vec(), sums[here].to_vec()));
            assert_eq!(places.block(block as u32 * 16, 16), Some(found), "{block}");
        }
        let first = (starts[..4].to_vec(), sums[..3].to_vec());
        assert_eq!(places.block(0, 3), Some(Some(first)));
        assert_eq!(places.block(192, 16), None);
        // The first row of all begins at 0.
        assert_eq!(
            Places::new(0, &[0, 5], &[9], 5).get(0),
            Some(Some((0, 5, 9)))
        );
        assert_eq!(Places::new(0, &[1, 5], &[9], 5).get(0), Some(None));
        assert_eq!(Places::new(0, &[], &[], 5).get(0), None);
    }
}
