//! Instructions about cells and instances, and the questions about cells that
//! formulas ask (language 4.11).

use mix_bytecode::{CellKind, Op};

use super::{CellNode, CellState, Delivery, SlotState};
use crate::boundary::Host;
use crate::failure::Failure;
use crate::heap::{CellId, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine};

/// Numbers of `Op::CellInfo`.
mod info {
    pub const VERSION: u8 = 0;
    pub const AGE: u8 = 1;
    pub const UPDATED: u8 = 2;
    pub const CHANGED: u8 = 3;
    pub const NAME: u8 = 4;
    pub const INNER_NAME: u8 = 5;
}

impl Machine {
    /// Instructions about cells and instances.
    pub fn cell_instruction(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        op: Op,
    ) -> Result<Next, Failure> {
        let Some(frame) = routine.frames.last() else {
            return Err(Failure::internal("no frame"));
        };
        let base = frame.base as usize;
        let instance = frame.instance;
        let link = |register: mix_bytecode::Reg| match &routine.stack[base + register.index()] {
            Value::Link(id) => Ok(*id),
            other => Err(Failure::internal(&format!("{} is no link", other.kind()))),
        };
        let own = |slot: mix_bytecode::SlotId| {
            self.sheet
                .cell_in(instance, slot.0)
                .ok_or_else(|| Failure::internal("slot holds no cell"))
        };
        match op {
            Op::LoadCell { slot, .. } => {
                let id = own(slot)?;
                self.force(routine, id, true)
            }
            Op::LoadLink { dst, slot } => Ok(Next::Value(Value::Link(own(slot)?), Ret::Reg(dst.0))),
            Op::Contents {
                dst,
                link: register,
            } => {
                let id = link(register)?;
                if let Some(value) = self.sheet.ready(id) {
                    return Ok(Next::Value(value.clone(), Ret::Reg(dst.0)));
                }
                let evaluating = self
                    .sheet
                    .cell(id)
                    .is_some_and(|c| c.state == CellState::Evaluating);
                if evaluating {
                    let value = self
                        .sheet
                        .cell(id)
                        .map(|c| c.value.clone())
                        .unwrap_or_default();
                    return Ok(Next::Value(value, Ret::Reg(dst.0)));
                }
                self.force(routine, id, true)
            }
            Op::Previous {
                dst,
                link: register,
            } => {
                let id = link(register)?;
                // In its own formula: the value held so far.
                if routine.forced_cell() == Some(id) {
                    let value = self.sheet.cell(id).map(|node| node.value.clone());
                    return Ok(Next::Value(value.unwrap_or_default(), Ret::Reg(dst.0)));
                }
                if self.pulls(id) {
                    return self.force(routine, id, true);
                }
                let value = self.sheet.previous_value(id);
                Ok(Next::Value(value, Ret::Reg(dst.0)))
            }
            Op::CellInfo {
                what,
                dst,
                link: register,
            } => {
                let id = link(register)?;
                if what <= info::CHANGED && routine.forced_cell() != Some(id) && self.pulls(id) {
                    return self.force(routine, id, true);
                }
                let value = self.cell_info(routine, what, id);
                Ok(Next::Value(value, Ret::Reg(dst.0)))
            }
            Op::CellSelect {
                count,
                dst,
                base: links,
                mode,
            } => {
                let mut ids = Vec::new();
                for index in 0..u16::from(count) {
                    ids.push(link(mix_bytecode::Reg(links.0 + index))?);
                }
                if let Some(dirty) = ids.iter().find(|id| self.sheet.ready(**id).is_none()) {
                    return self.force(routine, *dirty, true);
                }
                let value = self.select(&ids, mode);
                Ok(Next::Value(value, Ret::Reg(dst.0)))
            }
            Op::ThisCell { dst } => match routine.forced_cell() {
                Some(id) => Ok(Next::Value(Value::Link(id), Ret::Reg(dst.0))),
                None => Err(Failure::internal("no cell is being evaluated")),
            },
            Op::Assign {
                link: register,
                src,
            } => {
                let id = link(register)?;
                let value = routine.stack[base + src.index()].clone();
                self.effect(routine)?;
                self.sheet.assign(&self.loaded, id, value)?;
                Ok(Next::Run)
            }
            Op::Freeze { link: register } => {
                let id = link(register)?;
                self.effect(routine)?;
                self.sheet.freeze(id);
                Ok(Next::Run)
            }
            Op::NewCell { dst, src, variable } => {
                let value = routine.stack[base + src.index()].clone();
                if value.is_undefined() {
                    return Err(Failure::undefined_stored("a cell"));
                }
                let kind = if variable {
                    CellKind::Var
                } else {
                    CellKind::Formula
                };
                let id = self.sheet.add_value(instance, kind, value);
                Ok(Next::Value(Value::Link(id), Ret::Reg(dst.0)))
            }
            Op::LoadMember {
                dst,
                instance: register,
                slot,
            } => {
                let Value::Instance(other) = routine.stack[base + register.index()] else {
                    return Err(Failure::internal("no instance"));
                };
                match self.sheet.slot(other, slot.0) {
                    SlotState::Value(value) => Ok(Next::Value(value.clone(), Ret::Reg(dst.0))),
                    SlotState::Cell(id) => Ok(Next::Value(Value::Link(*id), Ret::Reg(dst.0))),
                    _ => self.evaluate_slot(routine, other, slot.0, true),
                }
            }
            Op::StaticInstance { dst, module } => {
                self.static_instance(routine, module.0, Ret::Reg(dst.0))
            }
            Op::MakeAction {
                count,
                dst,
                base: captures,
                function,
            } => {
                let start = base + captures.index();
                let captures = routine.stack[start..start + usize::from(count)]
                    .iter_mut()
                    .map(Value::take)
                    .collect();
                let value = self.make_action(function.0, instance, captures)?;
                Ok(Next::Value(value, Ret::Reg(dst.0)))
            }
            Op::DependentLink { dst, make, subject } | Op::MapLinkArray { dst, make, subject } => {
                let make = routine.stack[base + make.index()].clone();
                let subject = routine.stack[base + subject.index()].clone();
                let of_rows = matches!(op, Op::MapLinkArray { .. });
                self.memo(routine, host, make, subject, of_rows, dst.0)
            }
            Op::ExtendScope {
                link: register,
                session,
            } => {
                let id = link(register)?;
                self.effect(routine)?;
                self.sheet.extend_scope(&self.loaded, id, session)?;
                Ok(Next::Run)
            }
            Op::Live {
                dst,
                key,
                make,
                mode,
            } => {
                let key = routine.stack[base + key.index()].clone();
                let make = routine.stack[base + make.index()].clone();
                self.live(routine, host, key, &make, Delivery::of(mode), dst.0)
            }
            _ => Err(Failure::internal("instruction is not known")),
        }
    }

