//! Pulling elements of streams. Undefined stands for the end; elements are
//! never undefined.
//!
//! A pull may call Mix code or wait, so it is a chain of [`Native`]s rather than
//! a recursion: streams of streams of any depth use no Rust stack.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::boundary::{Host, Pending, Reply};
use crate::failure::Failure;
use crate::heap::stream::{Source, part_item};
use crate::heap::{Function, Stream, Value, room};
use crate::loaded::Way;
use crate::machine::{Machine, Native, Next, Ret, Routine, Wait};
use crate::routine::{Block, Busy, Channel, Retry};

/// Elements asked of the host at a time.
const BATCH: u32 = 100;

/// What the source says, once its borrow is over.
enum Plan {
    Element(Value),
    End,
    Fail(Failure),
    Call(Rc<Function>),
    MakeLazy(Rc<Function>),
    First(Rc<Stream>),
    Read(Rc<Channel>),
    Fetch(u64),
    NextPart(Way, Vec<u8>),
}

impl Machine {
    /// Pulls one element into `ret`, after those that wait for one already.
    pub fn pull(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        stream: &Rc<Stream>,
        ret: Ret,
    ) -> Result<Next, Failure> {
        if self.scheduler.is_wanted(stream) {
            let stream = Rc::clone(stream);
            let what = Busy::Stream(Rc::clone(&stream));
            routine.natives.push(Native::PullAgain { stream, ret });
            return Ok(self.wait_for(what, Retry::Native));
        }
        self.pull_now(routine, host, stream, ret)
    }

    /// Pulls one element into `ret`.
    pub fn pull_now(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        stream: &Rc<Stream>,
        ret: Ret,
    ) -> Result<Next, Failure> {
        let mut stream = Rc::clone(stream);
        let mut ret = ret;
        loop {
            let buffered = stream.buffered.take();
            if !buffered.is_undefined() {
                return Ok(Next::Value(buffered, ret));
            }
            if stream.busy.get() {
                let what = Busy::Stream(Rc::clone(&stream));
                if !routine.computes(&what) {
                    routine.natives.push(Native::PullAgain { stream, ret });
                    return Ok(self.wait_for(what, Retry::Native));
                }
                return Err(Failure::new(
                    "RT_FAIL",
                    "a stream pulls itself while it computes an element",
                ));
            }
            match plan(&stream) {
                Plan::Element(value) => return Ok(Next::Value(value, ret)),
                Plan::End => return Ok(Next::Value(Value::Undefined, ret)),
                Plan::Fail(failure) => return Err(failure),
                Plan::Call(function) => {
                    stream.busy.set(true);
                    routine.natives.push(Native::Generated { stream, ret });
                    let callee = Value::Function(function);
                    return self.apply(routine, host, &callee, vec![Value::Null], Native::RET);
                }
                Plan::MakeLazy(function) => {
                    stream.busy.set(true);
                    routine.natives.push(Native::Lazy { stream, ret });
                    let callee = Value::Function(function);
                    return self.apply(routine, host, &callee, vec![Value::Null], Native::RET);
                }
                Plan::First(first) => {
                    stream.busy.set(true);
                    routine.natives.push(Native::Chain { stream, ret });
                    stream = first;
                    ret = Native::RET;
                }
                Plan::Read(channel) => return Ok(self.read_channel(&channel, ret)),
                Plan::Fetch(id) => {
                    if self.scheduler.is_doomed() {
                        return Ok(Next::Exit);
                    }
                    stream.busy.set(true);
                    let call = self.new_call();
                    self.requests.push(Pending::Pull {
                        call,
                        stream: id,
                        at_most: BATCH,
                    });
                    let wait = Wait::Batch(stream, ret);
                    return Ok(self.park(Block::Call { call, wait }));
                }
                Plan::NextPart(way, args) => {
                    if self.scheduler.is_doomed() {
                        return Ok(Next::Exit);
                    }
                    if self.take_part_at_once(host, &stream, way, &args)? {
                        continue;
                    }
                    stream.busy.set(true);
                    return Ok(self.start_part(way, args, Wait::Part(stream, ret)));
                }
            }
        }
    }

    /// A generator gave `value`.
    pub(super) fn generated(stream: &Rc<Stream>, value: Value, ret: Ret) -> Next {
        stream.busy.set(false);
        if value.is_undefined() {
            stream.source.replace(Source::Ended);
        }
        Next::Value(value, ret)
    }

    /// A lazy stream gave its stream, from which the first element is pulled.
    pub(super) fn lazy_made(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        stream: &Rc<Stream>,
        value: Value,
        ret: Ret,
    ) -> Result<Next, Failure> {
        stream.busy.set(false);
        let Value::Stream(mut made) = value else {
            return Err(fail(stream, no_stream(&value)));
        };
        // What nobody else holds is taken over, so that a lazy stream of a lazy stream, and so on,
        // is no deeper than one.
        let source = match own(&mut made) {
            Some(source) => std::mem::replace(source, Source::Ended),
            None => Source::Chain(VecDeque::from([made])),
        };
        stream.source.replace(source);
        self.pull(routine, host, stream, ret)
    }

