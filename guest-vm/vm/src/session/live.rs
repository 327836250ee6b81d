//! Sources of live cells, pulled while no action runs (language 4.11, 4.12).

use super::{Kind, Session, Work};
use crate::boundary::{Event, Host, Reply};
use crate::heap::{CellId, Value};
use crate::machine::{Native, Next, Outcome, Routine};
use crate::sheet::Signal;

/// What a source delivered.
#[derive(Debug)]
pub(super) struct Delivered {
    cell: CellId,
    value: Value,
}

/// What came of looking at the sources.
pub(super) enum Heard {
    /// There is something to do or to tell.
    Something,
    /// All sources wait or have ended.
    Nothing,
    OutOfFuel,
}

impl Session {
    /// Turns to the sources of live cells: an element becomes an interaction.
    pub(super) fn listen(&mut self, host: &mut dyn Host, slice: &mut u64) -> Heard {
        if let Some(delivered) = self.signals.pop_front() {
            self.begin_signal(delivered);
            return Heard::Something;
        }
        while let Some((call, reply)) = self.answers.pop_front() {
            if let Some(Reply::Many(stream)) = self.answer_source(host, call, reply) {
                self.machine.dropped_streams.borrow_mut().push(stream);
            }
            if !self.signals.is_empty() || !self.events.is_empty() {
                return Heard::Something;
            }
        }
        let count = self.machine.sheet.live.len();
        for offset in 0..count {
            // One after the other gets its turn.
            let position = (self.turn + offset) % count;
            let source = &mut self.machine.sheet.live[position];
            if source.ended || !source.routine.waiting.is_empty() {
                continue;
            }
            self.turn = position + 1;
            let cell = source.cell;
            let mut routine = std::mem::take(&mut source.routine);
            let start = if source.pulling {
                Ok(Next::Run)
            } else {
                source.pulling = true;
                let stream = std::rc::Rc::clone(&source.stream);
                routine.natives.push(Native::Root);
                self.machine.pull(&mut routine, host, &stream, Native::RET)
            };
            self.run_source(host, cell, routine, start, slice);
            if !self.signals.is_empty() || !self.events.is_empty() {
                return Heard::Something;
            }
            if *slice == 0 {
                return Heard::OutOfFuel;
            }
        }
        Heard::Nothing
    }

    /// Gives an answer to the source that waits for it; gives it back if there is none.
    pub(super) fn answer_source(
        &mut self,
        host: &mut dyn Host,
        call: u64,
        reply: Reply,
    ) -> Option<Reply> {
        let waits = |routine: &Routine| routine.waiting.contains_key(&call);
        let live = &mut self.machine.sheet.live;
        let Some(source) = live.iter_mut().find(|live| waits(&live.routine)) else {
            return Some(reply);
        };
        let cell = source.cell;
        let mut routine = std::mem::take(&mut source.routine);
        let wait = routine.waiting.remove(&call)?;
        let start = self.machine.answer(&mut routine, host, wait, reply);
        // What it computes is paid by a slice of its own.
        let mut slice = SETTLE;
        self.run_source(host, cell, routine, start, &mut slice);
        None
    }

    fn run_source(
        &mut self,
        host: &mut dyn Host,
        cell: CellId,
        mut routine: Routine,
        start: super::Started,
        slice: &mut u64,
    ) {
        let given = self
            .machine
            .budget
            .map_or(*slice, |budget| budget.min(*slice));
        self.machine.budget = self.machine.budget.map(|budget| budget - given);
        self.machine.fuel = given;
        let outcome = self.machine.run(&mut routine, host, start);
        let unspent = self.machine.fuel;
        self.machine.budget = self.machine.budget.map(|budget| budget + unspent);
        *slice -= given - unspent;
        let live = &mut self.machine.sheet.live;
        let Some(source) = live.iter_mut().find(|live| live.cell == cell) else {
            return;
        };
        match outcome {
            Outcome::Done(value) => {
                source.pulling = false;
                if value.is_undefined() {
                    source.ended = true;
                } else {
                    self.signals.push_back(Delivered { cell, value });
                }
            }
            Outcome::Failed(uncaught) => {
                source.pulling = false;
                source.ended = true;
                let issue = Self::issue_of(&uncaught);
                self.events.push_back(Event::Issue(issue));
            }
            Outcome::OutOfFuel | Outcome::Waiting => source.routine = routine,
        }
    }

    /// The interaction of an element that a source delivered.
    fn begin_signal(&mut self, delivered: Delivered) {
        let sheet = &mut self.machine.sheet;
        let cell = delivered.cell;
        let Some(node) = sheet.cell(cell).filter(|node| !node.dead) else {
            return;
        };
        let view = sheet.instances[node.instance.0 as usize].view;
        let Some(source) = sheet.live.iter_mut().find(|live| live.cell == cell) else {
            return;
        };
        sheet.current = view;
        self.work = Some(Work {
            number: None,
            kind: Kind::Signal,
            chain: std::collections::VecDeque::new(),
            started: false,
        });
        self.routine = Routine::default();
        self.machine.surroundings.next_actions.clear();
        let mut cells = Vec::new();
        match source
            .with_actions
            .then(|| next_actions(&delivered.value))
            .flatten()
        {
            Some(actions) => self.machine.surroundings.next_actions = actions,
            None => {
                source.deliver(delivered.value);
                cells.push(cell);
            }
        }
        self.begin_interaction(Signal { cells, events: 0 });
        if let Err(failure) = self.proceed(Next::Value(Value::Null, Native::RET)) {
            let outcome = self.machine.uncaught(&mut self.routine, failure);
            self.close(outcome);
        }
    }
}

/// Fuel for what follows an answer.
const SETTLE: u64 = 1 << 16;

/// The actions of a message `$nextActions`.
fn next_actions(value: &Value) -> Option<Vec<Value>> {
    let Value::Map(map) = value else { return None };
    let Some(Value::Text(name)) = map.get("name") else {
        return None;
    };
    match map.get("value") {
        Some(Value::Array(actions)) if name.as_str() == "$nextActions" => {
            Some(actions.items().to_vec())
        }
        _ => None,
    }
}
