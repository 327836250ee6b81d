//! Cells of static modules that outlive their view: `cellSessionScope` and
//! `cellScreenScope` (language 4.10).

use mix_bytecode::{CellKind, ModuleKind};

use super::{Sheet, Undo};
use crate::failure::Failure;
use crate::heap::{CellId, InstanceId};
use crate::loaded::Loaded;

/// A var cell that instances of other views use too.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    module: u32,
    slot: u32,
    pub cell: CellId,
    /// The view it ends with; none: the session.
    pub view: Option<u32>,
    /// Instances of other views that use it.
    pub users: Vec<InstanceId>,
}

impl Sheet {
    /// Shares a cell with all views of the session, or with those above the current one.
    pub(super) fn extend_scope(
        &mut self,
        loaded: &Loaded,
        id: CellId,
        session: bool,
    ) -> Result<(), Failure> {
        let refused = || {
            Failure::new(
                "RT_FAIL",
                "only a var cell of a static module can be shared by views",
            )
        };
        let id = self.resolve(id).ok_or_else(refused)?;
        let view = (!session).then_some(self.current);
        if let Some(known) = self.scopes.iter().position(|shared| shared.cell == id) {
            // The wider scope holds.
            if session && self.scopes[known].view.is_some() {
                self.undo.push(Undo::Scopes(self.scopes.clone()));
                self.scopes[known].view = None;
            }
            return Ok(());
        }
        let node = self.cell(id).ok_or_else(refused)?;
        let (slot, instance) = (node.slot.ok_or_else(refused)?, node.instance);
        let module = self.instances[instance.0 as usize].module;
        let is_static = loaded.program.modules[module.index()].kind == ModuleKind::Static;
        if !is_static || node.kind != CellKind::Var {
            return Err(refused());
        }
        self.undo.push(Undo::Scopes(self.scopes.clone()));
        self.save(id);
        if let Some(node) = self.node_mut(id) {
            node.shared = true;
        }
        self.scopes.push(Shared {
            module: module.0,
            slot,
            cell: id,
            view,
            users: Vec::new(),
        });
        Ok(())
    }

    /// The cell that a new instance in the current view takes over, if there is one.
    pub(super) fn shared_cell(
        &mut self,
        module: u32,
        slot: u32,
        user: InstanceId,
    ) -> Option<CellId> {
        let found = self.scopes.iter().position(|shared| {
            shared.module == module && shared.slot == slot && self.reaches(shared.view)
        })?;
        self.undo.push(Undo::Scopes(self.scopes.clone()));
        self.scopes[found].users.push(user);
        Some(self.scopes[found].cell)
    }

    /// Whether what is shared from a view on is seen in the current one.
    fn reaches(&self, view: Option<u32>) -> bool {
        let Some(view) = view else { return true };
        let place = |wanted: u32| self.stack.iter().position(|view| *view == wanted);
        view == self.current
            || matches!((place(view), place(self.current)), (Some(below), Some(own)) if below < own)
    }

    /// Instances of other views that use a shared cell, with its slot.
    pub(super) fn users(&self, id: CellId) -> Vec<(InstanceId, u32)> {
        let shared = self.scopes.iter().filter(|shared| shared.cell == id);
        shared
            .flat_map(|shared| shared.users.iter().map(|user| (*user, shared.slot)))
            .collect()
    }
}
