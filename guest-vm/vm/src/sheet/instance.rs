//! Making instances of modules (language 4.10).

use mix_bytecode::{ModuleId, ModuleKind, SlotKind, Step};

use super::{CellNode, CellState, Instance, SlotState};
use crate::conform;
use crate::failure::Failure;
use crate::heap::{InstanceId, Value};
use crate::machine::{Machine, Native, Next, Ret, Routine};

/// Most instances of a session.
const MAX_INSTANCES: usize = 1_000_000;

/// An instance whose defs and cells are being evaluated.
#[derive(Debug)]
pub(crate) struct Instantiation {
    instance: InstanceId,
    step: usize,
    ret: Ret,
}

impl Instantiation {
    /// The instance that is being made.
    pub fn instance(&self) -> InstanceId {
        self.instance
    }
}

impl Machine {
    /// Makes an instance; its value goes to `ret` when all is evaluated.
    pub fn instantiate(
        &mut self,
        routine: &mut Routine,
        module: u32,
        arguments: Vec<Value>,
        ret: Ret,
    ) -> Result<Next, Failure> {
        let instance = self.allocate(module, arguments)?;
        if let Some(owner) = routine.forced_cell() {
            self.sheet.own(owner, instance);
        }
        self.instance_step(
            routine,
            Box::new(Instantiation {
                instance,
                step: 0,
                ret,
            }),
        )
    }

    /// The instance of a static module in the present view.
    pub fn static_instance(
        &mut self,
        routine: &mut Routine,
        module: u32,
        ret: Ret,
    ) -> Result<Next, Failure> {
        if self.loaded.program.modules[module as usize].kind == ModuleKind::Stateless {
            return Ok(Next::Value(Value::Instance(InstanceId(module)), ret));
        }
        let known = self
            .sheet
            .view()
            .and_then(|view| view.statics.get(&module).copied());
        if let Some(instance) = known {
            return Ok(Next::Value(Value::Instance(instance), ret));
        }
        let instance = self.allocate(module, Vec::new())?;
        if let Some(view) = self.sheet.view_mut() {
            view.statics.insert(module, instance);
        }
        self.instance_step(
            routine,
            Box::new(Instantiation {
                instance,
                step: 0,
                ret,
            }),
        )
    }

    fn allocate(&mut self, module: u32, arguments: Vec<Value>) -> Result<InstanceId, Failure> {
        let loaded = std::rc::Rc::clone(&self.loaded);
        let description = &loaded.program.modules[module as usize];
        for (param, argument) in description.params.iter().zip(&arguments) {
            let Some(id) = param.type_id else { continue };
            if argument.is_undefined() || !conform::conforms(&loaded.program, argument, id) {
                let why = conform::misfit(&loaded.program, argument, id, &param.name);
                return Err(Failure::bad_parameter(
                    &param.name,
                    &description.name,
                    &format!(
                        "{} at {} does not conform to {}",
                        why.kind, why.path, why.text
                    ),
                ));
            }
        }
        let sheet = &mut self.sheet;
        if sheet.instances.len() >= MAX_INSTANCES {
            return Err(crate::heap::room::exhausted());
        }
        let id = InstanceId(sheet.instances.len() as u32);
        let mut arguments = arguments.into_iter();
        let mut slots = Vec::with_capacity(description.slots.len());
        for (index, slot) in description.slots.iter().enumerate() {
            slots.push(match &slot.kind {
                SlotKind::Param => SlotState::Value(arguments.next().unwrap_or_default()),
                SlotKind::Value { .. } => SlotState::Empty,
                SlotKind::Cell(cell) => {
                    let shared = match description.kind {
                        ModuleKind::Static => sheet.shared_cell(module, index as u32, id),
                        _ => None,
                    };
                    SlotState::Cell(shared.unwrap_or_else(|| {
                        let node = CellNode::new(id, Some(index as u32), cell.kind);
                        let own = sheet.add_cell(node);
                        if cell.events != 0 {
                            sheet.event_cells.push(own);
                        }
                        own
                    }))
                }
            });
        }
        let view = sheet.current;
        let number = sheet.view_mut().map_or(1, |view| {
            let number = view.numbers.entry(module).or_insert(0);
            *number += 1;
            *number
        });
        sheet.instances.push(Instance {
            module: ModuleId(module),
            slots,
            number,
            observed: vec![None; description.observers.len()],
            view,
            dead: false,
        });
        if description.kind != ModuleKind::Stateless {
            sheet.created.push(id);
        }
        Ok(id)
    }

    /// Evaluates what is next in the instance.
    pub fn instance_step(
        &mut self,
        routine: &mut Routine,
        mut work: Box<Instantiation>,
    ) -> Result<Next, Failure> {
        let module = self.sheet.instances[work.instance.0 as usize].module;
        loop {
            let steps = &self.loaded.program.modules[module.index()].steps;
            let Some(step) = steps.get(work.step).copied() else {
                return Ok(Next::Value(Value::Instance(work.instance), work.ret));
            };
            work.step += 1;
            let instance = work.instance;
            match step {
                Step::Effect(function) => {
                    routine.natives.push(Native::Instantiate(work));
                    return self.enter(
                        routine,
                        function.0,
                        instance,
                        None,
                        Vec::new(),
                        Native::RET,
                    );
                }
                Step::Slot(slot) => match self.sheet.slot(instance, slot.0) {
                    SlotState::Empty => {
                        routine.natives.push(Native::Instantiate(work));
                        return self.evaluate_slot(routine, instance, slot.0, false);
                    }
                    SlotState::Cell(cell) => {
                        let cell = *cell;
                        if self
                            .sheet
                            .cell(cell)
                            .is_some_and(|c| c.state != CellState::Clean)
                        {
                            routine.natives.push(Native::Instantiate(work));
                            return self.force(routine, cell, false);
                        }
                    }
                    SlotState::Evaluating | SlotState::Value(_) => {}
                },
            }
        }
    }
}
