//! Registers given out anew, when all other rewrites are done.
//!
//! The generator hands out registers like a stack and the rewrites leave many of them
//! without a use. A frame is cleared register by register when it is left, so few are
//! better. Two registers share a place if neither is written while the other is still
//! read; the two sides of a move share one if they can, and the move is gone. Registers
//! that an instruction handles as one range keep their distances.

use super::{Effects, Liveness, NOTHING};
use crate::builder::FunctionBuilder;
use crate::op::Op;
use crate::operand::{
    Base, ConstId, Dst, FuncId, ImportId, ModuleId, OptReg, PathId, PatternId, Reg, Relocation,
    ShapeId, TypeId,
};

/// Functions with more registers stay as they are: the table of conflicts would grow with the square.
const MOST: u16 = 1024;

/// Gives all registers but the parameters new numbers; true if moves became superfluous.
pub(super) fn renumber(builder: &mut FunctionBuilder, live: &Liveness) -> bool {
    let count = builder.registers();
    let params = u16::from(builder.params());
    if count > MOST || count == params {
        return false;
    }
    let conflicts = Conflicts::of(builder, live, count);
    let places = Places::find(builder, &conflicts, count);
    let mut any = false;
    for op in &mut builder.code {
        op.relocate(&places);
        match *op {
            Op::Move { dst, src } | Op::Take { dst, src } if dst.0 == src.0 => {
                *op = NOTHING;
                any = true;
            }
            Op::TakeStored { dst, src, place } if dst.0 == src.0 => {
                *op = Op::CheckStored { src, place };
            }
            _ => {}
        }
    }
    builder.set_registers(places.height.max(params));
    any
}

/// A table of bits: which registers cannot share a place.
struct Conflicts {
    words: usize,
    rows: Vec<u64>,
}

impl Conflicts {
    fn of(builder: &FunctionBuilder, live: &Liveness, count: u16) -> Self {
        let words = live.words;
        let mut table = Self {
            words,
            rows: vec![0; words * usize::from(count)],
        };
        // What is there at the beginning is there at once: parameters, and what is read as undefined.
        let mut row = live.entry.clone();
        for param in 0..u16::from(builder.params()) {
            set(&mut row, param);
        }
        for reg in 0..count {
            if has(&row, reg) {
                table.add(reg, &row);
            }
        }
        let mut effects = Effects::default();
        for (at, op) in builder.code.iter().enumerate() {
            effects.of(op);
            row.copy_from_slice(&live.out[at * words..][..words]);
            if !may_share(op) {
                for &reg in &effects.reads {
                    set(&mut row, reg);
                }
            }
            // Several results are there at once.
            for &reg in &effects.writes {
                set(&mut row, reg);
            }
            for &reg in &effects.writes {
                table.add(reg, &row);
            }
            // It is written where an error is caught, when all that the handler reads is there.
            if let Op::TryBegin { dst, .. } = op {
                table.add(dst.0, &row);
            }
        }
        table.mirror(count);
        table
    }

    fn add(&mut self, reg: u16, with: &[u64]) {
        let start = usize::from(reg) * self.words;
        for (word, with) in self.rows[start..][..self.words].iter_mut().zip(with) {
            *word |= with;
        }
    }

    fn of_register(&self, reg: u16) -> &[u64] {
        &self.rows[usize::from(reg) * self.words..][..self.words]
    }

    /// Makes the table symmetric.
    fn mirror(&mut self, count: u16) {
        for reg in 0..count {
            for word in 0..self.words {
                let mut bits = self.rows[usize::from(reg) * self.words + word];
                while bits != 0 {
                    let other = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    if other < usize::from(count) {
                        let row = &mut self.rows[other * self.words..][..self.words];
                        set(row, reg);
                    }
                }
            }
        }
    }
}

fn set(row: &mut [u64], reg: u16) {
    row[usize::from(reg) / 64] |= 1 << (reg % 64);
}

fn has(row: &[u64], reg: u16) -> bool {
    row[usize::from(reg) / 64] >> (reg % 64) & 1 == 1
}

/// True for instructions that have read all they read before they write: the result may
/// lie where an operand was.
fn may_share(op: &Op) -> bool {
    matches!(
        op,
        Op::Move { .. }
            | Op::Take { .. }
            | Op::TakeStored { .. }
            | Op::Add { .. }
            | Op::AddTake { .. }
            | Op::Sub { .. }
            | Op::Mul { .. }
            | Op::Div { .. }
            | Op::Rem { .. }
            | Op::AddInt { .. }
            | Op::SubInt { .. }
            | Op::MulInt { .. }
            | Op::DivInt { .. }
            | Op::RemInt { .. }
            | Op::Eq { .. }
            | Op::Ne { .. }
            | Op::Lt { .. }
            | Op::Le { .. }
            | Op::Gt { .. }
            | Op::Ge { .. }
            | Op::EqInt { .. }
            | Op::NeInt { .. }
            | Op::LtInt { .. }
            | Op::LeInt { .. }
            | Op::GtInt { .. }
            | Op::GeInt { .. }
            | Op::IsDefined { .. }
            | Op::ArrayItem { .. }
            | Op::MapItem { .. }
            | Op::CaseItem { .. }
            | Op::GetField { .. }
            | Op::GetIndex { .. }
            | Op::GetIndexField { .. }
            | Op::NewArray { .. }
            | Op::NewMap { .. }
            | Op::NewCase { .. }
            | Op::MakeClosure { .. }
            | Op::Call { .. }
            | Op::CallStatic { .. }
            | Op::CallSubInt { .. }
            | Op::Apply { .. }
            | Op::CallBuiltin { .. }
    )
}

