//! Packages and whole workspaces over HTTP and on the command line.

use mix_package::Packer;
use mix_system_tests::{Answer, Gate, Server, run_mixer};
use serde_json::{Value, json};
use std::io::Cursor;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[path = "packages/workspaces.rs"]
mod workspaces;

const OWNER: &str = "ada@example.com";
const STRANGER: &str = "eve@elsewhere.org";
const ADMIN: &str = "root@example.com";

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packer = Packer::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        packer.add(name, &mut &content[..]).expect("packed");
    }
    packer.finish().expect("packed").into_inner()
}

fn post(server: &Server, path: &str, bytes: &[u8]) -> Answer {
    server.send_bytes("POST", path, &[], Some(("application/octet-stream", bytes)))
}

/// A package of a program that is compiled from this source.
fn built(folder: &std::path::Path, app: &str, source: &str) -> Vec<u8> {
    let sources = folder.join(format!("{app}-sources"));
    std::fs::create_dir_all(sources.join("files/public")).expect("a folder");
    std::fs::create_dir_all(sources.join("records")).expect("a folder");
    std::fs::write(sources.join("app.mix"), source).expect("written");
    std::fs::write(sources.join("files/public/hello.txt"), "hello").expect("written");
    let cities = r#"[{"_rmx_id":{"_rmx_type":"{tag}ref","_rmx_value":"00000000000000000000000000000ulm"},"kind":"city","name":"Ulm"}]"#;
    std::fs::write(sources.join("records/cities.json"), cities).expect("written");
    std::fs::write(sources.join("appMeta.json"), r#"{"display_name":"Demo"}"#).expect("written");
    let package = folder.join(format!("{app}.remix"));
    let (from, to) = (sources.display().to_string(), package.display().to_string());
    let done = run_mixer(["build", &from, "-o", &to, "--app", app]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    std::fs::read(package).expect("a package")
}

fn program(answer: u32) -> String {
    format!("module hello(p:data)\n  cell output = {answer}\nmodule end\n")
}

#[test]
fn an_app_is_deleted_when_its_install_is_done() {
    let scratch = tempfile::tempdir().expect("a folder");
    let gate = Gate::start(2);
    let source = format!(
        "module _rmx_setup(p:data)\n  var cell m_params = p\n  var cell output : data = null\n  \
         on m_params do {{ http.get(\"{}/one\", null); db.saveOne(appstate, db.mainDB, {{kind: \"late\"}}); output = true }}\n\
         module end\n",
        gate.url()
    );
    let package = built(scratch.path(), "demo", &source);
    let ws_dir = scratch.path().join("ws");
    let server = Server::mixer(&ws_dir, &["--dangerous-http-mode"]);
    assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    std::thread::scope(|scope| {
        let installing = scope.spawn(|| post(&server, "/v1/ws/acme/install", &package));
        // The setup is at work in the app.
        gate.wait_for(1);
        let deleting = scope.spawn(|| server.delete("/v1/ws/acme/app/demo").0);
        // Time to go wrong in.
        std::thread::sleep(std::time::Duration::from_millis(500));
        gate.pass();
        let done = installing.join().expect("an answer");
        assert_eq!(done.json()["setup"]["ok"], true, "{:?}", done.json());
        assert_eq!(deleting.join().expect("an answer"), 204);
    });
    assert_eq!(server.get("/v1/ws/acme/app/demo").0, 404);
    assert!(!ws_dir.join("acme/demo").exists());
}

#[test]
fn a_package_is_built_installed_run_and_updated() {
    let scratch = tempfile::tempdir().expect("a folder");
    let package = built(scratch.path(), "demo", &program(1));
    assert_eq!(
        package,
        built(scratch.path(), "demo", &program(1)),
        "equal input, equal bytes"
    );
    // The same without its records, which are for packages only.
    let sources = scratch.path().join("demo-sources").display().to_string();
    let bare = scratch.path().join("bare.remix");
    let out = bare.display().to_string();
    let done = run_mixer(["build", &sources, "-o", &out, "--app", "demo", "--bare"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let bare = std::fs::read(bare).expect("a package");
    let has = |bytes: &[u8], name: &[u8]| bytes.windows(name.len()).any(|part| part == name);
    assert!(has(&package, b"recordsets/") && !has(&bare, b"recordsets/"));
    let executable = scratch.path().join("demo.mixexe").display().to_string();
    assert_eq!(
        run_mixer(["build", &sources, "-o", &executable, "--bare"]).code,
        2
    );
    let server = Server::mixer(&scratch.path().join("ws"), &[]);
    assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    let dry = post(&server, "/v1/ws/acme/install?dry_run=true", &package);
    assert_eq!(dry.status, 200, "{:?}", dry.json());
    assert_eq!(server.get("/v1/ws/acme/app/demo").0, 404);
    let done = post(&server, "/v1/ws/acme/install", &package);
    assert_eq!(done.status, 200, "{:?}", done.json());
    let report = done.json();
    assert_eq!(report["apps"][0]["action"], "created");
    assert_eq!(report["apps"][0]["records"]["saved"], 1);
    assert_eq!(report, dry.json());
    let run = || server.get("/v1/ws/acme/app/demo/agent/hello/run");
    assert_eq!(run(), (200, b"1".to_vec()));
    let meta = server.get("/v1/ws/acme/app/demo/appMeta.json");
    assert_eq!(
        mix_system_tests::response_json(&meta.1)["display_name"],
        "Demo"
    );
    assert_eq!(
        server.get("/v1/ws/acme/app/demo/files/public/hello.txt"),
        (200, b"hello".to_vec())
    );
    let cities = server
        .get("/v1/ws/acme/app/demo/query?query=kind%20%3D%3D%20%22city%22%20%7C%20%7Bname%7D");
    assert_eq!(cities, (200, br#"[{"name":"Ulm"}]"#.to_vec()));

    // While somebody else keeps asking, not one request is lost.
    let (stop, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Acquire) {
                    let (status, body) = run();
                    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                    let count =
                        server.get("/v1/ws/acme/app/demo/query?query=kind%20%3D%3D%20%22city%22");
                    assert_eq!(count.0, 200, "{}", String::from_utf8_lossy(&count.1));
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for version in 2..5 {
            let before = asked.load(Ordering::Relaxed);
            let next = built(scratch.path(), "demo", &program(version));
            let done = post(&server, "/v1/ws/acme/install", &next);
            assert_eq!(done.status, 200, "{:?}", done.json());
            assert_eq!(done.json()["apps"][0]["action"], "updated");
            assert_eq!(run(), (200, version.to_string().into_bytes()));
            assert!(asked.load(Ordering::Relaxed) >= before);
        }
        stop.store(true, Ordering::Release);
    });

    // After a kill everything is there.
    server.kill();
    let server = Server::mixer(&scratch.path().join("ws"), &[]);
    assert_eq!(
        server.get("/v1/ws/acme/app/demo/agent/hello/run"),
        (200, b"4".to_vec())
    );
}

#[test]
fn packages_made_elsewhere_are_kept_and_reported() {
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(scratch.path(), &[]);
    assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    let package = zip(&[
        (
            "manifest.json",
            br#"{"apps":{"demo":true},"records":{},"setup":""}"#,
        ),
        (
            "apps/demo.mp",
            b"\x91\x82\xa9_rmx_type\xa3app\xa4name\xa4demo",
        ),
        (
            "apps/demo/libraries/executable_cross.WASM",
            b"\0asm\x01\0\0\0",
        ),
        ("records.mp", b"\x80"),
    ]);
    let done = post(&server, "/install-remix-file/acme", &package);
    assert_eq!(
        (done.status, done.header("deprecation")),
        (200, Some("true")),
        "{:?}",
        done.json()
    );
    let report = done.json();
    assert_eq!(
        (&report["format"], &report["warnings"][0]["code"]),
        (&json!("1"), &json!("incompatible_code"))
    );
    let (status, listed) =
        server.get("/v1/ws/acme/app/demo/file-manager/content?path=/code/&recursive=true");
    assert_eq!(status, 200);
    let listed = mix_system_tests::response_json(&listed);
    assert_eq!(listed[0]["path"], "/code/legacy/executable_cross.WASM");
}

#[test]
fn hostile_packages_change_nothing() {
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(scratch.path(), &["--package-limit", "64KiB"]);
    assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    let manifest: (&str, &[u8]) = (
        "manifest_v2.json",
        br#"{"version":"2.1","id":"x","updates":"*","name":"demo","app":{"filesets":["fs"]}}"#,
    );
    let fs: (&str, &[u8]) = ("filesets/fs/fsMeta.json", b"{}");
    let bomb = vec![0; 3 << 20];
    let good = zip(&[manifest, fs]);
    for (package, status, code) in [
        (b"not a zip file".to_vec(), 422, "bad_zip"),
        (good[..good.len() / 2].to_vec(), 422, "bad_zip"),
        (
            zip(&[manifest, fs, ("../../etc/passwd", b"x")]),
            422,
            "unsafe_entry",
        ),
        (
            zip(&[manifest, fs, ("filesets/fs/root/a\\b", b"x")]),
            422,
            "unsafe_entry",
        ),
        (
            zip(&[manifest, fs, ("filesets/fs/root/zeros", &bomb)]),
            422,
            "bomb",
        ),
        (zip(&[fs]), 422, "not_a_package"),
        (zip(&[manifest]), 422, "missing_entry"),
        (vec![7; 70 << 10], 413, "package_too_large"),
    ] {
        let answer = post(&server, "/v1/ws/acme/install", &package);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{:?}",
            answer.json()
        );
        let apps = mix_system_tests::response_json(&server.get("/v1/ws/acme").1);
        assert_eq!(apps["apps"], json!([]), "{code}");
        assert!(!scratch.path().join("acme/demo").exists(), "{code}");
    }
    let text = server.send("POST", "/v1/ws/acme/install", &[], Some(("text/html", "x")));
    assert_eq!((text.status, text.code().as_str()), (415, "bad_media_type"));
    let left = std::fs::read_dir(scratch.path())
        .expect("a folder")
        .flatten();
    let left: Vec<String> = left
        .map(|item| item.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        left.iter().all(|name| !name.starts_with(".upload-")),
        "{left:?}"
    );
}

#[test]
fn packages_on_the_command_line() {
    let scratch = tempfile::tempdir().expect("a folder");
    built(scratch.path(), "demo", &program(7));
    let package = scratch.path().join("demo.remix").display().to_string();
    let done = run_mixer(["run", &package, "hello"]);
    assert_eq!((done.code, done.stdout.trim()), (0, "7"), "{}", done.stderr);
    let ws_dir = scratch.path().join("ws").display().to_string();
    let done = run_mixer(["install", &package, "--ws-dir", &ws_dir, "--ws", "acme"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).expect("a report");
    assert_eq!(report["apps"][0]["action"], "created");
    let done = run_mixer([
        "run", "hello", "--ws-dir", &ws_dir, "--ws", "acme", "--app", "demo",
    ]);
    assert_eq!(done.stdout.trim(), "7", "{}", done.stderr);
    std::fs::write(scratch.path().join("bad.remix"), "x").expect("written");
    let bad = scratch.path().join("bad.remix").display().to_string();
    let done = run_mixer(["install", &bad, "--ws-dir", &ws_dir]);
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.starts_with("error bad_zip: "),
        "{}",
        done.stderr
    );
    let done = run_mixer([
        "db",
        "query",
        "kind == \"city\" | .name",
        "--ws-dir",
        &ws_dir,
        "--ws",
        "acme",
        "--app",
        "demo",
    ]);
    assert_eq!(done.stdout.trim(), "\"Ulm\"", "{}", done.stderr);
}

/// How many functions debug data describe.
fn debug_functions(debug: &[u8]) -> usize {
    let debug: Value = serde_json::from_slice(debug).expect("JSON");
    debug["functions"].as_array().map_or(0, Vec::len)
}

#[test]
fn debug_data_go_with_a_package_and_decode_errors() {
    let scratch = tempfile::tempdir().expect("a folder");
    let sources = scratch.path().join("sources");
    std::fs::create_dir_all(&sources).expect("a folder");
    let text = "module failing(p:data)\n  cell output = array.get(7, [1])\nmodule end\n\
        module informed(p:data)\n  cell output = array.length(env.get(\"errorInfo\").functions)\nmodule end\n";
    std::fs::write(sources.join("app.mix"), text).expect("written");
    let (from, to) = (
        sources.display().to_string(),
        scratch.path().join("demo.remix"),
    );
    let done = run_mixer([
        "build",
        &from,
        "--debug",
        "-o",
        &to.display().to_string(),
        "--app",
        "demo",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let server = Server::mixer(&scratch.path().join("ws"), &[]);
    assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    let package = std::fs::read(&to).expect("a package");
    assert_eq!(post(&server, "/v1/ws/acme/install", &package).status, 200);
    let (status, debug) =
        server.get("/v1/ws/acme/app/demo/file-manager/content?path=/code/demo.dbg");
    assert_eq!(status, 200);
    let functions = debug_functions(&debug);
    assert!(functions > 0);
    assert_eq!(
        server.get("/v1/ws/acme/app/demo/agent/informed/run"),
        (200, functions.to_string().into_bytes())
    );
    let beside = scratch.path().join("demo.dbg");
    std::fs::write(&beside, debug).expect("written");
    let error = scratch.path().join("error.json");
    std::fs::write(&error, r#"[["failing","cell output",2]]"#).expect("written");
    let decoded = run_mixer([
        "error-decode",
        &error.display().to_string(),
        "--debug",
        &beside.display().to_string(),
        "--sources",
        &from,
    ]);
    assert_eq!(decoded.code, 0, "{}", decoded.stderr);
    assert!(decoded.stdout.contains("app.mix:2:"), "{}", decoded.stdout);
    assert!(
        decoded.stdout.contains("cell output = array.get(7, [1])"),
        "{}",
        decoded.stdout
    );
}

/// What a package or a workspace unpacks to counts, not what it is packed to.
#[test]
fn packages_bring_no_more_than_a_workspace_may_store() {
    let scratch = tempfile::tempdir().expect("a folder");
    let limited = Server::mixer(&scratch.path().join("a"), &["--ws-disk-limit", "1MiB"]);
    let free = Server::mixer(&scratch.path().join("b"), &[]);
    let content = vec![b'x'; 600 << 10];
    let of = |files: usize| {
        let names: Vec<String> = (0..files)
            .map(|number| format!("filesets/fs/root/{number}"))
            .collect();
        let mut entries: Vec<(&str, &[u8])> = vec![
            (
                "manifest_v2.json",
                br#"{"version":"2.1","id":"line","updates":"*","name":"demo","app":{"filesets":["fs"]}}"#,
            ),
            ("filesets/fs/fsMeta.json", b"{}"),
        ];
        entries.extend(names.iter().map(|name| (name.as_str(), content.as_slice())));
        zip(&entries)
    };
    for server in [&limited, &free] {
        assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    }
    let install = |server: &Server, files: usize| {
        let body = of(files);
        assert!(body.len() < 64 << 10, "{}", body.len());
        post(server, "/v1/ws/acme/install", &body)
    };
    let full = install(&limited, 2);
    assert_eq!((full.status, full.code().as_str()), (507, "disk_full"));
    assert_eq!(full.header("retry-after"), Some("60"));
    assert_eq!(limited.get("/v1/ws/acme/app/demo").0, 404);
    assert_eq!(install(&limited, 1).status, 200);
    assert_eq!(install(&free, 2).status, 200);
    let tape = free.send_bytes("GET", "/v1/ws/acme/export", &[], None).body;
    let full = post(&limited, "/v1/ws-import?ws=other", &tape);
    assert_eq!((full.status, full.code().as_str()), (507, "disk_full"));
    assert_eq!(limited.get("/v1/ws/other").0, 404);
}
