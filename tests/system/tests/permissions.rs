//! Who may do what over HTTP: every endpoint as anonymous, as a user of another workspace, as a
//! user of the workspace, and as an administrator of the server.

use mix_system_tests::{
    Answer, IdentityService, Server, identity_flags, install, now, repository, run_mixer,
};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

#[path = "permissions/endpoints.rs"]
mod endpoints;
#[path = "permissions/late.rs"]
mod late;
#[path = "permissions/roles.rs"]
mod roles;
#[path = "permissions/tokens.rs"]
mod tokens;

const ADMIN: &str = "root@example.com";
const OWNER: &str = "ada@example.com";
const STRANGER: &str = "eve@elsewhere.org";

struct Site {
    service: IdentityService,
    server: Server,
    _folder: tempfile::TempDir,
}

impl Site {
    fn start(more: &[&str]) -> Site {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let service = IdentityService::start();
        let url = service.key_url();
        let mut arguments = identity_flags(&url);
        arguments.extend(["--workspace-creator", "domain/elsewhere.org"]);
        arguments.extend(more);
        let server = Server::mixer(folder.path(), &arguments);
        Site {
            service,
            server,
            _folder: folder,
        }
    }

    fn folder(&self) -> &Path {
        self._folder.path()
    }

    /// A request of a user, or of nobody if the name is empty.
    fn send(&self, user: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let token = format!("Bearer {}", self.service.token(user));
        let headers = [("authorization", token.as_str())];
        let headers = if user.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        let text = body.map(Value::to_string);
        let body = text.as_deref().map(|text| ("application/json", text));
        self.server.send(method, path, headers, body)
    }

    #[track_caller]
    fn expect(&self, user: &str, method: &str, path: &str, body: Value, status: u16) -> Value {
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = self.send(user, method, path, body);
        assert_eq!(
            answer.status,
            status,
            "{user} {method} {path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        if answer
            .header("content-type")
            .is_some_and(|kind| kind.contains("json"))
        {
            answer.json()
        } else {
            Value::Null
        }
    }

    /// Workspaces of the owner and of the stranger, with the films in the first.
    fn furnish(&self) {
        self.expect(OWNER, "POST", "/v1/ws", json!({ "name": "acme" }), 201);
        self.expect(STRANGER, "POST", "/v1/ws", json!({ "name": "other" }), 201);
        self.furnish_movies();
    }

    fn furnish_movies(&self) {
        install(
            repository().join("examples/movies"),
            self.folder(),
            "acme",
            "movies",
        );
    }

    fn grant(&self, user: &str, subject: &str, role: &str, resource: &str) -> String {
        let grant = json!({ "subject": subject, "role": role, "resource": resource });
        let made = self.expect(user, "POST", "/v1/ws/acme/permissions", grant, 201);
        made["id"].as_str().expect("an id").to_string()
    }
}

#[test]
fn names_do_not_leak_to_those_who_may_not() {
    let site = Site::start(&[]);
    site.furnish();
    for path in [
        "/v1/ws/acme",
        "/v1/ws/nowhere",
        "/v1/ws/acme/app/movies",
        "/v1/ws/acme/app/nothing",
    ] {
        assert_eq!(site.send("", "GET", path, None).status, 401, "{path}");
        assert_eq!(
            site.send(STRANGER, "GET", path, None).code(),
            "forbidden",
            "{path}"
        );
    }
    assert_eq!(
        site.send(ADMIN, "GET", "/v1/ws/nowhere", None).code(),
        "no_such_ws"
    );
    assert_eq!(
        site.send(OWNER, "GET", "/v1/ws/acme/app/nothing", None)
            .code(),
        "no_such_app"
    );
    for app in ["_rmx_admin", "_rmx_secrets"] {
        for user in ["", OWNER, ADMIN] {
            let answer = site.send(user, "GET", &format!("/v1/ws/acme/app/{app}/query"), None);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (404, "no_such_app")
            );
        }
    }
    let seen =
        |user: &str| site.expect(user, "GET", "/v1/ws", Value::Null, 200)["workspaces"].clone();
    assert_eq!(seen(""), json!([]));
    assert_eq!(seen(OWNER), json!([{ "name": "acme" }]));
    assert_eq!(
        seen(ADMIN),
        json!([{ "name": "acme" }, { "name": "other" }])
    );
    let told = site.expect(OWNER, "GET", "/v1/ws/acme", Value::Null, 200);
    assert_eq!(told["name"], "acme");
    let mut apps = told["apps"].as_array().expect("apps").clone();
    // It is there as soon as something was logged.
    apps.retain(|app| app["name"] != "_rmx_logging");
    assert_eq!(apps, [json!({ "name": "movies" })]);
}

