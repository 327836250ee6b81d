//! Compaction, pruning and purging under power cuts and failing operations:
//! a database is always there, and it is the one before or the one after.

use std::sync::Arc;

use mix_store::{Database, OpenOptions, Rewriting, SaveOptions};
use mix_value::{Ref, Value};

use crate::disk::{Dice, Fault, ForgetfulApp};
use crate::{TestClock, open_app, record, revisions};

/// Some records with versions and tombstones; gives their ids.
fn fill(db: &Database, dice: &mut Dice) -> Vec<Ref> {
    let mut ids = Vec::new();
    for number in 0..8 {
        let saved = db
            .save(vec![record(number, None)], &SaveOptions::default())
            .expect("saves");
        ids.push(saved[0].id().expect("id"));
    }
    for number in 0..8 {
        let id = &ids[dice.below(8) as usize];
        db.save(
            vec![record(100 + number, Some(id))],
            &SaveOptions::default(),
        )
        .expect("saves");
    }
    db.delete(&ids[..1], "x").expect("deletes");
    ids
}

fn rewritings(ids: &[Ref]) -> [Rewriting; 4] {
    let compact = |keep_history, keep_deleted| Rewriting::Compact {
        keep_history,
        keep_deleted,
    };
    [
        compact(false, false),
        compact(true, false),
        Rewriting::Prune { before: i64::MAX },
        Rewriting::Purge {
            ids: ids.iter().take(2).cloned().collect(),
        },
    ]
}

