//! Frames of the WebSocket protocol (RFC 6455), of both sides.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest message, all of its frames together.
pub const LONGEST_MESSAGE: usize = 16 << 20;

/// Longest payload of a control frame.
const LONGEST_CONTROL: usize = 125;

/// The other side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// It has opened the connection, and masks what it sends.
    Client,
    /// It was connected to, and masks nothing.
    Server,
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// More of the message before.
    Continuation,
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// The end.
    Close,
    /// A question.
    Ping,
    /// Its answer.
    Pong,
}

impl Kind {
    fn of(code: u8) -> Option<Kind> {
        Some(match code {
            0 => Kind::Continuation,
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => return None,
        })
    }

    fn code(self) -> u8 {
        match self {
            Kind::Continuation => 0,
            Kind::Text => 1,
            Kind::Binary => 2,
            Kind::Close => 8,
            Kind::Ping => 9,
            Kind::Pong => 10,
        }
    }

    fn is_control(self) -> bool {
        self.code() >= 8
    }
}

/// A frame of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Last of its message.
    pub last: bool,
    /// What it holds.
    pub kind: Kind,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// Why no frame was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The connection ended without saying so.
    Off,
    /// What came is no frame that the peer may send.
    Protocol,
    /// A text that is no UTF-8.
    Text,
    /// More than a message may hold.
    TooLarge,
}

/// The bytes of a whole message; that of a client is masked.
pub fn write(kind: Kind, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | kind.code()];
    match payload.len() {
        short @ 0..=125 => bytes.push(masked | short as u8),
        medium @ 126..=0xffff => {
            bytes.push(masked | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(masked | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    match mask {
        None => bytes.extend(payload),
        Some(mask) => {
            bytes.extend(mask);
            bytes.extend(unmasked(payload, mask));
        }
    }
    bytes
}

/// To mask twice is to do nothing.
fn unmasked(payload: &[u8], mask: [u8; 4]) -> impl Iterator<Item = u8> {
    let mask = mask.into_iter().cycle();
    payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask)
}

/// Reads a frame of the peer; `room`: what its message may still hold.
pub async fn read(
    from: &mut (impl AsyncRead + Unpin),
    room: usize,
    peer: Peer,
) -> Result<Frame, Broken> {
    let mut head = [0; 2];
    fill(from, &mut head).await?;
    let [first, second] = head;
    let kind = Kind::of(first & 0x0f).ok_or(Broken::Protocol)?;
    let last = first & 0x80 != 0;
    // No extension was agreed on.
    let is_masked = second & 0x80 != 0;
    if first & 0x70 != 0 || is_masked != (peer == Peer::Client) {
        return Err(Broken::Protocol);
    }
    let length = match second & 0x7f {
        126 => {
            let mut bytes = [0; 2];
            fill(from, &mut bytes).await?;
            u64::from(u16::from_be_bytes(bytes))
        }
        127 => {
            let mut bytes = [0; 8];
            fill(from, &mut bytes).await?;
            u64::from_be_bytes(bytes)
        }
        short => u64::from(short),
    };
    if kind.is_control() && (!last || length > LONGEST_CONTROL as u64) {
        return Err(Broken::Protocol);
    }
    let limit = if kind.is_control() {
        LONGEST_CONTROL
    } else {
        room
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= limit)
        .ok_or(Broken::TooLarge)?;
    let mut mask = [0; 4];
    if is_masked {
        fill(from, &mut mask).await?;
    }
    let mut payload = vec![0; length];
    fill(from, &mut payload).await?;
    if is_masked {
        payload = unmasked(&payload, mask).collect();
    }
    Ok(Frame {
        last,
        kind,
        payload,
    })
}

async fn fill(from: &mut (impl AsyncRead + Unpin), bytes: &mut [u8]) -> Result<(), Broken> {
    match from.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(_) => Err(Broken::Off),
    }
}

/// Code and text of a close frame; `None`: malformed.
pub fn closing(payload: &[u8]) -> Option<(u16, &str)> {
    match payload {
        [] => Some((1005, "")),
        [high, low, text @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let sendable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            let text = std::str::from_utf8(text).ok()?;
            sendable.then_some((code, text))
        }
        [_] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parse(bytes: &[u8]) -> Result<Frame, Broken> {
        read(&mut &*bytes, 1000, Peer::Server).await
    }

    #[tokio::test]
    async fn what_a_client_sends_is_masked() {
        for length in [0, 1, 125, 126, 1000] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let bytes = write(Kind::Text, &payload, Some([1, 2, 3, 4]));
            let frame = read(&mut &*bytes, 1000, Peer::Client).await;
            assert_eq!(frame.expect("a frame").payload, payload);
            let plain = write(Kind::Text, &payload, None);
            let refused = read(&mut &*plain, 1000, Peer::Client).await;
            assert_eq!(refused, Err(Broken::Protocol));
            assert!(parse(&plain).await.is_ok());
        }
    }

    #[tokio::test]
    async fn frames_of_all_lengths() {
        for length in [0, 1, 125, 126, 1000] {
            let mut bytes = vec![0x82];
            match length {
                0..=125 => bytes.push(length as u8),
                _ => {
                    bytes.push(126);
                    bytes.extend((length as u16).to_be_bytes());
                }
            }
            bytes.resize(bytes.len() + length, 7);
            let frame = parse(&bytes).await.expect("a frame");
            assert_eq!((frame.kind, frame.payload.len()), (Kind::Binary, length));
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]).await, Err(Broken::Off));
            }
        }
    }

    #[tokio::test]
    async fn what_a_server_may_not_send() {
        for (bytes, broken) in [
            (&[0x83, 0][..], Broken::Protocol),
            (&[0x91, 0], Broken::Protocol),
            (&[0x81, 0x80, 0, 0, 0, 0], Broken::Protocol),
            (&[0x09, 0], Broken::Protocol),
            (&[0x89, 126, 0, 126], Broken::Protocol),
            (&[0x82, 126, 0x10, 0], Broken::TooLarge),
            (&[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], Broken::TooLarge),
        ] {
            assert_eq!(parse(bytes).await, Err(broken), "{bytes:?}");
        }
    }

    #[test]
    fn a_client_masks() {
        // The example of RFC 6455, 5.7.
        let bytes = write(Kind::Text, b"Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        let expected = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(bytes, expected);
        assert_eq!(
            write(Kind::Binary, &[0; 70_000], Some([0; 4]))[1..10],
            [0xff, 0, 0, 0, 0, 0, 1, 0x11, 0x70]
        );
    }

    #[test]
    fn reasons_of_the_end() {
        assert_eq!(closing(&[]), Some((1005, "")));
        assert_eq!(closing(&[0x03, 0xe8, b'x']), Some((1000, "x")));
        for bad in [&[3][..], &[0x03, 0xed], &[0x03, 0xe8, 0xff], &[0, 0]] {
            assert_eq!(closing(bad), None, "{bad:?}");
        }
    }
}
