//! The text form: plain JSON plus tagged objects for what JSON lacks.
//!
//! [`parse`] and [`format`](fn@format) are EscJSON, [`parse_plain`] and [`format_plain`] the
//! plain mode, in which nothing is interpreted and values without a native
//! JSON form fail. Text output has no white space and keys in ascending byte
//! order, so it is canonical: equal values of one representation have one text.

mod format;
mod hex_float;
mod parser;
mod tags;

pub use format::{FormatError, format, format_into, format_plain, format_tree, write_string};

use crate::{MAX_DEPTH, Value};

/// Greatest depth limit a caller may ask for.
pub const MAX_PARSE_DEPTH: usize = 512;

/// Whether tagged objects are interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// EscJSON.
    #[default]
    Tagged,
    /// JSON taken literally.
    Plain,
}

/// What to do with a key that occurs twice in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// The last one counts.
    #[default]
    LastWins,
    /// An error, as for HTTP bodies.
    Refuse,
}

/// What a member written `{tag}undefined` becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UndefinedMembers {
    /// The member is left out (the language's rule).
    #[default]
    Drop,
    /// The member is there, with the value undefined (the store's rule, which
    /// lets an upsert remove a field).
    Keep,
    /// So is an element of an array: in the tree of a query, which may name undefined.
    Anywhere,
}

/// How to parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Tagged or plain.
    pub mode: Mode,
    /// Deepest nesting of the resulting value, at most [`MAX_PARSE_DEPTH`].
    pub max_depth: usize,
    /// Rule for duplicate keys.
    pub duplicates: Duplicates,
    /// Rule for undefined members.
    pub undefined_members: UndefinedMembers,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: Mode::Tagged,
            max_depth: MAX_DEPTH,
            duplicates: Duplicates::LastWins,
            undefined_members: UndefinedMembers::Drop,
        }
    }
}

/// Why a text is no value, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at offset {offset}{}", place(path))]
pub struct ParseError {
    /// Byte offset in the text.
    pub offset: usize,
    /// Path of the value in question, for instance `.a[3].b`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

fn place(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!(" ({path})")
    }
}

/// What is wrong with a text that is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// Something else was expected.
    #[error("{0} expected")]
    Expected(&'static str),
    /// The text ends inside a value.
    #[error("unexpected end of text")]
    UnexpectedEnd,
    /// Text follows the value.
    #[error("text follows the value")]
    TrailingText,
    /// A control character inside a string, unescaped.
    #[error("control character in a string")]
    ControlCharacter,
    /// An escape that JSON does not have.
    #[error("invalid escape")]
    InvalidEscape,
    /// Half of a surrogate pair.
    #[error("unpaired surrogate")]
    UnpairedSurrogate,
    /// A number beyond the floats.
    #[error("number out of range")]
    NumberRange,
    /// Nested deeper than allowed.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// A key that occurs twice.
    #[error("duplicate key {0:?}")]
    DuplicateKey(String),
    /// A `{tag}` that does not exist.
    #[error("unknown tag {0:?}")]
    UnknownTag(String),
    /// A tagged object whose members do not fit its tag.
    #[error("malformed tagged object {0:?}")]
    MalformedTag(String),
    /// Undefined where it cannot be: an array element or a case argument.
    #[error("undefined is not allowed here")]
    Undefined,
}

/// Parses EscJSON with the default [`Options`].
pub fn parse(text: &str) -> Result<Value, ParseError> {
    parse_with(text, &Options::default())
}

/// Parses plain JSON.
pub fn parse_plain(text: &str) -> Result<Value, ParseError> {
    parse_with(
        text,
        &Options {
            mode: Mode::Plain,
            ..Options::default()
        },
    )
}

/// Parses with options.
pub fn parse_with(text: &str, options: &Options) -> Result<Value, ParseError> {
    parser::Parser::new(text, options).parse()
}

/// Parses an array and gives its items to `each` as they come, so that they need not all be in
/// memory; false if the text is something else. An error may follow after some items.
pub fn parse_items(
    text: &str,
    options: &Options,
    each: impl FnMut(Value),
) -> Result<bool, ParseError> {
    parser::Parser::new(text, options).parse_items(each)
}
