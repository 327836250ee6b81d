//! Expressions: `infer` finds a type, `check` pushes an expected one inwards.

use super::Checker;
use super::arithmetic::is_growth;
use super::env::{Checked, MemberKind};
use super::lookup::Found;
use super::types::{Node, Ty};
use crate::core::{CellView, Constant, Expr, ExprKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, UnaryOp};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// The type of an expression and its code.
    pub(super) fn infer(&mut self, e: &ast::Expr) -> Checked<(Expr, Ty)> {
        let span = e.span;
        if self.types.exhausted() {
            return Err(self.too_large(span));
        }
        Ok(match &e.kind {
            ast::ExprKind::Null => (self.constant(Constant::Null, span), Ty::NULL),
            ast::ExprKind::Bool(value) => (self.constant(Constant::Bool(*value), span), Ty::BOOL),
            ast::ExprKind::Undefined => {
                let ty = self.types.fresh_never();
                (self.constant(Constant::Undefined, span), ty)
            }
            ast::ExprKind::Int(value) => (self.constant(Constant::Int(*value), span), Ty::NUMBER),
            ast::ExprKind::Float(value) => {
                (self.constant(Constant::Float(*value), span), Ty::NUMBER)
            }
            ast::ExprKind::Str(text) => {
                (self.constant(Constant::Str(text.clone()), span), Ty::STRING)
            }
            ast::ExprKind::Name(name) => return self.infer_name(name, span),
            ast::ExprKind::Wildcard => match self.innermost_appstate(span) {
                Some(expr) => (expr, Ty::APPSTATE),
                None => {
                    return Err(Issue::new(Code::NameWildcard, span)
                        .hint("in a pattern `_` matches anything; as a value it is the appstate of an action")
                        .into());
                }
            },
            ast::ExprKind::SelfName(name) => match self.use_member(&name.text) {
                Some(member) => {
                    self.record_member(self.cur.id, &name.text, &member, name.span);
                    let found = Found::Own(name.text.clone(), member);
                    return self.use_found(found, &name.text, span);
                }
                None => return Err(self.unbound(&name.text, name.span)),
            },
            ast::ExprKind::GlobalName(name) => {
                // In a session its own definitions are global.
                if self.is_session()
                    && let Some(member) = self.use_member(&name.text)
                {
                    return self.use_found(Found::Own(name.text.clone(), member), &name.text, span);
                }
                match self.lookup_predefined(&name.text, name.span)? {
                    Some(found) => {
                        self.record_use(&name.text, name.span, &found);
                        return self.use_found(found, &name.text, span);
                    }
                    None => match self.library_module(&name.text, name.span)? {
                        Some(id) => return self.use_found(Found::Module(id), &name.text, span),
                        None => return Err(self.unbound(&name.text, name.span)),
                    },
                }
            }
            ast::ExprKind::Array(items) => return self.infer_array(items, span),
            ast::ExprKind::LabeledTuple(_) => {
                return Err(Issue::new(Code::TypeLabels, span)
                    .hint("add its type, as in `[#name: \"Mo\"]:person`")
                    .into());
            }
            ast::ExprKind::Map(entries) => return self.infer_map(entries, span),
            ast::ExprKind::Lambda(lambda) => return self.lambda(lambda, span, &[], None),
            ast::ExprKind::ProjectionFn(body) => {
                return self.projection_function(body, span, None, None);
            }
            ast::ExprKind::Projection(name) => return self.infer_projection(name, span),
            ast::ExprKind::Let { bind, body } => return self.let_expr(bind, body, span, None),
            ast::ExprKind::If {
                condition,
                then,
                otherwise,
            } => return self.infer_if(condition, then, otherwise, span),
            ast::ExprKind::Pipe { value, function } => {
                return self.infer_pipe(value, function, span);
            }
            ast::ExprKind::With { base, steps, value } => {
                return self.infer_with(base, steps, value, span);
            }
            ast::ExprKind::Binary {
                op,
                op_span,
                left,
                right,
            } => return self.infer_binary(*op, *op_span, left, right, span),
            ast::ExprKind::Unary { op, operand } => match op {
                UnaryOp::Not => {
                    let operand = self.check_bool(operand)?;
                    (unary(crate::core::UnaryOp::Not, operand, span), Ty::BOOL)
                }
                UnaryOp::Negate => {
                    if let ast::ExprKind::Int(value) = operand.kind
                        && let Some(negative) = value.checked_neg()
                    {
                        return Ok((self.constant(Constant::Int(negative), span), Ty::NUMBER));
                    }
                    let operand = self.check_number(operand)?;
                    (
                        unary(crate::core::UnaryOp::Negate, operand, span),
                        Ty::NUMBER,
                    )
                }
                UnaryOp::Try => {
                    let (operand, ty) = self.infer(operand)?;
                    let result = self.types.union(
                        vec![("error".into(), Some(Ty::STRING)), ("ok".into(), Some(ty))],
                        false,
                    );
                    (
                        Expr {
                            span,
                            kind: ExprKind::Try(Box::new(operand)),
                        },
                        result,
                    )
                }
            },
            ast::ExprKind::Call { callee, args } => {
                return self.infer_call(callee, args, None, span);
            }
            ast::ExprKind::Field { base, name, .. } => return self.infer_field(base, name, span),
            ast::ExprKind::ComputedField { base, key } => {
                return self.infer_computed(base, key, span);
            }
            ast::ExprKind::Label { base, label } => return self.infer_label(base, label, span),
            ast::ExprKind::TupleIndex { base, index, of } => {
                return self.infer_tuple_index(base, *index, *of, span);
            }
            ast::ExprKind::Index { base, index } => {
                let (base, index, ty) = self.index_parts(base, index)?;
                (
                    Expr {
                        span,
                        kind: ExprKind::Index {
                            base: Box::new(base),
                            index: Box::new(index),
                        },
                    },
                    ty,
                )
            }
            ast::ExprKind::Slice { base, from, to } => {
                return self.infer_slice(base, from.as_deref(), to.as_deref(), span);
            }
            ast::ExprKind::IsDefined(operand) => {
                let kind = if let ast::ExprKind::Index { base, index } = &operand.kind {
                    let (base, index, _) = self.index_parts(base, index)?;
                    ExprKind::IndexIsDefined {
                        base: Box::new(base),
                        index: Box::new(index),
                    }
                } else {
                    ExprKind::IsDefined(Box::new(self.infer(operand)?.0))
                };
                (Expr { span, kind }, Ty::BOOL)
            }
            ast::ExprKind::Previous(operand) => return self.infer_previous(operand, span),
            ast::ExprKind::Extract(operand) => return self.infer_extract(operand, span),
            ast::ExprKind::Follow(_) => return Err(super::projection::unfollowed(span)),
            ast::ExprKind::Hint { value, ty } => {
                let ty = self.hint(ty)?;
                let value = self.for_program(|c| c.check(value, ty))?;
                (value, ty)
            }
            ast::ExprKind::Do(block) => return self.do_block(block, span, None),
            ast::ExprKind::Action { param, body } => {
                return self.action(param.as_deref(), body, span);
            }
            ast::ExprKind::AppView { module, args } => return self.app_view(module, args, span),
            ast::ExprKind::TypeAssert { ty, value } => {
                return self.type_assertion(ty, value.as_deref(), span);
            }
            ast::ExprKind::Regex(pattern) => {
                let ty = self
                    .types
                    .add(Node::Opaque("regexp".into(), Vec::new().into()));
                (
                    Expr {
                        span,
                        kind: ExprKind::Regex(pattern.text.clone()),
                    },
                    ty,
                )
            }
            ast::ExprKind::EscJson(constant) => {
                let expr = super::literal::escjson(constant)?;
                (expr, Ty::DATA)
            }
        })
    }

    /// The code of an expression that must fit a type.
    pub(super) fn check(&mut self, e: &ast::Expr, expected: Ty) -> Checked<Expr> {
        let span = e.span;
        let node = self.types.node(expected);
        match (&e.kind, &node) {
            (ast::ExprKind::Lambda(lambda), Node::Fun(..) | Node::Var { .. }) => {
                return self.check_lambda(lambda, expected, span);
            }
            (ast::ExprKind::ProjectionFn(body), Node::Fun(param, result)) => {
                let (param, result) = (*param, *result);
                let (expr, ty) = self.projection_function(body, span, Some(param), Some(result))?;
                return self.coerce(expr, ty, expected, span);
            }
            (ast::ExprKind::Array(items), Node::Array(_) | Node::Tuple(_) | Node::Data) => {
                if let Some(expr) = self.check_array(items, expected, span)? {
                    return Ok(expr);
                }
            }
            (ast::ExprKind::Map(entries), Node::Map(_) | Node::Record(_) | Node::Data) => {
                if let Some(expr) = self.check_map(entries, expected, span)? {
                    return Ok(expr);
                }
            }
            (ast::ExprKind::LabeledTuple(fields), Node::Labeled(_)) => {
                return self.check_labeled(fields, expected, span);
            }
            (ast::ExprKind::Let { bind, body }, _) => {
                return Ok(self.let_expr(bind, body, span, Some(expected))?.0);
            }
            (
                ast::ExprKind::If {
                    condition,
                    then,
                    otherwise,
                },
                _,
            ) if !matches!(node, Node::Var { .. }) => {
                let condition = self.check_bool(condition)?;
                let then = self.check(then, expected)?;
                let otherwise = self.check(otherwise, expected)?;
                return Ok(Expr {
                    span,
                    kind: ExprKind::If {
                        condition: Box::new(condition),
                        then: Box::new(then),
                        otherwise: Box::new(otherwise),
                    },
                });
            }
            (ast::ExprKind::Do(block), _) if !matches!(node, Node::Var { .. }) => {
                return Ok(self.do_block(block, span, Some(expected))?.0);
            }
            (
                ast::ExprKind::Binary {
                    op: ast::BinaryOp::Add,
                    left,
                    right,
                    ..
                },
                Node::Array(_) | Node::Map(_),
            ) if is_growth(left, right) => {
                if let Some(expr) = self.check_growth(e, left, right, expected)? {
                    return Ok(expr);
                }
            }
            (ast::ExprKind::Undefined, _) => return Ok(self.constant(Constant::Undefined, span)),
            (ast::ExprKind::Name(_) | ast::ExprKind::SelfName(_), Node::Link(..))
                if self.cur.pragmas.auto_make_link =>
            {
                // The value of a cell that holds a fitting link comes first (5.3: subtyping
                // before taking the link of the cell).
                if let Some((_, member)) = self.cell_named(e) {
                    let fits = matches!(self.types.node(member.ty), Node::Link(..))
                        && self
                            .types
                            .attempt(|types| types.subtype(member.ty, expected));
                    if !fits {
                        let (expr, ty) = self.cell_link(&member, span);
                        return self.coerce(expr, ty, expected, span);
                    }
                }
            }
            (ast::ExprKind::Call { callee, args }, Node::Case(..) | Node::Union(..))
                if args.len() == 1 =>
            {
                if let Some(expr) = self.check_constructor(callee, &args[0], expected, span)? {
                    return Ok(expr);
                }
            }
            _ => {}
        }
        let (expr, ty) = self.infer(e)?;
        self.coerce(expr, ty, expected, span)
    }

    /// A constructor applied where its case is expected: the expected type of the argument is
    /// known. `None` if the call is no such thing.
    fn check_constructor(
        &mut self,
        callee: &ast::Expr,
        arg: &ast::Expr,
        expected: Ty,
        span: Span,
    ) -> Checked<Option<Expr>> {
        if !matches!(
            callee.kind,
            ast::ExprKind::Name(_)
                | ast::ExprKind::SelfName(_)
                | ast::ExprKind::GlobalName(_)
                | ast::ExprKind::Field { .. }
        ) {
            return Ok(None);
        }
        let Ok(case) = self.case_of(callee) else {
            return Ok(None);
        };
        if case.private && matches!(callee.kind, ast::ExprKind::Field { .. }) {
            return Ok(None);
        }
        let (members, _) = self.types.members(expected);
        let (Some((_, Some(wanted))), Some(declared)) = (
            members
                .into_iter()
                .find(|(name, _)| *name == case.full_name),
            case.argument,
        ) else {
            return Ok(None);
        };
        let declared = self.instantiate(declared, span);
        if !self.types.attempt(|types| types.unify(declared, wanted)) {
            return Ok(None);
        }
        let argument = self.check(arg, wanted)?;
        Ok(Some(Expr {
            span,
            kind: ExprKind::Case {
                full_name: case.full_name,
                argument: Some(Box::new(argument)),
            },
        }))
    }

    fn infer_if(
        &mut self,
        condition: &ast::Expr,
        then: &ast::Expr,
        otherwise: &ast::Expr,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let condition = self.check_bool(condition)?;
        let (then_expr, then_ty) = self.infer(then)?;
        let (else_expr, else_ty) = self.infer(otherwise)?;
        let ty = self
            .join_branches(then_ty, else_ty, otherwise.span)
            .map_err(|stop| stop.note(then.span, "the other branch"))?;
        Ok((
            Expr {
                span,
                kind: ExprKind::If {
                    condition: Box::new(condition),
                    then: Box::new(then_expr),
                    otherwise: Box::new(else_expr),
                },
            },
            ty,
        ))
    }

    /// The join of two branches, or `TYPE_BRANCH`.
    pub(super) fn join_branches(&mut self, first: Ty, second: Ty, span: Span) -> Checked<Ty> {
        self.settle()?;
        let small = self.cur.pragmas.strict;
        match self.types.join(first, second, small) {
            Some(ty) => Ok(ty),
            None if self.types.exhausted() => Err(self.too_large(span)),
            None => {
                let mend = match small && self.types.join(first, second, false).is_some() {
                    true => Some(
                        "in strict mode values that meet have one type; convert one, \
                         or give the result a type such as `: data`"
                            .to_string(),
                    ),
                    false => Some(
                        "the results of all branches are one value: give them one type".to_string(),
                    ),
                };
                let (first, second) = self.show_pair(first, second);
                Err(Issue::new(Code::TypeBranch, span)
                    .with("first", first)
                    .with("second", second)
                    .hint_if(mend)
                    .into())
            }
        }
    }

    fn infer_previous(&mut self, operand: &ast::Expr, span: Span) -> Checked<(Expr, Ty)> {
        if let ast::ExprKind::Name(name) = &operand.kind
            && &**name == "thisCell"
            && matches!(self.lookup(name, operand.span)?, Found::Form(_))
        {
            let Some((_, ty)) = self.cur.this_cell.clone() else {
                return Err(Issue::new(Code::CellExpected, span)
                    .with("what", "'")
                    .into());
            };
            let expr = Expr {
                span,
                kind: ExprKind::CellForm {
                    form: crate::core::CellForm::ThisPrevious,
                    args: Vec::new(),
                },
            };
            return Ok((expr, ty));
        }
        match self.cell_named(operand) {
            Some((name, member)) => self.read_cell(&name, &member, CellView::Previous, span),
            None => {
                // An unknown name is the better message.
                if let ast::ExprKind::Name(name) = &operand.kind
                    && let Found::Own(_, member) = self.lookup(name, operand.span)?
                    && matches!(member.kind, MemberKind::Broken)
                {
                    return Err(self.silent());
                }
                Err(Issue::new(Code::CellExpected, span)
                    .with("what", "'")
                    .hint("`c'` is the value of cell c before its latest update")
                    .into())
            }
        }
    }

    fn type_assertion(
        &mut self,
        ty: &ast::TypeExpr,
        value: Option<&ast::Expr>,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let (ty, runtime) = self.assertable_type(ty)?;
        self.types.data_vars(ty);
        match value {
            Some(value) => {
                let value = self.infer(value)?.0;
                let mut expr = self.assert(value, runtime);
                expr.span = span;
                Ok((expr, ty))
            }
            None => {
                self.open_function(false);
                let param = self.new_local("_value", false);
                let read = Expr {
                    span,
                    kind: ExprKind::Local(param),
                };
                let body = self.assert(read, runtime);
                let scope = self.close_function();
                let lambda = super::lambda::close(scope, vec![param], body, span);
                let any = self.types.fresh();
                Ok((
                    Expr {
                        span,
                        kind: ExprKind::Lambda(Box::new(lambda)),
                    },
                    self.types.fun(any, ty),
                ))
            }
        }
    }

    /// A type written in `type(T)`.
    pub(super) fn assertable_type(
        &mut self,
        ty: &ast::TypeExpr,
    ) -> Checked<(Ty, crate::core::RuntimeType)> {
        let saved = std::mem::take(&mut self.cur.type_names);
        let meaning = self.hint(ty);
        let named = !self.cur.type_names.is_empty();
        self.cur.type_names = saved;
        let meaning = meaning?;
        match self.types.runtime(meaning) {
            Some(runtime) if !named && self.types.assertable(meaning) => Ok((meaning, runtime)),
            _ => {
                let shown = self.types.show(meaning);
                let hint = match named {
                    true => "at run time there are no type variables; write `_` for any data",
                    false => {
                        "functions, streams, links and the like have nothing to look at; data has"
                    }
                };
                Err(Issue::new(Code::TypeNotAssertable, ty.span)
                    .with("type", shown)
                    .hint(hint)
                    .into())
            }
        }
    }
}

fn unary(op: crate::core::UnaryOp, operand: Expr, span: Span) -> Expr {
    Expr {
        span,
        kind: ExprKind::Unary {
            op,
            operand: Box::new(operand),
        },
    }
}
