//! Modules: slots, creation steps, cells and observers.

use super::function::Sort;
use super::link::Linker;
use super::types::type_desc;
use super::walk;
use crate::core::{self, CellKind, Instancing, SlotKind};
use crate::tables::HashMap;
use mix_bytecode::{self as bytecode, FuncId, ModuleKind, Step};

/// Whether a slot has a place in the instances of its module.
pub(super) fn has_place(kind: &SlotKind) -> bool {
    matches!(
        kind,
        SlotKind::Import(_) | SlotKind::Value(_) | SlotKind::Cell(_) | SlotKind::Alias(_)
    )
}

/// A module as people see it; that of a session has no name of its own.
pub(super) fn shown_name(name: &str) -> &str {
    match name {
        "" => "<session>",
        name => name,
    }
}

/// The numbered bodies of a module.
#[derive(Default)]
pub(super) struct Bodies {
    pub slots: HashMap<core::SlotId, FuncId>,
    pub effects: HashMap<core::SlotId, FuncId>,
    pub observers: Vec<(Option<FuncId>, FuncId)>,
    pub initializer: Option<FuncId>,
}

impl<'a> Linker<'a> {
    /// Numbers the bodies that instances of a reached module evaluate by themselves.
    pub(super) fn declare_bodies(&mut self, module: core::ModuleId) {
        let program = self.program;
        let core = program.module(module);
        for (index, slot) in core.slots.iter().enumerate() {
            let id = core::SlotId(index as u32);
            if self.module(module).slots.contains_key(&id) {
                self.slot_body(module, id);
            }
            if let SlotKind::Effect(body) = &slot.kind {
                let function = self.function(module, body, Sort::Frame);
                self.bodies(module).effects.insert(id, function);
            }
        }
        for observer in &core.observers {
            let guard = observer
                .guard
                .as_ref()
                .map(|guard| self.function(module, guard, Sort::Frame));
            let body = self.function(module, &observer.body, Sort::Frame);
            self.bodies(module).observers.push((guard, body));
        }
        if let Some(initializer) = &core.initializer {
            let function = self.function(module, initializer, Sort::Frame);
            self.bodies(module).initializer = Some(function);
        }
    }

    /// The body behind a placed slot, numbered now if it was not.
    pub(super) fn slot_body(
        &mut self,
        module: core::ModuleId,
        slot: core::SlotId,
    ) -> Option<FuncId> {
        if let Some(id) = self.bodies(module).slots.get(&slot) {
            return Some(*id);
        }
        if let Some(bytes) = self.known.get(&(module, slot)).copied() {
            let id = self.known_body(module, bytes)?;
            self.bodies(module).slots.insert(slot, id);
            return Some(id);
        }
        let program = self.program;
        let entry = program.slot(module, slot);
        let (body, sort) = match &entry.kind {
            SlotKind::Value(body) => (body, Sort::Plain),
            SlotKind::Import(import) => (&import.body, Sort::Plain),
            SlotKind::Cell(cell) => (&cell.formula, Sort::Formula),
            SlotKind::Alias(alias) => (&alias.link, Sort::Frame),
            _ => return None,
        };
        let id = self.function(module, body, sort);
        self.bodies(module).slots.insert(slot, id);
        if let SlotKind::Cell(core::Cell {
            action: Some(number),
            ..
        }) = &entry.kind
        {
            self.action(module, *number);
        }
        Some(id)
    }

    /// A body that gives a value which is known already.
    fn known_body(&mut self, module: core::ModuleId, bytes: &[u8]) -> Option<FuncId> {
        let owner = self.module(module).id;
        let value = self.out.constant(bytecode::Constant::Value(bytes.into()));
        let mut builder = bytecode::FunctionBuilder::new("known", owner, 0, 0);
        let register = builder.fresh();
        builder.emit(bytecode::Op::LoadConst {
            dst: bytecode::Dst(register.0),
            value,
        });
        builder.emit(bytecode::Op::Return { src: register });
        match builder.finish() {
            Ok(function) => Some(self.out.function(function)),
            Err(error) => {
                self.internal(crate::syntax::span::Span::default(), error);
                None
            }
        }
    }

