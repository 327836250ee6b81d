//! One instruction, whatever it needs: what [`execute`](super::execute) leaves over.
//!
//! Control is handled here: jumps, calls, returns, guarded regions. Instructions
//! that only compute are in [`data`](super::data) and [`rare`](super::rare).

use std::rc::Rc;

use mix_bytecode::{Base, Op, Target};

use super::call::{make_room, stack_failure};
use super::window::{clear, take_range};
use super::{Leave, data, place};
use crate::builtins::args;
use crate::failure::Failure;
use crate::heap::value::InstanceId;
use crate::heap::{Callable, Function, Value};
use crate::loaded::{Entry, Foreign, Loaded};
use crate::machine::{Frame, Handler, MAX_FRAMES, Machine, Ret, Routine};
use crate::operators::{self, Arithmetic};
use crate::sheet::SlotState;

/// Where control goes after an instruction.
pub(super) enum Flow {
    /// To the next instruction.
    Next,
    /// To the target.
    Jump(Target),
    /// To the topmost frame, which is another one now.
    Frame,
    /// Out of the loop: the instruction needs the whole machine.
    Slow,
    /// Out of the loop, for this reason.
    Leave(Leave),
}

/// What runs: the program, the function and its instance.
#[derive(Clone, Copy)]
pub(super) struct Running<'a> {
    pub loaded: &'a Loaded,
    pub function: &'a mix_bytecode::Function,
    pub instance: InstanceId,
    pub base: usize,
}

impl Running<'_> {
    /// Number of registers.
    fn size(&self) -> usize {
        usize::from(self.function.registers)
    }
}

/// Performs the next instruction of the topmost frame; gives the reason if the loop is to be left.
#[inline(never)]
pub(super) fn step(
    machine: &mut Machine,
    routine: &mut Routine,
    loaded: &Loaded,
) -> Result<(), Leave> {
    let Some(frame) = routine.frames.last_mut() else {
        return Err(Leave::Raise(Failure::internal("no frame")));
    };
    let number = frame.function as usize;
    let pc = frame.pc as usize;
    let function = &loaded.program.functions[number];
    let Some(op) = function.code.get(pc) else {
        return Err(Leave::Raise(Failure::internal("no instruction")));
    };
    let running = Running {
        loaded,
        function,
        instance: frame.instance,
        base: frame.base as usize,
    };
    // Whatever happens to the frame, its position is behind the instruction.
    frame.pc += 1;
    // All that allocates comes by here.
    if let Some(limit) = &loaded.memory {
        limit.check().map_err(Leave::Raise)?;
    }
    if matches!(op, Op::CallForeign { .. }) {
        // Not one of those below, which need not all be asked.
        return Err(Leave::Slow(*op));
    }
    match control(machine, routine, running, op) {
        Ok(Flow::Next | Flow::Frame) => Ok(()),
        Ok(Flow::Jump(target)) => {
            if let Some(frame) = routine.frames.last_mut() {
                frame.pc = target.0;
                if target.0 as usize <= pc && !burn(machine) {
                    frame.pc = pc as u32;
                    return Err(Leave::OutOfFuel);
                }
            }
            Ok(())
        }
        Ok(Flow::Slow) => Err(Leave::Slow(*op)),
        Ok(Flow::Leave(leave)) => {
            if let (Leave::OutOfFuel, Some(frame)) = (&leave, routine.frames.last_mut()) {
                // The instruction is run again when there is fuel.
                frame.pc = pc as u32;
            }
            Err(leave)
        }
        Err(failure) => Err(Leave::Raise(failure)),
    }
}

/// Takes a unit of fuel; false if there is none.
fn burn(machine: &mut Machine) -> bool {
    let left = machine.fuel.checked_sub(1);
    machine.fuel = left.unwrap_or(0);
    left.is_some()
}

/// What is called.
struct Callee {
    function: u32,
    instance: InstanceId,
    closure: Option<Rc<Function>>,
}

impl Callee {
    fn new(function: u32, instance: InstanceId) -> Self {
        Self {
            function,
            instance,
            closure: None,
        }
    }

    /// A function of a module with one instance.
    fn of_static(loaded: &Loaded, function: u32) -> Self {
        let module = loaded.program.functions[function as usize].module;
        Self::new(function, InstanceId(module.0))
    }

