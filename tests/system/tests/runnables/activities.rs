//! What is done in a workspace, as its activity log has it.

use super::*;
use mix_system_tests::Gate;
use std::time::{Duration, Instant};

const LOG: &str = "/v1/ws/acme/app/_rmx_logging";
const COUNT: &str = "/v1/ws/acme/activities/count";

impl Site {
    /// Entries of the log, by the time of their begin; asks until there are so many of the kind.
    pub(super) fn log(&self, activity: &str, many: usize) -> Vec<Value> {
        let query = json!({
            "query": "_rmx_type == \"activity\" && activity == $activity | orderAsc(start)",
            "params": { "activity": activity },
        });
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let count = json!({ "activity": activity });
            self.expect(OWNER, "POST", COUNT, count, 200);
            let answer = self.send(OWNER, "POST", &format!("{LOG}/query"), &query);
            let found = match answer.status {
                200 => answer.json().as_array().cloned().unwrap_or_default(),
                _ => Vec::new(),
            };
            if found.len() >= many {
                return found;
            }
            assert!(Instant::now() < end, "{activity}: {found:?}");
        }
    }

    fn count(&self, filter: Value) -> u64 {
        let counted = self.expect(OWNER, "POST", COUNT, filter, 200);
        counted["count"].as_u64().expect("a number")
    }
}

#[test]
fn the_log_is_an_app_before_anything_is_logged() {
    const FRESH: &str = "/v1/ws/fresh/app/_rmx_logging";
    let site = Site::start_with(&["--server-admin", "user/ada@example.com"]);
    std::fs::create_dir(site._folder.path().join("fresh")).expect("a workspace");
    let log = site._folder.path().join("fresh/_rmx_logging");
    // Those who may not read it do not make it either.
    site.expect(STRANGER, "GET", FRESH, Value::Null, 403);
    site.expect(OWNER, "POST", &format!("{FRESH}/save"), json!({}), 403);
    assert!(!log.exists());
    let app = site.expect(OWNER, "GET", FRESH, Value::Null, 200);
    assert_eq!(app, json!({ "name": "_rmx_logging", "agents": [] }));
    let query = json!({ "query": "_rmx_type == \"activity\" && activity == \"run-agent\"" });
    let found = site.expect(OWNER, "POST", &format!("{FRESH}/query"), query, 200);
    assert_eq!(found, json!([]));
    let none = format!("{FRESH}/documents/{}", "0".repeat(32));
    let answer = site.send(OWNER, "GET", &none, &Value::Null);
    assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"));
}

