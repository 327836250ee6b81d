//! The binary form: MessagePack with extension types for the kinds that
//! MessagePack does not have.
//!
//! | ext type | kind |
//! |---|---|
//! | 1 | undefined |
//! | 2 | ref |
//! | 3 | case |
//! | 4 | token |
//! | 5 | integer beyond 64 bits |
//! | 6 | handle |
//!
//! [`encode`] and [`decode`] work on whole [`Value`](crate::Value)s. [`Writer`] and
//! [`Reader`] are their event forms, for programs with a heap of their own
//! that want no detour over [`Value`](crate::Value). [`skip`] and [`Reader::skip_value`]
//! find the end of a value without building it.

mod codec;
mod reader;
mod writer;

pub use codec::{decode, decode_next, encode, encode_into};
pub use reader::{Reader, Token, array_start, map_start, short, short_str, skip};
pub use writer::{OpenCase, Writer};

pub(crate) const EXT_UNDEFINED: u8 = 1;
pub(crate) const EXT_REF: u8 = 2;
pub(crate) const EXT_CASE: u8 = 3;
pub(crate) const EXT_TOKEN: u8 = 4;
pub(crate) const EXT_BIGINT: u8 = 5;
pub(crate) const EXT_HANDLE: u8 = 6;

pub(crate) const TOKEN_SEALED: u8 = 1;
pub(crate) const TOKEN_REFERENCE: u8 = 2;

/// The bits of the only NaN that is written.
pub(crate) const NAN_BITS: u64 = 0x7ff8_0000_0000_0000;

/// Why a value has no binary form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Deeper than [`crate::MAX_WIRE_DEPTH`].
    #[error("value is nested deeper than {} levels", crate::MAX_WIRE_DEPTH)]
    TooDeep,
    /// A string, binary, array or map beyond 2^32-1 bytes or elements.
    #[error("value is too large")]
    TooLarge,
}

/// Why bytes are no value, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct DecodeError {
    /// Offset of the first byte of the item that is wrong.
    pub offset: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// What is wrong with bytes that are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The input ends inside a value, or a length exceeds the input.
    #[error("input ends too early")]
    Truncated,
    /// Bytes follow the value.
    #[error("bytes follow the value")]
    TrailingBytes,
    /// Deeper than [`crate::MAX_WIRE_DEPTH`].
    #[error("value is nested too deeply")]
    TooDeep,
    /// The byte `c1`, which MessagePack never uses.
    #[error("invalid marker")]
    InvalidMarker,
    /// Text that is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A map key that is no string.
    #[error("map key is not a string")]
    KeyNotString,
    /// A map key that occurs twice.
    #[error("duplicate map key")]
    DuplicateKey,
    /// An extension type that Mix does not have.
    #[error("unknown extension type")]
    UnknownExtension,
    /// A case whose name is none.
    #[error(
        "the name of a case must be letters, digits, `_`, `$` and `.`, no digit and no `.` first, at most 256 of them"
    )]
    CaseName,
    /// A payload that its extension type does not allow.
    #[error("malformed extension")]
    MalformedExtension,
}