    /// A plain closure with so many parameters.
    fn of_value(value: &Value, count: u8) -> Option<Self> {
        let Value::Function(target) = value else {
            return None;
        };
        let Callable::Closure {
            function,
            instance,
            captures,
        } = &target.target
        else {
            return None;
        };
        (target.arity == count).then(|| Self {
            function: *function,
            instance: *instance,
            // A function without captured values needs no closure to run.
            closure: (!captures.is_empty()).then(|| Rc::clone(target)),
        })
    }
}

/// Calls a compiled function: arguments move to a new window.
fn call(
    machine: &mut Machine,
    routine: &mut Routine,
    running: Running<'_>,
    callee: Callee,
    (args, count): (Base, u8),
    ret: Ret,
) -> Result<Flow, Failure> {
    let code = &running.loaded.program.functions[callee.function as usize];
    if routine.frames.len() >= MAX_FRAMES {
        return Err(stack_failure());
    }
    let new_base = running.base + running.size();
    make_room(&mut routine.stack, new_base, code.registers)?;
    if !burn(machine) {
        return Ok(Flow::Leave(Leave::OutOfFuel));
    }
    let (caller, window) = routine.stack.split_at_mut(new_base);
    let first = running.base + usize::from(args.0);
    let arguments = &mut caller[first..first + usize::from(count)];
    for (to, from) in window.iter_mut().zip(arguments) {
        *to = from.take();
    }
    routine.frames.push(Frame {
        function: callee.function,
        pc: 0,
        // `make_room` limits the registers far below 2^32.
        base: new_base as u32,
        instance: callee.instance,
        ret,
        closure: callee.closure,
    });
    Ok(Flow::Frame)
}

/// Replaces the frame.
fn tail_call(
    machine: &mut Machine,
    routine: &mut Routine,
    running: Running<'_>,
    callee: Callee,
    (args, count): (Base, u8),
) -> Result<Flow, Failure> {
    let code = &running.loaded.program.functions[callee.function as usize];
    make_room(&mut routine.stack, running.base, code.registers)?;
    if !burn(machine) {
        return Ok(Flow::Leave(Leave::OutOfFuel));
    }
    let registers = &mut routine.stack[running.base..running.base + running.size()];
    let (first, count) = (usize::from(args.0), usize::from(count));
    // Arguments first, then all else is cleared.
    if first > 0 {
        for index in 0..count {
            registers[index] = registers[first + index].take();
        }
    }
    clear(&mut registers[count..]);
    if let Some(frame) = routine.frames.last_mut() {
        frame.function = callee.function;
        frame.pc = 0;
        frame.instance = callee.instance;
        frame.closure = callee.closure;
    }
    Ok(Flow::Frame)
}

/// Ends the running frame with a value.
fn leave(routine: &mut Routine, running: Running<'_>, value: Value) -> Flow {
    clear(&mut routine.stack[running.base..running.base + running.size()]);
    let ret = routine.frames.pop().map(|done| done.ret);
    if let Some(Ret::Reg(register)) = ret
        && let Some(caller) = routine.frames.last()
    {
        let place = caller.base as usize + usize::from(register);
        routine.stack[place] = value;
        return Flow::Frame;
    }
    Flow::Leave(Leave::Return(value))
}

