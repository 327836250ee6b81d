//! The way of a write call: into the queue, and out of it as a commit.
//!
//! Calls that wait for the writer are written together: whoever becomes the
//! writer takes what is in the queue, writes a frame for each, and syncs once
//! (group commit). Each call still is a commit of its own, with its own result.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mix_value::{Ref, Value};

use crate::batch::{Batch, Overlay};
use crate::database::{Backing, Database};
use crate::disk::{Disk, Entry};
use crate::error::{Result, StoreError};
use crate::log::FrameKind;
use crate::options::SaveOptions;
use crate::plain::Draft;
use crate::prepare::{MAX_RECORDS, Prepared, prepare};
use crate::record::Record;
use crate::table::{NewRow, Overrides, Table};

/// A group ends when its commits have so many bytes.
const GROUP_BYTES: usize = 8 << 20;
/// Most commits of a group.
const GROUP: usize = 256;

/// What a call wants to write.
enum Work {
    Save(Vec<Prepared>, SaveOptions),
    Delete(Vec<Ref>, String),
    Flags(Overrides),
}

/// What a call gets.
enum Done {
    Saved(Vec<Record>),
    Deleted(Vec<Option<Record>>),
    Flags,
}

/// Where the result of a call is put.
type Slot = Arc<Mutex<Option<Result<Done>>>>;

struct Waiting {
    work: Work,
    slot: Slot,
}

/// Calls that wait for the writer.
#[derive(Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    /// The writer is through with a group.
    written: Condvar,
}

#[derive(Default)]
struct Line {
    calls: VecDeque<Waiting>,
    /// One of the callers writes for all.
    has_writer: bool,
}

impl Queue {
    fn line(&self) -> MutexGuard<'_, Line> {
        // Pushing and taking leave no half state behind.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the writer's place free, also after a panic.
struct WriterPlace<'a>(&'a Queue);

impl Drop for WriterPlace<'_> {
    fn drop(&mut self) {
        self.0.line().has_writer = false;
        self.0.written.notify_all();
    }
}

fn take(slot: &Slot) -> Option<Result<Done>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn answer(slot: &Slot, result: Result<Done>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
}

impl Database {
    /// Saves records as one commit and gives the stored ones, in order.
    pub fn save(&self, records: Vec<Value>, options: &SaveOptions) -> Result<Vec<Record>> {
        self.save_drafts(records.into_iter().map(Draft::Value), options)
    }

    /// As [`Database::save`], of records that may be encoded already.
    pub fn save_drafts(
        &self,
        records: impl ExactSizeIterator<Item = Draft>,
        options: &SaveOptions,
    ) -> Result<Vec<Record>> {
        let prepared = prepare(records)?;
        if prepared.is_empty() {
            return self.check_writable().map(|()| Vec::new());
        }
        match self.write(Work::Save(prepared, options.clone()))? {
            Done::Saved(saved) => Ok(saved),
            _ => Err(StoreError::Failed("a write got another's result".into())),
        }
    }

    /// Saves with the members put over the current content of each record.
    pub fn upsert(&self, records: Vec<Value>, options: &SaveOptions) -> Result<Vec<Record>> {
        self.save(
            records,
            &SaveOptions {
                upsert: true,
                ..options.clone()
            },
        )
    }

    /// Deletes records as one commit and gives the last version of each; none
    /// for those that are not there.
    pub fn delete(&self, ids: &[Ref], actor: &str) -> Result<Vec<Option<Record>>> {
        if ids.len() > MAX_RECORDS {
            return Err(StoreError::TooLarge(format!(
                "a batch has at most {MAX_RECORDS} records, not {}",
                ids.len()
            )));
        }
        let actor = if actor.is_empty() { "anonymous" } else { actor };
        match self.write(Work::Delete(ids.to_vec(), actor.to_owned()))? {
            Done::Deleted(deleted) => Ok(deleted),
            _ => Err(StoreError::Failed("a write got another's result".into())),
        }
    }

    /// Sets or clears the two flags of rows by hand, as one commit: a tool for
    /// repair. Each list names a row and what its flag shall be.
    pub fn set_flags(&self, superseded: &[(u32, bool)], deleted: &[(u32, bool)]) -> Result<()> {
        let overrides = Overrides {
            superseded: superseded.iter().copied().collect(),
            deleted: deleted.iter().copied().collect(),
        };
        self.write(Work::Flags(overrides)).map(drop)
    }

