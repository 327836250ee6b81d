//! Reading the sections of an executable.

use crate::library::LibraryId;
use crate::op::Op;
use crate::operand::{ConstId, FuncId, Input, ModuleId, Operand, SlotId, TypeId};
use crate::program::{
    Cell, CellKind, Constant, Described, ExternalFunction, ExternalModule, Externals, Function,
    Import, Line, Module, ModuleKind, Observer, Param, PathStep, PatternElement, Program, Slot,
    SlotKind, Step, TypeDesc,
};

/// Entries reserved at most before the first one is read.
const PREALLOCATED: usize = 1024;

/// Reads the content of a section, counted from 0.
pub(super) fn section(program: &mut Program, index: usize, input: &mut Input<'_>) -> Option<()> {
    match index {
        0 => program.constants = get_list(input, get_constant)?,
        1 => program.shapes = get_list(input, |input| get_list(input, ConstId::decode))?,
        2 => program.paths = get_list(input, |input| get_list(input, get_step))?,
        3 => program.patterns = get_list(input, |input| get_list(input, get_element))?,
        4 => program.types = get_list(input, get_type)?,
        5 => program.imports = get_list(input, get_import)?,
        6 => program.modules = get_list(input, get_module)?,
        7 => program.functions = get_list(input, get_function)?,
        8 => {
            program.entries = get_list(input, ModuleId::decode)?;
            program.expression = get_option(input, FuncId::decode)?;
        }
        9 => program.externals = get_externals(input)?,
        _ => program.descriptions = get_list(input, get_described)?,
    }
    Some(())
}

fn get_list<'a, T>(
    input: &mut Input<'a>,
    mut each: impl FnMut(&mut Input<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = usize::try_from(input.unsigned()?).ok()?;
    // Every entry takes at least one byte, so a count beyond the rest is wrong.
    if count > input.remaining() {
        return None;
    }
    // An entry in memory is larger than its shortest file form: what is
    // reserved before anything is read stays small.
    let mut entries = Vec::with_capacity(count.min(PREALLOCATED));
    for _ in 0..count {
        entries.push(each(input)?);
    }
    Some(entries)
}

fn get_option<'a, T>(
    input: &mut Input<'a>,
    each: impl FnOnce(&mut Input<'a>) -> Option<T>,
) -> Option<Option<T>> {
    if bool::decode(input)? {
        Some(Some(each(input)?))
    } else {
        Some(None)
    }
}

fn get_bytes<'a>(input: &mut Input<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(input.unsigned()?).ok()?;
    input.take(length)
}

fn get_text(input: &mut Input<'_>) -> Option<Box<str>> {
    Some(str::from_utf8(get_bytes(input)?).ok()?.into())
}

fn get_constant(input: &mut Input<'_>) -> Option<Constant> {
    Some(match input.byte()? {
        0 => Constant::Int(input.signed()?),
        1 => Constant::Float(f64::from_bits(u64::from_le_bytes(
            input.take(8)?.try_into().ok()?,
        ))),
        2 => Constant::String(get_text(input)?),
        3 => Constant::Case(get_text(input)?),
        4 => Constant::Value(get_bytes(input)?.into()),
        5 => Constant::Regex(get_text(input)?),
        _ => return None,
    })
}

fn get_step(input: &mut Input<'_>) -> Option<PathStep> {
    Some(match input.byte()? {
        0 => PathStep::Field(ConstId::decode(input)?),
        1 => PathStep::Key,
        2 => PathStep::Index,
        3 => PathStep::Tuple {
            index: u32::decode(input)?,
            length: u32::decode(input)?,
        },
        _ => return None,
    })
}

fn get_element(input: &mut Input<'_>) -> Option<PatternElement> {
    Some(match input.byte()? {
        0 => PatternElement::Plain,
        1 => PatternElement::Optional,
        2 => PatternElement::Multiple,
        _ => return None,
    })
}

fn get_type(input: &mut Input<'_>) -> Option<TypeDesc> {
    Some(match input.byte()? {
        0 => TypeDesc::Data,
        1 => TypeDesc::Null,
        2 => TypeDesc::Bool,
        3 => TypeDesc::Number,
        4 => TypeDesc::String,
        5 => TypeDesc::Word,
        6 => TypeDesc::Binary,
        7 => TypeDesc::Token,
        8 => TypeDesc::Ref,
        9 => TypeDesc::Array(TypeId::decode(input)?),
        10 => TypeDesc::Tuple(get_list(input, TypeId::decode)?),
        11 => TypeDesc::Map(TypeId::decode(input)?),
        12 => TypeDesc::Record(get_list(input, |input| {
            Some((ConstId::decode(input)?, TypeId::decode(input)?))
        })?),
        13 => TypeDesc::Case(ConstId::decode(input)?, get_option(input, TypeId::decode)?),
        14 => TypeDesc::Union(get_list(input, TypeId::decode)?),
        _ => return None,
    })
}

