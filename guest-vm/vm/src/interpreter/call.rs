//! Calls: frames, function values with too few or too many arguments, builtins, and where results go.

use std::rc::Rc;

use crate::boundary::Host;
use crate::failure::Failure;
use crate::heap::stream::Source;
use crate::heap::{Callable, Case, Function, InstanceId, Stream, Value, room};
use crate::interpreter::intrinsic::Intrinsic;
use crate::interpreter::window::NARROW;
use crate::loaded::Entry;
use crate::machine::{
    FIRST_REGISTERS, Frame, MAX_FRAMES, MAX_REGISTERS, Machine, Native, Next, Ret, Routine,
};
use crate::routine::Block;
use crate::sheet::SlotState;

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
                room::push(&mut items, value)?;
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
