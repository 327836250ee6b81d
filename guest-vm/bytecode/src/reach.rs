//! Which foreign functions a program can reach from one of its modules.
//!
//! Instructions name the functions and modules they lead to, so whatever runs on behalf of a module
//! is found by following these names: the slots, steps and observers of each module of which there
//! can be an instance, and the code of each function. Only an agent that is called by a text
//! (`#agent_call`) can be any module.

use std::collections::BTreeSet;

use crate::builtins;
use crate::operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, ModuleId, PathId, PatternId, Reg,
    ShapeId, SlotId, Target, TypeId, Visitor,
};
use crate::program::{Module, Program, SlotKind, Step};

/// The builtin by which a program runs a module that it names at run time.
const AGENT_CALL: &str = "#agent_call";

/// Steps that may be taken for all modules of a program: a bound for hostile ones.
const MOST_STEPS: usize = 4_000_000;

/// What the parts of a verified program lead to.
pub struct Reach<'a> {
    program: &'a Program,
    /// What each function names.
    functions: Vec<Named>,
    steps_left: usize,
}

/// What a function or a module names.
#[derive(Default)]
struct Named {
    functions: Vec<FuncId>,
    modules: Vec<ModuleId>,
    imports: Vec<ImportId>,
    /// It can begin any module.
    anything: bool,
}

impl<'a> Reach<'a> {
    /// Looks through the functions of a program.
    #[must_use]
    pub fn new(program: &'a Program) -> Reach<'a> {
        let functions = program.functions.iter().map(|function| {
            let mut named = Named::default();
            for op in &function.code {
                op.visit(&mut named);
            }
            named.modules.push(function.module);
            named.shorten();
            named
        });
        Reach {
            program,
            functions: functions.collect(),
            steps_left: MOST_STEPS,
        }
    }

    /// The foreign functions that can be called where a module runs; more than these, if that
    /// cannot be told.
    pub fn imports(&mut self, module: ModuleId) -> BTreeSet<ImportId> {
        self.follow(module).unwrap_or_else(|| {
            let count = self.program.imports.len();
            (0..).take(count).map(ImportId).collect()
        })
    }

    fn follow(&mut self, module: ModuleId) -> Option<BTreeSet<ImportId>> {
        let mut found = BTreeSet::new();
        let mut seen_functions = vec![false; self.program.functions.len()];
        let mut seen_modules = vec![false; self.program.modules.len()];
        let mut left = Named {
            modules: vec![module],
            ..Named::default()
        };
        self.steps_left = self
            .steps_left
            .checked_sub(seen_functions.len() + seen_modules.len())?;
        loop {
            if let Some(module) = left.modules.pop() {
                if !std::mem::replace(seen_modules.get_mut(module.index())?, true) {
                    left.functions
                        .extend(functions_of(&self.program.modules[module.index()]));
                }
            } else if let Some(function) = left.functions.pop() {
                if std::mem::replace(seen_functions.get_mut(function.index())?, true) {
                    continue;
                }
                let named = &self.functions[function.index()];
                if named.anything {
                    return None;
                }
                let names = named.functions.len() + named.modules.len() + named.imports.len();
                self.steps_left = self.steps_left.checked_sub(names)?;
                left.functions.extend(&named.functions);
                left.modules.extend(&named.modules);
                for import in &named.imports {
                    if found.insert(*import) {
                        let arms = &self.program.imports.get(import.index())?.arms;
                        left.functions.extend(arms.iter().map(|(_, arm)| *arm));
                    }
                }
            } else {
                return Some(found);
            }
        }
    }
}

/// The functions that an instance of a module has of its own.
fn functions_of(module: &Module) -> Vec<FuncId> {
    let mut all: Vec<FuncId> = module.initializer.into_iter().collect();
    for slot in &module.slots {
        match &slot.kind {
            SlotKind::Param => {}
            SlotKind::Value { init } => all.push(*init),
            SlotKind::Cell(cell) => all.extend([Some(cell.formula), cell.action].iter().flatten()),
        }
    }
    for step in &module.steps {
        match step {
            Step::Slot(_) => {}
            Step::Effect(function) => all.push(*function),
        }
    }
    for observer in &module.observers {
        all.extend([Some(observer.body), observer.guard].iter().flatten());
    }
    all
}

impl Named {
    fn shorten(&mut self) {
        self.functions.sort_unstable();
        self.functions.dedup();
        self.modules.sort_unstable();
        self.modules.dedup();
        self.imports.sort_unstable();
        self.imports.dedup();
    }
}

impl Visitor for Named {
    fn function(&mut self, _: &'static str, id: FuncId) {
        self.functions.push(id);
    }
    fn module(&mut self, _: &'static str, id: ModuleId) {
        self.modules.push(id);
    }
    fn import(&mut self, _: &'static str, id: ImportId) {
        self.imports.push(id);
    }
    fn builtin(&mut self, _: &'static str, id: BuiltinId) {
        // One that does not exist is refused by the verifier.
        self.anything |= builtins::get(id).is_none_or(|builtin| builtin.name == AGENT_CALL);
    }
    fn read(&mut self, _: &'static str, _: Reg) {}
    fn write(&mut self, _: &'static str, _: Dst) {}
    fn base(&mut self, _: &'static str, _: Base) {}
    fn constant(&mut self, _: &'static str, _: ConstId) {}
    fn shape(&mut self, _: &'static str, _: ShapeId) {}
    fn path(&mut self, _: &'static str, _: PathId) {}
    fn pattern(&mut self, _: &'static str, _: PatternId) {}
    fn type_id(&mut self, _: &'static str, _: TypeId) {}
    fn slot(&mut self, _: &'static str, _: SlotId) {}
    fn target(&mut self, _: &'static str, _: Target) {}
    fn capture(&mut self, _: &'static str, _: Capture) {}
    fn number(&mut self, _: &'static str, _: i64) {}
}
