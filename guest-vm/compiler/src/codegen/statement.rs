//! Statement blocks.

use super::function::{FunctionCode, Want};
use crate::core::{Block, Expr, PlaceRoot, Statement, StatementKind, Step, SwitchArm};
use crate::syntax::span::Span;
use mix_bytecode::{Dst, Op};

impl<'a> FunctionCode<'_, 'a> {
    /// Runs a block; false if its end is never reached.
    pub fn block(&mut self, block: &'a Block) -> bool {
        let mark = self.b.mark();
        let mut goes_on = true;
        for statement in &block.statements {
            goes_on = self.statement(statement);
            if !goes_on {
                break;
            }
        }
        self.b.release(mark);
        goes_on
    }

    fn statement(&mut self, statement: &'a Statement) -> bool {
        let span = statement.span;
        match &statement.kind {
            StatementKind::Bind { local, value } => {
                let checked = self.is_mutable(*local) && !self.is_defined(value);
                if checked {
                    // A variable never holds undefined.
                    let reg = self.b.fresh();
                    self.expr(value, Dst(reg.0));
                    let name = self.function.locals[local.0 as usize].name.clone();
                    self.check_stored(reg, &format!("variable {name}"), value.span);
                    self.locals[local.0 as usize].reg = None;
                    match self.is_boxed(*local) {
                        true => self.bind(*local, reg, false),
                        // The register is the variable's own.
                        false => self.locals[local.0 as usize].reg = Some(reg),
                    }
                } else {
                    self.bind_value(*local, value);
                }
                true
            }
            StatementKind::BindPattern { pattern, value } => {
                let value = self.stable_operand(value);
                self.unbind(pattern);
                self.bind_pattern(pattern, value);
                true
            }
            StatementKind::Assign { root, steps, value } => {
                let mark = self.b.mark();
                self.assign(span, root, steps, value);
                self.b.release(mark);
                true
            }
            StatementKind::Return(value) => {
                self.return_statement(span, value.as_ref());
                false
            }
            StatementKind::If {
                condition,
                then,
                otherwise,
            } => {
                let other = self.b.label();
                self.condition(condition, other);
                let first = self.block(then);
                let Some(otherwise) = otherwise else {
                    self.b.bind(other);
                    return true;
                };
                let end = self.b.label();
                if first {
                    self.b.jump(end);
                }
                self.b.bind(other);
                let second = self.block(otherwise);
                if first {
                    self.b.bind(end);
                }
                first || second
            }
            StatementKind::While {
                condition,
                body,
                step,
            } => {
                let top = self.b.label();
                let end = self.b.label();
                self.b.bind(top);
                self.condition(condition, end);
                let mark = self.b.mark();
                let goes_on = self.block(body);
                if goes_on {
                    if let Some(step) = step {
                        self.statement(step);
                    }
                    self.b.jump(top);
                }
                self.b.release(mark);
                self.b.bind(end);
                true
            }
            StatementKind::ForEach {
                pattern,
                subject,
                body,
            } => {
                let mark = self.b.mark();
                let stream = self.b.fresh();
                let src = self.operand(subject);
                self.emit_at(
                    subject.span,
                    Op::Iterate {
                        dst: Dst(stream.0),
                        src,
                    },
                );
                let top = self.b.label();
                let end = self.b.label();
                self.b.bind(top);
                let element = self.b.fresh();
                self.emit_at(
                    subject.span,
                    Op::Next {
                        dst: Dst(element.0),
                        src: stream,
                    },
                );
                self.b.emit(Op::JumpIfUndefined {
                    src: element,
                    target: end.target(),
                });
                self.unbind(pattern);
                self.bind_pattern(pattern, element);
                self.mark_defined(pattern);
                if self.block(body) {
                    self.b.jump(top);
                }
                self.b.bind(end);
                self.b.release(mark);
                true
            }
            StatementKind::Switch { subject, arms } => self.switch(span, subject, arms),
            StatementKind::Block(block) => self.block(block),
            StatementKind::Expr(expr) => {
                let mark = self.b.mark();
                let unused = self.b.fresh();
                self.expr(expr, Dst(unused.0));
                self.b.release(mark);
                true
            }
        }
    }

    fn return_statement(&mut self, span: Span, value: Option<&'a Expr>) {
        let (want, end) = match self.blocks.last() {
            Some(block) => (block.want, block.end),
            None => (Want::Return, None),
        };
        match (value, want) {
            (Some(value), want) => {
                // The operand belongs to this block, but a `return` inside it would not:
                // nested `do` blocks open blocks of their own.
                self.wanted(value, want);
            }
            (None, Want::To(dst)) => self.emit_at(span, Op::LoadNull { dst }),
            (None, Want::Return) => {
                let null = self.b.fresh();
                self.emit_at(span, Op::LoadNull { dst: Dst(null.0) });
                self.return_value(null);
            }
        }
        if let Some(end) = end {
            self.b.jump(end);
        }
    }

    fn switch(&mut self, span: Span, subject: &'a Expr, arms: &'a [SwitchArm]) -> bool {
        let mark = self.b.mark();
        let value = self.stable_operand(subject);
        let end = self.b.label();
        let mut goes_on = false;
        let mut complete = false;
        for arm in arms {
            let inner = self.b.mark();
            let always = arm.guard.is_none() && arm.pattern.always_matches();
            let next = self.b.label();
            self.pattern(&arm.pattern, value, next);
            if let Some(guard) = &arm.guard {
                self.guard(guard, next);
            }
            if self.block(&arm.body) {
                goes_on = true;
                self.b.jump(end);
            }
            self.b.release(inner);
            self.b.bind(next);
            if always {
                complete = true;
                break;
            }
        }
        if !complete {
            self.emit_at(span, Op::FailMatch { src: value });
        }
        if goes_on {
            self.b.bind(end);
        }
        self.b.release(mark);
        goes_on
    }

    fn assign(&mut self, span: Span, root: &'a PlaceRoot, steps: &'a [Step], value: &'a Expr) {
        if steps.is_empty() {
            return self.assign_whole(span, root, value);
        }
        if let PlaceRoot::Local(local) = root
            && self.appends(span, *local, steps, value)
        {
            return;
        }
        if let PlaceRoot::Cell(cell) = root {
            return self.update_cell(span, *cell, steps, value);
        }
        let (path, keys, count) = self.path(steps);
        let src = self.operand(value);
        match root {
            PlaceRoot::Local(local) => {
                let reg = self.register(*local, span);
                if !self.is_boxed(*local) {
                    return self.update(span, Dst(reg.0), path, keys, count, src);
                }
                let target = self.b.fresh();
                self.emit_at(
                    span,
                    Op::LoadBox {
                        dst: Dst(target.0),
                        src: reg,
                    },
                );
                self.update(span, Dst(target.0), path, keys, count, src);
                self.store_box(span, *local, reg, target);
            }
            // Just above.
            PlaceRoot::Cell(_) => {}
            PlaceRoot::Link(link) => {
                let link = self.operand(link);
                let target = self.b.fresh();
                let dst = Dst(target.0);
                self.emit_at(span, Op::Contents { dst, link });
                self.update(span, dst, path, keys, count, src);
                self.b.emit(Op::Assign { link, src: target });
            }
        }
    }

    fn assign_whole(&mut self, span: Span, root: &'a PlaceRoot, value: &'a Expr) {
        match root {
            PlaceRoot::Local(local)
                if self.is_boxed(*local) && self.appends_shared(span, *local, value) => {}
            PlaceRoot::Local(local) if self.is_boxed(*local) => {
                let reg = self.register(*local, span);
                let src = self.operand(value);
                self.store_box(span, *local, reg, src);
            }
            PlaceRoot::Local(local) => {
                let reg = self.register(*local, span);
                if self.is_defined(value) && writes_last(value) {
                    return self.expr(value, Dst(reg.0));
                }
                let new = self.b.fresh();
                self.expr(value, Dst(new.0));
                if !self.is_defined(value) {
                    let name = self.function.locals[local.0 as usize].name.clone();
                    self.check_stored(new, &format!("variable {name}"), span);
                }
                self.at(span);
                self.b.copy(Dst(reg.0), new);
            }
            PlaceRoot::Cell(slot) if self.appends_to_cell(span, *slot, value) => {}
            PlaceRoot::Cell(slot) => {
                let src = self.operand(value);
                let slot = self.linker.slot(self.module, *slot);
                let link = self.b.fresh();
                let dst = Dst(link.0);
                self.emit_at(span, Op::LoadLink { dst, slot });
                self.b.emit(Op::Assign { link, src });
            }
            PlaceRoot::Link(link) => {
                let src = self.operand_before(value, &[link]);
                let link = self.operand(link);
                self.emit_at(span, Op::Assign { link, src });
            }
        }
    }

    pub(super) fn store_box(
        &mut self,
        span: Span,
        local: crate::core::LocalId,
        target: mix_bytecode::Reg,
        src: mix_bytecode::Reg,
    ) {
        let name = self.function.locals[local.0 as usize].name.clone();
        let place = self.linker.out.string(&format!("variable {name}"));
        self.emit_at(span, Op::StoreBox { target, src, place });
    }
}

/// Does translating the expression write its destination only after everything is read?
fn writes_last(expr: &Expr) -> bool {
    use crate::core::ExprKind;
    matches!(
        expr.kind,
        ExprKind::Constant(_)
            | ExprKind::Local(_)
            | ExprKind::Binary { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Array(_)
            | ExprKind::Map(_)
            | ExprKind::Case { .. }
            | ExprKind::Lambda(_)
            | ExprKind::IsDefined(_)
    )
}
