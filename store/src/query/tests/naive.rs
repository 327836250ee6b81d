//! Random filters over random records, against a model that evaluates the JSON
//! form literally, without plans, laziness, caches or indexes.

use mix_value::{Ref, Relation, Value, equal, relate};
use proptest::prelude::*;

use super::memory::Memory;
use super::worked::full;
use crate::query::{Pipeline, PreparedQuery, QueryItem, QueryOptions};

fn step(memory: &Memory, value: &Value, name: &str) -> Value {
    match value {
        Value::Map(map) => map.get(name).cloned().unwrap_or_default(),
        Value::Ref(reference) => match memory.lookup(reference) {
            Some(row) => step(memory, &memory.value(row), name),
            None => Value::Undefined,
        },
        Value::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| step(memory, item, name))
                .filter(|v| !v.is_undefined())
                .collect(),
        ),
        _ => Value::Undefined,
    }
}

fn key(memory: &Memory, root: &Value, current: &Value, node: &Value) -> Value {
    if let Value::String(path) = node {
        return path
            .split('.')
            .fold(current.clone(), |value, name| step(memory, &value, name));
    }
    let items = node.as_array().expect("a node");
    match items[0].as_str().expect("an opcode") {
        "token" => step(memory, current, items[1].as_str().expect("a name")),
        "objectMember" => {
            let of = if items[1].is_null() {
                root.clone()
            } else {
                key(memory, root, current, &items[1])
            };
            step(memory, &of, items[2].as_str().expect("a name"))
        }
        other => panic!("the generator makes no {other}"),
    }
}

fn operand(memory: &Memory, root: &Value, current: &Value, node: &Value) -> Value {
    match node {
        Value::Array(items) if items.first().and_then(Value::as_str) == Some("objectMember") => {
            key(memory, root, current, node)
        }
        value => value.clone(),
    }
}

fn truth(memory: &Memory, root: &Value, current: &Value, row: u64, node: &Value) -> Option<bool> {
    let items = node.as_array().expect("a node");
    let parts = |node: &Value, current: &Value| -> Vec<Option<bool>> {
        node.as_array()
            .expect("nodes")
            .iter()
            .map(|part| truth(memory, root, current, row, part))
            .collect()
    };
    let all = |truths: Vec<Option<bool>>| {
        if truths.contains(&Some(false)) {
            Some(false)
        } else if truths.contains(&None) {
            None
        } else {
            Some(true)
        }
    };
    let any = |truths: Vec<Option<bool>>| {
        all(truths.into_iter().map(|t| t.map(|t| !t)).collect()).map(|t| !t)
    };
    match items[0].as_str().expect("an opcode") {
        "nullFilter" => Some(true),
        "afterRow" => Some(row as i64 > items[1].as_int().expect("a row")),
        "exists" => Some(!key(memory, root, current, &items[1]).is_undefined()),
        "not" => truth(memory, root, current, row, &items[1]).map(|t| !t),
        "and" => all(parts(&items[1], current)),
        "or" => any(parts(&items[1], current)),
        "subquery" => {
            let object = |object: &Value| match object {
                Value::Map(_) => all(parts(&items[2], object)),
                Value::Ref(reference) => match memory.lookup(reference) {
                    Some(row) => all(parts(&items[2], &memory.value(row))),
                    None => None,
                },
                _ => None,
            };
            match key(memory, root, current, &items[1]) {
                Value::Array(elements) => any(elements.iter().map(object).collect()),
                value => object(&value),
            }
        }
        "comparison" => {
            let a = key(memory, root, current, &items[2]);
            let b = operand(memory, root, current, &items[3]);
            let ordered = |test: fn(Relation) -> bool| match relate(&a, &b) {
                Relation::Incomparable => None,
                Relation::Unordered => Some(false),
                relation => Some(test(relation)),
            };
            let within = |all_of: bool| {
                if a.is_undefined() {
                    return None;
                }
                let values = a.as_array().unwrap_or(std::slice::from_ref(&a));
                let list = b.as_array().expect("a list");
                let found =
                    |x: &Value, among: &[Value]| among.iter().any(|y| equal(x, y) == Some(true));
                Some(if all_of {
                    list.iter().all(|x| found(x, values))
                } else {
                    values.iter().any(|x| found(x, list))
                })
            };
            match items[1].as_str().expect("an operator") {
                "==" => equal(&a, &b),
                "!=" => equal(&a, &b).map(|t| !t),
                "<" => ordered(|r| r == Relation::Less),
                "<=" => ordered(|r| r != Relation::Greater),
                ">" => ordered(|r| r == Relation::Greater),
                ">=" => ordered(|r| r != Relation::Less),
                "contains" => Some(a.as_str()?.contains(b.as_str()?)),
                "like" => Some(a.as_str()?.starts_with(b.as_str()?)),
                "in" => within(false),
                "not_in" => within(false).map(|t| !t),
                "all_in" => within(true),
                "not_all_in" => within(true).map(|t| !t),
                other => panic!("the generator makes no {other}"),
            }
        }
        other => panic!("the generator makes no {other}"),
    }
}

