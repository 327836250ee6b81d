//! The families `secrets`, `wasm`, `files` in memory, recorded `http`, and databases beside that
//! of the own app, through `mixer run`.

use mix_system_tests::{
    Finished, components, composed, output, repository, response_json, run_agent, run_mixer,
    run_mixer_with, stock_server,
};
use serde_json::{Value, json};
use std::path::Path;

#[path = "families/other_servers.rs"]
mod other_servers;
#[path = "families/recorded.rs"]
mod recorded;

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
