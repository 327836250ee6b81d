//! `let`: what it binds and which bindings are polymorphic.

use super::Checker;
use super::env::{Checked, MemberKind, ScopeTarget};
use super::lookup::Found;
use super::scope::ScopeEntry;
use super::types::{Node, Ty};
use crate::core::{Arm, Constant, Expr, ExprKind, LocalId, Pattern, PatternKind, SlotKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, LetBind, PatternKind as AstPattern};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// `let b; e`
    pub(super) fn let_expr(
        &mut self,
        bind: &LetBind,
        body: &ast::Expr,
        span: Span,
        expected: Option<Ty>,
    ) -> Checked<(Expr, Ty)> {
        let mark = self.enter_scope();
        let outcome = self.let_parts(bind, body, span, expected);
        self.leave_scope(mark);
        outcome
    }

    pub(super) fn let_parts(
        &mut self,
        bind: &LetBind,
        body: &ast::Expr,
        span: Span,
        expected: Option<Ty>,
    ) -> Checked<(Expr, Ty)> {
        let bound = self.bind(bind, span)?;
        let (body, ty) = self.result(body, expected)?;
        let kind = match bound {
            Bound::Alias => return Ok((body, ty)),
            Bound::Name(local, value) => ExprKind::Let {
                local,
                value: Box::new(value),
                body: Box::new(body),
            },
            Bound::Pattern(pattern, value) => ExprKind::Match {
                subjects: vec![value],
                arms: vec![Arm {
                    patterns: vec![pattern],
                    guard: None,
                    body,
                }],
            },
        };
        Ok((Expr { span, kind }, ty))
    }

    /// The names a `let` binds, with their values.
    pub(super) fn bind(&mut self, bind: &LetBind, span: Span) -> Checked<Bound> {
        match bind {
            LetBind::Alias { name, value } => {
                let Some((cell, _)) = self.cell_named(value) else {
                    return Err(Issue::new(Code::CellExpected, value.span)
                        .with("what", "let alias")
                        .into());
                };
                self.function().scope.push(ScopeEntry {
                    name: name.text.clone(),
                    target: ScopeTarget::Cell(cell),
                    span: Some(name.span),
                    used: false,
                });
                Ok(Bound::Alias)
            }
            LetBind::Function {
                name,
                params,
                result,
                body,
            } => {
                let saved = self.cur.type_names.clone();
                let defining = self.cur.defining.replace(name.text.clone());
                self.types.level += 1;
                let outcome = self.shorthand(params, result.as_ref(), body, None, span);
                let settled = self.settle_above(self.types.level - 1);
                self.types.level -= 1;
                self.cur.type_names = saved;
                self.cur.defining = defining;
                let (value, ty) = outcome?;
                settled?;
                self.moderate(ty, span)?;
                self.types.generalize(ty);
                if self.names_a_case(&name.text) {
                    for param in params {
                        let entry = (param.name.text.clone(), name.text.clone());
                        self.cur.case_like.push(entry);
                    }
                }
                let local = self.bind_local(&name.text, ty, false, Some(name.span));
                self.function().arities.insert(local, params.len().max(1));
                Ok(Bound::Name(local, value))
            }
            LetBind::Pattern { pattern, ty, value } => {
                let hint = match ty {
                    Some(ty) => Some(self.hint(ty)?),
                    None => None,
                };
                let single = match &pattern.kind {
                    AstPattern::Name(name) => Some(name.clone()),
                    _ => None,
                };
                let general = single.is_some() && hint.is_none() && self.is_value(value);
                if general {
                    self.types.level += 1;
                }
                let outcome = self.result(value, hint);
                if general {
                    let settled = self.settle_above(self.types.level - 1);
                    self.types.level -= 1;
                    settled?;
                }
                let (expr, value_ty) = outcome?;
                if let Some(name) = single {
                    self.moderate(value_ty, span)?;
                    if general {
                        self.types.generalize(value_ty);
                    }
                    self.warn_shadowed_case(&name, pattern.span);
                    let local = self.bind_local(&name, value_ty, false, Some(pattern.span));
                    if let ExprKind::Lambda(lambda) = &expr.kind {
                        let count = lambda.params.len();
                        self.function().arities.insert(local, count);
                    }
                    if self.is_of_library(&expr) {
                        self.function().of_library.insert(local);
                    }
                    if matches!(self.types.node(value_ty), Node::Appstate) {
                        self.function().appstates.push(name);
                    }
                    return Ok(Bound::Name(local, expr));
                }
                self.settle()?;
                if self.types.is_var(value_ty) {
                    let ty = self.pattern_type(&[pattern], pattern.span)?;
                    if !self.types.attempt(|types| types.unify(value_ty, ty)) {
                        return Err(self.mismatch(ty, value_ty, pattern.span));
                    }
                }
                let pattern = self.pattern(pattern, value_ty, &mut Vec::new())?;
                if matches!(pattern.kind, PatternKind::Any) {
                    let local = self.new_local("_", false);
                    return Ok(Bound::Name(local, expr));
                }
                Ok(Bound::Pattern(pattern, expr))
            }
        }
    }

    /// The null a function without parameters is called with.
    pub(super) fn null(&self, span: Span) -> Expr {
        self.constant(Constant::Null, span)
    }
}

