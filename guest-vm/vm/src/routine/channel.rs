//! Channels: queues of values from routines to a routine. They have no bound of their own;
//! the memory of the run is one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Block, Resume, RoutineId, State};
use crate::failure::Failure;
use crate::heap::{Opaque, Value};
use crate::machine::{Machine, Next, Ret};

/// A channel.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    queue: RefCell<VecDeque<Value>>,
    /// No more values are written.
    ended: Cell<bool>,
    /// Its owner has ended: nobody will read.
    dead: Cell<bool>,
    /// The routine that took it for good.
    owner: Cell<RoutineId>,
    /// The routine that waits for a value.
    reader: Cell<RoutineId>,
}

impl Drop for Channel {
    fn drop(&mut self) {
        crate::heap::release(self.queue.take().into());
    }
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// A waiting reader goes on with it.
    Read,
    /// It is in the queue.
    Queued,
    /// Nobody will read it.
    Dead,
}

impl Channel {
    /// A new channel as a value of the program.
    pub fn value() -> Value {
        Value::opaque(Opaque::Object {
            name: "channel",
            object: Box::new(Rc::new(Channel::default())),
        })
    }

    /// The routine waits for a value.
    pub fn begin_read(&self, id: RoutineId) {
        self.reader.set(id);
    }

    /// Number of values that wait.
    pub fn length(&self) -> usize {
        self.queue.borrow().len()
    }

    /// True if another routine is to read it.
    fn belongs_to_other(&self, id: RoutineId) -> bool {
        [self.owner.get(), self.reader.get()]
            .iter()
            .any(|owner| *owner != 0 && *owner != id)
    }
}

impl Machine {
    /// Takes the next value, undefined after the end mark.
    pub(crate) fn read_channel(&mut self, channel: &Rc<Channel>, ret: Ret) -> Next {
        if channel.belongs_to_other(self.scheduler.running) {
            return Next::Exit;
        }
        // The queue is borrowed for this statement only.
        let first = channel.queue.borrow_mut().pop_front();
        match first {
            Some(value) => Next::Value(value, ret),
            None if channel.ended.get() || channel.dead.get() => Next::Value(Value::Undefined, ret),
            None => {
                let channel = Rc::clone(channel);
                self.park(Block::Read { channel, ret })
            }
        }
    }

    /// Appends a value; a waiting reader becomes ready.
    pub(super) fn put(&mut self, channel: &Channel, value: Value) -> Result<Put, Failure> {
        if value.is_undefined() {
            return Err(Failure::undefined("a value of a channel"));
        }
        if channel.dead.get() {
            return Ok(Put::Dead);
        }
        if channel.ended.get() {
            return Err(Failure::new(
                "ERR_CHANNEL_CLOSED",
                "the channel has its end mark already",
            ));
        }
        match self.waiting_reader(channel) {
            Some((id, ret)) => {
                self.scheduler.wake(id, Resume::Value(value, ret));
                Ok(Put::Read)
            }
            None => {
                channel.queue.borrow_mut().push_back(value);
                Ok(Put::Queued)
            }
        }
    }

    /// The reader that waits, which does so no longer.
    fn waiting_reader(&self, channel: &Channel) -> Option<(RoutineId, Ret)> {
        let id = channel.reader.replace(0);
        match &self.scheduler.entries.get(&id)?.state {
            State::Waiting(Block::Read { ret, .. }, _) => Some((id, *ret)),
            _ => None,
        }
    }

    /// Marks the end.
    pub(super) fn end_channel(&mut self, channel: &Channel) {
        channel.ended.set(true);
        if let Some((id, ret)) = self.waiting_reader(channel) {
            self.scheduler
                .wake(id, Resume::Value(Value::Undefined, ret));
        }
    }

    /// The owner has ended.
    pub(super) fn bury_channel(&mut self, channel: &Channel) {
        channel.dead.set(true);
        channel.owner.set(0);
        if let Some((id, ret)) = self.waiting_reader(channel) {
            self.scheduler
                .wake(id, Resume::Value(Value::Undefined, ret));
        }
    }

    /// The running routine takes a channel until it ends.
    pub(super) fn own_channel(&mut self, channel: &Rc<Channel>, ret: Ret) -> Next {
        let id = self.scheduler.running;
        if channel.belongs_to_other(id) {
            return Next::Exit;
        }
        if channel.owner.replace(id) != id
            && let Some(entry) = self.scheduler.entries.get_mut(&id)
        {
            // Channels that are gone are forgotten now and then.
            if entry.owned.len().is_power_of_two() {
                entry.owned.retain(|channel| channel.strong_count() > 0);
            }
            entry.owned.push(Rc::downgrade(channel));
        }
        Next::Value(Value::Null, ret)
    }

    /// The end of a routine marks the end of a channel.
    pub(super) fn feed_channel(&mut self, channel: &Rc<Channel>, id: RoutineId) {
        match self.scheduler.entries.get_mut(&id) {
            Some(entry) => entry.feeds.push(Rc::downgrade(channel)),
            None => self.end_channel(channel),
        }
    }
}

/// The channel that a value is.
pub(super) fn of_value(value: &Value) -> Result<&Rc<Channel>, Failure> {
    match value {
        Value::Opaque(object) => match &**object {
            Opaque::Object { object, .. } => object.downcast_ref(),
            _ => None,
        },
        Value::Undefined => return Err(Failure::undefined("the channel")),
        _ => None,
    }
    .ok_or_else(|| Failure::expected("ERR_EXPECTED_OPAQUE", "a channel", value))
}
