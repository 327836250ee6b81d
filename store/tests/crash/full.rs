//! A disk that is full: calls fail with `disk_full`, nothing is lost, and work
//! goes on when there is room.

use std::sync::Arc;

use mix_store::{Database, OpenOptions, StoreError};

use crate::disk::{Dice, Fault, ForgetfulApp, ForgetfulFolder};
use crate::{Model, TestClock, open, revisions, step};

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
