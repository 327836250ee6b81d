//! Errors: finding the handler, undoing what was half done, the stack trace.

use crate::boundary::{Location, TraceFrame};
use crate::failure::Failure;
use crate::heap::Value;
use crate::machine::{Machine, Native, Routine, Uncaught};

/// Innermost frames of a trace that are kept.
const INNERMOST: usize = 50;

/// Outermost frames that are kept.
const OUTERMOST: usize = 10;

impl Machine {
    /// Brings control to the handler of an error, or gives the error back with its trace.
    pub(crate) fn raise(
        &mut self,
        routine: &mut Routine,
        failure: Failure,
    ) -> Result<(), Uncaught> {
        let handler = if failure.is_catchable() {
            routine.handlers.pop()
        } else {
            None
        };
        let Some(handler) = handler else {
            return Err(self.fail_all(routine, failure));
        };
        self.undo_natives(routine, handler.natives as usize, &failure);
        self.drop_frames(routine, handler.frames as usize);
        let Some(frame) = routine.frames.last_mut() else {
            return Err(self.fail_all(routine, Failure::internal("handler without a frame")));
        };
        frame.pc = handler.target;
        let place = frame.base as usize + usize::from(handler.dst);
        routine.stack[place] = Value::case("error", Value::text(failure.text()));
        Ok(())
    }

    /// Ends the routine with an error.
    pub(crate) fn uncaught(
        &mut self,
        routine: &mut Routine,
        failure: Failure,
    ) -> crate::machine::Outcome {
        crate::machine::Outcome::Failed(self.fail_all(routine, failure))
    }

    fn fail_all(&mut self, routine: &mut Routine, failure: Failure) -> Uncaught {
        let (trace, location) = self.trace(routine);
        self.undo_natives(routine, 0, &failure);
        self.drop_frames(routine, 0);
        routine.handlers.clear();
        routine.waiting.clear();
        Uncaught {
            failure,
            trace,
            location,
        }
    }

    /// Gives up what natives above `keep` were doing.
    fn undo_natives(&mut self, routine: &mut Routine, keep: usize, failure: &Failure) {
        while routine.natives.len() > keep {
            match routine.natives.pop() {
                Some(
                    Native::Generated { stream, .. }
                    | Native::Lazy { stream, .. }
                    | Native::Chain { stream, .. },
                ) => {
                    super::pull::fail(&stream, failure.clone());
                }
                Some(Native::Slot { instance, slot, .. }) => self.sheet.reset_slot(instance, slot),
                Some(Native::Force(force)) => self.sheet.abandon(&force),
                Some(Native::Interaction(work)) => self.undo_interaction(*work),
                _ => {}
            }
        }
    }

    fn drop_frames(&mut self, routine: &mut Routine, keep: usize) {
        while routine.frames.len() > keep {
            let Some(frame) = routine.frames.pop() else {
                return;
            };
            let function = &self.loaded.program.functions[frame.function as usize];
            let start = frame.base as usize;
            let end = (start + usize::from(function.registers)).min(routine.stack.len());
            for register in &mut routine.stack[start..end] {
                *register = Value::Undefined;
            }
        }
    }

    /// The frames, innermost first, and the place of the innermost one.
    fn trace(&self, routine: &Routine) -> (Vec<TraceFrame>, Option<Location>) {
        let program = &self.loaded.program;
        let mut location = None;
        let mut trace = Vec::new();
        let count = routine.frames.len();
        for (depth, frame) in routine.frames.iter().rev().enumerate() {
            if depth >= INNERMOST && depth + OUTERMOST < count {
                continue;
            }
            let function = &program.functions[frame.function as usize];
            let place = function.place((frame.pc as usize).saturating_sub(1));
            if depth == 0 {
                location = place.map(|place| Location {
                    file: program.string(place.file).unwrap_or_default().to_owned(),
                    start_line: place.line,
                    start_column: place.column,
                    end_line: place.end_line,
                    end_column: place.end_column,
                });
            }
            trace.push(TraceFrame {
                module: program.modules[function.module.index()].name.to_string(),
                function: function.name.to_string(),
                line: place.map_or(0, |place| place.line),
            });
        }
        (trace, location)
    }
}
