//! The server's side of the WebSocket protocol, for servers of tests.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::loopback;

/// Takes the request that asks for the upgrade, accepts it and gives its head. A path with `no-upgrade`
/// is refused, one with `forged` gets a wrong answer.
pub fn accept(stream: &mut TcpStream) -> Option<String> {
    let head = loopback::head(stream);
    if head.contains("no-upgrade") {
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        return None;
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
    let accept = STANDARD.encode(sum);
    let _ = write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    Some(head)
}

/// One frame of a client: its first byte and its payload.
pub fn frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
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

/// A frame to a client, of a short payload.
pub fn send(stream: &mut TcpStream, first: u8, payload: &[u8]) {
    let length = payload.len() as u8;
    assert!(length < 126, "the test sends short messages");
    let mut bytes = vec![first, length];
    bytes.extend(payload);
    // A client that is gone already does not matter.
    let _ = stream.write_all(&bytes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_the_handshake() {
        let sum = sha1(b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        assert_eq!(
            STANDARD.encode(sum),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "the example of RFC 6455"
        );
    }
}
