//! What a phrase has to do with: the definitions that are evaluated again because of it, the observers that run.

use crate::codegen::walk::{Named, named};
use crate::core::{self, SlotId, SlotKind};
use crate::syntax::span::SourceId;
use crate::tables::{HashMap, HashSet};

/// What was entered.
pub(super) struct Entry<'a> {
    /// The names that it defines.
    pub(super) changed: &'a HashSet<String>,
    /// A module is part of it.
    pub(super) has_module: bool,
    /// Its text.
    pub(super) source: SourceId,
}

/// Leaves out the observers and the initializer that have nothing to do with what was entered;
/// gives the slots that it touches, and the cells that the others may assign.
pub(super) fn active(
    core: &mut core::Program,
    id: core::ModuleId,
    entered: &Entry,
) -> (HashSet<SlotId>, HashSet<SlotId>) {
    let mut touched = touched(core, id, entered, &HashSet::default());
    let mut assigned: HashSet<SlotId> = HashSet::default();
    loop {
        let module = core.module(id);
        let runs = |observer: &core::Observer| match observer.watched.is_empty() {
            true => observer.span.source == entered.source,
            false => {
                let mut watched = observer.watched.iter();
                watched.any(|slot| touched.contains(slot) || assigned.contains(slot))
            }
        };
        let keep: Vec<bool> = module.observers.iter().map(runs).collect();
        let observers = module.observers.iter().zip(&keep);
        let mut bodies: Vec<&core::Expr> = observers
            .filter(|(_, runs)| **runs)
            .map(|(observer, _)| &*observer.body.body)
            .collect();
        let initializer = module.initializer.as_ref();
        let initializer =
            initializer.filter(|function| function.body.span.source == entered.source);
        bodies.extend(initializer.map(|function| &*function.body));
        let found = assigned_by(module, id, bodies);
        if !found.is_subset(&assigned) {
            assigned.extend(found);
            // What reads an assigned cell is evaluated again.
            touched = self::touched(core, id, entered, &assigned);
            continue;
        }
        let ran = initializer.is_some();
        let module = &mut core.modules[id.0 as usize];
        let mut keep = keep.into_iter();
        module.observers.retain(|_| keep.next().unwrap_or(true));
        if !ran {
            module.initializer = None;
            // What was entered earlier is considered after what `on ()` assigns, as if that had
            // come in an interaction of its own.
            let entered_now = module
                .observers
                .iter()
                .position(|observer| observer.watched.is_empty() && observer.guard.is_none());
            if let Some(at) = entered_now {
                module.initializer = Some(module.observers.remove(at).body);
            }
        }
        return (touched, assigned);
    }
}

/// The cells of the session that code may assign: itself, in functions that it names, and in actions that it
/// may hand on.
fn assigned_by(
    module: &core::Module,
    id: core::ModuleId,
    bodies: Vec<&core::Expr>,
) -> HashSet<SlotId> {
    let mut found = HashSet::default();
    let mut seen = HashSet::default();
    // Bodies that run, and formulas, which assign nothing but may be made of actions.
    let mut work: Vec<(&core::Expr, bool)> = bodies.into_iter().map(|body| (body, true)).collect();
    while let Some((body, runs)) = work.pop() {
        if runs {
            crate::codegen::walk::assigned(body, &mut |slot| {
                found.insert(slot);
            });
        }
        named(body, id, &mut |name| {
            let next = match name {
                Named::Slot(slot) => match &module.slots[slot.0 as usize].kind {
                    SlotKind::Function(function) => Some((&*function.body, runs)),
                    SlotKind::Value(value) => Some((&*value.body, false)),
                    SlotKind::Cell(cell) => Some((&*cell.formula.body, false)),
                    _ => None,
                },
                Named::Action(number) => {
                    let action = module.actions.get(number as usize);
                    action.map(|action| (&*action.function.body, true))
                }
                Named::Module(_) => None,
            };
            if let Some(next) = next
                && seen.insert((name, next.1))
            {
                work.push(next);
            }
        });
    }
    found
}

/// The slots with changed names, and all that read them or an assigned cell. After a module was entered, what
/// uses modules of the program counts as changed: it may be one that the entered one is part of.
fn touched(
    core: &core::Program,
    id: core::ModuleId,
    entered: &Entry,
    assigned: &HashSet<SlotId>,
) -> HashSet<SlotId> {
    let has_module = entered.has_module;
    let module = core.module(id);
    let mut users = Vec::new();
    let mut readers: HashMap<SlotId, Vec<SlotId>> = HashMap::default();
    for (index, slot) in module.slots.iter().enumerate() {
        let at = SlotId(index as u32);
        let body = match &slot.kind {
            SlotKind::Function(body) | SlotKind::Value(body) | SlotKind::Effect(body) => body,
            SlotKind::Import(import) => &import.body,
            SlotKind::Cell(cell) => &cell.formula,
            SlotKind::Alias(alias) => &alias.link,
            _ => continue,
        };
        let mut bodies = vec![&*body.body];
        let mut seen = HashSet::default();
        while let Some(body) = bodies.pop() {
            let mut actions = Vec::new();
            named(body, id, &mut |name| match name {
                Named::Slot(source) => readers.entry(source).or_default().push(at),
                Named::Action(number) => actions.push(number),
                Named::Module(other) if has_module && !core.module(other).library => {
                    users.push(at);
                }
                Named::Module(_) => {}
            });
            for number in actions {
                if seen.insert(number)
                    && let Some(action) = module.actions.get(number as usize)
                {
                    bodies.push(&action.function.body);
                }
            }
        }
    }
    let mut touched = HashSet::default();
    let mut work: Vec<SlotId> = module
        .slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| entered.changed.contains(&*slot.name))
        .map(|(index, _)| SlotId(index as u32))
        .chain(users)
        .collect();
    for slot in assigned {
        work.extend(readers.get(slot).into_iter().flatten());
    }
    while let Some(slot) = work.pop() {
        if touched.insert(slot) {
            work.extend(readers.get(&slot).into_iter().flatten());
        }
    }
    touched
}
