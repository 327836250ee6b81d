//! Name resolution, effect checks and type inference: syntax tree to core program.
//!
//! One walk does all three, because they need each other: the type of `e` decides
//! what `e.f` is, the expected type decides whether a cell name is read or passed
//! as a link, and a coercion becomes code. The walk goes phrase by phrase in text
//! order, as the scoping rules do; an error stops its phrase, and names whose
//! definition failed are poisoned so that nothing is reported twice.
//!
//! - [`load`], [`module`], [`definition`], [`cell_phrase`]: which modules there are, and the
//!   phrases of one; [`cycles`] between its cells
//! - [`expr`], [`literal`], [`arithmetic`], [`access`], [`call`], [`library_call`], [`pipe`], [`extract`], [`lambda`],
//!   [`bind`], [`pattern`], [`block`], [`cells`]: the walk over expressions and statements
//! - [`lookup`], [`reference`], [`scope`]: what names stand for; [`type_expr`]: written types
//! - [`types`], [`type_walk`]: the arena of types, with undo; [`relation`]: unification,
//!   subtyping, joins; [`operator`]: sums; [`runtime`]: types as run-time checks
//! - [`widen`]: accumulators that become more than they begin as
//! - [`coerce`]: the coercion points and what they insert; [`settle`]: what is decided later
//! - [`explain`], [`familiar`], [`suggest`]: the help of issues
//! - [`interface`]: what compiled libraries say of their modules
//! - [`record`]: what editors want to know
//! - [`query`]: filters of `db` as query clauses
//!
//! Modules are checked when they are first needed: the given ones all, those of the
//! standard library on demand through the loader of [`check`].

mod access;
mod arithmetic;
mod bind;
mod block;
mod call;
mod call_help;
mod cell_phrase;
mod cells;
mod coerce;
mod cycles;
mod definition;
mod display;
mod env;
mod explain;
mod expr;
mod extract;
mod familiar;
mod interface;
mod lambda;
mod library_call;
mod literal;
mod load;
mod lookup;
mod module;
pub(crate) use module::defined_names;
mod operator;
mod pattern;
mod pattern_type;
mod pipe;
mod pragma;
mod projection;
mod query;
mod record;
mod reference;
mod relation;
mod row;
mod runtime;
mod scope;
mod settle;
mod suggest;
mod type_expr;
mod type_walk;
mod types;
mod widen;

use crate::analysis::{Candidate, NameUse};
use crate::core::{self, ModuleId};
use crate::issue::{Issue, Severity};
use crate::syntax::ast::{self, Symbol};
use crate::syntax::source::SourceMap;
use crate::syntax::span::Span;
use crate::tables::{HashMap, HashSet};
use env::{CaseInfo, FunctionScope, ModuleInfo};
use std::rc::Rc;
use types::{Ty, Types};

/// Finds a standard library module: its syntax tree, or the issues of its source.
pub type Loader<'a> = dyn FnMut(&str) -> Option<Result<ast::Unit, Vec<Issue>>> + 'a;

/// What is compiled how.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Modules that a command names as agents.
    pub agents: Vec<String>,
    /// A module standing for a REPL session: its cases have plain names.
    pub session: Option<String>,
    /// Modules that were entered in the session: its definitions ([`GLOBALS`]) are global names there.
    pub session_modules: HashSet<Symbol>,
    /// Compiled libraries whose modules may be imported.
    pub linked: Vec<Linked>,
    /// Modules whose text could not be had, and why.
    pub unloaded: HashMap<String, String>,
    /// Names are recorded for editors ([`crate::analysis`]).
    pub record: bool,
}

/// A compiled library as the checker sees it.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Its name and version, for messages.
    pub name: String,
    /// Two libraries of one version cannot be told apart.
    pub version: Vec<u64>,
    /// The interfaces of its modules.
    pub unit: ast::Unit,
    /// How many instances its modules have.
    pub instancing: HashMap<String, core::Instancing>,
    /// The libraries that it uses itself, as indices of [`CheckOptions::linked`].
    pub uses: Vec<usize>,
}

/// What checking delivers.
#[derive(Debug)]
pub struct CheckResult {
    /// The program; `None` if there are errors.
    pub program: Option<core::Program>,
    /// Errors and warnings in the order they were found.
    pub issues: Vec<Issue>,
    /// Names of the module of the session with the texts of their types, sorted.
    pub session_types: Vec<(String, String)>,
    /// The names of the given texts.
    pub uses: Vec<NameUse>,
    /// What could be written at the cursor.
    pub candidates: Vec<Candidate>,
}

/// Checks the modules of some units together with the library modules they use.
pub fn check(units: &[ast::Unit], options: &CheckOptions, loader: &mut Loader) -> CheckResult {
    let mut checker = Checker::new(options, loader);
    checker.run(units);
    let failed = checker
        .issues
        .iter()
        .any(|issue| issue.severity() == Severity::Error);
    let session_types = checker.session_types();
    let mut uses = Vec::new();
    if options.record {
        // The definitions last: their types are final.
        uses = std::mem::take(&mut checker.records.uses);
        uses.extend(checker.definitions());
    }
    CheckResult {
        session_types,
        uses,
        candidates: checker.records.candidates,
        program: (!failed && !checker.failed).then_some(checker.program),
        issues: checker.issues,
    }
}

