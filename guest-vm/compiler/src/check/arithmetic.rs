//! Operators: which operands they take and what they give.

use super::Checker;
use super::env::{Checked, MemberKind};
use super::lookup::Found;
use super::operator::{Plus, comparable, solve_plus};
use super::types::{Node, Ty};
use crate::core::{self, Expr, ExprKind};
use crate::issue::{Code, Issue};
use crate::syntax::ast::{self, BinaryOp, CompareOp};
use crate::syntax::span::Span;

impl Checker<'_> {
    /// A condition or logical operand. Values of type `data` are checked when they are used.
    pub(super) fn check_bool(&mut self, e: &ast::Expr) -> Checked<Expr> {
        let (expr, ty) = self.infer(e)?;
        self.settle()?;
        match self.types.node(ty) {
            Node::Bool => Ok(expr),
            Node::Data | Node::Var { soft: true, .. } if !self.cur.pragmas.strict => Ok(expr),
            _ if self.types.attempt(|types| types.subtype(ty, Ty::BOOL)) => Ok(expr),
            _ => Err(self.mismatch(Ty::BOOL, ty, e.span)),
        }
    }

    /// A numeric operand. Values of type `data` and `word` are checked when they are used.
    pub(super) fn check_number(&mut self, e: &ast::Expr) -> Checked<Expr> {
        let (expr, ty) = self.infer(e)?;
        self.settle()?;
        match self.types.node(ty) {
            Node::Number => Ok(expr),
            Node::Data | Node::Word | Node::Var { soft: true, .. } if !self.cur.pragmas.strict => {
                Ok(expr)
            }
            Node::Any if self.cur.library => Ok(expr),
            Node::Plus(..) => {
                if !self.types.attempt(|types| types.force_plus(ty, Ty::NUMBER))
                    && self.cur.pragmas.strict
                {
                    return Err(self.mismatch(Ty::NUMBER, ty, e.span));
                }
                Ok(expr)
            }
            _ if self.types.attempt(|types| types.subtype(ty, Ty::NUMBER)) => Ok(expr),
            _ => Err(self.mismatch(Ty::NUMBER, ty, e.span)),
        }
    }

    pub(super) fn infer_binary(
        &mut self,
        op: BinaryOp,
        op_span: Span,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let core_op = match op {
            BinaryOp::Add => {
                let literal = |e: &ast::Expr| {
                    matches!(e.kind, ast::ExprKind::Array(_) | ast::ExprKind::Map(_))
                };
                // A literal next to a typed container is typed like it, so that growing
                // a container needs no check of what it already holds.
                let (left_expr, left_ty, right_expr, right_ty) = if literal(left) && !literal(right)
                {
                    let (right_expr, right_ty) = self.infer(right)?;
                    let (left_expr, left_ty) = self.added_literal(left, right_ty)?;
                    (left_expr, left_ty, right_expr, right_ty)
                } else {
                    let (left_expr, left_ty) = self.infer(left)?;
                    let (right_expr, right_ty) = self.added_literal(right, left_ty)?;
                    (left_expr, left_ty, right_expr, right_ty)
                };
                if self.cur.pragmas.strict {
                    self.settle()?;
                    let is_data =
                        |checker: &mut Self, ty| matches!(checker.types.node(ty), Node::Data);
                    let sides = [
                        (left_ty, right_ty, left.span),
                        (right_ty, left_ty, right.span),
                    ];
                    for (ty, other, place) in sides {
                        if is_data(self, ty) {
                            let both = is_data(self, other);
                            let expected = if both { Ty::NUMBER } else { other };
                            return Err(self.mismatch(expected, ty, place));
                        }
                    }
                }
                let ty = self.sum(left_ty, right_ty, op_span, span)?;
                return Ok((binary(core::BinaryOp::Add, left_expr, right_expr, span), ty));
            }
            BinaryOp::Append => {
                let (left_expr, left_ty) = self.stream_operand(left)?;
                let (right_expr, right_ty) = self.stream_operand(right)?;
                let element = self.join_branches(left_ty, right_ty, right.span)?;
                let ty = self.types.stream(element);
                return Ok((
                    binary(core::BinaryOp::Append, left_expr, right_expr, span),
                    ty,
                ));
            }
            BinaryOp::Compare(compare) => return self.infer_comparison(compare, left, right, span),
            BinaryOp::And | BinaryOp::Or => {
                let left = self.check_bool(left)?;
                let right = self.check_bool(right)?;
                return Ok((
                    Expr {
                        span,
                        kind: ExprKind::Logical {
                            and: op == BinaryOp::And,
                            left: Box::new(left),
                            right: Box::new(right),
                        },
                    },
                    Ty::BOOL,
                ));
            }
            BinaryOp::Subtract => core::BinaryOp::Subtract,
            BinaryOp::Multiply => core::BinaryOp::Multiply,
            BinaryOp::Divide => core::BinaryOp::Divide,
            BinaryOp::Remainder => core::BinaryOp::Remainder,
        };
        let left = self.check_number(left)?;
        let right = self.check_number(right)?;
        Ok((binary(core_op, left, right, span), Ty::NUMBER))
    }

    /// `a + [x]` where a container of a known type is expected: what is added is checked against
    /// that type, part by part, so that the container itself is never checked again. `None` if
    /// the other operand is no such container.
    pub(super) fn check_growth(
        &mut self,
        e: &ast::Expr,
        left: &ast::Expr,
        right: &ast::Expr,
        expected: Ty,
    ) -> Checked<Option<Expr>> {
        let unknown = self
            .types
            .mentions(expected, &|node| matches!(node, Node::Var { .. }));
        if unknown || !self.grows(left, expected) && !self.grows(right, expected) {
            return Ok(None);
        }
        let left = self.check(left, expected)?;
        let right = self.check(right, expected)?;
        Ok(Some(binary(core::BinaryOp::Add, left, right, e.span)))
    }

    /// The operand is a plain name whose type fits without a check, or such a sum.
    fn grows(&mut self, e: &ast::Expr, expected: Ty) -> bool {
        match &e.kind {
            ast::ExprKind::Name(name) => match self.lookup(name, e.span) {
                Ok(Found::Local { ty, .. }) => self.fits(ty, expected),
                Ok(Found::Own(_, member)) => {
                    matches!(member.kind, MemberKind::Cell { .. } | MemberKind::Def)
                        && self.fits(member.ty, expected)
                }
                _ => false,
            },
            ast::ExprKind::Binary {
                op: BinaryOp::Add,
                left,
                right,
                ..
            } => {
                is_growth(left, right)
                    && (self.grows(left, expected) || self.grows(right, expected))
            }
            _ => false,
        }
    }

    /// An operand of `+` whose other operand has a known type.
    fn added_literal(&mut self, e: &ast::Expr, other: Ty) -> Checked<(Expr, Ty)> {
        self.settle()?;
        match (&e.kind, self.types.node(other)) {
            (ast::ExprKind::Array(_), Node::Array(_) | Node::Tuple(_) | Node::Labeled(_)) => {
                self.array_operand(e)
            }
            (ast::ExprKind::Map(entries), Node::Map(_)) => {
                let element = self.types.fresh();
                let map = self.types.map(element);
                match self.check_map(entries, map, e.span)? {
                    Some(expr) => Ok((expr, map)),
                    None => self.infer(e),
                }
            }
            _ => self.infer(e),
        }
    }

    /// The type of a sum.
    fn sum(&mut self, left: Ty, right: Ty, op_span: Span, span: Span) -> Checked<Ty> {
        self.settle()?;
        let data = matches!(self.types.node(left), Node::Data)
            || matches!(self.types.node(right), Node::Data);
        match solve_plus(&mut self.types, left, right) {
            Plus::Known(ty) if !(data && self.cur.pragmas.strict) => Ok(ty),
            Plus::Delayed => {
                let ty = self.types.add(Node::Plus(left, right));
                self.cur.sums.push((ty, op_span));
                Ok(ty)
            }
            _ if self.types.exhausted() => Err(self.too_large(span)),
            _ => {
                let mend = self.mend_sum(left, right);
                let (left, right) = self.show_pair(left, right);
                Err(Issue::new(Code::TypeOperator, span)
                    .with("op", "+")
                    .with("left", left)
                    .with("right", right)
                    .hint_if(mend)
                    .into())
            }
        }
    }

    /// An operand of `++`: a stream, or a value that becomes one. Gives the type of its elements.
    fn stream_operand(&mut self, e: &ast::Expr) -> Checked<(Expr, Ty)> {
        let (expr, ty) = self.infer(e)?;
        match self.types.node(ty) {
            Node::Stream(element) => Ok((expr, element)),
            Node::Var { .. } => {
                let element = self.types.fresh();
                let stream = self.types.stream(element);
                let expr = self.coerce(expr, ty, stream, e.span)?;
                Ok((expr, element))
            }
            _ if self.cur.pragmas.auto_make_stream => Ok((
                Expr {
                    span: e.span,
                    kind: ExprKind::MakeStream(Box::new(expr)),
                },
                ty,
            )),
            _ => {
                let element = self.types.fresh();
                let stream = self.types.stream(element);
                Err(self.mismatch(stream, ty, e.span))
            }
        }
    }

    fn infer_comparison(
        &mut self,
        op: CompareOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Checked<(Expr, Ty)> {
        let (left_expr, left_ty) = self.infer(left)?;
        let (right_expr, right_ty) = self.infer(right)?;
        self.settle()?;
        // `f === undefined` compares no function.
        let only_presence = matches!(op, CompareOp::Same | CompareOp::NotSame)
            && (matches!(left.kind, ast::ExprKind::Undefined)
                || matches!(right.kind, ast::ExprKind::Undefined));
        if !only_presence {
            for (ty, operand) in [(left_ty, left), (right_ty, right)] {
                if !comparable(&mut self.types, ty) {
                    let shown = self.types.show(ty);
                    return Err(Issue::new(Code::TypeNotComparable, operand.span)
                        .with("type", shown)
                        .hint("functions and streams have no equality and no order")
                        .into());
                }
            }
        }
        if self.cur.pragmas.strict && !only_presence {
            let any_data = matches!(self.types.node(left_ty), Node::Data)
                || matches!(self.types.node(right_ty), Node::Data);
            let equality = matches!(
                op,
                CompareOp::Equal | CompareOp::NotEqual | CompareOp::Same | CompareOp::NotSame
            );
            if any_data && !equality || self.types.join(left_ty, right_ty, true).is_none() {
                return Err(self.mismatch(left_ty, right_ty, right.span));
            }
        }
        Ok((
            binary(core::BinaryOp::Compare(op), left_expr, right_expr, span),
            Ty::BOOL,
        ))
    }
}

/// One side at least is a literal container.
pub(super) fn is_growth(left: &ast::Expr, right: &ast::Expr) -> bool {
    [left, right]
        .into_iter()
        .any(|side| matches!(side.kind, ast::ExprKind::Array(_) | ast::ExprKind::Map(_)))
}

fn binary(op: core::BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
    Expr {
        span,
        kind: ExprKind::Binary {
            op,
            left: Box::new(left),
            right: Box::new(right),
        },
    }
}
