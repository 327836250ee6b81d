//! The Mix compiler: source text to bytecode.

pub mod issue;
pub mod syntax;