    /// True for a cell that must be evaluated before something can be said about it.
    fn pulls(&self, id: CellId) -> bool {
        self.sheet
            .cell(id)
            .is_some_and(|node| matches!(node.state, CellState::Empty | CellState::Dirty))
    }

    /// Fails while formulas run.
    pub(super) fn effect(&self, routine: &Routine) -> Result<(), Failure> {
        if self.sheet.propagating || routine.forced_cell().is_some() {
            return Err(Failure::new(
                "RT_EFFECT_IN_FORMULA",
                "cells cannot be assigned during propagation",
            ));
        }
        Ok(())
    }

    fn cell_info(&self, routine: &Routine, what: u8, id: CellId) -> Value {
        let Some(node) = self.sheet.cell(id) else {
            return Value::Null;
        };
        match what {
            // Counters stay far below 2^63.
            info::VERSION => Value::Int(node.version as i64),
            info::AGE => Value::Int(self.sheet.pass.saturating_sub(node.updated) as i64),
            info::UPDATED | info::CHANGED => {
                let since = self.previous_run(routine);
                let pass = if what == info::UPDATED {
                    node.updated
                } else {
                    node.changed
                };
                Value::Bool(since.is_none_or(|since| pass > since))
            }
            info::NAME => Value::text(self.sheet.cell_name(&self.loaded, id)),
            info::INNER_NAME => {
                let target = self.sheet.resolve(id).unwrap_or(id);
                Value::text(self.sheet.cell_name(&self.loaded, target))
            }
            _ => Value::Bool(!node.dead),
        }
    }

    /// Pass of the previous run of the cell or observer that is running.
    fn previous_run(&self, routine: &Routine) -> Option<u64> {
        for native in routine.natives.iter().rev() {
            match native {
                Native::Force(force) => {
                    let node = self.sheet.cell(force.cell)?;
                    return (node.version > 0).then_some(node.updated);
                }
                Native::Interaction(work) => return work.observer_run(&self.sheet),
                _ => {}
            }
        }
        None
    }

    fn select(&self, ids: &[CellId], mode: u8) -> Value {
        let mut best: Option<(u64, Value)> = None;
        for id in ids {
            let Some(updated) = self.sheet.cell(*id).map(|node| node.updated) else {
                continue;
            };
            let value = self.sheet.ready(*id).cloned().unwrap_or(Value::Null);
            let skipped = match (mode, &value) {
                (1, Value::Null) => true,
                (2, Value::Case(case)) => {
                    case.name().as_str() == "unset" && case.argument().is_none()
                }
                _ => false,
            };
            if !skipped && best.as_ref().is_none_or(|(latest, _)| updated > *latest) {
                best = Some((updated, value));
            }
        }
        match (best, mode) {
            (Some((_, value)), _) => value,
            (None, 2) => Value::constant("unset"),
            (None, _) => Value::Null,
        }
    }
}

impl super::Sheet {
    /// Value of a cell before its latest update.
    fn previous_value(&self, id: CellId) -> Value {
        let assigned_target = self
            .resolve(id)
            .and_then(|target| self.cell(target))
            .filter(|node| node.assigned);
        // An alias has a previous value of its own, unless its target was just assigned.
        let node: Option<&CellNode> = assigned_target.or_else(|| self.cell(id));
        node.map(|node| node.previous.clone()).unwrap_or_default()
    }
}
