//! The handle of an open database.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::disk::{Disk, LIVE, Previous, Snapshot, enter, read_only, salvage};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{AppFolder, Folder, NativeAppFolder, NativeFolder, read_whole};
use crate::holder;
use crate::ids::draw;
use crate::made::{LOCK, Made};
use crate::notice::Listeners;
use crate::options::OpenOptions;
use crate::query::{Execution, Pipeline, QueryOptions};
use crate::record::Record;
use crate::table::Table;
use crate::view::{AsOf, View};
use crate::writing::Queue;

/// An open database. Cloning shares it; all calls are safe from many threads.
#[derive(Clone)]
pub struct Database {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub options: OpenOptions,
    /// Name of the app, as far as known.
    name: Option<String>,
    published: RwLock<Published>,
    writer: Mutex<Writer>,
    /// Calls that wait for the writer.
    pub queue: Queue,
    /// Who wants to hear of commits.
    pub listeners: Listeners,
    /// Held while the files are rewritten.
    pub maintenance: Mutex<()>,
}

/// What readers see.
#[derive(Clone)]
pub(crate) struct Published {
    pub table: Arc<Table>,
    pub generation: [u8; 8],
    pub previous: Option<Arc<Previous>>,
}

pub(crate) struct Writer {
    pub backing: Backing,
    /// Holds the lock file open, and with it the OS lock.
    _lock: Option<std::fs::File>,
}

