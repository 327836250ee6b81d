//! The executable format `.mixexe`, version 4.
//!
//! ```text
//! offset size
//!      0    8  magic: 89 4d 49 58 45 58 45 0a  ("\x89MIXEXE\n")
//!      8    4  version, u32 little-endian: 4
//!     12    4  length of the body in bytes, u32 little-endian
//!     16    4  CRC-32C of the body, u32 little-endian
//!     20    …  body: the ten sections below, each once, in this order
//! ```
//!
//! A section is its number (one byte), the length of its content (varint) and
//! the content. *varint* is unsigned LEB128 of minimal length, *svarint* the
//! same after zigzag. A *text* is a varint length and that many bytes of UTF-8.
//! A *list of X* is a varint count and that many X. *opt X* is a byte 0, or a
//! byte 1 and X. Names such as *const* or *func* are varints that number
//! entries of the table of that name.
//!
//! | section | content |
//! |---|---|
//! | 1 constants | list of: kind byte and 0 svarint (int); 1 eight bytes LE (float); 2 text (string); 3 text (case name); 4 varint length and MessagePack bytes (value); 5 text (regular expression) |
//! | 2 shapes | list of list of const |
//! | 3 paths | list of list of: 0 const (field); 1 (key); 2 (index); 3 varint varint (tuple index, length) |
//! | 4 patterns | list of list of byte: 0 plain, 1 optional, 2 multiple |
//! | 5 types | list of: 0 data, 1 null, 2 bool, 3 number, 4 string, 5 word, 6 binary, 7 token, 8 ref; 9 type (array); 10 list of type (tuple); 11 type (map); 12 list of (const, type) (record); 13 const, opt type (case); 14 list of type (union) |
//! | 6 imports | list of: text name, byte params, list of text (used by), list of (text environment, func) |
//! | 7 modules | list of module |
//! | 8 functions | list of function |
//! | 9 entries | list of module number; opt func (the expression of `mixer eval`) |
//! | 10 externals | text standard library; list of library (text name, text version, 32 bytes of SHA-256); list of (module, varint library, text name); list of (func, module, text name) |
//!
//! *module*: text name; kind byte (0 stateless, 1 instance, 2 static); list of
//! parameters (text, opt type); list of slots (text name, then 0 parameter; 1
//! func (value); or 2 cell: kind byte 0 formula, 1 var, 2 alias, 3 var alias;
//! byte public; func formula; list of slot; byte events; opt func action; opt type input); list
//! of steps (0 slot, 1 func); list of observers (list of slot, opt func guard,
//! func body); opt func initializer.
//!
//! *function*: text name; module; byte params; byte captures; varint
//! registers; opt text action; code: varint number of instructions, then each
//! as an opcode byte and its operands in the order of [`crate::op`] (registers,
//! numbers of tables and unsigned numbers as varint, signed ones as svarint,
//! bools as a byte); list of places: varint instructions since the last place,
//! const file, svarint lines since the last place, varint column, varint lines
//! spanned, varint end column.
//!
//! A reader refuses another magic, version, length or checksum, trailing or
//! missing bytes, and any malformed field; [`crate::verify`] then checks what
//! the numbers refer to. Whatever changes the meaning of a byte raises the version.

use thiserror::Error;

use crate::checksum::crc32c;
use crate::library::LibraryId;
use crate::op::Op;
use crate::operand::{
    ConstId, FuncId, Input, ModuleId, Operand, SlotId, TypeId, write_signed, write_unsigned,
};
use crate::program::{
    Cell, CellKind, Constant, ExternalFunction, ExternalModule, Externals, Function, Import, Line,
    Module, ModuleKind, Observer, Param, PathStep, PatternElement, Program, Slot, SlotKind, Step,
    TypeDesc,
};

/// The first eight bytes of every executable.
pub const MAGIC: [u8; 8] = *b"\x89MIXEXE\n";

/// The version that this code writes and reads.
pub const VERSION: u32 = 4;

const HEADER: usize = 20;

/// Largest executable that is read, in bytes.
pub const MAX_SIZE: usize = 64 << 20;

/// Entries reserved at most before the first one is read.
const PREALLOCATED: usize = 1024;

