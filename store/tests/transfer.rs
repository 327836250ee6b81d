//! Export and import in every format.

use std::io::BufReader;

use mix_store::transfer::{ExportOptions, Format, Held, ImportOptions, Records};
use mix_store::{Database, OpenOptions, SaveOptions, StoreError};
use mix_value::{Case, Ref, Value, escjson};

fn memory() -> Database {
    Database::in_memory(OpenOptions::default()).expect("in memory")
}

fn filled() -> Database {
    let db = memory();
    let special = Value::map([
        ("big", Value::Float(f64::NAN)),
        ("bytes", Value::binary(vec![0, 255])),
        ("looks", Value::from("{ref}like")),
        ("quoted", Value::from("{str}x")),
        (
            "link",
            Value::Ref(Ref::new("aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF").expect("ref")),
        ),
        (
            "due",
            Value::Case(
                Case::new(
                    "calendar.date",
                    Some(Value::map([("_rmx_index", Value::from("2024-03-01"))])),
                )
                .expect("a name"),
            ),
        ),
    ]);
    let saved = db
        .save(
            vec![special, Value::map([("n", Value::Int(1))])],
            &SaveOptions::default(),
        )
        .expect("saves");
    let id = saved[1].id().expect("id");
    let again = Value::map([("_rmx_id", Value::Ref(id.clone())), ("n", Value::Int(2))]);
    db.save(vec![again], &SaveOptions::default())
        .expect("saves");
    let gone = db.save(
        vec![Value::map([("n", Value::Int(3))])],
        &SaveOptions::default(),
    );
    db.delete(&[gone.expect("saves")[0].id().expect("id")], "x")
        .expect("deletes");
    db
}

fn export(db: &Database, options: &ExportOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let mut heard = 0;
    let count = db
        .export(&mut out, options, &mut |count| heard = count)
        .expect("exports");
    assert_eq!(count, heard);
    out
}

fn import(
    db: &Database,
    format: Format,
    bytes: &[u8],
    options: &ImportOptions,
) -> Result<u64, mix_store::StoreError> {
    let records = Records::new(format, Box::new(BufReader::new(bytes)))?;
    db.import(records, options, &mut |_| {})
}

fn contents(db: &Database, history: bool) -> Vec<Value> {
    let view = db.view().including(history, history);
    let rows = view.rows(0, usize::MAX).expect("rows");
    rows.iter()
        .map(|row| view.record(*row).expect("row").value().expect("value"))
        .collect()
}

const FORMATS: [Format; 3] = [Format::Jsonl, Format::Json, Format::Mp];

#[test]
fn records_come_back_in_every_format() {
    let db = filled();
    for format in FORMATS {
        for stream in [false, true] {
            let bytes = export(
                &db,
                &ExportOptions {
                    format,
                    ..ExportOptions::default()
                },
            );
            let other = memory();
            let options = ImportOptions {
                stream,
                ..ImportOptions::default()
            };
            assert_eq!(
                import(&other, format, &bytes, &options).expect("imports"),
                2
            );
            let bare = ExportOptions {
                bare: true,
                ..ExportOptions::default()
            };
            assert_eq!(
                String::from_utf8_lossy(&export(&other, &bare)),
                String::from_utf8_lossy(&export(&db, &bare)),
                "{format:?}"
            );
            // Ids are kept, revisions are new.
            let ids = |db: &Database| -> Vec<Value> {
                contents(db, false)
                    .iter()
                    .map(|record| record.get("_rmx_id").cloned().expect("id"))
                    .collect()
            };
            assert_eq!(ids(&other), ids(&db));
        }
    }
}

