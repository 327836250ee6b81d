//! The linker: numbers modules, functions and imports on demand and works until
//! nothing new is reached.

use super::function::{FunctionCode, Sort};
use super::module::{Bodies, has_place, shown_name};
use super::{Generated, Goal, PhraseGoal};
use crate::core::{self, ForeignFunction, Instancing, SlotKind};
use crate::documentation::doc_comment;
use crate::issue::{Code, Issue};
use crate::syntax::source::SourceMap;
use crate::syntax::span::Span;
use crate::tables::{HashMap, HashSet};
use mix_bytecode::library::{Export, Library};
use mix_bytecode::{
    Base, BuiltinId, ConstId, Dst, Externals, FuncId, FunctionBuilder, ImportId, ModuleId, Op,
    Place, ProgramBuilder, SlotId, builtins,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// A function that is numbered and waits for its code.
struct Task<'a> {
    id: FuncId,
    module: core::ModuleId,
    function: &'a core::Function,
    sort: Sort,
}

/// What the linker knows of a reached module.
pub(super) struct Linked {
    pub id: ModuleId,
    /// Slots of the instance by slots of the core module.
    pub slots: HashMap<core::SlotId, SlotId>,
    /// Core slots in the order of their numbers, parameters excluded.
    pub order: Vec<core::SlotId>,
    functions: HashMap<core::SlotId, FuncId>,
    actions: HashMap<u32, FuncId>,
}

/// Who supplies a foreign function, resolved.
#[derive(Debug, Clone, Copy)]
pub(super) enum Host {
    Builtin(BuiltinId),
    Import(ImportId),
}

pub(super) struct Linker<'a> {
    pub program: &'a core::Program,
    sources: &'a SourceMap,
    pub out: ProgramBuilder,
    linked: HashMap<core::ModuleId, Linked>,
    /// Reached modules in the order they were reached.
    reached: Vec<core::ModuleId>,
    tasks: VecDeque<Task<'a>>,
    bodies: HashMap<core::ModuleId, Bodies>,
    /// Replacements of imports that are known.
    arms: HashSet<(ImportId, Arc<str>)>,
    places: HashMap<Span, Option<Place>>,
    /// Cells whose right side is an action, by the number of the action.
    cells_of_actions: HashMap<core::ModuleId, HashMap<u32, core::SlotId>>,
    files: HashMap<Arc<str>, ConstId>,
    is_expression: bool,
    /// Values of slots that need not be computed, in wire form.
    pub known: HashMap<(core::ModuleId, core::SlotId), &'a [u8]>,
    pub issues: Vec<Issue>,
    /// Compiled libraries, in the order that core modules refer to.
    pub libraries: &'a [Library],
    pub externals: Externals,
    pub exports: Vec<Export>,
}

impl<'a> Linker<'a> {
    pub fn new(
        program: &'a core::Program,
        sources: &'a SourceMap,
        libraries: &'a [Library],
    ) -> Self {
        Linker {
            program,
            sources,
            out: ProgramBuilder::new(),
            linked: HashMap::default(),
            reached: Vec::new(),
            tasks: VecDeque::new(),
            bodies: HashMap::default(),
            arms: HashSet::default(),
            places: HashMap::default(),
            cells_of_actions: HashMap::default(),
            files: HashMap::default(),
            is_expression: false,
            known: HashMap::default(),
            issues: Vec::new(),
            libraries,
            externals: Externals::default(),
            exports: Vec::new(),
        }
    }

