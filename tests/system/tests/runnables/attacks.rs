//! What attackers send to the connection itself: requests inside of requests, headers inside of
//! headers, requests that never end.

use super::*;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Everything that the server answers to these bytes until it closes the connection, or would wait
/// for more after them.
fn raw(site: &Site, bytes: &[u8], ends: bool) -> String {
    let host = site.server.base().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).expect("the server");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a limit");
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The same, from a server that has to close.
fn until_closed(host: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(host).expect("the server");
    let limit = Some(Duration::from_secs(60));
    stream.set_read_timeout(limit).expect("a limit");
    stream.write_all(bytes).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it closes");
    answer
}

fn answers(text: &str) -> Vec<&str> {
    let starts = text.match_indices("HTTP/1.1 ");
    starts
        .filter_map(|(at, _)| text.get(at + 9..at + 12))
        .collect()
}

#[test]
fn a_request_does_not_hide_another_one() {
    let site = Site::start();
    let host = site.server.base().trim_start_matches("http://").to_owned();
    let hidden = format!("GET /v1/health HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let post = |version: &str, headers: &str, body: &str| {
        format!(
            "POST /v1/ws/acme/app/limits/agent/fine/run HTTP/{version}\r\nhost: {host}\r\n\
             content-type: application/json\r\n{headers}\r\n\r\n{body}"
        )
    };
    let chunked = format!("0\r\n\r\n{hidden}");
    for (request, why) in [
        (
            post("1.1", "content-length: 0\r\ncontent-length: 5", &hidden),
            "two lengths",
        ),
        (
            post("1.1", "content-length: 0, 5", &hidden),
            "a list of lengths",
        ),
        (post("1.1", "content-length: +5", &hidden), "a sign"),
        (post("1.1", "content-length: 0x5", &hidden), "another base"),
        (
            post("1.1", "content-length : 5", &hidden),
            "a space before the colon",
        ),
        (
            post("1.1", "transfer-encoding: xchunked", &chunked),
            "an unknown coding",
        ),
        (
            post("1.1", "transfer-encoding: chunked, identity", &chunked),
            "chunked is not the last",
        ),
        (
            post("1.0", "transfer-encoding: chunked", &chunked),
            "an old version",
        ),
        (post("1.1", "host: elsewhere.org", ""), "two hosts"),
        (
            post("1.1", "x-a: b\r\n content-length: 5", &hidden),
            "a folded header",
        ),
        (post("1.1", "x-a: b\0c", &hidden), "a NUL"),
        (
            post("1.1", "x-a: b\rcontent-length: 5", &hidden),
            "a CR alone",
        ),
        (
            post(
                "1.1",
                "transfer-encoding: chunked",
                &format!("fffffffffffffffff\r\n{hidden}"),
            ),
            "an endless chunk",
        ),
        (
            post(
                "1.1",
                "transfer-encoding: chunked",
                &format!("-1\r\n{hidden}"),
            ),
            "a negative chunk",
        ),
    ] {
        let text = raw(&site, request.as_bytes(), true);
        let found = answers(&text);
        assert!(found.len() <= 1, "{why}: {text}");
        assert!(
            found.iter().all(|status| status.starts_with('4')),
            "{why}: {text}"
        );
        assert!(!text.contains("\"uptime\""), "{why}: {text}");
    }
    // A coding that is not undone: its bytes are not read as if they were the text, nor is what follows them.
    for codings in [
        "gzip, chunked",
        "identity, chunked",
        "chunked, chunked",
        "gzip\r\ntransfer-encoding: chunked",
    ] {
        let headers = format!("transfer-encoding: {codings}");
        let text = raw(&site, post("1.1", &headers, &chunked).as_bytes(), false);
        assert_eq!(answers(&text), ["501"], "{codings}: {text}");
        assert!(text.contains("bad_transfer_coding"), "{codings}: {text}");
        assert!(text.contains("connection: close"), "{codings}: {text}");
    }
    // Both at once: chunks count, nothing of them is a request, and nothing that follows them: the
    // connection is closed, because a proxy in front of the server may have counted otherwise.
    let chunk = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n{hidden}", hidden.len());
    for headers in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
    ] {
        let text = raw(&site, post("1.1", headers, &chunk).as_bytes(), false);
        assert_eq!(answers(&text), ["401"], "{headers}: {text}");
        assert!(text.contains("connection: close"), "{headers}: {text}");
    }
}