    /// Writes a module down, with all slots that were reached.
    pub(super) fn define_module(&mut self, module: core::ModuleId) {
        let program = self.program;
        let core = program.module(module);
        let params = core
            .params
            .iter()
            .map(|param| bytecode::Param {
                name: (&*param.name).into(),
                type_id: param
                    .check
                    .as_ref()
                    .map(|check| type_desc(&mut self.out, check)),
            })
            .collect();
        let mut slots: Vec<bytecode::Slot> = core
            .params
            .iter()
            .map(|param| bytecode::Slot {
                name: (&*param.name).into(),
                kind: bytecode::SlotKind::Param,
            })
            .collect();
        for slot in self.module(module).order.clone() {
            let entry = program.slot(module, slot);
            let Some(body) = self.slot_body(module, slot) else {
                self.internal(entry.span, format!("{} has no place", entry.name));
                return;
            };
            let kind = self.slot_kind(module, &entry.kind, body);
            let name = (&*entry.name).into();
            slots.push(bytecode::Slot { name, kind });
        }
        let steps = self.steps(module);
        let watched: Vec<Vec<bytecode::SlotId>> = core
            .observers
            .iter()
            .map(|observer| self.cells(module, &observer.watched))
            .collect();
        let bodies = std::mem::take(self.bodies(module));
        let observers = watched
            .into_iter()
            .zip(bodies.observers)
            .map(|(watched, (guard, body))| bytecode::Observer {
                watched,
                guard,
                body,
            })
            .collect();
        let kind = match core.instancing {
            Instancing::Shared => ModuleKind::Stateless,
            Instancing::PerImport => ModuleKind::Instance,
            Instancing::PerView => ModuleKind::Static,
        };
        let id = self.module(module).id;
        self.out.define_module(
            id,
            bytecode::Module {
                name: shown_name(&core.name).into(),
                kind,
                params,
                slots,
                steps,
                observers,
                initializer: bodies.initializer,
            },
        );
    }

    fn steps(&mut self, module: core::ModuleId) -> Vec<Step> {
        let program = self.program;
        let core = program.module(module);
        let mut steps = Vec::new();
        for (index, slot) in core.slots.iter().enumerate() {
            let id = core::SlotId(index as u32);
            if let Some(effect) = self.bodies(module).effects.get(&id) {
                steps.push(Step::Effect(*effect));
            } else if has_place(&slot.kind)
                && let Some(place) = self.module(module).slots.get(&id)
            {
                steps.push(Step::Slot(*place));
            }
        }
        steps
    }

    fn slot_kind(
        &mut self,
        module: core::ModuleId,
        kind: &'a SlotKind,
        body: FuncId,
    ) -> bytecode::SlotKind {
        let cell = match kind {
            SlotKind::Cell(cell) => {
                let action = cell.action.and_then(|number| self.action(module, number));
                bytecode::Cell {
                    kind: match cell.kind {
                        CellKind::Var => bytecode::CellKind::Var,
                        CellKind::Formula | CellKind::Live => bytecode::CellKind::Formula,
                    },
                    public: cell.public,
                    formula: body,
                    dependencies: self.cells(module, &cell.dependencies),
                    events: walk::events(&cell.formula.body),
                    action,
                    input: cell.input.as_ref().map(|ty| type_desc(&mut self.out, ty)),
                }
            }
            SlotKind::Alias(alias) => bytecode::Cell {
                kind: match alias.assignable {
                    true => bytecode::CellKind::VarAlias,
                    false => bytecode::CellKind::Alias,
                },
                public: alias.public,
                formula: body,
                dependencies: self.cells(module, &alias.dependencies),
                events: walk::events(&alias.link.body),
                action: None,
                input: alias.input.as_ref().map(|ty| type_desc(&mut self.out, ty)),
            },
            // An import that reads cells is made again when they update.
            SlotKind::Import(import) if !import.dependencies.is_empty() => bytecode::Cell {
                kind: bytecode::CellKind::Formula,
                public: false,
                formula: body,
                dependencies: self.cells(module, &import.dependencies),
                events: walk::events(&import.body.body),
                action: None,
                input: None,
            },
            _ => return bytecode::SlotKind::Value { init: body },
        };
        bytecode::SlotKind::Cell(cell)
    }

    fn cells(&mut self, module: core::ModuleId, slots: &[core::SlotId]) -> Vec<bytecode::SlotId> {
        slots.iter().map(|slot| self.slot(module, *slot)).collect()
    }
}
