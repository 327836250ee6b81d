//! The functions of family `core` that never wait, for the components that have them: the family itself,
//! and `mix-embedded`.
//!
//! * [`clock`]: present time, and sleeping;
//! * [`log`]: lines for the operator, on standard error;
//! * [`environment`]: the variables a run sees, from the WASI environment and from `bind`;
//! * [`compress`]: gzip, zlib, deflate;
//! * [`report`]: the stack of a reported error;
//! * [`zone`]: offsets of time zones at an instant or a wall time;
//! * [`xml`]: XML text to nodes of module `xml` and back, names of HTML characters.
//!
//! The last two look at nothing but their arguments; native tests call them as they are.

pub mod clock;
mod compress;
mod environment;
mod log;
mod pure;
mod report;
pub mod xml;
pub mod zone;

use mix_plugin_sdk::{Bytes, Map, Value, functions};

functions! {
    /// The functions.
    pub FUNCTIONS;
    /// Seconds since 1970 UTC, with a fraction down to microseconds.
    call "$core_now" = clock::now();
    /// Seconds since some fixed moment; never decreases.
    call "$core_monotonic" = clock::monotonic();
    /// Writes a line of a severity to the log.
    call "$core_log" = log::log(String, String);
    /// Writes a line of `debug` to the log.
    call "$core_debug" = log::debug(String);
    /// The environment variables of the run.
    call "$core_env_current" = environment::current();
    /// The environment variables that the run began with.
    call "$core_env_initial" = environment::initial();
    /// Compresses a binary; the format is gzip, deflate (with zlib header) or deflate-raw.
    call "$binary_compress" = compress::compress(String, Bytes);
    /// Undoes `$binary_compress`.
    call "$binary_decompress" = compress::decompress(String, Bytes);
    /// The `mixStack` of a raw backtrace.
    call "$decode_error" = report::decode(Value);
    /// The offset of a time zone at an instant.
    call "$core_tz_at_utc" = pure::tz_at_utc(String, f64);
    /// The offset of a time zone at a wall time.
    call "$core_tz_at_wall" = pure::tz_at_wall(String, f64);
    /// The root element of an XML text.
    call "$xml_parse" = pure::xml_parse(Map, String);
    /// The XML text of a node.
    call "$xml_format" = pure::xml_format(Value);
    /// The named characters of HTML.
    call "$xml_html_entities" = pure::xml_html_entities();
}

/// Why a function cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An argument of the right kind outside of its domain: `ERR_RANGE`.
    #[error("{0}")]
    Range(String),
    /// Malformed text: `ERR_PARSE`.
    #[error("{0}")]
    Parse(String),
    /// An argument of the wrong kind: a code `ERR_EXPECTED_…`.
    #[error("expected {1}")]
    Expected(&'static str, &'static str),
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Range(_) => "ERR_RANGE",
            Refusal::Parse(_) => "ERR_PARSE",
            Refusal::Expected(code, _) => code,
        }
    }
}
