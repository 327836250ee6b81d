//! One interaction: what starts it, passes, initializers, observers, and the
//! way back when it fails (language 4.12, 4.13).

use std::collections::{BTreeSet, VecDeque};

use super::{CellState, Sheet, Signal, Undo};
use crate::failure::Failure;
use crate::heap::{CellId, InstanceId, Value};
use crate::machine::{Machine, Native, Next, Routine};
use crate::routine::Block;

/// An interaction in progress.
#[derive(Debug)]
pub(crate) struct Interaction {
    phase: Phase,
    /// Value of what started it.
    result: Value,
    /// What starts the first pass besides assigned cells.
    signal: Signal,
    /// Numbers of instances, cells and environments before it.
    start_instances: usize,
    start_cells: usize,
    start_environments: usize,
    start_events: usize,
    /// Instances that were made since the last look at observers.
    fresh: BTreeSet<InstanceId>,
    fired: BTreeSet<(InstanceId, usize)>,
    queue: VecDeque<(InstanceId, usize)>,
    pending: VecDeque<(InstanceId, usize)>,
    /// The observer whose guard or body runs.
    observer: Option<(InstanceId, usize)>,
    /// Public cells of top instances that were updated.
    told: Vec<CellId>,
}

#[derive(Debug)]
enum Phase {
    /// What started it runs.
    Start,
    /// Foreground routines run to their end before the next pass.
    Join,
    /// Dirty cells are evaluated; the next one has this position.
    Force(Vec<CellId>, usize),
    /// Initializers run.
    Initialize,
    /// A guard has run, or none yet.
    Guards,
    /// Bodies of observers run.
    Bodies,
}

impl Interaction {
    /// The interaction before anything has run.
    pub fn new(sheet: &mut Sheet, signal: Signal) -> Box<Self> {
        sheet.interaction += 1;
        sheet.first_new_cell = sheet.cells.len();
        Box::new(Self {
            phase: Phase::Start,
            result: Value::Undefined,
            signal,
            start_instances: sheet.instances.len(),
            start_cells: sheet.cells.len(),
            start_environments: sheet.view().map_or(0, |view| view.environments.len()),
            start_events: sheet.event_cells.len(),
            fresh: BTreeSet::new(),
            fired: BTreeSet::new(),
            queue: VecDeque::new(),
            pending: VecDeque::new(),
            observer: None,
            told: Vec::new(),
        })
    }

