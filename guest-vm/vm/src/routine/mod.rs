//! Routines: threads of Mix control that take turns (stdlib 2.31).
//!
//! One routine runs at a time, until it waits, yields or ends; then the one that has been
//! ready for longest goes on. The main routine carries out the present interaction and lies
//! in the session; all others lie here. A routine that waits has left a [`Block`] that says
//! what for, one that is ready a [`Resume`] that says how it goes on.
//!
//! - *foreground* routines belong to the interaction, which ends after them;
//! - *background* routines go on while the session lives;
//! - *sources* pull the streams of live cells while there is no interaction.
//!
//! While a pass evaluates formulas, only the main routine and those that the formulas
//! started run: the others never see cells of which some are new and some are old.
//!
//! - this file: who there is, who is next
//! - [`channel`], [`mutex`]: what routines wait for
//! - [`builtin`]: the functions that module `co` is made of
//! - [`ending`]: returning, failing, being ended; [`deadlock`]: when nobody can go on

pub(crate) mod builtin;
mod channel;
mod deadlock;
mod ending;
mod mutex;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};

use crate::boundary::{Host, Reply};
use crate::failure::Failure;
use crate::heap::{CellId, InstanceId, Opaque, Stream, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine, Uncaught, Wait};
use crate::sheet::{CellState, Sheet, SlotState};

pub(crate) use channel::Channel;
pub(crate) use mutex::Mutex;

/// Most routines of a session at a time.
pub(crate) const MAX_ROUTINES: usize = 10_000;

/// Number of a routine, unique in its session; 0 is none.
pub(crate) type RoutineId = u64;

/// Who runs, who is ready, who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    entries: BTreeMap<RoutineId, Entry>,
    /// Those that can go on, in the order in which they became ready.
    ready: VecDeque<RoutineId>,
    /// Those of them that stand still while formulas are evaluated.
    frozen: VecDeque<RoutineId>,
    /// Sources of live cells that can go on.
    sources: VecDeque<RoutineId>,
    /// While formulas are evaluated: routines before this one stand still.
    mark: Option<RoutineId>,
    /// Which routine waits for the answer to a request.
    calls: BTreeMap<u64, RoutineId>,
    /// Requests whose answers nobody waits for any longer.
    canceled: Vec<u64>,
    /// Those that wait until another routine has computed something.
    busy: VecDeque<RoutineId>,
    last: RoutineId,
    /// Counts the waits.
    order: u64,
    /// The routine that runs.
    pub running: RoutineId,
    /// The routine of the present interaction.
    pub main: RoutineId,
    /// Number of foreground routines.
    foreground: usize,
    /// Number of source routines.
    source_count: usize,
    /// Number of the present interaction.
    generation: u64,
}

/// What a routine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It carries out the interaction.
    Main,
    /// It belongs to the interaction.
    Foreground,
    /// It belongs to the session.
    Background,
    /// It pulls the stream of a live cell.
    Source(CellId),
}

#[derive(Debug)]
struct Entry {
    /// Empty while it runs, and for the main routine.
    routine: Routine,
    role: Role,
    state: State,
    /// View in which it was made.
    view: u32,
    /// Interaction in which it was made.
    generation: u64,
    /// It ends when it waits next.
    doomed: bool,
    /// Called with an uncaught error and the routine.
    on_error: Option<Value>,
    handle: Rc<Handle>,
    /// Channels that die with it.
    owned: Vec<Weak<Channel>>,
    /// Channels that end with it.
    feeds: Vec<Weak<Channel>>,
    /// Mutexes that it holds.
    held: Vec<Rc<Mutex>>,
}

#[derive(Debug)]
enum State {
    Running,
    Ready(Resume),
    /// The number counts the waits of the session.
    Waiting(Block, u64),
}

/// How a routine goes on.
#[derive(Debug)]
pub(crate) enum Resume {
    /// With the next instruction.
    Run,
    /// With a value for this place.
    Value(Value, Ret),
    /// With an error.
    Fail(Failure),
    /// With the answer to a request.
    Answer(Wait, Reply),
    /// With a call, all that it does.
    Call(Value, Vec<Value>),
    /// By pulling an element, all that it does.
    Pull(Rc<Stream>),
}

/// What a routine waits for.
#[derive(Debug)]
pub(crate) enum Block {
    /// The answer to a request.
    Call { call: u64, wait: Wait },
    /// A value of a channel.
    Read { channel: Rc<Channel>, ret: Ret },
    /// A mutex.
    Lock { mutex: Rc<Mutex>, ret: Ret },
    /// The end of a routine that it called.
    Join { handle: Rc<Handle>, ret: Ret },
    /// The end of all foreground routines.
    Foreground,
    /// Something that another routine computes.
    Busy { what: Busy, resume: Retry },
}

