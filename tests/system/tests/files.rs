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
    for (method, wanted, range, status) in [
        ("GET", tag.as_str(), "bytes=2-4", 206),
        ("GET", "*", "bytes=2-4", 206),
        ("GET", "\"other\"", "bytes=2-4", 412),
        ("GET", "\"other\"", "", 412),
        ("HEAD", "\"other\"", "", 412),
    ] {
        let headers = [("if-match", wanted), ("range", range)];
        let part = server.send(method, &url, &headers, None);
        assert_eq!(part.status, status, "{method} {headers:?}");
        if status == 412 && method == "GET" {
            assert_eq!(part.code(), "precondition_failed");
        }
    }
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
    changes_depend_on_what_is_there(server, &tag);
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

/// `tag`: that of `/public/a b.txt`.
fn changes_depend_on_what_is_there(server: &Server, tag: &str) {
    let change = |method: &str, path: &str, header: (&str, &str)| {
        let body = Some(("application/octet-stream", "0123456789"));
        let body = body.filter(|_| method == "PUT");
        let changed = server.send(method, &manage(path), &[header], body);
        let code = match changed.status {
            400.. => changed.code(),
            _ => String::new(),
        };
        (changed.status, code)
    };
    let unmet = (412, "precondition_failed".to_owned());
    let done = |status| (status, String::new());
    let old = "content?path=/public/a%20b.txt&force=true";
    let new = "content?path=/other/c.txt&force=true";
    let copied = "copy?src=/public/a%20b.txt&path=/other/c.txt&force=true";
    for (method, path, header, result) in [
        ("PUT", old, ("if-match", "\"x\""), &unmet),
        ("PUT", old, ("if-none-match", "*"), &unmet),
        ("PUT", old, ("if-none-match", tag), &unmet),
        ("DELETE", old, ("if-match", "\"x\", \"y\""), &unmet),
        ("DELETE", "content?path=/public/", ("if-match", "*"), &unmet),
        ("PUT", new, ("if-match", "*"), &unmet),
        ("PUT", new, ("if-none-match", "*"), &done(201)),
        ("PUT", new, ("if-none-match", "*"), &unmet),
        ("POST", copied, ("if-none-match", "*"), &unmet),
        ("POST", copied, ("if-match", "*"), &done(200)),
        ("DELETE", new, ("if-match", "*"), &done(204)),
        ("DELETE", new, ("if-match", "*"), &unmet),
    ] {
        let found = change(method, path, header);
        assert_eq!(&found, result, "{method} {path} {header:?}");
    }
    let whole = server.send("GET", &format!("{APP}/files/public/a%20b.txt"), &[], None);
    assert_eq!(whole.header("etag"), Some(tag));
    assert_eq!(change("PUT", old, ("if-match", tag)), done(200));
}

/// Of as many bytes as a name may have on disk, in letters that would take three times as many there.
fn long_names_are_names(server: &Server) {
    let name = "日本".repeat(42) + "%";
    let path = format!("/notes/{name}");
    let at = format!("/notes/{}%25", "%E6%97%A5%E6%9C%AC".repeat(42));
    let content = manage(&format!("content?path={at}"));
    let text = Some(("application/octet-stream", "text"));
    let written = server.send("PUT", &content, &[], text);
    assert_eq!(written.status, 201, "{}", written.json());
    let found = server.send("GET", &content, &[], None);
    assert_eq!((found.status, found.body.as_slice()), (200, &b"text"[..]));
    let list = server.get(&manage("content?path=/notes/"));
    assert_eq!(response_json(&list.1)[0]["path"], path);
    assert_eq!(server.delete(&content).0, 204);
    // One byte more.
    let longer = manage(&format!("content?path={at}b"));
    let refused = server.send("PUT", &longer, &[], text);
    assert_eq!((refused.status, refused.code().as_str()), (400, "bad_path"));
}

#[test]
fn a_name_may_have_255_bytes_in_any_script() {
    long_names_are_names(&site(&[]).1);
    long_names_are_names(&stock_site().1);
}

