//! Random texts and nodes: never a panic, and what is read is written alike.

use mix_value::{Value, escjson, msgpack};
use proptest::prelude::*;

use crate::query::{Pipeline, PreparedQuery, QueryErrorCode, QueryOptions};

const WORDS: [&str; 48] = [
    "a",
    "b",
    "name",
    "\"q\"",
    "\"x.y\"",
    ".",
    ".",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "|",
    "+",
    "-",
    "*",
    "/",
    "**",
    "==",
    "!=",
    "<",
    "in",
    "not",
    "all",
    "and",
    "or",
    "!",
    "&&",
    "||",
    "exists",
    "after",
    "true",
    "null",
    "1",
    "-2.5",
    "$p",
    "??",
    "count()",
    "group(a)",
    "order(b,true)",
    "skip(1)",
    "like",
    "=",
];

fn operand(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("a".to_owned()),
        Just("a.b".to_owned()),
        Just(".c".to_owned()),
        Just("\"d.e\"".to_owned()),
        Just("7".to_owned()),
    ];
    leaf.prop_recursive(depth, 16, 2, |inner| {
        (
            inner.clone(),
            prop::sample::select(vec!["+", "-", "*", "/", "%"]),
            inner,
        )
            .prop_map(|(a, op, b)| format!("({a} {op} {b})"))
    })
    .boxed()
}

fn condition() -> BoxedStrategy<String> {
    let value = prop::sample::select(vec![
        "1",
        "-2",
        "\"s\"",
        "null",
        ".f",
        "[1,\"token\"]",
        "ref(\"r\")",
        "$p",
    ]);
    let op = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">=", "contains", "like"]);
    let list_op = prop::sample::select(vec!["in", "all in", "not in", "not all in"]);
    let leaf = prop_oneof![
        (operand(2), op, value).prop_map(|(k, op, v)| format!("{k} {op} {v}")),
        (operand(1), list_op).prop_map(|(k, op)| format!("{k} {op} [1, \"x\"]")),
        Just("exists a.b".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("after 3".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("({})", parts.join(" || "))),
            inner.clone().prop_map(|part| format!("not {part}")),
            inner.prop_map(|part| format!("x.y.({part})")),
        ]
    })
    .boxed()
}

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "nullFilter",
            "comparison",
            "exists",
            "after",
            "afterRow",
            "and",
            "or",
            "not",
            "subquery",
            "token",
            "objectMember",
            "param",
            "scalarIndexed",
            "listFallback",
            "calculation",
            "followRef",
            "object",
            "assignMember",
            "cloneMembers",
            "removeMember",
            "invoke",
            "count",
            "order",
            "==",
            "in",
            "+",
            "a",
        ])
        .prop_map(Value::from),
        Just(Value::Null),
        Just(Value::Undefined),
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(6, 48, 5, |inner| {
        prop::collection::vec(inner, 0..5).prop_map(Value::Array)
    })
    .boxed()
}

/// Writing and reading again gives the same, in memory and as MessagePack.
fn check(pipeline: &Pipeline) {
    let written = pipeline.to_value();
    assert_eq!(Pipeline::from_value(&written).as_ref(), Ok(pipeline));
    let bytes = msgpack::encode(&written).expect("an AST encodes");
    let decoded = msgpack::decode(&bytes).expect("what was encoded decodes");
    assert_eq!(Pipeline::from_value(&decoded).as_ref(), Ok(pipeline));
    if let Ok(text) = escjson::format(&written)
        && let Ok(parsed) = escjson::parse(&text)
    {
        let again = Pipeline::from_value(&parsed).expect("a written AST reads");
        assert_eq!(escjson::format(&again.to_value()), Ok(text));
    }
    let mut options = QueryOptions::default();
    options.params.insert("p".into(), Value::Int(1));
    // Whether it is sound or not: no panic.
    let _ = PreparedQuery::new(pipeline, &options);
}

/// What the text of a pipeline is read as.
fn printed(pipeline: &Pipeline) -> Result<Pipeline, String> {
    let text = pipeline.to_text().ok_or("it has no text")?;
    Pipeline::parse(&text).map_err(|error| format!("{text}: {error}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_words(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..14)) {
        let text = words.join(" ");
        match Pipeline::parse(&text) {
            Ok(pipeline) => {
                check(&pipeline);
                prop_assert_eq!(printed(&pipeline), Ok(pipeline), "{}", text);
            }
            Err(error) => {
                prop_assert!(matches!(error.code, QueryErrorCode::Syntax | QueryErrorCode::Unsupported), "{}", error);
                prop_assert!(error.offset().is_some_and(|offset| offset <= text.chars().count()));
            }
        }
    }

    #[test]
    fn random_characters(text in "\\PC{0,40}") {
        if let Err(error) = Pipeline::parse(&text) {
            prop_assert!(error.offset().is_some_and(|offset| offset <= text.chars().count()));
        }
    }

    #[test]
    fn random_conditions(text in condition()) {
        let pipeline = Pipeline::parse(&text);
        prop_assert!(pipeline.is_ok(), "{text}: {pipeline:?}");
        let pipeline = pipeline.unwrap();
        check(&pipeline);
        prop_assert_eq!(printed(&pipeline), Ok(pipeline), "{}", text);
    }

    #[test]
    fn random_nodes(value in value()) {
        if let Ok(pipeline) = Pipeline::from_value(&value) {
            check(&pipeline);
            // Not all have a text, and none has a wrong one.
            if let Some(text) = pipeline.to_text() {
                prop_assert_eq!(Pipeline::parse(&text), Ok(pipeline), "{}", text);
            }
        }
    }
}
