//! Power cuts, I/O errors, stalled writers and kill -9: no acknowledged commit
//! is lost, no commit is there in part.

mod beside;
mod compaction;
mod disk;
mod full;
mod handover;
mod kill;
mod processes;
mod reading;
mod schedules;
mod stalled;
mod undone;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use disk::{Dice, Fault, ForgetfulApp, ForgetfulFolder};
use mix_store::folder::Folder;
use mix_store::query::{Pipeline, QueryOptions};
use mix_store::time::Clock;
use mix_store::{Database, OpenOptions, SaveOptions, StoreError};
use mix_value::{Ref, Value};

/// A clock that only moves when somebody waits.
#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> i64 {
        1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn sleep(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds as i64, Ordering::Relaxed);
    }
}

fn options(clock: &Arc<TestClock>) -> OpenOptions {
    OpenOptions {
        clock: clock.clone(),
        ..OpenOptions::default()
    }
}

fn open(folder: &ForgetfulFolder, clock: &Arc<TestClock>) -> Result<Database, StoreError> {
    Database::open_in(Arc::new(folder.clone()), options(clock))
}

fn open_read_only(folder: &ForgetfulFolder) -> Result<Database, StoreError> {
    let options = OpenOptions {
        read_only: true,
        ..OpenOptions::default()
    };
    Database::open_in(Arc::new(folder.clone()), options)
}

/// Revisions of all rows, in order, each checked.
fn revisions(db: &Database) -> Vec<String> {
    let view = db.view().including(true, true);
    assert_eq!(view.check(), Vec::<String>::new());
    let rows = view.rows(0, usize::MAX).expect("rows");
    rows.iter()
        .map(|row| {
            view.record(*row)
                .and_then(|record| record.rev())
                .expect("a row")
                .to_string()
        })
        .collect()
}

fn record(number: u64, id: Option<&Ref>) -> Value {
    let mut pairs = vec![
        ("n", Value::Int(number as i64)),
        ("text", Value::from("x".repeat((number % 90) as usize))),
    ];
    pairs.extend(id.map(|id| ("_rmx_id", Value::Ref(id.clone()))));
    Value::map(pairs)
}

/// Opens an app folder, with the lock of the operating system or without.
fn open_app(
    app: &ForgetfulApp,
    clock: &Arc<TestClock>,
    os_lock_held: bool,
) -> Result<Database, StoreError> {
    let options = OpenOptions {
        os_lock_held,
        name: Some("tree".into()),
        ..options(clock)
    };
    Database::open_app(Arc::new(app.clone()), options)
}

/// Saves a new record with a number.
fn save(db: &Database, number: u64) -> Result<(), StoreError> {
    db.save(vec![record(number, None)], &SaveOptions::default())
        .map(drop)
}

/// The numbers of all rows, in order, each row checked.
fn numbers(db: &Database) -> Vec<i64> {
    revisions(db);
    let view = db.view().including(true, true);
    let rows = view.rows(0, usize::MAX).expect("rows");
    let number = |row: &u32| {
        let record = view.record(*row).expect("a row").value().expect("a value");
        record.get("n").and_then(Value::as_int).expect("n")
    };
    rows.iter().map(number).collect()
}

/// Does the work before the operation behind `left` others of its kind; `before` has something
/// done before the next one.
fn interrupt(before: Arc<Before>, left: u64, work: Work) {
    let again = before.clone();
    before(Box::new(move || match left {
        0 => work(),
        left => interrupt(again, left - 1, work),
    }));
}

type Work = Box<dyn FnOnce() + Send>;
type Before = dyn Fn(Work) + Send + Sync;

/// What is known of the rows: those of acknowledged commits.
#[derive(Default, Clone)]
struct Model {
    acknowledged: Vec<String>,
    ids: Vec<Ref>,
}

/// One random call. Err: it failed, and its rows may be there or not.
fn step(db: &Database, dice: &mut Dice, model: &mut Model) -> Result<(), StoreError> {
    match dice.below(10) {
        0 => db.flush(),
        1 if !model.ids.is_empty() => {
            let id = model.ids[dice.below(model.ids.len() as u64) as usize].clone();
            let rows_before = db.view().bound();
            db.delete(&[id], "x")?;
            let view = db.view();
            for row in rows_before..view.bound() {
                model
                    .acknowledged
                    .push(view.record(row)?.rev()?.to_string());
            }
            Ok(())
        }
        _ => {
            let count = 1 + dice.below(4);
            let known = (dice.below(2) == 0)
                .then(|| model.ids.last().cloned())
                .flatten();
            let records = (0..count)
                .map(|i| record(dice.below(1000), known.as_ref().filter(|_| i == 0)))
                .collect();
            for saved in db.save(records, &SaveOptions::default())? {
                model.acknowledged.push(saved.rev()?.to_string());
                model.ids.push(saved.id()?);
            }
            Ok(())
        }
    }
}

