//! Projections, aggregations, calculations and options beyond the worked queries.

use mix_value::{Value, escjson};

use super::memory::{GENERATION, Memory, MemoryError};
use super::worked::{expand, full, records};
use crate::query::{Pipeline, PreparedQuery, QueryOptions, RecordSource};

fn execute(
    query: &str,
    memory: &Memory,
    options: &QueryOptions,
) -> Result<Vec<Value>, &'static str> {
    let code = |error| match error {
        MemoryError::Query(error) => error.code.as_str(),
        MemoryError::Corrupt(_) => "db_corrupt",
    };
    let pipeline = Pipeline::parse(&expand(query)).map_err(|error| error.code.as_str())?;
    let prepared = PreparedQuery::new(&pipeline, options).map_err(|error| error.code.as_str())?;
    prepared
        .run(memory, options)
        .map_err(code)?
        .collect_values()
        .map_err(code)
}

/// Results as one JSON array.
fn over(records: &str, query: &str) -> String {
    let Ok(Value::Array(records)) = escjson::parse(&expand(records)) else {
        panic!("no records: {records}")
    };
    match execute(query, &Memory::new(records), &QueryOptions::default()) {
        Ok(values) => escjson::format(&Value::Array(values)).expect("results have a text"),
        Err(code) => code.to_owned(),
    }
}

