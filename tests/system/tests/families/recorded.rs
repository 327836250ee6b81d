//! Requests of programs: recorded and replayed, in pieces, and answers that are odd.

use super::agent;
use mix_system_tests::{components, declared, loopback, output};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Answers with the number of the request and its path, and counts.
fn counting() -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let url = loopback::serve(move |head, stream| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let body = format!("{number} {}", loopback::path(head));
        loopback::respond(stream, "200 OK\r\ncontent-type: text/plain", &body);
    });
    (url, count)
}

#[test]
fn recorded_requests_are_replayed_without_a_network() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let tape = folder.path().join("tape.jsonl").display().to_string();
    let (url, count) = counting();
    let params = json!({"url": url});
    let record = ["--dangerous-http-mode", "--record", &tape];
    let first = output(&agent("http.mix", "asks", &params, &record));
    let requests = count.load(Ordering::SeqCst);
    assert_eq!(requests, 3);
    let text = std::fs::read_to_string(&tape).expect("a tape");
    assert_eq!(text.lines().count(), 3);
    assert!(!text.contains("hush-hush"), "a credential is on the tape");
    let again = output(&agent("http.mix", "asks", &params, &["--replay", &tape]));
    assert_eq!(again, first);
    assert_eq!(count.load(Ordering::SeqCst), requests, "nothing is sent");
    // So is what a component with a name of its own does in the place of the family.
    let other = folder.path().join("other.wasm");
    let family = std::fs::read(components().join("mix_plugin_http.wasm")).expect("the family");
    std::fs::write(&other, declared(&family, r#"{"name":"myhttp"}"#)).expect("a writable folder");
    let other = format!("http={}", other.display());
    let again = output(&agent(
        "http.mix",
        "asks",
        &params,
        &["--replay", &tape, "--family", &other],
    ));
    assert_eq!(again, first);
    assert_eq!(count.load(Ordering::SeqCst), requests, "nothing is sent");
    // Connections are not on a tape, and not made.
    let socket = url.replace("http://", "ws://");
    let done = agent(
        "http.mix",
        "connects",
        &json!({"url": socket}),
        &["--dangerous-http-mode", "--replay", &tape],
    );
    let text = output(&done).to_string();
    assert!(text.contains("ERR_UNSUPPORTED"), "{text}");
    assert_eq!(count.load(Ordering::SeqCst), requests, "nothing is sent");
    // Another request is not on the tape.
    let other = agent(
        "http.mix",
        "asks",
        &json!({"url": "https://example.com"}),
        &["--replay", &tape],
    );
    assert_eq!(other.code, 1);
    assert!(
        other.stderr.contains("ERR_NOT_FOUND") && other.stderr.contains("https://example.com/"),
        "{}",
        other.stderr
    );
    std::fs::write(&tape, "no tape").expect("a writable file");
    let done = agent("http.mix", "asks", &params, &["--replay", &tape]);
    assert_eq!(done.code, 3, "{}", done.stderr);
}

/// Serves bodies of the size that the path ends in, counts those that it gets, and shows heads.
fn bodies() -> String {
    loopback::serve(|head, stream| {
        let head = head.to_ascii_lowercase();
        let path = loopback::path(&head);
        let size = path.rsplit('/').next().and_then(|size| size.parse().ok());
        let size: usize = size.unwrap_or(0);
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
        let mut sent = stream.take(length.unwrap_or(0));
        let got = std::io::copy(&mut sent, &mut std::io::sink()).unwrap_or(0);
        let (kind, body, promised) = match path.split('/').nth(1) {
            Some("binary") => ("image/png", vec![0xfe; size], size),
            Some("text") => ("text/plain", vec![b'x'; size], size),
            Some("broken") => ("image/png", vec![0; size / 2], size),
            Some("count") => {
                let text = got.to_string();
                let length = text.len();
                ("text/plain", text.into_bytes(), length)
            }
            _ => ("text/plain", head.clone().into_bytes(), head.len()),
        };
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {promised}\r\nconnection: close\r\n\r\n"
        );
        let _ = stream.write_all(&body);
    })
}

