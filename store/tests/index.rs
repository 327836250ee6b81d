//! Whatever is indexed, a query means what a full scan gives.

use mix_store::query::{Pipeline, PreparedQuery, QueryOptions, RecordSource, StoredRow};
use mix_store::{AsOf, Database, OpenOptions, SaveOptions, StoreError, View};
use mix_value::msgpack::DecodeError;
use mix_value::{BigInt, Case, Ref, Value};
use proptest::prelude::*;

/// The same rows without any index.
struct Scan(View);

impl RecordSource for Scan {
    type Error = StoreError;

    fn next_row(&self, from: u64) -> Result<Option<StoredRow>, StoreError> {
        self.0.next_row(from)
    }

    fn resolve(&self, reference: &Ref) -> Result<Option<StoredRow>, StoreError> {
        RecordSource::resolve(&self.0, reference)
    }

    fn row_of_revision(&self, revision: &Ref) -> Result<Option<u64>, StoreError> {
        RecordSource::row_of_revision(&self.0, revision)
    }

    fn row_of_watermark(&self, generation: &str, rows: u64) -> Result<Option<u64>, StoreError> {
        RecordSource::row_of_watermark(&self.0, generation, rows)
    }

    fn corrupt(&self, row: u64, error: DecodeError) -> StoreError {
        self.0.corrupt(row, error)
    }
}

const ID: &str = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF";
const OTHER_ID: &str = "bB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF";
const NO_ID: &str = "cB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF";

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1_i64..3).prop_map(Value::Int),
        Just(Value::Float(1.0)),
        Just(Value::Float(-0.0)),
        Just(Value::Float(f64::NAN)),
        Just(Value::Int(i64::MAX)),
        Just(Value::Int(i64::MAX - 1)),
        Just(Value::Float(9_223_372_036_854_775_808.0)),
        Just(BigInt::from_u64(1 << 63)),
        "[ab]{0,2}".prop_map(Value::from),
        Just(Value::from("a".repeat(300))),
        Just(Value::from("a".repeat(256))),
        prop::sample::select(vec![ID, OTHER_ID, NO_ID])
            .prop_map(|id| Value::Ref(Ref::new(id).expect("ref"))),
        Just(Value::binary(vec![1])),
        Just(Value::Case(Case::new("a", None).expect("case"))),
        ("[ab]", "[ab]", any::<bool>()).prop_map(|(name, index, more)| {
            let mut argument = vec![("_rmx_index", Value::from(index))];
            argument.extend(more.then_some(("z", Value::Int(1))));
            Value::Case(Case::new(&name, Some(Value::map(argument))).expect("case"))
        }),
    ]
}

/// Scalars, and arrays and maps of them in each other.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec(
                (prop::sample::select(vec!["a", "b", "c\u{0}"]), inner),
                0..3
            )
            .prop_map(Value::map),
        ]
    })
}

/// A path of one to three members.
fn path() -> impl Strategy<Value = Value> {
    let step = prop_oneof![
        4 => Just("a"),
        4 => Just("b"),
        1 => Just("c\u{0}"),
        1 => Just("_rmx_id"),
        1 => Just("_rmx_superseded"),
        1 => Just("_rmx_deleted"),
        1 => Just("_rmx_previous"),
        1 => Just("_rmx_row"),
        1 => Just("_rmx_created_by"),
    ];
    prop::collection::vec(step, 1..4).prop_map(|steps| {
        steps.into_iter().fold(Value::Null, |path, step| {
            if path.is_null() {
                Value::Array(vec!["token".into(), step.into()])
            } else {
                Value::Array(vec!["objectMember".into(), path, step.into()])
            }
        })
    })
}

