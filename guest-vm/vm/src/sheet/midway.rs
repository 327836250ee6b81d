//! Passes that the body of an action or observer asks for: `viewstack.propagate` and
//! `viewstack.flush` (language 4.12).

use super::{CellState, Signal};
use crate::failure::Failure;
use crate::heap::{CellId, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine};

/// A pass in the middle of an action.
#[derive(Debug)]
pub(crate) struct Midway {
    dirty: Vec<CellId>,
    next: usize,
    /// What happened so far is not taken back any more.
    flush: bool,
    ret: Ret,
}

impl Machine {
    /// Evaluates what depends on the cells that are assigned.
    pub(crate) fn begin_midway(
        &mut self,
        routine: &mut Routine,
        flush: bool,
        ret: Ret,
    ) -> Result<Next, Failure> {
        self.effect(routine)?;
        let loaded = std::rc::Rc::clone(&self.loaded);
        let dirty = self.sheet.begin_pass(&loaded, Signal::default());
        if self.scheduler.running == self.scheduler.main {
            self.scheduler.freeze();
        }
        let next = 0;
        let work = Midway {
            dirty,
            next,
            flush,
            ret,
        };
        self.midway_step(routine, Box::new(work))
    }

    /// The cell that was forced last has its value.
    pub(crate) fn midway_step(
        &mut self,
        routine: &mut Routine,
        mut work: Box<Midway>,
    ) -> Result<Next, Failure> {
        while let Some(id) = work.dirty.get(work.next).copied() {
            work.next += 1;
            let open = self
                .sheet
                .cell(id)
                .is_some_and(|c| matches!(c.state, CellState::Dirty | CellState::Evaluating));
            if open {
                routine.natives.push(Native::Midway(work));
                return self.force(routine, id, false);
            }
        }
        self.sheet.propagating = false;
        self.scheduler.thaw();
        self.sheet.bury_unreached();
        if work.flush {
            self.sheet.forget_undo();
            // What changes from now on is noted again.
            self.sheet.interaction += 1;
            self.sheet.first_new_cell = self.sheet.cells.len();
            for native in &mut routine.natives {
                if let Native::Interaction(interaction) = native {
                    interaction.settle(&self.sheet);
                }
            }
        }
        Ok(Next::Value(Value::Null, work.ret))
    }

    /// The pass has failed: what it did not reach is left to the next one.
    pub(crate) fn abandon_midway(&mut self, work: &Midway) {
        self.sheet.propagating = false;
        self.scheduler.thaw();
        let unreached = work.next.saturating_sub(1);
        self.sheet.left.extend_from_slice(&work.dirty[unreached..]);
    }
}