/// What another routine computes.
#[derive(Clone, Debug)]
pub(crate) enum Busy {
    /// A value def.
    Slot(InstanceId, u32),
    /// A cell.
    Cell(CellId),
    /// An element of a stream.
    Stream(Rc<Stream>),
}

/// How a routine tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The instruction is run again.
    Instruction,
    /// The topmost native does it.
    Native,
}

/// What programs hold of a routine.
#[derive(Debug)]
pub(crate) struct Handle {
    pub id: RoutineId,
    /// Somebody asks for its result: its errors are none of the interaction.
    called: bool,
    /// The routine that waits for its end.
    joiner: Cell<RoutineId>,
    /// How it ended, if it was called.
    end: RefCell<Option<End>>,
}

/// How a routine ended.
#[derive(Debug)]
pub(crate) enum End {
    Returned(Value),
    Failed(Uncaught),
    /// By `exit`, or it was ended.
    Exited,
    /// Its time was over.
    Expired,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(End::Returned(value)) = self.end.take() {
            crate::heap::release(vec![value]);
        }
    }
}

impl Handle {
    /// The value of a program.
    fn value(self: &Rc<Self>) -> Value {
        Value::opaque(Opaque::Object {
            name: "routine",
            object: Box::new(Rc::clone(self)),
        })
    }
}