/// After a crash: everything acknowledged is there, then at most one commit more.
fn verify(found: &[String], model: &Model, context: &str) {
    assert!(
        found.len() >= model.acknowledged.len(),
        "{context}: {} of {} rows",
        found.len(),
        model.acknowledged.len()
    );
    assert_eq!(
        &found[..model.acknowledged.len()],
        &model.acknowledged[..],
        "{context}"
    );
    assert!(
        found.len() - model.acknowledged.len() <= 4,
        "{context}: more than one commit too many"
    );
}

#[test]
fn power_cuts_lose_nothing_acknowledged() {
    for seed in 1..=400 {
        let mut dice = Dice::new(seed);
        let clock = Arc::new(TestClock::default());
        let mut folder = ForgetfulFolder::default();
        let mut model = Model::default();
        for life in 0..5 {
            let context = format!("seed {seed}, life {life}");
            folder.plan(1 + dice.below(120), Fault::PowerCut);
            if let Ok(db) = open(&folder, &clock) {
                let found = revisions(&db);
                verify(&found, &model, &context);
                // What is visible after recovery stays.
                model.acknowledged = found;
                while step(&db, &mut dice, &mut model).is_ok() {}
            }
            folder = folder.after_power_cut(&mut dice);
        }
        let db = open(&folder, &clock).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        verify(&revisions(&db), &model, &format!("seed {seed}, end"));
        step(&db, &mut dice, &mut model).expect("the database works again");
    }
}

#[test]
fn one_failing_operation_does_no_harm() {
    for seed in 1..=60 {
        for at in 1..=60 {
            let mut dice = Dice::new(seed);
            let clock = Arc::new(TestClock::default());
            let folder = ForgetfulFolder::default();
            let mut model = Model::default();
            let db = open(&folder, &clock).expect("new");
            folder.plan(at, Fault::Once);
            let context = format!("seed {seed}, operation {at}");
            for _ in 0..25 {
                match step(&db, &mut dice, &mut model) {
                    Ok(()) => {}
                    Err(error @ StoreError::CommitUnknown(_)) => {
                        assert!(db.has_failed(), "{context}: {error}");
                        assert_eq!(
                            revisions(&db),
                            model.acknowledged,
                            "{context}: readers see the last published state"
                        );
                        db.reopen()
                            .unwrap_or_else(|error| panic!("{context}: {error}"));
                        let found = revisions(&db);
                        verify(&found, &model, &context);
                        model.acknowledged = found;
                    }
                    Err(error) => {
                        assert!(matches!(error, StoreError::Io { .. }), "{context}: {error}");
                        assert_eq!(
                            revisions(&db),
                            model.acknowledged,
                            "{context}: a failed call leaves no trace"
                        );
                    }
                }
            }
            assert_eq!(revisions(&db), model.acknowledged, "{context}");
            drop(db);
            let db = open(&folder, &clock).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(revisions(&db), model.acknowledged, "{context}: reopened");
        }
    }
}

#[test]
fn every_prefix_of_the_log_opens_with_whole_commits() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    let db = open(&folder, &clock).expect("new");
    let mut ends = vec![(folder.content("write.log.1").expect("log").len(), 0)];
    for number in 0..6 {
        db.save(
            vec![record(number, None), record(number + 30, None)],
            &SaveOptions::default(),
        )
        .expect("saves");
        ends.push((
            folder.content("write.log.1").expect("log").len(),
            db.view().bound(),
        ));
    }
    drop(db);
    let log = folder.content("write.log.1").expect("log");
    for cut in 56..=log.len() {
        let db = open(
            &folder.with_content("write.log.1", log[..cut].to_vec()),
            &clock,
        )
        .expect("a torn tail is cut");
        let rows = ends
            .iter()
            .rev()
            .find(|(end, _)| *end <= cut)
            .expect("the header")
            .1;
        assert_eq!(db.view().bound(), rows, "cut at {cut}");
        db.save(vec![record(1, None)], &SaveOptions::default())
            .expect("writes again");
    }
    for cut in 1..56 {
        let error = open(
            &folder.with_content("write.log.1", log[..cut].to_vec()),
            &clock,
        )
        .expect_err("half a header");
        assert_eq!(error.code(), "db_corrupt");
    }
    // Damage to a commit that a later one knows to be durable is reported, and deletes nothing.
    let damaged_until = ends[ends.len() - 2].0;
    for at in (56..damaged_until).step_by(7) {
        let mut bytes = log.clone();
        bytes[at] ^= 0x10;
        let folder = folder.with_content("write.log.1", bytes.clone());
        assert_eq!(
            open(&folder, &clock).expect_err("damage").code(),
            "db_corrupt",
            "byte {at}"
        );
        assert_eq!(folder.content("write.log.1"), Some(bytes));
    }
}

