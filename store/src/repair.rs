//! Verifying, recovering and copying whole databases.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::data;
use crate::database::{Database, os_lock};
use crate::disk::{
    self, About, COMPLETE, Finding, Fixed, LIVE, NEW, OLD, Rewrite, found, read_state,
    write_first_log,
};
use crate::error::{Doing, Result, StoreError};
use crate::folder::{AppFolder, Folder, NativeAppFolder, NativeFolder, read_whole};
use crate::log::{Frame, FrameKind, HEADER_LEN, Header, read_frames};
use crate::made::Made;
use crate::maintenance::new_flags;
use crate::options::OpenOptions;
use crate::view::View;

/// A check beside a running writer looks so often whether a finding stays.
const LOOKS: usize = 4;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(60);

/// Verifies the database in an app folder, without any lock: every checksum,
/// offset, record and chain of versions. One finding for each thing that is wrong.
pub fn check(path: &Path) -> Result<Vec<Finding>> {
    let mut last = check_in(&*damaged_folder(path)?)?;
    for _ in 1..LOOKS {
        if last.is_empty() {
            break;
        }
        // A commit, checkpoint or compaction under way looks like damage for a moment.
        std::thread::sleep(PAUSE);
        let again = check_in(&*damaged_folder(path)?)?;
        if again == last {
            break;
        }
        last = again;
    }
    Ok(last)
}

/// As [`check`], once, in the folder of the database itself.
pub fn check_in(folder: &dyn Folder) -> Result<Vec<Finding>> {
    disk::check(folder)
}

/// Writes a new database into the app folder `to` with every intact record of
/// the one in `from`, log included. The original is left as it is.
pub fn fix(from: &Path, to: &Path) -> Result<Fixed> {
    let from = damaged_folder(from)?;
    build_new(to, |folder| disk::fix(&*from, folder))
}

/// The folder that counts, of an app folder that nobody mends.
fn damaged_folder(path: &Path) -> Result<Arc<dyn Folder>> {
    let app = NativeAppFolder::new(path);
    let find = || -> io::Result<Option<Arc<dyn Folder>>> {
        let name = database_name(&app)?;
        name.map(|name| app.folder(name)).transpose()
    };
    find()
        .doing(|| format!("looking for {}", path.display()))?
        .ok_or_else(|| StoreError::NoSuchDb(path.display().to_string()))
}

/// Under which name the database of an app folder lies, if there is one: a compaction that was
/// interrupted leaves it under another one.
fn database_name(app: &NativeAppFolder) -> io::Result<Option<&'static str>> {
    Ok(if app.exists(LIVE)? {
        Some(LIVE)
    } else if app.exists(NEW)? && app.folder(NEW)?.exists(COMPLETE)? {
        Some(NEW)
    } else {
        app.exists(OLD)?.then_some(OLD)
    })
}

/// Builds a database in an app folder that has none. It is there under its name when it is
/// whole: what is left of a build that was interrupted is taken for no database.
fn build_new<T>(path: &Path, build: impl FnOnce(Arc<dyn Folder>) -> Result<T>) -> Result<T> {
    let made = Made::folder(path).doing(|| format!("creating {}", path.display()))?;
    let built = build_at(path, build);
    if built.is_err() {
        made.take_back(false);
    }
    built
}

fn build_at<T>(path: &Path, build: impl FnOnce(Arc<dyn Folder>) -> Result<T>) -> Result<T> {
    let _lock = os_lock(path, &OpenOptions::default())?;
    let app = NativeAppFolder::new(path);
    if let Some(name) = database_name(&app).doing(|| format!("looking for {}", path.display()))? {
        return Err(StoreError::Exists(path.join(name).display().to_string()));
    }
    let preparing = || format!("preparing {NEW}");
    app.remove_all(NEW).doing(preparing)?;
    let built = build(app.create(NEW).doing(preparing)?);
    if built.is_err() {
        let _ = app.remove_all(NEW);
        return built;
    }
    app.rename(NEW, LIVE)
        .and_then(|()| app.sync())
        .doing(|| format!("renaming {NEW}"))?;
    built
}

impl Database {
    /// Copies the rows of this moment into the app folder `to`, as a database
    /// of the same generation. Every row is verified on its way.
    pub fn copy_to(&self, to: &Path) -> Result<()> {
        build_new(to, |folder| {
            copy(&self.view(), folder, self.name_file(), false)
        })
    }

