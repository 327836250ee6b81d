//! What an editor wants to know of a text: the issues, what each name stands for, and what
//! could be written at the cursor.

use crate::documentation::ModuleDocumentation;
use crate::pipeline::Compilation;
use crate::syntax::span::Span;

/// Stands in a text where the cursor is: a name that nobody writes.
pub const CURSOR: &str = "_rmx_cursor_";

/// What the checker found in some sources.
#[derive(Debug)]
pub struct Analysis {
    /// Errors, warnings and the texts.
    pub compilation: Compilation,
    /// The names of the given texts that could be resolved, in text order.
    pub uses: Vec<NameUse>,
    /// What could stand in place of [`CURSOR`].
    pub candidates: Vec<Candidate>,
    /// The modules of the given texts with their private names.
    pub modules: Vec<ModuleDocumentation>,
}

/// A name in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameUse {
    /// Where it is written.
    pub span: Span,
    /// The name; of an imported module its own name, whatever it is called here.
    pub name: String,
    /// What it is.
    pub kind: NameKind,
    /// The module that defines it.
    pub module: Option<String>,
    /// Where it is defined, if that is in the given texts.
    pub definition: Option<Span>,
    /// Its type.
    pub ty: Option<String>,
}

/// Something that could be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: NameKind,
    /// Its type; of a case the type of its argument.
    pub ty: Option<String>,
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A local, or a parameter.
    Local,
    /// A value or function of a module.
    Def,
    /// A cell or alias.
    Cell,
    /// A case.
    Case,
    /// A type.
    Type,
    /// A module.
    Module,
    /// A field of a record or map.
    Field,
    /// A form that is part of the language, such as `contents`.
    Predefined,
}
