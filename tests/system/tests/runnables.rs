//! What runs beside agents, and beside the request: aliases, registered queries, asynchronous
//! runs and the signals that tell how they ended; the bytes of a record.

use mix_system_tests::{Answer, IdentityService, Server, identity_flags, install, repository};
use serde_json::{Value, json};

#[path = "runnables/activities.rs"]
mod activities;
#[path = "runnables/attacks.rs"]
mod attacks;
#[path = "runnables/callers.rs"]
mod callers;
#[path = "runnables/examples.rs"]
mod examples;
#[path = "runnables/instances.rs"]
mod instances;
#[path = "runnables/interface.rs"]
mod interface;
#[path = "runnables/postponed.rs"]
mod postponed;
#[path = "runnables/records.rs"]
mod records;
#[path = "runnables/sessions.rs"]
mod sessions;
#[path = "runnables/sign_in.rs"]
mod sign_in;
#[path = "runnables/streaming.rs"]
mod streaming;
#[path = "runnables/tracing.rs"]
mod tracing;

const OWNER: &str = "ada@example.com";
const STRANGER: &str = "eve@elsewhere.org";
const ADMIN: &str = "root@example.com";
const APP: &str = "/v1/ws/acme/app/limits";

struct Site {
    service: IdentityService,
    server: Server,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A workspace of the owner with an app of a few agents.
    fn start() -> Site {
        let site = Site::start_with(&[]);
        site.install("limits");
        site
    }

    fn start_with(more: &[&str]) -> Site {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let service = IdentityService::start();
        let url = service.key_url();
        let mut arguments = identity_flags(&url);
        arguments.extend(["--env", "{\"stage\":\"test\"}"]);
        arguments.extend(more);
        let server = Server::mixer(folder.path(), &arguments);
        let site = Site {
            service,
            server,
            _folder: folder,
        };
        site.expect(OWNER, "POST", "/v1/ws", json!({ "name": "acme" }), 201);
        site
    }

    /// An app of the programs in the folder of that name.
    fn install(&self, app: &str) {
        self.install_as(&repository().join("tests/system/programs").join(app), app);
    }

    fn install_as(&self, program: &std::path::Path, app: &str) {
        install(program, &self._folder, "acme", app);
    }

    fn send(&self, user: &str, method: &str, path: &str, body: &Value) -> Answer {
        let token = format!("Bearer {}", self.service.token(user));
        let headers = [("authorization", token.as_str())];
        let headers = if user.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        let text = body.to_string();
        let body = (!body.is_null()).then_some(("application/json", text.as_str()));
        self.server.send(method, path, headers, body)
    }

    #[track_caller]
    fn expect(&self, user: &str, method: &str, path: &str, body: Value, status: u16) -> Value {
        let answer = self.send(user, method, path, &body);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, status, "{user} {method} {path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    fn save(&self, record: Value) -> String {
        let ids = self.expect(OWNER, "POST", &format!("{APP}/documents"), record, 201);
        ids.as_str().expect("an id").to_string()
    }

    fn grant(&self, subject: &str, resource: &str) {
        let grant = json!({ "subject": subject, "role": "runner", "resource": resource });
        self.expect(OWNER, "POST", "/v1/ws/acme/permissions", grant, 201);
    }
}

