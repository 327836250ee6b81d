//! Calls: frames, function values with too few or too many arguments, builtins
//! and foreign functions, and where results go.

use std::rc::Rc;

use mix_value::msgpack::DecodeError;

use crate::boundary::{ForeignCall, Host, HostFailure, Pending, Reply, short_way};
use crate::failure::Failure;
use crate::heap::stream::Source;
use crate::heap::{Callable, Case, Function, InstanceId, Stream, Value};
use crate::interpreter::intrinsic::Intrinsic;
use crate::interpreter::window::NARROW;
use crate::loaded::{Entry, Foreign, Short};
use crate::machine::{
    FIRST_REGISTERS, Frame, MAX_FRAMES, MAX_REGISTERS, Machine, Native, Next, Opening, Ret,
    Routine, Wait,
};
use crate::routine::Block;
use crate::sheet::SlotState;
use crate::wire::Decoder;

/// `RT_STACK`.
pub(super) fn stack_failure() -> Failure {
    Failure::new("RT_STACK", "stack limit exceeded")
}

/// Makes room for a frame with so many registers at `base`, and for the window above it.
pub(super) fn make_room(
    stack: &mut Vec<Value>,
    base: usize,
    registers: u16,
) -> Result<(), Failure> {
    let end = base + usize::from(registers).max(NARROW);
    if stack.len() < end {
        grow(stack, end)?;
    }
    Ok(())
}

#[cold]
fn grow(stack: &mut Vec<Value>, end: usize) -> Result<(), Failure> {
    if end > MAX_REGISTERS {
        return Err(stack_failure());
    }
    let length = (end * 2).clamp(FIRST_REGISTERS, MAX_REGISTERS);
    stack.resize(length, Value::Undefined);
    Ok(())
}

impl Routine {
    /// First register above all frames.
    pub fn top(&self, machine: &Machine) -> usize {
        self.frames.last().map_or(0, |frame| {
            let function = &machine.loaded.program.functions[frame.function as usize];
            frame.base as usize + usize::from(function.registers)
        })
    }
}

impl Machine {
    /// Starts a compiled function with its arguments.
    pub fn enter(
        &mut self,
        routine: &mut Routine,
        function: u32,
        instance: InstanceId,
        closure: Option<Rc<Function>>,
        arguments: Vec<Value>,
        ret: Ret,
    ) -> Result<Next, Failure> {
        let base = routine.top(self);
        let code = &self.loaded.program.functions[function as usize];
        if routine.frames.len() >= MAX_FRAMES {
            return Err(stack_failure());
        }
        make_room(&mut routine.stack, base, code.registers)?;
        for (register, argument) in routine.stack[base..].iter_mut().zip(arguments) {
            *register = argument;
        }
        routine.frames.push(Frame {
            function,
            pc: 0,
            // `make_room` limits the registers far below 2^32.
            base: base as u32,
            instance,
            ret,
            closure,
        });
        Ok(Next::Run)
    }

    /// Applies a function value to arguments, at least one.
    pub fn apply(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        callee: &Value,
        mut arguments: Vec<Value>,
        ret: Ret,
    ) -> Result<Next, Failure> {
        let Value::Function(function) = callee else {
            let kind = callee.kind();
            return Err(
                Failure::new("RT_NOT_FUNCTION", format!("{kind} cannot be called"))
                    .with("kind", kind),
            );
        };
        let mut function = Rc::clone(function);
        let arity = usize::from(function.arity);
        if arguments.len() < arity {
            // Below the arity, which is a byte.
            let missing = function.arity - arguments.len() as u8;
            let target = Callable::Partial {
                callee: function,
                arguments,
            };
            let partial = Function {
                arity: missing,
                target,
            };
            return Ok(Next::Value(Value::Function(Rc::new(partial)), ret));
        }
        let mut ret = ret;
        if arguments.len() > arity {
            let rest = arguments.split_off(arity);
            routine.natives.push(Native::Apply {
                arguments: rest,
                ret,
            });
            ret = Native::RET;
        }
        // Partial applications hold their first arguments.
        while let Callable::Partial {
            callee,
            arguments: first,
        } = &function.target
        {
            let mut all = first.clone();
            all.append(&mut arguments);
            arguments = all;
            function = Rc::clone(callee);
        }
        match &function.target {
            Callable::Closure {
                function: number,
                instance,
                ..
            } => {
                let (number, instance) = (*number, *instance);
                self.enter(routine, number, instance, Some(function), arguments, ret)
            }
            // Taken off just above.
            Callable::Partial { .. } => Err(Failure::internal("partial application")),
            Callable::Constructor(name) => match arguments.pop() {
                Some(argument) if !argument.is_undefined() => Ok(Next::Value(
                    Value::Case(Case::new(name.clone(), Some(argument))),
                    ret,
                )),
                _ => Err(Failure::undefined_stored("a case")),
            },
            Callable::Builtin(number) => {
                self.call_builtin(routine, host, *number, &mut arguments, ret)
            }
            Callable::Foreign(number) => {
                // A function without arguments is applied to one null.
                let params = self.loaded.program.imports[*number as usize].params;
                arguments.truncate(usize::from(params));
                self.call_foreign(routine, host, *number, &arguments, ret)
            }
            Callable::Module(module) => self.instantiate(routine, *module, arguments, ret),
        }
    }

