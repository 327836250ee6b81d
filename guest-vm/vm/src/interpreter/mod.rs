//! The interpreter: runs the frames of a routine until it is done, waits,
//! fails or has used up its fuel.
//!
//! [`execute`] is one loop over one big `match`. Registers of the running
//! frame, its code and its position are locals; calls and returns between
//! compiled functions stay inside the loop. Everything else (function values,
//! streams, cells, instances) leaves it with a [`Leave`], is done by the other
//! files of this folder, and the loop is entered again.

mod call;
pub mod intrinsic;
mod pull;
mod raise;

use std::rc::Rc;

use mix_bytecode::{Base, Op, PathStep};

use crate::access;
use crate::boundary::Host;
use crate::compare;
use crate::conform;
use crate::failure::Failure;
use crate::heap::value::InstanceId;
use crate::heap::{Callable, Case, Function, Map, Opaque, Stream, Value};
use crate::machine::{Frame, MAX_FRAMES, Machine, Native, Next, Outcome, Ret, Routine};
use crate::operators::{self, Arithmetic, Relation};
use crate::sheet::SlotState;

/// Why the inner loop was left.
enum Leave {
    /// An error at the instruction before `pc`.
    Raise(Failure),
    /// The outermost frames are done; the value goes to a native.
    Return(Value),
    /// The fuel is used up; nothing is half done.
    OutOfFuel,
    /// An instruction that needs the whole machine.
    Slow(Op),
    /// A call of a function value that is no plain closure.
    Apply {
        callee: Value,
        arguments: Vec<Value>,
        ret: Ret,
    },
}

impl Machine {
    /// Runs a routine.
    pub(crate) fn run(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        start: Result<Next, Failure>,
    ) -> Outcome {
        let mut next = start;
        loop {
            let settled = match next {
                Ok(Next::Run) => None,
                Ok(other) => Some(self.settle(routine, host, other)),
                Err(failure) => Some(Err(failure)),
            };
            match settled {
                Some(Ok(Next::Run)) | None => {}
                Some(Ok(Next::Wait)) => return Outcome::Waiting,
                Some(Ok(Next::Done(value))) => return Outcome::Done(value),
                Some(Ok(Next::Value(..))) => {
                    return self.uncaught(routine, Failure::internal("unsettled value"));
                }
                Some(Err(failure)) => match self.raise(routine, failure) {
                    Ok(()) => {}
                    Err(uncaught) => return Outcome::Failed(uncaught),
                },
            }
            if self.fuel == 0 {
                match self.spend() {
                    Ok(()) => return Outcome::OutOfFuel,
                    Err(failure) => {
                        next = Err(failure);
                        continue;
                    }
                }
            }
            if routine.frames.is_empty() {
                // Something native pushed no frame: its value is still to come.
                return self.uncaught(routine, Failure::internal("nothing to run"));
            }
            next = match execute(self, routine) {
                Leave::Raise(failure) => Err(failure),
                Leave::Return(value) => Ok(Next::Value(value, Ret::Native)),
                Leave::OutOfFuel => Ok(Next::Run),
                Leave::Apply {
                    callee,
                    arguments,
                    ret,
                } => self.apply(routine, host, &callee, arguments, ret),
                Leave::Slow(op) => self.slow(routine, host, op),
            };
        }
    }

    /// Accounts for a used up slice; fails when the whole run is over.
    fn spend(&mut self) -> Result<(), Failure> {
        match &self.budget {
            Some(0) => Err(Failure::new("RT_TIMEOUT", "time limit exceeded")),
            _ => Ok(()),
        }
    }
}

/// Moves `count` registers out.
fn take_range(registers: &mut [Value], base: u16, count: u8) -> Vec<Value> {
    let start = usize::from(base);
    registers[start..start + usize::from(count)]
        .iter_mut()
        .map(Value::take)
        .collect()
}

