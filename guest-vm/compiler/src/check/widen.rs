//! The type of an accumulator that begins narrower than it becomes: in
//! `array.reduce(f, ok(0), a)` it begins as `ok(number)`, and `f` may give an `error`. What the
//! lambda gives is found out by a check of it that is then forgotten, and joined with what the
//! accumulator begins as.

use super::Checker;
use super::call::Arg;
use super::types::{Node, Ty};
use crate::syntax::ast;
use crate::syntax::span::Span;

/// Folds inside folds that are looked at twice; the time doubles with each.
const DEEPEST: u32 = 3;

impl Checker<'_> {
    /// What a type variable becomes that an argument of type `begin` fixes, if a lambda of the
    /// same call gives more. `late` are the arguments that are not checked yet.
    pub(super) fn widened(
        &mut self,
        var: Ty,
        begin: Ty,
        params: &[Ty],
        late: &[(usize, Arg)],
    ) -> Ty {
        if self.guesses >= DEEPEST || !self.may_grow(begin) {
            return begin;
        }
        for (index, arg) in late {
            let Arg::Tree(e) = arg else { continue };
            let ast::ExprKind::Lambda(lambda) = &e.kind else {
                continue;
            };
            self.guesses += 1;
            let wider = self.grown(var, begin, params[*index], lambda, e.span);
            self.guesses -= 1;
            if let Some(wider) = wider {
                return wider;
            }
        }
        begin
    }

    fn may_grow(&mut self, ty: Ty) -> bool {
        matches!(
            self.types.node(ty),
            Node::Case(..) | Node::Union(..) | Node::Tuple(_) | Node::Record(_)
        )
    }

    /// The join of `begin` with what a lambda gives whose result is the variable.
    fn grown(
        &mut self,
        var: Ty,
        begin: Ty,
        param: Ty,
        lambda: &ast::Lambda,
        span: Span,
    ) -> Option<Ty> {
        let count = lambda.arms.first().map_or(1, |arm| arm.params.len().max(1));
        let (from, result) = self.types.peel(param, count);
        if from.len() != count || self.types.find(result) != self.types.find(var) {
            return None;
        }
        let known = self.guess(|checker| {
            if !checker.types.attempt(|types| types.unify(var, begin)) {
                return None;
            }
            checker.join_of_results(begin, &from, lambda, span)
        });
        if known.is_some() {
            return known;
        }
        // It takes apart more than it is given at first: its patterns say what.
        self.guess(|checker| {
            let joined = checker.join_of_results(begin, &from, lambda, span)?;
            if checker.types.is_var(var) {
                return None;
            }
            let joined = checker
                .types
                .join(joined, var, checker.cur.pragmas.strict)?;
            checker
                .may_hold(begin, joined)
                .then(|| checker.types.snapshot(joined))
        })
    }

    fn join_of_results(
        &mut self,
        begin: Ty,
        from: &[Ty],
        lambda: &ast::Lambda,
        span: Span,
    ) -> Option<Ty> {
        let from: Vec<Option<Ty>> = from.iter().copied().map(Some).collect();
        let (_, function) = self.lambda(lambda, span, &from, None).ok()?;
        self.settle().ok()?;
        let (_, given) = self.types.peel(function, from.len());
        if self.types.is_var(given) {
            return None;
        }
        if self.types.attempt(|types| types.subtype(given, begin)) {
            return Some(begin);
        }
        let joined = self.types.join(begin, given, self.cur.pragmas.strict)?;
        self.may_hold(begin, joined)
            .then(|| self.types.snapshot(joined))
    }

    /// Whether the accumulator may have that type. One that begins as a case may become `data`
    /// rather than fail when it is another case.
    fn may_hold(&mut self, begin: Ty, joined: Ty) -> bool {
        let is_case = matches!(self.types.node(begin), Node::Case(..) | Node::Union(..));
        match self.types.node(joined) {
            Node::Array(_) | Node::Map(_) => true,
            Node::Data => is_case && !self.cur.pragmas.strict,
            _ => self.may_grow(joined),
        }
    }

    /// Runs a check whose traces are then removed. Modules that it loads stay.
    fn guess<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.types.mark();
        let level = self.types.level;
        let literals = self.literals;
        let suggestions = self.suggestions;
        let uses = self.records.mark();
        let waits = self.cur.waits.clone();
        let sums = self.cur.sums.clone();
        let type_names = self.cur.type_names.clone();
        let dependencies = self.cur.dependencies.len();
        let (actions, issues) = (self.cur.actions.len(), self.cur.issues.len());
        let (unused, case_like) = (self.cur.unused.len(), self.cur.case_like.len());
        let given = run(self);
        self.types.undo(mark);
        self.types.level = level;
        self.literals = literals;
        self.suggestions = suggestions;
        self.records.forget(uses);
        self.cur.waits = waits;
        self.cur.sums = sums;
        self.cur.type_names = type_names;
        self.cur.dependencies.truncate(dependencies);
        self.cur.actions.truncate(actions);
        for issue in self.cur.issues.split_off(issues.min(self.cur.issues.len())) {
            self.cur.warned.remove(&(issue.code, issue.span));
        }
        self.cur.unused.truncate(unused);
        self.cur.case_like.truncate(case_like);
        given
    }
}
