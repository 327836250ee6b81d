//! Linking: a program and the libraries it was compiled against become one program.
//!
//! A program that uses libraries has *stubs* in its tables of modules and functions, entries
//! without content, and [`Externals`](crate::program::Externals) says what each stands for.
//! Linking copies the tables of all programs one after the other, and every number that means
//! a stub becomes the number of what it stands for. Slots keep their numbers: the compiler
//! took them from the very library that is linked, which its content hash makes sure of.

use std::collections::HashMap;

use thiserror::Error;

use crate::builder::ProgramBuilder;
use crate::library::{Library, LibraryId};
use crate::operand::{
    ConstId, FuncId, ImportId, ModuleId, PathId, PatternId, Relocation, ShapeId, TypeId,
};
use crate::program::{Function, Module, PathStep, Program, SlotKind, Step, TypeDesc};

/// Why a program cannot be linked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// A library is not there.
    #[error(
        "library {0} is missing; put its .mixlib beside the program, or build the program again with the library that is there"
    )]
    Missing(LibraryId),
    /// Built with different standard libraries.
    #[error(
        "library {0} was built with another standard library than the program; build both again"
    )]
    StandardLibrary(LibraryId),
    /// A number in one of the programs refers to nothing.
    #[error("{place}: {problem}")]
    Malformed {
        /// Which program.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Links a program with the libraries it uses, directly or through other libraries.
pub fn link(program: Program, available: &[Library]) -> Result<Program, LinkError> {
    if program.externals.libraries.is_empty() {
        return Ok(program);
    }
    let mut used: Vec<&Library> = Vec::new();
    let mut wanted: Vec<&LibraryId> = program.externals.libraries.iter().collect();
    while let Some(id) = wanted.pop() {
        if used.iter().any(|library| library.id == *id) {
            continue;
        }
        let library = available
            .iter()
            .find(|library| library.id == *id)
            .ok_or_else(|| LinkError::Missing(id.clone()))?;
        if library.standard_library != program.externals.standard_library {
            return Err(LinkError::StandardLibrary(id.clone()));
        }
        wanted.extend(&library.program.externals.libraries);
        used.push(library);
    }
    let mut out = ProgramBuilder::new();
    // The program comes first: its modules win where names are looked up.
    let programs: Vec<(&Program, String)> = std::iter::once((&program, "the program".to_owned()))
        .chain(
            used.iter()
                .map(|library| (&library.program, library.id.to_string())),
        )
        .collect();
    let numbers: Vec<Numbers> = programs
        .iter()
        .map(|(program, _)| Numbers::declare(program, &mut out))
        .collect();
    for (index, (program, place)) in programs.iter().enumerate() {
        let copied = resolved(index, program, &used, &numbers).and_then(|known| {
            Copy {
                from: program,
                known,
                out: &mut out,
                serial: index,
            }
            .run()
        });
        copied.map_err(|problem| LinkError::Malformed {
            place: place.clone(),
            problem,
        })?;
    }
    let [main, ..] = &numbers[..] else {
        return Ok(program);
    };
    for entry in &program.entries {
        out.entry(main.modules[entry.index()].unwrap_or(*entry));
    }
    for described in &program.descriptions {
        let module = main.modules.get(described.module.index());
        if let Some(Some(module)) = module {
            out.describe(*module, &described.text);
        }
    }
    if let Some(expression) = program.expression
        && let Some(Some(expression)) = main.functions.get(expression.index())
    {
        out.expression(*expression);
    }
    out.finish().map_err(|error| LinkError::Malformed {
        place: "the linked program".into(),
        problem: error.to_string(),
    })
}

/// New numbers of the modules and functions of one program; none for stubs.
#[derive(Clone)]
struct Numbers {
    modules: Vec<Option<ModuleId>>,
    functions: Vec<Option<FuncId>>,
}

impl Numbers {
    fn declare(program: &Program, out: &mut ProgramBuilder) -> Numbers {
        let stubs = &program.externals;
        let mut modules: Vec<Option<ModuleId>> = vec![Some(ModuleId(0)); program.modules.len()];
        let mut functions: Vec<Option<FuncId>> = vec![Some(FuncId(0)); program.functions.len()];
        for stub in &stubs.modules {
            if let Some(number) = modules.get_mut(stub.module.index()) {
                *number = None;
            }
        }
        for stub in &stubs.functions {
            if let Some(number) = functions.get_mut(stub.function.index()) {
                *number = None;
            }
        }
        for number in modules.iter_mut().flatten() {
            *number = out.declare_module();
        }
        for number in functions.iter_mut().flatten() {
            *number = out.declare_function();
        }
        Numbers { modules, functions }
    }
}

/// The numbers of one program with those of what its stubs stand for.
fn resolved(
    index: usize,
    program: &Program,
    used: &[&Library],
    numbers: &[Numbers],
) -> Result<Numbers, String> {
    let mut known = numbers[index].clone();
    let mut home: HashMap<ModuleId, (usize, ModuleId)> = HashMap::new();
    for stub in &program.externals.modules {
        let found = program
            .externals
            .libraries
            .get(stub.library as usize)
            .and_then(|id| used.iter().position(|library| library.id == *id))
            .and_then(|at| Some((at, used[at].module(&stub.name)?)));
        let (at, module) = found.ok_or_else(|| format!("there is no module {}", stub.name))?;
        home.insert(stub.module, (at, module));
        let number = numbers[at + 1]
            .modules
            .get(module.index())
            .copied()
            .flatten();
        match known.modules.get_mut(stub.module.index()) {
            Some(place) if number.is_some() => *place = number,
            _ => return Err(format!("bad stub of module {}", stub.name)),
        }
    }
    for stub in &program.externals.functions {
        let number = home.get(&stub.module).and_then(|(at, module)| {
            let function = used[*at].function(*module, &stub.name)?;
            numbers[at + 1]
                .functions
                .get(function.index())
                .copied()
                .flatten()
        });
        match known.functions.get_mut(stub.function.index()) {
            Some(place) if number.is_some() => *place = number,
            _ => return Err(format!("there is no function {}", stub.name)),
        }
    }
    Ok(known)
}

/// Copies the tables of one program.
struct Copy<'a> {
    from: &'a Program,
    known: Numbers,
    out: &'a mut ProgramBuilder,
    /// Distinguishes imports of the same name with replacements of their own.
    serial: usize,
}

