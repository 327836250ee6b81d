//! Expressions.

use super::{Block, Const, Ident, LetBind, NodeId, Pattern, Step, Symbol, TypeExpr};
use crate::syntax::span::Span;

/// An expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// Identifies it for later phases.
    pub id: NodeId,
    /// What it is.
    pub kind: ExprKind,
    /// Where it is written.
    pub span: Span,
}

/// Operators with two operands, `|>` and `with` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `||`
    Or,
    /// `&&`
    And,
    /// A comparison.
    Compare(CompareOp),
    /// `++`
    Append,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

/// Comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `===` (not in patterns)
    Same,
    /// `!==` (not in patterns)
    NotSame,
    /// `==:ci`
    EqualFold,
    /// `!=:ci`
    NotEqualFold,
    /// `<:ci`
    LessFold,
    /// `<=:ci`
    LessEqualFold,
    /// `>:ci`
    GreaterFold,
    /// `>=:ci`
    GreaterEqualFold,
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `not`
    Not,
    /// `-`
    Negate,
    /// `try`
    Try,
}

/// The kinds of expressions.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `undefined`
    Undefined,
    /// A whole number within 64 bits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string literal.
    Str(Symbol),
    /// An unqualified name.
    Name(Symbol),
    /// `_`: the innermost appstate.
    Wildcard,
    /// `self.name`
    SelfName(Ident),
    /// `global.name`
    GlobalName(Ident),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `[#x: a, #y: b]`
    LabeledTuple(Vec<(Ident, Expr)>),
    /// `{k: v}`
    Map(Vec<MapEntry>),
    /// `p -> e | q -> f`
    Lambda(Lambda),
    /// `let b; e`, `let b in e`
    Let {
        /// What is bound.
        bind: Box<LetBind>,
        /// Where it is visible.
        body: Box<Expr>,
    },
    /// `if (c) a else b`
    If {
        /// The condition.
        condition: Box<Expr>,
        /// Taken if true.
        then: Box<Expr>,
        /// Taken if false.
        otherwise: Box<Expr>,
    },
    /// `x |> f`
    Pipe {
        /// The argument, evaluated first.
        value: Box<Expr>,
        /// The function.
        function: Box<Expr>,
    },
    /// `e with .a[0] = v` (one path; chains nest in `base`)
    With {
        /// The value that is copied.
        base: Box<Expr>,
        /// The way to the changed place; never empty.
        steps: Vec<Step>,
        /// The new value.
        value: Box<Expr>,
    },
    /// `a op b`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Where the operator is written.
        op_span: Span,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `not a`, `-a`, `try a`
    Unary {
        /// The operator.
        op: UnaryOp,
        /// The operand.
        operand: Box<Expr>,
    },
    /// `f(a, b)`; no arguments for `f()`, which passes null.
    Call {
        /// The function.
        callee: Box<Expr>,
        /// The arguments.
        args: Vec<Expr>,
    },
    /// `e.name`, `e."name"`
    Field {
        /// The map, record or module.
        base: Box<Expr>,
        /// The key.
        name: Ident,
        /// Written as a string.
        quoted: bool,
    },
    /// `e.(k)`
    ComputedField {
        /// The map.
        base: Box<Expr>,
        /// The key.
        key: Box<Expr>,
    },
    /// `e[#label]`, `e.[#label]`
    Label {
        /// The labeled tuple.
        base: Box<Expr>,
        /// The label.
        label: Ident,
    },
    /// `e[#1 of 2]`
    TupleIndex {
        /// The tuple.
        base: Box<Expr>,
        /// The position.
        index: u32,
        /// The demanded length.
        of: u32,
    },
    /// `e[i]`
    Index {
        /// The array.
        base: Box<Expr>,
        /// The position.
        index: Box<Expr>,
    },
    /// `e[]` (both `None`), `e[a..b]`, `e[a..]`, `e[..b]`, `e[..]`
    Slice {
        /// The array.
        base: Box<Expr>,
        /// First index.
        from: Option<Box<Expr>>,
        /// Last index, inclusive.
        to: Option<Box<Expr>>,
    },
    /// `e?`
    IsDefined(Box<Expr>),
    /// `c'`
    Previous(Box<Expr>),
    /// `c^`
    Extract(Box<Expr>),
    /// `e.*`: the record behind a ref, in the function of `db.map`
    Follow(Box<Expr>),
    /// `e : T`
    Hint {
        /// The expression.
        value: Box<Expr>,
        /// Its type.
        ty: Box<TypeExpr>,
    },
    /// A slot with implicit projections: a function of one hidden parameter.
    ProjectionFn(Box<Expr>),
    /// `.name` as an operand: a field of the parameter of the nearest enclosing [`ExprKind::ProjectionFn`].
    Projection(Ident),
    /// `do { … }`, and block bodies of definitions.
    Do(Block),
    /// `action (v) { … }`
    Action {
        /// `v`; `None` for `action { … }`, `action () { … }` and `action (_) { … }`.
        param: Option<Box<Ident>>,
        /// The body.
        body: Block,
    },
    /// `appView M(args)`
    AppView {
        /// The module.
        module: Ident,
        /// The arguments.
        args: Vec<Expr>,
    },
    /// `type(T)`, `type(T, e)`
    TypeAssert {
        /// The asserted type.
        ty: Box<TypeExpr>,
        /// The checked value; without it the expression is a function.
        value: Option<Box<Expr>>,
    },
    /// `~regex "p"`; the pattern is already checked.
    Regex(Ident),
    /// `_escJSON_ C`; already checked to decode.
    EscJson(Box<Const>),
}

/// `p -> e | q -> f`
#[derive(Debug, Clone)]
pub struct Lambda {
    /// All have the same number of parameters, at least one.
    pub arms: Vec<LambdaArm>,
}

/// `p when g -> e`
#[derive(Debug, Clone)]
pub struct LambdaArm {
    /// The parameters. `() -> e` has none and stands for one dummy parameter of type null.
    pub params: Vec<LambdaParam>,
    /// The guard.
    pub guard: Option<Expr>,
    /// The result.
    pub body: Expr,
    /// The whole arm.
    pub span: Span,
}

/// A pattern with an optional annotation.
#[derive(Debug, Clone)]
pub struct LambdaParam {
    /// The pattern.
    pub pattern: Pattern,
    /// Its annotation.
    pub ty: Option<TypeExpr>,
}

/// An entry of a map literal.
#[derive(Debug, Clone)]
pub struct MapEntry {
    /// The key.
    pub key: MapKey,
    /// The value; `{a}` has the name `a`, `{.a}` the projection `.a`.
    pub value: Expr,
}

/// The key of a map entry.
#[derive(Debug, Clone)]
pub enum MapKey {
    /// A bare or quoted name.
    Constant(Ident),
    /// `(e)`
    Computed(Expr),
}