#[test]
fn grants_give_what_their_role_says_at_once_and_survive_a_restart() {
    let site = Site::start(&[]);
    site.furnish();
    let run = "/v1/ws/acme/app/movies/agent/report/run";
    let query = "/v1/ws/acme/app/movies/query?query=n%20%3D%3D%201";
    let bob = "bob@partner.net";
    let status = |user: &str, path: &str| site.send(user, "GET", path, None).status;
    assert_eq!((status(bob, run), status(bob, query)), (403, 403));
    let id = site.grant(OWNER, "domain/partner.net", "runner", "agent/movies/report");
    assert_eq!((status(bob, run), status(bob, query)), (200, 403));
    assert_eq!(status("bob@sub.partner.net", run), 403);
    let editor = site.grant(OWNER, "user/BOB@partner.net", "editor", "db/movies");
    assert_eq!((status(bob, run), status(bob, query)), (200, 200));
    // Whoever holds a grant may give it up, and nobody else's.
    let path = |id: &str| format!("/v1/ws/acme/permissions/{id}");
    site.expect(bob, "DELETE", &path(&id), Value::Null, 403);
    site.expect(bob, "DELETE", &path(&editor), Value::Null, 204);
    assert_eq!((status(bob, run), status(bob, query)), (200, 403));
    // Anonymous grants serve everybody, signed in or not.
    site.grant(OWNER, "anonymous", "runner", "agent/movies/report");
    assert_eq!((status("", run), status(STRANGER, run)), (200, 200));

    let Site {
        service,
        server,
        _folder,
    } = site;
    server.kill();
    let url = service.key_url();
    let server = Server::mixer(_folder.path(), &["--jwks-url", &url]);
    let site = Site {
        service,
        server,
        _folder,
    };
    assert_eq!(site.send("", "GET", run, None).status, 200);
    assert_eq!(site.send(STRANGER, "GET", query, None).status, 403);
    assert_eq!(site.send(OWNER, "GET", query, None).status, 200);
}

#[test]
fn grants_go_with_their_app_or_before_it() {
    let site = Site::start(&[]);
    site.furnish();
    let (bob, app) = ("bob@partner.net", "/v1/ws/acme/app/movies");
    let run = format!("{app}/agent/report/run");
    let path = |id: &str| format!("/v1/ws/acme/permissions/{id}");
    let first = site.grant(
        OWNER,
        "user/bob@partner.net",
        "runner",
        "agent/movies/report",
    );
    let second = site.grant(OWNER, "domain/partner.net", "editor", "db/movies");
    let agents = site.grant(
        OWNER,
        "agent/127.0.0.1:acme.movies.report",
        "runner",
        "db/films",
    );
    // Of an app that is not there yet.
    let waiting = site.grant(
        OWNER,
        "user/bob@partner.net",
        "runner",
        "agent/films/report",
    );
    site.expect(OWNER, "DELETE", &path(&first), Value::Null, 204);
    site.expect(OWNER, "DELETE", &path(&first), Value::Null, 404);
    site.expect(bob, "GET", &run, Value::Null, 200);
    site.expect(OWNER, "DELETE", app, Value::Null, 204);
    for id in [&first, &second, &agents] {
        site.expect(OWNER, "GET", &path(id), Value::Null, 404);
        site.expect(OWNER, "DELETE", &path(id), Value::Null, 404);
    }
    site.expect(OWNER, "DELETE", "/v1/ws/acme/app/films", Value::Null, 404);
    site.expect(OWNER, "GET", &path(&waiting), Value::Null, 200);
    // Another app of that name is nobody's yet.
    site.furnish_movies();
    site.expect(bob, "GET", &run, Value::Null, 403);
    // Both at once.
    let ids: Vec<String> = (0..6)
        .map(|n| {
            site.grant(
                OWNER,
                &format!("user/u{n}@partner.net"),
                "runner",
                "db/movies",
            )
        })
        .collect();
    let delete = |path: &str| site.send(OWNER, "DELETE", path, None).status;
    std::thread::scope(|scope| {
        let grants: Vec<_> = ids
            .iter()
            .map(|id| scope.spawn(|| delete(&path(id))))
            .collect();
        let whole = scope.spawn(|| delete(app));
        for grant in grants {
            let status = grant.join().expect("an answer");
            assert!(matches!(status, 204 | 404), "{status}");
        }
        assert_eq!(whole.join().expect("an answer"), 204);
    });
    let left = site.expect(OWNER, "GET", "/v1/ws/acme/permissions", Value::Null, 200);
    let left: Vec<&Value> = left
        .as_array()
        .expect("grants")
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(left, [&json!(waiting)]);
}

