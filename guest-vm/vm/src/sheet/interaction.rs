//! One interaction: what starts it, passes, initializers, observers, and the
//! way back when it fails (language 4.12, 4.13).

use std::collections::{BTreeSet, VecDeque};

use mix_bytecode::CellKind;

use super::{CellState, Sheet};
use crate::failure::Failure;
use crate::heap::{CellId, InstanceId, Value};
use crate::machine::{Machine, Native, Next, Routine};

/// An interaction in progress.
#[derive(Debug)]
pub(crate) struct Interaction {
    phase: Phase,
    /// Value of what started it.
    result: Value,
    /// Last pass before it.
    start_pass: u64,
    /// Numbers of instances, cells and environments before it.
    start_instances: usize,
    start_cells: usize,
    start_environments: usize,
    /// Instances that were made since the last look at observers.
    fresh: BTreeSet<InstanceId>,
    fired: BTreeSet<(InstanceId, usize)>,
    queue: VecDeque<(InstanceId, usize)>,
    pending: VecDeque<(InstanceId, usize)>,
    /// The observer whose guard or body runs.
    observer: Option<(InstanceId, usize)>,
}

#[derive(Debug)]
enum Phase {
    /// What started it runs.
    Start,
    /// Dirty cells are evaluated.
    Force(VecDeque<CellId>),
    /// Initializers run.
    Initialize,
    /// A guard has run, or none yet.
    Guards,
    /// Bodies of observers run.
    Bodies,
}

impl Interaction {
    /// The interaction before anything has run.
    pub fn new(sheet: &Sheet) -> Box<Self> {
        Box::new(Self {
            phase: Phase::Start,
            result: Value::Undefined,
            start_pass: sheet.pass,
            start_instances: sheet.instances.len(),
            start_cells: sheet.cells.len(),
            start_environments: sheet.views.last().map_or(0, |view| view.environments.len()),
            fresh: BTreeSet::new(),
            fired: BTreeSet::new(),
            queue: VecDeque::new(),
            pending: VecDeque::new(),
            observer: None,
        })
    }

    /// Pass of the previous run of the observer that is looked at.
    pub fn observer_run(&self, sheet: &Sheet) -> Option<u64> {
        let (instance, index) = self.observer?;
        *sheet
            .instances
            .get(instance.0 as usize)?
            .observed
            .get(index)?
    }
}

impl Sheet {
    /// Starts a pass: gives the cells to be evaluated, in creation order.
    fn begin_pass(&mut self) -> VecDeque<CellId> {
        self.pass += 1;
        self.propagating = true;
        let pass = self.pass;
        let mut work = Vec::new();
        for id in std::mem::take(&mut self.assigned) {
            if let Some(node) = self.cells.get_mut(id.0 as usize) {
                node.assigned = false;
                node.updated = pass;
                if !crate::compare::identical(&node.value, &node.previous) {
                    node.changed = pass;
                }
                work.extend_from_slice(&node.dependents);
            }
        }
        let mut dirty = BTreeSet::new();
        while let Some(id) = work.pop() {
            let Some(node) = self.cells.get_mut(id.0 as usize) else {
                continue;
            };
            let takes_part = !node.frozen && !node.dead && node.kind != CellKind::Var;
            if takes_part && node.state == CellState::Clean {
                node.state = CellState::Dirty;
            }
            if takes_part && node.state == CellState::Dirty && dirty.insert(id) {
                work.extend_from_slice(&node.dependents);
            }
        }
        dirty.into_iter().collect()
    }
}