const IDS: [&str; 4] = ["r0", "r1", "r2", "gone"];
const FIELDS: [&str; 3] = ["a", "b", "c"];

fn reference() -> impl Strategy<Value = Value> {
    prop::sample::select(IDS.to_vec())
        .prop_map(|id| Value::Ref(Ref::new(&full(id)).expect("a ref")))
}

fn scalar() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2i64..3).prop_map(Value::Int),
        prop::sample::select(vec![-1.0, 0.0, 1.0, 1.5, f64::NAN]).prop_map(Value::float),
        prop::sample::select(vec!["", "x", "xy", "y"]).prop_map(Value::from),
        reference(),
    ]
    .boxed()
}

fn value() -> BoxedStrategy<Value> {
    scalar()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((prop::sample::select(FIELDS.to_vec()), inner), 0..3)
                    .prop_map(Value::map),
            ]
        })
        .boxed()
}

fn records() -> impl Strategy<Value = Vec<Value>> {
    let record = (
        prop::sample::select(IDS[..3].to_vec()),
        prop::collection::vec(value(), 3),
        0..8u8,
    );
    prop::collection::vec(record, 0..7).prop_map(|records| {
        let mut all = Vec::new();
        for (id, values, kind) in records {
            let mut pairs = vec![("_rmx_id", Value::Ref(Ref::new(&full(id)).expect("a ref")))];
            if kind == 0 {
                pairs.push(("_rmx_deleted", Value::Bool(true)));
            } else {
                pairs.extend(FIELDS.into_iter().zip(values).skip(usize::from(kind % 2)));
            }
            all.push(Value::map(pairs));
        }
        all
    })
}

fn array(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect())
}

fn field() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["a", "b", "c", "_rmx_id", "_rmx_superseded"]).prop_map(Value::from)
}

fn random_key() -> BoxedStrategy<Value> {
    prop_oneof![
        field(),
        Just(Value::from("a.b")),
        Just(Value::from("b.a.c")),
        field().prop_map(|name| array(["token".into(), name])),
    ]
    .prop_recursive(2, 4, 1, |inner| {
        prop_oneof![
            field().prop_map(|name| array(["objectMember".into(), Value::Null, name])),
            (inner, field()).prop_map(|(of, name)| array(["objectMember".into(), of, name])),
        ]
    })
    .boxed()
}

fn filter() -> BoxedStrategy<Value> {
    let op = prop::sample::select(vec![
        "==", "==", "!=", "<", "<=", ">", ">=", "contains", "like",
    ]);
    let list_op = prop::sample::select(vec!["in", "all_in", "not_in", "not_all_in"]);
    // Literal arrays of this generator never start with an opcode.
    let constant = prop_oneof![
        3 => value(),
        1 => field().prop_map(|name| array(["objectMember".into(), Value::Null, name])),
    ];
    let leaf = prop_oneof![
        4 => (op, random_key(), constant).prop_map(|(op, k, v)| array(["comparison".into(), op.into(), k, v])),
        3 => (list_op, random_key(), prop::collection::vec(value(), 0..12))
            .prop_map(|(op, k, l)| array(["comparison".into(), op.into(), k, Value::Array(l)])),
        1 => random_key().prop_map(|k| array(["exists".into(), k])),
        1 => (-1i64..6).prop_map(|n| array(["afterRow".into(), Value::Int(n)])),
        1 => Just(array(["nullFilter".into()])),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let parts = prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array);
        prop_oneof![
            parts.clone().prop_map(|parts| array(["and".into(), parts])),
            parts.clone().prop_map(|parts| array(["or".into(), parts])),
            inner.prop_map(|part| array(["not".into(), part])),
            (random_key(), parts).prop_map(|(k, parts)| array(["subquery".into(), k, parts])),
        ]
    })
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn filters_agree_with_the_model(
        records in records(), filter in filter(), deleted: bool, superseded: bool, cut in 0usize..3,
    ) {
        let mut memory = Memory::new(records);
        memory.include_deleted = deleted;
        memory.include_superseded = superseded;
        memory.bound = memory.bound.saturating_sub(cut as u64);
        let wanted: Vec<u64> = (0..memory.bound)
            .filter(|row| memory.visible(*row))
            .filter(|row| {
                let value = memory.value(*row);
                truth(&memory, &value, &value, *row, &filter) == Some(true)
            })
            .collect();
        let options = QueryOptions::default();
        let pipeline = Pipeline::from_value(&filter).expect("a filter");
        for indexed in [false, true] {
            memory.indexed = indexed;
            let prepared = PreparedQuery::new(&pipeline, &options).expect("a plan");
            let rows: Vec<u64> = prepared
                .run(&memory, &options)
                .expect("a run")
                .map(|item| match item {
                    Ok(QueryItem::Stored(row)) => row.row,
                    other => panic!("no stored row: {other:?}"),
                })
                .collect();
            prop_assert_eq!(&rows, &wanted);
        }
    }
}
