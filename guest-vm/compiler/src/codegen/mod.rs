//! Core program to bytecode, linking only what is reachable.
//!
//! - [`link`]: from the entry modules on, which modules, functions, builtins and
//!   imports end up in the executable, and with which numbers
//! - `external`: modules and functions of compiled libraries, and those that a library offers
//! - `module`: slots, cells, observers and creation steps of a module
//! - `function`: one function: registers of locals, places, the frame of everything below
//! - `expression`, `reference`, `call`, `data`, `cell`, `pattern`, `statement`: the translation proper
//! - `append`: lists that grow inside records, arrays and maps
//! - `types`: run-time types, `walk`: visiting all parts of an expression
//!
//! Registers: a local lives in one register from its binding to the end of its
//! scope; an immutable local bound to the value of another one shares its
//! register. Results are computed into the register where they are wanted. The
//! bytecode builder does the rest: moves on last use and fused instructions.

mod append;
mod call;
mod cell;
mod data;
mod expression;
mod external;
mod function;
mod link;
mod module;
mod pattern;
mod reference;
mod statement;
mod types;
pub(crate) mod walk;

use crate::core;
use crate::issue::Issue;
use crate::syntax::source::SourceMap;
use crate::tables::HashMap;

/// What the executable is built for.
#[derive(Debug, Clone, Copy)]
pub enum Goal<'a> {
    /// These modules (by name), or all modules of the given sources if empty.
    Modules(&'a [String]),
    /// All modules of the given sources, with every public function.
    Library,
    /// The value of this def of this module.
    Expression {
        /// The module.
        module: &'a str,
        /// The def.
        name: &'a str,
    },
    /// The definitions of a session, with what is to be known of their values.
    Phrase(&'a PhraseGoal),
}

/// The program of one phrase of a session: its expression gives an array of the printed value
/// and of the values to keep, each as a binary in wire form or null.
#[derive(Debug, Default)]
pub struct PhraseGoal {
    /// The module of the session.
    pub module: core::ModuleId,
    /// The def that holds the value of an expression.
    pub result: Option<core::SlotId>,
    /// Values that earlier phrases gave, in wire form: their definitions are not evaluated again.
    pub known: HashMap<core::SlotId, Vec<u8>>,
    /// Whose values are given.
    pub keep: Vec<core::SlotId>,
}

/// Generates and links the code of a checked program.
///
/// Issues: language parts that are not supported yet, and limits of the executable format.
pub fn generate(
    program: &core::Program,
    sources: &SourceMap,
    libraries: &[mix_bytecode::Library],
    goal: Goal,
) -> Result<Generated, Vec<Issue>> {
    link::Linker::new(program, sources, libraries).run(goal)
}

/// Bytecode with what a library tells of it.
#[derive(Debug)]
pub struct Generated {
    /// The program.
    pub program: mix_bytecode::Program,
    /// The functions that others may call, for [`Goal::Library`].
    pub exports: Vec<mix_bytecode::library::Export>,
}
