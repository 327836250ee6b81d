//! Evaluating, reading and assigning cells (language 4.11, 4.12).

use mix_bytecode::{CellKind, Op, SlotKind};

use super::{CellNode, CellState, Saved, Sheet, SlotState};
use crate::compare;
use crate::failure::Failure;
use crate::heap::{CellId, Value};
use crate::loaded::Loaded;
use crate::machine::{Machine, Native, Next, Ret, Routine};

/// A cell that is being evaluated.
#[derive(Debug)]
pub(crate) struct Force {
    pub cell: CellId,
    phase: Phase,
    /// Run the reading instruction again, rather than go on with the native below.
    again: bool,
}

#[derive(Debug)]
enum Phase {
    /// Dependencies are forced; the next one has this position.
    Dependencies(usize),
    /// The formula runs.
    Formula,
    /// The link expression of an alias runs.
    Link,
    /// The target of an alias is forced.
    Target,
}

impl Sheet {
    /// Pass in which an update now happens.
    fn update_pass(&self) -> u64 {
        if self.propagating {
            self.pass
        } else {
            self.pass + 1
        }
    }

    /// Notes the state of a cell before its first change in the interaction.
    fn save(&mut self, id: CellId) {
        let Some(node) = self.cells.get(id.0 as usize) else {
            return;
        };
        self.journal.entry(id).or_insert_with(|| Saved {
            value: node.value.clone(),
            previous: node.previous.clone(),
            version: node.version,
            updated: node.updated,
            changed: node.changed,
            frozen: node.frozen,
            target: node.target,
        });
    }

    /// Brings a cell back to its saved state.
    pub(super) fn restore(&mut self, id: CellId, saved: Saved) {
        if let Some(node) = self.cells.get_mut(id.0 as usize) {
            node.value = saved.value;
            node.previous = saved.previous;
            node.version = saved.version;
            node.updated = saved.updated;
            node.changed = saved.changed;
            node.frozen = saved.frozen;
            node.state = CellState::Clean;
            let target = node.target;
            if target != saved.target {
                self.retarget(id, saved.target);
            }
        }
    }

    /// A failed evaluation: the cell is as before.
    pub fn abandon(&mut self, force: &Force) {
        if let Some(node) = self.cells.get_mut(force.cell.0 as usize)
            && node.state == CellState::Evaluating
        {
            node.state = if node.version == 0 {
                CellState::Empty
            } else {
                CellState::Dirty
            };
        }
    }

    /// Connects an alias with another target.
    pub(super) fn retarget(&mut self, alias: CellId, target: Option<CellId>) {
        let old = self
            .cells
            .get(alias.0 as usize)
            .and_then(|node| node.target);
        if old == target {
            return;
        }
        if let Some(node) = old.and_then(|old| self.cells.get_mut(old.0 as usize))
            && let Some(position) = node.dependents.iter().position(|id| *id == alias)
        {
            node.dependents.remove(position);
        }
        if let Some(node) = self.cells.get_mut(alias.0 as usize) {
            node.target = target;
        }
        if let Some(node) = target.and_then(|target| self.cells.get_mut(target.0 as usize)) {
            node.dependents.push(alias);
        }
    }

    /// Gives a cell a new value.
    fn update(&mut self, id: CellId, value: Value) {
        self.save(id);
        let pass = self.update_pass();
        if let Some(node) = self.cells.get_mut(id.0 as usize) {
            let changed = node.version == 0 || !compare::identical(&value, &node.value);
            node.previous = std::mem::replace(&mut node.value, value);
            node.version += 1;
            node.updated = pass;
            if changed {
                node.changed = pass;
            }
            node.state = CellState::Clean;
        }
    }

    /// Assigns a cell (through aliases).
    pub fn assign(&mut self, loaded: &Loaded, id: CellId, value: Value) -> Result<(), Failure> {
        let Some(target) = self.resolve(id) else {
            return Err(no_cell(&self.cell_name(loaded, id)));
        };
        if value.is_undefined() {
            let name = self.short_name(loaded, target);
            return Err(Failure::undefined_stored(&format!("cell {name}")));
        }
        let Some(node) = self.cell(target) else {
            return Err(no_cell(""));
        };
        if node.dead {
            return Err(Failure::new(
                "RT_CELL_DEAD",
                "the cell behind the link no longer exists",
            ));
        }
        if node.frozen {
            let name = self.cell_name(loaded, target);
            self.warnings.push(format!(
                "WARN_FROZENASSIGN: cell {name} is frozen, the assignment is ignored"
            ));
            return Ok(());
        }
        if node.kind != CellKind::Var {
            return Err(no_cell(&self.cell_name(loaded, target)));
        }
        self.save(target);
        if let Some(node) = self.cells.get_mut(target.0 as usize) {
            if node.assigned {
                node.value = value;
            } else {
                node.assigned = true;
                node.previous = std::mem::replace(&mut node.value, value);
                node.version += 1;
                self.assigned.push(target);
            }
        }
        Ok(())
    }
}

