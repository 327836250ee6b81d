//! Reading a damaged database: the rows that verify, all of them in memory.

use roaring::RoaringBitmap;

use super::check::{Derived, flags_of};
use super::load::{Snapshot, differences, new_row};
use super::walk::{Walked, walk};
use crate::error::{Result, StoreError};
use crate::fields;
use crate::folder::Folder;
use crate::ids::draw;
use crate::raw;
use crate::table::Table;

/// Most bytes of rows that are kept in memory.
const MOST: usize = 1 << 30;

/// What is left of a folder that `error` keeps from being opened. Rows behind a lost one have
/// smaller numbers than they had; then the generation is another one, so that old watermarks are stale.
pub(crate) fn salvage(folder: &dyn Folder, error: &StoreError) -> Result<Snapshot> {
    let table = Table::default();
    let (mut kept, mut derived, mut bytes) = (RoaringBitmap::new(), Derived::default(), 0_usize);
    let walked = walk(folder, &mut |walked: &mut Walked, row, body| {
        bytes = bytes.saturating_add(body.len());
        if bytes > MOST {
            return Err(StoreError::TooLarge(format!(
                "{error}; its rows take more than {MOST} bytes, which is too much to show them without `fix`"
            )));
        }
        let number = table.len();
        let moved = (number != row)
            .then(|| raw::with_int(body, fields::ROW, i64::from(number)))
            .flatten();
        match new_row(number, moved.as_deref().unwrap_or(body), 0, 0) {
            Ok(new) => {
                derived.add(number, new.id, new.deleted);
                kept.insert(row);
                table.append(vec![new])
            }
            Err(_) => {
                walked.find("db.dat", Some(row), "is no record", true);
                Ok(())
            }
        }
    })?;
    let whole =
        kept.len() == u64::from(walked.rows) && walked.findings.iter().all(|found| !found.lost);
    let generation = match &walked.state {
        Some(state) if whole => state.generation,
        _ => draw()?,
    };
    let rows = table.len();
    if let Some((superseded, deleted)) = flags_of(&walked, &kept, derived) {
        table.add_overrides(differences(&table, &superseded, &deleted)?);
    }
    let lost = walked.findings.iter().filter(|found| found.lost).count();
    let told = format!(
        "{error}; the {rows} rows that are intact are shown, {lost} findings are about lost ones (`check` lists them, `fix` writes a new database)"
    );
    Ok(Snapshot {
        table,
        generation,
        previous: None,
        warnings: vec![told],
    })
}