impl Scheduler {
    /// The routine of a new interaction, which runs.
    pub fn begin_main(&mut self, view: u32) {
        self.generation += 1;
        let generation = self.generation;
        let id = self
            .add(Routine::default(), Role::Main, view, generation, false)
            .id;
        self.main = id;
        self.running = id;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.state = State::Running;
        }
    }

    /// The interaction has begun: its routine goes on when it has its turn.
    pub fn main_begun(&mut self, resume: Resume) {
        self.running = 0;
        let main = self.main;
        let runs = |entry: &Entry| matches!(entry.state, State::Running);
        if self.entries.get(&main).is_some_and(runs) {
            self.wake(main, resume);
        }
    }

    fn add(
        &mut self,
        routine: Routine,
        role: Role,
        view: u32,
        generation: u64,
        called: bool,
    ) -> Rc<Handle> {
        self.last += 1;
        let id = self.last;
        let handle = Rc::new(Handle {
            id,
            called,
            joiner: Cell::new(0),
            end: RefCell::new(None),
        });
        match role {
            Role::Foreground => self.foreground += 1,
            Role::Source(_) => self.source_count += 1,
            Role::Main | Role::Background => {}
        }
        self.entries.insert(
            id,
            Entry {
                routine,
                role,
                state: State::Ready(Resume::Run),
                view,
                generation,
                doomed: false,
                on_error: None,
                handle: Rc::clone(&handle),
                owned: Vec::new(),
                feeds: Vec::new(),
                held: Vec::new(),
            },
        );
        handle
    }

    /// A new routine, ready but not yet run.
    pub fn spawn(
        &mut self,
        role: Role,
        view: u32,
        called: bool,
        resume: Resume,
    ) -> Result<Rc<Handle>, Failure> {
        if self.entries.len() > MAX_ROUTINES {
            return Err(Failure::new(
                "ERR_TOO_LARGE",
                format!("more than {MAX_ROUTINES} routines at a time"),
            ));
        }
        // What a background routine starts is not undone with an interaction.
        let generation = match self.entries.get(&self.running) {
            Some(entry) => entry.generation,
            None => 0,
        };
        let handle = self.add(Routine::default(), role, view, generation, called);
        self.wake(handle.id, resume);
        Ok(handle)
    }

    /// Makes a routine ready.
    fn wake(&mut self, id: RoutineId, resume: Resume) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.state = State::Ready(resume);
        let stands_still = self.mark.is_some_and(|mark| id < mark) && id != self.main;
        let queue = match entry.role {
            Role::Source(_) => &mut self.sources,
            _ if stands_still => &mut self.frozen,
            _ => &mut self.ready,
        };
        queue.push_back(id);
    }

    /// Says how a routine that is ready goes on.
    fn set_resume(&mut self, id: RoutineId, resume: Resume) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.state = State::Ready(resume);
        }
    }

    /// The routine that goes on; sources only if there is no interaction.
    pub fn next(&mut self, idle: bool) -> Option<RoutineId> {
        loop {
            let id = match self.ready.pop_front() {
                Some(id) => id,
                None if idle => self.sources.pop_front()?,
                None => return None,
            };
            // Routines that were ended stay in the queue.
            if self.is_ready(id) {
                return Some(id);
            }
        }
    }

    fn is_ready(&self, id: RoutineId) -> bool {
        let ready = |entry: &Entry| matches!(entry.state, State::Ready(_));
        self.entries.get(&id).is_some_and(ready)
    }

    /// True if another routine could go on now.
    fn has_ready(&self) -> bool {
        self.ready.iter().any(|id| self.is_ready(*id))
    }

    /// Gives a routine its turn: its state, how it goes on and its view.
    pub fn take_turn(&mut self, id: RoutineId) -> Option<(Routine, Resume, u32)> {
        let entry = self.entries.get_mut(&id)?;
        let State::Ready(resume) = std::mem::replace(&mut entry.state, State::Running) else {
            return None;
        };
        self.running = id;
        Some((std::mem::take(&mut entry.routine), resume, entry.view))
    }

    /// Keeps the state of a routine whose turn is over.
    pub fn keep(&mut self, id: RoutineId, routine: Routine) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.routine = routine;
        }
    }

    /// The routine has used up the time of the session's turn: it goes on first.
    pub fn interrupted(&mut self, id: RoutineId, resume: Resume) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.state = State::Ready(resume);
        match entry.role {
            Role::Source(_) => self.sources.push_front(id),
            _ => self.ready.push_front(id),
        }
    }

    /// Number of routines other than the main one and the sources.
    pub fn count(&self) -> usize {
        let main = usize::from(self.entries.contains_key(&self.main));
        self.entries.len() - main - self.source_count
    }

    /// Number of source routines.
    pub fn source_count(&self) -> usize {
        self.source_count
    }

    /// All source routines with their cells.
    pub fn sources(&self) -> Vec<(RoutineId, CellId)> {
        let entries = self.entries.iter();
        entries
            .filter_map(|(id, entry)| match entry.role {
                Role::Source(cell) => Some((*id, cell)),
                _ => None,
            })
            .collect()
    }

    /// What a routine is for.
    pub fn role(&self, id: RoutineId) -> Option<Role> {
        self.entries.get(&id).map(|entry| entry.role)
    }

    /// True if the interaction waits for foreground routines.
    pub fn has_foreground(&self) -> bool {
        self.foreground > 0
    }

    /// True if an answer can come that lets somebody go on.
    pub fn awaits_answer(&self) -> bool {
        match self.mark {
            None => !self.calls.is_empty(),
            Some(mark) => (self.calls.values()).any(|id| *id >= mark || *id == self.main),
        }
    }

    /// True if somebody waits for the answer to this request.
    pub fn awaits(&self, call: u64) -> bool {
        self.calls.contains_key(&call)
    }

    /// Requests whose answers nobody waits for any longer, named once.
    pub fn canceled(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.canceled)
    }

    /// Formulas are evaluated from now on.
    pub fn freeze(&mut self) {
        let mark = self.last + 1;
        self.mark = Some(mark);
        let main = self.main;
        let (frozen, ready) = std::mem::take(&mut self.ready)
            .into_iter()
            .partition(|id| *id < mark && *id != main);
        self.frozen = frozen;
        self.ready = ready;
    }

    /// All formulas are evaluated.
    pub fn thaw(&mut self) {
        if self.mark.take().is_none() {
            return;
        }
        let later = std::mem::replace(&mut self.ready, std::mem::take(&mut self.frozen));
        self.ready.extend(later);
    }

    /// True if the running routine ends at its next wait.
    pub fn is_doomed(&self) -> bool {
        (self.entries.get(&self.running)).is_some_and(|entry| entry.doomed)
    }

    /// An answer has come; gives it back if nobody waits for it.
    pub fn answer(&mut self, call: u64, reply: Reply) -> Option<Reply> {
        let Some(id) = self.calls.remove(&call) else {
            return Some(reply);
        };
        let Some(entry) = self.entries.get_mut(&id) else {
            return Some(reply);
        };
        match std::mem::replace(&mut entry.state, State::Running) {
            State::Waiting(Block::Call { wait, .. }, _) => {
                self.wake(id, Resume::Answer(wait, reply));
                None
            }
            other => {
                entry.state = other;
                Some(reply)
            }
        }
    }

    /// The running routine waits.
    fn wait(&mut self, block: Block) {
        let id = self.running;
        match &block {
            Block::Call { call, .. } => {
                self.calls.insert(*call, id);
            }
            Block::Read { channel, .. } => channel.begin_read(id),
            Block::Lock { mutex, .. } => mutex.queue(id),
            Block::Join { handle, .. } => handle.joiner.set(id),
            Block::Busy { .. } => self.busy.push_back(id),
            Block::Foreground => {}
        }
        self.order += 1;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.state = State::Waiting(block, self.order);
        }
    }

    /// True if a routine waits until another one has computed something.
    pub fn anything_wanted(&self) -> bool {
        !self.busy.is_empty()
    }

    /// True if a routine waits for an element of the stream.
    pub fn is_wanted(&self, stream: &Rc<Stream>) -> bool {
        self.busy.iter().any(|id| {
            let state = self.entries.get(id).map(|entry| &entry.state);
            matches!(state, Some(State::Waiting(Block::Busy { what: Busy::Stream(other), .. }, _))
                if Rc::ptr_eq(other, stream))
        })
    }

    /// Wakes those that waited for something that is computed now.
    pub fn retry(&mut self, sheet: &Sheet) {
        if self.busy.is_empty() {
            return;
        }
        let mut taken: Vec<*const Stream> = Vec::new();
        for id in std::mem::take(&mut self.busy) {
            let Some(State::Waiting(Block::Busy { what, resume }, _)) =
                self.entries.get(&id).map(|entry| &entry.state)
            else {
                continue;
            };
            let free = match what {
                Busy::Slot(instance, slot) => {
                    !matches!(sheet.slot(*instance, *slot), SlotState::Evaluating)
                }
                Busy::Cell(cell) => sheet
                    .cell(*cell)
                    .is_none_or(|node| node.state != CellState::Evaluating),
                // One after the other gets its element.
                Busy::Stream(stream) => {
                    let free = !stream.busy.get() && !taken.contains(&Rc::as_ptr(stream));
                    taken.push(Rc::as_ptr(stream));
                    free
                }
            };
            if !free {
                self.busy.push_back(id);
                continue;
            }
            let resume = match resume {
                Retry::Instruction => Resume::Run,
                Retry::Native => Resume::Value(Value::Null, Native::RET),
            };
            self.wake(id, resume);
        }
    }
}

