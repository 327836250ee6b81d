//! Source files, sessions and modules.

use super::{Const, Expr, Ident, Phrase, Symbol, TypeExpr};
use crate::syntax::span::Span;
use std::rc::Rc;

/// A parsed source file.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Modules and module aliases in text order.
    pub items: Vec<UnitItem>,
}

/// A part of a source file.
#[derive(Debug, Clone)]
pub enum UnitItem {
    /// `module M … module end`; shared with the checker, because it may be large.
    Module(Rc<Module>),
    /// `module A = B[T = string]`
    ModuleAlias(ModuleAlias),
}

/// A part of REPL input.
#[derive(Debug, Clone)]
pub enum SessionItem {
    /// A definition, import, type, case, pragma or module alias.
    Phrase(Phrase),
    /// An expression to evaluate and print.
    Expr(Expr),
    /// A whole module.
    Module(Module),
    /// `#load M args` and the like.
    Command(ReplCommand),
}

/// A REPL command line: `#name rest`.
#[derive(Debug, Clone)]
pub struct ReplCommand {
    /// The word after `#`.
    pub name: Ident,
    /// The rest of the line, trimmed.
    pub rest: Symbol,
    /// The whole line.
    pub span: Span,
}

/// A module with its phrases.
#[derive(Debug, Clone)]
pub struct Module {
    /// `static module`
    pub is_static: bool,
    /// Its name.
    pub name: Ident,
    /// Type parameters: `[A, B]`.
    pub type_vars: Vec<Ident>,
    /// Parameters; empty both for `module M` and `module M()`.
    pub params: Vec<Param>,
    /// `_meta_ {…}`
    pub meta: Option<Const>,
    /// `_source_ {…}`: the module is replaced by fetched text.
    pub source: Option<Const>,
    /// The phrases in text order.
    pub phrases: Vec<Phrase>,
    /// From `static`/`module` to the end.
    pub span: Span,
}

/// A parameter of a module, function or cell; `name.text` is `_` for an unnamed one.
#[derive(Debug, Clone)]
pub struct Param {
    /// The name, or `_`.
    pub name: Ident,
    /// Its annotation.
    pub ty: Option<TypeExpr>,
    /// Name and annotation.
    pub span: Span,
}

/// `module A = B[T = string]`
#[derive(Debug, Clone)]
pub struct ModuleAlias {
    /// The new name.
    pub name: Ident,
    /// The module it is made from.
    pub target: Ident,
    /// Type arguments.
    pub type_binds: Vec<TypeBind>,
    /// The whole phrase.
    pub span: Span,
}

/// `A = string` in a module alias or import.
#[derive(Debug, Clone)]
pub struct TypeBind {
    /// The type parameter.
    pub name: Ident,
    /// Its replacement.
    pub ty: TypeExpr,
}
