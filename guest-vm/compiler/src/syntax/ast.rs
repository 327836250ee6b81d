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

/// A parsed source file.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Modules and module aliases in text order.
    pub items: Vec<UnitItem>,
}

/// A part of a source file.
#[derive(Debug, Clone)]
pub enum UnitItem {
    /// `module M … module end`
    Module(Module),
    /// `module A = B[T = string]`
    ModuleAlias(ModuleAlias),
}

/// A part of REPL input.
#[derive(Debug, Clone)]
pub enum SessionItem {
    /// A definition, import, type, case, pragma or module alias.
    Phrase(Phrase),
    /// An expression to evaluate and print.
    Expr(Expr),
    /// A whole module.
    Module(Module),
    /// `#load M args` and the like.
    Command(ReplCommand),
}

/// A REPL command line: `#name rest`.
#[derive(Debug, Clone)]
pub struct ReplCommand {
    /// The word after `#`.
    pub name: Ident,
    /// The rest of the line, trimmed.
    pub rest: Symbol,
    /// The whole line.
    pub span: Span,
}

/// A module with its phrases.
#[derive(Debug, Clone)]
pub struct Module {
    /// `static module`
    pub is_static: bool,
    /// Its name.
    pub name: Ident,
    /// Type parameters: `[A, B]`.
    pub type_vars: Vec<Ident>,
    /// Parameters; empty both for `module M` and `module M()`.
    pub params: Vec<Param>,
    /// `_meta_ {…}`
    pub meta: Option<Const>,
    /// `_source_ {…}`: the module is replaced by fetched text.
    pub source: Option<Const>,
    /// The phrases in text order.
    pub phrases: Vec<Phrase>,
    /// From `static`/`module` to the end.
    pub span: Span,
}

/// A parameter of a module, function or cell; `name.text` is `_` for an unnamed one.
#[derive(Debug, Clone)]
pub struct Param {
    /// The name, or `_`.
    pub name: Ident,
    /// Its annotation.
    pub ty: Option<TypeExpr>,
    /// Name and annotation.
    pub span: Span,
}

/// `module A = B[T = string]`
#[derive(Debug, Clone)]
pub struct ModuleAlias {
    /// The new name.
    pub name: Ident,
    /// The module it is made from.
    pub target: Ident,
    /// Type arguments.
    pub type_binds: Vec<TypeBind>,
    /// The whole phrase.
    pub span: Span,
}

/// `A = string` in a module alias or import.
#[derive(Debug, Clone)]
pub struct TypeBind {
    /// The type parameter.
    pub name: Ident,
    /// Its replacement.
    pub ty: TypeExpr,
}

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
    Let(LetBind),
    /// `var x : T = e`
    Var {
        /// The variable.
        name: Ident,
        /// A hint.
        ty: Option<TypeExpr>,
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
    For(For),
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
    /// `e : T`
    Hint {
        /// The expression.
        value: Box<Expr>,
        /// Its type.
        ty: TypeExpr,
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
        param: Option<Ident>,
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
        ty: TypeExpr,
        /// The checked value; without it the expression is a function.
        value: Option<Box<Expr>>,
    },
    /// `~regex "p"`; the pattern is already checked.
    Regex(Ident),
    /// `_escJSON_ C`; already checked to decode.
    EscJson(Const),
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
