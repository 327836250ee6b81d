//! How routines end: by themselves, with an error, or because somebody ends them.

use std::rc::Rc;

use super::{Block, Busy, End, Entry, Handle, Resume, Role, RoutineId, State};
use crate::boundary::Reply;
use crate::failure::Failure;
use crate::heap::{Opaque, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine, Uncaught, Wait};

/// Why what an ended routine was computing is not there.
fn ended() -> Failure {
    Failure::new("ERR_CANCELED", "the routine that computed it was ended")
}

/// An error as programs hold it.
pub(super) fn raw_error(uncaught: Uncaught) -> Value {
    Value::opaque(Opaque::Object {
        name: "error",
        object: Box::new(uncaught),
    })
}

impl Machine {
    /// The running routine ends itself. The main one ends what it was doing for the
    /// interaction; a formula, which must give a value, fails instead.
    pub(crate) fn exit(&mut self, routine: &mut Routine) -> Option<Result<Next, Failure>> {
        if self.scheduler.running != self.scheduler.main {
            self.give_up(routine, 0, &ended());
            return None;
        }
        let outermost = |native: &Native| matches!(native, Native::Interaction(_) | Native::Root);
        let keep = routine
            .natives
            .iter()
            .rposition(outermost)
            .map_or(0, |at| at + 1);
        let gives_value = |native: &Native| {
            matches!(
                native,
                Native::Force(_)
                    | Native::Slot { .. }
                    | Native::Instantiate(_)
                    | Native::Memo(_)
                    | Native::Attach(_)
            )
        };
        if routine.natives[keep..].iter().any(gives_value) {
            return Some(Err(Failure::new(
                "ERR_CANCELED",
                "the routine ends while it computes the value of a cell or definition",
            )));
        }
        self.give_up(routine, keep, &ended());
        Some(Ok(Next::Value(Value::Null, Native::RET)))
    }

    /// A routine other than the main one is done.
    pub(crate) fn routine_done(&mut self, id: RoutineId, end: End) {
        if let Some(entry) = self.scheduler.remove(id) {
            self.finish(entry, end);
        }
    }

    /// A routine other than the main one has failed: gives the error back if the
    /// interaction fails with it.
    pub(crate) fn routine_failed(&mut self, id: RoutineId, uncaught: Uncaught) -> Option<Uncaught> {
        let entry = self.scheduler.entries.get_mut(&id)?;
        if entry.handle.called {
            self.routine_done(id, End::Failed(uncaught));
            return None;
        }
        if uncaught.failure.is_catchable()
            && let Some(handler) = entry.on_error.take()
        {
            let arguments = vec![raw_error(uncaught), entry.handle.value()];
            self.scheduler.wake(id, Resume::Call(handler, arguments));
            return None;
        }
        let role = entry.role;
        self.routine_done(id, End::Exited);
        match role {
            Role::Main | Role::Foreground => Some(uncaught),
            Role::Background | Role::Source(_) => {
                self.surroundings.log(log_line(&uncaught));
                None
            }
        }
    }

    /// Ends a routine that does not run, and those that it called.
    pub(crate) fn kill(&mut self, id: RoutineId) {
        let mut work = vec![id];
        while let Some(id) = work.pop() {
            if id == self.scheduler.main {
                continue;
            }
            if id == self.scheduler.running {
                self.scheduler.doom(id);
                continue;
            }
            let Some(mut entry) = self.scheduler.remove(id) else {
                continue;
            };
            match std::mem::replace(&mut entry.state, State::Running) {
                State::Waiting(block, _) => work.extend(self.stop_waiting(id, block)),
                State::Ready(Resume::Answer(wait, reply)) => self.drop_answer(wait, reply),
                State::Ready(_) | State::Running => {}
            }
            let mut routine = std::mem::take(&mut entry.routine);
            self.give_up(&mut routine, 0, &ended());
            self.finish(entry, End::Exited);
        }
    }