/// The types of the public names of the modules of some units, as text, and the issues.
/// `library` tells that the units are the source of a library module.
pub fn signatures(
    units: &[ast::Unit],
    library: bool,
    loader: &mut Loader,
) -> (HashMap<Symbol, HashMap<Symbol, String>>, Vec<Issue>) {
    let options = CheckOptions::default();
    let mut checker = Checker::new(&options, loader);
    if library {
        checker.run_library(units);
    } else {
        checker.run(units);
    }
    let mut all = HashMap::default();
    for id in 0..checker.infos.len() {
        if checker.program.modules[id].library != library {
            continue;
        }
        checker.types.start_phrase();
        let name = checker.infos[id].name.clone();
        checker.types.here = name.clone();
        let members: Vec<(Symbol, Ty)> = checker.infos[id]
            .members
            .iter()
            .filter(|(_, member)| !member.private && member.defined)
            .filter(|(_, member)| {
                matches!(
                    member.kind,
                    env::MemberKind::Def | env::MemberKind::Cell { .. }
                )
            })
            .map(|(name, member)| (name.clone(), member.ty))
            .collect();
        let shown = members
            .into_iter()
            .map(|(name, ty)| (name, checker.types.show(ty)))
            .collect();
        all.insert(name, shown);
    }
    (all, checker.issues)
}

/// Checks the modules of some units and writes their interfaces: name and Mix source of each.
/// The program is `None` if there are errors.
pub fn interfaces(
    units: &[ast::Unit],
    sources: &SourceMap,
    options: &CheckOptions,
    loader: &mut Loader,
) -> (CheckResult, Vec<(String, String)>) {
    let mut checker = Checker::new(options, loader);
    checker.run(units);
    let failed = checker
        .issues
        .iter()
        .any(|issue| issue.severity() == Severity::Error);
    let interfaces = match failed || checker.failed {
        true => Vec::new(),
        false => checker.interfaces(units, sources),
    };
    let result = CheckResult {
        session_types: Vec::new(),
        uses: Vec::new(),
        candidates: Vec::new(),
        program: (!failed && !checker.failed).then_some(checker.program),
        issues: checker.issues,
    };
    (result, interfaces)
}

impl Checker<'_> {
    fn session_types(&mut self) -> Vec<(String, String)> {
        let Some(session) = self.options.session.clone() else {
            return Vec::new();
        };
        let Some(info) = self.infos.iter().find(|info| *info.name == *session) else {
            return Vec::new();
        };
        let members: Vec<_> = info
            .members
            .iter()
            .map(|(name, member)| (name.to_string(), member.ty))
            .collect();
        let mut types: Vec<_> = members
            .into_iter()
            .map(|(name, ty)| (name, self.types.show(ty)))
            .collect();
        types.sort();
        types
    }
}

/// Where a module comes from: a program may have a module `util` of its own without changing
/// what library modules mean by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    /// The given sources.
    Given,
    /// A compiled library, by its index in [`CheckOptions::linked`].
    Linked(usize),
    /// The standard library.
    Standard,
}

/// A module by origin and name.
type ModuleKey = (Origin, Symbol);

/// How far a module is.
#[derive(Clone)]
enum ModuleState {
    /// Known by name, not looked at yet.
    Waiting(Rc<ast::Module>),
    /// Being checked: importing it now is a cycle.
    Running,
    /// Checked.
    Done(ModuleId),
    /// An alias of another module with type arguments.
    Alias(Rc<ast::ModuleAlias>),
    /// Not usable; reported.
    Failed,
}

/// Everything about the running compilation.
pub(crate) struct Checker<'a> {
    options: &'a CheckOptions,
    loader: &'a mut Loader<'a>,
    issues: Vec<Issue>,
    failed: bool,
    program: core::Program,
    infos: Vec<ModuleInfo>,
    states: HashMap<ModuleKey, ModuleState>,
    /// Library modules that are done, by name.
    library_ids: HashMap<Symbol, ModuleId>,
    /// Modules being checked, outermost first.
    path: Vec<ModuleKey>,
    types: Types,
    predefined_cases: HashMap<&'static str, CaseInfo>,
    predefined_types: HashMap<&'static str, env::TypeInfo>,
    cur: Current,
    /// Near names are looked for in the first issues only: every search reads all names.
    suggestions: u32,
    /// Array and map literals around the expression that is inferred.
    literals: u32,
    /// Checks around the running one whose traces will be removed ([`widen`]).
    guesses: u32,
    /// What editors want to know.
    records: record::Records,
}

/// Issues with a search for near names.
const SUGGESTIONS: u32 = 100;

