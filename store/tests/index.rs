//! Whatever is indexed, a query means what a full scan gives.

use mix_store::query::{Pipeline, PreparedQuery, QueryOptions, RecordSource, StoredRow};
use mix_store::{Database, OpenOptions, SaveOptions, StoreError, View};
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
        Just(Value::Ref(Ref::new(ID).expect("ref"))),
        Just(Value::binary(vec![1])),
        Just(Value::Case(Case::new("a", None).expect("case"))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => scalar(),
        2 => prop::collection::vec(scalar(), 0..3).prop_map(Value::Array),
        1 => scalar().prop_map(|v| Value::map([("b", v)])),
        1 => scalar().prop_map(|v| Value::Array(vec![Value::Array(vec![v])])),
    ]
}

fn filter() -> impl Strategy<Value = Value> {
    let token = |name: &str| Value::Array(vec!["token".into(), name.into()]);
    let name = prop_oneof![
        Just("a"),
        Just("b"),
        Just("_rmx_id"),
        Just("_rmx_superseded"),
        Just("_rmx_row")
    ];
    let wrap = |value: Value| Value::Array(vec!["scalarFallback".into(), value]);
    let leaf = prop_oneof![
        (
            name.clone(),
            prop_oneof![Just("=="), Just("!="), Just("<"), Just(">=")],
            value()
        )
            .prop_map(move |(name, op, v)| {
                Value::Array(vec!["comparison".into(), op.into(), token(name), wrap(v)])
            }),
        (
            name.clone(),
            prop_oneof![Just("in"), Just("all_in"), Just("not_in")],
            prop::collection::vec(value(), 0..3)
        )
            .prop_map(move |(name, op, list)| {
                let list = Value::Array(vec!["listFallback".into(), Value::Array(list)]);
                Value::Array(vec!["comparison".into(), op.into(), token(name), list])
            }),
        (
            name.clone(),
            prop_oneof![Just("like"), Just("contains")],
            "[ab]{0,2}"
        )
            .prop_map(move |(name, op, text)| {
                Value::Array(vec![
                    "comparison".into(),
                    op.into(),
                    token(name),
                    text.into(),
                ])
            }),
        (Just("like"), Just("a".repeat(257))).prop_map(move |(op, text)| {
            Value::Array(vec![
                "comparison".into(),
                op.into(),
                token("a"),
                text.into(),
            ])
        }),
        name.prop_map(move |name| Value::Array(vec!["exists".into(), token(name)])),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|all| Value::Array(vec!["and".into(), Value::Array(all)])),
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|any| Value::Array(vec!["or".into(), Value::Array(any)])),
            inner.prop_map(|one| Value::Array(vec!["not".into(), one])),
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
    let token = Value::Array(vec!["token".into(), "a".into()]);
    let stage = prop_oneof![
        Just(invoke("count", vec![])),
        Just(invoke("group", vec![token.clone()])),
        Just(invoke("order", vec![token, Value::Bool(true)])),
        Just(invoke("reverse", vec![])),
        Just(invoke("skip", vec![Value::Int(2)])),
        Just(invoke("limit", vec![Value::Int(4)])),
    ];
    prop::collection::vec(stage, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn indexes_change_no_result(
        records in prop::collection::vec((prop::option::of(value()), prop::option::of(value()), any::<bool>()), 1..40),
        later in prop::collection::vec(value(), 0..10),
        filters in prop::collection::vec(filter(), 1..6),
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
            if known {
                pairs.push(("_rmx_id", Value::Ref(Ref::new(ID).expect("ref"))));
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
