//! Filters and limits of `db` queries are the engine's work: what is sent to it, how it
//! finds the rows, and how many of them it delivers.

use anyhow::{Context, Result};
use mix_compiler::{CompileOptions, compile_expression};
use mix_conformance::expect::Outcome;
use mix_conformance::families::{Families, Table};
use mix_conformance::session::act;
use mix_store::SaveOptions;
use mix_store::query::{Pipeline, QueryOptions};
use mix_value::{Value, escjson};
use mix_vm::{Action, Options, Vm};

/// A thousand records, one in a hundred of kind `rare`.
fn families() -> Result<Families> {
    let mut families = Families::new()?;
    let records = (0..1000).map(|n| {
        let kind = if n % 100 == 7 { "rare" } else { "common" };
        Value::map([("kind", Value::string(kind)), ("n", Value::Int(n))])
    });
    families
        .database(&Value::map([("db", Value::string("many"))]))
        .map_err(|failure| anyhow::anyhow!("{}: {}", failure.code, failure.message))?
        .save(records.collect(), &SaveOptions::default())?;
    Ok(families)
}

/// Runs an expression over the query `q` of all records; its value as text.
fn run(families: &mut Families, expression: &str) -> Result<String> {
    let text = format!("let q = db.head(db.localInMemDB(\"many\")); {expression}");
    let compiled = compile_expression(&text, &[], &CompileOptions::default());
    let problems = compiled.text();
    let program = compiled.program.with_context(|| problems)?;
    let vm = Vm::of_program(program, &Table, &Options::default())
        .map_err(|issue| anyhow::anyhow!("{issue}"))?;
    match act(&mut vm.session(), families, Action::Evaluate)?.outcome {
        Outcome::Value(value) => Ok(value),
        other => anyhow::bail!("{other:?}"),
    }
}

#[test]
fn filters_reach_the_engine() -> Result<()> {
    for (expression, value, clauses, rows) in [
        (
            r#"q |> db.filter(r -> r.kind == "rare") |> db.map(.n) |> db.toArray"#,
            "[7,107,207,307,407,507,607,707,807,907]",
            r#"[["comparison","==","kind","rare"],["object",[["assignMember","n","n"]]]]"#,
            10,
        ),
        // The engine limits, skips and reverses what it projects.
        (
            r#"q |> db.map(r -> r.kind + r.n) |> db.first"#,
            "\"common0\"",
            r#"[["object",[["assignMember","kind","kind"],["assignMember","n","n"]]],["invoke","limit",[1]]]"#,
            1,
        ),
        (
            r#"q |> db.map(.n) |> db.last"#,
            "999",
            r#"[["object",[["assignMember","n","n"]]],["invoke","reverse",[]],["invoke","limit",[1]]]"#,
            1,
        ),
        (
            r#"q |> db.map(.n) |> db.skipn(998) |> stream.toArray"#,
            "[998,999]",
            r#"[["object",[["assignMember","n","n"]]],["invoke","skip",[998]]]"#,
            2,
        ),
        (
            r#"q |> db.filterWithFallback(r -> r.kind == "rare") |> db.length"#,
            "10",
            r#"[["comparison","==","kind","rare"],["invoke","count",[]]]"#,
            1,
        ),
        (
            r#"q |> db.exists(r -> r.kind == "rare")"#,
            "true",
            r#"[["comparison","==","kind","rare"],["invoke","limit",[1]]]"#,
            1,
        ),
        (
            r#"q |> db.mapWithFallback(.n) |> db.firstn(1) |> stream.toArray"#,
            "[0]",
            r#"[["object",[["assignMember","n","n"]]],["invoke","limit",[1]]]"#,
            1,
        ),
        (
            r#"q |> db.filter(r -> r.kind == "rare" && r.n > 500) |> db.toArray |> array.length"#,
            "5",
            r#"[["and",[["comparison","==","kind","rare"],["comparison",">","n",500]]]]"#,
            5,
        ),
        (
            r#"let wanted = "rare"; q |> db.filter(r -> r.kind == wanted) |> db.filter(r -> not (r.n < 900)) |> db.toArray |> array.length"#,
            "1",
            r#"[["comparison","==","kind","rare"],["not",["comparison","<","n",900]]]"#,
            1,
        ),
        (
            r#"q |> db.filter(r -> string.startsWith(r.kind, "ra")) |> db.length"#,
            "10",
            r#"[["comparison","like","kind","ra"],["invoke","count",[]]]"#,
            1,
        ),
        (
            r#"(q |> db.filter(r -> r.n >= 3) |> db.first).n"#,
            "3",
            r#"[["comparison",">=","n",3],["invoke","limit",[1]]]"#,
            1,
        ),
        (
            "q |> db.firstn(2) |> stream.map(.n) |> stream.toArray",
            "[0,1]",
            r#"[["invoke","limit",[2]]]"#,
            2,
        ),
        // A step in Mix needs every row before it.
        (
            r#"q |> db.filterWithFallback(r -> string.length(r.kind) == 4) |> db.length"#,
            "10",
            "[]",
            1000,
        ),
    ] {
        let mut families = families()?;
        assert_eq!(run(&mut families, expression)?, value, "{expression}");
        let sent: Vec<String> = families
            .pipelines
            .iter()
            .map(escjson::format)
            .collect::<Result<_, _>>()?;
        assert_eq!(sent, [clauses], "{expression}");
        assert_eq!(families.rows, rows, "{expression}");
    }
    Ok(())
}

