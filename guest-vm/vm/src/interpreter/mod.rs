//! The interpreter: runs the frames of a routine until it is done, waits,
//! fails or has used up its fuel.
//!
//! What makes it fast, and what was decided against:
//! - values are two words, numbers unboxed, the kind a whole word (a narrower one is slower to copy just after it was written);
//! - a call allocates nothing: frames are 32 bytes on a stack of their own, arguments move into the new window;
//! - containers change in place while one register holds them: the code generator moves last uses and keeps
//!   parts of a value in the register of the result;
//! - maps of up to 32 entries share their key lists; an instruction remembers where its key was;
//! - the compiler fuses frequent pairs (`mix_bytecode::optimise`), so that the loop sees few, fat instructions;
//! - no tail-call dispatch and no `unsafe`: the one is slow in WebAssembly, the other brings little here.
//!
//! - `execute`: one loop over one big `match` that calls nothing; calls and returns between compiled functions stay inside
//! - `window`: the registers of the running frame
//! - `step`: one instruction that the loop leaves over; `data`, `place`, `rare`: those that compute
//! - `slow`: instructions that need the whole machine; the loop is left with a [`Leave`] and entered again
//! - `call`: function values, builtins, and where results go; `foreign`: foreign functions
//! - `pull`: streams, `parts`: those whose items a host gives many at a time; `raise`: errors and stack traces

mod call;
mod data;
mod execute;
mod foreign;
pub mod intrinsic;
mod parts;
mod place;
mod pull;
mod raise;
mod rare;
mod slow;
mod step;
mod window;

use std::rc::Rc;

use mix_bytecode::Op;

pub(crate) use execute::Garbage;
pub(crate) use pull::fail as fail_stream;

use crate::boundary::Host;
use crate::failure::Failure;
use crate::heap::Value;
use crate::machine::{Machine, Next, Outcome, Ret, Routine};
use crate::routine::Resume;

/// Why the inner loop was left.
enum Leave {
    /// An error at the instruction before `pc`.
    Raise(Failure),
    /// The outermost frames are done; the value goes to a native.
    Return(Value),
    /// The fuel is used up; nothing is half done.
    OutOfFuel,
    /// An instruction that needs the whole machine.
    Slow(Op),
    /// Such an instruction is done, and something is to follow.
    Done(Result<Next, Failure>),
    /// A call of a function value that is no plain closure.
    Apply {
        callee: Value,
        arguments: Vec<Value>,
        ret: Ret,
    },
}

impl Machine {
    /// Runs a routine.
    pub(crate) fn run(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        start: Result<Next, Failure>,
    ) -> Outcome {
        let mut next = start;
        loop {
            let settled = match next {
                Ok(Next::Run) => None,
                Ok(other) => Some(self.settle(routine, host, other)),
                Err(failure) => Some(Err(failure)),
            };
            match settled {
                Some(Ok(Next::Run)) | None => {}
                Some(Ok(Next::Wait)) => return Outcome::Waiting,
                Some(Ok(Next::Done(value))) => return Outcome::Done(value),
                Some(Ok(Next::Exit)) => match self.exit(routine) {
                    Some(other) => {
                        next = other;
                        continue;
                    }
                    None => return Outcome::Exited,
                },
                // The fuel was used up before the value came to its place.
                Some(Ok(Next::Value(value, ret))) => match self.spend() {
                    Ok(()) => return Outcome::OutOfFuel(Resume::Value(value, ret)),
                    Err(failure) => {
                        next = Err(failure);
                        continue;
                    }
                },
                Some(Err(failure)) => match self.raise(routine, failure) {
                    Ok(()) => {}
                    Err(uncaught) => return Outcome::Failed(uncaught),
                },
            }
            if self.fuel == 0 {
                match self.spend() {
                    Ok(()) => return Outcome::OutOfFuel(Resume::Run),
                    Err(failure) => {
                        next = Err(failure);
                        continue;
                    }
                }
            }
            if routine.frames.is_empty() {
                // Something native pushed no frame: its value is still to come.
                return self.uncaught(routine, Failure::internal("nothing to run"));
            }
            if let Some(Err(failure)) = self.loaded.memory.map(|limit| limit.check()) {
                next = Err(failure);
                continue;
            }
            next = match self.frames(routine, host) {
                Leave::Raise(failure) => Err(failure),
                Leave::Return(value) => Ok(Next::Value(value, Ret::Native)),
                Leave::OutOfFuel => Ok(Next::Run),
                Leave::Apply {
                    callee,
                    arguments,
                    ret,
                } => self.apply(routine, host, &callee, arguments, ret),
                Leave::Slow(op) => self.slow(routine, host, op),
                Leave::Done(next) => next,
            };
        }
    }

    /// Runs the topmost frame and all that it calls until the loop is to be left.
    fn frames(&mut self, routine: &mut Routine, host: &mut dyn Host) -> Leave {
        let loaded = Rc::clone(&self.loaded);
        loop {
            execute::execute(self, routine, &loaded);
            if self.garbage.empty() {
                continue;
            }
            match step::step(self, routine, &loaded) {
                Ok(()) => {}
                // A foreign function that answers at once is as frequent as others are.
                Err(Leave::Slow(op @ Op::CallForeign { .. })) => {
                    match self.slow(routine, host, op) {
                        Ok(Next::Run) => {}
                        next => return Leave::Done(next),
                    }
                }
                Err(leave) => return leave,
            }
        }
    }

    /// Accounts for a used up slice; fails when the whole run is over.
    fn spend(&mut self) -> Result<(), Failure> {
        match &self.budget {
            Some(0) => Err(Failure::new("RT_TIMEOUT", "time limit exceeded")),
            _ => Ok(()),
        }
    }
}
