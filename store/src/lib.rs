//! The record store: append-only, history-preserving, every field indexed.