#[test]
fn an_alias_runs_its_agent_with_what_it_fixes() {
    let site = Site::start();
    site.save(
        json!({ "_rmx_type": "agent_alias", "name": "hello", "aliasTo": "fine",
        "description": "Greets.", "fixedParams": { "name": "Ada" } }),
    );
    site.save(json!({ "_rmx_type": "agent_alias", "name": "twice", "aliasTo": "hello" }));
    site.save(json!({ "_rmx_type": "agent_alias", "name": "nothing", "aliasTo": "nobody" }));
    // An alias never shadows an agent.
    site.save(json!({ "_rmx_type": "agent_alias", "name": "fine", "aliasTo": "endless" }));
    let agent = |name: &str| format!("{APP}/agent/{name}");
    let output = site.expect(
        OWNER,
        "POST",
        &agent("hello"),
        json!({ "name": "Eve" }),
        200,
    );
    assert_eq!(output, "fine Ada");
    let output = site.expect(OWNER, "POST", &agent("fine"), json!({ "name": "Eve" }), 200);
    assert_eq!(output, "fine Eve");
    for name in ["twice", "nothing"] {
        let answer = site.send(OWNER, "POST", &agent(name), &Value::Null);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (409, "bad_alias"),
            "{name}"
        );
    }
    let described = site.expect(OWNER, "GET", &agent("hello"), Value::Null, 200);
    assert_eq!(described["kind"], "alias");
    assert_eq!(described["description"], "Greets.");
    // Permission is that of the alias alone.
    site.grant("all-users", "agent/limits/hello");
    let output = site.expect(STRANGER, "POST", &agent("hello"), json!({}), 200);
    assert_eq!(output, "fine Ada");
    site.expect(STRANGER, "POST", &agent("fine"), json!({}), 403);
    site.expect("", "POST", &agent("hello"), json!({}), 401);
}

#[test]
fn registered_queries_run_by_name_with_parameters() {
    let site = Site::start();
    for (name, year) in [("Heat", 1995), ("Ran", 1985), ("Up", 2009)] {
        site.save(json!({ "kind": "film", "name": name, "year": year }));
    }
    let path = format!("{APP}/query/since");
    let body = json!({ "query": "kind == \"film\" && year >= $year | orderAsc(name) | {name}",
        "params": { "year": 2000 }, "description": "Newer films." });
    for (user, status) in [("", 401), (STRANGER, 403), (OWNER, 201), (OWNER, 200)] {
        site.expect(user, "PUT", &path, body.clone(), status);
    }
    let run = |user: &str, method: &str, path: &str, params: Value, status: u16| {
        site.expect(user, method, path, params, status)
    };
    let defaults = run(OWNER, "GET", &path, Value::Null, 200);
    assert_eq!(defaults, json!({ "result": [{ "name": "Up" }] }));
    let given = run(OWNER, "POST", &path, json!({ "year": 1990 }), 200);
    assert_eq!(
        given,
        json!({ "result": [{ "name": "Heat" }, { "name": "Up" }] })
    );
    // A query string has texts only: a text is a number where the query wants one.
    let first = format!("{APP}/query/first");
    let body = json!({ "query": "kind == \"film\" && name != $but | orderAsc(name) | skip($from) | limit($top) | {name}",
        "params": { "from": 0 } });
    run(OWNER, "PUT", &first, body, 201);
    for (method, params, body) in [
        ("GET", "?top=1&from=1&but=Heat", Value::Null),
        ("POST", "", json!({ "top": 1, "from": 1, "but": "Heat" })),
    ] {
        let found = run(OWNER, method, &format!("{first}{params}"), body, 200);
        assert_eq!(found, json!({ "result": [{ "name": "Up" }] }), "{method}");
    }
    let wrong = site.send(OWNER, "GET", &format!("{first}?top=one&but="), &Value::Null);
    assert_eq!((wrong.status, wrong.code()), (400, "bad_value".to_owned()));
    let later = run(OWNER, "GET", &format!("{path}?year=1990"), Value::Null, 200);
    assert_eq!(later, given);
    run(OWNER, "DELETE", &first, Value::Null, 204);
    // Reached as an agent too, with the grant of an agent.
    let as_agent = format!("{APP}/agent/since");
    run(STRANGER, "POST", &as_agent, json!({}), 403);
    site.grant("user/eve@elsewhere.org", "agent/limits/since");
    assert_eq!(run(STRANGER, "POST", &as_agent, json!({}), 200), defaults);
    assert_eq!(run(STRANGER, "GET", &path, Value::Null, 200), defaults);
    run(
        STRANGER,
        "GET",
        &format!("{APP}/query?query=true"),
        Value::Null,
        403,
    );
    let described = run(OWNER, "GET", &as_agent, Value::Null, 200);
    assert_eq!(described["kind"], "query");
    assert_eq!(
        described["inParams"],
        json!([{ "name": "year", "type": "data", "optional": true }])
    );
    let agents = run(STRANGER, "GET", APP, Value::Null, 200);
    assert_eq!(agents["agents"], json!([{ "name": "since" }]));

    for (name, body, code) in [
        ("parse", json!({ "query": "a == 1" }), "bad_name"),
        ("fine", json!({ "query": "a == 1" }), "exists"),
        ("x", json!({ "query": "a ==" }), "query_syntax"),
        ("x", json!({}), "bad_param"),
        ("x", json!({ "query": "a == 1", "limit": -1 }), "bad_param"),
        ("x", json!({ "query": "a == 1", "colour": 1 }), "bad_param"),
    ] {
        let answer = site.send(OWNER, "PUT", &format!("{APP}/query/{name}"), &body);
        assert_eq!(answer.code(), code, "{name} {body}");
    }
    let old = json!({ "name": "old", "query": "kind == \"film\" | {name} | limit(1)" });
    site.expect(OWNER, "POST", "/query/acme/limits", old, 201);
    site.expect(
        OWNER,
        "DELETE",
        "/v0/query/acme/limits/old",
        Value::Null,
        204,
    );
    for (user, status) in [("", 401), (STRANGER, 403), (OWNER, 204), (OWNER, 404)] {
        site.expect(user, "DELETE", &path, Value::Null, status);
    }
    run(OWNER, "GET", &path, Value::Null, 404);
}

