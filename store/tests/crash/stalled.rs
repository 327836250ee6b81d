//! Two writers on one folder, each stopped anywhere in its work while the
//! other takes over and writes: what was acknowledged stays, what was refused
//! never appears, and both agree on the order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use mix_store::{Database, SaveOptions, StoreError};

use crate::disk::{Dice, ForgetfulFolder};
use crate::{TestClock, Work, interrupt, numbers, open, record};

#[derive(Default)]
struct Fates {
    next: u64,
    acknowledged: BTreeSet<i64>,
    refused: BTreeSet<i64>,
}

/// Saves one record with a number of its own and notes what became of it.
fn save(db: &Database, fates: &Mutex<Fates>) {
    let number = {
        let mut fates = fates.lock().expect("no panic");
        fates.next += 1;
        fates.next
    };
    let result = db.save(vec![record(number, None)], &SaveOptions::default());
    let mut fates = fates.lock().expect("no panic");
    match result {
        Ok(_) => fates.acknowledged.insert(number as i64),
        Err(StoreError::CommitUnknown(_)) => true,
        Err(StoreError::LeaseLost | StoreError::Locked { .. } | StoreError::Failed(_)) => {
            fates.refused.insert(number as i64)
        }
        Err(error) => panic!("commit {number}: {error}"),
    };
    drop(fates);
    if db.has_failed() {
        db.reopen().expect("opens again");
    }
}

#[test]
fn writers_that_stall_anywhere_lose_nothing_acknowledged() {
    const OPERATIONS: [&str; 6] = ["write", "sync", "create", "rename", "remove", "sync folder"];
    let mut overtaken = 0;
    for seed in 1..=600 {
        let mut dice = Dice::new(seed);
        let clock = Arc::new(TestClock::default());
        let folder = ForgetfulFolder::default();
        let fates = Arc::new(Mutex::new(Fates::default()));
        let writers = [
            open(&folder, &clock).expect("new"),
            open(&folder, &clock).expect("shares"),
        ];
        for _ in 0..8 {
            let active = dice.below(2) as usize;
            let operation = OPERATIONS[dice.below(6) as usize];
            let other = writers[1 - active].clone();
            let (left, flush) = (dice.below(4), dice.below(4) == 0);
            let (noted, hooked) = (fates.clone(), folder.clone());
            let work = move || {
                save(&other, &noted);
                if flush {
                    // It may find the folder taken by the one it interrupts; then there is nothing to flush.
                    let _ = other.flush();
                }
            };
            let before = move |work: Work| hooked.before(operation, work);
            interrupt(Arc::new(before), left, Box::new(work));
            save(&writers[active], &fates);
            if dice.below(3) == 0 {
                // A checkpoint that is overtaken may fail; it is only put off.
                let _ = writers[active].flush();
            }
            if writers[active].has_failed() {
                writers[active].reopen().expect("opens again");
            }
        }
        folder.forget_hook();
        let survivor = folder.after_power_cut(&mut dice);
        let fates = fates.lock().expect("no panic");
        overtaken += fates.refused.len();
        for (what, folder) in [("files", &folder), ("files after a power cut", &survivor)] {
            let db =
                open(folder, &clock).unwrap_or_else(|error| panic!("seed {seed}, {what}: {error}"));
            let found = numbers(&db);
            let set: BTreeSet<i64> = found.iter().copied().collect();
            assert_eq!(
                set.len(),
                found.len(),
                "seed {seed}, {what}: nothing is there twice"
            );
            let missing: Vec<_> = fates.acknowledged.difference(&set).collect();
            assert!(
                missing.is_empty(),
                "seed {seed}, {what}: {missing:?} are missing of {found:?}"
            );
            let risen: Vec<_> = fates.refused.intersection(&set).collect();
            assert!(
                risen.is_empty(),
                "seed {seed}, {what}: {risen:?} were refused"
            );
        }
        let all: Vec<Vec<i64>> = writers
            .iter()
            .map(|db| {
                db.refresh().expect("refreshes");
                numbers(db)
            })
            .collect();
        assert_eq!(all[0], all[1], "seed {seed}");
    }
    assert!(overtaken > 20, "the writers hardly met: {overtaken}");
}
