//! Patterns: tests that jump away, and bindings.

use super::expression::compare;
use super::function::{FunctionCode, Want};
use super::types::type_desc;
use crate::core::{
    Arm, CompareRight, Constant, ElementKind, Expr, LocalId, Pattern, PatternElement, PatternKind,
};
use crate::syntax::span::Span;
use mix_bytecode::{self as bytecode, Dst, Label, Op, Reg};

/// No upper limit of an array length.
const UNLIMITED: u16 = u16::MAX;

impl<'a> FunctionCode<'_, 'a> {
    /// Arms over subjects.
    pub fn matching(&mut self, span: Span, subjects: &'a [Expr], arms: &'a [Arm], want: Want) {
        let registers: Vec<Reg> = subjects
            .iter()
            .map(|subject| self.stable_operand(subject))
            .collect();
        let end = self.b.label();
        for (index, arm) in arms.iter().enumerate() {
            let always = arm.guard.is_none() && arm.patterns.iter().all(Pattern::always_matches);
            let last = index + 1 == arms.len();
            let mark = self.b.mark();
            // The last arm tells which of the subjects it refuses.
            let mut next = match last && !always {
                true => self.failure(registers.first().copied().unwrap_or(Reg(0)), span),
                false => self.b.label(),
            };
            let first = next;
            for (number, (pattern, register)) in arm.patterns.iter().zip(&registers).enumerate() {
                if last && number > 0 && !pattern.always_matches() {
                    next = self.failure(*register, span);
                }
                self.pattern(pattern, *register, next);
            }
            next = first;
            if let Some(guard) = &arm.guard {
                self.guard(guard, next);
            }
            match want {
                Want::Return => self.result(&arm.body),
                Want::To(dst) => {
                    self.expr(&arm.body, dst);
                    if !last && !always {
                        self.b.jump(end);
                    }
                }
            }
            self.b.release(mark);
            if always {
                // Later arms are never reached.
                break;
            }
            if !last {
                self.b.bind(next);
            }
        }
        if let Want::To(_) = want {
            self.b.bind(end);
        }
        if arms.is_empty() {
            let src = registers.first().copied().unwrap_or(Reg(0));
            self.emit_at(span, Op::FailMatch { src });
        }
    }

    /// `when e`: goes on if true.
    pub fn guard(&mut self, guard: &'a Expr, next: Label) {
        let mark = self.b.mark();
        let src = self.operand(guard);
        self.emit_at(
            guard.span,
            Op::JumpUnlessGuard {
                src,
                target: next.target(),
            },
        );
        self.b.release(mark);
    }

    /// Matches the value in a register; jumps to `fail` if it does not fit. Names are
    /// bound to registers that stay until the caller releases them.
    pub fn pattern(&mut self, pattern: &'a Pattern, value: Reg, fail: Label) {
        let target = fail.target();
        let span = pattern.span;
        match &pattern.kind {
            PatternKind::Any => {}
            PatternKind::Bind(local) => {
                self.at(span);
                self.bind(*local, value, false);
            }
            PatternKind::As(local, inner) => {
                self.at(span);
                self.bind(*local, value, false);
                self.pattern(inner, value, fail);
            }
            PatternKind::Literal(Constant::Undefined) => {
                self.emit_at(span, Op::JumpIfDefined { src: value, target });
            }
            PatternKind::Literal(constant) => {
                let literal = self.b.fresh();
                self.at(span);
                self.constant(constant, Dst(literal.0));
                self.b.emit(Op::JumpUnlessSame {
                    a: value,
                    b: literal,
                    target,
                });
            }
            PatternKind::Compare { op, right } => {
                let right = match right {
                    CompareRight::Constant(constant) => {
                        let reg = self.b.fresh();
                        self.at(span);
                        self.constant(constant, Dst(reg.0));
                        reg
                    }
                    CompareRight::Expr(expr) => self.operand(expr),
                };
                let result = self.b.fresh();
                self.emit_at(span, compare(*op, Dst(result.0), value, right));
                self.b.emit(Op::JumpUnlessTrue {
                    src: result,
                    target,
                });
            }
            PatternKind::Type(ty) => {
                let type_id = type_desc(&mut self.linker.out, ty);
                let src = value;
                self.emit_at(
                    span,
                    Op::JumpUnlessMatches {
                        src,
                        type_id,
                        target,
                    },
                );
            }
            PatternKind::Case {
                full_name,
                argument,
            } => {
                let name = self.linker.out.string(full_name);
                self.emit_at(
                    span,
                    Op::JumpUnlessCase {
                        argument: argument.is_some(),
                        src: value,
                        name,
                        target,
                    },
                );
                if let Some(inner) = argument
                    && !matches!(inner.kind, PatternKind::Any)
                {
                    let part = self.b.fresh();
                    self.b.emit(Op::CaseItem {
                        dst: Dst(part.0),
                        src: value,
                    });
                    self.pattern(inner, part, fail);
                }
            }
            PatternKind::Array(elements) => self.array_pattern(span, elements, value, fail),
            PatternKind::Record(fields) => {
                self.emit_at(span, Op::JumpUnlessMap { src: value, target });
                for field in fields {
                    let part = self.b.fresh();
                    let key = self.linker.out.string(&field.name);
                    self.at(field.pattern.span);
                    self.b.emit(Op::MapItem {
                        dst: Dst(part.0),
                        src: value,
                        key,
                    });
                    if !field.optional {
                        self.b.emit(Op::JumpIfUndefined { src: part, target });
                    }
                    self.pattern(&field.pattern, part, fail);
                }
            }
            PatternKind::And(left, right) => {
                self.pattern(left, value, fail);
                self.pattern(right, value, fail);
            }
            PatternKind::Or(left, right) => {
                // Both sides bind the same registers, made before either is tried.
                let mut names = Vec::new();
                bound(left, &mut names);
                for local in names {
                    let reg = self.b.fresh();
                    self.locals[local.0 as usize].reg = Some(reg);
                }
                let second = self.b.label();
                let matched = self.b.label();
                self.pattern(left, value, second);
                self.b.jump(matched);
                self.b.bind(second);
                self.pattern(right, value, fail);
                self.b.bind(matched);
            }
        }
    }

    fn array_pattern(
        &mut self,
        span: Span,
        elements: &'a [PatternElement],
        value: Reg,
        fail: Label,
    ) {
        let count = |kind: ElementKind| elements.iter().filter(|e| e.kind == kind).count();
        let plain = count(ElementKind::Plain);
        let optional = count(ElementKind::Optional);
        let is_open = count(ElementKind::Multiple) > 0;
        if elements.len() > 255 && plain != elements.len() || plain >= usize::from(UNLIMITED) {
            return self.linker.limit("elements of an array pattern", 255, span);
        }
        let max = match is_open {
            true => UNLIMITED,
            false => (plain + optional) as u16,
        };
        self.emit_at(
            span,
            Op::JumpUnlessArray {
                src: value,
                min: plain as u16,
                max,
                target: fail.target(),
            },
        );
        if plain == elements.len() {
            for (index, element) in elements.iter().enumerate() {
                if matches!(element.pattern.kind, PatternKind::Any) {
                    continue;
                }
                let part = self.b.fresh();
                self.emit_at(
                    element.pattern.span,
                    Op::ArrayItem {
                        dst: Dst(part.0),
                        src: value,
                        index: index as u32,
                    },
                );
                self.pattern(&element.pattern, part, fail);
            }
            return;
        }
        let kinds = elements
            .iter()
            .map(|element| match element.kind {
                ElementKind::Plain => bytecode::PatternElement::Plain,
                ElementKind::Optional => bytecode::PatternElement::Optional,
                ElementKind::Multiple => bytecode::PatternElement::Multiple,
            })
            .collect();
        let pattern = self.linker.out.pattern(kinds);
        let base = self.b.fresh_range(elements.len() as u16);
        self.emit_at(
            span,
            Op::Destructure {
                count: elements.len() as u8,
                src: value,
                base,
                pattern,
            },
        );
        for (index, element) in elements.iter().enumerate() {
            self.pattern(&element.pattern, Reg(base.0 + index as u16), fail);
        }
    }

    /// `let p = e`, the subject of a loop, and the like: failure is an error.
    pub fn bind_pattern(&mut self, pattern: &'a Pattern, value: Reg) {
        if pattern.always_matches() {
            let unused = self.b.label();
            self.pattern(pattern, value, unused);
            self.b.bind(unused);
            return;
        }
        let fail = self.failure(value, pattern.span);
        self.pattern(pattern, value, fail);
    }

    /// Forgets where the names of a pattern lie, before it is translated again.
    pub fn unbind(&mut self, pattern: &Pattern) {
        let mut names = Vec::new();
        bound(pattern, &mut names);
        for local in names {
            self.locals[local.0 as usize].reg = None;
        }
    }

    /// Marks the names of a pattern that is matched against a value that is never undefined.
    pub fn mark_defined(&mut self, pattern: &Pattern) {
        if let PatternKind::Bind(local) = pattern.kind {
            self.locals[local.0 as usize].defined = true;
        }
    }
}

impl Pattern {
    /// Does the pattern match every value?
    pub(super) fn always_matches(&self) -> bool {
        match &self.kind {
            PatternKind::Any | PatternKind::Bind(_) => true,
            PatternKind::As(_, inner) => inner.always_matches(),
            PatternKind::And(left, right) => left.always_matches() && right.always_matches(),
            PatternKind::Or(left, right) => left.always_matches() || right.always_matches(),
            _ => false,
        }
    }
}

/// The locals a pattern binds.
fn bound(pattern: &Pattern, names: &mut Vec<LocalId>) {
    match &pattern.kind {
        PatternKind::Bind(local) => names.push(*local),
        PatternKind::As(local, inner) => {
            names.push(*local);
            bound(inner, names);
        }
        PatternKind::Case {
            argument: Some(inner),
            ..
        } => bound(inner, names),
        PatternKind::Array(elements) => {
            for element in elements {
                bound(&element.pattern, names);
            }
        }
        PatternKind::Record(fields) => {
            for field in fields {
                bound(&field.pattern, names);
            }
        }
        PatternKind::And(left, right) => {
            bound(left, names);
            bound(right, names);
        }
        PatternKind::Or(left, _) => bound(left, names),
        _ => {}
    }
}
