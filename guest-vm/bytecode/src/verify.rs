//! Checks a decoded program completely before anything of it runs.
//!
//! After [`verify`] succeeded, every number in the program refers to an entry
//! of the right sort, every register lies in the window of its function, every
//! jump hits an instruction, control never leaves the code of a function, and
//! guarded regions nest. Values are still checked when an instruction runs.

mod code;

use thiserror::Error;

use crate::operand::{ConstId, FuncId, SlotId, TypeId};
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
        code::function(program, index, entry)?;
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