/// What a `let` binds.
pub(super) enum Bound {
    /// Only another name for a cell.
    Alias,
    /// One local.
    Name(LocalId, Expr),
    /// The parts of a value.
    Pattern(Pattern, Expr),
}

impl Checker<'_> {
    fn names_a_case(&self, name: &str) -> bool {
        self.global_case(name).is_some()
            || self
                .own_member(name)
                .is_some_and(|member| matches!(member.kind, MemberKind::Case(_)))
    }

    /// Whether a right side is generalised: a lambda, literal, name, member of a module, or
    /// container or partial application of such.
    pub(super) fn is_value(&mut self, e: &ast::Expr) -> bool {
        match &e.kind {
            ast::ExprKind::Null
            | ast::ExprKind::Bool(_)
            | ast::ExprKind::Undefined
            | ast::ExprKind::Int(_)
            | ast::ExprKind::Float(_)
            | ast::ExprKind::Str(_)
            | ast::ExprKind::Name(_)
            | ast::ExprKind::SelfName(_)
            | ast::ExprKind::GlobalName(_)
            | ast::ExprKind::Lambda(_)
            | ast::ExprKind::ProjectionFn(_)
            | ast::ExprKind::Extract(_)
            | ast::ExprKind::Regex(_)
            | ast::ExprKind::TypeAssert { value: None, .. } => true,
            ast::ExprKind::Field { base, .. } => matches!(self.module_named(base), Ok(Some(_))),
            ast::ExprKind::Array(items) => items.iter().all(|item| self.is_value(item)),
            ast::ExprKind::LabeledTuple(fields) => {
                fields.iter().all(|(_, value)| self.is_value(value))
            }
            ast::ExprKind::Map(entries) => entries.iter().all(|entry| {
                matches!(entry.key, ast::MapKey::Constant(_)) && self.is_value(&entry.value)
            }),
            ast::ExprKind::Hint { value, .. } => self.is_value(value),
            ast::ExprKind::Call { callee, args } => {
                let missing = self.known_arity(callee);
                missing.is_some_and(|count| args.len() < count)
                    && !args.is_empty()
                    && args.iter().all(|arg| self.is_value(arg))
            }
            _ => false,
        }
    }

    /// How many parameters a named function has; a call with fewer runs nothing.
    fn known_arity(&mut self, callee: &ast::Expr) -> Option<usize> {
        let ast::ExprKind::Name(name) = &callee.kind else {
            return None;
        };
        match self.lookup(name, callee.span).ok()? {
            Found::Local { depth, id, .. } => self.cur.functions[depth].arities.get(&id).copied(),
            Found::Own(_, member) => match &self.cur.slots.get(member.slot.0 as usize)?.kind {
                SlotKind::Function(function) => Some(function.params.len()),
                _ => None,
            },
            _ => None,
        }
    }
}