/// `RT_NO_CELL`.
pub(super) fn no_cell(name: &str) -> Failure {
    Failure::new("RT_NO_CELL", format!("no assignable cell {name}")).with("name", name)
}

impl Machine {
    fn cell_cycle(&self, id: CellId) -> Failure {
        let name = self.sheet.short_name(&self.loaded, id);
        Failure::new("RT_CELL_CYCLE", format!("{name} depends on itself")).with("name", name)
    }

    /// Evaluates a cell unless it is clean. Afterwards the instruction that
    /// reads it is run again (the frame must stand behind it), or the native
    /// below goes on.
    pub fn force(
        &mut self,
        routine: &mut Routine,
        id: CellId,
        again: bool,
    ) -> Result<Next, Failure> {
        let Some(node) = self.sheet.cells.get_mut(id.0 as usize) else {
            return Err(Failure::internal("no such cell"));
        };
        let phase = match node.state {
            CellState::Evaluating => return Err(self.cell_cycle(id)),
            CellState::Clean => {
                // Nothing to do here; it was an alias whose target must be forced.
                let target = node.target;
                return match target {
                    Some(target) if node.is_alias() => self.force(routine, target, again),
                    _ => Ok(self.after_force(routine, again)),
                };
            }
            CellState::Dirty => Phase::Dependencies(0),
            // At creation cells are pulled when they are read.
            CellState::Empty => Phase::Dependencies(usize::MAX),
        };
        node.state = CellState::Evaluating;
        if again && let Some(frame) = routine.frames.last_mut() {
            frame.pc -= 1;
        }
        self.force_step(
            routine,
            Box::new(Force {
                cell: id,
                phase,
                again,
            }),
        )
    }

    fn after_force(&mut self, routine: &mut Routine, again: bool) -> Next {
        if again {
            if let Some(frame) = routine.frames.last_mut() {
                frame.pc -= 1;
            }
            Next::Run
        } else {
            Next::Value(Value::Null, Native::RET)
        }
    }

    /// A native step of a forced cell is done, with this value.
    pub fn forced(
        &mut self,
        routine: &mut Routine,
        mut force: Box<Force>,
        value: Value,
    ) -> Result<Next, Failure> {
        match force.phase {
            Phase::Dependencies(_) => self.force_step(routine, force),
            Phase::Formula => {
                if value.is_undefined() {
                    // The native is gone already, so the state is mended here.
                    self.sheet.abandon(&force);
                    let name = self.sheet.short_name(&self.loaded, force.cell);
                    return Err(Failure::undefined_stored(&format!("cell {name}")));
                }
                self.sheet.update(force.cell, value);
                Ok(Self::resume(&force))
            }
            Phase::Link => {
                let Value::Link(target) = value else {
                    self.sheet.abandon(&force);
                    return Err(Failure::internal("an alias needs a link"));
                };
                let target_is_evaluating = self
                    .sheet
                    .cell(target)
                    .is_some_and(|node| node.state == CellState::Evaluating);
                if target == force.cell || target_is_evaluating {
                    self.sheet.abandon(&force);
                    return Err(self.cell_cycle(target));
                }
                self.sheet.save(force.cell);
                self.sheet.retarget(force.cell, Some(target));
                force.phase = Phase::Target;
                self.force_step(routine, force)
            }
            Phase::Target => self.force_step(routine, force),
        }
    }

    fn resume(force: &Force) -> Next {
        if force.again {
            Next::Run
        } else {
            Next::Value(Value::Null, Native::RET)
        }
    }

