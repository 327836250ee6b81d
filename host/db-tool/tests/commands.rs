//! Every command on real files, through its arguments.

use std::fs;
use std::path::Path;

use clap::Parser;
use mix_db_tool::{DbArgs, Failure, Terminal, run};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    db: DbArgs,
}

/// Runs a command on the app folder `path`; gives what it printed.
fn db(path: &Path, args: &[&str]) -> Result<String, Failure> {
    db_on(path, args, Terminal::default())
}

fn db_on(path: &Path, args: &[&str], terminal: Terminal) -> Result<String, Failure> {
    let path = path.display().to_string();
    let all = ["db"].iter().chain(args).copied().chain(["--path", &path]);
    let cli = Cli::try_parse_from(all).unwrap_or_else(|error| panic!("{args:?}: {error}"));
    let mut out = Vec::new();
    run(cli.db, terminal, &mut out)?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

fn ok(path: &Path, args: &[&str]) -> String {
    db(path, args).unwrap_or_else(|failure| panic!("{args:?}: {failure}"))
}

/// A database of three people, one with two versions, and the ids.
fn people() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("scratch");
    let app = folder.path().join("app");
    let file = folder.path().join("people.json");
    fs::write(
        &file,
        r#"[{"name":"Ada","age":36,"entity":"person"},{"name":"Bo","age":22,"entity":"person"},{"name":"Cy","entity":"person"}]"#,
    )
    .expect("writes");
    let ids: Vec<String> = ok(&app, &["save", file.to_str().expect("path")])
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(ids.len(), 3);
    let upsert = format!(
        r#"{{"_rmx_id":{{"_rmx_type":"{{tag}}ref","_rmx_value":"{}"}},"age":23}}"#,
        ids[1]
    );
    fs::write(&file, upsert).expect("writes");
    assert_eq!(
        ok(&app, &["upsert", file.to_str().expect("path")]),
        format!("{}\n", ids[1])
    );
    (folder, ids)
}

