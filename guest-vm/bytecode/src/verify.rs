//! Checks a decoded program completely before anything of it runs.
//!
//! After [`verify`] succeeded, every number in the program refers to an entry
//! of the right sort, every register lies in the window of its function, every
//! jump hits an instruction, control never leaves the code of a function, and
//! guarded regions nest. Values are still checked when an instruction runs.

use thiserror::Error;

use crate::builtins;
use crate::op::Op;
use crate::operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, ModuleId, PathId, PatternId, Reg,
    ShapeId, SlotId, Target, TypeId, Visitor,
};
use crate::program::{
    Constant, Function, MAX_DESCRIPTION, Module, ModuleKind, PathStep, PatternElement, Program,
    SlotKind, Step, TypeDesc,
};

/// Most registers of one function.
pub const MAX_REGISTERS: u16 = 65_000;

/// Deepest nesting of a run-time type.
pub const MAX_TYPE_DEPTH: u32 = 64;

/// Longest name of a case, in bytes.
pub const MAX_CASE_NAME: usize = 256;

/// What is wrong with a program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct VerifyError {
    /// Table entry or instruction, for instance `function 3, instruction 7 (call)`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

type Check = Result<(), String>;

/// Checks a program.
pub fn verify(program: &Program) -> Result<(), VerifyError> {
    let at = |place: String| move |problem: String| VerifyError { place, problem };
    if let Some(library) = program.externals.libraries.first() {
        let problem = format!("the program is not linked with library {library} yet");
        return Err(at("externals".into())(problem));
    }
    // First of all, because every other check looks at the modules of functions.
    for (index, entry) in program.functions.iter().enumerate() {
        exists(entry.module.index(), program.modules.len(), "module")
            .map_err(at(format!("function {index} ({})", entry.name)))?;
    }
    for (index, constant) in program.constants.iter().enumerate() {
        if let Constant::Case(name) = constant {
            case_name(name).map_err(at(format!("constant {index}")))?;
        }
    }
    for (index, keys) in program.shapes.iter().enumerate() {
        shape(program, keys).map_err(at(format!("shape {index}")))?;
    }
    for (index, steps) in program.paths.iter().enumerate() {
        path(program, steps).map_err(at(format!("path {index}")))?;
    }
    for (index, elements) in program.patterns.iter().enumerate() {
        let multiple = elements
            .iter()
            .filter(|e| **e == PatternElement::Multiple)
            .count();
        if multiple > 1 {
            return Err(at(format!("pattern {index}"))("has two rests".into()));
        }
    }
    types(program)?;
    for (index, import) in program.imports.iter().enumerate() {
        for (_, function) in &import.arms {
            body_function(program, *function)
                .map(|_| ())
                .map_err(at(format!("import {index} ({})", import.name)))?;
        }
    }
    for (index, entry) in program.modules.iter().enumerate() {
        module(program, index, entry).map_err(at(format!("module {index} ({})", entry.name)))?;
    }
    for entry in &program.entries {
        exists(entry.index(), program.modules.len(), "module").map_err(at("entries".into()))?;
    }
    for described in &program.descriptions {
        exists(described.module.index(), program.modules.len(), "module")
            .map_err(at("descriptions".into()))?;
        if described.text.len() > MAX_DESCRIPTION {
            let length = described.text.len();
            let problem = format!("a text of {length} bytes, more than {MAX_DESCRIPTION}");
            return Err(at("descriptions".into())(problem));
        }
    }
    if let Some(expression) = program.expression {
        let home = program
            .functions
            .get(expression.index())
            .map(|f| f.module.index());
        plain_function(program, expression, home).map_err(at("expression".into()))?;
        if home
            .and_then(|home| program.modules.get(home))
            .is_none_or(|m| !m.params.is_empty())
        {
            return Err(at("expression".into())("its module has parameters".into()));
        }
    }
    for (index, entry) in program.functions.iter().enumerate() {
        function(program, index, entry)?;
    }
    Ok(())
}

fn exists(index: usize, length: usize, what: &str) -> Check {
    if index < length {
        Ok(())
    } else {
        Err(format!("there is no {what} {index}"))
    }
}

fn string(program: &Program, id: ConstId) -> Result<&str, String> {
    match program.constants.get(id.index()) {
        Some(Constant::String(text)) => Ok(text),
        Some(_) => Err(format!("constant {} is not a string", id.0)),
        None => Err(format!("there is no constant {}", id.0)),
    }
}

