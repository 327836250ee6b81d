//! Why a query is refused or stopped.

use std::fmt;
use std::sync::Arc;

use mix_value::{Map, Value};

/// The stable codes of query errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryErrorCode {
    /// The text is no query.
    Syntax,
    /// An operand of the wrong kind, or a stage in the wrong place.
    Type,
    /// Well-formed, but not part of the query language.
    Unsupported,
    /// Beyond a limit on the size of queries.
    TooComplex,
    /// A constant marked as indexed that no index need hold.
    NotIndexable,
    /// A parameter that the call did not supply.
    MissingParam,
    /// A watermark or revision that does not exist (any more).
    StaleWatermark,
    /// Too many records behind `**`.
    ExpansionLimit,
    /// An opcode or operator that does not exist.
    UnknownOpcode,
    /// Stopped by the clock or by its owner.
    Timeout,
    /// More memory than a query may use.
    ResultTooLarge,
}

impl QueryErrorCode {
    /// The code as programs and clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            QueryErrorCode::Syntax => "query_syntax",
            QueryErrorCode::Type => "query_type",
            QueryErrorCode::Unsupported => "query_unsupported",
            QueryErrorCode::TooComplex => "query_too_complex",
            QueryErrorCode::NotIndexable => "not_indexable",
            QueryErrorCode::MissingParam => "missing_param",
            QueryErrorCode::StaleWatermark => "stale_watermark",
            QueryErrorCode::ExpansionLimit => "expansion_limit",
            QueryErrorCode::UnknownOpcode => "unknown_opcode",
            QueryErrorCode::Timeout => "query_timeout",
            QueryErrorCode::ResultTooLarge => "result_too_large",
        }
    }
}

impl fmt::Display for QueryErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a query is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere in particular.
    Whole,
    /// In the text.
    Text {
        /// Offset in characters.
        offset: usize,
        /// What would have been right there, where that can be said.
        expected: Option<String>,
    },
    /// In the JSON form: indices from the pipeline down, as in `[0][1]`.
    Json(String),
    /// In a parameter.
    Param(String),
}

/// A query error: its code, a sentence for people, its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// The stable code.
    pub code: QueryErrorCode,
    /// One sentence for people, place included.
    pub message: String,
    /// The place, for machines.
    pub place: Place,
}

impl QueryError {
    pub(super) fn new(code: QueryErrorCode, message: impl Into<String>) -> QueryError {
        QueryError {
            code,
            message: message.into(),
            place: Place::Whole,
        }
    }

    /// A syntax error at a character where `expected` should be.
    pub(super) fn expected(offset: usize, expected: &str) -> QueryError {
        QueryError {
            code: QueryErrorCode::Syntax,
            message: format!("{expected} expected at offset {offset}"),
            place: Place::Text {
                offset,
                expected: Some(expected.to_owned()),
            },
        }
    }

    /// An error of the text whose sentence is complete in itself.
    pub(super) fn in_text(code: QueryErrorCode, offset: usize, message: &str) -> QueryError {
        QueryError {
            code,
            message: format!("{message} (offset {offset})"),
            place: Place::Text {
                offset,
                expected: None,
            },
        }
    }

    /// A syntax error with a sentence of its own beside what is expected.
    pub(super) fn syntax(offset: usize, message: &str, expected: &str) -> QueryError {
        QueryError {
            place: Place::Text {
                offset,
                expected: Some(expected.to_owned()),
            },
            ..QueryError::in_text(QueryErrorCode::Syntax, offset, message)
        }
    }

    /// An error of the JSON form.
    pub(super) fn in_json(
        code: QueryErrorCode,
        path: &[usize],
        message: impl fmt::Display,
    ) -> QueryError {
        let path: String = path.iter().map(|index| format!("[{index}]")).collect();
        let place = match path.is_empty() {
            true => String::new(),
            false => format!(" at {path}"),
        };
        QueryError {
            code,
            message: format!("{message}{place}"),
            place: Place::Json(path),
        }
    }

    /// An error of one parameter.
    pub(super) fn in_param(code: QueryErrorCode, name: &str, message: &str) -> QueryError {
        QueryError {
            code,
            message: format!("parameter {name}: {message}"),
            place: Place::Param(name.to_owned()),
        }
    }

    pub(super) fn too_complex(limit: &str) -> QueryError {
        QueryError::new(
            QueryErrorCode::TooComplex,
            format!("the query is too complex: {limit}"),
        )
    }

    pub(super) fn type_error(message: impl Into<String>) -> QueryError {
        QueryError::new(QueryErrorCode::Type, message)
    }

    pub(super) fn too_large(message: &str) -> QueryError {
        QueryError::new(QueryErrorCode::ResultTooLarge, message)
    }

    /// The stable code as text.
    pub fn code(&self) -> &'static str {
        self.code.as_str()
    }

    /// What machines are told: `code`, and `offset` and `expected`, `path` or `param`.
    pub fn details(&self) -> Map {
        let mut details = Map::from([(Arc::from("code"), Value::from(self.code()))]);
        let mut add = |name: &str, value: Value| details.insert(name.into(), value);
        match &self.place {
            Place::Whole => {}
            Place::Text { offset, expected } => {
                // Texts are at most 64 KiB long.
                add(
                    "offset",
                    Value::Int(i64::try_from(*offset).unwrap_or(i64::MAX)),
                );
                if let Some(expected) = expected {
                    add("expected", Value::from(expected.as_str()));
                }
            }
            Place::Json(path) => {
                add("path", Value::from(path.as_str()));
            }
            Place::Param(name) => {
                add("param", Value::from(name.as_str()));
            }
        }
        details
    }

    /// Character offset, for errors of the text.
    pub fn offset(&self) -> Option<usize> {
        match &self.place {
            Place::Text { offset, .. } => Some(*offset),
            _ => None,
        }
    }

    /// What was expected there, for syntax errors.
    pub fn expected_text(&self) -> Option<&str> {
        match &self.place {
            Place::Text { expected, .. } => expected.as_deref(),
            _ => None,
        }
    }

    /// JSON path, for errors of the JSON form.
    pub fn path(&self) -> Option<&str> {
        match &self.place {
            Place::Json(path) => Some(path),
            _ => None,
        }
    }

    /// Name of the parameter in question.
    pub fn param(&self) -> Option<&str> {
        match &self.place {
            Place::Param(name) => Some(name),
            _ => None,
        }
    }
}
