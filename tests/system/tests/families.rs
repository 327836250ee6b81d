//! The families `secrets`, `wasm`, `files` in memory, recorded `http`, and databases beside that
//! of the own app, through `mixer run`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use mix_system_tests::{
    Finished, Server, components, repository, response_json, run_mixer, run_mixer_with,
    stock_server,
};
use serde_json::{Value, json};

fn program(name: &str) -> String {
    let folder = repository().join("tests/system/programs/families");
    folder.join(name).display().to_string()
}

/// Runs an agent with parameters and further arguments.
fn agent(file: &str, agent: &str, params: &Value, more: &[&str]) -> Finished {
    let (file, params) = (program(file), params.to_string());
    let first = ["run", &file, agent, "--params", &params];
    run_mixer(first.into_iter().chain(more.iter().copied()))
}

#[track_caller]
fn output(done: &Finished) -> Value {
    assert_eq!(done.code, 0, "{}", done.stderr);
    response_json(done.stdout.as_bytes())
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
fn server() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let count = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let body = format!("{} {path}", counted.fetch_add(1, Ordering::SeqCst));
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (url, count)
}

#[test]
fn recorded_requests_are_replayed_without_a_network() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let tape = folder.path().join("tape.jsonl").display().to_string();
    let (url, count) = server();
    let params = json!({"url": url});
    let record = ["--dangerous-http-mode", "--record", &tape];
    let first = output(&agent("http.mix", "asks", &params, &record));
    let requests = count.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(requests, 3);
    let text = std::fs::read_to_string(&tape).expect("a tape");
    assert_eq!(text.lines().count(), 3);
    assert!(!text.contains("hush-hush"), "a credential is on the tape");
    let again = output(&agent("http.mix", "asks", &params, &["--replay", &tape]));
    assert_eq!(again, first);
    assert_eq!(
        count.load(std::sync::atomic::Ordering::SeqCst),
        requests,
        "nothing is sent"
    );
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
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let size: usize = path
                .rsplit('/')
                .next()
                .and_then(|size| size.parse().ok())
                .unwrap_or(0);
            let length = head.split("content-length: ").nth(1);
            let length = length
                .and_then(|rest| rest.lines().next()?.parse().ok())
                .unwrap_or(0);
            let mut got = 0;
            let mut buffer = vec![0; 1 << 16];
            while got < length {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => got += read,
                }
            }
            let (kind, body, promised) = match path.split('/').nth(1) {
                Some("binary") => ("image/png", vec![0xfe; size], size),
                Some("text") => ("text/plain", vec![b'x'; size], size),
                Some("broken") => ("image/png", vec![0; size / 2], size),
                Some("count") => (
                    "text/plain",
                    got.to_string().into_bytes(),
                    got.to_string().len(),
                ),
                _ => ("text/plain", head.clone().into_bytes(), head.len()),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {promised}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(&body);
        }
    });
    url
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
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let path = text.split(' ').nth(1).unwrap_or_default();
            let answer = answers.iter().find(|(of, _)| *of == path);
            let _ = match answer {
                Some((_, answer)) => stream.write_all(answer),
                None => write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n{text}"
                ),
            };
        }
    });
    url
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
            Err("ERR_NETWORK: the host does not speak HTTP"),
        ),
        (
            "GET",
            "/none",
            Err("ERR_NETWORK: the host does not speak HTTP"),
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

#[test]
fn databases_of_other_apps_are_those_of_the_workspace() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let ws_dir = folder.path().display().to_string();
    let others = |app: &str, params: Value| {
        let arguments = ["--ws-dir", &ws_dir, "--app", app];
        agent("databases.mix", "others", &params, &arguments)
    };
    let save = json!({"app": "shop", "save": {"n": 7}});
    let refused = |done: Finished| {
        assert_eq!(done.code, 1, "{}", done.stdout);
        assert!(
            done.stderr.contains("ERR_DB") && done.stderr.contains("no_such_db"),
            "{}",
            done.stderr
        );
    };
    refused(others("front", save.clone()));
    assert!(!folder.path().join("local/shop").exists());
    // The app itself, and then another one.
    assert_eq!(output(&others("shop", save.clone())), json!(7));
    assert_eq!(output(&others("front", save)), json!(7));
    assert_eq!(
        output(&others("front", json!({"app": "shop"}))),
        json!([7, 7])
    );
    assert_eq!(output(&others("front", json!({"app": "front"}))), json!([]));
    refused(others("front", json!({"app": "_rmx_secrets"})));
    refused(others("front", json!({"app": "../shop"})));
}

