//! The Mix compiler: source text to a linked bytecode program.
//!
//! ```text
//! text ── syntax::lexer ──> tokens ── syntax::parser ──> syntax::ast
//!      ── check (names, types, effects) ──> core ── codegen (translate, link) ──> mix_bytecode::Program
//! ```
//!
//! - [`compile`] builds an executable from source files, [`check`] only reports issues,
//!   [`compile_expression`] builds a program that computes one expression.
//! - [`compile_library`]: sources to a library that other programs link to
//! - [`session`]: the phrases of a read-eval-print loop, one after the other
//! - [`syntax`]: tokens, the syntax tree ([`syntax::ast`]), places ([`syntax::source`])
//! - [`core`]: the resolved, typed and desugared program between checker and code generation
//! - [`codegen`]: bytecode, of what the entry modules reach
//! - [`analyze`]: what an editor wants to know of a text ([`analysis`])
//! - [`documentation()`], [`library_documentation`]: what modules offer, with types and comments
//! - [`issue`]: errors and warnings with stable codes; [`issue::render`] shows them
//!
//! Errors never stop the compiler early: a phrase with an error is left out and the others
//! are still read and checked. What does not fit into the executable format (a function of
//! more than 255 parameters, say) is refused with the code `SYN_LIMIT`. Nesting is bounded by the parser, and everything
//! runs on a stack large enough for the deepest tree it lets through, so that no source
//! text makes the compiler abort.
//!
//! The standard library is compiled from source together with the program, but only the
//! modules a program names, and of these only the functions it reaches are linked.

pub mod analysis;
pub mod check;
pub mod codegen;
pub mod core;
pub mod documentation;
mod fetched;
pub mod issue;
mod large_stack;
mod libraries;
mod pipeline;
pub mod session;
pub mod syntax;
mod tables;

pub use pipeline::{
    Compilation, CompileOptions, Documented, SourceFile, analyze, check, compile,
    compile_expression, compile_library, documentation, imports, library_documentation,
    source_addresses,
};
