//! Errors: finding the handler, undoing what was half done, the stack trace.

use crate::boundary::{Location, TraceFrame};
use crate::failure::Failure;
use crate::heap::Value;
use crate::machine::{Frame, Machine, Native, Routine, Uncaught};
use mix_bytecode::{Function, Line};

/// How the names of library sources start.
const LIBRARY: &str = "<library>/";

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
        let (mut trace, mut location) = self.trace(routine);
        if let Some((first, place)) = failure.first() {
            trace.splice(0..0, first.iter().cloned());
            trace.truncate(INNERMOST + OUTERMOST);
            location = place.clone().or(location);
        }
        self.give_up(routine, 0, &failure);
        Uncaught {
            failure,
            trace,
            location,
        }
    }

    /// Drops all that a routine was doing above `keep` natives.
    pub(crate) fn give_up(&mut self, routine: &mut Routine, keep: usize, failure: &Failure) {
        self.undo_natives(routine, keep, failure);
        self.drop_frames(routine, 0);
        routine.handlers.clear();
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
                Some(Native::Midway(work)) => self.abandon_midway(&work),
                Some(Native::Guard { mutex, .. }) => {
                    self.unlock(&mutex, self.scheduler.running);
                }
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

    /// The frames, innermost first, and the place of the innermost one. What the library does
    /// inside is none of the user's lines: its frames are left out.
    pub(crate) fn trace(&self, routine: &Routine) -> (Vec<TraceFrame>, Option<Location>) {
        let program = &self.loaded.program;
        let mut inner = Vec::new();
        let mut first = 0;
        for (index, frame) in routine.frames.iter().enumerate().rev() {
            if inner.len() == INNERMOST {
                break;
            }
            inner.extend(self.shown(frame));
            first = index;
        }
        let rest = routine.frames[..first].iter();
        let mut outer: Vec<_> = rest
            .filter_map(|frame| self.shown(frame))
            .take(OUTERMOST)
            .collect();
        outer.reverse();
        let location = inner.first().and_then(|(_, place)| {
            place.map(|place| Location {
                file: program.string(place.file).unwrap_or_default().to_owned(),
                start_line: place.line,
                start_column: place.column,
                end_line: place.end_line,
                end_column: place.end_column,
            })
        });
        let trace = inner
            .into_iter()
            .chain(outer)
            .map(|(function, place)| TraceFrame {
                module: program.modules[function.module.index()].name.to_string(),
                function: function.name.to_string(),
                line: place.map_or(0, |place| place.line),
            })
            .collect();
        (trace, location)
    }

    /// The function and place of a frame, unless it is one of the library.
    fn shown(&self, frame: &Frame) -> Option<(&Function, Option<&Line>)> {
        let program = &self.loaded.program;
        let function = &program.functions[frame.function as usize];
        let place = function.place((frame.pc as usize).saturating_sub(1));
        let file = place.and_then(|place| program.string(place.file));
        let library = file.is_some_and(|file| file.starts_with(LIBRARY));
        (!library).then_some((function, place))
    }
}
