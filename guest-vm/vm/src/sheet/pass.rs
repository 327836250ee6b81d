//! What a pass has to evaluate and which observers follow from it. Both cost
//! what is reachable from the cells that changed, however many there are.

use std::collections::BTreeSet;

use mix_bytecode::CellKind;

use super::{CellState, Sheet};
use crate::heap::{CellId, InstanceId};
use crate::loaded::Loaded;

/// What starts a pass besides assigned cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal {
    /// Live cells whose source signalled.
    pub cells: Vec<CellId>,
    /// Fired events: bit 0 refresh, bit 1 the view is shown again.
    pub events: u8,
}

impl Sheet {
    /// True if routines outside of interactions have left something to propagate.
    pub fn has_changes(&self) -> bool {
        self.has_assigned() || !self.created.is_empty()
    }

    /// What was evaluated outside of interactions stays, whatever comes.
    pub fn settle_changes(&mut self) {
        if !self.has_changes() {
            self.forget_undo();
        }
    }

    /// True if the interaction has changed cells that no pass has seen yet.
    pub(super) fn has_assigned(&self) -> bool {
        !self.assigned.is_empty()
    }

    /// Starts a pass: gives the cells to be evaluated, in creation order.
    pub(super) fn begin_pass(&mut self, loaded: &Loaded, signal: Signal) -> Vec<CellId> {
        self.pass += 1;
        self.propagating = true;
        let pass = self.pass;
        let mut work = Vec::new();
        let mut dirty = Vec::new();
        for id in std::mem::take(&mut self.assigned) {
            if let Some(node) = self.cells.get_mut(id.0 as usize) {
                node.assigned = false;
                node.updated = pass;
                if !crate::compare::identical(&node.value, &node.previous) {
                    node.changed = pass;
                }
                self.recent.push(id);
                self.readers(loaded, id, &mut work);
            }
        }
        let left = std::mem::take(&mut self.left);
        let is_dirty = |id: &CellId| self.cell(*id).is_some_and(|c| c.state == CellState::Dirty);
        dirty.extend(left.into_iter().filter(is_dirty));
        work.extend(signal.cells);
        if signal.events != 0 {
            work.extend(self.cells_of_events(loaded, signal.events));
        }
        while let Some(id) = work.pop() {
            let Some(node) = self.cells.get_mut(id.0 as usize) else {
                continue;
            };
            if node.frozen || node.dead || node.kind == CellKind::Var {
                continue;
            }
            if node.state == CellState::Clean {
                node.state = CellState::Dirty;
                dirty.push(id);
                self.marked.push(id);
                self.readers(loaded, id, &mut work);
            }
        }
        dirty.sort_unstable();
        dirty.dedup();
        dirty
    }

    /// Cells that read a fired event in a formula, in the current view.
    fn cells_of_events(&self, loaded: &Loaded, events: u8) -> Vec<CellId> {
        let fired = |id: &&CellId| {
            let Some(node) = self.cell(**id) else {
                return false;
            };
            let Some(instance) = self.instances.get(node.instance.0 as usize) else {
                return false;
            };
            let module = &loaded.program.modules[instance.module.index()];
            let slot = node.slot.and_then(|slot| module.slots.get(slot as usize));
            instance.view == self.current
                && slot.is_some_and(|slot| match &slot.kind {
                    mix_bytecode::SlotKind::Cell(cell) => cell.events & events != 0,
                    _ => false,
                })
        };
        self.event_cells.iter().filter(fired).copied().collect()
    }

    /// Adds the cells whose formula or link depends on this one.
    fn readers(&self, loaded: &Loaded, id: CellId, out: &mut Vec<CellId>) {
        let Some(node) = self.cell(id) else { return };
        out.extend_from_slice(&node.links);
        let Some(slot) = node.slot else { return };
        self.readers_in(loaded, node.instance, slot, out);
        if node.shared {
            for (instance, slot) in self.users(id) {
                self.readers_in(loaded, instance, slot, out);
            }
        }
    }

    fn readers_in(&self, loaded: &Loaded, instance: InstanceId, slot: u32, out: &mut Vec<CellId>) {
        let Some(instance) = self.instances.get(instance.0 as usize) else {
            return;
        };
        for reader in loaded.layouts[instance.module.index()].dependents(slot) {
            if let Some(super::SlotState::Cell(id)) = instance.slots.get(*reader as usize) {
                out.push(*id);
            }
        }
    }

    /// True if cells were updated that no observer has been told of.
    pub(super) fn has_recent(&self) -> bool {
        !self.recent.is_empty()
    }

    /// Takes the cells updated since the last call and finds the observers that
    /// watch them, in creation order.
    pub(super) fn take_watchers(
        &mut self,
        loaded: &Loaded,
        told: &mut Vec<CellId>,
    ) -> BTreeSet<(InstanceId, usize)> {
        let recent = std::mem::take(&mut self.recent);
        let mut watchers = BTreeSet::new();
        for id in &recent {
            let Some(node) = self.cell(*id).filter(|node| !node.dead) else {
                continue;
            };
            let Some(slot) = node.slot else { continue };
            self.watchers_in(loaded, node.instance, slot, &mut watchers);
            if node.shared {
                for (instance, slot) in self.users(*id) {
                    self.watchers_in(loaded, instance, slot, &mut watchers);
                }
            }
            if self.is_shown(loaded, node.instance, slot) {
                told.push(*id);
            }
        }
        watchers
    }

    fn watchers_in(
        &self,
        loaded: &Loaded,
        instance: InstanceId,
        slot: u32,
        out: &mut BTreeSet<(InstanceId, usize)>,
    ) {
        let Some(of) = self.instances.get(instance.0 as usize) else {
            return;
        };
        let watchers = loaded.layouts[of.module.index()].watchers(slot);
        out.extend(watchers.iter().map(|number| (instance, *number as usize)));
    }

    /// True for public cells of the instance on top of a view.
    fn is_shown(&self, loaded: &Loaded, instance: InstanceId, slot: u32) -> bool {
        let Some(of) = self.instances.get(instance.0 as usize) else {
            return false;
        };
        let top = self.views.get(of.view as usize).and_then(|view| view.top);
        let kind = loaded.program.modules[of.module.index()]
            .slots
            .get(slot as usize)
            .map(|slot| &slot.kind);
        top == Some(instance)
            && matches!(kind, Some(mix_bytecode::SlotKind::Cell(cell)) if cell.public)
    }
}
