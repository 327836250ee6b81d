//! Sessions: actions in, events out.
//!
//! A session owns all state of a run. Its driver queues [`Action`]s and calls
//! [`Session::run`] until it is idle; in between it passes on events, answers
//! requests and may stop whenever it likes: the whole state is in here.
//!
//! - this file: the loop
//! - [`start`]: what an action begins with
//! - [`agents`]: agents that the program calls
//! - [`finish`]: what is told at the end of an interaction, the chain of next actions
//! - [`live`]: sources of live cells, while no action runs
//! - [`print`]: values as a REPL prints them

mod agents;
mod finish;
mod live;
mod print;
mod start;

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::boundary::{Action, Event, Host, Pending, Reply, Step};
use crate::failure::Failure;
use crate::heap::{InstanceId, Value};
use crate::interpreter::Garbage;
use crate::loaded::Loaded;
use crate::machine::{Machine, Outcome, Routine};
use crate::routine::{End, Role, RoutineId, Scheduler};
use crate::sheet::Sheet;
use crate::surroundings::Surroundings;
use crate::wire::{Arguments, Decoder};

/// A running session.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    /// The main routine, which carries out the action in progress.
    routine: Routine,
    queue: VecDeque<(u64, Action)>,
    numbered: u64,
    events: VecDeque<Event>,
    answers: VecDeque<(u64, Reply)>,
    work: Option<Work>,
    /// Values that sources of live cells delivered, as work still to be done.
    signals: VecDeque<live::Delivered>,
    /// Sessions of agents that this one has called.
    children: Vec<agents::Child>,
    /// How many sessions this one is inside of.
    depth: u32,
    /// Number of this session in the tree of sessions, and the last one given.
    space: u64,
    spaces: Rc<Cell<u64>>,
    /// Requests of inner sessions whose answers nobody waits for.
    canceled: Vec<u64>,
}

/// The action in progress.
#[derive(Debug)]
struct Work {
    /// Its number; none for the signal of a live cell.
    number: Option<u64>,
    kind: Kind,
    /// Next actions that are still to be run.
    chain: VecDeque<Value>,
    started: bool,
    /// Where the expression is to be evaluated once the chain of its initializers and observers has run.
    instance: Option<InstanceId>,
    /// The result of the agent is told, and what follows are idle actions; or the expression is evaluated.
    answered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A one-shot agent.
    Agent,
    /// A persistent agent, by name.
    Persistent(Box<str>),
    View,
    /// The expression, given as text.
    Evaluate,
    /// The expression, given as a result.
    Expression,
    Input,
    Invoke,
    /// A live cell's source has signalled, or background routines have changed cells.
    Signal,
}

impl Session {
    pub(crate) fn new(loaded: Rc<Loaded>) -> Self {
        let sheet = Sheet::new(&loaded);
        Self {
            machine: Machine {
                surroundings: Surroundings::within(loaded.memory),
                loaded,
                sheet,
                scheduler: Scheduler::default(),
                dropped_streams: Rc::default(),
                left_parts: Rc::default(),
                decoder: Decoder::default(),
                arguments: Arguments::default(),
                requests: Vec::new(),
                next_call: 0,
                agent_calls: Vec::new(),
                fuel: 0,
                garbage: Garbage::default(),
                budget: None,
            },
            routine: Routine::default(),
            queue: VecDeque::new(),
            numbered: 0,
            events: VecDeque::new(),
            answers: VecDeque::new(),
            work: None,
            signals: VecDeque::new(),
            children: Vec::new(),
            depth: 0,
            space: 0,
            spaces: Rc::default(),
            canceled: Vec::new(),
        }
    }

    /// Limits the steps (calls, jumps back, results that streams, cells and the like hand on) of everything that follows; when
    /// they are used up the running action fails with `RT_TIMEOUT`.
    pub fn set_budget(&mut self, steps: Option<u64>) {
        self.machine.budget = steps;
    }

    /// Seeds the random numbers of the run.
    pub fn set_random_seed(&mut self, seed: u64) {
        self.machine.surroundings.random = seed;
    }

    /// Where the program learns how many blocks of memory were asked for (module `metrics`).
    pub fn set_allocation_counter(&mut self, counter: fn() -> u64) {
        self.machine.surroundings.metrics.set_allocations(counter);
    }

    /// Queues an action and gives its number.
    pub fn act(&mut self, action: Action) -> u64 {
        let number = self.numbered;
        self.numbered += 1;
        self.queue.push_back((number, action));
        number
    }

    /// Answers a request; unknown and already answered ones are ignored.
    pub fn resume(&mut self, call: u64, reply: Reply) {
        if let Some(Reply::Many(stream)) = self.route(call, reply) {
            self.machine.dropped_streams.borrow_mut().push(stream);
        }
    }

    /// Ends the running action with an error, for instance when its time is over.
    pub fn abort(&mut self, code: &'static str, message: &str) {
        if self.work.is_some() {
            let outcome = self
                .machine
                .uncaught(&mut self.routine, Failure::new(code, message));
            self.close(outcome);
        }
    }

    /// Streams that the program no longer needs, named once.
    pub fn dropped_streams(&mut self) -> Vec<u64> {
        self.machine.dropped_streams.take()
    }

    /// Requests whose answers are not needed any longer, named once.
    pub fn canceled_requests(&mut self) -> Vec<u64> {
        let mut canceled = self.machine.scheduler.canceled();
        canceled.append(&mut self.canceled);
        for child in &mut self.children {
            canceled.extend(child.session().canceled_requests());
        }
        canceled
    }

