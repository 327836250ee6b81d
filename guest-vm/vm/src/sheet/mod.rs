//! The spreadsheet: module instances, cells, propagation (language 4.10 to 4.15).
//!
//! Instances and cells are numbered in creation order and live in two lists.
//! The first instances, one for each module of the program, are those of
//! stateless modules. What an interaction changes is journalled, so that an
//! error undoes it completely.
//!
//! - this file: the lists, slots, links
//! - [`instance`]: making instances
//! - [`cell`]: evaluating, reading and assigning cells
//! - [`interaction`]: the loop of passes, initializers and observers

mod action;
mod cell;
mod instance;
mod interaction;

use std::collections::BTreeMap;

use mix_bytecode::{CellKind, ModuleId, ModuleKind, SlotKind};

use crate::failure::Failure;
use crate::heap::{CellId, InstanceId, Value};
use crate::loaded::Loaded;

pub(crate) use action::INVOKE;
pub(crate) use cell::Force;
pub(crate) use instance::Instantiation;
pub(crate) use interaction::Interaction;

/// All instances and cells of a session.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub instances: Vec<Instance>,
    pub cells: Vec<CellNode>,
    pub views: Vec<View>,
    /// Number of the last pass.
    pub pass: u64,
    /// True while formulas are re-run.
    pub propagating: bool,
    /// Cells assigned since the last pass.
    pub assigned: Vec<CellId>,
    /// Instances whose initializer is still to run, in creation order.
    pub created: Vec<InstanceId>,
    /// State of changed cells before the interaction.
    pub journal: BTreeMap<CellId, Saved>,
    /// Value defs of older instances that were evaluated in the interaction.
    pub evaluated: Vec<(InstanceId, u32)>,
    /// Messages for the log.
    pub warnings: Vec<String>,
}

/// An instance of a module.
#[derive(Debug)]
pub(crate) struct Instance {
    pub module: ModuleId,
    pub slots: Vec<SlotState>,
    /// `currentInstanceId()`.
    pub number: i64,
    /// For each observer the pass in which its body last ran.
    pub observed: Vec<Option<u64>>,
    /// Position of its view.
    pub view: u32,
}

/// What a slot holds.
#[derive(Clone, Debug)]
pub(crate) enum SlotState {
    /// Not evaluated yet.
    Empty,
    /// Being evaluated.
    Evaluating,
    /// A value.
    Value(Value),
    /// A cell.
    Cell(CellId),
}

/// A cell.
#[derive(Debug)]
pub(crate) struct CellNode {
    pub instance: InstanceId,
    /// Its slot; none for cells made by `newConstCell` and `newVarCell`.
    pub slot: Option<u32>,
    pub kind: CellKind,
    pub state: CellState,
    pub value: Value,
    pub previous: Value,
    pub version: u64,
    /// Pass of the last update.
    pub updated: u64,
    /// Pass of the last change of the value.
    pub changed: u64,
    pub frozen: bool,
    pub dead: bool,
    /// Target of an alias.
    pub target: Option<CellId>,
    /// Cells whose formula reads this one, aliases of it included.
    pub dependents: Vec<CellId>,
    pub assigned: bool,
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
    target: Option<CellId>,
}

/// A view: the instance on top of it and the actions made in it.
#[derive(Debug)]
pub(crate) struct View {
    pub top: Option<InstanceId>,
    /// Instances of static modules.
    pub statics: BTreeMap<u32, InstanceId>,
    /// Instances made so far, by module.
    pub numbers: BTreeMap<u32, i64>,
    /// Environments of actions; number n is at n-1.
    pub environments: Vec<Environment>,
}

/// What an action value needs when it is invoked.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    pub function: u32,
    pub instance: InstanceId,
    pub captures: Vec<Value>,
}

