//! Code generation: interning tables for a program, labels and places for a function.

use std::collections::HashMap;

use thiserror::Error;

use crate::op::Op;
use crate::operand::{
    Base, ConstId, Dst, FuncId, ImportId, ModuleId, PathId, PatternId, Reg, ShapeId, Target, TypeId,
};
use crate::optimise;
use crate::program::{
    Constant, Described, Function, Import, Line, MAX_DESCRIPTION, Module, PathStep, PatternElement,
    Program, TypeDesc,
};

/// Why code could not be built. All are limits that only machine-written
/// sources meet, or mistakes of the code generator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BuildError {
    /// More than 65,000 registers in one function.
    #[error("function {function} needs too many registers; split it")]
    TooManyRegisters {
        /// Name of the function.
        function: String,
    },
    /// A label was used but never bound.
    #[error("function {function} jumps to a label that is never bound")]
    UnboundLabel {
        /// Name of the function.
        function: String,
    },
    /// The code does not end with a return, a jump or a tail call.
    #[error("control leaves the end of function {function}")]
    OpenEnd {
        /// Name of the function.
        function: String,
    },
    /// A declared function or module was not defined.
    #[error("{what} {index} is declared but not defined")]
    NotDefined {
        /// "function" or "module".
        what: &'static str,
        /// Its number.
        index: usize,
    },
}

/// A place in the source, for the line table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// File name constant.
    pub file: ConstId,
    /// First line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last.
    pub end_column: u32,
}

/// A position in the code of a function under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(u32);

impl Label {
    /// The operand that names this label in an instruction.
    #[must_use]
    pub fn target(self) -> Target {
        Target(self.0)
    }
}

/// Builds one function.
///
/// Registers: the parameters are registers `0 .. params`; others are handed out
/// by [`fresh`](Self::fresh) and given back in stack order with
/// [`mark`](Self::mark) and [`release`](Self::release). There is no need to
/// release them, it only keeps windows small.
///
/// Jump targets of emitted instructions are labels; [`finish`](Self::finish)
/// optimises the code and replaces them by instruction numbers. The optimiser
/// finds last uses by itself (`move` becomes `take`, `add` becomes `add_take`),
/// fuses comparisons with jumps and small integers with arithmetic, so the
/// generator may emit the plain forms.
#[derive(Clone, Debug)]
pub struct FunctionBuilder {
    name: Box<str>,
    module: ModuleId,
    params: u8,
    captures: u8,
    action: Option<Box<str>>,
    next: u32,
    highest: u32,
    pub(crate) code: Vec<Op>,
    pub(crate) places: Vec<Option<Place>>,
    pub(crate) labels: Vec<Option<u32>>,
    place: Option<Place>,
}