/// A server that has an app `shop` with nothing in it.
fn shop(folder: &Path) -> Server {
    let server = Server::mixer(folder, &[]);
    for (path, body) in [
        ("/v1/ws", r#"{"name":"local"}"#),
        ("/v1/ws/local/app/shop", "{}"),
    ] {
        let made = server.send("POST", path, &[], Some(("application/json", body)));
        assert_eq!(made.status, 201, "{path}");
    }
    server
}

#[test]
fn databases_of_other_servers_are_asked_over_http() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = shop(folder.path());
    let params = json!({"url": format!("{}/v1/ws/local", server.base()), "app": "shop"});
    let open = ["--dangerous-http-mode"];
    let done = agent("databases.mix", "remote", &params, &open);
    assert_eq!(
        output(&done),
        json!({
            "refs": true,
            "one": [1, "t"],
            // One of the records is what the app says of itself.
            "before": 4,
            "changed": [1, true],
            "gone": 2,
            "absent": [null, {}],
            "then": [2, false, 3],
            "filtered": [3],
            "text": [3, 1],
            "versions": 6,
            "last": true,
            "many": [true, false],
            "direct": 3,
        })
    );
    let refused = output(&agent("databases.mix", "refused", &params, &open));
    for (answer, why) in [
        (0, "no such database"),
        (1, "colour"),
        (2, "changes"),
        // What the server says, with its code.
        (3, "unknown_opcode: "),
        (3, "(status 400)"),
    ] {
        let text = refused[answer]["_rmx_value"].as_str().unwrap_or_default();
        assert!(
            text.starts_with("ERR_DB: ") && text.contains(why),
            "{refused}"
        );
    }
}