#[test]
fn a_page_of_another_site_reads_and_writes_on_condition() {
    let origin = ("origin", "https://app.example.com");
    let (_scratch, server) = site(&["--cors-origin", origin.1]);
    let write = manage("content?path=/notes/a.txt&force=true");
    let asked = [
        origin,
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "if-match"),
    ];
    let allowed = server.send("OPTIONS", &write, &asked, None);
    let names = allowed.header("access-control-allow-headers");
    let names: Vec<String> = names
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in ["if-match", "if-none-match", "if-range", "range"] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
    let text = Some(("application/octet-stream", "text"));
    let new = server.send("PUT", &write, &[origin, ("if-none-match", "*")], text);
    assert_eq!(new.status, 201);
    let tag = new.json()["metadata"]["etag"].clone();
    let tag = tag.as_str().expect("a tag");
    let read = format!("{APP}/files/notes/a.txt");
    for path in [&read, &format!("{APP}/appMeta.json")] {
        let other = [origin, ("if-match", "\"other\"")];
        let other = server.send("GET", path, &other, None);
        assert_eq!(
            (other.status, other.code().as_str()),
            (412, "precondition_failed"),
            "{path}"
        );
    }
    let same = [origin, ("if-match", tag)];
    assert_eq!(server.send("GET", &read, &same, None).status, 200);
    assert_eq!(server.send("PUT", &write, &same, text).status, 200);
    assert_eq!(server.send("PUT", &write, &same, text).status, 412);
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let (scratch, server) = site(&[]);
    std::fs::write(scratch.path().join("secret"), "secret").expect("written");
    bad_paths_are_refused(&server);
    for (method, query) in [
        ("GET", "content?path="),
        ("DELETE", "content?path="),
        ("GET", "content?after=x&recursive=true&path="),
        ("GET", "props?path="),
        ("PATCH", "props?change_path=/x&path="),
        ("PATCH", "props?path=/x&change_path="),
        ("POST", "copy?path=/x&src="),
        ("POST", "copy?src=/x&path="),
    ] {
        for path in [
            "/../secret",
            "/a/../../secret",
            "/..",
            "/a%5C..%5Csecret",
            "/a%00",
            "/a%0Ab",
        ] {
            let answer = server.send(method, &manage(&format!("{query}{path}")), &[], None);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (400, "bad_path"),
                "{method} {query}{path}"
            );
        }
    }
    for app in ["..", "../acme/demo", "%2e%2e", "a%2Fb", "_rmx_admin%00"] {
        let query = format!("copy?src=/x&path=/y&src_app={app}");
        let answer = server.send("POST", &manage(&query), &[], None);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_name"),
            "{app}"
        );
    }
    for app in ["_rmx_admin", "_rmx_secrets", "elsewhere"] {
        let query = format!("copy?src=/x&path=/y&src_app={app}");
        let answer = server.send("POST", &manage(&query), &[], None);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "no_such_app"),
            "{app}"
        );
    }
    // Which of two paths is meant is not guessed.
    let answer = server.send("DELETE", &manage("content?path=/x&path=/y"), &[], None);
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_param"));
    for ws in ["..", "../other", ".hidden", "a%2Fb", ""] {
        let answer = server.send_bytes(
            "POST",
            &format!("/v1/ws-import?ws={ws}"),
            &[],
            Some(("application/octet-stream", b"x")),
        );
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_name"),
            "{ws}"
        );
    }
    let secret = std::fs::read_to_string(scratch.path().join("secret")).expect("there");
    assert_eq!(secret, "secret");
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

/// The head of an answer to a GET that names this host.
fn asked_at(server: &Server, host: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let place = server.base().trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(place).expect("the server");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}

