//! Foreign functions: calls that are answered at once, calls that are waited for, and what the host says to them.

use std::rc::Rc;

use mix_value::msgpack::DecodeError;

use crate::boundary::{ForeignCall, Host, HostFailure, Pending, Reply, short_way};
use crate::failure::Failure;
use crate::heap::stream::Source;
use crate::heap::{InstanceId, Stream, Value};
use crate::loaded::{Foreign, Short};
use crate::machine::{Machine, Native, Next, Opening, Ret, Routine, Wait};
use crate::routine::Block;
use crate::wire::Decoder;

impl Machine {
    /// Calls or starts a foreign function.
    pub fn call_foreign(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        number: u32,
        arguments: &[Value],
        ret: Ret,
    ) -> Result<Next, Failure> {
        match self.loaded.foreign[number as usize] {
            // A foreign value: the replacement is evaluated in the instance that reads it.
            Foreign::OwnArm(function) => {
                let instance = routine.frames.last().map(|frame| frame.instance);
                let module = self.loaded.program.functions[function as usize].module;
                let home = instance.filter(|home| {
                    let of = self.sheet.instances.get(home.0 as usize);
                    of.is_some_and(|of| of.module == module)
                });
                let Some(home) = home else {
                    return Err(Failure::internal("a replacement without its instance"));
                };
                self.enter(routine, function, home, None, Vec::new(), ret)
            }
            Foreign::Arm(function) => {
                // The arm gives the function, which is then applied.
                let arguments = if arguments.is_empty() {
                    vec![Value::Null]
                } else {
                    arguments.to_vec()
                };
                routine.natives.push(Native::Apply { arguments, ret });
                let module = self.loaded.program.functions[function as usize].module;
                self.enter(
                    routine,
                    function,
                    InstanceId(module.0),
                    None,
                    Vec::new(),
                    Native::RET,
                )
            }
            Foreign::Linked {
                index,
                waits: false,
                ..
            } => {
                let value = self.call_at_once(host, index, arguments)?;
                Ok(Next::Value(value, ret))
            }
            Foreign::Linked {
                index,
                waits: true,
                short,
                parts,
            } => {
                self.surroundings.metrics.foreign_calls += 1;
                let args = crate::wire::encode_arguments(arguments)?;
                if self.scheduler.is_doomed() {
                    return Ok(Next::Exit);
                }
                if let Some(parts) = parts {
                    let opening = Opening {
                        whole: index,
                        next: parts.next,
                        args,
                        ret,
                    };
                    return self.open(host, parts.first, opening);
                }
                // Calls begin in the order in which they are made.
                if let Some(short) = short
                    && self.requests.is_empty()
                    && let Some(value) = self.by_short_way(host, short, &args)?
                {
                    return Ok(Next::Value(value, ret));
                }
                let call = self.new_call();
                self.requests.push(Pending::Start {
                    call,
                    function: index,
                    args,
                });
                let wait = Wait::Result(ret);
                Ok(self.park(Block::Call { call, wait }))
            }
        }
    }

    /// The number at the host of a foreign function that never waits; `None` for any other.
    pub fn at_once(&self, number: u32) -> Option<u32> {
        match self.loaded.foreign[number as usize] {
            Foreign::Linked {
                index,
                waits: false,
                ..
            } => Some(index),
            _ => None,
        }
    }

    /// The answer of a function that may wait, if it has one without waiting.
    pub(super) fn by_short_way(
        &mut self,
        host: &mut dyn Host,
        short: Short,
        args: &Vec<u8>,
    ) -> Result<Option<Value>, Failure> {
        let mut call = ForeignCall::new(short.index, args);
        match host.call(&mut call) {
            Ok(()) => {}
            Err(failure) if failure.code == short_way::CLOSED => return Ok(None),
            Err(failure) => return Err(host_failure(*failure)),
        }
        match (self.decode(&call.answer)?, short.is_stream) {
            (value, false) => Ok(Some(value)),
            (Value::Array(items), true) => {
                let stream = Stream::of_array(items, 0, usize::MAX);
                Ok(Some(Value::Stream(stream)))
            }
            (_, true) => Err(Failure::new(
                "ERR_INTERNAL",
                "a plugin sent a value in the place of the items of a stream",
            )),
        }
    }

