//! Copies that never differ from their original.
//!
//! The variable of a `for` loop is copied for each round, so that closures see
//! the value of their round. Without closures, and when the original does not
//! change while the copy is in use, the copy is not needed.

use super::{Effects, Liveness, NOTHING};
use crate::builder::FunctionBuilder;
use crate::op::Op;
use crate::operand::{Dst, Reg};

/// What is known of one register.
#[derive(Clone, Copy, Default)]
struct Uses {
    writes: u32,
    /// Read other than as a plain operand: consumed, or part of a range.
    other: bool,
}

/// Removes such copies; true if there were any.
pub(super) fn remove(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
    let candidates: Vec<(usize, Dst, Reg)> = builder
        .code
        .iter()
        .enumerate()
        .filter_map(|(at, op)| match *op {
            Op::Move { dst, src } if dst.0 != src.0 => Some((at, dst, src)),
            _ => None,
        })
        .collect();
    if candidates.is_empty() {
        return false;
    }
    let mut uses = vec![Uses::default(); usize::from(builder.registers())];
    let mut effects = Effects::default();
    for op in &builder.code {
        effects.of(op);
        for &reg in &effects.writes {
            uses[usize::from(reg)].writes += 1;
        }
        if let Some(range) = op.range() {
            for reg in range.base..range.base.saturating_add(range.count) {
                uses[usize::from(reg)].other = true;
            }
        }
        if let Some(target) = mutated(op) {
            uses[usize::from(target.0)].other = true;
            uses[usize::from(target.0)].writes += 1;
        }
        if let Op::TryBegin { dst, .. } = op {
            uses[usize::from(dst.0)].other = true;
        }
    }
    let mut any = false;
    for (at, copy, original) in candidates {
        let known = uses[usize::from(copy.0)];
        let fits = known.writes == 1
            && !known.other
            && copy.0 >= u16::from(builder.params())
            && !live.at_entry(copy.0)
            // The original may itself have been replaced by now.
            && builder.code[at] == Op::Move { dst: copy, src: original }
            && !changes_in_use(builder, live, copy, original);
        if fits {
            for op in &mut builder.code {
                op.replace_read(Reg(copy.0), original);
            }
            builder.code[at] = NOTHING;
            any = true;
            // Uses of the original now reach further than the analysis knows.
            uses[usize::from(original.0)].other = true;
            uses[usize::from(copy.0)].other = true;
        }
    }
    any
}

/// True if the original is written, or given away, where the copy is still read.
fn changes_in_use(builder: &FunctionBuilder, live: &Liveness, copy: Dst, original: Reg) -> bool {
    let mut effects = Effects::default();
    builder.code.iter().enumerate().any(|(at, op)| {
        effects.of(op);
        let written = effects.writes.contains(&original.0)
            || op.range().is_some_and(|range| {
                (range.base..range.base.saturating_add(range.count)).contains(&original.0)
            })
            || mutated(op) == Some(original);
        // Reads of the copy by the same instruction count too.
        written && (live.after(at, copy.0) || effects.reads.contains(&copy.0))
    })
}

/// The register whose value the instruction changes without writing the register.
fn mutated(op: &Op) -> Option<Reg> {
    match *op {
        Op::ArrayPush { target, .. } | Op::MapPut { target, .. } | Op::StoreBox { target, .. } => {
            Some(target)
        }
        _ => None,
    }
}
