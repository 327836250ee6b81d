//! Calls and pipes.
//!
//! Arguments are evaluated left to right, but their types are found in another
//! order: plain arguments, then those whose parameter is a bare type variable
//! together, then lambdas, which know most by then.

use super::Checker;
use super::env::{Checked, MemberKind};
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
    fn span(&self) -> Span {
        match self {
            Arg::Tree(e) => e.span,
            Arg::Done(_, _, span) => *span,
        }
    }

    /// It is checked after the other arguments.
    fn is_late(&self) -> bool {
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

impl Checker<'_> {
    /// `callee(args)`, with the left side of a pipe as a last argument.
    pub(super) fn infer_call(
        &mut self,
        callee: &ast::Expr,
        args: &[ast::Expr],
        piped: Option<(Expr, Ty, Span)>,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
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
                return self.call_form(form, args, piped, span);
            }
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
        self.apply(function, ty, list, callee.span, span)
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
                    exprs.extend(self.arguments(&params, group)?);
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
                    if !self.types.attempt(|types| types.unify(ty, arrow)) {
                        return Err(self.mismatch(arrow, ty, callee_span));
                    }
                }
                _ => {
                    let shown = self.types.show(ty);
                    return Err(Issue::new(Code::TypeNotFunction, callee_span)
                        .with("type", shown)
                        .into());
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

    fn check_arg(&mut self, arg: Arg, param: Ty) -> Checked<Expr> {
        match arg {
            Arg::Tree(e) => self.check(e, param),
            Arg::Done(expr, ty, span) => self.coerce(expr, ty, param, span),
        }
    }

    /// Checks arguments against parameter types.
    fn arguments(&mut self, params: &[Ty], args: Vec<Arg>) -> Checked<Vec<Expr>> {
        let count = args.len();
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
        self.solve_bare(&mut inferred, &copies, &mut nulls, late.is_empty())?;
        for (index, expr, own, span) in partial {
            results[index] = Some(self.coerce(expr, own, params[index], span)?);
        }
        for (index, var, expr, ty, span) in inferred {
            results[index] = Some(self.coerce(expr, ty, var, span)?);
        }
        for (index, arg) in late {
            results[index] = Some(self.check_arg(arg, params[index])?);
        }
        for (index, var, expr, ty, span) in nulls {
            results[index] = Some(self.coerce(expr, ty, var, span)?);
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// A copy of a parameter type in which the given unsolved variables are replaced by
    /// others, so that several arguments can each say what they need.
    fn copy_with(&mut self, param: Ty, vars: &[Ty], copies: &mut Vec<(Ty, Ty)>) -> Ty {
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
    fn solve_bare(
        &mut self,
        inferred: &mut Vec<(usize, Ty, Expr, Ty, Span)>,
        copies: &[(Ty, Ty)],
        nulls: &mut Vec<(usize, Ty, Expr, Ty, Span)>,
        no_lambdas: bool,
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
            for (old, copy) in copies.iter().filter(|(old, _)| *old == var) {
                let _ = old;
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
                    if !self.types.attempt(|types| types.unify(var, ty))
                        && !self.solve_recursive_sum(ty, var)
                    {
                        let span = inferred.first().map_or_else(Span::default, |item| item.4);
                        return Err(self.mismatch(var, ty, span));
                    }
                }
                // Only nulls: lambdas may know more.
                None if no_lambdas => {}
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

    fn call_lambda(
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
        let applied = call(function, checked, span);
        if rest.is_empty() {
            return Ok((applied, result));
        }
        self.apply(applied, result, rest, callee_span, span)
    }

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
            return self.call_form(form, std::slice::from_ref(value), None, span);
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

    /// The case that `c^` names; it must have an argument.
    pub(super) fn case_of(&mut self, e: &ast::Expr) -> Checked<super::env::CaseInfo> {
        let shown = |e: &ast::Expr| match &e.kind {
            ast::ExprKind::Name(name) => name.to_string(),
            ast::ExprKind::SelfName(name) | ast::ExprKind::GlobalName(name) => {
                name.text.to_string()
            }
            ast::ExprKind::Field { name, .. } => name.text.to_string(),
            _ => "this expression".to_string(),
        };
        let info = match &e.kind {
            ast::ExprKind::Name(name) => match self.lookup(name, e.span)? {
                Found::Case(case) => Some(case),
                Found::Own(_, member) => match member.kind {
                    MemberKind::Case(case) => Some(case),
                    MemberKind::Broken => return Err(self.silent()),
                    _ => None,
                },
                _ => None,
            },
            ast::ExprKind::SelfName(name) => {
                match self.own_member(&name.text).map(|member| member.kind) {
                    Some(MemberKind::Case(case)) => Some(case),
                    _ => None,
                }
            }
            ast::ExprKind::GlobalName(name) => self.predefined_cases.get(&*name.text).cloned(),
            ast::ExprKind::Field { base, name, .. } => match self.module_named(base)? {
                Some(super::reference::ModuleRef::Module {
                    id, name: module, ..
                }) => match self.visible_member(id, &module, name)?.kind {
                    MemberKind::Case(case) => Some(case),
                    _ => None,
                },
                None => None,
            },
            _ => None,
        };
        let Some(info) = info else {
            return Err(Issue::new(Code::NameCase, e.span)
                .with("name", shown(e))
                .into());
        };
        if info.argument.is_none() {
            return Err(Issue::new(Code::NameNoArg, e.span)
                .with("name", &info.full_name)
                .into());
        }
        Ok(info)
    }

    /// The type of the argument of a case in a value of some type.
    pub(super) fn extracted(
        &mut self,
        case: &super::env::CaseInfo,
        ty: Ty,
        span: Span,
    ) -> Checked<Ty> {
        self.settle()?;
        match self.types.node(ty) {
            Node::Data | Node::Plus(..) => return Ok(Ty::DATA),
            Node::Any => return Ok(Ty::ANY),
            Node::Var { soft: true, .. } => {
                self.types.bind(ty, Ty::DATA);
                return Ok(Ty::DATA);
            }
            Node::Case(..) | Node::Union(..) => {
                let (members, _) = self.types.members(ty);
                if let Some((_, Some(argument))) = members
                    .into_iter()
                    .find(|(name, _)| *name == case.full_name)
                {
                    return Ok(argument);
                }
            }
            Node::Var { .. } => {
                let argument = match case.argument {
                    Some(argument) => self.instantiate(argument, span),
                    None => Ty::NULL,
                };
                let wanted = self.types.case(&case.full_name, Some(argument));
                if self.types.attempt(|types| types.unify(ty, wanted)) {
                    return Ok(argument);
                }
            }
            _ => {}
        }
        let argument = match case.argument {
            Some(argument) => self.instantiate(argument, span),
            None => Ty::NULL,
        };
        let wanted = self.types.case(&case.full_name, Some(argument));
        Err(self.mismatch(wanted, ty, span))
    }

    /// `c^` as a function value.
    pub(super) fn infer_extract(&mut self, case: &ast::Expr, span: Span) -> Checked<(Expr, Ty)> {
        let info = self.case_of(case)?;
        let declared = match info.argument {
            Some(argument) => self.instantiate(argument, span),
            None => Ty::NULL,
        };
        let from = self.types.case(&info.full_name, Some(declared));
        let ty = self.types.fun(from, declared);
        Ok((self.extract_lambda(&info, span), ty))
    }

    /// The function behind `c^`.
    pub(super) fn extract_lambda(&mut self, info: &super::env::CaseInfo, span: Span) -> Expr {
        self.open_function(false);
        let param = self.new_local("_case", false);
        let body = Expr {
            span,
            kind: ExprKind::Extract {
                full_name: info.full_name.clone(),
                value: Box::new(Expr {
                    span,
                    kind: ExprKind::Local(param),
                }),
            },
        };
        let scope = self.close_function();
        let lambda = super::lambda::close(scope, vec![param], body, span);
        Expr {
            span,
            kind: ExprKind::Lambda(Box::new(lambda)),
        }
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

/// Evaluates the left side of a pipe before the right one; in place if that cannot be told apart.
fn bind_piped(local: crate::core::LocalId, value: Expr, applied: Expr, span: Span) -> Expr {
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
fn simple(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Constant(_)
            | ExprKind::Lambda(_)
            | ExprKind::Constructor(_)
            | ExprKind::Case { argument: None, .. }
    )
}

/// A function that is found without evaluating anything.
fn fixed(expr: &Expr) -> bool {
    simple(expr) || matches!(expr.kind, ExprKind::Static { .. })
}

/// Everything evaluated before the piped value is fixed.
fn only_last(applied: &Expr, local: crate::core::LocalId) -> bool {
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
fn is_place(expr: &Expr, local: crate::core::LocalId) -> bool {
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
fn replace_last(expr: &mut Expr, local: crate::core::LocalId, value: &mut Option<Expr>) {
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