fn case_name(name: &str) -> Check {
    let mut chars = name.chars();
    let first = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$');
    let rest = chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$'));
    if first && rest && name.len() <= MAX_CASE_NAME {
        Ok(())
    } else {
        Err("bad case name".into())
    }
}

fn shape(program: &Program, keys: &[ConstId]) -> Check {
    let mut last: Option<&str> = None;
    for key in keys {
        let key = string(program, *key)?;
        if last.is_some_and(|last| last >= key) {
            return Err("keys are not strictly ascending".into());
        }
        last = Some(key);
    }
    Ok(())
}

fn path(program: &Program, steps: &[PathStep]) -> Check {
    if steps.is_empty() {
        return Err("is empty".into());
    }
    for step in steps {
        if let PathStep::Field(key) = step {
            string(program, *key)?;
        }
    }
    Ok(())
}

fn types(program: &Program) -> Result<(), VerifyError> {
    let mut depths: Vec<u32> = Vec::with_capacity(program.types.len());
    for (index, desc) in program.types.iter().enumerate() {
        let mut depth = 0;
        let mut part = |id: &TypeId| {
            let known = depths
                .get(id.index())
                .ok_or_else(|| format!("refers to type {}, which is not before it", id.0))?;
            depth = depth.max(known + 1);
            Ok::<(), String>(())
        };
        let check = match desc {
            TypeDesc::Array(element) | TypeDesc::Map(element) => part(element),
            TypeDesc::Tuple(elements) | TypeDesc::Union(elements) => {
                elements.iter().try_for_each(part)
            }
            TypeDesc::Record(fields) => fields.iter().try_for_each(|(key, field)| {
                string(program, *key)?;
                part(field)
            }),
            TypeDesc::Case(name, argument) => string(program, *name)
                .and_then(case_name)
                .and_then(|()| argument.iter().try_for_each(part)),
            _ => Ok(()),
        };
        let check = check.and_then(|()| {
            if depth > MAX_TYPE_DEPTH {
                Err("is nested too deeply".into())
            } else {
                Ok(())
            }
        });
        check.map_err(|problem| VerifyError {
            place: format!("type {index}"),
            problem,
        })?;
        depths.push(depth);
    }
    Ok(())
}

/// A function without parameters and captures, of `module` if given.
/// A function without parameters and captures.
fn body_function(program: &Program, id: FuncId) -> Result<&Function, String> {
    let Some(function) = program.functions.get(id.index()) else {
        return Err(format!("there is no function {}", id.0));
    };
    if function.params != 0 || function.captures != 0 {
        return Err(format!(
            "function {} must have no parameters and captures",
            id.0
        ));
    }
    Ok(function)
}

fn plain_function(program: &Program, id: FuncId, module: Option<usize>) -> Check {
    let function = body_function(program, id)?;
    match module {
        Some(module) if function.module.index() != module => {
            Err(format!("function {} belongs to another module", id.0))
        }
        None if program.modules.get(function.module.index()).map(|m| m.kind)
            != Some(ModuleKind::Stateless) =>
        {
            Err(format!(
                "function {} does not belong to a stateless module",
                id.0
            ))
        }
        _ => Ok(()),
    }
}

