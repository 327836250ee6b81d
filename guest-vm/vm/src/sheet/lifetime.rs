//! When instances die (language 4.10): with the evaluation of a cell they
//! belong to, or with their view. Dead cells keep their last value.

use std::collections::HashSet;

use super::{Sheet, SlotState, Undo};
use crate::heap::{Callable, CellId, InstanceId, Seen, Value};

/// An instance that was made while a cell was evaluated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owned {
    instance: InstanceId,
    /// Updates of the cell before that evaluation.
    version: u64,
}

impl Sheet {
    /// Notes that an instance belongs to the evaluation of a cell.
    pub(super) fn own(&mut self, owner: CellId, instance: InstanceId) {
        let version = self.cell(owner).map_or(0, |node| node.version);
        self.owned
            .entry(owner)
            .or_default()
            .push(Owned { instance, version });
    }

    /// At the end of a pass: instances of earlier evaluations that the new value
    /// does not reach die.
    pub(super) fn bury_unreached(&mut self) {
        for owner in std::mem::take(&mut self.owners) {
            let Some(version) = self.cell(owner).map(|node| node.version) else {
                continue;
            };
            let Some(owned) = self.owned.get(&owner).cloned() else {
                continue;
            };
            // The last evaluation counted the version up by one.
            let is_old = |owned: &Owned| owned.version + 1 < version;
            if !owned.iter().any(is_old) {
                continue;
            }
            let Some(reached) = self.reached(owner, &owned) else {
                continue;
            };
            let (kept, gone): (Vec<_>, Vec<_>) = owned
                .iter()
                .copied()
                .partition(|owned| !is_old(owned) || reached.contains(&owned.instance));
            if gone.is_empty() {
                continue;
            }
            self.undo.push(Undo::Owned(owner, owned));
            self.owned.insert(owner, kept);
            for owned in gone {
                self.kill(owned.instance);
            }
        }
    }

    /// The instances among `owned` that the value of a cell leads to; none if that cannot be told.
    fn reached(&self, owner: CellId, owned: &[Owned]) -> Option<HashSet<InstanceId>> {
        let own: HashSet<InstanceId> = owned.iter().map(|owned| owned.instance).collect();
        let mut reached = HashSet::new();
        let mut seen_cells = HashSet::new();
        let mut work: Vec<Value> = self.remembered(owner).collect();
        if let Some(node) = self.cell(owner) {
            match node.target {
                Some(target) => work.push(Value::Link(target)),
                None => work.push(node.value.clone()),
            }
        }
        let mut seen = Seen::default();
        while let Some(value) = work.pop() {
            if seen.again(&value) {
                continue;
            }
            let mut instance = None;
            match value {
                Value::Link(id) => {
                    if seen_cells.insert(id)
                        && let Some(node) = self.cell(id)
                    {
                        instance = Some(node.instance);
                        if node.slot.is_none() {
                            work.push(node.value.clone());
                            work.extend(self.gathered(id).iter().map(|id| Value::Link(*id)));
                        }
                    }
                }
                Value::Instance(id) => instance = Some(id),
                Value::Array(array) => {
                    work.extend(array.items().iter().filter(|item| leads(item)).cloned());
                }
                Value::Map(map) => {
                    work.extend(map.values().filter(|item| leads(item)).cloned());
                }
                Value::Case(case) => work.extend(case.argument().cloned()),
                Value::Function(function) => match &function.target {
                    Callable::Closure {
                        instance: home,
                        captures,
                        ..
                    } => {
                        instance = Some(*home);
                        work.extend(captures.iter().cloned());
                    }
                    Callable::Partial { callee, arguments } => {
                        work.push(Value::Function(callee.clone()));
                        work.extend(arguments.iter().cloned());
                    }
                    _ => {}
                },
                // What streams and objects of the library lead to is not looked into.
                Value::Stream(_) | Value::Opaque(_) => return None,
                _ => {}
            }
            let Some(id) = instance.filter(|id| own.contains(id)) else {
                continue;
            };
            if !reached.insert(id) {
                continue;
            }
            for slot in &self.instances[id.0 as usize].slots {
                match slot {
                    SlotState::Value(value) => work.push(value.clone()),
                    SlotState::Cell(cell) => {
                        if let Some(node) = self.cell(*cell) {
                            work.push(node.value.clone());
                            work.extend(node.target.map(Value::Link));
                        }
                    }
                    SlotState::Empty | SlotState::Evaluating => {}
                }
            }
        }
        Some(reached)
    }

    /// The cells of an instance, and of those that were made by evaluating them, die.
    pub(super) fn kill(&mut self, instance: InstanceId) {
        let mut work = vec![instance];
        while let Some(id) = work.pop() {
            let Some(dying) = self.instances.get_mut(id.0 as usize) else {
                continue;
            };
            if std::mem::replace(&mut dying.dead, true) {
                continue;
            }
            self.undo.push(Undo::Died(id));
            let slots = std::mem::take(&mut dying.slots);
            for slot in &slots {
                let SlotState::Cell(cell) = slot else {
                    continue;
                };
                let shared = self.cell(*cell).is_some_and(|node| node.shared);
                if shared {
                    for scope in &mut self.scopes {
                        scope.users.retain(|user| *user != id);
                    }
                    continue;
                }
                self.kill_cell(*cell);
                if let Some(owned) = self.owned.remove(cell) {
                    work.extend(owned.iter().map(|owned| owned.instance));
                    self.undo.push(Undo::Owned(*cell, owned));
                }
            }
            // Its defs can still be called by whoever holds a function of it.
            self.instances[id.0 as usize].slots = slots;
        }
    }

    fn kill_cell(&mut self, id: CellId) {
        self.save(id);
        self.retarget(id, None);
        if let Some(node) = self.node_mut(id) {
            node.dead = true;
        }
        if let Some(memos) = self.memos.remove(&id) {
            self.undo.push(Undo::Memos(id, memos));
        }
        self.detach_live(id);
    }

    /// A view is gone: all that was made in it dies. Functions and links to its cells may
    /// still be held by objects of the session, so the numbers are not given again.
    pub fn end_view(&mut self, view: u32) {
        let Some(ending) = self.views.get_mut(view as usize) else {
            return;
        };
        let first = ending.first_instance;
        *ending = super::View {
            ended: true,
            ..super::View::default()
        };
        self.stack.retain(|other| *other != view);
        self.agents.retain(|_, other| *other != view);
        // What is shared from this view on ends with it.
        for at in (0..self.scopes.len()).rev() {
            if self.scopes[at].view == Some(view) {
                let cell = self.scopes.remove(at).cell;
                if let Some(node) = self.node_mut(cell) {
                    node.shared = false;
                }
            }
        }
        for number in first..self.instances.len() {
            if self.instances[number].view == view {
                self.kill(InstanceId(number as u32));
            }
        }
        self.undo.clear();
        self.journal.clear();
    }
}

/// Can the value lead to an instance?
fn leads(value: &Value) -> bool {
    value.is_nested() || matches!(value, Value::Link(_) | Value::Instance(_))
}
