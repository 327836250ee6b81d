//! The families `secrets`, `wasm`, `files` in memory, recorded `http`, and databases beside that
//! of the own app, through `mixer run`.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mix_system_tests::{
    Finished, components, composed, declared, loopback, output, repository, response_json,
    run_agent, run_mixer, run_mixer_with, stock_server,
};
use serde_json::{Value, json};

#[path = "families/other_servers.rs"]
mod other_servers;

fn program(name: &str) -> String {
    let folder = repository().join("tests/system/programs/families");
    folder.join(name).display().to_string()
}

/// Runs an agent with parameters and further arguments.
fn agent(file: &str, agent: &str, params: &Value, more: &[&str]) -> Finished {
    run_agent(&program(file), agent, params, more)
}

fn vault(ws_dir: &Path, user: &str, params: Value, more: &[&str]) -> Finished {
    let ws_dir = ws_dir.display().to_string();
    let arguments = ["--ws-dir", &ws_dir, "--app", "shop", "--user", user];
    let arguments: Vec<&str> = arguments.into_iter().chain(more.iter().copied()).collect();
    agent("secrets.mix", "vault", &params, &arguments)
}

#[test]
fn secrets_are_those_of_a_user_and_sealed() {
    let ws_dir = tempfile::tempdir().expect("a scratch folder");
    let vault = |user: &str, params: Value| output(&vault(ws_dir.path(), user, params, &[]));
    let hush = json!({"do": "set", "name": "mail key", "value": "hush-hush"});
    assert_eq!(vault("ada", hush), json!({"ok": "mail key"}));
    let get = json!({"do": "get", "name": "mail key"});
    assert_eq!(vault("ada", get.clone()), json!({"ok": "hush-hush"}));
    assert_eq!(
        vault("ada", json!({"do": "list"})),
        json!({"ok": ["mail key"]})
    );
    let not_found = |value: Value| {
        let text = value["error"].as_str().unwrap_or_default().to_owned();
        assert!(text.starts_with("ERR_NOT_FOUND: "), "{value}");
    };
    not_found(vault("bob", get.clone()));
    let refused = vault("anonymous", get.clone());
    let text = refused["error"].as_str().unwrap_or_default();
    assert!(text.starts_with("ERR_PERMISSION: "), "{refused}");
    let tokens = vault("ada", json!({"do": "token"}));
    assert_eq!(tokens[1], "");
    not_found(tokens[0].clone());
    // Nothing below the workspace holds the value or the name in clear.
    let mut open = vec![ws_dir.path().to_owned()];
    let mut files = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a readable folder");
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if !path.to_string_lossy().contains("/code/") {
            files += 1;
            let bytes = std::fs::read(&path).expect("a readable file");
            let text = String::from_utf8_lossy(&bytes);
            assert!(
                !text.contains("hush-hush") && !text.contains("mail key"),
                "{path:?}"
            );
        }
    }
    assert!(files >= 3, "key, user key and secret are files");
    assert_eq!(
        vault("ada", json!({"do": "delete", "name": "mail key"})),
        json!({"ok": "mail key"})
    );
    not_found(vault("ada", get));
}

#[test]
fn the_key_of_secrets_comes_from_where_the_operator_keeps_it() {
    let ws_dir = tempfile::tempdir().expect("a scratch folder");
    let file = ws_dir.path().join("key.txt");
    let key = "0123456789abcdef".repeat(4);
    std::fs::write(&file, &key).expect("a key file");
    let from_file = format!("file:{}", file.display());
    let from_command = format!("command:cat '{}'", file.display());
    let set = json!({"do": "set", "name": "a", "value": "one"});
    let get = json!({"do": "get", "name": "a"});
    let done = vault(ws_dir.path(), "ada", set, &["--secrets-key", &from_file]);
    assert_eq!(output(&done), json!({"ok": "a"}));
    let done = vault(
        ws_dir.path(),
        "ada",
        get.clone(),
        &["--secrets-key", &from_command],
    );
    assert_eq!(output(&done), json!({"ok": "one"}));
    // From a variable, which the commands of the program name.
    let params = get.to_string();
    let folder = ws_dir.path().display().to_string();
    let done = run_mixer_with(
        &[("MIX_TEST_KEY", &key)],
        [
            "run",
            &program("secrets.mix"),
            "vault",
            "--ws-dir",
            &folder,
            "--app",
            "shop",
            "--user",
            "ada",
            "--params",
            &params,
            "--secrets-key",
            "env:MIX_TEST_KEY",
        ],
    );
    assert_eq!(output(&done), json!({"ok": "one"}));
    // Another key, here that of the workspace itself, does not open it, and is named by its id only.
    let done = vault(ws_dir.path(), "ada", get.clone(), &[]);
    let text = output(&done)["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        text.starts_with("ERR_IO: ") && text.contains("another workspace key"),
        "{text}"
    );
    for (source, code) in [
        ("file:/nowhere", 3),
        ("env:MIX_NO_SUCH_KEY", 3),
        ("command:exit 1", 3),
        ("key", 2),
        ("command:echo x", 2),
    ] {
        let done = vault(
            ws_dir.path(),
            "ada",
            get.clone(),
            &["--secrets-key", source],
        );
        assert_eq!(done.code, code, "{source}: {}", done.stderr);
        assert!(!done.stderr.contains(&key));
    }
}