    pub fn run(mut self, goal: Goal<'a>) -> Result<Generated, Vec<Issue>> {
        match goal {
            Goal::Modules(names) => {
                for &entry in &self.program.entries {
                    let name = &self.program.module(entry).name;
                    if names.is_empty() || names.iter().any(|wanted| **wanted == **name) {
                        let id = self.module(entry).id;
                        self.out.entry(id);
                        let span = self.program.module(entry).span;
                        self.out.describe(id, &doc_comment(self.sources, span));
                    }
                }
            }
            Goal::Library => {
                for &entry in &self.program.entries {
                    let id = self.module(entry).id;
                    self.out.entry(id);
                    self.export(entry);
                }
            }
            Goal::Expression { module, name } => {
                self.is_expression = true;
                self.expression(module, name);
            }
            Goal::Phrase(goal) => {
                self.is_expression = true;
                self.phrase(goal);
            }
        }
        // Modules are completed when no code is left that could need more of them;
        // completing one may bring new code.
        let mut completed = 0;
        loop {
            if let Some(task) = self.tasks.pop_front() {
                self.compile(task);
            } else if completed < self.reached.len() {
                self.declare_bodies(self.reached[completed]);
                completed += 1;
            } else {
                break;
            }
        }
        for module in self.reached.clone() {
            self.define_module(module);
        }
        if !self.issues.is_empty() {
            return Err(self.issues);
        }
        self.use_libraries();
        let mut program = self.out.finish().map_err(|error| {
            vec![
                Issue::new(Code::CompilerInternal, Span::default())
                    .with("detail", error.to_string()),
            ]
        })?;
        program.externals = self.externals;
        Ok(Generated {
            program,
            exports: self.exports,
        })
    }

    fn expression(&mut self, module: &str, name: &str) {
        let program = self.program;
        let found = program
            .modules
            .iter()
            .position(|found| &*found.name == module);
        let Some(index) = found else {
            return self.internal(Span::default(), "the module of the expression is missing");
        };
        let id = core::ModuleId(index as u32);
        let Some(slot) = program.module(id).find(name) else {
            return self.internal(Span::default(), "the expression is missing");
        };
        let slot_entry = program.slot(id, slot);
        let has_instance = program.module(id).instancing != Instancing::Shared;
        let module = self.module(id).id;
        let function = match &slot_entry.kind {
            SlotKind::Value(body) if !has_instance => self.function(id, body, Sort::Plain),
            SlotKind::Value(_) | SlotKind::Function(_) => {
                // A body that gives the value of the def: its instance has it already, or
                // it is a function.
                let mut builder = FunctionBuilder::new("expression", module, 0, 0);
                let value = builder.fresh();
                let dst = Dst(value.0);
                builder.emit(match self.function_of(id, slot) {
                    Some(function) => Op::MakeClosure {
                        count: 0,
                        dst,
                        base: Base(value.0),
                        function,
                    },
                    None => Op::LoadSlot {
                        dst,
                        slot: self.slot(id, slot),
                    },
                });
                builder.emit(Op::Return { src: value });
                match builder.finish() {
                    Ok(function) => self.out.function(function),
                    Err(error) => return self.internal(slot_entry.span, error),
                }
            }
            _ => return self.internal(slot_entry.span, "the expression is no value"),
        };
        self.out.expression(function);
    }

    /// The program of a phrase (see [`PhraseGoal`]).
    fn phrase(&mut self, goal: &'a PhraseGoal) {
        let id = goal.module;
        for (slot, bytes) in &goal.known {
            self.known.insert((id, *slot), bytes);
        }
        let builtin = |name| builtins::find(name).map(|(id, _)| id);
        let (Some(print), Some(keep)) = (builtin("#session_print"), builtin("#session_keep"))
        else {
            return self.internal(Span::default(), "there are no builtins for sessions");
        };
        let module = self.module(id).id;
        let mut builder = FunctionBuilder::new("expression", module, 0, 0);
        let list = builder.fresh();
        let value = builder.fresh();
        let (dst, base) = (Dst(value.0), Base(value.0));
        builder.emit(Op::NewArray {
            dst: Dst(list.0),
            base,
            length: 0,
        });
        let wanted = std::iter::once((goal.result, print))
            .chain(goal.keep.iter().map(|slot| (Some(*slot), keep)));
        for (slot, builtin) in wanted {
            match slot {
                Some(slot) => {
                    let load = self.load_own(id, slot, dst);
                    builder.emit(load);
                    let count = 1;
                    builder.emit(Op::CallBuiltin {
                        count,
                        dst,
                        base,
                        builtin,
                    });
                }
                None => builder.emit(Op::LoadNull { dst }),
            }
            builder.emit(Op::ArrayPush {
                target: list,
                src: value,
            });
        }
        builder.emit(Op::Return { src: list });
        match builder.finish() {
            Ok(function) => {
                let function = self.out.function(function);
                self.out.expression(function);
            }
            Err(error) => self.internal(Span::default(), error),
        }
    }

