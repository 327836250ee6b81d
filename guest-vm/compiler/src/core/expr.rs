//! Functions, expressions and statements.

use super::pattern::Pattern;
use super::program::{ModuleId, SlotId};
use super::runtime_type::CheckId;
use crate::syntax::ast::Symbol;
use crate::syntax::span::Span;

pub use crate::syntax::ast::CompareOp;

/// Index of a local in [`Function::locals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalId(pub u32);

/// The name a function has in a stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionName {
    /// A def: its name.
    Def(Symbol),
    /// `<lambda>`
    Lambda,
    /// `cell c`
    Cell(Symbol),
    /// `action k`
    Action(u32),
    /// `on c,d`
    Observer(Symbol),
    /// `initializer`
    Initializer,
    /// `def _`
    Effect,
}

impl std::fmt::Display for FunctionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FunctionName::Def(name) => f.write_str(name),
            FunctionName::Lambda => f.write_str("<lambda>"),
            FunctionName::Cell(name) => write!(f, "cell {name}"),
            FunctionName::Action(number) => write!(f, "action {number}"),
            FunctionName::Observer(names) => write!(f, "on {names}"),
            FunctionName::Initializer => f.write_str("initializer"),
            FunctionName::Effect => f.write_str("def _"),
        }
    }
}

/// A function or a body without parameters.
#[derive(Debug, Clone)]
pub struct Function {
    /// For stack traces.
    pub name: FunctionName,
    /// The locals that receive the arguments, in order; empty for bodies.
    pub params: Vec<LocalId>,
    /// All locals, parameters and captured ones included.
    pub locals: Vec<Local>,
    /// What is taken over from the enclosing function when the closure is made;
    /// empty for functions that stand in slots.
    pub captures: Vec<Capture>,
    /// The result.
    pub body: Box<Expr>,
    /// Where it is written.
    pub span: Span,
}

/// A local of a function.
#[derive(Debug, Clone)]
pub struct Local {
    /// For messages and debuggers.
    pub name: Symbol,
    /// Assigned after its first value (`var`, loop variables).
    pub mutable: bool,
    /// Mutable and captured by a function: lives in a box that all share.
    pub boxed: bool,
}

/// A local of the enclosing function and the local it becomes inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    /// In the enclosing function.
    pub outer: LocalId,
    /// In this function.
    pub inner: LocalId,
}

/// A lambda where it is evaluated.
pub type Lambda = Function;

/// An expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it is written.
    pub span: Span,
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// `undefined`
    Undefined,
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// An int.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(Symbol),
    /// A database reference, from `_escJSON_`.
    Ref(Symbol),
    /// Bytes, from `_escJSON_`.
    Binary(std::sync::Arc<[u8]>),
}

/// Operators with two evaluated operands (`&&`, `||` are [`ExprKind::Logical`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
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
    /// `++` of two streams.
    Append,
    /// A comparison.
    Compare(CompareOp),
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `not`
    Not,
    /// `-`
    Negate,
}

/// How a cell is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellView {
    /// Its value at this evaluation (in effect bodies: the current one).
    Value,
    /// `c'`
    Previous,
    /// `contents(c)`: forced if dirty, no dependency.
    Contents,
    /// `cellVersion(c)`
    Version,
    /// `cellAge(c)`
    Age,
    /// `cellUpdated(c)`
    Updated,
    /// `cellChanged(c)`
    Changed,
}

/// The remaining predefined forms about cells; arguments in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellForm {
    /// `contents(l)`: (link)
    ContentsOfLink,
    /// `cellSelect`: (links …), dependencies are those of the formula.
    Select,
    /// `cellSelectNotNull`
    SelectNotNull,
    /// `cellSelectNotUnset`
    SelectNotUnset,
    /// `cellName(l)`: (link)
    Name,
    /// `inCellName(l)`: (link)
    InnerName,
    /// `isCellAlive(l)`: (link)
    IsAlive,
    /// `newConstCell(e)`: (value)
    NewConst,
    /// `newVarCell(e)`: (value)
    NewVar,
    /// `freeze(c)`: (link)
    Freeze,
    /// `cellMutate(appstate, l, v)`: (link, value)
    Mutate,
    /// `dependentLink(mk, dep)`
    DependentLink,
    /// `mapLinkArray(f, rows)`
    MapLinkArray,
    /// `onRefresh`: ()
    OnRefresh,
    /// `onView`: ()
    OnView,
    /// `never`: ()
    Never,
    /// `link(thisCell)`: ()
    ThisLink,
    /// `thisCell'`: ()
    ThisPrevious,
    /// `cellSessionScope(appstate, c)`: (link)
    SessionScope,
    /// `cellScreenScope(appstate, c)`: (link)
    ScreenScope,
    /// The query at the head of a live cell: (query, function from a database to the stream of
    /// its changes)
    LiveQuery,
    /// The elements of a stream at the head of a live cell: (function from null to the stream)
    LiveStream,
    /// The same, whose lists of next actions are run.
    LiveActions,
}

