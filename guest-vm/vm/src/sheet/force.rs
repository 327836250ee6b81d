//! Evaluating cells (language 4.12): what a formula reads first, aliases with
//! their targets, each cell once.
//!
//! A cell that waits for others is a [`Native`] on the routine, so that chains
//! of cells of any length use no Rust stack.

use std::time::Instant;

use mix_bytecode::SlotKind;

use super::{CellNode, CellState, Sheet, SlotState};
use crate::failure::Failure;
use crate::heap::{CellId, Value};
use crate::machine::{Machine, Native, Next, Routine};
use crate::routine::{Busy, Retry};

/// A cell that is being evaluated.
#[derive(Debug)]
pub(crate) struct Force {
    pub cell: CellId,
    /// Number of remembered links that the evaluation has come across.
    pub memos: usize,
    phase: Phase,
    /// Run the reading instruction again, rather than go on with the native below.
    again: bool,
    /// When its formula began to run, if the profile is on.
    began: Option<Instant>,
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
    /// The cells that are gathered are forced; the next one has this position.
    Gather(usize),
}

/// What comes of a step.
enum Stepped {
    Next(Next),
    /// This cell is evaluated first.
    First(CellId),
}

impl Sheet {
    /// A failed evaluation: the cell is as before.
    pub fn abandon(&mut self, force: &Force) {
        if let Some(node) = self.node_mut(force.cell)
            && node.state == CellState::Evaluating
        {
            node.state = if node.version == 0 {
                CellState::Empty
            } else {
                CellState::Dirty
            };
        }
    }
}

impl Machine {
    pub(super) fn cell_cycle(&self, id: CellId) -> Failure {
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
        let (mut id, mut again) = (id, again);
        loop {
            let Some(node) = self.sheet.node_mut(id) else {
                return Err(Failure::internal("no such cell"));
            };
            let phase = match node.state {
                CellState::Evaluating => return self.wait_for_cell(routine, id, again),
                CellState::Clean => match node.target {
                    // It was an alias whose target must be forced.
                    Some(target) if node.is_alias() && !node.dead => {
                        id = target;
                        continue;
                    }
                    None if node.is_alias() && !node.dead => {
                        return Err(Failure::internal("alias without a target"));
                    }
                    _ => return Ok(after_force(routine, again)),
                },
                CellState::Dirty => Phase::Dependencies(0),
                // At creation cells are pulled when they are read.
                CellState::Empty => Phase::Dependencies(usize::MAX),
            };
            node.state = CellState::Evaluating;
            if again && let Some(frame) = routine.frames.last_mut() {
                frame.pc -= 1;
            }
            let force = Box::new(Force {
                cell: id,
                memos: 0,
                phase,
                again,
                began: None,
            });
            match self.force_step(routine, force)? {
                Stepped::Next(next) => return Ok(next),
                Stepped::First(other) => {
                    id = other;
                    again = false;
                }
            }
        }
    }

    /// A cell that is being evaluated: by this routine, which is a circle, or by another.
    fn wait_for_cell(
        &mut self,
        routine: &mut Routine,
        id: CellId,
        again: bool,
    ) -> Result<Next, Failure> {
        let what = Busy::Cell(id);
        if routine.computes(&what) {
            return Err(self.cell_cycle(id));
        }
        if again && let Some(frame) = routine.frames.last_mut() {
            frame.pc -= 1;
            return Ok(self.wait_for(what, Retry::Instruction));
        }
        routine.natives.push(Native::ForceAgain(id));
        Ok(self.wait_for(what, Retry::Native))
    }

    /// A native step of a forced cell is done, with this value.
    pub fn forced(
        &mut self,
        routine: &mut Routine,
        mut force: Box<Force>,
        value: Value,
    ) -> Result<Next, Failure> {
        match force.phase {
            Phase::Dependencies(_) | Phase::Target | Phase::Gather(_) => {}
            Phase::Formula => {
                if let Some(began) = force.began.take() {
                    let (module, cell) = self.sheet.names(&self.loaded, force.cell);
                    self.surroundings.metrics.note_cell(module, cell, began);
                }
                if value.is_undefined() {
                    // The native is gone already, so the state is mended here.
                    self.sheet.abandon(&force);
                    let name = self.sheet.short_name(&self.loaded, force.cell);
                    return Err(Failure::undefined_stored(&format!("cell {name}")));
                }
                self.sheet.update(force.cell, value);
                return Ok(resume(&force));
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
            }
        }
        match self.force_step(routine, force)? {
            Stepped::Next(next) => Ok(next),
            Stepped::First(other) => self.force(routine, other, false),
        }
    }

