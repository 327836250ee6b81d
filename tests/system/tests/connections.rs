//! The families of the host itself, through `mixer run`: WebSocket connections and topics.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use mix_system_tests::peer::{accept, frame, send};
use mix_system_tests::{
    Finished, Server, broker, install, output, repository, response_json, run_agent, run_mixer,
    stock_server,
};
use serde_json::{Value, json};

/// Bytes of a message that takes its time.
const LONG: usize = 12 << 20;

fn program(name: &str) -> String {
    let folder = repository().join("tests/system/programs/connections");
    folder.join(name).display().to_string()
}

fn agent(file: &str, agent: &str, params: &Value, more: &[&str]) -> Finished {
    run_agent(&program(file), agent, params, more)
}

fn serve(mut stream: TcpStream) {
    if accept(&mut stream).is_none() {
        return;
    }
    while let Some((first, payload)) = frame(&mut stream) {
        match (first, payload.as_slice()) {
            (0x81, b"ping me") => {
                send(&mut stream, 0x89, b"?");
                let (first, payload) = frame(&mut stream).expect("an answer");
                assert_eq!((first, payload.as_slice()), (0x8a, &b"?"[..]));
                send(&mut stream, 0x81, b"answered");
            }
            (0x81, b"pieces") => {
                send(&mut stream, 0x01, b"one ");
                send(&mut stream, 0x8a, b"");
                send(&mut stream, 0x00, "zw".as_bytes());
                send(&mut stream, 0x80, "\u{f6}lf".as_bytes());
            }
            (0x81, b"go away") => send(&mut stream, 0x88, &[0x03, 0xe9]),
            (0x81, b"break") => return,
            // A frame of ten bytes, of which two come.
            (0x81, b"half") => stream.write_all(&[0x81, 10, b'h', b'a']).expect("sends"),
            // The frame says how long it is, and is on its way for a while.
            (0x81, b"long") => {
                let mut head = vec![0x82, 127];
                head.extend((LONG as u64).to_be_bytes());
                stream.write_all(&head).expect("sends");
                for piece in vec![7; LONG].chunks(LONG / 8) {
                    std::thread::sleep(Duration::from_millis(50));
                    stream.write_all(piece).expect("sends");
                }
            }
            (0x81, b"garbage") => send(&mut stream, 0x83, b"?"),
            (0x81, b"say nothing") => {}
            (0x88, _) => {
                send(&mut stream, 0x88, &payload);
                return;
            }
            (first, payload) => send(&mut stream, first, payload),
        }
    }
}

/// A server that answers what it is told; its URL.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    url
}

const OPEN: &str = "--dangerous-http-mode";

fn close(code: i64, text: &str) -> Value {
    json!({
        "_rmx_type": "{tag}case:websocket.closeMsg",
        "_rmx_value": {"code": code, "text": text},
    })
}

#[test]
fn a_program_talks_over_a_connection() {
    let params = json!({"url": server()});
    let told = output(&agent("websocket.mix", "talks", &params, &[OPEN]));
    let expected = json!({
        "text": "grüße",
        "bytes": "00ff",
        "ping": "ping 3f",
        "answered": "answered",
        "between": "pong ",
        "pieces": "one zwölf",
        "before": false,
        "end": close(1000, "bye"),
        "same": true,
        "after": "ERR_CHANNEL_CLOSED: the connection is at its end",
        "down": true,
    });
    assert_eq!(told, expected);
    let told = output(&agent("websocket.mix", "streams", &params, &[OPEN]));
    assert_eq!(
        told,
        json!({"texts": ["a", "b", "c"], "end": close(1000, "")})
    );
}

#[test]
fn connections_end_with_a_reason() {
    let params = json!({"url": server()});
    let told = output(&agent("websocket.mix", "ends", &params, &[OPEN]));
    for (name, code) in [
        ("away", 1001),
        ("broken", 1006),
        ("garbage", 1005),
        ("silent", 1006),
        ("half", 1006),
    ] {
        assert_eq!(told[name], code, "{name}: {told}");
    }
    assert_eq!(told["long"], LONG, "{told}");
    for (name, start) in [
        ("refused", "ERR_NETWORK: the server answers with status 403"),
        ("scheme", "ERR_URL_BLOCKED: scheme"),
        ("forged", "ERR_NETWORK: the server does not speak"),
    ] {
        let text = told[name].as_str().unwrap_or_default();
        assert!(text.starts_with(start), "{name}: {text}");
    }
}

