//! What one writer leaves to the next: names and logs that say where to go on.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mix_store::folder::{AppFolder, Folder, NativeAppFolder};
use mix_store::{Database, OpenOptions, StoreError};

use crate::disk::{Dice, Fault, ForgetfulApp, ForgetfulFolder};
use crate::{TestClock, Work, interrupt, numbers, open, open_app, save};

/// The numbers of the logs among some names.
fn logs(names: &[String]) -> Vec<u64> {
    let mut logs: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_prefix("write.log."))
        .map(|number| number.parse().expect("a number"))
        .collect();
    logs.sort_unstable();
    logs
}

#[test]
fn a_new_index_is_heard_of_by_other_writers() {
    let clock = Arc::new(TestClock::default());
    let folder = ForgetfulFolder::default();
    let busy = open(&folder, &clock).expect("new");
    let other = open(&folder, &clock).expect("shares");
    for number in 1..=2 {
        save(&busy, number).expect("saves");
        busy.flush().expect("flushes");
    }
    other.refresh().expect("reads both segments");
    busy.reindex().expect("makes one of them");
    save(&other, 3).expect("saves");
    other.flush().expect("flushes");
    let db = open(&folder, &clock).expect("opens");
    assert_eq!(db.take_warnings(), Vec::<String>::new());
    assert_eq!(numbers(&db), [1, 2, 3]);
}

/// An app folder on the disk, shared without its lock.
fn on_disk(path: &Path) -> Database {
    let app = Arc::new(NativeAppFolder::new(path));
    app.create("v2").expect("creates");
    Database::open_app(app, OpenOptions::default()).expect("opens")
}

#[test]
fn a_log_stays_for_a_day_after_the_next_one_was_announced() {
    // The newest has just been written, so the one before it counts as young.
    for (age, wanted) in [(23, vec![1, 2, 3]), (25, vec![2, 3])] {
        let folder = tempfile::tempdir().expect("scratch");
        let db = on_disk(folder.path());
        for number in 1..=2 {
            save(&db, number).expect("saves");
            db.reindex().expect("raises the fence");
        }
        save(&db, 3).expect("saves");
        drop(db);
        let files = folder.path().join("v2");
        let names = || -> Vec<String> {
            let entries = fs::read_dir(&files).expect("a folder");
            let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
            entries
                .map(|entry| name(entry).into_string().expect("UTF-8"))
                .collect()
        };
        assert_eq!(logs(&names()), [1, 2, 3]);
        let then = SystemTime::now() - Duration::from_secs(age * 60 * 60);
        for fence in 1..=3 {
            let log = File::options()
                .write(true)
                .open(files.join(format!("write.log.{fence}")));
            log.and_then(|log| log.set_modified(then)).expect("ages");
        }
        // A process that begins now.
        let db = on_disk(folder.path());
        db.flush().expect("flushes");
        assert_eq!(logs(&names()), wanted, "{age} hours");
        assert_eq!(numbers(&db), [1, 2, 3]);
    }
}

/// A database that has been at fences 1 to 4, and whether `prepare` lets a flush of today remove logs of it.
fn logs_left(prepare: impl FnOnce(&Path, &dyn Fn(u64, u64))) -> Vec<u64> {
    let folder = tempfile::tempdir().expect("scratch");
    let db = on_disk(folder.path());
    for number in 1..=3 {
        save(&db, number).expect("saves");
        db.reindex().expect("raises the fence");
    }
    save(&db, 4).expect("saves");
    drop(db);
    let files = folder.path().join("v2");
    let age = |fence: u64, hours: u64| {
        let then = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
        let log = File::open(files.join(format!("write.log.{fence}")));
        log.and_then(|log| log.set_modified(then)).expect("ages");
    };
    prepare(&files, &age);
    let db = on_disk(folder.path());
    db.flush().expect("flushes");
    assert_eq!(numbers(&db), [1, 2, 3, 4]);
    let names = fs::read_dir(&files).expect("a folder").map(|entry| {
        let name = entry.expect("an entry").file_name();
        name.into_string().expect("UTF-8")
    });
    logs(&names.collect::<Vec<_>>())
}

#[test]
fn old_logs_are_removed_lowest_first_and_without_a_gap() {
    let all_old = |_: &Path, age: &dyn Fn(u64, u64)| (1..=4).for_each(|fence| age(fence, 30));
    assert_eq!(logs_left(all_old), [3, 4]);
    // The one above the lowest is young, so the lowest stays, and with it those that are old enough.
    let second_is_young = |files: &Path, age: &dyn Fn(u64, u64)| {
        all_old(files, age);
        age(2, 1);
    };
    assert_eq!(logs_left(second_is_young), [1, 2, 3, 4]);
    let third_is_young = |files: &Path, age: &dyn Fn(u64, u64)| {
        all_old(files, age);
        age(3, 1);
    };
    assert_eq!(logs_left(third_is_young), [2, 3, 4]);
    // One that cannot be removed keeps those above it.
    let lowest_stays = |files: &Path, age: &dyn Fn(u64, u64)| {
        let lowest = files.join("write.log.1");
        fs::remove_file(&lowest).expect("removes");
        fs::create_dir(&lowest).expect("a folder in its place");
        all_old(files, age);
    };
    assert_eq!(logs_left(lowest_stays), [1, 2, 3, 4]);
}