/// Sends a request and closes the connection without waiting for the answer.
fn leave(site: &Site, user: &str, method: &str, path: &str, after: Duration) {
    let address = site.server.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    let token = site.service.token(user);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("a request");
    std::thread::sleep(after);
}

#[test]
fn a_grant_whose_deleter_left_is_gone_from_memory_and_disk_alike() {
    let site = Site::start(&[]);
    site.furnish();
    let made: Vec<String> = (0..24)
        .map(|n| site.grant(OWNER, &format!("user/u{n}@x.org"), "editor", "db/movies"))
        .collect();
    for (n, id) in made.iter().enumerate() {
        let path = format!("/v1/ws/acme/permissions/{id}");
        // At each stage of the work.
        leave(
            &site,
            OWNER,
            "DELETE",
            &path,
            Duration::from_micros(200 * n as u64),
        );
    }
    // Those that were begun come to their end.
    std::thread::sleep(Duration::from_secs(2));
    let grants = |site: &Site| -> Vec<String> {
        let all = site.expect(OWNER, "GET", "/v1/ws/acme/permissions", Value::Null, 200);
        let all = all.as_array().expect("a list").iter();
        let mut ids: Vec<String> = all.map(|grant| grant["id"].to_string()).collect();
        ids.sort();
        ids
    };
    let known = grants(&site);
    assert!(known.len() < made.len(), "no deletion was begun");
    let Site {
        service,
        server,
        _folder,
    } = site;
    server.kill();
    let server = Server::mixer(_folder.path(), &["--jwks-url", &service.key_url()]);
    let site = Site {
        service,
        server,
        _folder,
    };
    assert_eq!(grants(&site), known);
}

#[test]
fn bad_grants_and_bodies_are_refused() {
    let site = Site::start(&[]);
    site.furnish();
    for (path, body, code) in [
        (
            "/v1/ws/acme/permissions",
            json!({ "subject": "x", "role": "admin" }),
            "bad_grant",
        ),
        (
            "/v1/ws/acme/permissions",
            json!({ "subject": "user/a@b.c", "role": "root" }),
            "bad_grant",
        ),
        (
            "/v1/ws/acme/permissions",
            json!({ "subject": "domain/com", "role": "runner" }),
            "bad_grant",
        ),
        (
            "/v1/ws/acme/permissions",
            json!({ "subject": "anonymous", "role": "admin" }),
            "bad_grant",
        ),
        (
            "/v1/ws/acme/permissions",
            json!({ "subject": "user/a@b.c", "role": "editor", "resource": "agent/movies/x" }),
            "bad_grant",
        ),
        (
            "/v1/ws/acme/permissions",
            json!({ "subject": "user/a@b.c", "role": "runner", "resource": "db/.." }),
            "bad_grant",
        ),
        (
            "/v1/ws/acme/app/movies/permissions",
            json!({ "subject": "user/a@b.c", "role": "runner", "resource": "workspace" }),
            "bad_grant",
        ),
        (
            "/v1/ws/acme/permissions",
            json!({ "role": "runner" }),
            "bad_param",
        ),
        (
            "/v1/ws/acme/permissions",
            json!({ "subject": "all-users", "role": "runner", "colour": 1 }),
            "bad_param",
        ),
        ("/v1/ws", json!({ "name": "a/b" }), "bad_name"),
        ("/v1/ws", json!({ "title": "x" }), "bad_param"),
        (
            "/v1/ws/acme/app/notes",
            json!({ "name": "other" }),
            "bad_param",
        ),
    ] {
        let answer = site.send(OWNER, "POST", path, Some(&body));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{path} {body}"
        );
    }
    assert_eq!(
        site.send(OWNER, "POST", "/v1/ws", Some(&json!({ "name": "acme" })))
            .code(),
        "exists"
    );
    assert_eq!(
        site.send(OWNER, "POST", "/v1/ws", Some(&json!({ "name": "_x" })))
            .status,
        403
    );
    let made = site.expect(OWNER, "POST", "/v1/ws", Value::Null, 201);
    assert_eq!(made["name"].as_str().map(str::len), Some(10));
    // A form, as old clients send it.
    let token = format!("Bearer {}", site.service.token(OWNER));
    let form = ("application/x-www-form-urlencoded", "name=old-client");
    let answer = site
        .server
        .send("POST", "/ws", &[("authorization", &token)], Some(form));
    assert_eq!(
        (answer.status, answer.header("deprecation")),
        (201, Some("true"))
    );
}

