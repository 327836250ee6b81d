//! Streams whose items a function of the host gives in parts, each an array of a mark and items
//! behind it. The mark is what the next part is asked with, null if there is none (`wit/ffi`).
//!
//! A part is asked for when the one before is used up, and by the short way where there is one, so
//! a long answer costs a crossing for many items, and who takes a few items fetches few.

use std::rc::Rc;

use mix_value::msgpack::{Reader, Writer};

use crate::boundary::{ForeignCall, Host, Pending, Reply, parts, short_way};
use crate::failure::Failure;
use crate::heap::stream::{Rest, Source};
use crate::heap::value::Array;
use crate::heap::{Stream, Value};
use crate::loaded::Way;
use crate::machine::{Machine, Next, Opening, Ret, Routine, Wait};
use crate::routine::Block;

/// Most items of the second part, and of any.
const FIRST_WANTED: u32 = 1_000;
const MOST_WANTED: u32 = 2_000;

impl Rest {
    /// The arguments for a part of so many items; 0: none is wanted any longer.
    pub fn arguments(&self, at_most: u32) -> Vec<u8> {
        let mut args = self.args.clone();
        Writer::new(&mut args).int(at_most.into());
        args
    }

    /// How the rest of a call with these encoded arguments is had.
    fn of(way: Way, args: &[u8]) -> Result<Rest, Failure> {
        let mut head = Vec::with_capacity(32);
        let written = Writer::new(&mut head).array(parts::NEXT_PARAMS.into());
        let mut reader = Reader::new(args);
        let subject = reader.next().and_then(|_| reader.raw_value());
        match (written, subject) {
            (Ok(()), Ok(subject)) => head.extend_from_slice(subject),
            _ => return Err(Failure::internal("arguments that are no array")),
        }
        Ok(Rest {
            way,
            mark: head.len(),
            args: head,
            at_most: FIRST_WANTED,
        })
    }

    fn set_mark(&mut self, mark: &Value) -> Result<(), Failure> {
        self.args.truncate(self.mark);
        crate::wire::encode_into(&mut self.args, mark)
    }
}

impl Machine {
    /// Calls a function whose items come in parts.
    pub(super) fn open(
        &mut self,
        host: &mut dyn Host,
        first: Way,
        opening: Opening,
    ) -> Result<Next, Failure> {
        // Calls begin in the order in which they are made.
        if let Some(short) = first.short
            && self.requests.is_empty()
            && let Some(part) = self.by_short_way(host, short, &opening.args)?
        {
            let stream = self.stream_of(&opening, part)?;
            return Ok(Next::Value(Value::Stream(stream), opening.ret));
        }
        let args = opening.args.clone();
        Ok(self.start_part(first, args, Wait::FirstPart(Box::new(opening))))
    }

    /// Starts a function that gives a part.
    pub(super) fn start_part(&mut self, way: Way, args: Vec<u8>, wait: Wait) -> Next {
        let call = self.new_call();
        self.requests.push(Pending::Start {
            call,
            function: way.index,
            args,
        });
        self.park(Block::Call { call, wait })
    }

    /// The first part of a stream has come, or is not to be had.
    pub(super) fn opened(&mut self, opening: Opening, reply: Reply) -> Result<Next, Failure> {
        match reply {
            Reply::Failed(failure) if failure.code == short_way::CLOSED => {
                let call = self.new_call();
                self.requests.push(Pending::Start {
                    call,
                    function: opening.whole,
                    args: opening.args,
                });
                let wait = Wait::Result(opening.ret);
                Ok(self.park(Block::Call { call, wait }))
            }
            reply => {
                let part = self.part_of(reply)?;
                let stream = self.stream_of(&opening, part)?;
                Ok(Next::Value(Value::Stream(stream), opening.ret))
            }
        }
    }

