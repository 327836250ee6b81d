//! A disk that is full: calls fail with `disk_full`, nothing is lost, and work
//! goes on when there is room.

use std::sync::Arc;

use mix_store::query::{Pipeline, QueryOptions};
use mix_store::{Database, OpenOptions, StoreError};
use mix_value::Value;

use crate::disk::{Dice, Fault, ForgetfulApp, ForgetfulFolder};
use crate::{Model, TestClock, open, open_app, revisions, save, step};

#[test]
fn a_full_disk_stops_writers_and_loses_nothing() {
    let mut refused = 0;
    for seed in 1..=40 {
        for at in 1..=30 {
            let mut dice = Dice::new(seed);
            let clock = Arc::new(TestClock::default());
            let folder = ForgetfulFolder::default();
            let mut model = Model::default();
            let db = open(&folder, &clock).expect("new");
            for _ in 0..5 {
                step(&db, &mut dice, &mut model).expect("there is room");
            }
            folder.plan(at, Fault::Full);
            let context = format!("seed {seed}, operation {at}");
            for _ in 0..8 {
                match step(&db, &mut dice, &mut model) {
                    Ok(()) => {}
                    Err(StoreError::DiskFull) => refused += 1,
                    // A sync that fails for want of room leaves the fate of its commit open.
                    Err(StoreError::CommitUnknown(_) | StoreError::Failed(_)) => {}
                    Err(error) => panic!("{context}: {error}"),
                }
            }
            let seen = revisions(&db);
            assert_eq!(seen, model.acknowledged, "{context}: readers go on");
            folder.free();
            if db.has_failed() {
                db.reopen()
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            db.refresh()
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = revisions(&db);
            assert_eq!(found[..seen.len()], seen, "{context}");
            model.acknowledged = found;
            for _ in 0..3 {
                step(&db, &mut dice, &mut model)
                    .unwrap_or_else(|error| panic!("{context}: there is room again: {error}"));
            }
            drop(db);
            let db = open(&folder, &clock).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(revisions(&db), model.acknowledged, "{context}");
        }
    }
    assert!(refused > 1000, "the disk was hardly ever full: {refused}");
}

#[test]
fn a_compaction_without_room_changes_nothing() {
    for at in 1..=60 {
        let clock = Arc::new(TestClock::default());
        let app = ForgetfulApp::default();
        let options = || OpenOptions {
            os_lock_held: true,
            clock: clock.clone(),
            ..OpenOptions::default()
        };
        let db = Database::open_app(Arc::new(app.clone()), options()).expect("new");
        let mut dice = Dice::new(at);
        let mut model = Model::default();
        for _ in 0..6 {
            step(&db, &mut dice, &mut model).expect("there is room");
        }
        app.plan(at, Fault::Full);
        let result = db.compact(true, true);
        app.free();
        if let Err(error) = &result {
            let codes = [
                "disk_full",
                "db_io",
                "lease_lost",
                "commit_unknown",
                "db_failed",
            ];
            assert!(codes.contains(&error.code()), "operation {at}: {error}");
        }
        if db.has_failed() {
            db.reopen()
                .unwrap_or_else(|error| panic!("operation {at}: {error}"));
        }
        db.refresh()
            .unwrap_or_else(|error| panic!("operation {at}: {error}"));
        assert_eq!(revisions(&db), model.acknowledged, "operation {at}");
        db.compact(true, true)
            .unwrap_or_else(|error| panic!("operation {at}: there is room again: {error}"));
        drop(db);
        let db = Database::open_app(Arc::new(app.clone()), options()).expect("opens");
        assert_eq!(revisions(&db), model.acknowledged, "operation {at}");
    }
}

/// Who reads finds no database where one could not be begun, or an empty one.
#[test]
fn a_database_that_could_not_be_begun_is_none() {
    let (mut none, mut empty) = (0, 0);
    for at in 1..=40 {
        let clock = Arc::new(TestClock::default());
        let app = ForgetfulApp::default();
        let open = |create: bool| {
            let options = OpenOptions {
                os_lock_held: true,
                create,
                clock: clock.clone(),
                ..OpenOptions::default()
            };
            Database::open_app(Arc::new(app.clone()), options)
        };
        app.plan(at, Fault::Full);
        if open(true).is_ok() {
            continue;
        }
        match open(false) {
            Ok(db) => {
                assert_eq!(revisions(&db), Vec::<String>::new(), "operation {at}");
                empty += 1;
            }
            Err(error) => {
                assert_eq!(error.code(), "no_such_db", "operation {at}: {error}");
                none += 1;
            }
        }
        app.free();
        let db = open(true).unwrap_or_else(|error| panic!("operation {at}: {error}"));
        assert_eq!(revisions(&db), Vec::<String>::new(), "operation {at}");
    }
    assert!(none > 2, "{none} without, {empty} with a database");
}

#[test]
fn reading_needs_no_room() {
    let mut followed = 0;
    for seed in 1..=20 {
        let mut dice = Dice::new(seed);
        let clock = Arc::new(TestClock::default());
        let folder = ForgetfulFolder::default();
        let mut model = Model::default();
        let writer = open(&folder, &clock).expect("new");
        for _ in 0..dice.below(12) {
            step(&writer, &mut dice, &mut model).expect("there is room");
        }
        folder.plan(1, Fault::Full);
        let reader = open(&folder, &clock).expect("opens on a full disk");
        assert_eq!(revisions(&reader), model.acknowledged, "seed {seed}");
        assert_eq!(reader.watermark(), writer.watermark(), "seed {seed}");
        assert!(reader.is_current() && !reader.has_failed(), "seed {seed}");
        let told = reader.take_warnings();
        assert!(told[0].starts_with("nothing can be written"), "{told:?}");
        for _ in 0..3 {
            // A little room comes and goes, and others have used it.
            folder.free();
            for _ in 0..1 + dice.below(3) {
                step(&writer, &mut dice, &mut model).expect("there is room");
            }
            followed += u64::from(!reader.is_current());
            folder.plan(1, Fault::Full);
            reader.refresh().expect("reads on a full disk");
            assert_eq!(revisions(&reader), model.acknowledged, "seed {seed}");
            assert_eq!(reader.watermark(), writer.watermark(), "seed {seed}");
            let refused = save(&reader, 1).expect_err("no room");
            assert_eq!(refused.code(), "disk_full");
            assert_eq!(revisions(&reader), model.acknowledged, "seed {seed}");
            assert_eq!(reader.take_warnings(), Vec::<String>::new(), "told once");
        }
        folder.free();
        for db in [&reader, &writer, &reader] {
            db.refresh().expect("there is room");
            step(db, &mut dice, &mut model).expect("there is room");
            assert_eq!(revisions(db), model.acknowledged, "seed {seed}");
        }
    }
    assert!(followed > 30, "others hardly ever wrote: {followed}");
}

#[test]
fn bare_files_are_read_where_nobody_can_take_them_over() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    let writer = open(&folder, &clock).expect("new");
    for number in 0..3 {
        save(&writer, number).expect("there is room");
    }
    let expected = revisions(&writer);
    writer.close().expect("checkpoint");
    let mut bare = ForgetfulFolder::default();
    for name in ["db.dat", "db.off"] {
        bare = bare.with_content(name, folder.content(name).expect(name));
    }
    bare.plan(1, Fault::Full);
    let reader = open(&bare, &clock).expect("opens on a full disk");
    assert_eq!(revisions(&reader), expected);
    assert_eq!(save(&reader, 3).expect_err("no room").code(), "disk_full");
    reader.refresh().expect("reads on a full disk");
    assert_eq!(revisions(&reader), expected);
    bare.free();
    save(&reader, 3).expect("there is room");
    let after = revisions(&reader);
    assert_eq!((&after[..3], after.len()), (&expected[..], 4));
    assert_eq!(revisions(&open(&bare, &clock).expect("opens")), after);
}

