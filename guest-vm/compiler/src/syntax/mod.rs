//! From text to syntax tree.

pub mod ast;
pub mod escaped;
pub mod lexer;
pub mod parser;
pub mod source;
pub mod span;
