//! Sessions: actions in, events out.
//!
//! A session owns all state of a run. Its driver queues [`Action`]s and calls
//! [`Session::run`] until it is idle; in between it passes on events, answers
//! requests and may stop whenever it likes: the whole state is in here.
//!
//! - this file: the loop
//! - [`start`]: what an action begins with
//! - [`finish`]: what is told at the end of an interaction, the chain of next actions
//! - [`live`]: sources of live cells, while no action runs
//! - [`print`]: values as a REPL prints them

mod finish;
mod live;
mod print;
mod start;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::boundary::{Action, Event, Host, Pending, Reply, Step};
use crate::failure::Failure;
use crate::heap::Value;
use crate::loaded::Loaded;
use crate::machine::{Machine, Next, Outcome, Routine};
use crate::sheet::Sheet;
use crate::surroundings::Surroundings;
use crate::wire::Decoder;

/// A running session.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    routine: Routine,
    queue: VecDeque<(u64, Action)>,
    numbered: u64,
    events: VecDeque<Event>,
    answers: VecDeque<(u64, Reply)>,
    work: Option<Work>,
    /// Values that sources of live cells delivered, as work still to be done.
    signals: VecDeque<live::Delivered>,
    /// Which source is looked at first.
    turn: usize,
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
    /// A live cell's source has signalled.
    Signal,
}

/// What follows an interaction.
type Started = Result<Next, Failure>;

impl Session {
    pub(crate) fn new(loaded: Rc<Loaded>) -> Self {
        let sheet = Sheet::new(&loaded);
        Self {
            machine: Machine {
                loaded,
                sheet,
                surroundings: Surroundings::default(),
                dropped_streams: Rc::default(),
                decoder: Decoder::default(),
                requests: Vec::new(),
                next_call: 0,
                fuel: 0,
                budget: None,
            },
            routine: Routine::default(),
            queue: VecDeque::new(),
            numbered: 0,
            events: VecDeque::new(),
            answers: VecDeque::new(),
            work: None,
            signals: VecDeque::new(),
            turn: 0,
        }
    }

    /// Limits the steps (calls and jumps back) of everything that follows; when
    /// they are used up the running action fails with `RT_TIMEOUT`.
    pub fn set_budget(&mut self, steps: Option<u64>) {
        self.machine.budget = steps;
    }

    /// Seeds the random numbers of the run.
    pub fn set_random_seed(&mut self, seed: u64) {
        self.machine.surroundings.random = seed;
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
        self.answers.push_back((call, reply));
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
            if self.work.is_none() {
                match self.queue.pop_front() {
                    Some((number, action)) => self.begin(number, action),
                    None => match self.listen(host, &mut slice) {
                        live::Heard::Something => {}
                        live::Heard::OutOfFuel => return Step::Ready,
                        live::Heard::Nothing if self.machine.sheet.live.is_empty() => {
                            return Step::Idle;
                        }
                        live::Heard::Nothing => {
                            return Step::Listening(std::mem::take(&mut self.machine.requests));
                        }
                    },
                }
                continue;
            }
            let start = match self.take_answer(host) {
                Some(start) => start,
                None if !self.routine.waiting.is_empty() => {
                    return Step::Waiting(std::mem::take(&mut self.machine.requests));
                }
                None => Ok(Next::Run),
            };
            if slice == 0 {
                // An answer is never lost: it is settled before the slice counts.
                if let Err(outcome) = self.settle_only(host, start) {
                    self.close(outcome);
                    continue;
                }
                return Step::Ready;
            }
            let given = self
                .machine
                .budget
                .map_or(slice, |budget| budget.min(slice));
            self.machine.budget = self.machine.budget.map(|budget| budget - given);
            self.machine.fuel = given;
            let outcome = self.machine.run(&mut self.routine, host, start);
            let unspent = self.machine.fuel;
            self.machine.budget = self.machine.budget.map(|budget| budget + unspent);
            slice -= given - unspent;
            match outcome {
                Outcome::OutOfFuel => return Step::Ready,
                Outcome::Waiting => {}
                outcome => self.close(outcome),
            }
        }
    }

    /// Settles an answer without running frames.
    fn settle_only(&mut self, host: &mut dyn Host, start: Started) -> Result<(), Outcome> {
        match start {
            Ok(Next::Run) => Ok(()),
            start => {
                self.machine.fuel = 0;
                match self.machine.run(&mut self.routine, host, start) {
                    Outcome::OutOfFuel | Outcome::Waiting => Ok(()),
                    outcome => Err(outcome),
                }
            }
        }
    }

    fn take_answer(&mut self, host: &mut dyn Host) -> Option<Started> {
        while let Some((call, reply)) = self.answers.pop_front() {
            if let Some(wait) = self.routine.waiting.remove(&call) {
                return Some(self.machine.answer(&mut self.routine, host, wait, reply));
            }
            let Some(reply) = self.answer_source(host, call, reply) else {
                continue;
            };
            if let Reply::Many(stream) = reply {
                // Nobody waits for it any more.
                self.machine.dropped_streams.borrow_mut().push(stream);
            }
        }
        None
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
