//! The record store: append-only, history-preserving, every field indexed.

pub mod error;
mod ids;
pub mod time;

pub use error::{Result, StoreError};