#[test]
fn pages_of_users_run_at_an_origin_without_an_interface() {
    let (scratch, server) = site(&["--files-origin", "https://Files.example.com/"]);
    let put = format!("{APP}/file-manager/content?path=/public/page.html");
    let body = Some(("application/octet-stream", "<script>alert(1)</script>"));
    let info = server.send("PUT", &put, &[], body).json();
    let url = info["url"].as_str().expect("an address");
    let path = url.strip_prefix("https://files.example.com").expect(url);
    // The same file, with a sandbox beside the interface and without one away from it.
    let near = asked_at(&server, "localhost", path);
    assert!(
        near.starts_with("HTTP/1.1 200") && near.contains("content-security-policy: sandbox"),
        "{near}"
    );
    for host in ["files.example.com", "FILES.example.com:443"] {
        let away = asked_at(&server, host, path);
        assert!(
            away.starts_with("HTTP/1.1 200") && !away.contains("content-security-policy"),
            "{away}"
        );
    }
    // Private ones have a signature for there.
    let put = format!("{APP}/file-manager/content?path=/own.txt");
    let info = server
        .send("PUT", &put, &[], Some(("application/octet-stream", "x")))
        .json();
    let url = info["url"].as_str().expect("an address");
    assert!(
        url.starts_with("https://files.example.com/") && url.contains("_rmx_sig="),
        "{url}"
    );
    for path in [
        "/",
        "/v1/health",
        APP,
        "/v1/swagger/",
        "/v1/ws/acme/app/demo/query?query=true",
    ] {
        let away = asked_at(&server, "files.example.com", path);
        assert!(away.starts_with("HTTP/1.1 404"), "{path}: {away}");
    }
    let other = asked_at(&server, "evil.example.com", path);
    assert!(other.starts_with("HTTP/1.1 421"), "{other}");
    drop(scratch);
}

#[test]
fn queries_look_at_a_moment_of_the_past() {
    let (_scratch, server) = site(&["--db-sync", "off"]);
    let query = |more: &str| {
        let path = format!("{APP}/query?query=.n&{more}");
        server.send("GET", &path, &[], None)
    };
    let save = |number: u64| {
        let record = json!({ "record": { "n": number } }).to_string();
        assert_eq!(server.post(&format!("{APP}/save"), &record).0, 200);
        let answer = query("");
        let mark = answer.header("x-watermark").expect("a watermark");
        mark.to_owned()
    };
    let marks = [save(1), save(2), save(3)];
    for (count, mark) in (1..).zip(&marks) {
        let expected: Vec<u64> = (1..=count).collect();
        let (_, rows) = mark.split_once('.').expect("a watermark");
        for moment in [mark, rows] {
            let answer = query(&format!("asOf={moment}"));
            assert_eq!(answer.status, 200, "{moment}: {:?}", answer.json());
            assert_eq!(answer.json(), json!(expected), "{moment}");
        }
        let rows: u64 = rows.parse().expect("a number of rows");
        let posted = json!({ "query": ".n", "asOf": rows }).to_string();
        let (status, body) = server.post(&format!("{APP}/query"), &posted);
        assert_eq!((status, response_json(&body)), (200, json!(expected)));
    }
    assert_eq!(query("asOf=2001-02-03T04:05:06.000Z").json(), json!([]));
    for wrong in ["-1", "99999999999", "soon"] {
        let answer = query(&format!("asOf={wrong}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "query_type"));
    }
}

#[test]
fn records_are_nested_as_deep_as_may_be() {
    let (scratch, server) = site(&["--db-sync", "off"]);
    let record = |levels: usize| {
        let (open, close) = (r#"{"a":"#.repeat(levels - 1), "}".repeat(levels - 1));
        format!("{open}{{}}{close}")
    };
    let save = |levels: usize| {
        let body = record(levels);
        let path = format!("{APP}/documents");
        server.send("POST", &path, &[], Some(("application/json", &body)))
    };
    for levels in [120, 127, 128] {
        assert_eq!(save(levels).status, 201, "{levels}");
    }
    let answer = save(129);
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_json"));
    assert_eq!(server.get(&format!("{APP}/query?query=true")).0, 200);
    server.kill();
    // Programs read and write them too, many at a time.
    let program = scratch.path().join("deep.mix");
    let source = r#"module deep()
  var cell output : data = null
  initializer {
    var deepest : data = [];
    for (let i in array.initialize(126, i -> i)) { deepest = [deepest] };
    let ids = db.saveArrayGetIDs(appstate, null, [{n: 1, a: deepest}, {n: 2, a: deepest}]);
    output = {
      all: db.query(null, "exists a") |> db.toArray |> array.length,
      got: db.getArray(null, ids) |> array.map(.n),
      one: db.upsertOne(appstate, null, {_rmx_id: ids[0], b: deepest}).a == deepest,
      gone: db.deleteArray(appstate, null, ids) |> array.map(.n)
    }
  }
module end
"#;
    std::fs::write(&program, source).expect("writes");
    let [program, folder] = [&program, scratch.path()].map(|path| path.display().to_string());
    let place = ["--ws-dir", &folder, "--ws", "acme", "--app", "demo"];
    let done = run_mixer(["run", &program, "deep"].into_iter().chain(place));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        done.stdout.trim(),
        r#"{"all":5,"gone":[1,2],"got":[1,2],"one":true}"#
    );
    // One level more is refused.
    let source = source.replace("initialize(126", "initialize(127");
    std::fs::write(&program, source).expect("writes");
    let done = run_mixer(["run", &program, "deep"].into_iter().chain(place));
    assert_eq!(done.code, 1);
    let said = "ERR_DB: too_deep: record 0: nested deeper than 128 levels";
    assert!(done.stderr.contains(said), "{}", done.stderr);
}

#[test]
fn a_query_takes_no_more_than_the_operator_says() {
    let (_scratch, server) = site(&["--query-max-bytes", "4096", "--db-sync", "off"]);
    let save = |text: &str| {
        let record = json!({ "record": { "text": text } }).to_string();
        server.post(&format!("{APP}/save"), &record).0
    };
    assert_eq!(save("short"), 200);
    assert_eq!(server.get(&format!("{APP}/query?query=text")).0, 200);
    assert_eq!(save(&"long ".repeat(2_000)), 200);
    let answer = server.send("GET", &format!("{APP}/query?query=text"), &[], None);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "result_too_large")
    );
    let one = server.get(&format!("{APP}/query?query=text%20%3D%3D%20%22short%22"));
    assert_eq!(one.0, 200);
}

