//! The loop over instructions.
//!
//! One `match` in one loop that calls nothing: every call would make the code
//! generator keep the state of the loop in memory instead of in registers.
//! What is frequent is done here as long as it needs no call: numbers, jumps,
//! calls between compiled functions, reading and changing what is there. In all
//! other cases (an operand of another kind, a text, an allocation, an error, no
//! fuel) the loop ends *before* the instruction, which [`step`](super::step)
//! then performs; only the drop of values is left over *after* it, as [`Garbage`].
//!
//! - `numbers`: arithmetic and comparisons
//! - `frames`: entering and leaving frames
//! - `quick`: builtins

mod frames;
mod numbers;
mod quick;

use std::cell::Cell;
use std::rc::Rc;

use mix_bytecode::{Op, TypeDesc};

use self::frames::{Entered, clear, clear_range};
use self::quick::Answer;
use super::window::{NARROW, Registers};
use crate::access;
use crate::heap::value::{InstanceId, whole};
use crate::heap::{Callable, Opaque, Stream, Value};
use crate::interpreter::intrinsic::Intrinsic;
use crate::loaded::{Entry, Loaded, Step};
use crate::machine::{Frame, MAX_FRAMES, Machine, Native, Ret, Routine};
use crate::sheet::SlotState;

pub(crate) use self::frames::Garbage;

/// Stands for no register.
const NONE: u16 = u16::MAX;

