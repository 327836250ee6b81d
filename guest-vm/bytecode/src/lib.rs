//! Instruction set, executable format, verifier and disassembler.
//!
//! The compiler fills a [`ProgramBuilder`] and its [`FunctionBuilder`]s, gets a
//! [`Program`], and writes it with [`encode`] as an executable (`.mixexe`). The
//! VM reads it back with [`decode`], which checks the container, and
//! [`verify`](verify::verify), which checks every instruction, before anything runs.
//! [`disassemble`](disassemble::disassemble) prints a program for people.
//!
//! - [`op`]: the instructions, [`operand`]: their operands
//! - [`program`]: modules, functions, constants, run-time types
//! - [`builtins`]: the functions that the VM itself supplies to the standard library
//! - [`builder`]: code generation; [`optimise`]: what it does to each function
//! - [`format`]: the executable, byte by byte
//! - [`component`]: executables that a component carries
//! - [`pattern`]: the dialect of regular expressions
//! - [`reach`]: the foreign functions that a module can reach
//! - [`library`]: compiled libraries; [`link`]: a program and the libraries it uses become one

pub mod builder;
pub mod builtins;
pub mod checksum;
pub mod component;
pub mod disassemble;
pub mod format;
pub mod library;
pub mod link;
pub mod op;
pub mod operand;
pub mod optimise;
pub mod pattern;
pub mod program;
pub mod reach;
pub mod verify;

pub use builder::{BuildError, FunctionBuilder, Label, Place, ProgramBuilder};
pub use format::{FormatError, decode, encode};
pub use library::{Library, LibraryId};
pub use link::{LinkError, link};
pub use op::Op;
pub use operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, ModuleId, OptReg, PathId, PatternId,
    Reg, ShapeId, SlotId, Target, TypeId,
};
pub use program::{
    Cell, CellKind, Constant, Described, ExternalFunction, ExternalModule, Externals, Function,
    Import, Line, Module, ModuleKind, Observer, Param, PathStep, PatternElement, Program, Slot,
    SlotKind, Step, TypeDesc,
};
pub use verify::{VerifyError, verify};