fn form(server: &Server, path: &str, metadata: &str) -> mix_system_tests::Answer {
    let text = format!("path={path}&reg_url=blob%3A1&reg_metadata={metadata}");
    server.send(
        "POST",
        &manage("register"),
        &[],
        Some(("application/x-www-form-urlencoded", &text)),
    )
}

/// Path of the upload that a registration gives.
fn ticket(server: &Server, registered: &mix_system_tests::Answer) -> String {
    assert_eq!(registered.status, 201, "{:?}", registered.json());
    let url = registered.json()["metadata"]["_rmx_upload_url"].clone();
    let url = url.as_str().expect("an address").to_owned();
    url.strip_prefix(server.base()).expect("here").to_owned()
}

#[test]
fn a_client_uploads_once_what_it_registered() {
    let (scratch, server) = site(&["--package-limit", "1MiB"]);
    let upload = |ticket: &str, content: &[u8]| {
        server.send_bytes(
            "PUT",
            ticket,
            &[],
            Some(("application/octet-stream", content)),
        )
    };
    let registered = form(&server, "/up/a.txt", "%7B%22title%22%3A%22T%22%7D");
    let info = registered.json();
    assert_eq!(
        (&info["kind"], &info["url"], &info["metadata"]["title"]),
        (&json!("client"), &json!("blob:1"), &json!("T"))
    );
    let first = ticket(&server, &registered);
    let listed = server
        .send("GET", &manage("content?path=/up/"), &[], None)
        .json();
    assert_eq!(
        (
            &listed[0]["path"],
            &listed[0]["kind"],
            &listed[0]["metadata"]
        ),
        (
            &json!("/up/a.txt"),
            &json!("client"),
            &json!({"title": "T"})
        )
    );
    let folders = server
        .send("GET", &manage("content?path=/"), &[], None)
        .json();
    assert_eq!(folders[0]["path"], "/up/");
    assert_eq!(server.get(&format!("{APP}/files/up/a.txt")).0, 404);
    // An upload that is too large, or breaks off, leaves the ticket as it is.
    let large = upload(&first, &vec![1; 2 << 20]);
    assert_eq!(
        (large.status, large.code().as_str()),
        (413, "body_too_large")
    );
    // Registered again, the first ticket is worth nothing.
    let second = ticket(&server, &form(&server, "/up/a.txt", "%7B%7D"));
    assert_ne!(first, second);
    assert_eq!(upload(&first, b"x").code(), "expired");
    // What is uploaded survives a restart of the server in between.
    server.kill();
    let server = Server::mixer(scratch.path(), &[]);
    let upload = |ticket: &str, content: &[u8]| {
        server.send_bytes(
            "PUT",
            ticket,
            &[],
            Some(("application/octet-stream", content)),
        )
    };
    let done = upload(&second, b"hello");
    assert_eq!(done.status, 201, "{:?}", done.json());
    assert_eq!(
        (&done.json()["kind"], &done.json()["metadata"]["size"]),
        (&json!("persisted"), &json!(5))
    );
    assert_eq!(
        server.get(&format!("{APP}/files/up/a.txt")),
        (200, b"hello".to_vec())
    );
    let again = upload(&second, b"other");
    assert_eq!((again.status, again.code().as_str()), (410, "expired"));
    let taken = form(&server, "/up/a.txt", "%7B%7D");
    assert_eq!((taken.status, taken.code().as_str()), (409, "exists"));
    // What is registered can be taken back.
    let third = ticket(&server, &form(&server, "/up/b.txt", ""));
    assert_eq!(server.delete(&manage("content?path=/up/b.txt")).0, 204);
    assert_eq!(upload(&third, b"x").status, 410);
    for (path, metadata, code) in [
        ("/../x", "", "bad_path"),
        ("/a%2F..%2F..%2Fx", "", "bad_path"),
        ("/a%00", "", "bad_path"),
        ("/a", "%5B1%5D", "bad_param"),
        ("/a", "%7B", "bad_json"),
        ("", "", "bad_param"),
    ] {
        let refused = form(&server, path, metadata);
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, code),
            "{path} {metadata}"
        );
    }
    let long = format!("%7B%22a%22%3A%22{}%22%7D", "x".repeat(70 << 10));
    assert_eq!(form(&server, "/a", &long).code(), "bad_param");
    for wrong in ["x".repeat(32), "0".repeat(32)] {
        assert_eq!(upload(&format!("/v1/upload/{wrong}"), b"x").status, 410);
    }
    assert_eq!(upload("/v1/upload/..%2F..%2Fx", b"x").status, 400);
}

