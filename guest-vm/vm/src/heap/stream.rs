//! Streams: mutable cursors whose elements are computed when pulled.
//!
//! A stream value only holds its state. Pulling is done by the interpreter
//! (module `pull`), because an element may be computed by Mix code that may
//! itself wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::release::release;
use super::value::{Array, Callable, Function, InstanceId, Value, whole};
use crate::failure::Failure;
use crate::loaded::Way;
use crate::routine::Channel;

/// A stream; copies of the value share the cursor.
#[derive(Debug)]
pub struct Stream {
    /// Element that an emptiness test has computed; undefined if none.
    pub(crate) buffered: RefCell<Value>,
    /// What produces the elements.
    pub(crate) source: RefCell<Source>,
    /// True while an element is being computed.
    pub(crate) busy: Cell<bool>,
}

/// What produces the elements of a stream.
#[derive(Debug)]
pub(crate) enum Source {
    /// No more elements.
    Ended,
    /// An earlier pull failed; every later one fails the same.
    Failed(Failure),
    /// Elements of an array from `next` to before `end`.
    Array {
        array: Array,
        next: usize,
        end: usize,
    },
    /// Values that are there.
    Values(VecDeque<Value>),
    /// One stream after the other; never empty.
    Chain(VecDeque<Rc<Stream>>),
    /// The function gives the next element, or undefined at the end.
    Generator(Rc<Function>),
    /// The function gives the stream, at the first pull.
    Lazy(Rc<Function>),
    /// What is read from a channel.
    Channel(Rc<Channel>),
    /// A stream of the host: elements come in batches.
    Host {
        /// Number of the stream.
        id: u64,
        /// Elements of the last batch.
        ready: VecDeque<Value>,
        /// True if no batch follows.
        ended: bool,
        /// Where the end of the stream's life is reported.
        dropped: Rc<RefCell<Vec<u64>>>,
    },
    /// Items that a function of the host gives in parts.
    Parts {
        /// The last part: its mark, and items behind it.
        part: Array,
        /// Its items from here on are left.
        next: usize,
        /// How the next part is had, if there is one.
        rest: Option<Rest>,
        /// Where the end of the stream's life is reported.
        left: Rc<RefCell<Vec<Rest>>>,
    },
}

/// How the next part of a stream is had.
#[derive(Debug)]
pub(crate) struct Rest {
    pub way: Way,
    /// Its arguments but for the last one, encoded: the head of their array, what the stream was
    /// asked of, the mark of the last part.
    pub args: Vec<u8>,
    /// Where the mark begins.
    pub mark: usize,
    /// Most items to ask for.
    pub at_most: u32,
}

impl Stream {
    pub(crate) fn new(source: Source) -> Rc<Self> {
        Rc::new(Self {
            buffered: RefCell::new(Value::Undefined),
            source: RefCell::new(source),
            busy: Cell::new(false),
        })
    }

    /// A stream of the items of an array from `next` to before `end`.
    #[must_use]
    pub fn of_array(array: Array, next: usize, end: usize) -> Rc<Self> {
        let end = end.min(array.items().len());
        Self::new(Source::Array { array, next, end })
    }

    /// A stream of these values, none of them undefined.
    #[must_use]
    pub fn of_values(values: Vec<Value>) -> Rc<Self> {
        Self::new(Source::Values(values.into()))
    }

    /// A stream of one value.
    #[must_use]
    pub fn singleton(value: Value) -> Rc<Self> {
        Self::of_values(vec![value])
    }

    /// A stream of the values of a channel.
    #[must_use]
    pub(crate) fn of_channel(channel: Rc<Channel>) -> Rc<Self> {
        Self::new(Source::Channel(channel))
    }

    /// The elements of the left stream, then those of the right one; O(1).
    #[must_use]
    pub fn concat(left: &Rc<Self>, right: &Rc<Self>) -> Rc<Self> {
        Self::new(Source::Chain(VecDeque::from([
            Rc::clone(left),
            Rc::clone(right),
        ])))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        match self {
            Source::Values(values) => release(std::mem::take(values).into()),
            Source::Chain(streams) => {
                release(
                    std::mem::take(streams)
                        .into_iter()
                        .map(Value::Stream)
                        .collect(),
                );
            }
            Source::Generator(function) | Source::Lazy(function) => {
                let empty = Function {
                    arity: 1,
                    target: super::value::Callable::Builtin(0),
                };
                release(vec![Value::Function(std::mem::replace(
                    function,
                    Rc::new(empty),
                ))]);
            }
            Source::Host {
                id,
                ready,
                ended,
                dropped,
            } => {
                if !*ended {
                    dropped.borrow_mut().push(*id);
                }
                release(std::mem::take(ready).into());
            }
            Source::Parts { rest, left, .. } => left.borrow_mut().extend(rest.take()),
            Source::Ended | Source::Failed(_) | Source::Array { .. } | Source::Channel(_) => {}
        }
    }
}

impl Stream {
    /// The next element of a stream over an array, undefined at its end; none for other streams.
    #[inline(always)]
    pub(crate) fn next_of_array(&self) -> Option<Value> {
        if !self.buffered.try_borrow().ok()?.is_undefined() {
            return None;
        }
        let mut source = self.source.try_borrow_mut().ok()?;
        let Source::Array { array, next, end } = &mut *source else {
            return None;
        };
        let item = if *next >= *end {
            whole(Value::Undefined)
        } else {
            array.items().get(*next)?.share()
        };
        *next += usize::from(*next < *end);
        Some(item)
    }

    /// The compiled function of a generator that computes nothing at present, and its instance.
    #[inline(always)]
    pub(crate) fn generator(&self) -> Option<(u32, InstanceId)> {
        if self.busy.get() || !self.buffered.try_borrow().ok()?.is_undefined() {
            return None;
        }
        match &*self.source.try_borrow().ok()? {
            Source::Generator(function) => match &function.target {
                Callable::Closure {
                    function: number,
                    instance,
                    ..
                } if function.arity == 1 => Some((*number, *instance)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The function of a generator.
    #[inline(always)]
    pub(crate) fn generator_closure(&self) -> Option<Rc<Function>> {
        match &*self.source.try_borrow().ok()? {
            Source::Generator(function) => Some(Rc::clone(function)),
            _ => None,
        }
    }

    /// The next element if that takes no call: undefined at the end, none if it does.
    pub(crate) fn next_ready(&self) -> Option<Value> {
        let buffered = self.buffered.take();
        if !buffered.is_undefined() {
            return Some(buffered);
        }
        match &mut *self.source.borrow_mut() {
            Source::Ended => Some(Value::Undefined),
            Source::Array { array, next, end } => {
                if *next >= *end {
                    return Some(Value::Undefined);
                }
                let item = array.items().get(*next).cloned();
                *next += 1;
                Some(item.unwrap_or_default())
            }
            Source::Values(values) => Some(values.pop_front().unwrap_or_default()),
            Source::Host { ready, ended, .. } => match ready.pop_front() {
                Some(value) => Some(value),
                None if *ended => Some(Value::Undefined),
                None => None,
            },
            Source::Parts {
                part, next, rest, ..
            } => match part_item(part, next) {
                Some(value) => Some(value),
                None if rest.is_none() => Some(Value::Undefined),
                None => None,
            },
            _ => None,
        }
    }
}

/// The next item of a part.
pub(crate) fn part_item(part: &Array, next: &mut usize) -> Option<Value> {
    let item = part.items().get(*next)?.clone();
    *next += 1;
    Some(item)
}
