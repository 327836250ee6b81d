//! Programs, modules and their slots.

use super::expr::{Expr, Function};
use super::runtime_type::{Check, RuntimeType};
use crate::syntax::ast::{Const, Symbol};
use crate::syntax::span::Span;

/// Index of a module in [`Program::modules`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub u32);

/// Index of a slot in [`Module::slots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// Everything that was compiled together: the given sources and the standard
/// library modules they use.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// All modules, in the order they were first needed.
    pub modules: Vec<Module>,
    /// The modules of the given sources in text order (library modules excluded).
    pub entries: Vec<ModuleId>,
}

impl Program {
    /// The module with that number.
    pub fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.0 as usize]
    }

    /// The slot with that number.
    pub fn slot(&self, module: ModuleId, slot: SlotId) -> &Slot {
        &self.module(module).slots[slot.0 as usize]
    }
}

/// How many instances of a module exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instancing {
    /// One per program: no parameters, cells, observers, effects or imports with state.
    /// Its value defs are evaluated when first read, or earlier.
    Shared,
    /// One per importing instance, or one per application to parameters.
    PerImport,
    /// One per view: a static module with cells or effects.
    PerView,
}

/// A module.
#[derive(Debug, Clone)]
pub struct Module {
    /// Its name.
    pub name: Symbol,
    /// How many instances exist.
    pub instancing: Instancing,
    /// It comes from the standard library.
    pub library: bool,
    /// It comes from a compiled library, the one with this index: only its interface is known.
    pub external: Option<usize>,
    /// Parameters, in order; each has a [`SlotKind::Param`] slot too unless unnamed.
    pub params: Vec<ModuleParam>,
    /// Everything with a place in an instance, in creation (text) order.
    pub slots: Vec<Slot>,
    /// The bodies of `action` expressions, in the order of their numbers.
    pub actions: Vec<Action>,
    /// In text order.
    pub observers: Vec<Observer>,
    /// Run once, after all cells have a value.
    pub initializer: Option<Function>,
    /// Run-time checks of [`ExprKind::Assert`](super::ExprKind::Assert).
    pub checks: Vec<Check>,
    /// `_meta_ {…}`
    pub meta: Option<Const>,
    /// The pragma `withCells: true` demands the spreadsheet.
    pub with_cells: bool,
    /// Where the module stands.
    pub span: Span,
}

impl Module {
    /// The slot of that name that others can see (the last one wins).
    pub fn find(&self, name: &str) -> Option<SlotId> {
        let index = self.slots.iter().rposition(|slot| &*slot.name == name)?;
        Some(SlotId(index as u32))
    }
}

/// A parameter of a module.
#[derive(Debug, Clone)]
pub struct ModuleParam {
    /// Its name, `_` for an unnamed one.
    pub name: Symbol,
    /// Its slot; none for an unnamed one.
    pub slot: Option<SlotId>,
    /// What an argument from outside (agent call, pushed view) must conform to;
    /// `None` if the type has no data values, so that outsiders cannot pass any.
    pub check: Option<RuntimeType>,
}

/// A named place of a module.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its name; `_` for `def _`.
    pub name: Symbol,
    /// Not visible to other modules.
    pub private: bool,
    /// What it holds.
    pub kind: SlotKind,
    /// Where it is defined.
    pub span: Span,
}

/// What a slot holds.
#[derive(Debug, Clone)]
pub enum SlotKind {
    /// A parameter of the module (its index).
    Param(u32),
    /// An instance of another module, or a function that makes one.
    Import(Import),
    /// A def whose right side is a function: no evaluation at instance creation.
    Function(Function),
    /// Any other def: a body without parameters, evaluated once per instance in
    /// slot order, earlier if it is read before.
    Value(Function),
    /// `def _ = e`: a body run once per instance, in slot order.
    Effect(Function),
    /// `foreign def`
    Foreign(ForeignFunction),
    /// A case: constant, or a constructor of one argument.
    Case {
        /// The case name as values carry it: `Module.name`, or `name` for predefined ones.
        full_name: Symbol,
        /// It takes an argument.
        has_argument: bool,
    },
    /// `cell`, `var cell`, `live cell`
    Cell(Cell),
    /// `alias`, `cell link`
    Alias(AliasCell),
    /// A definition that had an error (only in programs that are not run).
    Broken,
}

