//! The query language: what it is as text and data, and how it runs.
//!
//! A query is a [`Pipeline`]: filters, projections and aggregations, applied
//! left to right to the rows of a row view. It is written as text
//! ([`Pipeline::parse`]) or as JSON ([`Pipeline::from_value`]), checked and
//! given its parameters ([`PreparedQuery::new`]), and run over a
//! [`RecordSource`] ([`PreparedQuery::run`]), which yields [`QueryItem`]s one
//! by one.
//!
//! ```text
//! text ── lexer, parser ──┐
//!                         ├─ ast ── plan (compile: checks, parameters) ── run ── results
//! JSON ── from_value ─────┘              │ select ── RecordSource::sets, sorted │
//!                                        └ needs ── decode (only what is read) ─┘
//! ```
//!
//! Filters know three truths (true, false, unknown); only true keeps a value.
//! Rows stay rows as long as no projection replaces them, so that the result
//! of a query without one is the stored bytes themselves.
//!
//! # Hostile queries and data
//!
//! Text and AST are bounded in size and nesting before anything recurses over
//! them, so that no query overflows the stack. Memory for sorting, grouping
//! and single results is counted against [`QueryOptions::max_bytes`], work
//! against a deadline. Both end in errors, never in fewer results.

mod arithmetic;
pub mod ast;
mod budget;
mod cache;
mod decode;
mod error;
mod eval;
mod expand;
mod explain;
mod from_value;
mod indexable;
mod item;
mod lexer;
pub mod limits;
mod options;
mod parser;
mod plan;
mod run;
mod select;
mod source;
#[cfg(test)]
mod tests;
mod to_text;
mod to_value;

pub use ast::Pipeline;
pub use error::{Place, QueryError, QueryErrorCode};
pub use item::{QueryItem, Slice};
pub use options::{DEFAULT_MAX_BYTES, QueryOptions};
pub use run::{Execution, PreparedQuery};
pub use source::{
    Atom, AtomTest, BoxedSorted, GroupRows, GroupRowsIter, RecordSource, Sets, Sorted, SortedGroup,
    StoredRow,
};

use mix_value::Value;

impl Pipeline {
    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Pipeline, QueryError> {
        parser::parse(text)
    }

    /// Reads the JSON form; a single node is a pipeline of one stage.
    pub fn from_value(value: &Value) -> Result<Pipeline, QueryError> {
        from_value::read(value)
    }

    /// Writes the JSON form.
    pub fn to_value(&self) -> Value {
        to_value::write(self)
    }

    /// Writes the text form, if there is a text that is read as exactly this pipeline. There is
    /// one for every pipeline that was read from text.
    pub fn to_text(&self) -> Option<String> {
        to_text::write(self)
    }
}