fn module(program: &Program, index: usize, module: &Module) -> Check {
    let cell = |slot: &SlotId| match module.slots.get(slot.index()).map(|slot| &slot.kind) {
        Some(SlotKind::Cell(_)) => Ok(()),
        _ => Err(format!("slot {} is no cell", slot.0)),
    };
    for (position, slot) in module.slots.iter().enumerate() {
        let is_param = matches!(slot.kind, SlotKind::Param);
        if is_param != (position < module.params.len()) {
            return Err(format!("slot {position}: parameters must come first"));
        }
        match &slot.kind {
            SlotKind::Param => {}
            SlotKind::Value { init } => plain_function(program, *init, Some(index))?,
            SlotKind::Cell(entry) => {
                plain_function(program, entry.formula, Some(index))?;
                entry.dependencies.iter().try_for_each(cell)?;
                if entry.events > 3 {
                    return Err(format!("slot {position}: unknown events"));
                }
                if let Some(input) = entry.input {
                    exists(input.index(), program.types.len(), "type")?;
                }
                if let Some(action) = entry.action {
                    let function = program.functions.get(action.index());
                    let fits = function.is_some_and(|function| {
                        function.module.index() == index
                            && function.params == 1
                            && function.captures == 0
                            && function.action.is_some()
                    });
                    if !fits {
                        return Err(format!("slot {position}: bad action"));
                    }
                }
            }
        }
    }
    if module.slots.len() < module.params.len() {
        return Err("parameters have no slots".into());
    }
    if module.params.len() > 255 {
        return Err("too many parameters".into());
    }
    for param in &module.params {
        if let Some(id) = param.type_id {
            exists(id.index(), program.types.len(), "type")?;
        }
    }
    if module.kind != ModuleKind::Instance && !module.params.is_empty() {
        return Err("a module with one instance has no parameters".into());
    }
    let has_cells = module
        .slots
        .iter()
        .any(|slot| matches!(slot.kind, SlotKind::Cell(_)));
    let stateful = has_cells || !module.observers.is_empty() || module.initializer.is_some();
    if module.kind == ModuleKind::Stateless && stateful {
        return Err("a stateless module has no cells".into());
    }
    for step in &module.steps {
        match step {
            Step::Slot(slot) => exists(slot.index(), module.slots.len(), "slot")?,
            Step::Effect(function) => plain_function(program, *function, Some(index))?,
        }
    }
    for observer in &module.observers {
        observer.watched.iter().try_for_each(cell)?;
        if let Some(guard) = observer.guard {
            plain_function(program, guard, Some(index))?;
        }
        plain_function(program, observer.body, Some(index))?;
    }
    match module.initializer {
        Some(initializer) => plain_function(program, initializer, Some(index)),
        None => Ok(()),
    }
}

fn function(program: &Program, index: usize, function: &Function) -> Result<(), VerifyError> {
    let whole = |problem: &str| VerifyError {
        place: format!("function {index} ({})", function.name),
        problem: problem.into(),
    };
    if function.registers > MAX_REGISTERS || u16::from(function.params) > function.registers {
        return Err(whole("bad number of registers"));
    }
    if !function.code.last().is_some_and(Op::ends_flow) {
        return Err(whole("control leaves its end"));
    }
    if u32::try_from(function.code.len()).is_err() {
        return Err(whole("is too long"));
    }
    if function.action.is_some() && function.params != 1 {
        return Err(whole("an action has one parameter"));
    }
    for line in &function.lines {
        string(program, line.file).map_err(|problem| whole(&problem))?;
    }
    let at = |position: usize, problem: String| VerifyError {
        place: format!(
            "function {index} ({}), instruction {position} ({})",
            function.name,
            function.code[position].mnemonic()
        ),
        problem,
    };
    for (position, op) in function.code.iter().enumerate() {
        let mut operands = Operands {
            program,
            function,
            problem: None,
        };
        op.visit(&mut operands);
        let check = match operands.problem {
            Some(problem) => Err(problem),
            None => instruction(program, function, op),
        };
        check.map_err(|problem| at(position, problem))?;
    }
    regions(function).map_err(|(position, problem)| at(position, problem))
}

/// Checks each operand by itself.
struct Operands<'a> {
    program: &'a Program,
    function: &'a Function,
    problem: Option<String>,
}

impl Operands<'_> {
    fn check(&mut self, check: Check) {
        if let Err(problem) = check {
            self.problem.get_or_insert(problem);
        }
    }
    fn register(&mut self, index: u16) {
        let registers = self.function.registers;
        self.check(exists(
            usize::from(index),
            usize::from(registers),
            "register",
        ));
    }
}

impl Visitor for Operands<'_> {
    fn read(&mut self, _: &'static str, reg: Reg) {
        self.register(reg.0);
    }
    fn write(&mut self, _: &'static str, reg: Dst) {
        self.register(reg.0);
    }
    fn base(&mut self, _: &'static str, _: Base) {
        // Checked together with its length.
    }
    fn constant(&mut self, field: &'static str, id: ConstId) {
        // Only `const` loads any constant; all others name a string.
        let check = if field == "value" {
            exists(id.index(), self.program.constants.len(), "constant")
        } else {
            string(self.program, id).map(|_| ())
        };
        self.check(check);
    }
    fn function(&mut self, _: &'static str, id: FuncId) {
        self.check(exists(id.index(), self.program.functions.len(), "function"));
    }
    fn module(&mut self, _: &'static str, id: ModuleId) {
        self.check(exists(id.index(), self.program.modules.len(), "module"));
    }
    fn import(&mut self, _: &'static str, id: ImportId) {
        self.check(exists(id.index(), self.program.imports.len(), "import"));
    }
    fn builtin(&mut self, _: &'static str, id: BuiltinId) {
        self.check(exists(id.index(), builtins::BUILTINS.len(), "builtin"));
    }
    fn shape(&mut self, _: &'static str, id: ShapeId) {
        self.check(exists(id.index(), self.program.shapes.len(), "shape"));
    }
    fn path(&mut self, _: &'static str, id: PathId) {
        self.check(exists(id.index(), self.program.paths.len(), "path"));
    }
    fn pattern(&mut self, _: &'static str, id: PatternId) {
        self.check(exists(id.index(), self.program.patterns.len(), "pattern"));
    }
    fn type_id(&mut self, _: &'static str, id: TypeId) {
        self.check(exists(id.index(), self.program.types.len(), "type"));
    }
    fn slot(&mut self, _: &'static str, _: SlotId) {
        // Checked with the module that it belongs to.
    }
    fn target(&mut self, _: &'static str, target: Target) {
        self.check(exists(
            target.index(),
            self.function.code.len(),
            "instruction",
        ));
    }
    fn capture(&mut self, _: &'static str, capture: Capture) {
        let captures = usize::from(self.function.captures);
        self.check(exists(capture.index(), captures, "captured value"));
    }
    fn number(&mut self, _: &'static str, _: i64) {}
}