#[test]
fn a_full_disk_shows_what_came_before_a_compaction() {
    let clock = Arc::new(TestClock::default());
    let app = ForgetfulApp::default();
    let writer = open_app(&app, &clock, true).expect("new");
    for number in 0..9 {
        save(&writer, number).expect("there is room");
    }
    let watermark = writer.watermark();
    writer.compact(true, true).expect("there is room");
    save(&writer, 9).expect("there is room");
    app.plan(1, Fault::Full);
    let reader = open_app(&app, &clock, true).expect("opens on a full disk");
    for db in [&writer, &reader] {
        // A watermark of the generation before is understood, also after a write that failed.
        assert_eq!(save(db, 1).expect_err("no room").code(), "disk_full");
        let after = Pipeline::from_value(&Value::Array(vec![Value::Array(vec![
            Value::from("after"),
            Value::from(watermark.as_str()),
        ])]));
        let rows = db.query(&after.expect("a query"), &QueryOptions::default());
        assert_eq!(rows.expect("runs").count(), 1);
    }
    assert_eq!(reader.watermark(), writer.watermark());
}

#[test]
fn a_full_disk_makes_no_database() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    folder.plan(1, Fault::Full);
    assert_eq!(
        open(&folder, &clock).expect_err("no room").code(),
        "disk_full"
    );
    folder.free();
    let db = open(&folder, &clock).expect("there is room");
    assert_eq!(revisions(&db), Vec::<String>::new());
}