/// Performs an instruction of control; hands on all others.
fn control(
    machine: &mut Machine,
    routine: &mut Routine,
    running: Running<'_>,
    op: &Op,
) -> Result<Flow, Failure> {
    let Running {
        loaded, instance, ..
    } = running;
    let r = &mut routine.stack[running.base..running.base + running.size()];
    let condition = |value: &Value, jumps: bool, target: Target| match value {
        Value::Bool(holds) if *holds == jumps => Ok(Flow::Jump(target)),
        Value::Bool(_) => Ok(Flow::Next),
        other => Err(Failure::condition(other)),
    };
    match *op {
        Op::Jump { target } => Ok(Flow::Jump(target)),
        Op::JumpUnless { src, target } => condition(&r[src.index()], false, target),
        Op::JumpIf { src, target } => condition(&r[src.index()], true, target),
        // Undefined counts as false.
        Op::JumpUnlessTruth { src, target } => match &r[src.index()] {
            Value::Undefined => Ok(Flow::Jump(target)),
            value if args::boolean(value)? => Ok(Flow::Next),
            _ => Ok(Flow::Jump(target)),
        },
        Op::JumpUnlessGuard { src, target } => match &r[src.index()] {
            Value::Undefined => Ok(Flow::Jump(target)),
            value => condition(value, false, target),
        },
        Op::AndJump { src, target } => match &r[src.index()] {
            Value::Bool(false) => Ok(Flow::Jump(target)),
            Value::Bool(true) | Value::Undefined => Ok(Flow::Next),
            other => Err(Failure::one_operand("&&", other)),
        },
        Op::OrJump { src, target } => match &r[src.index()] {
            Value::Bool(true) => Ok(Flow::Jump(target)),
            Value::Bool(false) | Value::Undefined => Ok(Flow::Next),
            other => Err(Failure::one_operand("||", other)),
        },

        Op::Call {
            count,
            dst,
            base,
            function,
        } => {
            let callee = Callee::new(function.0, instance);
            call(
                machine,
                routine,
                running,
                callee,
                (base, count),
                Ret::Reg(dst.0),
            )
        }
        Op::CallStatic {
            count,
            dst,
            base,
            function,
        } => {
            let callee = Callee::of_static(loaded, function.0);
            call(
                machine,
                routine,
                running,
                callee,
                (base, count),
                Ret::Reg(dst.0),
            )
        }
        Op::CallSubInt {
            own,
            count,
            dst,
            base,
            a,
            number,
            function,
        } => {
            let number = Value::Int(i64::from(number));
            let last = operators::arithmetic(Arithmetic::Sub, &r[a.index()], &number)?;
            let callee = if own {
                Callee::new(function.0, instance)
            } else {
                Callee::of_static(loaded, function.0)
            };
            let flow = call(
                machine,
                routine,
                running,
                callee,
                (base, count),
                Ret::Reg(dst.0),
            )?;
            if let (Flow::Frame, Some(frame)) = (&flow, routine.frames.last()) {
                routine.stack[frame.base as usize + usize::from(count)] = last;
            }
            Ok(flow)
        }
        Op::CallMember {
            count,
            dst,
            instance: of,
            base,
            function,
        } => {
            let module = loaded.program.functions[function.index()].module;
            let home = machine.sheet.instance_of(&r[of.index()], module)?;
            let callee = Callee::new(function.0, home);
            call(
                machine,
                routine,
                running,
                callee,
                (base, count),
                Ret::Reg(dst.0),
            )
        }
        Op::TailCall {
            count,
            base,
            function,
        } => {
            let callee = Callee::new(function.0, instance);
            tail_call(machine, routine, running, callee, (base, count))
        }
        Op::TailCallStatic {
            count,
            base,
            function,
        } => {
            let callee = Callee::of_static(loaded, function.0);
            tail_call(machine, routine, running, callee, (base, count))
        }
        Op::TailCallMember {
            count,
            instance: of,
            base,
            function,
        } => {
            let module = loaded.program.functions[function.index()].module;
            let home = machine.sheet.instance_of(&r[of.index()], module)?;
            let callee = Callee::new(function.0, home);
            tail_call(machine, routine, running, callee, (base, count))
        }
        Op::Apply {
            count,
            dst,
            callee,
            base,
        } => {
            if let Some(callee) = Callee::of_value(&r[callee.index()], count) {
                return call(
                    machine,
                    routine,
                    running,
                    callee,
                    (base, count),
                    Ret::Reg(dst.0),
                );
            }
            if !burn(machine) {
                return Ok(Flow::Leave(Leave::OutOfFuel));
            }
            let callee = r[callee.index()].clone();
            Ok(Flow::Leave(Leave::Apply {
                callee,
                arguments: take_range(r, base.0, count),
                ret: Ret::Reg(dst.0),
            }))
        }
        Op::TailApply {
            count,
            callee,
            base,
        } => {
            if let Some(callee) = Callee::of_value(&r[callee.index()], count) {
                return tail_call(machine, routine, running, callee, (base, count));
            }
            if !burn(machine) {
                return Ok(Flow::Leave(Leave::OutOfFuel));
            }
            let callee = r[callee.index()].take();
            let arguments = take_range(r, base.0, count);
            clear(r);
            let ret = routine.frames.pop().map_or(Ret::Native, |frame| frame.ret);
            Ok(Flow::Leave(Leave::Apply {
                callee,
                arguments,
                ret,
            }))
        }
        Op::CallBuiltin {
            count,
            dst,
            base,
            builtin,
        } => {
            if !burn(machine) {
                return Ok(Flow::Leave(Leave::OutOfFuel));
            }
            let (Entry::Function(run) | Entry::Quick(_, run)) = loaded.builtins[builtin.index()]
            else {
                return Ok(Flow::Slow);
            };
            let start = usize::from(base.0);
            let arguments = &mut r[start..start + usize::from(count)];
            let value = run(&mut machine.surroundings, arguments)?;
            clear(arguments);
            r[dst.index()] = value;
            Ok(Flow::Next)
        }
        Op::Return { src } => {
            let value = r[src.index()].take();
            Ok(leave(routine, running, value))
        }
        Op::ReturnAdd { a, b } => {
            // The frame ends, so nothing else needs the left side; unless both are one.
            let left = if a == b {
                r[a.index()].clone()
            } else {
                r[a.index()].take()
            };
            let value = operators::add(left, &r[b.index()])?;
            Ok(leave(routine, running, value))
        }
        Op::ReturnAddInt { a, number } => {
            let number = Value::Int(i64::from(number));
            let value = operators::add(r[a.index()].take(), &number)?;
            Ok(leave(routine, running, value))
        }
        Op::ReturnSub { a, b } => {
            let value = operators::arithmetic(Arithmetic::Sub, &r[a.index()], &r[b.index()])?;
            Ok(leave(routine, running, value))
        }
        Op::ReturnMul { a, b } => {
            let value = operators::arithmetic(Arithmetic::Mul, &r[a.index()], &r[b.index()])?;
            Ok(leave(routine, running, value))
        }
        Op::ReturnDiv { a, b } => {
            let value = operators::arithmetic(Arithmetic::Div, &r[a.index()], &r[b.index()])?;
            Ok(leave(routine, running, value))
        }

        Op::LoadCapture { dst, capture } => {
            let frame = routine.frames.last();
            let captured = frame.and_then(|frame| match &frame.closure.as_deref()?.target {
                Callable::Closure { captures, .. } => captures.get(capture.index()),
                _ => None,
            });
            r[dst.index()] = captured.cloned().unwrap_or_default();
            Ok(Flow::Next)
        }
        Op::Next { dst, src } | Op::NextJump { dst, src, .. } => {
            match place::next(&r[src.index()])? {
                Some(value) => {
                    r[dst.index()] = value;
                    Ok(Flow::Next)
                }
                None => Ok(Flow::Slow),
            }
        }
        // The replacement of a module with instances is evaluated in the own one.
        Op::MakeForeign { dst, import }
            if let Foreign::OwnArm(arm) = loaded.foreign[import.index()] =>
        {
            let callee = Callee::new(arm, instance);
            call(
                machine,
                routine,
                running,
                callee,
                (Base(0), 0),
                Ret::Reg(dst.0),
            )
        }
        Op::TryBegin { dst, target } => {
            routine.handlers.push(Handler {
                frames: routine.frames.len() as u32,
                natives: routine.natives.len() as u32,
                target: target.0,
                dst: dst.0,
            });
            Ok(Flow::Next)
        }
        Op::TryEnd {} => {
            routine.handlers.pop();
            Ok(Flow::Next)
        }
        Op::LoadSlot { dst, slot } => match machine.sheet.slot(instance, slot.0) {
            SlotState::Value(value) => {
                r[dst.index()] = value.clone();
                Ok(Flow::Next)
            }
            _ => Ok(Flow::Slow),
        },
        Op::LoadStatic { dst, module, slot } => {
            match machine.sheet.slot(InstanceId(module.0), slot.0) {
                SlotState::Value(value) => {
                    r[dst.index()] = value.clone();
                    Ok(Flow::Next)
                }
                _ => Ok(Flow::Slow),
            }
        }
        Op::LoadCell { dst, slot } => match machine.sheet.ready_cell(instance, slot.0) {
            Some(value) => {
                r[dst.index()] = value.clone();
                Ok(Flow::Next)
            }
            None => Ok(Flow::Slow),
        },
        _ => data::perform(machine, running, r, op),
    }
}