#[test]
fn records_are_saved_read_and_deleted() {
    let (folder, ids) = people();
    let app = folder.path().join("app");
    let names = ok(&app, &["query", "age > 20 | orderAsc(age) | .name"]);
    assert_eq!(names, "\"Bo\"\n\"Ada\"\n");
    assert_eq!(
        ok(
            &app,
            &[
                "query",
                "name == $n | { name, age }",
                "--params",
                r#"{"n":"Bo"}"#
            ]
        ),
        "{\"age\":23,\"name\":\"Bo\"}\n"
    );
    let ast = ok(&app, &["parse", "name == \"Bo\" | { age }"]);
    assert_eq!(ok(&app, &["query", "--ast", ast.trim()]), "{\"age\":23}\n");
    assert_eq!(
        ok(&app, &["query", "name == \"Bo\" | { age }", "--as-of", "3"]),
        "{\"age\":22}\n"
    );
    // A day begins at midnight, and there was nothing yet.
    for early in ["2020-01-31", "2020-01-31T12:00:00Z", "0"] {
        assert_eq!(ok(&app, &["query", "count()", "--as-of", early]), "0\n");
    }
    for wrong in ["yesterday", "-1", "2020-13-01", "99999999999"] {
        let refused = db(&app, &["query", "", &format!("--as-of={wrong}")]);
        assert_eq!(refused.expect_err(wrong).code, 2, "{wrong}");
    }
    assert_eq!(
        ok(
            &app,
            &[
                "query",
                "name == \"Bo\" | { age }",
                "--history",
                "--skip",
                "1",
                "--limit",
                "5"
            ]
        ),
        "{\"age\":23}\n"
    );
    assert!(ok(&app, &["query", "name == \"Bo\"", "--explain"]).contains("\"ast\""));
    let plan = ok(&app, &["query", "exists name", "--explain", "--as-of", "1"]);
    assert!(plan.contains("\"rows\":1"), "{plan}");
    let text = ok(&app, &["parse", "--ast", ast.trim()]);
    assert_eq!(text, "name == \"Bo\" | { age }\n");
    let silent = db(&app, &["parse", "--ast", r#"["and",[]]"#]).expect_err("has no text");
    assert_eq!(silent.code, 1);
    for command in ["get", "history", "delete", "purge"] {
        let empty = db(&app, &[command, ""]).expect_err("is no id");
        assert!(empty.message.contains("expected_ref"), "{command}: {empty}");
        assert_eq!(empty.code, 1);
    }
    assert!(ok(&app, &["get", &ids[0]]).contains("\"Ada\""));
    let versions = ok(&app, &["history", &ids[1]]);
    let ages: Vec<bool> = versions
        .lines()
        .map(|line| line.contains("\"age\":22"))
        .collect();
    assert_eq!(ages, [true, false], "{versions}");
    let log = ok(&app, &["log"]);
    assert_eq!(log.lines().count(), 2, "{log}");
    ok(&app, &["flush"]);
    assert_eq!(ok(&app, &["log"]), "");
    let watermark = ok(&app, &["watermark"]);
    assert!(watermark.trim().ends_with(".4"), "{watermark}");
    assert_eq!(ok(&app, &["delete", &ids[2]]), format!("{}\n", ids[2]));
    let gone = db(&app, &["delete", &ids[2]]).expect_err("is gone");
    assert_eq!(gone.code, 1);
    assert!(gone.message.contains("not_found"), "{gone}");
    let gone = db(&app, &["get", &ids[2], "nosuch"]).expect_err("is gone");
    let said = format!("error not_found: nosuch; deleted: {}", ids[2]);
    assert_eq!((gone.code, gone.message), (1, said));
    assert!(ok(&app, &["stat"]).contains("\"live\":2"));
    assert_eq!(ok(&app, &["history", &ids[2]]).lines().count(), 2);
    assert_eq!(ok(&app, &["query", "count()", "--deleted"]), "3\n");
}

#[test]
fn results_are_printed_in_every_format() {
    let (folder, _) = people();
    let app = folder.path().join("app");
    let query = ["query", "orderAsc(name) | { name, age }", "--output"];
    let printed = |format| ok(&app, &[query[0], query[1], query[2], format]);
    assert_eq!(
        printed("jsonl"),
        "{\"age\":36,\"name\":\"Ada\"}\n{\"age\":23,\"name\":\"Bo\"}\n{\"name\":\"Cy\"}\n"
    );
    assert_eq!(
        printed("json"),
        "[\n{\"age\":36,\"name\":\"Ada\"},\n{\"age\":23,\"name\":\"Bo\"},\n{\"name\":\"Cy\"}\n]\n"
    );
    assert_eq!(printed("csv"), "age,name\n36,Ada\n23,Bo\n,Cy\n");
    let table = printed("table");
    assert!(table.contains("Ada") && table.contains("name"), "{table}");
    assert!(!table.contains('{'), "{table}");
    let terminal = Terminal {
        results: true,
        progress: false,
    };
    let shown = db_on(&app, &["query", "name == \"Ada\""], terminal).expect("prints");
    assert!(
        shown.contains("_rmx_id") && !shown.contains("_rmx_content_hash"),
        "{shown}"
    );
    let none = db_on(&app, &["query", "name == \"Zoe\""], terminal).expect("prints");
    assert_eq!(none, "(no results)\n");
    assert_eq!(
        ok(&app, &["query", "name == \"Zoe\"", "--output", "json"]),
        "[]\n"
    );
}

#[test]
fn an_export_into_what_is_no_file_leaves_it_what_it_is() {
    use std::os::unix::fs::FileTypeExt;
    let (folder, _) = people();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let reading = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).expect("reads")
    });
    let name = pipe.to_str().expect("path");
    ok(
        &folder.path().join("app"),
        &["export", name, "--format", "jsonl"],
    );
    let kind = std::fs::metadata(&pipe).expect("is there").file_type();
    assert!(kind.is_fifo());
    assert_eq!(reading.join().expect("ends").lines().count(), 3);
}

