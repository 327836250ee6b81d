//! What an action begins with.

use std::collections::VecDeque;
use std::rc::Rc;

use mix_bytecode::{ModuleId, ModuleKind, SlotKind};

use super::{Kind, Session, Work};
use crate::boundary::Action;
use crate::conform;
use crate::failure::Failure;
use crate::heap::{InstanceId, Value};
use crate::machine::{Native, Next, Outcome, Routine};
use crate::routine::Resume;
use crate::sheet::{Interaction, Signal};

/// Event bit of `onRefresh`.
const REFRESH: u8 = 1;

/// Event bit of `onView`.
const VIEW: u8 = 2;

impl Session {
    pub(super) fn begin(&mut self, number: u64, action: Action) {
        let kind = match &action {
            Action::RunAgent { agent, .. } if agent.is_empty() => Kind::Expression,
            Action::RunAgent { .. } => Kind::Agent,
            Action::Load { .. } | Action::Push { .. } => Kind::View,
            Action::Input { .. } => Kind::Input,
            Action::Invoke { .. } => Kind::Invoke,
            Action::Evaluate => Kind::Evaluate,
            Action::CallAgent { agent, .. } => Kind::Persistent(agent.as_str().into()),
            Action::Pop => Kind::View,
            Action::Refresh | Action::Trace(_) => Kind::Input,
        };
        self.work = Some(Work {
            number: Some(number),
            kind,
            chain: VecDeque::new(),
            started: false,
            instance: None,
            answered: false,
        });
        self.routine = Routine::default();
        self.machine.surroundings.next_actions.clear();
        // Actions go to the topmost view.
        if let Some(top) = self.machine.sheet.stack.last() {
            self.machine.sheet.current = *top;
        }
        match self.start(action) {
            Ok(()) => {}
            Err(failure) => {
                let outcome = self.machine.uncaught(&mut self.routine, failure);
                self.close(outcome);
            }
        }
    }

    pub(super) fn decode(&mut self, bytes: &[u8], what: &str) -> Result<Value, Failure> {
        self.machine
            .decoder
            .decode(bytes)
            .map_err(|error| Failure::new("ERR_PARSE", format!("{what}: {error}")))
    }

    fn decode_list(&mut self, bytes: &[u8], what: &str) -> Result<Vec<Value>, Failure> {
        match self.decode(bytes, what)? {
            Value::Array(array) => Ok(array.into_items()),
            other => Err(Failure::expected("ERR_EXPECTED_ARRAY", what, &other)),
        }
    }

    fn start(&mut self, action: Action) -> Result<(), Failure> {
        match action {
            Action::RunAgent { agent, .. } if agent.is_empty() => self.begin_expression(),
            Action::RunAgent { agent, params } => {
                let params = self.decode(&params, "the parameters")?;
                self.begin_agent(&agent, params)
            }
            Action::CallAgent { agent, params } => {
                let params = self.decode(&params, "the parameters")?;
                match self.machine.sheet.agents.get(agent.as_str()).copied() {
                    Some(view) => {
                        self.machine.sheet.current = view;
                        self.input("m_params", params)
                    }
                    None => self.begin_agent(&agent, params),
                }
            }
            Action::Load { module, args } => {
                let arguments = self.arguments(&module, &args)?;
                while let Some(view) = self.machine.sheet.stack.last().copied() {
                    self.machine.sheet.end_view(view);
                }
                self.push_view();
                self.begin_instance(arguments.0, arguments.1)
            }
            Action::Push { module, args } => {
                let arguments = self.arguments(&module, &args)?;
                self.push_view();
                self.begin_instance(arguments.0, arguments.1)
            }
            Action::Pop => {
                let sheet = &mut self.machine.sheet;
                let (Some(top), Some(below)) = (
                    sheet.stack.last().copied(),
                    sheet.stack.iter().nth_back(1).copied(),
                ) else {
                    return Err(Failure::new(
                        "RT_FAIL",
                        "there is no view below the last one",
                    ));
                };
                sheet.end_view(top);
                sheet.current = below;
                self.fire(VIEW)
            }
            Action::Refresh => {
                if self.machine.sheet.stack.is_empty() {
                    return Err(Failure::new("RT_FAIL", "there is no view to refresh"));
                }
                self.fire(REFRESH)
            }
            Action::Input { cell, value } => {
                let value = self.decode(&value, "the value")?;
                self.input(&cell, value)
            }
            Action::Invoke {
                name,
                env,
                arg,
                next_actions,
            } => {
                let argument = self.decode(&arg, "the argument")?;
                let next = self.decode_list(&next_actions, "the next actions")?;
                self.machine.surroundings.next_actions = next;
                self.begin_invocation(&name, &env, argument)
            }
            Action::Evaluate => self.begin_expression(),
            Action::Trace(on) => {
                self.machine.surroundings.trace = on;
                self.close(Outcome::Done(Value::Null));
                Ok(())
            }
        }
    }