    /// Runs a builtin.
    pub fn call_builtin(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        number: u32,
        arguments: &mut [Value],
        ret: Ret,
    ) -> Result<Next, Failure> {
        match self.loaded.builtins[number as usize] {
            Entry::Function(function) | Entry::Quick(_, function) => Ok(Next::Value(
                function(&mut self.surroundings, arguments)?,
                ret,
            )),
            Entry::Intrinsic(intrinsic) => {
                self.call_intrinsic(routine, host, intrinsic, arguments, ret)
            }
            Entry::Unused => Err(Failure::internal("builtin is not linked")),
        }
    }

    fn call_intrinsic(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        intrinsic: Intrinsic,
        arguments: &mut [Value],
        ret: Ret,
    ) -> Result<Next, Failure> {
        if let (Intrinsic::AgentCall, [Value::Bool(persistent), Value::Text(agent), params]) =
            (intrinsic, &*arguments)
        {
            return self.call_agent(*persistent, agent.as_str(), params, ret);
        }
        if let Intrinsic::Co(what) = intrinsic {
            return self.co(routine, host, what, arguments, ret);
        }
        let argument = arguments.first_mut().map(Value::take).unwrap_or_default();
        let stream = |value: Value| match value {
            Value::Stream(stream) => Ok(stream),
            Value::Undefined => Err(Failure::undefined("the stream")),
            other => Err(Failure::expected("ERR_EXPECTED_STREAM", "a stream", &other)),
        };
        let function = |value: Value| match value {
            Value::Function(function) => Ok(function),
            Value::Undefined => Err(Failure::undefined("the function")),
            other => Err(Failure::expected(
                "ERR_EXPECTED_FUNCTION",
                "a function",
                &other,
            )),
        };
        match intrinsic {
            // Done above.
            Intrinsic::Co(_) => Err(Failure::internal("builtin of co")),
            Intrinsic::AgentCall => Err(Failure::internal("arguments of an agent")),
            Intrinsic::StreamNext => self.pull(routine, host, &stream(argument)?, ret),
            Intrinsic::StreamIsEmpty => {
                let stream = stream(argument)?;
                if !stream.buffered.borrow().is_undefined() {
                    return Ok(Next::Value(Value::Bool(false), ret));
                }
                routine.natives.push(Native::IsEmpty {
                    stream: Rc::clone(&stream),
                    ret,
                });
                self.pull(routine, host, &stream, Native::RET)
            }
            Intrinsic::StreamToArray => {
                let stream = stream(argument)?;
                let items = Vec::new();
                routine.natives.push(Native::Collect {
                    stream: Rc::clone(&stream),
                    items,
                    ret,
                });
                self.pull(routine, host, &stream, Native::RET)
            }
            Intrinsic::SessionPrint => Ok(Next::Value(Value::text(self.printed(&argument)), ret)),
            Intrinsic::SessionKeep => {
                let kept = match crate::wire::encode(&argument) {
                    Ok(bytes) if !argument.is_undefined() => Value::binary(bytes),
                    _ => Value::Null,
                };
                Ok(Next::Value(kept, ret))
            }
            Intrinsic::StreamGenerate => {
                let source = Source::Generator(function(argument)?);
                Ok(Next::Value(Value::Stream(Stream::new(source)), ret))
            }
            Intrinsic::StreamLazy => {
                let source = Source::Lazy(function(argument)?);
                Ok(Next::Value(Value::Stream(Stream::new(source)), ret))
            }
        }
    }

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

