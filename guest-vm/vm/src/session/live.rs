//! Sources of live cells, pulled while no action runs (language 4.11, 4.12).

use super::{Kind, Session, Work};
use crate::boundary::Event;
use crate::heap::{CellId, Value};
use crate::machine::{Native, Next, Outcome, Routine};
use crate::routine::{End, Resume, Role, RoutineId};
use crate::sheet::Signal;

/// What a source delivered.
#[derive(Debug)]
pub(super) struct Delivered {
    cell: CellId,
    value: Value,
}

impl Session {
    /// Starts routines that pull the sources of live cells; true if there is one more.
    pub(super) fn pull_sources(&mut self) -> bool {
        let machine = &mut self.machine;
        if machine.scheduler.source_count() > 0 {
            // Cells that are gone, or have another source now, are not pulled for.
            for (id, cell) in machine.scheduler.sources() {
                let live = machine.sheet.live.iter();
                if !live
                    .clone()
                    .any(|live| live.cell == cell && live.routine == Some(id))
                {
                    machine.kill(id);
                }
            }
        }
        let mut started = false;
        for source in &mut machine.sheet.live {
            if source.ended || source.routine.is_some() {
                continue;
            }
            let pull = Resume::Pull(std::rc::Rc::clone(&source.stream));
            let node = machine.sheet.cells.get(source.cell.0 as usize);
            let instance =
                node.and_then(|node| machine.sheet.instances.get(node.instance.0 as usize));
            let view = instance.map_or(0, |instance| instance.view);
            let role = Role::Source(source.cell);
            // Beyond the limit the others are pulled first.
            if let Ok(handle) = machine.scheduler.spawn(role, view, false, pull) {
                source.routine = Some(handle.id);
                started = true;
            }
        }
        started
    }

    /// A source has given an element, has ended or failed.
    pub(super) fn source_turned(&mut self, id: RoutineId, cell: CellId, outcome: Outcome) {
        self.machine.routine_done(id, End::Exited);
        let live = &mut self.machine.sheet.live;
        let Some(source) = live.iter_mut().find(|live| live.routine == Some(id)) else {
            return;
        };
        source.routine = None;
        match outcome {
            Outcome::Done(value) if !value.is_undefined() => {
                self.signals.push_back(Delivered { cell, value });
            }
            Outcome::Failed(uncaught) => {
                source.ended = true;
                let issue = Self::issue_of(&uncaught);
                self.events.push_back(Event::Issue(issue));
            }
            _ => source.ended = true,
        }
    }

    /// The interaction that follows when background routines have changed cells.
    pub(super) fn begin_settling(&mut self) {
        self.begin_own(Vec::new());
    }

    /// The interaction of an element that a source delivered.
    pub(super) fn begin_signal(&mut self, delivered: Delivered) {
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
        let mut cells = Vec::new();
        let actions = (source.with_actions)
            .then(|| next_actions(&delivered.value))
            .flatten();
        if actions.is_none() {
            source.deliver(delivered.value);
            cells.push(cell);
        }
        self.machine.surroundings.next_actions = actions.unwrap_or_default();
        self.begin_own(cells);
    }

    /// An interaction that no action asked for.
    fn begin_own(&mut self, cells: Vec<CellId>) {
        self.work = Some(Work {
            number: None,
            kind: Kind::Signal,
            chain: std::collections::VecDeque::new(),
            started: false,
            instance: None,
            answered: false,
        });
        self.routine = Routine::default();
        self.begin_interaction(Signal { cells, events: 0 });
        if let Err(failure) = self.proceed(Next::Value(Value::Null, Native::RET)) {
            let outcome = self.machine.uncaught(&mut self.routine, failure);
            self.close(outcome);
        }
    }
}

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
