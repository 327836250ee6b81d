//! A WebSocket client, just enough for tests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::loopback;
use serde_json::Value;

/// A connection.
pub struct Socket(TcpStream);

impl Socket {
    /// Opens one at a server; the status if it refuses.
    pub fn open(base: &str, path: &str, headers: &[(&str, &str)]) -> Result<Socket, u16> {
        let address = base.trim_start_matches("http://");
        let mut stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let time = Some(Duration::from_secs(60));
        stream
            .set_read_timeout(time)
            .unwrap_or_else(|error| panic!("{error}"));
        let more: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        // The key of the example of RFC 6455.
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        stream
            .write_all(request.as_bytes())
            .unwrap_or_else(|error| panic!("{error}"));
        let head = loopback::head(&mut stream);
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        match status.unwrap_or_default() {
            101 => {
                let accepted = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
                assert!(head.contains(accepted), "{head}");
                Ok(Socket(stream))
            }
            status => Err(status),
        }
    }

    /// Sends a JSON text.
    pub fn send(&mut self, message: &Value) {
        self.send_frame(0x81, message.to_string().as_bytes());
    }

    /// Sends a masked frame that begins with this byte.
    pub fn send_frame(&mut self, first: u8, payload: &[u8]) {
        const MASK: [u8; 4] = [7, 0, 255, 19];
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..=125 => bytes.push(0x80 | short as u8),
            medium @ 126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        let mask = MASK.into_iter().cycle();
        bytes.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        // A server that is gone already shows when it is read.
        let _ = self.0.write_all(&bytes);
    }

    /// The next frame: its first byte and its payload; `None` at the end.
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        assert_eq!(head[1] & 0x80, 0, "servers do not mask");
        let length = match head[1] {
            126 => {
                let mut bytes = [0; 2];
                self.0.read_exact(&mut bytes).ok()?;
                usize::from(u16::from_be_bytes(bytes))
            }
            127 => {
                let mut bytes = [0; 8];
                self.0.read_exact(&mut bytes).ok()?;
                u64::from_be_bytes(bytes) as usize
            }
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[0], payload))
    }

    /// The next message; pings on the way are answered.
    pub fn message(&mut self) -> Value {
        loop {
            match self.frame() {
                Some((0x81, payload)) => return crate::response_json(&payload),
                Some((0x89, payload)) => self.send_frame(0x8a, &payload),
                other => panic!("no message: {other:?}"),
            }
        }
    }

    /// All messages up to the next `done`, without it; and its id.
    pub fn until_done(&mut self) -> (Vec<Value>, Value) {
        let mut told = Vec::new();
        loop {
            let message = self.message();
            if message["type"] == "done" {
                return (told, message["id"].clone());
            }
            told.push(message);
        }
    }

    /// Code and text of the end, which is the next frame.
    pub fn end(&mut self) -> (u16, String) {
        match self.frame() {
            Some((0x88, payload)) => match payload.as_slice() {
                [high, low, text @ ..] => (
                    u16::from_be_bytes([*high, *low]),
                    String::from_utf8_lossy(text).into_owned(),
                ),
                _ => (1005, String::new()),
            },
            other => panic!("no end: {other:?}"),
        }
    }
}
