//! The families of the host itself, through `mixer run`: WebSocket connections and topics.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use base64::Engine as _;
use mix_system_tests::{Finished, Server, repository, response_json, run_mixer};
use serde_json::{Value, json};

fn program(name: &str) -> String {
    let folder = repository().join("tests/system/programs/connections");
    folder.join(name).display().to_string()
}

fn agent(file: &str, agent: &str, params: &Value, more: &[&str]) -> Finished {
    let (file, params) = (program(file), params.to_string());
    let first = ["run", &file, agent, "--params", &params];
    run_mixer(first.into_iter().chain(more.iter().copied()))
}

#[track_caller]
fn output(done: &Finished) -> Value {
    assert_eq!(done.code, 0, "{}", done.stderr);
    response_json(done.stdout.as_bytes())
}

/// SHA-1, which the handshake asks for (FIPS 180-4).
fn sha1(text: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
    let mut bytes = text.to_vec();
    bytes.push(0x80);
    while bytes.len() % 64 != 56 {
        bytes.push(0);
    }
    bytes.extend((8 * text.len() as u64).to_be_bytes());
    for block in bytes.chunks(64) {
        let mut words: Vec<u32> = block
            .chunks(4)
            .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        for at in 16..80 {
            let word = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words.push(word.rotate_left(1));
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (f, k) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5a827999),
                1 => (b ^ c ^ d, 0x6ed9eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1bbcdc),
                _ => (b ^ c ^ d, 0xca62c1d6),
            };
            let sum = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum);
        }
        for (own, more) in state.iter_mut().zip([a, b, c, d, e]) {
            *own = own.wrapping_add(more);
        }
    }
    let mut sum = [0; 20];
    for (place, word) in sum.chunks_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    sum
}

#[test]
fn the_sum_of_the_handshake() {
    let sum = sha1(b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let text = base64::engine::general_purpose::STANDARD.encode(sum);
    assert_eq!(
        text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "the example of RFC 6455"
    );
}

/// One frame of a client: its first byte and its payload.
fn frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    assert_eq!(head[1] & 0x80, 0x80, "clients mask");
    let length = usize::from(head[1] & 0x7f);
    assert!(length < 126, "the test sends short messages");
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).ok()?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).ok()?;
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[at % 4];
    }
    Some((head[0], payload))
}

fn send(stream: &mut TcpStream, first: u8, payload: &[u8]) {
    let mut bytes = vec![first, payload.len() as u8];
    bytes.extend(payload);
    // A client that is gone already does not matter.
    let _ = stream.write_all(&bytes);
}

fn serve(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if head.contains("no-upgrade") {
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (own, value) = line.split_once(": ")?;
            own.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    assert!(header("host").is_some_and(|host| host.starts_with("127.0.0.1:")));
    let mut key = header("sec-websocket-key").expect("a key");
    if head.contains("forged") {
        key.push('x');
    }
    let sum = sha1(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    let accept = base64::engine::general_purpose::STANDARD.encode(sum);
    let _ = write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
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
    ] {
        assert_eq!(told[name], code, "{name}: {told}");
    }
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
    let ws_dir = folder.path().display().to_string();
    for app in ["one", "two"] {
        let done = run_mixer([
            "install",
            &program("topics.mix"),
            "--ws-dir",
            &ws_dir,
            "--ws",
            "local",
            "--app",
            app,
        ]);
        assert_eq!(done.code, 0, "{}", done.stderr);
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
    // A component without its functions: programs that need them do not link.
    let other = mix_system_tests::components().join("mix_plugin_empty.wasm");
    let other = format!("websocket={}", other.display());
    let done = agent("websocket.mix", "guarded", &params, &["--family", &other]);
    assert!(done.stderr.contains("ERR_FFI_MISSING"), "{}", done.stderr);
}