    fn force_step(
        &mut self,
        routine: &mut Routine,
        mut force: Box<Force>,
    ) -> Result<Next, Failure> {
        let loaded = std::rc::Rc::clone(&self.loaded);
        let Some(node) = self.sheet.cell(force.cell) else {
            return Err(Failure::internal("no such cell"));
        };
        let (instance, slot) = (node.instance, node.slot);
        let module = self.sheet.instances[instance.0 as usize].module;
        let description = slot.and_then(|slot| {
            match &loaded.program.modules[module.index()]
                .slots
                .get(slot as usize)?
                .kind
            {
                SlotKind::Cell(cell) => Some(cell),
                _ => None,
            }
        });
        let Some(description) = description else {
            return Err(Failure::internal("cell without a formula"));
        };
        if let Phase::Dependencies(mut next) = force.phase {
            while let Some(dependency) = description.dependencies.get(next) {
                next += 1;
                let dirty = match self.sheet.slot(instance, dependency.0) {
                    SlotState::Cell(id) if *id != force.cell => {
                        let id = *id;
                        self.sheet
                            .cell(id)
                            .filter(|c| c.state == CellState::Dirty)
                            .map(|_| id)
                    }
                    _ => None,
                };
                if let Some(dirty) = dirty {
                    force.phase = Phase::Dependencies(next);
                    routine.natives.push(Native::Force(force));
                    return self.force(routine, dirty, false);
                }
            }
            let alias = self.sheet.cell(force.cell).is_some_and(CellNode::is_alias);
            if alias {
                let pass = self.sheet.update_pass();
                let connected = self
                    .sheet
                    .cell(force.cell)
                    .is_some_and(|c| c.target.is_some());
                let moved = description.dependencies.iter().any(|dependency| {
                    self.sheet
                        .cell_in(instance, dependency.0)
                        .and_then(|id| self.sheet.cell(id))
                        .is_some_and(|c| c.updated == pass)
                });
                if connected && !moved {
                    force.phase = Phase::Target;
                } else {
                    force.phase = Phase::Link;
                }
            } else {
                force.phase = Phase::Formula;
            }
            if !matches!(force.phase, Phase::Target) {
                routine.natives.push(Native::Force(force));
                let formula = description.formula.0;
                return self.enter(routine, formula, instance, None, Vec::new(), Native::RET);
            }
        }
        // An alias takes the value of its target, forced first.
        let target = self.sheet.cell(force.cell).and_then(|node| node.target);
        let Some(target) = target else {
            return Err(Failure::internal("alias without a target"));
        };
        match self.sheet.ready(target).cloned() {
            Some(value) => {
                self.sheet.update(force.cell, value);
                Ok(Self::resume(&force))
            }
            None => {
                routine.natives.push(Native::Force(force));
                self.force(routine, target, false)
            }
        }
    }

    /// Instructions about cells and instances.
    pub fn cell_instruction(&mut self, routine: &mut Routine, op: Op) -> Result<Next, Failure> {
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
                let own_formula = routine.forced_cell() == Some(id);
                let id = if own_formula {
                    id
                } else {
                    self.sheet.resolve(id).unwrap_or(id)
                };
                let value = match self.sheet.cell(id) {
                    Some(node) if own_formula => node.value.clone(),
                    Some(node) => node.previous.clone(),
                    None => Value::Undefined,
                };
                Ok(Next::Value(value, Ret::Reg(dst.0)))
            }
            Op::CellInfo {
                what,
                dst,
                link: register,
            } => {
                let value = self.cell_info(routine, what, link(register)?);
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
                if let Some(id) = self.sheet.resolve(id) {
                    self.sheet.save(id);
                    if let Some(node) = self.sheet.cells.get_mut(id.0 as usize) {
                        node.frozen = true;
                    }
                }
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
                let mut node = CellNode::new(instance, None, kind);
                node.value = value;
                node.version = 1;
                node.state = CellState::Clean;
                node.updated = self.sheet.update_pass();
                node.changed = node.updated;
                let id = self.sheet.add_cell(node);
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
                let value = self.make_action(function.0, instance, captures);
                Ok(Next::Value(value, Ret::Reg(dst.0)))
            }
            _ => Err(Failure::internal("instruction is not known")),
        }
    }

    /// Fails while formulas run.
    fn effect(&self, routine: &Routine) -> Result<(), Failure> {
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
            0 => Value::Int(node.version as i64),
            1 => Value::Int(self.sheet.pass.saturating_sub(node.updated) as i64),
            2 | 3 => {
                let since = self.previous_run(routine);
                let pass = if what == 2 {
                    node.updated
                } else {
                    node.changed
                };
                Value::Bool(since.is_none_or(|since| pass > since))
            }
            4 => Value::text(self.sheet.cell_name(&self.loaded, id)),
            5 => {
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
        let mut best: Option<&CellNode> = None;
        for id in ids {
            let Some(node) = self.sheet.resolve(*id).and_then(|id| self.sheet.cell(id)) else {
                continue;
            };
            let skipped = match (mode, &node.value) {
                (1, Value::Null) => true,
                (2, Value::Case(case)) => {
                    case.name().as_str() == "unset" && case.argument().is_none()
                }
                _ => false,
            };
            if !skipped && best.is_none_or(|best| node.updated > best.updated) {
                best = Some(node);
            }
        }
        match (best, mode) {
            (Some(node), _) => node.value.clone(),
            (None, 2) => Value::constant("unset"),
            (None, _) => Value::Null,
        }
    }
}
