//! Expressions.

use super::function::{FunctionCode, OpenBlock, Want};
use super::types::type_desc;
use crate::core::{BinaryOp, Check, CompareOp, Constant, Expr, ExprKind, Lambda, UnaryOp};
use crate::syntax::span::Span;
use mix_bytecode::{self as bytecode, Dst, Label, Op, OptReg, Reg};

impl<'a> FunctionCode<'_, 'a> {
    /// The value of an expression is the result of the function.
    pub fn result(&mut self, expr: &'a Expr) {
        self.wanted(expr, Want::Return);
    }

    /// Computes an expression where it is wanted.
    pub fn wanted(&mut self, expr: &'a Expr, want: Want) {
        let dst = match want {
            Want::To(dst) => return self.expr(expr, dst),
            Want::Return => Want::Return,
        };
        let mark = self.b.mark();
        match &expr.kind {
            ExprKind::Call { callee, args } if self.tail_calls() => {
                self.call(expr.span, callee, args, None);
            }
            ExprKind::Let { local, value, body } => {
                self.bind_value(*local, value);
                self.result(body);
            }
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                let other = self.b.label();
                self.condition(condition, other);
                let inner = self.b.mark();
                self.result(then);
                self.b.release(inner);
                self.b.bind(other);
                self.result(otherwise);
            }
            ExprKind::Match { subjects, arms } => self.matching(expr.span, subjects, arms, dst),
            ExprKind::Do(block) => {
                self.blocks.push(OpenBlock {
                    want: Want::Return,
                    end: None,
                });
                if self.block(block) {
                    let null = self.b.fresh();
                    self.b.emit(Op::LoadNull { dst: Dst(null.0) });
                    self.return_value(null);
                }
                self.blocks.pop();
            }
            _ => {
                let value = self.operand(expr);
                self.at(expr.span);
                self.return_value(value);
            }
        }
        self.b.release(mark);
    }

    /// Computes an expression into a register. The register is written last, or
    /// belongs to nothing that the expression reads.
    pub fn expr(&mut self, expr: &'a Expr, dst: Dst) {
        let mark = self.b.mark();
        self.expr_kind(expr, dst);
        self.b.release(mark);
    }

    fn expr_kind(&mut self, expr: &'a Expr, dst: Dst) {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Constant(constant) => {
                self.at(span);
                self.constant(constant, dst);
            }
            ExprKind::Local(local) => {
                let reg = self.register(*local, span);
                self.at(span);
                match self.is_boxed(*local) {
                    true => self.b.emit(Op::LoadBox { dst, src: reg }),
                    false => self.b.copy(dst, reg),
                }
            }
            ExprKind::Slot(_)
            | ExprKind::Static { .. }
            | ExprKind::Member { .. }
            | ExprKind::MemberLink { .. }
            | ExprKind::Instance(_)
            | ExprKind::Instantiate { .. } => self.reference(expr, dst),
            ExprKind::Call { callee, args } => self.call(span, callee, args, Some(dst)),
            ExprKind::Lambda(lambda) => self.closure(span, lambda, dst),
            ExprKind::Array(_) | ExprKind::Map(_) | ExprKind::Case { .. } => self.data(expr, dst),
            ExprKind::Constructor(name) => {
                let name = self.linker.out.string(name);
                self.emit_at(span, Op::MakeConstructor { dst, name });
            }
            ExprKind::Extract { full_name, value } => {
                let src = self.operand(value);
                let name = self.linker.out.string(full_name);
                self.emit_at(span, Op::CaseArgument { dst, src, name });
            }
            ExprKind::Let { local, value, body } => {
                self.bind_value(*local, value);
                self.expr(body, dst);
            }
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => {
                let other = self.b.label();
                let end = self.b.label();
                self.condition(condition, other);
                self.expr(then, dst);
                self.b.jump(end);
                self.b.bind(other);
                self.expr(otherwise, dst);
                self.b.bind(end);
            }
            ExprKind::Logical { and, left, right } => self.logical(span, *and, left, right, dst),
            ExprKind::Binary { op, left, right } => {
                let a = self.operand_before(left, &[right]);
                let b = self.operand(right);
                self.emit_at(span, binary(*op, dst, a, b));
            }
            ExprKind::Unary { op, operand } => {
                let src = self.operand(operand);
                let op = match op {
                    UnaryOp::Not => Op::Not { dst, src },
                    UnaryOp::Negate => Op::Neg { dst, src },
                };
                self.emit_at(span, op);
            }
            ExprKind::Try(inner) => self.guarded(span, inner, dst),
            ExprKind::Field { .. }
            | ExprKind::ComputedField { .. }
            | ExprKind::Index { .. }
            | ExprKind::TupleIndex { .. }
            | ExprKind::IndexIsDefined { .. }
            | ExprKind::Update { .. } => self.access(expr, dst),
            ExprKind::Slice { base, from, to } => self.slice(span, base, from, to, dst),
            ExprKind::IsDefined(inner) => {
                let src = self.operand(inner);
                self.emit_at(span, Op::IsDefined { dst, src });
            }
            ExprKind::Match { subjects, arms } => {
                self.matching(span, subjects, arms, Want::To(dst));
            }
            ExprKind::Do(block) => {
                let end = self.b.label();
                self.blocks.push(OpenBlock {
                    want: Want::To(dst),
                    end: Some(end),
                });
                if self.block(block) {
                    self.b.emit(Op::LoadNull { dst });
                }
                self.blocks.pop();
                self.b.bind(end);
            }
            ExprKind::Assert { value, check } => {
                self.expr(value, dst);
                let program = self.linker.program;
                let check = program.module(self.module).checks.get(check.0 as usize);
                if let Some(Check::Conforms(ty)) = check {
                    let type_id = type_desc(&mut self.linker.out, ty);
                    let src = Reg(dst.0);
                    self.emit_at(span, Op::Assert { src, type_id });
                }
            }
            ExprKind::MakeStream(value) => {
                let src = self.operand(value);
                self.emit_at(span, Op::MakeStream { dst, src });
            }
            ExprKind::Regex(pattern) => {
                let pattern = bytecode::Constant::Regex((&**pattern).into());
                let value = self.linker.out.constant(pattern);
                self.emit_at(span, Op::LoadConst { dst, value });
            }
            ExprKind::Appstate
            | ExprKind::CellRead { .. }
            | ExprKind::CellLink(_)
            | ExprKind::CellForm { .. }
            | ExprKind::Action { .. }
            | ExprKind::AppView { .. }
            | ExprKind::InstanceId => self.cell_expr(expr, dst),
        }
    }

    pub fn constant(&mut self, constant: &Constant, dst: Dst) {
        let value = match constant {
            Constant::Undefined => return self.b.emit(Op::LoadUndefined { dst }),
            Constant::Null => return self.b.emit(Op::LoadNull { dst }),
            Constant::Bool(value) => return self.b.emit(Op::LoadBool { dst, value: *value }),
            Constant::Int(value) => match i32::try_from(*value) {
                Ok(value) => return self.b.emit(Op::LoadInt { dst, value }),
                Err(_) => bytecode::Constant::Int(*value),
            },
            Constant::Float(value) => bytecode::Constant::Float(*value),
            Constant::Str(text) => bytecode::Constant::String((&**text).into()),
            Constant::Ref(_) | Constant::Binary(_) => {
                match super::data::constant_value(constant)
                    .map(|value| mix_value::msgpack::encode(&value))
                {
                    Some(Ok(bytes)) => bytecode::Constant::Value(bytes.into()),
                    _ => {
                        self.linker
                            .internal(Span::default(), "a constant cannot be encoded");
                        return;
                    }
                }
            }
        };
        let value = self.linker.out.constant(value);
        self.b.emit(Op::LoadConst { dst, value });
    }

    /// Jumps to `other` when the condition is false.
    pub fn condition(&mut self, condition: &'a Expr, other: Label) {
        if let ExprKind::Logical { and, left, right } = &condition.kind
            && is_truth(left)
            && self.is_defined(left)
            && is_truth(right)
        {
            // Neither side needs the tables for undefined: two plain jumps.
            if *and {
                self.condition(left, other);
                return self.condition(right, other);
            }
            let then = self.b.label();
            self.jump_if(left, then);
            self.condition(right, other);
            return self.b.bind(then);
        }
        let mark = self.b.mark();
        let src = self.operand(condition);
        let target = other.target();
        self.emit_at(condition.span, Op::JumpUnless { src, target });
        self.b.release(mark);
    }

    fn jump_if(&mut self, condition: &'a Expr, then: Label) {
        let mark = self.b.mark();
        let src = self.operand(condition);
        let target = then.target();
        self.emit_at(condition.span, Op::JumpIf { src, target });
        self.b.release(mark);
    }

    fn logical(&mut self, span: Span, and: bool, left: &'a Expr, right: &'a Expr, dst: Dst) {
        // Into a register of its own: the right side may read what `dst` holds now.
        let a = self.b.fresh();
        self.expr(left, Dst(a.0));
        let end = self.b.label();
        let target = end.target();
        self.emit_at(
            left.span,
            match and {
                true => Op::AndJump { src: a, target },
                false => Op::OrJump { src: a, target },
            },
        );
        let b = self.operand(right);
        let into = Dst(a.0);
        self.emit_at(
            span,
            match and {
                true => Op::And { dst: into, a, b },
                false => Op::Or { dst: into, a, b },
            },
        );
        self.b.bind(end);
        self.b.copy(dst, a);
    }

    fn guarded(&mut self, span: Span, inner: &'a Expr, dst: Dst) {
        let result = self.b.fresh();
        let end = self.b.label();
        self.emit_at(
            span,
            Op::TryBegin {
                dst: Dst(result.0),
                target: end.target(),
            },
        );
        let value = self.b.fresh();
        self.expr(inner, Dst(value.0));
        self.emit_at(span, Op::TryEnd {});
        self.b.emit(Op::WrapOk {
            dst: Dst(result.0),
            src: value,
        });
        self.b.bind(end);
        self.b.copy(dst, result);
    }

    fn slice(
        &mut self,
        span: Span,
        base: &'a Expr,
        from: &'a Option<Box<Expr>>,
        to: &'a Option<Box<Expr>>,
        dst: Dst,
    ) {
        let later: Vec<&Expr> = from.iter().chain(to).map(|part| &**part).collect();
        let src = self.operand_before(base, &later);
        let from = match (from, to) {
            (Some(from), Some(to)) => OptReg(self.operand_before(from, &[to]).0),
            (Some(from), None) => OptReg(self.operand(from).0),
            (None, _) => OptReg::NONE,
        };
        let to = match to {
            Some(to) => OptReg(self.operand(to).0),
            None => OptReg::NONE,
        };
        self.emit_at(span, Op::Slice { dst, src, from, to });
    }

    fn closure(&mut self, span: Span, lambda: &'a Lambda, dst: Dst) {
        let function = self
            .linker
            .function(self.module, lambda, super::function::Sort::Plain);
        let count = lambda.captures.len();
        let base = self.b.fresh_range(count.min(255) as u16);
        for (index, capture) in lambda.captures.iter().enumerate().take(255) {
            let src = self.register(capture.outer, span);
            self.b.copy(Dst(base.0 + index as u16), src);
        }
        self.emit_at(
            span,
            Op::MakeClosure {
                count: count.min(255) as u8,
                dst,
                base,
                function,
            },
        );
    }
}

