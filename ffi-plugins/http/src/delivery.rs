//! How a response reaches the program: whole if it is small, else in parts, so that neither this
//! component nor the boundary holds more of a body than it must.
//!
//! The parts are the response map without its body, then the pieces of the body in order, all of
//! them texts or all of them binaries. If the exchange breaks off after the first part, a map
//! with `error` ends them. The module `http` of the library puts them together.

use encoding_rs::Decoder;
use flate2::write::MultiGzDecoder;
use mix_plugin_sdk::{Closed, Encoded, IntoValue, Map, Sink, Value};
use std::io::Write;

use crate::exchange::Clock;
use crate::media::{self, Mode};
use crate::refusal::Refusal;
use crate::response::{Head, Wishes, too_large};

/// Bodies up to this size are delivered whole, longer ones in pieces of about this size.
const PIECE: usize = 1 << 20;

/// Compressed bytes that are unpacked at once: they become a thousand times as many at most.
const UNPACKED_AT_ONCE: usize = 4 << 10;

/// Most of a body that is held back, because its end decides how its beginning is read.
const LARGEST_HELD: usize = 160 << 20;

/// Where the bytes of a body come from.
pub trait Body {
    /// The next bytes as they came over the wire; none at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal>;
}

/// A response on its way to the program.
pub enum Delivery<B> {
    /// All of it.
    Whole(Map),
    /// What is left to be sent.
    Parts(Box<Parts<B>>),
}

/// A response whose body goes in pieces.
pub struct Parts<B> {
    head: Map,
    begun: Vec<u8>,
    reader: Reader<B>,
    form: Wanted,
}

/// What the body is to be.
enum Wanted {
    Known(Form),
    /// UTF-8 if all of it is, else this.
    Perhaps(Form),
}

/// Reads a body, unpacked, up to a limit.
struct Reader<B> {
    body: B,
    unpacker: Option<MultiGzDecoder<Vec<u8>>>,
    /// What came last, and how much of it was taken.
    came: Vec<u8>,
    taken: usize,
    is_empty: bool,
    read: usize,
    limit: usize,
    ended: bool,
}

impl<B: Body> Reader<B> {
    /// Reads on until `into` holds `size` bytes, or a bit more, or the body ends.
    async fn fill(&mut self, into: &mut Vec<u8>, size: usize) -> Result<(), Refusal> {
        while !self.ended && into.len() < size {
            let before = into.len();
            if self.taken < self.came.len() {
                self.take(into)?;
            } else if let Some(bytes) = self.body.next().await? {
                self.is_empty &= bytes.is_empty();
                (self.came, self.taken) = (bytes, 0);
            } else {
                self.end(into)?;
            }
            self.read += into.len() - before;
            if self.read > self.limit {
                return Err(too_large(self.limit));
            }
        }
        Ok(())
    }

    fn take(&mut self, into: &mut Vec<u8>) -> Result<(), Refusal> {
        let came = &self.came[self.taken..];
        let Some(unpacker) = &mut self.unpacker else {
            into.extend_from_slice(came);
            self.taken = self.came.len();
            return Ok(());
        };
        let some = &came[..came.len().min(UNPACKED_AT_ONCE)];
        self.taken += some.len();
        unpacker.write_all(some).map_err(|error| not_gzip(&error))?;
        into.append(unpacker.get_mut());
        Ok(())
    }

    fn end(&mut self, into: &mut Vec<u8>) -> Result<(), Refusal> {
        self.ended = true;
        // HEAD, 204 and 304 have none.
        if let Some(mut unpacker) = self.unpacker.take()
            && !self.is_empty
        {
            unpacker.try_finish().map_err(|error| not_gzip(&error))?;
            into.append(unpacker.get_mut());
        }
        Ok(())
    }
}

fn not_gzip(error: &std::io::Error) -> Refusal {
    let text = format!("the body is not valid gzip: {error}");
    Refusal::new("ERR_NETWORK", text)
}

/// What the pieces of a body become.
enum Form {
    Binary,
    /// In a character set that is named.
    Decoded(Box<Decoder>),
    /// UTF-8 as far as it was looked at; the bytes of a character that is not complete yet.
    Utf8(Vec<u8>),
    Latin1,
}

