//! Prints a program for people: one instruction a line, with names in place of numbers.

use std::fmt::Write as _;

use crate::builtins;
use crate::op::Op;
use crate::operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, ModuleId, PathId, PatternId, Reg,
    ShapeId, SlotId, Target, TypeId, Visitor,
};
use crate::program::{Constant, Function, Program, SlotKind};

/// The whole program as text.
#[must_use]
pub fn disassemble(program: &Program) -> String {
    let mut out = String::new();
    let externals = &program.externals;
    for library in &externals.libraries {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "library {library}");
    }
    for stub in &externals.modules {
        let library = externals.libraries.get(stub.library as usize);
        let name = library.map_or("?", |library| &library.name);
        let _ = writeln!(
            out,
            "module {} ; m{} of library {name}",
            stub.name, stub.module.0
        );
    }
    for stub in &externals.functions {
        let module = externals
            .modules
            .iter()
            .find(|other| other.module == stub.module);
        let module = module.map_or("?", |module| &module.name);
        let _ = writeln!(
            out,
            "function f{} {module}.{} ; of a library",
            stub.function.0, stub.name
        );
    }
    let is_stub = |index: usize| {
        externals
            .modules
            .iter()
            .any(|stub| stub.module.index() == index)
    };
    for (index, module) in program.modules.iter().enumerate() {
        if is_stub(index) {
            continue;
        }
        let _ = writeln!(out, "module {} ; m{index} {:?}", module.name, module.kind);
        for (slot, entry) in module.slots.iter().enumerate() {
            let _ = match &entry.kind {
                SlotKind::Param => writeln!(out, "  slot {slot} {} param", entry.name),
                SlotKind::Value { init } => {
                    writeln!(out, "  slot {slot} {} = f{}", entry.name, init.0)
                }
                SlotKind::Cell(cell) => writeln!(
                    out,
                    "  slot {slot} {} {:?}{} = f{}",
                    entry.name,
                    cell.kind,
                    if cell.public { " public" } else { "" },
                    cell.formula.0
                ),
            };
        }
    }
    for (index, function) in program.functions.iter().enumerate() {
        if externals
            .functions
            .iter()
            .any(|stub| stub.function.index() == index)
        {
            continue;
        }
        out.push_str(&disassemble_function(program, index, function));
    }
    out
}

/// One function as text.
#[must_use]
pub fn disassemble_function(program: &Program, index: usize, function: &Function) -> String {
    let module = program
        .modules
        .get(function.module.index())
        .map_or("?", |m| &*m.name);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "function f{index} {module}.{} ; params {} captures {} registers {}",
        function.name, function.params, function.captures, function.registers
    );
    let mut line = 0;
    for (position, op) in function.code.iter().enumerate() {
        let _ = write!(out, "  {position:4}  {}", instruction(program, op));
        if let Some(place) = function.place(position)
            && place.line != line
        {
            line = place.line;
            let _ = write!(out, "  ; line {line}");
        }
        out.push('\n');
    }
    out
}

/// One instruction as text, for instance `add_int r1, r0, number=1`.
#[must_use]
pub fn instruction(program: &Program, op: &Op) -> String {
    let mut printer = Printer {
        program,
        text: op.mnemonic().to_owned(),
        first: true,
    };
    op.visit(&mut printer);
    printer.text
}

struct Printer<'a> {
    program: &'a Program,
    text: String,
    first: bool,
}

impl Printer<'_> {
    fn put(&mut self, part: &str) {
        self.text.push_str(if self.first { " " } else { ", " });
        self.first = false;
        self.text.push_str(part);
    }
}

impl Visitor for Printer<'_> {
    fn read(&mut self, _: &'static str, reg: Reg) {
        self.put(&format!("r{}", reg.0));
    }
    fn write(&mut self, _: &'static str, reg: Dst) {
        self.put(&format!("r{}", reg.0));
    }
    fn base(&mut self, _: &'static str, base: Base) {
        self.put(&format!("r{}..", base.0));
    }
    fn constant(&mut self, _: &'static str, id: ConstId) {
        let text = match self.program.constants.get(id.index()) {
            Some(Constant::Int(number)) => number.to_string(),
            Some(Constant::Float(number)) => format!("{number:?}"),
            Some(Constant::String(text)) => format!("{text:?}"),
            Some(Constant::Case(name)) => format!("case {name}"),
            Some(Constant::Value(bytes)) => format!("value of {} bytes", bytes.len()),
            Some(Constant::Regex(pattern)) => format!("regex {pattern:?}"),
            None => format!("const {}?", id.0),
        };
        self.put(&text);
    }
    fn function(&mut self, _: &'static str, id: FuncId) {
        let name = self
            .program
            .functions
            .get(id.index())
            .map_or("?", |f| &*f.name);
        let text = format!("f{} {name}", id.0);
        self.put(&text);
    }
    fn module(&mut self, _: &'static str, id: ModuleId) {
        let name = self
            .program
            .modules
            .get(id.index())
            .map_or("?", |m| &*m.name)
            .to_owned();
        self.put(&name);
    }
    fn import(&mut self, _: &'static str, id: ImportId) {
        let name = self
            .program
            .imports
            .get(id.index())
            .map_or("?", |i| &*i.name)
            .to_owned();
        self.put(&name);
    }
    fn builtin(&mut self, _: &'static str, id: BuiltinId) {
        self.put(builtins::get(id).map_or("?", |builtin| builtin.name));
    }
    fn shape(&mut self, _: &'static str, id: ShapeId) {
        let keys = self.program.shape(id).unwrap_or_default();
        let names: Vec<&str> = keys
            .iter()
            .map(|key| self.program.string(*key).unwrap_or("?"))
            .collect();
        let text = format!("{{{}}}", names.join(","));
        self.put(&text);
    }
    fn path(&mut self, _: &'static str, id: PathId) {
        let text = format!("path {:?}", self.program.paths.get(id.index()));
        self.put(&text);
    }
    fn pattern(&mut self, _: &'static str, id: PatternId) {
        let text = format!("pattern {:?}", self.program.patterns.get(id.index()));
        self.put(&text);
    }
    fn type_id(&mut self, _: &'static str, id: TypeId) {
        let text = self.program.type_text(id);
        self.put(&text);
    }
    fn slot(&mut self, _: &'static str, id: SlotId) {
        self.put(&format!("slot {}", id.0));
    }
    fn target(&mut self, _: &'static str, target: Target) {
        self.put(&format!("-> {}", target.0));
    }
    fn capture(&mut self, _: &'static str, capture: Capture) {
        self.put(&format!("captured {}", capture.0));
    }
    fn number(&mut self, field: &'static str, number: i64) {
        self.put(&format!("{field}={number}"));
    }
}