#[test]
fn nothing_that_is_sent_becomes_a_header_of_the_answer() {
    let site = Site::start();
    let token = site.service.token(OWNER);
    let host = site.server.base().trim_start_matches("http://").to_owned();
    let breaks = "%0d%0aset-cookie:%20a=b%0d%0a%0d%0a";
    for path in [
        format!("/v1/ws/acme/app/limits/files/public/x{breaks}"),
        format!("/v1/ws/acme/app/limits/agent/fine/run?name=x&field=y{breaks}"),
        format!("/v1/ws/acme/auth/corp{breaks}/login?redirect=https://x/{breaks}"),
        format!("/v1/signals/{breaks}"),
        format!("/v1/ws/acme/app/limits/file-manager/content?path=/{breaks}/"),
        format!("/v1/subscribe/cloud/x/ws/acme/app/limits/public/application/{breaks}"),
        format!("/v1/swagger{breaks}"),
        format!("/v1/ws/acme{breaks}"),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
             x-request-id: a b\tset-cookie: c\r\norigin: https://x\r\nconnection: close\r\n\r\n"
        );
        let text = raw(&site, request.as_bytes(), false);
        let head = text
            .split("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .to_lowercase();
        assert_eq!(answers(&text).len(), 1, "{path}: {text}");
        assert!(
            !head.contains("set-cookie") && !head.contains("a=b"),
            "{path}: {head}"
        );
    }
}

#[test]
fn slow_clients_are_left() {
    let site = Site::start();
    let token = site.service.token(OWNER);
    let post = format!(
        "POST /v1/ws/acme/app/limits/agent/fine/run HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    let host = site.server.base().trim_start_matches("http://");
    std::thread::scope(|scope| {
        let head = scope.spawn(|| raw(&site, b"GET /v1/health HTTP/1.1\r\nhost: local", false));
        let body = scope.spawn(|| raw(&site, post.as_bytes(), false));
        // Those who do not begin a request are left without a word, whatever version they may speak.
        let silent = [&b""[..], b"PRI * HT"];
        let silent = silent.map(|bytes| scope.spawn(move || until_closed(host, bytes)));
        for told in [head, body] {
            let told = told.join().expect("no panic");
            assert_eq!(answers(&told), ["408"], "{told}");
            assert!(
                told.contains("slow_request") && told.contains("connection: close"),
                "{told}"
            );
        }
        for silent in silent {
            assert_eq!(silent.join().expect("no panic"), b"");
        }
    });
    // It serves others.
    site.expect(
        OWNER,
        "POST",
        &format!("{APP}/agent/fine/run"),
        json!({ "name": "x" }),
        200,
    );
}

#[test]
fn oversized_parts_are_refused() {
    let site = Site::start_with(&["--body-limit", "64KiB", "--params-limit", "4KiB"]);
    site.install("limits");
    let host = site.server.base().trim_start_matches("http://").to_owned();
    let long = "x".repeat(70 << 10);
    let get = |path: &str, header: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nx-long: {header}\r\nconnection: close\r\n\r\n"
        );
        raw(&site, request.as_bytes(), false)
    };
    // The connection may be closed before the answer is read.
    let text = get("/v1/health", &long);
    assert!(
        answers(&text).iter().all(|status| *status == "431"),
        "{text}"
    );
    for text in [
        get(&format!("/v1/{}", &long[..20 << 10]), "x"),
        get("/v1/health", &long[..66 << 10]),
    ] {
        assert_eq!(answers(&text), ["431"], "{text}");
        assert!(text.contains("headers_too_large"), "{text}");
    }
    // Many that are small are not too large.
    let many = "x\r\na: b".repeat(500);
    assert_eq!(answers(&get("/v1/health", &many)), ["200"]);
    let run = format!("{APP}/agent/fine/run");
    for (body, code) in [
        (json!({ "name": &long[..5 << 10] }), "params_too_large"),
        (json!({ "name": long }), "body_too_large"),
    ] {
        let answer = site.send(OWNER, "POST", &run, &body);
        assert_eq!((answer.status, answer.code().as_str()), (413, code));
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let token = format!("Bearer {}", site.service.token(OWNER));
    let headers = [("authorization", token.as_str())];
    let answer = site.server.send(
        "POST",
        &run,
        &headers,
        Some(("application/json", &deep[..60_000])),
    );
    assert_eq!(answer.status, 413, "{}", answer.code());
    let answer = site.server.send(
        "POST",
        &run,
        &headers,
        Some(("application/json", &deep[..3_000])),
    );
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_json"));
}