/// An import of a module that is not shared.
#[derive(Debug, Clone)]
pub struct Import {
    /// The imported module.
    pub module: ModuleId,
    /// A body without parameters giving the instance, or, with arguments missing,
    /// the function that makes instances (see [`ExprKind::Instantiate`](super::ExprKind::Instantiate)).
    pub body: Function,
    /// Cells its arguments read by value. If not empty, the import behaves like a
    /// formula cell: it is made again when one of them updates.
    pub dependencies: Vec<SlotId>,
}

/// A `foreign def`.
#[derive(Debug, Clone)]
pub struct ForeignFunction {
    /// Name of the function, with its mark: `#array_length`, `$db_get_one`.
    pub host: Symbol,
    /// Builtin of the VM or import of the executable.
    pub kind: ForeignKind,
    /// Number of parameters: the arrows of its declared type.
    pub arity: u32,
    /// Its declared type is `null -> T` with nothing more: an import of that kind takes
    /// no argument on the wire.
    pub nullary: bool,
    /// Replacements used when the host lacks the function.
    pub arms: Vec<ForeignArm>,
}

/// Who supplies a foreign function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// The VM itself (names with `#`, standard library only).
    Builtin,
    /// A plugin family, through the host.
    Import,
}

/// `serverEnvironment -> e`
#[derive(Debug, Clone)]
pub struct ForeignArm {
    /// Name of the environment.
    pub environment: Symbol,
    /// A body without parameters giving the replacement.
    pub body: Function,
}

/// The sorts of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// Evaluated at creation and whenever a dependency updates.
    Formula,
    /// Assignable; its formula runs once, at creation.
    Var,
    /// Also re-evaluated when its source signals.
    Live,
}

/// A cell.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Its sort.
    pub kind: CellKind,
    /// Its value goes to the client if the module is on top.
    pub public: bool,
    /// A body without parameters.
    pub formula: Function,
    /// Own cells, aliases and reactive imports the formula depends on; empty for `var`.
    pub dependencies: Vec<SlotId>,
    /// The right side is exactly an action: the number in [`Module::actions`] whose
    /// message is named `Module.cell`.
    pub action: Option<u32>,
    /// What outsiders may assign; `None` if they may not.
    pub input: Option<RuntimeType>,
}

/// An alias: another name of the cell behind a link.
#[derive(Debug, Clone)]
pub struct AliasCell {
    /// Written `cell link(c)`.
    pub public: bool,
    /// Assignments go to the target.
    pub assignable: bool,
    /// A body without parameters giving the link.
    pub link: Function,
    /// Cells the link expression reads.
    pub dependencies: Vec<SlotId>,
    /// What outsiders may assign; `None` if they may not.
    pub input: Option<RuntimeType>,
}

/// The body of an `action` expression.
#[derive(Debug, Clone)]
pub struct Action {
    /// The first parameter is the argument of the invocation, the others are the
    /// captured values of [`ExprKind::Action`](super::ExprKind::Action), in order.
    pub function: Function,
    /// Where it stands.
    pub span: Span,
}

/// `on (x, y) when g do { … }`
#[derive(Debug, Clone)]
pub struct Observer {
    /// Watched cells and aliases; empty: run once per instance.
    pub watched: Vec<SlotId>,
    /// A body without parameters.
    pub guard: Option<Function>,
    /// A body without parameters.
    pub body: Function,
    /// Where it stands.
    pub span: Span,
}

/// Helper for producers: a body that only evaluates an expression.
impl From<(Expr, Span)> for Function {
    fn from((body, span): (Expr, Span)) -> Self {
        Function {
            name: super::expr::FunctionName::Lambda,
            params: Vec::new(),
            locals: Vec::new(),
            captures: Vec::new(),
            body: Box::new(body),
            span,
        }
    }
}
