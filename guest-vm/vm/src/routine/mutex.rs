//! Mutexes: held by one routine, given on in the order of asking.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Block, Resume, RoutineId, State};
use crate::failure::Failure;
use crate::heap::{Opaque, Value};
use crate::machine::{Machine, Next, Ret};

/// A mutex.
#[derive(Debug, Default)]
pub(crate) struct Mutex {
    holder: Cell<RoutineId>,
    waiting: RefCell<VecDeque<RoutineId>>,
}

impl Mutex {
    /// A new mutex as a value of the program.
    pub fn value() -> Value {
        Value::opaque(Opaque::Object {
            name: "mutex",
            object: Box::new(Rc::new(Mutex::default())),
        })
    }

    /// The routine waits for it.
    pub fn queue(&self, id: RoutineId) {
        self.waiting.borrow_mut().push_back(id);
    }

    /// The routine waits no longer.
    pub fn leave(&self, id: RoutineId) {
        self.waiting.borrow_mut().retain(|other| *other != id);
    }

    /// Who holds it, 0 for nobody.
    pub fn holder(&self) -> RoutineId {
        self.holder.get()
    }
}

impl Machine {
    /// The running routine asks for a mutex.
    pub(super) fn lock(&mut self, mutex: &Rc<Mutex>, ret: Ret) -> Result<Next, Failure> {
        let id = self.scheduler.running;
        match mutex.holder.get() {
            0 => {
                self.hold(mutex, id);
                Ok(Next::Value(Value::Null, ret))
            }
            holder if holder == id => Err(Failure::new(
                "ERR_DEADLOCK",
                "the routine locks a mutex that it holds already",
            )),
            _ => {
                let mutex = Rc::clone(mutex);
                Ok(self.park(Block::Lock { mutex, ret }))
            }
        }
    }

    fn hold(&mut self, mutex: &Rc<Mutex>, id: RoutineId) {
        mutex.holder.set(id);
        if let Some(entry) = self.scheduler.entries.get_mut(&id) {
            entry.held.push(Rc::clone(mutex));
        }
    }

    /// A routine gives a mutex back; whoever asked first gets it. False if it does not hold it.
    pub(crate) fn unlock(&mut self, mutex: &Rc<Mutex>, id: RoutineId) -> bool {
        if mutex.holder.get() != id || id == 0 {
            return false;
        }
        mutex.holder.set(0);
        if let Some(entry) = self.scheduler.entries.get_mut(&id) {
            entry.held.retain(|held| !Rc::ptr_eq(held, mutex));
        }
        loop {
            // The queue is borrowed for this statement only.
            let first = mutex.waiting.borrow_mut().pop_front();
            let Some(next) = first else { return true };
            let state = self.scheduler.entries.get(&next).map(|entry| &entry.state);
            if let Some(State::Waiting(Block::Lock { ret, .. }, _)) = state {
                let ret = *ret;
                self.hold(mutex, next);
                self.scheduler.wake(next, Resume::Value(Value::Null, ret));
                return true;
            }
        }
    }
}

/// The mutex that a value is.
pub(super) fn of_value(value: &Value) -> Result<&Rc<Mutex>, Failure> {
    match value {
        Value::Opaque(object) => match &**object {
            Opaque::Object { object, .. } => object.downcast_ref(),
            _ => None,
        },
        Value::Undefined => return Err(Failure::undefined("the mutex")),
        _ => None,
    }
    .ok_or_else(|| Failure::expected("ERR_EXPECTED_OPAQUE", "a mutex", value))
}
