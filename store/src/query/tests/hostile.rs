//! Queries and data made to hurt.

use std::time::{Duration, Instant};

use mix_value::{Map, Ref, Value, escjson};

use super::memory::{Memory, MemoryError};
use super::worked::full;
use crate::query::{Pipeline, PreparedQuery, QueryErrorCode, QueryOptions};

fn parse_code(text: &str) -> Result<(), QueryErrorCode> {
    Pipeline::parse(text).map(drop).map_err(|error| error.code)
}

fn read_code(value: &Value) -> Result<(), QueryErrorCode> {
    Pipeline::from_value(value)
        .map(drop)
        .map_err(|error| error.code)
}

fn node(items: Vec<Value>) -> Value {
    Value::Array(items)
}

fn reference(name: &str) -> Value {
    Value::Ref(Ref::new(&full(name)).expect("a ref"))
}

#[test]
fn texts_beyond_a_limit_are_refused() {
    const TOO_COMPLEX: Result<(), QueryErrorCode> = Err(QueryErrorCode::TooComplex);
    let n = 30_000;
    for text in [
        "(".repeat(n),
        "!".repeat(n),
        "not ".repeat(n / 2),
        format!("a == {}", "[".repeat(n)),
        format!("a == {}", "(".repeat(n)),
        "{a:".repeat(n / 3),
        "{a:(".repeat(n / 4),
        "a.(".repeat(n / 3),
        format!("a{} == 1", ".a".repeat(n)),
        format!("a{} == 1", "+1".repeat(n)),
        format!("a{} == 1", "*(1)".repeat(n / 4)),
        format!("\"a{}\" == 1", ".a".repeat(n)),
        format!("a in [1{}]", ",1".repeat(n)),
        format!("a{}", "|a".repeat(n)),
        format!("{{a{}}}", ",a".repeat(n)),
        format!("a == \"{}\"", "x".repeat(65_536)),
    ] {
        assert_eq!(parse_code(&text), TOO_COMPLEX, "{}…", &text[..20]);
    }
    assert_eq!(
        parse_code(&format!("{}true{}", "(".repeat(64), ")".repeat(64))),
        Ok(())
    );
    assert_eq!(parse_code(&format!("{}true", "!".repeat(63))), Ok(()));
}

#[test]
fn nodes_beyond_a_limit_are_refused() {
    let mut deep = node(vec!["nullFilter".into()]);
    for _ in 0..64 {
        deep = node(vec!["not".into(), deep]);
    }
    assert_eq!(read_code(&deep), Err(QueryErrorCode::TooComplex));
    let many = vec![node(vec!["nullFilter".into()]); 20_001];
    assert_eq!(
        read_code(&Value::Array(many.clone())),
        Err(QueryErrorCode::TooComplex)
    );
    assert_eq!(
        read_code(&node(vec!["and".into(), Value::Array(many)])),
        Err(QueryErrorCode::TooComplex)
    );
    let list = Value::Array(vec![Value::Int(1); 10_001]);
    for op in ["in", "=="] {
        let query = node(vec![
            "comparison".into(),
            op.into(),
            "a".into(),
            list.clone(),
        ]);
        assert_eq!(read_code(&query), Err(QueryErrorCode::TooComplex), "{op}");
    }
}

