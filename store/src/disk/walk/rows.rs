//! The checkpointed rows, one by one, whatever is damaged around them.

use super::{Visit, Walked};
use crate::data::{self, body_of};
use crate::error::{Doing, Result};
use crate::fields;
use crate::folder::{Folder, FolderFile, read_exact_at};
use crate::raw;

/// No row with its length is longer: a record of 16 MiB.
const MAX_FRAMED: u64 = (16 << 20) + 16;

/// A file of fixed entries after a header, read piece by piece.
struct Entries {
    file: Option<Box<dyn FolderFile>>,
    width: u64,
    count: u64,
    piece: Vec<u8>,
    from: u64,
}

impl Entries {
    const PIECE: u64 = 8192;

    fn open(
        folder: &dyn Folder,
        walked: &mut Walked,
        name: &str,
        header: [u8; 4],
        width: u64,
    ) -> Result<Entries> {
        let file = match folder.open(name, false) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                walked.find(name, None, "is missing", false);
                None
            }
            Err(error) => return Err(error).doing(|| format!("opening {name}")),
        };
        let mut count = 0;
        if let Some(file) = &file {
            let len = file.len().doing(|| format!("reading {name}"))?;
            count = len.saturating_sub(4) / width;
            let mut found = [0; 4];
            if len < 4 || read_exact_at(&**file, 0, &mut found).is_err() || found != header {
                walked.find(name, None, "has a wrong header", false);
            }
        }
        Ok(Entries {
            file,
            width,
            count,
            piece: Vec::new(),
            from: 0,
        })
    }

    /// An entry as a number; none beyond the end.
    fn get(&mut self, at: u64) -> Result<Option<u64>> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        if at >= self.count {
            return Ok(None);
        }
        let held = self.piece.len() as u64 / self.width;
        if at < self.from || at >= self.from + held {
            let count = Entries::PIECE.min(self.count - at);
            self.piece.resize((count * self.width) as usize, 0);
            read_exact_at(&**file, 4 + at * self.width, &mut self.piece)
                .doing(|| "reading offsets or checksums".into())?;
            self.from = at;
        }
        let start = ((at - self.from) * self.width) as usize;
        let mut number = [0; 8];
        let width = self.width as usize;
        number[..width].copy_from_slice(&self.piece[start..start + width]);
        Ok(Some(u64::from_le_bytes(number)))
    }
}

/// The checkpointed rows. Without a state those count that the log does not have.
pub(super) fn walk_data(
    folder: &dyn Folder,
    walked: &mut Walked,
    first_logged: Option<u32>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let mut offsets = Entries::open(folder, walked, data::OFF, data::OFF_HEADER, 8)?;
    let mut sums = Entries::open(folder, walked, data::CRC, data::CRC_HEADER, 4)?;
    let file = match folder.open(data::DAT, false) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            walked.find(data::DAT, None, "is missing", false);
            return Ok(());
        }
        Err(error) => return Err(error).doing(|| format!("opening {}", data::DAT)),
    };
    let len = file.len().doing(|| format!("reading {}", data::DAT))?;
    let (rows, end) = match &walked.state {
        Some(state) => (u64::from(state.rows), state.dat_len),
        None => {
            let known = offsets.count.max(sums.count).min(u64::from(u32::MAX));
            (
                first_logged.map_or(known, |first| known.min(u64::from(first))),
                len,
            )
        }
    };
    if len < end {
        walked.find(
            data::DAT,
            None,
            format!("has {len} bytes instead of {end}"),
            false,
        );
    }
    for (name, entries) in [(data::OFF, &offsets), (data::CRC, &sums)] {
        if entries.file.is_some() && entries.count < rows {
            let what = format!("has {} rows instead of {rows}", entries.count);
            walked.find(name, None, what, false);
        }
    }
    let end = end.min(len);
    let mut cursor = Some(0);
    for row in 0..rows {
        let number = row as u32;
        let is_behind_all = row >= offsets.count.max(sums.count);
        if is_behind_all && cursor.is_none_or(|cursor| cursor >= end) {
            // However many the state claims.
            walked.find_missing(data::OFF, number, rows - row, "missing");
            walked.rows = u32::try_from(rows).unwrap_or(u32::MAX);
            cursor = None;
            break;
        }
        let (here, next) = (offsets.get(row)?, offsets.get(row + 1)?);
        let next = if row + 1 == rows { Some(end) } else { next };
        let sum = sums.get(row)?.map(|sum| sum as u32);
        // A row begins where the one before ends; a wrong offset is named.
        let starts = [here, cursor.filter(|cursor| here != Some(*cursor))];
        let mut taken = None;
        for start in starts.into_iter().flatten() {
            if let Some(row) = row_at(&*file, start, next, end, number, sum)? {
                taken = Some((start, row));
                break;
            }
        }
        walked.rows = number.saturating_add(1);
        let Some((
            start,
            RowAt {
                framed,
                body_from,
                crc_is_wrong,
            },
        )) = taken
        else {
            let file = if here.is_none() || here != cursor && cursor.is_some() {
                data::OFF
            } else {
                data::DAT
            };
            walked.find(file, Some(number), "does not match its checksum", true);
            cursor = next.filter(|next| here.is_some_and(|here| here < *next) && *next <= end);
            continue;
        };
        if here != Some(start) || cursor.is_some_and(|cursor| cursor != start) {
            walked.find(data::OFF, Some(number), "has a wrong offset", false);
        }
        if crc_is_wrong {
            walked.find(
                data::CRC,
                Some(number),
                "has a wrong checksum; the row is intact",
                false,
            );
        }
        if body_from == 0 {
            walked.find(
                data::DAT,
                Some(number),
                "has a wrong length; the row is intact",
                false,
            );
        }
        cursor = Some(start + framed.1);
        visit(walked, number, &framed.0)?;
    }
    if rows > 0 && cursor.is_some_and(|cursor| cursor != end) && walked.state.is_some() {
        walked.find(data::DAT, None, "has bytes that belong to no row", false);
    }
    Ok(())
}