#[test]
fn files_are_exported_and_imported() {
    let (folder, _) = people();
    let app = folder.path().join("app");
    let bare = |app: &Path| ok(app, &["export", "--bare"]);
    for (ending, exact) in [
        ("jsonl", true),
        ("json", true),
        ("mp", true),
        ("csv", false),
    ] {
        let file = folder.path().join(format!("out.{ending}"));
        let file = file.to_str().expect("path");
        let other = folder.path().join(format!("other-{ending}"));
        ok(&app, &["export", file, "--history", "--deleted"]);
        if exact {
            assert_eq!(
                ok(&other, &["import", file, "--exact"]),
                "4 records imported\n"
            );
            assert_eq!(
                ok(&other, &["export", "--history", "--deleted"]),
                ok(&app, &["export", "--history", "--deleted"]),
                "{ending}"
            );
        } else {
            ok(&app, &["export", file, "--bare"]);
            assert_eq!(ok(&other, &["import", file]), "3 records imported\n");
        }
        assert_eq!(bare(&other), bare(&app), "{ending}");
        assert_eq!(ok(&other, &["check"]), "");
    }
    let image = folder.path().join("image");
    let image = image.to_str().expect("path");
    ok(&app, &["export", image, "--format", "image"]);
    let other = folder.path().join("other-image");
    assert_eq!(ok(&other, &["import", image]), "4 rows imported\n");
    assert_eq!(
        ok(&other, &["export", "--history"]),
        ok(&app, &["export", "--history"])
    );
    let bad = folder.path().join("bad.jsonl");
    fs::write(&bad, "{\"a\":1}\n{\"a\":\n").expect("writes");
    let fresh = folder.path().join("fresh");
    let failure = db(&fresh, &["import", bad.to_str().expect("path")]).expect_err("malformed");
    assert!(failure.message.contains("line 2"), "{failure}");
    assert!(!fresh.exists(), "nothing is left behind");
    let unknown = db(&fresh, &["import", "records.xyz"]).expect_err("what is it");
    assert_eq!(unknown.code, 2);
    let missing = db(&fresh, &["import", "missing.jsonl"]).expect_err("not there");
    assert_eq!(missing.code, 3);
    let nowhere = folder.path().join("nowhere/out.csv").display().to_string();
    let failure = db(&app, &["export", &nowhere]).expect_err("no such folder");
    assert_eq!(failure.code, 3);
    assert!(
        failure.message.starts_with(&format!("error: {nowhere}: ")),
        "{failure}"
    );
}

#[test]
fn databases_are_maintained() {
    let (folder, ids) = people();
    let app = folder.path().join("app");
    let compacted = ok(&app, &["compact"]);
    assert!(compacted.contains("\"rows_after\":3"), "{compacted}");
    assert!(compacted.contains("\"rows_before\":4"), "{compacted}");
    assert_eq!(ok(&app, &["history", &ids[1]]).lines().count(), 1);
    ok(&app, &["delete", &ids[0]]);
    let pruned = ok(&app, &["prune", "--before", "2020-01-01"]);
    assert!(pruned.contains("\"rows_after\":4"), "{pruned}");
    let pruned = ok(&app, &["prune", "--before", "2999-01-01T00:00:00.000Z"]);
    assert!(pruned.contains("\"rows_after\":2"), "{pruned}");
    assert_eq!(
        db(&app, &["prune", "--before", "soon"])
            .expect_err("no time")
            .code,
        2
    );
    let slip = db(&app, &["purge", &ids[1], "xyz"]).expect_err("no such record");
    assert!(slip.message.contains("xyz"), "{slip}");
    assert!(
        ok(&app, &["get", &ids[1]]).contains("Bo"),
        "nothing was purged"
    );
    ok(&app, &["purge", &ids[1]]);
    assert_eq!(ok(&app, &["query", ".name"]), "\"Cy\"\n");
    ok(&app, &["reindex"]);
    assert_eq!(ok(&app, &["query", "name == \"Cy\" | .name"]), "\"Cy\"\n");
    assert_eq!(ok(&app, &["check"]), "");
    let copy = folder.path().join("copy");
    ok(&app, &["copy", "--out", copy.to_str().expect("path")]);
    assert_eq!(ok(&copy, &["watermark"]), ok(&app, &["watermark"]));
    assert_eq!(
        db(&app, &["copy", "--out", copy.to_str().expect("path")])
            .expect_err("is there")
            .code,
        1
    );

    ok(&app, &["flush"]);
    let dat = app.join("v2").join("db.dat");
    let mut bytes = fs::read(&dat).expect("reads");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&dat, &bytes).expect("writes");
    let found = db(&app, &["check"]).expect_err("findings");
    assert_eq!((found.code, found.message.as_str()), (1, ""));
    let fixed = folder.path().join("fixed");
    let report = ok(&app, &["fix", "--out", fixed.to_str().expect("path")]);
    assert!(report.starts_with("lost: db.dat row 0"), "{report}");
    assert!(report.ends_with("0 rows recovered\n"), "{report}");
    assert_eq!(ok(&fixed, &["check"]), "");
}

