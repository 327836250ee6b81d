//! What [`FunctionBuilder::finish`](crate::FunctionBuilder::finish) does to the code of a function.
//!
//! A liveness analysis (which registers are still read later) drives most rewrites:
//! - a comparison whose only use is the conditional jump behind it becomes one instruction, a small
//!   integer whose only use is the next instruction its operand, and so on (`pairs`);
//! - a copy that never differs from its original is not made (`copies`);
//! - the condition of a loop is tested at its end (`loops`);
//! - the last use of a register in `move` and on the left of `add` takes the
//!   value out, so that containers are uniquely owned and change in place;
//! - what surrounds calls, returns and the loops of the library becomes one instruction with them (`calls`);
//! - registers are given out anew (`registers`).

mod calls;
mod copies;
mod loops;
mod pairs;
mod registers;

use crate::builder::FunctionBuilder;
use crate::op::Op;
use crate::operand::{
    Base, BuiltinId, Capture, ConstId, Dst, FuncId, ImportId, ModuleId, PathId, PatternId, Reg,
    ShapeId, SlotId, Target, TypeId, Visitor,
};

/// Functions whose liveness table would have more bits than this stay as they are.
const LIMIT: usize = 1 << 28;

/// Rewrites the code. Targets are labels before and after.
pub(crate) fn optimise(builder: &mut FunctionBuilder) {
    let registers = builder.registers();
    if builder.code.len().saturating_mul(usize::from(registers)) > LIMIT {
        return;
    }
    let live = Liveness::of(builder, registers);
    if pairs::jumps(builder, &live) {
        compact(builder);
    }
    let live = Liveness::of(builder, registers);
    let any = pairs::integers(builder, &live);
    if pairs::elements(builder, &live) || any {
        compact(builder);
    }
    let live = Liveness::of(builder, registers);
    if copies::remove(builder, &live) {
        compact(builder);
    }
    let live = Liveness::of(builder, registers);
    take_last_uses(builder, &live);
    let any = pairs::stores(builder);
    if pairs::items(builder, &live) || any {
        compact(builder);
    }
    loops::turn(builder);
    let live = Liveness::of(builder, registers);
    if calls::fuse(builder, &live) {
        compact(builder);
    }
    let live = Liveness::of(builder, registers);
    if registers::renumber(builder, &live) {
        compact(builder);
    }
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
        // Without a way back one round is enough.
        let back = |(at, op): (usize, &Op)| op.target().is_some_and(|to| position(to) <= at);
        let cyclic = !handlers.is_empty() || code.iter().enumerate().any(back);
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
            if !changed || !cyclic {
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
