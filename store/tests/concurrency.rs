//! Many threads: commits are written together, and listeners hear of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use mix_store::folder::{Folder, FolderFile, NativeFolder};
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::Value;

/// A folder that counts the syncs of the write log, and takes its time for them.
struct Counting {
    inner: NativeFolder,
    syncs: Arc<AtomicU64>,
    /// Questions whether a file is there.
    looks: Arc<AtomicU64>,
}

struct CountingFile {
    inner: Box<dyn FolderFile>,
    syncs: Option<Arc<AtomicU64>>,
}

impl Counting {
    fn wrap(&self, name: &str, file: Box<dyn FolderFile>) -> Box<dyn FolderFile> {
        Box::new(CountingFile {
            inner: file,
            syncs: name.starts_with("write.log").then(|| self.syncs.clone()),
        })
    }
}

impl Folder for Counting {
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn FolderFile>> {
        Ok(self.wrap(name, self.inner.open(name, write)?))
    }
    fn create_new(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        Ok(self.wrap(name, self.inner.create_new(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    /// A turn ends with its lease: long enough for others to come in between.
    fn remove(&self, name: &str) -> io::Result<()> {
        if name.starts_with("LEASE.") {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.inner.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn exists(&self, name: &str) -> io::Result<bool> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.inner.exists(name)
    }
    fn changed(&self) -> io::Result<Option<SystemTime>> {
        self.inner.changed()
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}

impl FolderFile for CountingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        if let Some(syncs) = &self.syncs {
            syncs.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
        self.inner.sync()
    }
}

#[test]
fn writers_that_wait_share_a_sync_and_keep_their_own_results() {
    let folder = tempfile::tempdir().expect("scratch");
    let syncs = Arc::new(AtomicU64::new(0));
    let counting = Counting {
        inner: NativeFolder::new(folder.path()),
        syncs: syncs.clone(),
        looks: Arc::default(),
    };
    let db = Database::open_in(Arc::new(counting), OpenOptions::default()).expect("new");
    let before = syncs.load(Ordering::Relaxed);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let db = db.clone();
            std::thread::spawn(move || {
                for number in 0..25 {
                    let good = Value::map([("n", Value::Int(writer * 100 + number))]);
                    let saved = db
                        .save(vec![good.clone()], &SaveOptions::default())
                        .expect("saves");
                    let id = saved[0].id().expect("id");
                    assert_eq!(saved[0].value().expect("value").get("n"), good.get("n"));
                    let found = db.get_one(id.as_str()).expect("reads").expect("is visible");
                    assert_eq!(found.encoded(), saved[0].encoded());
                    if number % 5 == 0 {
                        // A bad call among good ones fails alone.
                        let loose = Value::Ref(mix_value::Ref::new("p").expect("ref"));
                        let bad = Value::map([("a", loose)]);
                        let error = db
                            .save(vec![bad], &SaveOptions::default())
                            .expect_err("bad");
                        assert_eq!(error.code(), "unresolved_ref");
                    }
                    if number % 10 == 3 {
                        let gone = db.delete(&[id], "x").expect("deletes");
                        assert_eq!(
                            gone[0].as_ref().map(|r| r.encoded().clone()),
                            Some(saved[0].encoded().clone())
                        );
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().expect("no panic");
    }
    let commits = 8 * 25 + 8 * 3;
    let used = syncs.load(Ordering::Relaxed) - before;
    assert!(used < commits / 2, "{used} syncs for {commits} commits");
    assert_eq!(db.view().stat().expect("numbers").live, 8 * 25 - 8 * 3);
    let sound = db.view().including(true, true).check();
    assert_eq!(sound, Vec::<String>::new());
    drop(db);
    let folder = Arc::new(NativeFolder::new(folder.path()));
    let db = Database::open_in(folder, OpenOptions::default()).expect("opens");
    assert_eq!(u64::from(db.view().bound()), commits);
}

#[test]
fn a_short_look_at_a_quiet_folder_misses_no_commit() {
    let folder = tempfile::tempdir().expect("scratch");
    let looks = Arc::new(AtomicU64::new(0));
    let counting = Counting {
        inner: NativeFolder::new(folder.path()),
        syncs: Arc::default(),
        looks: looks.clone(),
    };
    let reader = Database::open_in(Arc::new(counting), OpenOptions::default()).expect("new");
    let writer = Arc::new(NativeFolder::new(folder.path()));
    let writer = Database::open_in(writer, OpenOptions::default()).expect("shares");
    let mut short = 0;
    for number in 0..32 {
        // Sometimes at once, sometimes when the folder has been quiet for long.
        for pause in 0..number % 4 {
            std::thread::sleep(Duration::from_millis(60 * (pause + 1)));
            let before = looks.load(Ordering::Relaxed);
            assert!(reader.is_current(), "commit {number}");
            short += u64::from(looks.load(Ordering::Relaxed) == before);
        }
        let record = Value::map([("n", Value::Int(number as i64))]);
        match number % 7 {
            0 => drop(writer.flush()),
            1 => writer.reindex().expect("makes the index anew"),
            _ => {}
        }
        writer
            .save(vec![record], &SaveOptions::default())
            .expect("saves");
        assert!(!reader.is_current(), "commit {number}");
        reader.refresh().expect("reads");
        assert_eq!(u64::from(reader.view().bound()), number + 1);
        if number % 9 == 8 {
            // A commit of its own is nothing new either.
            assert!(reader.is_current(), "commit {number}");
        }
    }
    assert!(short > 4, "every look was a whole one");
}

#[test]
fn listeners_hear_of_every_commit() {
    let folder = tempfile::tempdir().expect("scratch");
    let native = || Arc::new(NativeFolder::new(folder.path()));
    let db = Database::open_in(native(), OpenOptions::default()).expect("new");
    let other = Database::open_in(native(), OpenOptions::default()).expect("shares");
    let heard = db.subscribe();
    assert_eq!(heard.try_next(), None);
    let person = Value::map([("entity", Value::from("person"))]);
    let saved = db
        .save(vec![person.clone()], &SaveOptions::default())
        .expect("saves");
    let notice = heard.wait(Duration::from_secs(10)).expect("hears");
    assert_eq!(notice.watermark, db.watermark());
    assert_eq!(notice.ids, [saved[0].id().expect("id")]);
    assert_eq!(notice.entities, ["person"]);
    assert!(notice.complete);
    // Another opener's commit is heard when it is read.
    other
        .save(vec![person.clone()], &SaveOptions::default())
        .expect("saves");
    assert_eq!(heard.try_next(), None);
    db.refresh().expect("reads");
    assert_eq!(
        heard.try_next().map(|notice| notice.watermark),
        Some(db.watermark())
    );
    // Deleting does not say of what kind: everything may be concerned.
    db.delete(&notice.ids, "x").expect("deletes");
    assert!(!heard.try_next().expect("hears").complete);
    db.delete(&notice.ids, "x").expect("is gone");
    assert_eq!(heard.try_next(), None, "nothing was committed");
    db.set_flags(&[(0, true)], &[]).expect("sets");
    assert!(!heard.try_next().expect("hears of flags").complete);
    // Who does not listen is told at the end that there was a lot.
    for _ in 0..200 {
        db.save(vec![person.clone()], &SaveOptions::default())
            .expect("saves");
    }
    let mut notices = Vec::new();
    while let Some(notice) = heard.try_next() {
        notices.push(notice);
    }
    assert!(notices.len() <= 64, "{}", notices.len());
    assert!(notices.iter().any(|notice| !notice.complete));
    assert_eq!(
        notices.last().map(|notice| notice.watermark.clone()),
        Some(db.watermark())
    );
    // From another thread, woken up.
    let waiting = std::thread::spawn(move || heard.wait(Duration::from_secs(30)));
    std::thread::sleep(Duration::from_millis(20));
    db.save(vec![person], &SaveOptions::default())
        .expect("saves");
    assert!(waiting.join().expect("no panic").is_some());
}
