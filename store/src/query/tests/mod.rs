//! Tests of the query language.

mod errors;
mod memory;
mod worked;