#[test]
fn an_asynchronous_run_tells_its_end_by_a_signal() {
    let site = Site::start();
    site.grant("anonymous", "agent/limits/fine");
    let fine = format!("{APP}/agent/fine?async=true");
    let answer = site.send("", "POST", &fine, &json!({ "name": "Ada" }));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (401, "unauthenticated")
    );
    let answer = site.send(OWNER, "POST", &fine, &json!({ "name": "Ada" }));
    assert_eq!(answer.status, 202);
    let signal = answer.json()["signal"].clone();
    assert_eq!(answer.header("location"), signal["url"].as_str());
    let place = format!("/v1/signals/{}", signal["id"].as_str().expect("an id"));
    let result = site.expect(OWNER, "GET", &place, Value::Null, 200);
    assert_eq!(result["_rmx_type"], "{tag}case:ok");
    assert!(result.to_string().contains("fine Ada"), "{result}");

    let fails = format!("{APP}/agent/fails?async=true");
    let begun = site.expect(OWNER, "POST", &fails, Value::Null, 202);
    let id = begun["signal"]["id"].as_str().expect("an id").to_string();
    let result = site.expect(OWNER, "GET", &format!("/v1/signals/{id}"), Value::Null, 200);
    assert!(result.to_string().contains("agent_error"), "{result}");

    // Cancelling the signal stops the run.
    let endless = format!("{APP}/agent/endless?async=true&timeout=3600000");
    let begun = site.expect(OWNER, "POST", &endless, Value::Null, 202);
    let place = format!(
        "/v1/signals/{}",
        begun["signal"]["id"].as_str().expect("an id")
    );
    let waited = site.expect(
        OWNER,
        "GET",
        &format!("{place}?timeout=10"),
        Value::Null,
        200,
    );
    assert!(waited.to_string().contains("timeout"), "{waited}");
    site.expect(OWNER, "DELETE", &place, Value::Null, 204);
    let canceled = site.expect(OWNER, "GET", &place, Value::Null, 200);
    assert!(canceled.to_string().contains("canceled"), "{canceled}");
}

