//! Reading where nothing can be written: the disk is full, or the folder may only be read.
//!
//! No lease can be had there, and none is needed: what is committed is read as by any reader without
//! a lock (`load::read_only`). Whether others wrote since is told by a glance at the newest
//! state and the end of the newest log. The first turn that gets its lease reads everything anew.

use std::io::ErrorKind;
use std::sync::Arc;

use super::bare::read_bare;
use super::load::{Snapshot, had_state, read_only};
use super::seal::{newest_begun, read_state};
use super::{Disk, newest};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, read_exact_at};
use crate::log::{HEADER_LEN, Header, log_name};
use crate::state::State;
use crate::table::Table;

/// What tells whether there is more to read than was read without the lease.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Glance {
    state: State,
    /// The newest log with a header, its length, and the checksum that it ends with.
    log: Option<(Header, u64, [u8; 4])>,
}

impl Glance {
    pub fn generation(&self) -> [u8; 8] {
        self.state.generation
    }

    /// None where there is no database.
    fn at(folder: &dyn Folder) -> Result<Option<Glance>> {
        let fence = newest(folder, "write.log.")?;
        let Some(state) = read_state(folder)? else {
            return Ok(None);
        };
        let log = match newest_begun(folder, fence)? {
            None => None,
            Some((header, file)) => {
                let name = || format!("reading {}", log_name(header.fence));
                let len = file.len().doing(name)?;
                let mut sum = [0; 4];
                if len > HEADER_LEN as u64 {
                    // Shorter than it was found to be: somebody cut it off, so it is looked at again.
                    read_exact_at(&*file, len - 4, &mut sum).doing(name)?;
                }
                Some((header, len, sum))
            }
        };
        Ok(Some(Glance { state, log }))
    }
}

impl Disk {
    /// Brings `table` up to date: in a turn, or without the lease where nothing can be written.
    pub fn look_again(&mut self, table: &mut Arc<Table>) -> Result<()> {
        match self.turn(table, |_, _| Ok(())) {
            Err(error) if says_unwritable(&error) => self.read_unleased(table, error),
            other => other,
        }
    }

    /// Whether what was read without the lease still is all there is.
    pub(super) fn is_as_glanced(&self) -> bool {
        let known = self.glance.as_ref();
        known.is_some_and(
            |known| matches!(Glance::at(&*self.folder), Ok(Some(now)) if now == *known),
        )
    }

    fn read_unleased(&mut self, table: &mut Arc<Table>, why: StoreError) -> Result<()> {
        // Before the files are read: what is committed meanwhile is seen by the next glance.
        let Some(glance) = Glance::at(&*self.folder)? else {
            let is_announced = !had_state(&*self.folder, newest(&*self.folder, "write.log.")?)?;
            // Rows that somebody brought from elsewhere, and that nobody can take over. Nothing tells
            // whether they are the same as before.
            if let Some(bare) = read_bare(&*self.folder)? {
                if table.len() == 0 {
                    self.warnings.extend(bare.warnings);
                }
                *table = Arc::new(bare.table);
                return Ok(());
            }
            // What somebody wanted to begin, and could not.
            return Err(match is_announced && !self.options.create {
                true => StoreError::NoSuchDb("in this folder".into()),
                false => why,
            });
        };
        if self.glance.as_ref() == Some(&glance) {
            return Ok(());
        }
        let Snapshot {
            table: read,
            previous,
            warnings,
            ..
        } = read_only(&*self.folder)?;
        if self.glance.is_none() {
            let told = format!("nothing can be written, what is committed is read ({why})");
            self.warnings.push(told);
        }
        self.warnings.extend(warnings);
        self.previous = previous;
        self.is_known = true;
        // What is known of the log belongs to the table that is given up here.
        self.open = None;
        self.glance = Some(glance);
        *table = Arc::new(read);
        Ok(())
    }
}

/// Whether an error says that there is no room, or no right, to write.
fn says_unwritable(error: &StoreError) -> bool {
    match error {
        StoreError::DiskFull => true,
        StoreError::Io { source, .. } => matches!(
            source.kind(),
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
        ),
        _ => false,
    }
}