impl Form {
    /// The value of a piece. A decoder keeps back what is not complete until more or the `last` comes.
    fn piece(&mut self, bytes: Vec<u8>, last: bool) -> Value {
        match self {
            Form::Binary => Value::binary(bytes),
            Form::Decoded(decoder) => {
                let room = decoder.max_utf8_buffer_length(bytes.len());
                let mut text = String::with_capacity(room.unwrap_or(3 * bytes.len() + 16));
                let _ = decoder.decode_to_string(&bytes, &mut text, last);
                Value::string(text)
            }
            Form::Utf8(kept) => {
                let mut whole = std::mem::take(kept);
                whole.extend_from_slice(&bytes);
                *kept = whole.split_off(complete(&whole));
                // Looked at before: nothing is replaced.
                Value::string(String::from_utf8_lossy(&whole))
            }
            Form::Latin1 => Value::string(bytes.into_iter().map(char::from).collect::<String>()),
        }
    }
}

/// Up to where characters of UTF-8 are complete.
fn complete(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => bytes.len(),
    }
}

/// Begins to read the body, and delivers the response if that is all.
pub async fn begin<B: Body>(
    mut head: Head,
    body: B,
    requested: &str,
    wishes: Wishes,
) -> Result<Delivery<B>, Refusal> {
    let packed = wishes.undo_gzip && head.is_gzip();
    let mut reader = Reader {
        body,
        unpacker: packed.then(|| MultiGzDecoder::new(Vec::new())),
        came: Vec::new(),
        taken: 0,
        is_empty: true,
        read: 0,
        limit: wishes.limit,
        ended: false,
    };
    if packed {
        // They describe what came over the wire, not the body that is given on.
        head.remove(&["content-encoding", "content-length"]);
    }
    let content_type = head.header("content-type");
    let mode = match &content_type {
        _ if wishes.binary => Some(Mode::Binary),
        Some(content_type) => Some(media::mode(content_type, wishes.media_types.as_ref())),
        None => None,
    };
    let mut begun = Vec::new();
    reader.fill(&mut begun, PIECE).await?;
    let mut described = head.describe(requested);
    if reader.ended {
        let mode = mode.unwrap_or(match std::str::from_utf8(&begun) {
            Ok(_) => Mode::Text,
            Err(_) => Mode::Binary,
        });
        let body = match mode {
            Mode::Text => {
                let content_type = content_type.unwrap_or_default();
                Value::string(media::text(&content_type, &begun))
            }
            Mode::Binary => Value::binary(begun),
        };
        described.insert("body".into(), body);
        return Ok(Delivery::Whole(described));
    }
    let decoder = content_type.as_deref().and_then(media::decoder);
    Ok(Delivery::Parts(Box::new(Parts {
        head: described,
        begun,
        reader,
        form: match (mode, decoder) {
            (Some(Mode::Binary), _) => Wanted::Known(Form::Binary),
            (Some(Mode::Text), Some(decoder)) => Wanted::Known(Form::Decoded(Box::new(decoder))),
            (Some(Mode::Text), None) => Wanted::Perhaps(Form::Latin1),
            (None, _) => Wanted::Perhaps(Form::Binary),
        },
    })))
}

impl<B: Body> Parts<B> {
    /// Sends what is left, within the time of the exchange.
    pub async fn send(self, mut sink: Sink, mut clock: Clock) {
        if put(self.head.clone(), &mut sink).await.is_err() {
            return;
        }
        let sending = self.each(async |piece| put(piece, &mut sink).await);
        if let Err(refusal) = clock.within(sending).await {
            // The reader may be gone; then nobody wants to know.
            let _ = put(refusal.response(), &mut sink).await;
        }
    }

    /// Hands over the pieces, until nobody takes them any longer.
    async fn each(
        mut self,
        mut take: impl AsyncFnMut(Value) -> Result<(), Closed>,
    ) -> Result<(), Refusal> {
        let mut bytes = std::mem::take(&mut self.begun);
        let mut form = match self.form {
            Wanted::Known(form) => form,
            Wanted::Perhaps(other) => {
                let mut held = hold(bytes, &mut self.reader).await?;
                let mut form = match is_utf8(&held) {
                    true => {
                        if let Some(rest) = held.first_mut()
                            && rest.starts_with(media::MARK)
                        {
                            rest.drain(..media::MARK.len());
                        }
                        Form::Utf8(Vec::new())
                    }
                    false => other,
                };
                bytes = held.pop().unwrap_or_default();
                for piece in held {
                    if take(form.piece(piece, false)).await.is_err() {
                        return Ok(());
                    }
                }
                form
            }
        };
        loop {
            let last = self.reader.ended;
            if take(form.piece(bytes, last)).await.is_err() || last {
                return Ok(());
            }
            bytes = Vec::new();
            self.reader.fill(&mut bytes, PIECE).await?;
        }
    }

