//! A program as plain data: what the compiler produces, what an executable
//! holds, what the VM runs.

use crate::library::LibraryId;
use crate::op::Op;
use crate::operand::{ConstId, FuncId, ModuleId, ShapeId, SlotId, TypeId};

/// A linked program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Constants, named by [`ConstId`].
    pub constants: Vec<Constant>,
    /// Key lists of maps, named by [`ShapeId`]: string constants, strictly ascending by bytes.
    pub shapes: Vec<Vec<ConstId>>,
    /// Update paths.
    pub paths: Vec<Vec<PathStep>>,
    /// Array patterns with optional or multiple elements.
    pub patterns: Vec<Vec<PatternElement>>,
    /// Run-time types; a type refers only to types before it.
    pub types: Vec<TypeDesc>,
    /// Foreign functions that the program can reach.
    pub imports: Vec<Import>,
    /// Modules.
    pub modules: Vec<Module>,
    /// Functions of all modules.
    pub functions: Vec<Function>,
    /// Modules that the program was built for, in source order.
    pub entries: Vec<ModuleId>,
    /// A function without parameters that a tool wants evaluated (`mixer eval`).
    pub expression: Option<FuncId>,
    /// What it takes from libraries; empty in a linked program.
    pub externals: Externals,
    /// What some of its modules are for.
    pub descriptions: Vec<Described>,
}

/// What the doc comment of a module says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The module.
    pub module: ModuleId,
    /// Without the slashes, not empty, at most [`MAX_DESCRIPTION`] bytes.
    pub text: Box<str>,
}

/// Longest description of a module, in bytes: it is kept and shown by servers.
pub const MAX_DESCRIPTION: usize = 16 << 10;

/// What a program takes from libraries. The tables of the program hold stubs for it, entries
/// without content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Externals {
    /// Hash of the standard library that the program was built with.
    pub standard_library: Box<str>,
    /// The libraries that it uses.
    pub libraries: Vec<LibraryId>,
    /// Modules of libraries.
    pub modules: Vec<ExternalModule>,
    /// Functions of these modules.
    pub functions: Vec<ExternalFunction>,
}

/// A module of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalModule {
    /// Number of its stub.
    pub module: ModuleId,
    /// Index of the library in [`Externals::libraries`].
    pub library: u32,
    /// Name of the module.
    pub name: Box<str>,
}

/// A function of a module of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalFunction {
    /// Number of its stub.
    pub function: FuncId,
    /// Number of the stub of its module.
    pub module: ModuleId,
    /// Name of the function.
    pub name: Box<str>,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// An integer that `LoadInt` cannot hold.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string; also names of cases, keys and places.
    String(Box<str>),
    /// A case without argument.
    Case(Box<str>),
    /// Any serializable value in its wire form (MessagePack), decoded once when loaded.
    Value(Box<[u8]>),
    /// A regular expression, compiled once when loaded.
    Regex(Box<str>),
}

/// One step of an update path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// `.name`.
    Field(ConstId),
    /// `.(k)`: takes the next register of the instruction.
    Key,
    /// `[i]`: takes the next register of the instruction.
    Index,
    /// `[#index of length]`.
    Tuple {
        /// Position.
        index: u32,
        /// Length that the array must have; `u32::MAX` if any (label access).
        length: u32,
    },
}

/// One element of an array pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternElement {
    /// Takes one element.
    Plain,
    /// Takes one element if there are enough, else is undefined.
    Optional,
    /// Takes the rest as an array; at most one per pattern.
    Multiple,
}

/// A type that is checked at run time (language 5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeDesc {
    /// `data`, `_`.
    Data,
    /// `null`.
    Null,
    /// `bool`.
    Bool,
    /// `number`.
    Number,
    /// `string`.
    String,
    /// `word`.
    Word,
    /// `binary`.
    Binary,
    /// `token`.
    Token,
    /// `db.ref`.
    Ref,
    /// `array(T)`.
    Array(TypeId),
    /// `[T1, .., Tn]`.
    Tuple(Vec<TypeId>),
    /// `map(T)`.
    Map(TypeId),
    /// `{f: T, ..}`.
    Record(Vec<(ConstId, TypeId)>),
    /// A case, constant or with an argument type.
    Case(ConstId, Option<TypeId>),
    /// A union. Of one type: what a library function expects, so that the assertion of another kind
    /// is `ERR_EXPECTED_…`.
    Union(Vec<TypeId>),
}