impl FunctionBuilder {
    /// A function of `params` parameters and `captures` captured values.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>, module: ModuleId, params: u8, captures: u8) -> Self {
        Self {
            name: name.into(),
            module,
            params,
            captures,
            action: None,
            next: u32::from(params),
            highest: u32::from(params),
            code: Vec::new(),
            places: Vec::new(),
            labels: Vec::new(),
            place: None,
        }
    }

    /// Makes this the body of an action with that name.
    pub fn set_action(&mut self, name: impl Into<Box<str>>) {
        self.action = Some(name.into());
    }

    /// Sets the number of captured values (it may only be known at the end).
    pub fn set_captures(&mut self, captures: u8) {
        self.captures = captures;
    }

    /// Number of parameters.
    pub(crate) fn params(&self) -> u8 {
        self.params
    }

    /// Number of registers; far below 65,536 when the optimiser asks.
    pub(crate) fn registers(&self) -> u16 {
        self.highest as u16
    }

    /// What the optimiser has left of the registers.
    pub(crate) fn set_registers(&mut self, count: u16) {
        self.highest = u32::from(count);
    }

    /// The module of the function.
    #[must_use]
    pub fn module(&self) -> ModuleId {
        self.module
    }

    /// Register of a parameter.
    #[must_use]
    pub fn param(&self, index: u8) -> Reg {
        Reg(u16::from(index))
    }

    /// A new register.
    pub fn fresh(&mut self) -> Reg {
        Reg(self.fresh_range(1).0)
    }

    /// `count` neighbouring new registers.
    pub fn fresh_range(&mut self, count: u16) -> Base {
        let first = self.next;
        self.next += u32::from(count);
        self.highest = self.highest.max(self.next);
        // An overflow is reported by `finish`, which looks at `highest`.
        Base(u16::try_from(first).unwrap_or(u16::MAX))
    }

    /// The present height of the register stack.
    #[must_use]
    pub fn mark(&self) -> u32 {
        self.next
    }

    /// Gives back all registers handed out since `mark`.
    pub fn release(&mut self, mark: u32) {
        self.next = mark.min(self.next);
    }

    /// Place of the instructions emitted from now on.
    pub fn at(&mut self, place: Option<Place>) {
        self.place = place;
    }

    /// The present place.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// Appends an instruction.
    pub fn emit(&mut self, op: Op) {
        self.code.push(op);
        self.places.push(self.place);
    }

    /// A new label, not yet bound.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        // Code far below 2^32 instructions: labels cannot overflow first.
        Label(self.labels.len() as u32 - 1)
    }

    /// Binds a label to the next instruction.
    pub fn bind(&mut self, label: Label) {
        let here = self.code.len() as u32;
        self.labels[label.0 as usize] = Some(here);
    }

    /// Emits a jump to a label.
    pub fn jump(&mut self, label: Label) {
        self.emit(Op::Jump {
            target: label.target(),
        });
    }

    /// True if the last instruction lets control go on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let here = self.code.len() as u32;
        self.code.last().is_none_or(|op| !op.ends_flow()) || self.labels.contains(&Some(here))
    }

    /// Copies a register, unless source and destination are the same.
    pub fn copy(&mut self, dst: Dst, src: Reg) {
        if dst.0 != src.0 {
            self.emit(Op::Move { dst, src });
        }
    }

    /// Optimises the code and resolves the labels.
    pub fn finish(mut self) -> Result<Function, BuildError> {
        let function = || self.name.to_string();
        if self.highest > 65_000 {
            return Err(BuildError::TooManyRegisters {
                function: function(),
            });
        }
        if self.is_open() {
            return Err(BuildError::OpenEnd {
                function: function(),
            });
        }
        let unbound = |op: &Op| {
            op.target()
                .is_some_and(|target| !self.labels.get(target.index()).is_some_and(Option::is_some))
        };
        if self.code.iter().any(unbound) {
            return Err(BuildError::UnboundLabel {
                function: function(),
            });
        }
        optimise::optimise(&mut self);
        let registers = self.registers();
        for op in &mut self.code {
            if let Some(target) = op.target_mut()
                && let Some(Some(position)) = self.labels.get(target.index())
            {
                *target = Target(*position);
            }
        }
        let mut lines: Vec<Line> = Vec::new();
        let mut last = None;
        for (index, place) in self.places.iter().enumerate() {
            if let Some(place) = place
                && last != Some(*place)
            {
                last = Some(*place);
                lines.push(Line {
                    start: index as u32,
                    file: place.file,
                    line: place.line,
                    column: place.column,
                    end_line: place.end_line,
                    end_column: place.end_column,
                });
            }
        }
        Ok(Function {
            name: self.name,
            module: self.module,
            params: self.params,
            captures: self.captures,
            registers,
            action: self.action,
            code: self.code,
            lines,
        })
    }
}

/// Builds a program: tables with interning, functions and modules that may be
/// referred to before they are defined.
#[derive(Clone, Debug, Default)]
pub struct ProgramBuilder {
    program: Program,
    functions: Vec<Option<Function>>,
    modules: Vec<Option<Module>>,
    constants: HashMap<ConstantKey, ConstId>,
    shapes: HashMap<Vec<ConstId>, ShapeId>,
    imports: HashMap<Box<str>, ImportId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ConstantKey {
    Int(i64),
    Float(u64),
    String(Box<str>),
    Case(Box<str>),
    Value(Box<[u8]>),
    Regex(Box<str>),
}

impl ProgramBuilder {
    /// An empty program.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Interns a constant.
    pub fn constant(&mut self, constant: Constant) -> ConstId {
        let key = match &constant {
            Constant::Int(number) => ConstantKey::Int(*number),
            Constant::Float(number) => ConstantKey::Float(number.to_bits()),
            Constant::String(text) => ConstantKey::String(text.clone()),
            Constant::Case(name) => ConstantKey::Case(name.clone()),
            Constant::Value(bytes) => ConstantKey::Value(bytes.clone()),
            Constant::Regex(pattern) => ConstantKey::Regex(pattern.clone()),
        };
        let constants = &mut self.program.constants;
        *self.constants.entry(key).or_insert_with(|| {
            constants.push(constant);
            ConstId(constants.len() as u32 - 1)
        })
    }

    /// Interns a string.
    pub fn string(&mut self, text: &str) -> ConstId {
        self.constant(Constant::String(text.into()))
    }

    /// Interns a list of keys, which must be strictly ascending by bytes.
    pub fn shape(&mut self, keys: &[&str]) -> ShapeId {
        let keys: Vec<ConstId> = keys.iter().map(|key| self.string(key)).collect();
        let shapes = &mut self.program.shapes;
        *self.shapes.entry(keys.clone()).or_insert_with(|| {
            shapes.push(keys);
            ShapeId(shapes.len() as u32 - 1)
        })
    }