/// Why bytes are not an executable that this version reads.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Too short or a wrong magic.
    #[error("not a Mix executable")]
    Magic,
    /// Made for another version.
    #[error(
        "executable format version {found} is not supported, this runtime reads version {VERSION}; build the program again"
    )]
    Version {
        /// Version of the file.
        found: u32,
    },
    /// The file is cut or has grown.
    #[error("executable is damaged: {expected} bytes expected, {found} found")]
    Length {
        /// By the header.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// Larger than any program.
    #[error("executable of {found} bytes is larger than the limit of {MAX_SIZE}")]
    TooLarge {
        /// Size of the file.
        found: usize,
    },
    /// The body does not fit its checksum.
    #[error("executable is damaged: the checksum does not match")]
    Checksum,
    /// A field is malformed.
    #[error("executable is malformed in section {section} at byte {offset}")]
    Malformed {
        /// Name of the section.
        section: &'static str,
        /// Offset in the file.
        offset: usize,
    },
}

const SECTIONS: [&str; 10] = [
    "constants",
    "shapes",
    "paths",
    "patterns",
    "types",
    "imports",
    "modules",
    "functions",
    "entries",
    "externals",
];

// ---------------------------------------------------------------- writing

/// Writes a program as an executable.
#[must_use]
pub fn encode(program: &Program) -> Vec<u8> {
    let mut body = Vec::new();
    let mut content = Vec::new();
    let mut section = |number: u8, write: &dyn Fn(&mut Vec<u8>)| {
        content.clear();
        write(&mut content);
        body.push(number);
        write_unsigned(&mut body, content.len() as u64);
        body.extend_from_slice(&content);
    };
    section(1, &|out| list(out, &program.constants, put_constant));
    section(2, &|out| {
        list(out, &program.shapes, |out, keys| list(out, keys, put))
    });
    section(3, &|out| {
        list(out, &program.paths, |out, steps| list(out, steps, put_step))
    });
    section(4, &|out| {
        list(out, &program.patterns, |out, elements| {
            list(out, elements, |out, element| out.push(*element as u8));
        });
    });
    section(5, &|out| list(out, &program.types, put_type));
    section(6, &|out| list(out, &program.imports, put_import));
    section(7, &|out| list(out, &program.modules, put_module));
    section(8, &|out| list(out, &program.functions, put_function));
    section(9, &|out| {
        list(out, &program.entries, put);
        option(out, program.expression.as_ref(), put);
    });
    section(10, &|out| put_externals(out, &program.externals));

    let mut file = Vec::with_capacity(HEADER + body.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    // A program of 4 GiB cannot be built: every table is bounded by the memory of the compiler.
    file.extend_from_slice(&(body.len() as u32).to_le_bytes());
    file.extend_from_slice(&crc32c(&body).to_le_bytes());
    file.extend_from_slice(&body);
    file
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

// ---------------------------------------------------------------- reading

/// Reads an executable. The result is well-formed but not yet
/// [verified](crate::verify::verify).
pub fn decode(file: &[u8]) -> Result<Program, FormatError> {
    if file.get(..MAGIC.len()) != Some(&MAGIC[..]) || file.len() < HEADER {
        return Err(FormatError::Magic);
    }
    if file.len() > MAX_SIZE {
        return Err(FormatError::TooLarge { found: file.len() });
    }
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&file[at..at + 4]);
        u32::from_le_bytes(bytes)
    };
    let version = word(8);
    if version != VERSION {
        return Err(FormatError::Version { found: version });
    }
    let body = &file[HEADER..];
    if u64::from(word(12)) != body.len() as u64 {
        return Err(FormatError::Length {
            expected: u64::from(word(12)) + HEADER as u64,
            found: file.len() as u64,
        });
    }
    if word(16) != crc32c(body) {
        return Err(FormatError::Checksum);
    }

    let mut program = Program::default();
    let mut input = Input::new(body);
    for (index, name) in SECTIONS.iter().enumerate() {
        let malformed = |offset: usize| FormatError::Malformed {
            section: name,
            offset: HEADER + offset,
        };
        let start = input.position();
        let content = (|| {
            if usize::from(input.byte()?) != index + 1 {
                return None;
            }
            let length = usize::try_from(input.unsigned()?).ok()?;
            input.take(length)
        })()
        .ok_or_else(|| malformed(start))?;
        let start = input.position() - content.len();
        let mut section = Input::new(content);
        let read = read_section(&mut program, index, &mut section);
        if read.is_none() || section.remaining() != 0 {
            return Err(malformed(start + section.position()));
        }
    }
    if input.remaining() != 0 {
        return Err(FormatError::Malformed {
            section: "end",
            offset: HEADER + input.position(),
        });
    }
    Ok(program)
}

fn read_section(program: &mut Program, index: usize, input: &mut Input<'_>) -> Option<()> {
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
        _ => program.externals = get_externals(input)?,
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