pub(crate) enum Backing {
    Memory {
        bytes: u64,
    },
    Disk(Box<Disk>),
    ReadOnly {
        /// What was found while opening.
        warnings: Vec<String>,
    },
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
        if !options.read_only && options.create {
            let made = Made::folder(path).doing(|| format!("creating {}", path.display()))?;
            let locked = options.os_lock_held;
            let opened = Database::open_at(path, options);
            if opened.is_err() {
                made.take_back(locked);
            }
            return opened;
        }
        if !path
            .try_exists()
            .doing(|| format!("looking for {}", path.display()))?
        {
            return Err(StoreError::NoSuchDb(path.display().to_string()));
        }
        Database::open_at(path, options)
    }

    /// The same in a folder that is there.
    fn open_at(path: &Path, options: OpenOptions) -> Result<Database> {
        let writes = !options.read_only;
        let app = Arc::new(NativeAppFolder::new(path));
        if writes && !options.create && !is_database(&*app)? {
            return Err(StoreError::NoSuchDb(path.display().to_string()));
        }
        let lock = if writes && !options.os_lock_held {
            os_lock(path, &options)?
        } else {
            None
        };
        Database::open_with_lock(app, options, lock).map_err(|error| match error {
            StoreError::NoSuchDb(_) => StoreError::NoSuchDb(path.display().to_string()),
            error => error,
        })
    }

    /// Opens the database in an app folder of any kind.
    pub fn open_app(app: Arc<dyn AppFolder>, options: OpenOptions) -> Result<Database> {
        Database::open_with_lock(app, options, None)
    }

    fn open_with_lock(
        app: Arc<dyn AppFolder>,
        options: OpenOptions,
        lock: Option<std::fs::File>,
    ) -> Result<Database> {
        let mut warnings = Vec::new();
        if options.read_only {
            return Database::open_snapshot(&options, || enter(&*app, false, &mut Vec::new()));
        }
        let locked = lock.is_some() || options.os_lock_held;
        let folder = match enter(&*app, locked, &mut warnings) {
            Err(StoreError::NoSuchDb(_)) if options.create => {
                let folder = app.create(LIVE).doing(|| format!("creating {LIVE}"))?;
                app.sync().doing(|| "syncing the app folder".into())?;
                folder
            }
            other => other?,
        };
        let name = check_name(&*folder, options.name.as_deref())?;
        let mut disk = Disk::new(folder, Some(app), options.clone(), locked)?;
        disk.warnings = warnings;
        Database::start(disk, name, options, lock)
    }

    /// Opens the database in a folder of any kind: the `v2` folder itself.
    pub fn open_in(folder: Arc<dyn Folder>, options: OpenOptions) -> Result<Database> {
        if options.read_only {
            return Database::open_snapshot(&options, || Ok(Arc::clone(&folder)));
        }
        let name = check_name(&*folder, options.name.as_deref())?;
        let disk = Disk::new(folder, None, options.clone(), options.os_lock_held)?;
        Database::start(disk, name, options, None)
    }

    fn open_snapshot(
        options: &OpenOptions,
        mut folder: impl FnMut() -> Result<Arc<dyn Folder>>,
    ) -> Result<Database> {
        let mut looks = 0;
        let mut name;
        let snapshot = loop {
            let folder = folder()?;
            name = check_name(&*folder, options.name.as_deref())?;
            match read_only(&*folder) {
                // A compaction may exchange the folder under the reader's hands.
                Err(error) if looks < 3 && error.is_not_found() => looks += 1,
                Err(error @ StoreError::Corrupt(_)) if options.damaged => {
                    break salvage(&*folder, &error)?;
                }
                other => break other?,
            }
        };
        let Snapshot {
            table,
            generation,
            previous,
            warnings,
        } = snapshot;
        let published = Published {
            table: Arc::new(table),
            generation,
            previous,
        };
        let backing = Backing::ReadOnly { warnings };
        let options = options.clone();
        Ok(Database::build(published, backing, None, name, options))
    }

    fn start(
        mut disk: Disk,
        name: Option<String>,
        options: OpenOptions,
        lock: Option<std::fs::File>,
    ) -> Result<Database> {
        let mut table = Arc::new(Table::default());
        disk.look_again(&mut table)?;
        let published = Published {
            table,
            generation: disk.generation().unwrap_or_default(),
            previous: disk.previous(),
        };
        let backing = Backing::Disk(Box::new(disk));
        Ok(Database::build(published, backing, lock, name, options))
    }

    /// A new database in memory.
    pub fn in_memory(options: OpenOptions) -> Result<Database> {
        let published = Published {
            table: Arc::new(Table::default()),
            generation: draw()?,
            previous: None,
        };
        let backing = Backing::Memory { bytes: 0 };
        let name = options.name.clone();
        Ok(Database::build(published, backing, None, name, options))
    }

    fn build(
        published: Published,
        backing: Backing,
        lock: Option<std::fs::File>,
        name: Option<String>,
        options: OpenOptions,
    ) -> Database {
        Database {
            shared: Arc::new(Shared {
                options,
                name,
                published: RwLock::new(published),
                writer: Mutex::new(Writer {
                    backing,
                    _lock: lock,
                }),
                queue: Queue::default(),
                listeners: Listeners::default(),
                maintenance: Mutex::new(()),
            }),
        }
    }

    /// Name of the app the database belongs to, as far as known.
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }

    /// The content of `name.txt`.
    pub(crate) fn name_file(&self) -> Option<Vec<u8>> {
        self.name().map(|name| format!("{name}\n").into_bytes())
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic inside a commit leaves the files as a crash would, and the next turn reads on from there.
        self.shared
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn published(&self) -> Published {
        self.shared
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Shows readers what the disk holds now.
    pub(crate) fn publish(&self, disk: &Disk, table: Arc<Table>) {
        let before = self.published();
        let now = Published {
            table,
            generation: disk.generation().unwrap_or(before.generation),
            previous: disk.previous(),
        };
        *self
            .shared
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// The rows of this moment: live current versions, unless more is asked for.
    pub fn view(&self) -> View {
        let Published {
            table,
            generation,
            previous,
        } = self.published();
        View::new(table, generation, previous)
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

    /// Whether no other process of this system can write: the database is in
    /// memory, or the lock of the operating system is held.
    pub fn keeps_others_out(&self) -> bool {
        match &self.writer().backing {
            Backing::Memory { .. } => true,
            Backing::Disk(disk) => disk.is_os_locked(),
            Backing::ReadOnly { .. } => false,
        }
    }

    /// Whether there is nothing that [`Database::refresh`] would read.
    pub fn is_current(&self) -> bool {
        match &mut self.writer().backing {
            Backing::Disk(disk) => disk.is_current(),
            Backing::Memory { .. } | Backing::ReadOnly { .. } => true,
        }
    }

    /// Reads what other processes committed since the last write. Cheap while
    /// there is nothing.
    pub fn refresh(&self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        self.on_disk("refreshing", |disk, table| disk.look_again(table))
    }

    /// Moves all commits from the log into the data files.
    pub fn flush(&self) -> Result<()> {
        if !matches!(self.writer().backing, Backing::Disk(_)) {
            return Ok(());
        }
        self.turn("flushing", |disk, table| disk.checkpoint(table))
    }

    /// Whether a failure stopped writing until [`Database::reopen`].
    pub fn has_failed(&self) -> bool {
        matches!(&self.writer().backing, Backing::Disk(disk) if disk.has_failed())
    }

    /// Reads the files again after a failure that stopped writing.
    pub fn reopen(&self) -> Result<()> {
        if let Backing::Disk(disk) = &mut self.writer().backing {
            disk.reopen()?;
        }
        self.refresh()
    }

    /// What was found and mended since the last look.
    pub fn take_warnings(&self) -> Vec<String> {
        match &mut self.writer().backing {
            Backing::Disk(disk) => std::mem::take(&mut disk.warnings),
            Backing::ReadOnly { warnings } => std::mem::take(warnings),
            Backing::Memory { .. } => Vec::new(),
        }
    }

    /// Flushes; the lock goes with the last clone.
    pub fn close(self) -> Result<()> {
        self.flush()
    }
}

/// Whether an app folder has a database, or one that a compaction is about to put there.
fn is_database(app: &dyn AppFolder) -> Result<bool> {
    let found = || -> std::io::Result<bool> {
        Ok(app.exists(LIVE)? || app.exists("v2.new")? || app.exists("v2.old")?)
    };
    found().doing(|| format!("looking for {LIVE}"))
}

/// The name in `name.txt` is the app's, whatever the folder is called.
fn check_name(folder: &dyn Folder, expected: Option<&str>) -> Result<Option<String>> {
    let Some(bytes) = read_whole(folder, "name.txt")? else {
        return Ok(expected.map(str::to_owned));
    };
    let found = String::from_utf8_lossy(&bytes);
    let found = found.trim_end_matches('\n');
    let found: String = found.chars().take(200).collect();
    match expected {
        Some(expected) if found != expected => Err(StoreError::NameMismatch {
            expected: expected.into(),
            found,
        }),
        _ => Ok(Some(found)),
    }
}

/// The exclusive lock of the operating system; none where there are none.
pub(crate) fn os_lock(path: &Path, options: &OpenOptions) -> Result<Option<std::fs::File>> {
    const POLL: u64 = 20;

    let path = path.join(LOCK);
    let opening = || format!("opening {}", path.display());
    let open = || {
        let mut how = NativeFolder::options();
        how.read(true).write(true).create(true).truncate(false);
        how.open(&path).doing(opening)
    };
    let mut file = open()?;
    let mut waited = 0;
    loop {
        match file.try_lock() {
            Ok(()) if holder::is_in_place(&file, &path).doing(opening)? => break,
            // Its holder has taken back what it had begun to make.
            Ok(()) => file = open()?,
            Err(std::fs::TryLockError::WouldBlock) if waited < options.lock_wait => {
                options.clock.sleep(POLL);
                waited += POLL;
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    holder: holder::of(&mut file),
                });
            }
            Err(std::fs::TryLockError::Error(error))
                if error.kind() == std::io::ErrorKind::Unsupported =>
            {
                return Ok(None);
            }
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(error).doing(|| "locking the folder".into());
            }
        }
    }
    holder::note(&mut file, &options.program, options.clock.now());
    Ok(Some(file))
}