    /// Adds an update path.
    pub fn path(&mut self, steps: Vec<PathStep>) -> PathId {
        PathId(intern(&mut self.program.paths, steps))
    }

    /// Adds an array pattern.
    pub fn pattern(&mut self, elements: Vec<PatternElement>) -> PatternId {
        PatternId(intern(&mut self.program.patterns, elements))
    }

    /// Adds a run-time type; its parts must have been added before.
    pub fn type_desc(&mut self, desc: TypeDesc) -> TypeId {
        TypeId(intern(&mut self.program.types, desc))
    }

    /// Adds a foreign function, or finds it again. Declared with another number of parameters it
    /// is another one, which the host may lack.
    pub fn import(&mut self, name: &str, params: u8) -> ImportId {
        let imports = &mut self.program.imports;
        let key = format!("{name} {params}");
        *self.imports.entry(key.into()).or_insert_with(|| {
            imports.push(Import {
                name: name.into(),
                params,
                used_by: Vec::new(),
                arms: Vec::new(),
            });
            ImportId(imports.len() as u32 - 1)
        })
    }

    /// A foreign function with replacements, which belong to the declaration with this number.
    pub fn import_for(&mut self, name: &str, params: u8, declaration: u64) -> ImportId {
        let imports = &mut self.program.imports;
        let key = format!("{name} for {declaration}");
        *self.imports.entry(key.into()).or_insert_with(|| {
            imports.push(Import {
                name: name.into(),
                params,
                used_by: Vec::new(),
                arms: Vec::new(),
            });
            ImportId(imports.len() as u32 - 1)
        })
    }

    /// Notes that `module` uses a foreign function.
    pub fn import_used_by(&mut self, import: ImportId, module: &str) {
        let used_by = &mut self.program.imports[import.index()].used_by;
        if !used_by.iter().any(|name| &**name == module) {
            used_by.push(module.into());
        }
    }

    /// Adds a replacement of a foreign function for an environment.
    pub fn import_arm(&mut self, import: ImportId, environment: &str, function: FuncId) {
        let arms = &mut self.program.imports[import.index()].arms;
        if !arms.iter().any(|(name, _)| &**name == environment) {
            arms.push((environment.into(), function));
        }
    }

    /// Reserves a function number.
    pub fn declare_function(&mut self) -> FuncId {
        self.functions.push(None);
        FuncId(self.functions.len() as u32 - 1)
    }

    /// Supplies a reserved function.
    pub fn define_function(&mut self, id: FuncId, function: Function) {
        self.functions[id.index()] = Some(function);
    }

    /// Adds a function.
    pub fn function(&mut self, function: Function) -> FuncId {
        let id = self.declare_function();
        self.define_function(id, function);
        id
    }

    /// Reserves a module number.
    pub fn declare_module(&mut self) -> ModuleId {
        self.modules.push(None);
        ModuleId(self.modules.len() as u32 - 1)
    }

    /// Supplies a reserved module.
    pub fn define_module(&mut self, id: ModuleId, module: Module) {
        self.modules[id.index()] = Some(module);
    }

    /// Names a module that the program is built for.
    pub fn entry(&mut self, module: ModuleId) {
        self.program.entries.push(module);
    }

    /// Says what a module is for; nothing if there is no text, and no more than is kept of it.
    pub fn describe(&mut self, module: ModuleId, text: &str) {
        if !text.is_empty() {
            let text = text[..text.floor_char_boundary(MAX_DESCRIPTION)].into();
            self.program.descriptions.push(Described { module, text });
        }
    }

    /// Sets the function that `mixer eval` runs.
    pub fn expression(&mut self, function: FuncId) {
        self.program.expression = Some(function);
    }

    /// The finished program.
    pub fn finish(mut self) -> Result<Program, BuildError> {
        self.program.functions = all_defined("function", self.functions)?;
        self.program.modules = all_defined("module", self.modules)?;
        Ok(self.program)
    }
}

fn intern<T: PartialEq>(table: &mut Vec<T>, entry: T) -> u32 {
    // Paths, patterns and types are few: a search costs less than hashing them.
    if let Some(index) = table.iter().position(|known| *known == entry) {
        return index as u32;
    }
    table.push(entry);
    table.len() as u32 - 1
}

fn all_defined<T>(what: &'static str, entries: Vec<Option<T>>) -> Result<Vec<T>, BuildError> {
    entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| entry.ok_or(BuildError::NotDefined { what, index }))
        .collect()
}
