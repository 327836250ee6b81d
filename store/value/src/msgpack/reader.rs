//! Pull reader.

use std::collections::BTreeSet;

use super::{
    DecodeError, DecodeErrorKind, EXT_BIGINT, EXT_CASE, EXT_HANDLE, EXT_REF, EXT_TOKEN,
    EXT_UNDEFINED, NAN_BITS, TOKEN_REFERENCE, TOKEN_SEALED,
};
use crate::{BigInt, Case, MAX_WIRE_DEPTH, Value};

/// One event of a [`Reader`].
#[derive(Debug, Clone, PartialEq)]
pub enum Token<'a> {
    /// Undefined.
    Undefined,
    /// Null.
    Null,
    /// A bool.
    Bool(bool),
    /// An integer within 64 bits.
    Int(i64),
    /// A float; every NaN is given as the same one.
    Float(f64),
    /// An integer beyond 64 bits.
    BigInt(BigInt),
    /// A string value.
    Str(&'a str),
    /// A key of the map that is being read; its value follows.
    Key(&'a str),
    /// A binary.
    Bin(&'a [u8]),
    /// A ref of 1 to 256 bytes.
    Ref(&'a str),
    /// An array begins; that many values follow.
    ArrayStart(usize),
    /// A map begins; that many pairs of [`Token::Key`] and a value follow.
    MapStart(usize),
    /// A case begins; if it has an argument, one value follows.
    CaseStart {
        /// The checked name.
        name: &'a str,
        /// Whether a value follows.
        has_argument: bool,
    },
    /// A sealed token: what follows its form byte.
    SealedToken(&'a [u8]),
    /// A reference to a token the host keeps.
    TokenReference(u64),
    /// A handle.
    Handle(u64),
}

/// Reads one value event by event, borrowing from the input.
///
/// Every rule of the form is checked: lengths against the input, nesting
/// against [`MAX_WIRE_DEPTH`], UTF-8, unique map keys, extension payloads. The
/// reader itself never allocates more than in proportion to the input.
pub struct Reader<'a> {
    input: &'a [u8],
    position: usize,
    frames: Vec<Frame<'a>>,
    started: bool,
    keys: Order,
}

struct Frame<'a> {
    /// Items still to come; a map counts keys and values.
    left: usize,
    /// For a case: where its payload ends.
    end: Option<usize>,
    keys: Option<Keys<'a>>,
}

impl Frame<'_> {
    /// True if a key of a map comes next.
    fn is_at_key(&self) -> bool {
        self.keys.is_some() && self.left.is_multiple_of(2)
    }
}

/// Number of elements of the array that `input` begins with, and where the first one begins;
/// none if it is no array. The elements are then read one by one ([`Reader::at`]).
#[inline]
pub fn array_start(input: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    match *input {
        [head @ 0x90..=0x9f, ref elements @ ..] if usize::from(head & 0x0f) <= elements.len() => {
            Ok(Some((usize::from(head & 0x0f), 1)))
        }
        _ => long_array_start(input),
    }
}

fn long_array_start(input: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut reader = Reader::new(input);
    match input.first() {
        Some(0x90..=0x9f | 0xdc | 0xdd) => match reader.read_item(0)? {
            Token::ArrayStart(count) => Ok(Some((count, reader.position))),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Number of members of the map that `input` begins with, and where the first one begins, if it is in one of the
/// forms that most maps have. `None` says nothing about `input`.
#[inline]
pub fn map_start(input: &[u8]) -> Option<(usize, usize)> {
    match *input {
        [head @ 0x80..=0x8f, ..] => Some((usize::from(head & 0x0f), 1)),
        [0xde, high, low, ..] => Some((usize::from(u16::from_be_bytes([high, low])), 3)),
        _ => None,
    }
}

/// Length of the string that `input` begins with, if it is this one in its shortest form, and that of few bytes.
/// `None` says nothing about `input`.
#[inline]
pub fn short_str(input: &[u8], text: &str) -> Option<usize> {
    let (&head, rest) = input.split_first()?;
    let is_text = matches!(head, 0xa0..=0xbf)
        && usize::from(head & 0x1f) == text.len()
        && rest.starts_with(text.as_bytes());
    is_text.then_some(1 + text.len())
}

/// The value that `input` begins with and its length, if it holds no others and is in one of the
/// forms of few bytes that most such values have. `None` says nothing about `input`: a [`Reader`]
/// will tell.
// So that readers of one kind of value keep that kind alone of it.
#[inline(always)]
pub fn short(input: &[u8]) -> Option<(Token<'_>, usize)> {
    let (&marker, rest) = input.split_first()?;
    Some(match marker {
        0x00..=0x7f => (Token::Int(i64::from(marker)), 1),
        0xe0..=0xff => (Token::Int(i64::from(marker as i8)), 1),
        0xc0 => (Token::Null, 1),
        0xc2 => (Token::Bool(false), 1),
        0xc3 => (Token::Bool(true), 1),
        0xa0..=0xbf => {
            let len = usize::from(marker & 0x1f);
            let text = std::str::from_utf8(rest.get(..len)?).ok()?;
            (Token::Str(text), 1 + len)
        }
        0xc4 => {
            let (&len, rest) = rest.split_first()?;
            let len = usize::from(len);
            (Token::Bin(rest.get(..len)?), 2 + len)
        }
        0xcb => {
            let float = f64::from_be_bytes(*rest.first_chunk()?);
            (Token::Float(canonical(float)), 9)
        }
        0xcc => (Token::Int(i64::from(*rest.first()?)), 2),
        0xcd => (
            Token::Int(i64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            3,
        ),
        0xce => (
            Token::Int(i64::from(u32::from_be_bytes(*rest.first_chunk()?))),
            5,
        ),
        0xd9 => {
            let (&len, rest) = rest.split_first()?;
            let len = usize::from(len);
            let text = std::str::from_utf8(rest.get(..len)?).ok()?;
            (Token::Str(text), 2 + len)
        }
        0xc7 => {
            let [len @ 1..=u8::MAX, EXT_REF, rest @ ..] = rest else {
                return None;
            };
            let len = usize::from(*len);
            let text = std::str::from_utf8(rest.get(..len)?).ok()?;
            (Token::Ref(text), 3 + len)
        }
        _ => return None,
    })
}

/// What is known of the keys of all maps so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Each came behind the one before: the normal case.
    Ascending,
    /// Not all did.
    Any,
    /// They were read before and are not compared again.
    Known,
}

/// Keys of a map seen so far. As long as they ascend the last one is enough; at the first one of the whole value that
/// does not, those of all open maps are read once more and kept from then on, so that
/// no part is read more than twice however deep it is.
struct Keys<'a> {
    start: usize,
    count: usize,
    last: Option<&'a str>,
    seen: Option<BTreeSet<&'a str>>,
}

impl<'a> Reader<'a> {
    /// Reads one value at the start of `input`.
    pub fn new(input: &'a [u8]) -> Reader<'a> {
        Reader {
            input,
            position: 0,
            frames: Vec::new(),
            started: false,
            keys: Order::Ascending,
        }
    }

    /// Reads again what has been read without an error.
    fn again(input: &'a [u8], position: usize) -> Reader<'a> {
        Reader {
            keys: Order::Known,
            ..Reader::at(input, position)
        }
    }

    /// Reads one value that begins at `position`. Offsets count from the start of `input`.
    pub fn at(input: &'a [u8], position: usize) -> Reader<'a> {
        Reader {
            position: position.min(input.len()),
            ..Reader::new(input)
        }
    }

    /// Offset of the next unread byte.
    pub fn position(&self) -> usize {
        self.position
    }

    /// True when the whole value has been read.
    pub fn is_done(&self) -> bool {
        self.started && self.frames.is_empty()
    }

    /// Checks that the value is complete and nothing follows it.
    pub fn finish(self) -> Result<(), DecodeError> {
        if !self.is_done() {
            return Err(self.error_at(self.position, DecodeErrorKind::Truncated));
        }
        if self.position != self.input.len() {
            return Err(self.error_at(self.position, DecodeErrorKind::TrailingBytes));
        }
        Ok(())
    }

    /// The next event. After the last one of a value: [`DecodeErrorKind::Truncated`].
    #[allow(clippy::should_implement_trait)] // It can fail, and an iterator of results invites going on after an error.
    pub fn next(&mut self) -> Result<Token<'a>, DecodeError> {
        if self.is_done() {
            return Err(self.error_at(self.position, DecodeErrorKind::Truncated));
        }
        let start = self.position;
        let token = if self.frames.last().is_some_and(Frame::is_at_key) {
            self.read_key(start)?
        } else {
            self.read_item(start)?
        };
        self.started = true;
        if let Some(frame) = self.frames.last_mut() {
            frame.left -= 1;
        }
        self.open(&token, start)?;
        self.close_finished(start)?;
        Ok(token)
    }

    /// What is left to read where a value comes next that may hold others: for whoever reads it without the
    /// reader, which then goes [past](Reader::past) it.
    pub fn rest(&self) -> Option<&'a [u8]> {
        let is_at_key = self.frames.last().is_some_and(Frame::is_at_key);
        let may_hold = !self.is_done() && !is_at_key && self.frames.len() < MAX_WIRE_DEPTH;
        may_hold.then(|| &self.input[self.position..])
    }

    /// Goes past a value of that length, which was read from the [rest](Reader::rest) and holds values that hold no others.
    pub fn past(&mut self, length: usize) -> Result<(), DecodeError> {
        let start = self.position;
        self.position = start.saturating_add(length).min(self.input.len());
        self.started = true;
        if let Some(frame) = self.frames.last_mut() {
            frame.left -= 1;
        }
        self.close_finished(start)
    }

    /// Skips one whole value (or, at a key's place, the key alone).
    pub fn skip_value(&mut self) -> Result<(), DecodeError> {
        let depth = self.frames.len();
        loop {
            self.next()?;
            if self.frames.len() <= depth {
                return Ok(());
            }
        }
    }

    /// Skips one whole value and gives its bytes.
    pub fn raw_value(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = self.position;
        self.skip_value()?;
        Ok(&self.input[start..self.position])
    }

    fn open(&mut self, token: &Token<'a>, start: usize) -> Result<(), DecodeError> {
        let frame = match token {
            Token::ArrayStart(len) => Frame {
                left: *len,
                end: None,
                keys: None,
            },
            Token::MapStart(len) => Frame {
                left: len * 2,
                end: None,
                keys: Some(Keys {
                    start: self.position,
                    count: 0,
                    last: None,
                    seen: (self.keys == Order::Any).then(BTreeSet::new),
                }),
            },
            // read_item has pushed the frame of a case, because only it knows the payload's end.
            _ => return Ok(()),
        };
        self.push(frame, start)
    }

    fn push(&mut self, frame: Frame<'a>, start: usize) -> Result<(), DecodeError> {
        if self.frames.len() >= MAX_WIRE_DEPTH {
            return Err(self.error_at(start, DecodeErrorKind::TooDeep));
        }
        self.frames.push(frame);
        Ok(())
    }

    fn close_finished(&mut self, start: usize) -> Result<(), DecodeError> {
        while let Some(frame) = self.frames.last() {
            if frame.left > 0 {
                break;
            }
            if frame.end.is_some_and(|end| end != self.position) {
                return Err(self.error_at(start, DecodeErrorKind::MalformedExtension));
            }
            self.frames.pop();
        }
        Ok(())
    }

    fn read_key(&mut self, start: usize) -> Result<Token<'a>, DecodeError> {
        let marker = self.byte(start)?;
        let Some(len) = self.str_len(marker, start)? else {
            return Err(self.error_at(start, DecodeErrorKind::KeyNotString));
        };
        let key = self.text(len, start)?;
        if self.is_duplicate(key) {
            return Err(self.error_at(start, DecodeErrorKind::DuplicateKey));
        }
        Ok(Token::Key(key))
    }

    /// Notes a key of the innermost map; true if it was there before.
    fn is_duplicate(&mut self, key: &'a str) -> bool {
        if self.keys == Order::Known {
            return false;
        }
        let Some(keys) = self.frames.last_mut().and_then(|frame| frame.keys.as_mut()) else {
            return false;
        };
        if let Some(seen) = &mut keys.seen {
            return !seen.insert(key);
        }
        if keys.last.is_none_or(|last| last < key) {
            keys.last = Some(key);
            keys.count += 1;
            return false;
        }
        self.keys = Order::Any;
        let open = self
            .frames
            .iter_mut()
            .filter_map(|frame| frame.keys.as_mut());
        open.for_each(|keys| keys.collect(self.input));
        self.is_duplicate(key)
    }

    fn read_item(&mut self, start: usize) -> Result<Token<'a>, DecodeError> {
        let marker = self.byte(start)?;
        if let Some(len) = self.str_len(marker, start)? {
            return Ok(Token::Str(self.text(len, start)?));
        }
        Ok(match marker {
            0x00..=0x7f => Token::Int(i64::from(marker)),
            0xe0..=0xff => Token::Int(i64::from(marker as i8)),
            0xc0 => Token::Null,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xcc => Token::Int(i64::from(u8::from_be_bytes(self.array(start)?))),
            0xcd => Token::Int(i64::from(u16::from_be_bytes(self.array(start)?))),
            0xce => Token::Int(i64::from(u32::from_be_bytes(self.array(start)?))),
            0xcf => integer(BigInt::from_u64(u64::from_be_bytes(self.array(start)?))),
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.array(start)?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.array(start)?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.array(start)?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.array(start)?)),
            0xca => Token::Float(canonical(f64::from(f32::from_be_bytes(self.array(start)?)))),
            0xcb => Token::Float(canonical(f64::from_be_bytes(self.array(start)?))),
            0xc4..=0xc6 => {
                let len = self.length(marker - 0xc4, start)?;
                Token::Bin(self.bytes(len, start)?)
            }
            0x90..=0x9f => Token::ArrayStart(self.count(usize::from(marker & 0x0f), 1, start)?),
            0xdc | 0xdd => {
                let len = self.length(marker - 0xdc + 1, start)?;
                Token::ArrayStart(self.count(len, 1, start)?)
            }
            0x80..=0x8f => Token::MapStart(self.count(usize::from(marker & 0x0f), 2, start)?),
            0xde | 0xdf => {
                let len = self.length(marker - 0xde + 1, start)?;
                Token::MapStart(self.count(len, 2, start)?)
            }
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4), start)?,
            0xc7..=0xc9 => {
                let len = self.length(marker - 0xc7, start)?;
                self.extension(len, start)?
            }
            _ => return Err(self.error_at(start, DecodeErrorKind::InvalidMarker)),
        })
    }

    fn extension(&mut self, len: usize, start: usize) -> Result<Token<'a>, DecodeError> {
        let kind = self.byte(start)?;
        let malformed = DecodeError {
            offset: start,
            kind: DecodeErrorKind::MalformedExtension,
        };
        if kind == EXT_CASE {
            return self.case(len, start);
        }
        let payload = self.bytes(len, start)?;
        match kind {
            EXT_UNDEFINED if payload.is_empty() => Ok(Token::Undefined),
            EXT_REF if (1..=256).contains(&len) => match std::str::from_utf8(payload) {
                Ok(id) => Ok(Token::Ref(id)),
                Err(_) => Err(self.error_at(start, DecodeErrorKind::InvalidUtf8)),
            },
            EXT_TOKEN => match payload.split_first() {
                Some((&TOKEN_SEALED, body)) => Ok(Token::SealedToken(body)),
                Some((&TOKEN_REFERENCE, body)) => match <[u8; 8]>::try_from(body) {
                    Ok(number) => Ok(Token::TokenReference(u64::from_be_bytes(number))),
                    Err(_) => Err(malformed),
                },
                _ => Err(malformed),
            },
            EXT_BIGINT => match BigInt::from_signed_bytes(payload) {
                Ok(Value::Int(small)) => Ok(Token::Int(small)),
                Ok(Value::BigInt(big)) if is_minimal(payload) => Ok(Token::BigInt(big)),
                _ => Err(malformed),
            },
            EXT_HANDLE => match <[u8; 8]>::try_from(payload) {
                Ok(number) => Ok(Token::Handle(u64::from_be_bytes(number))),
                Err(_) => Err(malformed),
            },
            EXT_UNDEFINED | EXT_REF => Err(malformed),
            _ => Err(self.error_at(start, DecodeErrorKind::UnknownExtension)),
        }
    }

    fn case(&mut self, len: usize, start: usize) -> Result<Token<'a>, DecodeError> {
        if len > self.input.len() - self.position {
            return Err(self.error_at(start, DecodeErrorKind::Truncated));
        }
        let end = self.position + len;
        let malformed = DecodeError {
            offset: start,
            kind: DecodeErrorKind::MalformedExtension,
        };
        if len == 0 {
            return Err(malformed);
        }
        let marker = self.byte(start)?;
        let Some(name_len) = self.str_len(marker, start)? else {
            return Err(malformed);
        };
        if name_len > end.saturating_sub(self.position) {
            return Err(malformed);
        }
        let name = self.text(name_len, start)?;
        if !Case::is_name(name) {
            return Err(self.error_at(start, DecodeErrorKind::CaseName));
        }
        let has_argument = self.position < end;
        // `next` counts this item for the enclosing frame before the new frame
        // is on top, so the case's own frame carries one more.
        if has_argument {
            if let Some(outer) = self.frames.last_mut() {
                outer.left -= 1;
            }
            self.push(
                Frame {
                    left: 2,
                    end: Some(end),
                    keys: None,
                },
                start,
            )?;
        } else if self.frames.len() >= MAX_WIRE_DEPTH {
            return Err(self.error_at(start, DecodeErrorKind::TooDeep));
        }
        Ok(Token::CaseStart { name, has_argument })
    }

    /// Length of a string with this marker, if it is one.
    fn str_len(&mut self, marker: u8, start: usize) -> Result<Option<usize>, DecodeError> {
        match marker {
            0xa0..=0xbf => Ok(Some(usize::from(marker & 0x1f))),
            0xd9..=0xdb => self.length(marker - 0xd9, start).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads a length of 2^`size` bytes.
    fn length(&mut self, size: u8, start: usize) -> Result<usize, DecodeError> {
        Ok(match size {
            0 => usize::from(self.byte(start)?),
            1 => usize::from(u16::from_be_bytes(self.array(start)?)),
            // usize has 32 bits at least on every supported target.
            _ => u32::from_be_bytes(self.array(start)?) as usize,
        })
    }

    /// Checks a claimed number of elements against what can still be there.
    fn count(&self, claimed: usize, each: usize, start: usize) -> Result<usize, DecodeError> {
        if claimed > (self.input.len() - self.position) / each {
            return Err(self.error_at(start, DecodeErrorKind::Truncated));
        }
        Ok(claimed)
    }

    fn byte(&mut self, start: usize) -> Result<u8, DecodeError> {
        let [byte] = self.array(start)?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self, start: usize) -> Result<[u8; N], DecodeError> {
        match self.input[self.position..].first_chunk::<N>() {
            Some(bytes) => {
                self.position += N;
                Ok(*bytes)
            }
            None => Err(self.error_at(start, DecodeErrorKind::Truncated)),
        }
    }

    fn bytes(&mut self, len: usize, start: usize) -> Result<&'a [u8], DecodeError> {
        if len > self.input.len() - self.position {
            return Err(self.error_at(start, DecodeErrorKind::Truncated));
        }
        let bytes = &self.input[self.position..self.position + len];
        self.position += len;
        Ok(bytes)
    }

    fn text(&mut self, len: usize, start: usize) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes(len, start)?;
        std::str::from_utf8(bytes).map_err(|_| self.error_at(start, DecodeErrorKind::InvalidUtf8))
    }

    fn error_at(&self, offset: usize, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { offset, kind }
    }
}

