//! Exchanging the folder of a database for a rewritten one.
//!
//! The new generation is written beside the old one, in [`NEW`]. The exchange
//! then passes through a log with the flag *swap* at the next fence of the old
//! folder, so that no other writer goes on there, and two renames. A power cut
//! leaves one of the states that [`enter`] knows how to finish or undo.

use std::io;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::lease::lease_name;
use super::previous::{PREV, Previous};
use super::rewrite::{Rewrite, flags_file};
use super::{Disk, Open, newest, numbered, write_whole};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{AppFolder, Folder, read_whole};
use crate::log::{Header, SWAP, log_name};
use crate::state::state_name;
use crate::table::Table;

/// The folder of the database.
pub(crate) const LIVE: &str = "v2";
/// The folder a compaction writes.
pub(crate) const NEW: &str = "v2.new";
/// The folder it replaced.
pub(crate) const OLD: &str = "v2.old";
/// Says that everything in the new folder is there and synced.
pub(crate) const COMPLETE: &str = "COMPLETE";
/// How often a reader looks for a folder that is missing for a moment.
const LOOKS: u32 = 50;

/// Flags of the new rows, if some were set by hand.
pub(crate) type NewFlags = Option<(RoaringBitmap, RoaringBitmap)>;

/// Opens the folder of the database. With the OS lock, an exchange that was
/// interrupted is finished or undone first.
pub(crate) fn enter(
    app: &dyn AppFolder,
    os_locked: bool,
    warnings: &mut Vec<String>,
) -> Result<Arc<dyn Folder>> {
    if os_locked {
        refuse_hollow(app)?;
        mend(app, warnings).doing(|| "finishing an interrupted compaction".into())?;
    }
    let mut looks = 0;
    loop {
        let looked = app.folder(LIVE);
        if !matches!(&looked, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return looked.doing(|| format!("opening {LIVE}"));
        }
        let looking = || "looking for a compaction".into();
        if !(app.exists(NEW).doing(looking)? || app.exists(OLD).doing(looking)?) {
            // An exchange may have ended between the two looks.
            return match app.folder(LIVE) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(StoreError::NoSuchDb("in this folder".into()))
                }
                other => other.doing(|| format!("opening {LIVE}")),
            };
        }
        looks += 1;
        if looks > LOOKS {
            // There is a database, under another name: nobody may begin a new one here.
            let holder = match app.exists(OLD).doing(looking)? || is_complete(app) {
                true => {
                    "a compaction that has not ended; whoever opens the database with the lock of its folder ends it"
                }
                false => {
                    "a copy, repair or import that has not ended; the same command again begins it anew"
                }
            };
            return Err(StoreError::Locked {
                holder: holder.into(),
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// True if everything that replaces the database is there.
fn is_complete(app: &dyn AppFolder) -> bool {
    let new = app.folder(NEW);
    new.is_ok_and(|new| new.exists(COMPLETE).unwrap_or(false))
}

/// Refuses a folder without a state beside one that has one: to take it for the
/// database would be to delete the database.
fn refuse_hollow(app: &dyn AppFolder) -> Result<()> {
    let has_state = |name: &str| -> Result<Option<bool>> {
        match app.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => {
                let folder = other.doing(|| format!("opening {name}"))?;
                newest(&*folder, "db.state.").map(|fence| Some(fence > 0))
            }
        }
    };
    if has_state(LIVE)? != Some(false) {
        return Ok(());
    }
    for name in [OLD, NEW] {
        if has_state(name)? == Some(true) {
            return Err(StoreError::Corrupt(format!(
                "{LIVE} has no state, but {name} has one: keep a copy of both, and remove {LIVE} if nothing was written to it"
            )));
        }
    }
    Ok(())
}

fn mend(app: &dyn AppFolder, warnings: &mut Vec<String>) -> io::Result<()> {
    let (new, old) = (app.exists(NEW)?, app.exists(OLD)?);
    if app.exists(LIVE)? {
        let live = app.folder(LIVE)?;
        let complete = live.exists(COMPLETE)?;
        if new || old || complete {
            // The names must be on the disk before anything is removed that they may still mean.
            app.sync()?;
            app.remove_all(NEW)?;
            remove_old(app)?;
            if complete {
                live.remove(COMPLETE)?;
            }
            warnings.push(if new {
                "an unfinished compaction was undone".into()
            } else {
                "a compaction was finished".into()
            });
        }
        return Ok(());
    }
    if new && app.folder(NEW)?.exists(COMPLETE)? {
        app.rename(NEW, LIVE)?;
        app.sync()?;
        remove_old(app)?;
        app.folder(LIVE)?.remove(COMPLETE)?;
        warnings.push("a compaction was finished".into());
    } else if old {
        app.rename(OLD, LIVE)?;
        app.sync()?;
        app.remove_all(NEW)?;
        warnings.push("an unfinished compaction was undone".into());
    } else if new {
        app.remove_all(NEW)?;
    }
    Ok(())
}

/// Removes the folder that was replaced, its logs first and the lowest of them before
/// the others: a writer who still has it open shall not take a lower one for the newest.
fn remove_old(app: &dyn AppFolder) -> io::Result<()> {
    if app.exists(OLD)? {
        let old = app.folder(OLD)?;
        for fence in numbered(&*old, "write.log.").unwrap_or_default() {
            old.remove(&log_name(fence))?;
        }
    }
    app.remove_all(OLD)
}

/// What the closing of the old folder has taken at the next fence so far.
#[derive(Default)]
struct Closing {
    leased: bool,
    announced: bool,
}

impl Disk {
    /// The folder around this one, in which it may be exchanged.
    pub fn exchangeable(&self) -> Result<Arc<dyn AppFolder>> {
        match &self.app {
            Some(app) if self.os_locked => Ok(Arc::clone(app)),
            _ => Err(StoreError::NeedsLock),
        }
    }

    /// Begins the files of a new generation.
    pub fn begin_rewrite(app: &dyn AppFolder) -> Result<Rewrite> {
        app.remove_all(NEW).doing(|| format!("removing {NEW}"))?;
        let folder = app.create(NEW).doing(|| format!("creating {NEW}"))?;
        app.sync().doing(|| "syncing the app folder".into())?;
        Rewrite::new(folder)
    }

    /// Puts the new generation in the place of the present one, which has just
    /// been checkpointed in this turn.
    pub fn exchange(
        &mut self,
        table: &mut Arc<Table>,
        mut next: Rewrite,
        kept: RoaringBitmap,
        flags: NewFlags,
    ) -> Result<()> {
        let app = self.exchangeable()?;
        let Some(open) = &self.open else {
            return Err(StoreError::Failed("no turn is under way".into()));
        };
        let header = open.header;
        let fence = header.fence;
        if let Err(error) = self.write_generation(&mut next, open, kept, flags) {
            let _ = app.remove_all(NEW);
            return Err(error);
        }
        let mut closing = Closing::default();
        if let Err(error) = self.close_old(fence, &*app, &mut closing) {
            // What was announced at the next fence ends with the one after it. What others
            // announced there, and their lease, is theirs.
            let raised = match closing.announced {
                true => self.create_empty(&log_name(fence + 2)),
                false => Ok(()),
            };
            if closing.leased {
                self.remove_lease(fence + 1);
            }
            let _ = app.remove_all(NEW);
            self.open = None;
            return Err(raised.err().unwrap_or(error));
        }
        self.open = None;
        if let Err(error) = rename_both(&*app) {
            // Which folder counts is found out by looking.
            if self.reopen().is_err() {
                self.failed = Some(format!("the exchange of folders failed: {error}"));
            }
            return Err(error);
        }
        // The lease of the new folder was written with it; the old ones are gone with the old folder.
        self.lease = Some(fence + 2);
        self.folder = Arc::clone(&next.folder);
        self.superseded_files.clear();
        self.quiet = None;
        if let Ok(folder) = app.folder(LIVE) {
            self.folder = folder;
        }
        // What cannot be removed now is removed by the next opener.
        let _ = self.folder.remove(COMPLETE);
        let _ = remove_old(&*app);
        self.catch_up_anew(fence + 2, table)?;
        // The exchange stands; without index segments the next opener only takes longer.
        if let Err(error) = self.forced_checkpoint(table) {
            self.warnings
                .push(format!("index segments after the compaction: {error}"));
        }
        Ok(())
    }

    /// Everything of the new folder but the mark that it is complete.
    fn write_generation(
        &self,
        next: &mut Rewrite,
        open: &Open,
        kept: RoaringBitmap,
        flags: NewFlags,
    ) -> Result<()> {
        next.sync()?;
        let folder = Arc::clone(&next.folder);
        let (fence, sequence) = (open.header.fence, open.sequence);
        if let Some(name) = read_whole(&*self.folder, "name.txt")? {
            write_whole(&*folder, "name.txt", &name)?;
        }
        // One sequence further than any file of the old generation, so that no two files of
        // both have one name.
        let base = sequence + 1;
        let mut flags_name = String::new();
        if let Some((superseded, deleted)) = flags {
            flags_name = format!("flags-{base}.rbm");
            write_whole(&*folder, &flags_name, &flags_file(&superseded, &deleted)?)?;
        }
        let previous = Previous {
            generation: open.header.generation,
            kept,
        };
        write_whole(&*folder, PREV, &previous.encode()?)?;
        let state = next.state(fence + 2, base, flags_name)?;
        write_whole(&*folder, &state_name(fence + 2), &state.encode())?;
        // The log between is only there for whoever follows the fences back.
        let between = Header {
            fence: fence + 1,
            previous: fence,
            seal: sequence,
            base: sequence,
            flags: SWAP,
            ..open.header
        };
        write_whole(&*folder, &log_name(fence + 1), &between.encode())?;
        let log = Header {
            fence: fence + 2,
            previous: fence + 1,
            seal: sequence,
            base,
            generation: state.generation,
            flags: 0,
        };
        write_whole(&*folder, &log_name(fence + 2), &log.encode())?;
        let lease = self.lease_text().format(self.now(), 1);
        write_whole(&*folder, &lease_name(fence + 2), lease.as_bytes())
    }

    /// Ends writing in the old folder, and marks the new one as complete.
    fn close_old(&mut self, fence: u64, app: &dyn AppFolder, closing: &mut Closing) -> Result<()> {
        let (next, after) = (log_name(fence + 1), log_name(fence + 2));
        if !self.try_lease(fence + 1)? {
            return Err(StoreError::LeaseLost);
        }
        closing.leased = true;
        match self.folder.create_new(&next) {
            Ok(_) => {
                closing.announced = true;
                self.folder.sync().doing(|| "syncing the folder".into())?;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StoreError::LeaseLost);
            }
            Err(error) => return Err(error).doing(|| format!("creating {next}")),
        }
        self.seal(fence + 1, SWAP)?;
        let new = app.folder(NEW).doing(|| format!("opening {NEW}"))?;
        let mark = new
            .create_new(COMPLETE)
            .doing(|| format!("creating {COMPLETE}"))?;
        mark.sync().doing(|| format!("syncing {COMPLETE}"))?;
        new.sync().doing(|| format!("syncing {NEW}"))?;
        if self
            .folder
            .exists(&after)
            .doing(|| format!("looking for {after}"))?
        {
            return Err(StoreError::LeaseLost);
        }
        Ok(())
    }
}

/// The two renames. If the second fails the first is undone.
fn rename_both(app: &dyn AppFolder) -> Result<()> {
    app.rename(LIVE, OLD).doing(|| format!("renaming {LIVE}"))?;
    if let Err(error) = app.rename(NEW, LIVE) {
        let _ = app.rename(OLD, LIVE);
        return Err(error).doing(|| format!("renaming {NEW}"));
    }
    app.sync().doing(|| "syncing the app folder".into())
}
