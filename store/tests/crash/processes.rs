//! Several processes on one folder: writers with the lease alone, a native one
//! that also compacts, and processes that are killed in the middle of it.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mix_store::folder::NativeFolder;
use mix_store::{Database, OpenOptions, SaveOptions, StoreError};

use crate::{record, revisions};

const FOLDER: &str = "MIX_STORE_PROCESS_TEST_FOLDER";

fn child(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the child starts")
}

/// What a child says after each save.
fn saved(lines: impl Iterator<Item = std::io::Result<String>>) -> Vec<String> {
    lines
        .map_while(Result::ok)
        .filter_map(|line| {
            let rev = line.rsplit_once("saved ")?.1.to_owned();
            (rev.len() == 32).then_some(rev)
        })
        .collect()
}

/// A child without the OS lock, like a component.
#[test]
fn child_with_a_lease() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let inner = NativeFolder::new(Path::new(&folder).join("v2"));
    let inner = Arc::new(inner);
    let db = loop {
        match Database::open_in(inner.clone(), OpenOptions::default()) {
            Ok(db) => break db,
            // As below.
            Err(StoreError::Locked { .. } | StoreError::LeaseLost) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let mut done = 0;
    while done < 60 {
        match db.save(vec![record(done, None)], &SaveOptions::default()) {
            Ok(saved) => {
                println!("saved {}", saved[0].rev().expect("rev"));
                done += 1;
            }
            // The native opener may hold its lease for long while it compacts.
            Err(StoreError::Locked { .. } | StoreError::LeaseLost) => {}
            Err(error) => panic!("{error}"),
        }
        if done % 20 == 19 {
            // A checkpoint may be put off by others.
            let _ = db.flush();
        }
    }
}

#[test]
fn processes_take_turns_while_one_of_them_compacts() {
    let folder = tempfile::tempdir().expect("scratch");
    let db = Database::open(folder.path(), OpenOptions::default()).expect("new");
    let mut children: Vec<Child> = (0..3)
        .map(|_| child("processes::child_with_a_lease", folder.path()))
        .collect();
    let readers: Vec<_> = children
        .iter_mut()
        .map(|child| {
            let out = child.stdout.take().expect("piped");
            std::thread::spawn(move || saved(BufReader::new(out).lines()))
        })
        .collect();
    let mut acknowledged = Vec::new();
    for number in 0..40 {
        match db.save(vec![record(number, None)], &SaveOptions::default()) {
            Ok(saved) => acknowledged.push(saved[0].rev().expect("rev").to_string()),
            Err(StoreError::Locked { .. } | StoreError::LeaseLost) => {}
            Err(error) => panic!("{error}"),
        }
        if number % 8 == 7 {
            match db.compact(number % 16 == 7, true) {
                Ok(_) | Err(StoreError::Locked { .. } | StoreError::LeaseLost) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    for (child, reader) in children.iter_mut().zip(readers) {
        let lines = reader.join().expect("no panic");
        assert!(child.wait().expect("ends").success());
        assert_eq!(lines.len(), 60);
        acknowledged.extend(lines);
    }
    drop(db);
    let db = Database::open(folder.path(), OpenOptions::default()).expect("opens");
    let found = revisions(&db);
    let set: HashSet<&String> = found.iter().collect();
    assert_eq!(set.len(), found.len(), "nothing is there twice");
    assert_eq!(found.len(), acknowledged.len());
    assert!(acknowledged.iter().all(|rev| set.contains(rev)));
    db.flush().expect("flushes");
    assert_eq!(mix_store::check(folder.path()).expect("checks"), []);
}

/// A child that saves, checkpoints and compacts for ever.
#[test]
fn child_that_compacts() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let db = Database::open(Path::new(&folder), OpenOptions::default()).expect("opens");
    println!("ready");
    for number in 0.. {
        let saved = db
            .save(vec![record(number, None)], &SaveOptions::default())
            .expect("saves");
        println!("saved {}", saved[0].rev().expect("rev"));
        if number % 4 == 3 {
            db.compact(number % 8 == 7, true).expect("compacts");
        }
    }
}

#[test]
fn kill_9_in_the_middle_of_compactions_loses_nothing() {
    let folder = tempfile::tempdir().expect("scratch");
    let mut acknowledged: Vec<String> = Vec::new();
    let mut mended = 0;
    for round in 0..16 {
        let mut child = child("processes::child_that_compacts", folder.path());
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = lines
            .by_ref()
            .any(|line| line.is_ok_and(|line| line.contains("ready")));
        assert!(
            ready,
            "round {round}: the child could not open the database"
        );
        std::thread::sleep(Duration::from_millis(30 + 23 * (round % 7)));
        child.kill().expect("kill -9");
        child.wait().expect("is dead");
        acknowledged.extend(saved(lines));
        let db = Database::open(folder.path(), OpenOptions::default()).expect("opens again");
        mended += db.take_warnings().len();
        let found = revisions(&db);
        assert!(found.len() >= acknowledged.len());
        assert_eq!(found[..acknowledged.len()], acknowledged, "round {round}");
        acknowledged = found;
        drop(db);
        assert_eq!(mix_store::check(folder.path()).expect("checks"), []);
    }
    assert!(acknowledged.len() > 16, "the child had time to save");
    println!("{mended} openings had something to mend");
}
