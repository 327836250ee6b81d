//! Cells as they lie in the sheet, and the journal that brings them back.

use mix_bytecode::CellKind;

use super::Sheet;
use crate::compare;
use crate::failure::Failure;
use crate::heap::{CellId, InstanceId, Value};
use crate::loaded::Loaded;

/// A cell.
#[derive(Debug)]
pub(crate) struct CellNode {
    pub instance: InstanceId,
    /// Its slot; none for cells that are made at run time.
    pub slot: Option<u32>,
    pub kind: CellKind,
    pub state: CellState,
    pub frozen: bool,
    pub dead: bool,
    /// It was assigned since the last pass.
    pub assigned: bool,
    /// Other instances of its static module use it too.
    pub shared: bool,
    pub value: Value,
    pub previous: Value,
    pub version: u64,
    /// Pass of the last update.
    pub updated: u64,
    /// Pass of the last change of the value.
    pub changed: u64,
    /// Interaction that has saved the cell in the journal.
    saved_in: u64,
    /// Target of an alias.
    pub target: Option<CellId>,
    /// Aliases of this cell and cells that gather it; those that read it by name are in the layout.
    pub links: Vec<CellId>,
}

/// Whether a cell has its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellState {
    Empty,
    Dirty,
    Evaluating,
    Clean,
}

/// State of a cell for the journal.
#[derive(Debug)]
pub(crate) struct Saved {
    value: Value,
    previous: Value,
    version: u64,
    updated: u64,
    changed: u64,
    frozen: bool,
    dead: bool,
    shared: bool,
    target: Option<CellId>,
}

impl CellNode {
    /// A cell without a value.
    pub fn new(instance: InstanceId, slot: Option<u32>, kind: CellKind) -> Self {
        Self {
            instance,
            slot,
            kind,
            state: CellState::Empty,
            frozen: false,
            dead: false,
            assigned: false,
            shared: false,
            value: Value::Undefined,
            previous: Value::Undefined,
            version: 0,
            updated: 0,
            changed: 0,
            saved_in: 0,
            target: None,
            links: Vec::new(),
        }
    }

    /// True for aliases.
    pub fn is_alias(&self) -> bool {
        matches!(self.kind, CellKind::Alias | CellKind::VarAlias)
    }
}

impl Sheet {
    /// Pass in which an update now happens.
    pub(super) fn update_pass(&self) -> u64 {
        if self.propagating {
            self.pass
        } else {
            self.pass + 1
        }
    }

    pub(super) fn node_mut(&mut self, id: CellId) -> Option<&mut CellNode> {
        self.cells.get_mut(id.0 as usize)
    }

    /// Adds a cell to the list.
    pub(super) fn add_cell(&mut self, node: CellNode) -> CellId {
        self.cells.push(node);
        // Every cell takes far more than a byte, so they do not reach 2^32.
        CellId(self.cells.len() as u32 - 1)
    }

    /// Adds a cell that has its value from the start.
    pub(super) fn add_value(
        &mut self,
        instance: InstanceId,
        kind: CellKind,
        value: Value,
    ) -> CellId {
        let mut node = CellNode::new(instance, None, kind);
        node.value = value;
        node.version = 1;
        node.state = CellState::Clean;
        node.updated = self.update_pass();
        node.changed = node.updated;
        self.add_cell(node)
    }

    /// Notes the state of a cell before its first change in the interaction.
    pub(super) fn save(&mut self, id: CellId) {
        let interaction = self.interaction;
        // What the interaction has made is dropped when it fails.
        if (id.0 as usize) >= self.first_new_cell {
            return;
        }
        let Some(node) = self.cells.get_mut(id.0 as usize) else {
            return;
        };
        if node.saved_in == interaction {
            return;
        }
        node.saved_in = interaction;
        let saved = Saved {
            value: node.value.clone(),
            previous: node.previous.clone(),
            version: node.version,
            updated: node.updated,
            changed: node.changed,
            frozen: node.frozen,
            dead: node.dead,
            shared: node.shared,
            target: node.target,
        };
        self.journal.push((id, saved));
    }