/// The type of a field of a value whose type was unknown.
#[derive(Clone)]
struct FieldWait {
    base: Ty,
    name: Symbol,
    result: Ty,
    check: core::CheckId,
    span: Span,
    /// It is called where it is read.
    called: bool,
}

/// What is known of the module being checked.
struct Current {
    id: ModuleId,
    name: Symbol,
    library: bool,
    /// It is the interface of a module of a compiled library.
    linked: Option<usize>,
    is_static: bool,
    slots: Vec<core::Slot>,
    actions: Vec<Option<core::Action>>,
    checks: Vec<core::Check>,
    /// Which of them a type has.
    check_of: HashMap<core::RuntimeType, core::CheckId>,
    /// What is checked now goes to a library function.
    for_library: bool,
    observers: Vec<core::Observer>,
    initializer: Option<core::Function>,
    pragmas: pragma::Pragmas,
    /// Functions whose bodies are being checked, outermost first.
    functions: Vec<FunctionScope>,
    /// Cells read by the running formula.
    dependencies: Vec<core::SlotId>,
    /// Names whose definition is running (self-use without declaration).
    defining: Option<Symbol>,
    /// How many parameters it has.
    defining_params: usize,
    /// The cell being defined.
    this_cell: Option<(Symbol, Ty)>,
    waits: Vec<FieldWait>,
    sums: Vec<(Ty, Span)>,
    /// Type variables written in the running phrase.
    type_names: HashMap<Symbol, Ty>,
    /// Name and declared type of the definition being compared with its declaration.
    declaring: Option<(Symbol, Ty)>,
    /// `declare M(params)`
    declared_views: HashMap<Symbol, Vec<Ty>>,
    /// Names that the module gave to other modules (`module P = M[A = T]`).
    aliased: HashSet<Symbol>,
    /// Own types whose definition is running.
    defining_type: Option<Symbol>,
    /// The module needs an instance after all.
    needs_instance: bool,
    /// Issues of this module (dropped when it is checked again).
    issues: Vec<Issue>,
    /// Something poisoned was used: no program even without an issue here.
    failed: bool,
    /// Warnings given, by place: none is given twice.
    warned: HashSet<(crate::issue::Code, Span)>,
    /// Types that the module defines, for the message about a use further up.
    types_to_come: HashMap<Symbol, Span>,
    /// Names that the module defines as cells.
    cells_to_come: HashSet<Symbol>,
    /// Parameters of local functions with the name of a case, and that name: what may have
    /// been meant is a pattern.
    case_like: Vec<(Symbol, Symbol)>,
    /// Names whose declaration failed: what is wrong with the types of their definitions
    /// may come from that.
    undeclared: HashSet<Symbol>,
    /// Locals of the running phrase that were not used.
    unused: Vec<(Symbol, Span)>,
    /// Private members that code mentions.
    used: HashSet<Symbol>,
    /// Places of names in the order of their last definitions.
    slot_of: HashMap<Symbol, core::SlotId>,
    /// The slots of `def _`, by the place of the `_`.
    effects: HashMap<Span, core::SlotId>,
}

impl Current {
    fn empty() -> Self {
        Current {
            id: ModuleId(0),
            name: Symbol::from(""),
            library: false,
            linked: None,
            is_static: false,
            slots: Vec::new(),
            actions: Vec::new(),
            checks: Vec::new(),
            check_of: HashMap::default(),
            for_library: false,
            observers: Vec::new(),
            initializer: None,
            pragmas: pragma::Pragmas::default(),
            functions: Vec::new(),
            dependencies: Vec::new(),
            defining: None,
            defining_params: 0,
            this_cell: None,
            waits: Vec::new(),
            sums: Vec::new(),
            type_names: HashMap::default(),
            declaring: None,
            aliased: HashSet::default(),
            declared_views: HashMap::default(),
            defining_type: None,
            needs_instance: false,
            issues: Vec::new(),
            failed: false,
            warned: HashSet::default(),
            types_to_come: HashMap::default(),
            cells_to_come: HashSet::default(),
            case_like: Vec::new(),
            undeclared: HashSet::default(),
            unused: Vec::new(),
            used: HashSet::default(),
            slot_of: HashMap::default(),
            effects: HashMap::default(),
        }
    }
}

impl<'a> Checker<'a> {
    fn new(options: &'a CheckOptions, loader: &'a mut Loader<'a>) -> Self {
        let mut types = Types::new();
        let (predefined_cases, predefined_types) = lookup::predefined(&mut types);
        Checker {
            options,
            loader,
            issues: Vec::new(),
            failed: false,
            program: core::Program::default(),
            infos: Vec::new(),
            states: HashMap::default(),
            library_ids: HashMap::default(),
            path: Vec::new(),
            types,
            predefined_cases,
            predefined_types,
            cur: Current::empty(),
            suggestions: SUGGESTIONS,
            literals: 0,
            guesses: 0,
            records: record::Records::default(),
        }
    }
}
