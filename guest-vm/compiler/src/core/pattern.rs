//! Resolved patterns.
//!
//! A pattern binds locals of the function it stands in while it matches. If the
//! match fails later, the bound locals are simply not read.

use super::expr::{CompareOp, Constant, Expr, LocalId};
use super::runtime_type::RuntimeType;
use crate::syntax::ast::Symbol;
use crate::syntax::span::Span;

/// A pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// What it is.
    pub kind: PatternKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of patterns.
#[derive(Debug, Clone)]
pub enum PatternKind {
    /// Matches everything, `undefined` too.
    Any,
    /// Matches everything and binds it.
    Bind(LocalId),
    /// `value === literal`, false for values that cannot be compared.
    Literal(Constant),
    /// `value op right` is true.
    Compare {
        /// The comparison (never `Same`, `NotSame`).
        op: CompareOp,
        /// What the value is compared with.
        right: CompareRight,
    },
    /// `matches(value, T)`
    Type(RuntimeType),
    /// A case value of that full name; constant if there is no argument pattern.
    Case {
        /// The full name.
        full_name: Symbol,
        /// Matched against the argument.
        argument: Option<Box<Pattern>>,
    },
    /// An array of fitting length.
    Array(Vec<PatternElement>),
    /// A map having every non-optional key.
    Record(Vec<PatternField>),
    /// Both match; left first.
    And(Box<Pattern>, Box<Pattern>),
    /// The first that matches; both sides bind the same locals.
    Or(Box<Pattern>, Box<Pattern>),
    /// Binds the value, then matches the pattern.
    As(LocalId, Box<Pattern>),
}

/// The right side of a comparison pattern.
#[derive(Debug, Clone)]
pub enum CompareRight {
    /// A literal.
    Constant(Constant),
    /// A variable from outside the pattern (a local, slot or cell read).
    Expr(Box<Expr>),
}

/// How an element takes part in the length of an array pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementKind {
    /// Exactly one element.
    Plain,
    /// One element if there are enough, else it matches `undefined`; filled left to right.
    Optional,
    /// The rest, as an array; at most one per pattern.
    Multiple,
}

/// An element of an array pattern.
#[derive(Debug, Clone)]
pub struct PatternElement {
    /// Plain, optional or the rest.
    pub kind: ElementKind,
    /// Matched against the element (or the array of the rest).
    pub pattern: Pattern,
}

/// A field of a record pattern.
#[derive(Debug, Clone)]
pub struct PatternField {
    /// The key.
    pub name: Symbol,
    /// A missing key matches the pattern against `undefined`.
    pub optional: bool,
    /// Matched against the value.
    pub pattern: Pattern,
}