    /// The instruction that loads the value behind a slot of the running module.
    fn load_own(&mut self, module: core::ModuleId, slot: core::SlotId, dst: Dst) -> Op {
        if let Some(function) = self.function_of(module, slot) {
            return Op::MakeClosure {
                count: 0,
                dst,
                base: Base(dst.0),
                function,
            };
        }
        let program = self.program;
        let is_cell = matches!(
            program.slot(module, slot).kind,
            SlotKind::Cell(_) | SlotKind::Alias(_)
        );
        let slot = self.slot(module, slot);
        match is_cell {
            true => Op::LoadCell { dst, slot },
            false => Op::LoadSlot { dst, slot },
        }
    }

    fn compile(&mut self, task: Task<'a>) {
        let module = self.module(task.module).id;
        let code = FunctionCode::new(
            self,
            task.module,
            (module, task.id),
            task.function,
            task.sort,
        );
        match code.generate() {
            Ok(function) => self.out.define_function(task.id, function),
            Err(error) => self.internal(task.function.span, error),
        }
    }

    /// Numbers a function and queues its translation.
    pub fn function(
        &mut self,
        module: core::ModuleId,
        function: &'a core::Function,
        sort: Sort,
    ) -> FuncId {
        let id = self.out.declare_function();
        self.tasks.push_back(Task {
            id,
            module,
            function,
            sort,
        });
        id
    }

    /// The reached module, numbered now if it was not.
    pub fn module(&mut self, module: core::ModuleId) -> &mut Linked {
        if !self.linked.contains_key(&module) {
            let id = self.out.declare_module();
            let external = self.program.module(module).external;
            let mut linked = Linked {
                id,
                slots: HashMap::default(),
                order: Vec::new(),
                functions: HashMap::default(),
                actions: HashMap::default(),
            };
            let core = self.program.module(module);
            for (index, param) in core.params.iter().enumerate() {
                if let Some(slot) = param.slot {
                    linked.slots.insert(slot, SlotId(index as u32));
                }
            }
            if let Some(library) = external {
                self.linked.insert(module, linked);
                self.external_module(module, id, library);
                return self.linked.get_mut(&module).expect("inserted just above");
            }
            // A library module without state keeps only the values that are used, and so
            // does everything an expression is evaluated with.
            if core.instancing != Instancing::Shared || !(core.library || self.is_expression) {
                for (index, slot) in core.slots.iter().enumerate() {
                    if has_place(&slot.kind) {
                        linked.place(core::SlotId(index as u32), core.params.len());
                    }
                }
            }
            self.linked.insert(module, linked);
            self.reached.push(module);
        }
        self.linked.get_mut(&module).expect("inserted just above")
    }

    /// The place of a param, import, value def or cell in instances of its module.
    pub fn slot(&mut self, module: core::ModuleId, slot: core::SlotId) -> SlotId {
        let program = self.program;
        if let Some(library) = program.module(module).external {
            self.module(module);
            return self.external_slot(module, slot, library);
        }
        let params = program.module(module).params.len();
        let id = self.module(module).place(slot, params);
        self.slot_body(module, slot);
        id
    }

    /// The number of the function a slot holds; `None` if it holds none.
    pub fn function_of(&mut self, module: core::ModuleId, slot: core::SlotId) -> Option<FuncId> {
        if let Some(id) = self.module(module).functions.get(&slot) {
            return Some(*id);
        }
        let program = self.program;
        let SlotKind::Function(function) = &program.slot(module, slot).kind else {
            return None;
        };
        if program.module(module).external.is_some() {
            let id = self.external_function(module, slot);
            self.module(module).functions.insert(slot, id);
            return Some(id);
        }
        let id = self.function(module, function, Sort::Plain);
        self.module(module).functions.insert(slot, id);
        Some(id)
    }

    /// The body of an action of a module.
    pub fn action(&mut self, module: core::ModuleId, number: u32) -> Option<FuncId> {
        if let Some(id) = self.module(module).actions.get(&number) {
            return Some(*id);
        }
        let program = self.program;
        let action = program.module(module).actions.get(number as usize)?;
        let id = self.function(module, &action.function, Sort::Action(number));
        self.module(module).actions.insert(number, id);
        Some(id)
    }

