//! The code of a function: its operands, how they fit together, where control goes.

use super::{Check, MAX_REGISTERS, VerifyError, case_name, exists, string};
use crate::builtins;
use crate::op::Op;
use crate::operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, ModuleId, PathId, PatternId, Reg,
    ShapeId, SlotId, Target, TypeId, Visitor,
};
use crate::program::{Function, ModuleKind, PathStep, Program, SlotKind};

/// Checks a function.
pub(super) fn function(
    program: &Program,
    index: usize,
    function: &Function,
) -> Result<(), VerifyError> {
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