/// Runs the topmost frame and all that it calls directly.
#[allow(
    clippy::too_many_lines,
    reason = "one loop, one match: that is what makes it fast"
)]
fn execute(machine: &mut Machine, routine: &mut Routine) -> Leave {
    let loaded = Rc::clone(&machine.loaded);
    let functions = &loaded.program.functions[..];
    let constants = &loaded.constants[..];
    let mut fuel = machine.fuel;

    'frame: loop {
        let Some(frame) = routine.frames.last_mut() else {
            machine.fuel = fuel;
            return Leave::Raise(Failure::internal("no frame"));
        };
        let number = frame.function as usize;
        let function = &functions[number];
        let code = &function.code[..];
        let base = frame.base as usize;
        let size = usize::from(function.registers);
        let instance = frame.instance;
        let mut pc = frame.pc as usize;
        let r = &mut routine.stack[base..base + size];

        /// Leaves the loop at the present instruction.
        macro_rules! leave {
            ($why:expr) => {{
                let why = $why;
                if let Some(frame) = routine.frames.last_mut() {
                    frame.pc = pc as u32;
                }
                machine.fuel = fuel;
                return why;
            }};
        }
        macro_rules! attempt {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(failure) => leave!(Leave::Raise(failure)),
                }
            };
        }
        macro_rules! reg {
            ($operand:expr) => {
                r[usize::from($operand.0)]
            };
        }
        macro_rules! burn {
            () => {
                if fuel == 0 {
                    // The instruction is run again when there is fuel.
                    pc -= 1;
                    leave!(Leave::OutOfFuel);
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
        macro_rules! compare {
            ($dst:expr, $a:expr, $b:expr, $int:expr, $slow:expr) => {{
                if let (Value::Int(x), Value::Int(y)) = (&reg!($a), &reg!($b)) {
                    let result: bool = $int(x, y);
                    reg!($dst) = Value::Bool(result);
                } else {
                    let value = attempt!($slow(&reg!($a), &reg!($b)));
                    reg!($dst) = value;
                }
            }};
        }
        macro_rules! jump_unless {
            ($holds:expr, $target:expr) => {
                match $holds {
                    Value::Bool(true) => {}
                    Value::Bool(false) => jump!($target),
                    other => leave!(Leave::Raise(Failure::condition(&other))),
                }
            };
        }
        macro_rules! compare_jump {
            ($a:expr, $b:expr, $target:expr, $int:expr, $slow:expr) => {{
                if let (Value::Int(x), Value::Int(y)) = (&reg!($a), &reg!($b)) {
                    let holds: bool = $int(x, y);
                    if !holds {
                        jump!($target);
                    }
                } else {
                    let value = attempt!($slow(&reg!($a), &reg!($b)));
                    jump_unless!(value, $target);
                }
            }};
        }
        macro_rules! compare_jump_int {
            ($a:expr, $number:expr, $target:expr, $int:expr, $slow:expr) => {{
                if let Value::Int(x) = &reg!($a) {
                    let holds: bool = $int(x, &i64::from($number));
                    if !holds {
                        jump!($target);
                    }
                } else {
                    let value = attempt!($slow(&reg!($a), &Value::Int(i64::from($number))));
                    jump_unless!(value, $target);
                }
            }};
        }
        /// Calls a compiled function: arguments move to a new window.
        macro_rules! call {
            ($callee:expr, $instance:expr, $closure:expr, $args:expr, $count:expr, $ret:expr) => {{
                burn!();
                let number: u32 = $callee;
                let callee = &functions[number as usize];
                let new_base = base + size;
                let end = new_base + usize::from(callee.registers);
                if routine.frames.len() >= MAX_FRAMES {
                    leave!(Leave::Raise(call::stack_failure()));
                }
                if let Some(frame) = routine.frames.last_mut() {
                    frame.pc = pc as u32;
                }
                attempt!(call::make_room(&mut routine.stack, end));
                let (caller, window) = routine.stack.split_at_mut(new_base);
                let first = base + usize::from($args.0);
                let count = usize::from($count);
                for (to, from) in window.iter_mut().zip(&mut caller[first..first + count]) {
                    *to = std::mem::take(from);
                }
                routine.frames.push(Frame {
                    function: number,
                    pc: 0,
                    base: new_base as u32,
                    instance: $instance,
                    ret: $ret,
                    closure: $closure,
                });
                continue 'frame;
            }};
        }
        /// Replaces the frame.
        macro_rules! tail_call {
            ($callee:expr, $instance:expr, $closure:expr, $args:expr, $count:expr) => {{
                burn!();
                let number: u32 = $callee;
                let callee = &functions[number as usize];
                let first = usize::from($args.0);
                let count = usize::from($count);
                let closure: Option<Rc<Function>> = $closure;
                let in_instance: InstanceId = $instance;
                // Arguments first, then all else is cleared.
                for index in 0..count {
                    if index != first + index {
                        let value = std::mem::take(&mut r[first + index]);
                        r[index] = value;
                    }
                }
                for register in &mut r[count..] {
                    *register = Value::Undefined;
                }
                let end = base + usize::from(callee.registers);
                if let Some(frame) = routine.frames.last_mut() {
                    frame.function = number;
                    frame.pc = 0;
                    frame.instance = in_instance;
                    frame.closure = closure;
                }
                if let Err(failure) = call::make_room(&mut routine.stack, end) {
                    machine.fuel = fuel;
                    return Leave::Raise(failure);
                }
                continue 'frame;
            }};
        }

        loop {
            let op = &code[pc];
            pc += 1;
            match *op {
                Op::Move { dst, src } => {
                    let value = reg!(src).clone();
                    reg!(dst) = value;
                }
                Op::Take { dst, src } => {
                    let value = reg!(src).take();
                    reg!(dst) = value;
                }
                Op::LoadConst { dst, value } => reg!(dst) = constants[value.index()].clone(),
                Op::LoadInt { dst, value } => reg!(dst) = Value::Int(i64::from(value)),
                Op::LoadUndefined { dst } => reg!(dst) = Value::Undefined,
                Op::LoadNull { dst } => reg!(dst) = Value::Null,
                Op::LoadBool { dst, value } => reg!(dst) = Value::Bool(value),
                Op::LoadCapture { dst, capture } => {
                    let frame = routine.frames.last();
                    let captured =
                        frame.and_then(|frame| match &frame.closure.as_deref()?.target {
                            Callable::Closure { captures, .. } => captures.get(capture.index()),
                            _ => None,
                        });
                    let value = captured.cloned().unwrap_or_default();
                    reg!(dst) = value;
                }
                Op::NewBox { dst, src } => {
                    let value = reg!(src).clone();
                    reg!(dst) = Value::opaque(Opaque::new_box(value));
                }
                Op::LoadBox { dst, src } => {
                    let value = match &reg!(src) {
                        Value::Opaque(object) => match &**object {
                            Opaque::Box(value) => value.borrow().clone(),
                            _ => Value::Undefined,
                        },
                        _ => leave!(Leave::Raise(Failure::internal("box expected"))),
                    };
                    reg!(dst) = value;
                }
                Op::StoreBox { target, src, place } => {
                    let value = reg!(src).clone();
                    if value.is_undefined() {
                        let place = loaded.text(place);
                        leave!(Leave::Raise(Failure::undefined_stored(&place)));
                    }
                    if let Value::Opaque(object) = &reg!(target)
                        && let Opaque::Box(slot) = &**object
                    {
                        slot.replace(value);
                    } else {
                        leave!(Leave::Raise(Failure::internal("box expected")));
                    }
                }
                Op::CheckStored { src, place } => {
                    if reg!(src).is_undefined() {
                        let place = loaded.text(place);
                        leave!(Leave::Raise(Failure::undefined_stored(&place)));
                    }
                }

                Op::Add { dst, a, b } => {
                    if let (Value::Int(x), Value::Int(y)) = (&reg!(a), &reg!(b))
                        && let Some(sum) = x.checked_add(*y)
                    {
                        reg!(dst) = Value::Int(sum);
                    } else {
                        let left = reg!(a).clone();
                        let value = attempt!(operators::add(left, &reg!(b)));
                        reg!(dst) = value;
                    }
                }
                Op::AddTake { dst, a, b } => {
                    if let (Value::Int(x), Value::Int(y)) = (&reg!(a), &reg!(b))
                        && let Some(sum) = x.checked_add(*y)
                    {
                        reg!(dst) = Value::Int(sum);
                    } else {
                        let left = reg!(a).take();
                        let value = attempt!(operators::add(left, &reg!(b)));
                        reg!(dst) = value;
                    }
                }
                Op::Sub { dst, a, b } => {
                    if let (Value::Int(x), Value::Int(y)) = (&reg!(a), &reg!(b))
                        && let Some(difference) = x.checked_sub(*y)
                    {
                        reg!(dst) = Value::Int(difference);
                    } else {
                        let value =
                            attempt!(operators::arithmetic(Arithmetic::Sub, &reg!(a), &reg!(b)));
                        reg!(dst) = value;
                    }
                }
                Op::Mul { dst, a, b } => {
                    if let (Value::Int(x), Value::Int(y)) = (&reg!(a), &reg!(b))
                        && let Some(product) = x.checked_mul(*y)
                    {
                        reg!(dst) = Value::Int(product);
                    } else {
                        let value =
                            attempt!(operators::arithmetic(Arithmetic::Mul, &reg!(a), &reg!(b)));
                        reg!(dst) = value;
                    }
                }
                Op::Div { dst, a, b } => {
                    let value =
                        attempt!(operators::arithmetic(Arithmetic::Div, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::Rem { dst, a, b } => {
                    let value =
                        attempt!(operators::arithmetic(Arithmetic::Rem, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::AddInt { dst, a, number } => {
                    if let Value::Int(x) = &reg!(a)
                        && let Some(sum) = x.checked_add(i64::from(number))
                    {
                        reg!(dst) = Value::Int(sum);
                    } else {
                        let left = reg!(a).clone();
                        let value = attempt!(operators::add(left, &Value::Int(i64::from(number))));
                        reg!(dst) = value;
                    }
                }
                Op::SubInt { dst, a, number } => {
                    if let Value::Int(x) = &reg!(a)
                        && let Some(difference) = x.checked_sub(i64::from(number))
                    {
                        reg!(dst) = Value::Int(difference);
                    } else {
                        let right = Value::Int(i64::from(number));
                        let value =
                            attempt!(operators::arithmetic(Arithmetic::Sub, &reg!(a), &right));
                        reg!(dst) = value;
                    }
                }
                Op::Neg { dst, src } => {
                    let value = attempt!(operators::negate(&reg!(src)));
                    reg!(dst) = value;
                }
                Op::Not { dst, src } => {
                    let value = attempt!(operators::not(&reg!(src)));
                    reg!(dst) = value;
                }
                Op::And { dst, a, b } => {
                    let value = attempt!(operators::kleene(true, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::Or { dst, a, b } => {
                    let value = attempt!(operators::kleene(false, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::Concat { dst, a, b } => {
                    let value = attempt!(operators::concat(&reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::IsDefined { dst, src } => {
                    let defined = !reg!(src).is_undefined();
                    reg!(dst) = Value::Bool(defined);
                }
                Op::Eq { dst, a, b } => {
                    compare!(dst, a, b, i64::eq, |x, y| operators::equality(false, x, y));
                }
                Op::Ne { dst, a, b } => {
                    compare!(dst, a, b, i64::ne, |x, y| operators::equality(true, x, y));
                }
                Op::Lt { dst, a, b } => {
                    compare!(dst, a, b, i64::lt, |x, y| operators::relation(
                        Relation::Lt,
                        x,
                        y
                    ));
                }
                Op::Le { dst, a, b } => {
                    compare!(dst, a, b, i64::le, |x, y| operators::relation(
                        Relation::Le,
                        x,
                        y
                    ));
                }
                Op::Gt { dst, a, b } => {
                    compare!(dst, a, b, i64::gt, |x, y| operators::relation(
                        Relation::Gt,
                        x,
                        y
                    ));
                }
                Op::Ge { dst, a, b } => {
                    compare!(dst, a, b, i64::ge, |x, y| operators::relation(
                        Relation::Ge,
                        x,
                        y
                    ));
                }
                Op::Same { dst, a, b } => {
                    let same = attempt!(compare::same(&reg!(a), &reg!(b)));
                    reg!(dst) = Value::Bool(same);
                }
                Op::NotSame { dst, a, b } => {
                    let same = attempt!(compare::same(&reg!(a), &reg!(b)));
                    reg!(dst) = Value::Bool(!same);
                }
                Op::EqCi { dst, a, b } => {
                    let value = attempt!(operators::equality_ci(false, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::NeCi { dst, a, b } => {
                    let value = attempt!(operators::equality_ci(true, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::LtCi { dst, a, b } => {
                    let value = attempt!(operators::relation_ci(Relation::Lt, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::LeCi { dst, a, b } => {
                    let value = attempt!(operators::relation_ci(Relation::Le, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::GtCi { dst, a, b } => {
                    let value = attempt!(operators::relation_ci(Relation::Gt, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }
                Op::GeCi { dst, a, b } => {
                    let value = attempt!(operators::relation_ci(Relation::Ge, &reg!(a), &reg!(b)));
                    reg!(dst) = value;
                }

                Op::Jump { target } => jump!(target),
                Op::JumpUnless { src, target } => match &reg!(src) {
                    Value::Bool(true) => {}
                    Value::Bool(false) => jump!(target),
                    other => leave!(Leave::Raise(Failure::condition(other))),
                },
                Op::JumpIf { src, target } => match &reg!(src) {
                    Value::Bool(true) => jump!(target),
                    Value::Bool(false) => {}
                    other => leave!(Leave::Raise(Failure::condition(other))),
                },
                Op::JumpUnlessGuard { src, target } => match &reg!(src) {
                    Value::Bool(true) => {}
                    Value::Bool(false) | Value::Undefined => jump!(target),
                    other => leave!(Leave::Raise(Failure::condition(other))),
                },
                Op::AndJump { src, target } => match &reg!(src) {
                    Value::Bool(false) => jump!(target),
                    Value::Bool(true) | Value::Undefined => {}
                    other => leave!(Leave::Raise(Failure::one_operand("&&", other))),
                },
                Op::OrJump { src, target } => match &reg!(src) {
                    Value::Bool(true) => jump!(target),
                    Value::Bool(false) | Value::Undefined => {}
                    other => leave!(Leave::Raise(Failure::one_operand("||", other))),
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
                    compare_jump!(a, b, target, i64::eq, |x, y| operators::equality(
                        false, x, y
                    ));
                }
                Op::JumpUnlessNe { a, b, target } => {
                    compare_jump!(a, b, target, i64::ne, |x, y| operators::equality(
                        true, x, y
                    ));
                }
                Op::JumpUnlessLt { a, b, target } => {
                    compare_jump!(a, b, target, i64::lt, |x, y| operators::relation(
                        Relation::Lt,
                        x,
                        y
                    ));
                }
                Op::JumpUnlessLe { a, b, target } => {
                    compare_jump!(a, b, target, i64::le, |x, y| operators::relation(
                        Relation::Le,
                        x,
                        y
                    ));
                }
                Op::JumpUnlessGt { a, b, target } => {
                    compare_jump!(a, b, target, i64::gt, |x, y| operators::relation(
                        Relation::Gt,
                        x,
                        y
                    ));
                }
                Op::JumpUnlessGe { a, b, target } => {
                    compare_jump!(a, b, target, i64::ge, |x, y| operators::relation(
                        Relation::Ge,
                        x,
                        y
                    ));
                }
                Op::JumpUnlessEqInt { a, number, target } => {
                    compare_jump_int!(a, number, target, i64::eq, |x, y| operators::equality(
                        false, x, y
                    ));
                }
                Op::JumpUnlessNeInt { a, number, target } => {
                    compare_jump_int!(a, number, target, i64::ne, |x, y| operators::equality(
                        true, x, y
                    ));
                }
                Op::JumpUnlessLtInt { a, number, target } => {
                    compare_jump_int!(a, number, target, i64::lt, |x, y| operators::relation(
                        Relation::Lt,
                        x,
                        y
                    ));
                }
                Op::JumpUnlessLeInt { a, number, target } => {
                    compare_jump_int!(a, number, target, i64::le, |x, y| operators::relation(
                        Relation::Le,
                        x,
                        y
                    ));
                }
                Op::JumpUnlessGtInt { a, number, target } => {
                    compare_jump_int!(a, number, target, i64::gt, |x, y| operators::relation(
                        Relation::Gt,
                        x,
                        y
                    ));
                }
                Op::JumpUnlessGeInt { a, number, target } => {
                    compare_jump_int!(a, number, target, i64::ge, |x, y| operators::relation(
                        Relation::Ge,
                        x,
                        y
                    ));
                }

                Op::JumpUnlessSame { a, b, target } => {
                    if !compare::same(&reg!(a), &reg!(b)).unwrap_or(false) {
                        jump!(target);
                    }
                }
                Op::JumpUnlessArray {
                    src,
                    min,
                    max,
                    target,
                } => {
                    let fits = match &reg!(src) {
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
                    let fits = match (&reg!(src), &constants[name.index()]) {
                        (Value::Case(case), Value::Text(name)) => {
                            case.name() == name && case.argument().is_some() == argument
                        }
                        _ => false,
                    };
                    if !fits {
                        jump!(target);
                    }
                }
                Op::JumpUnlessMatches {
                    src,
                    type_id,
                    target,
                } => {
                    if !conform::matches(&loaded.program, &reg!(src), type_id) {
                        jump!(target);
                    }
                }
                Op::ArrayItem { dst, src, index } => {
                    let value = match &reg!(src) {
                        Value::Array(array) => array.items().get(index as usize).cloned(),
                        _ => None,
                    };
                    reg!(dst) = value.unwrap_or_default();
                }
                Op::Destructure {
                    count,
                    src,
                    base,
                    pattern,
                } => {
                    let array = reg!(src).clone();
                    let start = usize::from(base.0);
                    let places = &mut r[start..start + usize::from(count)];
                    let elements = &loaded.program.patterns[pattern.index()];
                    attempt!(access::destructure(elements, &array, places));
                }
                Op::MapItem { dst, src, key } => {
                    let value = match (&reg!(src), &constants[key.index()]) {
                        (Value::Map(map), Value::Text(key)) => map.get(key).cloned(),
                        _ => None,
                    };
                    reg!(dst) = value.unwrap_or_default();
                }
                Op::CaseItem { dst, src } => {
                    let value = match &reg!(src) {
                        Value::Case(case) => case.argument().cloned(),
                        _ => None,
                    };
                    reg!(dst) = value.unwrap_or_default();
                }
                Op::FailMatch { .. } => {
                    leave!(Leave::Raise(Failure::new("RT_MATCH", "no pattern matches")));
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
                    let home = attempt!(machine.sheet.instance_of(&reg!(of), module));
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
                    let home = attempt!(machine.sheet.instance_of(&reg!(of), module));
                    tail_call!(callee.0, home, None, args, count);
                }
                Op::Apply {
                    count,
                    dst,
                    callee,
                    base: args,
                } => {
                    if let Value::Function(target) = &reg!(callee)
                        && target.arity == count
                        && let Callable::Closure {
                            function, instance, ..
                        } = &target.target
                    {
                        let (number, home) = (*function, *instance);
                        let closure = Some(Rc::clone(target));
                        call!(number, home, closure, args, count, Ret::Reg(dst.0));
                    }
                    burn!();
                    let callee = reg!(callee).clone();
                    let arguments = take_range(r, args.0, count);
                    leave!(Leave::Apply {
                        callee,
                        arguments,
                        ret: Ret::Reg(dst.0)
                    });
                }
                Op::TailApply {
                    count,
                    callee,
                    base: args,
                } => {
                    if let Value::Function(target) = &reg!(callee)
                        && target.arity == count
                        && let Callable::Closure {
                            function, instance, ..
                        } = &target.target
                    {
                        let (number, home) = (*function, *instance);
                        let closure = Some(Rc::clone(target));
                        tail_call!(number, home, closure, args, count);
                    }
                    burn!();
                    let callee = reg!(callee).take();
                    let arguments = take_range(r, args.0, count);
                    for register in r.iter_mut() {
                        *register = Value::Undefined;
                    }
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
                    if let crate::loaded::Entry::Function(run) = loaded.builtins[builtin.index()] {
                        let start = usize::from(args.0);
                        let arguments = &mut r[start..start + usize::from(count)];
                        let value = attempt!(run(&mut machine.surroundings, arguments));
                        for argument in &mut r[start..start + usize::from(count)] {
                            *argument = Value::Undefined;
                        }
                        reg!(dst) = value;
                    } else {
                        leave!(Leave::Slow(*op));
                    }
                }
                Op::Return { src } => {
                    let value = reg!(src).take();
                    for register in r.iter_mut() {
                        *register = Value::Undefined;
                    }
                    let Some(done) = routine.frames.pop() else {
                        machine.fuel = fuel;
                        return Leave::Return(value);
                    };
                    if let Ret::Reg(register) = done.ret
                        && let Some(caller) = routine.frames.last()
                    {
                        routine.stack[caller.base as usize + usize::from(register)] = value;
                        continue 'frame;
                    }
                    machine.fuel = fuel;
                    return Leave::Return(value);
                }
                Op::MakeClosure {
                    count,
                    dst,
                    base: args,
                    function: target,
                } => {
                    let code = &functions[target.index()];
                    let captures = take_range(r, args.0, count);
                    // A function of another module belongs to a stateless one.
                    let home = if code.module == function.module {
                        instance
                    } else {
                        InstanceId(code.module.0)
                    };
                    reg!(dst) = Value::Function(Rc::new(Function {
                        arity: code.params,
                        target: Callable::Closure {
                            function: target.0,
                            instance: home,
                            captures,
                        },
                    }));
                }
                Op::MakeMember {
                    dst,
                    instance: of,
                    function: target,
                } => {
                    let code = &functions[target.index()];
                    let home = attempt!(machine.sheet.instance_of(&reg!(of), code.module));
                    if code.params == 0 {
                        leave!(Leave::Raise(Failure::internal(
                            "function without parameters"
                        )));
                    }
                    reg!(dst) = Value::Function(Rc::new(Function {
                        arity: code.params,
                        target: Callable::Closure {
                            function: target.0,
                            instance: home,
                            captures: Vec::new(),
                        },
                    }));
                }
                Op::MakeConstructor { dst, name } => {
                    let target = Callable::Constructor(loaded.text(name));
                    reg!(dst) = Value::Function(Rc::new(Function { arity: 1, target }));
                }
                Op::MakeBuiltin { dst, builtin } => {
                    let arity = mix_bytecode::builtins::get(builtin).map_or(1, |row| row.params);
                    let target = Callable::Builtin(builtin.0);
                    reg!(dst) = Value::Function(Rc::new(Function {
                        arity: arity.max(1),
                        target,
                    }));
                }
                Op::MakeForeign { dst, import } => {
                    // The replacement of a module with instances is evaluated in the own one.
                    if let crate::loaded::Foreign::OwnArm(arm) = loaded.foreign[import.index()] {
                        call!(arm, instance, None, Base(0), 0u8, Ret::Reg(dst.0));
                    }
                    let arity = loaded.program.imports[import.index()].params;
                    let target = Callable::Foreign(import.0);
                    reg!(dst) = Value::Function(Rc::new(Function {
                        arity: arity.max(1),
                        target,
                    }));
                }
                Op::MakeModule { dst, module } => {
                    // Verified to be 1 to 255.
                    let arity = loaded.program.modules[module.index()].params.len() as u8;
                    let target = Callable::Module(module.0);
                    reg!(dst) = Value::Function(Rc::new(Function { arity, target }));
                }

                Op::NewCase { dst, src, name } => {
                    let argument = reg!(src).clone();
                    if argument.is_undefined() {
                        leave!(Leave::Raise(Failure::undefined_stored("a case")));
                    }
                    reg!(dst) = Value::Case(Case::new(loaded.text(name), Some(argument)));
                }
                Op::CaseArgument { dst, src, name } => {
                    let argument = match (&reg!(src), &constants[name.index()]) {
                        (Value::Case(case), Value::Text(name)) if case.name() == name => {
                            case.argument().cloned()
                        }
                        _ => None,
                    };
                    match argument {
                        Some(argument) => reg!(dst) = argument,
                        None => {
                            let name = loaded.text(name);
                            let message = format!("value is not a case {name}");
                            let failure = Failure::new("RT_CASE", message);
                            leave!(Leave::Raise(failure.with("name", name)));
                        }
                    }
                }
                Op::NewArray {
                    dst,
                    base: items,
                    length,
                } => {
                    let start = usize::from(items.0);
                    let part = &mut r[start..start + usize::from(length)];
                    if part.iter().any(Value::is_undefined) {
                        leave!(Leave::Raise(Failure::undefined_stored("an array")));
                    }
                    let items: Vec<Value> = part.iter_mut().map(Value::take).collect();
                    reg!(dst) = Value::array(items);
                }
                Op::ArrayPush { target, src } => {
                    let value = reg!(src).clone();
                    if value.is_undefined() {
                        leave!(Leave::Raise(Failure::undefined_stored("an array")));
                    }
                    match &mut reg!(target) {
                        Value::Array(array) => array.items_mut().push(value),
                        _ => leave!(Leave::Raise(Failure::internal("array expected"))),
                    }
                }
                Op::NewMap {
                    count,
                    dst,
                    base: values,
                    shape,
                } => {
                    let start = usize::from(values.0);
                    let part = &mut r[start..start + usize::from(count)];
                    if part.iter().any(Value::is_undefined) {
                        leave!(Leave::Raise(Failure::undefined_stored("a map")));
                    }
                    let values: Vec<Value> = part.iter_mut().map(Value::take).collect();
                    reg!(dst) = Value::Map(Map::of_shape(&loaded.shapes[shape.index()], values));
                }
                Op::MapPut { target, key, src } => {
                    let value = reg!(src).clone();
                    let key = match &reg!(key) {
                        Value::Text(key) => key.clone(),
                        other => leave!(Leave::Raise(access::key_failure(other))),
                    };
                    if value.is_undefined() {
                        leave!(Leave::Raise(Failure::undefined_stored("a map")));
                    }
                    match &mut reg!(target) {
                        Value::Map(map) => map.insert(key, value),
                        _ => leave!(Leave::Raise(Failure::internal("map expected"))),
                    }
                }
                Op::GetField { dst, src, key } => {
                    let Value::Text(key) = &constants[key.index()] else {
                        leave!(Leave::Raise(Failure::internal("key is no string")));
                    };
                    let value = match &reg!(src) {
                        Value::Map(map) => {
                            let guess = &loaded.guesses[number][pc - 1];
                            map.get_near(key, guess).cloned().unwrap_or_default()
                        }
                        other => attempt!(access::field(other, key)),
                    };
                    reg!(dst) = value;
                }
                Op::GetKey { dst, src, key } => {
                    let value = attempt!(access::key(&reg!(src), &reg!(key)));
                    reg!(dst) = value;
                }
                Op::GetIndex { dst, src, index } => {
                    if let (Value::Array(array), Value::Int(number)) = (&reg!(src), &reg!(index))
                        && let Ok(number) = usize::try_from(*number)
                        && let Some(item) = array.items().get(number)
                    {
                        let item = item.clone();
                        reg!(dst) = item;
                    } else {
                        let value = attempt!(access::index(&reg!(src), &reg!(index)));
                        reg!(dst) = value;
                    }
                }
                Op::HasIndex { dst, src, index } => {
                    let has = attempt!(access::has_index(&reg!(src), &reg!(index)));
                    reg!(dst) = Value::Bool(has);
                }
                Op::TupleItem {
                    dst,
                    src,
                    index,
                    length,
                } => {
                    let value = attempt!(access::tuple_item(&reg!(src), u32::from(index), length));
                    reg!(dst) = value;
                }
                Op::Slice { dst, src, from, to } => {
                    let from = from.get().map(|from| &reg!(from));
                    let to = to.get().map(|to| &reg!(to));
                    let value = attempt!(access::slice(&reg!(src), from, to));
                    reg!(dst) = value;
                }
                Op::Update {
                    count,
                    target,
                    base: keys,
                    src,
                    path,
                } => {
                    let mut base_value = reg!(target).take();
                    let keys = take_range(r, keys.0, count);
                    let value = reg!(src).clone();
                    let path: &[PathStep] = &loaded.program.paths[path.index()];
                    let result = access::update(
                        &mut base_value,
                        path,
                        &keys,
                        |name| loaded.text_ref(name).cloned(),
                        value,
                    );
                    reg!(target) = base_value;
                    attempt!(result);
                }
                Op::Assert { src, type_id } => {
                    attempt!(conform::assert(&loaded.program, &reg!(src), type_id));
                }
                Op::MakeStream { dst, src } => {
                    let value = match &reg!(src) {
                        Value::Undefined => {
                            leave!(Leave::Raise(Failure::undefined_stored("a stream")));
                        }
                        Value::Stream(stream) => Value::Stream(Rc::clone(stream)),
                        other => Value::Stream(Stream::singleton(other.clone())),
                    };
                    reg!(dst) = value;
                }
                Op::Iterate { dst, src } => {
                    let value = match &reg!(src) {
                        Value::Stream(stream) => Value::Stream(Rc::clone(stream)),
                        Value::Array(array) => {
                            let end = array.items().len();
                            Value::Stream(Stream::of_array(array.clone(), 0, end))
                        }
                        other => {
                            let failure = Failure::not_a("RT_NOT_A_STREAM", "a stream", other);
                            leave!(Leave::Raise(failure));
                        }
                    };
                    reg!(dst) = value;
                }
                Op::Next { dst, src } => {
                    let value = match &reg!(src) {
                        Value::Stream(stream) => stream.next_ready(),
                        other => {
                            let failure = Failure::not_a("RT_NOT_A_STREAM", "a stream", other);
                            leave!(Leave::Raise(failure));
                        }
                    };
                    match value {
                        Some(value) => reg!(dst) = value,
                        None => leave!(Leave::Slow(*op)),
                    }
                }
                Op::WrapOk { dst, src } => {
                    let value = reg!(src).clone();
                    reg!(dst) = if value.is_undefined() {
                        Value::Undefined
                    } else {
                        Value::case("ok", value)
                    };
                }

                Op::TryBegin { dst, target } => {
                    routine.handlers.push(crate::machine::Handler {
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
                    SlotState::Value(value) => {
                        let value = value.clone();
                        reg!(dst) = value;
                    }
                    _ => leave!(Leave::Slow(*op)),
                },
                Op::LoadStatic { dst, module, slot } => {
                    match machine.sheet.slot(InstanceId(module.0), slot.0) {
                        SlotState::Value(value) => {
                            let value = value.clone();
                            reg!(dst) = value;
                        }
                        _ => leave!(Leave::Slow(*op)),
                    }
                }
                Op::OwnInstance { dst } => reg!(dst) = Value::Instance(instance),
                Op::InstanceNumber { dst } => {
                    let number = machine.sheet.number(instance);
                    reg!(dst) = Value::Int(number);
                }
                Op::LoadCell { dst, slot } => match machine.sheet.ready_cell(instance, slot.0) {
                    Some(value) => {
                        let value = value.clone();
                        reg!(dst) = value;
                    }
                    None => leave!(Leave::Slow(*op)),
                },
                Op::LoadEvent { dst, .. } => reg!(dst) = Value::Null,
                Op::LoadAppstate { dst } => reg!(dst) = Value::Appstate,

                Op::CallForeign { .. }
                | Op::LoadMember { .. }
                | Op::NewInstance { .. }
                | Op::StaticInstance { .. }
                | Op::LoadLink { .. }
                | Op::Contents { .. }
                | Op::Previous { .. }
                | Op::CellInfo { .. }
                | Op::CellSelect { .. }
                | Op::ThisCell { .. }
                | Op::Assign { .. }
                | Op::Freeze { .. }
                | Op::NewCell { .. }
                | Op::DependentLink { .. }
                | Op::MapLinkArray { .. }
                | Op::ExtendScope { .. }
                | Op::Live { .. }
                | Op::MakeAction { .. } => leave!(Leave::Slow(*op)),
            }
        }
    }
}

impl Machine {
    /// Instructions that need the whole machine.
    fn slow(
        &mut self,
        routine: &mut Routine,
        host: &mut dyn Host,
        op: Op,
    ) -> Result<Next, Failure> {
        let Some(frame) = routine.frames.last() else {
            return Err(Failure::internal("no frame"));
        };
        let base = frame.base as usize;
        let instance = frame.instance;
        let at = |index: u16| base + usize::from(index);
        match op {
            Op::Next { dst, src } => match routine.stack[at(src.0)].clone() {
                Value::Stream(stream) => self.pull(routine, host, &stream, Ret::Reg(dst.0)),
                other => Err(Failure::not_a("RT_NOT_A_STREAM", "a stream", &other)),
            },
            Op::CallBuiltin {
                count,
                dst,
                base: args,
                builtin,
            } => {
                let mut arguments = take_range(&mut routine.stack[base..], args.0, count);
                self.call_builtin(routine, host, builtin.0, &mut arguments, Ret::Reg(dst.0))
            }
            Op::CallForeign {
                count,
                dst,
                base: args,
                import,
            } => {
                let arguments = take_range(&mut routine.stack[base..], args.0, count);
                self.call_foreign(routine, host, import.0, &arguments, Ret::Reg(dst.0))
            }
            Op::LoadSlot { slot, .. } => self.evaluate_slot(routine, instance, slot.0, true),
            Op::LoadStatic { module, slot, .. } => {
                self.evaluate_slot(routine, InstanceId(module.0), slot.0, true)
            }
            Op::NewInstance {
                count,
                dst,
                base: args,
                module,
            } => {
                let arguments = take_range(&mut routine.stack[base..], args.0, count);
                self.instantiate(routine, module.0, arguments, Ret::Reg(dst.0))
            }
            op => self.cell_instruction(routine, host, op),
        }
    }

    /// Runs the expression of a value def; the reading instruction is run again if `again`.
    pub(crate) fn evaluate_slot(
        &mut self,
        routine: &mut Routine,
        instance: InstanceId,
        slot: u32,
        again: bool,
    ) -> Result<Next, Failure> {
        let init = self.sheet.begin_slot(&self.loaded, instance, slot)?;
        if again && let Some(frame) = routine.frames.last_mut() {
            frame.pc -= 1;
        }
        routine.natives.push(Native::Slot {
            instance,
            slot,
            again,
        });
        self.enter(routine, init, instance, None, Vec::new(), Native::RET)
    }
}
