//! Containers: literals, access and update.

use super::function::FunctionCode;
use super::walk::step_key;
use crate::core::{Constant, Expr, ExprKind, Step, StepKind};
use crate::syntax::span::Span;
use mix_bytecode::{self as bytecode, Base, Dst, Op, PathId, PathStep, Reg};
use mix_value::Value;

/// Longer arrays are built in parts, to keep the register window small.
const ARRAY_PART: usize = 64;

/// Containers with at least this many parts become one constant if they are constant.
const CONSTANT_PARTS: usize = 2;

/// A constant as a value, if it is data.
pub(super) fn constant_value(constant: &Constant) -> Option<Value> {
    Some(match constant {
        Constant::Undefined => return None,
        Constant::Null => Value::Null,
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Int(value) => Value::Int(*value),
        Constant::Float(value) => Value::Float(*value),
        Constant::Str(text) => Value::String(text.clone()),
        Constant::Ref(id) => Value::Ref(mix_value::Ref::new(id).ok()?),
        Constant::Binary(bytes) => Value::Binary(bytes.clone()),
    })
}

/// The value of an expression made of constants only, if it has no more than `depth` levels.
fn data_value(expr: &Expr, depth: usize) -> Option<Value> {
    let part = |expr| data_value(expr, depth.checked_sub(1)?);
    match &expr.kind {
        ExprKind::Constant(constant) => constant_value(constant),
        ExprKind::Array(items) => items
            .iter()
            .map(part)
            .collect::<Option<Vec<Value>>>()
            .map(Value::Array),
        ExprKind::Map(entries) => entries
            .iter()
            .map(|(key, value)| match &key.kind {
                ExprKind::Constant(Constant::Str(key)) => Some((key.clone(), part(value)?)),
                _ => None,
            })
            .collect::<Option<_>>()
            .map(Value::Map),
        _ => None,
    }
}

