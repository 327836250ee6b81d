//! A message broker of another organisation: MQTT 5 over WebSocket, as far as clients of the tests go.
//!
//! User `ada` has the secret `right`. Topics that end in `secret` are forbidden. What is published to
//! `…/say` the broker publishes to `…/heard`, as another client would; what is published to `…/drop`
//! breaks the connection off.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::peer::{accept, frame, send};

/// First byte of a frame with bytes.
const BINARY: u8 = 0x82;

type Retained = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// Starts one; its URL.
pub fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/mqtt", listener.local_addr().expect("an address"));
    let retained = Retained::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let retained = retained.clone();
            std::thread::spawn(move || serve(stream, &retained));
        }
    });
    url
}

/// Takes a text, or bytes, with its length before it.
fn take(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    bytes[2..].split_at(length)
}

fn text(bytes: &[u8]) -> (String, &[u8]) {
    let (text, rest) = take(bytes);
    (String::from_utf8(text.to_vec()).expect("UTF-8"), rest)
}

/// A message to a client: `id` for one that has to be acknowledged.
fn message(topic: &str, id: Option<u8>, payload: &[u8], retained: bool) -> Vec<u8> {
    let first = 0x30 | u8::from(retained) | if id.is_some() { 2 } else { 0 };
    let mut content = vec![0, topic.len() as u8];
    content.extend(topic.as_bytes());
    content.extend(id.iter().flat_map(|id| [0, *id]));
    content.push(0);
    content.extend(payload);
    let mut bytes = vec![first, content.len() as u8];
    bytes.extend(content);
    bytes
}

fn serve(mut stream: TcpStream, retained: &Retained) {
    let Some(head) = accept(&mut stream) else {
        return;
    };
    assert!(
        head.to_ascii_lowercase()
            .contains("sec-websocket-protocol: mqtt")
    );
    let retained = || retained.lock().unwrap_or_else(PoisonError::into_inner);
    let mut topics: Vec<String> = Vec::new();
    // For an acknowledgement.
    let mut waiting = false;
    while let Some((first, packet)) = frame(&mut stream) {
        if first != BINARY {
            return;
        }
        // Packets of the tests are short: one byte of length.
        let content = &packet[2..];
        assert_eq!(usize::from(packet[1]), content.len());
        match packet[0] {
            0x10 => {
                let (protocol, rest) = take(content);
                assert_eq!((protocol, rest[0]), (&b"MQTT"[..], 5));
                let (_client, rest) = take(&rest[5 + usize::from(rest[4])..]);
                let (user, rest) = text(rest);
                let (secret, _) = text(rest);
                let reason = if user == "ada" && secret == "right" {
                    0
                } else {
                    0x87
                };
                send(&mut stream, BINARY, &[0x20, 6, 0, reason, 3, 0x13, 0, 4]);
            }
            0x32 | 0x33 => {
                let (topic, rest) = text(content);
                let payload = &rest[3..];
                if topic.ends_with("/drop") {
                    return;
                }
                if packet[0] & 1 == 1 {
                    retained().insert(topic.clone(), payload.to_vec());
                }
                send(&mut stream, BINARY, &[0x40, 2, rest[0], rest[1]]);
                let heard = topic.replace("/say", "/heard");
                if heard != topic && topics.contains(&heard) {
                    send(
                        &mut stream,
                        BINARY,
                        &message(&heard, Some(9), payload, false),
                    );
                    waiting = true;
                }
            }
            0x40 => {
                assert!(waiting && content == [0, 9], "{content:?} is acknowledged");
                waiting = false;
            }
            0x82 => {
                let (topic, options) = text(&content[3..]);
                assert_eq!(
                    options,
                    [0b1101],
                    "nothing of one's own, retained as published"
                );
                let reason = if topic.ends_with("/secret") { 0x87 } else { 1 };
                send(
                    &mut stream,
                    BINARY,
                    &[0x90, 4, content[0], content[1], 0, reason],
                );
                if let Some(payload) = retained().get(&topic) {
                    send(&mut stream, BINARY, &message(&topic, None, payload, true));
                }
                topics.push(topic);
            }
            0xa2 => {
                let (topic, _) = text(&content[3..]);
                topics.retain(|other| *other != topic);
                send(
                    &mut stream,
                    BINARY,
                    &[0xb0, 4, content[0], content[1], 0, 0],
                );
            }
            0xc0 => send(&mut stream, BINARY, &[0xd0, 0]),
            other => panic!("a client sends {other:#x}"),
        }
    }
}