    /// Ends all that an interaction has started, because it failed.
    pub(crate) fn kill_interaction(&mut self) {
        let generation = self.scheduler.generation;
        let cells = self.sheet.cells.len();
        let instances = self.sheet.instances.len();
        let lost = |entry: &Entry| {
            entry.generation == generation
                || entry.role == Role::Foreground
                || entry.routine.needs_more(cells, instances)
        };
        self.kill_all(lost);
    }

    /// Ends all routines but the main one.
    pub(crate) fn kill_everybody(&mut self) {
        self.kill_all(|_| true);
    }

    /// Ends the routines that were started in a view.
    pub(crate) fn kill_view(&mut self, view: u32) {
        self.kill_all(|entry| entry.view == view && entry.role == Role::Background);
    }

    fn kill_all(&mut self, which: impl Fn(&Entry) -> bool) {
        let main = self.scheduler.main;
        let entries = self.scheduler.entries.iter();
        let ids: Vec<RoutineId> = entries
            .filter(|(id, entry)| **id != main && which(entry))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.kill(id);
        }
    }

    /// The routine of the interaction is gone, whatever became of it.
    pub(crate) fn retire_main(&mut self) {
        let main = std::mem::take(&mut self.scheduler.main);
        self.scheduler.running = 0;
        self.scheduler.thaw();
        if let Some(mut entry) = self.scheduler.remove(main) {
            match std::mem::replace(&mut entry.state, State::Running) {
                State::Waiting(block, _) => {
                    if let Some(called) = self.stop_waiting(main, block) {
                        self.kill(called);
                    }
                }
                State::Ready(Resume::Answer(wait, reply)) => self.drop_answer(wait, reply),
                State::Ready(_) | State::Running => {}
            }
            self.finish(entry, End::Exited);
        }
    }

    /// The time of a called routine is over: who called it goes on, it ends at its next wait.
    pub(super) fn expire(&mut self, handle: &Rc<Handle>) {
        let Some(entry) = self.scheduler.entries.get(&handle.id) else {
            return;
        };
        let waits = matches!(entry.state, State::Waiting(..));
        self.scheduler.doom(handle.id);
        self.tell_joiner(handle, End::Expired);
        if waits {
            self.kill(handle.id);
        }
    }

    /// What follows from the end of a routine that is no longer among the entries.
    fn finish(&mut self, entry: Entry, end: End) {
        let id = entry.handle.id;
        for mutex in entry.held {
            self.unlock(&mutex, id);
        }
        for channel in entry.feeds.iter().filter_map(std::rc::Weak::upgrade) {
            self.end_channel(&channel);
        }
        for channel in entry.owned.iter().filter_map(std::rc::Weak::upgrade) {
            self.bury_channel(&channel);
        }
        if entry.handle.called {
            self.tell_joiner(&entry.handle, end);
        }
        if entry.role == Role::Foreground && !self.scheduler.has_foreground() {
            self.scheduler.foreground_done();
        }
    }

    /// The first end that is told counts.
    fn tell_joiner(&mut self, handle: &Rc<Handle>, end: End) {
        if handle.end.borrow().is_some() {
            return;
        }
        handle.end.replace(Some(end));
        let joiner = handle.joiner.replace(0);
        let waiting = self
            .scheduler
            .entries
            .get(&joiner)
            .map(|entry| &entry.state);
        if let Some(State::Waiting(Block::Join { ret, .. }, _)) = waiting {
            let ret = *ret;
            let resume = match outcome(handle) {
                Ok(value) => Resume::Value(value, ret),
                Err(failure) => Resume::Fail(failure),
            };
            self.scheduler.wake(joiner, resume);
        }
    }

    /// Takes a routine from what it waits for; gives the routine that it called.
    pub(super) fn stop_waiting(&mut self, id: RoutineId, block: Block) -> Option<RoutineId> {
        match block {
            Block::Call { call, wait } => {
                self.scheduler.calls.remove(&call);
                let untold = self.requests.len();
                self.requests.retain(|request| request.call() != call);
                if self.requests.len() == untold {
                    self.scheduler.canceled.push(call);
                }
                if let Wait::Batch(stream, _) | Wait::Part(stream, _) = wait {
                    crate::interpreter::fail_stream(&stream, ended());
                }
                None
            }
            Block::Read { channel, .. } => {
                // Who waits for a channel owns it.
                channel.begin_read(0);
                self.bury_channel(&channel);
                None
            }
            Block::Lock { mutex, .. } => {
                mutex.leave(id);
                None
            }
            Block::Join { handle, .. } => {
                handle.joiner.set(0);
                Some(handle.id)
            }
            Block::Busy { .. } => {
                self.scheduler.busy.retain(|other| *other != id);
                None
            }
            Block::Foreground => None,
        }
    }

    fn drop_answer(&mut self, wait: Wait, reply: Reply) {
        if let Reply::Many(stream) = reply {
            self.dropped_streams.borrow_mut().push(stream);
        }
        if let Wait::Batch(stream, _) | Wait::Part(stream, _) = wait {
            crate::interpreter::fail_stream(&stream, ended());
        }
    }

    /// The end of a called routine, which is waited for if need be.
    pub(super) fn join(&mut self, handle: &Rc<Handle>, ret: Ret) -> Result<Next, Failure> {
        if handle.end.borrow().is_some() {
            return Ok(Next::Value(outcome(handle)?, ret));
        }
        let handle = Rc::clone(handle);
        Ok(self.park(Block::Join { handle, ret }))
    }
}

