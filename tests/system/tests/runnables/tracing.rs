//! Traces, from the request through the VM and its plugins to what is asked of others.

use super::*;
use mix_system_tests::Sink;
use std::collections::HashMap;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Spans of the trace by their names, as soon as all of these are there.
fn spans(collector: &Sink, wanted: &[&str]) -> HashMap<String, Value> {
    let mut found: HashMap<String, Value> = HashMap::new();
    while !wanted.iter().all(|name| found.contains_key(*name)) {
        let posted = collector.next();
        assert_eq!(posted.request_line, "POST /v1/traces HTTP/1.1");
        let message: Value = serde_json::from_slice(&posted.body).expect("JSON");
        let resource = &message["resourceSpans"][0];
        assert_eq!(
            resource["resource"]["attributes"][0]["value"]["stringValue"],
            "mixer"
        );
        let spans = resource["scopeSpans"][0]["spans"]
            .as_array()
            .expect("spans");
        for span in spans.iter().filter(|span| span["traceId"] == TRACE) {
            let name = span["name"].as_str().expect("a name");
            found.insert(name.to_owned(), span.clone());
        }
    }
    found
}

#[test]
fn a_trace_goes_through_requests_runs_plugins_and_further_requests() {
    let collector = Sink::start();
    let origin = collector.url().replace("/inbox", "");
    let site = Site::start_with(&["--otlp-endpoint", &origin, "--dangerous-http-mode"]);
    site.install("callers");
    let token = format!("Bearer {}", site.service.token(OWNER));
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let send = |agent: &str, params: Value, parent: &str| {
        let headers = [
            ("authorization", token.as_str()),
            ("traceparent", parent),
            ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        ];
        let path = format!("/v1/ws/acme/app/callers/agent/{agent}/run");
        let text = params.to_string();
        let answer = site
            .server
            .send("POST", &path, &headers, Some(("application/json", &text)));
        assert_eq!(answer.status, 200);
    };
    send(
        "asks",
        json!({ "app": "callers", "agent": "whoami" }),
        &parent,
    );
    let route = "POST /v1/ws/{ws}/app/{app}/agent/{agent}/run";
    let nested = "POST /run-agent/{ws}/{app}/{agent}";
    let found = spans(
        &collector,
        &[route, "run asks", "$http_do_server", nested, "run whoami"],
    );
    let id = |name: &str| found[name]["spanId"].clone();
    for (child, of) in [
        (route, json!(CALLER)),
        ("run asks", id(route)),
        ("$http_do_server", id("run asks")),
        (nested, id("run asks")),
        ("run whoami", id(nested)),
    ] {
        assert_eq!(found[child]["parentSpanId"], of, "{child}");
        let time = |name: &str| -> u64 {
            let text = found[child][name].as_str().expect("a time");
            text.parse().expect("a number")
        };
        assert!(time("endTimeUnixNano") >= time("startTimeUnixNano"));
    }
    assert_eq!(found[route]["kind"], 2);
    let attributes = found[route]["attributes"].to_string();
    assert!(attributes.contains(r#"{"intValue":"200"}"#), "{attributes}");
    // Others are told where they belong.
    let other = Sink::start();
    send("fetches", json!({ "url": other.url() }), &parent);
    let seen = other.next();
    let header = seen.headers.iter().find(|(name, _)| name == "traceparent");
    let header = header
        .map(|(_, value)| value.trim().to_owned())
        .expect("a place");
    assert!(
        header.starts_with(&format!("00-{TRACE}-")) && header.ends_with("-01"),
        "{header}"
    );
    let state = seen.headers.iter().find(|(name, _)| name == "tracestate");
    let state = state.map(|(_, value)| value.trim());
    assert_eq!(state, Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
    // A caller who does not want it recorded.
    let silent = parent.replace("-01", "-00");
    send("fetches", json!({ "url": other.url() }), &silent);
    let seen = other.next();
    assert!(
        seen.headers
            .iter()
            .all(|(name, _)| !name.starts_with("trace"))
    );
}

#[test]
fn the_last_spans_are_sent_before_a_server_ends() {
    let collector = Sink::start();
    let origin = collector.url().replace("/inbox", "");
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(scratch.path(), &["--otlp-endpoint", &origin]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let asked = server.send("GET", "/v1/health", &[("traceparent", &parent)], None);
    assert_eq!(asked.status, 200);
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    spans(&collector, &["GET /v1/health"]);
}

#[test]
fn a_collector_that_says_nothing_does_not_keep_a_server_that_stops() {
    // Connections are taken by the system; nobody answers on them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let origin = format!("http://{}", silent.local_addr().expect("an address"));
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(scratch.path(), &["--otlp-endpoint", &origin]);
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let asked = server.send("GET", "/v1/health", &[("traceparent", &parent)], None);
    assert_eq!(asked.status, 200);
    let start = std::time::Instant::now();
    server.terminate();
    assert_eq!(server.wait(), Some(0));
    assert!(start.elapsed() < std::time::Duration::from_secs(4));
}

#[test]
fn spans_that_nobody_takes_are_counted() {
    let nobody = format!("http://127.0.0.1:{}", Server::free_port());
    let scratch = tempfile::tempdir().expect("a folder");
    let server = Server::mixer(scratch.path(), &["--otlp-endpoint", &nobody]);
    let lost = || {
        let (status, text) = server.get("/v1/metrics");
        assert_eq!(status, 200);
        let text = String::from_utf8(text).expect("text");
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("mixer_span_drops "));
        count
            .and_then(|count| count.parse::<u64>().ok())
            .expect("a count")
    };
    assert_eq!(lost(), 0);
    while lost() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