impl Sheet {
    /// The sheet of a new session.
    pub fn new(loaded: &Loaded) -> Self {
        let instances = loaded
            .program
            .modules
            .iter()
            .enumerate()
            .map(|(index, module)| Instance {
                module: ModuleId(index as u32),
                slots: if module.kind == ModuleKind::Stateless {
                    vec![SlotState::Empty; module.slots.len()]
                } else {
                    Vec::new()
                },
                number: 0,
                observed: Vec::new(),
                view: 0,
            })
            .collect();
        Self {
            instances,
            cells: Vec::new(),
            views: Vec::new(),
            pass: 0,
            propagating: false,
            assigned: Vec::new(),
            created: Vec::new(),
            journal: BTreeMap::new(),
            evaluated: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A slot; instances of other modules than the code expects give `Empty`.
    #[inline]
    pub fn slot(&self, instance: InstanceId, slot: u32) -> &SlotState {
        self.instances
            .get(instance.0 as usize)
            .and_then(|instance| instance.slots.get(slot as usize))
            .unwrap_or(&SlotState::Empty)
    }

    fn slot_mut(&mut self, instance: InstanceId, slot: u32) -> Option<&mut SlotState> {
        self.instances
            .get_mut(instance.0 as usize)?
            .slots
            .get_mut(slot as usize)
    }

    /// Starts evaluating a value def; gives its function.
    pub fn begin_slot(
        &mut self,
        loaded: &Loaded,
        instance: InstanceId,
        slot: u32,
    ) -> Result<u32, Failure> {
        let module = self
            .instances
            .get(instance.0 as usize)
            .map(|instance| instance.module);
        let description = module.and_then(|module| {
            loaded.program.modules[module.index()]
                .slots
                .get(slot as usize)
        });
        let Some(description) = description else {
            return Err(Failure::internal("slot of another module"));
        };
        let SlotKind::Value { init } = description.kind else {
            return Err(Failure::internal("slot holds no value"));
        };
        let name = &description.name;
        match self.slot_mut(instance, slot) {
            Some(state @ SlotState::Empty) => {
                *state = SlotState::Evaluating;
                Ok(init.0)
            }
            Some(SlotState::Evaluating) => Err(Failure::new(
                "RT_DEF_CYCLE",
                format!("{name} depends on itself"),
            )
            .with("name", &**name)),
            _ => Err(Failure::internal("slot is evaluated twice")),
        }
    }

    /// Stores a value def.
    pub fn store_slot(&mut self, instance: InstanceId, slot: u32, value: Value) {
        self.evaluated.push((instance, slot));
        if let Some(state) = self.slot_mut(instance, slot) {
            *state = SlotState::Value(value);
        }
    }

    /// Gives up evaluating a value def.
    pub fn reset_slot(&mut self, instance: InstanceId, slot: u32) {
        if let Some(state) = self.slot_mut(instance, slot) {
            *state = SlotState::Empty;
        }
    }

    /// The instance that a value is, which must be one of `module`.
    pub fn instance_of(&self, value: &Value, module: ModuleId) -> Result<InstanceId, Failure> {
        match value {
            Value::Instance(id)
                if self
                    .instances
                    .get(id.0 as usize)
                    .is_some_and(|i| i.module == module) =>
            {
                Ok(*id)
            }
            other => Err(Failure::internal(&format!(
                "{} is no instance of the module",
                other.kind()
            ))),
        }
    }

    /// `currentInstanceId()`.
    pub fn number(&self, instance: InstanceId) -> i64 {
        self.instances
            .get(instance.0 as usize)
            .map_or(0, |instance| instance.number)
    }

    /// The node of a cell.
    pub fn cell(&self, id: CellId) -> Option<&CellNode> {
        self.cells.get(id.0 as usize)
    }

    /// The cell in a slot.
    pub fn cell_in(&self, instance: InstanceId, slot: u32) -> Option<CellId> {
        match self.slot(instance, slot) {
            SlotState::Cell(id) => Some(*id),
            _ => None,
        }
    }

    /// Value of the cell in a slot if nothing must be evaluated for it.
    #[inline]
    pub fn ready_cell(&self, instance: InstanceId, slot: u32) -> Option<&Value> {
        self.ready(self.cell_in(instance, slot)?)
    }

    /// Value of a cell if nothing must be evaluated for it.
    pub fn ready(&self, id: CellId) -> Option<&Value> {
        let node = self.cell(self.resolve(id)?)?;
        (node.state == CellState::Clean).then_some(&node.value)
    }

    /// Follows aliases to the cell that holds the value; none if an alias on
    /// the way is not connected or dirty.
    pub fn resolve(&self, id: CellId) -> Option<CellId> {
        let mut id = id;
        // Aliases never form a cycle; the count guards against a broken program.
        for _ in 0..=self.cells.len() {
            let node = self.cell(id)?;
            if !node.is_alias() {
                return Some(id);
            }
            if node.state != CellState::Clean {
                return None;
            }
            id = node.target?;
        }
        None
    }

    /// Name of a cell: `Top.c` in the view's own module, `Top.M_k.c` elsewhere.
    pub fn cell_name(&self, loaded: &Loaded, id: CellId) -> String {
        let Some(node) = self.cell(id) else {
            return String::new();
        };
        let name = self.short_name(loaded, id);
        let Some(instance) = self.instances.get(node.instance.0 as usize) else {
            return name;
        };
        let module = &loaded.program.modules[instance.module.index()].name;
        let top = self
            .views
            .get(instance.view as usize)
            .and_then(|view| view.top);
        let top_module = top
            .and_then(|top| self.instances.get(top.0 as usize))
            .map(|top| &loaded.program.modules[top.module.index()].name);
        match top_module {
            Some(top_module) if top != Some(node.instance) => {
                format!("{top_module}.{module}_{}.{name}", instance.number)
            }
            _ => format!("{module}.{name}"),
        }
    }

    /// Name of a cell in its module.
    pub fn short_name(&self, loaded: &Loaded, id: CellId) -> String {
        let Some(node) = self.cell(id) else {
            return String::new();
        };
        let module = self
            .instances
            .get(node.instance.0 as usize)
            .map(|i| i.module);
        match (module, node.slot) {
            (Some(module), Some(slot)) => loaded.program.modules[module.index()]
                .slots
                .get(slot as usize)
                .map_or_else(String::new, |slot| slot.name.to_string()),
            _ => format!("${}", id.0),
        }
    }
}

impl CellNode {
    /// True for aliases.
    pub fn is_alias(&self) -> bool {
        matches!(self.kind, CellKind::Alias | CellKind::VarAlias)
    }
}
