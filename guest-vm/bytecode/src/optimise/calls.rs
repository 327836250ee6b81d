//! What surrounds calls and returns becomes one instruction with them, and so do the
//! builtins that the loops of the library consist of.

use super::{Effects, Liveness, NOTHING, entered};
use crate::builder::FunctionBuilder;
use crate::builtins;
use crate::op::Op;
use crate::operand::{Base, BuiltinId, Reg};

/// Rewrites all of them; true if instructions were removed.
pub(super) fn fuse(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
    let entered = entered(builder);
    let truth = builtins::find("#truth").map(|(id, _)| id);
    let push = builtins::find("#builder_push").map(|(id, _)| id);
    let mut any = false;
    for at in 0..builder.code.len() {
        if at > 0 && !entered[at] {
            any |=
                returned(builder, at) || argument(builder, at) || checked(builder, live, at, truth);
            element(builder, at);
        }
        any |= pushed(builder, live, &entered, at, push);
    }
    any
}

/// Arithmetic whose result is that of the function.
fn returned(builder: &mut FunctionBuilder, at: usize) -> bool {
    let Op::Return { src } = builder.code[at] else {
        return false;
    };
    let (dst, fused) = match builder.code[at - 1] {
        Op::Add { dst, a, b } | Op::AddTake { dst, a, b } => (dst, Op::ReturnAdd { a, b }),
        Op::Sub { dst, a, b } => (dst, Op::ReturnSub { a, b }),
        Op::Mul { dst, a, b } => (dst, Op::ReturnMul { a, b }),
        Op::Div { dst, a, b } => (dst, Op::ReturnDiv { a, b }),
        Op::AddInt { dst, a, number } => (dst, Op::ReturnAddInt { a, number }),
        _ => return false,
    };
    if dst.0 != src.0 {
        return false;
    }
    // An error is one of the arithmetic.
    builder.code[at - 1] = fused;
    builder.code[at] = NOTHING;
    true
}

/// `f(…, a - 1)`: the last argument is computed where the callee wants it.
fn argument(builder: &mut FunctionBuilder, at: usize) -> bool {
    let (own, count, dst, base, function) = match builder.code[at] {
        Op::Call {
            count,
            dst,
            base,
            function,
        } => (true, count, dst, base, function),
        Op::CallStatic {
            count,
            dst,
            base,
            function,
        } => (false, count, dst, base, function),
        _ => return false,
    };
    let Op::SubInt {
        dst: last,
        a,
        number,
    } = builder.code[at - 1]
    else {
        return false;
    };
    let Ok(number) = i16::try_from(number) else {
        return false;
    };
    // The place of the call stands for both, which an error must not show.
    let lines = [at - 1, at].map(|at| builder.places[at].map(|place| (place.file, place.line)));
    let moved = base.0..base.0 + u16::from(count.saturating_sub(1));
    if count == 0 || last.0 != moved.end || moved.contains(&a.0) || lines[0] != lines[1] {
        return false;
    }
    builder.code[at - 1] = NOTHING;
    builder.code[at] = Op::CallSubInt {
        own,
        count: count - 1,
        dst,
        // Where there is nothing to move, the range begins anywhere.
        base: if count == 1 { Base(0) } else { base },
        a,
        number,
        function,
    };
    true
}

/// A condition of the library, checked and jumped on.
fn checked(
    builder: &mut FunctionBuilder,
    live: &Liveness,
    at: usize,
    truth: Option<BuiltinId>,
) -> bool {
    if let Op::CallBuiltin {
        dst, base, builtin, ..
    } = builder.code[at - 1]
        && Some(builtin) == truth
        && let Op::JumpUnless { src, target } = builder.code[at]
        && src.0 == dst.0
        && !live.after(at, src.0)
        && !live.after(at, base.0)
    {
        builder.code[at - 1] = NOTHING;
        builder.code[at] = Op::JumpUnlessTruth {
            src: Reg(base.0),
            target,
        };
        // Errors are those of the check.
        builder.places[at] = builder.places[at - 1];
        return true;
    }
    false
}

/// The element of a loop and the jump to its body, which stays for elements that come later.
fn element(builder: &mut FunctionBuilder, at: usize) {
    if let Op::Next { dst, src } = builder.code[at - 1]
        && let Op::JumpIfDefined { src: of, target } = builder.code[at]
        && of.0 == dst.0
    {
        builder.code[at - 1] = Op::NextJump { dst, src, target };
    }
}

/// A value added to an array under construction that stays in its register.
fn pushed(
    builder: &mut FunctionBuilder,
    live: &Liveness,
    entered: &[bool],
    at: usize,
    push: Option<BuiltinId>,
) -> bool {
    let Op::CallBuiltin {
        dst, base, builtin, ..
    } = builder.code[at]
    else {
        return false;
    };
    let (copy, src) = (base.0, base.0 + 1);
    if Some(builtin) != push || live.after(at, dst.0) || entered[at] {
        return false;
    }
    // Back to where the builder was copied, through straight code that leaves both alone.
    let mut effects = Effects::default();
    for before in (0..at).rev() {
        let op = builder.code[before];
        if op == NOTHING {
            continue;
        }
        effects.of(&op);
        if let Op::Move { dst, src: target } = op
            && dst.0 == copy
        {
            let kept = (before + 1..at).all(|between| {
                let op = builder.code[between];
                let mut effects = Effects::default();
                effects.of(&op);
                op == NOTHING || !touches(&op, &effects, target.0)
            });
            if !kept || target.0 == src {
                return false;
            }
            builder.code[before] = NOTHING;
            builder.code[at] = Op::Push {
                target,
                src: Reg(src),
            };
            return true;
        }
        if entered[before]
            || op.target().is_some()
            || op.ends_flow()
            || effects.reads.contains(&copy)
            || touches(&op, &effects, copy)
        {
            return false;
        }
    }
    false
}

/// True if the instruction writes the register or moves its value away.
fn touches(op: &Op, effects: &Effects, reg: u16) -> bool {
    let moved = match *op {
        Op::Take { src, .. } | Op::TakeStored { src, .. } => src.0 == reg,
        Op::AddTake { a, .. } => a.0 == reg,
        Op::AddItem { a, item, .. } => a.0 == reg || item.0 == reg,
        Op::Push { src, .. } => src.0 == reg,
        _ => false,
    };
    let ranged = op
        .range()
        .is_some_and(|range| (range.base..range.base.saturating_add(range.count)).contains(&reg));
    moved || ranged || effects.writes.contains(&reg)
}
