//! Calls of library functions: which calls are, and what is special about some.

use super::Checker;
use super::reference::ModuleRef;
use crate::core::{Check, Expr, ExprKind, RuntimeType, SlotKind};
use crate::syntax::ast;

impl Checker<'_> {
    /// Whether it is a function of a library module, called from elsewhere: by its own name, by another one that it
    /// was given, or with some of its arguments already.
    pub(super) fn is_of_library(&self, function: &Expr) -> bool {
        /// Names of names that are followed.
        const MAX_NAMES: usize = 16;
        if self.cur.library {
            return false;
        }
        let mut function = function;
        let mut given = 0;
        for _ in 0..MAX_NAMES {
            let (module, slot) = match &function.kind {
                ExprKind::Call { callee, args } => {
                    function = callee;
                    given += args.len();
                    continue;
                }
                ExprKind::Local(local) => {
                    let running = self.cur.functions.last();
                    return given == 0
                        && running.is_some_and(|running| running.of_library.contains(local));
                }
                ExprKind::Static { module, slot } => (Some(*module), *slot),
                ExprKind::Slot(slot) => (None, *slot),
                _ => return false,
            };
            let own = module.is_none_or(|module| module == self.cur.id);
            let slots = match module {
                Some(module) if !own => &self.program.modules[module.0 as usize].slots,
                _ => &self.cur.slots,
            };
            let kind = slots.get(slot.0 as usize).map(|slot| &slot.kind);
            if let Some(module) = module
                && !own
                && self.program.modules[module.0 as usize].library
            {
                // With all its arguments it is what the function gives.
                return match kind {
                    Some(SlotKind::Function(function)) => given < function.params.len(),
                    Some(SlotKind::Foreign(function)) => given < function.arity as usize,
                    _ => given == 0,
                };
            }
            match kind {
                Some(SlotKind::Value(value)) => function = &value.body,
                _ => return false,
            }
        }
        false
    }

    /// Whether it is a function of the library module `string`.
    pub(super) fn reads_refs(&mut self, callee: &ast::Expr) -> bool {
        match &callee.kind {
            ast::ExprKind::Field { base, .. } => self.is_library(base, &["string"]),
            _ => false,
        }
    }

    /// Whether it is one of the functions that give `undefined` for arguments of any wrong kind.
    pub(super) fn looks_up_safely(&mut self, callee: &ast::Expr) -> bool {
        let ast::ExprKind::Field { base, name, .. } = &callee.kind else {
            return false;
        };
        match &*name.text {
            "safeGet" => self.is_library(base, &["array", "map", "container"]),
            "descend" => self.is_library(base, &["container"]),
            _ => false,
        }
    }

    fn is_library(&mut self, module: &ast::Expr, names: &[&str]) -> bool {
        match &module.kind {
            ast::ExprKind::Name(name) if names.contains(&&**name) => matches!(
                self.module_named(module),
                Ok(Some(ModuleRef::Module { id, .. })) if self.program.modules[id.0 as usize].library
            ),
            _ => false,
        }
    }

    /// Whether it is such a function as a value, with its first arguments or without.
    pub(super) fn is_reader_of_refs(&mut self, arg: &ast::Expr) -> bool {
        match &arg.kind {
            ast::ExprKind::Call { callee, .. } => self.reads_refs(callee),
            _ => self.reads_refs(arg),
        }
    }

    /// Refs work as texts, their ids, in the functions of module `string`, in its arrays too.
    pub(super) fn admit_refs(&mut self, args: &mut [Expr]) {
        let texts = || RuntimeType::Union {
            cases: vec![RuntimeType::String, RuntimeType::Ref],
            nullable: false,
        };
        for arg in args {
            let check = match &mut arg.kind {
                ExprKind::Assert { check, .. } => check,
                ExprKind::Array(elements) => {
                    self.admit_refs(elements);
                    continue;
                }
                _ => continue,
            };
            let Check::Conforms(RuntimeType::Expected(expected)) =
                &self.cur.checks[check.0 as usize]
            else {
                continue;
            };
            let wider = match &**expected {
                RuntimeType::String => texts(),
                RuntimeType::Array(of) if **of == RuntimeType::String => {
                    RuntimeType::Array(Box::new(texts()))
                }
                _ => continue,
            };
            let wider = RuntimeType::Expected(Box::new(wider));
            *check = self.new_check(Check::Conforms(wider));
        }
    }
}