/// New numbers by old ones.
struct Tables {
    known: Numbers,
    constants: Vec<ConstId>,
    shapes: Vec<ShapeId>,
    paths: Vec<PathId>,
    patterns: Vec<PatternId>,
    types: Vec<TypeId>,
    imports: Vec<ImportId>,
    /// A number that refers to nothing was met.
    broken: std::cell::Cell<Option<&'static str>>,
}

impl Copy<'_> {
    fn run(self) -> Result<(), String> {
        let (from, out) = (self.from, self.out);
        let mut tables = Tables {
            known: self.known,
            constants: from
                .constants
                .iter()
                .map(|constant| out.constant(constant.clone()))
                .collect(),
            shapes: Vec::new(),
            paths: Vec::new(),
            patterns: Vec::new(),
            types: Vec::new(),
            imports: Vec::new(),
            broken: std::cell::Cell::new(None),
        };
        for keys in &from.shapes {
            let names: Option<Vec<&str>> = keys.iter().map(|key| from.string(*key)).collect();
            let names = names.ok_or("a list of keys names a constant that is no string")?;
            tables.shapes.push(out.shape(&names));
        }
        for steps in &from.paths {
            let mut steps = steps.clone();
            for step in &mut steps {
                if let PathStep::Field(key) = step {
                    tables.constant(key);
                }
            }
            tables.paths.push(out.path(steps));
        }
        for elements in &from.patterns {
            tables.patterns.push(out.pattern(elements.clone()));
        }
        for desc in &from.types {
            let desc = tables.desc(desc.clone());
            tables.types.push(out.type_desc(desc));
        }
        for (index, import) in from.imports.iter().enumerate() {
            let id = match import.arms.is_empty() {
                true => out.import(&import.name, import.params),
                false => {
                    let serial = (self.serial as u64) << 32 | index as u64;
                    out.import_for(&import.name, import.params, serial)
                }
            };
            tables.imports.push(id);
            for user in &import.used_by {
                out.import_used_by(id, user);
            }
            for (environment, function) in &import.arms {
                let mut function = *function;
                tables.function(&mut function);
                out.import_arm(id, environment, function);
            }
        }
        for (module, number) in from.modules.iter().zip(tables.known.modules.clone()) {
            // A stub has the number of another program's module, which that program defines.
            if let Some(number) = number.filter(|_| !is_stub_module(from, module)) {
                out.define_module(number, tables.copy_module(module.clone()));
            }
        }
        for (index, function) in from.functions.iter().enumerate() {
            let stub = from
                .externals
                .functions
                .iter()
                .any(|stub| stub.function.index() == index);
            if let Some(number) = tables.known.functions[index].filter(|_| !stub) {
                out.define_function(number, tables.copy_function(function.clone()));
            }
        }
        match tables.broken.get() {
            Some(what) => Err(format!("a {what} does not exist")),
            None => Ok(()),
        }
    }
}