impl<'a> FunctionCode<'_, 'a> {
    /// An array, map or case.
    pub fn data(&mut self, expr: &'a Expr, dst: Dst) {
        let span = expr.span;
        if self.constant_data(expr, dst) {
            return;
        }
        match &expr.kind {
            ExprKind::Array(items) => self.array(span, items, dst),
            ExprKind::Map(entries) => self.map(span, entries, dst),
            ExprKind::Case {
                full_name,
                argument,
            } => match argument {
                Some(argument) => {
                    let src = self.operand(argument);
                    let name = self.linker.out.string(full_name);
                    self.emit_at(span, Op::NewCase { dst, src, name });
                }
                None => {
                    let case = bytecode::Constant::Case((&**full_name).into());
                    let value = self.linker.out.constant(case);
                    self.emit_at(span, Op::LoadConst { dst, value });
                }
            },
            _ => self.linker.internal(span, "no container"),
        }
    }

    /// A container of constants is loaded as one constant.
    fn constant_data(&mut self, expr: &'a Expr, dst: Dst) -> bool {
        let parts = match &expr.kind {
            ExprKind::Array(items) => items.len(),
            ExprKind::Map(entries) => entries.len(),
            _ => 0,
        };
        if parts < CONSTANT_PARTS {
            return false;
        }
        // Too deep or too large for one constant: built piece by piece.
        let Some(value) = data_value(expr, mix_value::MAX_DEPTH) else {
            return false;
        };
        let Ok(bytes) = mix_value::msgpack::encode(&value) else {
            return false;
        };
        let constant = bytecode::Constant::Value(bytes.into());
        let value = self.linker.out.constant(constant);
        self.emit_at(expr.span, Op::LoadConst { dst, value });
        true
    }

    pub fn array(&mut self, span: Span, items: &'a [Expr], dst: Dst) {
        let (first, rest) = items.split_at(items.len().min(ARRAY_PART));
        let base = self.arguments(first);
        let length = first.len() as u16;
        if rest.is_empty() {
            return self.emit_at(span, Op::NewArray { dst, base, length });
        }
        let target = self.b.fresh();
        self.emit_at(
            span,
            Op::NewArray {
                dst: Dst(target.0),
                base,
                length,
            },
        );
        for item in rest {
            let mark = self.b.mark();
            let src = self.operand(item);
            self.emit_at(span, Op::ArrayPush { target, src });
            self.b.release(mark);
        }
        self.b.copy(dst, target);
    }

    fn map(&mut self, span: Span, entries: &'a [(Expr, Expr)], dst: Dst) {
        let mut keys: Vec<&str> = Vec::with_capacity(entries.len());
        for (key, _) in entries {
            match &key.kind {
                ExprKind::Constant(Constant::Str(key)) => keys.push(key),
                _ => break,
            }
        }
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if keys.len() != entries.len() || sorted.len() != keys.len() || keys.len() > 255 {
            return self.computed_map(span, entries, dst);
        }
        let shape = self.linker.out.shape(&sorted);
        let count = keys.len() as u8;
        let base = self.b.fresh_range(u16::from(count));
        for (key, (_, value)) in keys.iter().zip(entries) {
            // Found: `sorted` has the same keys.
            let position = sorted.binary_search(key).unwrap_or(0) as u16;
            self.expr(value, Dst(base.0 + position));
        }
        self.emit_at(
            span,
            Op::NewMap {
                count,
                dst,
                base,
                shape,
            },
        );
    }

    fn computed_map(&mut self, span: Span, entries: &'a [(Expr, Expr)], dst: Dst) {
        let target = self.b.fresh();
        let shape = self.linker.out.shape(&[]);
        self.emit_at(
            span,
            Op::NewMap {
                count: 0,
                dst: Dst(target.0),
                base: Base(target.0),
                shape,
            },
        );
        for (key, value) in entries {
            let mark = self.b.mark();
            let key_reg = self.operand_before(key, &[value]);
            let src = self.operand(value);
            self.emit_at(
                key.span,
                Op::MapPut {
                    target,
                    key: key_reg,
                    src,
                },
            );
            self.b.release(mark);
        }
        self.b.copy(dst, target);
    }

    /// Field, index and update forms.
    pub fn access(&mut self, expr: &'a Expr, dst: Dst) {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Field { base, name } => {
                let src = self.operand_in(base, dst);
                let key = self.linker.out.string(name);
                self.emit_at(span, Op::GetField { dst, src, key });
            }
            ExprKind::ComputedField { base, key } => {
                let src = self.operand_before(base, &[key]);
                let key = self.operand(key);
                self.emit_at(span, Op::GetKey { dst, src, key });
            }
            ExprKind::Index { base, index } => {
                let src = self.operand_before(base, &[index]);
                let index = self.operand(index);
                self.emit_at(span, Op::GetIndex { dst, src, index });
            }
            ExprKind::IndexIsDefined { base, index } => {
                let src = self.operand_before(base, &[index]);
                let index = self.operand(index);
                self.emit_at(span, Op::HasIndex { dst, src, index });
            }
            ExprKind::TupleIndex { base, index, of } => {
                let src = self.operand(base);
                let Ok(index) = u16::try_from(*index) else {
                    return self.linker.limit("positions of a tuple", 65535, span);
                };
                let length = of.unwrap_or(u32::MAX);
                self.emit_at(
                    span,
                    Op::TupleItem {
                        dst,
                        src,
                        index,
                        length,
                    },
                );
            }
            ExprKind::Update { base, steps, value } => {
                if let ExprKind::Local(local) = base.kind
                    && let Some(target) = self.with_appended(span, local, steps, value)
                {
                    return self.b.copy(dst, target);
                }
                let mut later: Vec<&Expr> = steps.iter().filter_map(step_key).collect();
                later.push(value);
                let base = self.operand_before(base, &later);
                let (path, keys, count) = self.path(steps);
                let src = self.operand(value);
                // The value may look at the base: it is copied, or taken, only then.
                let target = self.b.fresh();
                self.b.copy(Dst(target.0), base);
                self.update(span, Dst(target.0), path, keys, count, src);
                self.b.copy(dst, target);
            }
            _ => self.linker.internal(span, "no access"),
        }
    }

    /// The path of an update; its keys and indices are evaluated into neighbouring registers.
    pub fn path(&mut self, steps: &'a [Step]) -> (PathId, Base, u8) {
        let keys: Vec<&'a Expr> = steps.iter().filter_map(step_key).collect();
        if keys.len() > 255 {
            let span = steps[0].span;
            self.linker.limit("computed steps of a path", 255, span);
        }
        let base = self.b.fresh_range(keys.len().min(255) as u16);
        for (index, key) in keys.iter().enumerate().take(255) {
            self.expr(key, Dst(base.0 + index as u16));
        }
        let steps = steps
            .iter()
            .map(|step| match &step.kind {
                StepKind::Field(name) => PathStep::Field(self.linker.out.string(name)),
                StepKind::Computed(_) => PathStep::Key,
                StepKind::Index(_) => PathStep::Index,
                StepKind::TupleIndex { index, of } => PathStep::Tuple {
                    index: *index,
                    length: of.unwrap_or(u32::MAX),
                },
            })
            .collect();
        let path = self.linker.out.path(steps);
        (path, base, keys.len().min(255) as u8)
    }

    /// Changes the container in `target` in place.
    pub fn update(
        &mut self,
        span: Span,
        target: Dst,
        path: PathId,
        base: Base,
        count: u8,
        src: Reg,
    ) {
        self.emit_at(
            span,
            Op::Update {
                count,
                target,
                base,
                src,
                path,
            },
        );
    }
}
