//! Patterns.

use super::{CompareOp, Ident, NodeId, Symbol, TypeExpr};
use crate::syntax::span::Span;

/// A pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Identifies it for later phases.
    pub id: NodeId,
    /// What it is.
    pub kind: PatternKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of patterns.
#[derive(Debug, Clone)]
pub enum PatternKind {
    /// `_`
    Wildcard,
    /// `x`
    Name(Symbol),
    /// A literal.
    Literal(Literal),
    /// `x < 3`, `_ == y`
    Compare {
        /// The bound name; `None` for `_`.
        subject: Option<Ident>,
        /// The comparison (never [`CompareOp::Same`], [`CompareOp::NotSame`]).
        op: CompareOp,
        /// What the value is compared with.
        right: CompareRight,
    },
    /// `type(T)`
    Type(TypeExpr),
    /// `c(p)`, `Q.c(p)`, `Q.c`
    Case {
        /// `Q`
        qualifier: Option<Qualifier>,
        /// `c`
        name: Ident,
        /// `p`
        argument: Option<Box<Pattern>>,
    },
    /// `[p, ~multiple q]`
    Array(Vec<PatternElement>),
    /// `{k: p, l?: q}`
    Record(Vec<PatternField>),
    /// `p && q`
    And(Box<Pattern>, Box<Pattern>),
    /// `p || q`
    Or(Box<Pattern>, Box<Pattern>),
    /// `x @ p`
    As(Ident, Box<Pattern>),
}

/// A literal in a pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `undefined`
    Undefined,
    /// A whole number, sign included.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(Symbol),
}

/// The right side of a comparison pattern.
#[derive(Debug, Clone)]
pub enum CompareRight {
    /// A literal.
    Literal(Literal, Span),
    /// A variable bound outside the pattern.
    Name(Ident, NodeId),
}

/// What stands before the dot of a case pattern.
#[derive(Debug, Clone)]
pub enum Qualifier {
    /// `self`
    SelfModule,
    /// `global`
    Global,
    /// A module (or import) name.
    Module(Ident),
}

/// An element of an array pattern.
#[derive(Debug, Clone)]
pub enum PatternElement {
    /// A plain element.
    Plain(Pattern),
    /// `~multiple xs`; a pattern of kind name or wildcard.
    Multiple(Pattern),
    /// `~optional x`; a pattern of kind name or wildcard.
    Optional(Pattern),
}

/// A field of a record pattern.
#[derive(Debug, Clone)]
pub struct PatternField {
    /// The key.
    pub name: Ident,
    /// `k?`
    pub optional: bool,
    /// `{a}` has the name pattern `a`.
    pub pattern: Pattern,
}
