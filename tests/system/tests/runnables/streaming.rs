//! Events as they come: of runs, and of topics.

use super::*;
use mix_system_tests::{Events, Gate};

const APP: &str = "/v1/ws/acme/app/streams";

impl Site {
    /// Opens a stream of events; `headers` beside the token.
    fn open(
        &self,
        user: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> (u16, Events) {
        let token = format!("Bearer {}", self.service.token(user));
        let mut all = vec![("accept", "text/event-stream")];
        if !user.is_empty() {
            all.push(("authorization", token.as_str()));
        }
        all.extend(headers);
        let text = body.to_string();
        let body = (!body.is_null()).then_some(("application/json", text.as_bytes()));
        self.server.open(method, path, &all, body)
    }

    fn with_streams() -> Site {
        let site = Site::start_with(&["--dangerous-http-mode"]);
        site.install("streams");
        site
    }

    pub(super) fn topic(&self, kind: &str, key: &str) -> String {
        let server = self
            .server
            .base()
            .trim_start_matches("http://")
            .replace(':', "%3A");
        format!("/v1/subscribe/cloud/{server}/ws/acme/app/streams/{kind}/{key}")
    }

    fn publish(&self, user: &str, params: Value) {
        let path = format!("{APP}/agent/publishes/run");
        self.expect(user, "POST", &path, params, 200);
    }
}

#[test]
fn a_run_tells_what_it_does() {
    let site = Site::with_streams();
    site.grant("user/eve@elsewhere.org", "db/streams");
    let gate = Gate::start(1);
    let params = json!({ "url": gate.url() });
    let path = format!("{APP}/agent/tells/run?field=nothing");
    let (status, mut events) = site.open(OWNER, "POST", &path, &[], &params);
    assert_eq!(status, 200);
    let mut told = Vec::new();
    while let Some(event) = events.next_named() {
        told.push((event.name.clone(), event.json()));
    }
    let expected = [
        ("log", json!("first\nevent: forged")),
        ("log", json!("second")),
        ("actions", json!([{ "_rmx_type": "msg_other", "n": 1 }])),
        ("result", Value::Null),
    ];
    let expected = expected.map(|(name, data)| (name.to_owned(), data));
    assert_eq!(told, expected);
    // The log is for those only who may change the app.
    let (_, mut events) = site.open(STRANGER, "POST", &path, &[], &params);
    let names = std::iter::from_fn(|| events.next_named()).map(|event| event.name);
    assert_eq!(names.collect::<Vec<_>>(), ["actions", "result"]);
    // What is wrong is an event, too; what is wrong before the run is not.
    let (status, mut events) = site.open(OWNER, "POST", &path, &[], &json!({}));
    let last = std::iter::from_fn(|| events.next_named()).last();
    let last = last.expect("an event");
    assert_eq!((status, last.name.as_str()), (200, "error"));
    assert_eq!(last.json()["error"]["code"], "agent_error");
    let (status, _) = site.open(
        OWNER,
        "POST",
        &format!("{APP}/agent/none/run"),
        &[],
        &json!({}),
    );
    assert_eq!(status, 404);
    let (status, _) = site.open(
        OWNER,
        "POST",
        &format!("{path}&async=true"),
        &[],
        &json!({}),
    );
    assert_eq!(status, 400);
}

#[test]
fn a_run_ends_with_its_reader() {
    let site = Site::with_streams();
    for (method, path) in [
        ("POST", format!("{APP}/agent/waits/run")),
        ("GET", format!("{APP}/agent/waits/run")),
    ] {
        let gate = Gate::start(1);
        let (path, body) = match method {
            "GET" => (format!("{path}?url={}", gate.url()), Value::Null),
            _ => (path, json!({ "url": gate.url() })),
        };
        let (status, events) = site.open(OWNER, method, &path, &[], &body);
        assert_eq!(status, 200);
        gate.wait_for_held();
        drop(events);
        gate.wait_for_close();
    }
}

#[test]
fn topics_are_read_by_those_they_are_for() {
    let site = Site::with_streams();
    site.grant("user/eve@elsewhere.org", "db/streams");
    let (status, mut public) = site.open(
        "",
        "GET",
        &site.topic("public/application", "news"),
        &[],
        &Value::Null,
    );
    assert_eq!(status, 200);
    let (status, mut own) = site.open(
        OWNER,
        "GET",
        &site.topic("user/ada@example.com", "in/box"),
        &[],
        &Value::Null,
    );
    assert_eq!(status, 200);
    let (status, mut shared) = site.open(
        STRANGER,
        "GET",
        &site.topic("shared/application", "all"),
        &[],
        &Value::Null,
    );
    assert_eq!(status, 200);
    for (kind, key) in [("public", "news"), ("user", "in/box"), ("shared", "all")] {
        site.publish(
            OWNER,
            json!({ "kind": kind, "key": key, "value": { "from": kind } }),
        );
    }
    for (kind, events) in [
        ("public", &mut public),
        ("user", &mut own),
        ("shared", &mut shared),
    ] {
        let event = events.next_named().expect("a message");
        assert_eq!((event.name.as_str(), event.id.is_some()), ("message", true));
        assert_eq!(event.json(), json!({ "from": kind }));
    }
    // A sign in the name of a user is none of the topic.
    let lists = "ada+lists@example.com";
    site.grant(&format!("user/{lists}"), "db/streams");
    let topic = site.topic("user/ada%2Blists%40example.com", "in/box");
    let (status, mut own) = site.open(lists, "GET", &topic, &[], &Value::Null);
    assert_eq!(status, 200);
    let message = json!({ "kind": "user", "key": "in/box", "value": 7 });
    site.publish(lists, message);
    assert_eq!(own.next_named().expect("a message").json(), 7);
    for (user, topic, expected) in [
        ("", site.topic("shared/application", "all"), 401),
        ("", site.topic("user/ada@example.com", "x"), 401),
        (STRANGER, site.topic("user/ada@example.com", "x"), 403),
        (OWNER, site.topic("public/application", "a//b"), 400),
        (OWNER, site.topic("public/application", "a%2Bb"), 400),
        (OWNER, site.topic("private", "x"), 400),
        (
            OWNER,
            "/v1/subscribe/cloud/elsewhere/ws/acme/app/streams/public/application/x".to_owned(),
            404,
        ),
    ] {
        let (status, _) = site.open(user, "GET", &topic, &[], &Value::Null);
        assert_eq!(status, expected, "{user} {topic}");
    }
    // The paths of version 0, and a token in the query as `EventSource` needs it.
    let v0 = site.topic("shared/application", "all").replace("/v1/", "/");
    let token = site.service.token(OWNER);
    let (status, _) = site.open("", "GET", &format!("{v0}?token={token}"), &[], &Value::Null);
    assert_eq!(status, 200);
}

#[test]
fn a_reader_that_comes_back_misses_nothing() {
    let site = Site::with_streams();
    let topic = site.topic("public/application", "ticks");
    let publish = |value: Value, retained: bool| {
        site.publish(
            OWNER,
            json!({ "kind": "public", "key": "ticks", "value": value, "retained": retained }),
        );
    };
    let (_, mut events) = site.open("", "GET", &topic, &[], &Value::Null);
    publish(json!(1), false);
    let first = events.next_named().expect("a message");
    drop(events);
    publish(json!(2), true);
    publish(json!(3), false);
    let last = first.id.expect("an id").to_string();
    let (_, mut events) = site.open("", "GET", &topic, &[("last-event-id", &last)], &Value::Null);
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = events.next_named().expect("an event");
        told.push((event.name.clone(), event.json()));
    }
    let expected = [
        ("retained", json!(2)),
        ("message", json!(2)),
        ("message", json!(3)),
    ];
    assert_eq!(told, expected.map(|(name, data)| (name.to_owned(), data)));
    // An id of another server, or of long ago.
    let (_, mut events) = site.open("", "GET", &topic, &[("last-event-id", "7")], &Value::Null);
    assert_eq!(events.next_named().expect("an event").name, "gap");
    assert_eq!(events.next_named().expect("an event").name, "retained");
}

#[test]
fn an_address_without_a_token_has_few_streams() {
    let site = Site::with_streams();
    let topic = site.topic("public/application", "many");
    let open: Vec<_> = (0..20)
        .map(|_| site.open("", "GET", &topic, &[], &Value::Null))
        .collect();
    assert!(open.iter().all(|(status, _)| *status == 200));
    let (status, _) = site.open("", "GET", &topic, &[], &Value::Null);
    assert_eq!(status, 429);
    let (status, _) = site.open(OWNER, "GET", &topic, &[], &Value::Null);
    assert_eq!(status, 200);
}