#[test]
fn damage_to_data_files_is_found() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    let db = open(&folder, &clock).expect("new");
    for number in 0..5 {
        db.save(vec![record(number, None)], &SaveOptions::default())
            .expect("saves");
    }
    db.close().expect("checkpoint");
    for name in ["db.dat", "db.off", "db.crc", "db.state.1"] {
        let bytes = folder.content(name).expect(name);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x04;
            // Rows are read on demand: either opening fails, or reading the row does.
            let error = match open(&folder.with_content(name, damaged), &clock) {
                Err(error) => error,
                Ok(db) => {
                    let view = db.view().including(true, true);
                    assert!(!view.check().is_empty(), "{name} byte {at}");
                    let mut errors = (0..view.bound()).filter_map(|row| view.record(row).err());
                    errors.next().expect("damage")
                }
            };
            assert!(
                matches!(error.code(), "db_corrupt" | "unsupported_format"),
                "{name} byte {at}: {error}"
            );
        }
        let error = open(
            &folder.with_content(name, bytes[..bytes.len() - 1].to_vec()),
            &clock,
        )
        .expect_err("short");
        assert_eq!(error.code(), "db_corrupt", "{name}");
    }
}

#[test]
fn damage_to_the_index_changes_nothing() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    let db = open(&folder, &clock).expect("new");
    for number in 0..8 {
        db.save(vec![record(number, None)], &SaveOptions::default())
            .expect("saves");
    }
    let id = db.view().record(3).expect("a row").id().expect("an id");
    db.delete(std::slice::from_ref(&id), "x").expect("deletes");
    let queries = [
        "count()",
        "n == 5",
        "n >= 2 | orderDesc(n) | limit(3)",
        "exists n | count()",
        "_rmx_previous.n == 3 | count()",
    ];
    let answers = |db: &Database| -> Vec<Vec<Value>> {
        let options = QueryOptions {
            include_deleted: true,
            ..QueryOptions::default()
        };
        let ask = |text: &&str| {
            let pipeline = Pipeline::parse(text).expect("a query");
            let execution = db.query(&pipeline, &options).expect("runs");
            execution.collect_values().expect("results")
        };
        let mut all: Vec<Vec<Value>> = queries.iter().map(ask).collect();
        let found = db.get_one(id.as_str()).expect("reads");
        all.push(vec![Value::Bool(found.is_none())]);
        all
    };
    let expected = answers(&db);
    db.close().expect("checkpoint");
    let segment = "idx-0-9.seg";
    let bytes = folder.content(segment).expect("a segment");
    assert_eq!(answers(&open(&folder, &clock).expect("opens")), expected);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x04;
        let db = open(&folder.with_content(segment, damaged), &clock).expect("opens");
        assert_eq!(answers(&db), expected, "byte {at}");
    }
    for cut in (0..bytes.len()).step_by(50) {
        let folder = folder.with_content(segment, bytes[..cut].to_vec());
        let db = open(&folder, &clock).expect("opens");
        assert_eq!(answers(&db), expected, "cut at {cut}");
        // The next checkpoint writes it again.
        db.save(vec![record(9, None)], &SaveOptions::default())
            .expect("saves");
        db.close().expect("checkpoint");
        let opened = open(&folder, &clock).expect("opens");
        assert!(opened.take_warnings().is_empty(), "cut at {cut}");
    }
}

