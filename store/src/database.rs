//! The handle of an open database.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use mix_value::{Ref, Value};

use crate::batch::Batch;
use crate::disk::{Disk, read_only};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{Folder, NativeFolder, read_to_end};
use crate::ids::draw;
use crate::log::FrameKind;
use crate::options::{OpenOptions, SaveOptions};
use crate::prepare::{MAX_RECORDS, prepare};
use crate::query::{Execution, Pipeline, QueryOptions};
use crate::record::Record;
use crate::table::{Overrides, Table};
use crate::view::{AsOf, View};

/// An open database. Cloning shares it; all calls are safe from many threads.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    options: OpenOptions,
    published: RwLock<Published>,
    writer: Mutex<Writer>,
}

/// What readers see.
#[derive(Clone)]
struct Published {
    table: Arc<Table>,
    generation: [u8; 8],
}

struct Writer {
    backing: Backing,
    /// Holds the lock file open, and with it the OS lock.
    _lock: Option<std::fs::File>,
}

enum Backing {
    Memory { bytes: u64 },
    Disk(Box<Disk>),
    ReadOnly,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database in the app folder `path` (which holds `LOCK` and `v2/`).
    pub fn open(path: &Path, options: OpenOptions) -> Result<Database> {
        let inner = path.join("v2");
        let there = inner
            .try_exists()
            .doing(|| format!("looking for {}", inner.display()))?;
        if options.read_only || !options.create {
            if !there {
                return Err(StoreError::NoSuchDb(path.display().to_string()));
            }
        } else {
            NativeFolder::create(&inner).doing(|| format!("creating {}", inner.display()))?;
        }
        let lock = if options.read_only {
            None
        } else {
            os_lock(path)?
        };
        Database::open_folder(Arc::new(NativeFolder::new(inner)), options, lock)
    }

    /// Opens the database in a folder of any kind: the `v2` folder itself.
    pub fn open_in(folder: Arc<dyn Folder>, options: OpenOptions) -> Result<Database> {
        Database::open_folder(folder, options, None)
    }

    fn open_folder(
        folder: Arc<dyn Folder>,
        options: OpenOptions,
        lock: Option<std::fs::File>,
    ) -> Result<Database> {
        check_name(&*folder, options.name.as_deref())?;
        if options.read_only {
            let (table, generation, _warnings) = read_only(&*folder)?;
            return Ok(Database::build(
                table,
                generation,
                Backing::ReadOnly,
                None,
                options,
            ));
        }
        let mut disk = {
            let locked = lock.is_some() || options.os_lock_held;
            Disk::new(folder, options.clone(), locked)?
        };
        let mut table = Arc::new(Table::default());
        disk.turn(&mut table, |_, _| Ok(()))?;
        let generation = disk.generation().unwrap_or_default();
        let database = Database::build(
            Table::default(),
            generation,
            Backing::Disk(Box::new(disk)),
            lock,
            options,
        );
        database.publish(table, generation);
        Ok(database)
    }

    /// A new database in memory.
    pub fn in_memory(options: OpenOptions) -> Result<Database> {
        Ok(Database::build(
            Table::new(None),
            draw()?,
            Backing::Memory { bytes: 0 },
            None,
            options,
        ))
    }