    /// Writes an image of this moment into the folder `to`: the files of a
    /// checkpointed database, without a log.
    pub fn export_image(&self, to: &Path) -> Result<()> {
        if to.join(data::DAT).exists() {
            return Err(StoreError::Exists(to.join(data::DAT).display().to_string()));
        }
        let made = Made::folder(to).doing(|| format!("creating {}", to.display()))?;
        let folder = NativeFolder::new(to);
        let listing = || format!("listing {}", to.display());
        let before = folder.list().doing(listing)?;
        let copied = copy(
            &self.view(),
            Arc::new(folder.clone()),
            self.name_file(),
            true,
        );
        if copied.is_err() {
            // Half an image would be in the way of the next one.
            let after = folder.list().unwrap_or_default();
            for name in after.iter().filter(|name| !before.contains(name)) {
                let _ = folder.remove(name);
            }
            made.take_back(false);
        }
        copied
    }
}

fn copy(view: &View, to: Arc<dyn Folder>, name: Option<Vec<u8>>, image: bool) -> Result<()> {
    let mut next = Rewrite::new(to)?;
    for row in 0..view.bound() {
        next.push(&view.stored(row)?)?;
    }
    let all = (0..view.bound()).collect();
    let about = About {
        name,
        flags: new_flags(view, &all)?,
        previous: view.previous(),
        generation: view.generation().as_bytes().try_into().ok(),
        without_log: image,
    };
    found(next, about)
}

/// Makes an image the database of the app folder `to`, which has none yet.
/// Every row is verified before anything is moved into place.
pub fn import_image(image: &Path, to: &Path) -> Result<u64> {
    let source = NativeFolder::new(image);
    let state = match read_state(&source) {
        Err(error) if error.is_not_found() => None,
        other => other?,
    };
    let state =
        state.ok_or_else(|| StoreError::NoSuchDb(format!("image in {}", image.display())))?;
    build_new(to, |new| {
        copy_image(&source, &*new, &state)?;
        match disk::check(&*new)?.first() {
            Some(first) => Err(StoreError::Corrupt(format!("the image: {first}"))),
            None => Ok(u64::from(state.rows)),
        }
    })
}

fn copy_image(from: &dyn Folder, to: &dyn Folder, state: &crate::state::State) -> Result<()> {
    let rows = u64::from(state.rows);
    for (name, len) in [
        (data::DAT, state.dat_len),
        (data::OFF, 4 + 8 * rows),
        (data::CRC, 4 + 4 * rows),
    ] {
        let source = from.open(name, false).doing(|| format!("opening {name}"))?;
        let target = to.create_new(name).doing(|| format!("creating {name}"))?;
        let mut at = 0;
        let mut piece = vec![0; 1 << 20];
        while at < len {
            let wanted = piece
                .len()
                .min(usize::try_from(len - at).unwrap_or(usize::MAX));
            let count = source
                .read_at(at, &mut piece[..wanted])
                .doing(|| format!("reading {name}"))?;
            if count == 0 {
                return Err(StoreError::Corrupt(format!(
                    "the image: {name} is too short"
                )));
            }
            target
                .write_at(at, &piece[..count])
                .doing(|| format!("writing {name}"))?;
            at += count as u64;
        }
        target.sync().doing(|| format!("syncing {name}"))?;
    }
    let mut names = vec!["name.txt"];
    if !state.flags.is_empty() {
        names.push(&state.flags);
    }
    for name in names {
        if let Some(bytes) = read_whole(from, name)? {
            disk::write_whole(to, name, &bytes)?;
        }
    }
    let state = crate::state::State {
        fence: 1,
        segments: Vec::new(),
        ..state.clone()
    };
    write_first_log(to, &state)?;
    disk::write_whole(to, &crate::state::state_name(1), &state.encode())
}

/// A commit that is only in the write log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Number of the commit.
    pub sequence: u64,
    /// Fence at which it was first written.
    pub fence: u64,
    /// True if it sets flags, false if it appends rows.
    pub is_flags: bool,
    /// The first row it appends.
    pub first_row: u64,
    /// Rows it appends.
    pub rows: u32,
    /// Bytes it takes.
    pub bytes: u64,
}

/// The commits of the database in an app folder that no checkpoint has taken
/// over yet. Takes no lock; the last one may not be acknowledged.
pub fn peek_log(path: &Path) -> Result<Vec<LogEntry>> {
    let folder = damaged_folder(path)?;
    let contained = read_state(&*folder)?.map_or(0, |state| state.sequence);
    let (name, bytes) = disk::newest_log(&*folder)?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let header = bytes
        .get(..HEADER_LEN)
        .ok_or_else(|| StoreError::Corrupt(format!("{name} has no whole header")))
        .and_then(Header::decode)?;
    let read = read_frames(&bytes[HEADER_LEN..], header.base, &header)?;
    let entry = |frame: &Frame<'_>| LogEntry {
        sequence: frame.sequence,
        fence: frame.fence,
        is_flags: frame.kind == FrameKind::Flags,
        first_row: frame.first_row,
        rows: frame.count,
        bytes: frame.len() as u64,
    };
    Ok(read
        .frames
        .iter()
        .filter(|frame| frame.sequence > contained)
        .map(entry)
        .collect())
}