#[test]
fn connections_keep_the_rules_about_addresses() {
    let url = server();
    let urls = json!({"urls": [
        url, "wss://127.0.0.1/", "wss://[::1]/", "wss://localhost/", "wss://169.254.169.254/",
        "wss://user:pw@api.example.com/", "nowhere",
    ]});
    let told = output(&agent("websocket.mix", "guarded", &urls, &[]));
    let expected = [
        "ERR_URL_BLOCKED: scheme",
        "ERR_URL_BLOCKED: address",
        "ERR_URL_BLOCKED: address",
        "ERR_URL_BLOCKED: host",
        "ERR_URL_BLOCKED: address",
        "ERR_URL_BLOCKED: userinfo",
        "ERR_URL",
    ];
    let told = told.as_array().expect("a list");
    assert_eq!(told.len(), expected.len());
    for (text, expected) in told.iter().zip(expected) {
        assert!(
            text.as_str().is_some_and(|text| text.starts_with(expected)),
            "{text} instead of {expected}"
        );
    }
}

#[test]
fn topics_join_the_runs_of_a_server() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for app in ["one", "two"] {
        install(program("topics.mix"), &folder, "local", app);
    }
    let server = Server::mixer(folder.path(), &[]);
    let tell = |app: &str, value: i64| {
        let path = format!("/v1/ws/local/app/{app}/agent/tells/run");
        let (status, body) = server.post(&path, &json!({"key": "n", "value": value}).to_string());
        let answer = response_json(&body);
        assert_eq!(status, 200, "{answer}");
        answer
    };
    assert_eq!(tell("one", 1), json!({"before": null, "after": 1}));
    assert_eq!(tell("one", 2), json!({"before": 1, "after": 2}));
    // Topics of an app are its own.
    assert_eq!(tell("two", 3), json!({"before": null, "after": 3}));
}

#[test]
fn families_of_the_host_are_replaced_like_others() {
    let params = json!({"urls": []});
    let done = agent(
        "websocket.mix",
        "guarded",
        &params,
        &["--family", "websocket=memory"],
    );
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("no form that lives in memory"),
        "{}",
        done.stderr
    );
    // A component without its functions: programs that use them are told.
    let params = json!({"urls": ["wss://example.org/"]});
    let other = mix_system_tests::components().join("mix_plugin_empty.wasm");
    let other = format!("websocket={}", other.display());
    let told = output(&agent(
        "websocket.mix",
        "guarded",
        &params,
        &["--family", &other],
    ));
    assert_unsupported(&told);
}

#[track_caller]
fn assert_unsupported(told: &Value) {
    let text = told[0].as_str().unwrap_or_default();
    let start = "ERR_UNSUPPORTED: this host has no family websocket";
    assert!(text.starts_with(start), "{told}");
}

#[test]
fn a_composed_component_says_that_it_has_neither_connections_nor_topics() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let out = folder.path().join("app.wasm");
    let (connections, topics, path) = (
        program("websocket.mix"),
        program("topics.mix"),
        out.display().to_string(),
    );
    let compose = [
        "compose",
        &connections,
        &topics,
        "--app",
        "app",
        "-o",
        &path,
    ];
    let done = run_mixer(compose);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let log = std::fs::File::create(folder.path().join("log")).expect("a writable folder");
    let server = stock_server(&out, folder.path(), &[], &log);
    let run = |agent: &str, params: Value| {
        let path = format!("/v1/ws/local/app/app/agent/{agent}/run");
        let (status, body) = server.post(&path, &params.to_string());
        (status, response_json(&body))
    };
    let (status, told) = run("guarded", json!({"urls": ["wss://example.org/"]}));
    assert_eq!(status, 200, "{told}");
    assert_unsupported(&told);
    let (status, told) = run("tells", json!({"key": "n", "value": 1}));
    assert_ne!(status, 200, "{told}");
    assert!(told.to_string().contains("ERR_BROKER"), "{told}");
}

#[test]
fn the_broker_of_another_organisation_is_mounted() {
    let params = json!({"url": broker::start(), "nowhere": "ws://127.0.0.1:1/"});
    let told = output(&agent("mounted.mix", "mounted", &params, &[OPEN]));
    let expected = json!({
        "before": "ERR_BROKER",
        "nobody": "ERR_NETWORK",
        "wrong": "ERR_PERMISSION",
        "empty": null,
        "retained": {"n": 1},
        "initial": {"n": 1},
        "forbidden": "ERR_PERMISSION",
        "heard": "hello",
        "dropped": "ERR_BROKER",
        "again": "again",
    });
    assert_eq!(told, expected);
}

#[test]
fn mounting_keeps_the_rules_about_addresses() {
    let urls = json!({"urls": [
        broker::start(), "wss://127.0.0.1/", "wss://169.254.169.254/", "mqtts://example.org", "",
    ]});
    let told = output(&agent("mounted.mix", "refused", &urls, &[]));
    let codes = [
        "ERR_PERMISSION",
        "ERR_PERMISSION",
        "ERR_PERMISSION",
        "ERR_PERMISSION",
        "ERR_BROKER",
    ];
    assert_eq!(told, json!(codes));
}
