//! Long random histories of one database beside a naive model: saves, edits,
//! deletes, checkpoints, compactions, reopenings and queries, compared at every
//! step. `MIX_STORE_STEPS` says how many steps (100,000 by default), and
//! `MIX_STORE_SEED` where they begin.

mod evaluate;
mod folder;
mod generate;
mod naive;
mod queries;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use mix_store::query::{Pipeline, QueryOptions};
use mix_store::time::{Clock, parse_time};
use mix_store::{AsOf, Database, OpenOptions, SaveOptions, Sync, check_in, content_hash, fields};
use mix_value::{Map, Ref, Value, msgpack};

use folder::MemoryApp;
use generate::{DANGLING, Dice, content};
use naive::{Model, Row, Seen};
use queries::{Queries, Stage, ref_of};

const STEPS: u64 = 100_000;
/// Histories run beside each other.
const HISTORIES: u64 = 2;
/// A database with more rows is pruned.
const MANY: usize = 240;

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> i64 {
        1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed) / 3
    }

    fn sleep(&self, milliseconds: u64) {
        self.0.fetch_add(3 * milliseconds as i64, Ordering::Relaxed);
    }
}

fn steps() -> u64 {
    let given = std::env::var("MIX_STORE_STEPS").ok();
    given.and_then(|steps| steps.parse().ok()).unwrap_or(STEPS)
}