#[test]
fn bare_files_are_adopted() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    let db = open(&folder, &clock).expect("new");
    for number in 0..5 {
        db.save(vec![record(number, None)], &SaveOptions::default())
            .expect("saves");
    }
    let expected = revisions(&db);
    db.close().expect("checkpoint");
    let bare = ForgetfulFolder::default();
    let mut bare = bare.with_content("name.txt", b"x\n".to_vec());
    for name in ["db.dat", "db.off"] {
        bare = bare.with_content(name, folder.content(name).expect(name));
    }
    // Whoever only reads sees them, and leaves them as they are.
    assert_eq!(revisions(&open_read_only(&bare).expect("reads")), expected);
    assert_eq!(bare.content("db.state.1"), None);
    let db = open(&bare, &clock).expect("adopts");
    assert_eq!(revisions(&db), expected);
    db.save(vec![record(1, None)], &SaveOptions::default())
        .expect("saves");
    drop(db);
    assert_eq!(open(&bare, &clock).expect("opens").view().bound(), 6);

    let dat = folder.content("db.dat").expect("data");
    let cut = bare.with_content("db.dat", dat[..dat.len() - 3].to_vec());
    let cut = {
        let fresh = ForgetfulFolder::default();
        fresh
            .with_content("db.dat", cut.content("db.dat").expect("data"))
            .with_content("db.off", folder.content("db.off").expect("offsets"))
    };
    let read = open_read_only(&cut).expect("reads");
    assert_eq!(revisions(&read), expected[..4]);
    assert_eq!(read.take_warnings().len(), 1);
    assert_eq!(
        revisions(&open(&cut, &clock).expect("adopts")),
        expected[..4]
    );
    // With checksums they are no bare files, but a database of which something was lost.
    let sums = folder.content("db.crc").expect("checksums");
    let lost = bare.with_content("db.crc", sums[..sums.len() - 4].to_vec());
    for name in ["db.state.1", "write.log.1"] {
        Folder::remove(&lost, name).expect("removes");
    }
    let error = open_read_only(&lost).expect_err("rows may be missing");
    assert_eq!(error.code(), "db_corrupt");
    let error = open(&lost, &clock).expect_err("rows may be missing");
    assert_eq!(error.code(), "db_corrupt");
    for name in ["db.dat", "db.off"] {
        let _ = Folder::remove(&lost, name);
    }
    let error = open_read_only(&lost).expect_err("all rows are missing");
    assert_eq!(error.code(), "db_corrupt");
    let error = open(&lost, &clock).expect_err("all rows are missing");
    assert_eq!(error.code(), "db_corrupt");
}

#[test]
fn a_writer_that_was_overtaken_learns_the_fate_of_its_commit() {
    for (operation, saved) in [("write", false), ("sync", true)] {
        let clock = Arc::new(TestClock::default());
        let folder = ForgetfulFolder::default();
        let slow = open(&folder, &clock).expect("new");
        slow.save(vec![record(1, None)], &SaveOptions::default())
            .expect("saves");
        let (other, other_clock) = (folder.clone(), clock.clone());
        let (inner, inner_clock) = (folder.clone(), clock.clone());
        // The first write of a turn is that of the lease; the one of the log comes after it.
        let takeover = move || {
            other_clock.sleep(11_000);
            let quick = open(&other, &other_clock).expect("takes over a silent lease");
            quick
                .save(vec![record(2, None)], &SaveOptions::default())
                .expect("saves");
        };
        if operation == "write" {
            folder.before("write", move || inner.before("write", takeover));
        } else {
            folder.before("sync", takeover);
        }
        let _ = inner_clock;
        let result = slow.save(vec![record(3, None)], &SaveOptions::default());
        match result {
            Ok(_) => assert!(saved, "{operation}: not in the seal, so not saved"),
            Err(error) => {
                assert!(!saved, "{operation}: {error}");
                assert_eq!(error.code(), "lease_lost");
            }
        }
        slow.save(vec![record(4, None)], &SaveOptions::default())
            .expect("catches up and goes on");
        let numbers = |db: &Database| -> Vec<Value> {
            let view = db.view();
            let rows = view.rows(0, 100).expect("rows");
            rows.iter()
                .map(|row| {
                    view.record(*row)
                        .and_then(|r| r.value())
                        .expect("row")
                        .get("n")
                        .cloned()
                        .expect("n")
                })
                .collect()
        };
        let expected: Vec<Value> = if saved {
            vec![1, 3, 2, 4]
        } else {
            vec![1, 2, 4]
        }
        .into_iter()
        .map(Value::Int)
        .collect();
        assert_eq!(numbers(&slow), expected);
        drop(slow);
        assert_eq!(numbers(&open(&folder, &clock).expect("opens")), expected);
    }
}

