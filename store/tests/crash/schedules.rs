//! Random schedules of saves, deletes, checkpoints and compactions, with power
//! cuts in between: every history that is found is one that was acknowledged.

use std::collections::HashSet;
use std::sync::Arc;

use mix_store::{Database, SaveOptions, StoreError};
use mix_value::Ref;

use crate::disk::{Dice, Fault, ForgetfulApp};
use crate::{TestClock, open_app, record, revisions};

/// Ids that must be live, and those whose fate is open.
#[derive(Default)]
struct Known {
    live: HashSet<Ref>,
    open: HashSet<Ref>,
}

/// One random call.
fn act(db: &Database, dice: &mut Dice, known: &mut Known) -> Result<(), StoreError> {
    match dice.below(12) {
        0 => db.flush(),
        1 | 2 => db.compact(dice.below(2) == 0, dice.below(2) == 0).map(drop),
        3 => db.prune(i64::MAX).map(drop),
        4 | 5 if !known.live.is_empty() => {
            let mut ids: Vec<Ref> = known.live.iter().cloned().collect();
            ids.sort();
            let id = ids[dice.below(ids.len() as u64) as usize].clone();
            known.live.remove(&id);
            known.open.insert(id.clone());
            if dice.below(2) == 0 {
                db.delete(std::slice::from_ref(&id), "x")?;
            } else {
                db.purge(std::slice::from_ref(&id))?;
            }
            known.open.remove(&id);
            Ok(())
        }
        _ => {
            let saved = db.save(vec![record(dice.below(90), None)], &SaveOptions::default())?;
            known.live.insert(saved[0].id()?);
            Ok(())
        }
    }
}

/// Live ids, after looking at every row.
fn live(db: &Database) -> HashSet<Ref> {
    revisions(db);
    let query = mix_store::query::Pipeline::parse("._rmx_id").expect("parses");
    let found = db.query(&query, &Default::default()).expect("runs");
    found
        .map(|id| {
            let id = id.expect("a result").into_value().expect("decodes");
            id.as_ref_value().expect("a ref").clone()
        })
        .collect()
}

#[test]
fn random_schedules_with_compactions_lose_nothing() {
    for seed in 1..=150 {
        let mut dice = Dice::new(seed);
        let clock = Arc::new(TestClock::default());
        let mut app = ForgetfulApp::default();
        let mut known = Known::default();
        for round in 0..6 {
            let context = format!("seed {seed}, round {round}");
            let db =
                open_app(&app, &clock, true).unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = live(&db);
            let missing: Vec<_> = known.live.difference(&found).collect();
            assert!(missing.is_empty(), "{context}: {missing:?} are missing");
            let unknown = found
                .iter()
                .filter(|id| !known.live.contains(id) && !known.open.contains(id))
                .count();
            // The call that the power cut interrupted may have been a save.
            assert!(
                unknown <= 1,
                "{context}: {unknown} records came from nowhere"
            );
            known = Known {
                live: found,
                open: HashSet::new(),
            };
            app.plan(1 + dice.below(220), Fault::PowerCut);
            while act(&db, &mut dice, &mut known).is_ok() {}
            app = app.after_power_cut(&mut dice);
        }
    }
}
