//! What operators and authors look at: the pages of the interface, limits of a workspace, the
//! places of a reported error.

use super::*;
use std::process::{Command, Stdio};

#[test]
fn the_pages_of_the_interface_come_from_the_server_itself() {
    let site = Site::start_with(&[]);
    let page = site.server.send("GET", "/v1/swagger/", &[], None);
    assert_eq!(page.status, 200);
    let kind = page.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/html"), "{kind}");
    let text = String::from_utf8_lossy(&page.body).into_owned();
    assert!(!text.contains("http"), "nothing is fetched from elsewhere");
    let named: Vec<&str> = text
        .split(['"'])
        .filter(|part| {
            [".css", ".js", ".png"]
                .iter()
                .any(|end| part.ends_with(end))
        })
        .collect();
    assert!(named.len() >= 4, "{named:?}");
    for file in named {
        let path = format!("/v1/swagger/{file}");
        let answer = site.server.send("GET", &path, &[], None);
        assert_eq!(
            (answer.status, answer.body.is_empty()),
            (200, false),
            "{file}"
        );
    }
    let answer = site.server.send("GET", "/v1/swagger/none.js", &[], None);
    assert_eq!(answer.status, 404);
    let hidden = Site::start_with(&["--docs", "off"]);
    let answer = hidden.server.send("GET", "/v1/swagger/", &[], None);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "no_such_route")
    );
}

const SHOWN: &str = r#"/// Shows a name
/// with its sizes.
module shown(p:{name:string, sizes:array(number)})
  cell output = p.name
module end
module drawn(p:data)
  cell output = {bytes: binary.ofString("<svg/>"), text: "a text", number: 5}
module end
"#;

#[test]
fn a_member_is_sent_in_the_type_that_its_caller_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("pages.mix");
    std::fs::write(&source, SHOWN).expect("written");
    let ws_dir = folder.path().join("ws");
    install(source, &ws_dir, "local", "pages");
    let server = Server::mixer(&ws_dir, &[]);
    let app = "/v1/ws/local/app/pages/agent";
    let get = |field: &str, accept: &str| {
        let path = format!("{app}/drawn/run?field={field}");
        server.send("GET", &path, &[("accept", accept)], None)
    };
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (field, accept, status, kind) in [
        ("bytes", "image/png", 200, "image/png"),
        ("bytes", "image/svg+xml", 200, "image/svg+xml"),
        (
            "bytes",
            "image/avif,image/*;q=0.9,*/*;q=0.5",
            200,
            "image/avif",
        ),
        ("bytes", "*/*", 200, "application/json; charset=utf-8"),
        ("bytes", "image/*", 406, "application/json; charset=utf-8"),
        ("text", browser, 200, "text/html; charset=utf-8"),
        ("text", "text/plain", 200, "text/plain; charset=utf-8"),
        ("text", "image/png", 406, "application/json; charset=utf-8"),
        (
            "text",
            "image/png, */*;q=0.1",
            200,
            "application/json; charset=utf-8",
        ),
        (
            "number",
            "image/png",
            406,
            "application/json; charset=utf-8",
        ),
        ("none", "text/plain", 200, "application/json; charset=utf-8"),
    ] {
        let answer = get(field, accept);
        let found = (answer.status, answer.header("content-type"));
        assert_eq!(found, (status, Some(kind)), "{field} {accept}");
    }
    let drawn = get("bytes", "image/svg+xml");
    assert_eq!(drawn.body, b"<svg/>");
    let policy = drawn.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("sandbox"), "{policy}");
    assert_eq!(
        get("bytes", "image/png").header("content-security-policy"),
        None
    );

    // What callers send are the members of the record that the agent takes; the doc comment says what it is for.
    let described = server
        .send("GET", &format!("{app}/shown"), &[], None)
        .json();
    assert_eq!(
        described["inParams"],
        json!([
            { "name": "name", "type": "string", "optional": false },
            { "name": "sizes", "type": "array(number)", "optional": false },
        ])
    );
    assert_eq!(described["description"], "Shows a name\nwith its sizes.");
    for path in [
        "/v0/ws-clone",
        "/v0/nothing",
        "/run-agent/a.b/c/d",
        "/ws/none",
    ] {
        let answer = server.send("GET", path, &[], None);
        assert_eq!(answer.header("deprecation"), Some("true"), "{path}");
    }
}

#[test]
fn a_workspace_has_a_rate_of_its_own() {
    let site = Site::start_with(&["--ws-rate-limit", "30"]);
    site.expect(OWNER, "POST", "/v1/ws", json!({ "name": "other" }), 201);
    let ask = |ws: &str| site.send(OWNER, "GET", &format!("/v1/ws/{ws}"), &Value::Null);
    let refused = (0..40)
        .map(|_| ask("acme"))
        .find(|answer| answer.status != 200)
        .expect("one is too many");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "rate_limited")
    );
    assert_eq!(refused.json()["error"]["details"]["limit"], "workspace");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(ask("other").status, 200);
}