#[test]
fn shapeless_nodes_are_refused_with_their_place() {
    for (json, code, path) in [
        (r#"5"#, "query_type", ""),
        (r#"{"a":1}"#, "query_type", ""),
        (r#"[5]"#, "query_type", "[0]"),
        (r#"[[]]"#, "query_type", "[0]"),
        (r#"["foo"]"#, "unknown_opcode", "[0][0]"),
        (r#"[["nullFilter",1]]"#, "query_type", "[0]"),
        (r#"[["not",["token","a"]]]"#, "query_type", "[0][1]"),
        (r#"[["not",["bar"]]]"#, "unknown_opcode", "[0][1][0]"),
        (
            r#"[["and",[["nullFilter"],["bar"]]]]"#,
            "unknown_opcode",
            "[0][1][1][0]",
        ),
        (r#"[["and",5]]"#, "query_type", "[0][1]"),
        (r#"[["comparison","==",5,1]]"#, "query_type", "[0][2]"),
        (r#"[["comparison","==","a"]]"#, "query_type", "[0]"),
        (r#"[["comparison","in","a",5]]"#, "query_type", "[0][3]"),
        (
            r#"[["comparison","==","a",["token",5]]]"#,
            "query_type",
            "[0][3][1]",
        ),
        (
            r#"[["comparison","in","a",["listIndexed",["x",5]]]]"#,
            "not_indexable",
            "[0][3][1]",
        ),
        (r#"[["afterRow","x"]]"#, "query_type", "[0][1]"),
        (r#"[["invoke","median",[]]]"#, "query_unsupported", "[0]"),
        (r#"[["invoke","count",["a"]]]"#, "query_unsupported", "[0]"),
        (r#"[["invoke","count"]]"#, "query_type", "[0]"),
        (r#"[["object",[["token","a"]]]]"#, "query_type", "[0][1][0]"),
        (
            r#"[["object",[["assignMember","a"]]]]"#,
            "query_type",
            "[0][1][0]",
        ),
        (r#"[["calculation",["+",1]]]"#, "query_type", "[0][1]"),
        (r#"[["cloneMembers"]]"#, "query_type", "[0]"),
        (r#"[["objectMember",5,"a"]]"#, "query_type", "[0][1]"),
        (
            r#"[["objectMember",null,["token"]]]"#,
            "query_type",
            "[0][2]",
        ),
    ] {
        let value = escjson::parse(json).expect("JSON");
        let error = Pipeline::from_value(&value).expect_err(json);
        assert_eq!(
            (error.code.as_str(), error.path()),
            (code, Some(path)),
            "{json}"
        );
    }
}

fn execute(
    query: &str,
    memory: &Memory,
    options: &QueryOptions,
) -> Result<Vec<Value>, &'static str> {
    let pipeline = Pipeline::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let code = |error| match error {
        MemoryError::Query(error) => error.code.as_str(),
        MemoryError::Corrupt(_) => "db_corrupt",
    };
    let prepared = PreparedQuery::new(&pipeline, options).map_err(|error| error.code.as_str())?;
    prepared
        .run(memory, options)
        .map_err(code)?
        .collect_values()
        .map_err(code)
}

/// One record with many refs to itself, and arrays nested to the limit.
fn knot() -> Memory {
    let mut nested = reference("k");
    for _ in 0..120 {
        nested = Value::Array(vec![nested]);
    }
    let map: Map = [
        ("_rmx_id", reference("k")),
        ("many", Value::Array(vec![reference("k"); 1000])),
        ("deep", nested),
        ("self", reference("k")),
        ("text", Value::from("x".repeat(1 << 20))),
    ]
    .into_iter()
    .map(|(key, value)| (key.into(), value))
    .collect();
    Memory::new(vec![Value::Map(map)])
}

#[test]
fn data_cannot_exhaust_memory_or_time() {
    let memory = knot();
    let small = QueryOptions {
        max_bytes: 16 << 20,
        ..QueryOptions::default()
    };
    for query in [
        "many.many.many.many",
        "deep.deep.deep.deep",
        "{ a: deep.deep }",
        "many.text",
    ] {
        let Ok(_) = Pipeline::parse(query) else {
            continue;
        };
        assert_eq!(
            execute(query, &memory, &small),
            Err("result_too_large"),
            "{query}"
        );
    }
    // Doubling, forty times.
    let doubling = format!("{{ x: text }}{}", " | { x: x + x }".repeat(40));
    assert_eq!(execute(&doubling, &memory, &small), Err("result_too_large"));
    let copies = format!(
        "{{ {} }}",
        (0..30)
            .map(|i| format!("a{i}: text"))
            .collect::<Vec<_>>()
            .join(",")
    );
    assert_eq!(execute(&copies, &memory, &small), Err("result_too_large"));
    // One level deeper with every stage.
    let wrapping = format!("{{ x: 1 }}{}", " | { x: ({ x }) }".repeat(200));
    assert_eq!(execute(&wrapping, &memory, &small), Err("result_too_large"));
    // Long chains of refs to itself are fine.
    let chain = format!("{{ x: {}text }}", "self.".repeat(60));
    assert_eq!(
        execute(&chain, &memory, &small).map(|values| values.len()),
        Ok(1)
    );
    // Too much work stops in time.
    let hurry = QueryOptions {
        deadline: Some(Instant::now() + Duration::from_millis(50)),
        ..QueryOptions::default()
    };
    let started = Instant::now();
    let hopeless = "not many.(many.(many.(many.(x == 1))))";
    assert_eq!(execute(hopeless, &memory, &hurry), Err("query_timeout"));
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_cancelled_query_stops() {
    let cancel = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let options = QueryOptions {
        cancel: Some(cancel),
        ..QueryOptions::default()
    };
    assert_eq!(execute("true", &knot(), &options), Err("query_timeout"));
}

#[test]
fn expansion_is_bounded() {
    // A chain of 20 records, each naming the next.
    let chain: Vec<Value> = (0..20)
        .map(|i| {
            Value::map([
                ("_rmx_id", reference(&format!("n{i}"))),
                ("next", reference(&format!("n{}", i + 1))),
                ("i", Value::Int(i)),
            ])
        })
        .collect();
    let memory = Memory::new(chain);
    let options = QueryOptions::default();
    assert_eq!(
        execute("i == 0 | { ** }", &memory, &options),
        Err("expansion_limit")
    );
    assert_eq!(
        execute("i == 3 | { ** }", &memory, &options).map(|values| values.len()),
        Ok(1)
    );
    // Many refs to small records.
    let mut records = vec![Value::map([("_rmx_id", reference("leaf"))])];
    records.push(Value::map([
        ("_rmx_id", reference("wide")),
        ("many", Value::Array(vec![reference("leaf"); 10_001])),
    ]));
    let memory = Memory::new(records);
    assert_eq!(
        execute("exists many | { ** }", &memory, &options),
        Err("expansion_limit")
    );
    assert_eq!(
        execute("exists many | { ** } | .many | limit(1)", &knot(), &options).map(|v| v.len()),
        Ok(1)
    );
}

#[test]
fn broken_rows_are_named() {
    struct Broken;
    impl crate::query::RecordSource for Broken {
        type Error = MemoryError;
        fn next_row(&self, from: u64) -> Result<Option<crate::query::StoredRow>, MemoryError> {
            let row = crate::query::StoredRow {
                row: from,
                bytes: vec![0x81, 0xa1].into(),
                superseded: false,
            };
            Ok((from == 0).then_some(row))
        }
        fn resolve(&self, _: &Ref) -> Result<Option<crate::query::StoredRow>, MemoryError> {
            Ok(None)
        }
        fn row_of_revision(&self, _: &Ref) -> Result<Option<u64>, MemoryError> {
            Ok(None)
        }
        fn row_of_watermark(&self, _: &str, _: u64) -> Result<Option<u64>, MemoryError> {
            Ok(None)
        }
        fn corrupt(&self, row: u64, _: mix_value::msgpack::DecodeError) -> MemoryError {
            MemoryError::Corrupt(row)
        }
    }
    let options = QueryOptions::default();
    let pipeline = Pipeline::parse("a == 1").expect("a query");
    let run = PreparedQuery::new(&pipeline, &options)
        .expect("a plan")
        .run(Broken, &options);
    assert_eq!(
        run.and_then(|execution| execution.collect_values()),
        Err(MemoryError::Corrupt(0))
    );
}