fn seed() -> u64 {
    let given = std::env::var("MIX_STORE_SEED").ok();
    given.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// The database, its files, and what must be in it.
struct History {
    dice: Dice,
    clock: Arc<TestClock>,
    app: MemoryApp,
    db: Option<Database>,
    model: Model,
    /// The generation before: its name, and for each of its rows whether it was kept.
    before: Option<(String, Vec<bool>)>,
}

impl History {
    fn new(seed: u64) -> History {
        let mut history = History {
            dice: Dice::new(seed),
            clock: Arc::new(TestClock::default()),
            app: MemoryApp::default(),
            db: None,
            model: Model::default(),
            before: None,
        };
        history.open();
        history
    }

    fn open(&mut self) {
        let options = OpenOptions {
            os_lock_held: true,
            sync: if self.dice.one_in(4) {
                Sync::Off
            } else {
                Sync::Full
            },
            clock: self.clock.clone(),
            ..OpenOptions::default()
        };
        let app = Arc::new(self.app.clone());
        self.db = Some(Database::open_app(app, options).expect("opens"));
        assert_eq!(self.db().take_warnings(), Vec::<String>::new());
    }

    fn db(&self) -> &Database {
        self.db.as_ref().expect("is open")
    }

    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .model
            .rows
            .iter()
            .rev()
            .take(40)
            .map(|row| row.id.clone())
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Takes over the engine's fields of a new version, after looking at each.
    fn accept(&mut self, stored: Value, content: &Map, id: Option<&str>) {
        let Value::Map(map) = stored else {
            panic!("a record is a map")
        };
        let row = Row::of(map.clone());
        if let Some(id) = id {
            assert_eq!(row.id, id);
        } else {
            assert!(
                self.model.newest(&row.id, self.model.rows.len()).is_none(),
                "a new id"
            );
        }
        let before = self
            .model
            .newest(&row.id, self.model.rows.len())
            .map(|row| &self.model.rows[row]);
        let get = |field: &str| map.get(field).cloned().unwrap_or_default();
        let previous = before.map(|row| Value::Ref(Ref::new(row.rev.as_str()).expect("a rev")));
        assert_eq!(get(fields::PREVIOUS), previous.unwrap_or_default());
        assert_eq!(get(fields::ROW), Value::Int(self.model.rows.len() as i64));
        let times = [fields::CREATED_AT, fields::MODIFIED_AT]
            .map(|field| parse_time(get(field).as_str().expect("a time")));
        match before {
            Some(before) => assert_eq!(get(fields::CREATED_AT), before.value[fields::CREATED_AT]),
            None => assert_eq!(times[0], times[1]),
        }
        if let Some(last) = self.model.rows.last() {
            let last = parse_time(last.value[fields::MODIFIED_AT].as_str().expect("a time"));
            assert!(times[1] >= last, "times never decrease");
        }
        assert!(
            self.model.rows.iter().all(|other| other.rev != row.rev),
            "a new revision"
        );
        let user: Map = map
            .iter()
            .filter(|(key, _)| !fields::is_engine_owned(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(
            encoded(&Value::Map(user.clone())),
            encoded(&Value::Map(content.clone()))
        );
        if row.deleted {
            assert!(user.is_empty());
        } else {
            assert_eq!(
                get(fields::CONTENT_HASH),
                Value::from(content_hash(content).expect("a hash"))
            );
        }
        self.model.rows.push(row);
    }

    fn save(&mut self) {
        let ids = self.ids();
        let count = 1 + self.dice.below(3);
        let mut inputs = Vec::new();
        let mut expected: Vec<(Option<String>, Map)> = Vec::new();
        for number in 0..count {
            let content = content(&mut self.dice, &ids);
            let mut input = content.clone();
            let known =
                (!ids.is_empty() && self.dice.one_in(2)).then(|| self.dice.pick(&ids).clone());
            // Not one id twice in a batch: that is a case of its own, with an order of its own.
            let known =
                known.filter(|id| expected.iter().all(|(other, _)| other.as_ref() != Some(id)));
            if let Some(id) = &known {
                input.insert(
                    fields::ID.into(),
                    Value::Ref(Ref::new(id.as_str()).expect("an id")),
                );
            } else if self.dice.one_in(3) {
                let alias = Ref::new(&format!("temporary{number}")).expect("a ref");
                input.insert(fields::ID.into(), Value::Ref(alias));
            }
            // Fields of the engine that come with the input are ignored.
            if self.dice.one_in(5) {
                input.insert(fields::ROW.into(), Value::Int(7));
                input.insert(fields::DELETED.into(), Value::Bool(true));
            }
            inputs.push(Value::Map(input));
            expected.push((known, content));
        }
        let stored = self
            .db()
            .save(inputs, &SaveOptions::default())
            .expect("saves");
        assert_eq!(stored.len(), expected.len());
        for (record, (id, content)) in stored.iter().zip(expected) {
            self.accept(record.value().expect("decodes"), &content, id.as_deref());
        }
    }

    /// A batch whose records refer to each other by temporary refs.
    fn save_linked(&mut self) {
        let alias = || Value::Ref(Ref::new("other").expect("a ref"));
        let first = Value::map([("link", alias()), ("a", Value::from("from"))]);
        let second = Value::map([(fields::ID, alias()), ("tags", Value::Array(vec![alias()]))]);
        let stored = self
            .db()
            .save(vec![first, second], &SaveOptions::default())
            .expect("saves");
        let id = Value::Ref(stored[1].id().expect("id"));
        let values: Vec<Value> = stored
            .iter()
            .map(|record| record.value().expect("decodes"))
            .collect();
        let contents = [
            Map::from([
                ("link".into(), id.clone()),
                ("a".into(), Value::from("from")),
            ]),
            Map::from([("tags".into(), Value::Array(vec![id]))]),
        ];
        for (value, content) in values.into_iter().zip(contents) {
            self.accept(value, &content, None);
        }
    }

    fn upsert(&mut self) {
        let ids = self.ids();
        let Some(id) = (!ids.is_empty()).then(|| self.dice.pick(&ids).clone()) else {
            return;
        };
        let mut changes = content(&mut self.dice, &ids);
        let removed = (*self.dice.pick(&generate::FIELDS)).to_owned();
        let row = self
            .model
            .newest(&id, self.model.rows.len())
            .expect("is known");
        let row = &self.model.rows[row];
        let mut content: Map = if row.deleted {
            Map::new()
        } else {
            row.value
                .iter()
                .filter(|(key, _)| !fields::is_engine_owned(key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        content.extend(changes.clone());
        content.remove(removed.as_str());
        changes.insert(removed.into(), Value::Undefined);
        changes.insert(
            fields::ID.into(),
            Value::Ref(Ref::new(id.as_str()).expect("an id")),
        );
        let stored = self
            .db()
            .upsert(vec![Value::Map(changes)], &SaveOptions::default())
            .expect("saves");
        self.accept(stored[0].value().expect("decodes"), &content, Some(&id));
    }

    fn delete(&mut self) {
        let ids = self.ids();
        let id = if ids.is_empty() || self.dice.one_in(8) {
            DANGLING.to_owned()
        } else {
            self.dice.pick(&ids).clone()
        };
        let bound = self.model.rows.len();
        let newest = self
            .model
            .newest(&id, bound)
            .map(|row| self.model.rows[row].clone());
        let live = newest.filter(|row| !row.deleted);
        let reference = Ref::new(id.as_str()).expect("an id");
        let deleted = self.db().delete(&[reference], "x").expect("deletes");
        let given = deleted[0]
            .as_ref()
            .map(|record| record.value().expect("decodes"));
        assert_eq!(
            given.as_ref().map(encoded),
            live.as_ref()
                .map(|row| encoded(&Value::Map(row.value.clone())))
        );
        if live.is_some() {
            let options = QueryOptions {
                include_deleted: true,
                ..QueryOptions::default()
            };
            let query = Pipeline::parse("_rmx_id == $id").expect("parses");
            let params = Map::from([(
                "id".into(),
                Value::Ref(Ref::new(id.as_str()).expect("an id")),
            )]);
            let found = results(self.db(), &query, &QueryOptions { params, ..options });
            self.accept(
                found.into_iter().next().expect("a tombstone"),
                &Map::new(),
                Some(&id),
            );
        }
    }

    fn rewrite(&mut self) {
        let bound = self.model.rows.len();
        let superseded: Vec<bool> = (0..bound)
            .map(|row| self.model.newest(&self.model.rows[row].id, bound) != Some(row))
            .collect();
        let generation = self.db().view().generation().to_owned();
        let kept: Vec<bool> = match self.dice.below(4) {
            0 => {
                let (history, deleted) = (self.dice.one_in(3), self.dice.one_in(2));
                self.db().compact(history, deleted).expect("compacts");
                let keeps = |row: usize| {
                    history || !superseded[row] && (deleted || !self.model.rows[row].deleted)
                };
                (0..bound).map(keeps).collect()
            }
            1 => {
                let ids = self.ids();
                let gone: Vec<String> = (0..2)
                    .filter(|_| !ids.is_empty())
                    .map(|_| self.dice.pick(&ids).clone())
                    .collect();
                let refs: Vec<Ref> = gone
                    .iter()
                    .map(|id| Ref::new(id.as_str()).expect("an id"))
                    .collect();
                self.db().purge(&refs).expect("purges");
                self.model
                    .rows
                    .iter()
                    .map(|row| !gone.contains(&row.id))
                    .collect()
            }
            _ => {
                let time = |row: &Row| {
                    parse_time(row.value[fields::MODIFIED_AT].as_str().expect("a time"))
                        .expect("a time")
                };
                let cutoff = match (bound, self.dice.one_in(2)) {
                    (0, _) | (_, true) => i64::MAX,
                    _ => time(self.dice.pick(&self.model.rows)),
                };
                self.db().prune(cutoff).expect("prunes");
                let keeps = |(row, version): (usize, &Row)| {
                    !(superseded[row] || version.deleted) || time(version) >= cutoff
                };
                self.model.rows.iter().enumerate().map(keeps).collect()
            }
        };
        let mut old = kept.iter();
        self.model
            .rows
            .retain(|_| *old.next().expect("one for each row"));
        for (number, row) in self.model.rows.iter_mut().enumerate() {
            row.value
                .insert(fields::ROW.into(), Value::Int(number as i64));
        }
        self.before = Some((generation, kept));
    }

    /// A moment of the past in one of its forms, and its number of rows.
    fn moment(&mut self) -> (Value, usize) {
        let rows = self.model.rows.len();
        let bound = self.dice.below(rows as u64 + 1) as usize;
        match (self.dice.below(4), &self.before) {
            (0, _) => (Value::Int(bound as i64), bound),
            (1, Some((generation, kept))) => {
                let bound = self.dice.below(kept.len() as u64 + 1) as usize;
                let here = kept[..bound].iter().filter(|kept| **kept).count();
                (Value::from(format!("{generation}.{bound}")), here)
            }
            (2, _) if bound > 0 => {
                let time = self.model.rows[bound - 1].value[fields::MODIFIED_AT].clone();
                let same = |row: &&Row| row.value[fields::MODIFIED_AT].as_str() <= time.as_str();
                let bound = self.model.rows.iter().take_while(same).count();
                (time, bound)
            }
            _ => {
                let generation = self.db().view().generation().to_owned();
                (Value::from(format!("{generation}.{bound}")), bound)
            }
        }
    }

    fn query(&mut self) {
        let ids = self.ids();
        let (mut bound, mut as_of) = (self.model.rows.len(), None);
        if self.dice.one_in(6) {
            let (moment, rows) = self.moment();
            (bound, as_of) = (rows, Some(moment));
        }
        let mut marks = vec![Value::Int(bound as i64 / 2), Value::Int(-1)];
        let generation = self.db().view().generation().to_owned();
        let rows = self.dice.below(bound as u64 + 2);
        marks.push(Value::from(format!("{generation}.{rows}")));
        if bound > 0 {
            let rev = &self.dice.pick(&self.model.rows[..bound]).rev;
            marks.extend([ref_of(rev), Value::from(rev.as_str())]);
        }
        let mut queries = Queries::new(&mut self.dice, &ids, &marks);
        let filter = queries.filter(2);
        let mut stages = queries.stages();
        let params = queries.params;
        let mut nodes = vec![filter.clone()];
        nodes.extend(stages.iter().map(Stage::node));
        let tree = Value::Array(nodes);
        let pipeline =
            Pipeline::from_value(&tree).unwrap_or_else(|error| panic!("{tree:?}: {error}"));
        let seen = Seen {
            bound,
            history: self.dice.one_in(4),
            deleted: self.dice.one_in(4),
        };
        let mut options = QueryOptions {
            include_deleted: seen.deleted,
            include_superseded: seen.history,
            as_of,
            params,
            ..QueryOptions::default()
        };
        if self.dice.one_in(8) {
            let (skip, limit) = (self.dice.below(5), self.dice.below(10));
            (options.skip, options.limit) = (skip, Some(limit));
            stages.extend([Stage::Skip(skip as usize), Stage::Limit(limit as usize)]);
        }
        let Ok(expected) = self.model.query(seen, &options.params, &filter, &stages) else {
            return;
        };
        let found = match self.dice.one_in(3) {
            true => self.slices(&pipeline, &options),
            false => results(self.db(), &pipeline, &options),
        };
        let found: Vec<_> = found.iter().map(encoded).collect();
        let wanted: Vec<_> = expected.iter().map(encoded).collect();
        assert!(
            found == wanted,
            "{seen:?} {options:?}\n{tree:?}\nfound {} results, expected {}: {expected:?}",
            found.len(),
            wanted.len()
        );
        let again = Pipeline::from_value(&pipeline.to_value()).expect("reads what it wrote");
        assert_eq!(again.to_value(), pipeline.to_value());
        if let Some(text) = pipeline.to_text() {
            let read = Pipeline::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.to_value(), pipeline.to_value(), "{text}");
        }
    }

    /// All results, after looks at a few values each time.
    fn slices(&mut self, pipeline: &Pipeline, options: &QueryOptions) -> Vec<Value> {
        let (max, looks) = (1 + self.dice.below(20) as usize, 1 + self.dice.below(30));
        let mut execution = self.db().query(pipeline, options).expect("runs");
        let mut all = Vec::new();
        loop {
            let slice = execution.next_slice(max, looks).expect("results");
            assert!(slice.items.len() <= max);
            let items = slice.items.into_iter();
            all.extend(items.map(|item| item.into_value().expect("decodes")));
            if slice.finished {
                return all;
            }
        }
    }

    fn get(&mut self) {
        let bound = self.model.rows.len();
        let name = match (bound, self.dice.below(3)) {
            (0, _) | (_, 0) => DANGLING.to_owned(),
            (_, 1) => self.dice.pick(&self.model.rows).rev.clone(),
            _ => self.dice.pick(&self.model.rows).id.clone(),
        };
        let found = self
            .db()
            .get_one(&name)
            .expect("reads")
            .map(|record| record.value().expect("decodes"));
        let expected = self.model.resolve(&name, bound);
        assert_eq!(
            found.as_ref().map(encoded),
            expected.as_ref().map(encoded),
            "{name}"
        );
        if let Some((generation, kept)) = &self.before {
            let rows = self.dice.below(kept.len() as u64 + 1) as usize;
            let here = self
                .db()
                .view()
                .row_of_watermark(&format!("{generation}.{rows}"))
                .expect("one generation old");
            assert_eq!(
                here as usize,
                kept[..rows].iter().filter(|kept| **kept).count()
            );
        }
    }

    /// All versions of a record, now or at an earlier moment.
    fn history(&mut self) {
        let rows = self.model.rows.len();
        let id = match rows {
            0 => DANGLING.to_owned(),
            _ => self.dice.pick(&self.model.rows).id.clone(),
        };
        let bound = match self.dice.one_in(3) {
            true => self.dice.below(rows as u64 + 1) as usize,
            false => rows,
        };
        let moment = AsOf::Rows(bound as u32);
        let view = self.db().view_as_of(Some(&moment)).expect("a moment");
        let found = view.versions(&id).expect("finds");
        let mut expected = self.model.versions(&id, bound);
        let rows = |expected: &[(u32, Value)]| expected.iter().map(|(row, _)| *row).collect();
        let wanted: Vec<u32> = rows(&expected);
        assert_eq!(found, wanted);
        // Records come in any order, with what is between them or without.
        match self.dice.below(4) {
            0 => expected.reverse(),
            1 => expected.retain(|_| self.dice.one_in(2)),
            2 if !expected.is_empty() => {
                let other = self.dice.pick(&self.model.rows[..bound]).id.clone();
                expected.extend(self.model.versions(&other, bound));
            }
            _ => {}
        }
        let wanted: Vec<u32> = rows(&expected);
        let records = view.records(&wanted).expect("reads");
        assert_eq!(records.len(), expected.len());
        for (record, (row, value)) in records.iter().zip(&expected) {
            assert_eq!(record.row(), *row);
            assert_eq!(**record.encoded(), *encoded(value), "{record:?} {value:?}");
        }
    }

    /// Everything, row by row.
    fn compare(&self) {
        let options = QueryOptions {
            include_deleted: true,
            include_superseded: true,
            ..QueryOptions::default()
        };
        let all = results(self.db(), &Pipeline::parse("").expect("parses"), &options);
        let seen = Seen {
            bound: self.model.rows.len(),
            history: true,
            deleted: true,
        };
        let expected = self.model.visible(seen);
        assert_eq!(all.len(), expected.len());
        for (found, expected) in all.iter().zip(&expected) {
            assert_eq!(encoded(found), encoded(expected), "{found:?}\n{expected:?}");
        }
        let rows: Vec<u32> = (0..expected.len() as u32).collect();
        let together = self.db().view().records(&rows).expect("reads");
        for (found, expected) in together.iter().zip(&expected) {
            assert_eq!(**found.encoded(), *encoded(expected), "{expected:?}");
        }
        assert_eq!(check_in(&self.app.database()).expect("checks"), []);
    }

    fn reopen(&mut self) {
        let db = self.db.take().expect("is open");
        if self.dice.one_in(2) {
            db.close().expect("closes");
        } else {
            drop(db);
        }
        self.open();
        self.compare();
    }

    fn step(&mut self) {
        match self.dice.below(200) {
            0 => self.rewrite(),
            1..3 => self.reopen(),
            3..8 => self.db().flush().expect("flushes"),
            8..48 => self.save(),
            48..52 => self.save_linked(),
            52..64 => self.upsert(),
            64..78 => self.delete(),
            78..106 => self.get(),
            106..114 => self.history(),
            _ => self.query(),
        }
        if self.model.rows.len() > MANY {
            // Small enough that a naive model keeps up: without history, or all anew.
            let live = self.model.visible(Seen {
                bound: self.model.rows.len(),
                history: false,
                deleted: false,
            });
            if live.len() > MANY / 2 {
                self.compare();
                self.db = None;
                self.app = MemoryApp::default();
                self.model = Model::default();
                self.before = None;
                self.open();
            } else {
                self.rewrite();
            }
        }
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    msgpack::encode(value).expect("encodes")
}

fn results(db: &Database, pipeline: &Pipeline, options: &QueryOptions) -> Vec<Value> {
    let results = db.query(pipeline, options).expect("runs");
    results
        .map(|item| item.expect("a result").into_value().expect("decodes"))
        .collect()
}

fn run(history: u64) {
    let seed = seed() * 1000 + history;
    let mut subject = History::new(seed);
    for step in 0..steps() / HISTORIES {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| subject.step()));
        assert!(
            caught.is_ok(),
            "history {history} of MIX_STORE_SEED={}: step {step}",
            seed / 1000
        );
    }
    subject.reopen();
}

#[test]
fn the_store_does_what_a_list_of_rows_does() {
    run(1);
}

#[test]
fn and_does_so_in_another_history() {
    run(2);
}
