//! Cycles between cells.

use crate::core::{Slot, SlotId, SlotKind};

/// A path of cells that depend on each other, first cell repeated at the end.
pub(super) fn cell_cycle(slots: &[Slot]) -> Option<Vec<SlotId>> {
    let edges = |slot: usize| -> &[SlotId] {
        match &slots[slot].kind {
            SlotKind::Cell(cell) => &cell.dependencies,
            SlotKind::Alias(alias) => &alias.dependencies,
            SlotKind::Import(import) => &import.dependencies,
            _ => &[],
        }
    };
    // 0 new, 1 on the path, 2 done; the path is explicit, so long chains need no stack.
    let mut state = vec![0u8; slots.len()];
    for start in 0..slots.len() {
        if state[start] != 0 {
            continue;
        }
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        state[start] = 1;
        while let Some((slot, next)) = path.last_mut() {
            let slot = *slot;
            match edges(slot).get(*next) {
                None => {
                    state[slot] = 2;
                    path.pop();
                }
                Some(target) => {
                    *next += 1;
                    let target = target.0 as usize;
                    match state.get(target) {
                        Some(0) => {
                            state[target] = 1;
                            path.push((target, 0));
                        }
                        Some(1) => {
                            let from = path
                                .iter()
                                .position(|(slot, _)| *slot == target)
                                .unwrap_or(0);
                            let mut cycle: Vec<SlotId> = path[from..]
                                .iter()
                                .map(|(slot, _)| SlotId(*slot as u32))
                                .collect();
                            cycle.push(SlotId(target as u32));
                            return Some(cycle);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    None
}
