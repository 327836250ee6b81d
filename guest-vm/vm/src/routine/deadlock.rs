//! When no routine can go on and no answer can come, the interaction would wait for ever:
//! one of its routines gets the error `ERR_DEADLOCK`, which says who waits for what.

use super::{Block, Entry, Resume, Role, RoutineId, State};
use crate::failure::Failure;
use crate::machine::Machine;

/// Most routines that the message describes.
const DESCRIBED: usize = 8;

impl Machine {
    /// Lets the routine of the interaction go on with an error that began to wait last.
    /// False if none of them waits for another.
    pub(crate) fn break_deadlock(&mut self, main: &crate::machine::Routine) -> bool {
        let scheduler = &self.scheduler;
        let stands_still =
            |id: RoutineId| scheduler.mark.is_some_and(|mark| id < mark) && id != scheduler.main;
        let victim = scheduler
            .entries
            .iter()
            .filter_map(|(id, entry)| match &entry.state {
                State::Waiting(block, order) if is_stuck(entry, block) && !stands_still(*id) => {
                    Some((*order, *id))
                }
                _ => None,
            })
            .max();
        let Some((_, id)) = victim else { return false };
        let failure = Failure::new("ERR_DEADLOCK", self.deadlock_text(main));
        let state = self.scheduler.entries.get_mut(&id);
        let state = state.map(|entry| std::mem::replace(&mut entry.state, State::Running));
        if let Some(State::Waiting(block, _)) = state {
            // It goes on and may read again: its channels live.
            match block {
                Block::Read { channel, .. } => channel.begin_read(0),
                block => {
                    self.stop_waiting(id, block);
                }
            }
        }
        self.scheduler.wake(id, Resume::Fail(failure));
        true
    }

    fn deadlock_text(&self, main: &crate::machine::Routine) -> String {
        let mut parts = Vec::new();
        let mut more = 0;
        for (id, entry) in &self.scheduler.entries {
            let State::Waiting(block, _) = &entry.state else {
                continue;
            };
            if parts.len() == DESCRIBED {
                more += 1;
                continue;
            }
            let routine = if *id == self.scheduler.main {
                main
            } else {
                &entry.routine
            };
            let (trace, _) = self.trace(routine);
            // What is made around an expression stands nowhere.
            let placed = trace.iter().find(|frame| frame.line > 0);
            let place = placed.map_or(String::new(), |frame| {
                format!(" ({}.{}:{})", frame.module, frame.function, frame.line)
            });
            let (who, what) = (self.name_of(*id), self.wait_text(block));
            parts.push(format!("{who}{place} waits for {what}"));
        }
        let rest = match more {
            0 => String::new(),
            more => format!("; {more} more wait"),
        };
        let frozen = match self.scheduler.frozen.len() {
            0 => "",
            _ => "; routines that were there before stand still while formulas are evaluated",
        };
        format!("no routine can go on: {}{rest}{frozen}", parts.join("; "))
    }

    fn name_of(&self, id: RoutineId) -> String {
        if id == self.scheduler.main {
            "the main routine".into()
        } else {
            format!("routine {id}")
        }
    }

    fn wait_text(&self, block: &Block) -> String {
        match block {
            Block::Call { .. } => "an answer of the host".into(),
            Block::Read { .. } => "a value of a channel".into(),
            Block::Lock { mutex, .. } => {
                format!("a mutex that {} holds", self.name_of(mutex.holder()))
            }
            Block::Join { handle, .. } => format!("the end of {}", self.name_of(handle.id)),
            Block::Foreground => "its foreground routines".into(),
            Block::Busy { what, .. } => what.text().into(),
        }
    }
}

/// True for a routine of the interaction that waits for another routine.
fn is_stuck(entry: &Entry, block: &Block) -> bool {
    matches!(entry.role, Role::Main | Role::Foreground)
        && !matches!(block, Block::Call { .. } | Block::Foreground)
}
