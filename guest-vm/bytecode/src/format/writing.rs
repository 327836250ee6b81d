//! Writing the sections of an executable.

use crate::operand::{Operand, write_signed, write_unsigned};
use crate::program::{
    CellKind, Constant, Externals, Function, Import, Module, ModuleKind, PathStep, Program,
    SlotKind, Step, TypeDesc,
};

/// Appends the content of a section, counted from 0.
pub(super) fn section(out: &mut Vec<u8>, program: &Program, index: usize) {
    match index {
        0 => list(out, &program.constants, put_constant),
        1 => list(out, &program.shapes, |out, keys| list(out, keys, put)),
        2 => list(out, &program.paths, |out, steps| list(out, steps, put_step)),
        3 => list(out, &program.patterns, |out, elements| {
            list(out, elements, |out, element| out.push(*element as u8));
        }),
        4 => list(out, &program.types, put_type),
        5 => list(out, &program.imports, put_import),
        6 => list(out, &program.modules, put_module),
        7 => list(out, &program.functions, put_function),
        8 => {
            list(out, &program.entries, put);
            option(out, program.expression.as_ref(), put);
        }
        9 => put_externals(out, &program.externals),
        _ => list(out, &program.descriptions, |out, described| {
            put(out, &described.module);
            text(out, &described.text);
        }),
    }
}

fn put<T: Operand>(out: &mut Vec<u8>, operand: &T) {
    operand.encode(out);
}

fn list<T>(out: &mut Vec<u8>, entries: &[T], each: impl Fn(&mut Vec<u8>, &T)) {
    write_unsigned(out, entries.len() as u64);
    for entry in entries {
        each(out, entry);
    }
}

fn option<T>(out: &mut Vec<u8>, entry: Option<&T>, each: impl Fn(&mut Vec<u8>, &T)) {
    out.push(u8::from(entry.is_some()));
    if let Some(entry) = entry {
        each(out, entry);
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_unsigned(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn text(out: &mut Vec<u8>, text: &str) {
    bytes(out, text.as_bytes());
}

fn put_constant(out: &mut Vec<u8>, constant: &Constant) {
    match constant {
        Constant::Int(number) => {
            out.push(0);
            write_signed(out, *number);
        }
        Constant::Float(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Constant::String(string) => {
            out.push(2);
            text(out, string);
        }
        Constant::Case(name) => {
            out.push(3);
            text(out, name);
        }
        Constant::Value(value) => {
            out.push(4);
            bytes(out, value);
        }
        Constant::Regex(pattern) => {
            out.push(5);
            text(out, pattern);
        }
    }
}

fn put_step(out: &mut Vec<u8>, step: &PathStep) {
    match step {
        PathStep::Field(key) => {
            out.push(0);
            key.encode(out);
        }
        PathStep::Key => out.push(1),
        PathStep::Index => out.push(2),
        PathStep::Tuple { index, length } => {
            out.push(3);
            index.encode(out);
            length.encode(out);
        }
    }
}

fn put_type(out: &mut Vec<u8>, desc: &TypeDesc) {
    match desc {
        TypeDesc::Data => out.push(0),
        TypeDesc::Null => out.push(1),
        TypeDesc::Bool => out.push(2),
        TypeDesc::Number => out.push(3),
        TypeDesc::String => out.push(4),
        TypeDesc::Word => out.push(5),
        TypeDesc::Binary => out.push(6),
        TypeDesc::Token => out.push(7),
        TypeDesc::Ref => out.push(8),
        TypeDesc::Array(element) => {
            out.push(9);
            element.encode(out);
        }
        TypeDesc::Tuple(elements) => {
            out.push(10);
            list(out, elements, put);
        }
        TypeDesc::Map(element) => {
            out.push(11);
            element.encode(out);
        }
        TypeDesc::Record(fields) => {
            out.push(12);
            list(out, fields, |out, (key, field)| {
                key.encode(out);
                field.encode(out);
            });
        }
        TypeDesc::Case(name, argument) => {
            out.push(13);
            name.encode(out);
            option(out, argument.as_ref(), put);
        }
        TypeDesc::Union(members) => {
            out.push(14);
            list(out, members, put);
        }
    }
}

fn put_import(out: &mut Vec<u8>, import: &Import) {
    text(out, &import.name);
    out.push(import.params);
    list(out, &import.used_by, |out, name| text(out, name));
    list(out, &import.arms, |out, (environment, function)| {
        text(out, environment);
        function.encode(out);
    });
}

fn put_module(out: &mut Vec<u8>, module: &Module) {
    text(out, &module.name);
    out.push(match module.kind {
        ModuleKind::Stateless => 0,
        ModuleKind::Instance => 1,
        ModuleKind::Static => 2,
    });
    list(out, &module.params, |out, param| {
        text(out, &param.name);
        option(out, param.type_id.as_ref(), put);
    });
    list(out, &module.slots, |out, slot| {
        text(out, &slot.name);
        match &slot.kind {
            SlotKind::Param => out.push(0),
            SlotKind::Value { init } => {
                out.push(1);
                init.encode(out);
            }
            SlotKind::Cell(cell) => {
                out.push(2);
                out.push(match cell.kind {
                    CellKind::Formula => 0,
                    CellKind::Var => 1,
                    CellKind::Alias => 2,
                    CellKind::VarAlias => 3,
                });
                out.push(u8::from(cell.public));
                cell.formula.encode(out);
                list(out, &cell.dependencies, put);
                out.push(cell.events);
                option(out, cell.action.as_ref(), put);
                option(out, cell.input.as_ref(), put);
            }
        }
    });
    list(out, &module.steps, |out, step| match step {
        Step::Slot(slot) => {
            out.push(0);
            slot.encode(out);
        }
        Step::Effect(function) => {
            out.push(1);
            function.encode(out);
        }
    });
    list(out, &module.observers, |out, observer| {
        list(out, &observer.watched, put);
        option(out, observer.guard.as_ref(), put);
        observer.body.encode(out);
    });
    option(out, module.initializer.as_ref(), put);
}

fn put_externals(out: &mut Vec<u8>, externals: &Externals) {
    text(out, &externals.standard_library);
    list(out, &externals.libraries, |out, library| {
        text(out, &library.name);
        text(out, &library.version);
        out.extend_from_slice(&library.hash);
    });
    list(out, &externals.modules, |out, stub| {
        stub.module.encode(out);
        stub.library.encode(out);
        text(out, &stub.name);
    });
    list(out, &externals.functions, |out, stub| {
        stub.function.encode(out);
        stub.module.encode(out);
        text(out, &stub.name);
    });
}

fn put_function(out: &mut Vec<u8>, function: &Function) {
    text(out, &function.name);
    function.module.encode(out);
    out.push(function.params);
    out.push(function.captures);
    function.registers.encode(out);
    option(out, function.action.as_ref(), |out, name| text(out, name));
    list(out, &function.code, |out, op| op.encode(out));
    let mut start = 0;
    let mut line = 0;
    write_unsigned(out, function.lines.len() as u64);
    for place in &function.lines {
        write_unsigned(out, u64::from(place.start.wrapping_sub(start)));
        start = place.start;
        place.file.encode(out);
        write_signed(out, i64::from(place.line) - i64::from(line));
        line = place.line;
        place.column.encode(out);
        write_unsigned(out, u64::from(place.end_line.saturating_sub(place.line)));
        place.end_column.encode(out);
    }
}
