//! The agent of `examples/movies` on the native VM, with families in memory.

use std::path::Path;

use anyhow::{Context, Result, bail};
use mix_compiler::{CompileOptions, SourceFile, compile};
use mix_conformance::expect::Outcome;
use mix_conformance::families::{Families, Table};
use mix_conformance::session::act;
use mix_value::{Value, escjson, msgpack};
use mix_vm::{Action, Options, Vm};

fn example() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/movies")
}

fn program() -> Result<Vm> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(example())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mix") {
            files.push(SourceFile::new(
                path.display().to_string(),
                std::fs::read(&path)?,
            ));
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let options = CompileOptions {
        agents: vec!["report".into()],
        ..CompileOptions::default()
    };
    let compilation = compile(&files, &options);
    let text = compilation.text();
    let program = compilation.program.with_context(|| text)?;
    Vm::of_program(program, &Table, &Options::default()).map_err(|issue| anyhow::anyhow!("{issue}"))
}

/// Runs the agent and gives the value of its output.
fn run(vm: &Vm, families: &mut Families, params: &str) -> Result<Value> {
    let mut session = vm.session();
    let params = msgpack::encode(&escjson::parse(params)?)?;
    match act(
        &mut session,
        families,
        Action::RunAgent {
            agent: "report".into(),
            params,
        },
    )?
    .outcome
    {
        Outcome::Value(text) => match escjson::parse(&text)? {
            Value::Case(case) => Ok(case.argument.map(|value| *value).unwrap_or_default()),
            other => bail!("not a result: {other:?}"),
        },
        other => bail!("{other:?}"),
    }
}

fn int(value: &Value, path: &[&str]) -> Option<i64> {
    path.iter()
        .try_fold(value, |value, key| value.get(key))?
        .as_int()
}

#[test]
fn the_report_adds_up() -> Result<()> {
    let vm = program()?;
    let mut families = Families::new()?;
    let data = std::fs::read(example().join("files/data/movies.json"))?;
    families.files.insert("/data/movies.json".into(), data);
    let first = run(&vm, &mut families, r#"{"key":"secret"}"#)?;
    println!("{}", escjson::format(&first)?);
    assert_eq!(int(&first, &["imported"]), Some(3201));
    for (count, expected) in [
        ("all", 3201),
        ("dramas", 789),
        ("westernsByClause", 36),
        ("genreNull", 275),
        ("directorMissing", 1331),
        ("godfathers", 3),
    ] {
        assert_eq!(int(&first, &["counts", count]), Some(expected), "{count}");
    }
    assert_eq!(first.get("verified").and_then(Value::as_bool), Some(true));
    assert!(first.get("posted").is_some_and(Value::is_null));
    assert!(families.files.contains_key("/reports/movies.json"));
    assert!(families.files.contains_key("/reports/movies.md"));

    // Again: nothing is stored twice, and the report is the same.
    let second = run(&vm, &mut families, r#"{"key":"secret"}"#)?;
    assert_eq!(int(&second, &["imported"]), Some(0));
    assert_eq!(second.get("sha256"), first.get("sha256"));
    assert_eq!(second.get("counts"), first.get("counts"));

    // A server that cannot be reached is told, not raised.
    let third = run(&vm, &mut families, r#"{"url":"https://example.invalid/"}"#)?;
    let note = third.get("note").and_then(Value::as_str).unwrap_or("");
    assert!(note.starts_with("ERR_NETWORK"), "{note}");
    Ok(())
}
