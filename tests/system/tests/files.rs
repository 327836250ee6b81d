//! Files of apps over HTTP, work on the records of an app as a whole, and the bounds of both.

use mix_system_tests::{Answer, Server, response_json, run_mixer, stock_server};
use serde_json::json;

#[path = "files/addresses.rs"]
mod addresses;
#[path = "files/quotas.rs"]
mod quotas;
#[path = "files/records.rs"]
mod records;
#[path = "files/registered.rs"]
mod registered;

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

fn form(server: &Server, path: &str, metadata: &str) -> Answer {
    let text = format!("path={path}&reg_url=blob%3A1&reg_metadata={metadata}");
    server.send(
        "POST",
        &manage("register"),
        &[],
        Some(("application/x-www-form-urlencoded", &text)),
    )
}

/// Path of the upload that a registration gives.
fn ticket(server: &Server, registered: &Answer) -> String {
    assert_eq!(registered.status, 201, "{:?}", registered.json());
    let url = registered.json()["metadata"]["_rmx_upload_url"].clone();
    let url = url.as_str().expect("an address").to_owned();
    url.strip_prefix(server.base()).expect("here").to_owned()
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
