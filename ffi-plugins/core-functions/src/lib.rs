//! What family `core` computes from its arguments alone, apart from the component so that
//! native tests use the same code.
//!
//! * [`zone`]: offsets of time zones at an instant or a wall time;
//! * [`xml`]: XML text to nodes of module `xml` and back, names of HTML characters.
//!
//! Nothing here keeps state or looks at its surroundings.

pub mod xml;
pub mod zone;

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
