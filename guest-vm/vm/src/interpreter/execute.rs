//! The loop over instructions.
//!
//! One `match` in one loop that calls nothing: every call would make the code
//! generator keep the state of the loop in memory instead of in registers.
//! What is frequent is done here as long as it needs no call: numbers, jumps,
//! calls between compiled functions, reading and changing what is there. In all
//! other cases (an operand of another kind, a text, an allocation, an error, no
//! fuel) the loop ends *before* the instruction, which [`step`](super::step)
//! then performs; only the drop of a value is left over *after* it.

use std::cell::Cell;

use mix_bytecode::{Function, Op, TypeDesc};

use super::window::{NARROW, Registers, Window, window};
use crate::access;
use crate::heap::value::InstanceId;
use crate::heap::{Callable, Opaque, Value};
use crate::loaded::{Entry, Loaded, Quick, Step};
use crate::machine::{Frame, MAX_FRAMES, Machine, Ret, Routine};
use crate::operators;
use crate::sheet::SlotState;

/// What the loop knows of the frame that runs.
struct Entered<'a> {
    base: usize,
    instance: InstanceId,
    size: usize,
    code: &'a [Op],
    /// What is still to be run of it, if nothing jumps.
    rest: &'a [Op],
    r: &'a mut Window,
}

impl<'a> Entered<'a> {
    /// The topmost frame, if it has few registers.
    #[inline(always)]
    fn of(frames: &[Frame], functions: &'a [Function], stack: &'a mut [Value]) -> Option<Self> {
        let frame = frames.last()?;
        let function = functions.get(frame.function as usize)?;
        let size = usize::from(function.registers);
        if size > NARROW {
            return None;
        }
        let base = frame.base as usize;
        Some(Self {
            base,
            instance: frame.instance,
            size,
            code: &function.code,
            rest: function.code.get(frame.pc as usize..)?,
            r: window(stack, base)?,
        })
    }
}

