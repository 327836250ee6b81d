//! Functions: lambdas with arms, definitions with plain parameters, implicit projections, `let`.

use super::Checker;
use super::env::{Checked, FunctionScope, Stop};
use super::types::{Node, Ty};
use crate::core::{self, Arm, Expr, ExprKind, Function, FunctionName, LocalId};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, Ident, Param, PatternKind as AstPattern, Symbol};
use crate::syntax::span::Span;

/// A closure from a finished function scope.
pub(super) fn close(
    scope: FunctionScope,
    params: Vec<LocalId>,
    body: Expr,
    span: Span,
) -> Function {
    Function {
        name: FunctionName::Lambda,
        params,
        locals: scope.locals,
        captures: scope.captures,
        body: Box::new(body),
        span,
    }
}
impl Checker<'_> {
    /// A lambda where a function type (or nothing yet) is expected.
    pub(super) fn check_lambda(
        &mut self,
        lambda: &ast::Lambda,
        expected: Ty,
        span: Span,
    ) -> Checked<Expr> {
        let count = lambda.arms.first().map_or(1, |arm| arm.params.len().max(1));
        let mut params = Vec::new();
        let mut rest = expected;
        for _ in 0..count {
            if self.types.is_var(rest) {
                let from = self.types.fresh();
                let to = self.types.fresh();
                let arrow = self.types.fun(from, to);
                if !self.types.attempt(|types| types.unify(rest, arrow)) {
                    return Err(self.mismatch(rest, arrow, span));
                }
            }
            let Node::Fun(from, to) = self.types.node(rest) else {
                // Too many parameters: infer, for the better message.
                let (expr, ty) = self.lambda(lambda, span, &[], None)?;
                return self.coerce(expr, ty, expected, span);
            };
            params.push(Some(from));
            rest = to;
        }
        let outcome = self.lambda(lambda, span, &params, Some(rest));
        match outcome {
            Ok((expr, _)) => Ok(expr),
            Err(stop) => Err(self.too_few_parameters(stop, count, expected)),
        }
    }

    /// A body that is no function where the function should have more parameters.
    fn too_few_parameters(&mut self, stop: Stop, count: usize, expected: Ty) -> Stop {
        let arity = self.types.arity(expected) as usize;
        match stop {
            Stop::Issue(issue)
                if arity > count
                    && issue.code == Code::TypeMismatch
                    && issue
                        .params
                        .iter()
                        .any(|(name, value)| *name == "expected" && value.contains("->")) =>
            {
                Stop::Issue(Box::new(issue.hint(format!(
                    "the function is called with {arity} arguments and takes {count}"
                ))))
            }
            other => other,
        }
    }

    /// A lambda with the parameter types and result type known so far.
    pub(super) fn lambda(
        &mut self,
        lambda: &ast::Lambda,
        span: Span,
        expected: &[Option<Ty>],
        result: Option<Ty>,
    ) -> Checked<(Expr, Ty)> {
        self.open_function(false);
        let outcome = self.lambda_body(lambda, span, expected, result);
        let scope = self.close_function();
        let (params, body, ty) = outcome?;
        let function = close(scope, params, body, span);
        Ok((
            Expr {
                span,
                kind: ExprKind::Lambda(Box::new(function)),
            },
            ty,
        ))
    }

    pub(super) fn lambda_body(
        &mut self,
        lambda: &ast::Lambda,
        span: Span,
        expected: &[Option<Ty>],
        result: Option<Ty>,
    ) -> Checked<(Vec<LocalId>, Expr, Ty)> {
        let count = lambda.arms.first().map_or(1, |arm| arm.params.len());
        // `() -> e`: one dummy parameter of type null.
        if count == 0 {
            let param = self.new_local("_", false);
            if let Some(Some(ty)) = expected.first() {
                let ty = *ty;
                if self.types.is_var(ty) {
                    self.types.attempt(|types| types.unify(ty, Ty::NULL));
                }
            }
            let Some(arm) = lambda.arms.first() else {
                return Err(Issue::new(Code::SynArity, span).into());
            };
            let (body, body_ty) = self.result(&arm.body, result)?;
            let ty = self.types.fun(Ty::NULL, body_ty);
            return Ok((vec![param], body, ty));
        }
        let simple = lambda.arms.len() == 1
            && lambda.arms[0].guard.is_none()
            && lambda.arms[0].params.iter().all(|param| {
                matches!(
                    param.pattern.kind,
                    AstPattern::Name(_) | AstPattern::Wildcard
                )
            });
        if simple {
            let arm = &lambda.arms[0];
            let mut params = Vec::new();
            let mut types = Vec::new();
            let mut checks = Vec::new();
            let mut seen: Vec<&Symbol> = Vec::new();
            for (index, param) in arm.params.iter().enumerate() {
                let name = match &param.pattern.kind {
                    AstPattern::Name(name) => {
                        if seen.contains(&name) {
                            return Err(Issue::new(Code::NameDupPattern, param.pattern.span)
                                .with("name", name)
                                .hint("every parameter has a name of its own")
                                .into());
                        }
                        seen.push(name);
                        self.warn_shadowed_case(name, param.pattern.span);
                        Some(name.clone())
                    }
                    _ => None,
                };
                let known = expected.get(index).copied().flatten();
                let (local, ty) = self.parameter(
                    name.as_ref(),
                    param.ty.as_ref(),
                    known,
                    param.pattern.span,
                    &mut checks,
                )?;
                params.push(local);
                types.push(ty);
            }
            let (body, body_ty) = self.result(&arm.body, result)?;
            self.refuse_appstate(body_ty, arm.body.span)?;
            let body = bind_all(checks, body);
            let ty = self.types.funs(&types, body_ty);
            return Ok((params, body, ty));
        }
        self.arms(lambda, span, expected, result)
    }

    /// The result of a function: checked against the expected type, if any.
    pub(super) fn result(&mut self, body: &ast::Expr, result: Option<Ty>) -> Checked<(Expr, Ty)> {
        match result {
            Some(ty) => Ok((self.check(body, ty)?, ty)),
            None => self.infer(body),
        }
    }

    /// A plain parameter. A narrower annotation than expected is checked on entry: the checked
    /// value gets a local of its own, which `checks` collects.
    pub(super) fn parameter(
        &mut self,
        name: Option<&Symbol>,
        annotation: Option<&ast::TypeExpr>,
        known: Option<Ty>,
        span: Span,
        checks: &mut Vec<(LocalId, Expr)>,
    ) -> Checked<(LocalId, Ty)> {
        let named_appstate = name.is_some_and(|name| &**name == "appstate");
        let annotated = match annotation {
            Some(ty) => Some(self.hint(ty)?),
            None => None,
        };
        let ty = match (annotated, known) {
            (Some(ty), _) => ty,
            (None, Some(ty)) => {
                if named_appstate && self.types.is_var(ty) {
                    self.types.attempt(|types| types.unify(ty, Ty::APPSTATE));
                }
                ty
            }
            (None, None) if named_appstate => Ty::APPSTATE,
            (None, None) => self.types.fresh(),
        };
        let text: Symbol = name.cloned().unwrap_or_else(|| Symbol::from("_"));
        let local = self.new_local(&text, false);
        let mut visible = local;
        let mut outer = ty;
        if let (Some(annotated), Some(known)) = (annotated, known) {
            let read = Expr {
                span,
                kind: ExprKind::Local(local),
            };
            let coerced = self.for_program(|c| c.coerce(read, known, annotated, span))?;
            if !matches!(coerced.kind, ExprKind::Local(_)) {
                visible = self.new_local(&text, false);
                checks.push((visible, coerced));
            }
            outer = known;
        }
        if let Some(name) = name {
            self.name_local(name, visible, ty, false, Some(span));
            if matches!(self.types.node(ty), Node::Appstate) {
                self.function().appstates.push(name.clone());
            }
        }
        Ok((local, outer))
    }

    /// Several arms, or patterns: one match over the parameters.
    pub(super) fn arms(
        &mut self,
        lambda: &ast::Lambda,
        span: Span,
        expected: &[Option<Ty>],
        result: Option<Ty>,
    ) -> Checked<(Vec<LocalId>, Expr, Ty)> {
        let count = lambda.arms[0].params.len();
        let mut params = Vec::new();
        let mut types = Vec::new();
        for index in 0..count {
            params.push(self.new_local("_argument", false));
            let known = expected.get(index).copied().flatten();
            let mut annotated = None;
            for arm in &lambda.arms {
                if let Some(ty) = arm.params.get(index).and_then(|param| param.ty.as_ref()) {
                    let ty = self.hint(ty)?;
                    annotated = Some(ty);
                    break;
                }
            }
            let patterns: Vec<&ast::Pattern> = lambda
                .arms
                .iter()
                .filter_map(|arm| arm.params.get(index).map(|param| &param.pattern))
                .collect();
            let ty = match known {
                Some(ty) if !self.types.is_var(ty) => ty,
                _ => {
                    let ty = match annotated {
                        Some(ty) => ty,
                        None => self.pattern_type(&patterns, span)?,
                    };
                    if let Some(known) = known
                        && !self.types.attempt(|types| types.unify(known, ty))
                    {
                        return Err(self.mismatch(known, ty, span));
                    }
                    ty
                }
            };
            types.push(ty);
        }
        let mut arms = Vec::new();
        let mut joined: Option<Ty> = None;
        let unsolved = match result {
            Some(ty) => self.types.is_var(ty),
            None => true,
        };
        for arm in &lambda.arms {
            let mark = self.enter_scope();
            let mut seen = Vec::new();
            let mut patterns = Vec::new();
            let mut checks = Vec::new();
            for (index, param) in arm.params.iter().enumerate() {
                let mut ty = types[index];
                if let Some(annotation) = &param.ty {
                    let hinted = self.hint(annotation)?;
                    let read = Expr {
                        span: param.pattern.span,
                        kind: ExprKind::Local(params[index]),
                    };
                    let place = param.pattern.span;
                    let coerced = self.for_program(|c| c.coerce(read, ty, hinted, place))?;
                    if !matches!(coerced.kind, ExprKind::Local(_)) {
                        let local = self.new_local("_checked", false);
                        checks.push((local, coerced));
                    }
                    ty = hinted;
                }
                patterns.push(self.pattern(&param.pattern, ty, &mut seen)?);
            }
            let guard = match &arm.guard {
                Some(guard) => Some(self.check_bool(guard)?),
                None => None,
            };
            let body = if unsolved {
                let (body, ty) = self.infer(&arm.body)?;
                joined = Some(match joined {
                    None => ty,
                    Some(so_far) => self
                        .join_branches(so_far, ty, arm.body.span)
                        .map_err(|stop| stop.note(lambda.arms[0].body.span, "the first arm"))?,
                });
                body
            } else {
                self.result(&arm.body, result)?.0
            };
            let body = bind_all(checks, body);
            arms.push(Arm {
                patterns,
                guard,
                body,
            });
            self.leave_scope(mark);
        }
        self.warn_arms(lambda, &types, span);
        let result_ty = match (result, joined) {
            (Some(ty), Some(joined)) => {
                if !self.types.attempt(|types| types.unify(ty, joined))
                    && !self.solve_recursive_sum(joined, ty)
                    && !self.solve_recursive_data(joined, ty)
                {
                    return Err(self.mismatch(ty, joined, span));
                }
                ty
            }
            (Some(ty), None) => ty,
            (None, Some(joined)) => joined,
            (None, None) => Ty::NULL,
        };
        let subjects = params
            .iter()
            .map(|param| Expr {
                span,
                kind: ExprKind::Local(*param),
            })
            .collect();
        let body = Expr {
            span,
            kind: ExprKind::Match { subjects, arms },
        };
        let ty = self.types.funs(&types, result_ty);
        Ok((params, body, ty))
    }

    /// A definition with plain parameters: `f(a, b) : T = e`.
    pub(super) fn shorthand(
        &mut self,
        params: &[Param],
        result: Option<&ast::TypeExpr>,
        body: &ast::Expr,
        declared: Option<Ty>,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        self.open_function(false);
        let outcome = self.shorthand_body(params, result, body, declared);
        let scope = self.close_function();
        let (locals, body, ty) = outcome?;
        Ok((
            Expr {
                span,
                kind: ExprKind::Lambda(Box::new(close(scope, locals, body, span))),
            },
            ty,
        ))
    }

    pub(super) fn shorthand_body(
        &mut self,
        params: &[Param],
        result: Option<&ast::TypeExpr>,
        body: &ast::Expr,
        declared: Option<Ty>,
    ) -> Checked<(Vec<LocalId>, Expr, Ty)> {
        let count = params.len().max(1);
        let mut expected: Vec<Option<Ty>> = vec![None; count];
        let mut expected_result = None;
        if let Some(declared) = declared {
            let (known, rest) = self.types.peel(declared, count);
            if known.len() == count {
                expected = known.into_iter().map(Some).collect();
                expected_result = Some(rest);
            }
        }
        let mut locals = Vec::new();
        let mut types = Vec::new();
        let mut checks = Vec::new();
        if params.is_empty() {
            locals.push(self.new_local("_", false));
            types.push(Ty::NULL);
        }
        for (index, param) in params.iter().enumerate() {
            let dummy = &*param.name.text == "_";
            if !dummy
                && params[..index]
                    .iter()
                    .any(|other| other.name.text == param.name.text)
            {
                return Err(Issue::new(Code::NameDupParam, param.name.span)
                    .with("name", &param.name.text)
                    .hint("a parameter that is not used is written `_`")
                    .into());
            }
            let name = (!dummy).then_some(&param.name.text);
            let (local, ty) = self.parameter(
                name,
                param.ty.as_ref(),
                expected[index],
                param.name.span,
                &mut checks,
            )?;
            locals.push(local);
            types.push(ty);
        }
        let annotated = match result {
            Some(ty) => Some(self.hint(ty)?),
            None => None,
        };
        let at = body.span;
        let (body, body_ty) = match (annotated, expected_result) {
            (Some(annotated), Some(expected)) => {
                let body = self.for_program(|c| c.check(body, annotated))?;
                (self.coerce(body, annotated, expected, at)?, expected)
            }
            (Some(ty), None) | (None, Some(ty)) => (self.check(body, ty)?, ty),
            (None, None) => self.infer(body)?,
        };
        self.refuse_appstate(body_ty, at)?;
        let body = bind_all(checks, body);
        let ty = self.types.funs(&types, body_ty);
        Ok((locals, body, ty))
    }

    /// A slot with implicit projections.
    pub(super) fn projection_function(
        &mut self,
        body: &ast::Expr,
        span: Span,
        param: Option<Ty>,
        result: Option<Ty>,
    ) -> Checked<(Expr, Ty)> {
        let param_ty = match param {
            Some(ty) => ty,
            None => self.types.fresh(),
        };
        self.open_function(false);
        let local = self.new_local("_row", false);
        self.function().projections.push((local, param_ty));
        let outcome = self.result(body, result);
        let scope = self.close_function();
        let (body, body_ty) = outcome?;
        let ty = self.types.fun(param_ty, body_ty);
        Ok((
            Expr {
                span,
                kind: ExprKind::Lambda(Box::new(close(scope, vec![local], body, span))),
            },
            ty,
        ))
    }

    /// `.name` as an operand.
    pub(super) fn infer_projection(&mut self, name: &Ident, span: Span) -> Checked<(Expr, Ty)> {
        let found = self
            .cur
            .functions
            .iter()
            .enumerate()
            .rev()
            .find_map(|(depth, function)| {
                function
                    .projections
                    .last()
                    .map(|(local, ty)| (depth, *local, *ty))
            });
        let Some((depth, local, ty)) = found else {
            return Err(Issue::new(Code::SynUnexpected, span)
                .with("found", format!(".{}", name.text))
                .with("expected", "an expression")
                .into());
        };
        let base = self.read_local(depth, local, span);
        self.field_of(base, ty, name, span)
    }
}

/// Wraps a body in bindings.
pub(super) fn bind_all(bindings: Vec<(LocalId, Expr)>, body: Expr) -> Expr {
    bindings
        .into_iter()
        .rev()
        .fold(body, |body, (local, value)| Expr {
            span: body.span,
            kind: ExprKind::Let {
                local,
                value: Box::new(value),
                body: Box::new(body),
            },
        })
}

/// A body without parameters from a finished function scope.
pub(super) fn body(
    name: FunctionName,
    scope: FunctionScope,
    body: Expr,
    span: Span,
) -> core::Function {
    Function {
        name,
        params: Vec::new(),
        locals: scope.locals,
        captures: scope.captures,
        body: Box::new(body),
        span,
    }
}