    fn build(
        table: Table,
        generation: [u8; 8],
        backing: Backing,
        lock: Option<std::fs::File>,
        options: OpenOptions,
    ) -> Database {
        Database {
            shared: Arc::new(Shared {
                options,
                published: RwLock::new(Published {
                    table: Arc::new(table),
                    generation,
                }),
                writer: Mutex::new(Writer {
                    backing,
                    _lock: lock,
                }),
            }),
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic inside a commit leaves the files as a crash would, and the next turn reads on from there.
        self.shared
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn published(&self) -> Published {
        self.shared
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn publish(&self, table: Arc<Table>, generation: [u8; 8]) {
        *self
            .shared
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Published { table, generation };
    }

    /// Runs `work` as the only writer.
    fn write<R>(
        &self,
        work: impl FnOnce(&mut dyn Committer, &Arc<Table>) -> Result<R>,
    ) -> Result<R> {
        let mut writer = self.writer();
        let mut table = self.published().table;
        match &mut writer.backing {
            Backing::ReadOnly => Err(StoreError::ReadOnly),
            Backing::Memory { bytes } => {
                let limit = self.shared.options.memory_limit;
                work(&mut InMemory { bytes, limit }, &table)
            }
            Backing::Disk(disk) => {
                let result = disk.turn(&mut table, |disk, table| {
                    let result = work(disk, table)?;
                    if disk.wants_checkpoint(table) {
                        // The commit stands; a failed checkpoint is tried again with the next one.
                        if let Err(error) = disk.checkpoint(table) {
                            disk.warnings.push(format!("checkpoint: {error}"));
                        }
                    }
                    Ok(result)
                });
                let generation = disk
                    .generation()
                    .unwrap_or_else(|| self.published().generation);
                self.publish(table, generation);
                result
            }
        }
    }

    /// Saves records as one commit and gives the stored ones, in order.
    pub fn save(&self, records: Vec<Value>, options: &SaveOptions) -> Result<Vec<Record>> {
        let prepared = prepare(records)?;
        if prepared.is_empty() {
            return self.check_writable().map(|()| Vec::new());
        }
        self.write(|committer, table| {
            let mut batch = Batch::new(table, self.commit_time(table), options.actor());
            let saved = batch.save(prepared, options)?;
            commit(committer, table, batch)?;
            Ok(saved)
        })
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
        self.write(|committer, table| {
            let mut batch = Batch::new(table, self.commit_time(table), actor);
            let deleted = ids
                .iter()
                .map(|id| batch.delete(id.as_str()))
                .collect::<Result<Vec<_>>>()?;
            if !batch.rows.is_empty() {
                commit(committer, table, batch)?;
            }
            Ok(deleted)
        })
    }

    /// Sets or clears the two flags of rows by hand, as one commit: a tool for
    /// repair. Each list names a row and what its flag shall be.
    pub fn set_flags(&self, superseded: &[(u32, bool)], deleted: &[(u32, bool)]) -> Result<()> {
        self.write(|committer, table| {
            let rows = table.len();
            if let Some((row, _)) = superseded
                .iter()
                .chain(deleted)
                .find(|(row, _)| *row >= rows)
            {
                let reason = format!("there is no row {row}");
                return Err(StoreError::BadValue {
                    path: String::new(),
                    reason,
                });
            }
            let overrides = Overrides {
                superseded: superseded.iter().copied().collect(),
                deleted: deleted.iter().copied().collect(),
            };
            committer.commit(FrameKind::Flags, 0, 0, &overrides.encode()?)?;
            table.add_overrides(overrides);
            Ok(())
        })
    }

    fn commit_time(&self, table: &Table) -> i64 {
        self.shared.options.clock.now().max(table.last_time())
    }

    fn check_writable(&self) -> Result<()> {
        if matches!(self.writer().backing, Backing::ReadOnly) {
            Err(StoreError::ReadOnly)
        } else {
            Ok(())
        }
    }

    /// The rows of this moment: live current versions, unless more is asked for.
    pub fn view(&self) -> View {
        let Published { table, generation } = self.published();
        View::new(table, generation)
    }

    /// The rows of this moment or an earlier one.
    pub fn view_as_of(&self, moment: Option<&AsOf>) -> Result<View> {
        match moment {
            Some(moment) => self.view().as_of(moment),
            None => Ok(self.view()),
        }
    }

    /// The live current version of an id, or exactly the version of a revision.
    pub fn get_one(&self, id: &str) -> Result<Option<Record>> {
        self.view().get(id)
    }

    /// As [`Database::get_one`] for several ids of one moment.
    pub fn get_many<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Option<Record>>> {
        let view = self.view();
        ids.into_iter().map(|id| view.get(id)).collect()
    }

    /// Runs a query over the rows of this moment, or of the one its options
    /// name. Results are computed when they are asked for; later commits do not
    /// touch them.
    pub fn query(&self, pipeline: &Pipeline, options: &QueryOptions) -> Result<Execution<View>> {
        let moment = options.as_of.as_ref().map(AsOf::from_value).transpose()?;
        let view = self.view_as_of(moment.as_ref())?;
        view.query(pipeline, options)
    }

    /// `<generation>.<rows>`.
    pub fn watermark(&self) -> String {
        self.view().watermark()
    }

    /// Reads what other processes committed since the last write. Cheap while
    /// there is nothing.
    pub fn refresh(&self) -> Result<()> {
        match &self.writer().backing {
            Backing::Disk(disk) if !disk.is_current() => {}
            _ => return Ok(()),
        }
        self.write(|_, _| Ok(()))
    }

    /// Moves all commits from the log into the data files.
    pub fn flush(&self) -> Result<()> {
        let mut writer = self.writer();
        let mut table = self.published().table;
        let Backing::Disk(disk) = &mut writer.backing else {
            return Ok(());
        };
        let result = disk.turn(&mut table, |disk, table| disk.checkpoint(table));
        let generation = disk
            .generation()
            .unwrap_or_else(|| self.published().generation);
        self.publish(table, generation);
        result
    }

    /// Whether a failure stopped writing until [`Database::reopen`].
    pub fn has_failed(&self) -> bool {
        matches!(&self.writer().backing, Backing::Disk(disk) if disk.has_failed())
    }

    /// Reads the files again after a failure that stopped writing.
    pub fn reopen(&self) -> Result<()> {
        if let Backing::Disk(disk) = &mut self.writer().backing {
            disk.reopen();
        }
        self.refresh()
    }

    /// What was found and mended since the last look.
    pub fn take_warnings(&self) -> Vec<String> {
        match &mut self.writer().backing {
            Backing::Disk(disk) => std::mem::take(&mut disk.warnings),
            _ => Vec::new(),
        }
    }

    /// Flushes; the lock goes with the last clone.
    pub fn close(self) -> Result<()> {
        self.flush()
    }
}

/// Where a commit goes before readers see it.
trait Committer {
    fn commit(&mut self, kind: FrameKind, first_row: u32, count: u32, body: &[u8]) -> Result<()>;
}

impl Committer for Disk {
    fn commit(&mut self, kind: FrameKind, first_row: u32, count: u32, body: &[u8]) -> Result<()> {
        Disk::commit(self, kind, first_row, count, body)
    }
}

struct InMemory<'a> {
    bytes: &'a mut u64,
    limit: u64,
}

impl Committer for InMemory<'_> {
    fn commit(&mut self, _: FrameKind, _: u32, _: u32, body: &[u8]) -> Result<()> {
        let bytes = *self.bytes + body.len() as u64;
        if bytes > self.limit {
            return Err(StoreError::DbFull(format!(
                "a database in memory has at most {} bytes",
                self.limit
            )));
        }
        *self.bytes = bytes;
        Ok(())
    }
}

fn commit(committer: &mut dyn Committer, table: &Table, batch: Batch<'_>) -> Result<()> {
    let Batch { rows, framed, .. } = batch;
    // At most MAX_RECORDS rows and as many blobs as fit MAX_BATCH bytes.
    committer.commit(FrameKind::Append, table.len(), rows.len() as u32, &framed)?;
    table.append(rows)
}

/// The name in `name.txt` is the app's, whatever the folder is called.
fn check_name(folder: &dyn Folder, expected: Option<&str>) -> Result<()> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let Ok(file) = folder.open("name.txt", false) else {
        return Ok(());
    };
    let bytes = read_to_end(&*file, 0).doing(|| "reading name.txt".into())?;
    let found = String::from_utf8_lossy(&bytes);
    let found = found.trim_end_matches('\n');
    if found == expected {
        Ok(())
    } else {
        Err(StoreError::NameMismatch {
            expected: expected.into(),
            found: found.chars().take(200).collect(),
        })
    }
}

/// The exclusive lock of the operating system; none where there are none.
fn os_lock(path: &Path) -> Result<Option<std::fs::File>> {
    let path = path.join("LOCK");
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .doing(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked {
            holder: "another process (LOCK)".into(),
        }),
        Err(std::fs::TryLockError::Error(error))
            if error.kind() == std::io::ErrorKind::Unsupported =>
        {
            Ok(None)
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).doing(|| "locking the folder".into())
        }
    }
}