#[test]
fn an_exact_import_reproduces_history() {
    let db = filled();
    for format in FORMATS {
        let options = ExportOptions {
            format,
            history: true,
            deleted: true,
            ..ExportOptions::default()
        };
        let bytes = export(&db, &options);
        let folder = tempfile::tempdir().expect("scratch");
        let other = Database::open(folder.path(), OpenOptions::default()).expect("new");
        let exact = ImportOptions {
            exact: true,
            ..ImportOptions::default()
        };
        assert_eq!(import(&other, format, &bytes, &exact).expect("imports"), 5);
        assert_eq!(contents(&other, true), contents(&db, true));
        drop(other);
        assert_eq!(mix_store::check(folder.path()).expect("checks"), []);
        let other = Database::open(folder.path(), OpenOptions::default()).expect("opens");
        assert_eq!(contents(&other, true), contents(&db, true));
        let error = import(&other, format, &bytes, &exact).expect_err("not empty");
        assert_eq!(error.code(), "exists");
    }
    let text = String::from_utf8(export(
        &db,
        &ExportOptions {
            history: true,
            deleted: true,
            ..ExportOptions::default()
        },
    ))
    .expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let name = |line: &str, field: &str| {
        let record = escjson::parse(line).expect("a record");
        let name = record.get(field).and_then(Value::as_ref_value);
        name.expect("a name").as_str().to_owned()
    };
    let (id, rev) = (name(lines[0], "_rmx_id"), name(lines[1], "_rmx_rev"));
    let wrong = [
        (
            [lines[0], &lines[1].replace(&rev, &id)].join("\n"),
            "a revision that is an id",
        ),
        (
            [&lines[0].replace(&id, &rev), lines[1]].join("\n"),
            "an id that is a revision",
        ),
        (
            text.replace("\"n\":2", "\"n\":7"),
            "another content than its hash",
        ),
        ([lines[1], lines[1]].join("\n"), "one revision twice"),
        (
            [lines[2], lines[1]].join("\n"),
            "versions in the wrong order",
        ),
        (lines[1].replace("_rmx_rev", "rev"), "no revision"),
        ("{\"n\":1}".into(), "no engine-owned fields"),
    ];
    for (bytes, what) in wrong {
        let folder = tempfile::tempdir().expect("scratch");
        let other = Database::open(folder.path(), OpenOptions::default()).expect("new");
        let exact = ImportOptions {
            exact: true,
            ..ImportOptions::default()
        };
        let error = import(&other, Format::Jsonl, bytes.as_bytes(), &exact).expect_err(what);
        assert_eq!(error.code(), "bad_record", "{what}: {error}");
        assert_eq!(contents(&other, true).len(), 0, "{what}");
        other
            .save(
                vec![Value::map([("n", Value::Int(1))])],
                &SaveOptions::default(),
            )
            .expect("goes on");
    }
}

#[test]
fn a_bad_record_is_named_and_nothing_is_saved() {
    let mut lines: Vec<String> = (0..2500).map(|n| format!("{{\"n\":{n}}}")).collect();
    let cases = [
        ("{\"n\":", "bad_value", "line 1801"),
        ("[1]", "bad_record", "record 1800"),
        (
            "{\"a\":{\"_rmx_type\":\"{tag}ref\",\"_rmx_value\":\"p\"}}",
            "unresolved_ref",
            "record 1800",
        ),
    ];
    for (bad, code, place) in cases {
        lines[1800] = bad.into();
        let text = lines.join("\n");
        let db = memory();
        let error = import(
            &db,
            Format::Jsonl,
            text.as_bytes(),
            &ImportOptions::default(),
        )
        .expect_err(bad);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(place), "{error}");
        assert_eq!(db.view().bound(), 0, "{bad}");
        let stream = ImportOptions {
            stream: true,
            ..ImportOptions::default()
        };
        let error = import(&db, Format::Jsonl, text.as_bytes(), &stream).expect_err(bad);
        assert_eq!(error.code(), code);
        assert_eq!(db.view().bound(), 1000, "whole batches before the bad one");
    }
    for (format, bytes) in [
        (Format::Json, &b"{}"[..]),
        (Format::Json, b"[1,"),
        (Format::Json, b"\xff"),
        (Format::Jsonl, b"\xff\n"),
        (Format::Mp, b"\x80"),
        (Format::Mp, b"\x91"),
        (Format::Mp, b"\x91\x80\x80"),
        (Format::Mp, b""),
    ] {
        let db = memory();
        let error = import(&db, format, bytes, &ImportOptions::default()).expect_err("malformed");
        assert_eq!(error.code(), "bad_value", "{format:?} {bytes:?}");
    }
}

#[test]
fn what_is_nested_too_deeply_has_its_own_code() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    // In a record that is the first level.
    for (levels, fits) in [(127, true), (128, false), (129, false), (5_000, false)] {
        let line = format!("{{\"a\":{}}}\n", nested(levels));
        let list = format!("[{line}]");
        let packed = [&b"\x91\x81\xa1a"[..], &vec![0x91; levels], &[1]].concat();
        for (format, bytes) in [
            (Format::Jsonl, line.as_bytes()),
            (Format::Json, list.as_bytes()),
            (Format::Mp, &packed),
        ] {
            match import(&memory(), format, bytes, &ImportOptions::default()) {
                Ok(saved) => assert!(fits && saved == 1, "{format:?}, {levels} levels"),
                Err(error) => {
                    assert!(!fits, "{format:?}, {levels} levels: {error}");
                    assert_eq!(error.code(), "too_deep", "{format:?}, {levels} levels");
                    let said = error.to_string();
                    assert!(said.contains("nested deeper than 128 levels"), "{said}");
                }
            }
        }
    }
}

#[test]
fn a_mark_of_the_byte_order_is_no_text() {
    for (format, text) in [
        (Format::Jsonl, "\u{feff}{\"n\":1}\r\n{\"n\":2}\r\n"),
        (Format::Json, "\u{feff}[{\"n\":1},{\"n\":2}]"),
    ] {
        let db = memory();
        let saved = import(&db, format, text.as_bytes(), &ImportOptions::default());
        assert_eq!(saved.expect("imports"), 2, "{format:?}");
    }
    // Only at the beginning.
    let text = "{\"n\":1}\n\u{feff}{\"n\":2}\n";
    let error = import(
        &memory(),
        Format::Jsonl,
        text.as_bytes(),
        &ImportOptions::default(),
    );
    assert_eq!(error.expect_err("a mark inside").code(), "bad_value");
}

