//! A database on disk: who may write, commits, and how the files are read again.
//!
//! All writing happens in *turns*. A turn holds the lease of the present fence
//! (`lease`), catches up with what others wrote (`load`), writes, and gives the
//! lease back. So several processes, natively or as components, can share a
//! folder. A commit is one frame at the end of the write log (`commit`); the
//! data files follow at a checkpoint (`checkpoint`).

mod bare;
mod check;
mod checkpoint;
mod commit;
mod compact;
mod lease;
mod load;
mod look;
mod previous;
mod rewrite;
mod salvage;
mod seal;
mod swap;
mod unleased;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::data;
use crate::error::{Doing, Result, StoreError};
use crate::folder::{AppFolder, Folder, FolderFile, read_up_to};
use crate::ids::{draw, text_of};
use crate::log::{HEADER_LEN, Header, NO_NUMBER, log_name};
use crate::options::OpenOptions;
use crate::state::State;
use crate::table::Table;

pub use check::Fixed;
pub(crate) use check::{About, Chains, check, fix, found, write_first_log};
pub(crate) use commit::Entry;
pub(crate) use compact::{Selection, select};
pub(crate) use lease::process_id;
pub(crate) use load::new_row;
pub(crate) use load::{Snapshot, read_only};
pub(crate) use previous::Previous;
pub(crate) use rewrite::Rewrite;
pub(crate) use salvage::salvage;
pub(crate) use seal::read_state;
pub(crate) use swap::{COMPLETE, NEW, OLD};
pub(crate) use swap::{LIVE, NewFlags, enter};
pub use walk::Finding;
pub(crate) use walk::newest_log;

/// The files of one database.
pub(crate) struct Disk {
    folder: Arc<dyn Folder>,
    /// The folder around it, if it is known.
    app: Option<Arc<dyn AppFolder>>,
    options: OpenOptions,
    /// True if the OS lock of the folder is held.
    os_locked: bool,
    owner: String,
    open: Option<Open>,
    failed: Option<String>,
    /// There was a database here: without a log it is gone, not new.
    is_known: bool,
    /// A fence whose log failed to sync: nothing more is written there.
    distrusted: Option<u64>,
    lease: Option<u64>,
    last_commit: i64,
    superseded_files: Vec<(String, i64)>,
    /// What earlier writers left behind is among them.
    leftovers_noted: bool,
    /// Logs of lower fences, and when they were seen first.
    old_logs: BTreeMap<u64, i64>,
    /// Where the rows of the generation before went.
    previous: Option<Arc<Previous>>,
    /// As far as a short look tells whether others wrote.
    quiet: Option<look::Quiet>,
    /// What was read without the lease, as long as none can be had.
    glance: Option<unleased::Glance>,
    /// What was found and mended while opening.
    pub warnings: Vec<String>,
}

/// The three data files, opened for writing once: whatever becomes of the
/// folder's name, a stalled writer writes nowhere else.
struct DataFiles {
    dat: Box<dyn FolderFile>,
    off: Box<dyn FolderFile>,
    crc: Box<dyn FolderFile>,
}

impl DataFiles {
    fn open(folder: &dyn Folder) -> Result<DataFiles> {
        let open = |name: &str| folder.open(name, true).doing(|| format!("opening {name}"));
        Ok(DataFiles {
            dat: open(data::DAT)?,
            off: open(data::OFF)?,
            crc: open(data::CRC)?,
        })
    }
}

/// What is known of the files since the last turn.
struct Open {
    data: DataFiles,
    header: Header,
    file: Box<dyn FolderFile>,
    /// End of the last good frame.
    end: u64,
    /// Sequence of the last good frame.
    sequence: u64,
    /// Highest sequence known to be synced.
    durable: u64,
    /// The name of the log is known to be synced. As long as there is nothing in
    /// the log that can wait for the first commit, so that opening syncs nothing.
    named: bool,
    state: State,
}

impl Disk {
    pub fn new(
        folder: Arc<dyn Folder>,
        app: Option<Arc<dyn AppFolder>>,
        options: OpenOptions,
        os_locked: bool,
    ) -> Result<Disk> {
        let owner: [u8; 32] = draw()?;
        Ok(Disk {
            folder,
            app,
            options,
            os_locked,
            owner: text_of(&owner).to_owned(),
            open: None,
            failed: None,
            is_known: false,
            distrusted: None,
            lease: None,
            last_commit: i64::MIN,
            superseded_files: Vec::new(),
            leftovers_noted: false,
            old_logs: BTreeMap::new(),
            previous: None,
            quiet: None,
            glance: None,
            warnings: Vec::new(),
        })
    }

