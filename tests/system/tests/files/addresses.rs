//! Addresses that are given away: signed ones, pages at an origin of their own, links that run endpoints.

use super::{APP, manage, site};
use mix_system_tests::{IdentityService, Server};
use serde_json::{Value, json};

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