    fn check_writable(&self) -> Result<()> {
        match self.writer().backing {
            Backing::ReadOnly { .. } => Err(StoreError::ReadOnly),
            _ => Ok(()),
        }
    }

    /// Waits until this call is written, by this thread or another, and gives
    /// the result.
    fn write(&self, work: Work) -> Result<Done> {
        let slot = Slot::default();
        let queue = &self.shared.queue;
        let mut line = queue.line();
        line.calls.push_back(Waiting {
            work,
            slot: Arc::clone(&slot),
        });
        loop {
            loop {
                if let Some(result) = take(&slot) {
                    return result;
                }
                if !line.has_writer {
                    break;
                }
                line = queue
                    .written
                    .wait(line)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            line.has_writer = true;
            drop(line);
            let place = WriterPlace(queue);
            let mut writer = self.writer();
            // Whoever came while the last group was written is taken along.
            let group: Vec<Waiting> = {
                let calls = &mut queue.line().calls;
                let count = calls.len().min(GROUP);
                calls.drain(..count).collect()
            };
            if group.is_empty() {
                // The writer that took this call ended without an answer: it panicked.
                return Err(StoreError::CommitUnknown("the writer stopped".into()));
            }
            let left = self.write_group(&mut writer.backing, group);
            drop(writer);
            {
                let calls = &mut queue.line().calls;
                for waiting in left.into_iter().rev() {
                    calls.push_front(waiting);
                }
            }
            drop(place);
            line = queue.line();
        }
    }

    /// Writes calls together, as many as fit; gives those that are left.
    fn write_group(&self, backing: &mut Backing, group: Vec<Waiting>) -> Vec<Waiting> {
        let before = self.moment();
        let mut table = self.published().table;
        let mut group = Some(group);
        let mut left = Vec::new();
        let mut answers = Vec::new();
        let result = match backing {
            Backing::ReadOnly { .. } => Err(StoreError::ReadOnly),
            Backing::Memory { bytes } => {
                let mut memory = InMemory {
                    bytes,
                    limit: self.shared.options.memory_limit,
                };
                let group = group.take().unwrap_or_default();
                left = self.run(&mut memory, &table, group, &mut answers);
                Ok(())
            }
            Backing::Disk(disk) => {
                let result = disk.turn(&mut table, |disk, table| {
                    let group = group.take().unwrap_or_default();
                    left = self.run(disk, table, group, &mut answers);
                    if disk.wants_checkpoint(table) {
                        // The commits stand; a failed checkpoint is tried again with the next one.
                        if let Err(error) = disk.checkpoint(table) {
                            disk.warnings.push(format!("checkpoint: {error}"));
                        }
                    }
                    Ok(())
                });
                self.publish(disk, table);
                result
            }
        };
        if let Err(error) = result {
            for waiting in group.into_iter().flatten() {
                answer(&waiting.slot, Err(error.repeated()));
            }
        }
        // Now that readers see it: whoever is answered looks for what was written.
        for (slot, result) in answers {
            answer(&slot, result);
        }
        self.announce(&before);
        left
    }

    /// Builds the commits of a group, and writes them; gives the calls that are left.
    fn run(
        &self,
        committer: &mut dyn Committer,
        table: &Arc<Table>,
        group: Vec<Waiting>,
        answers: &mut Vec<(Slot, Result<Done>)>,
    ) -> Vec<Waiting> {
        struct Built {
            slot: Slot,
            done: Done,
            rows: Vec<NewRow>,
            overrides: Option<Overrides>,
            has_entry: bool,
        }
        let time = self.shared.options.clock.now().max(table.last_time());
        let mut overlay = Overlay::new();
        let mut next_row = table.len();
        let mut entries: Vec<Entry> = Vec::new();
        let mut built = Vec::new();
        let mut bytes = 0;
        let mut group = group.into_iter();
        while bytes < GROUP_BYTES
            && let Some(Waiting { work, slot }) = group.next()
        {
            let result = match work {
                Work::Save(records, options) => {
                    let mut batch = Batch::new(table, &overlay, next_row, time, options.actor());
                    let saved = batch.save(records, &options);
                    saved.map(|saved| (Done::Saved(saved), Some(batch.finish()), None))
                }
                Work::Delete(ids, actor) => {
                    let mut batch = Batch::new(table, &overlay, next_row, time, &actor);
                    let deleted: Result<Vec<_>> =
                        ids.iter().map(|id| batch.delete(id.as_str())).collect();
                    deleted.map(|deleted| (Done::Deleted(deleted), Some(batch.finish()), None))
                }
                Work::Flags(overrides) => flags_entry(&overrides, next_row).map(|entry| {
                    entries.push(entry);
                    (Done::Flags, None, Some(overrides))
                }),
            };
            let (done, batch, overrides) = match result {
                Ok(parts) => parts,
                Err(error) => {
                    answers.push((slot, Err(error)));
                    continue;
                }
            };
            let (rows, framed, pending) = batch.unwrap_or_default();
            let has_entry = overrides.is_some() || !rows.is_empty();
            if !rows.is_empty() {
                bytes += framed.len();
                overlay.extend(pending);
                entries.push(Entry {
                    kind: FrameKind::Append,
                    first_row: next_row,
                    // At most MAX_RECORDS rows and as many blobs as fit MAX_BATCH bytes.
                    count: rows.len() as u32,
                    body: framed,
                });
                next_row += rows.len() as u32;
            }
            built.push(Built {
                slot,
                done,
                rows,
                overrides,
                has_entry,
            });
        }
        let committed = if entries.is_empty() {
            Ok(0)
        } else {
            committer.commit(&entries)
        };
        let mut kept = match &committed {
            Ok(kept) => *kept,
            Err(_) => 0,
        };
        for item in built {
            let result = match &committed {
                Err(error) => Err(error.repeated()),
                Ok(_) if !item.has_entry => Ok(()),
                Ok(_) if kept > 0 => {
                    kept -= 1;
                    if let Some(overrides) = item.overrides {
                        table.add_overrides(overrides);
                    }
                    if item.rows.is_empty() {
                        Ok(())
                    } else {
                        table.append(item.rows)
                    }
                }
                Ok(_) => Err(StoreError::LeaseLost),
            };
            answers.push((item.slot, result.map(|()| item.done)));
        }
        group.collect()
    }

    /// Runs maintenance as the only writer of a database on disk.
    pub(crate) fn turn<R>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Disk, &mut Arc<Table>) -> Result<R>,
    ) -> Result<R> {
        self.on_disk(what, |disk, table| disk.turn(table, work))
    }

    /// Does something about the files of a database on disk, and shows readers what it holds then.
    pub(crate) fn on_disk<R>(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Disk, &mut Arc<Table>) -> Result<R>,
    ) -> Result<R> {
        let mut writer = self.writer();
        let before = self.moment();
        let mut table = self.published().table;
        let result = match &mut writer.backing {
            Backing::ReadOnly { .. } => Err(StoreError::ReadOnly),
            Backing::Memory { .. } => Err(StoreError::InMemory(what)),
            Backing::Disk(disk) => {
                let result = work(disk, &mut table);
                self.publish(disk, table);
                result
            }
        };
        self.announce(&before);
        result
    }
}

