//! The core language: what the checker delivers and code generation reads.
//!
//! A [`Program`] is a resolved, typed and desugared compilation. Code generation
//! is a straight walk over it; no names are looked up and no types are inferred
//! after this point.
//!
//! **Resolved.** A name is one of: a local of the running function
//! ([`ExprKind::Local`]), a slot of the module instance the code belongs to
//! ([`ExprKind::Slot`]), a slot of a module with one shared instance
//! ([`ExprKind::Static`]), or a slot of a module instance held in a value
//! ([`ExprKind::Member`]).
//!
//! **Instances.** [`Instancing`] says how many instances of a module exist.
//! Modules without parameters, cells and effects are [`Instancing::Shared`]:
//! their functions need no instance and are always addressed by
//! [`ExprKind::Static`], from inside the module too. Code of all other modules runs
//! with a *current instance*; [`ExprKind::Slot`] reads it, and every function
//! made by such code carries the instance with it.
//!
//! **Functions.** [`Function`] owns its locals. A lambda names the locals of the
//! enclosing function it captures and where they appear inside
//! ([`Capture`]). A captured local that is assignable ([`Local::boxed`]) lives in
//! a box: capturing it shares the box. Function bodies are expressions; statements
//! stand in [`ExprKind::Do`].
//!
//! **Desugared.** Pipes, `let` functions, implicit projections, shorthand entries,
//! arms, block bodies and labels are gone: pipes are [`ExprKind::Call`]s (with the
//! evaluation order kept by [`ExprKind::Let`]), arms are one [`ExprKind::Match`],
//! labels are tuple positions. Coercions that do something at run time are
//! explicit: [`ExprKind::Assert`], [`ExprKind::MakeStream`], [`ExprKind::CellLink`].
//!
//! **Calls.** A call may pass fewer or more arguments than the callee has
//! parameters (currying); when the callee is a known [`SlotKind::Function`] or
//! [`SlotKind::Foreign`] with exactly as many, code generation calls it directly.
//! `f()` arrives as `f(null)`.
//!
//! **Cells.** A cell or alias is a slot. Reading one is [`ExprKind::CellRead`],
//! its identity [`ExprKind::CellLink`]; dependencies of a formula are listed in
//! [`Cell::dependencies`].
//!
//! Every expression, statement and pattern keeps its [`Span`](crate::syntax::span::Span).

mod expr;
mod pattern;
mod program;
mod runtime_type;

pub use expr::{
    Arm, BinaryOp, Block, Capture, CellForm, CellView, CompareOp, Constant, Expr, ExprKind,
    Function, FunctionName, Lambda, Local, LocalId, PlaceRoot, Statement, StatementKind, Step,
    StepKind, SwitchArm, UnaryOp,
};
pub use pattern::{CompareRight, ElementKind, Pattern, PatternElement, PatternField, PatternKind};
pub use program::{
    Action, AliasCell, Cell, CellKind, ForeignArm, ForeignFunction, ForeignKind, Import,
    Instancing, Module, ModuleId, ModuleParam, Observer, Program, Slot, SlotId, SlotKind,
};
pub use runtime_type::{Check, CheckId, RuntimeType};