    /// Brings a value to its place and does what follows from it. What a native receives costs
    /// fuel, so that natives that only call each other end with it: a value is given back that
    /// has not reached its place when the fuel is used up. At least one native goes on.
    pub fn settle(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        next: Next,
    ) -> Result<Next, Failure> {
        let mut next = next;
        loop {
            match next {
                Next::Value(value, Ret::Reg(register)) => {
                    let Some(frame) = routine.frames.last() else {
                        return Err(Failure::internal("result without a frame"));
                    };
                    let place = frame.base as usize + usize::from(register);
                    routine.stack[place] = value;
                    return Ok(Next::Run);
                }
                Next::Value(value, Ret::Native) => {
                    let Some(native) = routine.natives.pop() else {
                        return Err(Failure::internal("result without a receiver"));
                    };
                    next = self.receive(routine, host, native, value)?;
                    if let Some(limit) = &self.loaded.memory {
                        limit.check()?;
                    }
                    self.fuel = self.fuel.saturating_sub(1);
                    if self.fuel == 0 && matches!(next, Next::Value(_, Ret::Native)) {
                        return Ok(next);
                    }
                }
                other => return Ok(other),
            }
        }
    }

    fn receive(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        native: Native,
        value: Value,
    ) -> Result<Next, Failure> {
        match native {
            Native::Root | Native::Held(_) => {
                let value = match native {
                    Native::Held(value) => value,
                    _ => value,
                };
                let is_main = self.scheduler.running == self.scheduler.main;
                if is_main && self.scheduler.has_foreground() {
                    routine.natives.push(Native::Held(value));
                    return Ok(self.park(Block::Foreground));
                }
                Ok(Next::Done(value))
            }
            Native::ForceAgain(cell) => self.force(routine, cell, false),
            Native::SlotAgain { instance, slot } => match self.sheet.slot(instance, slot) {
                SlotState::Value(_) => Ok(Next::Value(Value::Null, Native::RET)),
                _ => self.evaluate_slot(routine, instance, slot, false),
            },
            Native::PullAgain { stream, ret } => self.pull_now(routine, host, &stream, ret),
            Native::Guard { mutex, ret } => {
                self.unlock(&mutex, self.scheduler.running);
                Ok(Next::Value(value, ret))
            }
            Native::Apply { arguments, ret } => self.apply(routine, host, &value, arguments, ret),
            Native::Slot {
                instance,
                slot,
                again,
            } => {
                self.sheet.store_slot(instance, slot, value);
                Ok(if again {
                    Next::Run
                } else {
                    Next::Value(Value::Null, Native::RET)
                })
            }
            Native::Generated { stream, ret } => Ok(Machine::generated(&stream, value, ret)),
            Native::Lazy { stream, ret } => self.lazy_made(routine, host, &stream, value, ret),
            Native::Chain { stream, ret } => self.chained(routine, host, &stream, value, ret),
            Native::Collect {
                stream,
                mut items,
                ret,
            } => {
                if value.is_undefined() {
                    return Ok(Next::Value(Value::array(items), ret));
                }
                items.push(value);
                self.collect(routine, host, stream, items, ret)
            }
            Native::IsEmpty { stream, ret } => {
                let empty = value.is_undefined();
                if !empty {
                    stream.buffered.replace(value);
                }
                Ok(Next::Value(Value::Bool(empty), ret))
            }
            Native::Force(force) => self.forced(routine, force, value),
            Native::Memo(work) => self.memo_step(routine, host, work, value),
            Native::Attach(attach) => self.attach(routine, *attach, value),
            Native::Instantiate(work) => self.instance_step(routine, work),
            Native::Interaction(work) => self.interaction_step(routine, work, value),
            Native::Midway(work) => self.midway_step(routine, work),
        }
    }
}

impl Native {
    /// For results that go to a native.
    pub const RET: Ret = Ret::Native;
}

/// Longest message of a foreign function that a program sees, in characters.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// A failure of a foreign function as a runtime error. The codes of the language itself are not its to
/// choose (some of them end the run), and what it says may be shown on a terminal.
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