/// How a called routine ended, as programs see it; its value is taken out.
fn outcome(handle: &Rc<Handle>) -> Result<Value, Failure> {
    let end = handle.end.replace(Some(End::Exited));
    Ok(match end {
        Some(End::Returned(value)) if value.is_undefined() => Value::Undefined,
        Some(End::Returned(value)) => Value::case("ok", value),
        Some(End::Failed(uncaught)) if !uncaught.failure.is_catchable() => {
            return Err(uncaught.failure);
        }
        Some(End::Failed(uncaught)) => Value::case("error", raw_error(uncaught)),
        Some(End::Expired) => Value::constant("co.timeout"),
        Some(End::Exited) | None => Value::constant("co.terminated"),
    })
}

/// `error in a background routine: CODE: message (Module.function:line)`
fn log_line(uncaught: &Uncaught) -> String {
    let place = uncaught.trace.first().map_or(String::new(), |frame| {
        format!(" ({}.{}:{})", frame.module, frame.function, frame.line)
    });
    format!("error in a background routine: {}{place}", uncaught.failure)
}

impl super::Scheduler {
    fn remove(&mut self, id: RoutineId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        match entry.role {
            Role::Foreground => self.foreground -= 1,
            Role::Source(_) => self.source_count -= 1,
            Role::Main | Role::Background => {}
        }
        Some(entry)
    }

    /// The routine ends at its next wait.
    fn doom(&mut self, id: RoutineId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.doomed = true;
        }
    }

    /// The last foreground routine has ended.
    fn foreground_done(&mut self) {
        let main = self.main;
        let state = self.entries.get(&main).map(|entry| &entry.state);
        if let Some(State::Waiting(Block::Foreground, _)) = state {
            self.wake(main, Resume::Value(Value::Null, Native::RET));
        }
    }
}

impl Routine {
    /// True if it works on cells or instances beyond these numbers.
    fn needs_more(&self, cells: usize, instances: usize) -> bool {
        let gone = |native: &Native| match native {
            Native::Force(force) => force.cell.0 as usize >= cells,
            Native::Slot { instance, .. } => instance.0 as usize >= instances,
            Native::Instantiate(work) => work.instance().0 as usize >= instances,
            _ => false,
        };
        let frame_gone = |frame: &crate::machine::Frame| frame.instance.0 as usize >= instances;
        self.natives.iter().any(gone) || self.frames.iter().any(frame_gone)
    }
}

impl Busy {
    /// For messages.
    pub fn text(&self) -> &'static str {
        match self {
            Busy::Slot(..) => "a definition that another routine evaluates",
            Busy::Cell(_) => "a cell that another routine evaluates",
            Busy::Stream(_) => "an element of a stream that another routine computes",
        }
    }
}