/// The kinds of expressions.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// A constant.
    Constant(Constant),
    /// The permission value `appstate` (in actions, observers, initializers).
    Appstate,
    /// A local of the running function.
    Local(LocalId),
    /// A param, import, def, foreign def or case of the current instance; never a cell.
    Slot(SlotId),
    /// A def, foreign def or case of a module with one instance ([`Instancing::Shared`](super::Instancing)
    /// or [`Instancing::PerView`](super::Instancing)), own module included if it is shared.
    Static {
        /// The module.
        module: ModuleId,
        /// The slot.
        slot: SlotId,
    },
    /// A def or case of an instance held in a value.
    Member {
        /// Gives an instance of the module.
        instance: Box<Expr>,
        /// Its module.
        module: ModuleId,
        /// The slot.
        slot: SlotId,
    },
    /// The link to a cell or alias of an instance held in a value.
    MemberLink {
        /// Gives an instance of the module.
        instance: Box<Expr>,
        /// Its module.
        module: ModuleId,
        /// The cell.
        slot: SlotId,
    },
    /// The one instance of a shared or per-view module, as a value.
    Instance(ModuleId),
    /// A new instance of a module with all its arguments; with fewer, a function of the rest.
    Instantiate {
        /// The module ([`Instancing::PerImport`](super::Instancing)).
        module: ModuleId,
        /// The arguments; a cell passed to a parameter of link type is a [`ExprKind::CellLink`].
        args: Vec<Expr>,
    },
    /// `f(a, b)`; never without arguments.
    Call {
        /// Evaluated first.
        callee: Box<Expr>,
        /// Then these, in order.
        args: Vec<Expr>,
    },
    /// A closure.
    Lambda(Box<Lambda>),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `{k: v}`: (key, value) in order. Keys that are no constants are checked to be strings.
    Map(Vec<(Expr, Expr)>),
    /// `c(e)`, where the constructor is applied; the constructor as a value is a slot.
    Case {
        /// The full name.
        full_name: Symbol,
        /// The argument.
        argument: Option<Box<Expr>>,
    },
    /// A predefined constructor (`some`, `ok`, `error`) as a function value.
    Constructor(Symbol),
    /// `c^`: the argument of a case of that name, else `RT_CASE`; as a function value
    /// it is a lambda around this.
    Extract {
        /// The full name.
        full_name: Symbol,
        /// The case value.
        value: Box<Expr>,
    },
    /// Binds a new local, then the body.
    Let {
        /// The local.
        local: LocalId,
        /// Its value.
        value: Box<Expr>,
        /// Where it is visible.
        body: Box<Expr>,
    },
    /// `if (c) a else b`
    If {
        /// A bool, else `RT_CONDITION`.
        condition: Box<Expr>,
        /// Taken if true.
        then: Box<Expr>,
        /// Taken if false.
        otherwise: Box<Expr>,
    },
    /// `a && b`, `a || b` with the tables for `undefined`.
    Logical {
        /// `&&`, not `||`.
        and: bool,
        /// Evaluated first.
        left: Box<Expr>,
        /// Evaluated if needed.
        right: Box<Expr>,
    },
    /// `a op b`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `not a`, `-a`
    Unary {
        /// The operator.
        op: UnaryOp,
        /// The operand.
        operand: Box<Expr>,
    },
    /// `try e`: `ok(v)`, `error(s)` or `undefined`.
    Try(Box<Expr>),
    /// `e.f`
    Field {
        /// The map.
        base: Box<Expr>,
        /// The key.
        name: Symbol,
    },
    /// `e.(k)`
    ComputedField {
        /// The map.
        base: Box<Expr>,
        /// The key.
        key: Box<Expr>,
    },
    /// `e[i]`
    Index {
        /// The array.
        base: Box<Expr>,
        /// The position.
        index: Box<Expr>,
    },
    /// `e[#i of n]`, and labels with `of` absent (the type is known).
    TupleIndex {
        /// The tuple.
        base: Box<Expr>,
        /// The position.
        index: u32,
        /// The demanded length, else `RT_TUPLE`.
        of: Option<u32>,
    },
    /// `e[a..b]`
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
    /// `a[i]?`: false instead of `RT_INDEX`.
    IndexIsDefined {
        /// The array.
        base: Box<Expr>,
        /// The position.
        index: Box<Expr>,
    },
    /// `e with steps = v`: base, then keys and indices in order, then the value.
    Update {
        /// The value that is copied.
        base: Box<Expr>,
        /// The way; never empty.
        steps: Vec<Step>,
        /// The new value.
        value: Box<Expr>,
    },
    /// Arms over already evaluated subjects: for each arm the patterns left to right, then
    /// the guard; none matching is `RT_MATCH`.
    Match {
        /// Evaluated once, in order (usually locals).
        subjects: Vec<Expr>,
        /// Tried in order.
        arms: Vec<Arm>,
    },
    /// A statement block; its value is that of the executed `return` of this block, else null.
    Do(Block),
    /// A run-time check; the value passes through. See [`Module::checks`](super::Module::checks).
    Assert {
        /// The value.
        value: Box<Expr>,
        /// What it must conform to.
        check: CheckId,
    },
    /// A stream of one element.
    MakeStream(Box<Expr>),
    /// A compiled regular expression, made once.
    Regex(Symbol),
    /// A cell or alias of the current instance.
    CellRead {
        /// The cell.
        slot: SlotId,
        /// What is read.
        view: CellView,
    },
    /// The link to a cell or alias of the current instance.
    CellLink(SlotId),
    /// The remaining predefined forms.
    CellForm {
        /// Which.
        form: CellForm,
        /// Its arguments, in order.
        args: Vec<Expr>,
    },
    /// `action (v) { … }`: a message map; makes an environment of the captured values.
    Action {
        /// Number in [`Module::actions`](super::Module::actions).
        number: u32,
        /// The captured values, in the order of the action's parameters from the second.
        captured: Vec<Expr>,
    },
    /// `appView M(args)`
    AppView {
        /// The view.
        module: Symbol,
        /// The arguments.
        args: Vec<Expr>,
    },
    /// An instance's number: `currentInstanceId()`.
    InstanceId,
}