    /// Brings a cell back to its saved state.
    pub(super) fn restore(&mut self, id: CellId, saved: Saved) {
        if let Some(node) = self.cells.get_mut(id.0 as usize) {
            node.value = saved.value;
            node.previous = saved.previous;
            node.version = saved.version;
            node.updated = saved.updated;
            node.changed = saved.changed;
            node.frozen = saved.frozen;
            node.dead = saved.dead;
            node.shared = saved.shared;
            node.saved_in = 0;
            self.retarget(id, saved.target);
        }
    }

    /// Connects an alias with another target.
    pub(super) fn retarget(&mut self, alias: CellId, target: Option<CellId>) {
        let old = self.cell(alias).and_then(|node| node.target);
        if old == target {
            return;
        }
        if let Some(old) = old {
            self.unlink(old, alias);
        }
        if let Some(node) = self.node_mut(alias) {
            node.target = target;
        }
        if let Some(node) = target.and_then(|target| self.node_mut(target)) {
            node.links.push(alias);
        }
    }

    /// `reader` no longer depends on `source`.
    pub(super) fn unlink(&mut self, source: CellId, reader: CellId) {
        if let Some(node) = self.node_mut(source)
            && let Some(position) = node.links.iter().position(|id| *id == reader)
        {
            node.links.swap_remove(position);
        }
    }

    /// Gives a cell a new value.
    pub(super) fn update(&mut self, id: CellId, value: Value) {
        self.save(id);
        let pass = self.update_pass();
        let Some(node) = self.cells.get_mut(id.0 as usize) else {
            return;
        };
        let changed = node.version == 0 || !compare::identical(&value, &node.value);
        node.previous = std::mem::replace(&mut node.value, value);
        node.version += 1;
        node.updated = pass;
        if changed {
            node.changed = pass;
        }
        node.state = CellState::Clean;
        self.recent.push(id);
        self.evaluations += 1;
        if self.owned.contains_key(&id) {
            self.owners.push(id);
        }
    }

    /// Assigns a cell (through aliases).
    pub fn assign(&mut self, loaded: &Loaded, id: CellId, value: Value) -> Result<(), Failure> {
        let Some(target) = self.resolve(id) else {
            return Err(no_cell(&self.cell_name(loaded, id)));
        };
        if value.is_undefined() {
            let name = self.short_name(loaded, target);
            return Err(Failure::undefined_stored(&format!("cell {name}")));
        }
        let Some(node) = self.cell(target) else {
            return Err(no_cell(""));
        };
        if node.dead {
            return Err(Failure::new(
                "RT_CELL_DEAD",
                "the cell behind the link no longer exists",
            ));
        }
        if node.frozen {
            let name = self.cell_name(loaded, target);
            let warning =
                format!("WARN_FROZENASSIGN: cell {name} is frozen, the assignment is ignored");
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
            return Ok(());
        }
        if node.kind != CellKind::Var {
            return Err(no_cell(&self.cell_name(loaded, target)));
        }
        self.save(target);
        if let Some(node) = self.cells.get_mut(target.0 as usize) {
            if node.assigned {
                node.value = value;
            } else {
                node.assigned = true;
                node.previous = std::mem::replace(&mut node.value, value);
                node.version += 1;
                self.assigned.push(target);
            }
        }
        Ok(())
    }

    /// `freeze`.
    pub(super) fn freeze(&mut self, id: CellId) {
        if let Some(id) = self.resolve(id) {
            self.save(id);
            if let Some(node) = self.node_mut(id) {
                node.frozen = true;
            }
        }
    }
}

/// `RT_NO_CELL`.
pub(super) fn no_cell(name: &str) -> Failure {
    Failure::new("RT_NO_CELL", format!("no assignable cell {name}")).with("name", name)
}
