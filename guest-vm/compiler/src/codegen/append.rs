//! `list = list + [x]` where the list lies in a cell, in a variable that functions share, or inside a
//! record, map or array: it is taken out of its place before it is added to, so that it is extended
//! rather than copied. The same with `withDefault([], m.(k)) + [x]`, and with `m with .(k) = …`.

use super::function::FunctionCode;
use super::walk::{may_assign, step_key};
use crate::core::{BinaryOp, CellView, Expr, ExprKind, LocalId, SlotId, SlotKind, Step, StepKind};
use crate::syntax::span::Span;
use mix_bytecode::{Dst, Op, Reg};

/// A sum of a list that is read from the place that the sum goes to and of further items.
struct Extension<'a> {
    list: &'a Expr,
    items: &'a Expr,
    span: Span,
}

impl<'a> FunctionCode<'_, 'a> {
    /// Translates `place = place + [items]` of a place in a local; false if the assignment
    /// is another one.
    pub fn appends(
        &mut self,
        span: Span,
        local: LocalId,
        steps: &'a [Step],
        value: &'a Expr,
    ) -> bool {
        if self.is_boxed(local) {
            return false;
        }
        let Some(sum) = self.extension(value, |code, e| {
            code.reads_place(e, &is_local(local), steps)
        }) else {
            return false;
        };
        let target = Dst(self.register(local, span).0);
        self.extend_inside(span, steps, &sum, |_| target);
        true
    }

    /// Translates `local with place = place of local + [items]` into a new register; none if the
    /// value is another one.
    pub fn with_appended(
        &mut self,
        span: Span,
        local: LocalId,
        steps: &'a [Step],
        value: &'a Expr,
    ) -> Option<Reg> {
        let parts = || steps.iter().filter_map(step_key).chain([value]);
        if self.is_boxed(local) || self.is_mutable(local) && parts().any(may_assign) {
            return None;
        }
        let sum = self.extension(value, |code, e| {
            code.reads_place(e, &is_local(local), steps)
        })?;
        let source = self.register(local, span);
        let target = self.b.fresh();
        self.extend_inside(span, steps, &sum, |code| {
            // After the last look at the local: the container itself may be changed.
            code.b.copy(Dst(target.0), source);
            Dst(target.0)
        });
        Some(target)
    }

    /// Translates `list = list + [items]` of a variable that functions share; false if the
    /// assignment is another one.
    pub fn appends_shared(&mut self, span: Span, local: LocalId, value: &'a Expr) -> bool {
        let Some(sum) = self.extension(value, |code, e| code.reads_place(e, &is_local(local), &[]))
        else {
            return false;
        };
        let shared = self.register(local, span);
        let (list, items) = self.operands(&sum);
        self.extend(&sum, list, items, |code, nothing| {
            code.store_box(span, local, shared, nothing);
        });
        self.store_box(span, local, shared, list);
        true
    }

    /// Translates `cell = cell + [items]`; false if the assignment is another one. The two
    /// assignments of the cell count as one update, as any number in one interaction does.
    pub fn appends_to_cell(&mut self, span: Span, cell: SlotId, value: &'a Expr) -> bool {
        let Some(sum) = self.extension(value, |_, e| reads_cell(e, cell)) else {
            return false;
        };
        let slot = self.linker.slot(self.module, cell);
        let (list, items) = self.operands(&sum);
        let link = self.b.fresh();
        let dst = Dst(link.0);
        self.emit_at(span, Op::LoadLink { dst, slot });
        self.extend(&sum, list, items, |code, src| {
            code.emit_at(span, Op::Assign { link, src });
        });
        self.emit_at(span, Op::Assign { link, src: list });
        true
    }

    /// Translates an assignment to a place inside the container that a cell holds. The cell lets go
    /// of the container, so that it is changed rather than copied; if that fails, the cell gets
    /// it back as it was.
    pub fn update_cell(&mut self, span: Span, cell: SlotId, steps: &'a [Step], value: &'a Expr) {
        let is_cell = |e: &Expr| reads_cell(e, cell);
        let sum = self.extension(value, |code, e| code.reads_place(e, &is_cell, steps));
        let slot = self.linker.slot(self.module, cell);
        let container = self.b.fresh();
        let dst = Dst(container.0);
        let released = sum.as_ref().map(|_| self.path(steps));
        let (path, keys, count) = self.path(steps);
        let (src, items) = match &sum {
            Some(sum) => {
                self.emit_at(span, Op::LoadCell { dst, slot });
                self.held = Some((cell, container));
                let list = self.b.fresh();
                self.expr(sum.list, Dst(list.0));
                self.held = None;
                (list, Some(self.operand(sum.items)))
            }
            None => (self.operand(value), None),
        };
        self.emit_at(span, Op::LoadCell { dst, slot });
        let link = self.b.fresh();
        let dst = Dst(link.0);
        self.emit_at(span, Op::LoadLink { dst, slot });
        let nothing = self.b.fresh();
        let dst = Dst(nothing.0);
        self.b.emit(Op::LoadNull { dst });
        self.emit_at(span, Op::Assign { link, src: nothing });
        let (failed, end) = (self.b.label(), self.b.label());
        let dst = Dst(self.b.fresh().0);
        let target = failed.target();
        self.emit_at(span, Op::TryBegin { dst, target });
        let target = Dst(container.0);
        if let (Some(sum), Some(items), Some((path, keys, count))) = (&sum, items, released) {
            self.extend(sum, src, items, |code, nothing| {
                code.update(span, target, path, keys, count, nothing);
            });
        }
        self.update(span, target, path, keys, count, src);
        self.emit_at(span, Op::TryEnd {});
        let assign = Op::Assign {
            link,
            src: container,
        };
        self.emit_at(span, assign);
        self.b.jump(end);
        self.b.bind(failed);
        // Said again, with the cell as it was.
        self.emit_at(span, assign);
        if let (Some(sum), Some(b)) = (&sum, items) {
            let (dst, a) = (Dst(src.0), src);
            self.emit_at(sum.span, Op::Add { dst, a, b });
        }
        self.update(span, target, path, keys, count, src);
        self.b.bind(end);
    }

    /// The parts of a value that extends the list of a place.
    fn extension(
        &self,
        value: &'a Expr,
        reads: impl Fn(&Self, &Expr) -> bool,
    ) -> Option<Extension<'a>> {
        let ExprKind::Binary {
            op: BinaryOp::Add,
            left,
            right,
        } = &value.kind
        else {
            return None;
        };
        let is_extension = matches!(right.kind, ExprKind::Array(_))
            && (reads(self, left) || self.defaulted(left).is_some_and(|list| reads(self, list)));
        is_extension.then_some(Extension {
            list: left,
            items: right,
            span: value.span,
        })
    }

    /// The expression whose value is used if it is defined, if there is one.
    fn defaulted<'e>(&self, e: &'e Expr) -> Option<&'e Expr> {
        match &e.kind {
            ExprKind::Call { callee, args } => match (&callee.kind, &args[..]) {
                (ExprKind::Static { module, slot }, [default, value])
                    if is_empty_list(default) && self.is_with_default(*module, *slot) =>
                {
                    Some(value)
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn is_with_default(&self, module: crate::core::ModuleId, slot: SlotId) -> bool {
        let program = self.linker.program;
        let slot = program.slot(module, slot);
        let module = program.module(module);
        module.library
            && &*module.name == "prelude"
            && &*slot.name == "withDefault"
            && matches!(slot.kind, SlotKind::Function(_))
    }

    /// Puts the sum at a place inside the container that `target` gives when all is evaluated.
    fn extend_inside(
        &mut self,
        span: Span,
        steps: &'a [Step],
        sum: &Extension<'a>,
        target: impl FnOnce(&mut Self) -> Dst,
    ) {
        let (released, released_keys, count) = self.path(steps);
        let (path, keys, _) = self.path(steps);
        let (list, items) = self.operands(sum);
        let target = target(self);
        self.extend(sum, list, items, |code, nothing| {
            code.update(span, target, released, released_keys, count, nothing);
        });
        self.update(span, target, path, keys, count, list);
    }

    /// The list, in a register of its own, and what is added to it.
    fn operands(&mut self, sum: &Extension<'a>) -> (Reg, Reg) {
        let list = self.b.fresh();
        self.expr(sum.list, Dst(list.0));
        (list, self.operand(sum.items))
    }

    /// Adds the items to the list. `release` takes the list out of its place, where it leaves null.
    /// With two arrays the sum cannot fail, so nobody sees the place without its array; what is
    /// not an array stays where it is.
    fn extend(
        &mut self,
        sum: &Extension<'a>,
        list: Reg,
        items: Reg,
        release: impl FnOnce(&mut Self, Reg),
    ) {
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
        release(self, nothing);
        self.b.bind(kept);
        let dst = Dst(list.0);
        let (a, b) = (list, items);
        self.emit_at(sum.span, Op::Add { dst, a, b });
    }

    /// Whether an expression is the value of that place of a root, read without any effect.
    fn reads_place(&self, e: &Expr, is_root: &dyn Fn(&Expr) -> bool, steps: &[Step]) -> bool {
        let Some((last, before)) = steps.split_last() else {
            return is_root(e);
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
        self.reads_place(base, is_root, before)
    }

    /// Whether two keys that are evaluated one right after the other are the same.
    fn same_key(&self, key: &Expr, step: &Expr) -> bool {
        match (&key.kind, &step.kind) {
            (ExprKind::Local(key), ExprKind::Local(step)) => key == step && !self.is_boxed(*key),
            (ExprKind::Constant(key), ExprKind::Constant(step)) => key == step,
            (
                ExprKind::Field { base, name },
                ExprKind::Field {
                    base: other,
                    name: other_name,
                },
            ) => name == other_name && self.same_key(base, other),
            _ => false,
        }
    }
}

fn is_local(local: LocalId) -> impl Fn(&Expr) -> bool {
    move |e| matches!(e.kind, ExprKind::Local(read) if read == local)
}

fn reads_cell(e: &Expr, cell: SlotId) -> bool {
    matches!(&e.kind, ExprKind::CellRead { slot, view: CellView::Value } if *slot == cell)
}

fn is_empty_list(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Array(items) if items.is_empty())
}
