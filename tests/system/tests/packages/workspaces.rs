//! Whole workspaces travel, are replaced and deleted, here and by address.

use super::{ADMIN, OWNER, STRANGER, built, post, program};
use mix_system_tests::{Answer, IdentityService, Server, identity_flags};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn workspaces_travel_and_packages_ask_who_it_is() {
    let scratch = tempfile::tempdir().expect("a folder");
    let service = IdentityService::start();
    let url = service.key_url();
    let server = Server::mixer(&scratch.path().join("ws"), &identity_flags(&url));
    let send = |user: &str, method: &str, path: &str, body: Option<&[u8]>| {
        let token = format!("Bearer {}", service.token(user));
        let headers = [("authorization", token.as_str())];
        let headers = if user.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        server.send_bytes(
            method,
            path,
            headers,
            body.map(|body| ("application/octet-stream", body)),
        )
    };
    let make = format!("Bearer {}", service.token(OWNER));
    let made = server.send(
        "POST",
        "/v1/ws",
        &[("authorization", &make)],
        Some(("application/json", r#"{"name":"acme"}"#)),
    );
    assert_eq!(made.status, 201);
    let package = built(scratch.path(), "demo", &program(1));
    for (user, status) in [("", 401), (STRANGER, 403), (OWNER, 200), (ADMIN, 200)] {
        let answer = send(user, "POST", "/v1/ws/acme/install", Some(&package));
        assert_eq!(answer.status, status, "{user:?} {:?}", answer.json());
    }
    let grant = r#"{"subject":"anonymous","role":"runner","resource":"agent/demo/hello"}"#;
    let granted = server.send(
        "POST",
        "/v1/ws/acme/permissions",
        &[("authorization", &make)],
        Some(("application/json", grant)),
    );
    assert_eq!(granted.status, 201);
    for (user, status) in [("", 401), (STRANGER, 403), (ADMIN, 200)] {
        assert_eq!(
            send(user, "GET", "/v1/ws/acme/export", None).status,
            status,
            "{user:?}"
        );
    }
    let config = r#"{"type":"oauth","name":"corp","client_id":"c","client_secret":"hush"}"#;
    let described = server.send(
        "POST",
        "/v1/ws/acme/auth-configs",
        &[("authorization", &make)],
        Some(("application/json", config)),
    );
    assert_eq!(described.status, 201);
    let tape = send(OWNER, "GET", "/v1/ws/acme/export?history=false", None);
    assert_eq!(tape.status, 200);
    assert_eq!(
        tape.header("content-disposition"),
        Some("attachment; filename=\"acme.remix\"")
    );
    for (user, status) in [("", 401), (STRANGER, 403)] {
        assert_eq!(
            send(user, "POST", "/v1/ws-import?ws=copy", Some(&tape.body)).status,
            status,
            "{user:?}"
        );
    }
    let import = |user: &str, query: &str| {
        send(
            user,
            "POST",
            &format!("/v1/ws-import?{query}"),
            Some(&tape.body),
        )
    };
    let done = import(OWNER, "ws=copy&grants=true");
    assert_eq!(done.status, 201, "{:?}", done.json());
    assert_eq!(done.json()["report"]["grants"], 1);
    assert_eq!(done.json()["report"]["authConfigs"], 1);
    let configs = send(OWNER, "GET", "/v1/ws/copy/auth-configs?name=corp", None).json();
    assert_eq!(
        (&configs["client_id"], &configs["client_secret"]),
        (&Value::from("c"), &Value::Null)
    );
    // The grant has come along.
    assert_eq!(
        send("", "GET", "/v1/ws/copy/app/demo/agent/hello/run", None).body,
        b"1"
    );
    assert_eq!(
        (
            import(OWNER, "ws=copy").status,
            import(STRANGER, "ws=copy&replace=true").status
        ),
        (409, 403)
    );
    let again = import(OWNER, "ws=copy&replace=true");
    assert_eq!(
        (again.status, &again.json()["report"]["droppedGrants"]),
        (201, &Value::from(1))
    );
    assert_eq!(again.json()["report"]["droppedAuthConfigs"], 1);
    assert_eq!(
        send("", "GET", "/v1/ws/copy/app/demo/agent/hello/run", None).status,
        401
    );
    assert_eq!(
        send(OWNER, "POST", "/v1/ws-import?ws=x%2F..", Some(&tape.body)).code(),
        "bad_name"
    );
    assert_eq!(
        send(OWNER, "POST", "/v1/ws/acme/install", Some(&tape.body)).code(),
        "wrong_kind"
    );
    assert_eq!(
        send(OWNER, "POST", "/v1/ws-import?ws=other", Some(&package)).code(),
        "wrong_kind"
    );
}

/// Requests to a workspace while it is replaced, deleted and made again: each is answered by what is there or
/// by nothing at all, and no records are left open on a folder that is gone.
#[test]
fn a_workspace_in_use_is_replaced_and_deleted() {
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(&scratch.path().join("ws"), &[]);
    let package = built(scratch.path(), "demo", &program(1));
    std::fs::create_dir(scratch.path().join("ws/acme")).expect("a workspace");
    assert_eq!(post(&server, "/v1/ws/acme/install", &package).status, 200);
    let tape = server.send("GET", "/v1/ws/acme/export", &[], None).body;
    let import = || post(&server, "/v1/ws-import?ws=copy&replace=true", &tape).status;
    let app = "/v1/ws/copy/app/demo";
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut callers = Vec::new();
        // An agent; a name that is looked for among the records; a record; all of the workspace.
        for (method, path, body) in [
            ("POST", format!("{app}/agent/hello/run"), Some("{}")),
            ("POST", format!("{app}/agent/nobody/run"), Some("{}")),
            ("GET", format!("{app}/query/nobody"), None),
            ("POST", format!("{app}/documents"), Some(r#"{"kind":"x"}"#)),
            ("GET", "/v1/ws/copy/export".to_owned(), None),
        ] {
            let (server, over) = (&server, &over);
            callers.push(scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let body = body.map(|body| ("application/json", body));
                    let answer = server.send(method, &path, &[], body);
                    let is_fine = matches!(answer.status, 200 | 201 | 404 | 409 | 503);
                    assert!(
                        is_fine,
                        "{method} {path}: {} {:?}",
                        answer.status,
                        answer.code()
                    );
                }
            }));
        }
        for round in 0..12 {
            let done = import();
            assert_eq!(done, 201, "import {round}");
            if round % 3 == 2 {
                let gone = server.send("DELETE", "/v1/ws/copy", &[], None).status;
                assert_eq!(gone, 204, "deletion {round}");
            }
            if callers.iter().any(|caller| caller.is_finished()) {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(import(), 201);
    let saved = Some(("application/json", r#"{"kind":"y"}"#));
    let saved = server.send("POST", &format!("{app}/documents"), &[], saved);
    assert_eq!(saved.status, 201);
    let found = server.send("GET", &format!("{app}/query?query=kind"), &[], None);
    let mut kinds: Vec<String> = serde_json::from_slice(&found.body).expect("an array");
    kinds.sort();
    assert_eq!(kinds, ["city", "y"]);
    let left: Vec<_> = std::fs::read_dir(scratch.path().join("ws"))
        .expect("a folder")
        .map(|item| {
            item.expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .filter(|name| name.starts_with(".deleted") || name.starts_with(".replaced"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// While an app of it is deleted, a workspace can be used as a whole.
#[test]
fn a_workspace_stays_while_its_apps_come_and_go() {
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(&scratch.path().join("ws"), &[]);
    std::fs::create_dir(scratch.path().join("ws/acme")).expect("a workspace");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (server, over) = (&server, &over);
        let counter = scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for path in ["/v1/ws/acme/activities/count", "/v1/ws/acme/flush"] {
                    let answer = post_json(server, path, &json!({}));
                    assert!(
                        matches!(answer.status, 200 | 204),
                        "{path}: {}",
                        answer.code()
                    );
                }
            }
        });
        let app = "/v1/ws/acme/app/brief";
        for _ in 0..20 {
            let made = post_json(server, app, &json!({ "display_name": "Brief" }));
            assert_eq!(made.status, 201, "{:?}", made.json());
            assert_eq!(server.delete(app).0, 204);
            if counter.is_finished() {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

fn post_json(server: &Server, path: &str, body: &Value) -> Answer {
    server.send(
        "POST",
        path,
        &[],
        Some(("application/json", &body.to_string())),
    )
}

#[test]
fn packages_and_workspaces_come_and_go_by_address() {
    let scratch = tempfile::tempdir().expect("a folder");
    let package = built(scratch.path(), "demo", &program(7));
    // Both servers are on this machine, so the one that asks must be allowed to reach it.
    let there = Server::mixer(&scratch.path().join("there"), &[]);
    let here = Server::mixer(
        &scratch.path().join("here"),
        &["--dangerous-http-mode", "--package-limit", "1MiB"],
    );
    for server in [&there, &here] {
        assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    }
    assert_eq!(there.post("/v1/ws/acme/app/shop", "{}").0, 201);
    let shelf = "/v1/ws/acme/app/shop/file-manager/content?path=/public";
    for (name, content) in [
        ("demo.remix", package.as_slice()),
        ("large", &vec![0; 2 << 20]),
    ] {
        let body = Some(("application/octet-stream", content));
        let put = there.send_bytes("PUT", &format!("{shelf}/{name}"), &[], body);
        assert_eq!(put.status, 201);
    }
    let public = format!("{}/v1/ws/acme/app/shop/files/public", there.base());
    let install = |body: Value| post_json(&here, "/v1/ws/acme/install", &body);
    let dry = install(json!({ "url": format!("{public}/demo.remix"), "dry_run": true }));
    assert_eq!(dry.status, 200, "{:?}", dry.json());
    assert_eq!(here.get("/v1/ws/acme/app/demo").0, 404);
    let done = install(json!({ "url": format!("{public}/demo.remix") }));
    assert_eq!(done.status, 200, "{:?}", done.json());
    let run =
        |server: &Server, ws: &str| server.get(&format!("/v1/ws/{ws}/app/demo/agent/hello/run"));
    assert_eq!(run(&here, "acme"), (200, b"7".to_vec()));

    for (body, status, code) in [
        (
            json!({ "url": format!("{public}/nothing") }),
            502,
            "upstream",
        ),
        (
            json!({ "url": format!("{public}/large") }),
            413,
            "package_too_large",
        ),
        (json!({ "url": there.base() }), 422, "bad_zip"),
        (json!({ "url": "http://127.0.0.1:1/x" }), 502, "upstream"),
        (
            json!({ "url": "https://a:b@127.0.0.1/x" }),
            400,
            "url_blocked",
        ),
        (json!({ "url": "no address" }), 400, "url_blocked"),
        (json!({}), 400, "bad_param"),
        (json!({ "url": 1 }), 400, "bad_param"),
        (
            json!({ "url": "https://x.org/", "more": 1 }),
            400,
            "bad_param",
        ),
        (
            json!({ "url": "https://x.org/", "force": "yes" }),
            400,
            "bad_param",
        ),
    ] {
        let refused = install(body.clone());
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (status, code),
            "{body}"
        );
    }
    let gone = install(json!({ "url": format!("{public}/nothing") })).json();
    assert_eq!(
        gone["error"]["details"],
        json!({ "status": 404, "code": "not_found" })
    );
    // Without that flag nothing on this machine, or in a private network, is reached.
    for (url, reason) in [
        (format!("{public}/demo.remix"), "scheme"),
        ("https://127.0.0.1/x".to_owned(), "address"),
        ("https://[::ffff:10.0.0.1]/x".to_owned(), "address"),
        ("https://localhost/x".to_owned(), "host"),
    ] {
        for (path, body) in [
            ("/v1/ws/acme/install", json!({ "url": url })),
            ("/v1/ws-import?ws=copy", json!({ "url": url })),
            ("/v1/ws/acme/export", json!({ "url": url })),
        ] {
            let refused = post_json(&there, path, &body);
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (400, "url_blocked"),
                "{path}"
            );
            assert_eq!(refused.json()["error"]["details"]["reason"], reason);
        }
    }

    // A workspace goes to the other server, and comes back under another name.
    let sent = post_json(
        &here,
        "/v1/ws/acme/export",
        &json!({ "url": there.base(), "ws": "sent" }),
    );
    assert_eq!(
        (sent.status, sent.json()),
        (200, json!({ "ok": true, "ws": "sent" }))
    );
    assert_eq!(run(&there, "sent"), (200, b"7".to_vec()));
    let again = post_json(
        &here,
        "/v1/ws/acme/export",
        &json!({ "url": there.base(), "ws": "sent" }),
    );
    assert_eq!((again.status, again.code().as_str()), (502, "upstream"));
    assert_eq!(
        again.json()["error"]["details"],
        json!({ "status": 409, "code": "exists" })
    );
    let from = json!({ "url": format!("{}/", there.base()), "ws": "sent" });
    let back = post_json(&here, "/v1/ws-import?ws=back", &from);
    assert_eq!(back.status, 201, "{:?}", back.json());
    assert_eq!(run(&here, "back"), (200, b"7".to_vec()));
    let left: Vec<_> = std::fs::read_dir(scratch.path().join("here"))
        .expect("a folder")
        .flatten()
        .map(|item| item.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".upload-") || name.starts_with(".transfer-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
