//! Two neighbours that become one instruction, because nothing else needs what the first one computes.

use super::{Effects, Liveness, NOTHING, entered};
use crate::builder::FunctionBuilder;
use crate::op::Op;
use crate::operand::Reg;

/// A comparison and the jump on it.
pub(super) fn jumps(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
    let entered = entered(builder);
    let mut any = false;
    for (index, entered) in entered.iter().enumerate().take(builder.code.len()).skip(1) {
        let Op::JumpUnless { src, target } = builder.code[index] else {
            continue;
        };
        if *entered || live.after(index, src.0) {
            continue;
        }
        let fused = match builder.code[index - 1] {
            Op::Eq { dst, a, b } if dst.0 == src.0 => Op::JumpUnlessEq { a, b, target },
            Op::Ne { dst, a, b } if dst.0 == src.0 => Op::JumpUnlessNe { a, b, target },
            Op::Lt { dst, a, b } if dst.0 == src.0 => Op::JumpUnlessLt { a, b, target },
            Op::Le { dst, a, b } if dst.0 == src.0 => Op::JumpUnlessLe { a, b, target },
            Op::Gt { dst, a, b } if dst.0 == src.0 => Op::JumpUnlessGt { a, b, target },
            Op::Ge { dst, a, b } if dst.0 == src.0 => Op::JumpUnlessGe { a, b, target },
            _ => continue,
        };
        // The jump goes where the comparison was; what follows is removed.
        builder.code[index - 1] = fused;
        builder.code[index] = NOTHING;
        any = true;
    }
    any
}

/// Small integers become operands.
pub(super) fn integers(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
    let entered = entered(builder);
    let mut any = false;
    for (index, entered) in entered.iter().enumerate().take(builder.code.len()).skip(1) {
        let Op::LoadInt { dst, value } = builder.code[index - 1] else {
            continue;
        };
        let small = i16::try_from(value);
        let number = || small.unwrap_or_default();
        let is_jump = builder.code[index].target().is_some();
        let fused = match builder.code[index] {
            Op::Add { dst: to, a, b } if b.0 == dst.0 => Op::AddInt {
                dst: to,
                a,
                number: value,
            },
            Op::Sub { dst: to, a, b } if b.0 == dst.0 => Op::SubInt {
                dst: to,
                a,
                number: value,
            },
            Op::Mul { dst: to, a, b } if b.0 == dst.0 => Op::MulInt {
                dst: to,
                a,
                number: value,
            },
            Op::Div { dst: to, a, b } if b.0 == dst.0 => Op::DivInt {
                dst: to,
                a,
                number: value,
            },
            Op::Rem { dst: to, a, b } if b.0 == dst.0 => Op::RemInt {
                dst: to,
                a,
                number: value,
            },
            Op::Eq { dst: to, a, b } if b.0 == dst.0 => Op::EqInt {
                dst: to,
                a,
                number: value,
            },
            Op::Ne { dst: to, a, b } if b.0 == dst.0 => Op::NeInt {
                dst: to,
                a,
                number: value,
            },
            Op::Lt { dst: to, a, b } if b.0 == dst.0 => Op::LtInt {
                dst: to,
                a,
                number: value,
            },
            Op::Le { dst: to, a, b } if b.0 == dst.0 => Op::LeInt {
                dst: to,
                a,
                number: value,
            },
            Op::Gt { dst: to, a, b } if b.0 == dst.0 => Op::GtInt {
                dst: to,
                a,
                number: value,
            },
            Op::Ge { dst: to, a, b } if b.0 == dst.0 => Op::GeInt {
                dst: to,
                a,
                number: value,
            },
            Op::JumpUnlessEq { a, b, target } if b.0 == dst.0 => Op::JumpUnlessEqInt {
                a,
                number: number(),
                target,
            },
            Op::JumpUnlessNe { a, b, target } if b.0 == dst.0 => Op::JumpUnlessNeInt {
                a,
                number: number(),
                target,
            },
            Op::JumpUnlessLt { a, b, target } if b.0 == dst.0 => Op::JumpUnlessLtInt {
                a,
                number: number(),
                target,
            },
            Op::JumpUnlessLe { a, b, target } if b.0 == dst.0 => Op::JumpUnlessLeInt {
                a,
                number: number(),
                target,
            },
            Op::JumpUnlessGt { a, b, target } if b.0 == dst.0 => Op::JumpUnlessGtInt {
                a,
                number: number(),
                target,
            },
            Op::JumpUnlessGe { a, b, target } if b.0 == dst.0 => Op::JumpUnlessGeInt {
                a,
                number: number(),
                target,
            },
            _ => continue,
        };
        let mut effects = Effects::default();
        effects.of(&fused);
        let overwritten = effects.writes.contains(&dst.0);
        if *entered
            || (is_jump && small.is_err())
            || effects.reads.contains(&dst.0)
            || (live.after(index, dst.0) && !overwritten)
        {
            continue;
        }
        builder.code[index - 1] = NOTHING;
        builder.code[index] = fused;
        any = true;
    }
    any
}

/// `a[i].k` in one instruction.
pub(super) fn elements(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
    let entered = entered(builder);
    let mut any = false;
    for (at, entered) in entered.iter().enumerate().take(builder.code.len()).skip(1) {
        if let Op::GetIndex {
            dst: item,
            src,
            index,
        } = builder.code[at - 1]
            && let Op::GetField { dst, src: of, key } = builder.code[at]
            && of.0 == item.0
            && !*entered
            && (dst.0 == item.0 || !live.after(at, item.0))
        {
            builder.code[at - 1] = NOTHING;
            builder.code[at] = Op::GetIndexField {
                dst,
                src,
                index,
                key,
            };
            any = true;
        }
    }
    any
}

/// `a + [x]` without the array in between.
pub(super) fn items(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
    let entered = entered(builder);
    let mut any = false;
    for (at, entered) in entered.iter().enumerate().take(builder.code.len()).skip(1) {
        if let Op::NewArray {
            dst: array,
            base,
            length: 1,
        } = builder.code[at - 1]
            && let Op::AddTake { dst, a, b } = builder.code[at]
            && b.0 == array.0
            && a.0 != array.0
            && a.0 != base.0
            && !*entered
            && (dst.0 == array.0 || !live.after(at, array.0))
        {
            builder.code[at - 1] = NOTHING;
            builder.code[at] = Op::AddItem {
                dst,
                a,
                item: Reg(base.0),
            };
            any = true;
        }
    }
    any
}

/// A check and the move that it is for in one instruction.
pub(super) fn stores(builder: &mut FunctionBuilder) -> bool {
    let entered = entered(builder);
    let mut any = false;
    for (at, entered) in entered.iter().enumerate().take(builder.code.len()).skip(1) {
        if let Op::CheckStored { src, place } = builder.code[at - 1]
            && let Op::Take { dst, src: from } = builder.code[at]
            && from == src
            && !*entered
        {
            builder.code[at] = NOTHING;
            builder.code[at - 1] = Op::TakeStored { dst, src, place };
            any = true;
        }
    }
    any
}