fn get_import(input: &mut Input<'_>) -> Option<Import> {
    Some(Import {
        name: get_text(input)?,
        params: input.byte()?,
        used_by: get_list(input, get_text)?,
        arms: get_list(input, |input| {
            Some((get_text(input)?, FuncId::decode(input)?))
        })?,
    })
}

fn get_module(input: &mut Input<'_>) -> Option<Module> {
    Some(Module {
        name: get_text(input)?,
        kind: match input.byte()? {
            0 => ModuleKind::Stateless,
            1 => ModuleKind::Instance,
            2 => ModuleKind::Static,
            _ => return None,
        },
        params: get_list(input, |input| {
            Some(Param {
                name: get_text(input)?,
                type_id: get_option(input, TypeId::decode)?,
            })
        })?,
        slots: get_list(input, get_slot)?,
        steps: get_list(input, |input| {
            Some(match input.byte()? {
                0 => Step::Slot(SlotId::decode(input)?),
                1 => Step::Effect(FuncId::decode(input)?),
                _ => return None,
            })
        })?,
        observers: get_list(input, |input| {
            Some(Observer {
                watched: get_list(input, SlotId::decode)?,
                guard: get_option(input, FuncId::decode)?,
                body: FuncId::decode(input)?,
            })
        })?,
        initializer: get_option(input, FuncId::decode)?,
    })
}

fn get_slot(input: &mut Input<'_>) -> Option<Slot> {
    let name = get_text(input)?;
    let kind = match input.byte()? {
        0 => SlotKind::Param,
        1 => SlotKind::Value {
            init: FuncId::decode(input)?,
        },
        2 => SlotKind::Cell(Cell {
            kind: match input.byte()? {
                0 => CellKind::Formula,
                1 => CellKind::Var,
                2 => CellKind::Alias,
                3 => CellKind::VarAlias,
                _ => return None,
            },
            public: bool::decode(input)?,
            formula: FuncId::decode(input)?,
            dependencies: get_list(input, SlotId::decode)?,
            events: input.byte()?,
            action: get_option(input, FuncId::decode)?,
            input: get_option(input, TypeId::decode)?,
        }),
        _ => return None,
    };
    Some(Slot { name, kind })
}

fn get_externals(input: &mut Input<'_>) -> Option<Externals> {
    Some(Externals {
        standard_library: get_text(input)?,
        libraries: get_list(input, |input| {
            Some(LibraryId {
                name: get_text(input)?,
                version: get_text(input)?,
                hash: input.take(32)?.try_into().ok()?,
            })
        })?,
        modules: get_list(input, |input| {
            Some(ExternalModule {
                module: ModuleId::decode(input)?,
                library: u32::decode(input)?,
                name: get_text(input)?,
            })
        })?,
        functions: get_list(input, |input| {
            Some(ExternalFunction {
                function: FuncId::decode(input)?,
                module: ModuleId::decode(input)?,
                name: get_text(input)?,
            })
        })?,
    })
}

fn get_described(input: &mut Input<'_>) -> Option<Described> {
    Some(Described {
        module: ModuleId::decode(input)?,
        text: get_text(input)?,
    })
}

fn get_function(input: &mut Input<'_>) -> Option<Function> {
    let name = get_text(input)?;
    let module = ModuleId::decode(input)?;
    let params = input.byte()?;
    let captures = input.byte()?;
    let registers = u16::decode(input)?;
    let action = get_option(input, get_text)?;
    let code = get_list(input, Op::decode)?;
    let mut start = 0u32;
    let mut line = 0u32;
    let lines = get_list(input, |input| {
        start = start.checked_add(u32::decode(input)?)?;
        let file = ConstId::decode(input)?;
        line = u32::try_from(i64::from(line).checked_add(input.signed()?)?).ok()?;
        let column = u32::decode(input)?;
        let end_line = line.checked_add(u32::decode(input)?)?;
        let end_column = u32::decode(input)?;
        Some(Line {
            start,
            file,
            line,
            column,
            end_line,
            end_column,
        })
    })?;
    Some(Function {
        name,
        module,
        params,
        captures,
        registers,
        action,
        code,
        lines,
    })
}
