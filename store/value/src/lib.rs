//! Mix values: the ground floor of the runtime.
//!
//! A [`Value`] is any datum a Mix program can store or send: null, bool,
//! number, string, ref, binary, array, map, case, and the opaque kinds token
//! and handle. This crate gives them
//!
//! * a binary form, MessagePack with extension types ([`msgpack`]): what lies
//!   on disk and what crosses every component boundary;
//! * a text form, EscJSON ([`escjson`]): what people and HTTP clients see;
//! * equality, relational order and the total sort order ([`order`]);
//! * number texts by the ECMAScript rule ([`number`]), simple case folding
//!   ([`fold`]), dates and the text of times ([`time`]), and the variable-length integers of the store ([`varcode`]);
//! * encoded values in blocks, for crossings between composed components ([`packed`]).
//!
//! ```
//! use mix_value::{escjson, msgpack, Value};
//!
//! let value = escjson::parse(r#"{"name":"Ada","age":36}"#)?;
//! let bytes = msgpack::encode(&value)?;
//! assert_eq!(msgpack::decode(&bytes)?, value);
//! assert_eq!(escjson::format(&value)?, r#"{"age":36,"name":"Ada"}"#);
//! assert_eq!(value.get("age"), Some(&Value::Int(36)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Hostile input
//!
//! Decoders never allocate from a claimed length, never recurse deeper than
//! [`MAX_WIRE_DEPTH`], for texts [`MAX_DEPTH`] (or a limit given by the caller, at most
//! [`escjson::MAX_PARSE_DEPTH`]), and turn every malformed input into an
//! error with its place. Values built by hand may be deeper than that; the
//! encoders refuse them, and whoever builds such a value must be able to drop
//! it (dropping a [`Value`] recurses).

mod bigint;
mod case;
pub mod escjson;
pub mod fold;
pub mod msgpack;
pub mod number;
mod numeric;
pub mod order;
pub mod packed;
mod reference;
pub mod time;
mod token;
mod value;
pub mod varcode;

pub use bigint::BigInt;
pub use case::Case;
pub use fold::fold_case_simple;
pub use order::{Relation, compare, equal, relate, sort_order};
pub use reference::{Ref, WELL_FORMED_LEN};
pub use token::Token;
pub use value::{Map, Value};

/// Deepest nesting of arrays, maps and cases in one value.
pub const MAX_DEPTH: usize = 128;

/// The same on the wire, where values of [`MAX_DEPTH`] lie in the arguments of a call, or in its answer: in an array, a map and a list
/// of them, for instance.
pub const MAX_WIRE_DEPTH: usize = MAX_DEPTH + 4;

/// A part that cannot be made into a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Refs are 1 to 256 bytes long.
    #[error("a ref must have 1 to 256 bytes, not {0}")]
    RefLength(usize),
    /// Case names match `[A-Za-z_$][A-Za-z0-9_.$]*`, at most 256 bytes.
    #[error("not a case name: {0:?}")]
    CaseName(String),
    /// Integers have at most 4096 bytes.
    #[error("integer too large")]
    IntegerSize,
    /// Not decimal digits with an optional leading minus.
    #[error("not a decimal integer")]
    IntegerText,
}
