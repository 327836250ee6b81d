//! Calls and pipes.
//!
//! Arguments are evaluated left to right, but their types are found in another
//! order: plain arguments, then those whose parameter is a bare type variable
//! together, then lambdas, which know most by then.

use super::Checker;
use super::env::Checked;
use super::lookup::Found;
use super::types::{Node, Ty};
use crate::core::{Constant, Expr, ExprKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast;
use crate::syntax::span::Span;

/// An argument of a call.
pub(super) enum Arg<'e> {
    /// Still to be checked.
    Tree(&'e ast::Expr),
    /// Already evaluated: the left side of a pipe, the null of `f()`.
    Done(Expr, Ty, Span),
}
impl Arg<'_> {
    pub(super) fn span(&self) -> Span {
        match self {
            Arg::Tree(e) => e.span,
            Arg::Done(_, _, span) => *span,
        }
    }

    /// It is checked after the other arguments.
    pub(super) fn is_late(&self) -> bool {
        match self {
            Arg::Tree(e) => matches!(
                e.kind,
                ast::ExprKind::Lambda(_)
                    | ast::ExprKind::ProjectionFn(_)
                    | ast::ExprKind::Extract(_)
                    | ast::ExprKind::TypeAssert { value: None, .. }
            ),
            Arg::Done(..) => false,
        }
    }
}

/// Predefined functions that are operators.
const ROUNDING: &[&str] = &["floor", "ceil"];