/// What `mixer error-decode` prints for this input.
fn decode(input: &[u8], arguments: &[&str]) -> (i32, String) {
    let mut child = Command::new(mix_system_tests::mixer())
        .arg("error-decode")
        .args(arguments)
        .current_dir(repository().join("tests/system/programs/limits"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("mixer starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, input).expect("mixer reads");
    drop(stdin);
    let output = child.wait_with_output().expect("mixer ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn a_reported_error_leads_to_the_lines_of_its_sources() {
    let site = Site::start();
    let path = "/v1/ws/acme/app/limits/agent/fails/run";
    let failed = site.send(OWNER, "POST", path, &Value::Null);
    assert_eq!(failed.status, 500);
    let ws_dir = site._folder.path().display().to_string();
    let selection = ["--ws-dir", &ws_dir, "--ws", "acme", "--app", "limits"];
    let (code, text) = decode(&failed.body, &selection);
    assert_eq!(code, 0, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "RT_FAIL: no luck");
    assert!(lines[1].starts_with("  at fails.inner ("), "{text}");
    assert!(lines[1].contains("limits.mix:31:"), "{text}");
    assert!(lines[2].contains("fail(\"no \" + x)"), "{text}");
    // The stack alone, as JSON; and what is no stack at all.
    let stack = failed.json()["error"]["details"]["mixStack"].to_string();
    let mut as_json = selection.to_vec();
    as_json.push("--json");
    let (code, text) = decode(stack.as_bytes(), &as_json);
    let decoded: Value = serde_json::from_str(&text).expect("it is JSON");
    let file = decoded["frames"][0]["file"].as_str().unwrap_or_default();
    assert!(code == 0 && file.ends_with("limits.mix"), "{text}");
    let (code, text) = decode(stack.as_bytes(), &[]);
    assert_eq!(code, 0);
    assert!(text.contains("at fails.inner (line "), "{text}");
    assert_eq!(decode(b"{\"error\":{}}", &[]).0, 1);
    assert_eq!(decode(b"no JSON", &[]).0, 1);
}

#[test]
fn files_of_the_operator_stand_beside_the_interface() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("site");
    std::fs::create_dir_all(root.join("docs")).expect("a folder");
    std::fs::write(root.join("docs/index.html"), "<p>hello</p>").expect("a file");
    std::fs::write(folder.path().join("secret"), "hush").expect("a file");
    let site = Site::start_with(&["--serve-files-from", &root.display().to_string()]);
    let page = site.server.send("GET", "/docs/", &[], None);
    assert_eq!(
        (page.status, page.body.as_slice()),
        (200, &b"<p>hello</p>"[..])
    );
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let head = site.server.send("HEAD", "/docs/index.html", &[], None);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("12"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    for (method, path, status) in [
        ("POST", "/docs/", 404),
        ("GET", "/docs/none.html", 404),
        ("GET", "/%2e%2e/secret", 400),
        ("GET", "/v1/none", 404),
        ("GET", "/v1/health", 200),
    ] {
        assert_eq!(
            site.server.send(method, path, &[], None).status,
            status,
            "{path}"
        );
    }
    assert_eq!(
        Site::start().server.send("GET", "/docs/", &[], None).status,
        404
    );
}

#[test]
fn files_of_the_operator_are_sent_once_and_in_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.txt");
    std::fs::write(&path, "0123456789").expect("a file");
    let file = std::fs::File::open(&path).expect("it is there");
    // 2015-10-21T07:28:00.9Z.
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_445_412_480_900);
    file.set_modified(time).expect("a time");
    let site = Site::start_with(&["--serve-files-from", &folder.path().display().to_string()]);
    let ask = |method: &str, headers: &[(&str, &str)]| {
        let answer = site.server.send(method, "/film.txt", headers, None);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        (answer, text)
    };
    let (first, text) = ask("GET", &[]);
    assert_eq!((first.status, text.as_str()), (200, "0123456789"));
    let then = "Wed, 21 Oct 2015 07:28:00 GMT";
    assert_eq!(first.header("last-modified"), Some(then));
    assert_eq!(first.header("accept-ranges"), Some("bytes"));
    let tag = first.header("etag").expect("a tag").to_owned();
    let other = "Wed, 21 Oct 2015 07:27:59 GMT";
    for (headers, status, expected) in [
        (&[("if-none-match", tag.as_str())][..], 304, ""),
        (&[("if-none-match", "\"other\"")], 200, "0123456789"),
        (&[("if-modified-since", then)], 304, ""),
        (&[("if-modified-since", other)], 200, "0123456789"),
        (&[("if-modified-since", "never")], 200, "0123456789"),
        // The tag counts, not the time.
        (
            &[("if-none-match", "\"other\""), ("if-modified-since", then)],
            200,
            "0123456789",
        ),
        (
            &[("if-match", tag.as_str()), ("if-unmodified-since", other)],
            200,
            "0123456789",
        ),
        (&[("range", "bytes=2-4")], 206, "234"),
        (&[("range", "bytes=-3")], 206, "789"),
        (&[("range", "bytes=8-100")], 206, "89"),
        (&[("range", "bytes=0-1,4-5")], 200, "0123456789"),
        (
            &[("range", "bytes=2-4"), ("if-range", tag.as_str())],
            206,
            "234",
        ),
        (&[("range", "bytes=2-4"), ("if-range", then)], 206, "234"),
        (
            &[("range", "bytes=2-4"), ("if-range", other)],
            200,
            "0123456789",
        ),
    ] {
        let (answer, text) = ask("GET", headers);
        assert_eq!(
            (answer.status, text.as_str()),
            (status, expected),
            "{headers:?}"
        );
        assert_eq!(answer.header("etag"), Some(tag.as_str()), "{headers:?}");
    }
    let (part, _) = ask("GET", &[("range", "bytes=2-4")]);
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(part.header("content-length"), Some("3"));
    for (headers, status, code) in [
        (&[("range", "bytes=10-")][..], 416, "bad_range"),
        (&[("if-match", "\"other\"")], 412, "precondition_failed"),
        (
            &[("if-unmodified-since", other)],
            412,
            "precondition_failed",
        ),
    ] {
        let (answer, _) = ask("GET", headers);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{headers:?}"
        );
    }
    let (nowhere, _) = ask("GET", &[("range", "bytes=10-")]);
    assert_eq!(nowhere.header("content-range"), Some("bytes */10"));
    // What is only described has no parts.
    let (head, _) = ask("HEAD", &[("range", "bytes=2-4")]);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    let (head, _) = ask("HEAD", &[("if-none-match", &tag)]);
    assert_eq!(head.status, 304);
    // Another content has another tag, whatever its length and the second of its time.
    std::fs::write(&path, "9876543210").expect("a file");
    let (changed, _) = ask("GET", &[("if-none-match", &tag)]);
    assert_eq!(changed.status, 200);
    // Times that no header can have.
    for time in [
        std::time::UNIX_EPOCH - std::time::Duration::from_secs(7),
        std::time::SystemTime::now() + std::time::Duration::from_secs(1 << 36),
    ] {
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("it is there");
        file.set_modified(time).expect("a time");
        let (answer, _) = ask("GET", &[("if-modified-since", then)]);
        assert_eq!((answer.status, answer.header("last-modified")), (200, None));
        assert!(answer.header("etag").is_some());
    }
}

#[test]
fn a_trusted_proxy_says_whom_a_request_comes_from() {
    let limit = ["--anon-rate-limit", "2"];
    let site = Site::start_with(&[&limit[..], &["--trusted-proxy", "127.0.0.0/8"]].concat());
    let ask = |site: &Site, from: &str| {
        let headers = [("x-forwarded-for", from)];
        site.server
            .send("GET", "/v1/ws/acme", &headers, None)
            .status
    };
    // What stands before the last address is not the proxy's word.
    for from in ["1.2.3.4", "9.9.9.9, 1.2.3.4"] {
        assert_eq!(ask(&site, from), 401);
    }
    assert_eq!(ask(&site, "1.2.3.4"), 429);
    assert_eq!(ask(&site, "1.2.3.5"), 401);
    // Who is not trusted speaks for nobody.
    let site = Site::start_with(&limit);
    for from in ["1.2.3.4", "1.2.3.5"] {
        assert_eq!(ask(&site, from), 401);
    }
    assert_eq!(ask(&site, "1.2.3.6"), 429);
}

#[test]
fn a_compressed_body_is_not_taken_for_a_text() {
    let site = Site::start();
    let bearer = format!("Bearer {}", site.service.token(OWNER));
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-encoding", "gzip"),
    ];
    let body = Some(("application/json", "{\"name\":\"Ada\"}"));
    let run = format!("{APP}/agent/fine");
    for path in [
        run.clone(),
        format!("{APP}/documents"),
        format!("{APP}/query"),
    ] {
        let answer = site.server.send("POST", &path, &headers, body);
        let found = (answer.status, answer.code());
        assert_eq!(found, (415, "bad_media_type".to_owned()), "{path}");
    }
    // An agent that takes the bytes unpacks them itself.
    let raw = format!("{run}?include_raw_body=true");
    assert_eq!(site.server.send("POST", &raw, &headers, body).status, 200);
    let plain = [
        ("authorization", bearer.as_str()),
        ("content-encoding", "identity"),
    ];
    assert_eq!(site.server.send("POST", &run, &plain, body).status, 200);
}