    /// The cell whose right side is exactly that action.
    pub fn cell_of_action(&mut self, module: core::ModuleId, number: u32) -> Option<core::SlotId> {
        let program = self.program;
        let cells = self.cells_of_actions.entry(module).or_insert_with(|| {
            let slots = program.module(module).slots.iter().enumerate();
            slots
                .filter_map(|(index, slot)| match &slot.kind {
                    SlotKind::Cell(cell) => Some((cell.action?, core::SlotId(index as u32))),
                    _ => None,
                })
                .collect()
        });
        cells.get(&number).copied()
    }

    /// Resolves a foreign function that code of `user` reaches.
    pub fn host(
        &mut self,
        owner: core::ModuleId,
        foreign: &'a ForeignFunction,
        user: core::ModuleId,
        span: Span,
    ) -> Option<Host> {
        match foreign.kind {
            core::ForeignKind::Builtin => {
                let Some((id, builtin)) = builtins::find(&foreign.host) else {
                    self.internal(span, format!("there is no builtin {}", foreign.host));
                    return None;
                };
                if u32::from(builtin.params) != foreign.arity {
                    self.internal(
                        span,
                        format!(
                            "builtin {} takes {} arguments, declared with {}",
                            foreign.host, builtin.params, foreign.arity
                        ),
                    );
                    return None;
                }
                Some(Host::Builtin(id))
            }
            core::ForeignKind::Import => {
                let Ok(params) = u8::try_from(wire_arity(foreign)) else {
                    self.limit("parameters of a foreign function", 255, span);
                    return None;
                };
                let program = self.program;
                // Replacements belong to a declaration, so its import is its own.
                let id = match foreign.arms.is_empty() {
                    true => self.out.import(&foreign.host, params),
                    false => {
                        let is_this = |slot: &core::Slot| match &slot.kind {
                            core::SlotKind::Foreign(other) => std::ptr::eq(other, foreign),
                            _ => false,
                        };
                        let slots = &program.module(owner).slots;
                        let slot = slots.iter().position(is_this).unwrap_or(slots.len());
                        let declaration = u64::from(owner.0) << 32 | slot as u64;
                        self.out.import_for(&foreign.host, params, declaration)
                    }
                };
                let name = shown_name(&program.module(user).name);
                self.out.import_used_by(id, name);
                for arm in &foreign.arms {
                    // A known arm is not added again, so its code is made once only.
                    if self.arms.insert((id, arm.environment.clone())) {
                        let body = self.function(owner, &arm.body, Sort::Plain);
                        self.out.import_arm(id, &arm.environment, body);
                    }
                }
                Some(Host::Import(id))
            }
        }
    }

    /// The numbered bodies of a module.
    pub fn bodies(&mut self, module: core::ModuleId) -> &mut Bodies {
        self.bodies.entry(module).or_default()
    }

    /// The place of a span in the line table.
    pub fn place(&mut self, span: Span) -> Option<Place> {
        if let Some(place) = self.places.get(&span) {
            return *place;
        }
        let location = self.sources.locate(span);
        let place = self.sources.get(span.source).map(|_| {
            let out = &mut self.out;
            let file = *self
                .files
                .entry(location.file.clone())
                .or_insert_with(|| out.string(&location.file));
            Place {
                file,
                line: location.start_line,
                column: location.start_column,
                end_line: location.end_line,
                end_column: location.end_column,
            }
        });
        self.places.insert(span, place);
        place
    }

    /// Reports that a limit of the executable format is exceeded.
    pub fn limit(&mut self, what: &str, limit: u32, span: Span) {
        self.issues.push(
            Issue::new(Code::SynLimit, span)
                .with("what", what)
                .with("limit", limit),
        );
    }

    /// Reports a defect of the compiler.
    pub fn internal(&mut self, span: Span, detail: impl ToString) {
        self.issues
            .push(Issue::new(Code::CompilerInternal, span).with("detail", detail));
    }
}

impl Linked {
    fn place(&mut self, slot: core::SlotId, params: usize) -> SlotId {
        if let Some(id) = self.slots.get(&slot) {
            return *id;
        }
        let id = SlotId((params + self.order.len()) as u32);
        self.order.push(slot);
        self.slots.insert(slot, id);
        id
    }
}

/// How many arguments cross the boundary: the dummy argument of `null -> T` does not.
pub(super) fn wire_arity(foreign: &ForeignFunction) -> u32 {
    match foreign.nullary {
        true => 0,
        false => foreign.arity,
    }
}