/// A foreign function.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Name as families know it, for instance `$db_get_one`.
    pub name: Box<str>,
    /// Number of arguments.
    pub params: u8,
    /// Modules that use it, for the message when it is missing.
    pub used_by: Vec<Box<str>>,
    /// Replacements by name of the environment (`agentServerEnvironment`), each a function
    /// without parameters whose result is used instead.
    pub arms: Vec<(Box<str>, FuncId)>,
}

/// How many instances a module has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// No parameters, no cells, nothing that differs between instances: one
    /// instance for the program, its functions are called with `CallStatic`.
    Stateless,
    /// Any number of instances.
    Instance,
    /// One instance per view (`static module`).
    Static,
}

/// A module.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Name.
    pub name: Box<str>,
    /// Number of instances.
    pub kind: ModuleKind,
    /// Parameters; parameter `i` lies in slot `i`.
    pub params: Vec<Param>,
    /// Slots of an instance: parameters first, then imports, value defs and cells.
    pub slots: Vec<Slot>,
    /// What creating an instance evaluates, in text order (language 4.10).
    pub steps: Vec<Step>,
    /// Observers in text order.
    pub observers: Vec<Observer>,
    /// Body of the initializer: a function without parameters.
    pub initializer: Option<FuncId>,
}

impl Module {
    /// Slot number of the cell with this name.
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<SlotId> {
        let index = self
            .slots
            .iter()
            .position(|slot| matches!(slot.kind, SlotKind::Cell(_)) && &*slot.name == name)?;
        // A verified module has fewer than 2^32 slots.
        u32::try_from(index).ok().map(SlotId)
    }

    /// True if the module can run as an agent.
    #[must_use]
    pub fn is_agent(&self) -> bool {
        self.cell("output").is_some()
    }
}

/// A parameter of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Name.
    pub name: Box<str>,
    /// Type that arguments must conform to, if it can be checked.
    pub type_id: Option<TypeId>,
}

/// A slot of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Name in the source.
    pub name: Box<str>,
    /// What the slot holds.
    pub kind: SlotKind,
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq)]
pub enum SlotKind {
    /// A parameter of the module.
    Param,
    /// A value def or import: `init` (a function without parameters) is run when first needed.
    Value {
        /// Computes the value.
        init: FuncId,
    },
    /// A cell or alias.
    Cell(Cell),
}

/// A cell of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Kind of cell.
    pub kind: CellKind,
    /// Whether the cell is emitted.
    pub public: bool,
    /// Formula: a function without parameters; of an alias, the expression that gives the link.
    pub formula: FuncId,
    /// Own cells and aliases whose updates re-run the formula.
    pub dependencies: Vec<SlotId>,
    /// Bit 0: re-evaluated on refresh; bit 1: when the view is shown again.
    pub events: u8,
    /// If the right side is exactly an action: its function, so that outsiders may invoke it.
    pub action: Option<FuncId>,
    /// What outsiders may assign to it; `None` if they may not.
    pub input: Option<TypeId>,
}

/// Kinds of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// `cell c = e`.
    Formula,
    /// `var cell c = e`.
    Var,
    /// `alias c = e`, `cell link(c) = e`: stands for another cell.
    Alias,
    /// `var cell link(c) = e`.
    VarAlias,
}

/// One step of creating an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Evaluates a value def, an import or a cell, unless that is done.
    Slot(SlotId),
    /// `def _ = e`.
    Effect(FuncId),
}

/// An observer.
#[derive(Clone, Debug, PartialEq)]
pub struct Observer {
    /// Watched cells; empty for `on ()`.
    pub watched: Vec<SlotId>,
    /// Guard: a function without parameters.
    pub guard: Option<FuncId>,
    /// Body: a function without parameters.
    pub body: FuncId,
}