struct RowAt {
    /// The body and the bytes it takes with its length.
    framed: (Vec<u8>, u64),
    /// 0 if the length before the body is damaged.
    body_from: usize,
    crc_is_wrong: bool,
}

/// The row at a place, if it is intact in one way or another.
fn row_at(
    file: &dyn FolderFile,
    start: u64,
    next: Option<u64>,
    end: u64,
    row: u32,
    sum: Option<u32>,
) -> Result<Option<RowAt>> {
    let plausible = |next: &u64| *next > start && *next <= end && *next - start <= MAX_FRAMED;
    let mut lengths: Vec<u64> = next
        .filter(plausible)
        .map(|next| next - start)
        .into_iter()
        .collect();
    if start < end {
        let mut prefix = [0; 10];
        let here = usize::try_from((end - start).min(10)).unwrap_or(10);
        read_exact_at(file, start, &mut prefix[..here])
            .doing(|| format!("reading {}", data::DAT))?;
        if let Ok((len, size)) = mix_value::varcode::read(&prefix[..here]) {
            let len = len.saturating_add(size as u64);
            if plausible(&start.saturating_add(len)) && !lengths.contains(&len) {
                lengths.push(len);
            }
        }
    }
    for len in lengths {
        // At most MAX_FRAMED.
        let mut framed = vec![0; len as usize];
        read_exact_at(file, start, &mut framed).doing(|| format!("reading {}", data::DAT))?;
        let crc = crc32c::crc32c(&framed);
        if let Some(body) = body_of(&framed) {
            let crc_is_wrong = sum != Some(crc);
            if !crc_is_wrong || is_near(crc, sum) && is_whole(body, row) {
                let from = framed.len() - body.len();
                let body = body.to_vec();
                return Ok(Some(RowAt {
                    framed: (body, len),
                    body_from: from,
                    crc_is_wrong,
                }));
            }
            continue;
        }
        // The length alone may be damaged: with the right one the checksum fits again.
        for size in 1..=4 {
            let Some(body) = framed.get(size..) else {
                break;
            };
            let mut again = Vec::with_capacity(framed.len());
            data::write_row(&mut again, body);
            if again.len() == framed.len() && sum == Some(crc32c::crc32c(&again)) {
                let body = body.to_vec();
                return Ok(Some(RowAt {
                    framed: (body, len),
                    body_from: 0,
                    crc_is_wrong: false,
                }));
            }
        }
    }
    Ok(None)
}

/// Whether the checksum itself may be what is damaged: it is missing, wiped, or
/// differs by so few bits as no single flipped bit of a row makes it differ.
fn is_near(crc: u32, sum: Option<u32>) -> bool {
    match sum {
        None | Some(0 | u32::MAX) => true,
        Some(sum) => (crc ^ sum).count_ones() <= 2,
    }
}

/// Whether a body is that of this row and its content matches its own hash.
fn is_whole(body: &[u8], row: u32) -> bool {
    let number =
        raw::member(body, fields::ROW).and_then(|bytes| mix_value::msgpack::decode(bytes).ok());
    number.and_then(|number| number.as_int()) == Some(i64::from(row))
        && crate::disk::check::content_matches(body).is_ok()
}