fn filter() -> impl Strategy<Value = Value> {
    let wrap = |value: Value| Value::Array(vec!["scalarFallback".into(), value]);
    let node = |op: &str, rest: Vec<Value>| {
        Value::Array(std::iter::once(op.into()).chain(rest).collect::<Vec<_>>())
    };
    let leaf = prop_oneof![
        6 => (
            path(),
            prop::sample::select(vec!["==", "==", "!=", "<", "<=", ">", ">="]),
            value()
        )
            .prop_map(move |(path, op, v)| node("comparison", vec![op.into(), path, wrap(v)])),
        3 => (
            path(),
            prop::sample::select(vec!["in", "all_in", "not_in", "not_all_in"]),
            prop::collection::vec(value(), 0..3)
        )
            .prop_map(move |(path, op, list)| {
                let list = node("listFallback", vec![Value::Array(list)]);
                node("comparison", vec![op.into(), path, list])
            }),
        3 => (
            path(),
            prop::sample::select(vec!["like", "contains"]),
            prop_oneof![9 => "[ab]{0,2}", 1 => Just("a".repeat(257))]
        )
            .prop_map(move |(path, op, text)| node("comparison", vec![op.into(), path, text.into()])),
        2 => (path(), scalar(), scalar(), prop::sample::select(vec![(">", "<"), (">=", "<="), (">", "<=")]))
            .prop_map(move |(path, from, to, (above, below))| {
                let end = |op: &str, v| node("comparison", vec![op.into(), path.clone(), wrap(v)]);
                node("and", vec![Value::Array(vec![end(below, to), end(above, from)])])
            }),
        2 => path().prop_map(move |path| node("exists", vec![path])),
        1 => (-1_i64..30).prop_map(move |row| node("afterRow", vec![Value::Int(row)])),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let some = prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array);
        prop_oneof![
            3 => some.clone().prop_map(move |all| node("and", vec![all])),
            3 => some.clone().prop_map(move |any| node("or", vec![any])),
            2 => inner.prop_map(move |one| node("not", vec![one])),
            2 => (path(), some).prop_map(move |(path, all)| node("subquery", vec![path, all])),
        ]
    })
}

fn rows<S: RecordSource<Error = StoreError>>(
    source: S,
    pipeline: &Pipeline,
    options: &QueryOptions,
) -> Vec<Value> {
    let prepared = PreparedQuery::new(pipeline, options).expect("checked");
    let execution = prepared.run(source, options).expect("runs");
    execution
        .map(|item| item.expect("a row").into_value().expect("decodes"))
        .collect()
}

/// The same in slices, as a component runs it.
fn sliced_rows(view: View, pipeline: &Pipeline, options: &QueryOptions, looks: u64) -> Vec<Value> {
    let prepared = PreparedQuery::new(pipeline, options).expect("checked");
    let mut execution = prepared.run(view, options).expect("runs");
    let mut all = Vec::new();
    loop {
        let slice = execution.next_slice(3, looks).expect("a slice");
        assert!(slice.items.len() <= 3);
        all.extend(
            slice
                .items
                .into_iter()
                .map(|item| item.into_value().expect("decodes")),
        );
        if slice.finished {
            return all;
        }
    }
}