/// Runs the topmost frame and all that it calls as far as it goes without a call of Rust code.
/// What is put into `last` is to be dropped; if it is undefined, the next instruction is not for the loop.
#[allow(
    clippy::too_many_lines,
    clippy::float_cmp,
    reason = "one loop, one match: that is what makes it fast; numbers are compared as the language says"
)]
#[inline(never)]
pub(super) fn execute(
    machine: &mut Machine,
    routine: &mut Routine,
    loaded: &Loaded,
    last: &mut Value,
) {
    let functions = &loaded.program.functions[..];
    let constants = &loaded.constants[..];
    let sheet = &machine.sheet;
    let frames = &mut routine.frames;
    let stack = &mut routine.stack[..];
    let registers = stack.len();
    // Kept in memory: in a register, which only some instructions change, it would
    // make the compiler split the loop in two, with a second test for interruption.
    let fuel = Cell::new(machine.fuel);
    let fuel = std::hint::black_box(&fuel);
    // The state of the topmost frame.
    let Some(Entered {
        mut base,
        mut instance,
        mut size,
        mut code,
        mut rest,
        mut r,
    }) = Entered::of(frames, functions, stack)
    else {
        return;
    };

    'run: {
        /// Leaves the instruction to `step`.
        macro_rules! step {
            () => {
                break 'run
            };
        }
        /// Leaves the drop of the last reference to an object.
        macro_rules! drop_last {
            ($object:expr) => {
                std::mem::forget(std::mem::replace(&mut *last, $object))
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

            'enter: {
                let old: Value = 'old: {
                    /// Puts a value into a register; numbers, which are there mostly, need no drop.
                    macro_rules! set {
                        ($operand:expr, $value:expr) => {{
                            let value = $value;
                            let old = std::mem::replace(r.reg_mut($operand.0), value);
                            if old.is_plain() {
                                std::mem::forget(old);
                                next!();
                            }
                            break 'old old;
                        }};
                    }
                    macro_rules! float {
                        ($value:expr) => {
                            match $value {
                                Value::Float(number) => *number,
                                Value::Int(number) => *number as f64,
                                _ => step!(),
                            }
                        };
                    }
                    /// Two numbers.
                    macro_rules! arithmetic {
                        ($dst:expr, $a:expr, $b:expr, $int:expr, $float:expr) => {{
                            let value = match ($a, $b) {
                                (Value::Int(x), Value::Int(y)) => some!($int(*x, *y)),
                                (Value::Float(x), Value::Float(y)) => Value::Float($float(*x, *y)),
                                (a, b) => Value::Float($float(float!(a), float!(b))),
                            };
                            set!($dst, value)
                        }};
                    }
                    macro_rules! arithmetic_int {
                        ($dst:expr, $a:expr, $number:expr, $int:expr, $float:expr) => {{
                            let value = match $a {
                                Value::Int(x) => some!($int(*x, i64::from($number))),
                                Value::Float(x) => Value::Float($float(*x, f64::from($number))),
                                _ => step!(),
                            };
                            set!($dst, value)
                        }};
                    }
                    /// A number beside one of the other kind, if it is a float exactly.
                    macro_rules! exact {
                        ($value:expr) => {
                            match $value {
                                Value::Float(number) => *number,
                                Value::Int(number) => f64::from(some!(i32::try_from(*number).ok())),
                                _ => step!(),
                            }
                        };
                    }
                    macro_rules! holds {
                        ($a:expr, $b:expr, $operator:tt) => {
                            match (reg!($a), reg!($b)) {
                                (Value::Int(x), Value::Int(y)) => x $operator y,
                                (Value::Float(x), Value::Float(y)) => x $operator y,
                                (a, b) => exact!(a) $operator exact!(b),
                            }
                        };
                    }
                    macro_rules! holds_int {
                    ($a:expr, $number:expr, $operator:tt) => {
                        match reg!($a) {
                            Value::Int(x) => *x $operator i64::from($number),
                            Value::Float(x) => *x $operator f64::from($number),
                            _ => step!(),
                        }
                    };
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
                    /// Calls a compiled function: arguments move to a new window.
                    macro_rules! call {
                        ($callee:expr, $instance:expr, $closure:expr, $args:expr, $count:expr, $dst:expr) => {{
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
                            macro_rules! pass {
                                ($index:expr) => {
                                    let value = r.reg_mut($args.0 + $index).take();
                                    let to = r.reg_mut(size as u16 + $index);
                                    std::mem::forget(std::mem::replace(to, value));
                                };
                            }
                            let count = u16::from($count);
                            if count > 0 {
                                pass!(0);
                            }
                            if count > 1 {
                                pass!(1);
                            }
                            for index in 2..count {
                                pass!(index);
                            }
                            frames.push(Frame {
                                function: number,
                                pc: 0,
                                base: new_base as u32,
                                instance: $instance,
                                ret: Ret::Reg($dst.0),
                                closure,
                            });
                            break 'enter;
                        }};
                    }

                    // Instructions that copy a value from somewhere else.
                    let (dst, source): (_, &Value) = 'copy: {
                        match *op {
                            Op::Move { dst, src } => break 'copy (dst, reg!(src)),
                            Op::LoadConst { dst, value } => {
                                break 'copy (dst, some!(constants.get(value.index())));
                            }
                            Op::LoadCapture { dst, capture } => {
                                let closure =
                                    some!(frames.last().and_then(|frame| frame.closure.as_deref()));
                                let Callable::Closure { captures, .. } = &closure.target else {
                                    step!()
                                };
                                break 'copy (dst, some!(captures.get(capture.index())));
                            }
                            Op::LoadSlot { dst, slot } => match sheet.slot(instance, slot.0) {
                                SlotState::Value(value) => break 'copy (dst, value),
                                _ => step!(),
                            },
                            Op::LoadStatic { dst, module, slot } => {
                                match sheet.slot(InstanceId(module.0), slot.0) {
                                    SlotState::Value(value) => break 'copy (dst, value),
                                    _ => step!(),
                                }
                            }
                            Op::ArrayItem { dst, src, index } => match reg!(src) {
                                Value::Array(array) => {
                                    break 'copy (dst, some!(array.items().get(index as usize)));
                                }
                                _ => step!(),
                            },
                            Op::CaseItem { dst, src } => match reg!(src) {
                                Value::Case(case) => break 'copy (dst, some!(case.argument())),
                                _ => step!(),
                            },
                            Op::MapItem { dst, src, key } | Op::GetField { dst, src, key } => {
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
                            Op::LoadInt { dst, value } => set!(dst, Value::Int(i64::from(value))),
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
                                arithmetic!(dst, reg!(a), reg!(b), operators::sum, |x, y| x + y)
                            }
                            Op::Sub { dst, a, b } => {
                                arithmetic!(dst, reg!(a), reg!(b), operators::difference, |x, y| x
                                    - y)
                            }
                            Op::Mul { dst, a, b } => {
                                arithmetic!(
                                    dst,
                                    reg!(a),
                                    reg!(b),
                                    operators::small_product,
                                    |x, y| x * y
                                )
                            }
                            Op::Div { dst, a, b } => {
                                let value = float!(reg!(a)) / float!(reg!(b));
                                set!(dst, Value::Float(value))
                            }
                            Op::Rem { dst, a, b } => {
                                let value = match (reg!(a), reg!(b)) {
                                    (Value::Int(x), Value::Int(y)) => {
                                        some!(operators::small_remainder(*x, *y))
                                    }
                                    (Value::Float(x), Value::Int(y)) => {
                                        some!(operators::small_float_remainder(*x, *y))
                                    }
                                    _ => step!(),
                                };
                                set!(dst, Value::Float(value))
                            }
                            Op::AddInt { dst, a, number } => {
                                arithmetic_int!(dst, reg!(a), number, operators::sum, |x, y| x + y)
                            }
                            Op::SubInt { dst, a, number } => {
                                arithmetic_int!(
                                    dst,
                                    reg!(a),
                                    number,
                                    operators::difference,
                                    |x, y| x - y
                                )
                            }
                            Op::MulInt { dst, a, number } => {
                                arithmetic_int!(
                                    dst,
                                    reg!(a),
                                    number,
                                    operators::small_product,
                                    |x, y| x * y
                                )
                            }
                            Op::DivInt { dst, a, number } => {
                                let value = float!(reg!(a)) / f64::from(number);
                                set!(dst, Value::Float(value))
                            }
                            Op::RemInt { dst, a, number } => {
                                let value = match reg!(a) {
                                    Value::Int(x) => {
                                        some!(operators::small_remainder(*x, i64::from(number)))
                                    }
                                    Value::Float(x) => {
                                        some!(operators::small_float_remainder(
                                            *x,
                                            i64::from(number)
                                        ))
                                    }
                                    _ => step!(),
                                };
                                set!(dst, Value::Float(value))
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
                                std::mem::forget(std::mem::replace(r.reg_mut(item.0), element));
                                step!()
                            }

                            Op::Eq { dst, a, b } => set!(dst, Value::Bool(holds!(a, b, ==))),
                            Op::Ne { dst, a, b } => set!(dst, Value::Bool(holds!(a, b, !=))),
                            Op::Lt { dst, a, b } => set!(dst, Value::Bool(holds!(a, b, <))),
                            Op::Le { dst, a, b } => set!(dst, Value::Bool(holds!(a, b, <=))),
                            Op::Gt { dst, a, b } => set!(dst, Value::Bool(holds!(a, b, >))),
                            Op::Ge { dst, a, b } => set!(dst, Value::Bool(holds!(a, b, >=))),
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
                            Op::JumpUnlessGuard { src, target } | Op::AndJump { src, target } => {
                                match reg!(src) {
                                    Value::Bool(holds) => jump_unless!(target, *holds),
                                    _ => step!(),
                                }
                            }
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
                                jump_unless!(target, holds!(a, b, ==))
                            }
                            Op::JumpUnlessNe { a, b, target } => {
                                jump_unless!(target, holds!(a, b, !=))
                            }
                            Op::JumpUnlessLt { a, b, target } => {
                                jump_unless!(target, holds!(a, b, <))
                            }
                            Op::JumpUnlessLe { a, b, target } => {
                                jump_unless!(target, holds!(a, b, <=))
                            }
                            Op::JumpUnlessGt { a, b, target } => {
                                jump_unless!(target, holds!(a, b, >))
                            }
                            Op::JumpUnlessGe { a, b, target } => {
                                jump_unless!(target, holds!(a, b, >=))
                            }
                            Op::JumpUnlessEqInt { a, number, target } => {
                                jump_unless!(target, holds_int!(a, number, ==))
                            }
                            Op::JumpUnlessNeInt { a, number, target } => {
                                jump_unless!(target, holds_int!(a, number, !=))
                            }
                            Op::JumpUnlessLtInt { a, number, target } => {
                                jump_unless!(target, holds_int!(a, number, <))
                            }
                            Op::JumpUnlessLeInt { a, number, target } => {
                                jump_unless!(target, holds_int!(a, number, <=))
                            }
                            Op::JumpUnlessGtInt { a, number, target } => {
                                jump_unless!(target, holds_int!(a, number, >))
                            }
                            Op::JumpUnlessGeInt { a, number, target } => {
                                jump_unless!(target, holds_int!(a, number, >=))
                            }
                            Op::JumpWhenEq { a, b, target } => jump_when!(target, holds!(a, b, ==)),
                            Op::JumpWhenNe { a, b, target } => jump_when!(target, holds!(a, b, !=)),
                            Op::JumpWhenLt { a, b, target } => jump_when!(target, holds!(a, b, <)),
                            Op::JumpWhenLe { a, b, target } => jump_when!(target, holds!(a, b, <=)),
                            Op::JumpWhenGt { a, b, target } => jump_when!(target, holds!(a, b, >)),
                            Op::JumpWhenGe { a, b, target } => jump_when!(target, holds!(a, b, >=)),
                            Op::JumpWhenEqInt { a, number, target } => {
                                jump_when!(target, holds_int!(a, number, ==))
                            }
                            Op::JumpWhenNeInt { a, number, target } => {
                                jump_when!(target, holds_int!(a, number, !=))
                            }
                            Op::JumpWhenLtInt { a, number, target } => {
                                jump_when!(target, holds_int!(a, number, <))
                            }
                            Op::JumpWhenLeInt { a, number, target } => {
                                jump_when!(target, holds_int!(a, number, <=))
                            }
                            Op::JumpWhenGtInt { a, number, target } => {
                                jump_when!(target, holds_int!(a, number, >))
                            }
                            Op::JumpWhenGeInt { a, number, target } => {
                                jump_when!(target, holds_int!(a, number, >=))
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
                                    Some(std::rc::Rc::clone(target))
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
                                    || frames.last().is_none_or(|frame| frame.closure.is_some())
                                {
                                    step!();
                                }
                                let home = match *op {
                                    Op::TailCall { .. } => instance,
                                    _ => InstanceId(code.module.0),
                                };
                                // All but the arguments is cleared, then they move to the front.
                                let first = usize::from(args.0);
                                let after = first + usize::from(count);
                                for index in 0..size {
                                    if index >= first && index < after {
                                        continue;
                                    }
                                    if let Some(object) = r.reg_mut(index as u16).take().loosen() {
                                        drop_last!(object);
                                        break 'run;
                                    }
                                }
                                if first > 0 {
                                    for index in 0..u16::from(count) {
                                        let value = r.reg_mut(args.0 + index).take();
                                        std::mem::forget(std::mem::replace(
                                            r.reg_mut(index),
                                            value,
                                        ));
                                    }
                                }
                                fuel.set(fuel.get() - 1);
                                if let Some(frame) = frames.last_mut() {
                                    frame.function = callee.0;
                                    frame.pc = 0;
                                    frame.instance = home;
                                }
                                break 'enter;
                            }
                            Op::Return { src } => {
                                let [.., caller, frame] = &mut frames[..] else {
                                    step!()
                                };
                                let Ret::Reg(register) = frame.ret else {
                                    step!()
                                };
                                if let Some(closure) = frame.closure.take()
                                    && let Some(object) = Value::Function(closure).loosen()
                                {
                                    // Then the instruction is run again.
                                    drop_last!(object);
                                    break 'run;
                                }
                                let value = r.reg_mut(src.0).take();
                                macro_rules! plain {
                                ($($index:literal)*) => { true $( & r[$index].is_plain() )* };
                            }
                                macro_rules! clear {
                                ($($index:literal)*) => {
                                    $( std::mem::forget(r[$index].take()); )*
                                };
                            }
                                // Registers above the frame are undefined anyway.
                                if size <= 4 && plain!(0 1 2 3) {
                                    clear!(0 1 2 3);
                                } else if size <= 8 && plain!(0 1 2 3 4 5 6 7) {
                                    clear!(0 1 2 3 4 5 6 7);
                                } else {
                                    for index in 0..size as u16 {
                                        if let Some(object) = r.reg_mut(index).take().loosen() {
                                            drop_last!(object);
                                            let src = r.reg_mut(src.0);
                                            std::mem::forget(std::mem::replace(src, value));
                                            break 'run;
                                        }
                                    }
                                }
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
                                    break 'enter;
                                }
                                if let Some(object) = old.loosen() {
                                    drop_last!(object);
                                    machine.fuel = fuel.get();
                                    return;
                                }
                                break 'enter;
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
                                        (Step::Field(name, guess), Some(Value::Map(map))) => {
                                            map.own_here(name, guess)
                                        }
                                        (Step::Index, Some(Value::Array(array))) => {
                                            match (array.own_items(), usize::try_from(index)) {
                                                (Some(items), Ok(index)) => items.get_mut(index),
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
                                let value = some!(stream.next_of_array());
                                set!(dst, value)
                            }

                            Op::CallBuiltin {
                                dst,
                                base: args,
                                builtin,
                                ..
                            } => {
                                let Some(Entry::Quick(quick, _)) =
                                    loaded.builtins.get(builtin.index())
                                else {
                                    step!()
                                };
                                if fuel.get() == 0 {
                                    step!();
                                }
                                let value = match (quick, reg!(args)) {
                                    (Quick::Length, Value::Array(array)) => {
                                        Value::Int(array.items().len() as i64)
                                    }
                                    (Quick::Truth, Value::Bool(value)) => Value::Bool(*value),
                                    (Quick::Sqrt, number) => Value::Float(float!(number).sqrt()),
                                    (Quick::Floor, Value::Int(number)) => Value::Int(*number),
                                    (Quick::Floor, Value::Float(number)) => {
                                        Value::Int(some!(operators::small_floor(*number)))
                                    }
                                    (Quick::Push, Value::Opaque(object)) => {
                                        let Opaque::Builder(items) = &**object else {
                                            step!()
                                        };
                                        let Ok(mut items) = items.try_borrow_mut() else {
                                            step!()
                                        };
                                        let element = r.reg(args.0 + 1);
                                        if element.is_undefined() || items.len() >= items.capacity()
                                        {
                                            step!();
                                        }
                                        items.push_back(element.share());
                                        drop(items);
                                        // It was shared with the array just now.
                                        std::mem::forget(r.reg_mut(args.0 + 1).take().loosen());
                                        Value::Null
                                    }
                                    _ => step!(),
                                };
                                fuel.set(fuel.get() - 1);
                                // The argument, then the result in its place.
                                let argument = r.reg_mut(args.0).take();
                                let old = std::mem::replace(r.reg_mut(dst.0), value);
                                if old.is_plain() {
                                    std::mem::forget(old);
                                    if argument.is_plain() {
                                        std::mem::forget(argument);
                                        next!();
                                    }
                                    break 'old argument;
                                }
                                // Both are of the heap, which is rare.
                                if let Some(argument) = argument.loosen() {
                                    std::mem::forget(std::mem::replace(
                                        r.reg_mut(args.0),
                                        argument,
                                    ));
                                }
                                break 'old old;
                            }

                            Op::Assert { src, type_id } => {
                                match (loaded.program.types.get(type_id.index()), reg!(src)) {
                                    (Some(TypeDesc::Number), Value::Int(_) | Value::Float(_))
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
                if let Some(object) = old.loosen() {
                    drop_last!(object);
                    if let Some(frame) = frames.last_mut() {
                        frame.pc = (code.len() - following.len()) as u32;
                    }
                    machine.fuel = fuel.get();
                    return;
                }
                next!();
            }

            // Another frame is the topmost one.
            match Entered::of(frames, functions, &mut *stack) {
                Some(frame) => {
                    base = frame.base;
                    instance = frame.instance;
                    size = frame.size;
                    code = frame.code;
                    rest = frame.rest;
                    r = frame.r;
                }
                None => {
                    // Its position is right.
                    machine.fuel = fuel.get();
                    return;
                }
            }
        }
    };
    // The instruction is still to be done.
    if let Some(frame) = frames.last_mut() {
        frame.pc = (code.len() - rest.len()) as u32;
    }
    machine.fuel = fuel.get();
}