    /// What was made so far stays, whatever fails.
    pub(super) fn settle(&mut self, sheet: &Sheet) {
        self.start_instances = sheet.instances.len();
        self.start_cells = sheet.cells.len();
        self.start_environments = sheet.view().map_or(0, |view| view.environments.len());
        self.start_events = sheet.event_cells.len();
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

impl Machine {
    /// Something that the interaction waited for is done, with this value.
    pub fn interaction_step(
        &mut self,
        routine: &mut Routine,
        mut work: Box<Interaction>,
        value: Value,
    ) -> Result<Next, Failure> {
        let loaded = std::rc::Rc::clone(&self.loaded);
        match &work.phase {
            Phase::Start => {
                work.result = value;
                work.phase = Phase::Join;
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
                Phase::Join => {
                    if self.scheduler.has_foreground() {
                        routine.natives.push(Native::Interaction(work));
                        return Ok(self.park(Block::Foreground));
                    }
                    let signal = std::mem::take(&mut work.signal);
                    work.phase = Phase::Force(self.sheet.begin_pass(&loaded, signal), 0);
                    self.scheduler.freeze();
                }
                Phase::Force(dirty, next) => match dirty.get(*next).copied() {
                    Some(id) => {
                        *next += 1;
                        // One that another routine evaluates is waited for.
                        let open = |c: &super::CellNode| {
                            matches!(c.state, CellState::Dirty | CellState::Evaluating)
                        };
                        if self.sheet.cell(id).is_some_and(open) {
                            routine.natives.push(Native::Interaction(work));
                            return self.force(routine, id, false);
                        }
                    }
                    None => {
                        self.sheet.propagating = false;
                        self.scheduler.thaw();
                        self.sheet.bury_unreached();
                        work.phase = Phase::Initialize;
                    }
                },
                Phase::Initialize => {
                    if self.sheet.created.is_empty() {
                        // What initializers assigned is propagated before observers look.
                        if self.sheet.has_assigned() {
                            work.phase = Phase::Join;
                            continue;
                        }
                        self.find_observers(&mut work);
                        work.phase = Phase::Guards;
                        continue;
                    }
                    let instance = self.sheet.created.remove(0);
                    let of = &self.sheet.instances[instance.0 as usize];
                    if of.dead {
                        continue;
                    }
                    work.fresh.insert(instance);
                    let initializer = loaded.program.modules[of.module.index()].initializer;
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
                        match loaded.program.modules[module.index()].observers[index].guard {
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
                        let sheet = &self.sheet;
                        let nothing = work.pending.is_empty()
                            && !sheet.has_assigned()
                            && !sheet.has_recent()
                            && sheet.created.is_empty();
                        if nothing && self.scheduler.has_foreground() {
                            work.phase = Phase::Join;
                            continue;
                        }
                        if nothing {
                            let result = work.result.take();
                            self.finish_interaction(*work);
                            return Ok(Next::Value(result, Native::RET));
                        }
                        work.fired.extend(work.pending.iter().copied());
                        work.phase = Phase::Bodies;
                    }
                },
                Phase::Bodies => {
                    if let Some((instance, index)) = work.observer.take() {
                        self.note_observer_run(instance, index);
                    }
                    match work.pending.pop_front() {
                        Some((instance, index)) => {
                            let module = self.sheet.instances[instance.0 as usize].module;
                            let description = &loaded.program.modules[module.index()];
                            let body = description.observers[index].body;
                            if self.surroundings.trace {
                                let name = &loaded.program.functions[body.index()].name;
                                let line = format!("debug: {name} of {} runs", description.name);
                                self.surroundings.log(line);
                            }
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
                        None => {
                            work.phase = Phase::Join;
                        }
                    }
                }
            }
        }
    }

    fn note_observer_run(&mut self, instance: InstanceId, index: usize) {
        let pass = self.sheet.pass;
        let place = self
            .sheet
            .instances
            .get_mut(instance.0 as usize)
            .and_then(|instance| instance.observed.get_mut(index));
        if let Some(place) = place {
            let before = place.replace(pass);
            // A verified module has fewer than 2^32 observers.
            self.sheet
                .undo
                .push(Undo::Observed(instance, index as u32, before));
        }
    }

    /// Observers to be considered after this pass, in creation order.
    fn find_observers(&mut self, work: &mut Interaction) {
        let mut due = self.sheet.take_watchers(&self.loaded, &mut work.told);
        for instance in std::mem::take(&mut work.fresh) {
            let module = self.sheet.instances[instance.0 as usize].module;
            let observers = &self.loaded.program.modules[module.index()].observers;
            let always = observers
                .iter()
                .enumerate()
                .filter(|(_, observer)| observer.watched.is_empty());
            due.extend(always.map(|(index, _)| (instance, index)));
        }
        let sheet = &self.sheet;
        work.queue.extend(due.into_iter().filter(|observer| {
            !work.fired.contains(observer) && !sheet.instances[observer.0.0 as usize].dead
        }));
    }

    fn finish_interaction(&mut self, work: Interaction) {
        self.surroundings.metrics.action_ends();
        let sheet = &mut self.sheet;
        sheet.forget_undo();
        for id in work.told {
            let view = sheet
                .cell(id)
                .and_then(|node| sheet.instances.get(node.instance.0 as usize))
                .map(|instance| instance.view as usize);
            if let Some(view) = view.and_then(|view| sheet.views.get_mut(view)) {
                view.unseen.push(id);
            }
        }
        for warning in std::mem::take(&mut self.sheet.warnings) {
            self.surroundings.log(warning);
        }
    }

    /// Brings everything back to the state before the interaction.
    pub fn undo_interaction(&mut self, work: Interaction) {
        self.surroundings.metrics.action_ends();
        self.scheduler.thaw();
        let sheet = &mut self.sheet;
        sheet.propagating = false;
        for id in std::mem::take(&mut sheet.assigned) {
            if let Some(node) = sheet.node_mut(id) {
                node.assigned = false;
            }
        }
        sheet.created.clear();
        sheet.recent.clear();
        sheet.left.clear();
        sheet.owners.clear();
        // Cells that are dropped are no readers of others any longer.
        for number in work.start_cells..sheet.cells.len() {
            // The sheet has fewer than 2^32 cells.
            let id = CellId(number as u32);
            sheet.retarget(id, None);
            sheet.drop_records(id);
        }
        for change in std::mem::take(&mut sheet.undo).into_iter().rev() {
            sheet.take_back(change, work.start_cells);
        }
        for (id, saved) in std::mem::take(&mut sheet.journal) {
            sheet.restore(id, saved);
        }
        for id in std::mem::take(&mut sheet.marked) {
            // It was marked or begun in this interaction: before, it was clean.
            if let Some(node) = sheet.node_mut(id) {
                node.state = CellState::Clean;
            }
        }
        sheet.cells.truncate(work.start_cells);
        sheet.event_cells.truncate(work.start_events);
        for (instance, slot) in std::mem::take(&mut sheet.evaluated) {
            if (instance.0 as usize) < work.start_instances {
                sheet.reset_slot(instance, slot);
            }
        }
        let made = sheet.instances.split_off(work.start_instances);
        if let Some(view) = sheet.view_mut() {
            for instance in made {
                if let Some(number) = view.numbers.get_mut(&instance.module.0) {
                    *number -= 1;
                }
            }
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

impl Sheet {
    /// What happened so far is not taken back.
    pub(super) fn forget_undo(&mut self) {
        self.journal.clear();
        self.undo.clear();
        self.evaluated.clear();
        self.marked.clear();
    }

    /// Forgets what is kept beside the node of a cell that is dropped.
    fn drop_records(&mut self, id: CellId) {
        self.owned.remove(&id);
        self.memos.remove(&id);
        for source in self.gathers.remove(&id).unwrap_or_default() {
            self.unlink(source, id);
        }
        self.detach_live(id);
    }

    fn take_back(&mut self, change: Undo, start_cells: usize) {
        let is_new = |id: CellId| (id.0 as usize) >= start_cells;
        match change {
            Undo::Observed(instance, index, before) => {
                let place = self
                    .instances
                    .get_mut(instance.0 as usize)
                    .and_then(|instance| instance.observed.get_mut(index as usize));
                if let Some(place) = place {
                    *place = before;
                }
            }
            Undo::Died(instance) => {
                if let Some(instance) = self.instances.get_mut(instance.0 as usize) {
                    instance.dead = false;
                }
            }
            Undo::Owned(id, owned) if !is_new(id) => {
                self.owned.insert(id, owned);
            }
            Undo::Memos(id, memos) if !is_new(id) => {
                self.memos.insert(id, memos);
            }
            Undo::Gathers(id, sources) if !is_new(id) => {
                for source in self.gathers.remove(&id).unwrap_or_default() {
                    self.unlink(source, id);
                }
                self.connect_gather(id, sources);
            }
            Undo::Scopes(scopes) => self.scopes = scopes,
            Undo::Live(id, source) if !is_new(id) => {
                self.live.retain(|live| live.cell != id);
                self.live.extend(source.map(|source| *source));
            }
            Undo::Owned(..) | Undo::Memos(..) | Undo::Gathers(..) | Undo::Live(..) => {}
        }
    }
}