impl Machine {
    /// Something that the interaction waited for is done, with this value.
    pub fn interaction_step(
        &mut self,
        routine: &mut Routine,
        mut work: Box<Interaction>,
        value: Value,
    ) -> Result<Next, Failure> {
        match &work.phase {
            Phase::Start => {
                work.result = value;
                work.phase = Phase::Force(self.sheet.begin_pass());
            }
            Phase::Guards => {
                if let Some(observer) = work.observer.take() {
                    match value {
                        Value::Bool(true) => work.pending.push_back(observer),
                        Value::Bool(false) | Value::Undefined => {}
                        other => {
                            self.undo_interaction(*work);
                            return Err(Failure::condition(&other));
                        }
                    }
                }
            }
            _ => {}
        }
        loop {
            match &mut work.phase {
                // Left above.
                Phase::Start => return Err(Failure::internal("interaction starts twice")),
                Phase::Force(dirty) => match dirty.pop_front() {
                    Some(id) => {
                        if self
                            .sheet
                            .cell(id)
                            .is_some_and(|c| c.state == CellState::Dirty)
                        {
                            routine.natives.push(Native::Interaction(work));
                            return self.force(routine, id, false);
                        }
                    }
                    None => {
                        self.sheet.propagating = false;
                        work.phase = Phase::Initialize;
                    }
                },
                Phase::Initialize => {
                    if self.sheet.created.is_empty() {
                        self.find_observers(&mut work);
                        work.phase = Phase::Guards;
                        continue;
                    }
                    let instance = self.sheet.created.remove(0);
                    work.fresh.insert(instance);
                    let module = self.sheet.instances[instance.0 as usize].module;
                    let initializer = self.loaded.program.modules[module.index()].initializer;
                    if let Some(body) = initializer {
                        routine.natives.push(Native::Interaction(work));
                        return self.enter(
                            routine,
                            body.0,
                            instance,
                            None,
                            Vec::new(),
                            Native::RET,
                        );
                    }
                }
                Phase::Guards => match work.queue.pop_front() {
                    Some(observer) => {
                        let (instance, index) = observer;
                        let module = self.sheet.instances[instance.0 as usize].module;
                        let guard =
                            self.loaded.program.modules[module.index()].observers[index].guard;
                        match guard {
                            Some(guard) => {
                                work.observer = Some(observer);
                                routine.natives.push(Native::Interaction(work));
                                return self.enter(
                                    routine,
                                    guard.0,
                                    instance,
                                    None,
                                    Vec::new(),
                                    Native::RET,
                                );
                            }
                            None => work.pending.push_back(observer),
                        }
                    }
                    None => {
                        let nothing = work.pending.is_empty()
                            && self.sheet.assigned.is_empty()
                            && self.sheet.created.is_empty();
                        if nothing {
                            let result = work.result.take();
                            self.finish_interaction(&work);
                            return Ok(Next::Value(result, Native::RET));
                        }
                        work.fired.extend(work.pending.iter().copied());
                        work.phase = Phase::Bodies;
                    }
                },
                Phase::Bodies => {
                    if let Some((instance, index)) = work.observer.take() {
                        let pass = self.sheet.pass;
                        if let Some(i) = self.sheet.instances.get_mut(instance.0 as usize) {
                            i.observed[index] = Some(pass);
                        }
                    }
                    match work.pending.pop_front() {
                        Some((instance, index)) => {
                            let module = self.sheet.instances[instance.0 as usize].module;
                            let body =
                                self.loaded.program.modules[module.index()].observers[index].body;
                            work.observer = Some((instance, index));
                            routine.natives.push(Native::Interaction(work));
                            return self.enter(
                                routine,
                                body.0,
                                instance,
                                None,
                                Vec::new(),
                                Native::RET,
                            );
                        }
                        None => work.phase = Phase::Force(self.sheet.begin_pass()),
                    }
                }
            }
        }
    }

    /// Observers to be considered after this pass, in creation order.
    fn find_observers(&self, work: &mut Interaction) {
        let pass = self.sheet.pass;
        let singletons = self.loaded.program.modules.len();
        for (number, instance) in self.sheet.instances.iter().enumerate().skip(singletons) {
            let id = InstanceId(number as u32);
            let module = &self.loaded.program.modules[instance.module.index()];
            for (index, observer) in module.observers.iter().enumerate() {
                if work.fired.contains(&(id, index)) {
                    continue;
                }
                let due = if observer.watched.is_empty() {
                    work.fresh.contains(&id)
                } else {
                    observer.watched.iter().any(|slot| {
                        self.sheet
                            .cell_in(id, slot.0)
                            .and_then(|cell| self.sheet.cell(cell))
                            .is_some_and(|cell| cell.updated == pass && !cell.dead)
                    })
                };
                if due {
                    work.queue.push_back((id, index));
                }
            }
        }
        work.fresh.clear();
    }

    fn finish_interaction(&mut self, work: &Interaction) {
        self.sheet.journal.clear();
        self.sheet.evaluated.clear();
        self.updated_since = work.start_pass;
        for warning in std::mem::take(&mut self.sheet.warnings) {
            self.surroundings.log(warning);
        }
    }

    /// Brings everything back to the state before the interaction.
    pub fn undo_interaction(&mut self, work: Interaction) {
        let sheet = &mut self.sheet;
        sheet.propagating = false;
        for id in std::mem::take(&mut sheet.assigned) {
            if let Some(node) = sheet.cells.get_mut(id.0 as usize) {
                node.assigned = false;
            }
        }
        sheet.created.clear();
        sheet.cells.truncate(work.start_cells);
        for (id, saved) in std::mem::take(&mut sheet.journal) {
            sheet.restore(id, saved);
        }
        for (instance, slot) in std::mem::take(&mut sheet.evaluated) {
            if (instance.0 as usize) < work.start_instances {
                sheet.reset_slot(instance, slot);
            }
        }
        sheet.instances.truncate(work.start_instances);
        let cells = work.start_cells;
        for node in &mut sheet.cells {
            node.dependents.retain(|id| (id.0 as usize) < cells);
            if node.state != CellState::Clean {
                // It was marked or begun in this interaction: before, it was clean.
                node.state = CellState::Clean;
            }
        }
        if let Some(view) = sheet.views.last_mut() {
            view.environments.truncate(work.start_environments);
            let instances = work.start_instances;
            view.statics.retain(|_, id| (id.0 as usize) < instances);
            if view.top.is_some_and(|top| top.0 as usize >= instances) {
                view.top = None;
            }
        }
        for warning in std::mem::take(&mut sheet.warnings) {
            self.surroundings.log(warning);
        }
    }
}