#[test]
fn a_database_in_use_is_left_alone() {
    let (folder, ids) = people();
    let app = folder.path().join("app");
    let holder = mix_store::Database::open(
        &app,
        mix_store::OpenOptions {
            program: "tester".into(),
            ..mix_store::OpenOptions::default()
        },
    )
    .expect("opens");
    let locked = db(&app, &["delete", &ids[0]]).expect_err("is locked");
    assert_eq!(locked.code, 5);
    assert!(locked.message.contains("tester (pid"), "{locked}");
    assert_eq!(
        db(&app, &["delete", &ids[0], "--wait", "300ms"])
            .expect_err("is locked")
            .code,
        5
    );
    // Reading needs no lock.
    assert!(ok(&app, &["stat"]).contains("\"live\":3"));
    assert_eq!(ok(&app, &["check"]), "");
    drop(holder);
    let refused = db(&app, &["delete", &ids[0], "--read-only"]).expect_err("read-only");
    assert_eq!(refused.code, 2);
    ok(&app, &["delete", &ids[0], "--no-lock"]);
    assert_eq!(
        db(&folder.path().join("nothing"), &["stat"])
            .expect_err("no database")
            .code,
        3
    );
    assert!(
        !folder.path().join("nothing").exists(),
        "nothing is created by looking"
    );
    assert_eq!(db(&app, &["query", "age >"]).expect_err("syntax").code, 1);
    let cli = Cli::try_parse_from(["db", "stat"]).expect("parses");
    assert_eq!(
        run(cli.db, Terminal::default(), &mut Vec::new())
            .expect_err("which")
            .code,
        2
    );
}

#[test]
fn an_app_is_found_in_its_workspace() {
    let (folder, _) = people();
    let root = folder.path().join("ws");
    fs::create_dir_all(root.join("local")).expect("creates");
    let file = folder.path().join("one.json");
    fs::write(&file, "{\"n\":1}").expect("writes");
    let args = |action: &[&str]| {
        let root = root.display().to_string();
        let all: Vec<String> = ["db"]
            .iter()
            .chain(action)
            .map(|arg| (*arg).to_owned())
            .chain(["--ws-dir".into(), root, "--app".into(), "my.app".into()])
            .collect();
        let cli = Cli::try_parse_from(all).expect("parses");
        let mut out = Vec::new();
        run(cli.db, Terminal::default(), &mut out).map(|()| String::from_utf8(out).expect("UTF-8"))
    };
    args(&["save", file.to_str().expect("path")]).expect("saves");
    assert!(
        root.join("local")
            .join("my%2Eapp")
            .join("v2")
            .join("db.dat")
            .exists()
    );
    assert_eq!(
        fs::read_to_string(root.join("local/my%2Eapp/v2/name.txt")).expect("name"),
        "my.app\n"
    );
    assert_eq!(args(&["query", ".n"]).expect("reads"), "1\n");
}

