//! Writes what fuzzing begins with: the blocks of the conformance files and the programs of the
//! benchmark, as sources and as executables; the files of a database; a request of every kind. usage: seeds FOLDER FILE…

// Instrumented code calls into the engine.
use libfuzzer_sys as _;
use mix_compiler::{CompileOptions, SourceFile, compile, compile_expression};
use mix_fuzz::files::Files;
use mix_http_api::{Facts, Head, Plan, Step, plan};
use mix_store::{Database, OpenOptions, SaveOptions};
use mix_value::{Value, escjson};
use std::path::Path;
use std::sync::Arc;
use std::{env, fs, io};

/// Longer ones make fuzzing slow.
const LONGEST: usize = 16_384;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "fuzz/corpus".to_owned());
    let folder = Path::new(&folder);
    for name in ["sources", "executables", "databases", "requests"] {
        fs::create_dir_all(folder.join(name))?;
    }
    let (mut sources, mut executables) = (0, 0);
    for file in arguments {
        let text = fs::read_to_string(&file)?;
        let blocks: Vec<&str> = match file.contains("conformance") {
            true => text.split("\n\n").collect(),
            false => vec![&text],
        };
        for block in blocks {
            // The expected results are no part of the language.
            let lines = block.lines().filter(|line| !line.starts_with(['#', '/']));
            let lines: Vec<&str> = lines
                .map(|line| line.split("  //= ").next().unwrap_or(line))
                .collect();
            let source = lines.join("\n");
            if source.trim().is_empty() || source.len() > LONGEST {
                continue;
            }
            fs::write(folder.join(format!("sources/{sources}")), &source)?;
            sources += 1;
            let options = CompileOptions::default();
            let whole = compile(&[SourceFile::new("seed.mix", source.as_str())], &options);
            let program = whole
                .program
                .or_else(|| compile_expression(&source, &[], &options).program);
            if let Some(program) = program {
                let executable = mix_bytecode::encode(&program);
                if executable.len() <= LONGEST {
                    fs::write(
                        folder.join(format!("executables/{executables}")),
                        executable,
                    )?;
                    executables += 1;
                }
            }
        }
    }
    let files = database().map_err(io::Error::other)?;
    for first in [0, 1] {
        fs::write(
            folder.join(format!("databases/{first}")),
            files.to_input(first),
        )?;
    }
    let requests = requests();
    for (number, request) in requests.iter().enumerate() {
        fs::write(folder.join(format!("requests/{number}")), request)?;
    }
    println!(
        "{sources} sources, {executables} executables, {} requests",
        requests.len()
    );
    Ok(())
}

/// A database with six rows in its data files and two in its log.
fn database() -> Result<Files, mix_store::StoreError> {
    let files = Files::default();
    let options = OpenOptions {
        name: Some("seed".into()),
        ..OpenOptions::default()
    };
    let db = Database::open_in(Arc::new(files.clone()), options)?;
    let parse = |text: &str| escjson::parse(text).unwrap_or_default();
    let saved = db.save(
        vec![
            parse(r#"{"a":"x","n":1,"list":[1,"y",{"q":2}]}"#),
            parse(r#"{"a":"xy","n":2.5,"deep":{"er":null}}"#),
            parse(r#"{"a":"z","t":"long","n":-1}"#),
            parse(r#"{"entity":"e"}"#),
        ],
        &SaveOptions::default(),
    )?;
    let mut changed = saved[0].value()?;
    if let Value::Map(map) = &mut changed {
        map.insert("next".into(), Value::Ref(saved[1].id()?));
    }
    db.save(vec![changed], &SaveOptions::default())?;
    db.delete(&[saved[2].id()?], "")?;
    db.set_flags(&[(1, true)], &[])?;
    db.flush()?;
    db.save(
        vec![parse(r#"{"a":"x"}"#), parse(r#"{"n":7}"#)],
        &SaveOptions::default(),
    )?;
    Ok(files)
}

/// A request of every kind that the description of the interface names.
fn requests() -> Vec<String> {
    let head = Head {
        method: "GET".to_owned(),
        target: "/v1/_doc/openapi.json".to_owned(),
        ..Head::default()
    };
    let Plan::Body(needs) = plan(&Arc::default(), head, &Facts::default()) else {
        return Vec::new();
    };
    let Step::Reply(reply) = needs.with_body(&[]) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&reply.body);
    let document = escjson::parse_plain(&text).unwrap_or_default();
    let paths = document.as_map().and_then(|map| map.get("paths")?.as_map());
    let of_path = |(path, item): (&Arc<str>, &Value)| {
        let target = path.replace('{', "").replace('}', "");
        let methods = item.as_map().into_iter().flatten();
        let request = |(method, _): (&Arc<str>, &Value)| {
            let method = method.to_uppercase();
            format!("\0{method} {target}?a=1\ncontent-type: application/json\n\n{{\"a\":1}}")
        };
        methods.map(request).collect::<Vec<_>>()
    };
    paths.into_iter().flatten().flat_map(of_path).collect()
}