#[test]
fn calculations() {
    for (expression, wanted) in [
        ("i + 1", "[3]"),
        ("i + f", "[2.5]"),
        ("i - 5", "[-3]"),
        ("i * f", "[1]"),
        ("i / 4", "[0.5]"),
        ("-7 % i", "[-1]"),
        ("i / 0", r#"[{"_rmx_type":"{tag}posinf"}]"#),
        ("max + 1", "[9223372036854776000.0]"),
        ("max * 2", "[18446744073709552000.0]"),
        ("s + i", r#"["s2"]"#),
        ("i + s", r#"["2s"]"#),
        ("s + f", r#"["s0.5"]"#),
        ("s + b", "[]"),
        ("s - i", "[]"),
        ("s + missing", "[]"),
        ("missing + n", "[]"),
        ("n + s", "[null]"),
        ("n - s", "[null]"),
        ("l + l", "[[1,2,1,2]]"),
        ("m + ({ x: 9 })", r#"[{"x":9,"y":1}]"#),
        ("l + i", "[]"),
        ("r + \"-\"", "[\"x-\"]"),
    ] {
        let data = r#"[{"i":2,"f":0.5,"s":"s","b":true,"n":null,"l":[1,2],"m":{"x":1,"y":1},
            "max":9223372036854775807,"r":{"_rmx_type":"{tag}ref","_rmx_value":"x"}}]"#;
        assert_eq!(over(data, expression), wanted, "{expression}");
    }
}

#[test]
fn nested_objects() {
    for (data, query, wanted) in [
        (r#"[{"a":{"b":1}}]"#, "{ a: { b } }", r#"[{"a":{"b":1}}]"#),
        (r#"[{"a":{}}]"#, "{ a: { b } }", r#"[{"a":{}}]"#),
        (r#"[{}]"#, "{ a: { b } }", "[{}]"),
        (r#"[{"a":5}]"#, "{ a: { b } }", "[{}]"),
        (
            r#"[{"a":5,"c":1}]"#,
            "{ a: { c: .c } }",
            r#"[{"a":{"c":1}}]"#,
        ),
        (r#"[{}]"#, "{ a: { b } ?? 7 }", r#"[{"a":7}]"#),
        (
            r#"[{"a":[{"b":1},5,{"c":2},[{"b":3}]]}]"#,
            "{ a: { b } }",
            r#"[{"a":[{"b":1},{},[{"b":3}]]}]"#,
        ),
        (
            r#"[{"a":{"b":{"c":1}}}]"#,
            "{ a: { b: { c, d: .a.b.c } } }",
            r#"[{"a":{"b":{"c":1,"d":1}}}]"#,
        ),
        (
            r#"[{"a":1,"b":2}]"#,
            "{ x: ({ a, y: ({ b }) }) }",
            r#"[{"x":{"a":1,"y":{"b":2}}}]"#,
        ),
        (
            r#"[{"a":{"x":1,"y":2}}]"#,
            "{ a: { *, -x } }",
            r#"[{"a":{"y":2}}]"#,
        ),
        (r#"[{"a":1}]"#, "{ *, a: missing }", "[{}]"),
        (
            r#"[{"a":1}]"#,
            "{ *, a: missing ?? null }",
            r#"[{"a":null}]"#,
        ),
    ] {
        assert_eq!(over(data, query), wanted, "{query} on {data}");
    }
}

#[test]
fn refs_are_followed_and_expanded() {
    let data = r#"[
        {"_rmx_id":REF(r1),"n":1,"to":REF(r2),"_rmx_x":REF(r2)},
        {"_rmx_id":REF(r2),"n":2,"to":REF(r1),"many":[REF(r3),5,REF(gone)]},
        {"_rmx_id":REF(r3),"n":3}]"#;
    assert_eq!(over(data, "n == 1 | +to | .n"), "[2]");
    assert_eq!(over(data, "n == 3 | +n"), "[3]");
    assert_eq!(over(data, "n == 2 | { +many } | .many.n"), "[[3]]");
    let gone = execute_ast(data, r#"["followRef",["scalarFallback",REF(gone)]]"#);
    assert_eq!(gone, "[null,null,null]");
    let expanded = over(data, "n == 1 | { ** }");
    let wanted = expand(
        r#"[{"_rmx_id":REF(r1),"_rmx_x":REF(r2),"n":1,"to":{"_rmx_id":REF(r2),"many":[{"_rmx_id":REF(r3),"n":3},5,REF(gone)],"n":2,"to":REF(r1)}}]"#,
    );
    assert_eq!(expanded, wanted);
}

fn execute_ast(records: &str, ast: &str) -> String {
    let Ok(Value::Array(records)) = escjson::parse(&expand(records)) else {
        panic!("no records")
    };
    let options = QueryOptions::default();
    let pipeline =
        Pipeline::from_value(&escjson::parse(&expand(ast)).expect("JSON")).expect("an AST");
    let memory = Memory::new(records);
    let run = PreparedQuery::new(&pipeline, &options)
        .expect("a plan")
        .run(&memory, &options)
        .expect("a run");
    escjson::format(&Value::Array(run.collect_values().expect("results"))).expect("a text")
}

#[test]
fn order_and_groups() {
    let data = r#"[{"k":2,"i":0},{"k":"x","i":1},{"i":2},{"k":null,"i":3},{"k":2.0,"i":4},{"k":[1],"i":5},{"i":6},{"k":true,"i":7}]"#;
    assert_eq!(over(data, "orderAsc(k) | .i"), "[3,7,0,4,1,5,2,6]");
    assert_eq!(over(data, "orderDesc(k) | .i"), "[5,1,0,4,7,3,2,6]");
    assert_eq!(
        over(data, "order(k, true) | reverse() | .i"),
        "[6,2,3,7,4,0,1,5]"
    );
    assert_eq!(
        over(data, "group(k) | { key, is: values.i }"),
        r#"[{"is":[3],"key":null},{"is":[7],"key":true},{"is":[0,4],"key":2},{"is":[1],"key":"x"},{"is":[5],"key":[1]}]"#
    );
    assert_eq!(over(data, "i > 2 | count() | { n: . }"), "query_syntax");
    assert_eq!(over(data, "i > 2 | count()"), "[5]");
    assert_eq!(over(data, "skip(2) | limit(3) | .i"), "[2,3,4]");
    assert_eq!(over(data, "limit(3) | i == 2 | .i"), "[2]");
    assert_eq!(over(data, "limit(0)"), "[]");
    assert_eq!(over(data, "skip(100) | count()"), "[0]");
    assert_eq!(
        over(data, "orderDesc(i) | limit(2) | orderAsc(i) | .i"),
        "[6,7]"
    );
    assert_eq!(over(data, "group(k) | count()"), "[5]");
    assert_eq!(over(data, "group(k) | values.(i == 4) | .key"), "[2]");
}

#[test]
fn static_checks() {
    for (query, code) in [
        ("limit(-1)", "query_type"),
        ("skip(\"x\")", "query_type"),
        ("limit(1.5)", "query_type"),
        ("order(a, null)", "query_type"),
        ("after 3.5", "query_type"),
        ("after \"x\"", "query_type"),
        ("after null", "query_type"),
        ("after \"other123.3\"", "stale_watermark"),
        ("after ref(\"gone\")", "stale_watermark"),
        ("count() | after 1", "query_type"),
        ("group(a) | after 1", "query_type"),
        ("a.(after 1) | name | a.(after 1)", "query_type"),
        ("$p == 1", "missing_param"),
    ] {
        assert_eq!(
            execute(query, &records(), &QueryOptions::default()),
            Err(code),
            "{query}"
        );
    }
    let mut options = QueryOptions::default();
    options.params.insert("p".into(), Value::Int(1));
    for (query, code) in [
        ("$p == 1", "query_type"),
        ("a in $p", "query_type"),
        ("order(a, $p)", "query_type"),
    ] {
        assert_eq!(execute(query, &records(), &options), Err(code), "{query}");
    }
    assert_eq!(
        execute(
            "size >= $p | limit($p) | { size, p: $p }",
            &records(),
            &options
        )
        .map(|v| v.len()),
        Ok(1)
    );
}

#[test]
fn after_counts_rows() {
    let memory = records();
    let mut options = QueryOptions::default();
    let mut count = |query: &str, mark: Value| {
        options.params.insert("w".into(), mark);
        match execute(query, &memory, &options).as_deref() {
            Ok([Value::Int(n)]) => Ok(*n),
            Ok(other) => panic!("{other:?}"),
            Err(code) => Err(*code),
        }
    };
    // Visible rows are 0 1 2 4 5 6 7 8.
    for (mark, wanted) in [
        (Value::Int(-5), Ok(8)),
        (Value::Int(4), Ok(4)),
        (Value::Float(4.0), Ok(4)),
        (Value::Int(i64::MAX), Ok(0)),
        (Value::from(format!("{GENERATION}.4")), Ok(5)),
        (
            Value::from(format!("{GENERATION}.99999999999999999999")),
            Ok(0),
        ),
        (Value::from("zzzzzzzz.4"), Err("stale_watermark")),
        (Value::from(full("v4")), Ok(4)),
        (
            Value::Ref(mix_value::Ref::new(&full("v3")).expect("a ref")),
            Ok(5),
        ),
        (Value::Bool(true), Err("query_type")),
    ] {
        assert_eq!(
            count("after $w | count()", mark.clone()),
            wanted,
            "{mark:?}"
        );
        assert_eq!(
            count(
                "not not after $w | orderAsc(name) | after $w | count()",
                mark.clone()
            ),
            wanted,
            "{mark:?}"
        );
    }
}

#[test]
fn options_of_a_call() {
    let read = |json: &str| match escjson::parse(json) {
        Ok(Value::Map(map)) => QueryOptions::from_map(&map).map_err(|error| error.code.as_str()),
        other => panic!("{other:?}"),
    };
    let options = read(r#"{"skip":1,"limit":2,"includeHistory":true,"params":{"p":1},"unrestricted":true,"label":null}"#)
        .expect("options");
    assert!(options.include_superseded && !options.include_deleted);
    assert_eq!((options.skip, options.limit), (1, Some(2)));
    for bad in [
        r#"{"skip":-1}"#,
        r#"{"limit":"x"}"#,
        r#"{"includeDeleted":1}"#,
        r#"{"params":[]}"#,
        r#"{"label":5}"#,
        r#"{"asOf":"yesterday"}"#,
    ] {
        assert_eq!(read(bad).err(), Some("query_type"), "{bad}");
    }
    let plain = QueryOptions {
        skip: 1,
        limit: Some(2),
        ..QueryOptions::default()
    };
    let names = execute("entity == \"person\" | .name", &records(), &plain);
    assert_eq!(names, Ok(vec![Value::from("Cy"), Value::from("Bo")]));
    let none = QueryOptions {
        limit: Some(0),
        ..QueryOptions::default()
    };
    assert_eq!(execute("", &records(), &none), Ok(vec![]));
}

#[test]
fn sorting_counts_its_memory() {
    let rows: Vec<Value> = (0..2000)
        .map(|i| Value::map([("k", Value::from(format!("{i:0>200}")))]))
        .collect();
    let memory = Memory::new(rows);
    let tight = QueryOptions {
        max_bytes: 100_000,
        ..QueryOptions::default()
    };
    assert_eq!(
        execute("orderAsc(k) | count()", &memory, &tight),
        Err("result_too_large")
    );
    assert_eq!(
        execute("count()", &memory, &tight),
        Ok(vec![Value::Int(2000)])
    );
    assert_eq!(
        execute("k >= \"\"", &memory, &tight),
        Err("result_too_large")
    );
    // Streaming holds nothing.
    let pipeline = Pipeline::parse("k >= \"\"").expect("a query");
    let run = PreparedQuery::new(&pipeline, &tight)
        .expect("a plan")
        .run(&memory, &tight)
        .expect("a run");
    assert_eq!(run.filter(|item| item.is_ok()).count(), 2000);
}

#[test]
fn a_pipeline_runs_over_given_values() {
    let options = QueryOptions::default();
    let pipeline = Pipeline::parse("{ n: employer.name }").expect("a query");
    let employer = Value::Ref(mix_value::Ref::new(&full("c1")).expect("a ref"));
    let values = vec![Value::map([("employer", employer)])];
    let run = PreparedQuery::new(&pipeline, &options)
        .expect("a plan")
        .run_over(values, records(), &options);
    let results = run.expect("a run").collect_values();
    assert_eq!(results, Ok(vec![Value::map([("n", Value::from("Acme"))])]));
}

#[test]
fn a_running_query_can_be_kept_and_moved() {
    fn keep<T: Send + 'static>(_: &T) {}
    let options = QueryOptions::default();
    let source: std::sync::Arc<dyn RecordSource<Error = MemoryError> + Send + Sync> =
        std::sync::Arc::new(records());
    let pipeline = Pipeline::parse("orderDesc(name) | .name").expect("a query");
    let mut run = PreparedQuery::new(&pipeline, &options)
        .expect("a plan")
        .run(source, &options)
        .expect("a run");
    keep(&run);
    assert_eq!(run.next_batch(2).map(|batch| batch.len()), Ok(2));
    assert_eq!(run.next_batch(100).map(|batch| batch.len()), Ok(3));
    assert_eq!(run.next_batch(100), Ok(vec![]));
}

#[test]
fn rows_flow_as_they_are_stored() {
    let memory = records();
    let options = QueryOptions::default();
    let pipeline = Pipeline::parse("name == \"Bo\" | orderAsc(age)").expect("a query");
    let run = |memory: &Memory| {
        let prepared = PreparedQuery::new(&pipeline, &options).expect("a plan");
        let items: Result<Vec<_>, _> = prepared.run(memory, &options).expect("a run").collect();
        items.expect("results")
    };
    let [item] = &*run(&memory) else {
        panic!("one result")
    };
    let stored = memory.next_row(8).expect("a row").expect("a row").bytes;
    assert_eq!(item.clone().into_bytes().as_deref(), Ok(&*stored));
    let history = Memory {
        include_superseded: true,
        ..records()
    };
    let [old, _] = &*run(&history) else {
        panic!("two results")
    };
    let bytes = old.clone().into_bytes().expect("bytes");
    let value = mix_value::msgpack::decode(&bytes).expect("a record");
    assert_eq!(value.get("_rmx_superseded"), Some(&Value::Bool(true)));
    assert_eq!(old.clone().into_value(), Ok(value));
}