#[test]
fn two_writers_share_a_folder_by_turns() {
    let folder = tempfile::tempdir().expect("scratch");
    let native = || Arc::new(mix_store::folder::NativeFolder::new(folder.path()));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let db = Database::open_in(native(), OpenOptions::default()).expect("opens");
            std::thread::spawn(move || {
                for number in 0..40 {
                    db.save(
                        vec![record(writer * 100 + number, None)],
                        &SaveOptions::default(),
                    )
                    .expect("saves");
                    if number % 16 == 15 {
                        db.flush().expect("flushes");
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().expect("no panic");
    }
    let db = Database::open_in(native(), OpenOptions::default()).expect("opens");
    assert_eq!(revisions(&db).len(), 80);
}

fn lease(kind: &str, beat: i64) -> Vec<u8> {
    format!(r#"{{"beat":{beat},"kind":"{kind}","n":1,"owner":"x","pid":7,"program":"other"}}"#)
        .into_bytes()
}

#[test]
fn leases_of_the_dead_are_taken_over_and_those_of_the_living_are_not() {
    let now = 1_700_000_000_000;
    let folder = ForgetfulFolder::default();
    let db = open(&folder, &Arc::new(TestClock::default())).expect("new");
    db.save(vec![record(1, None)], &SaveOptions::default())
        .expect("saves");
    drop(db);
    let cases = [
        // A fresh lease of a component: refused when patience ends before it must be dead.
        (lease("lease", now), 5_000, false, Err("db_locked")),
        (lease("lease", now), 15_000, false, Ok(10_000..16_000)),
        (lease("lease", now - 11_000), 5_000, false, Ok(0..100)),
        // One of a native process: its lock is ours, so it is dead; without a lock nobody knows.
        (lease("os", now), 5_000, true, Ok(0..100)),
        (lease("os", now), 15_000, false, Err("db_locked")),
        // Not readable: watched for as long.
        (b"{".to_vec(), 15_000, false, Ok(10_000..16_000)),
        (Vec::new(), 5_000, true, Err("db_locked")),
    ];
    for (content, wait, os_lock_held, expected) in cases {
        let folder = folder.with_content("LEASE.1", content.clone());
        let clock = Arc::new(TestClock::default());
        let options = OpenOptions {
            wait,
            os_lock_held,
            ..options(&clock)
        };
        let opened = Database::open_in(Arc::new(folder.clone()), options);
        let waited = clock.now() - now;
        let shown = String::from_utf8_lossy(&content).into_owned();
        match (opened, expected) {
            (Ok(db), Ok(range)) => {
                assert!(range.contains(&waited), "{shown}: {waited} ms");
                assert_eq!(db.view().bound(), 1);
                db.save(vec![record(2, None)], &SaveOptions::default())
                    .expect("saves");
                assert!(
                    folder.names().contains(&"write.log.2".to_owned()),
                    "{shown}: the fence was raised"
                );
                assert!(
                    folder.names().contains(&"LEASE.1".to_owned()),
                    "{shown}: the lease of the dead is left alone"
                );
            }
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{shown}"),
            (opened, expected) => panic!(
                "{shown}: {:?} instead of {expected:?}",
                opened.map(|db| db.watermark())
            ),
        }
    }
}

#[test]
fn a_torn_commit_may_contain_anything() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    let db = open(&folder, &clock).expect("new");
    db.save(vec![record(1, None)], &SaveOptions::default())
        .expect("saves");
    let before = folder.content("write.log.1").expect("log").len();
    // Frames of another log, and beginnings of frames that claim to be long.
    let mut bytes = folder.content("write.log.1").expect("log")[56..].to_vec();
    let mut head = b"MXWF\x01\0\0\0".to_vec();
    for field in [1_u64, 3, 2, 0] {
        head.extend(field.to_le_bytes());
    }
    head.extend([1, 0, 0, 0]);
    head.extend((1_u32 << 19).to_le_bytes());
    for _ in 0..20_000 {
        bytes.extend(&head);
    }
    db.save(
        vec![Value::map([("data", Value::binary(bytes))])],
        &SaveOptions::default(),
    )
    .expect("saves");
    drop(db);
    let log = folder.content("write.log.1").expect("log");
    let begun = std::time::Instant::now();
    let torn = folder.with_content("write.log.1", log[..before + 5_000].to_vec());
    assert_eq!(open(&torn, &clock).expect("a torn tail").view().bound(), 1);
    // So many claims cannot be told from damage in reasonable time: reported, quickly.
    let torn = folder.with_content("write.log.1", log[..log.len() - 1].to_vec());
    assert_eq!(
        open(&torn, &clock)
            .map(|db| db.view().bound())
            .map_err(|error| error.code()),
        Err("db_corrupt")
    );
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
