//! The standard library in Mix.
