//! The Mix compiler: source text to bytecode.

pub mod core;
pub mod issue;
pub mod syntax;