/// Stages that hold values back.
fn barriers() -> impl Strategy<Value = Vec<Value>> {
    let invoke = |name: &str, args: Vec<Value>| {
        Value::Array(vec!["invoke".into(), name.into(), Value::Array(args)])
    };
    let stage = prop_oneof![
        Just(invoke("count", vec![])),
        path().prop_map(move |path| invoke("group", vec![path])),
        (path(), any::<bool>())
            .prop_map(move |(path, down)| invoke("order", vec![path, Value::Bool(down)])),
        Just(invoke("reverse", vec![])),
        Just(invoke("skip", vec![Value::Int(2)])),
        Just(invoke("limit", vec![Value::Int(4)])),
    ];
    prop::collection::vec(stage, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn indexes_change_no_result(
        records in prop::collection::vec((prop::option::of(value()), prop::option::of(value()), 0..6_usize), 1..30),
        later in prop::collection::vec(value(), 0..10),
        filters in prop::collection::vec(filter(), 1..8),
        deleted in any::<bool>(),
        superseded in any::<bool>(),
        barriers in barriers(),
        looks in 1_u64..20,
    ) {
        let db = Database::in_memory(OpenOptions::default()).expect("in memory");
        let options = SaveOptions::default();
        for (a, b, known) in records {
            let mut pairs = Vec::new();
            pairs.extend(a.map(|a| ("a", a)));
            pairs.extend(b.map(|b| ("b", b)));
            if let Some(id) = [ID, OTHER_ID].get(known) {
                pairs.push(("_rmx_id", Value::Ref(Ref::new(id).expect("ref"))));
            }
            db.save(vec![Value::map(pairs)], &options).expect("saves");
        }
        let early = db.view();
        for round in 0..2 {
            for filter in &filters {
                let pipeline = Pipeline::from_value(&Value::Array(vec![filter.clone()])).expect("a filter");
                let options = QueryOptions { include_deleted: deleted, include_superseded: superseded, ..QueryOptions::default() };
                for view in [db.view(), early.clone()] {
                    let view = view.including(deleted, superseded);
                    let scanned = rows(Scan(view.clone()), &pipeline, &options);
                    prop_assert_eq!(rows(view.clone(), &pipeline, &options), scanned);
                    let stages = std::iter::once(filter.clone()).chain(barriers.iter().cloned()).collect();
                    let longer = Pipeline::from_value(&Value::Array(stages)).expect("a pipeline");
                    let scanned = rows(Scan(view.clone()), &longer, &options);
                    prop_assert_eq!(sliced_rows(view, &longer, &options, looks), scanned);
                }
            }
            if round == 0 {
                // The indexes exist by now and have to grow.
                for value in &later {
                    db.save(vec![Value::map([("a", value.clone())])], &options).expect("saves");
                }
                db.delete(&[Ref::new(ID).expect("ref")], "x").expect("deletes");
            }
        }
    }
}

/// One thing that happens to a database on disk.
#[derive(Debug, Clone)]
enum Event {
    Save(usize, Option<Value>, Option<Value>),
    Delete(usize),
    Checkpoint,
    Reopen,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0..6_usize, prop::option::of(value()), prop::option::of(value()))
            .prop_map(|(id, a, b)| Event::Save(id, a, b)),
        1 => (0..2_usize).prop_map(Event::Delete),
        3 => Just(Event::Checkpoint),
        1 => Just(Event::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn segments_change_no_result(
        events in prop::collection::vec(event(), 1..60),
        filters in prop::collection::vec(filter(), 1..8),
        barriers in barriers(),
        deleted in any::<bool>(),
        superseded in any::<bool>(),
        past in 0..40_u32,
    ) {
        let folder = tempfile::tempdir().expect("scratch");
        let open = || Database::open(folder.path(), OpenOptions::default()).expect("opens");
        let mut db = open();
        let mut early = None;
        for event in events {
            match event {
                Event::Save(id, a, b) => {
                    let mut pairs = Vec::new();
                    pairs.extend(a.map(|a| ("a", a)));
                    pairs.extend(b.map(|b| ("b", b)));
                    if let Some(id) = [ID, OTHER_ID].get(id) {
                        pairs.push(("_rmx_id", Value::Ref(Ref::new(id).expect("ref"))));
                    }
                    db.save(vec![Value::map(pairs)], &SaveOptions::default()).expect("saves");
                    early.get_or_insert_with(|| db.view());
                }
                Event::Delete(id) => {
                    let id = Ref::new([ID, OTHER_ID][id]).expect("ref");
                    db.delete(&[id], "x").expect("deletes");
                }
                Event::Checkpoint => db.flush().expect("flushes"),
                Event::Reopen => {
                    drop(early.take());
                    drop(db);
                    db = open();
                }
            }
        }
        let then = db.view().as_of(&AsOf::Rows(past)).expect("a past");
        for filter in &filters {
            let stages = std::iter::once(filter.clone()).chain(barriers.iter().cloned()).collect();
            let pipeline = Pipeline::from_value(&Value::Array(stages)).expect("a pipeline");
            let options = QueryOptions { include_deleted: deleted, include_superseded: superseded, ..QueryOptions::default() };
            for view in [Some(db.view()), early.clone(), Some(then.clone())].into_iter().flatten() {
                let view = view.including(deleted, superseded);
                let scanned = rows(Scan(view.clone()), &pipeline, &options);
                prop_assert_eq!(rows(view, &pipeline, &options), scanned);
            }
        }
        for view in [Some(db.view()), early.clone(), Some(then.clone())].into_iter().flatten() {
            // Which rows are visible, from the records themselves.
            let all: Vec<Value> = (0..view.bound())
                .map(|row| view.record(row).expect("reads").value().expect("decodes"))
                .collect();
            let mut newest = std::collections::HashMap::new();
            for (row, record) in all.iter().enumerate() {
                newest.insert(record.get("_rmx_id").cloned().map(|id| format!("{id:?}")), row);
            }
            let visible: Vec<u32> = all.iter().enumerate().filter(|(row, record)| {
                let id = record.get("_rmx_id").cloned().map(|id| format!("{id:?}"));
                (superseded || newest[&id] == *row) && (deleted || record.get("_rmx_deleted").is_none())
            }).map(|(row, _)| row as u32).collect();
            prop_assert_eq!(view.including(deleted, superseded).rows(0, usize::MAX).expect("rows"), visible);
        }
        let findings = db.view().check();
        prop_assert!(findings.is_empty(), "{:?}", findings);
        prop_assert!(db.take_warnings().is_empty());
    }
}

/// Runs a query; gives its results and the number of records it read.
fn reads(db: &Database, text: &str) -> (Vec<Value>, u64) {
    let view = db.view();
    let before = view.records_read();
    let pipeline = Pipeline::parse(text).expect("a query");
    let execution = db.query(&pipeline, &QueryOptions::default()).expect("runs");
    let values = execution.collect_values().expect("results");
    (values, view.records_read() - before)
}

fn people() -> Database {
    let db = Database::in_memory(OpenOptions::default()).expect("in memory");
    let mut records = Vec::new();
    for number in 0..300_i64 {
        let mut record = vec![
            (
                "entity",
                Value::from(if number % 3 == 0 { "order" } else { "person" }),
            ),
            ("name", Value::from(format!("n{:03}", number * 7 % 300))),
            ("age", Value::Int(number % 50)),
            ("address", Value::map([("zip", Value::Int(number % 10))])),
            (
                "tags",
                Value::Array(vec![Value::Int(number % 4), Value::from("all")]),
            ),
        ];
        if number % 5 == 0 {
            record.push(("note", Value::from("x".repeat(300))));
        }
        records.push(Value::map(record));
    }
    db.save(records, &SaveOptions::default()).expect("saves");
    db
}

#[test]
fn counts_read_no_records() {
    let db = people();
    for (text, wanted) in [
        ("count()", 300),
        ("entity == \"person\" | count()", 200),
        (
            "entity == \"person\" and age < 10 and address.zip == 3 | count()",
            4,
        ),
        ("not (age >= 10) or name like \"n00\" | count()", 67),
        ("name contains \"9\" | count()", 57),
        ("tags in [1, 2] | count()", 150),
        ("exists note | count()", 60),
        ("not exists note and tags all in [3, \"all\"] | count()", 60),
        ("address.zip != 3 | count()", 270),
        ("after 99 | count()", 200),
    ] {
        let (values, read) = reads(&db, text);
        assert_eq!((values, read), (vec![Value::Int(wanted)], 0), "{text}");
    }
}

#[test]
fn only_records_that_may_pass_are_read() {
    let db = people();
    for (text, results, wanted) in [
        ("age == 7", 6, 6),
        ("age >= 48 and entity == \"order\"", 4, 4),
        // The long notes have no term, so they are read.
        ("note like \"xx\"", 60, 60),
        ("note like \"xx\" and age == 5", 6, 6),
        ("orderAsc(name) | limit(20)", 20, 20),
        (
            "entity == \"person\" | orderDesc(age) | skip(5) | limit(5)",
            5,
            10,
        ),
        ("reverse() | limit(3)", 3, 3),
        ("address.(zip == 3)", 30, 30),
        ("age == \"7\"", 0, 0),
    ] {
        let (values, read) = reads(&db, text);
        assert_eq!((values.len(), read), (results, wanted), "{text}");
    }
}

#[test]
fn explanations_tell_the_row_sets() {
    let db = people();
    let explained = |text: &str| {
        let pipeline = Pipeline::parse(text).expect("a query");
        db.view()
            .explain(&pipeline, &QueryOptions::default())
            .expect("explains")
    };
    let plan = explained("entity == \"person\" and not (note like \"xy\")");
    let numbers = |value: &Value, names: &[&str]| -> Vec<i64> {
        names
            .iter()
            .map(|name| value.get(name).and_then(Value::as_int).expect("a number"))
            .collect()
    };
    let atoms = plan.get("atoms").and_then(Value::as_array).expect("atoms");
    assert_eq!(numbers(&atoms[0], &["t", "f", "m"]), [200, 100, 0]);
    assert_eq!(numbers(&atoms[1], &["t", "f", "m"]), [0, 0, 60]);
    assert_eq!(numbers(&plan, &["sure", "read", "visible"]), [0, 40, 300]);
    assert_eq!(
        plan.get("ast")
            .and_then(Value::as_array)
            .map(<[Value]>::len),
        Some(1)
    );
}

#[test]
fn records_with_too_many_terms_are_found() -> Result<(), StoreError> {
    let folder = tempfile::tempdir().expect("scratch");
    let db = Database::open(folder.path(), OpenOptions::default())?;
    let large = Value::map([
        ("kind", Value::from("large")),
        ("items", Value::Array((0..30_000).map(Value::Int).collect())),
    ]);
    let small = Value::map([("kind", Value::from("small"))]);
    let saved = db.save(vec![large, small], &SaveOptions::default())?;
    for _ in 0..2 {
        for record in &saved {
            let (id, rev) = (record.id()?, record.rev()?);
            assert_eq!(db.get_one(id.as_str())?.as_ref(), Some(record));
            assert_eq!(db.get_one(rev.as_str())?.as_ref(), Some(record));
        }
        let pipeline = Pipeline::parse(r#"kind == "large" and items in [29999]"#)?;
        let found = db
            .query(&pipeline, &QueryOptions::default())?
            .collect_values()?;
        assert_eq!(found.len(), 1);
        // Once from the log, once from the segments.
        db.flush()?;
    }
    Ok(())
}

/// The first and the last of an order are what a full scan gives, whatever was changed since
/// they were asked for the last time, and however many are asked for.
#[test]
fn the_ends_of_an_order_follow_every_change() -> Result<(), StoreError> {
    let folder = tempfile::tempdir().expect("scratch");
    let db = Database::open(folder.path(), OpenOptions::default())?;
    let record = |n: i64, id: Option<&Ref>| {
        let value = match n % 7 {
            0 => Value::Null,
            1 => Value::from(format!("t{}", n % 50)),
            _ => Value::Int(n % 150),
        };
        let id = id.map(|id| ("_rmx_id", Value::Ref(id.clone())));
        Value::map([("a", value)].into_iter().chain(id))
    };
    let options = SaveOptions::default();
    let mut ids = Vec::new();
    for round in 0..4_i64 {
        let batch = (0..400).map(|n| record(n + round, None)).collect();
        for saved in db.save(batch, &options)? {
            ids.push(saved.id()?);
        }
        if round != 2 {
            db.flush()?;
        }
        for change in 0..3_usize {
            let now = db.view();
            for text in [
                "orderDesc(a) | limit(1)",
                "orderAsc(a) | limit(20)",
                "orderDesc(a) | skip(60) | limit(80)",
                "orderDesc(a)",
                "exists a | orderAsc(a) | skip(300) | limit(5)",
            ] {
                let pipeline = Pipeline::parse(text)?;
                for past in [false, true] {
                    let options = QueryOptions {
                        include_superseded: past,
                        ..QueryOptions::default()
                    };
                    let view = now.clone().including(false, past);
                    let expected = rows(Scan(view.clone()), &pipeline, &options);
                    assert_eq!(rows(view, &pipeline, &options), expected, "{text}");
                }
            }
            // The greatest become others, and one of them goes.
            let at = change * 37 + 5;
            db.save(vec![record(149 + change as i64, Some(&ids[at]))], &options)?;
            db.delete(&ids[at + 144..at + 145], "x")?;
        }
    }
    Ok(())
}