fn flags_entry(overrides: &Overrides, rows: u32) -> Result<Entry> {
    let mut named = overrides.superseded.keys().chain(overrides.deleted.keys());
    if let Some(row) = named.find(|row| **row >= rows) {
        return Err(StoreError::BadValue {
            path: String::new(),
            reason: format!("there is no row {row}"),
        });
    }
    Ok(Entry {
        kind: FrameKind::Flags,
        first_row: 0,
        count: 0,
        body: overrides.encode()?,
    })
}

/// Where commits go before readers see them.
trait Committer {
    /// Gives how many of the commits stand.
    fn commit(&mut self, entries: &[Entry]) -> Result<usize>;
}

impl Committer for Disk {
    fn commit(&mut self, entries: &[Entry]) -> Result<usize> {
        Disk::commit(self, entries)
    }
}

struct InMemory<'a> {
    bytes: &'a mut u64,
    limit: u64,
}

impl Committer for InMemory<'_> {
    fn commit(&mut self, entries: &[Entry]) -> Result<usize> {
        let added: usize = entries.iter().map(|entry| entry.body.len()).sum();
        let bytes = *self.bytes + added as u64;
        if bytes > self.limit {
            return Err(StoreError::DbFull(format!(
                "a database in memory has at most {} bytes",
                self.limit
            )));
        }
        *self.bytes = bytes;
        Ok(entries.len())
    }
}