    #[cfg(test)]
    async fn values(self) -> Result<Vec<Value>, Refusal> {
        let mut values = Vec::new();
        self.each(async |value| {
            values.push(value);
            Ok(())
        })
        .await?;
        Ok(values)
    }
}

/// All of a body, in pieces.
async fn hold<B: Body>(begun: Vec<u8>, reader: &mut Reader<B>) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut held = vec![begun];
    while !reader.ended {
        let mut bytes = Vec::with_capacity(PIECE + PIECE / 8);
        reader.fill(&mut bytes, PIECE).await?;
        held.push(bytes);
        if reader.read > LARGEST_HELD {
            return Err(too_large(LARGEST_HELD));
        }
    }
    Ok(held)
}

/// Whether pieces are UTF-8 together.
fn is_utf8(pieces: &[Vec<u8>]) -> bool {
    // A character that is cut in two, as far as it came.
    let mut cut: Vec<u8> = Vec::new();
    for piece in pieces {
        let mut rest: &[u8] = piece;
        while let (false, Some((byte, after))) = (cut.is_empty(), rest.split_first()) {
            cut.push(*byte);
            rest = after;
            match std::str::from_utf8(&cut) {
                Ok(_) => cut.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return false,
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() => {
                cut = rest[error.valid_up_to()..].to_vec();
            }
            Err(_) => return false,
        }
    }
    cut.is_empty()
}

async fn put(value: impl IntoValue, sink: &mut Sink) -> Result<(), Closed> {
    match value.encode() {
        Ok(Encoded(bytes)) => sink.send(Encoded(bytes)).await,
        // Texts, binaries and maps of them have a wire form.
        Err(_) => Err(Closed),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::FutureExt;

    use super::*;

    struct Pieces(VecDeque<Vec<u8>>);

    impl Body for Pieces {
        async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
            Ok(self.0.pop_front())
        }
    }

    fn pieces(bytes: &[u8], size: usize) -> Pieces {
        Pieces(bytes.chunks(size).map(<[u8]>::to_vec).collect())
    }

    fn head(headers: &[(&str, &str)]) -> Head {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        Head {
            status: 200,
            headers: headers.collect(),
        }
    }

    fn wishes() -> Wishes {
        Wishes {
            binary: false,
            media_types: None,
            undo_gzip: true,
            limit: 8 << 20,
        }
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn begun(
        headers: &[(&str, &str)],
        body: Pieces,
        wishes: Wishes,
    ) -> Result<Delivery<Pieces>, Refusal> {
        begin(head(headers), body, "u", wishes)
            .now_or_never()
            .expect("at once")
    }

    /// The map of a response that is delivered whole.
    fn whole(headers: &[(&str, &str)], body: &[u8], wishes: Wishes) -> Map {
        match begun(headers, pieces(body, 7), wishes).unwrap() {
            Delivery::Whole(map) => map,
            Delivery::Parts(_) => panic!("it is small"),
        }
    }

    /// The body of a response that goes in parts, put together, and how many they are.
    fn joined(headers: &[(&str, &str)], body: Pieces, wishes: Wishes) -> (Value, usize) {
        let Delivery::Parts(parts) = begun(headers, body, wishes).unwrap() else {
            panic!("it is large")
        };
        assert!(!parts.head.contains_key("body"));
        let values = parts.values().now_or_never().expect("at once").unwrap();
        let count = values.len();
        let text: Option<String> = values.iter().map(Value::as_str).collect();
        let value = match text {
            Some(text) => Value::string(text),
            None => {
                let bytes = values.iter().map(|value| match value {
                    Value::Binary(bytes) => bytes.to_vec(),
                    other => panic!("{other:?}"),
                });
                Value::binary(bytes.collect::<Vec<_>>().concat())
            }
        };
        (value, count)
    }

    #[test]
    fn text_or_binary() {
        let body = |headers: &[(&str, &str)], body: &[u8], wishes| {
            whole(headers, body, wishes).remove("body").unwrap()
        };
        let json = [("content-type", "application/json")];
        assert_eq!(body(&json, b"{}", wishes()), Value::string("{}"));
        let binary = Wishes {
            binary: true,
            ..wishes()
        };
        assert_eq!(body(&json, b"{}", binary), Value::binary(b"{}".as_slice()));
        assert_eq!(body(&[], b"abc", wishes()), Value::string("abc"));
        assert_eq!(
            body(&[], b"\xff", wishes()),
            Value::binary(b"\xff".as_slice())
        );
    }

    #[test]
    fn gzip_is_undone_within_the_limit() {
        let headers = [("content-encoding", "gzip"), ("content-length", "9")];
        let limit = |limit| Wishes { limit, ..wishes() };
        let packed = gzip(&[b'a'; 1000]);
        let map = whole(&headers, &packed, limit(1000));
        assert_eq!(map["body"], Value::string("a".repeat(1000)));
        assert_eq!(map["headers"], Value::map::<&str>([]));
        let code = |body: &[u8], wishes| {
            begun(&headers, pieces(body, 7), wishes)
                .map(|_| ())
                .map_err(|refusal| refusal.code)
        };
        assert_eq!(code(&packed, limit(999)), Err("ERR_TOO_LARGE"));
        // A small body that becomes a large one is cut off long before it is unpacked.
        let bomb = gzip(&vec![0; 64 << 20]);
        assert_eq!(code(&bomb, limit(100_000)), Err("ERR_TOO_LARGE"));
        assert_eq!(code(b"nonsense", wishes()), Err("ERR_NETWORK"));
        assert_eq!(
            code(&packed[..packed.len() - 1], wishes()),
            Err("ERR_NETWORK")
        );
        assert_eq!(code(b"", wishes()), Ok(()));
        let left = Wishes {
            undo_gzip: false,
            ..wishes()
        };
        assert_eq!(code(b"nonsense", left), Ok(()));
    }

    #[test]
    fn large_bodies_go_in_pieces() {
        // Characters of several bytes lie across the pieces.
        let text = "a\u{1f600}\u{e9}".repeat(400_000);
        let bytes = text.as_bytes();
        let plain = [("content-type", "text/plain")];
        for size in [1 << 20, 65_536, 4_099] {
            let (body, count) = joined(&plain, pieces(bytes, size), wishes());
            assert!(body == Value::string(text.as_str()), "{size}");
            assert!(count > 1, "{size}");
        }
        let named = [("content-type", "text/plain; charset=utf-8")];
        assert!(joined(&named, pieces(bytes, 65_536), wishes()).0 == Value::string(text.as_str()));
        assert!(joined(&[], pieces(bytes, 65_536), wishes()).0 == Value::string(text.as_str()));
        let binary = [("content-type", "image/png")];
        let (body, count) = joined(&binary, pieces(bytes, 65_536), wishes());
        assert!(body == Value::binary(bytes));
        assert!(count > 2);
        // The last byte decides.
        let mut broken = bytes.to_vec();
        broken.push(0xff);
        assert!(joined(&[], pieces(&broken, 65_536), wishes()).0 == Value::binary(&*broken));
        let latin: String = broken.iter().map(|byte| char::from(*byte)).collect();
        assert!(joined(&plain, pieces(&broken, 65_536), wishes()).0 == Value::string(latin));
        // Unpacked on the way.
        let packed = [("content-encoding", "gzip"), ("content-type", "text/plain")];
        let body = gzip(bytes);
        assert!(joined(&packed, pieces(&body, 65_536), wishes()).0 == Value::string(text));
    }

    #[test]
    fn the_mark_of_utf_8_is_no_part_of_a_large_text() {
        let text = "x".repeat(2 * PIECE);
        let marked = [media::MARK, text.as_bytes()].concat();
        for headers in [&[("content-type", "text/plain")][..], &[]] {
            let (body, _) = joined(headers, pieces(&marked, 1000), wishes());
            assert!(body == Value::string(text.as_str()), "{headers:?}");
        }
    }

    #[test]
    fn sixteen_bits_a_character() {
        let text = "\u{1f600}x".repeat(300_000);
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let named = [("content-type", "text/plain; charset=utf-16le")];
        let (body, _) = joined(&named, pieces(&bytes, 65_535), wishes());
        assert!(body == Value::string(text));
    }
}