#[test]
fn query_results_are_exported_too() {
    let db = filled();
    let query = mix_store::query::Pipeline::parse("exists n | { n }").expect("parses");
    for (format, expected) in [
        (Format::Jsonl, "{\"n\":2}\n"),
        (Format::Json, "[\n{\"n\":2}\n]\n"),
    ] {
        let options = ExportOptions {
            format,
            query: Some(query.clone()),
            ..ExportOptions::default()
        };
        assert_eq!(String::from_utf8_lossy(&export(&db, &options)), expected);
    }
    assert!(
        escjson::parse("[\n\n]").is_ok(),
        "an empty export is a JSON array"
    );
}

#[test]
fn records_that_are_too_many_for_a_batch_are_imported_in_smaller_ones() -> Result<(), StoreError> {
    let folder = tempfile::tempdir().expect("scratch");
    let open = || Database::open(folder.path(), OpenOptions::default());
    let db = open()?;
    // 75 MB: more than one commit may have.
    let text = "x".repeat(15_000_000);
    let record =
        |number: i64| Value::map([("n", Value::Int(number)), ("text", Value::from(&*text))]);
    let records = || (0..5).map(record).collect::<Vec<Value>>();
    let error = db.save(records(), &SaveOptions::default());
    assert_eq!(error.expect_err("too large").code(), "too_large");
    let mut heard = Vec::new();
    let options = ImportOptions::default();
    let held = |records: Vec<Value>| Held::of(records.into_iter().map(Ok));
    let count = db.import_held(&held(records())?, &options, &mut |saved| heard.push(saved))?;
    assert_eq!((count, heard), (5, vec![2, 5]));
    // Content that is there already counts too.
    let changes = |stream: bool| -> Result<u64, StoreError> {
        let rows = db.view().rows(0, usize::MAX)?;
        let change = |row: &u32| -> Result<Value, StoreError> {
            let id = db.view().record(*row)?.id()?;
            Ok(Value::map([
                ("_rmx_id", Value::Ref(id)),
                ("more", Value::Bool(stream)),
            ]))
        };
        let changes: Vec<Value> = rows.iter().map(change).collect::<Result<_, _>>()?;
        let save = SaveOptions {
            upsert: true,
            ..SaveOptions::default()
        };
        let options = ImportOptions {
            save,
            stream,
            ..ImportOptions::default()
        };
        db.import_held(&held(changes)?, &options, &mut |_| {})
    };
    assert_eq!((changes(false)?, changes(true)?), (5, 5));
    // One that is too large by itself is named, and nothing is saved.
    let mut records = records();
    records.push(Value::map([("text", Value::from("x".repeat(17 << 20)))]));
    let error = db.import_held(&held(records)?, &options, &mut |_| {});
    let error = error.expect_err("too large");
    assert_eq!(error.code(), "too_large");
    assert!(error.to_string().starts_with("record 5:"), "{error}");
    drop(db);
    let db = open()?;
    assert_eq!(db.view().bound(), 15);
    let rows = db.view().rows(0, usize::MAX)?;
    for (number, row) in rows.iter().enumerate() {
        let record = db.view().record(*row)?.value()?;
        assert_eq!(record.get("n"), Some(&Value::Int(number as i64)));
        assert_eq!(record.get("text").and_then(Value::as_str), Some(&*text));
        assert_eq!(record.get("more"), Some(&Value::Bool(true)));
    }
    Ok(())
}

#[test]
fn a_record_that_another_batch_makes_too_large_is_found_before_anything_is_saved() {
    let id = |character: &str| Value::Ref(Ref::new(&character.repeat(32)).expect("ref"));
    let part = |character: &str, name: &str, size: usize| {
        Value::map([
            ("_rmx_id", id(character)),
            (name, Value::binary(vec![0; size])),
        ])
    };
    let others = || (0..1_500).map(|n| Value::map([("n", Value::Int(n))]));
    let attempt = |upsert: bool, second: &str| {
        let db = memory();
        let records = [part("a", "first", 9 << 20)].into_iter();
        let records = records
            .chain(others())
            .chain([part(second, "second", 9 << 20)]);
        let held = Held::of(records.map(Ok)).expect("held");
        let options = ImportOptions {
            save: SaveOptions {
                upsert,
                ..SaveOptions::default()
            },
            ..ImportOptions::default()
        };
        let done = db.import_held(&held, &options, &mut |_| ());
        (done, db.view().stat().expect("counts").rows)
    };
    let (together, rows) = attempt(true, "a");
    let error = together.expect_err("18 MiB");
    assert_eq!((error.code(), rows), ("too_large", 0));
    assert!(error.to_string().starts_with("record 1501:"), "{error}");
    // Put in its place, or beside it, it is small enough.
    assert_eq!(attempt(false, "a").1, 1_502);
    assert_eq!(attempt(true, "b").1, 1_502);
}