#[test]
fn what_is_done_is_logged_without_what_it_was_about() {
    let site = Site::start();
    site.grant("anonymous", "agent/limits/fine");
    let run = format!("{APP}/agent/fine/run");
    let greeted = site.expect(OWNER, "POST", &run, json!({ "name": "hush" }), 200);
    assert_eq!(greeted, "fine hush");
    site.expect("", "POST", &run, json!({ "name": "hush" }), 200);
    site.expect(STRANGER, "POST", &run, json!({ "name": "hush" }), 200);
    site.expect(
        OWNER,
        "POST",
        &format!("{APP}/agent/fails/run"),
        json!({}),
        500,
    );
    let id = site.save(json!({ "kind": "hush" }));
    let query = format!("{APP}/query?query=kind%20%3D%3D%20%22hush%22");
    site.expect(OWNER, "GET", &query, Value::Null, 200);
    site.expect(
        OWNER,
        "DELETE",
        &format!("{APP}/documents/{id}"),
        Value::Null,
        204,
    );
    // Who may not has done nothing.
    site.expect("", "GET", &query, Value::Null, 401);

    let runs = site.log("run-agent", 4);
    let about = |entry: &Value| {
        json!([
            entry["subject"],
            entry["anonymous"],
            entry["app"],
            entry["agent"],
            entry["status"],
            entry["code"],
            entry["via"]
        ])
    };
    let expected = [
        json!([
            "user/ada@example.com",
            false,
            "limits",
            "fine",
            200,
            "",
            "http"
        ]),
        json!(["anonymous", true, "limits", "fine", 200, "", "http"]),
        json!([
            "user/eve@elsewhere.org",
            false,
            "limits",
            "fine",
            200,
            "",
            "http"
        ]),
        json!([
            "user/ada@example.com",
            false,
            "limits",
            "fails",
            500,
            "agent_error",
            "http"
        ]),
    ];
    assert_eq!(runs.iter().map(about).collect::<Vec<_>>(), expected);
    for entry in &runs {
        let number = |name: &str| entry[name].as_f64().expect(name);
        assert!(number("durationMs") >= number("queuedMs"), "{entry}");
        assert!(
            number("bytesOut") > 0.0 && number("bytesIn") > 0.0,
            "{entry}"
        );
        assert!(!entry["requestId"].as_str().expect("an id").is_empty());
    }
    for (activity, many) in [
        ("save", 1),
        ("query", 1),
        ("delete", 1),
        ("grant", 1),
        ("admin", 1),
    ] {
        let found = site.log(activity, many);
        assert_eq!(found[0]["subject"], "user/ada@example.com", "{activity}");
    }
    let all = json!({ "query": "_rmx_type == \"activity\"" });
    let all = site.expect(OWNER, "POST", &format!("{LOG}/query"), all, 200);
    assert!(!all.to_string().contains("hush"), "{all}");

    let ready = site.server.send("GET", "/v1/health/ready", &[], None);
    let expected = json!({ "status": "ok", "activityDrops": 0 });
    assert_eq!((ready.status, ready.json()), (200, expected));

    let runs = |more: Value| {
        let mut filter = json!({ "activity": "run-agent" });
        for (name, value) in more.as_object().expect("an object") {
            filter[name] = value.clone();
        }
        site.count(filter)
    };
    assert_eq!(runs(json!({})), 4);
    assert_eq!(runs(json!({ "subject": "anonymous" })), 1);
    assert_eq!(runs(json!({ "subject": "all-users" })), 3);
    assert_eq!(runs(json!({ "subject": "user/Ada@Example.com" })), 2);
    assert_eq!(runs(json!({ "end": 0 })), 0);
    assert_eq!(
        runs(json!({ "start": "2020-01-01T00:00:00Z", "end": 253402300799999u64 })),
        4
    );
    assert_eq!(runs(json!({ "start": "2200-01-01T00:00:00.000Z" })), 0);
    // The old path takes a form, too.
    let token = format!("Bearer {}", site.service.token(OWNER));
    let form = (
        "application/x-www-form-urlencoded",
        "activity=run-agent&subject=anonymous&start=0",
    );
    let headers = [("authorization", token.as_str())];
    let answer = site
        .server
        .send("POST", "/count-activities/acme", &headers, Some(form));
    assert_eq!((answer.status, answer.json()), (200, json!({ "count": 1 })));
    assert_eq!(answer.header("deprecation"), Some("true"));
    for wrong in [
        json!({ "subject": "ada" }),
        json!({ "subject": "domain/example.com" }),
        json!({ "activity": "sleep" }),
        json!({ "start": "yesterday" }),
        json!({ "end": 1e300 }),
        json!({ "other": 1 }),
    ] {
        let answer = site.send(OWNER, "POST", COUNT, &wrong);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_param"),
            "{wrong}"
        );
    }
}