impl<'a> Keys<'a> {
    /// Reads the keys so far once more and keeps them. The value of the last one may not have been read yet.
    fn collect(&mut self, input: &'a [u8]) {
        let mut seen = BTreeSet::new();
        let mut position = self.start;
        for number in 1..=self.count {
            let mut key = Reader::again(input, position);
            if let Ok(Token::Str(text)) = key.next() {
                seen.insert(text);
            }
            position = key.position;
            if number < self.count {
                let mut value = Reader::again(input, position);
                // It has been read without an error.
                let _ = value.skip_value();
                position = value.position;
            }
        }
        self.seen = Some(seen);
    }
}

/// Length of the value at the start of `input`, checking all of it.
pub fn skip(input: &[u8]) -> Result<usize, DecodeError> {
    if let Some((_, length)) = short(input) {
        return Ok(length);
    }
    let mut reader = Reader::new(input);
    reader.skip_value()?;
    Ok(reader.position())
}

fn integer<'a>(value: Value) -> Token<'a> {
    match value {
        Value::BigInt(big) => Token::BigInt(big),
        Value::Int(small) => Token::Int(small),
        _ => Token::Null,
    }
}

fn canonical(float: f64) -> f64 {
    if float.is_nan() {
        f64::from_bits(NAN_BITS)
    } else {
        float
    }
}

/// True if the first byte is not a mere repetition of the sign.
fn is_minimal(bytes: &[u8]) -> bool {
    !matches!(bytes, [0x00, next, ..] if *next < 0x80)
        && !matches!(bytes, [0xff, next, ..] if *next >= 0x80)
}
