//! Packets of MQTT 5, those that a client sends and gets.
//!
//! Version 5 because of two options of its subscriptions: what a client publishes does not come back to it,
//! and a message says whether it was retained when it was published.

/// Largest packet that is taken from a broker: the largest payload with its topic and properties.
pub const LARGEST: usize = 512 << 10;

/// What a broker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// The answer to [`connect`].
    Connected {
        /// 0x80 and above: refused.
        reason: u8,
        /// Seconds without a packet after which the broker lets go, if it is not what was asked for.
        keep_alive: Option<u16>,
    },
    /// A message.
    Message {
        /// Where it was published.
        topic: String,
        /// What.
        payload: Vec<u8>,
        /// It has to be acknowledged under this number.
        id: Option<u16>,
        /// It was published as the retained value.
        retained: bool,
    },
    /// The answer to [`publish`], [`subscribe`] or [`unsubscribe`].
    Answer {
        /// Of the question.
        id: u16,
        /// 0x80 and above: refused.
        reason: u8,
    },
    /// The answer to [`PING`].
    Pong,
    /// The broker lets go.
    Gone,
}

/// The bytes are no packet, or one that no broker sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker does not speak MQTT 5")]
pub struct Malformed;

const CONNECTED: u8 = 2;
const PUBLISH: u8 = 3;
const PUBLISHED: u8 = 4;
const SUBSCRIBED: u8 = 9;
const UNSUBSCRIBED: u8 = 11;
const PONG: u8 = 13;
const GONE: u8 = 14;

/// Asks whether the broker is there.
pub const PING: [u8; 2] = [0xc0, 0];

/// Takes the first packet out of what has come; none if it is not complete yet.
pub fn take(bytes: &mut Vec<u8>) -> Result<Option<Packet>, Malformed> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    let mut reader = Reader(rest);
    let length = match reader.length() {
        Ok(length) => length,
        // A length has four bytes at most.
        Err(Malformed) if rest.len() < 4 => return Ok(None),
        Err(Malformed) => return Err(Malformed),
    };
    if length > LARGEST {
        return Err(Malformed);
    }
    let Some(content) = reader.0.get(..length) else {
        return Ok(None);
    };
    let packet = parse(first, content)?;
    let used = bytes.len() - reader.0.len() + length;
    bytes.drain(..used);
    Ok(Some(packet))
}

fn parse(first: u8, content: &[u8]) -> Result<Packet, Malformed> {
    let mut reader = Reader(content);
    Ok(match first >> 4 {
        CONNECTED => {
            reader.byte()?;
            let reason = reader.byte()?;
            Packet::Connected {
                reason,
                keep_alive: reader.properties()?,
            }
        }
        PUBLISH => {
            let topic = reader.text()?;
            let id = match (first >> 1) & 3 {
                0 => None,
                1 => Some(reader.short()?),
                // Nothing is subscribed to with exactly-once delivery.
                _ => return Err(Malformed),
            };
            reader.properties()?;
            Packet::Message {
                topic,
                payload: reader.0.to_vec(),
                id,
                retained: first & 1 == 1,
            }
        }
        PUBLISHED => Packet::Answer {
            id: reader.short()?,
            // Left out where all is well.
            reason: reader.byte().unwrap_or(0),
        },
        SUBSCRIBED | UNSUBSCRIBED => {
            let id = reader.short()?;
            reader.properties()?;
            Packet::Answer {
                id,
                reason: reader.byte()?,
            }
        }
        PONG => Packet::Pong,
        GONE => Packet::Gone,
        _ => return Err(Malformed),
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn short(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.short()?;
        self.take(length.into())
    }

    fn text(&mut self) -> Result<String, Malformed> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| Malformed)
    }

    /// Seven bits a byte, the low ones first, four bytes at most.
    fn length(&mut self) -> Result<usize, Malformed> {
        let mut length = 0;
        for place in 0..4 {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(Malformed)
    }

    /// Passes over the properties; of those the time to keep alive is of interest.
    fn properties(&mut self) -> Result<Option<u16>, Malformed> {
        let length = self.length()?;
        let mut inner = Reader(self.take(length)?);
        let mut keep_alive = None;
        while !inner.0.is_empty() {
            match inner.length()? {
                0x13 => keep_alive = Some(inner.short()?),
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => {
                    inner.take(1)?;
                }
                0x21..=0x23 => {
                    inner.take(2)?;
                }
                0x02 | 0x11 | 0x18 | 0x27 => {
                    inner.take(4)?;
                }
                0x0b => {
                    inner.length()?;
                }
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                    inner.bytes()?;
                }
                0x26 => {
                    inner.bytes()?;
                    inner.bytes()?;
                }
                _ => return Err(Malformed),
            }
        }
        Ok(keep_alive)
    }
}

/// A packet from its first byte and its content.
fn packet(first: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = content.len();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend(content);
    bytes
}

/// Bytes with their length before them; what is longer than a length can say is cut off.
fn put(content: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
    content.extend((bytes.len() as u16).to_be_bytes());
    content.extend(bytes);
}