/// Checks how the operands of one instruction fit together. All numbers of
/// tables are known to be good.
fn instruction(program: &Program, function: &Function, op: &Op) -> Check {
    if let Some(range) = op.range() {
        let end = u32::from(range.base) + u32::from(range.count);
        if end > u32::from(function.registers) {
            return Err("registers end before the range".into());
        }
    }
    let callee = |id: FuncId| &program.functions[id.index()];
    let owner = |id: FuncId| program.modules[callee(id).module.index()].kind;
    let own_slots = &program.modules[function.module.index()].slots;
    let arity = |expected: u8, count: u8| {
        if expected == count {
            Ok(())
        } else {
            Err(format!("{expected} arguments are needed, {count} given"))
        }
    };
    let direct = |id: FuncId, count: u8| {
        if callee(id).captures != 0 {
            return Err("the function captures values".into());
        }
        arity(callee(id).params, count)
    };
    match *op {
        Op::Call {
            count,
            function: id,
            ..
        }
        | Op::TailCall {
            count,
            function: id,
            ..
        } => {
            if callee(id).module != function.module {
                return Err("the function belongs to another module".into());
            }
            direct(id, count)
        }
        Op::CallStatic {
            count,
            function: id,
            ..
        }
        | Op::TailCallStatic {
            count,
            function: id,
            ..
        } => {
            if owner(id) != ModuleKind::Stateless {
                return Err("the function does not belong to a stateless module".into());
            }
            direct(id, count)
        }
        Op::CallSubInt {
            own,
            count,
            function: id,
            ..
        } => {
            if own && callee(id).module != function.module {
                return Err("the function belongs to another module".into());
            }
            if !own && owner(id) != ModuleKind::Stateless {
                return Err("the function does not belong to a stateless module".into());
            }
            if callee(id).params == 0 || callee(id).captures != 0 {
                return Err("the function takes no such argument".into());
            }
            arity(callee(id).params - 1, count)
        }
        Op::CallMember {
            count,
            function: id,
            ..
        }
        | Op::TailCallMember {
            count,
            function: id,
            ..
        } => direct(id, count),
        Op::MakeMember { function: id, .. } => direct(id, callee(id).params),
        Op::Apply { count, .. } | Op::TailApply { count, .. } => {
            if count == 0 {
                Err("no arguments".into())
            } else {
                Ok(())
            }
        }
        Op::CallBuiltin { count, builtin, .. } => {
            arity(builtins::BUILTINS[builtin.index()].params, count)
        }
        Op::CallForeign { count, import, .. } => {
            arity(program.imports[import.index()].params, count)
        }
        Op::MakeForeign { import, .. } => {
            let arms = &program.imports[import.index()].arms;
            let own = |id: FuncId| {
                owner(id) == ModuleKind::Stateless || callee(id).module == function.module
            };
            if arms.iter().all(|(_, id)| own(*id)) {
                Ok(())
            } else {
                Err("a replacement belongs to instances of another module".into())
            }
        }
        Op::MakeClosure {
            count,
            function: id,
            ..
        } => {
            let near = callee(id).module == function.module || owner(id) == ModuleKind::Stateless;
            if !near {
                return Err("the function belongs to another module".into());
            }
            if callee(id).params == 0 {
                return Err("a function value needs a parameter".into());
            }
            arity(callee(id).captures, count)
        }
        Op::MakeAction {
            count,
            function: id,
            ..
        } => {
            if callee(id).module != function.module || callee(id).action.is_none() {
                return Err("the function is no action of this module".into());
            }
            arity(callee(id).captures, count)
        }
        Op::NewMap { count, shape, .. } => {
            if program.shapes[shape.index()].len() == usize::from(count) {
                Ok(())
            } else {
                Err("the key list has another length".into())
            }
        }
        Op::Update { count, path, .. } => {
            let wanted = program.paths[path.index()]
                .iter()
                .filter(|step| matches!(step, PathStep::Key | PathStep::Index))
                .count();
            if wanted == usize::from(count) {
                Ok(())
            } else {
                Err(format!("the path needs {wanted} registers"))
            }
        }
        Op::Destructure { count, pattern, .. } => {
            if program.patterns[pattern.index()].len() == usize::from(count) {
                Ok(())
            } else {
                Err("the pattern has another length".into())
            }
        }
        Op::NewCase { name, .. } => case_name(string(program, name)?),
        Op::MakeConstructor { name, .. } => case_name(string(program, name)?),
        Op::NewInstance { count, module, .. } => {
            let module = &program.modules[module.index()];
            if module.kind != ModuleKind::Instance {
                return Err("the module has one instance only".into());
            }
            if module.params.len() == usize::from(count) {
                Ok(())
            } else {
                Err("wrong number of parameters".into())
            }
        }
        Op::MakeModule { module, .. } => {
            let module = &program.modules[module.index()];
            if module.kind == ModuleKind::Instance && !module.params.is_empty() {
                Ok(())
            } else {
                Err("the module takes no parameters".into())
            }
        }
        Op::StaticInstance { module, .. } => match program.modules[module.index()].kind {
            ModuleKind::Static | ModuleKind::Stateless => Ok(()),
            ModuleKind::Instance => Err("the module has no single instance".into()),
        },
        Op::LoadSlot { slot, .. } => match own_slots.get(slot.index()).map(|slot| &slot.kind) {
            Some(SlotKind::Param | SlotKind::Value { .. }) => Ok(()),
            _ => Err(format!("slot {} holds no value", slot.0)),
        },
        Op::LoadStatic { module, slot, .. } => {
            let module = &program.modules[module.index()];
            match module.slots.get(slot.index()).map(|slot| &slot.kind) {
                Some(SlotKind::Value { .. }) if module.kind == ModuleKind::Stateless => Ok(()),
                _ => Err(format!("slot {} is not of a stateless module", slot.0)),
            }
        }
        Op::LoadCell { slot, .. } | Op::LoadLink { slot, .. } => {
            match own_slots.get(slot.index()).map(|slot| &slot.kind) {
                Some(SlotKind::Cell(_)) => Ok(()),
                _ => Err(format!("slot {} is no cell", slot.0)),
            }
        }
        Op::CellInfo { what, .. } if what > 6 => Err("unknown question".into()),
        Op::CellSelect { mode, .. } if mode > 2 => Err("unknown mode".into()),
        Op::Live { mode, .. } if mode > 2 => Err("unknown mode".into()),
        _ => Ok(()),
    }
}

