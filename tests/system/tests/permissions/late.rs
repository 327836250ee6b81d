//! Requests whose bodies take their time: who may do something when it is begun need not be allowed to any more when it is done.

use super::*;
use std::io::Read;

/// A request whose head has come, and the first byte of its body.
struct Slow {
    stream: TcpStream,
    body: Vec<u8>,
}

impl Slow {
    fn begin(site: &Site, user: &str, line: &str, kind: &str, body: Vec<u8>) -> Slow {
        let address = site.server.base().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            site.service.token(user),
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&body[..1]).expect("sent");
        // It is admitted before its body is read.
        std::thread::sleep(Duration::from_millis(500));
        Slow { stream, body }
    }

    /// The rest; the answer.
    fn end(mut self) -> String {
        self.stream.write_all(&self.body[1..]).expect("sent");
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_late_import_does_not_replace_what_somebody_else_has_made() {
    let site = Site::start(&[]);
    let name = |name: &str| json!({ "name": name });
    site.expect(STRANGER, "POST", "/v1/ws", name("tape"), 201);
    let tape = site.send(STRANGER, "GET", "/v1/ws/tape/export", None);
    assert_eq!(tape.status, 200);
    let line = "POST /v1/ws-import?ws=wanted&replace=true";
    let kind = "application/octet-stream";
    // Nobody has it yet.
    let early = Slow::begin(&site, STRANGER, line, kind, tape.body.clone());
    site.expect(OWNER, "POST", "/v1/ws", name("wanted"), 201);
    site.expect(OWNER, "POST", "/v1/ws/wanted/app/movies", json!({}), 201);
    let answer = early.end();
    assert_eq!(status(&answer), "403", "{answer}");
    let found = site.expect(OWNER, "GET", "/v1/ws/wanted", Value::Null, 200);
    assert_eq!(found["apps"], json!([{ "name": "movies" }]));
    // Its owner may, and whoever makes one that still is not there.
    let own = Slow::begin(&site, OWNER, line, kind, tape.body.clone()).end();
    assert_eq!(status(&own), "201", "{own}");
    let line = "POST /v1/ws-import?ws=free&replace=true";
    let free = Slow::begin(&site, STRANGER, line, kind, tape.body).end();
    assert_eq!(status(&free), "201", "{free}");
}

#[test]
fn who_may_place_apps_does_not_describe_those_that_have_come_meanwhile() {
    let site = Site::start(&[]);
    site.expect(OWNER, "POST", "/v1/ws", json!({ "name": "films" }), 201);
    let grant = json!({ "subject": format!("user/{STRANGER}"), "role": "db/creator", "resource": "workspace" });
    site.expect(OWNER, "POST", "/v1/ws/films/permissions", grant, 201);
    let line = |app: &str| format!("PUT /v1/ws/films/appmeta/{app}");
    let kind = "application/json";
    let body = || br#"{"settings":{"tokenText":true}}"#.to_vec();
    let late = Slow::begin(&site, STRANGER, &line("movies"), kind, body());
    let own = json!({ "display_name": "Movies" });
    site.expect(OWNER, "PUT", "/v1/ws/films/appmeta/movies", own, 201);
    let answer = late.end();
    assert_eq!(status(&answer), "403", "{answer}");
    let found = site.expect(
        OWNER,
        "GET",
        "/v1/ws/films/appmeta/movies",
        Value::Null,
        200,
    );
    assert_eq!(found, json!({ "name": "movies", "display_name": "Movies" }));
    let other = Slow::begin(&site, STRANGER, &line("other"), kind, body()).end();
    assert_eq!(status(&other), "201", "{other}");
    // Who may write an app does not bring it back.
    let grant =
        json!({ "subject": format!("user/{ADMIN}x"), "role": "editor", "resource": "db/movies" });
    site.expect(OWNER, "POST", "/v1/ws/films/permissions", grant, 201);
    let writer = format!("{ADMIN}x");
    let late = Slow::begin(&site, &writer, &line("movies"), kind, body());
    site.expect(OWNER, "DELETE", "/v1/ws/films/app/movies", Value::Null, 204);
    let answer = late.end();
    assert_eq!(status(&answer), "403", "{answer}");
    site.expect(
        OWNER,
        "GET",
        "/v1/ws/films/appmeta/movies",
        Value::Null,
        404,
    );
}

#[test]
fn what_comes_slowly_is_judged_by_the_rights_at_its_end() {
    let site = Site::start(&[]);
    site.expect(OWNER, "POST", "/v1/ws", json!({ "name": "films" }), 201);
    site.expect(OWNER, "POST", "/v1/ws/films/app/movies", json!({}), 201);
    let grants = "/v1/ws/films/permissions";
    let grant =
        json!({ "subject": format!("user/{STRANGER}"), "role": "editor", "resource": "db/movies" });
    let grant = site.expect(OWNER, "POST", grants, grant, 201);
    let begin = || {
        let line = "POST /v1/ws/films/app/movies/documents";
        Slow::begin(
            &site,
            STRANGER,
            line,
            "application/json",
            b"[{\"a\":1}]".to_vec(),
        )
    };
    let (kept, late) = (begin(), begin());
    std::thread::sleep(Duration::from_secs(1));
    let answer = kept.end();
    assert_eq!(status(&answer), "201", "{answer}");
    let id = grant["id"].as_str().expect("an id");
    site.expect(OWNER, "DELETE", &format!("{grants}/{id}"), Value::Null, 204);
    let answer = late.end();
    assert_eq!(status(&answer), "403", "{answer}");
}