fn is_stub_module(program: &Program, module: &Module) -> bool {
    program.externals.modules.iter().any(|stub| {
        program
            .modules
            .get(stub.module.index())
            .is_some_and(|other| std::ptr::eq(other, module))
    })
}

impl Tables {
    fn renumber<T: std::marker::Copy>(&self, number: Option<T>, what: &'static str, place: &mut T) {
        match number {
            Some(number) => *place = number,
            None => self.broken.set(Some(what)),
        }
    }

    fn desc(&self, mut desc: TypeDesc) -> TypeDesc {
        match &mut desc {
            TypeDesc::Array(part) | TypeDesc::Map(part) => self.type_id(part),
            TypeDesc::Tuple(parts) | TypeDesc::Union(parts) => {
                parts.iter_mut().for_each(|part| self.type_id(part));
            }
            TypeDesc::Record(fields) => {
                for (key, field) in fields {
                    self.constant(key);
                    self.type_id(field);
                }
            }
            TypeDesc::Case(name, argument) => {
                self.constant(name);
                if let Some(argument) = argument {
                    self.type_id(argument);
                }
            }
            _ => {}
        }
        desc
    }

    fn copy_module(&self, mut module: Module) -> Module {
        for param in &mut module.params {
            if let Some(type_id) = &mut param.type_id {
                self.type_id(type_id);
            }
        }
        for slot in &mut module.slots {
            match &mut slot.kind {
                SlotKind::Param => {}
                SlotKind::Value { init } => self.function(init),
                SlotKind::Cell(cell) => {
                    self.function(&mut cell.formula);
                    if let Some(action) = &mut cell.action {
                        self.function(action);
                    }
                    if let Some(input) = &mut cell.input {
                        self.type_id(input);
                    }
                }
            }
        }
        for step in &mut module.steps {
            if let Step::Effect(function) = step {
                self.function(function);
            }
        }
        for observer in &mut module.observers {
            if let Some(guard) = &mut observer.guard {
                self.function(guard);
            }
            self.function(&mut observer.body);
        }
        if let Some(initializer) = &mut module.initializer {
            self.function(initializer);
        }
        module
    }

    fn copy_function(&self, mut function: Function) -> Function {
        self.module(&mut function.module);
        for op in &mut function.code {
            op.relocate(self);
        }
        for line in &mut function.lines {
            self.constant(&mut line.file);
        }
        function
    }
}

impl Relocation for Tables {
    fn constant(&self, id: &mut ConstId) {
        self.renumber(self.constants.get(id.index()).copied(), "constant", id);
    }
    fn function(&self, id: &mut FuncId) {
        let number = self.known.functions.get(id.index()).copied().flatten();
        self.renumber(number, "function", id);
    }
    fn module(&self, id: &mut ModuleId) {
        let number = self.known.modules.get(id.index()).copied().flatten();
        self.renumber(number, "module", id);
    }
    fn import(&self, id: &mut ImportId) {
        self.renumber(
            self.imports.get(id.index()).copied(),
            "foreign function",
            id,
        );
    }
    fn shape(&self, id: &mut ShapeId) {
        self.renumber(self.shapes.get(id.index()).copied(), "list of keys", id);
    }
    fn path(&self, id: &mut PathId) {
        self.renumber(self.paths.get(id.index()).copied(), "path", id);
    }
    fn pattern(&self, id: &mut PatternId) {
        self.renumber(self.patterns.get(id.index()).copied(), "pattern", id);
    }
    fn type_id(&self, id: &mut TypeId) {
        self.renumber(self.types.get(id.index()).copied(), "type", id);
    }
}