impl Machine {
    /// The running routine waits, or ends if it was to end at its next wait.
    pub(crate) fn park(&mut self, block: Block) -> Next {
        if self.scheduler.is_doomed() {
            return Next::Exit;
        }
        self.scheduler.wait(block);
        Next::Wait
    }

    /// The running routine waits until another one has computed something.
    pub(crate) fn wait_for(&mut self, what: Busy, resume: Retry) -> Next {
        self.park(Block::Busy { what, resume })
    }

    /// The running routine lets the others go first.
    pub(crate) fn yield_turn(&mut self, ret: Ret) -> Next {
        if self.scheduler.is_doomed() {
            return Next::Exit;
        }
        if !self.scheduler.has_ready() {
            return Next::Value(Value::Null, ret);
        }
        let id = self.scheduler.running;
        self.scheduler.wake(id, Resume::Value(Value::Null, ret));
        Next::Wait
    }
}

impl Machine {
    /// How a routine goes on that gets its turn.
    pub(crate) fn resume(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        resume: Resume,
    ) -> Result<Next, Failure> {
        match resume {
            Resume::Run => Ok(Next::Run),
            Resume::Value(value, ret) => Ok(Next::Value(value, ret)),
            Resume::Fail(failure) => Err(failure),
            Resume::Answer(wait, reply) => self.answer(routine, host, wait, reply),
            Resume::Call(function, arguments) => {
                routine.natives.push(Native::Root);
                self.apply(routine, host, &function, arguments, Native::RET)
            }
            Resume::Pull(stream) => {
                routine.natives.push(Native::Root);
                self.pull(routine, host, &stream, Native::RET)
            }
        }
    }
}

impl Routine {
    /// True if this routine computes it, so that waiting for it would be a circle.
    pub fn computes(&self, what: &Busy) -> bool {
        self.natives
            .iter()
            .rev()
            .any(|native| match (what, native) {
                (Busy::Slot(of, number), Native::Slot { instance, slot, .. }) => {
                    of == instance && number == slot
                }
                (Busy::Cell(cell), Native::Force(force)) => *cell == force.cell,
                (
                    Busy::Stream(busy),
                    Native::Generated { stream, .. }
                    | Native::Lazy { stream, .. }
                    | Native::Chain { stream, .. },
                ) => Rc::ptr_eq(busy, stream),
                _ => false,
            })
    }
}