#[test]
fn what_cannot_be_saved_leaves_no_database_behind() {
    let folder = tempfile::tempdir().expect("scratch");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("writes");
        path.display().to_string()
    };
    let unresolved = r#"{"a":{"_rmx_type":"{tag}ref","_rmx_value":"p"}}"#;
    let lines = file("bad.jsonl", "{\"a\":1}\n{\"a\":\n");
    let late = file("late.jsonl", &format!("{{\"a\":1}}\n{unresolved}\n"));
    let list = file("bad.json", "[{\"a\":1},2]");
    let packed = file("bad.mp", "\u{2}");
    let table = file("bad.csv", "a,b\n1,2,3\n");
    let record = file("bad.txt", unresolved);
    let app = folder.path().join("app");
    for args in [
        vec!["import", &lines],
        vec!["import", &lines, "--exact"],
        vec!["import", &list],
        vec!["import", &list, "--stream"],
        vec!["import", &late],
        vec!["import", &late, "--exact"],
        vec!["import", &packed],
        vec!["import", &table],
        vec!["save", &list],
        vec!["save", &record],
    ] {
        // What is read first may be good when the rest is not yet looked at.
        let is_begun = args.contains(&"--stream");
        assert!(db(&app, &args).is_err(), "{args:?}");
        assert_eq!(app.exists(), is_begun, "{args:?}");
        if is_begun {
            fs::remove_dir_all(&app).expect("removes");
        }
    }
    let broken = file("broken.jsonl", "{\"a\":\n");
    assert!(db(&app, &["import", &broken, "--stream"]).is_err());
    assert!(!app.exists());
    // Into one that is there nothing is imported.
    let good = file("good.jsonl", "{\"a\":1}\n{\"a\":2}\n");
    assert_eq!(ok(&app, &["import", &good]), "2 records imported\n");
    assert!(db(&app, &["import", &late]).is_err());
    assert_eq!(ok(&app, &["query", "count()"]), "2\n");
}