#[test]
fn signals_are_set_once_by_those_who_know_them() {
    let site = Site::start();
    site.expect("", "POST", "/v1/signals", Value::Null, 401);
    let made = site.expect(
        OWNER,
        "POST",
        "/v1/signals",
        json!({ "timeout": 60000 }),
        201,
    );
    let place = format!("/v1/signals/{}", made["id"].as_str().expect("an id"));
    assert!(
        made["url"]
            .as_str()
            .is_some_and(|url| url.ends_with(&place))
    );
    for method in ["GET", "POST", "DELETE"] {
        site.expect("", method, &place, Value::Null, 401);
    }
    site.expect(STRANGER, "DELETE", &place, Value::Null, 403);
    site.expect(STRANGER, "POST", &place, json!({ "n": 1 }), 204);
    let read = site.expect(OWNER, "GET", &place, Value::Null, 200);
    assert!(read.to_string().contains("{\"n\":1}"), "{read}");
    assert_eq!(
        site.send(OWNER, "POST", &place, &json!(2)).code(),
        "already_set"
    );
    assert_eq!(
        site.send(OWNER, "DELETE", &place, &Value::Null).code(),
        "already_set"
    );
    let unknown = format!("/v1/signals/{}", "x".repeat(32));
    site.expect(OWNER, "GET", &unknown, Value::Null, 404);
    site.expect(OWNER, "GET", "/v1/signals/short", Value::Null, 400);
    site.expect(OWNER, "POST", "/v1/signals", json!({ "timeout": -1 }), 400);
    let large = json!("x".repeat(2 << 20));
    let made = site.expect(OWNER, "POST", "/v1/signals", Value::Null, 201);
    let place = format!("/v1/signals/{}", made["id"].as_str().expect("an id"));
    site.expect(OWNER, "POST", &place, large, 413);
}

#[test]
fn raw_sends_the_bytes_of_a_member() {
    let site = Site::start();
    let page = site.save(json!({ "data": "<p>hi</p>", "n": 1, "_rmx_content_type": "text/html" }));
    let path = format!("{APP}/raw/{page}");
    for (user, status) in [("", 401), (STRANGER, 403), (OWNER, 200)] {
        assert_eq!(site.send(user, "GET", &path, &Value::Null).status, status);
    }
    let answer = site.send(OWNER, "GET", &path, &Value::Null);
    assert_eq!(answer.body, b"<p>hi</p>");
    assert_eq!(answer.header("content-type"), Some("text/html"));
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("sandbox"), "{policy}");
    let number = site.send(OWNER, "GET", &format!("{path}?data=n"), &Value::Null);
    assert_eq!((number.status, number.code().as_str()), (409, "not_raw"));
    let unknown = format!("{APP}/raw/{}", "x".repeat(32));
    site.expect(OWNER, "GET", &unknown, Value::Null, 404);
}

#[test]
fn the_stack_of_a_failure_is_shown_to_those_who_may_write() {
    let site = Site::start();
    site.grant("user/eve@elsewhere.org", "agent/limits/fails");
    let path = format!("{APP}/agent/fails");
    let details = |user: &str| {
        site.send(user, "POST", &path, &Value::Null).json()["error"]["details"].clone()
    };
    assert!(details(OWNER)["mixStack"][0].is_array());
    let seen = details(STRANGER);
    assert_eq!(seen["code"], "RT_FAIL");
    assert!(seen["mixStack"].is_null(), "{seen}");
}

#[test]
fn an_agent_knows_who_calls() {
    let site = Site::start();
    site.grant("anonymous", "agent/limits/seen");
    let path = format!("{APP}/agent/seen");
    assert_eq!(
        site.expect(STRANGER, "POST", &path, Value::Null, 200)["user"],
        STRANGER
    );
    assert_eq!(site.expect("", "POST", &path, Value::Null, 200)["user"], "");
}

#[test]
fn changes_of_metadata_at_once_lose_nothing() {
    let site = Site::start();
    let path = "/v1/ws/acme/appmeta/limits";
    site.expect(OWNER, "PUT", path, json!({}), 200);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let site = &site;
            scope.spawn(move || {
                for number in 0..5 {
                    let mut change = serde_json::Map::new();
                    change.insert(format!("m{thread}{number}"), json!(number));
                    site.expect(OWNER, "PATCH", path, Value::Object(change), 200);
                }
            });
        }
    });
    let kept = site.expect(OWNER, "GET", path, Value::Null, 200);
    let kept = kept.as_object().expect("an object").keys();
    assert_eq!(kept.filter(|name| name.starts_with('m')).count(), 40);
}