#[test]
fn the_log_is_read_by_administrators_and_written_by_nobody() {
    let site = Site::start();
    site.grant("user/eve@elsewhere.org", "workspace");
    site.expect(
        OWNER,
        "POST",
        &format!("{APP}/agent/fine/run"),
        json!({ "name": "x" }),
        200,
    );
    site.log("run-agent", 1);
    let record = json!({ "_rmx_type": "activity" });
    let save = json!({ "record": record });
    let query = json!({ "query": "_rmx_type == \"activity\"" });
    for (method, path, body, owner) in [
        ("POST", format!("{LOG}/query"), query, 200),
        ("GET", LOG.to_owned(), Value::Null, 200),
        ("POST", format!("{LOG}/documents"), record.clone(), 403),
        ("POST", format!("{LOG}/save"), save, 403),
        (
            "POST",
            format!("{LOG}/modify"),
            json!({ "op": "compact" }),
            403,
        ),
        ("POST", LOG.to_owned(), json!({}), 403),
        ("DELETE", LOG.to_owned(), Value::Null, 403),
        (
            "PUT",
            "/v1/ws/acme/appmeta/_rmx_logging".to_owned(),
            json!({}),
            403,
        ),
        (
            "PUT",
            format!("{LOG}/file-manager/content?path=/x"),
            json!({}),
            403,
        ),
        ("POST", format!("{LOG}/agent/x/run"), json!({}), 403),
        ("POST", COUNT.to_owned(), json!({}), 200),
        ("POST", "/count-activities/acme".to_owned(), json!({}), 200),
    ] {
        assert_eq!(
            site.send(OWNER, method, &path, &body).status,
            owner,
            "{method} {path}"
        );
        assert_eq!(
            site.send(STRANGER, method, &path, &body).status,
            403,
            "{method} {path}"
        );
        assert_eq!(
            site.send("", method, &path, &body).status,
            401,
            "{method} {path}"
        );
    }
    let shown = |user| {
        let apps = site.expect(user, "GET", "/v1/ws/acme", Value::Null, 200);
        apps["apps"].to_string().contains("_rmx_logging")
    };
    assert!(shown(OWNER) && !shown(STRANGER));
    // It does not leave with the workspace.
    let tape = site.send(OWNER, "GET", "/v1/ws/acme/export", &Value::Null);
    assert_eq!(tape.status, 200);
    assert!(!tape.body.windows(12).any(|part| part == b"_rmx_logging"));
}

#[test]
fn old_entries_go_and_asynchronous_runs_are_told_apart() {
    let site = Site::start_with(&["--activity-retention", "1s"]);
    site.install("limits");
    let run = format!("{APP}/agent/fine/run?async=true");
    site.expect(OWNER, "POST", &run, json!({ "name": "x" }), 202);
    let end = Instant::now() + Duration::from_secs(60);
    while site.count(json!({ "activity": "run-agent" })) == 0 {
        assert!(Instant::now() < end, "it is not logged");
    }
    while site.count(json!({})) > 0 {
        assert!(Instant::now() < end, "it stays");
    }
    let site = Site::start();
    site.expect(OWNER, "POST", &run, json!({ "name": "x" }), 202);
    assert_eq!(site.log("run-agent", 1)[0]["via"], "async");
}

#[test]
fn a_run_answers_before_its_idle_actions_end() {
    let site = Site::start_with(&["--dangerous-http-mode", "--max-runs", "1"]);
    site.install("callers");
    let app = "/v1/ws/acme/app/callers";
    let saved = |n: u64| {
        let query = json!({ "query": "done == $n", "params": { "n": n } });
        let found = site.expect(OWNER, "POST", &format!("{app}/query"), query, 200);
        found.as_array().is_some_and(|rows| !rows.is_empty())
    };
    for (n, method, fails) in [(1, "POST", false), (2, "POST", true), (3, "stream", false)] {
        // Its work waits for a second request, which comes after the answer only.
        let gate = Gate::start(2);
        let params = json!({ "url": gate.url(), "n": n, "fails": fails });
        let path = format!("{app}/agent/later/run");
        if method == "stream" {
            let token = format!("Bearer {}", site.service.token(OWNER));
            let headers = [
                ("accept", "text/event-stream"),
                ("authorization", token.as_str()),
            ];
            let text = params.to_string();
            let body = Some(("application/json", text.as_bytes()));
            let (status, mut events) = site.server.open("POST", &path, &headers, body);
            let last = std::iter::from_fn(|| events.next_named())
                .last()
                .expect("an event");
            assert_eq!((status, last.name.as_str()), (200, "result"));
            assert_eq!(last.json(), "answered");
        } else {
            assert_eq!(site.expect(OWNER, method, &path, params, 200), "answered");
        }
        assert!(!saved(n));
        gate.pass();
        let end = Instant::now() + Duration::from_secs(60);
        while !saved(n) {
            assert!(
                Instant::now() < end,
                "the work after the answer is not done"
            );
        }
    }
    let runs = site.log("run-agent", 3);
    let codes: Vec<_> = runs
        .iter()
        .map(|run| run["postponed"]["code"].clone())
        .collect();
    assert_eq!(codes, ["", "RT_FAIL", ""]);
    for run in &runs {
        assert_eq!((&run["status"], &run["code"]), (&json!(200), &json!("")));
        assert!(
            run["postponed"]["durationMs"]
                .as_f64()
                .is_some_and(|time| time > 0.0)
        );
    }
}