    fn force_step(
        &mut self,
        routine: &mut Routine,
        mut force: Box<Force>,
    ) -> Result<Stepped, Failure> {
        let loaded = std::rc::Rc::clone(&self.loaded);
        let Some(node) = self.sheet.cell(force.cell) else {
            return Err(Failure::internal("no such cell"));
        };
        let Some(slot) = node.slot else {
            return self.gather_step(routine, force);
        };
        let instance = node.instance;
        let module = self.sheet.instances[instance.0 as usize].module;
        let description = match loaded.program.modules[module.index()]
            .slots
            .get(slot as usize)
            .map(|slot| &slot.kind)
        {
            Some(SlotKind::Cell(cell)) => cell,
            _ => return Err(Failure::internal("cell without a formula")),
        };
        if let Phase::Dependencies(mut next) = force.phase {
            while let Some(dependency) = description.dependencies.get(next) {
                next += 1;
                let dirty = match self.sheet.slot(instance, dependency.0) {
                    SlotState::Cell(id) if *id != force.cell => {
                        let id = *id;
                        let dirty = |node: &&CellNode| node.state == CellState::Dirty;
                        self.sheet.cell(id).filter(dirty).map(|_| id)
                    }
                    _ => None,
                };
                if let Some(dirty) = dirty {
                    force.phase = Phase::Dependencies(next);
                    routine.natives.push(Native::Force(force));
                    return Ok(Stepped::First(dirty));
                }
            }
            let node = self.sheet.cell(force.cell);
            let alias = node.is_some_and(CellNode::is_alias);
            force.phase = if !alias {
                Phase::Formula
            } else if node.is_some_and(|node| node.target.is_some())
                && !self
                    .sheet
                    .dependency_moved(&description.dependencies, instance)
            {
                Phase::Target
            } else {
                Phase::Link
            };
            if !matches!(force.phase, Phase::Target) {
                force.began = self.surroundings.metrics.cell_begins();
                routine.natives.push(Native::Force(force));
                let formula = description.formula.0;
                let next = self.enter(routine, formula, instance, None, Vec::new(), Native::RET)?;
                return Ok(Stepped::Next(next));
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
                Ok(Stepped::Next(resume(&force)))
            }
            None => {
                routine.natives.push(Native::Force(force));
                Ok(Stepped::First(target))
            }
        }
    }

    /// A cell that `mapLinkArray` made holds the contents of other cells.
    fn gather_step(
        &mut self,
        routine: &mut Routine,
        mut force: Box<Force>,
    ) -> Result<Stepped, Failure> {
        let sources = self.sheet.gathered(force.cell);
        let next = match force.phase {
            Phase::Gather(next) => next,
            _ => 0,
        };
        let waiting = sources
            .iter()
            .enumerate()
            .skip(next)
            .find(|(_, id)| self.sheet.ready(**id).is_none());
        if let Some((position, source)) = waiting {
            let source = *source;
            force.phase = Phase::Gather(position + 1);
            routine.natives.push(Native::Force(force));
            return Ok(Stepped::First(source));
        }
        let value = self.sheet.gathered_value(force.cell);
        self.sheet.update(force.cell, value);
        Ok(Stepped::Next(resume(&force)))
    }
}

impl Sheet {
    /// True if one of the cells a formula names was updated in this pass.
    pub(super) fn dependency_moved(
        &self,
        dependencies: &[mix_bytecode::SlotId],
        instance: crate::heap::InstanceId,
    ) -> bool {
        let pass = self.update_pass();
        dependencies.iter().any(|dependency| {
            self.cell_in(instance, dependency.0)
                .and_then(|id| self.cell(id))
                .is_some_and(|node| node.updated == pass)
        })
    }
}

fn after_force(routine: &mut Routine, again: bool) -> Next {
    if again {
        if let Some(frame) = routine.frames.last_mut() {
            frame.pc -= 1;
        }
        Next::Run
    } else {
        Next::Value(Value::Null, Native::RET)
    }
}

fn resume(force: &Force) -> Next {
    if force.again {
        Next::Run
    } else {
        Next::Value(Value::Null, Native::RET)
    }
}
