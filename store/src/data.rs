//! `db.dat`, `db.off` and `db.crc`: the checkpointed rows.

use mix_value::varcode;

use crate::error::{Doing, Result, StoreError};
use crate::folder::Folder;

pub(crate) const DAT: &str = "db.dat";
pub(crate) const OFF: &str = "db.off";
pub(crate) const CRC: &str = "db.crc";
pub(crate) const OFF_HEADER: [u8; 4] = [0x4d, 0x58, 0x4f, 0x02];
pub(crate) const CRC_HEADER: [u8; 4] = [0x4d, 0x58, 0x43, 0x02];

/// A row as it lies on disk: the length of its body, then the body.
pub(crate) fn write_row(out: &mut Vec<u8>, body: &[u8]) {
    varcode::write(out, body.len() as u64);
    out.extend_from_slice(body);
}

/// The body of a row as it lies on disk, if checksum and length are right.
pub(crate) fn checked_body(row: u32, framed: &[u8], crc: u32) -> Result<&[u8]> {
    if crc32c::crc32c(framed) != crc {
        return Err(StoreError::Corrupt(format!(
            "row {row} does not match its checksum"
        )));
    }
    body_of(framed).ok_or_else(|| StoreError::Corrupt(format!("row {row} has a wrong length")))
}

/// The body of a row that fills `framed`.
pub(crate) fn body_of(framed: &[u8]) -> Option<&[u8]> {
    let (len, prefix) = varcode::read(framed).ok()?;
    let body = &framed[prefix..];
    (body.len() as u64 == len).then_some(body)
}

/// Splits bytes into rows; none if they do not end with a row.
pub(crate) fn split_rows(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (len, prefix) = varcode::read(bytes).ok()?;
        let end = prefix.checked_add(usize::try_from(len).ok()?)?;
        rows.push(bytes.get(..end)?);
        bytes = &bytes[end..];
    }
    Some(rows)
}

/// Creates the three files with their headers, if they are not there.
pub(crate) fn create_files(folder: &dyn Folder) -> Result<()> {
    for (name, header) in [
        (DAT, &[][..]),
        (OFF, &OFF_HEADER[..]),
        (CRC, &CRC_HEADER[..]),
    ] {
        match folder.create_new(name) {
            Ok(file) => {
                file.write_at(0, header)
                    .doing(|| format!("writing {name}"))?;
                file.sync().doing(|| format!("syncing {name}"))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let file = folder
                    .open(name, true)
                    .doing(|| format!("opening {name}"))?;
                file.write_at(0, header)
                    .doing(|| format!("writing {name}"))?;
                file.sync().doing(|| format!("syncing {name}"))?;
            }
            Err(error) => return Err(error).doing(|| format!("creating {name}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_checksums_of_the_example() {
        let mut dat = Vec::new();
        write_row(&mut dat, &[0x81, 0xa1, 0x61, 0x01]);
        write_row(&mut dat, &[0x82, 0xa1, 0x61, 0xa1, 0x62, 0xa1, 0x63, 0xc0]);
        assert_eq!(
            dat,
            [
                4, 0x81, 0xa1, 0x61, 1, 8, 0x82, 0xa1, 0x61, 0xa1, 0x62, 0xa1, 0x63, 0xc0
            ]
        );
        assert_eq!(
            crc32c::crc32c(&dat[..5]).to_le_bytes(),
            [0x59, 0x8b, 0xa5, 0x84]
        );
        assert_eq!(
            crc32c::crc32c(&dat[5..]).to_le_bytes(),
            [0xd8, 0xa3, 0x32, 0x57]
        );
        assert_eq!(split_rows(&dat).map(|rows| rows.len()), Some(2));
        assert_eq!(split_rows(&dat[..13]), None);
    }
}