#[test]
fn agents_register_files_and_reach_those_of_other_apps() {
    let scratch = tempfile::tempdir().expect("a folder");
    let sources = scratch.path().join("sources");
    std::fs::create_dir_all(&sources).expect("a folder");
    let source = r#"
module make(p:data)
  var cell m_params = p
  var cell output : data = null
  def run : appstate -> data
  def run(appstate) = result.get(file.register(appstate, null, "/up/x.bin", "blob:1", {title: "T"}))
  on m_params do { output = run(appstate) }
module end

module other(p:data)
  cell output = binary.toString(result.get(file.read(some("beta"), "/x.txt")))
module end

module link(p:data)
  var cell m_params = p
  var cell output : data = null
  def run : appstate -> data
  def run(appstate) = db.makeAnonymousLink(appstate, null, "files/up/x.bin")
  on m_params do { output = run(appstate) }
module end
"#;
    std::fs::write(sources.join("app.mix"), source).expect("written");
    let (from, ws) = (
        sources.display().to_string(),
        scratch.path().join("ws").display().to_string(),
    );
    let done = mix_system_tests::run_mixer([
        "install", &from, "--ws-dir", &ws, "--ws", "acme", "--app", "demo",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let server = Server::mixer(&scratch.path().join("ws"), &[]);
    assert_eq!(server.post("/v1/ws/acme/app/beta", "{}").0, 201);
    let body = Some(("text/plain", "of beta"));
    let put = server.send(
        "PUT",
        "/v1/ws/acme/app/beta/file-manager/content?path=/x.txt",
        &[],
        body,
    );
    assert_eq!(put.status, 201);
    let run = |agent: &str| {
        let (status, body) = server.get(&format!("{APP}/agent/{agent}/run"));
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        response_json(&body)
    };
    assert_eq!(run("other"), "of beta");
    // Nobody is known here, so there is nobody whose rights a link could have.
    let refused = run("link").to_string();
    assert!(refused.contains("ERR_PERMISSION"), "{refused}");
    let made = run("make");
    let url = made["metadata"]["_rmx_upload_url"]
        .as_str()
        .expect("an address")
        .to_owned();
    let path = url.strip_prefix(server.base()).expect("here");
    let done = server.send(
        "PUT",
        path,
        &[],
        Some(("application/octet-stream", "content")),
    );
    assert_eq!(
        (done.status, &done.json()["metadata"]["title"]),
        (201, &json!("T"))
    );
}

#[test]
fn links_run_with_the_present_rights_of_their_maker() {
    let scratch = tempfile::tempdir().expect("a folder");
    let service = IdentityService::start();
    let url = service.key_url();
    let flags = [
        "--jwks-url",
        url.as_str(),
        "--workspace-creator",
        "domain/example.com",
    ];
    let server = Server::mixer(scratch.path(), &flags);
    let bearer = |email: &str| format!("Bearer {}", service.token(email));
    let (ada, bob) = (bearer("ada@example.com"), bearer("bob@partner.net"));
    let ask = |server: &Server, who: &str, method: &str, path: &str, body: Option<&str>| {
        let headers = [("authorization", who)];
        let headers = if who.is_empty() {
            &headers[..0]
        } else {
            &headers[..]
        };
        server.send(
            method,
            path,
            headers,
            body.map(|text| ("application/json", text)),
        )
    };
    assert_eq!(
        ask(&server, &ada, "POST", "/v1/ws", Some(r#"{"name":"acme"}"#)).status,
        201
    );
    assert_eq!(ask(&server, &ada, "POST", APP, Some("{}")).status, 201);
    let owner = [("authorization", ada.as_str())];
    let put = server.send(
        "PUT",
        &manage("content?path=/notes/a%20b.txt"),
        &owner,
        Some(("text/plain", "private")),
    );
    assert_eq!(put.status, 201);
    let grant = r#"{"subject":"user/bob@partner.net","role":"editor"}"#;
    let granted = ask(
        &server,
        &ada,
        "POST",
        &format!("{APP}/permissions"),
        Some(grant),
    )
    .json();
    let make = |who: &str, body: Value| {
        ask(
            &server,
            who,
            "POST",
            &format!("{APP}/link"),
            Some(&body.to_string()),
        )
    };
    let endpoint = json!({ "endpoint": "files/notes/a%20b.txt" });
    assert_eq!(make("", endpoint.clone()).status, 401);
    let link = make(&bob, endpoint.clone());
    assert_eq!(link.status, 201, "{:?}", link.json());
    let path = link.json()["url"].as_str().expect("an address").to_owned();
    assert_eq!(
        path,
        format!("/v1/link/{}", link.json()["id"].as_str().expect("an id"))
    );
    assert_eq!(server.get(&path), (200, b"private".to_vec()));
    let part = server.send("GET", &path, &[("range", "bytes=0-2")], None);
    assert_eq!((part.status, part.body.as_slice()), (206, &b"pri"[..]));
    // Whoever follows a link does so as its maker, not as themselves.
    assert_eq!(
        ask(&server, "Bearer nonsense", "GET", &path, None).status,
        200
    );
    assert_eq!(ask(&server, "", "POST", &path, Some("{}")).status, 405);
    // One who may nothing makes a link to nothing.
    let eve = make(&bearer("eve@elsewhere.org"), endpoint.clone()).json();
    let eve = eve["url"].as_str().expect("an address").to_owned();
    assert_eq!(server.get(&eve).0, 403);
    for (body, code) in [
        (
            json!({ "endpoint": "files/../../other/files/x" }),
            "bad_param",
        ),
        (json!({ "endpoint": "save" }), "bad_param"),
        (json!({ "endpoint": "agent/x/permissions" }), "bad_param"),
        (json!({}), "bad_param"),
        (
            json!({ "endpoint": "files/x", "expires": "soon" }),
            "bad_param",
        ),
        (
            json!({ "endpoint": "files/x", "expires": "2020-01-31T12:00:00Z" }),
            "bad_param",
        ),
        // Seconds, not milliseconds.
        (
            json!({ "endpoint": "files/x", "expires": 1_900_000_000 }),
            "bad_param",
        ),
        (json!({ "endpoint": "files/x", "expires": -1 }), "bad_param"),
        (json!({ "endpoint": "files/x", "more": 1 }), "bad_param"),
    ] {
        let refused = make(&bob, body.clone());
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, code),
            "{body}"
        );
    }
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    let soon = soon
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let ended = make(
        &bob,
        json!({ "endpoint": "files/notes/a%20b.txt", "expires": soon.as_millis() as u64 }),
    );
    assert_eq!(ended.status, 201);
    let ended = ended.json()["url"].as_str().expect("an address").to_owned();
    while server.get(&ended).0 == 200 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(server.get(&ended).0, 404);
    // Links outlive the process, and end with the rights of their maker.
    server.kill();
    let server = Server::mixer(scratch.path(), &flags);
    assert_eq!(server.get(&path), (200, b"private".to_vec()));
    let id = granted["id"].as_str().expect("an id");
    assert_eq!(
        ask(
            &server,
            &ada,
            "DELETE",
            &format!("{APP}/permissions/{id}"),
            None
        )
        .status,
        204
    );
    let refused = server.get(&path);
    assert_eq!(refused.0, 403);
    assert_eq!(
        ask(&server, &bearer("eve@elsewhere.org"), "DELETE", &path, None).status,
        403
    );
    assert_eq!(ask(&server, &bob, "DELETE", &path, None).status, 204);
    assert_eq!(
        (
            server.get(&path).0,
            ask(&server, &bob, "DELETE", &path, None).status
        ),
        (404, 404)
    );
}

#[test]
fn a_workspace_stores_no_more_than_it_may() {
    let (_scratch, server) = site(&["--ws-disk-limit", "1MiB"]);
    let put = |path: &str, size: usize| {
        let content = vec![b'x'; size];
        let body = Some(("application/octet-stream", content.as_slice()));
        server.send_bytes("PUT", &manage(&format!("content?path={path}")), &[], body)
    };
    assert_eq!(put("/a", 600 << 10).status, 201);
    let full = put("/b", 600 << 10);
    assert_eq!((full.status, full.code().as_str()), (507, "disk_full"));
    assert_eq!(full.header("retry-after"), Some("60"));
    assert_eq!(
        full.json()["error"]["details"],
        json!({ "limit": "workspace", "bytes": 1 << 20 })
    );
    let copy = server.send("POST", &manage("copy?src=/a&path=/c"), &[], None);
    assert_eq!((copy.status, copy.code().as_str()), (507, "disk_full"));
    let upload = ticket(&server, &form(&server, "/up", ""));
    let body = vec![0; 600 << 10];
    let body = Some(("application/octet-stream", body.as_slice()));
    assert_eq!(
        server.send_bytes("PUT", &upload, &[], body).code(),
        "disk_full"
    );
    let save = |size: usize| {
        let record = json!({ "record": { "text": "x".repeat(size) } });
        server.send(
            "POST",
            &format!("{APP}/save"),
            &[],
            Some(("application/json", &record.to_string())),
        )
    };
    let saved = save(10);
    assert_eq!(saved.status, 200, "{:?}", saved.json());
    let full = save(600 << 10);
    assert_eq!((full.status, full.code().as_str()), (507, "db_full"));
    assert_eq!(full.header("retry-after"), Some("60"));
    // An app whose metadata have no room is not made, and its name stays free.
    let metadata = json!({ "text": "x".repeat(600 << 10) }).to_string();
    let app = APP.replace("/app/demo", "/app/large");
    let described = app.replace("/app/", "/appmeta/");
    for (method, path) in [("POST", &app), ("PUT", &described)] {
        let full = server.send(method, path, &[], Some(("application/json", &metadata)));
        assert_eq!((full.status, full.code().as_str()), (507, "db_full"));
        assert_eq!(server.get(&app).0, 404);
    }
    assert_eq!(server.post(&app, "{}").0, 201);
    // Others are not concerned, and whoever deletes has room again.
    assert_eq!(server.post("/v1/ws", r#"{"name":"other"}"#).0, 201);
    assert_eq!(server.post("/v1/ws/other/app/demo", "{}").0, 201);
    let record = json!({ "record": { "text": "x".repeat(600 << 10) } }).to_string();
    assert_eq!(server.post("/v1/ws/other/app/demo/save", &record).0, 200);
    let id = saved.json()["records"][0]["_rmx_id"]["_rmx_value"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(server.delete(&format!("{APP}/documents/{id}")).0, 204);
    assert_eq!(server.delete(&manage("content?path=/a")).0, 204);
    assert_eq!(put("/b", 600 << 10).status, 201);
}

#[test]
fn agents_of_a_workspace_send_and_receive_no_more_than_it_may() {
    let scratch = tempfile::tempdir().expect("a folder");
    let there = Server::mixer(&scratch.path().join("there"), &[]);
    assert_eq!(there.post("/v1/ws", r#"{"name":"acme"}"#).0, 201);
    assert_eq!(there.post(APP, "{}").0, 201);
    let text = "x".repeat(40 << 10);
    let put = there.send(
        "PUT",
        &manage("content?path=/public/x.txt"),
        &[],
        Some(("text/plain", &text)),
    );
    assert_eq!(put.status, 201);
    let sources = scratch.path().join("sources");
    std::fs::create_dir_all(&sources).expect("a folder");
    let source = "module ask(p:data)\n  cell output = http.get(p.url, null)\nmodule end\n";
    std::fs::write(sources.join("app.mix"), source).expect("written");
    let (from, ws_dir) = (sources.display().to_string(), scratch.path().join("ws"));
    for ws in ["acme", "other"] {
        let done = mix_system_tests::run_mixer([
            "install",
            &from,
            "--ws-dir",
            &ws_dir.display().to_string(),
            "--ws",
            ws,
            "--app",
            "demo",
        ]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let server = Server::mixer(
        &ws_dir,
        &["--dangerous-http-mode", "--ws-egress-limit", "64KiB"],
    );
    let url = format!("{}{APP}/files/public/x.txt", there.base());
    let ask = |ws: &str| {
        let path = format!("/v1/ws/{ws}/app/demo/agent/ask/run");
        let (status, body) = server.post(&path, &json!({ "url": url }).to_string());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        response_json(&body)
    };
    assert_eq!(ask("acme")["status"], 200);
    let broken = ask("acme")["error"].clone();
    assert!(
        broken.as_str().is_some_and(|text| text.starts_with("ERR_")),
        "{broken}"
    );
    let refused = ask("acme")["error"].clone();
    let refused = refused.as_str().expect("an error");
    assert!(
        refused.starts_with("ERR_TOO_LARGE: ") && refused.contains("try again in "),
        "{refused}"
    );
    assert_eq!(ask("other")["status"], 200);
}

/// Bytes of files are measured as what was sent of them.
#[test]
fn what_is_sent_of_files_is_measured() {
    let (_scratch, server) = site(&[]);
    let text = "x".repeat(600);
    let body = Some(("application/octet-stream", text.as_str()));
    let put = server.send("PUT", &manage("content?path=/public/x.txt"), &[], body);
    assert_eq!(put.status, 201);
    let path = format!("{APP}/files/public/x.txt");
    assert_eq!(server.get(&path).1.len(), 600);
    let part = server.send("GET", &path, &[("range", "bytes=0-9")], None);
    assert_eq!(part.body.len(), 10);
    assert_eq!(server.send("HEAD", &path, &[], None).status, 200);
    let metrics = String::from_utf8(server.get("/v1/metrics").1).expect("text");
    for (method, status, bytes) in [("GET", 200, 600), ("GET", 206, 10), ("HEAD", 200, 0)] {
        let line = format!(
            r#"mixer_http_response_bytes_total{{route="/v1/ws/{{ws}}/app/{{app}}/files/{{path..}}",method="{method}",status="{status}"}} {bytes}"#
        );
        assert!(metrics.lines().any(|found| found == line), "{line}");
    }
}
