//! Blocks and statements.

use super::{Expr, Ident, NodeId, Param, Pattern, TypeExpr};
use crate::syntax::span::Span;

/// `{ statements }`
#[derive(Debug, Clone)]
pub struct Block {
    /// The statements.
    pub statements: Vec<Statement>,
    /// With the braces.
    pub span: Span,
}

/// A statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// Without the separator.
    pub span: Span,
}

/// The kinds of statements.
#[allow(
    clippy::large_enum_variant,
    reason = "one per statement; boxing would only burden every reader"
)]
#[derive(Debug, Clone)]
pub enum StatementKind {
    /// `let p = e`; its names are visible in the following statements of the block.
    Let(Box<LetBind>),
    /// `var x : T = e`
    Var {
        /// The variable.
        name: Ident,
        /// A hint.
        ty: Option<Box<TypeExpr>>,
        /// Its first value.
        value: Expr,
    },
    /// `x.a[i] = e`
    Assign {
        /// The place.
        target: LValue,
        /// The new value.
        value: Expr,
    },
    /// `return e`
    Return(Option<Expr>),
    /// `if (c) { … } else …`
    If(IfStatement),
    /// `while (c) { … }`
    While {
        /// The condition.
        condition: Expr,
        /// The body.
        body: Block,
    },
    /// `for (…) { … }`
    For(Box<For>),
    /// `switch (e) { case p: … }`
    Switch {
        /// The examined value.
        subject: Expr,
        /// The cases in text order.
        cases: Vec<SwitchCase>,
    },
    /// `{ … }`
    Block(Block),
    /// An expression run for its effect.
    Expr(Expr),
}

/// `if (c) { … } else …` as a statement.
#[derive(Debug, Clone)]
pub struct IfStatement {
    /// The condition.
    pub condition: Expr,
    /// Run if true.
    pub then: Block,
    /// Run if false; an `else if` chain is a block of one `if` statement.
    pub otherwise: Option<Block>,
}

/// The two forms of `for`.
#[allow(
    clippy::large_enum_variant,
    reason = "one per statement; boxing would only burden every reader"
)]
#[derive(Debug, Clone)]
pub enum For {
    /// `for (let i = a; c; i = s) { … }`
    Counting {
        /// `for (var …`: the body may assign the variable too.
        is_var: bool,
        /// The variable.
        name: Ident,
        /// Its first value.
        start: Expr,
        /// Checked before every round.
        condition: Expr,
        /// Left side of the step.
        step_target: LValue,
        /// Right side of the step.
        step_value: Expr,
        /// The body.
        body: Block,
    },
    /// `for (let p in e) { … }`, `for (var x in e) { … }`
    Each {
        /// `for (var …`: the pattern is a plain name that the body may assign.
        is_var: bool,
        /// Bound to every element.
        pattern: Pattern,
        /// A stream or array.
        subject: Expr,
        /// The body.
        body: Block,
    },
}

/// `case p when g: …`
#[derive(Debug, Clone)]
pub struct SwitchCase {
    /// The pattern.
    pub pattern: Pattern,
    /// The guard.
    pub guard: Option<Expr>,
    /// The statements up to the next case (a block of their own; span without braces).
    pub body: Block,
    /// From `case` to the last statement.
    pub span: Span,
}

/// What a `let` binds.
#[derive(Debug, Clone)]
pub enum LetBind {
    /// `let alias x = c`
    Alias {
        /// The new name.
        name: Ident,
        /// The cell.
        value: Expr,
    },
    /// `let f(x) : T = e`
    Function {
        /// The name.
        name: Ident,
        /// Parameters; empty for `f()`.
        params: Vec<Param>,
        /// Annotation of the result.
        result: Option<TypeExpr>,
        /// The body.
        body: Expr,
    },
    /// `let p : T = e`
    Pattern {
        /// The pattern.
        pattern: Pattern,
        /// A hint.
        ty: Option<TypeExpr>,
        /// The right side.
        value: Expr,
    },
}

/// The left side of an assignment.
#[derive(Debug, Clone)]
pub struct LValue {
    /// Identifies the place for later phases.
    pub id: NodeId,
    /// `self.x`
    pub through_self: bool,
    /// The variable, cell or link.
    pub name: Ident,
    /// The way to the changed place.
    pub steps: Vec<Step>,
    /// The whole left side.
    pub span: Span,
}

/// One step of an assignment or `with` path.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// Where it is written.
    pub span: Span,
}

/// The kinds of steps.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// `.name`, `."name"`
    Field(Ident),
    /// `.(e)`
    Computed(Expr),
    /// `[e]`
    Index(Expr),
    /// `[#1 of 2]`
    TupleIndex {
        /// The position.
        index: u32,
        /// The demanded length.
        of: u32,
    },
    /// `[#label]`, `.[#label]`
    Label(Ident),
}
