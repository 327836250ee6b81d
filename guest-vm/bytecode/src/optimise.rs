//! What [`FunctionBuilder::finish`](crate::FunctionBuilder::finish) does to the code of a function.
//!
//! A liveness analysis (which registers are still read later) drives most rewrites:
//! - a comparison whose only use is the conditional jump behind it becomes one instruction;
//! - a small integer whose only use is the next instruction becomes its operand;
//! - a field of an element, and a checked store, become one instruction;
//! - a copy that never differs from its original is not made (`copies`);
//! - the condition of a loop is tested at its end (`loops`);
//! - the last use of a register in `move` and on the left of `add` takes the
//!   value out, so that containers are uniquely owned and change in place.

mod copies;
mod loops;

use crate::builder::FunctionBuilder;
use crate::op::Op;
use crate::operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, ModuleId, PathId, PatternId, Reg,
    ShapeId, SlotId, Target, TypeId, Visitor,
};

/// Functions whose liveness table would have more bits than this stay as they are.
const LIMIT: usize = 1 << 28;

/// Rewrites the code. Targets are labels before and after.
pub(crate) fn optimise(builder: &mut FunctionBuilder, registers: u16) {
    if builder.code.len().saturating_mul(usize::from(registers)) > LIMIT {
        return;
    }
    let live = Liveness::of(builder, registers);
    if fuse_jumps(builder, &live) {
        compact(builder);
    }
    let live = Liveness::of(builder, registers);
    let any = fuse_integers(builder, &live);
    if fuse_elements(builder, &live) || any {
        compact(builder);
    }
    let live = Liveness::of(builder, registers);
    if copies::remove(builder, &live) {
        compact(builder);
    }
    let live = Liveness::of(builder, registers);
    take_last_uses(builder, &live);
    let any = fuse_stores(builder);
    if fuse_items(builder, &live) || any {
        compact(builder);
    }
    loops::turn(builder);
}

/// Registers read and written by one instruction.
#[derive(Default)]
struct Effects {
    reads: Vec<u16>,
    writes: Vec<u16>,
}

