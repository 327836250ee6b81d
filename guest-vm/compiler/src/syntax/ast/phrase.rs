//! Definitions and the other phrases, and constants.

use super::{Block, Expr, Ident, ModuleAlias, Param, Symbol, TypeBind, TypeExpr};
use crate::syntax::span::Span;

/// A phrase: the unit of definition and of error recovery.
#[derive(Debug, Clone)]
pub struct Phrase {
    /// What it is.
    pub kind: PhraseKind,
    /// The whole phrase.
    pub span: Span,
}

/// The kinds of phrases.
#[derive(Debug, Clone)]
pub enum PhraseKind {
    /// `import …`
    Import(Import),
    /// `declare M(x: T)`
    Declare(Declare),
    /// `def …`
    Def(Def),
    /// `foreign def …`
    ForeignDef(ForeignDef),
    /// `cell …`, `var cell …`, `live cell …`
    Cell(Cell),
    /// `alias c = e`
    Alias(Alias),
    /// `initializer { … }`
    Initializer(Block),
    /// `on … do { … }`
    Observer(Observer),
    /// `case a | b(T)`
    Case(CaseDef),
    /// `type t(A) = …`
    Type(TypeDef),
    /// `_pragma_ {…}`
    Pragma(Const),
    /// `module A = B[…]` inside a module or session.
    ModuleAlias(ModuleAlias),
    /// A phrase with a syntax error, which was reported.
    Broken(Broken),
}

/// What is known of a phrase with a syntax error.
#[derive(Debug, Clone, Default)]
pub struct Broken {
    /// Values, cells, aliases and cases it would have defined.
    pub names: Vec<Ident>,
    /// Types it would have defined.
    pub types: Vec<Ident>,
}

/// `import x = M[A = T](args)`
#[derive(Debug, Clone)]
pub struct Import {
    /// `x`, if given.
    pub binding: Option<Ident>,
    /// The module.
    pub module: Ident,
    /// Type arguments.
    pub type_binds: Vec<TypeBind>,
    /// Arguments; `None` without parentheses.
    pub args: Option<Vec<Expr>>,
}

/// `declare M(x: T)`
#[derive(Debug, Clone)]
pub struct Declare {
    /// The module.
    pub module: Ident,
    /// Its parameters.
    pub params: Vec<Param>,
}

/// A `def` phrase.
#[derive(Debug, Clone)]
pub struct Def {
    /// `private def`
    pub private: bool,
    /// The name; `_` for [`DefForm::Effect`].
    pub name: Ident,
    /// Which form.
    pub form: DefForm,
}

/// The forms of `def`.
#[derive(Debug, Clone)]
pub enum DefForm {
    /// `def f : T`
    Declaration {
        /// The declared type.
        ty: TypeExpr,
        /// `_meta_ {…}`
        meta: Option<Const>,
    },
    /// `def x : T = e`, `def x { … }`
    Value {
        /// A hint.
        ty: Option<TypeExpr>,
        /// `_meta_ {…}`
        meta: Option<Const>,
        /// The right side.
        body: Expr,
    },
    /// `def f(x, y) : T = e`
    Function {
        /// The parameters; empty for `f()`, which has one dummy parameter of type null.
        params: Vec<Param>,
        /// Annotation of the result.
        result: Option<TypeExpr>,
        /// The body.
        body: Expr,
    },
    /// `def _ = e`
    Effect {
        /// Run for its effect.
        body: Expr,
    },
}

/// `foreign def f : T = "host" (arm -> e | …)`
#[derive(Debug, Clone)]
pub struct ForeignDef {
    /// `private foreign def`
    pub private: bool,
    /// The name.
    pub name: Ident,
    /// The declared type.
    pub ty: TypeExpr,
    /// Name of the host function.
    pub host: Ident,
    /// Replacements per environment.
    pub arms: Vec<HostArm>,
}

/// `serverEnvironment -> e`
#[derive(Debug, Clone)]
pub struct HostArm {
    /// Name of the environment.
    pub environment: Ident,
    /// The replacement.
    pub body: Expr,
}

/// The sorts of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellSort {
    /// `cell`: re-evaluated when a dependency updates.
    Formula,
    /// `var cell`: assignable.
    Var,
    /// `live cell`: fed by a source.
    Live,
}

/// A cell phrase.
#[derive(Debug, Clone)]
pub struct Cell {
    /// `private cell`
    pub private: bool,
    /// `cell`, `var cell` or `live cell`.
    pub sort: CellSort,
    /// The name.
    pub name: Ident,
    /// Which form.
    pub form: CellForm,
}

/// The forms of cell phrases.
#[derive(Debug, Clone)]
pub enum CellForm {
    /// `cell c : T`
    Declaration {
        /// The declared type.
        ty: TypeExpr,
        /// `_meta_ {…}`
        meta: Option<Const>,
    },
    /// `cell c : T = e`, `cell c { … }`
    Value {
        /// A hint.
        ty: Option<TypeExpr>,
        /// `_meta_ {…}`
        meta: Option<Const>,
        /// The formula.
        body: Expr,
    },
    /// `cell f(x) = e`
    Function {
        /// The parameters.
        params: Vec<Param>,
        /// Annotation of the result.
        result: Option<TypeExpr>,
        /// The body.
        body: Expr,
    },
    /// `cell link(c) : T = e`
    Link {
        /// A hint.
        ty: Option<TypeExpr>,
        /// A cell name or link expression.
        target: Expr,
    },
}

/// `alias c = e`
#[derive(Debug, Clone)]
pub struct Alias {
    /// The new name.
    pub name: Ident,
    /// A cell name or link expression.
    pub target: Expr,
}

/// `on (x, y) when g do { … }`
#[derive(Debug, Clone)]
pub struct Observer {
    /// The watched cells; empty for `on ()`.
    pub watched: Vec<Ident>,
    /// The guard.
    pub guard: Option<Expr>,
    /// The body.
    pub body: Block,
}

/// `case a | b(T)`
#[derive(Debug, Clone)]
pub struct CaseDef {
    /// `private case`
    pub private: bool,
    /// The declared cases.
    pub cases: Vec<CaseDecl>,
}

/// `b(T)` in a case phrase.
#[derive(Debug, Clone)]
pub struct CaseDecl {
    /// Its name.
    pub name: Ident,
    /// Type of the argument; `None` for a constant case.
    pub argument: Option<TypeExpr>,
}

/// `type t(A) = T | …`
#[derive(Debug, Clone)]
pub struct TypeDef {
    /// Its name.
    pub name: Ident,
    /// Type parameters.
    pub params: Vec<Ident>,
    /// One member: an abbreviation (or a union of one case); several: a union.
    pub members: Vec<TypeExpr>,
}

/// A JSON constant.
#[derive(Debug, Clone)]
pub struct Const {
    /// What it is.
    pub kind: ConstKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of constants.
#[derive(Debug, Clone)]
pub enum ConstKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number within 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(Symbol),
    /// `[…]`
    Array(Vec<Const>),
    /// `{key: value}` in text order.
    Object(Vec<(Ident, Const)>),
}