    /// The first stream of a chain gave `value`; at its end the next one is pulled.
    pub(super) fn chained(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        stream: &Rc<Stream>,
        value: Value,
        ret: Ret,
    ) -> Result<Next, Failure> {
        stream.busy.set(false);
        if !value.is_undefined() {
            return Ok(Next::Value(value, ret));
        }
        // The finished stream is dropped only after the borrow.
        let finished = match &mut *stream.source.borrow_mut() {
            Source::Chain(streams) => streams.pop_front(),
            _ => None,
        };
        drop(finished);
        self.pull(routine, host, stream, ret)
    }

    /// Takes as many elements as are there without calls, then pulls on.
    pub(super) fn collect(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        stream: Rc<Stream>,
        mut items: Vec<Value>,
        ret: Ret,
    ) -> Result<Next, Failure> {
        loop {
            match plan(&stream) {
                Plan::Element(value) => room::push(&mut items, value)?,
                Plan::End => return Ok(Next::Value(Value::array(items), ret)),
                _ => break,
            }
        }
        routine.natives.push(Native::Collect {
            stream: Rc::clone(&stream),
            items,
            ret,
        });
        self.pull(routine, host, &stream, Native::RET)
    }

    /// Elements of a stream of the host have come.
    pub(super) fn accept_batch(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        stream: &Rc<Stream>,
        reply: Reply,
        ret: Ret,
    ) -> Result<Next, Failure> {
        stream.busy.set(false);
        let outcome = match reply {
            Reply::Batch { items, end } => {
                let decoded: Result<VecDeque<Value>, Failure> =
                    items.iter().map(|item| self.decode(item)).collect();
                decoded.map(|decoded| (decoded, end))
            }
            Reply::Failed(failure) => Err(super::foreign::host_failure(failure)),
            _ => Err(Failure::internal("a value answers a pull")),
        };
        match outcome {
            Ok((items, end)) => {
                if items.iter().any(Value::is_undefined) {
                    return Err(fail(stream, Failure::undefined("an element of a stream")));
                }
                if let Source::Host { ready, ended, .. } = &mut *stream.source.borrow_mut() {
                    ready.extend(items);
                    *ended = end;
                }
                self.pull(routine, host, stream, ret)
            }
            Err(failure) => Err(fail(stream, failure)),
        }
    }
}

/// Makes every later pull fail the same way.
pub(crate) fn fail(stream: &Rc<Stream>, failure: Failure) -> Failure {
    stream.busy.set(false);
    stream.source.replace(Source::Failed(failure.clone()));
    failure
}

fn plan(stream: &Rc<Stream>) -> Plan {
    let mut source = stream.source.borrow_mut();
    match &mut *source {
        Source::Ended => Plan::End,
        Source::Failed(failure) => Plan::Fail(failure.clone()),
        Source::Array { array, next, end } => {
            if next < end
                && let Some(item) = array.items().get(*next)
            {
                *next += 1;
                return Plan::Element(item.clone());
            }
            Plan::End
        }
        Source::Values(values) => values.pop_front().map_or(Plan::End, Plan::Element),
        Source::Chain(streams) => {
            flatten(streams);
            match streams.front() {
                Some(first) => Plan::First(Rc::clone(first)),
                None => Plan::End,
            }
        }
        Source::Generator(function) => Plan::Call(Rc::clone(function)),
        Source::Lazy(function) => Plan::MakeLazy(Rc::clone(function)),
        Source::Channel(channel) => Plan::Read(Rc::clone(channel)),
        Source::Host {
            id, ready, ended, ..
        } => match ready.pop_front() {
            Some(value) => Plan::Element(value),
            None if *ended => Plan::End,
            None => Plan::Fetch(*id),
        },
        Source::Parts {
            part, next, rest, ..
        } => match (part_item(part, next), rest) {
            (Some(value), _) => Plan::Element(value),
            (None, Some(rest)) => Plan::NextPart(rest.way, rest.arguments(rest.at_most)),
            (None, None) => Plan::End,
        },
    }
}

/// Takes over the parts of a leading chain that nobody else holds, so that
/// long chains cost constant time per element however they are nested.
fn flatten(streams: &mut VecDeque<Rc<Stream>>) {
    while let Some(first) = streams.front_mut() {
        let Some(Source::Chain(parts)) = own(first) else {
            return;
        };
        let parts = std::mem::take(parts);
        streams.pop_front();
        for part in parts.into_iter().rev() {
            streams.push_front(part);
        }
    }
}

/// The source of a stream that nobody else holds or pulls, none if an element of it waits already.
fn own(stream: &mut Rc<Stream>) -> Option<&mut Source> {
    let own = Rc::get_mut(stream)?;
    let is_free = !own.busy.get() && own.buffered.get_mut().is_undefined();
    is_free.then(|| own.source.get_mut())
}

/// A function that shall make a stream gave something else.
fn no_stream(value: &Value) -> Failure {
    match value {
        Value::Undefined => Failure::undefined("the stream"),
        other => Failure::expected("ERR_EXPECTED_STREAM", "a stream", other),
    }
}
