//! The loop over instructions.
//!
//! One `match` in one loop, with the registers of the frame, its code and its
//! position in locals. What is frequent and small is done here: numbers, jumps,
//! calls between compiled functions, reading and changing fields and elements.
//! Everything else is a call of [`rare::perform`], or leaves the loop.

use std::rc::Rc;

use mix_bytecode::{Base, Op};

use super::call;
use super::rare::{self, Flow, Running};
use super::window::{Window, clear, copy, put, take, take_range};
use super::{Leave, place};
use crate::access;
use crate::failure::Failure;
use crate::heap::value::InstanceId;
use crate::heap::{Callable, Case, Function, Map, Opaque, Value};
use crate::loaded::{Entry, Foreign};
use crate::machine::{Frame, Handler, MAX_FRAMES, Machine, Ret, Routine};
use crate::operators::{self, Arithmetic};
use crate::sheet::SlotState;

/// Runs the topmost frame and all that it calls directly, while their functions fit the window.
#[allow(
    clippy::too_many_lines,
    clippy::float_cmp,
    reason = "one loop, one match: that is what makes it fast; numbers are compared as the language says"
)]
pub(super) fn execute<W: Window + ?Sized>(machine: &mut Machine, routine: &mut Routine) -> Leave {
    let loaded = Rc::clone(&machine.loaded);
    let functions = &loaded.program.functions[..];
    let constants = &loaded.constants[..];
    let mut fuel = machine.fuel;
    let mut pc = 0;

    let why = 'run: {
        'frame: loop {
            let Some(frame) = routine.frames.last() else {
                break 'run Leave::Raise(Failure::internal("no frame"));
            };
            let number = frame.function as usize;
            let function = &functions[number];
            let code = &function.code[..];
            let base = frame.base as usize;
            let size = usize::from(function.registers);
            let instance = frame.instance;
            pc = frame.pc as usize;
            if !W::fits(function.registers) {
                break 'run Leave::Width;
            }
            let Some(r) = W::of(&mut routine.stack, base, size) else {
                break 'run Leave::Raise(Failure::internal("frame without registers"));
            };

            macro_rules! raise {
                ($failure:expr) => {
                    break 'run Leave::Raise($failure)
                };
            }
            macro_rules! attempt {
                ($result:expr) => {
                    match $result {
                        Ok(value) => value,
                        Err(failure) => raise!(failure),
                    }
                };
            }
            macro_rules! reg {
                ($operand:expr) => {
                    r.reg($operand.0)
                };
            }
            macro_rules! set {
                ($operand:expr, $value:expr) => {{
                    let value = $value;
                    put(r.reg_mut($operand.0), value)
                }};
            }
            macro_rules! burn {
                () => {
                    if fuel == 0 {
                        // The instruction is run again when there is fuel.
                        pc -= 1;
                        break 'run Leave::OutOfFuel;
                    }
                    fuel -= 1;
                };
            }
            /// Takes a jump; jumps back cost fuel.
            macro_rules! jump {
                ($target:expr) => {{
                    let target = $target.0 as usize;
                    if target < pc {
                        burn!();
                    }
                    pc = target;
                }};
            }
            /// Leaves the loop to run an instruction with the whole machine.
            macro_rules! slow {
                ($op:expr) => {
                    break 'run Leave::Slow(*$op)
                };
            }
            /// Two numbers, or whatever else the operator takes.
            macro_rules! arithmetic {
                ($dst:expr, $a:expr, $b:expr, $int:expr, $float:expr, $slow:expr) => {{
                    let (a, b) = ($a, $b);
                    let value = match (a, b) {
                        (Value::Int(x), Value::Int(y)) => $int(*x, *y),
                        (Value::Float(x), Value::Float(y)) => Value::Float($float(*x, *y)),
                        (Value::Float(x), Value::Int(y)) => Value::Float($float(*x, *y as f64)),
                        (Value::Int(x), Value::Float(y)) => Value::Float($float(*x as f64, *y)),
                        (a, b) => attempt!($slow(a, b)),
                    };
                    set!($dst, value);
                }};
            }
            macro_rules! compare {
                ($a:expr, $b:expr, $int:expr, $float:expr, $slow:expr, $then:ident) => {
                    match ($a, $b) {
                        (Value::Int(x), Value::Int(y)) => {
                            let holds: bool = $int(x, y);
                            $then!(holds)
                        }
                        (Value::Float(x), Value::Float(y)) => {
                            let holds: bool = $float(x, y);
                            $then!(holds)
                        }
                        (a, b) => match attempt!($slow(a, b)) {
                            Value::Bool(holds) => $then!(holds),
                            other => $then!(other, other),
                        },
                    }
                };
            }
            macro_rules! compare_set {
                ($dst:expr, $a:expr, $b:expr, $int:expr, $float:expr, $slow:expr) => {{
                    macro_rules! then {
                        ($holds:expr) => {
                            set!($dst, Value::Bool($holds))
                        };
                        ($other:expr, $same:expr) => {
                            set!($dst, $other)
                        };
                    }
                    compare!(reg!($a), reg!($b), $int, $float, $slow, then)
                }};
            }
            macro_rules! compare_jump {
                ($wanted:literal, $a:expr, $b:expr, $target:expr, $int:expr, $float:expr, $slow:expr) => {{
                    macro_rules! then {
                        ($holds:expr) => {
                            if $holds == $wanted {
                                jump!($target)
                            }
                        };
                        ($other:expr, $same:expr) => {
                            raise!(Failure::condition(&$other))
                        };
                    }
                    compare!(reg!($a), reg!($b), $int, $float, $slow, then)
                }};
            }
            /// The same against a small constant, which every number is compared with exactly.
            macro_rules! compare_jump_int {
                ($wanted:literal, $a:expr, $number:expr, $target:expr, $int:expr, $float:expr, $slow:expr) => {{
                    let holds: bool = match reg!($a) {
                        Value::Int(x) => $int(x, &i64::from($number)),
                        Value::Float(x) => $float(x, &f64::from($number)),
                        a => match attempt!($slow(a, &Value::Int(i64::from($number)))) {
                            Value::Bool(holds) => holds,
                            other => raise!(Failure::condition(&other)),
                        },
                    };
                    if holds == $wanted {
                        jump!($target)
                    }
                }};
            }
            /// Calls a compiled function: arguments move to a new window.
            macro_rules! call {
                ($callee:expr, $instance:expr, $closure:expr, $args:expr, $count:expr, $ret:expr) => {{
                    burn!();
                    let number: u32 = $callee;
                    let callee = &functions[number as usize];
                    let closure: Option<Rc<Function>> = $closure;
                    let in_instance: InstanceId = $instance;
                    let new_base = base + size;
                    if routine.frames.len() >= MAX_FRAMES {
                        raise!(call::stack_failure());
                    }
                    if let Some(frame) = routine.frames.last_mut() {
                        frame.pc = pc as u32;
                    }
                    attempt!(call::make_room(
                        &mut routine.stack,
                        new_base,
                        callee.registers
                    ));
                    let (caller, window) = routine.stack.split_at_mut(new_base);
                    let first = base + usize::from($args.0);
                    let arguments = &mut caller[first..first + usize::from($count)];
                    for (to, from) in window.iter_mut().zip(arguments) {
                        // Registers above all frames are undefined.
                        std::mem::forget(std::mem::replace(to, take(from)));
                    }
                    routine.frames.push(Frame {
                        function: number,
                        pc: 0,
                        base: new_base as u32,
                        instance: in_instance,
                        ret: $ret,
                        closure,
                    });
                    continue 'frame;
                }};
            }
            /// Replaces the frame.
            macro_rules! tail_call {
                ($callee:expr, $instance:expr, $closure:expr, $args:expr, $count:expr) => {{
                    burn!();
                    let number: u32 = $callee;
                    let closure: Option<Rc<Function>> = $closure;
                    let in_instance: InstanceId = $instance;
                    let first = usize::from($args.0);
                    let count = usize::from($count);
                    // Arguments first, then all else is cleared.
                    let registers = &mut r.all()[..size];
                    if first > 0 {
                        for index in 0..count {
                            let value = registers[first + index].take();
                            put(&mut registers[index], value);
                        }
                    }
                    clear(&mut registers[count..]);
                    if let Some(frame) = routine.frames.last_mut() {
                        frame.function = number;
                        frame.pc = 0;
                        frame.instance = in_instance;
                        frame.closure = closure;
                    }
                    pc = 0;
                    let needed = functions[number as usize].registers;
                    attempt!(call::make_room(&mut routine.stack, base, needed));
                    continue 'frame;
                }};
            }

            loop {
                let op = &code[pc];
                pc += 1;
                match *op {
                    Op::Move { dst, src } => set!(dst, copy(reg!(src))),
                    Op::Take { dst, src } => set!(dst, take(r.reg_mut(src.0))),
                    Op::TakeStored { dst, src, place } => {
                        let value = take(r.reg_mut(src.0));
                        if value.is_undefined() {
                            raise!(Failure::undefined_stored(&loaded.text(place)));
                        }
                        set!(dst, value);
                    }
                    Op::LoadConst { dst, value } => set!(dst, copy(&constants[value.index()])),
                    Op::LoadInt { dst, value } => set!(dst, Value::Int(i64::from(value))),
                    Op::LoadUndefined { dst } => set!(dst, Value::Undefined),
                    Op::LoadNull { dst } => set!(dst, Value::Null),
                    Op::LoadBool { dst, value } => set!(dst, Value::Bool(value)),
                    Op::LoadCapture { dst, capture } => {
                        let frame = routine.frames.last();
                        let captured =
                            frame.and_then(|frame| match &frame.closure.as_deref()?.target {
                                Callable::Closure { captures, .. } => captures.get(capture.index()),
                                _ => None,
                            });
                        set!(dst, captured.map_or(Value::Undefined, copy));
                    }
                    Op::LoadBox { dst, src } => {
                        let value = match reg!(src) {
                            Value::Opaque(object) => match &**object {
                                Opaque::Box(value) => copy(&value.borrow()),
                                _ => Value::Undefined,
                            },
                            _ => raise!(Failure::internal("box expected")),
                        };
                        set!(dst, value);
                    }
                    Op::StoreBox { target, src, place } => {
                        let value = copy(reg!(src));
                        if value.is_undefined() {
                            raise!(Failure::undefined_stored(&loaded.text(place)));
                        }
                        match reg!(target) {
                            Value::Opaque(object) => match &**object {
                                Opaque::Box(slot) => drop(slot.replace(value)),
                                _ => raise!(Failure::internal("box expected")),
                            },
                            _ => raise!(Failure::internal("box expected")),
                        }
                    }
                    Op::CheckStored { src, place } => {
                        if reg!(src).is_undefined() {
                            raise!(Failure::undefined_stored(&loaded.text(place)));
                        }
                    }

                    Op::Add { dst, a, b } => arithmetic!(
                        dst,
                        reg!(a),
                        reg!(b),
                        operators::add_ints,
                        |x, y| x + y,
                        |a: &Value, b| operators::add(a.clone(), b)
                    ),
                    Op::AddTake { dst, a, b } => {
                        let value = match (reg!(a), reg!(b)) {
                            (Value::Int(x), Value::Int(y)) => operators::add_ints(*x, *y),
                            (Value::Float(x), Value::Float(y)) => Value::Float(x + y),
                            (Value::Float(x), Value::Int(y)) => Value::Float(x + *y as f64),
                            (Value::Int(x), Value::Float(y)) => Value::Float(*x as f64 + y),
                            _ => {
                                let left = r.reg_mut(a.0).take();
                                attempt!(operators::add(left, reg!(b)))
                            }
                        };
                        set!(dst, value);
                    }
                    Op::AddItem { dst, a, item } => {
                        let item = r.reg_mut(item.0).take();
                        if item.is_undefined() {
                            raise!(Failure::undefined_stored("an array"));
                        }
                        let mut left = r.reg_mut(a.0).take();
                        if let Value::Array(array) = &mut left {
                            array.items_mut().push(item);
                        } else {
                            left = attempt!(operators::add(left, &Value::array(vec![item])));
                        }
                        set!(dst, left);
                    }
                    Op::Sub { dst, a, b } => arithmetic!(
                        dst,
                        reg!(a),
                        reg!(b),
                        operators::subtract_ints,
                        |x, y| x - y,
                        |a, b| operators::arithmetic(Arithmetic::Sub, a, b)
                    ),
                    Op::Mul { dst, a, b } => arithmetic!(
                        dst,
                        reg!(a),
                        reg!(b),
                        operators::multiply_ints,
                        |x, y| x * y,
                        |a, b| operators::arithmetic(Arithmetic::Mul, a, b)
                    ),
                    Op::Div { dst, a, b } => arithmetic!(
                        dst,
                        reg!(a),
                        reg!(b),
                        operators::divide_ints,
                        |x, y| x / y,
                        |a, b| operators::arithmetic(Arithmetic::Div, a, b)
                    ),
                    Op::Rem { dst, a, b } => arithmetic!(
                        dst,
                        reg!(a),
                        reg!(b),
                        operators::remainder_ints,
                        operators::remainder,
                        |a, b| operators::arithmetic(Arithmetic::Rem, a, b)
                    ),
                    Op::AddInt { dst, a, number } => {
                        let value = match reg!(a) {
                            Value::Int(x) => operators::add_ints(*x, i64::from(number)),
                            Value::Float(x) => Value::Float(x + f64::from(number)),
                            a => {
                                let right = Value::Int(i64::from(number));
                                attempt!(operators::add(a.clone(), &right))
                            }
                        };
                        set!(dst, value);
                    }
                    Op::SubInt { dst, a, number } => {
                        let value = match reg!(a) {
                            Value::Int(x) => operators::subtract_ints(*x, i64::from(number)),
                            Value::Float(x) => Value::Float(x - f64::from(number)),
                            a => {
                                let right = Value::Int(i64::from(number));
                                attempt!(operators::arithmetic(Arithmetic::Sub, a, &right))
                            }
                        };
                        set!(dst, value);
                    }
                    Op::MulInt { dst, a, number } => {
                        let value = match reg!(a) {
                            Value::Int(x) => operators::multiply_ints(*x, i64::from(number)),
                            Value::Float(x) => Value::Float(x * f64::from(number)),
                            a => {
                                let right = Value::Int(i64::from(number));
                                attempt!(operators::arithmetic(Arithmetic::Mul, a, &right))
                            }
                        };
                        set!(dst, value);
                    }
                    Op::DivInt { dst, a, number } => {
                        let value = match reg!(a) {
                            Value::Int(x) => operators::divide_ints(*x, i64::from(number)),
                            Value::Float(x) => Value::Float(x / f64::from(number)),
                            a => {
                                let right = Value::Int(i64::from(number));
                                attempt!(operators::arithmetic(Arithmetic::Div, a, &right))
                            }
                        };
                        set!(dst, value);
                    }
                    Op::RemInt { dst, a, number } => {
                        let value = match reg!(a) {
                            Value::Int(x) => operators::remainder_ints(*x, i64::from(number)),
                            Value::Float(x) => {
                                Value::Float(operators::remainder(*x, f64::from(number)))
                            }
                            a => {
                                let right = Value::Int(i64::from(number));
                                attempt!(operators::arithmetic(Arithmetic::Rem, a, &right))
                            }
                        };
                        set!(dst, value);
                    }
                    Op::Eq { dst, a, b } => {
                        compare_set!(dst, a, b, i64::eq, f64::eq, place::EQ)
                    }
                    Op::Ne { dst, a, b } => {
                        compare_set!(dst, a, b, i64::ne, f64::ne, place::NE)
                    }
                    Op::Lt { dst, a, b } => {
                        compare_set!(dst, a, b, i64::lt, f64::lt, place::LT)
                    }
                    Op::Le { dst, a, b } => {
                        compare_set!(dst, a, b, i64::le, f64::le, place::LE)
                    }
                    Op::Gt { dst, a, b } => {
                        compare_set!(dst, a, b, i64::gt, f64::gt, place::GT)
                    }
                    Op::Ge { dst, a, b } => {
                        compare_set!(dst, a, b, i64::ge, f64::ge, place::GE)
                    }

                    Op::Jump { target } => jump!(target),
                    Op::JumpUnless { src, target } => match reg!(src) {
                        Value::Bool(true) => {}
                        Value::Bool(false) => jump!(target),
                        other => raise!(Failure::condition(other)),
                    },
                    Op::JumpIf { src, target } => match reg!(src) {
                        Value::Bool(true) => jump!(target),
                        Value::Bool(false) => {}
                        other => raise!(Failure::condition(other)),
                    },
                    Op::JumpUnlessGuard { src, target } => match reg!(src) {
                        Value::Bool(true) => {}
                        Value::Bool(false) | Value::Undefined => jump!(target),
                        other => raise!(Failure::condition(other)),
                    },
                    Op::AndJump { src, target } => match reg!(src) {
                        Value::Bool(false) => jump!(target),
                        Value::Bool(true) | Value::Undefined => {}
                        other => raise!(Failure::one_operand("&&", other)),
                    },
                    Op::OrJump { src, target } => match reg!(src) {
                        Value::Bool(true) => jump!(target),
                        Value::Bool(false) | Value::Undefined => {}
                        other => raise!(Failure::one_operand("||", other)),
                    },
                    Op::JumpIfUndefined { src, target } => {
                        if reg!(src).is_undefined() {
                            jump!(target);
                        }
                    }
                    Op::JumpIfDefined { src, target } => {
                        if !reg!(src).is_undefined() {
                            jump!(target);
                        }
                    }
                    Op::JumpUnlessTrue { src, target } => {
                        if !matches!(reg!(src), Value::Bool(true)) {
                            jump!(target);
                        }
                    }
                    Op::JumpUnlessEq { a, b, target } => {
                        compare_jump!(false, a, b, target, i64::eq, f64::eq, place::EQ)
                    }
                    Op::JumpUnlessNe { a, b, target } => {
                        compare_jump!(false, a, b, target, i64::ne, f64::ne, place::NE)
                    }
                    Op::JumpUnlessLt { a, b, target } => {
                        compare_jump!(false, a, b, target, i64::lt, f64::lt, place::LT)
                    }
                    Op::JumpUnlessLe { a, b, target } => {
                        compare_jump!(false, a, b, target, i64::le, f64::le, place::LE)
                    }
                    Op::JumpUnlessGt { a, b, target } => {
                        compare_jump!(false, a, b, target, i64::gt, f64::gt, place::GT)
                    }
                    Op::JumpUnlessGe { a, b, target } => {
                        compare_jump!(false, a, b, target, i64::ge, f64::ge, place::GE)
                    }
                    Op::JumpUnlessEqInt { a, number, target } => {
                        compare_jump_int!(false, a, number, target, i64::eq, f64::eq, place::EQ)
                    }
                    Op::JumpUnlessNeInt { a, number, target } => {
                        compare_jump_int!(false, a, number, target, i64::ne, f64::ne, place::NE)
                    }
                    Op::JumpUnlessLtInt { a, number, target } => {
                        compare_jump_int!(false, a, number, target, i64::lt, f64::lt, place::LT)
                    }
                    Op::JumpUnlessLeInt { a, number, target } => {
                        compare_jump_int!(false, a, number, target, i64::le, f64::le, place::LE)
                    }
                    Op::JumpUnlessGtInt { a, number, target } => {
                        compare_jump_int!(false, a, number, target, i64::gt, f64::gt, place::GT)
                    }
                    Op::JumpUnlessGeInt { a, number, target } => {
                        compare_jump_int!(false, a, number, target, i64::ge, f64::ge, place::GE)
                    }
                    Op::JumpWhenEq { a, b, target } => {
                        compare_jump!(true, a, b, target, i64::eq, f64::eq, place::EQ)
                    }
                    Op::JumpWhenNe { a, b, target } => {
                        compare_jump!(true, a, b, target, i64::ne, f64::ne, place::NE)
                    }
                    Op::JumpWhenLt { a, b, target } => {
                        compare_jump!(true, a, b, target, i64::lt, f64::lt, place::LT)
                    }
                    Op::JumpWhenLe { a, b, target } => {
                        compare_jump!(true, a, b, target, i64::le, f64::le, place::LE)
                    }
                    Op::JumpWhenGt { a, b, target } => {
                        compare_jump!(true, a, b, target, i64::gt, f64::gt, place::GT)
                    }
                    Op::JumpWhenGe { a, b, target } => {
                        compare_jump!(true, a, b, target, i64::ge, f64::ge, place::GE)
                    }
                    Op::JumpWhenEqInt { a, number, target } => {
                        compare_jump_int!(true, a, number, target, i64::eq, f64::eq, place::EQ)
                    }
                    Op::JumpWhenNeInt { a, number, target } => {
                        compare_jump_int!(true, a, number, target, i64::ne, f64::ne, place::NE)
                    }
                    Op::JumpWhenLtInt { a, number, target } => {
                        compare_jump_int!(true, a, number, target, i64::lt, f64::lt, place::LT)
                    }
                    Op::JumpWhenLeInt { a, number, target } => {
                        compare_jump_int!(true, a, number, target, i64::le, f64::le, place::LE)
                    }
                    Op::JumpWhenGtInt { a, number, target } => {
                        compare_jump_int!(true, a, number, target, i64::gt, f64::gt, place::GT)
                    }
                    Op::JumpWhenGeInt { a, number, target } => {
                        compare_jump_int!(true, a, number, target, i64::ge, f64::ge, place::GE)
                    }

                    Op::JumpUnlessArray {
                        src,
                        min,
                        max,
                        target,
                    } => {
                        let fits = match reg!(src) {
                            Value::Array(array) => {
                                let length = array.items().len();
                                length >= usize::from(min)
                                    && (max == u16::MAX || length <= usize::from(max))
                            }
                            _ => false,
                        };
                        if !fits {
                            jump!(target);
                        }
                    }
                    Op::JumpUnlessMap { src, target } => {
                        if !matches!(reg!(src), Value::Map(_)) {
                            jump!(target);
                        }
                    }
                    Op::JumpUnlessCase {
                        argument,
                        src,
                        name,
                        target,
                    } => {
                        let fits = match (reg!(src), &constants[name.index()]) {
                            (Value::Case(case), Value::Text(name)) => {
                                case.name().is_probably(name)
                                    && case.name() == name
                                    && case.argument().is_some() == argument
                            }
                            _ => false,
                        };
                        if !fits {
                            jump!(target);
                        }
                    }
                    Op::ArrayItem { dst, src, index } => {
                        let value = match reg!(src) {
                            Value::Array(array) => array.items().get(index as usize),
                            _ => None,
                        };
                        set!(dst, value.map_or(Value::Undefined, copy));
                    }
                    Op::MapItem { dst, src, key } => {
                        let value = match (reg!(src), &constants[key.index()]) {
                            (Value::Map(map), Value::Text(key)) => {
                                map.get_near(key, &loaded.guesses[number][pc - 1])
                            }
                            _ => None,
                        };
                        set!(dst, value.map_or(Value::Undefined, copy));
                    }
                    Op::CaseItem { dst, src } => {
                        let value = match reg!(src) {
                            Value::Case(case) => case.argument(),
                            _ => None,
                        };
                        set!(dst, value.map_or(Value::Undefined, copy));
                    }

                    Op::Call {
                        count,
                        dst,
                        base: args,
                        function: callee,
                    } => {
                        call!(callee.0, instance, None, args, count, Ret::Reg(dst.0));
                    }
                    Op::CallStatic {
                        count,
                        dst,
                        base: args,
                        function: callee,
                    } => {
                        let home = InstanceId(functions[callee.index()].module.0);
                        call!(callee.0, home, None, args, count, Ret::Reg(dst.0));
                    }
                    Op::CallMember {
                        count,
                        dst,
                        instance: of,
                        base: args,
                        function: callee,
                    } => {
                        let module = functions[callee.index()].module;
                        let home = attempt!(machine.sheet.instance_of(reg!(of), module));
                        call!(callee.0, home, None, args, count, Ret::Reg(dst.0));
                    }
                    Op::TailCall {
                        count,
                        base: args,
                        function: callee,
                    } => {
                        tail_call!(callee.0, instance, None, args, count);
                    }
                    Op::TailCallStatic {
                        count,
                        base: args,
                        function: callee,
                    } => {
                        let home = InstanceId(functions[callee.index()].module.0);
                        tail_call!(callee.0, home, None, args, count);
                    }
                    Op::TailCallMember {
                        count,
                        instance: of,
                        base: args,
                        function: callee,
                    } => {
                        let module = functions[callee.index()].module;
                        let home = attempt!(machine.sheet.instance_of(reg!(of), module));
                        tail_call!(callee.0, home, None, args, count);
                    }
                    Op::Apply {
                        count,
                        dst,
                        callee,
                        base: args,
                    } => {
                        if let Value::Function(target) = reg!(callee)
                            && target.arity == count
                            && let Callable::Closure {
                                function,
                                instance: home,
                                captures,
                            } = &target.target
                        {
                            // A function without captured values needs no closure to run.
                            let closure = (!captures.is_empty()).then(|| Rc::clone(target));
                            call!(*function, *home, closure, args, count, Ret::Reg(dst.0));
                        }
                        burn!();
                        let callee = reg!(callee).clone();
                        let arguments = take_range(r.all(), args.0, count);
                        let ret = Ret::Reg(dst.0);
                        break 'run Leave::Apply {
                            callee,
                            arguments,
                            ret,
                        };
                    }
                    Op::TailApply {
                        count,
                        callee,
                        base: args,
                    } => {
                        if let Value::Function(target) = reg!(callee)
                            && target.arity == count
                            && let Callable::Closure {
                                function,
                                instance: home,
                                captures,
                            } = &target.target
                        {
                            let (number, home) = (*function, *home);
                            let closure = (!captures.is_empty()).then(|| Rc::clone(target));
                            tail_call!(number, home, closure, args, count);
                        }
                        burn!();
                        let callee = r.reg_mut(callee.0).take();
                        let arguments = take_range(r.all(), args.0, count);
                        clear(&mut r.all()[..size]);
                        // The frame is gone: there is no position to keep.
                        machine.fuel = fuel;
                        let ret = routine.frames.pop().map_or(Ret::Native, |frame| frame.ret);
                        return Leave::Apply {
                            callee,
                            arguments,
                            ret,
                        };
                    }
                    Op::CallBuiltin {
                        count,
                        dst,
                        base: args,
                        builtin,
                    } => {
                        burn!();
                        let Entry::Function(run) = loaded.builtins[builtin.index()] else {
                            slow!(op)
                        };
                        let start = usize::from(args.0);
                        let arguments = &mut r.all()[start..start + usize::from(count)];
                        let value = attempt!(run(&mut machine.surroundings, arguments));
                        clear(arguments);
                        set!(dst, value);
                    }
                    Op::Return { src } => {
                        let value = take(r.reg_mut(src.0));
                        clear(&mut r.all()[..size]);
                        machine.fuel = fuel;
                        let Some(done) = routine.frames.pop() else {
                            return Leave::Return(value);
                        };
                        if let Ret::Reg(register) = done.ret
                            && let Some(caller) = routine.frames.last()
                            && let Some(place) = routine
                                .stack
                                .get_mut(caller.base as usize + usize::from(register))
                        {
                            put(place, value);
                            continue 'frame;
                        }
                        return Leave::Return(value);
                    }

                    Op::NewCase { dst, src, name } => {
                        let argument = copy(reg!(src));
                        if argument.is_undefined() {
                            raise!(Failure::undefined_stored("a case"));
                        }
                        set!(
                            dst,
                            Value::Case(Case::new(loaded.text(name), Some(argument)))
                        );
                    }
                    Op::NewArray {
                        dst,
                        base: items,
                        length,
                    } => {
                        let start = usize::from(items.0);
                        let part = &mut r.all()[start..start + usize::from(length)];
                        if part.iter().any(Value::is_undefined) {
                            raise!(Failure::undefined_stored("an array"));
                        }
                        let items: Vec<Value> = part.iter_mut().map(Value::take).collect();
                        set!(dst, Value::array(items));
                    }
                    Op::NewMap {
                        count,
                        dst,
                        base: values,
                        shape,
                    } => {
                        let start = usize::from(values.0);
                        let part = &mut r.all()[start..start + usize::from(count)];
                        if part.iter().any(Value::is_undefined) {
                            raise!(Failure::undefined_stored("a map"));
                        }
                        let values: Vec<Value> = part.iter_mut().map(Value::take).collect();
                        let shape = &loaded.shapes[shape.index()];
                        set!(dst, Value::Map(Map::of_shape(shape, values)));
                    }
                    Op::GetField { dst, src, key } => {
                        let Value::Text(key) = &constants[key.index()] else {
                            raise!(Failure::internal("key is no string"));
                        };
                        let value = match reg!(src) {
                            Value::Map(map) => map
                                .get_near(key, &loaded.guesses[number][pc - 1])
                                .map_or(Value::Undefined, copy),
                            other => attempt!(access::field(other, key)),
                        };
                        set!(dst, value);
                    }
                    Op::GetIndex { dst, src, index } => {
                        let value = match access::item(reg!(src), reg!(index)) {
                            Some(item) => copy(item),
                            None => attempt!(access::index(reg!(src), reg!(index))),
                        };
                        set!(dst, value);
                    }
                    Op::GetIndexField {
                        dst,
                        src,
                        index,
                        key,
                    } => {
                        let Value::Text(key) = &constants[key.index()] else {
                            raise!(Failure::internal("key is no string"));
                        };
                        let value = match access::item(reg!(src), reg!(index)) {
                            Some(Value::Map(map)) => map
                                .get_near(key, &loaded.guesses[number][pc - 1])
                                .map_or(Value::Undefined, copy),
                            _ => {
                                let item = attempt!(access::index(reg!(src), reg!(index)));
                                attempt!(access::field(&item, key))
                            }
                        };
                        set!(dst, value);
                    }
                    Op::Update {
                        count,
                        target,
                        base: keys,
                        src,
                        path,
                    } => {
                        let start = usize::from(keys.0);
                        let keys = start..start + usize::from(count);
                        let result = place::update(
                            &loaded,
                            path,
                            r.all(),
                            usize::from(target.0),
                            keys,
                            usize::from(src.0),
                        );
                        attempt!(result);
                    }
                    Op::Next { dst, src } => match place::next(reg!(src)) {
                        Ok(Some(value)) => set!(dst, value),
                        Ok(None) => slow!(op),
                        Err(failure) => raise!(failure),
                    },

                    // The replacement of a module with instances is evaluated in the own one.
                    Op::MakeForeign { dst, import }
                        if let Foreign::OwnArm(arm) = loaded.foreign[import.index()] =>
                    {
                        call!(arm, instance, None, Base(0), 0u8, Ret::Reg(dst.0));
                    }
                    Op::TryBegin { dst, target } => {
                        routine.handlers.push(Handler {
                            frames: routine.frames.len() as u32,
                            natives: routine.natives.len() as u32,
                            target: target.0,
                            dst: dst.0,
                        });
                    }
                    Op::TryEnd {} => {
                        routine.handlers.pop();
                    }

                    Op::LoadSlot { dst, slot } => match machine.sheet.slot(instance, slot.0) {
                        SlotState::Value(value) => set!(dst, copy(value)),
                        _ => slow!(op),
                    },
                    Op::LoadStatic { dst, module, slot } => {
                        match machine.sheet.slot(InstanceId(module.0), slot.0) {
                            SlotState::Value(value) => set!(dst, copy(value)),
                            _ => slow!(op),
                        }
                    }
                    Op::LoadCell { dst, slot } => {
                        match machine.sheet.ready_cell(instance, slot.0) {
                            Some(value) => set!(dst, copy(value)),
                            None => slow!(op),
                        }
                    }

                    _ => {
                        let running = Running {
                            loaded: &loaded,
                            function,
                            instance,
                        };
                        match rare::perform(machine, running, r.all(), op) {
                            Ok(Flow::Next) => {}
                            Ok(Flow::Jump(target)) => jump!(target),
                            Ok(Flow::Slow) => slow!(op),
                            Err(failure) => raise!(failure),
                        }
                    }
                }
            }
        }
    };
    if let Some(frame) = routine.frames.last_mut() {
        frame.pc = pc as u32;
    }
    machine.fuel = fuel;
    why
}
