//! Type expressions.

use super::{Ident, NodeId, Symbol};
use crate::syntax::span::Span;

/// A type expression.
#[derive(Debug, Clone)]
pub struct TypeExpr {
    /// Identifies it for later phases.
    pub id: NodeId,
    /// What it is.
    pub kind: TypeKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of type expressions.
#[derive(Debug, Clone)]
pub enum TypeKind {
    /// `_`
    Wildcard,
    /// `null`
    Null,
    /// `number`, `array(T)`, `m.t(A)`, `link(T)<var>`, and type variables (`A`).
    Named {
        /// `m`
        module: Option<Ident>,
        /// `t`
        name: Ident,
        /// Arguments; empty if none are written.
        args: Vec<TypeExpr>,
        /// `<var>` follows.
        is_var: bool,
    },
    /// `A@datarange`, `A@wordrange`
    Ranged {
        /// `A`
        name: Ident,
        /// The range.
        range: TypeRange,
    },
    /// `[S, T]`
    Tuple(Vec<TypeExpr>),
    /// `[#a: S, #b: T]`
    LabeledTuple(Vec<(Ident, TypeExpr)>),
    /// `{a: S}`
    Record(Vec<(Ident, TypeExpr)>),
    /// `S -> T`
    Function(Box<TypeExpr>, Box<TypeExpr>),
    /// `A + B` (left to right, at least two)
    Sum(Vec<TypeExpr>),
    /// `T*`
    Stream(Box<TypeExpr>),
    /// `~forall A, B: T`
    Forall(Vec<Ident>, Box<TypeExpr>),
    /// `(module type M)`
    ModuleType(Ident),
    /// `<"name">`
    Opaque(Symbol),
}

/// The ranges of a restricted type variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TypeRange {
    /// Types whose values are data.
    Data,
    /// Types below `word`.
    Word,
}
