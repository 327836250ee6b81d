//! `r.list = r.list + [x]`, and `list = list + [x]` of a variable that functions share: the list
//! is taken out of its place before it is added to, so that it is extended rather than copied.

use super::function::FunctionCode;
use crate::core::{BinaryOp, Expr, ExprKind, LocalId, Step, StepKind};
use crate::syntax::span::Span;
use mix_bytecode::{Dst, Op};

impl<'a> FunctionCode<'_, 'a> {
    /// Translates `place = place + [items]` of a place in a local; false if the assignment
    /// is another one. With two arrays the sum cannot fail, so nobody sees the place without
    /// its array; what is not an array stays where it is.
    pub fn appends(
        &mut self,
        span: Span,
        local: LocalId,
        steps: &'a [Step],
        value: &'a Expr,
    ) -> bool {
        let ExprKind::Binary {
            op: BinaryOp::Add,
            left,
            right,
        } = &value.kind
        else {
            return false;
        };
        if self.is_boxed(local)
            || !matches!(right.kind, ExprKind::Array(_))
            || !self.reads_place(left, local, steps)
        {
            return false;
        }
        let target = Dst(self.register(local, span).0);
        let (released, released_keys, count) = self.path(steps);
        let (path, keys, _) = self.path(steps);
        let list = self.b.fresh();
        self.expr(left, Dst(list.0));
        let items = self.operand(right);
        let kept = self.b.label();
        let (min, max) = (0, u16::MAX);
        self.b.emit(Op::JumpUnlessArray {
            src: list,
            min,
            max,
            target: kept.target(),
        });
        let nothing = self.b.fresh();
        self.b.emit(Op::LoadNull {
            dst: Dst(nothing.0),
        });
        self.update(span, target, released, released_keys, count, nothing);
        self.b.bind(kept);
        let dst = Dst(list.0);
        let (a, b) = (list, items);
        self.emit_at(value.span, Op::Add { dst, a, b });
        self.update(span, target, path, keys, count, list);
        true
    }

    /// Translates `list = list + [items]` of a variable that functions share; false if the
    /// assignment is another one.
    pub fn appends_shared(&mut self, span: Span, local: LocalId, value: &'a Expr) -> bool {
        let ExprKind::Binary {
            op: BinaryOp::Add,
            left,
            right,
        } = &value.kind
        else {
            return false;
        };
        if !matches!(right.kind, ExprKind::Array(_)) || !self.reads_place(left, local, &[]) {
            return false;
        }
        let shared = self.register(local, span);
        let list = self.b.fresh();
        self.expr(left, Dst(list.0));
        let items = self.operand(right);
        let kept = self.b.label();
        let (min, max) = (0, u16::MAX);
        self.b.emit(Op::JumpUnlessArray {
            src: list,
            min,
            max,
            target: kept.target(),
        });
        let nothing = self.b.fresh();
        self.b.emit(Op::LoadNull {
            dst: Dst(nothing.0),
        });
        self.store_box(span, local, shared, nothing);
        self.b.bind(kept);
        let dst = Dst(list.0);
        let (a, b) = (list, items);
        self.emit_at(value.span, Op::Add { dst, a, b });
        self.store_box(span, local, shared, list);
        true
    }

    /// Whether an expression is the value of that place, read without any effect.
    fn reads_place(&self, e: &Expr, local: LocalId, steps: &[Step]) -> bool {
        let Some((last, before)) = steps.split_last() else {
            return matches!(e.kind, ExprKind::Local(read) if read == local);
        };
        let base = match (&e.kind, &last.kind) {
            (ExprKind::Field { base, name }, StepKind::Field(step)) if name == step => base,
            (ExprKind::ComputedField { base, key }, StepKind::Computed(step))
            | (ExprKind::Index { base, index: key }, StepKind::Index(step))
                if self.same_key(key, step) =>
            {
                base
            }
            _ => return false,
        };
        self.reads_place(base, local, before)
    }

    fn same_key(&self, key: &Expr, step: &Expr) -> bool {
        match (&key.kind, &step.kind) {
            (ExprKind::Local(key), ExprKind::Local(step)) => key == step && !self.is_boxed(*key),
            (ExprKind::Constant(key), ExprKind::Constant(step)) => key == step,
            _ => false,
        }
    }
}