/// An arm of a [`ExprKind::Match`].
#[derive(Debug, Clone)]
pub struct Arm {
    /// One per subject.
    pub patterns: Vec<Pattern>,
    /// True, or false or `undefined` (next arm), else `RT_CONDITION`.
    pub guard: Option<Expr>,
    /// The result.
    pub body: Expr,
}

/// One step of a path.
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
    /// `.name`
    Field(Symbol),
    /// `.(e)`
    Computed(Expr),
    /// `[e]`
    Index(Expr),
    /// `[#i of n]`; `of` absent for labels.
    TupleIndex {
        /// The position.
        index: u32,
        /// The demanded length.
        of: Option<u32>,
    },
}

/// `{ statements }`
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// In order.
    pub statements: Vec<Statement>,
}

/// A statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// Where it is written.
    pub span: Span,
}

/// What an assignment changes.
#[derive(Debug, Clone)]
pub enum PlaceRoot {
    /// A local `var`.
    Local(LocalId),
    /// A var cell or assignable alias of the current instance.
    Cell(SlotId),
    /// The cell behind a link.
    Link(Expr),
}

/// The kinds of statements.
#[derive(Debug, Clone)]
pub enum StatementKind {
    /// `let x = e`, `var x = e` (the latter refuses `undefined`).
    Bind {
        /// A new local (in a loop: a new one, or a new box, every round).
        local: LocalId,
        /// Its value.
        value: Expr,
    },
    /// `let p = e`; failure is `RT_MATCH`.
    BindPattern {
        /// The pattern.
        pattern: Pattern,
        /// The value.
        value: Expr,
    },
    /// `place steps = e`: keys and indices, the new value, then the place is read, a changed
    /// copy made and stored; `undefined` is refused.
    Assign {
        /// What changes.
        root: PlaceRoot,
        /// The way inside; empty to replace it.
        steps: Vec<Step>,
        /// The new value.
        value: Expr,
    },
    /// Ends the nearest enclosing [`ExprKind::Do`]; null if there is no value.
    Return(Option<Expr>),
    /// `if (c) { … } else { … }`
    If {
        /// The condition.
        condition: Expr,
        /// Run if true.
        then: Block,
        /// Run if false.
        otherwise: Option<Block>,
    },
    /// `while (c) { … }`; counting loops are bindings and a `while` with a step.
    While {
        /// Evaluated before every round.
        condition: Expr,
        /// The body.
        body: Block,
        /// Run after every round of the body.
        step: Option<Box<Statement>>,
    },
    /// `for (let p in e) { … }`
    ForEach {
        /// Bound anew every round; failure is `RT_MATCH`.
        pattern: Pattern,
        /// A stream or an array, else `RT_NOT_A_STREAM`.
        subject: Expr,
        /// The body.
        body: Block,
    },
    /// `switch (e) { … }`; no fitting case is `RT_MATCH`.
    Switch {
        /// Evaluated once.
        subject: Expr,
        /// Tried in order.
        arms: Vec<SwitchArm>,
    },
    /// A nested block.
    Block(Block),
    /// Evaluated, result dropped.
    Expr(Expr),
}

/// `case p when g: …`
#[derive(Debug, Clone)]
pub struct SwitchArm {
    /// The pattern.
    pub pattern: Pattern,
    /// The guard.
    pub guard: Option<Expr>,
    /// The statements.
    pub body: Block,
}