    /// Requests that no step has told yet. They are told when the session waits; a driver
    /// whose session has more to do ([`Step::Ready`]) may begin them at once.
    pub fn take_requests(&mut self) -> Vec<Pending> {
        std::mem::take(&mut self.machine.requests)
    }

    /// True while an action is carried out.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.work.is_some()
    }

    /// Runs for at most `fuel` steps, or until there is something to tell.
    pub fn run(&mut self, host: &mut dyn Host, fuel: u64) -> Step {
        let mut slice = fuel.max(1);
        loop {
            while let Some(line) = self.machine.surroundings.next_line() {
                self.events.push_back(Event::Log(line));
            }
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            self.take_answers();
            if self.work.is_none() && self.begin_work() {
                continue;
            }
            let idle = self.work.is_none();
            if slice == 0 {
                return Step::Ready;
            }
            if self.has_agents() && self.run_agents(host, &mut slice) {
                continue;
            }
            if let Some(id) = self.machine.scheduler.next(idle) {
                self.take_turn(host, id, &mut slice);
                continue;
            }
            if idle {
                if self.pull_sources() {
                    continue;
                }
                let alone = self.machine.scheduler.count() == 0;
                if alone && self.machine.sheet.live.is_empty() {
                    return Step::Idle;
                }
                return Step::Listening(self.take_requests());
            }
            if self.machine.scheduler.awaits_answer() {
                return Step::Waiting(self.take_requests());
            }
            if !self.machine.break_deadlock(&self.routine) {
                self.abort("RT_INTERNAL", "the interaction waits for nothing");
            }
        }
    }

    /// Begins the next thing to do: an action, the signal of a live cell, what background
    /// routines have changed.
    fn begin_work(&mut self) -> bool {
        if self.machine.sheet.has_changes() {
            self.begin_settling();
        } else if let Some((number, action)) = self.queue.pop_front() {
            self.begin(number, action);
        } else if let Some(delivered) = self.signals.pop_front() {
            self.begin_signal(delivered);
        } else {
            return false;
        }
        true
    }

    /// One routine runs until it waits or ends.
    fn take_turn(&mut self, host: &mut dyn Host, id: RoutineId, slice: &mut u64) {
        let Some((mut routine, resume, view)) = self.machine.scheduler.take_turn(id) else {
            return;
        };
        let is_main = id == self.machine.scheduler.main;
        if is_main {
            routine = std::mem::take(&mut self.routine);
        }
        self.machine.sheet.current = view;
        let start = self.machine.resume(&mut routine, host, resume);
        let given = (self.machine.budget).map_or(*slice, |budget| budget.min(*slice));
        self.machine.budget = self.machine.budget.map(|budget| budget - given);
        self.machine.fuel = given;
        let outcome = self.machine.run(&mut routine, host, start);
        self.machine.leave_parts(host);
        let unspent = self.machine.fuel;
        self.machine.budget = self.machine.budget.map(|budget| budget + unspent);
        // Each turn counts, so that routines that only wait for each other use up the slice.
        *slice = (*slice - (given - unspent)).saturating_sub(1);
        self.machine.scheduler.running = 0;
        if self.work.is_none() {
            self.machine.sheet.settle_changes();
        }
        if is_main {
            self.routine = routine;
            match outcome {
                Outcome::OutOfFuel(resume) => {
                    self.machine.scheduler.interrupted(id, resume);
                }
                Outcome::Waiting | Outcome::Exited => {}
                outcome => self.close(outcome),
            }
        } else {
            self.end_turn(id, routine, outcome);
        }
        self.machine.scheduler.retry(&self.machine.sheet);
    }

    /// A routine other than the main one has had its turn.
    fn end_turn(&mut self, id: RoutineId, routine: Routine, outcome: Outcome) {
        let source = match self.machine.scheduler.role(id) {
            Some(Role::Source(cell)) => Some(cell),
            _ => None,
        };
        match outcome {
            Outcome::OutOfFuel(resume) => {
                self.machine.scheduler.keep(id, routine);
                self.machine.scheduler.interrupted(id, resume);
            }
            Outcome::Waiting => self.machine.scheduler.keep(id, routine),
            outcome => match source {
                Some(cell) => self.source_turned(id, cell, outcome),
                None => self.routine_turned(id, outcome),
            },
        }
    }

    fn routine_turned(&mut self, id: RoutineId, outcome: Outcome) {
        match outcome {
            Outcome::Done(value) => self.machine.routine_done(id, End::Returned(value)),
            Outcome::Failed(uncaught) => {
                if let Some(uncaught) = self.machine.routine_failed(id, uncaught) {
                    // The interaction fails with its foreground routine.
                    let lost = Failure::new("ERR_CANCELED", "the interaction has failed");
                    self.machine.give_up(&mut self.routine, 0, &lost);
                    self.close(Outcome::Failed(uncaught));
                }
            }
            _ => self.machine.routine_done(id, End::Exited),
        }
    }

    /// Answers make the routines ready that wait for them.
    fn take_answers(&mut self) {
        while let Some((call, reply)) = self.answers.pop_front() {
            if let Some(Reply::Many(stream)) = self.machine.scheduler.answer(call, reply) {
                // Nobody waits for it any more.
                self.machine.dropped_streams.borrow_mut().push(stream);
            }
        }
    }

    /// Requests that wait for an answer.
    #[must_use]
    pub fn pending(&self) -> &[Pending] {
        &self.machine.requests
    }

    /// How many evaluations of cells there were so far (a measure of the cost of changes).
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.machine.sheet.evaluations
    }
}