/// Whether `rest` is `all` without some of its members, in order.
fn is_part(rest: &[String], all: &[String]) -> bool {
    let mut all = all.iter();
    rest.iter().all(|wanted| all.any(|found| found == wanted))
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_or_the_new() {
    for (kind, _) in rewritings(&[])
        .iter()
        .enumerate()
        .map(|(kind, _)| (kind, ()))
    {
        let mut at = 1;
        let mut finished = false;
        while !finished {
            for seed in 1..=3 {
                let context = format!("kind {kind}, operation {at}, seed {seed}");
                let mut dice = Dice::new(seed * 1000 + at);
                let clock = Arc::new(TestClock::default());
                let app = ForgetfulApp::default();
                let db = open_app(&app, &clock, true).expect("new");
                let ids = fill(&db, &mut dice);
                let before = revisions(&db);
                let reader = db.view().including(true, true);
                app.plan(at, Fault::PowerCut);
                let result = db.rewrite(&rewritings(&ids)[kind]);
                finished = result.is_ok();
                let after = finished.then(|| revisions(&db));
                if finished {
                    // The cut did not come yet. What is saved now is lost or there, never in part.
                    let _ = db.save(vec![record(7, None)], &SaveOptions::default());
                }
                for row in reader.rows(0, usize::MAX).expect("rows") {
                    reader.record(row).unwrap_or_else(|error| {
                        panic!("{context}: a reader lost row {row}: {error}")
                    });
                }
                let mut app = app.after_power_cut(&mut dice);
                // A second cut while the first one is being mended.
                app.plan(dice.below(12), Fault::PowerCut);
                drop(open_app(&app, &clock, true));
                app = app.after_power_cut(&mut dice);
                let db = open_app(&app, &clock, true)
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                let mut found = revisions(&db);
                match after {
                    Some(after) => {
                        found.truncate(after.len());
                        assert_eq!(found, after, "{context}: the compaction was acknowledged");
                    }
                    None => assert!(
                        found == before
                            || is_part(&found, &before) && found.len() < before.len()
                            || kind == 1,
                        "{context}: {} rows of {}",
                        found.len(),
                        before.len()
                    ),
                }
                assert_eq!(app.names(), ["v2"], "{context}");
                db.save(vec![record(9, None)], &SaveOptions::default())
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                match db.rewrite(&rewritings(&ids)[kind]) {
                    Ok(_) => {}
                    // Purged already.
                    Err(mix_store::StoreError::NotFound(_)) if kind == 3 && found != before => {}
                    Err(error) => panic!("{context}: again: {error}"),
                }
            }
            at += 1;
        }
        assert!(
            at > 40,
            "kind {kind}: {at} operations are hardly a compaction"
        );
    }
}

#[test]
fn one_failing_operation_spoils_no_database() {
    for kind in 0..4 {
        let mut finished = false;
        let mut at = 1;
        while !finished {
            let context = format!("kind {kind}, operation {at}");
            let mut dice = Dice::new(at);
            let clock = Arc::new(TestClock::default());
            let app = ForgetfulApp::default();
            let db = open_app(&app, &clock, true).expect("new");
            let ids = fill(&db, &mut dice);
            let before = revisions(&db);
            let used = app.operations();
            app.plan(at, Fault::Once);
            let result = db.rewrite(&rewritings(&ids)[kind]);
            finished = result.is_ok() && app.operations() - used < at;
            app.plan(u64::MAX / 2, Fault::Once);
            if db.has_failed() {
                db.reopen()
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            db.refresh()
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = revisions(&db);
            assert!(is_part(&found, &before), "{context}");
            db.save(vec![record(9, None)], &SaveOptions::default())
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let expected = revisions(&db);
            let mut survivor = Dice::new(at + 7);
            for app in [app.clone(), app.after_power_cut(&mut survivor)] {
                let again = open_app(&app, &clock, true)
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(revisions(&again), expected, "{context}");
            }
            at += 1;
        }
        assert!(at > 40, "kind {kind}");
    }
}

#[test]
fn what_is_kept_is_what_was_asked_for() {
    let clock = Arc::new(TestClock::default());
    let numbers = |db: &Database| -> Vec<i64> {
        let view = db.view().including(true, true);
        let rows = view.rows(0, usize::MAX).expect("rows");
        let number = |row: &u32| {
            let record = view.record(*row).expect("row").value().expect("value");
            assert_eq!(record.get("_rmx_row"), Some(&Value::Int(i64::from(*row))));
            record.get("n").and_then(Value::as_int).unwrap_or(-1)
        };
        rows.iter().map(number).collect()
    };
    for (kind, expected) in [
        (0, vec![2, 10, 3]),
        (1, vec![0, 1, 2, 10, -1, 3]),
        (2, vec![2, 10, 3]),
        (3, vec![2, 3]),
    ] {
        let app = ForgetfulApp::default();
        let db = open_app(&app, &clock, true).expect("new");
        let mut ids = Vec::new();
        for number in 0..3 {
            let saved = db.save(vec![record(number, None)], &SaveOptions::default());
            ids.push(saved.expect("saves")[0].id().expect("id"));
        }
        db.save(vec![record(10, Some(&ids[1]))], &SaveOptions::default())
            .expect("saves");
        db.delete(&ids[..1], "x").expect("deletes");
        let old = db.watermark();
        db.save(vec![record(3, None)], &SaveOptions::default())
            .expect("saves");
        let generation = db.view().generation().to_owned();
        let done = db.rewrite(&rewritings(&ids)[kind]).expect("rewrites");
        assert_eq!(numbers(&db), expected, "kind {kind}");
        assert_eq!(done.rows_before, 6);
        assert_eq!(done.rows_after, expected.len() as u64);
        assert_eq!(done.watermark, db.watermark());
        assert_ne!(db.view().generation(), generation, "a new generation");
        // The watermark before the last save still means the same moment.
        let last = expected.len() as u32 - 1;
        assert_eq!(db.view().row_of_watermark(&old).expect("one before"), last);
        db.flush().expect("flushes");
        drop(db);
        let db = open_app(&app, &clock, true).expect("opens");
        assert_eq!(numbers(&db), expected, "kind {kind}");
        assert_eq!(db.view().row_of_watermark(&old).expect("one before"), last);
        db.compact(true, true).expect("again");
        let stale = db.view().row_of_watermark(&old).expect_err("two before");
        assert_eq!(stale.code(), "stale_watermark");
        let unknown = db
            .view()
            .row_of_watermark("AAAAAAAA.1")
            .expect_err("foreign");
        assert_eq!(unknown.code(), "stale_watermark");
    }
}

#[test]
fn a_lost_lock_or_a_component_may_not_compact() {
    let app = ForgetfulApp::default();
    let db = Database::open_app(Arc::new(app), OpenOptions::default()).expect("new");
    assert_eq!(
        db.compact(false, false).expect_err("no lock").code(),
        "db_locked"
    );
    let memory = Database::in_memory(OpenOptions::default()).expect("in memory");
    assert_eq!(
        memory.compact(false, false).expect_err("no files").code(),
        "bad_db"
    );
}

#[test]
fn blobs_go_with_the_last_record_that_refers_to_them() {
    let clock = Arc::new(TestClock::default());
    let app = ForgetfulApp::default();
    let db = open_app(&app, &clock, true).expect("new");
    let blob = |text: &str| {
        Value::map([
            ("_rmx_type", Value::from("blob")),
            ("data", Value::binary(text.as_bytes().to_vec())),
        ])
    };
    let saved = db
        .save(
            vec![
                Value::map([("n", Value::Int(1)), ("image", blob("one"))]),
                Value::map([("n", Value::Int(2)), ("image", blob("two"))]),
            ],
            &SaveOptions::default(),
        )
        .expect("saves");
    assert_eq!(db.view().stat().expect("numbers").live, 4);
    db.compact(false, false).expect("compacts");
    assert_eq!(
        db.view().stat().expect("numbers").live,
        4,
        "both are in use"
    );
    db.purge(&[saved[0].id().expect("id")]).expect("purges");
    assert_eq!(
        db.view().stat().expect("numbers").rows,
        2,
        "record and blob are gone"
    );
    let left = db.view().rows(0, 10).expect("rows");
    let data = db
        .view()
        .record(left[0])
        .expect("row")
        .value()
        .expect("value");
    assert_eq!(data.get("data"), Some(&Value::binary(b"two".to_vec())));
}

#[test]
fn flags_set_by_hand_survive() {
    let clock = Arc::new(TestClock::default());
    let app = ForgetfulApp::default();
    let db = open_app(&app, &clock, true).expect("new");
    for number in 0..3 {
        db.save(vec![record(number, None)], &SaveOptions::default())
            .expect("saves");
    }
    db.set_flags(&[(2, true)], &[(0, true)]).expect("sets");
    assert_eq!(db.view().rows(0, 9).expect("rows"), [1]);
    db.compact(true, true).expect("compacts");
    assert_eq!(db.view().rows(0, 9).expect("rows"), [1]);
    drop(db);
    let db = open_app(&app, &clock, true).expect("opens");
    assert_eq!(db.view().rows(0, 9).expect("rows"), [1]);
    db.compact(false, false).expect("compacts");
    assert_eq!(
        db.view().including(true, true).rows(0, 9).expect("rows"),
        [0]
    );
}

#[test]
fn writers_go_on_while_the_files_are_rewritten() {
    let folder = tempfile::tempdir().expect("scratch");
    let db = Database::open(folder.path(), OpenOptions::default()).expect("new");
    db.save(
        (0..2000).map(|n| record(n, None)).collect(),
        &SaveOptions::default(),
    )
    .expect("saves");
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (db, stop) = (db.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut saved = Vec::new();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let number = saved.len() as u64;
                    let records = db
                        .save(vec![record(number, None)], &SaveOptions::default())
                        .expect("saves");
                    saved.push(records[0].rev().expect("rev").to_string());
                }
                saved
            })
        })
        .collect();
    for _ in 0..4 {
        db.compact(false, false).expect("compacts");
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut saved: Vec<String> = Vec::new();
    for writer in writers {
        saved.extend(writer.join().expect("no panic"));
    }
    drop(db);
    let db = Database::open(folder.path(), OpenOptions::default()).expect("opens");
    let found = revisions(&db);
    assert_eq!(found.len(), 2000 + saved.len());
    let found: std::collections::HashSet<_> = found.into_iter().collect();
    assert!(saved.iter().all(|rev| found.contains(rev)));
}
