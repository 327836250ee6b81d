//! Writers with a lease alone beside a compaction that stalls or dies: they
//! neither lose anything nor begin a database of their own in its place.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use mix_store::time::Clock;
use mix_store::{Database, StoreError};

use crate::disk::{Dice, Fault, ForgetfulApp, ForgetfulFolder};
use crate::{TestClock, Work, interrupt, open_app as open, save};

fn numbers(db: &Database) -> BTreeSet<i64> {
    crate::numbers(db).into_iter().collect()
}

fn filled(app: &ForgetfulApp, clock: &Arc<TestClock>) -> (Database, BTreeSet<i64>) {
    let db = open(app, clock, true).expect("new");
    for number in 1..=6 {
        save(&db, number).expect("saves");
    }
    let known = numbers(&db);
    (db, known)
}

#[test]
fn no_new_database_takes_the_place_of_one_whose_compaction_died() {
    let (mut at, mut kept_out, mut finished) = (1, 0, false);
    while !finished {
        let clock = Arc::new(TestClock::default());
        let app = ForgetfulApp::default();
        let (db, mut expected) = filled(&app, &clock);
        app.plan(at, Fault::PowerCut);
        finished = db.compact(true, true).is_ok();
        drop(db);
        // Its process is gone, the machine is not.
        app.free();
        match open(&app, &clock, false) {
            Ok(component) => {
                assert_eq!(numbers(&component), expected, "operation {at}");
                save(&component, 100).unwrap_or_else(|error| panic!("operation {at}: {error}"));
                expected.insert(100);
            }
            Err(error) => {
                assert_eq!(error.code(), "db_locked", "operation {at}: {error}");
                kept_out += 1;
            }
        }
        for app in [app.clone(), app.after_power_cut(&mut Dice::new(at))] {
            let native =
                open(&app, &clock, true).unwrap_or_else(|error| panic!("operation {at}: {error}"));
            assert_eq!(numbers(&native), expected, "operation {at}");
            assert_eq!(app.names(), ["v2"], "operation {at}");
        }
        at += 1;
    }
    assert!(kept_out > 0, "the folder was never missing");
}

#[test]
fn a_folder_without_a_state_is_never_taken_for_the_database_beside_it() {
    let clock = Arc::new(TestClock::default());
    let app = ForgetfulApp::default();
    let (db, expected) = filled(&app, &clock);
    drop(db);
    use mix_store::folder::AppFolder;
    app.rename("v2", "v2.old").expect("renames");
    app.create("v2").expect("creates");
    let error = open(&app, &clock, true).expect_err("which one is it?");
    assert_eq!(error.code(), "db_corrupt");
    app.remove_all("v2").expect("removes");
    assert_eq!(numbers(&open(&app, &clock, true).expect("opens")), expected);
}

#[derive(Default)]
struct Fates {
    next: u64,
    acknowledged: BTreeSet<i64>,
    refused: BTreeSet<i64>,
}

#[test]
fn writers_beside_a_stalled_compaction_lose_nothing() {
    const OPERATIONS: [&str; 8] = [
        "create",
        "write",
        "rename",
        "sync",
        "sync folder",
        "remove",
        "app rename",
        "app sync",
    ];
    let (mut written, mut overtaken) = (0, 0);
    for operation in OPERATIONS {
        for left in 0..14 {
            for silent in [false, true] {
                let context = format!("{operation} {left}, silent {silent}");
                let clock = Arc::new(TestClock::default());
                let app = ForgetfulApp::default();
                let (db, known) = filled(&app, &clock);
                let component = open(&app, &clock, false).expect("shares");
                let fates = Arc::new(Mutex::new(Fates {
                    next: 100,
                    ..Fates::default()
                }));
                let inner: ForgetfulFolder = app.inner("v2").expect("the folder");
                let (hooked, hooked_app) = (inner.clone(), app.clone());
                let before = move |hook: Work| match operation {
                    "app rename" => hooked_app.before("rename", hook),
                    "app sync" => hooked_app.before("sync", hook),
                    operation => hooked.before(operation, hook),
                };
                let (noted, other_clock) = (fates.clone(), clock.clone());
                let work = move || {
                    if silent {
                        other_clock.sleep(11_000);
                    }
                    for _ in 0..2 {
                        let mut fates = noted.lock().expect("no panic");
                        fates.next += 1;
                        let number = fates.next;
                        match save(&component, number) {
                            Ok(()) => fates.acknowledged.insert(number as i64),
                            Err(StoreError::CommitUnknown(_)) => true,
                            Err(_) => fates.refused.insert(number as i64),
                        };
                    }
                };
                interrupt(Arc::new(before), left, Box::new(work));
                let compacted = db.compact(true, true);
                inner.forget_hook();
                app.forget_hook();
                overtaken += usize::from(compacted.is_err());
                if db.has_failed() {
                    db.reopen()
                        .unwrap_or_else(|error| panic!("{context}: {error}"));
                }
                save(&db, 99).unwrap_or_else(|error| panic!("{context}: {error}"));
                drop(db);
                let fates = fates.lock().expect("no panic");
                written += fates.acknowledged.len();
                for app in [app.clone(), app.after_power_cut(&mut Dice::new(left + 1))] {
                    let db = open(&app, &clock, true)
                        .unwrap_or_else(|error| panic!("{context}: {error}"));
                    let found = numbers(&db);
                    let wanted: BTreeSet<i64> = known.union(&fates.acknowledged).copied().collect();
                    assert!(found.is_superset(&wanted), "{context}: {found:?}");
                    assert!(found.contains(&99), "{context}: {found:?}");
                    assert!(found.is_disjoint(&fates.refused), "{context}: {found:?}");
                }
            }
        }
    }
    assert!(written > 60, "the component hardly wrote: {written}");
    assert!(
        overtaken > 10,
        "the compaction was hardly overtaken: {overtaken}"
    );
}
