//! A read that fails for a moment (too many open files, a disk that hiccups) is an error, and
//! never a record less, a name less or a flag less.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use mix_store::folder::{AppFolder, Folder, FolderFile};
use mix_store::{Database, OpenOptions, SaveOptions, StoreError};
use mix_value::Ref;

use crate::disk::{Dice, ForgetfulApp};
use crate::{TestClock, open_app, options, record, revisions, save};

/// Counts reads; one of them fails.
#[derive(Clone, Default)]
struct Reads(Arc<AtomicI64>);

impl Reads {
    /// The read behind `left` others fails.
    fn failing(left: i64) -> Reads {
        Reads(Arc::new(AtomicI64::new(left + 1)))
    }

    fn one(&self) -> io::Result<()> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            1 => Err(io::Error::other("planned fault")),
            _ => Ok(()),
        }
    }

    fn has_failed(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}

/// Folders and files of which one read fails.
struct Moody<T: ?Sized> {
    reads: Reads,
    inner: T,
}

impl AppFolder for Moody<ForgetfulApp> {
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        self.reads.one()?;
        let (reads, inner) = (self.reads.clone(), self.inner.folder(name)?);
        Ok(Arc::new(Moody { reads, inner }))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn Folder>> {
        let (reads, inner) = (self.reads.clone(), self.inner.create(name)?);
        Ok(Arc::new(Moody { reads, inner }))
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.reads.one()?;
        self.inner.exists(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove_all(&self, name: &str) -> io::Result<()> {
        self.inner.remove_all(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}

impl Folder for Moody<Arc<dyn Folder>> {
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn FolderFile>> {
        self.reads.one()?;
        let (reads, inner) = (self.reads.clone(), self.inner.open(name, write)?);
        Ok(Box::new(Moody { reads, inner }))
    }
    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let (reads, inner) = (self.reads.clone(), self.inner.create_new(name)?);
        Ok(Box::new(Moody { reads, inner }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.reads.one()?;
        self.inner.list()
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.reads.one()?;
        self.inner.exists(name)
    }
    fn modified(&self, name: &str) -> io::Result<Option<i64>> {
        self.reads.one()?;
        self.inner.modified(name)
    }
    fn changed(&self) -> io::Result<Option<SystemTime>> {
        self.reads.one()?;
        self.inner.changed()
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}

impl FolderFile for Moody<Box<dyn FolderFile>> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads.one()?;
        self.inner.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }
    fn len(&self) -> io::Result<u64> {
        self.reads.one()?;
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}

/// A database with all there may be: versions, a deleted record, flags set by hand, a generation
/// before, checkpoints and commits behind the last one.
fn filled(clock: &Arc<TestClock>) -> ForgetfulApp {
    let app = ForgetfulApp::default();
    let db = open_app(&app, clock, true).expect("opens");
    let mut ids: Vec<Ref> = Vec::new();
    for number in 0..6 {
        let saved = db.save(vec![record(number, None)], &SaveOptions::default());
        ids.push(saved.expect("saves")[0].id().expect("an id"));
    }
    db.save(vec![record(7, Some(&ids[1]))], &SaveOptions::default())
        .expect("saves");
    db.delete(&[ids[2].clone()], "x").expect("deletes");
    db.flush().expect("writes the data files");
    db.set_flags(&[(3, true)], &[(4, true)])
        .expect("sets flags");
    db.compact(true, true).expect("compacts");
    save(&db, 8).expect("saves");
    db.flush().expect("writes the data files");
    save(&db, 9).expect("saves");
    db.save(vec![record(10, Some(&ids[0]))], &SaveOptions::default())
        .expect("saves");
    drop(db);
    app
}

/// A copy of the disk; everything on it is synced.
fn copy(app: &ForgetfulApp) -> ForgetfulApp {
    app.after_power_cut(&mut Dice::new(1))
}

fn moody(app: &ForgetfulApp, reads: &Reads) -> Arc<dyn AppFolder> {
    Arc::new(Moody {
        reads: reads.clone(),
        inner: app.clone(),
    })
}

/// Revisions of all rows and of those that are live, and the name.
type Seen = (Vec<String>, Vec<String>, Option<String>);

fn seen(db: &Database) -> Result<Seen, StoreError> {
    let revs = |all: bool| -> Result<Vec<String>, StoreError> {
        let view = db.view().including(all, all);
        let rows = view.rows(0, usize::MAX)?;
        rows.iter()
            .map(|row| Ok(view.record(*row)?.rev()?.to_string()))
            .collect()
    };
    Ok((revs(true)?, revs(false)?, db.name().map(str::to_owned)))
}

#[test]
fn a_reader_sees_everything_or_an_error() {
    let clock = Arc::new(TestClock::default());
    let app = filled(&clock);
    let read = |reads: &Reads| {
        let options = OpenOptions {
            read_only: true,
            ..options(&clock)
        };
        seen(&Database::open_app(moody(&app, reads), options)?)
    };
    let expected = read(&Reads::failing(i64::MAX / 2)).expect("reads");
    assert_eq!((expected.0.len(), expected.1.len()), (11, 5));
    assert_eq!(expected.2.as_deref(), Some("tree"));
    for left in 0.. {
        let reads = Reads::failing(left);
        match read(&reads) {
            Ok(seen) => assert_eq!(seen, expected, "read {left}"),
            Err(error) => assert_eq!(error.code(), "db_io", "read {left}: {error}"),
        }
        if !reads.has_failed() {
            assert!(left > 20, "{left} reads");
            break;
        }
    }
}

#[test]
fn a_writer_loses_nothing_that_it_could_not_read_for_a_moment() {
    let clock = Arc::new(TestClock::default());
    let full = filled(&clock);
    let before = seen(&open_app(&copy(&full), &clock, true).expect("opens")).expect("reads");
    for left in 0.. {
        let app = copy(&full);
        let reads = Reads::failing(left);
        let options = OpenOptions {
            os_lock_held: true,
            ..options(&clock)
        };
        let mut saved = 0;
        // Whatever fails may be tried again; what is reported as saved counts.
        if let Ok(db) = Database::open_app(moody(&app, &reads), options) {
            let _ = db.flush();
            for number in 20..23 {
                saved += usize::from(save(&db, number).is_ok());
                let _ = db.compact(true, true);
                let _ = db.refresh();
                if db.has_failed() {
                    let _ = db.reopen();
                }
            }
        }
        let db =
            open_app(&app, &clock, true).unwrap_or_else(|error| panic!("read {left}: {error}"));
        let after = seen(&db).expect("reads");
        assert_eq!(after.2, before.2, "read {left}");
        for (after, before) in [(&after.0, &before.0), (&after.1, &before.1)] {
            assert_eq!(after[..before.len()], before[..], "read {left}");
            assert!(after.len() >= before.len() + saved, "read {left}");
        }
        revisions(&db);
        if !reads.has_failed() {
            assert_eq!(saved, 3);
            break;
        }
    }
}