impl Visitor for Effects {
    fn read(&mut self, _: &'static str, reg: Reg) {
        self.reads.push(reg.0);
    }
    fn write(&mut self, _: &'static str, reg: Dst) {
        self.writes.push(reg.0);
    }
    fn base(&mut self, _: &'static str, _: Base) {}
    fn constant(&mut self, _: &'static str, _: ConstId) {}
    fn function(&mut self, _: &'static str, _: FuncId) {}
    fn module(&mut self, _: &'static str, _: ModuleId) {}
    fn import(&mut self, _: &'static str, _: ImportId) {}
    fn builtin(&mut self, _: &'static str, _: BuiltinId) {}
    fn shape(&mut self, _: &'static str, _: ShapeId) {}
    fn path(&mut self, _: &'static str, _: PathId) {}
    fn pattern(&mut self, _: &'static str, _: PatternId) {}
    fn type_id(&mut self, _: &'static str, _: TypeId) {}
    fn slot(&mut self, _: &'static str, _: SlotId) {}
    fn target(&mut self, _: &'static str, _: Target) {}
    fn capture(&mut self, _: &'static str, _: Capture) {}
    fn number(&mut self, _: &'static str, _: i64) {}
}

impl Effects {
    fn of(&mut self, op: &Op) {
        self.reads.clear();
        self.writes.clear();
        op.visit(self);
        match op {
            // Reads and writes its target.
            Op::Update { target, .. } => self.reads.push(target.0),
            // Writes only when an error is caught.
            Op::TryBegin { .. } => self.writes.clear(),
            _ => {}
        }
        if let Some(range) = op.range() {
            let list = if range.writes {
                &mut self.writes
            } else {
                &mut self.reads
            };
            list.extend(range.base..range.base.saturating_add(range.count));
        }
    }
}

/// For every instruction the registers that are read after it.
struct Liveness {
    words: usize,
    out: Vec<u64>,
    /// Registers that are read before anything is written to them.
    entry: Vec<u64>,
}

impl Liveness {
    fn of(builder: &FunctionBuilder, registers: u16) -> Self {
        let words = usize::from(registers).div_ceil(64).max(1);
        let code = &builder.code;
        let mut out = vec![0u64; words * code.len()];
        let mut live_in = vec![0u64; words * (code.len() + 1)];
        let mut effects = Effects::default();
        let position = |target: Target| -> usize {
            builder.labels[target.index()].map_or(code.len(), |p| p as usize)
        };
        let handlers: Vec<usize> = code
            .iter()
            .filter_map(|op| match op {
                Op::TryBegin { target, .. } => Some(position(*target)),
                _ => None,
            })
            .collect();
        let mut row = vec![0u64; words];
        loop {
            let mut changed = false;
            for index in (0..code.len()).rev() {
                let op = &code[index];
                row.fill(0);
                if !op.ends_flow() {
                    merge(&mut row, &live_in[(index + 1) * words..][..words]);
                }
                if let Some(target) = op.target() {
                    merge(&mut row, &live_in[position(target) * words..][..words]);
                }
                // An error may lead to a handler from anywhere.
                for handler in &handlers {
                    merge(&mut row, &live_in[handler * words..][..words]);
                }
                out[index * words..][..words].copy_from_slice(&row);
                effects.of(op);
                for &reg in &effects.writes {
                    row[usize::from(reg) / 64] &= !(1 << (reg % 64));
                }
                for &reg in &effects.reads {
                    row[usize::from(reg) / 64] |= 1 << (reg % 64);
                }
                let known = &mut live_in[index * words..][..words];
                if known != row {
                    known.copy_from_slice(&row);
                    changed = true;
                }
            }
            if !changed {
                live_in.truncate(words);
                return Self {
                    words,
                    out,
                    entry: live_in,
                };
            }
        }
    }

    fn at_entry(&self, reg: u16) -> bool {
        self.entry[usize::from(reg) / 64] >> (reg % 64) & 1 == 1
    }

    fn after(&self, index: usize, reg: u16) -> bool {
        self.out[index * self.words + usize::from(reg) / 64] >> (reg % 64) & 1 == 1
    }
}

fn merge(into: &mut [u64], from: &[u64]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into |= from;
    }
}

/// Marks which instructions are entered by a jump.
fn entered(builder: &FunctionBuilder) -> Vec<bool> {
    let mut entered = vec![false; builder.code.len() + 1];
    for position in builder.labels.iter().flatten() {
        entered[*position as usize] = true;
    }
    entered
}

fn fuse_jumps(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
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

fn fuse_integers(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
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
fn fuse_elements(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
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
fn fuse_items(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
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
fn fuse_stores(builder: &mut FunctionBuilder) -> bool {
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

fn take_last_uses(builder: &mut FunctionBuilder, live: &Liveness) {
    for (index, op) in builder.code.iter_mut().enumerate() {
        match *op {
            Op::Move { dst, src } if dst.0 != src.0 && !live.after(index, src.0) => {
                *op = Op::Take { dst, src };
            }
            Op::Add { dst, a, b } if a != b && (dst.0 == a.0 || !live.after(index, a.0)) => {
                *op = Op::AddTake { dst, a, b };
            }
            _ => {}
        }
    }
}

/// Stands for a removed instruction until `compact`; the generator never emits
/// a move of a register to itself.
const NOTHING: Op = Op::Move {
    dst: Dst(u16::MAX),
    src: Reg(u16::MAX),
};

fn compact(builder: &mut FunctionBuilder) {
    let mut new_positions = Vec::with_capacity(builder.code.len() + 1);
    let mut kept = 0u32;
    for op in &builder.code {
        new_positions.push(kept);
        kept += u32::from(*op != NOTHING);
    }
    new_positions.push(kept);
    for position in builder.labels.iter_mut().flatten() {
        *position = new_positions[*position as usize];
    }
    let keep: Vec<bool> = builder.code.iter().map(|op| *op != NOTHING).collect();
    let mut flags = keep.iter();
    builder.code.retain(|_| *flags.next().unwrap_or(&true));
    let mut flags = keep.iter();
    builder.places.retain(|_| *flags.next().unwrap_or(&true));
}