/// Is the value a bool or undefined, whatever the operands are?
fn is_truth(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Constant(Constant::Bool(_))
        | ExprKind::Logical { .. }
        | ExprKind::IsDefined(_)
        | ExprKind::IndexIsDefined { .. } => true,
        ExprKind::Unary { op, .. } => *op == UnaryOp::Not,
        ExprKind::Binary { op, .. } => matches!(op, BinaryOp::Compare(_)),
        _ => false,
    }
}

fn binary(op: BinaryOp, dst: Dst, a: Reg, b: Reg) -> Op {
    match op {
        BinaryOp::Add => Op::Add { dst, a, b },
        BinaryOp::Subtract => Op::Sub { dst, a, b },
        BinaryOp::Multiply => Op::Mul { dst, a, b },
        BinaryOp::Divide => Op::Div { dst, a, b },
        BinaryOp::Remainder => Op::Rem { dst, a, b },
        BinaryOp::Append => Op::Concat { dst, a, b },
        BinaryOp::Compare(op) => compare(op, dst, a, b),
    }
}

pub(super) fn compare(op: CompareOp, dst: Dst, a: Reg, b: Reg) -> Op {
    match op {
        CompareOp::Equal => Op::Eq { dst, a, b },
        CompareOp::NotEqual => Op::Ne { dst, a, b },
        CompareOp::Less => Op::Lt { dst, a, b },
        CompareOp::LessEqual => Op::Le { dst, a, b },
        CompareOp::Greater => Op::Gt { dst, a, b },
        CompareOp::GreaterEqual => Op::Ge { dst, a, b },
        CompareOp::Same => Op::Same { dst, a, b },
        CompareOp::NotSame => Op::NotSame { dst, a, b },
        CompareOp::EqualFold => Op::EqCi { dst, a, b },
        CompareOp::NotEqualFold => Op::NeCi { dst, a, b },
        CompareOp::LessFold => Op::LtCi { dst, a, b },
        CompareOp::LessEqualFold => Op::LeCi { dst, a, b },
        CompareOp::GreaterFold => Op::GtCi { dst, a, b },
        CompareOp::GreaterEqualFold => Op::GeCi { dst, a, b },
    }
}
