//! Tests of the query language.

mod errors;
mod grammar;
mod hostile;
mod memory;
mod naive;
mod results;
mod round_trip;
mod worked;