/// Where each register goes.
struct Places {
    /// New numbers; none for registers without a use.
    new: Vec<Option<u16>>,
    /// Number of registers afterwards.
    height: u16,
}

impl Places {
    fn find(builder: &FunctionBuilder, conflicts: &Conflicts, count: u16) -> Self {
        let groups = Groups::of(builder, count);
        let mut used = vec![false; usize::from(count)];
        let mut order = Vec::new();
        let mut partners = vec![Vec::new(); usize::from(count)];
        let mut effects = Effects::default();
        for op in &builder.code {
            effects.of(op);
            if let Op::TryBegin { dst, .. } = op {
                effects.writes.push(dst.0);
            }
            for &reg in effects.reads.iter().chain(&effects.writes) {
                if !std::mem::replace(&mut used[usize::from(reg)], true) {
                    order.push(reg);
                }
            }
            if let Op::Move { dst, src } | Op::Take { dst, src } | Op::TakeStored { dst, src, .. } =
                *op
            {
                partners[usize::from(dst.0)].push(src.0);
                partners[usize::from(src.0)].push(dst.0);
            }
        }
        let mut places = Self {
            new: vec![None; usize::from(count)],
            height: 0,
        };
        // Who is at a place already.
        let mut holders = vec![0u64; conflicts.words * usize::from(count)];
        for param in 0..u16::from(builder.params()) {
            let group = groups.of_register(param);
            let first = group[0];
            places.put(group, first, conflicts.words, &mut holders);
        }
        for reg in order {
            if places.new[usize::from(reg)].is_some() {
                continue;
            }
            let group = groups.of_register(reg);
            let fits = |start: u16| {
                usize::from(start) + group.len() <= usize::from(count)
                    && group.iter().zip(start..).all(|(&member, place)| {
                        let here = &holders[usize::from(place) * conflicts.words..];
                        let against = conflicts.of_register(member);
                        here.iter().zip(against).all(|(a, b)| a & b == 0)
                    })
            };
            let wished = group.iter().enumerate().flat_map(|(offset, &member)| {
                let known = partners[usize::from(member)].iter();
                let there = known.filter_map(|&other| places.new[usize::from(other)]);
                there.filter_map(move |place| place.checked_sub(offset as u16))
            });
            // Above all others it always fits: they take no more places than they have registers.
            let start = wished.chain(0..places.height).find(|&start| fits(start));
            let start = start.unwrap_or(places.height);
            places.put(group, start, conflicts.words, &mut holders);
        }
        places
    }

    fn put(&mut self, group: &[u16], start: u16, words: usize, holders: &mut [u64]) {
        for (&member, place) in group.iter().zip(start..) {
            self.new[usize::from(member)] = Some(place);
            self.height = self.height.max(place + 1);
            let row = &mut holders[usize::from(place) * words..][..words];
            set(row, member);
        }
    }

    fn of(&self, reg: u16) -> u16 {
        // A range without registers may begin anywhere.
        let known = self.new.get(usize::from(reg)).copied().flatten();
        known.unwrap_or(0)
    }
}

impl Relocation for Places {
    fn read(&self, reg: &mut Reg) {
        reg.0 = self.of(reg.0);
    }
    fn write(&self, reg: &mut Dst) {
        reg.0 = self.of(reg.0);
    }
    fn base(&self, base: &mut Base) {
        base.0 = self.of(base.0);
    }
    fn read_optional(&self, reg: &mut OptReg) {
        if reg.get().is_some() {
            reg.0 = self.of(reg.0);
        }
    }
    fn constant(&self, _: &mut ConstId) {}
    fn function(&self, _: &mut FuncId) {}
    fn module(&self, _: &mut ModuleId) {}
    fn import(&self, _: &mut ImportId) {}
    fn shape(&self, _: &mut ShapeId) {}
    fn path(&self, _: &mut PathId) {}
    fn pattern(&self, _: &mut PatternId) {}
    fn type_id(&self, _: &mut TypeId) {}
}

/// Registers that keep their distances, as rows of neighbours.
struct Groups {
    /// All registers in their old order.
    registers: Vec<u16>,
    /// For each register the first and the one after the last of its group.
    bounds: Vec<(u16, u16)>,
}

impl Groups {
    fn of(builder: &FunctionBuilder, count: u16) -> Self {
        // True if a register belongs together with the one before.
        let mut tied = vec![false; usize::from(count)];
        for range in builder.code.iter().filter_map(Op::range) {
            let end = range.base.saturating_add(range.count).min(count);
            for reg in range.base.saturating_add(1)..end {
                tied[usize::from(reg)] = true;
            }
        }
        let params = u16::from(builder.params());
        let mut bounds = Vec::with_capacity(usize::from(count));
        let mut start = 0;
        for reg in 0..count {
            if reg < params && reg > 0 {
                // Parameters stay where they are, one by one or together.
                tied[usize::from(reg)] = true;
            }
            if !tied[usize::from(reg)] {
                start = reg;
            }
            bounds.push((start, reg + 1));
        }
        // The end of a group is that of its last register.
        for reg in (1..usize::from(count)).rev() {
            if tied[reg] {
                bounds[reg - 1].1 = bounds[reg].1;
            }
        }
        Self {
            registers: (0..count).collect(),
            bounds,
        }
    }

    fn of_register(&self, reg: u16) -> &[u16] {
        let (start, end) = self.bounds[usize::from(reg)];
        &self.registers[usize::from(start)..usize::from(end)]
    }
}
