//! Loops that test their condition at the end: one jump a round instead of two.
//!
//! `L: c; jump_unless x -> E; body; jump L; E:` becomes
//! `L: c; jump_unless x -> E; B: body; c; jump_when x -> B; E:`. The first test
//! stays where it was, for the case that there is no round at all. A function that calls itself
//! last is `L: c; jump_unless x -> B; leave; B: body; jump L`, which becomes
//! `L: c; jump_unless x -> B; E: leave; B: body; c; jump_unless x -> B; jump E`.

use crate::builder::FunctionBuilder;
use crate::op::Op;
use crate::operand::Target;

/// Most instructions before the conditional jump that are repeated.
const HEAD: usize = 3;

/// Turns the loops of a function.
pub(super) fn turn(builder: &mut FunctionBuilder) {
    let mut at = 0;
    while at < builder.code.len() {
        at += 1 + turn_one(builder, at);
    }
}

/// Turns the loop whose jump back is here; gives the number of added instructions.
fn turn_one(builder: &mut FunctionBuilder, at: usize) -> usize {
    let position = |target: Target| {
        builder
            .labels
            .get(target.index())
            .copied()
            .flatten()
            .map(|found| found as usize)
    };
    let Op::Jump { target } = builder.code[at] else {
        return 0;
    };
    let Some(start) = position(target).filter(|start| *start < at) else {
        return 0;
    };
    // The head: a few instructions without jumps, then the condition.
    let Some(length) = builder.code[start..at]
        .iter()
        .take(HEAD + 1)
        .position(|op| op.target().is_some() || op.ends_flow())
    else {
        return 0;
    };
    let condition = start + length;
    let Some(inverse) = inverse(&builder.code[condition]) else {
        return 0;
    };
    let aim = builder.code[condition].target().and_then(position);
    // Nothing jumps into the head but to its start.
    let entered = builder.labels.iter().flatten().any(|label| {
        let label = *label as usize;
        label > start && label <= condition
    });
    if entered {
        return 0;
    }
    let behind = builder.labels.len() as u32;
    let mut repeated: Vec<Op> = builder.code[start..condition].to_vec();
    let mut places = builder.places[start..=condition].to_vec();
    if aim == Some(at + 1) {
        repeated.push(inverse(Target(behind)));
    } else if aim.is_some_and(|aim| condition < aim && aim <= at) {
        // The loop goes on where the condition jumps to, and is left behind it.
        repeated.push(builder.code[condition]);
        repeated.push(Op::Jump {
            target: Target(behind),
        });
        places.push(builder.places[at]);
    } else {
        return 0;
    }
    builder.labels.push(Some(condition as u32 + 1));
    let added = repeated.len() - 1;
    builder.code.splice(at..=at, repeated);
    builder.places.splice(at..=at, places);
    for label in builder.labels.iter_mut().flatten() {
        if *label as usize > at {
            *label += added as u32;
        }
    }
    added
}

/// The jump that is taken when a condition holds.
fn inverse(op: &Op) -> Option<impl Fn(Target) -> Op + use<>> {
    let op = *op;
    let with = move |target: Target| -> Option<Op> {
        Some(match op {
            Op::JumpUnless { src, .. } => Op::JumpIf { src, target },
            Op::JumpUnlessEq { a, b, .. } => Op::JumpWhenEq { a, b, target },
            Op::JumpUnlessNe { a, b, .. } => Op::JumpWhenNe { a, b, target },
            Op::JumpUnlessLt { a, b, .. } => Op::JumpWhenLt { a, b, target },
            Op::JumpUnlessLe { a, b, .. } => Op::JumpWhenLe { a, b, target },
            Op::JumpUnlessGt { a, b, .. } => Op::JumpWhenGt { a, b, target },
            Op::JumpUnlessGe { a, b, .. } => Op::JumpWhenGe { a, b, target },
            Op::JumpUnlessEqInt { a, number, .. } => Op::JumpWhenEqInt { a, number, target },
            Op::JumpUnlessNeInt { a, number, .. } => Op::JumpWhenNeInt { a, number, target },
            Op::JumpUnlessLtInt { a, number, .. } => Op::JumpWhenLtInt { a, number, target },
            Op::JumpUnlessLeInt { a, number, .. } => Op::JumpWhenLeInt { a, number, target },
            Op::JumpUnlessGtInt { a, number, .. } => Op::JumpWhenGtInt { a, number, target },
            Op::JumpUnlessGeInt { a, number, .. } => Op::JumpWhenGeInt { a, number, target },
            Op::JumpIfUndefined { src, .. } => Op::JumpIfDefined { src, target },
            _ => return None,
        })
    };
    with(Target(0))?;
    Some(move |target| with(target).unwrap_or(op))
}