/// Begins a connection.
pub fn connect(client: &str, user: Option<&str>, secret: Option<&str>, keep_alive: u16) -> Vec<u8> {
    let mut content = Vec::new();
    put(&mut content, b"MQTT");
    let flag = |given: bool, bit: u8| if given { bit } else { 0 };
    // Version 5, and nothing is left of an earlier connection.
    content.extend([
        5,
        2 | flag(user.is_some(), 0x80) | flag(secret.is_some(), 0x40),
    ]);
    content.extend(keep_alive.to_be_bytes());
    // One property: the largest packet that is taken.
    content.extend([5, 0x27]);
    content.extend((LARGEST as u32).to_be_bytes());
    put(&mut content, client.as_bytes());
    for text in user.iter().chain(&secret) {
        put(&mut content, text.as_bytes());
    }
    packet(0x10, &content)
}

/// Publishes a message that has to be acknowledged.
pub fn publish(id: u16, topic: &str, payload: &[u8], retained: bool) -> Vec<u8> {
    let mut content = Vec::with_capacity(topic.len() + payload.len() + 8);
    put(&mut content, topic.as_bytes());
    content.extend(id.to_be_bytes());
    content.push(0);
    content.extend(payload);
    packet(0x32 | u8::from(retained), &content)
}

/// Acknowledges a message.
pub fn acknowledge(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

/// Subscribes to a topic: at least once, nothing of one's own, retained as it was published.
pub fn subscribe(id: u16, topic: &str) -> Vec<u8> {
    let mut content = id.to_be_bytes().to_vec();
    content.push(0);
    put(&mut content, topic.as_bytes());
    content.push(0b0000_1101);
    packet(0x82, &content)
}

/// Ends a subscription.
pub fn unsubscribe(id: u16, topic: &str) -> Vec<u8> {
    let mut content = id.to_be_bytes().to_vec();
    content.push(0);
    put(&mut content, topic.as_bytes());
    packet(0xa2, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_has_the_form_of_the_standard() {
        assert_eq!(
            connect("c", Some("u"), Some("p"), 60),
            b"\x10\x19\0\x04MQTT\x05\xc2\0\x3c\x05\x27\0\x08\0\0\0\x01c\0\x01u\0\x01p"
        );
        assert_eq!(
            connect("c", None, None, 60)[..12],
            *b"\x10\x13\0\x04MQTT\x05\x02\0\x3c"
        );
        assert_eq!(
            publish(258, "a/b", b"1", true),
            b"\x33\x09\0\x03a/b\x01\x02\x001"
        );
        assert_eq!(acknowledge(1), b"\x40\x02\0\x01");
        assert_eq!(subscribe(1, "a"), b"\x82\x07\0\x01\0\0\x01a\x0d");
        assert_eq!(unsubscribe(1, "a"), b"\xa2\x06\0\x01\0\0\x01a");
        let long = publish(1, "a", &[0; 200], false);
        assert_eq!(long[..3], [0x32, 0xce, 0x01]);
    }

    #[test]
    fn packets_come_in_pieces() {
        let stream = [
            &b"\x20\x06\0\0\x03\x13\0\x1e"[..],
            b"\x31\x05\0\x01a\0x",
            b"\x32\x07\0\x01a\0\x05\0y",
            b"\x40\x02\0\x07",
            b"\x40\x03\0\x08\x87",
            b"\x90\x04\0\x01\0\x01",
            b"\xd0\0",
            b"\xe0\0",
        ]
        .concat();
        let message = |payload: &[u8], id, retained| Packet::Message {
            topic: "a".to_owned(),
            payload: payload.to_vec(),
            id,
            retained,
        };
        let expected = [
            Packet::Connected {
                reason: 0,
                keep_alive: Some(30),
            },
            message(b"x", None, true),
            message(b"y", Some(5), false),
            Packet::Answer { id: 7, reason: 0 },
            Packet::Answer {
                id: 8,
                reason: 0x87,
            },
            Packet::Answer { id: 1, reason: 1 },
            Packet::Pong,
            Packet::Gone,
        ];
        for size in 1..stream.len() {
            let (mut buffer, mut packets) = (Vec::new(), Vec::new());
            for piece in stream.chunks(size) {
                buffer.extend(piece);
                while let Some(packet) = take(&mut buffer).expect("good packets") {
                    packets.push(packet);
                }
            }
            assert_eq!(packets, expected);
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for bytes in [
            &b"\0\0"[..],
            b"\x20\x01\0",
            b"\x20\x03\0\0\x7f",
            b"\x20\x04\0\0\x01\x7e",
            b"\x30\x01\0",
            b"\x30\x05\0\x01\xff\0x",
            b"\x34\x06\0\x01a\0\x01\0",
            b"\x90\x03\0\x01\0",
            b"\x30\xff\xff\xff\xff",
            b"\x30\xff\xff\xff\x7f",
        ] {
            assert_eq!(take(&mut bytes.to_vec()), Err(Malformed), "{bytes:?}");
        }
    }
}
