//! Databases and files of other apps and of other servers, and what those answer.

use std::path::Path;

use mix_system_tests::{
    Finished, Server, loopback, output, response_json, run_mixer, stock_server,
};
use serde_json::{Value, json};

use super::{agent, program};

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

/// A server with a workspace that has an app `shop` with nothing in it.
fn shop(folder: &Path, workspace: &str) -> Server {
    let server = Server::mixer(folder, &[]);
    for (path, body) in [
        ("/v1/ws".to_owned(), json!({"name": workspace})),
        (format!("/v1/ws/{workspace}/app/shop"), json!({})),
    ] {
        let (status, answer) = server.post(&path, &body.to_string());
        assert_eq!(status, 201, "{path}: {}", response_json(&answer));
    }
    server
}

#[test]
fn databases_of_other_servers_are_asked_over_http() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let server = shop(folder.path(), "local");
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
    let server = shop(folder.path(), "local");
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
    loopback::serve(|head, stream| {
        let (status, body) = match head.split('/').nth(2).unwrap_or_default() {
            "text" => (500, "no JSON".to_owned()),
            "list" => (500, "[1]".to_owned()),
            "flat" => (500, r#"{"error":"flat"}"#.to_owned()),
            "long" => {
                let message = "x".repeat(5000);
                (404, json!({"error": {"message": message}}).to_string())
            }
            "empty" => (200, "[]".to_owned()),
            "pages" => {
                let row = json!({"app": "a", "path": "/x", "kind": "persisted", "metadata": {}, "url": ""});
                (200, json!(vec![row; 10_000]).to_string())
            }
            _ => (200, "{}".to_owned()),
        };
        loopback::respond(stream, &format!("{status} Odd\r\nx-next: /x"), &body);
    })
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
    let server = shop(folder.path(), "there");
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
    let there = shop(&folder.path().join("there"), "there");
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
    let url = loopback::serve(
        |head, stream| match loopback::path(head).strip_prefix("/to/") {
            Some(target) => {
                loopback::respond(stream, &format!("302 Found\r\nlocation: {target}"), "")
            }
            None => loopback::respond(stream, "200 OK", ""),
        },
    );
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