#[test]
fn the_engine_uses_an_index() -> Result<()> {
    let mut families = families()?;
    run(
        &mut families,
        r#"q |> db.filter(r -> r.kind == "rare") |> db.toArray"#,
    )?;
    let pipeline = Pipeline::from_value(&families.pipelines[0])?;
    let database = families
        .database(&Value::map([("db", Value::string("many"))]))
        .map_err(|failure| anyhow::anyhow!("{}: {}", failure.code, failure.message))?;
    let before = database.view().records_read();
    let plan = database
        .view()
        .explain(&pipeline, &QueryOptions::default())?;
    // Ten rows surely pass, none has to be read to know it.
    assert_eq!(plan.get("sure"), Some(&Value::Int(10)), "{plan:?}");
    assert_eq!(plan.get("read"), Some(&Value::Int(0)), "{plan:?}");
    database
        .query(&pipeline, &QueryOptions::default())?
        .collect_values()?;
    assert_eq!(database.view().records_read() - before, 10);
    Ok(())
}

/// What a condition compares with is evaluated once per execution of the query.
#[test]
fn an_execution_sees_the_values_of_its_moment() -> Result<()> {
    let mut families = families()?;
    let value = run(
        &mut families,
        r#"let count = co.pubsubCreate(0);
           let next() = let n = co.pubsubGet(count) + 1; let _ = co.pubsubSet(count, n); n;
           let below = q |> db.filter(r -> r.n < next());
           [db.length(below), db.length(below), db.toArray(below) |> array.map(.n)]"#,
    )?;
    assert_eq!(value, "[1,2,[0,1,2]]");
    Ok(())
}

/// Rows that a limit leaves out are not read, whatever is made of the others in Mix.
#[test]
fn rows_beyond_a_limit_are_not_read() -> Result<()> {
    for (expression, most) in [
        ("q |> db.first", 1),
        ("q |> db.map(r -> r.n + 1) |> db.first", 1),
        (
            "q |> db.map(r -> r.n + 1) |> db.firstn(3) |> stream.toArray",
            3,
        ),
        ("q |> db.isEmpty", 1),
        // An index knows the ten rows.
        (
            r#"q |> db.filter(r -> r.kind == "rare") |> db.map(.n) |> db.toArray"#,
            10,
        ),
        (r#"q |> db.filter(r -> r.kind == "rare") |> db.length"#, 10),
        (r#"q |> db.exists(r -> r.kind == "rare")"#, 1),
    ] {
        let mut families = families()?;
        let before = records_read(&mut families)?;
        run(&mut families, expression)?;
        let read = records_read(&mut families)? - before;
        assert!(read <= most, "{expression}: {read} records read");
    }
    Ok(())
}

fn records_read(families: &mut Families) -> Result<u64> {
    let database = families
        .database(&Value::map([("db", Value::string("many"))]))
        .map_err(|failure| anyhow::anyhow!("{}: {}", failure.code, failure.message))?;
    Ok(database.view().records_read())
}