/// Runs the topmost frame and all that it calls as far as it goes without a call of Rust code.
/// If there is no garbage then, the next instruction is not for the loop.
#[allow(
    clippy::too_many_lines,
    reason = "one loop, one match: that is what makes it fast"
)]
#[inline(never)]
pub(super) fn execute(machine: &mut Machine, routine: &mut Routine, loaded: &Loaded) {
    let functions = &loaded.program.functions[..];
    let constants = &loaded.constants[..];
    let sheet = &machine.sheet;
    let garbage = &mut machine.garbage;
    // Then an element of a stream may be for somebody else.
    let contended = machine.scheduler.anything_wanted();
    let frames = &mut routine.frames;
    let natives = &mut routine.natives;
    let stack = &mut routine.stack[..];
    let registers = stack.len();
    // Kept in memory: in a register, which only some instructions change, it would
    // make the compiler split the loop in two, with a second test for interruption.
    let fuel = Cell::new(machine.fuel);
    let fuel = std::hint::black_box(&fuel);
    // Two loops, for frames and for instructions: the compiler would make two of one, each
    // of which asks the engine at each instruction whether it is interrupted.
    'frame: loop {
        let Some(Entered {
            base,
            instance,
            size,
            code,
            mut rest,
            r,
        }) = Entered::of(frames, functions, &mut *stack)
        else {
            // Its position is right.
            machine.fuel = fuel.get();
            return;
        };
        'run: {
            /// Leaves the instruction to `step`.
            macro_rules! step {
                () => {
                    break 'run
                };
            }
            macro_rules! reg {
                ($operand:expr) => {
                    r.reg($operand.0)
                };
            }
            macro_rules! some {
                ($option:expr) => {
                    match $option {
                        Some(value) => value,
                        None => step!(),
                    }
                };
            }
            'next: loop {
                let Some((op, following)) = rest.split_first() else {
                    break 'run;
                };

                /// Takes a jump; jumps back cost fuel.
                macro_rules! jump {
                    ($target:expr) => {{
                        let target = some!(code.get($target.index()..));
                        if target.len() >= rest.len() {
                            if fuel.get() == 0 {
                                step!();
                            }
                            fuel.set(fuel.get() - 1);
                        }
                        rest = target;
                        continue 'next;
                    }};
                }
                macro_rules! next {
                    () => {{
                        rest = following;
                        continue 'next;
                    }};
                }
                macro_rules! jump_unless {
                    ($target:expr, $holds:expr) => {{
                        if !$holds {
                            jump!($target);
                        }
                        next!()
                    }};
                }
                macro_rules! jump_when {
                    ($target:expr, $holds:expr) => {{
                        if $holds {
                            jump!($target);
                        }
                        next!()
                    }};
                }
                macro_rules! holds {
                    ($a:expr, $b:expr, $relation:ident) => {
                        some!(numbers::holds(
                            reg!($a),
                            reg!($b),
                            i64::$relation,
                            f64::$relation
                        ))
                    };
                }
                macro_rules! holds_int {
                    ($a:expr, $number:expr, $relation:ident) => {
                        some!(numbers::holds_int(
                            reg!($a),
                            i32::from($number),
                            i64::$relation,
                            f64::$relation
                        ))
                    };
                }
                /// Puts a value where nothing is to be dropped.
                macro_rules! place {
                    ($number:expr, $value:expr) => {{
                        let value = $value;
                        std::mem::forget(std::mem::replace(r.reg_mut($number), value));
                    }};
                }
                'enter: {
                    /// Begins a frame above the running one; its arguments are put there by `$pass`.
                    macro_rules! enter {
                ($callee:expr, $start:expr, $instance:expr, $closure:expr, $count:expr, $ret:expr, $pass:block) => {{
                    let number: u32 = $callee;
                    let callee = some!(functions.get(number as usize));
                    let room = usize::from(callee.registers).max(NARROW);
                    let new_base = base + size;
                    if fuel.get() == 0
                        || frames.len() >= MAX_FRAMES
                        || frames.len() == frames.capacity()
                        || registers < new_base + room
                        || size + usize::from($count) > NARROW
                    {
                        step!();
                    }
                    let closure = $closure;
                    fuel.set(fuel.get() - 1);
                    if let Some(frame) = frames.last_mut() {
                        frame.pc = (code.len() - following.len()) as u32;
                    }
                    // Registers above all frames are undefined; they are in the window too.
                    $pass
                    frames.push(Frame {
                        function: number,
                        pc: $start,
                        base: new_base as u32,
                        instance: $instance,
                        ret: $ret,
                        closure,
                    });
                    break 'enter;
                }};
            }
                    /// Calls a compiled function: arguments move to a new window.
                    macro_rules! call {
                        ($callee:expr, $instance:expr, $closure:expr, $args:expr, $count:expr, $dst:expr) => {
                            enter!($callee, 0, $instance, $closure, $count, Ret::Reg($dst.0), {
                                let count = u16::from($count);
                                if count > 0 {
                                    place!(size as u16, r.reg_mut($args.0).take());
                                }
                                if count > 1 {
                                    place!(size as u16 + 1, r.reg_mut($args.0 + 1).take());
                                }
                                for index in 2..count {
                                    place!(size as u16 + index, r.reg_mut($args.0 + index).take());
                                }
                            })
                        };
                    }
                    /// Runs the function of a generator for its next element.
                    macro_rules! generate {
                        ($stream:expr, $dst:expr, $own:expr) => {{
                            if contended || natives.len() == natives.capacity() {
                                step!();
                            }
                            let (number, home) = some!($stream.generator());
                            enter!(
                                number,
                                0,
                                home,
                                $stream.generator_closure(),
                                1u8,
                                Ret::Native,
                                {
                                    let stream: Rc<Stream> = $own;
                                    stream.busy.set(true);
                                    let ret = Ret::Reg($dst.0);
                                    natives.push(Native::Generated { stream, ret });
                                    place!(size as u16, Value::Null);
                                }
                            )
                        }};
                    }

                    // What the function gives: a value, or the one of a register.
                    let (value, src): (Value, u16) = 'leave: {
                        let old: Value = 'old: {
                            /// Puts a value into a register; numbers, which are there mostly, need no drop.
                            macro_rules! set {
                                ($operand:expr, $value:expr) => {{
                                    let value = $value;
                                    if reg!($operand).is_plain() {
                                        place!($operand.0, value);
                                        next!();
                                    }
                                    break 'old std::mem::replace(r.reg_mut($operand.0), value);
                                }};
                            }
                            macro_rules! give {
                                ($value:expr) => {
                                    break 'leave (some!($value), NONE)
                                };
                            }

                            // Instructions that copy a value from somewhere else.
                            let (dst, source): (_, &Value) = 'copy: {
                                match *op {
                                    Op::Move { dst, src } => break 'copy (dst, reg!(src)),
                                    Op::LoadConst { dst, value } => {
                                        break 'copy (dst, some!(constants.get(value.index())));
                                    }
                                    Op::LoadCapture { dst, capture } => {
                                        let closure = some!(
                                            frames
                                                .last()
                                                .and_then(|frame| frame.closure.as_deref())
                                        );
                                        let Callable::Closure { captures, .. } = &closure.target
                                        else {
                                            step!()
                                        };
                                        break 'copy (dst, some!(captures.get(capture.index())));
                                    }
                                    Op::LoadSlot { dst, slot } => {
                                        match sheet.slot(instance, slot.0) {
                                            SlotState::Value(value) => break 'copy (dst, value),
                                            _ => step!(),
                                        }
                                    }
                                    Op::LoadStatic { dst, module, slot } => {
                                        match sheet.slot(InstanceId(module.0), slot.0) {
                                            SlotState::Value(value) => break 'copy (dst, value),
                                            _ => step!(),
                                        }
                                    }
                                    Op::ArrayItem { dst, src, index } => match reg!(src) {
                                        Value::Array(array) => {
                                            break 'copy (
                                                dst,
                                                some!(array.items().get(index as usize)),
                                            );
                                        }
                                        _ => step!(),
                                    },
                                    Op::CaseItem { dst, src } => match reg!(src) {
                                        Value::Case(case) => {
                                            break 'copy (dst, some!(case.argument()));
                                        }
                                        _ => step!(),
                                    },
                                    Op::MapItem { dst, src, key }
                                    | Op::GetField { dst, src, key } => {
                                        let guess = some!(loaded.guesses.get(key.index()));
                                        match (reg!(src), constants.get(key.index())) {
                                            (Value::Map(map), Some(Value::Text(key))) => {
                                                break 'copy (dst, some!(map.get_here(key, guess)));
                                            }
                                            _ => step!(),
                                        }
                                    }
                                    Op::GetIndex { dst, src, index } => {
                                        break 'copy (
                                            dst,
                                            some!(access::item_here(reg!(src), reg!(index))),
                                        );
                                    }
                                    Op::GetIndexField {
                                        dst,
                                        src,
                                        index,
                                        key,
                                    } => {
                                        let guess = some!(loaded.guesses.get(key.index()));
                                        let item = some!(access::item_here(reg!(src), reg!(index)));
                                        match (item, constants.get(key.index())) {
                                            (Value::Map(map), Some(Value::Text(key))) => {
                                                break 'copy (dst, some!(map.get_here(key, guess)));
                                            }
                                            _ => step!(),
                                        }
                                    }

                                    Op::Take { dst, src } => {
                                        let value = r.reg_mut(src.0).take();
                                        set!(dst, value)
                                    }
                                    Op::TakeStored { dst, src, .. } => {
                                        if reg!(src).is_undefined() {
                                            step!();
                                        }
                                        let value = r.reg_mut(src.0).take();
                                        set!(dst, value)
                                    }
                                    Op::LoadInt { dst, value } => {
                                        set!(dst, Value::Int(i64::from(value)))
                                    }
                                    Op::LoadUndefined { dst } => set!(dst, Value::Undefined),
                                    Op::LoadNull { dst } => set!(dst, Value::Null),
                                    Op::LoadBool { dst, value } => set!(dst, Value::Bool(value)),
                                    Op::CheckStored { src, .. } => {
                                        if reg!(src).is_undefined() {
                                            step!();
                                        }
                                        next!()
                                    }
                                    Op::LoadBox { dst, src } => {
                                        let Value::Opaque(object) = reg!(src) else {
                                            step!()
                                        };
                                        let Opaque::Box(content) = &**object else {
                                            step!()
                                        };
                                        let value = match content.try_borrow() {
                                            Ok(content) => content.share(),
                                            Err(_) => step!(),
                                        };
                                        set!(dst, value)
                                    }
                                    Op::StoreBox { target, src, .. } => {
                                        let Value::Opaque(object) = reg!(target) else {
                                            step!()
                                        };
                                        let Opaque::Box(content) = &**object else {
                                            step!()
                                        };
                                        let Ok(mut content) = content.try_borrow_mut() else {
                                            step!()
                                        };
                                        let value = reg!(src);
                                        if value.is_undefined() {
                                            step!();
                                        }
                                        break 'old std::mem::replace(&mut *content, value.share());
                                    }

                                    Op::Add { dst, a, b } | Op::AddTake { dst, a, b } => {
                                        set!(dst, some!(numbers::add(reg!(a), reg!(b))))
                                    }
                                    Op::Sub { dst, a, b } => {
                                        set!(dst, some!(numbers::sub(reg!(a), reg!(b))))
                                    }
                                    Op::Mul { dst, a, b } => {
                                        set!(dst, some!(numbers::mul(reg!(a), reg!(b))))
                                    }
                                    Op::Div { dst, a, b } => {
                                        set!(dst, some!(numbers::div(reg!(a), reg!(b))))
                                    }
                                    Op::Rem { dst, a, b } => {
                                        set!(dst, some!(numbers::rem(reg!(a), reg!(b))))
                                    }
                                    Op::AddInt { dst, a, number } => {
                                        set!(dst, some!(numbers::add_int(reg!(a), number)))
                                    }
                                    Op::SubInt { dst, a, number } => {
                                        set!(dst, some!(numbers::sub_int(reg!(a), number)))
                                    }
                                    Op::MulInt { dst, a, number } => {
                                        set!(dst, some!(numbers::mul_int(reg!(a), number)))
                                    }
                                    Op::DivInt { dst, a, number } => {
                                        set!(dst, some!(numbers::div_int(reg!(a), number)))
                                    }
                                    Op::RemInt { dst, a, number } => {
                                        set!(dst, some!(numbers::rem_int(reg!(a), number)))
                                    }
                                    Op::AddItem { dst, a, item } => {
                                        if a.0 == item.0 || reg!(item).is_undefined() {
                                            step!();
                                        }
                                        let element = r.reg_mut(item.0).take();
                                        let mut left = r.reg_mut(a.0).take();
                                        let room = match &mut left {
                                            Value::Array(array) => array
                                                .own_items()
                                                .filter(|items| items.len() < items.capacity()),
                                            _ => None,
                                        };
                                        if let Some(items) = room {
                                            items.push(element);
                                            set!(dst, left)
                                        }
                                        // Both registers are undefined now.
                                        std::mem::forget(std::mem::replace(r.reg_mut(a.0), left));
                                        std::mem::forget(std::mem::replace(
                                            r.reg_mut(item.0),
                                            element,
                                        ));
                                        step!()
                                    }

                                    Op::Eq { dst, a, b } => {
                                        set!(dst, Value::Bool(holds!(a, b, eq)))
                                    }
                                    Op::Ne { dst, a, b } => {
                                        set!(dst, Value::Bool(holds!(a, b, ne)))
                                    }
                                    Op::Lt { dst, a, b } => {
                                        set!(dst, Value::Bool(holds!(a, b, lt)))
                                    }
                                    Op::Le { dst, a, b } => {
                                        set!(dst, Value::Bool(holds!(a, b, le)))
                                    }
                                    Op::Gt { dst, a, b } => {
                                        set!(dst, Value::Bool(holds!(a, b, gt)))
                                    }
                                    Op::Ge { dst, a, b } => {
                                        set!(dst, Value::Bool(holds!(a, b, ge)))
                                    }
                                    Op::EqInt { dst, a, number } => {
                                        set!(dst, Value::Bool(holds_int!(a, number, eq)))
                                    }
                                    Op::NeInt { dst, a, number } => {
                                        set!(dst, Value::Bool(holds_int!(a, number, ne)))
                                    }
                                    Op::LtInt { dst, a, number } => {
                                        set!(dst, Value::Bool(holds_int!(a, number, lt)))
                                    }
                                    Op::LeInt { dst, a, number } => {
                                        set!(dst, Value::Bool(holds_int!(a, number, le)))
                                    }
                                    Op::GtInt { dst, a, number } => {
                                        set!(dst, Value::Bool(holds_int!(a, number, gt)))
                                    }
                                    Op::GeInt { dst, a, number } => {
                                        set!(dst, Value::Bool(holds_int!(a, number, ge)))
                                    }
                                    Op::IsDefined { dst, src } => {
                                        let defined = !reg!(src).is_undefined();
                                        set!(dst, Value::Bool(defined))
                                    }

                                    Op::Jump { target } => jump!(target),
                                    Op::JumpUnless { src, target } => match reg!(src) {
                                        Value::Bool(holds) => jump_unless!(target, *holds),
                                        _ => step!(),
                                    },
                                    Op::JumpIf { src, target } => match reg!(src) {
                                        Value::Bool(holds) => jump_when!(target, *holds),
                                        _ => step!(),
                                    },
                                    Op::JumpUnlessGuard { src, target }
                                    | Op::AndJump { src, target } => match reg!(src) {
                                        Value::Bool(holds) => jump_unless!(target, *holds),
                                        _ => step!(),
                                    },
                                    Op::OrJump { src, target } => match reg!(src) {
                                        Value::Bool(holds) => jump_when!(target, *holds),
                                        _ => step!(),
                                    },
                                    Op::JumpIfUndefined { src, target } => {
                                        jump_when!(target, reg!(src).is_undefined())
                                    }
                                    Op::JumpIfDefined { src, target } => {
                                        jump_unless!(target, reg!(src).is_undefined())
                                    }
                                    Op::JumpUnlessTrue { src, target } => {
                                        jump_unless!(target, matches!(reg!(src), Value::Bool(true)))
                                    }
                                    Op::JumpUnlessEq { a, b, target } => {
                                        jump_unless!(target, holds!(a, b, eq))
                                    }
                                    Op::JumpUnlessNe { a, b, target } => {
                                        jump_unless!(target, holds!(a, b, ne))
                                    }
                                    Op::JumpUnlessLt { a, b, target } => {
                                        jump_unless!(target, holds!(a, b, lt))
                                    }
                                    Op::JumpUnlessLe { a, b, target } => {
                                        jump_unless!(target, holds!(a, b, le))
                                    }
                                    Op::JumpUnlessGt { a, b, target } => {
                                        jump_unless!(target, holds!(a, b, gt))
                                    }
                                    Op::JumpUnlessGe { a, b, target } => {
                                        jump_unless!(target, holds!(a, b, ge))
                                    }
                                    Op::JumpUnlessEqInt { a, number, target } => {
                                        jump_unless!(target, holds_int!(a, number, eq))
                                    }
                                    Op::JumpUnlessNeInt { a, number, target } => {
                                        jump_unless!(target, holds_int!(a, number, ne))
                                    }
                                    Op::JumpUnlessLtInt { a, number, target } => {
                                        jump_unless!(target, holds_int!(a, number, lt))
                                    }
                                    Op::JumpUnlessLeInt { a, number, target } => {
                                        jump_unless!(target, holds_int!(a, number, le))
                                    }
                                    Op::JumpUnlessGtInt { a, number, target } => {
                                        jump_unless!(target, holds_int!(a, number, gt))
                                    }
                                    Op::JumpUnlessGeInt { a, number, target } => {
                                        jump_unless!(target, holds_int!(a, number, ge))
                                    }
                                    Op::JumpWhenEq { a, b, target } => {
                                        jump_when!(target, holds!(a, b, eq))
                                    }
                                    Op::JumpWhenNe { a, b, target } => {
                                        jump_when!(target, holds!(a, b, ne))
                                    }
                                    Op::JumpWhenLt { a, b, target } => {
                                        jump_when!(target, holds!(a, b, lt))
                                    }
                                    Op::JumpWhenLe { a, b, target } => {
                                        jump_when!(target, holds!(a, b, le))
                                    }
                                    Op::JumpWhenGt { a, b, target } => {
                                        jump_when!(target, holds!(a, b, gt))
                                    }
                                    Op::JumpWhenGe { a, b, target } => {
                                        jump_when!(target, holds!(a, b, ge))
                                    }
                                    Op::JumpWhenEqInt { a, number, target } => {
                                        jump_when!(target, holds_int!(a, number, eq))
                                    }
                                    Op::JumpWhenNeInt { a, number, target } => {
                                        jump_when!(target, holds_int!(a, number, ne))
                                    }
                                    Op::JumpWhenLtInt { a, number, target } => {
                                        jump_when!(target, holds_int!(a, number, lt))
                                    }
                                    Op::JumpWhenLeInt { a, number, target } => {
                                        jump_when!(target, holds_int!(a, number, le))
                                    }
                                    Op::JumpWhenGtInt { a, number, target } => {
                                        jump_when!(target, holds_int!(a, number, gt))
                                    }
                                    Op::JumpWhenGeInt { a, number, target } => {
                                        jump_when!(target, holds_int!(a, number, ge))
                                    }
                                    Op::JumpUnlessTruth { src, target } => match reg!(src) {
                                        Value::Bool(holds) => jump_unless!(target, *holds),
                                        _ => step!(),
                                    },
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
                                                    && (max == u16::MAX
                                                        || length <= usize::from(max))
                                            }
                                            _ => false,
                                        };
                                        jump_unless!(target, fits)
                                    }
                                    Op::JumpUnlessMap { src, target } => {
                                        jump_unless!(target, matches!(reg!(src), Value::Map(_)))
                                    }
                                    Op::JumpUnlessCase {
                                        argument,
                                        src,
                                        name,
                                        target,
                                    } => {
                                        let fits = match (reg!(src), constants.get(name.index())) {
                                            (Value::Case(case), Some(Value::Text(name))) => {
                                                some!(case.name().is_same_constant(name))
                                                    && case.argument().is_some() == argument
                                            }
                                            _ => false,
                                        };
                                        jump_unless!(target, fits)
                                    }

                                    Op::Call {
                                        count,
                                        dst,
                                        base: args,
                                        function: callee,
                                    } => call!(callee.0, instance, None, args, count, dst),
                                    Op::CallStatic {
                                        count,
                                        dst,
                                        base: args,
                                        function: callee,
                                    } => {
                                        let home = some!(functions.get(callee.index())).module;
                                        call!(callee.0, InstanceId(home.0), None, args, count, dst)
                                    }
                                    Op::CallSubInt {
                                        own,
                                        count,
                                        dst,
                                        base: args,
                                        a,
                                        number,
                                        function: callee,
                                    } => {
                                        let last =
                                            some!(numbers::sub_int(reg!(a), i32::from(number)));
                                        let known = some!(loaded.base_cases.get(callee.index()));
                                        let mut start = 0;
                                        if let Value::Int(argument) = last {
                                            let base = known.holds(argument);
                                            if base
                                                && (0..u16::from(count))
                                                    .all(|index| r.reg(args.0 + index).is_plain())
                                            {
                                                for index in 0..u16::from(count) {
                                                    place!(args.0 + index, Value::Undefined);
                                                }
                                                match &known.answer {
                                                    Some(value) => break 'copy (dst, value),
                                                    None => set!(dst, last),
                                                }
                                            }
                                            if !base {
                                                start = known.otherwise;
                                            }
                                        }
                                        let home = if own {
                                            instance
                                        } else {
                                            InstanceId(
                                                some!(functions.get(callee.index())).module.0,
                                            )
                                        };
                                        enter!(
                                            callee.0,
                                            start,
                                            home,
                                            None,
                                            count + 1,
                                            Ret::Reg(dst.0),
                                            {
                                                for index in 0..u16::from(count) {
                                                    place!(
                                                        size as u16 + index,
                                                        r.reg_mut(args.0 + index).take()
                                                    );
                                                }
                                                place!(size as u16 + u16::from(count), last);
                                            }
                                        )
                                    }
                                    Op::Apply {
                                        count,
                                        dst,
                                        callee,
                                        base: args,
                                    } => {
                                        let Value::Function(target) = reg!(callee) else {
                                            step!()
                                        };
                                        let Callable::Closure {
                                            function,
                                            instance: home,
                                            captures,
                                        } = &target.target
                                        else {
                                            step!()
                                        };
                                        if target.arity != count {
                                            step!();
                                        }
                                        // A function without captured values needs no closure to run.
                                        let (number, home) = (*function, *home);
                                        let closure = if captures.is_empty() {
                                            None
                                        } else {
                                            Some(Rc::clone(target))
                                        };
                                        call!(number, home, closure, args, count, dst)
                                    }
                                    Op::TailCall {
                                        count,
                                        base: args,
                                        function: callee,
                                    }
                                    | Op::TailCallStatic {
                                        count,
                                        base: args,
                                        function: callee,
                                    } => {
                                        let code = some!(functions.get(callee.index()));
                                        if fuel.get() == 0
                                            || usize::from(code.registers) > NARROW
                                            || frames
                                                .last()
                                                .is_none_or(|frame| frame.closure.is_some())
                                        {
                                            step!();
                                        }
                                        let home = match *op {
                                            Op::TailCall { .. } => instance,
                                            _ => InstanceId(code.module.0),
                                        };
                                        // All but the arguments is cleared, then they move to the front.
                                        let after = args.0 + u16::from(count);
                                        let mut any = clear_range(r, 0..args.0, garbage);
                                        any |= clear_range(r, after..size as u16, garbage);
                                        if args.0 > 0 {
                                            for index in 0..u16::from(count) {
                                                place!(index, r.reg_mut(args.0 + index).take());
                                            }
                                        }
                                        fuel.set(fuel.get() - 1);
                                        if let Some(frame) = frames.last_mut() {
                                            frame.function = callee.0;
                                            frame.pc = 0;
                                            frame.instance = home;
                                        }
                                        if any {
                                            machine.fuel = fuel.get();
                                            return;
                                        }
                                        break 'enter;
                                    }
                                    Op::Return { src } => break 'leave (Value::Int(0), src.0),
                                    Op::ReturnAdd { a, b } => give!(numbers::add(reg!(a), reg!(b))),
                                    Op::ReturnSub { a, b } => give!(numbers::sub(reg!(a), reg!(b))),
                                    Op::ReturnMul { a, b } => give!(numbers::mul(reg!(a), reg!(b))),
                                    Op::ReturnDiv { a, b } => give!(numbers::div(reg!(a), reg!(b))),
                                    Op::ReturnAddInt { a, number } => {
                                        give!(numbers::add_int(reg!(a), number))
                                    }

                                    Op::Update {
                                        count,
                                        target,
                                        base: keys,
                                        src,
                                        path,
                                    } => {
                                        let value = reg!(src);
                                        if value.is_undefined() || count > 1 {
                                            step!();
                                        }
                                        let index = reg!(keys);
                                        let index = if count == 0 {
                                            0
                                        } else if let Value::Int(index) = index {
                                            *index
                                        } else {
                                            step!()
                                        };
                                        let value = value.share();
                                        let path = some!(loaded.paths.get(path.index()));
                                        let mut here = Some(r.reg_mut(target.0));
                                        for step in path {
                                            here = match (step, here) {
                                                (
                                                    Step::Field(name, guess),
                                                    Some(Value::Map(map)),
                                                ) => map.own_here(name, guess),
                                                (Step::Index, Some(Value::Array(array))) => {
                                                    match (
                                                        array.own_items(),
                                                        usize::try_from(index),
                                                    ) {
                                                        (Some(items), Ok(index)) => {
                                                            items.get_mut(index)
                                                        }
                                                        _ => None,
                                                    }
                                                }
                                                _ => None,
                                            };
                                        }
                                        let Some(place) = here else {
                                            // It is shared with the register, so this frees nothing.
                                            std::mem::forget(value.loosen());
                                            step!()
                                        };
                                        let old = std::mem::replace(place, value);
                                        if count > 0 {
                                            std::mem::forget(r.reg_mut(keys.0).take());
                                        }
                                        if old.is_plain() {
                                            std::mem::forget(old);
                                            next!();
                                        }
                                        break 'old old;
                                    }
                                    Op::Next { dst, src } => {
                                        let Value::Stream(stream) = reg!(src) else {
                                            step!()
                                        };
                                        if let Some(value) = stream.next_of_array() {
                                            set!(dst, value)
                                        }
                                        generate!(stream, dst, Rc::clone(stream))
                                    }
                                    Op::NextJump { dst, src, target } => {
                                        let Value::Stream(stream) = reg!(src) else {
                                            step!()
                                        };
                                        let Some(value) = stream.next_of_array() else {
                                            generate!(stream, dst, Rc::clone(stream))
                                        };
                                        let jumps = !value.is_undefined();
                                        let old = reg!(dst);
                                        if !jumps || fuel.get() == 0 || !old.is_plain() {
                                            // The next instruction decides.
                                            set!(dst, value)
                                        }
                                        place!(dst.0, value);
                                        jump!(target)
                                    }
                                    Op::Push { target, src } => {
                                        let element = reg!(src);
                                        if !quick::push(reg!(target), element) {
                                            step!();
                                        }
                                        // It was shared with the array just now.
                                        std::mem::forget(r.reg_mut(src.0).take().loosen());
                                        next!()
                                    }

                                    Op::CallBuiltin {
                                        dst,
                                        base: args,
                                        builtin,
                                        ..
                                    } => {
                                        if fuel.get() == 0 {
                                            step!();
                                        }
                                        let value = match loaded.builtins.get(builtin.index()) {
                                            Some(Entry::Quick(quick, _)) => {
                                                match quick::perform(
                                                    *quick,
                                                    reg!(args),
                                                    r.reg(args.0 + 1),
                                                ) {
                                                    Answer::Value(value) => value,
                                                    Answer::Pushed => {
                                                        // The second argument is shared just now.
                                                        std::mem::forget(
                                                            r.reg_mut(args.0 + 1).take().loosen(),
                                                        );
                                                        whole(Value::Null)
                                                    }
                                                    Answer::Unknown => step!(),
                                                }
                                            }
                                            Some(Entry::Intrinsic(Intrinsic::StreamNext)) => {
                                                let Value::Stream(stream) = reg!(args) else {
                                                    step!()
                                                };
                                                match stream.next_of_array() {
                                                    Some(value) => value,
                                                    None => generate!(stream, dst, {
                                                        let Value::Stream(stream) =
                                                            r.reg_mut(args.0).take()
                                                        else {
                                                            step!()
                                                        };
                                                        stream
                                                    }),
                                                }
                                            }
                                            _ => step!(),
                                        };
                                        fuel.set(fuel.get() - 1);
                                        // The argument, then the result in its place.
                                        let argument = r.reg_mut(args.0).take();
                                        let old = std::mem::replace(r.reg_mut(dst.0), value);
                                        if argument.is_plain() {
                                            std::mem::forget(argument);
                                            if old.is_plain() {
                                                std::mem::forget(old);
                                                next!();
                                            }
                                            break 'old old;
                                        }
                                        if garbage.keep(argument) {
                                            garbage.keep(old);
                                            if let Some(frame) = frames.last_mut() {
                                                frame.pc = (code.len() - following.len()) as u32;
                                            }
                                            machine.fuel = fuel.get();
                                            return;
                                        }
                                        if old.is_plain() {
                                            std::mem::forget(old);
                                            next!();
                                        }
                                        break 'old old;
                                    }

                                    Op::Assert { src, type_id } => {
                                        let types = &loaded.program.types;
                                        let mut wanted = types.get(type_id.index());
                                        if let Some(TypeDesc::Union(members)) = wanted
                                            && let [only] = members[..]
                                        {
                                            wanted = types.get(only.index());
                                        }
                                        match (wanted, reg!(src)) {
                                            (
                                                Some(TypeDesc::Number),
                                                Value::Int(_) | Value::Float(_),
                                            )
                                            | (Some(TypeDesc::String), Value::Text(_))
                                            | (Some(TypeDesc::Bool), Value::Bool(_)) => next!(),
                                            _ => step!(),
                                        }
                                    }
                                    Op::TryEnd {} => {
                                        routine.handlers.pop();
                                        next!()
                                    }
                                    _ => step!(),
                                }
                            };
                            let value = source.share();
                            set!(dst, value)
                        };
                        if garbage.keep(old) {
                            if let Some(frame) = frames.last_mut() {
                                frame.pc = (code.len() - following.len()) as u32;
                            }
                            machine.fuel = fuel.get();
                            return;
                        }
                        next!();
                    };

                    // The function is left.
                    let [.., caller, frame] = &mut frames[..] else {
                        step!()
                    };
                    let mut any = false;
                    let register = match frame.ret {
                        Ret::Reg(register) => register,
                        Ret::Native => {
                            // An element of a stream; its end is for others.
                            let Some(Native::Generated {
                                ret: Ret::Reg(register),
                                ..
                            }) = natives.last()
                            else {
                                step!()
                            };
                            let register = *register;
                            if src != NONE && r.reg(src).is_undefined() {
                                step!();
                            }
                            match natives.pop() {
                                Some(Native::Generated { stream, .. }) => {
                                    stream.busy.set(false);
                                    any |= garbage.keep(Value::Stream(stream));
                                }
                                other => std::mem::forget(other),
                            }
                            register
                        }
                    };
                    if let Some(closure) = frame.closure.take() {
                        any |= garbage.keep(Value::Function(closure));
                    }
                    let value = if src == NONE {
                        value
                    } else {
                        // A number.
                        std::mem::forget(value);
                        r.reg_mut(src).take()
                    };
                    any |= clear(r, size, garbage);
                    let place = caller.base as usize + usize::from(register);
                    // The frame has no closure any more.
                    std::mem::forget(frames.pop());
                    let old = match stack.get_mut(place) {
                        Some(place) => std::mem::replace(place, value),
                        // There is no frame without registers.
                        None => value,
                    };
                    if old.is_plain() {
                        std::mem::forget(old);
                    } else {
                        any |= garbage.keep(old);
                    }
                    if any {
                        machine.fuel = fuel.get();
                        return;
                    }
                }

                // Another frame is the topmost one.
                continue 'frame;
            }
        };
        // The instruction is still to be done.
        if let Some(frame) = frames.last_mut() {
            frame.pc = (code.len() - rest.len()) as u32;
        }
        machine.fuel = fuel.get();
        return;
    }
}