    fn begin_expression(&mut self) -> Result<(), Failure> {
        let program = &self.machine.loaded.program;
        let Some(function) = program.expression else {
            return Err(Failure::new("RT_FAIL", "the program has no expression"));
        };
        let module = program.functions[function.index()].module;
        let kind = program.modules[module.index()].kind;
        self.machine.sheet.new_view();
        if kind == ModuleKind::Stateless {
            self.evaluate(InstanceId(module.0))
        } else {
            self.begin_instance(module, Vec::new())
        }
    }

    fn module(&self, name: &str) -> Result<ModuleId, Failure> {
        let program = &self.machine.loaded.program;
        let found = program.module_named(name).filter(|(id, module)| {
            program.entries.contains(id) || module.kind == ModuleKind::Instance
        });
        found.map(|(id, _)| id).ok_or_else(|| {
            Failure::new("RT_NO_MODULE", format!("unknown module {name}")).with("name", name)
        })
    }

    fn arguments(&mut self, name: &str, args: &[u8]) -> Result<(ModuleId, Vec<Value>), Failure> {
        let module = self.module(name)?;
        let arguments = self.decode_list(args, "the arguments")?;
        let params = &self.machine.loaded.program.modules[module.index()].params;
        let (wanted, given) = (params.len(), arguments.len());
        if let Some(missing) = params.get(given) {
            let why = format!("it is missing, {given} of {wanted} are given");
            return Err(Failure::bad_parameter(&missing.name, name, &why));
        }
        if given > wanted {
            let first = (wanted + 1).to_string();
            let why = format!("{given} are given, the module takes {wanted}");
            return Err(Failure::bad_parameter(&first, name, &why));
        }
        self.data_parameters(module)?;
        Ok((module, arguments))
    }

    /// Values from outside are data: a parameter that takes none refuses them.
    fn data_parameters(&self, module: ModuleId) -> Result<(), Failure> {
        let module = &self.machine.loaded.program.modules[module.index()];
        match module.params.iter().find(|param| param.type_id.is_none()) {
            None => Ok(()),
            Some(param) => Err(Failure::bad_parameter(
                &param.name,
                &module.name,
                "it takes no data, so that only other modules can give it",
            )),
        }
    }

    /// Starts an agent in a view of its own.
    fn begin_agent(&mut self, agent: &str, params: Value) -> Result<(), Failure> {
        let module = self.module(agent)?;
        let description = &self.machine.loaded.program.modules[module.index()];
        if !description.is_agent() {
            return Err(Failure::new(
                "RT_AGENT_OUTPUT",
                format!("agent {agent} has no cell output"),
            )
            .with("name", agent));
        }
        let arguments = match description.params.len() {
            0 => Vec::new(),
            1 => vec![params],
            count => {
                let second = description.params[1].name.to_string();
                let why = format!("an agent has one parameter, this one has {count}");
                return Err(Failure::bad_parameter(&second, agent, &why));
            }
        };
        self.data_parameters(module)?;
        self.machine.sheet.new_view();
        self.begin_instance(module, arguments)
    }

    fn push_view(&mut self) {
        let view = self.machine.sheet.new_view();
        self.machine.sheet.stack.push(view);
    }

