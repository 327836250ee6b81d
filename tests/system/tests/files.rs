//! Files of apps over HTTP, and work on the records of an app as a whole.

use mix_system_tests::{IdentityService, Server, response_json, run_mixer, stock_server};
use serde_json::{Value, json};

const APP: &str = "/v1/ws/acme/app/demo";

fn site(arguments: &[&str]) -> (tempfile::TempDir, Server) {
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(scratch.path(), arguments);
    assert_eq!(server.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    assert_eq!(server.post(APP, "{}").0, 201);
    (scratch, server)
}

fn manage(path: &str) -> String {
    format!("{APP}/file-manager/{path}")
}

/// A component without programs under a stock host, whose app has the same address.
fn stock_site() -> (tempfile::TempDir, Server) {
    let scratch = tempfile::tempdir().expect("a folder");
    let component = scratch.path().join("demo.wasm");
    let out = component.display().to_string();
    let done = run_mixer(["compose", "--app", "demo", "-o", &out]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    let log = std::fs::File::create(scratch.path().join("log")).expect("a log");
    let variables = ["MIXER_WS=acme", "MIXER_OPEN_RECORDS=true"];
    let server = stock_server(&component, &data, &variables, &log);
    (scratch, server)
}

#[test]
fn files_are_written_read_listed_and_removed() {
    let (_scratch, server) = site(&[]);
    files_work(&server);
}

#[test]
fn a_stock_host_has_the_same_files() {
    let (_scratch, server) = stock_site();
    files_work(&server);
    bad_paths_are_refused(&server);
}

fn files_work(server: &Server) {
    let put = |path: &str, content: &str| {
        let body = Some(("application/octet-stream", content));
        server.send("PUT", &manage(&format!("content?path={path}")), &[], body)
    };
    let first = put("/public/a%20b.txt", "0123456789");
    assert_eq!(first.status, 201, "{:?}", first.json());
    let info = first.json();
    assert_eq!(
        (&info["metadata"]["size"], &info["kind"]),
        (&json!(10), &json!("persisted"))
    );
    assert_eq!(info["metadata"]["contentType"], "text/plain; charset=utf-8");
    let again = put("/public/a%20b.txt", "other");
    assert_eq!((again.status, again.code().as_str()), (409, "exists"));
    assert_eq!(
        put("/public/a%20b.txt&force=true", "0123456789").status,
        200
    );

    let url = format!("{APP}/files/public/a%20b.txt");
    let whole = server.send("GET", &url, &[], None);
    assert_eq!(
        (whole.status, whole.body.as_slice()),
        (200, &b"0123456789"[..])
    );
    assert_eq!(whole.header("cache-control"), Some("max-age=300"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let tag = whole.header("etag").expect("a tag").to_owned();
    let same = server.send("GET", &url, &[("if-none-match", &tag)], None);
    assert_eq!((same.status, same.body.len()), (304, 0));
    let head = server.send("HEAD", &url, &[], None);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    for (range, status, body, place) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=8-100", 206, "89", "bytes 8-9/10"),
    ] {
        let part = server.send("GET", &url, &[("range", range)], None);
        assert_eq!(
            (part.status, part.header("content-range")),
            (status, Some(place))
        );
        assert_eq!(part.body, body.as_bytes());
    }
    let nowhere = server.send("GET", &url, &[("range", "bytes=10-")], None);
    assert_eq!(
        (nowhere.status, nowhere.code().as_str()),
        (416, "bad_range")
    );

    let form = "--x\r\ncontent-disposition: form-data; name=\"path\"\r\n\r\n/notes/form.html\r\n--x\r\ncontent-disposition: form-data; name=\"data\"; filename=\"f\"\r\n\r\n<script>\r\n--x--\r\n";
    let formed = server.send(
        "POST",
        &manage("content"),
        &[],
        Some(("multipart/form-data; boundary=x", form)),
    );
    assert_eq!(formed.status, 201, "{:?}", formed.json());
    let page = server.send("GET", &format!("{APP}/files/notes/form.html"), &[], None);
    assert!(
        page.header("content-security-policy")
            .is_some_and(|policy| policy.starts_with("sandbox"))
    );

    let list = |query: &str| -> Vec<String> {
        let (status, body) = server.get(&manage(&format!("content?path={query}")));
        assert_eq!(status, 200);
        let items = response_json(&body);
        let items = items.as_array().expect("a list").iter();
        items
            .map(|item| item["path"].as_str().expect("a path").to_owned())
            .collect()
    };
    assert_eq!(list("/"), ["/notes/", "/public/"]);
    assert_eq!(
        list("/&recursive=true"),
        ["/notes/form.html", "/public/a b.txt"]
    );
    assert_eq!(
        list("/&recursive=true&after=/notes/form.html"),
        ["/public/a b.txt"]
    );
    let renamed = server.send(
        "PATCH",
        &manage("props?path=/notes/form.html&change_path=/notes/new.html"),
        &[],
        None,
    );
    assert_eq!(
        (renamed.status, &renamed.json()["path"]),
        (200, &json!("/notes/new.html"))
    );
    let copied = server.send(
        "POST",
        &manage("copy?src=/notes/new.html&path=/notes/copy.html"),
        &[],
        None,
    );
    assert_eq!(copied.status, 201);
    assert_eq!(server.delete(&manage("content?path=/notes/")).0, 204);
    assert_eq!(server.delete(&manage("content?path=/notes/")).0, 404);
    assert_eq!(list("/&recursive=true"), ["/public/a b.txt"]);
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let (scratch, server) = site(&[]);
    std::fs::write(scratch.path().join("secret"), "secret").expect("written");
    bad_paths_are_refused(&server);
    let code = server.send(
        "PUT",
        &manage("content?path=/code/x.txt"),
        &[],
        Some(("text/plain", "x")),
    );
    assert_eq!(code.status, 201);
    assert_eq!(server.get(&format!("{APP}/files/code/x.txt")).0, 404);
}

fn bad_paths_are_refused(server: &Server) {
    for path in [
        "%2e%2e%2fsecret",
        "../secret",
        "a/../../secret",
        "a%00b",
        "a%5Cb",
        "a//b",
        "%2e",
    ] {
        let answer = server.send(
            "PUT",
            &manage(&format!("content?path=/{path}")),
            &[],
            Some(("text/plain", "x")),
        );
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_path"),
            "{path}"
        );
    }
    for path in [
        "%2e%2e%2fsecret",
        "a%2f..%2fsecret",
        "%00",
        "a%5Cb",
        "a//b",
        "x/",
    ] {
        let answer = server.send("GET", &format!("{APP}/files/{path}"), &[], None);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_path"),
            "{path}"
        );
    }
}

#[test]
fn signed_addresses_open_one_file_for_a_while() {
    let scratch = tempfile::tempdir().expect("a folder");
    let service = IdentityService::start();
    let url = service.key_url();
    let server = Server::mixer(
        scratch.path(),
        &[
            "--jwks-url",
            &url,
            "--workspace-creator",
            "domain/example.com",
        ],
    );
    let token = format!("Bearer {}", service.token("ada@example.com"));
    let owner = [("authorization", token.as_str())];
    let json = |text| Some(("application/json", text));
    assert_eq!(
        server
            .send("POST", "/v1/ws", &owner, json(r#"{"name":"acme"}"#))
            .status,
        201
    );
    assert_eq!(server.send("POST", APP, &owner, json("{}")).status, 201);
    let put = |path: &str| {
        let answer = server.send(
            "PUT",
            &manage(&format!("content?path={path}")),
            &owner,
            Some(("text/plain", "mine")),
        );
        assert_eq!(answer.status, 201);
        let url = answer.json()["url"]
            .as_str()
            .expect("an address")
            .to_owned();
        url[server.base().len()..].to_owned()
    };
    let (private, public) = (put("/private.txt"), put("/public/all.txt"));
    assert_eq!(server.get(&public), (200, b"mine".to_vec()));
    assert!(!public.contains("_rmx_sig"));
    assert_eq!(server.get(&private), (200, b"mine".to_vec()));
    let bare = private.split('?').next().expect("a path");
    assert_eq!(server.get(bare).0, 401);
    let other = private.replace("private.txt", "other.txt");
    let later = private.replace("_rmx_exp=", "_rmx_exp=9");
    for wrong in [
        other,
        later,
        format!("{bare}?_rmx_exp=1&_rmx_sig=00"),
        format!("{bare}?_rmx_exp=x&_rmx_sig=%C3%A9"),
    ] {
        let answer = server.send("GET", &wrong, &[], None);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "bad_signature"),
            "{wrong}"
        );
    }
    let editor = r#"{"subject":"user/bob@partner.net","role":"editor","resource":"db/demo"}"#;
    assert_eq!(
        server
            .send("POST", "/v1/ws/acme/permissions", &owner, json(editor))
            .status,
        201
    );
    let bob = format!("Bearer {}", service.token("bob@partner.net"));
    let bob = [("authorization", bob.as_str())];
    let write = |path: &str| {
        server
            .send(
                "PUT",
                &manage(&format!("content?path={path}")),
                &bob,
                Some(("text/plain", "x")),
            )
            .status
    };
    assert_eq!(
        (
            write("/notes.txt"),
            write("/code/evil.mixexe"),
            write("/CODE/evil.mixexe")
        ),
        (201, 403, 403)
    );
}

#[test]
fn records_are_maintained_as_a_whole() {
    let (_scratch, server) = site(&[]);
    let save = |text: &str| {
        let answer = server.post(&format!("{APP}/save"), text);
        assert_eq!(answer.0, 200);
        response_json(&answer.1)
    };
    let id = save(r#"{"record":{"n":1}}"#)["records"][0]["_rmx_id"].clone();
    save(&json!({ "record": { "_rmx_id": id, "n": 2 } }).to_string());
    let modify = |body: Value| {
        let (status, answer) = server.post(&format!("{APP}/modify"), &body.to_string());
        (status, response_json(&answer))
    };
    let history = || {
        let (status, rows) = server.get(&format!(
            "{APP}/query?query=n%20%3E%200&includeSuperseded=true"
        ));
        assert_eq!(status, 200);
        response_json(&rows).as_array().map(Vec::len)
    };
    assert_eq!(history(), Some(2));
    let (status, report) = modify(json!({ "op": "compact" }));
    assert_eq!(status, 200, "{report}");
    assert!(report["rowsAfter"].as_u64() < report["rowsBefore"].as_u64());
    assert_eq!(history(), Some(1));
    assert_eq!(modify(json!({ "op": "reindex" })).0, 200);
    assert_eq!(modify(json!({ "op": "flush" })).0, 200);
    assert_eq!(modify(json!({ "op": "purge", "ids": [id] })).0, 200);
    assert_eq!(history(), Some(0));
    for (body, code) in [
        (json!({ "op": "explode" }), "bad_param"),
        (json!({ "op": "purge", "ids": ["x"] }), "bad_id"),
        (json!({ "op": "flush", "more": 1 }), "bad_param"),
        (json!({ "op": "setFlags", "rows": [-1] }), "bad_param"),
    ] {
        let (status, answer) = modify(body);
        assert_eq!(
            (status, answer["error"]["code"].as_str()),
            (400, Some(code))
        );
    }
}

#[test]
fn large_answers_are_compressed_for_those_who_take_it() {
    let (_scratch, server) = site(&[]);
    let text = "word ".repeat(2_000);
    assert_eq!(
        server
            .post(
                &format!("{APP}/save"),
                &json!({ "record": { "text": text } }).to_string()
            )
            .0,
        200
    );
    let path = format!("{APP}/query?query=text");
    let plain = server.send("GET", &path, &[], None);
    let packed = server.send("GET", &path, &[("accept-encoding", "gzip")], None);
    assert_eq!(
        (
            plain.header("content-encoding"),
            packed.header("content-encoding")
        ),
        (None, Some("gzip"))
    );
    assert!(packed.body.len() * 5 < plain.body.len());
    let tag = packed.header("etag").expect("a tag").to_owned();
    assert_ne!(plain.header("etag"), Some(tag.as_str()));
    let same = server.send(
        "GET",
        &path,
        &[("accept-encoding", "gzip"), ("if-none-match", &tag)],
        None,
    );
    assert_eq!(same.status, 304);
    let metrics = String::from_utf8(server.get("/v1/metrics").1).expect("text");
    assert!(metrics.contains("mixer_http_request_duration_seconds_count{route=\"/v1/ws/{ws}/app/{app}/query\",method=\"GET\",status=\"200\"} 2"), "{metrics}");
}
