//! Rows without a state: files that somebody brought from elsewhere. Whoever writes takes them
//! over (`load`); whoever may only read sees the rows all the same.

use std::io::ErrorKind;

use mix_value::msgpack;

use super::load::{Snapshot, new_row, row_facts};
use crate::data;
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, read_whole};
use crate::ids::draw;
use crate::table::Table;

/// Most bytes of rows that a reader keeps in memory.
const MOST: u64 = 1 << 30;

/// What the files hold.
pub(super) struct Bare {
    /// Number of whole rows.
    pub rows: u32,
    /// Their bytes in `db.dat`.
    pub len: usize,
    /// What `db.crc` is to hold.
    pub sums: Vec<u8>,
    /// The time of the last row.
    pub time: i64,
    /// What was left out.
    pub warning: Option<String>,
}

/// Verifies every row and hands its body to `each`; none if there are no rows.
pub(super) fn bare(
    folder: &dyn Folder,
    each: &mut dyn FnMut(u32, &[u8]) -> Result<()>,
) -> Result<Option<Bare>> {
    let read = |name| read_whole(folder, name).map(Option::unwrap_or_default);
    let (offsets, data, known) = (read(data::OFF)?, read(data::DAT)?, read(data::CRC)?);
    if data.is_empty() && offsets.len() <= data::OFF_HEADER.len() {
        return match known.len() > data::CRC_HEADER.len() {
            true => Err(StoreError::Corrupt(
                "there are checksums of rows, and neither rows nor a state".into(),
            )),
            false => Ok(None),
        };
    }
    if !offsets.starts_with(&data::OFF_HEADER) {
        return Err(StoreError::Corrupt("db.off has a wrong header".into()));
    }
    let starts = offsets[4..].as_chunks::<8>().0;
    let mut found = Bare {
        rows: 0,
        len: 0,
        sums: data::CRC_HEADER.to_vec(),
        time: 0,
        warning: None,
    };
    for (row, start) in starts.iter().enumerate() {
        let damaged = || StoreError::Corrupt(format!("row {row} is damaged"));
        if u64::from_le_bytes(*start) != found.len as u64 {
            return Err(damaged());
        }
        let rest = &data[found.len..];
        let whole = mix_value::varcode::read(rest)
            .ok()
            .and_then(|(len, prefix)| {
                let end = prefix.checked_add(usize::try_from(len).ok()?)?;
                rest.get(..end)
            });
        let Some(framed) = whole else {
            if row + 1 == starts.len() {
                found.warning = Some(format!("the last row {row} is incomplete and was left out"));
                break;
            }
            return Err(damaged());
        };
        let body = data::body_of(framed).ok_or_else(damaged)?;
        msgpack::decode(body).map_err(|_| damaged())?;
        found.time = row_facts(body).ok_or_else(damaged)?.time;
        each(found.rows, body)?;
        found.sums.extend(crc32c::crc32c(framed).to_le_bytes());
        found.len += framed.len();
        found.rows = u32::try_from(row + 1).map_err(|_| damaged())?;
    }
    // They are there if an adoption ended before its state was written. Others show that more
    // is missing than a state: then nobody knows which rows are.
    if !known.is_empty() && known != found.sums {
        return Err(StoreError::Corrupt(
            "there are checksums of other rows, and no state".into(),
        ));
    }
    Ok(Some(found))
}

/// What whoever may not write sees of such files.
pub(super) fn read_bare(folder: &dyn Folder) -> Result<Option<Snapshot>> {
    if length(folder)? > MOST {
        return Err(StoreError::TooLarge(format!(
            "rows without a state take more than {MOST} bytes; whoever opens the database for writing takes them over"
        )));
    }
    let table = Table::default();
    let found = bare(folder, &mut |number, body| {
        table.append(vec![new_row(number, body, 0, 0)?])
    })?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some(Snapshot {
        table,
        generation: draw()?,
        previous: None,
        warnings: found.warning.into_iter().collect(),
    }))
}

/// Bytes of the rows.
fn length(folder: &dyn Folder) -> Result<u64> {
    let file = match folder.open(data::DAT, false) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        opened => opened.doing(|| format!("opening {}", data::DAT))?,
    };
    file.len().doing(|| format!("reading {}", data::DAT))
}
