//! Plugins of a composed component have what they were granted and nothing else.

use super::{Escapes, assert_denied, assert_refused, listener};
use mix_system_tests::{Server, mixer, response_json, run_mixer};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

/// A composed component with the plugin in it, under a host that keeps nothing from it.
struct Composed {
    escapes: Escapes,
    server: Server,
}

impl Composed {
    fn needing(needs: &[&str], grant: &[&str]) -> Composed {
        let escapes = Escapes::needing(needs);
        let component = escapes.folder.path().join("app.wasm");
        let done = escapes.compose(&component, grant);
        assert_eq!(done.code, 0, "{}", done.stderr);
        std::fs::create_dir_all(escapes.ws_dir()).expect("a folder");
        let outside = escapes.folder.path().join("outside");
        std::fs::create_dir(&outside).expect("a folder");
        std::fs::write(outside.join("secret.txt"), "secret").expect("a file");
        let port = Server::free_port();
        let mut command = Command::new(mixer().with_file_name("stock-wasmtime"));
        command.args(["serve", "-S", "cli", "-S", "inherit-network"]);
        command.args(["-S", "allow-ip-name-lookup"]);
        command.args(["--env", "REGION=north", "--env", "REGIONS=all"]);
        command.args(["--env", "TOKEN=secret", "--env", "EMPTY="]);
        command.args(["--addr", &format!("127.0.0.1:{port}")]);
        for (folder, name) in [(escapes.ws_dir(), "/ws"), (outside, "/outside")] {
            let mount = format!("{}::{name}", folder.display());
            command.args(["--dir", &mount]);
        }
        command.arg(component).stderr(Stdio::null());
        let server = Server::command(command, port);
        Composed { escapes, server }
    }

    fn tries(&self, tries: &[(&str, &str)]) -> Vec<Value> {
        let params = json!({ "tries": tries }).to_string();
        let path = "/v1/ws/local/app/escapes/agent/tries/run";
        let (status, body) = self.server.post(path, &params);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        response_json(&body).as_array().expect("a list").clone()
    }
}

#[test]
fn a_composed_plugin_has_what_it_was_granted_and_nothing_else() {
    let (port, count) = listener();
    let (here, url) = (
        format!("127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}/"),
    );
    let outside = [
        ("list", "/ws"),
        ("list", "/outside"),
        ("read", "/outside/secret.txt"),
        ("write", "/ws/x"),
        ("list", "/"),
        ("list", "."),
        ("connect", &here),
        ("send", &here),
        ("lookup", "localhost:80"),
    ];
    let composed = Composed::needing(&[], &[]);
    for (outcome, (what, on)) in composed.tries(&outside).iter().zip(outside) {
        assert_refused(outcome, &format!("{what} {on}"));
    }
    let left = composed.tries(&[("variables", ""), ("request", &url)]);
    assert_eq!(left[0], json!({"ok": {}}));
    assert_denied(&left[1], "HttpRequestDenied");
    assert_eq!(count.load(Ordering::SeqCst), 0);

    let grant = ["--grant", "escapes=http,env:REGION,env:EMPTY"];
    let composed = Composed::needing(&["http", "env:REGION", "env:EMPTY"], &grant);
    for (outcome, (what, on)) in composed.tries(&outside).iter().zip(outside) {
        assert_refused(outcome, &format!("{what} {on}"));
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    for _ in 0..3 {
        let given = composed.tries(&[("variables", ""), ("request", &url)]);
        assert_eq!(given[0], json!({"ok": {"REGION": "north", "EMPTY": ""}}));
        assert_eq!(given[1], json!({"ok": 204}));
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);

    let component = composed.escapes.folder.path().join("app.wasm");
    let about = run_mixer(["inspect".as_ref(), component.as_os_str()]);
    for part in [
        "needs http, env:REGION, env:EMPTY, granted http, env:REGION, env:EMPTY",
        "cut off from the host but for what it was granted: ",
        "wasi:filesystem/preopens@",
    ] {
        assert!(about.stdout.contains(part), "{part}: {}", about.stdout);
    }
}

#[test]
fn what_a_composed_plugin_cannot_have_is_refused_when_it_is_composed() {
    for (needs, grant, part) in [
        (&["http"][..], &[][..], "--grant escapes=http"),
        (
            &["env:KEY"],
            &["--grant", "escapes=env:OTHER"],
            "--grant escapes=env:KEY",
        ),
        (&["http"], &["--grant", "escapes=http:a.org"], "one host"),
        (
            &["folder"],
            &["--grant", "escapes=folder"],
            "folder of its own",
        ),
        (&[], &["--grant", "escapes=time:1s"], "limits"),
        (&[], &["--grant", "nobody=http"], "no plugin nobody"),
    ] {
        let escapes = Escapes::needing(needs);
        let component = escapes.folder.path().join("app.wasm");
        let done = escapes.compose(&component, grant);
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
        assert!(!component.exists());
    }
}