impl Checker<'_> {
    /// `callee(args)`, with the left side of a pipe as a last argument.
    pub(super) fn infer_call(
        &mut self,
        callee: &ast::Expr,
        args: &[ast::Expr],
        piped: Option<(Expr, Ty, Span)>,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let mut rounds = false;
        if let ast::ExprKind::Name(name)
        | ast::ExprKind::GlobalName(ast::Ident { text: name, .. }) = &callee.kind
        {
            let global = matches!(callee.kind, ast::ExprKind::GlobalName(_));
            let found = if global {
                self.lookup_predefined(name, callee.span)?
            } else {
                Some(self.lookup(name, callee.span)?)
            };
            if let Some(Found::Form(form)) = found {
                return self.call_form(form, args, span);
            }
            rounds = matches!(found, Some(Found::Prelude(..))) && ROUNDING.contains(&&**name);
        }
        let mut list: Vec<Arg> = args.iter().map(Arg::Tree).collect();
        if let Some((expr, ty, at)) = piped {
            list.push(Arg::Done(expr, ty, at));
        }
        if list.is_empty() {
            list.push(Arg::Done(
                self.constant(Constant::Null, span),
                Ty::NULL,
                span,
            ));
        }
        match &callee.kind {
            ast::ExprKind::Lambda(lambda) => {
                return self.call_lambda(lambda, callee.span, list, span);
            }
            ast::ExprKind::ProjectionFn(body) => {
                if let [Arg::Tree(only)] = &list[..] {
                    let (value, ty) = self.infer(only)?;
                    let (function, function_ty) =
                        self.projection_function(body, callee.span, Some(ty), None)?;
                    let (_, result) = self.types.peel(function_ty, 1);
                    return Ok((call(function, vec![value], span), result));
                }
            }
            ast::ExprKind::Extract(case) if list.len() == 1 => {
                let info = self.case_of(case)?;
                let (value, ty) = self.infer_arg(list.remove(0))?;
                let result = self.extracted(&info, ty, span)?;
                return Ok((
                    Expr {
                        span,
                        kind: ExprKind::Extract {
                            full_name: info.full_name,
                            value: Box::new(value),
                        },
                    },
                    result,
                ));
            }
            ast::ExprKind::TypeAssert { ty, value: None } if list.len() == 1 => {
                let (ty, runtime) = self.assertable_type(ty)?;
                self.types.data_vars(ty);
                let (value, _) = self.infer_arg(list.remove(0))?;
                let mut expr = self.assert(value, runtime);
                expr.span = span;
                return Ok((expr, ty));
            }
            _ => {}
        }
        if let Some(done) = self.query_call(callee, &mut list, span)? {
            return Ok(done);
        }
        let (function, ty) = self.infer(callee)?;
        let places: Vec<Span> = list.iter().map(Arg::span).collect();
        let mut outcome = self.apply(function, ty, list, callee.span, span);
        if (self.reads_refs(callee) || args.iter().any(|arg| self.is_reader_of_refs(arg)))
            && let Ok((
                Expr {
                    kind: ExprKind::Call { args, .. },
                    ..
                },
                _,
            )) = &mut outcome
        {
            self.admit_refs(args);
        }
        if (rounds || self.looks_up_safely(callee))
            && let Ok((
                Expr {
                    kind: ExprKind::Call { args, .. },
                    ..
                },
                _,
            )) = &mut outcome
        {
            // They check their operands like the other operators, or take any.
            for arg in args {
                if let ExprKind::Assert { value, .. } = &mut arg.kind {
                    let inner = self.constant(Constant::Null, span);
                    *arg = std::mem::replace(&mut **value, inner);
                }
            }
        }
        outcome.map_err(|stop| self.explain_call(stop, callee, args, &places))
    }

    /// Applies a function of a known type to arguments.
    pub(super) fn apply(
        &mut self,
        function: Expr,
        ty: Ty,
        args: Vec<Arg>,
        callee_span: Span,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        self.apply_further(function, ty, args, 0, callee_span, span)
    }

    /// The same for what is left of the arguments after the function took some of them.
    fn apply_further(
        &mut self,
        function: Expr,
        ty: Ty,
        args: Vec<Arg>,
        taken: usize,
        callee_span: Span,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let mut exprs = Vec::new();
        let mut rest = args.into_iter().peekable();
        let mut ty = ty;
        let mut all_params: Vec<Ty> = Vec::new();
        while rest.peek().is_some() {
            self.settle()?;
            match self.types.node(ty) {
                Node::Fun(..) => {
                    let count = rest.len();
                    let (params, result) = self.types.peel(ty, count);
                    all_params.extend(&params);
                    let group: Vec<Arg> = rest.by_ref().take(params.len()).collect();
                    let of_library = self.is_of_library(&function);
                    let group = self.in_arguments(of_library, |c| c.arguments(&params, group));
                    exprs.extend(group?);
                    ty = result;
                }
                Node::Forall(body) => ty = self.instantiate(body, span),
                Node::Any if self.cur.library => {
                    for arg in rest.by_ref() {
                        exprs.push(self.infer_arg(arg)?.0);
                    }
                }
                Node::Var { .. } => {
                    let param = self.types.fresh();
                    let result = self.types.fresh();
                    let arrow = self.types.fun(param, result);
                    let called = self.types.find(ty);
                    for wait in self.cur.waits.iter_mut().rev().take(8) {
                        wait.called |= self.types.find(wait.result) == called;
                    }
                    if !self.types.attempt(|types| types.unify(ty, arrow)) {
                        return Err(self.mismatch(arrow, ty, callee_span));
                    }
                }
                _ => {
                    let shown = self.types.show(ty);
                    let takes = taken + all_params.len();
                    let surplus = rest.peek().map_or(callee_span, Arg::span);
                    return Err(match takes {
                        0 => {
                            let hint = match (self.types.find(ty) == Ty::DATA, &function.kind) {
                                (true, ExprKind::Field { base, name }) => {
                                    let of = match &base.kind {
                                        ExprKind::Array(_) => Some("array"),
                                        ExprKind::Map(_) => Some("map"),
                                        _ => None,
                                    };
                                    super::familiar::method(name, of)
                                }
                                (true, _) => "values of type data are never functions; \
                                     give the function a type where it comes from"
                                    .to_string(),
                                (false, _) if matches!(self.types.node(ty), Node::Module(..)) => {
                                    "its functions are called with its name: `module.function(…)`"
                                        .to_string()
                                }
                                (false, _) if matches!(self.types.node(ty), Node::Any) => {
                                    "its type is lost; a case of your own keeps it: \
                                     `case kept(number -> number)`, taken out by `kept(f) -> f(x)`"
                                        .to_string()
                                }
                                (false, _) => "it is a value: leave out the `(…)`".to_string(),
                            };
                            Issue::new(Code::TypeNotFunction, callee_span)
                                .with("type", shown)
                                .hint(hint)
                                .into()
                        }
                        _ => Issue::new(Code::TypeNotFunction, surplus)
                            .with("type", shown)
                            .hint(format!(
                                "the function takes {takes} argument{}, and {} are given",
                                if takes == 1 { "" } else { "s" },
                                takes + rest.len()
                            ))
                            .note(callee_span, "what is called")
                            .into(),
                    });
                }
            }
        }
        self.settle()?;
        // A result that nothing passed in can give: there is none, as with `fail`.
        if matches!(function.kind, ExprKind::Static { .. } | ExprKind::Slot(_))
            && self.types.is_var(ty)
        {
            let result = self.types.find(ty);
            if !all_params
                .into_iter()
                .any(|param| self.contains(param, result))
            {
                self.types.mark_never(result);
            }
        }
        if let ExprKind::Constructor(full_name) = &function.kind
            && exprs.len() == 1
        {
            return Ok((
                Expr {
                    span,
                    kind: ExprKind::Case {
                        full_name: full_name.clone(),
                        argument: exprs.pop().map(Box::new),
                    },
                },
                ty,
            ));
        }
        Ok((call(function, exprs, span), ty))
    }

    pub(super) fn infer_arg(&mut self, arg: Arg) -> Checked<(Expr, Ty)> {
        match arg {
            Arg::Tree(e) => self.infer(e),
            Arg::Done(expr, ty, _) => Ok((expr, ty)),
        }
    }

    pub(super) fn check_arg(&mut self, arg: Arg, param: Ty) -> Checked<Expr> {
        match arg {
            Arg::Tree(e) => self.check(e, param),
            Arg::Done(expr, ty, span) => self.coerce(expr, ty, param, span),
        }
    }

    /// Checks arguments against parameter types.
    pub(super) fn arguments(&mut self, params: &[Ty], args: Vec<Arg>) -> Checked<Vec<Expr>> {
        let count = args.len();
        // What a callback gives for a type variable, the program has chosen.
        let open: Vec<bool> = params.iter().map(|param| self.gives_any(*param)).collect();
        let mut results: Vec<Option<Expr>> = (0..count).map(|_| None).collect();
        let mut late: Vec<(usize, Arg)> = Vec::new();
        let mut bare: Vec<(usize, Ty, Arg)> = Vec::new();
        let mut plain: Vec<(usize, Arg)> = Vec::new();
        for (index, arg) in args.into_iter().enumerate() {
            let param = self.types.find(params[index]);
            if arg.is_late() {
                late.push((index, arg));
            } else if self.types.is_var(param) {
                bare.push((index, param, arg));
            } else {
                plain.push((index, arg));
            }
        }
        // Bare arguments first when nothing else can fix their variable: text order.
        let mut inferred: Vec<(usize, Ty, Expr, Ty, Span)> = Vec::new();
        let mut waiting: Vec<(usize, Ty, Arg)> = bare;
        let bare_vars: Vec<Ty> = waiting.iter().map(|(_, var, _)| *var).collect();
        let mut copies: Vec<(Ty, Ty)> = Vec::new();
        let mut partial: Vec<(usize, Expr, Ty, Span)> = Vec::new();
        // Text order over plain and bare arguments together.
        let mut plain = plain.into_iter().peekable();
        loop {
            let next_plain = plain.peek().map(|(index, _)| *index);
            let next_bare = waiting.first().map(|(index, ..)| *index);
            match (next_plain, next_bare) {
                (None, None) => break,
                (Some(p), b) if b.is_none_or(|b| p < b) => {
                    let Some((index, arg)) = plain.next() else {
                        break;
                    };
                    let span = arg.span();
                    let param = params[index];
                    let own = self.copy_with(param, &bare_vars, &mut copies);
                    let expr = self.check_arg(arg, own)?;
                    if own == param {
                        results[index] = Some(expr);
                    } else {
                        partial.push((index, expr, own, span));
                    }
                }
                _ => {
                    let (index, var, arg) = waiting.remove(0);
                    let span = arg.span();
                    let (expr, ty) = self.infer_arg(arg)?;
                    inferred.push((index, var, expr, ty, span));
                }
            }
        }
        let mut nulls: Vec<(usize, Ty, Expr, Ty, Span)> = Vec::new();
        self.solve_bare(&mut inferred, &copies, &mut nulls, params, &late)?;
        for (index, expr, own, span) in partial {
            results[index] = Some(self.coerce(expr, own, params[index], span)?);
        }
        for (index, var, expr, ty, span) in inferred {
            results[index] = Some(self.coerce(expr, ty, var, span)?);
        }
        for (index, arg) in late {
            let of_library = self.cur.for_library && !open[index];
            let done = self.in_arguments(of_library, |c| c.check_arg(arg, params[index]));
            results[index] = Some(done?);
        }
        for (index, var, expr, ty, span) in nulls {
            results[index] = Some(self.coerce(expr, ty, var, span)?);
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// Whether it is a function whose result is a type that is not known yet.
    fn gives_any(&mut self, param: Ty) -> bool {
        let count = self.types.arity(param) as usize;
        let (_, result) = self.types.peel(param, count);
        count > 0 && self.types.is_var(result)
    }

    /// A copy of a parameter type in which the given unsolved variables are replaced by
    /// others, so that several arguments can each say what they need.
    pub(super) fn copy_with(&mut self, param: Ty, vars: &[Ty], copies: &mut Vec<(Ty, Ty)>) -> Ty {
        let vars: Vec<Ty> = vars.iter().map(|var| self.types.find(*var)).collect();
        let covariant = matches!(
            self.types.node(param),
            Node::Array(_)
                | Node::Map(_)
                | Node::Stream(_)
                | Node::Tuple(_)
                | Node::Record(_)
                | Node::Case(..)
                | Node::Union(..)
        );
        if !covariant {
            return param;
        }
        self.types
            .rewrite(param, &mut |types, at, node| match node {
                Node::Var { range, .. } if vars.contains(&at) => {
                    let new = types.fresh_in(*range);
                    copies.push((at, new));
                    Some(new)
                }
                // Below functions and links a copy could not be put back together.
                Node::Fun(..) | Node::Link(..) | Node::Opaque(..) => Some(at),
                _ => None,
            })
    }

    /// Gives each bare variable the join of what its arguments are.
    pub(super) fn solve_bare(
        &mut self,
        inferred: &mut Vec<(usize, Ty, Expr, Ty, Span)>,
        copies: &[(Ty, Ty)],
        nulls: &mut Vec<(usize, Ty, Expr, Ty, Span)>,
        params: &[Ty],
        late: &[(usize, Arg)],
    ) -> Checked<()> {
        self.settle()?;
        let small = self.cur.pragmas.strict;
        let mut vars: Vec<Ty> = Vec::new();
        for (_, var, ..) in inferred.iter() {
            if !vars.contains(var) {
                vars.push(*var);
            }
        }
        for var in vars {
            if !self.types.is_var(var) {
                continue;
            }
            self.type_empty_literals(var, inferred);
            let mut joined: Option<Ty> = None;
            for (_, v, _, ty, span) in inferred.iter() {
                if *v != var || matches!(self.types.node(*ty), Node::Null) {
                    continue;
                }
                let (ty, span) = (*ty, *span);
                joined = Some(match joined {
                    None => ty,
                    Some(so_far) => match self.types.join(so_far, ty, small) {
                        Some(ty) => ty,
                        None => return Err(self.mismatch(so_far, ty, span)),
                    },
                });
            }
            for (_, copy) in copies.iter().filter(|(old, _)| *old == var) {
                let copy = self.types.find(*copy);
                if self.types.is_var(copy) {
                    if let Some(ty) = joined {
                        self.types.attempt(|types| types.unify(copy, ty));
                    } else {
                        self.types.attempt(|types| types.unify(copy, var));
                    }
                    continue;
                }
                joined = Some(match joined {
                    None => copy,
                    Some(ty) if self.types.attempt(|types| types.subtype(ty, copy)) => copy,
                    Some(ty) => ty,
                });
            }
            match joined {
                Some(ty) => {
                    let ty = self.widened(var, ty, params, late);
                    if !self.types.attempt(|types| types.unify(var, ty))
                        && !self.solve_recursive_sum(ty, var)
                    {
                        let span = inferred.first().map_or_else(Span::default, |item| item.4);
                        return Err(self.mismatch(var, ty, span));
                    }
                }
                // Only nulls: lambdas may know more.
                None if late.is_empty() => {}
                None => {
                    let mut index = 0;
                    while index < inferred.len() {
                        if inferred[index].1 == var {
                            nulls.push(inferred.remove(index));
                        } else {
                            index += 1;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// An empty literal beside an array or map is one of the same kind: in `withDefault([], m.(k))`
    /// the type of the list is not lost.
    fn type_empty_literals(&mut self, var: Ty, inferred: &mut [(usize, Ty, Expr, Ty, Span)]) {
        for index in 0..inferred.len() {
            let (_, of, expr, ty, _) = &inferred[index];
            let (is_list, is_map) = match &expr.kind {
                ExprKind::Array(items) => (items.is_empty(), false),
                ExprKind::Map(entries) => (false, entries.is_empty()),
                _ => (false, false),
            };
            if *of != var || self.types.find(*ty) != Ty::DATA {
                continue;
            }
            let mut others = inferred.iter().filter(|other| other.1 == var);
            let known = others.find(|other| match self.types.node(other.3) {
                Node::Array(_) => is_list,
                Node::Map(_) => is_map,
                _ => false,
            });
            if let Some(ty) = known.map(|other| other.3) {
                inferred[index].3 = ty;
            }
        }
    }

    pub(super) fn call_lambda(
        &mut self,
        lambda: &ast::Lambda,
        callee_span: Span,
        args: Vec<Arg>,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let count = lambda.arms.first().map_or(1, |arm| arm.params.len().max(1));
        let mut exprs = Vec::new();
        let mut types = Vec::new();
        let mut rest = args.into_iter();
        for arg in rest.by_ref().take(count) {
            let (expr, ty) = self.infer_arg(arg)?;
            exprs.push(expr);
            types.push(Some(ty));
        }
        self.settle()?;
        let (function, ty) = self.lambda(lambda, callee_span, &types, None)?;
        // The arguments have the types the parameters were given, unless they are annotated.
        let (params, result) = self.types.peel(ty, exprs.len());
        let mut checked = Vec::new();
        for ((expr, param), ty) in exprs.into_iter().zip(params).zip(types) {
            let at = expr.span;
            checked.push(match ty {
                Some(ty) => self.coerce(expr, ty, param, at)?,
                None => expr,
            });
        }
        let rest: Vec<Arg> = rest.collect();
        let taken = checked.len();
        let applied = call(function, checked, span);
        if rest.is_empty() {
            return Ok((applied, result));
        }
        self.apply_further(applied, result, rest, taken, callee_span, span)
    }
}

pub(super) fn call(callee: Expr, args: Vec<Expr>, span: Span) -> Expr {
    // Nested calls collect their arguments: f(a)(b) is f(a, b).
    Expr {
        span,
        kind: ExprKind::Call {
            callee: Box::new(callee),
            args,
        },
    }
}