/// A function.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Name in stack traces: the def's name, `<lambda>`, `cell c`, `action k`, `on c,d`, `initializer`, `def _`.
    pub name: Box<str>,
    /// Module it belongs to.
    pub module: ModuleId,
    /// Number of parameters (0 for formulas, initialisers and bodies).
    pub params: u8,
    /// Number of captured values.
    pub captures: u8,
    /// Number of registers, parameters included.
    pub registers: u16,
    /// Name of the action, if this is the body of one: `$closure_X_k` or `Module.cell`.
    pub action: Option<Box<str>>,
    /// Instructions.
    pub code: Vec<Op>,
    /// Places, ascending by `start`.
    pub lines: Vec<Line>,
}

/// The place in the source of the instructions from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// First instruction.
    pub start: u32,
    /// File name: a string constant.
    pub file: ConstId,
    /// First line, counted from 1.
    pub line: u32,
    /// First column, counted from 1.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last one.
    pub end_column: u32,
}

impl Function {
    /// The place of instruction `index`.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<&Line> {
        let after = self
            .lines
            .partition_point(|line| line.start as usize <= index);
        self.lines.get(after.checked_sub(1)?)
    }
}

impl Program {
    /// The text of a string constant.
    #[must_use]
    pub fn string(&self, id: ConstId) -> Option<&str> {
        match self.constants.get(id.index()) {
            Some(Constant::String(text) | Constant::Case(text)) => Some(text),
            _ => None,
        }
    }

    /// Keys of a shape.
    #[must_use]
    pub fn shape(&self, id: ShapeId) -> Option<&[ConstId]> {
        self.shapes.get(id.index()).map(Vec::as_slice)
    }

    /// Number and description of the module with this name.
    #[must_use]
    pub fn module_named(&self, name: &str) -> Option<(ModuleId, &Module)> {
        let index = self
            .modules
            .iter()
            .position(|module| &*module.name == name)?;
        // A verified program has fewer than 2^32 modules.
        Some((ModuleId(u32::try_from(index).ok()?), &self.modules[index]))
    }
}

impl Program {
    /// A run-time type in the notation of the language, cut where it gets long.
    #[must_use]
    pub fn type_text(&self, id: TypeId) -> String {
        let mut text = String::new();
        self.write_type(id, &mut text, 0);
        text
    }

    fn write_type(&self, id: TypeId, out: &mut String, depth: u32) {
        // Types of people are small; a hostile one must not cost memory or stack.
        if depth > 16 || out.len() > 400 {
            out.push('…');
            return;
        }
        let Some(desc) = self.types.get(id.index()) else {
            out.push('?');
            return;
        };
        let name = |key: &ConstId| self.string(*key).unwrap_or("?");
        match desc {
            TypeDesc::Data => out.push_str("data"),
            TypeDesc::Null => out.push_str("null"),
            TypeDesc::Bool => out.push_str("bool"),
            TypeDesc::Number => out.push_str("number"),
            TypeDesc::String => out.push_str("string"),
            TypeDesc::Word => out.push_str("word"),
            TypeDesc::Binary => out.push_str("binary"),
            TypeDesc::Token => out.push_str("token"),
            TypeDesc::Ref => out.push_str("db.ref"),
            TypeDesc::Array(element) => {
                out.push_str("array(");
                self.write_type(*element, out, depth + 1);
                out.push(')');
            }
            TypeDesc::Map(element) => {
                out.push_str("map(");
                self.write_type(*element, out, depth + 1);
                out.push(')');
            }
            TypeDesc::Tuple(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    self.write_type(*element, out, depth + 1);
                }
                out.push(']');
            }
            TypeDesc::Record(fields) => {
                out.push('{');
                for (index, (key, field)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push_str(", ");
                    }
                    out.push_str(name(key));
                    out.push(':');
                    self.write_type(*field, out, depth + 1);
                }
                out.push('}');
            }
            TypeDesc::Case(case, argument) => {
                out.push_str(name(case));
                if let Some(argument) = argument {
                    out.push('(');
                    self.write_type(*argument, out, depth + 1);
                    out.push(')');
                }
            }
            TypeDesc::Union(members) => {
                for (index, member) in members.iter().enumerate() {
                    if index > 0 {
                        out.push_str(" | ");
                    }
                    self.write_type(*member, out, depth + 1);
                }
            }
        }
    }
}