    fn part_of(&mut self, reply: Reply) -> Result<Value, Failure> {
        match reply {
            Reply::One(bytes) => self.decode(&bytes),
            Reply::Failed(failure) => Err(super::foreign::host_failure(failure)),
            Reply::Many(stream) => {
                self.dropped_streams.borrow_mut().push(stream);
                Err(no_part())
            }
            Reply::Batch { .. } => Err(Failure::internal("a batch answers a call")),
        }
    }

    /// The stream that begins with a part.
    fn stream_of(&mut self, opening: &Opening, part: Value) -> Result<Rc<Stream>, Failure> {
        let (part, mark) = items_and_mark(part)?;
        let Some(mark) = mark else {
            return Ok(Stream::of_array(part, 1, usize::MAX));
        };
        let mut rest = Rest::of(opening.next, &opening.args)?;
        rest.set_mark(&mark)?;
        Ok(Stream::new(Source::Parts {
            part,
            next: 1,
            rest: Some(rest),
            left: Rc::clone(&self.left_parts),
        }))
    }

    /// Fetches a part of a stream if that can be done without waiting. An empty part is not
    /// waited for here: others have their turn first.
    pub(super) fn take_part_at_once(
        &mut self,
        host: &mut dyn Host,
        stream: &Rc<Stream>,
        way: Way,
        args: &Vec<u8>,
    ) -> Result<bool, Failure> {
        let Some(short) = way.short else {
            return Ok(false);
        };
        let part = self.by_short_way(host, short, args);
        let taken = part.and_then(|part| match part {
            Some(part) => take_part(stream, part),
            None => Ok(false),
        });
        taken.map_err(|failure| super::pull::fail(stream, failure))
    }

    /// A part of a stream has come.
    pub(super) fn accept_part(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        stream: &Rc<Stream>,
        reply: Reply,
        ret: Ret,
    ) -> Result<Next, Failure> {
        stream.busy.set(false);
        let part = self.part_of(reply);
        match part.and_then(|part| take_part(stream, part)) {
            Ok(_) => self.pull(routine, host, stream, ret),
            Err(failure) => Err(super::pull::fail(stream, failure)),
        }
    }

    /// Says of which streams no further parts are needed.
    pub fn leave_parts(&mut self, host: &mut dyn Host) {
        let left = self.left_parts.take();
        for rest in left {
            let args = rest.arguments(0);
            let short = rest
                .way
                .short
                .map(|short| host.call(&mut ForeignCall::new(short.index, &args)));
            let is_done = short.is_some_and(
                |done| !matches!(done, Err(failure) if failure.code == short_way::CLOSED),
            );
            if !is_done {
                // Nobody waits for its answer.
                let call = self.new_call();
                self.requests.push(Pending::Start {
                    call,
                    function: rest.way.index,
                    args,
                });
            }
        }
    }
}

/// Puts a part in the place of the one that is used up; false if it is empty and more follow.
fn take_part(stream: &Rc<Stream>, value: Value) -> Result<bool, Failure> {
    let (items, mark) = items_and_mark(value)?;
    let Source::Parts {
        part, next, rest, ..
    } = &mut *stream.source.borrow_mut()
    else {
        return Err(Failure::internal("a part of a stream that has none"));
    };
    let has_items = items.items().len() > 1;
    (*part, *next) = (items, 1);
    match (mark, rest.as_mut()) {
        (Some(mark), Some(rest)) => {
            rest.set_mark(&mark)?;
            rest.at_most = (rest.at_most * 2).min(MOST_WANTED);
            Ok(has_items)
        }
        _ => {
            *rest = None;
            Ok(true)
        }
    }
}

/// The array of a part, and its mark if more follow.
fn items_and_mark(part: Value) -> Result<(Array, Option<Value>), Failure> {
    let Value::Array(part) = part else {
        return Err(no_part());
    };
    let mark = part.items().first().cloned().ok_or_else(no_part)?;
    let mark = Some(mark).filter(|mark| !matches!(mark, Value::Null));
    Ok((part, mark))
}

fn no_part() -> Failure {
    Failure::new(
        "ERR_INTERNAL",
        "a plugin sent something else in the place of a part of a stream",
    )
}