#[test]
fn an_import_that_ends_in_the_middle_says_how_much_is_saved() {
    let folder = tempfile::tempdir().expect("scratch");
    let app = folder.path().join("app");
    let lines = "{\"a\":1}\n".repeat(2_500) + "{\"a\":\n";
    let file = folder.path().join("late.jsonl");
    fs::write(&file, lines).expect("writes");
    let file = file.to_str().expect("path");
    let failure = db(&app, &["import", file, "--stream"]).expect_err("a bad line");
    assert!(failure.message.contains("line 2501"), "{failure}");
    assert!(
        failure
            .message
            .ends_with("; 2000 records were saved before")
    );
    assert_eq!(ok(&app, &["query", "count()"]), "2000\n");
    let failure = db(&app, &["import", file]).expect_err("a bad line");
    assert!(!failure.message.contains("saved"), "{failure}");
    assert_eq!(ok(&app, &["query", "count()"]), "2000\n");
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = people();
    let app = folder.path().join("app");
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    assert_eq!((mode(&app), mode(&app.join("v2"))), (0o700, 0o700));
    assert_eq!(mode(&app.join("LOCK")), 0o600);
    let files = fs::read_dir(app.join("v2")).expect("a folder");
    for file in files {
        let path = file.expect("a name").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_query_that_names_undefined_has_a_tree() {
    let (folder, _) = people();
    let app = folder.path().join("app");
    for text in [
        "age == undefined",
        "age in [1,undefined,36]",
        "{ a: undefined ?? 1 }",
        "exists age | { a: age + undefined }",
    ] {
        let tree = ok(&app, &["parse", text]);
        assert!(tree.contains("{tag}undefined"), "{tree}");
        let query = ok(&app, &["query", text]);
        assert_eq!(ok(&app, &["query", "--ast", tree.trim()]), query, "{tree}");
        let plan = ok(&app, &["query", text, "--explain"]);
        assert!(plan.contains(tree.trim()), "{plan}");
    }
    assert_eq!(ok(&app, &["query", "age == undefined"]), "");
}

#[test]
fn what_is_wrong_with_the_input_is_said() {
    let folder = tempfile::tempdir().expect("scratch");
    let app = folder.path().join("app");
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("writes");
        path.display().to_string()
    };
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    let one = file("deep.json", deep.as_bytes());
    let lines = file("deep.jsonl", format!("{{}}\n{deep}\n").as_bytes());
    let bytes = file("bytes.json", b"{\"a\":\"\xff\"}");
    let map = file("map.json", b"{\"a\":1}");
    let twice = file("twice.json", b"[{\"a\":1},{\"a\":{\"b\":1,\"b\":2}}]");
    let twice_lines = file("twice.jsonl", b"{\"a\":1}\n{\"k\":1,\"k\":2}\n");
    let twice_cells = file("twice.csv", b"a,b\n1,2\n1,\"{\"\"k\"\":1,\"\"k\"\":2}\"\n");
    let twice_packed = file("twice.mp", b"\x91\x82\xa1k\x01\xa1k\x02");
    let cases: [(&[&str], u8, &str); 18] = [
        (
            &["save", &twice],
            1,
            "duplicate key \"b\" at offset 21 ([1].a)",
        ),
        (
            &["upsert", &twice_lines],
            1,
            "duplicate key \"k\" at offset 7 at line 2",
        ),
        (
            &["import", &twice],
            1,
            "error bad_value: duplicate key \"b\" at offset 21 ([1].a)",
        ),
        (
            &["import", &twice_lines],
            1,
            "error bad_value: duplicate key \"k\" at offset 7 at line 2",
        ),
        (
            &["import", &twice_lines, "--exact"],
            1,
            "error bad_value: duplicate key \"k\"",
        ),
        (
            &["import", &twice_cells],
            1,
            "error bad_value: line 3, \"b\": duplicate key \"k\"",
        ),
        (
            &["import", &twice_packed],
            1,
            "error bad_value: duplicate map key at byte 5 at record 0",
        ),
        (
            &["parse", "--ast", "[[\"param\",{\"a\":1,\"a\":2}]]"],
            2,
            "error: --ast: duplicate key \"a\"",
        ),
        (
            &["query", "a == $a", "--params", "{\"a\":1,\"a\":2}"],
            2,
            "error: --params: duplicate key \"a\"",
        ),
        (
            &["import", &map, "--format", "image", "--exact"],
            2,
            "error: an image is taken as it is",
        ),
        (
            &["--app", "b", "watermark"],
            2,
            "error: --path cannot be used with --app",
        ),
        (&["save", &one], 1, "error too_deep: "),
        (&["save", &lines], 1, "at line 2"),
        (&["import", &lines], 1, "error too_deep: "),
        (&["save", &bytes], 1, "error bad_value: "),
        (
            &["import", &map],
            1,
            "error bad_value: the file is no array of records",
        ),
        (
            &["save", &map, "--options", "Foo"],
            2,
            "error bad_option: unknown option \"Foo\": there are KeepOriginal",
        ),
        (
            &["parse", "--ast", "5"],
            1,
            "error query_type: a pipeline is an array of nodes",
        ),
    ];
    for (args, code, said) in cases {
        let failure = db(&app, args).expect_err("is refused");
        assert_eq!(failure.code, code, "{args:?}: {failure}");
        assert!(failure.message.contains(said), "{args:?}: {failure}");
        assert_eq!(failure.message.trim_end(), failure.message, "{args:?}");
    }
    assert!(!app.exists());
}

#[test]
fn cells_may_have_another_delimiter() {
    let folder = tempfile::tempdir().expect("scratch");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("writes");
        path.display().to_string()
    };
    let bare = |app: &Path| ok(app, &["export", "--bare"]);
    for (name, delimiter, content) in [
        ("semicolons.csv", ";", "a;b\r\n1,5;\"x;\"\"y\"\"\"\r\n"),
        ("tabs.csv", "tab", "a\tb\n1,5\t\"x;\"\"y\"\"\"\n"),
    ] {
        let app = folder.path().join(name.replace(".csv", ""));
        let file = file(name, content);
        ok(&app, &["import", &file, "--delimiter", delimiter]);
        assert_eq!(bare(&app), "{\"a\":\"1,5\",\"b\":\"x;\\\"y\\\"\"}\n");
    }
    let lines = file("lines.jsonl", "{}\n");
    let wrong = db(
        &folder.path().join("none"),
        &["import", &lines, "--delimiter", ";"],
    );
    let wrong = wrong.expect_err("no CSV");
    assert_eq!(wrong.code, 2);
    assert!(wrong.message.contains("for CSV"), "{wrong}");
}

#[test]
fn a_copy_that_did_not_end_is_begun_anew() {
    let (folder, _) = people();
    let (app, copy) = (folder.path().join("app"), folder.path().join("copy"));
    fs::create_dir_all(copy.join("v2.new")).expect("the beginning of one");
    let failure = db(&copy, &["stat"]).expect_err("half a copy");
    assert_eq!(failure.code, 5);
    assert!(failure.message.contains("begins it anew"), "{failure}");
    ok(&app, &["copy", "--out", copy.to_str().expect("path")]);
    let all = ["export", "--history", "--deleted"];
    assert_eq!(ok(&copy, &all), ok(&app, &all));
}