    /// Calls a foreign function that never waits, by its number at the host.
    #[inline(always)]
    pub fn call_at_once(
        &mut self,
        host: &mut dyn Host,
        index: u32,
        arguments: &[Value],
    ) -> Result<Value, Failure> {
        self.surroundings.metrics.foreign_calls += 1;
        let args = self.arguments.written(arguments)?;
        let mut call = ForeignCall::new(index, args);
        let result = match host.call(&mut call) {
            Ok(()) => decode(&mut self.decoder, &call.answer),
            Err(failure) => Err(host_failure(*failure)),
        };
        self.arguments.release();
        result
    }

    /// The number of the next request.
    pub fn new_call(&mut self) -> u64 {
        self.next_call += 1;
        self.next_call
    }

    /// A value from the host.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Value, Failure> {
        decode(&mut self.decoder, bytes)
    }

    /// Takes the answer to a request; the routine then goes on from `Next`.
    pub fn answer(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        wait: Wait,
        reply: Reply,
    ) -> Result<Next, Failure> {
        match (wait, reply) {
            (Wait::Result(ret), Reply::One(bytes)) => Ok(Next::Value(self.decode(&bytes)?, ret)),
            (Wait::Result(ret), Reply::Many(id)) => {
                let source = Source::Host {
                    id,
                    ready: std::collections::VecDeque::new(),
                    ended: false,
                    dropped: Rc::clone(&self.dropped_streams),
                };
                Ok(Next::Value(Value::Stream(Stream::new(source)), ret))
            }
            (Wait::Result(_), Reply::Failed(failure)) => Err(host_failure(failure)),
            (Wait::Batch(stream, ret), reply) => {
                self.accept_batch(routine, host, &stream, reply, ret)
            }
            (Wait::FirstPart(opening), reply) => self.opened(*opening, reply),
            (Wait::Part(stream, ret), reply) => {
                self.accept_part(routine, host, &stream, reply, ret)
            }
            (Wait::Result(_), Reply::Batch { .. }) => {
                Err(Failure::internal("a batch answers a call"))
            }
        }
    }
}

/// Longest message of a foreign function that a program sees, in characters.
const LONGEST_MESSAGE: usize = 16 * 1024;

#[inline(always)]
fn decode(decoder: &mut Decoder, bytes: &[u8]) -> Result<Value, Failure> {
    match decoder.decode(bytes) {
        Ok(value) => Ok(value),
        Err(error) => Err(malformed(&error)),
    }
}

#[cold]
fn malformed(error: &DecodeError) -> Failure {
    Failure::new(
        "ERR_INTERNAL",
        format!("a plugin sent a malformed value: {error}"),
    )
}

/// A failure of a foreign function as a runtime error. The codes of the language itself are not its to
/// choose (some of them end the run), and what it says may be shown on a terminal.
#[cold]
pub(crate) fn host_failure(failure: HostFailure) -> Failure {
    let HostFailure { code, message, .. } = failure;
    let is_odd = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    let message = if message.len() > LONGEST_MESSAGE || message.contains(is_odd) {
        let kept = message.chars().take(LONGEST_MESSAGE);
        kept.map(|char| if is_odd(char) { ' ' } else { char })
            .collect()
    } else {
        message
    };
    if is_foreign_code(&code) {
        return Failure::new(code, message);
    }
    let shown: String = code.chars().take(64).collect();
    Failure::new(
        "ERR_INTERNAL",
        format!("a foreign function failed with {shown:?}, which is no code for it: {message}"),
    )
}

/// Whether a foreign function may fail with a code.
fn is_foreign_code(code: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    code.len() <= 64
        && code.starts_with(|first: char| first.is_ascii_uppercase())
        && code.bytes().all(fits)
        && !code.starts_with("RT_")
}