#[test]
fn the_description_of_the_interface_is_shown_to_whom_the_operator_says() {
    let path = "/v1/_doc/openapi.json";
    for (docs, anonymous, user) in [("public", 200, 200), ("auth", 401, 200), ("off", 404, 404)] {
        let site = Site::start(&["--docs", docs]);
        assert_eq!(site.send("", "GET", path, None).status, anonymous, "{docs}");
        let answer = site.send(STRANGER, "GET", path, None);
        assert_eq!(answer.status, user, "{docs}");
        if user == 200 {
            let document = answer.json();
            assert_eq!(document["openapi"], "3.1.0");
            assert!(document["paths"]["/v1/ws/{ws}"]["delete"].is_object());
        }
    }
}

#[test]
fn databases_of_other_apps_need_a_right_of_the_caller_or_of_the_agent() {
    let site = Site::start(&[]);
    site.furnish();
    let program = repository().join("tests/system/programs/families/databases.mix");
    install(program, site.folder(), "acme", "front");
    let agent = "/run-agent/acme/front/others";
    const BOB: &str = "bob@example.com";
    site.grant(
        OWNER,
        "user/bob@example.com",
        "runner",
        "agent/front/others",
    );
    let save = json!({"app": "movies", "save": {"n": 7}});
    let read = json!({"app": "movies"});
    let memory = |n: Value| json!({"app": "scores", "inmem": true, "save": {"n": n}});
    // The owner of the workspace may; Bob may run the agent and no more.
    site.expect(OWNER, "POST", agent, save.clone(), 200);
    for body in [&save, &read] {
        let answer = site.send(BOB, "POST", agent, Some(body));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("ERR_PERMISSION"), "{}: {text}", answer.status);
    }
    // In memory is open to every app, and seen by all of them.
    site.expect(BOB, "POST", agent, memory(json!(5)), 200);
    let scores = json!({"app": "scores", "inmem": true});
    assert_eq!(site.expect(OWNER, "POST", agent, scores, 200), json!([5]));
    // A right of the caller.
    let editor = site.grant(OWNER, "user/bob@example.com", "editor", "db/movies");
    let found = site.expect(BOB, "POST", agent, read.clone(), 200);
    assert_eq!(found, json!([7]));
    let path = format!("/v1/ws/acme/permissions/{editor}");
    site.expect(OWNER, "DELETE", &path, Value::Null, 204);
    let answer = site.send(BOB, "POST", agent, Some(&read));
    assert!(String::from_utf8_lossy(&answer.body).contains("ERR_PERMISSION"));
    // A right of the agent.
    let authority = site.server.base().trim_start_matches("http://");
    let subject = format!("agent/{authority}:acme.front.others");
    site.grant(OWNER, &subject, "editor", "db/movies");
    site.expect(BOB, "POST", agent, save, 200);
    assert_eq!(site.expect(BOB, "POST", agent, read, 200), json!([7, 7]));
    // Nobody has the server's own.
    for app in ["_rmx_admin", "_rmx_secrets", "absent"] {
        let answer = site.send(OWNER, "POST", agent, Some(&json!({"app": app})));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("no_such_db"), "{app}: {text}");
    }
}

/// What the server asks for itself does not have the time of callers' queries.
#[test]
fn a_short_time_for_queries_closes_nobody_out() {
    let site = Site::start(&["--query-timeout", "1ms"]);
    let made = json!({ "name": "acme" });
    assert_eq!(site.send(OWNER, "POST", "/v1/ws", Some(&made)).status, 201);
    let grant = json!({ "subject": "user/bob@example.com", "role": "editor" });
    let path = "/v1/ws/acme/permissions";
    let granted = site.send(OWNER, "POST", path, Some(&grant));
    assert_eq!(granted.status, 201, "{:?}", granted.json());
    let metadata = json!({ "display_name": "Notes" });
    let path = "/v1/ws/acme/appmeta/notes";
    let saved = site.send(OWNER, "PUT", path, Some(&metadata));
    assert_eq!(saved.status, 201, "{:?}", saved.json());
    let bob = site.send("bob@example.com", "GET", path, None);
    assert_eq!(bob.status, 200, "{:?}", bob.json());
}

/// A refusal leaves the connection in order, although the body comes after the head.
#[test]
fn a_connection_serves_the_next_request_after_a_refusal() {
    use std::io::Read;
    let site = Site::start(&[]);
    let place = site.server.base().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&place).expect("the server");
    let refused = [
        ("/v1/nothing", 404),
        ("/v1/ws/acme/app/notes/save", 401),
        ("/v1/ws/acme/app/notes/save?token=x", 401),
        ("/v1/ws/acme/app/no%20name/save", 400),
    ];
    for (path, status) in refused {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {place}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        // As a client does that sends head and body one by one.
        std::thread::sleep(Duration::from_millis(20));
        stream.write_all(b"{}").expect("sent");
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).expect("an answer");
        let text = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status} ")),
            "{path}: {text}"
        );
    }
    write!(
        stream,
        "GET /v1/health HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
}