    /// Runs `work` as the only writer, on a table that is up to date. A table
    /// that had to be loaded anew is put into `table`.
    pub fn turn<R>(
        &mut self,
        table: &mut Arc<Table>,
        work: impl FnOnce(&mut Disk, &mut Arc<Table>) -> Result<R>,
    ) -> Result<R> {
        if let Some(reason) = &self.failed {
            return Err(StoreError::Failed(reason.clone()));
        }
        let entered = self.acquire()?;
        let result = match self.catch_up(entered, table) {
            Ok(()) => {
                self.glance = None;
                work(self, table)
            }
            Err(error) => {
                // Half-known files are read again as a whole next time.
                self.open = None;
                Err(error)
            }
        };
        self.release();
        result
    }

    /// Whether the OS lock of the folder is held.
    pub fn is_os_locked(&self) -> bool {
        self.os_locked
    }

    /// Whether a failure stopped writing.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Forgets a failure, so that the next turn reads the files again.
    pub fn reopen(&mut self) -> Result<()> {
        self.open = None;
        self.quiet = None;
        self.glance = None;
        if let Some(app) = &self.app {
            self.folder = enter(&**app, self.os_locked, &mut self.warnings)?;
        }
        self.failed = None;
        Ok(())
    }

    /// The generation; none before anything was read.
    pub fn generation(&self) -> Option<[u8; 8]> {
        let glanced = || self.glance.as_ref().map(unleased::Glance::generation);
        let open = self.open.as_ref().map(|open| open.header.generation);
        open.or_else(glanced)
    }

    /// Where the rows of the generation before went.
    pub fn previous(&self) -> Option<Arc<Previous>> {
        self.previous.clone()
    }

    fn now(&self) -> i64 {
        self.options.clock.now()
    }

    /// Stops writing until the files are read again.
    fn poison(&mut self, reason: &str) {
        self.failed = Some(reason.to_owned());
        self.distrust();
    }

    /// Never writes to the present log again. What failed to sync may be missing
    /// on the disk even if a later sync says otherwise.
    fn distrust(&mut self) {
        if let Some(open) = self.open.take() {
            self.raise_above(open.header.fence);
        }
    }

    /// Announces the log of the next fence at once, so that no other writer goes
    /// on at this one. If this fails the lease stays, which keeps others out
    /// until they raise the fence themselves; the next turn tries again.
    fn raise_above(&mut self, fence: u64) {
        self.distrusted = self
            .create_empty(&log_name(fence + 1))
            .is_err()
            .then_some(fence);
    }

    fn create_empty(&self, name: &str) -> Result<()> {
        match self.folder.create_new(name) {
            Ok(_) => self.folder.sync().doing(|| "syncing the folder".into()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error).doing(|| format!("creating {name}")),
        }
    }

    /// The greatest k of the names `<prefix><k>`; 0 without one.
    fn newest(&self, prefix: &str) -> Result<u64> {
        newest(&*self.folder, prefix)
    }

    /// Writes a file so that it is there whole or not at all.
    fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_whole(&*self.folder, name, bytes)
    }
}

/// Writes a file so that it is there whole or not at all.
pub(crate) fn write_whole(folder: &dyn Folder, name: &str, bytes: &[u8]) -> Result<()> {
    let suffix: [u8; 8] = draw()?;
    let temporary = format!("tmp-{}", text_of(&suffix));
    let written = folder
        .create_new(&temporary)
        .and_then(|file| file.write_at(0, bytes).and_then(|()| file.sync()))
        .and_then(|()| folder.rename(&temporary, name));
    if written.is_err() {
        // The error of the write is the one to report.
        let _ = folder.remove(&temporary);
    }
    written.doing(|| format!("writing {name}"))?;
    folder.sync().doing(|| "syncing the folder".into())
}

/// The greatest k of the names `<prefix><k>`; 0 without one.
pub(crate) fn newest(folder: &dyn Folder, prefix: &str) -> Result<u64> {
    Ok(numbered(folder, prefix)?.last().copied().unwrap_or(0))
}

/// All k of the names `<prefix><k>`, ascending.
fn numbered(folder: &dyn Folder, prefix: &str) -> Result<Vec<u64>> {
    let names = folder.list().doing(|| "listing the folder".into())?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_prefix(prefix))
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'))
        .filter_map(|digits| digits.parse().ok())
        .filter(|number| *number < NO_NUMBER)
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The header of a log, or none for an announced (empty) one.
fn read_header(file: &dyn FolderFile, fence: u64) -> Result<Option<Header>> {
    let name = log_name(fence);
    let mut bytes = [0; HEADER_LEN];
    let len = read_up_to(file, 0, &mut bytes).doing(|| format!("reading {name}"))?;
    if len == 0 {
        return Ok(None);
    }
    if len < HEADER_LEN {
        return Err(StoreError::Corrupt(format!("{name} has no whole header")));
    }
    let header = Header::decode(&bytes)?;
    if header.fence != fence {
        return Err(StoreError::Corrupt(format!(
            "{name} is of fence {}",
            header.fence
        )));
    }
    Ok(Some(header))
}
