//! Defs, cases, instances and modules as values.

use super::function::FunctionCode;
use crate::core::{Expr, ExprKind, Instancing, ModuleId, SlotKind};
use crate::syntax::span::Span;
use mix_bytecode::{self as bytecode, Base, Dst, Op};

impl<'a> FunctionCode<'_, 'a> {
    /// A def, case, instance or module function as a value.
    pub fn reference(&mut self, expr: &'a Expr, dst: Dst) {
        let span = expr.span;
        let program = self.linker.program;
        match &expr.kind {
            ExprKind::Slot(slot) => {
                let kind = &program.slot(self.module, *slot).kind;
                match kind {
                    SlotKind::Import(import) if !import.dependencies.is_empty() => {
                        let slot = self.linker.slot(self.module, *slot);
                        self.emit_at(span, Op::LoadCell { dst, slot });
                    }
                    SlotKind::Param(_) | SlotKind::Import(_) | SlotKind::Value(_) => {
                        let slot = self.linker.slot(self.module, *slot);
                        self.emit_at(span, Op::LoadSlot { dst, slot });
                    }
                    SlotKind::Function(_) => {
                        if let Some(function) = self.linker.function_of(self.module, *slot) {
                            let base = Base(dst.0);
                            self.emit_at(
                                span,
                                Op::MakeClosure {
                                    count: 0,
                                    dst,
                                    base,
                                    function,
                                },
                            );
                        }
                    }
                    _ => self.slot_value(span, self.module, kind, dst),
                }
            }
            ExprKind::Static { module, slot } => {
                let kind = &program.slot(*module, *slot).kind;
                match kind {
                    SlotKind::Param(_)
                    | SlotKind::Import(_)
                    | SlotKind::Value(_)
                    | SlotKind::Function(_) => {
                        if program.module(*module).instancing != Instancing::Shared {
                            let instance = self.one_instance(span, *module);
                            return self.member(span, *module, *slot, instance, dst);
                        }
                        if let Some(function) = self.linker.function_of(*module, *slot) {
                            let base = Base(dst.0);
                            let op = Op::MakeClosure {
                                count: 0,
                                dst,
                                base,
                                function,
                            };
                            return self.emit_at(span, op);
                        }
                        let slot = self.linker.slot(*module, *slot);
                        let module = self.linker.module(*module).id;
                        self.emit_at(span, Op::LoadStatic { dst, module, slot });
                    }
                    _ => self.slot_value(span, *module, kind, dst),
                }
            }
            ExprKind::Member {
                instance,
                module,
                slot,
            } => {
                let kind = &program.slot(*module, *slot).kind;
                let instance = self.operand(instance);
                match kind {
                    SlotKind::Param(_)
                    | SlotKind::Import(_)
                    | SlotKind::Value(_)
                    | SlotKind::Function(_) => self.member(span, *module, *slot, instance, dst),
                    _ => self.slot_value(span, *module, kind, dst),
                }
            }
            ExprKind::MemberLink {
                instance,
                module,
                slot,
            } => {
                let instance = self.operand(instance);
                let slot = self.linker.slot(*module, *slot);
                self.emit_at(
                    span,
                    Op::LoadMember {
                        dst,
                        instance,
                        slot,
                    },
                );
            }
            ExprKind::Instance(module) => match program.module(*module).instancing {
                Instancing::PerView | Instancing::Shared => {
                    let module = self.linker.module(*module).id;
                    self.emit_at(span, Op::StaticInstance { dst, module });
                }
                Instancing::PerImport => self
                    .linker
                    .internal(span, "a module with many instances has no single one"),
            },
            ExprKind::Instantiate { module, args } => self.instantiate(span, *module, args, dst),
            _ => self.linker.internal(span, "not a reference"),
        }
    }

    /// A foreign def or case as a value.
    fn slot_value(&mut self, span: Span, owner: ModuleId, kind: &'a SlotKind, dst: Dst) {
        match kind {
            SlotKind::Foreign(foreign) => self.foreign_value(span, owner, foreign, dst),
            SlotKind::Case {
                full_name,
                has_argument,
            } => {
                if *has_argument {
                    let name = self.linker.out.string(full_name);
                    self.emit_at(span, Op::MakeConstructor { dst, name });
                } else {
                    let case = bytecode::Constant::Case((&**full_name).into());
                    let value = self.linker.out.constant(case);
                    self.emit_at(span, Op::LoadConst { dst, value });
                }
            }
            _ => self
                .linker
                .internal(span, "this definition has no value of its own"),
        }
    }
}
