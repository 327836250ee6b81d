//! Pipes: `value |> function`.

use super::Checker;
use super::env::Checked;
use super::lookup::Found;
use super::types::Ty;
use crate::core::{Expr, ExprKind};
use crate::syntax::ast;
use crate::syntax::span::Span;

impl Checker<'_> {
    /// `value |> function`
    pub(super) fn infer_pipe(
        &mut self,
        value: &ast::Expr,
        function: &ast::Expr,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        if let ast::ExprKind::Name(name) = &function.kind
            && let Found::Form(form) = self.lookup(name, function.span)?
        {
            return self.call_form(form, std::slice::from_ref(value), span);
        }
        // A form takes names of cells, so the piped expression is its last argument as it stands.
        if let ast::ExprKind::Call { callee, args } = &function.kind
            && let ast::ExprKind::Name(name) = &callee.kind
            && let Found::Form(form) = self.lookup(name, callee.span)?
        {
            let mut args = args.clone();
            args.push(value.clone());
            return self.call_form(form, &args, span);
        }
        let (value_expr, ty) = self.infer(value)?;
        let local = self.new_local("_piped", false);
        let read = Expr {
            span: value.span,
            kind: ExprKind::Local(local),
        };
        let (applied, result) = match &function.kind {
            ast::ExprKind::Call { callee, args } if !args.is_empty() => {
                self.infer_call(callee, args, Some((read, ty, value.span)), span)?
            }
            _ => self.infer_call(function, &[], Some((read, ty, value.span)), span)?,
        };
        Ok((bind_piped(local, value_expr, applied, span), result))
    }
}

/// Evaluates the left side of a pipe before the right one; in place if that cannot be told apart.
pub(super) fn bind_piped(
    local: crate::core::LocalId,
    value: Expr,
    applied: Expr,
    span: Span,
) -> Expr {
    let mut applied = applied;
    let movable = simple(&value) || only_last(&applied, local);
    let mut value = Some(value);
    if movable {
        replace_last(&mut applied, local, &mut value);
    }
    match value {
        None => applied,
        Some(value) => Expr {
            span,
            kind: ExprKind::Let {
                local,
                value: Box::new(value),
                body: Box::new(applied),
            },
        },
    }
}

/// Evaluating it has no effect and cannot fail.
pub(super) fn simple(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Constant(_)
            | ExprKind::Lambda(_)
            | ExprKind::Constructor(_)
            | ExprKind::Case { argument: None, .. }
    )
}

/// A function that is found without evaluating anything.
pub(super) fn fixed(expr: &Expr) -> bool {
    simple(expr) || matches!(expr.kind, ExprKind::Static { .. })
}

/// Everything evaluated before the piped value is fixed.
pub(super) fn only_last(applied: &Expr, local: crate::core::LocalId) -> bool {
    match &applied.kind {
        ExprKind::Call { callee, args } => {
            let Some((last, before)) = args.split_last() else {
                return false;
            };
            fixed(callee) && before.iter().all(fixed) && is_place(last, local)
        }
        _ => is_place(applied, local),
    }
}

/// The expression is the local, perhaps converted.
pub(super) fn is_place(expr: &Expr, local: crate::core::LocalId) -> bool {
    match &expr.kind {
        ExprKind::Local(id) => *id == local,
        ExprKind::Assert { value, .. } | ExprKind::Extract { value, .. } => is_place(value, local),
        ExprKind::MakeStream(value) => is_place(value, local),
        ExprKind::Case {
            argument: Some(value),
            ..
        } => is_place(value, local),
        _ => false,
    }
}

/// Moves the value to where the local is read last, if it is read there.
pub(super) fn replace_last(expr: &mut Expr, local: crate::core::LocalId, value: &mut Option<Expr>) {
    if let ExprKind::Local(id) = expr.kind {
        if id == local
            && let Some(value) = value.take()
        {
            *expr = value;
        }
        return;
    }
    match &mut expr.kind {
        ExprKind::Assert { value: inner, .. } | ExprKind::Extract { value: inner, .. } => {
            replace_last(inner, local, value);
        }
        ExprKind::MakeStream(inner) => replace_last(inner, local, value),
        ExprKind::Case {
            argument: Some(inner),
            ..
        } => replace_last(inner, local, value),
        ExprKind::Call { args, .. } => {
            if let Some(last) = args.last_mut() {
                replace_last(last, local, value);
            }
        }
        _ => {}
    }
}
