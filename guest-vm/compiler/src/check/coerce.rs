//! Coercion points: what happens where a value of one type meets another.

use super::Checker;
use super::env::{Checked, Stop};
use super::types::{Node, Ty};
use crate::core::{Check, CheckId, Expr, ExprKind, RuntimeType};
use crate::issue::{Code, Issue};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// Makes an expression of one type fit another, with run-time checks where needed.
    pub(super) fn coerce(&mut self, expr: Expr, from: Ty, to: Ty, span: Span) -> Checked<Expr> {
        let from = self.types.find(from);
        let to = self.types.find(to);
        if from == to {
            return Ok(expr);
        }
        if self.types.is_var(from) && !self.cur.waits.is_empty() {
            self.settle()?;
        }
        if self.cur.library {
            // Library sources are trusted to know what an `any` is.
            if matches!(self.types.node(from), Node::Any) {
                return Ok(expr);
            }
        }
        if self.types.is_var(from) || self.types.is_var(to) {
            if self.types.attempt(|types| types.unify(from, to)) {
                return Ok(expr);
            }
            if self.solve_recursive_sum(from, to) || self.solve_recursive_data(from, to) {
                return Ok(expr);
            }
            return Err(self.mismatch(to, from, span));
        }
        if self.types.attempt(|types| types.subtype(from, to)) {
            return Ok(expr);
        }
        if let Node::Stream(element) = self.types.node(to)
            && self.cur.pragmas.auto_make_stream
            && !matches!(self.types.node(from), Node::Stream(_))
        {
            let inner = self.coerce(expr, from, element, span)?;
            return Ok(Expr {
                span: inner.span,
                kind: ExprKind::MakeStream(Box::new(inner)),
            });
        }
        if let (Node::Stream(had), Node::Stream(wanted)) =
            (self.types.node(from), self.types.node(to))
            && self.cur.pragmas.auto_type_assertion
            && let Some(check) = self.downcast(had, wanted, span)
        {
            return self.checked_stream(expr, check, span);
        }
        if self.container_join(from, to) == Some(true) {
            return Ok(expr);
        }
        if self.cur.pragmas.auto_type_assertion {
            if let Some(check) = self.downcast(from, to, span) {
                return Ok(Expr {
                    span: expr.span,
                    kind: ExprKind::Assert {
                        value: Box::new(expr),
                        check,
                    },
                });
            }
            if self.cur.library
                && let Some(wrapped) = self.wrap_function(&expr, from, to, span)?
            {
                return Ok(wrapped);
            }
        }
        Err(self.mismatch(to, from, span))
    }

    /// `A = A + number` and the like: a sum with its own type as an operand is of the type of
    /// the other operand.
    pub(super) fn solve_recursive_sum(&mut self, from: Ty, to: Ty) -> bool {
        let (var, sum) = if self.types.is_var(from) {
            (from, to)
        } else {
            (to, from)
        };
        let Node::Plus(left, right) = self.types.node(sum) else {
            return false;
        };
        let mut solution = Ty::DATA;
        for operand in [left, right] {
            match self.types.node(operand) {
                Node::Number => solution = Ty::NUMBER,
                Node::String => {
                    solution = Ty::STRING;
                    break;
                }
                _ => {}
            }
        }
        self.types
            .attempt(|types| types.unify(var, solution) && types.subtype(from, to))
    }

    /// `A = {left: A, right: A}` and the like: data that holds data of its own kind is data.
    pub(super) fn solve_recursive_data(&mut self, from: Ty, to: Ty) -> bool {
        if self.cur.pragmas.strict {
            return false;
        }
        let (var, whole) = match self.types.is_var(from) {
            true => (from, to),
            false => (to, from),
        };
        let var = self.types.find(var);
        self.contains(whole, var)
            && self.types.attempt(|types| {
                types.unify(var, Ty::DATA)
                    && types.make_data_range(whole)
                    && types.subtype(from, to)
            })
    }

    /// A stream whose elements are checked as they are pulled.
    pub(super) fn checked_stream(
        &mut self,
        stream: Expr,
        check: CheckId,
        span: Span,
    ) -> Checked<Expr> {
        if self.cur.library {
            // Library sources are trusted to know what their streams deliver.
            return Ok(stream);
        }
        let Some(module) = self.library_module("stream", span)? else {
            return Ok(stream);
        };
        let Some(map) = self.infos[module.0 as usize]
            .members
            .get("map")
            .map(|member| member.slot)
        else {
            return Ok(stream);
        };
        self.open_function(false);
        let param = self.new_local("_element", false);
        let body = Expr {
            span,
            kind: ExprKind::Assert {
                value: Box::new(Expr {
                    span,
                    kind: ExprKind::Local(param),
                }),
                check,
            },
        };
        let scope = self.close_function();
        let lambda = super::lambda::close(scope, vec![param], body, span);
        let function = Expr {
            span,
            kind: ExprKind::Lambda(Box::new(lambda)),
        };
        let callee = Expr {
            span,
            kind: ExprKind::Static { module, slot: map },
        };
        Ok(super::call::call(callee, vec![function, stream], span))
    }

    /// A tuple or record with unlike parts where a container of one still unknown type is
    /// expected: that type is their join.
    pub(super) fn container_join(&mut self, from: Ty, to: Ty) -> Option<bool> {
        let element = match (self.types.node(from), self.types.node(to)) {
            (Node::Tuple(_) | Node::Labeled(_), Node::Array(element))
            | (Node::Record(_), Node::Map(element)) => element,
            _ => return None,
        };
        if !self.types.is_var(element) {
            return None;
        }
        let mut joined: Option<Ty> = None;
        for part in self.types.children(from) {
            joined = Some(match joined {
                None => part,
                Some(so_far) => self.types.join(so_far, part, false)?,
            });
        }
        let joined = joined?;
        Some(self.types.attempt(|types| types.unify(element, joined)))
    }

    /// The check for using a value of type `from` as a `to`, if that is a downcast.
    pub(super) fn downcast(&mut self, from: Ty, to: Ty, span: Span) -> Option<CheckId> {
        if matches!(self.types.node(to), Node::Null | Node::Any) || !self.may_be_data(to) {
            return None;
        }
        let to = self.reachable_members(from, to);
        if matches!(self.types.node(from), Node::Plus(..)) {
            // A sum that is still open: its value is checked.
            self.types.make_data_range(from);
        } else {
            // Where data does not fit, what is known of the value tells the variables.
            let fits = self.types.attempt(|types| {
                types.data_vars(to);
                types.subtype(to, from)
            }) || self
                .types
                .attempt(|types| types.make_data_range(to) && types.subtype(to, from));
            if !fits {
                return None;
            }
        }
        self.types.data_vars(to);
        let mut check = self.types.runtime(to)?;
        if self.cur.for_library {
            check = RuntimeType::Expected(Box::new(check));
        }
        self.warn_downcast(from, to, span);
        Some(self.new_check(Check::Conforms(check)))
    }

    /// Checks what a hint or a place of the program asks for, and no library function.
    pub(super) fn for_program<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.in_arguments(false, work)
    }

    /// Checks arguments, of a library function or of another.
    pub(super) fn in_arguments<T>(
        &mut self,
        of_library: bool,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = std::mem::replace(&mut self.cur.for_library, of_library);
        let outcome = work(self);
        self.cur.for_library = before;
        outcome
    }

    /// The part of a union that values of a case type or smaller union can be in.
    pub(super) fn reachable_members(&mut self, from: Ty, to: Ty) -> Ty {
        let unions = |node: &Node| matches!(node, Node::Case(..) | Node::Union(..));
        if !unions(&self.types.node(from)) || !unions(&self.types.node(to)) {
            return to;
        }
        let (had, nullable) = self.types.members(from);
        let (wanted, _) = self.types.members(to);
        let kept: Vec<_> = wanted
            .into_iter()
            .filter(|(name, _)| had.iter().any(|(n, _)| n == name))
            .collect();
        if kept.len() != had.len() {
            return to;
        }
        self.types.union(kept, nullable)
    }

    pub(super) fn may_be_data(&mut self, ty: Ty) -> bool {
        self.types.attempt(|types| types.make_data_range(ty))
    }

    pub(super) fn warn_downcast(&mut self, from: Ty, to: Ty, span: Span) {
        if self.cur.pragmas.wants(Code::WarnDowncast) && !self.cur.library {
            let expected = self.types.show(to);
            let found = self.types.show(from);
            self.warn(
                Issue::new(Code::WarnDowncast, span)
                    .with("expected", expected)
                    .with("found", found),
            );
        }
    }

    /// A function whose parameters are narrower than expected becomes a function that checks
    /// its arguments, as a lambda around it would.
    pub(super) fn wrap_function(
        &mut self,
        expr: &Expr,
        from: Ty,
        to: Ty,
        span: Span,
    ) -> Checked<Option<Expr>> {
        let count = self.types.arity(to) as usize;
        let (expected, expected_result) = self.types.peel(to, count);
        let (actual, actual_result) = self.types.peel(from, count);
        if count == 0 || actual.len() != count {
            return Ok(None);
        }
        let possible = self.types.attempt(|types| {
            for (wide, narrow) in expected.iter().zip(&actual) {
                if !types.attempt(|types| types.subtype(*wide, *narrow))
                    && !types.attempt(|types| {
                        types.make_data_range(*narrow) && types.subtype(*narrow, *wide)
                    })
                {
                    return false;
                }
            }
            types.attempt(|types| types.subtype(actual_result, expected_result))
                || types.attempt(|types| {
                    types.make_data_range(expected_result)
                        && !matches!(types.node(expected_result), Node::Null)
                        && types.subtype(expected_result, actual_result)
                })
        });
        if !possible {
            return Ok(None);
        }
        let held = self.new_local("_function", false);
        self.open_function(false);
        let outcome = self.wrapper_body(
            held,
            &expected,
            expected_result,
            &actual,
            actual_result,
            span,
        );
        let scope = self.close_function();
        let (params, body) = outcome?;
        let lambda = super::lambda::close(scope, params, body, span);
        Ok(Some(Expr {
            span,
            kind: ExprKind::Let {
                local: held,
                value: Box::new(expr.clone()),
                body: Box::new(Expr {
                    span,
                    kind: ExprKind::Lambda(Box::new(lambda)),
                }),
            },
        }))
    }

    pub(super) fn wrapper_body(
        &mut self,
        held: crate::core::LocalId,
        expected: &[Ty],
        expected_result: Ty,
        actual: &[Ty],
        actual_result: Ty,
        span: Span,
    ) -> Checked<(Vec<crate::core::LocalId>, Expr)> {
        let depth = self.cur.functions.len() - 2;
        let callee = self.capture(depth, held);
        let mut params = Vec::new();
        let mut args = Vec::new();
        for (wide, narrow) in expected.iter().zip(actual) {
            let param = self.new_local("_argument", false);
            params.push(param);
            let read = Expr {
                span,
                kind: ExprKind::Local(param),
            };
            args.push(self.coerce(read, *wide, *narrow, span)?);
        }
        let call = Expr {
            span,
            kind: ExprKind::Call {
                callee: Box::new(Expr {
                    span,
                    kind: ExprKind::Local(callee),
                }),
                args,
            },
        };
        let body = self.coerce(call, actual_result, expected_result, span)?;
        Ok((params, body))
    }

    /// A place for a check that may turn out to be none.
    pub(super) fn new_check(&mut self, check: Check) -> CheckId {
        let next = CheckId(self.cur.checks.len() as u32);
        if let Check::Conforms(ty) = &check {
            if let Some(known) = self.cur.check_of.get(ty) {
                return *known;
            }
            self.cur.check_of.insert(ty.clone(), next);
        }
        self.cur.checks.push(check);
        next
    }

    /// An assertion of a known run-time type.
    pub(super) fn assert(&mut self, value: Expr, ty: RuntimeType) -> Expr {
        let check = self.new_check(Check::Conforms(ty));
        Expr {
            span: value.span,
            kind: ExprKind::Assert {
                value: Box::new(value),
                check,
            },
        }
    }

    /// The issue for a value that does not fit.
    pub(super) fn mismatch(&mut self, expected: Ty, found: Ty, span: Span) -> Stop {
        if self.types.exhausted() {
            return self.too_large(span);
        }
        let rigid = |node: &Node| matches!(node, Node::Rigid { .. });
        let sides_rigid = self.types.mentions(expected, &rigid)
            || matches!(self.types.node(found), Node::Rigid { .. });
        if let Some((name, declared)) = self.cur.declaring.clone()
            && sides_rigid
        {
            let declared = self.types.show(declared);
            let (expected, found) = self.show_pair(expected, found);
            return Issue::new(Code::TypeGenerality, span)
                .with("name", name)
                .with("declared", declared)
                .hint(format!(
                    "the declaration promises this for all types of its variables, \
                     but here {expected} is needed and {found} given"
                ))
                .into();
        }
        let infinite = {
            let (a, b) = (self.types.find(expected), self.types.find(found));
            (self.types.is_var(a) && self.contains(b, a))
                || (self.types.is_var(b) && self.contains(a, b))
        };
        if infinite {
            let (expected, found) = self.show_pair(expected, found);
            return Issue::new(Code::TypeInfinite, span)
                .hint(format!(
                    "one type would be both {expected} and {found}; \
                     annotate a parameter, or declare the definition"
                ))
                .into();
        }
        if matches!(self.types.node(found), Node::Appstate)
            && matches!(self.types.node(expected), Node::Data)
        {
            return Issue::new(Code::CellAppstateEscape, span)
                .hint("pass it on as an argument; it is valid only while the action runs")
                .into();
        }
        let mend = self.mend(expected, found);
        let (expected, found) = self.show_pair(expected, found);
        Issue::new(Code::TypeMismatch, span)
            .with("expected", expected)
            .with("found", found)
            .hint_if(mend)
            .into()
    }

    pub(super) fn contains(&mut self, ty: Ty, part: Ty) -> bool {
        let ty = self.types.find(ty);
        ty == part
            || self.types.step()
                && self
                    .types
                    .children(ty)
                    .into_iter()
                    .any(|child| self.contains(child, part))
    }

    /// Refuses types of definitions that would make every use of them slow.
    pub(super) fn moderate(&mut self, ty: Ty, span: Span) -> Checked<()> {
        if self.types.is_moderate(ty) {
            Ok(())
        } else {
            Err(self.too_large(span))
        }
    }

    /// The issue for types that outgrow the checker.
    pub(super) fn too_large(&self, span: Span) -> Stop {
        Issue::new(Code::SynNesting, span)
            .with("what", "the type of this phrase is too large")
            .with("limit", format!("{} parts", super::type_walk::MAX_NODES))
            .hint("give parts of it names with declared types")
            .into()
    }
}