/// An EscJSON binary.
fn binary(bytes: &[u8]) -> Value {
    json!({"_rmx_type": "{tag}bin", "_rmx_value": base64(bytes)})
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for digit in 0..4 {
            match digit <= three.len() {
                true => text.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

#[test]
fn a_module_of_the_agent_is_called_and_cannot_harm() {
    let module = wat::parse_str(
        r#"(module
            (memory (export "memory") 1)
            (data (i32.const 8) "{\"ok\":")
            (func (export "mix_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "echo") (param $at i32) (param $size i32) (result i64)
                ;; Without the brackets of the list of arguments.
                (memory.copy (i32.const 14) (i32.add (local.get $at) (i32.const 1)) (i32.sub (local.get $size) (i32.const 2)))
                (i32.store8 (i32.add (i32.const 12) (local.get $size)) (i32.const 125))
                (i64.or (i64.shl (i64.const 8) (i64.const 32))
                    (i64.add (i64.const 5) (i64.extend_i32_u (local.get $size)))))
            (func (export "trap") (param i32 i32) (result i64) unreachable)
            (func (export "spin") (param i32 i32) (result i64) (loop (br 0)) (i64.const 0)))"#,
    )
    .expect("a module");
    let params = json!({"module": binary(&module)});
    let output = output(&agent(
        "wasm.mix",
        "calls",
        &params,
        &["--wasm-timeout", "1s"],
    ));
    assert_eq!(output["echo"], json!({"a": [1, 2.5, null], "b": "ü"}));
    assert_eq!(output["again"], "alive");
    for (member, code) in [
        ("trap", "ERR_WASM"),
        ("missing", "ERR_WASM"),
        ("spin", "ERR_TIMEOUT"),
        ("after", "ERR_WASM"),
    ] {
        let text = output[member].as_str().unwrap_or_default();
        assert!(text.starts_with(code), "{member}: {text}");
    }
    for bad in [&b""[..], b"\0asm", b"no module at all"] {
        let done = agent("wasm.mix", "calls", &json!({"module": binary(bad)}), &[]);
        assert_eq!(done.code, 1);
        assert!(done.stderr.contains("ERR_WASM"), "{}", done.stderr);
    }
}

#[test]
fn function_libraries_are_described_and_called() {
    let scratch = tempfile::tempdir().expect("a folder");
    let library = scratch.path().join("echo.wasm");
    // Answers with the list of its arguments.
    let module = wat::parse_str(
        r#"(module
            (@custom "mix-bindings" "/// Gives back what it gets.\necho : data -> data -> data -> array(data)\n")
            (memory (export "memory") 1)
            (data (i32.const 8) "{\"ok\":")
            (func (export "mix_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "echo") (param $at i32) (param $size i32) (result i64)
                (memory.copy (i32.const 14) (local.get $at) (local.get $size))
                (i32.store8 (i32.add (i32.const 14) (local.get $size)) (i32.const 125))
                (i64.or (i64.shl (i64.const 8) (i64.const 32))
                    (i64.add (i64.const 7) (i64.extend_i32_u (local.get $size))))))"#,
    )
    .expect("a module");
    std::fs::write(&library, &module).expect("written");
    let library = library.display().to_string();
    let wasm = |arguments: &[&str]| run_mixer([&["wasm"], arguments].concat());
    let done = wasm(&["manifest", &library]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        serde_json::from_str::<Value>(&done.stdout).expect("JSON"),
        json!({
            "name": "echo",
            "functions": [{ "name": "echo", "type": "data -> data -> data -> array(data)", "doc": "Gives back what it gets." }],
        })
    );
    let done = wasm(&["inspect", &library]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stdout
            .contains("echo : data -> data -> data -> array(data)")
    );
    let bytes = r#"{"_rmx_type":"{tag}bin","_rmx_value":"AQID"}"#;
    let done = wasm(&["call", &library, "echo", "-1", "\"ü\"", bytes]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout, format!("[-1,\"ü\",{bytes}]\n"));

    for (arguments, code, told) in [
        (vec!["call", &library, "other"], 1, "it has echo"),
        (vec!["call", &library, "echo", "{", "1", "2"], 2, "{"),
        (
            vec!["call", &library, "echo", "1"],
            2,
            "echo takes 3 arguments, not 1: echo : data -> data -> data -> array(data)",
        ),
        (vec!["inspect", "/none.wasm"], 3, "/none.wasm"),
    ] {
        let done = wasm(&arguments);
        assert_eq!(done.code, code, "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    let empty = scratch.path().join("empty.wasm");
    std::fs::write(&empty, wat::parse_str("(module)").expect("a module")).expect("written");
    let empty = empty.display().to_string();
    for command in ["manifest", "inspect"] {
        let done = wasm(&[command, &empty]);
        assert_eq!(done.code, 1);
        assert!(done.stderr.contains("`mix_alloc`"), "{}", done.stderr);
    }

    let project = scratch.path().join("sums");
    let project = project.display().to_string();
    assert_eq!(wasm(&["new", &project]).code, 0);
    let made = std::fs::read_to_string(format!("{project}/Cargo.toml")).expect("a project");
    assert!(made.contains("name = \"sums\""), "{made}");
    assert_eq!(wasm(&["new", &project]).code, 2, "it is there already");
    let bad = scratch.path().join("No-Name").display().to_string();
    assert_eq!(wasm(&["new", &bad]).code, 2);
    let none = wasm(&["build", &scratch.path().display().to_string()]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("Cargo.toml"), "{}", none.stderr);
}

#[test]
fn a_command_of_the_agent_is_run() {
    let module = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 100))
                (i32.store (i32.const 4) (i32.const 1000))
                (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
                (drop (call $sizes (i32.const 16) (i32.const 20)))
                ;; With an argument it fails.
                (if (i32.gt_u (i32.load (i32.const 16)) (i32.const 1)) (then (call $exit (i32.const 7))))))"#,
    )
    .expect("a module");
    let run = |args: Value| {
        let params = json!({"module": binary(&module), "stdin": "some input", "args": args});
        output(&agent("wasm.mix", "runs", &params, &[]))
    };
    assert_eq!(
        run(json!([])),
        json!({"out": "some input", "err": "some input"})
    );
    let failed = run(json!(["x"]));
    let text = failed["error"].as_str().unwrap_or_default();
    assert_eq!(text, "ERR_WASM: the program ended with code 7: some input");
}

#[test]
fn modules_that_nobody_shut_down_make_room_for_others() {
    // The instances of a host serve many runs, which all load something and forget it.
    let command = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
    let command = wat::parse_str(command).expect("a module");
    let params = json!({"module": binary(&command), "stdin": "", "args": []}).to_string();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let source = folder.path().join("shop");
    std::fs::create_dir(&source).expect("a writable folder");
    std::fs::copy(program("wasm.mix"), source.join("wasm.mix")).expect("a copy");
    let component = composed(&source, folder.path());
    let ws_dir = folder.path().join("ws");
    std::fs::create_dir(&ws_dir).expect("a writable folder");
    let log = std::fs::File::create(folder.path().join("log")).expect("a writable folder");
    let server = stock_server(&component, &ws_dir, &[], &log);
    for run in 0..100 {
        let (status, body) = server.post("/v1/ws/local/app/shop/agent/runs", &params);
        let body = String::from_utf8_lossy(&body);
        assert_eq!(
            (status, &*body),
            (200, r#"{"err":"","out":""}"#),
            "run {run}"
        );
    }
}

#[test]
fn families_beside_the_vm_are_replaced_too() {
    let component = |name: &str| components().join(name).display().to_string();
    let asks = |more: &[&str]| {
        let first = [
            "eval",
            "[crypto.md5(\"\") |> binary.toHex, number.toString(calendar.now() |> calendar.year) |> string.length]",
        ];
        run_mixer(first.into_iter().chain(more.iter().copied()))
    };
    let expected = json!(["d41d8cd98f00b204e9800998ecf8427e", 4]);
    assert_eq!(output(&asks(&[])), expected);
    // The families themselves, as components of somebody else.
    for family in ["core", "crypto"] {
        let other = format!(
            "{family}={}",
            component(&format!("mix_plugin_{family}.wasm"))
        );
        assert_eq!(output(&asks(&["--family", &other])), expected, "{family}");
    }
    // One without functions: what needs them does not link, the rest goes on.
    let empty = format!("crypto={}", component("mix_plugin_empty.wasm"));
    let done = asks(&["--family", &empty]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("ERR_FFI_MISSING") && done.stderr.contains("$crypto_md5"),
        "{}",
        done.stderr
    );
    let done = run_mixer([
        "eval",
        "calendar.now() |> calendar.year |> number.isInt",
        "--family",
        &empty,
    ]);
    assert_eq!(output(&done), json!(true));
    // One place, one component.
    let done = asks(&["--family", &empty, "--family", &empty]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("crypto is to be replaced twice"),
        "{}",
        done.stderr
    );
    // A component of another kind is named.
    let vm = format!("core={}", component("mix_vm_component.wasm"));
    let done = asks(&["--family", &vm]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("mix:ffi/family"), "{}", done.stderr);
}

#[test]
fn an_agent_that_nobody_has_is_not_found() {
    let call = "agent.call(agent.localAgent(\"nobody\"), null, {})";
    let told = output(&run_mixer(["eval", call]));
    let text = told["_rmx_value"].as_str().unwrap_or_default();
    assert!(text.starts_with("ERR_NOT_FOUND: "), "{told}");
}

#[test]
fn files_can_live_in_memory() {
    let ws_dir = tempfile::tempdir().expect("a scratch folder");
    let folder = ws_dir.path().display().to_string();
    let arguments = [
        "--ws-dir",
        &folder,
        "--app",
        "shop",
        "--family",
        "files=memory",
    ];
    let done = agent("files.mix", "note", &json!({}), &arguments);
    let expected = json!({"path": "/a/note.txt", "text": "hello", "all": ["/a/note.txt"]});
    assert_eq!(output(&done), expected);
    assert!(!ws_dir.path().join("local/shop/files/a").exists());
    let done = agent("files.mix", "note", &json!({}), &arguments[..4]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(ws_dir.path().join("local/shop/files/a/note.txt").exists());
    for (family, part) in [
        ("http=memory", "no form that lives in memory"),
        ("nothing=memory", "no family nothing"),
        ("files", "NAME=FILE"),
    ] {
        let done = agent("files.mix", "note", &json!({}), &["--family", family]);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
}

/// `mixer compose` of the files and sums programs with other families, into `out`.
fn compose(out: &Path, families: &[&str]) -> Finished {
    let (files, sums, out) = (
        program("files.mix"),
        program("hash.mix"),
        out.display().to_string(),
    );
    let first = ["compose", &files, &sums, "--app", "shop", "-o", &out];
    let families = families.iter().flat_map(|family| ["--family", family]);
    run_mixer(first.into_iter().chain(families))
}

#[test]
fn families_of_a_composed_component_are_replaced_too() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let out = folder.path().join("app.wasm");
    let component = |name: &str| components().join(name).display().to_string();
    let empty = format!("crypto={}", component("mix_plugin_empty.wasm"));
    let done = compose(&out, &["files=memory", &empty]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let ws_dir = folder.path().join("ws");
    std::fs::create_dir(&ws_dir).expect("a writable folder");
    let log = std::fs::File::create(folder.path().join("log")).expect("a writable folder");
    let server = stock_server(&out, &ws_dir, &[], &log);
    let run = |agent: &str| {
        let path = format!("/v1/ws/local/app/shop/agent/{agent}/run");
        let (status, body) = server.post(&path, r#"{"text":""}"#);
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    // What is kept in memory does not lie on the disk.
    let (status, body) = run("note");
    assert_eq!(status, 200, "{body}");
    assert_eq!(response_json(body.as_bytes())["text"], "hello");
    let left = std::fs::read_dir(&ws_dir).expect("the folder").count();
    assert_eq!(left, 0, "something was written");
    // What the replacement lacks does not link, and is named.
    let (status, body) = run("sums");
    assert_ne!(status, 200, "{body}");
    assert!(
        body.contains("missing_function") && body.contains("$crypto_md5"),
        "{body}"
    );

    let other = component("mix_vm_component.wasm");
    for (family, code, part) in [
        ("http=memory", 2, "no form that lives in memory"),
        ("files", 2, "NAME=FILE"),
        ("files=/nowhere.wasm", 3, "/nowhere.wasm"),
        (&format!("nothing={other}"), 1, "no family nothing"),
        (&format!("files={other}"), 1, "mix:ffi/family"),
    ] {
        let done = compose(&out, &[family]);
        assert_eq!(done.code, code, "{family}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{family}: {}", done.stderr);
    }
}

/// Answers with the number of the request and its path, and counts.
fn counting() -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let url = loopback::serve(move |head, stream| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let body = format!("{number} {}", loopback::path(head));
        loopback::respond(stream, "200 OK\r\ncontent-type: text/plain", &body);
    });
    (url, count)
}

#[test]
fn recorded_requests_are_replayed_without_a_network() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let tape = folder.path().join("tape.jsonl").display().to_string();
    let (url, count) = counting();
    let params = json!({"url": url});
    let record = ["--dangerous-http-mode", "--record", &tape];
    let first = output(&agent("http.mix", "asks", &params, &record));
    let requests = count.load(Ordering::SeqCst);
    assert_eq!(requests, 3);
    let text = std::fs::read_to_string(&tape).expect("a tape");
    assert_eq!(text.lines().count(), 3);
    assert!(!text.contains("hush-hush"), "a credential is on the tape");
    let again = output(&agent("http.mix", "asks", &params, &["--replay", &tape]));
    assert_eq!(again, first);
    assert_eq!(count.load(Ordering::SeqCst), requests, "nothing is sent");
    // So is what a component with a name of its own does in the place of the family.
    let other = folder.path().join("other.wasm");
    let family = std::fs::read(components().join("mix_plugin_http.wasm")).expect("the family");
    std::fs::write(&other, declared(&family, r#"{"name":"myhttp"}"#)).expect("a writable folder");
    let other = format!("http={}", other.display());
    let again = output(&agent(
        "http.mix",
        "asks",
        &params,
        &["--replay", &tape, "--family", &other],
    ));
    assert_eq!(again, first);
    assert_eq!(count.load(Ordering::SeqCst), requests, "nothing is sent");
    // Connections are not on a tape, and not made.
    let socket = url.replace("http://", "ws://");
    let done = agent(
        "http.mix",
        "connects",
        &json!({"url": socket}),
        &["--dangerous-http-mode", "--replay", &tape],
    );
    let text = output(&done).to_string();
    assert!(text.contains("ERR_UNSUPPORTED"), "{text}");
    assert_eq!(count.load(Ordering::SeqCst), requests, "nothing is sent");
    // Another request is not on the tape.
    let other = agent(
        "http.mix",
        "asks",
        &json!({"url": "https://example.com"}),
        &["--replay", &tape],
    );
    assert_eq!(other.code, 1);
    assert!(
        other.stderr.contains("ERR_NOT_FOUND") && other.stderr.contains("https://example.com/"),
        "{}",
        other.stderr
    );
    std::fs::write(&tape, "no tape").expect("a writable file");
    let done = agent("http.mix", "asks", &params, &["--replay", &tape]);
    assert_eq!(done.code, 3, "{}", done.stderr);
}

/// Serves bodies of the size that the path ends in, counts those that it gets, and shows heads.
fn bodies() -> String {
    loopback::serve(|head, stream| {
        let head = head.to_ascii_lowercase();
        let path = loopback::path(&head);
        let size = path.rsplit('/').next().and_then(|size| size.parse().ok());
        let size: usize = size.unwrap_or(0);
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
        let mut sent = stream.take(length.unwrap_or(0));
        let got = std::io::copy(&mut sent, &mut std::io::sink()).unwrap_or(0);
        let (kind, body, promised) = match path.split('/').nth(1) {
            Some("binary") => ("image/png", vec![0xfe; size], size),
            Some("text") => ("text/plain", vec![b'x'; size], size),
            Some("broken") => ("image/png", vec![0; size / 2], size),
            Some("count") => {
                let text = got.to_string();
                let length = text.len();
                ("text/plain", text.into_bytes(), length)
            }
            _ => ("text/plain", head.clone().into_bytes(), head.len()),
        };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {promised}\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all(&body);
    })
}

#[test]
fn bodies_go_out_and_come_in_in_pieces() {
    let size = 70 << 20;
    let pem = include_str!("../../../host/sandbox/src/outbound/testdata/client.pem");
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE KEY").expect("a key"));
    let params = json!({
        "url": bodies(),
        "size": size.to_string(),
        "megabytes": 20,
        "certificate": certificate,
        "key": key,
    });
    let done = agent("http.mix", "bodies", &params, &["--dangerous-http-mode"]);
    let mut answer = output(&done);
    let head = answer["certificate"].take();
    assert!(
        head.as_str()
            .is_some_and(|head| head.starts_with("get /head") && !head.contains("x-rmx")),
        "{head}"
    );
    let broken = answer["broken"].take();
    assert!(
        broken["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("ERR_NETWORK: ")),
        "{broken}"
    );
    let none = answer["none"].take();
    assert!(
        none["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("ERR_RANGE: ")),
        "{none}"
    );
    assert_eq!(
        answer,
        json!({
            "binary": {"status": 200, "size": size},
            "text": {"status": 200, "size": size},
            "sent": (20 << 20).to_string(),
            "broken": null,
            "certificate": null,
            "none": null,
        })
    );
    let limited = ["--dangerous-http-mode", "--http-response-limit", "60MiB"];
    let answer = output(&agent("http.mix", "bodies", &params, &limited));
    for body in ["binary", "text"] {
        let error = answer[body]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("ERR_TOO_LARGE: "), "{answer}");
    }
}

/// Answers as the path says, word for word, and closes the connection; `/head` shows what came.
fn says(answers: &'static [(&'static str, &'static [u8])]) -> String {
    loopback::serve(move |head, stream| {
        let text = head.to_ascii_lowercase();
        let path = loopback::path(&text);
        let answer = answers.iter().find(|(of, _)| *of == path);
        let _ = match answer {
            Some((_, answer)) => stream.write_all(answer),
            None => write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n{text}"
            ),
        };
    })
}

#[test]
fn odd_answers_are_understood_or_say_what_is_wrong() {
    let many = (0..300).map(|number| format!("x-{number}: y\r\n"));
    let many = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{}\r\nok",
        many.collect::<String>()
    );
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(2 << 20));
    let answers: Vec<(&str, &[u8])> = vec![
        ("/nothing", b""),
        (
            "/short",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        ),
        (
            "/cut",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        ),
        (
            "/garbage",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        ),
        ("/none", b"SSH-2.0-x\r\n\r\n"),
        (
            "/folded",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx: a\r\n b\r\n\r\nok",
        ),
        (
            "/marked",
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\xef\xbb\xbf{}",
        ),
        ("/many", many.leak().as_bytes()),
        ("/endless", endless.leak().as_bytes()),
    ];
    let url = says(answers.leak());
    let tries: [(&str, &str, std::result::Result<&str, &str>); 9] = [
        (
            "GET",
            "/nothing",
            Err("ERR_NETWORK: the connection broke off"),
        ),
        ("GET", "/short", Err("ERR_NETWORK: the response broke off")),
        ("GET", "/cut", Err("ERR_NETWORK: the response broke off")),
        (
            "GET",
            "/garbage",
            Err("ERR_NETWORK: the host does not speak HTTP, or broke the connection off"),
        ),
        (
            "GET",
            "/none",
            Err("ERR_NETWORK: the host does not speak HTTP, or broke the connection off"),
        ),
        ("GET", "/folded", Ok("ok")),
        ("GET", "/marked", Ok("{}")),
        ("GET", "/many", Ok("ok")),
        (
            "GET",
            "/endless",
            Err("ERR_TOO_LARGE: the response is too large"),
        ),
    ];
    let mut requests: Vec<[&str; 2]> = tries
        .iter()
        .map(|(method, path, _)| [*method, path])
        .collect();
    let shown = ["POST", "PUT", "DELETE", "GET"];
    requests.extend(shown.iter().map(|method| [*method, "/head"]));
    let params = json!({"url": url, "requests": requests});
    let done = output(&agent(
        "http.mix",
        "odd",
        &params,
        &["--dangerous-http-mode"],
    ));
    for (number, (_, path, expected)) in tries.iter().enumerate() {
        let found = match &done[number]["error"] {
            Value::String(error) => Err(error.as_str()),
            _ => Ok(done[number]["body"].as_str().unwrap_or_default()),
        };
        assert_eq!(found, *expected, "{path}");
    }
    for (method, answer) in shown
        .iter()
        .zip(&done.as_array().expect("a list")[tries.len()..])
    {
        let head = answer["body"].as_str().unwrap_or_default();
        let length = head.contains("content-length: 0");
        assert!(
            !head.contains("chunked") && length == (*method != "GET"),
            "{head}"
        );
    }
}