#[test]
fn files_of_apps_of_other_servers_are_reached_over_http() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = shop(folder.path());
    let url = format!("{}/v1/ws/local", server.base());
    let at = |app: &str| json!({"url": url, "app": app, "token": null});
    let open = ["--dangerous-http-mode"];
    assert_eq!(
        output(&agent("files.mix", "remote", &at("shop"), &open)),
        json!({
            "made": ["shop", "/a/first note.txt", 5],
            "known": true,
            "read": "hello",
            "listed": ["/a/first note.txt", "/a/second.txt"],
            "none": [],
            "taken": {"error": "ERR_EXISTS: the target exists"},
            "renamed": "/b.txt",
            "fetched": "/here.txt",
            "sent": "shop",
            "promised": ["client", 1],
            "deleted": null,
            "gone": {"error": "ERR_NOT_FOUND: no such file"},
            "folder": {"error": "ERR_RANGE: a file is expected, not a folder: \"/a/\""},
            "outside": {"error": "ERR_RANGE: not a path of a file, `.` and `..` are not allowed"},
        })
    );
    let refused = |params: &Value, more: &[&str]| {
        let answer = output(&agent("files.mix", "remoteRefused", params, more));
        answer["_rmx_value"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(refused(&at("none"), &open), "ERR_NOT_FOUND: no such app");
    // Without the switch only public addresses are reached.
    let blocked = refused(&at("shop"), &[]);
    assert!(blocked.starts_with("ERR_URL_BLOCKED: "), "{blocked}");
    let shown = json!({"url": url, "app": "shop", "token": "none"});
    let stranger = refused(&shown, &open);
    assert!(stranger.starts_with("ERR_PERMISSION: "), "{stranger}");
}

/// Answers each request by the name of its app: a status and a body, or page after page without end.
fn odd_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head);
            let (status, body) = match head.split('/').nth(2).unwrap_or_default() {
                "text" => (500, "no JSON".to_owned()),
                "list" => (500, "[1]".to_owned()),
                "flat" => (500, r#"{"error":"flat"}"#.to_owned()),
                "long" => (
                    404,
                    json!({"error": {"message": "x".repeat(5000)}}).to_string(),
                ),
                "empty" => (200, "[]".to_owned()),
                "pages" => {
                    let row = json!({"app": "a", "path": "/x", "kind": "persisted", "metadata": {}, "url": ""});
                    (200, json!(vec![row; 10_000]).to_string())
                }
                _ => (200, "{}".to_owned()),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Odd\r\nx-next: /x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

#[test]
fn a_server_of_files_may_say_what_it_likes() {
    let url = odd_server();
    let told = |agent_name: &str, app: &str| {
        let params = json!({"url": url, "app": app, "token": null});
        let open = ["--dangerous-http-mode"];
        output(&agent("files.mix", agent_name, &params, &open))["_rmx_value"].clone()
    };
    let status = "ERR_IO: the server answered with status 500";
    for app in ["text", "list", "flat"] {
        assert_eq!(told("remoteRefused", app), status, "{app}");
    }
    let long = told("remoteRefused", "long");
    let long = long.as_str().unwrap_or_default();
    assert!(
        long.starts_with("ERR_NOT_FOUND: xxx") && long.len() < 1_100,
        "{long}"
    );
    assert_eq!(told("remoteLists", "empty"), 0);
    let endless = told("remoteLists", "pages");
    let endless = endless.as_str().unwrap_or_default();
    assert!(endless.starts_with("ERR_TOO_LARGE: "), "{endless}");
    let wrong = told("remoteLists", "record");
    let wrong = wrong.as_str().unwrap_or_default();
    assert!(wrong.starts_with("ERR_EXPECTED_ARRAY: "), "{wrong}");
}

/// What agent `own` says of a main database on another server.
fn there_and_back() -> Value {
    let refused = |text: &str| json!({"_rmx_type": "{tag}case:error", "_rmx_value": format!("ERR_DB: {text}")});
    json!({
        "numbers": [1, 2, 4],
        "follows": 1,
        "text": 4,
        "read": [1, null, [true, false]],
        "changed": [3, true],
        "gone": [3, true, 1],
        "then": [3, false, 4],
        "past": refused("read_only: a database of the past cannot be written"),
        "changes": refused("a remote database tells of no changes"),
        // In the words of the server.
        "refused": refused("unresolved_ref: record 0: the temporary ref \"nobody\" names no record of the batch at .of (status 400)"),
        // By its name it is the one of this workspace.
        "own": 0,
    })
}

/// With variable `remoteDatabaseServer` the main database is that of the same app on another server.
#[test]
fn the_main_database_may_be_on_another_server() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = Server::mixer(folder.path(), &[]);
    for (path, body) in [
        ("/v1/ws", r#"{"name":"there"}"#),
        ("/v1/ws/there/app/shop", "{}"),
    ] {
        let made = server.send("POST", path, &[], Some(("application/json", body)));
        assert_eq!(made.status, 201, "{path}");
    }
    let here = tempfile::tempdir().expect("a scratch folder");
    let ws_dir = here.path().display().to_string();
    let base = format!("{}/v1/ws/there", server.base());
    let environment = json!({"remoteDatabaseServer": base}).to_string();
    let run = |app: &str, more: &[&str]| {
        let mut arguments = vec!["--ws-dir", &ws_dir, "--app", app];
        arguments.extend(more);
        // The first record there is what the app says of itself.
        let params = json!({"app": app, "then": 4});
        agent("databases.mix", "own", &params, &arguments)
    };
    let there = ["--env", &environment, "--dangerous-http-mode"];
    assert_eq!(output(&run("shop", &there)), there_and_back());
    let question = r#"{"query": "n == 4 | .n"}"#;
    let path = "/v1/ws/there/app/shop/query";
    let kept = server.send("POST", path, &[], Some(("application/json", question)));
    assert_eq!(response_json(&kept.body), json!([4]));
    // The rules about requests hold, and so does what the server says.
    for (app, more, code) in [
        ("shop", &there[..2], "ERR_URL_BLOCKED"),
        ("none", &there[..], "ERR_DB: no_such_db"),
    ] {
        let done = run(app, more);
        assert_eq!(done.code, 1, "{}", done.stdout);
        assert!(done.stderr.contains(code), "{}", done.stderr);
    }
}

/// So it is in a composed component under a stock host.
#[test]
fn the_main_database_of_a_component_may_be_on_another_server() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let there = Server::mixer(&folder.path().join("there"), &[]);
    for (path, body) in [
        ("/v1/ws", r#"{"name":"there"}"#),
        ("/v1/ws/there/app/shop", "{}"),
    ] {
        let made = there.send("POST", path, &[], Some(("application/json", body)));
        assert_eq!(made.status, 201, "{path}");
    }
    let ws_dir = folder.path().join("here");
    std::fs::create_dir(&ws_dir).expect("a writable folder");
    let log = std::fs::File::create(folder.path().join("log")).expect("a log");
    // Loaded beforehand, and loaded at the start.
    let (one, two) = (
        folder.path().join("one.wasm"),
        folder.path().join("two.wasm"),
    );
    let (databases, hash) = (program("databases.mix"), program("hash.mix"));
    for (out, programs) in [(&one, &[&databases][..]), (&two, &[&databases, &hash])] {
        let mut arguments = vec!["compose"];
        arguments.extend(programs.iter().map(|path| path.as_str()));
        let out = out.display().to_string();
        arguments.extend(["--app", "shop", "-o", &out]);
        let done = run_mixer(arguments);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let base = format!("{}/v1/ws/there", there.base());
    let environment = format!("MIXER_ENV={}", json!({"remoteDatabaseServer": base}));
    let variables = [&*environment, "MIXER_DANGEROUS_HTTP_MODE=true"];
    let run = "/v1/ws/local/app/shop/agent/own/run";
    for component in [&one, &two] {
        let server = stock_server(component, &ws_dir, &variables, &log);
        let (status, body) = server.post(run, r#"{"app":"shop","then":4}"#);
        let told = response_json(&body);
        assert_eq!(status, 200, "{told}");
        assert_eq!(told, there_and_back());
        let question = r#"{"query":"n == 4 | .n"}"#;
        let kept = there.post("/v1/ws/there/app/shop/query", question).1;
        assert_eq!(response_json(&kept), json!([4]));
        // The next one begins anew.
        let gone = there.send("DELETE", "/v1/ws/there/app/shop", &[], None);
        assert_eq!(gone.status, 204);
        there.post("/v1/ws/there/app/shop", "{}");
    }
    // The rules about requests hold.
    let server = stock_server(&one, &ws_dir, &variables[..1], &log);
    let (status, body) = server.post(run, r#"{"app":"shop","then":4}"#);
    let told = response_json(&body);
    assert_eq!(status, 500, "{told}");
    assert!(told.to_string().contains("ERR_URL_BLOCKED"), "{told}");
    // By its name it is the one of this workspace. Those of other apps are out of reach, as their files are.
    let others = |params: Value| {
        let path = "/v1/ws/local/app/shop/agent/others/run";
        let (_, body) = server.post(path, &params.to_string());
        response_json(&body)
    };
    assert_eq!(others(json!({"app": "shop", "save": {"n": 7}})), 7);
    assert_eq!(others(json!({"app": "shop"})), json!([7]));
    assert!(
        ws_dir.join("local/shop/v2").is_dir(),
        "nothing was saved here"
    );
    for params in [
        json!({"app": "other"}),
        json!({"app": "other", "save": {"n": 7}}),
    ] {
        let told = others(params);
        assert_eq!(told["error"]["details"]["code"], "ERR_PERMISSION", "{told}");
    }
    assert!(!ws_dir.join("local/other").exists());
}

/// A server may send a client anywhere; requests go over HTTP only.
#[test]
fn a_redirect_does_not_lead_to_files() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = match path.strip_prefix("/to/") {
                Some(target) => format!("302 Found\r\nlocation: {target}\r\ncontent-length: 0"),
                None => "200 OK\r\ncontent-length: 0".to_owned(),
            };
            let _ = write!(stream, "HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n");
        }
    });
    let targets = [
        "/end",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "FILE://localhost/etc/passwd",
        "data:text/plain,x",
        "ftp://127.0.0.1/x",
    ];
    let params = json!({"url": url, "targets": targets});
    let told = output(&agent(
        "http.mix",
        "follows",
        &params,
        &["--dangerous-http-mode"],
    ));
    let told = told.as_array().expect("an array").clone();
    assert_eq!(told[0], json!({"status": 200}), "{told:?}");
    for (target, told) in targets.iter().zip(&told).skip(1) {
        let error = told["error"].as_str().unwrap_or_default();
        assert_eq!(error, "ERR_URL_BLOCKED: scheme", "{target}: {told}");
    }
}
