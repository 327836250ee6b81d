//! Writes that fail after all: what was reported as not saved never comes back,
//! and nothing is built on what the disk does not have.

use std::sync::Arc;

use mix_store::time::Clock;
use mix_store::{Database, OpenOptions, StoreError, Sync};

use crate::disk::{Dice, Fault, ForgetfulFolder};
use crate::{TestClock, numbers, open, options, save};

#[test]
fn a_commit_reported_as_not_saved_never_comes_back() {
    let mut undone = 0;
    for at in 1..=8 {
        for seed in 1..=40 {
            let context = format!("operation {at}, seed {seed}");
            let clock = Arc::new(TestClock::default());
            let folder = ForgetfulFolder::default();
            let db = open(&folder, &clock).expect("new");
            save(&db, 1).expect("saves");
            folder.plan(at, Fault::Late);
            let result = save(&db, 2);
            let mut dice = Dice::new(seed);
            // With and without a commit of the same length in its place.
            let next = (seed % 2 == 0 && !db.has_failed()).then(|| save(&db, 3).is_ok());
            for _ in 0..4 {
                let survivor = folder.after_power_cut(&mut dice);
                let db =
                    open(&survivor, &clock).unwrap_or_else(|error| panic!("{context}: {error}"));
                let found = numbers(&db);
                assert_eq!(found[0], 1, "{context}");
                match &result {
                    Ok(()) => assert_eq!(found[1], 2, "{context}"),
                    Err(StoreError::CommitUnknown(_)) => {}
                    Err(error) => {
                        undone += 1;
                        assert!(!found.contains(&2), "{context}: {error}, but {found:?}");
                    }
                }
                assert!(
                    next != Some(true) || found.contains(&3),
                    "{context}: {found:?}"
                );
            }
        }
    }
    assert!(undone > 100, "hardly a write failed: {undone}");
}

#[test]
fn commits_that_were_taken_over_before_they_were_cut_off_stand() {
    let mut taken_over = 0;
    for at in 1..=8 {
        let clock = Arc::new(TestClock::default());
        let folder = ForgetfulFolder::default();
        let slow = open(&folder, &clock).expect("new");
        save(&slow, 1).expect("saves");
        let (other, other_clock) = (folder.clone(), clock.clone());
        folder.before("set_len", move || {
            other_clock.sleep(11_000);
            other.free();
            let quick = open(&other, &other_clock).expect("takes over a silent lease");
            save(&quick, 3).expect("saves");
        });
        folder.plan(at, Fault::Late);
        let result = save(&slow, 2);
        folder.free();
        folder.forget_hook();
        if slow.has_failed() {
            slow.reopen().expect("opens again");
        }
        let db = open(&folder, &clock).expect("opens");
        let found = numbers(&db);
        let times = found.iter().filter(|number| **number == 2).count();
        match result {
            Ok(()) => assert_eq!(times, 1, "operation {at}: {found:?}"),
            Err(StoreError::CommitUnknown(_)) => {}
            Err(error) => assert_eq!(times, 0, "operation {at}: {error}, but {found:?}"),
        }
        taken_over += usize::from(found == [1, 2, 3]);
        slow.refresh().expect("refreshes");
        assert_eq!(numbers(&slow), found, "operation {at}");
    }
    assert!(taken_over > 0, "the other never came in between");
}

#[test]
fn nothing_is_built_on_what_failed_to_sync() {
    let mut failed = 0;
    for at in 1..=12 {
        for seed in 1..=20 {
            let context = format!("operation {at}, seed {seed}");
            let clock = Arc::new(TestClock::default());
            let folder = ForgetfulFolder::default();
            let careless = OpenOptions {
                sync: Sync::Off,
                ..options(&clock)
            };
            let careless = Database::open_in(Arc::new(folder.clone()), careless).expect("new");
            let careful = open(&folder, &clock).expect("shares");
            save(&careful, 1).expect("saves");
            save(&careless, 2).expect("saves");
            let reader = if seed % 2 == 0 {
                careful.clone()
            } else {
                // A process that begins now.
                drop(careful);
                folder.plan(at, Fault::Once);
                match open(&folder, &clock) {
                    Ok(db) => db,
                    Err(_) => {
                        open(&folder, &clock).unwrap_or_else(|error| panic!("{context}: {error}"))
                    }
                }
            };
            if seed % 2 == 0 {
                folder.plan(at, Fault::Once);
            }
            let mut acknowledged = vec![1];
            for number in 3..=5 {
                match save(&reader, number) {
                    Ok(()) => acknowledged.push(number as i64),
                    Err(_) => failed += 1,
                }
                if reader.has_failed() {
                    reader.reopen().expect("opens again");
                }
            }
            let survivor = folder.after_power_cut(&mut Dice::new(seed));
            let db = open(&survivor, &clock).unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = numbers(&db);
            let missing = acknowledged.iter().find(|number| !found.contains(number));
            assert_eq!(missing, None, "{context}: {found:?}");
            assert!(found.is_sorted(), "{context}: {found:?}");
        }
    }
    assert!(failed > 20, "hardly an operation failed: {failed}");
}
