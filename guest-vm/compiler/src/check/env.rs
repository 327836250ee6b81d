//! What is known about modules, their members and the names in scope.

use super::types::Ty;
use crate::core::{self, LocalId, ModuleId, SlotId};
use crate::issue::Issue;
use crate::syntax::ast::{Const, Symbol};
use crate::syntax::span::Span;
use crate::tables::{HashMap, HashSet};

/// Why checking of a phrase stopped.
#[derive(Debug)]
pub enum Stop {
    /// With an issue.
    Issue(Box<Issue>),
    /// Because of something already reported.
    Silent,
}

impl Stop {
    /// Adds a further place, if there is an issue.
    pub fn note(self, span: Span, text: &str) -> Stop {
        match self {
            Stop::Issue(issue) => Stop::Issue(Box::new(issue.note(span, text))),
            Stop::Silent => Stop::Silent,
        }
    }
}

impl From<Issue> for Stop {
    fn from(issue: Issue) -> Self {
        Stop::Issue(Box::new(issue))
    }
}

/// Result of checking a part of a phrase.
pub type Checked<T> = Result<T, Stop>;

/// A case.
#[derive(Debug, Clone)]
pub struct CaseInfo {
    /// As values carry it.
    pub full_name: Symbol,
    /// Declared argument; type parameters are quantified variables.
    pub argument: Option<Ty>,
    /// The constructor is private to its module.
    pub private: bool,
}

/// A named type.
#[derive(Debug, Clone)]
pub struct TypeInfo {
    /// Quantified variables, in order.
    pub params: Vec<Ty>,
    /// The meaning.
    pub body: Ty,
}

/// An import as seen from inside its module.
#[derive(Debug, Clone)]
pub struct ImportInfo {
    /// The imported module.
    pub module: ModuleId,
    /// Type arguments: fixed variables of the module and their replacements.
    pub binds: Vec<(Ty, Ty)>,
    /// Parameters still missing; 0 for an instance.
    pub missing: usize,
    /// Its arguments read cells.
    pub reactive: bool,
}

/// What a name of a module is.
#[derive(Debug, Clone)]
pub enum MemberKind {
    /// A module parameter.
    Param,
    /// An import.
    Import(ImportInfo),
    /// A def or foreign def.
    Def,
    /// A case.
    Case(CaseInfo),
    /// A cell or alias.
    Cell {
        /// It may be assigned.
        assignable: bool,
        /// It is an alias.
        alias: bool,
    },
    /// Its definition had an error.
    Broken,
}

impl MemberKind {
    /// The word used in messages.
    pub fn sort(&self) -> &'static str {
        match self {
            MemberKind::Param => "parameter",
            MemberKind::Import(_) => "import",
            MemberKind::Def | MemberKind::Broken => "def",
            MemberKind::Case(_) => "case",
            MemberKind::Cell { .. } => "cell",
        }
    }
}

/// A name of a module.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it is.
    pub kind: MemberKind,
    /// Its slot.
    pub slot: SlotId,
    /// Not visible outside.
    pub private: bool,
    /// Its type, with quantified variables.
    pub ty: Ty,
    /// It was declared (`def f : T`).
    pub declared: bool,
    /// The definition was seen.
    pub defined: bool,
    /// `_meta_ {…}`
    pub meta: Option<Const>,
}

/// A module as others see it.
#[derive(Debug, Clone)]
pub struct ModuleInfo {
    /// Its name.
    pub name: Symbol,
    /// How many instances exist.
    pub instancing: core::Instancing,
    /// Parameter types.
    pub params: Vec<Ty>,
    /// Type parameters: fixed variables.
    pub type_vars: Vec<(Symbol, Ty)>,
    /// Values, cells, cases, imports.
    pub members: HashMap<Symbol, Member>,
    /// Types (cases included).
    pub types: HashMap<Symbol, TypeInfo>,
    /// Types whose definitions had errors.
    pub broken_types: HashSet<Symbol>,
}

/// Where code stands: what it may do with cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A def: no cells.
    Def,
    /// A def of a static module: its var cells.
    StaticDef,
    /// A formula, alias or import expression: cells are dependencies.
    Formula,
    /// The body of an action, observer or initializer: cells and appstate.
    Effect,
    /// The guard of an observer: cells, no appstate.
    Guard,
}

/// What a local name stands for.
#[derive(Debug, Clone)]
pub enum ScopeTarget {
    /// A local of the function.
    Local {
        /// Which.
        id: LocalId,
        /// Its type (quantified variables for polymorphic `let`s).
        ty: Ty,
        /// It may be assigned.
        mutable: bool,
    },
    /// `let alias x = c`
    Cell(Symbol),
    /// The permission of an effect body.
    Appstate,
}

/// A function whose body is being checked.
#[derive(Debug)]
pub struct FunctionScope {
    /// Its locals so far.
    pub locals: Vec<core::Local>,
    /// Numbers of parameters of the locals that are known functions.
    pub arities: HashMap<LocalId, usize>,
    /// Locals that are other names of functions of the library.
    pub of_library: HashSet<LocalId>,
    /// Its captures so far.
    pub captures: Vec<core::Capture>,
    /// Visible names, innermost last.
    pub scope: super::scope::Scope,
    /// What it may do with cells.
    pub place: Place,
    /// Captures copy values (actions).
    pub by_value: bool,
    /// Names of the appstate parameters in scope, innermost last.
    pub appstates: Vec<Symbol>,
    /// Expected types of the results of the enclosing `do` blocks, innermost last.
    pub returns: Vec<ReturnSlot>,
    /// The hidden parameters of implicit projections, innermost last.
    pub projections: Vec<(LocalId, Ty)>,
}

/// The result of a `do` block.
#[derive(Debug)]
pub struct ReturnSlot {
    /// The expected type, if known.
    pub expected: Option<Ty>,
    /// The join so far.
    pub joined: Option<Ty>,
}

impl FunctionScope {
    /// A function without locals.
    pub fn new(place: Place, by_value: bool) -> Self {
        FunctionScope {
            locals: Vec::new(),
            arities: HashMap::default(),
            of_library: HashSet::default(),
            captures: Vec::new(),
            scope: super::scope::Scope::default(),
            place,
            by_value,
            appstates: Vec::new(),
            returns: Vec::new(),
            projections: Vec::new(),
        }
    }
}
