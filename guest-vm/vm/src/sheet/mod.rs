//! The spreadsheet: module instances, cells, propagation (language 4.10 to 4.15).
//!
//! Instances and cells are numbered in creation order and live in two lists.
//! The first instances, one for each module of the program, are those of
//! stateless modules. What an interaction changes is journalled, so that an
//! error undoes it completely.
//!
//! - this file: the lists, slots, names
//! - [`layout`]: who reads and watches whom, per module
//! - [`node`]: cells, their journal, assigning them
//! - [`instance`]: making instances; [`lifetime`]: when they die; [`scope`]: cells that views share
//! - [`force`]: evaluating cells; [`instruction`]: the instructions about cells
//! - [`pass`]: what a pass evaluates, which observers follow
//! - [`interaction`]: the loop of passes, initializers and observers; [`midway`]: passes that a body asks for
//! - [`memo`]: `dependentLink` and `mapLinkArray`; [`live`]: sources of live cells
//! - [`action`]: action values

mod action;
mod force;
mod instance;
mod instruction;
mod interaction;
pub(crate) mod layout;
mod lifetime;
mod live;
mod memo;
mod midway;
mod node;
mod pass;
mod scope;

use std::collections::{BTreeMap, HashMap};

use mix_bytecode::{ModuleId, ModuleKind, SlotKind};

use crate::failure::Failure;
use crate::heap::{CellId, InstanceId, Value};
use crate::loaded::Loaded;

pub(crate) use action::INVOKE;
pub(crate) use force::Force;
pub(crate) use instance::Instantiation;
pub(crate) use interaction::Interaction;
pub(crate) use live::{Attach, Delivery, LiveSource};
pub(crate) use memo::MemoWork;
pub(crate) use midway::Midway;
pub(crate) use node::{CellNode, CellState};
pub(crate) use pass::Signal;

/// All instances and cells of a session.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub instances: Vec<Instance>,
    pub cells: Vec<CellNode>,
    /// All views; those that ended are empty.
    pub views: Vec<View>,
    /// The views that lie on each other, topmost last.
    pub stack: Vec<u32>,
    /// The view in which the present interaction happens.
    pub current: u32,
    /// Views of persistent agents.
    pub agents: BTreeMap<Box<str>, u32>,
    /// Number of the last pass.
    pub pass: u64,
    /// True while formulas are re-run.
    pub propagating: bool,
    /// Number of the present interaction.
    pub interaction: u64,
    /// Evaluations and retargetings so far, for tests of the cost.
    pub evaluations: u64,
    /// Cells from this one on were made in the present interaction.
    first_new_cell: usize,
    /// Cells assigned since the last pass.
    assigned: Vec<CellId>,
    /// Cells updated since observers were last looked for.
    recent: Vec<CellId>,
    /// Cells that a failed pass has left dirty.
    left: Vec<CellId>,
    /// Cells that were marked for evaluation in the interaction.
    marked: Vec<CellId>,
    /// Instances whose initializer is still to run, in creation order.
    created: Vec<InstanceId>,
    /// State of changed cells before the interaction.
    journal: Vec<(CellId, node::Saved)>,
    /// Other things that the interaction changed.
    undo: Vec<Undo>,
    /// Value defs of older instances that were evaluated in the interaction.
    evaluated: Vec<(InstanceId, u32)>,
    /// Cells that re-run when an event is fired.
    event_cells: Vec<CellId>,
    /// Instances that were made while a cell was evaluated.
    owned: HashMap<CellId, Vec<lifetime::Owned>>,
    /// Owners that were evaluated in this pass.
    owners: Vec<CellId>,
    /// What `dependentLink` and `mapLinkArray` remember, by cell.
    memos: HashMap<CellId, Vec<memo::Memo>>,
    /// Sources of the cells that `mapLinkArray` makes.
    gathers: HashMap<CellId, Vec<CellId>>,
    /// Cells of static modules that several views use.
    scopes: Vec<scope::Shared>,
    /// Sources of live cells.
    pub live: Vec<LiveSource>,
    /// Messages for the log.
    warnings: Vec<String>,
}

/// How to take back something that is no state of a cell.
#[derive(Debug)]
enum Undo {
    /// An observer ran.
    Observed(InstanceId, u32, Option<u64>),
    /// An instance died.
    Died(InstanceId),
    /// Instances of a cell are no longer its own.
    Owned(CellId, Vec<lifetime::Owned>),
    /// A cell remembers something else.
    Memos(CellId, Vec<memo::Memo>),
    /// A cell gathers others.
    Gathers(CellId, Vec<CellId>),
    /// A cell is shared by more instances.
    Scopes(Vec<scope::Shared>),
    /// A live cell has another source.
    Live(CellId, Option<Box<LiveSource>>),
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
    /// Its cells never update again.
    pub dead: bool,
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

/// A view: the instance on top of it and the actions made in it.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub top: Option<InstanceId>,
    /// Instances of static modules.
    pub statics: BTreeMap<u32, InstanceId>,
    /// Instances made so far, by module.
    pub numbers: BTreeMap<u32, i64>,
    /// Environments of actions; number n is at n-1.
    pub environments: Vec<Environment>,
    /// Cells of the top instance with updates that nobody was told yet.
    pub unseen: Vec<CellId>,
    /// First instance that was made in it.
    pub first_instance: usize,
    /// It is gone.
    pub ended: bool,
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
                dead: false,
            })
            .collect();
        Self {
            instances,
            cells: Vec::new(),
            views: Vec::new(),
            stack: Vec::new(),
            current: 0,
            agents: BTreeMap::new(),
            pass: 0,
            propagating: false,
            interaction: 0,
            evaluations: 0,
            first_new_cell: 0,
            assigned: Vec::new(),
            recent: Vec::new(),
            left: Vec::new(),
            marked: Vec::new(),
            created: Vec::new(),
            journal: Vec::new(),
            undo: Vec::new(),
            evaluated: Vec::new(),
            event_cells: Vec::new(),
            owned: HashMap::new(),
            owners: Vec::new(),
            memos: HashMap::new(),
            gathers: HashMap::new(),
            scopes: Vec::new(),
            live: Vec::new(),
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

    /// The view in which the present interaction happens.
    pub fn view(&self) -> Option<&View> {
        self.views.get(self.current as usize)
    }

    /// The same, to be changed.
    pub fn view_mut(&mut self) -> Option<&mut View> {
        self.views.get_mut(self.current as usize)
    }

    /// Makes a view, which is not on the stack yet, and makes it the current one.
    pub fn new_view(&mut self) -> u32 {
        // A view holds an instance, and those are limited.
        let number = self.views.len() as u32;
        self.views.push(View {
            first_instance: self.instances.len(),
            ..View::default()
        });
        self.current = number;
        number
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
            // A dead alias keeps the last value by itself.
            if !node.is_alias() || node.dead {
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
    /// Names of a cell's module and of the cell in it.
    pub fn names<'a>(&self, loaded: &'a Loaded, id: CellId) -> (&'a str, &'a str) {
        let place = self.cell(id).and_then(|node| {
            let instance = self.instances.get(node.instance.0 as usize)?;
            let module = &loaded.program.modules[instance.module.index()];
            let slot = module.slots.get(node.slot? as usize)?;
            Some((&*module.name, &*slot.name))
        });
        place.unwrap_or_default()
    }

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