#[test]
fn bodies_go_out_and_come_in_in_pieces() {
    let size = 70 << 20;
    let pem = include_str!("../../../../host/sandbox/src/outbound/testdata/client.pem");
    let (certificate, key) = pem.split_at(pem.find("-----BEGIN PRIVATE KEY").expect("a key"));
    let params = json!({
        "url": bodies(),
        "size": size.to_string(),
        "megabytes": 20,
        "certificate": certificate,
        "key": key,
    });
    let done = agent("http.mix", "bodies", &params, &["--dangerous-http-mode"]);
    let mut answer = output(&done);
    let head = answer["certificate"].take();
    assert!(
        head.as_str()
            .is_some_and(|head| head.starts_with("get /head") && !head.contains("x-rmx")),
        "{head}"
    );
    let broken = answer["broken"].take();
    assert!(
        broken["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("ERR_NETWORK: ")),
        "{broken}"
    );
    let none = answer["none"].take();
    assert!(
        none["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("ERR_RANGE: ")),
        "{none}"
    );
    assert_eq!(
        answer,
        json!({
            "binary": {"status": 200, "size": size},
            "text": {"status": 200, "size": size},
            "sent": (20 << 20).to_string(),
            "broken": null,
            "certificate": null,
            "none": null,
        })
    );
    let limited = ["--dangerous-http-mode", "--http-response-limit", "60MiB"];
    let answer = output(&agent("http.mix", "bodies", &params, &limited));
    for body in ["binary", "text"] {
        let error = answer[body]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("ERR_TOO_LARGE: "), "{answer}");
    }
}

/// Answers as the path says, word for word, and closes the connection; `/head` shows what came.
fn says(answers: &'static [(&'static str, &'static [u8])]) -> String {
    loopback::serve(move |head, stream| {
        let text = head.to_ascii_lowercase();
        let path = loopback::path(&text);
        let answer = answers.iter().find(|(of, _)| *of == path);
        let _ = match answer {
            Some((_, answer)) => stream.write_all(answer),
            None => write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n{text}"
            ),
        };
    })
}

#[test]
fn odd_answers_are_understood_or_say_what_is_wrong() {
    let many = (0..300).map(|number| format!("x-{number}: y\r\n"));
    let many = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{}\r\nok",
        many.collect::<String>()
    );
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(2 << 20));
    let answers: Vec<(&str, &[u8])> = vec![
        ("/nothing", b""),
        (
            "/short",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
        ),
        (
            "/cut",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel",
        ),
        (
            "/garbage",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        ),
        ("/none", b"SSH-2.0-x\r\n\r\n"),
        (
            "/folded",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx: a\r\n b\r\n\r\nok",
        ),
        (
            "/marked",
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\xef\xbb\xbf{}",
        ),
        ("/many", many.leak().as_bytes()),
        ("/endless", endless.leak().as_bytes()),
    ];
    let url = says(answers.leak());
    let tries: [(&str, &str, std::result::Result<&str, &str>); 9] = [
        (
            "GET",
            "/nothing",
            Err("ERR_NETWORK: the connection broke off"),
        ),
        ("GET", "/short", Err("ERR_NETWORK: the response broke off")),
        ("GET", "/cut", Err("ERR_NETWORK: the response broke off")),
        (
            "GET",
            "/garbage",
            Err("ERR_NETWORK: the host does not speak HTTP, or broke the connection off"),
        ),
        (
            "GET",
            "/none",
            Err("ERR_NETWORK: the host does not speak HTTP, or broke the connection off"),
        ),
        ("GET", "/folded", Ok("ok")),
        ("GET", "/marked", Ok("{}")),
        ("GET", "/many", Ok("ok")),
        (
            "GET",
            "/endless",
            Err("ERR_TOO_LARGE: the response is too large"),
        ),
    ];
    let mut requests: Vec<[&str; 2]> = tries
        .iter()
        .map(|(method, path, _)| [*method, path])
        .collect();
    let shown = ["POST", "PUT", "DELETE", "GET"];
    requests.extend(shown.iter().map(|method| [*method, "/head"]));
    let params = json!({"url": url, "requests": requests});
    let done = output(&agent(
        "http.mix",
        "odd",
        &params,
        &["--dangerous-http-mode"],
    ));
    for (number, (_, path, expected)) in tries.iter().enumerate() {
        let found = match &done[number]["error"] {
            Value::String(error) => Err(error.as_str()),
            _ => Ok(done[number]["body"].as_str().unwrap_or_default()),
        };
        assert_eq!(found, *expected, "{path}");
    }
    for (method, answer) in shown
        .iter()
        .zip(&done.as_array().expect("a list")[tries.len()..])
    {
        let head = answer["body"].as_str().unwrap_or_default();
        let length = head.contains("content-length: 0");
        assert!(
            !head.contains("chunked") && length == (*method != "GET"),
            "{head}"
        );
    }
}