    pub(super) fn begin_interaction(&mut self, signal: Signal) {
        self.begin_main();
        self.routine.natives.push(Native::Root);
        let interaction = Interaction::new(&mut self.machine.sheet, signal);
        self.routine.natives.push(Native::Interaction(interaction));
        if let Some(work) = &mut self.work {
            work.started = true;
        }
    }

    /// The main routine begins.
    fn begin_main(&mut self) {
        self.machine.retire_main();
        let view = self.machine.sheet.current;
        self.machine.scheduler.begin_main(view);
    }

    /// Re-evaluates what reads an event, and what else signalled.
    fn fire(&mut self, events: u8) -> Result<(), Failure> {
        let cells = Vec::new();
        self.begin_interaction(Signal { cells, events });
        self.proceed(Next::Value(Value::Null, Native::RET))
    }

    fn begin_instance(&mut self, module: ModuleId, arguments: Vec<Value>) -> Result<(), Failure> {
        self.begin_interaction(Signal::default());
        // The top instance is known before its cells run, so that they have their names.
        let top = InstanceId(self.machine.sheet.instances.len() as u32);
        if let Some(view) = self.machine.sheet.view_mut() {
            view.top = Some(top);
        }
        let next = if self.machine.loaded.program.modules[module.index()].kind == ModuleKind::Static
        {
            self.machine
                .static_instance(&mut self.routine, module.0, Native::RET)
        } else {
            self.machine
                .instantiate(&mut self.routine, module.0, arguments, Native::RET)
        }?;
        self.proceed(next)
    }

    pub(super) fn begin_invocation(
        &mut self,
        name: &str,
        env: &str,
        argument: Value,
    ) -> Result<(), Failure> {
        self.begin_interaction(Signal::default());
        let next = self
            .machine
            .invoke(&mut self.routine, name, env, argument)?;
        self.proceed(next)
    }

    fn input(&mut self, cell: &str, value: Value) -> Result<(), Failure> {
        let no_cell =
            || Failure::new("RT_NO_CELL", format!("no assignable cell {cell}")).with("name", cell);
        let sheet = &self.machine.sheet;
        let top = sheet.view().and_then(|view| view.top).ok_or_else(no_cell)?;
        let module =
            &self.machine.loaded.program.modules[sheet.instances[top.0 as usize].module.index()];
        let name = match cell.split_once('.') {
            Some((module_name, name)) if module_name == &*module.name => name,
            Some(_) => return Err(no_cell()),
            None => cell,
        };
        let slot = module.cell(name).ok_or_else(no_cell)?;
        let input = match &module.slots[slot.index()].kind {
            SlotKind::Cell(cell) if cell.public => cell.input,
            _ => None,
        };
        let type_id = input.ok_or_else(no_cell)?;
        let id = sheet.cell_in(top, slot.0).ok_or_else(no_cell)?;
        conform::assert(&self.machine.loaded.program, &value, type_id)?;
        self.begin_interaction(Signal::default());
        let loaded = Rc::clone(&self.machine.loaded);
        self.machine.sheet.assign(&loaded, id, value)?;
        self.proceed(Next::Value(Value::Null, Native::RET))
    }

    pub(super) fn evaluate(&mut self, instance: InstanceId) -> Result<(), Failure> {
        self.begin_main();
        if let Some(work) = &mut self.work {
            work.started = true;
            work.answered = true;
        }
        self.routine.natives.push(Native::Root);
        let Some(function) = self.machine.loaded.program.expression else {
            return Err(Failure::internal("no expression"));
        };
        let next = self.machine.enter(
            &mut self.routine,
            function.0,
            instance,
            None,
            Vec::new(),
            Native::RET,
        )?;
        self.proceed(next)
    }

    /// Keeps a first step for `run`.
    pub(super) fn proceed(&mut self, next: Next) -> Result<(), Failure> {
        // No foreign call happens while settling, frames run in `run`.
        let mut host = crate::boundary::NoHost;
        match self.machine.settle(&mut self.routine, &mut host, next)? {
            Next::Done(value) => self.close(Outcome::Done(value)),
            Next::Value(value, ret) => {
                let resume = Resume::Value(value, ret);
                self.machine.scheduler.main_begun(resume);
            }
            _ => self.machine.scheduler.main_begun(Resume::Run),
        }
        Ok(())
    }
}
