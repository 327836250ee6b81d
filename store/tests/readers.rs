//! Who only reads, beside a writer that goes on meanwhile.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use mix_store::folder::{Folder, FolderFile, NativeFolder};
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::Value;

/// A folder in which something happens just before a log is opened: behind the state, which the
/// reader has read by then.
struct Eventful {
    inner: NativeFolder,
    happens: Mutex<Box<dyn FnMut() + Send>>,
    openings: Arc<AtomicU32>,
}

impl Folder for Eventful {
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn FolderFile>> {
        if name.starts_with("write.log.") {
            self.openings.fetch_add(1, Ordering::Relaxed);
            (self.happens.lock().expect("is not poisoned"))();
        }
        self.inner.open(name, write)
    }
    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        self.inner.create_new(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.inner.exists(name)
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}

fn save(database: &Database, number: i64) {
    let record = Value::map([("n", Value::Int(number))]);
    database
        .save(vec![record], &SaveOptions::default())
        .expect("saves");
}

/// Opens the folder of `writer` for reading while a commit and a checkpoint of it follow the first
/// `times` readings of the state.
fn read_beside(
    path: &std::path::Path,
    writer: &Database,
    times: u32,
) -> (mix_store::Result<u32>, u32) {
    let openings = Arc::new(AtomicU32::new(0));
    let (mut left, writer) = (times, writer.clone());
    let eventful = Eventful {
        inner: NativeFolder::new(path),
        happens: Mutex::new(Box::new(move || {
            if left > 0 {
                left -= 1;
                save(&writer, 100 + i64::from(left));
                writer.flush().expect("checkpoints");
            }
        })),
        openings: openings.clone(),
    };
    let options = OpenOptions {
        read_only: true,
        ..OpenOptions::default()
    };
    let opened = Database::open_in(Arc::new(eventful), options);
    let rows = opened.map(|database| {
        assert_eq!(database.view().check(), Vec::<String>::new());
        database.view().stat().expect("counts").rows as u32
    });
    (rows, openings.load(Ordering::Relaxed))
}

#[test]
fn a_reader_looks_again_when_a_checkpoint_comes_in_between() {
    let scratch = tempfile::tempdir().expect("scratch");
    let writer = Database::open(scratch.path(), OpenOptions::default()).expect("new");
    for number in 0..5 {
        save(&writer, number);
    }
    let folder = scratch.path().join("v2");
    let (rows, looks) = read_beside(&folder, &writer, 0);
    assert_eq!((rows.expect("opens"), looks), (5, 1));
    // The log that is opened begins behind the state that was read: that does not fit together.
    for (times, expected) in [(1, 6), (2, 8)] {
        let (rows, looks) = read_beside(&folder, &writer, times);
        assert_eq!(rows.expect("opens"), expected);
        assert_eq!(looks, times + 1);
    }
    // Not for ever.
    let (busy, looks) = read_beside(&folder, &writer, 100);
    assert_eq!(busy.expect_err("goes on").code(), "db_busy");
    assert_eq!(looks, 3);
}

#[test]
fn rows_without_a_state_are_not_read_without_end() {
    let scratch = tempfile::tempdir().expect("scratch");
    let folder = scratch.path().join("v2");
    std::fs::create_dir(&folder).expect("creates");
    // Much, though nothing of it is on the disk.
    let rows = std::fs::File::create(folder.join("db.dat")).expect("creates");
    rows.set_len((1 << 30) + 1).expect("has holes");
    let options = OpenOptions {
        read_only: true,
        ..OpenOptions::default()
    };
    match Database::open_in(Arc::new(NativeFolder::new(&folder)), options) {
        Err(error) => assert_eq!(error.code(), "too_large"),
        Ok(_) => panic!("it was read"),
    }
}