#[test]
fn a_log_that_failed_to_sync_is_closed_to_others_too() {
    let (mut failed, mut locked) = (0, 0);
    for at in 1..=10 {
        for count in 1..=4 {
            let context = format!("operations {at} to {}", at + count - 1);
            let clock = Arc::new(TestClock::default());
            let folder = ForgetfulFolder::default();
            let unlucky = open(&folder, &clock).expect("new");
            let other = open(&folder, &clock).expect("shares");
            save(&unlucky, 1).expect("saves");
            other.refresh().expect("refreshes");
            folder.plan(at, Fault::Several(count));
            failed += usize::from(save(&unlucky, 2).is_err());
            folder.free();
            locked += folder
                .names()
                .iter()
                .filter(|name| name.starts_with("LEASE."))
                .count();
            save(&other, 3).unwrap_or_else(|error| panic!("{context}: {error}"));
            for seed in 1..=4 {
                let survivor = folder.after_power_cut(&mut Dice::new(seed));
                let db =
                    open(&survivor, &clock).unwrap_or_else(|error| panic!("{context}: {error}"));
                let found = numbers(&db);
                assert_eq!(found[0], 1, "{context}: {found:?}");
                assert!(found.contains(&3), "{context}: {found:?}");
            }
        }
    }
    assert!(failed > 10, "hardly a commit failed: {failed}");
    assert!(locked > 0, "no lease was left behind");
}

#[test]
fn bare_files_are_on_the_disk_before_they_count() {
    let clock = Arc::new(TestClock::default());
    let made = ForgetfulFolder::default();
    let db = open(&made, &clock).expect("new");
    for number in 1..=9 {
        save(&db, number).expect("saves");
    }
    db.flush().expect("flushes");
    for seed in 1..=60 {
        let folder = ForgetfulFolder::default();
        for name in ["db.dat", "db.off"] {
            let bytes = made.content(name).expect("a file");
            let file = folder.create_new(name).expect("creates");
            file.write_at(0, &bytes).expect("writes");
        }
        let db = open(&folder, &clock).expect("adopts");
        let expected: Vec<i64> = (1..=9).collect();
        assert_eq!(numbers(&db), expected);
        let survivor = folder.after_power_cut(&mut Dice::new(seed));
        let db = open(&survivor, &clock).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(numbers(&db), expected, "seed {seed}");
    }
}

#[test]
fn a_writer_leaves_the_folder_that_a_compaction_removed() {
    let clock = Arc::new(TestClock::default());
    let app = ForgetfulApp::default();
    let native = open_app(&app, &clock, true).expect("new");
    let component = open_app(&app, &clock, false).expect("shares");
    for number in 1..=3 {
        save(&native, number).expect("saves");
    }
    component.refresh().expect("refreshes");
    native.compact(true, true).expect("compacts");
    save(&component, 4).expect("saves in the new folder");
    assert_eq!(numbers(&component), [1, 2, 3, 4]);
    native.refresh().expect("refreshes");
    assert_eq!(numbers(&native), [1, 2, 3, 4]);
    let survivor = app.after_power_cut(&mut Dice::new(1));
    let db = open_app(&survivor, &clock, true).expect("opens");
    assert_eq!(numbers(&db), [1, 2, 3, 4]);
}

#[test]
fn a_replaced_folder_never_shows_a_lower_log_as_its_newest() {
    let mut met = 0;
    for left in 0..40 {
        let clock = Arc::new(TestClock::default());
        let app = ForgetfulApp::default();
        let native = open_app(&app, &clock, true).expect("new");
        // With two digits names do not sort like numbers.
        for number in 1..=11 {
            save(&native, number).expect("saves");
            native.reindex().expect("raises the fence");
        }
        let component = open_app(&app, &clock, false).expect("shares");
        let old = app.inner("v2").expect("the folder");
        let saved = Arc::new(Mutex::new(None));
        let result = saved.clone();
        let work = move || *result.lock().expect("no panic") = Some(save(&component, 100));
        let before = move |work: Work| old.before("remove", work);
        interrupt(Arc::new(before), left, Box::new(work));
        native.compact(true, true).expect("compacts");
        native.refresh().expect("refreshes");
        let found = numbers(&native);
        match &*saved.lock().expect("no panic") {
            Some(Ok(())) => assert!(found.contains(&100), "before removal {left}: {found:?}"),
            Some(Err(StoreError::CommitUnknown(_))) | None => continue,
            Some(Err(error)) => {
                assert!(!found.contains(&100), "before removal {left}: {error}");
            }
        }
        met += 1;
    }
    assert!(met > 12, "the component hardly met the removal: {met}");
}