/// Checks that guarded regions nest the same way on every path, and that no
/// return or tail call leaves one.
fn regions(function: &Function) -> Result<(), (usize, String)> {
    let code = &function.code;
    if !code
        .iter()
        .any(|op| matches!(op, Op::TryBegin { .. } | Op::TryEnd {}))
    {
        return Ok(());
    }
    let mut depths: Vec<Option<u32>> = vec![None; code.len()];
    let mut work = vec![(0usize, 0u32)];
    while let Some((position, depth)) = work.pop() {
        match depths[position] {
            Some(known) if known == depth => continue,
            Some(_) => return Err((position, "guarded regions overlap".into())),
            None => depths[position] = Some(depth),
        }
        let op = &code[position];
        let after = match op {
            Op::TryBegin { .. } => depth + 1,
            Op::TryEnd {} => depth
                .checked_sub(1)
                .ok_or_else(|| (position, "ends no guarded region".to_owned()))?,
            _ => depth,
        };
        if depth > 0 && op.leaves() {
            return Err((position, "leaves a guarded region".into()));
        }
        if let Some(target) = op.target() {
            // The handler of a region runs outside of it.
            let there = if matches!(op, Op::TryBegin { .. }) {
                depth
            } else {
                after
            };
            work.push((target.index(), there));
        }
        if !op.ends_flow() {
            work.push((position + 1, after));
        }
    }
    Ok(())
}
