//! The syntax tree: what the parser delivers and name resolution reads.
//!
//! The tree follows the grammar of the language closely; nothing is resolved or
//! desugared, with three exceptions that only the parser can decide:
//!
//! - parentheses leave no trace (spans of operands include them);
//! - the slot of an implicit projection is found: it is wrapped in
//!   [`ExprKind::ProjectionFn`], inside which [`ExprKind::Projection`] reads a
//!   field of the hidden parameter of the nearest such wrapper;
//! - a block body (`def f(x) { … }`) is an expression of kind [`ExprKind::Do`].
//!
//! A phrase with a syntax error is kept as [`PhraseKind::Broken`] with the names
//! it would have defined, so that later phases report no follow-up errors.

mod expression;
mod module;
mod pattern;
mod phrase;
mod statement;
mod types;

pub use expression::{
    BinaryOp, CompareOp, Expr, ExprKind, Lambda, LambdaArm, LambdaParam, MapEntry, MapKey, UnaryOp,
};
pub use module::{Module, ModuleAlias, Param, ReplCommand, SessionItem, TypeBind, Unit, UnitItem};
pub use pattern::{
    CompareRight, Literal, Pattern, PatternElement, PatternField, PatternKind, Qualifier,
};
pub use phrase::{
    Alias, Broken, CaseDecl, CaseDef, Cell, CellForm, CellSort, Const, ConstKind, Declare, Def,
    DefForm, ForeignDef, HostArm, Import, Observer, Phrase, PhraseKind, TypeDef,
};
pub use statement::{
    Block, For, IfStatement, LValue, LetBind, Statement, StatementKind, Step, StepKind, SwitchCase,
};
pub use types::{TypeExpr, TypeKind, TypeRange};

use super::span::Span;
use std::sync::Arc;

/// Text of a name or string literal.
pub type Symbol = Arc<str>;

/// Identifies an expression, pattern or type in all trees of a compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A name where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident {
    /// The name; for a quoted field name its text without quotes.
    pub text: Symbol,
    /// Where it is written.
    pub span: Span,
}
