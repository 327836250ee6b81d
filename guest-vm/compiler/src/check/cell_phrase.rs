//! Phrases of the spreadsheet: cells, aliases, observers.

use super::env::{Checked, MemberKind, Place};
use super::lambda::body;
use super::types::{Node, Ty};
use super::{Checker, lookup};
use crate::core::{self, AliasCell, Cell, CellKind, Expr, ExprKind, FunctionName, SlotKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, CellForm, CellSort, Const, Ident, Symbol};
use crate::syntax::span::Span;

impl Checker<'_> {
    pub(super) fn no_cells_forbidden(&mut self, span: Span) -> Checked<()> {
        if self.cur.pragmas.with_cells == Some(false) {
            return Err(Issue::new(Code::CellForbidden, span)
                .hint("its pragma withCells is false")
                .into());
        }
        Ok(())
    }

    pub(super) fn cell(&mut self, cell: &ast::Cell, span: Span) -> Checked<()> {
        self.no_cells_forbidden(span)?;
        let kind = match cell.sort {
            CellSort::Formula => CellKind::Formula,
            CellSort::Var => CellKind::Var,
            CellSort::Live => CellKind::Live,
        };
        let member = MemberKind::Cell {
            assignable: kind == CellKind::Var,
            alias: false,
        };
        match &cell.form {
            CellForm::Declaration { ty, meta } => {
                self.may_declare(&cell.name, "cell")?;
                let ty = self.hint(ty)?;
                self.types.default_to_data(ty);
                self.declare(&cell.name, cell.private, member, ty, meta.clone());
                Ok(())
            }
            CellForm::Value { ty, meta, body: e } => {
                let connected;
                let e = if kind == CellKind::Live {
                    connected = self.live_source(e)?;
                    &connected
                } else {
                    e
                };
                self.cell_definition(
                    cell,
                    kind,
                    member,
                    meta.clone(),
                    span,
                    is_action(e),
                    |checker, expected| match (expected, ty) {
                        (Some(expected), None) => Ok((checker.check(e, expected)?, expected)),
                        (expected, Some(hint)) => {
                            let hint = checker.hint(hint)?;
                            let expr = checker.check(e, hint)?;
                            match expected {
                                Some(expected) => {
                                    Ok((checker.coerce(expr, hint, expected, e.span)?, expected))
                                }
                                None => Ok((expr, hint)),
                            }
                        }
                        (None, None) => checker.infer(e),
                    },
                )
            }
            CellForm::Function {
                params,
                result,
                body: e,
            } => self.cell_definition(
                cell,
                kind,
                member,
                None,
                span,
                false,
                |checker, expected| {
                    let (expr, ty) =
                        checker.shorthand(params, result.as_ref(), e, expected, span)?;
                    match expected {
                        Some(expected) => Ok((checker.coerce(expr, ty, expected, span)?, expected)),
                        None => Ok((expr, ty)),
                    }
                },
            ),
            CellForm::Link { ty, target } => self.alias(
                &cell.name,
                target,
                ty.as_ref(),
                true,
                kind == CellKind::Var,
                span,
            ),
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn cell_definition(
        &mut self,
        cell: &ast::Cell,
        kind: CellKind,
        member: MemberKind,
        meta: Option<Const>,
        span: Span,
        action: bool,
        run: impl FnOnce(&mut Self, Option<Ty>) -> Checked<(Expr, Ty)>,
    ) -> Checked<()> {
        let name = &cell.name;
        let declared = self.may_define(name, "cell")?;
        let own_ty = match declared {
            Some(ty) => ty,
            None => self.types.fresh(),
        };
        // The cell is known to its own formula, for `c'` and `thisCell`.
        if declared.is_none() {
            self.declare(name, cell.private, member.clone(), own_ty, meta.clone());
            self.mark_undeclared(name);
        }
        self.cur.this_cell = Some((name.text.clone(), own_ty));
        self.cur.dependencies.clear();
        let ((expr, ty), scope) =
            self.in_body(Place::Formula, false, |checker| run(checker, declared))?;
        let mut dependencies = std::mem::take(&mut self.cur.dependencies);
        self.settle_above(0)?;
        self.refuse_appstate(ty, span)?;
        self.moderate(ty, span)?;
        if declared.is_none() && !self.types.attempt(|types| types.unify(own_ty, ty)) {
            return Err(self.mismatch(ty, own_ty, span));
        }
        if self.cur.pragmas.strict
            && self.types.mentions(
                ty,
                &|node| matches!(node, Node::Var { level, .. } if *level != super::types::GENERIC),
            )
        {
            return Err(Issue::new(Code::TypeNeedsHint, span)
                .with("what", format!("cell {}", name.text))
                .hint(format!("write its type: cell {} : T = …", name.text))
                .into());
        }
        self.types.default_to_data(ty);
        dependencies.sort();
        dependencies.dedup();
        if kind == CellKind::Var {
            dependencies.clear();
        }
        let number = match (&expr.kind, action) {
            (ExprKind::Action { number, .. }, true) => Some(*number),
            _ => None,
        };
        let formula = body(FunctionName::Cell(name.text.clone()), scope, expr, span);
        let private = cell.private;
        let slot = SlotKind::Cell(Cell {
            kind,
            public: !private,
            formula,
            dependencies,
            action: number,
            input: None,
        });
        let ty = declared.unwrap_or(own_ty);
        self.define(name, private, member, ty, meta, slot);
        Ok(())
    }

    pub(super) fn mark_undeclared(&mut self, name: &Ident) {
        let at = self.cur.id.0 as usize;
        if let Some(member) = self.infos[at].members.get_mut(&name.text) {
            member.declared = false;
            member.defined = true;
        }
    }

    pub(super) fn alias(
        &mut self,
        name: &Ident,
        target: &ast::Expr,
        hint: Option<&ast::TypeExpr>,
        public: bool,
        wants_var: bool,
        span: Span,
    ) -> Checked<()> {
        self.no_cells_forbidden(span)?;
        let declared = self.may_define(name, "cell")?;
        if declared.is_some() && !public {
            let member = self.own_member(&name.text);
            if member.is_some_and(|member| !member.private) {
                return Err(Issue::new(Code::CellAliasPublic, name.span)
                    .with("name", &name.text)
                    .hint(format!(
                        "declare it private: private cell {} : T",
                        name.text
                    ))
                    .into());
            }
        }
        self.cur.dependencies.clear();
        let ((expr, ty), scope) = self.in_body(Place::Formula, false, |checker| {
            match checker.cell_named(target) {
                Some((_, member)) => Ok(checker.cell_link(&member, target.span)),
                None => checker.infer(target),
            }
        })?;
        let mut dependencies = std::mem::take(&mut self.cur.dependencies);
        dependencies.sort();
        dependencies.dedup();
        let (content, assignable) =
            self.link_content(ty, &format!("alias {}", name.text), target.span)?;
        let mut content = content;
        if let Some(hint) = hint {
            let hint = self.hint(hint)?;
            if !self.types.attempt(|types| types.subtype(content, hint)) {
                return Err(self.mismatch(hint, content, target.span));
            }
            content = hint;
        }
        if let Some(declared) = declared {
            if !self.types.attempt(|types| types.subtype(content, declared)) {
                return Err(self.mismatch(declared, content, target.span));
            }
            content = declared;
        }
        self.types.default_to_data(content);
        if public && wants_var && !assignable {
            return Err(Issue::new(Code::CellReadonly, target.span)
                .with("name", format!("behind {}", name.text))
                .into());
        }
        let assignable = assignable && wants_var;
        let function = body(FunctionName::Cell(name.text.clone()), scope, expr, span);
        let slot = SlotKind::Alias(AliasCell {
            public,
            assignable,
            link: function,
            dependencies,
            input: None,
        });
        let member = MemberKind::Cell {
            assignable,
            alias: true,
        };
        self.define(name, !public, member, content, None, slot);
        Ok(())
    }

    pub(super) fn observer(&mut self, observer: &ast::Observer, span: Span) -> Checked<()> {
        self.no_cells_forbidden(span)?;
        let mut watched = Vec::new();
        let mut names = Vec::new();
        for name in &observer.watched {
            let member = self.use_member(&name.text);
            if let Some(member) = &member {
                self.record_member(self.cur.id, &name.text, member, name.span);
            }
            match member.map(|member| (member.kind, member.slot)) {
                Some((MemberKind::Cell { .. }, slot)) => watched.push(slot),
                Some((MemberKind::Broken, _)) => return Err(self.silent()),
                Some(_) => {
                    return Err(Issue::new(Code::CellExpected, name.span)
                        .with("what", "on")
                        .hint(format!(
                            "{} never updates: an observer watches cells and aliases",
                            name.text
                        ))
                        .into());
                }
                None => return Err(self.unbound(&name.text, name.span)),
            }
            names.push(name.text.to_string());
        }
        let label: Symbol = names.join(",").into();
        let guard = match &observer.guard {
            Some(guard) => {
                let (expr, scope) =
                    self.in_body(Place::Guard, false, |checker| checker.check_bool(guard))?;
                Some(body(
                    FunctionName::Observer(label.clone()),
                    scope,
                    expr,
                    guard.span,
                ))
            }
            None => None,
        };
        let (function, _) = self.effect_body(FunctionName::Observer(label), span, |checker| {
            checker.do_block(&observer.body, observer.body.span, None)
        })?;
        self.cur.observers.push(core::Observer {
            watched,
            guard,
            body: function,
            span,
        });
        Ok(())
    }
}

impl Checker<'_> {
    /// The formula of a live cell with its head, a query or stream source, connected to the cell.
    fn live_source(&mut self, e: &ast::Expr) -> Checked<ast::Expr> {
        let mut formula = e.clone();
        let mut at = &mut formula;
        loop {
            let head = match &at.kind {
                ast::ExprKind::Call { callee, .. } => self.live_head(callee),
                _ => None,
            };
            if let Some(form) = head {
                connect(at, form);
                return Ok(formula);
            }
            at = match &mut at.kind {
                ast::ExprKind::Pipe { value, .. } | ast::ExprKind::Hint { value, .. } => value,
                ast::ExprKind::Call { callee, .. } => callee,
                _ => {
                    return Err(Issue::new(Code::CellLive, e.span)
                        .hint("it starts with db.head, db.all, db.query, co.consume or co.consumeWithActions; else write `cell`")
                        .into());
                }
            };
        }
    }

    /// The form for a source of live cells.
    fn live_head(&mut self, callee: &ast::Expr) -> Option<&'static str> {
        let ast::ExprKind::Field { base, name, .. } = &callee.kind else {
            return None;
        };
        let (module, form) = match &*name.text {
            "head" | "all" | "query" => ("db", lookup::LIVE_QUERY),
            "consume" => ("co", lookup::LIVE_STREAM),
            "consumeWithActions" => ("co", lookup::LIVE_ACTIONS),
            _ => return None,
        };
        self.is_module(base, module).ok()?.then_some(form)
    }
}

/// Puts a source into the form that connects it with the cell.
fn connect(head: &mut ast::Expr, form: &'static str) {
    let whole = head.clone();
    let args = match &whole.kind {
        ast::ExprKind::Call { args, .. } if form != lookup::LIVE_QUERY => args.clone(),
        _ => vec![whole.clone()],
    };
    let callee = ast::Expr {
        kind: ast::ExprKind::Name(Symbol::from(form)),
        ..whole
    };
    head.kind = ast::ExprKind::Call {
        callee: Box::new(callee),
        args,
    };
}

pub(super) fn is_action(e: &ast::Expr) -> bool {
    matches!(e.kind, ast::ExprKind::Action { .. })
}
