//! One component of an app: built the same everywhere, looked into, and run as a command.

use mix_system_tests::{Server, mixer, repository, response_json, run_mixer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Copies a program of the tests into a folder and builds it there.
pub(crate) fn built(program: &str, folder: &Path, output: &str, more: &[&str]) -> PathBuf {
    let source = folder.join(program);
    std::fs::create_dir_all(&source).expect("a folder");
    let programs = repository().join("tests/system/programs").join(program);
    for entry in std::fs::read_dir(programs).expect("the program") {
        let entry = entry.expect("a source");
        std::fs::copy(entry.path(), source.join(entry.file_name())).expect("a copy");
    }
    let output = folder.join(output);
    let (source, target) = (source.display().to_string(), output.display().to_string());
    let done = run_mixer([&["build", &source, "-o", &target], more].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stderr, "", "it is built without complaints");
    output
}

#[test]
fn a_component_is_a_program_for_mixer_itself() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let write = |name: &str, value: &str| {
        let path = scratch.path().join(name);
        let text = format!("module tells\n  cell output = {value}\nmodule end\n");
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let at = |name: &str| scratch.path().join(name).display().to_string();
    let good = |arguments: &[&str]| {
        let done = run_mixer(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        done.stdout.trim().to_owned()
    };
    let (source, component) = (write("one.mix", "env.app"), at("one.wasm"));
    good(&["build", &source, "-o", &component]);
    assert_eq!(good(&["run", &component, "tells"]), "\"one\"");
    // One that embedding programs take is a program too, and several become one component.
    let (other, sync) = (write("other.mix", "2"), at("sync.wasm"));
    good(&["build", &other, "--sync", "-o", &sync]);
    assert_eq!(good(&["run", &sync, "tells"]), "2");
    let both = at("both.wasm");
    good(&["compose", &component, &sync, "-o", &both]);
    assert_eq!(good(&["run", &both, "tells"]), "2");
    let missing = run_mixer(["run", &both, "nobody"]);
    assert!(missing.stderr.contains("nobody"), "{}", missing.stderr);

    // A server runs it for its app, with the records and files of the app.
    let ws_dir = at("ws");
    good(&["install", &component, "--ws-dir", &ws_dir, "--app", "demo"]);
    let server = Server::mixer(Path::new(&ws_dir), &[]);
    let tells = || server.get("/run-agent/local/demo/tells");
    let (status, body) = tells();
    assert_eq!((status, response_json(&body)), (200, json!("demo")));
    // The one installed last counts, whatever form it has.
    good(&["install", &other, "--ws-dir", &ws_dir, "--app", "demo"]);
    let (status, body) = tells();
    assert_eq!((status, response_json(&body)), (200, json!(2)));
    drop(server);

    for (name, bytes, told) in [
        (
            "cut.wasm",
            &std::fs::read(&component).expect("the component")[..100_000],
            "damaged",
        ),
        ("none.wasm", &b"\0asm\x0d\0\x01\0"[..], "carries no program"),
        (
            "module.wasm",
            &b"\0asm\x01\0\0\0"[..],
            "no WebAssembly component",
        ),
    ] {
        std::fs::write(at(name), bytes).expect("written");
        let done = run_mixer(["run", &at(name), "tells"]);
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(
            done.stderr.contains(told) && done.stderr.contains(name),
            "{}",
            done.stderr
        );
    }
}

struct Ran {
    success: bool,
    stdout: String,
    stderr: String,
}

/// `wasmtime run` of a component as published.
fn command(component: &Path, flags: &[&str], arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new(mixer().with_file_name("stock-wasmtime"))
        .args(["run", "-S", "http"])
        .args(flags)
        .arg(component)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the stock host starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // Whoever does not read its input has left.
    let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    Ran {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn inspect(component: &Path) -> Value {
    let done = run_mixer(["inspect", "--json", &component.display().to_string()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    response_json(done.stdout.as_bytes())
}

#[test]
fn a_component_is_the_same_wherever_it_is_built_and_says_what_it_holds() {
    let (here, there) = (
        tempfile::tempdir().expect("a scratch folder"),
        tempfile::tempdir().expect("a scratch folder"),
    );
    let first = built("moment", here.path(), "app.wasm", &[]);
    let second = built("moment", there.path(), "other.wasm", &[]);
    let read = |path: &Path| std::fs::read(path).expect("the component");
    assert!(read(&first) == read(&second), "two builds differ");
    // However the folder is called and its path is written.
    let renamed = there.path().join("renamed");
    std::fs::rename(there.path().join("moment"), &renamed).expect("renamed");
    for (place, path) in [
        (&renamed, "."),
        (&renamed, "../renamed/"),
        (&there.path().to_owned(), "./renamed/../renamed"),
    ] {
        let third = there.path().join("third.wasm");
        let done = Command::new(mixer())
            .current_dir(place)
            .args(["build", path, "--app", "moment", "-o"])
            .arg(&third)
            .output()
            .expect("mixer starts");
        assert!(done.status.success(), "{done:?}");
        assert!(read(&first) == read(&third), "{path}: two builds differ");
    }

    let about = inspect(&first);
    assert_eq!(about["app"], "moment");
    assert_eq!(about["preinitialized"], true);
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|one| one["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&about["agents"]), ["fails", "moment"]);
    assert_eq!(about["agents"][1]["params"][0]["name"], "p");
    // What no agent uses is left out, and what it would ask for with it.
    assert_eq!(names(&about["families"]), ["core", "crypto", "files", "db"]);
    let asks: Vec<&String> = about["asksFor"]
        .as_object()
        .expect("a map")
        .keys()
        .collect();
    assert!(asks.iter().any(|ask| ask.contains("folders")), "{asks:?}");
    assert!(!asks.iter().any(|ask| ask.contains("HTTP")), "{asks:?}");
    let size = about["size"].as_u64().expect("a number");
    assert_eq!(size, read(&first).len() as u64);
    let parts = about["parts"].as_array().expect("a list").iter();
    let sum: u64 = parts.map(|part| part[1].as_u64().expect("bytes")).sum();
    assert!(sum < size && sum * 10 > size * 9, "{sum} of {size}");

    let text = run_mixer(["inspect", &first.display().to_string()]);
    assert_eq!(text.code, 0, "{}", text.stderr);
    for part in [
        "app moment",
        "moment(p?: data)",
        "crypto 0.1.0",
        "folders that the host opens",
        "KiB",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    let source = here.path().join("moment/moment.mix").display().to_string();
    let none = run_mixer(["inspect", &source]);
    assert_eq!(none.code, 1);
    assert!(
        none.stderr.contains("no WebAssembly component"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_component_is_a_command() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let component = built("moment", folder.path(), "app.wasm", &[]);
    let run = |flags: &[&str], arguments: &[&str], input: &str| {
        command(&component, flags, arguments, input)
    };
    let output = |ran: &Ran| {
        assert!(ran.success, "{}", ran.stderr);
        response_json(ran.stdout.as_bytes())
    };
    let arguments = ["moment", "--params", r#"{"name":"ada"}"#];
    let first = output(&run(
        &["--env", r#"MIXER_ENV={"stage":"one"}"#],
        &arguments,
        "",
    ));
    let second = output(&run(
        &["--env", r#"MIXER_ENV={"stage":"two"}"#],
        &["moment", "--params", "-"],
        r#"{"name":"1"}"#,
    ));
    assert_eq!(
        (&first["stage"], &second["stage"]),
        (&json!("one"), &json!("two"))
    );
    assert_eq!(
        (&first["word"], &second["word"]),
        (&json!(true), &json!(false))
    );
    // The program was loaded when it was built; what is random is drawn when it runs.
    for drawn in ["drawn", "guessed"] {
        assert_ne!(first[drawn], second[drawn], "{drawn}");
    }
    assert!(
        first["year"].as_i64().is_some_and(|year| year >= 2025),
        "{first}"
    );

    for (arguments, part) in [
        (&["fails"][..], "RT_FAIL"),
        (&["nobody"], "no_such_agent"),
        (&["moment", "--params", "{"], "bad_value"),
        (&["moment", "--params", "[]"], "must be an object"),
        (&["moment", "--speed", "1"], "unknown option --speed"),
        (&[], "usage:"),
    ] {
        let ran = run(&[], arguments, "");
        assert!(
            !ran.success && ran.stdout.is_empty(),
            "{arguments:?}: {}",
            ran.stdout
        );
        assert!(ran.stderr.contains(part), "{arguments:?}: {}", ran.stderr);
    }
    let failed = run(&[], &["fails"], "");
    assert!(
        failed.stderr.contains("at fails.inner:"),
        "{}",
        failed.stderr
    );
    let help = run(&[], &["--help"], "");
    assert!(
        help.success && help.stdout.contains("agents: fails, moment"),
        "{}",
        help.stdout
    );
}

#[test]
fn a_component_may_be_native_code() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let native = built("moment", folder.path(), "app.cwasm", &[]);
    let ran = command(
        &native,
        &["--allow-precompiled"],
        &["moment", "--params", r#"{"name":"x"}"#],
        "",
    );
    assert!(ran.success, "{}", ran.stderr);
    assert_eq!(response_json(ran.stdout.as_bytes())["word"], true);
    let none = run_mixer(["inspect", &native.display().to_string()]);
    assert_eq!(none.code, 1);
    assert!(none.stderr.contains("precompiled"), "{}", none.stderr);
}

#[test]
fn a_program_in_rust_embeds_an_app_with_a_family_of_its_own() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let app = repository()
        .join("examples/embed/app")
        .display()
        .to_string();
    let component = folder.path().join("shop.wasm").display().to_string();
    let done = run_mixer(["build", &app, "--open-family", "-o", &component]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let ran = Command::new(mixer().with_file_name("embed-shop"))
        .current_dir(folder.path())
        .output()
        .expect("the example was built");
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    let mut lines = told.lines().map(|line| response_json(line.as_bytes()));
    assert_eq!(
        lines.next(),
        Some(json!({"item": "apples", "left": 2, "order": true}))
    );
    // Then the answers of a session, to the end of its last message.
    let answers: Vec<Value> = lines.collect();
    let count = answers.iter().rev().find(|one| one["cell"] == "count");
    assert_eq!(count.map(|one| &one["value"]), Some(&json!(2)), "{told}");
    let last = answers.last().map(|one| &one["type"]);
    assert_eq!(last, Some(&json!("done")), "{told}");
}

#[test]
fn what_does_not_fit_is_told_when_it_is_built() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let target = folder.path().join("x.wasm").display().to_string();
    let source = repository()
        .join("tests/system/programs/missing.mix")
        .display()
        .to_string();
    let done = run_mixer(["build", &source, "-o", &target]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("$nobody_has_this"), "{}", done.stderr);
    let program = folder.path().join("x.mixexe").display().to_string();
    let done = run_mixer(["build", &source, "-o", &program, "--precompile"]);
    assert_eq!(done.code, 2);
    assert!(!Path::new(&target).exists() && !Path::new(&program).exists());
}
