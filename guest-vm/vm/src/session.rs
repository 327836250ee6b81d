//! Sessions: actions in, events out.
//!
//! A session owns all state of a run. Its driver queues [`Action`]s and calls
//! [`Session::run`] until it is idle; in between it passes on events, answers
//! requests and may stop whenever it likes: the whole state is in here.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use mix_bytecode::{ModuleId, ModuleKind, SlotKind};

use crate::boundary::{Action, Event, Host, Issue, Pending, Reply, Step};
use crate::failure::Failure;
use crate::heap::{Array, InstanceId, Map, Value};
use crate::loaded::Loaded;
use crate::machine::{Machine, Native, Next, Outcome, Routine, Uncaught};
use crate::sheet::{Interaction, Sheet, View};
use crate::surroundings::Surroundings;
use crate::wire::{self, Decoder};

/// A running session.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    routine: Routine,
    queue: VecDeque<(u64, Action)>,
    numbered: u64,
    events: VecDeque<Event>,
    answers: Vec<(u64, Reply)>,
    work: Option<Work>,
}

/// The action in progress.
#[derive(Debug)]
struct Work {
    number: u64,
    kind: Kind,
    /// Next actions that are still to be run.
    chain: VecDeque<Value>,
    started: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Agent,
    View,
    /// The expression, given as text.
    Evaluate,
    /// The expression, given as a result.
    Expression,
    Input,
    Invoke,
    Nothing,
}

/// What follows an interaction.
type Started = Result<Next, Failure>;

impl Session {
    pub(crate) fn new(loaded: Rc<Loaded>) -> Self {
        let sheet = Sheet::new(&loaded);
        Self {
            machine: Machine {
                loaded,
                sheet,
                surroundings: Surroundings::default(),
                dropped_streams: Rc::default(),
                decoder: Decoder::default(),
                requests: Vec::new(),
                next_call: 0,
                fuel: 0,
                budget: None,
                updated_since: 0,
            },
            routine: Routine::default(),
            queue: VecDeque::new(),
            numbered: 0,
            events: VecDeque::new(),
            answers: Vec::new(),
            work: None,
        }
    }

    /// Limits the steps (calls and jumps back) of everything that follows; when
    /// they are used up the running action fails with `RT_TIMEOUT`.
    pub fn set_budget(&mut self, steps: Option<u64>) {
        self.machine.budget = steps;
    }

    /// Seeds the random numbers of the run.
    pub fn set_random_seed(&mut self, seed: u64) {
        self.machine.surroundings.random = seed;
    }

    /// Queues an action and gives its number.
    pub fn act(&mut self, action: Action) -> u64 {
        let number = self.numbered;
        self.numbered += 1;
        self.queue.push_back((number, action));
        number
    }

    /// Answers a request; unknown and already answered ones are ignored.
    pub fn resume(&mut self, call: u64, reply: Reply) {
        self.answers.push((call, reply));
    }

    /// Ends the running action with an error, for instance when its time is over.
    pub fn abort(&mut self, code: &'static str, message: &str) {
        if self.work.is_some() {
            let outcome = self
                .machine
                .uncaught(&mut self.routine, Failure::new(code, message));
            self.close(outcome);
        }
    }

    /// Streams that the program no longer needs, named once.
    pub fn dropped_streams(&mut self) -> Vec<u64> {
        self.machine.dropped_streams.take()
    }

    /// Runs for at most `fuel` steps, or until there is something to tell.
    pub fn run(&mut self, host: &mut dyn Host, fuel: u64) -> Step {
        let mut slice = fuel.max(1);
        loop {
            while let Some(line) = self.machine.surroundings.next_line() {
                self.events.push_back(Event::Log(line));
            }
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            if self.work.is_none() {
                let Some((number, action)) = self.queue.pop_front() else {
                    return Step::Idle;
                };
                self.begin(number, action);
                continue;
            }
            let start = match self.take_answer(host) {
                Some(start) => start,
                None if !self.routine.waiting.is_empty() => {
                    return Step::Waiting(std::mem::take(&mut self.machine.requests));
                }
                None => Ok(Next::Run),
            };
            if slice == 0 {
                // An answer is never lost: it is settled before the slice counts.
                if let Err(outcome) = self.settle_only(host, start) {
                    self.close(outcome);
                    continue;
                }
                return Step::Ready;
            }
            let given = self
                .machine
                .budget
                .map_or(slice, |budget| budget.min(slice));
            self.machine.budget = self.machine.budget.map(|budget| budget - given);
            self.machine.fuel = given;
            let outcome = self.machine.run(&mut self.routine, host, start);
            let unspent = self.machine.fuel;
            self.machine.budget = self.machine.budget.map(|budget| budget + unspent);
            slice -= given - unspent;
            match outcome {
                Outcome::OutOfFuel => return Step::Ready,
                Outcome::Waiting => {}
                outcome => self.close(outcome),
            }
        }
    }

    /// Settles an answer without running frames.
    fn settle_only(&mut self, host: &mut dyn Host, start: Started) -> Result<(), Outcome> {
        match start {
            Ok(Next::Run) => Ok(()),
            start => {
                self.machine.fuel = 0;
                match self.machine.run(&mut self.routine, host, start) {
                    Outcome::OutOfFuel | Outcome::Waiting => Ok(()),
                    outcome => Err(outcome),
                }
            }
        }
    }

    fn take_answer(&mut self, host: &mut dyn Host) -> Option<Started> {
        while !self.answers.is_empty() {
            let (call, reply) = self.answers.remove(0);
            if let Some(wait) = self.routine.waiting.remove(&call) {
                return Some(self.machine.answer(&mut self.routine, host, wait, reply));
            }
            if let Reply::Many(stream) = reply {
                // Nobody waits for it any more.
                self.machine.dropped_streams.borrow_mut().push(stream);
            }
        }
        None
    }

    // ------------------------------------------------------------ starting

    fn begin(&mut self, number: u64, action: Action) {
        let kind = match &action {
            Action::RunAgent { agent, .. } if agent.is_empty() => Kind::Expression,
            Action::RunAgent { .. } => Kind::Agent,
            Action::Load { .. } | Action::Push { .. } => Kind::View,
            Action::Input { .. } => Kind::Input,
            Action::Invoke { .. } => Kind::Invoke,
            Action::Evaluate => Kind::Evaluate,
            Action::Pop => Kind::Nothing,
        };
        self.work = Some(Work {
            number,
            kind,
            chain: VecDeque::new(),
            started: false,
        });
        self.routine = Routine::default();
        self.machine.surroundings.next_actions.clear();
        match self.start(action) {
            Ok(()) => {}
            Err(failure) => {
                let outcome = self.machine.uncaught(&mut self.routine, failure);
                self.close(outcome);
            }
        }
    }

    fn decode(&mut self, bytes: &[u8], what: &str) -> Result<Value, Failure> {
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
                let module = self.module(&agent)?;
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
                        return Err(Failure::new(
                            "RT_PARAM",
                            format!("an agent has one parameter, module {agent} has {count}"),
                        )
                        .with("module", agent));
                    }
                };
                self.push_view();
                self.begin_instance(module, arguments)
            }
            Action::Load { module, args } => {
                let arguments = self.arguments(&module, &args)?;
                self.machine.sheet.views.clear();
                self.push_view();
                self.begin_instance(arguments.0, arguments.1)
            }
            Action::Push { module, args } => {
                let arguments = self.arguments(&module, &args)?;
                self.push_view();
                self.begin_instance(arguments.0, arguments.1)
            }
            Action::Pop => {
                if self.machine.sheet.views.len() < 2 {
                    return Err(Failure::new(
                        "RT_FAIL",
                        "there is no view below the last one",
                    ));
                }
                self.machine.sheet.views.pop();
                self.end_work();
                Ok(())
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
        }
    }

    fn begin_expression(&mut self) -> Result<(), Failure> {
        let program = &self.machine.loaded.program;
        let Some(function) = program.expression else {
            return Err(Failure::new("RT_FAIL", "the program has no expression"));
        };
        let module = program.functions[function.index()].module;
        let kind = program.modules[module.index()].kind;
        self.push_view();
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
        if params.len() != arguments.len() {
            let missing = params
                .get(arguments.len())
                .map_or("arguments", |param| &*param.name);
            return Err(Failure::new(
                "RT_PARAM",
                format!("bad parameter {missing} for module {name}"),
            )
            .with("name", missing)
            .with("module", name));
        }
        Ok((module, arguments))
    }

    fn push_view(&mut self) {
        self.machine.sheet.views.push(View {
            top: None,
            statics: BTreeMap::new(),
            numbers: BTreeMap::new(),
            environments: Vec::new(),
        });
    }

    fn begin_interaction(&mut self) {
        self.routine.natives.push(Native::Root);
        let interaction = Interaction::new(&self.machine.sheet);
        self.routine.natives.push(Native::Interaction(interaction));
        if let Some(work) = &mut self.work {
            work.started = true;
        }
    }

    fn begin_instance(&mut self, module: ModuleId, arguments: Vec<Value>) -> Result<(), Failure> {
        self.begin_interaction();
        // The top instance is known before its cells run, so that they have their names.
        let top = InstanceId(self.machine.sheet.instances.len() as u32);
        if let Some(view) = self.machine.sheet.views.last_mut() {
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

    fn begin_invocation(&mut self, name: &str, env: &str, argument: Value) -> Result<(), Failure> {
        self.begin_interaction();
        let next = self
            .machine
            .invoke(&mut self.routine, name, env, argument)?;
        self.proceed(next)
    }

    fn input(&mut self, cell: &str, value: Value) -> Result<(), Failure> {
        let no_cell =
            || Failure::new("RT_NO_CELL", format!("no assignable cell {cell}")).with("name", cell);
        let sheet = &self.machine.sheet;
        let top = sheet
            .views
            .last()
            .and_then(|view| view.top)
            .ok_or_else(no_cell)?;
        let module =
            &self.machine.loaded.program.modules[sheet.instances[top.0 as usize].module.index()];
        let name = match cell.split_once('.') {
            Some((module_name, name)) if module_name == &*module.name => name,
            Some(_) => return Err(no_cell()),
            None => cell,
        };
        let slot = module.cell(name).ok_or_else(no_cell)?;
        let assignable = matches!(
            &module.slots[slot.index()].kind,
            SlotKind::Cell(cell) if cell.public
                && matches!(cell.kind, mix_bytecode::CellKind::Var | mix_bytecode::CellKind::VarAlias)
        );
        let id = sheet
            .cell_in(top, slot.0)
            .filter(|_| assignable)
            .ok_or_else(no_cell)?;
        self.begin_interaction();
        let loaded = Rc::clone(&self.machine.loaded);
        self.machine.sheet.assign(&loaded, id, value)?;
        self.proceed(Next::Value(Value::Null, Native::RET))
    }

    fn evaluate(&mut self, instance: InstanceId) -> Result<(), Failure> {
        if let Some(work) = &mut self.work {
            work.started = true;
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
    fn proceed(&mut self, next: Next) -> Result<(), Failure> {
        // No foreign call happens while settling, frames run in `run`.
        let mut host = crate::boundary::NoHost;
        match self.machine.settle(&mut self.routine, &mut host, next)? {
            Next::Done(value) => {
                self.close(Outcome::Done(value));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    // ------------------------------------------------------------ ending

    fn end_work(&mut self) {
        if let Some(work) = self.work.take() {
            self.events.push_back(Event::Done(work.number));
        }
    }

    fn close(&mut self, outcome: Outcome) {
        self.routine = Routine::default();
        self.machine.requests.clear();
        while let Some(line) = self.machine.surroundings.next_line() {
            self.events.push_back(Event::Log(line));
        }
        match outcome {
            Outcome::Failed(uncaught) => self.close_failed(&uncaught),
            Outcome::Done(value) => {
                if let Err(failure) = self.close_done(value) {
                    let outcome = self.machine.uncaught(&mut self.routine, failure);
                    self.close(outcome);
                }
            }
            Outcome::OutOfFuel | Outcome::Waiting => {}
        }
    }

    fn close_failed(&mut self, uncaught: &Uncaught) {
        self.machine.surroundings.next_actions.clear();
        self.machine.surroundings.idle_actions.clear();
        let failure = &uncaught.failure;
        let mut issue = Issue::new(failure.code(), failure.message());
        let params = failure
            .params()
            .iter()
            .map(|(name, value)| ((*name).into(), value.clone()));
        // Facts are scalars, which always have a wire form.
        issue.params = wire::encode(&Value::Map(Map::of_entries(params.collect())))
            .unwrap_or_else(|_| vec![0x80]);
        issue.location = uncaught.location.clone();
        issue.mix_stack = uncaught.trace.clone();
        self.events.push_back(Event::Issue(issue));
        let kind = self.work.as_ref().map(|work| work.kind);
        if matches!(kind, Some(Kind::Agent | Kind::Evaluate | Kind::Expression)) {
            self.drop_view();
        }
        if kind == Some(Kind::View)
            && self
                .machine
                .sheet
                .views
                .last()
                .is_some_and(|view| view.top.is_none())
        {
            self.machine.sheet.views.pop();
        }
        self.end_work();
    }

    fn close_done(&mut self, value: Value) -> Result<(), Failure> {
        let Some(kind) = self.work.as_ref().map(|work| work.kind) else {
            return Ok(());
        };
        match kind {
            Kind::Evaluate | Kind::Expression => {
                let module =
                    self.machine.loaded.program.expression.map(|function| {
                        self.machine.loaded.program.functions[function.index()].module
                    });
                // The instance is made; now the expression runs in it.
                if let (Value::Instance(instance), Some(module), false) =
                    (&value, module, self.evaluated_in_instance())
                    && self.machine.sheet.instance_of(&value, module).is_ok()
                {
                    if let Some(work) = &mut self.work {
                        work.chain.push_back(Value::Null);
                    }
                    return self.evaluate(*instance);
                }
                let event = if kind == Kind::Evaluate {
                    Event::Evaluated(self.printed(&value))
                } else {
                    Event::Result(wire::encode(&value)?)
                };
                self.events.push_back(event);
                self.drop_view();
                self.end_work();
                return Ok(());
            }
            Kind::Agent | Kind::View | Kind::Input | Kind::Invoke => {
                if kind != Kind::Agent {
                    self.emit_outputs();
                }
                let next = std::mem::take(&mut self.machine.surroundings.next_actions);
                if let Some(work) = &mut self.work {
                    work.chain = next.into();
                }
            }
            Kind::Nothing => {}
        }
        self.follow_chain(kind)
    }

    /// True once the instance of the expression's module is there.
    fn evaluated_in_instance(&self) -> bool {
        self.work.as_ref().is_none_or(|work| !work.chain.is_empty())
    }

    /// Runs the next action of the chain, or ends the work.
    fn follow_chain(&mut self, kind: Kind) -> Result<(), Failure> {
        let Some(work) = &mut self.work else {
            return Ok(());
        };
        if work.chain.is_empty() && kind == Kind::Agent {
            work.chain = std::mem::take(&mut self.machine.surroundings.idle_actions).into();
        }
        let Some(head) = work.chain.pop_front() else {
            if kind == Kind::Agent {
                let output = self.output()?;
                self.events.push_back(Event::Result(output));
                self.drop_view();
            } else if !self.machine.surroundings.idle_actions.is_empty() {
                let idle = std::mem::take(&mut self.machine.surroundings.idle_actions);
                self.events
                    .push_back(Event::IdleActions(wire::encode(&Value::array(idle))?));
            }
            self.end_work();
            return Ok(());
        };
        let rest: Vec<Value> = std::mem::take(&mut work.chain).into();
        let bad = || Failure::new("RT_BAD_ACTION", "not an action object");
        let Value::Map(map) = &head else {
            return Err(bad());
        };
        let Some(Value::Text(kind_name)) = map.get("_rmx_type") else {
            return Err(bad());
        };
        if kind_name.as_str() != crate::sheet::INVOKE {
            let mut actions = vec![head.clone()];
            actions.extend(rest);
            let encoded = wire::encode(&Value::Array(Array::new(actions)))?;
            self.events.push_back(Event::ClientActions(encoded));
            return self.follow_chain(kind);
        }
        let text = |key: &str| match map.get(key) {
            Some(Value::Text(text)) => Ok(text.clone()),
            _ => Err(bad()),
        };
        let (name, env) = (text("name")?, text("env")?);
        let argument = map.get("arg").cloned().unwrap_or(Value::Null);
        self.machine.surroundings.next_actions = rest;
        self.begin_invocation(&name, &env, argument)
    }

    fn drop_view(&mut self) {
        self.machine.sheet.views.pop();
    }

    /// The encoded value of cell `output` of the top instance.
    fn output(&self) -> Result<Vec<u8>, Failure> {
        let sheet = &self.machine.sheet;
        let missing = || Failure::internal("agent without an instance");
        let top = sheet
            .views
            .last()
            .and_then(|view| view.top)
            .ok_or_else(missing)?;
        let module = sheet.instances[top.0 as usize].module;
        let slot = self.machine.loaded.program.modules[module.index()].cell("output");
        let cell = slot
            .and_then(|slot| sheet.cell_in(top, slot.0))
            .ok_or_else(missing)?;
        wire::encode(sheet.ready(cell).ok_or_else(missing)?)
    }

    /// One event per public cell of the top instance that was updated.
    fn emit_outputs(&mut self) {
        let sheet = &self.machine.sheet;
        let Some(top) = sheet.views.last().and_then(|view| view.top) else {
            return;
        };
        let module = sheet.instances[top.0 as usize].module;
        let slots = &self.machine.loaded.program.modules[module.index()].slots;
        for (index, slot) in slots.iter().enumerate() {
            let SlotKind::Cell(description) = &slot.kind else {
                continue;
            };
            let Some(id) = sheet
                .cell_in(top, index as u32)
                .filter(|_| description.public)
            else {
                continue;
            };
            let Some(node) = sheet.cell(id) else { continue };
            if node.updated <= self.machine.updated_since {
                continue;
            }
            // Functions and the like cannot leave the VM: such cells are not emitted.
            if let Some(Ok(value)) = sheet.ready(id).map(wire::encode) {
                self.events.push_back(Event::Output {
                    cell: slot.name.to_string(),
                    version: node.version,
                    value,
                });
            }
        }
    }

    /// A value as a REPL prints it.
    fn printed(&self, value: &Value) -> String {
        match value {
            Value::Function(_) => "<function>".into(),
            Value::Stream(_) => "<stream>".into(),
            Value::Token(_) => "<token>".into(),
            Value::Link(id) => {
                format!(
                    "<link {}>",
                    self.machine.sheet.cell_name(&self.machine.loaded, *id)
                )
            }
            Value::Instance(id) => {
                let module = self
                    .machine
                    .sheet
                    .instances
                    .get(id.0 as usize)
                    .map(|i| i.module);
                let name = module.map_or("", |module| {
                    &*self.machine.loaded.program.modules[module.index()].name
                });
                format!("<module {name}>")
            }
            Value::Appstate | Value::Handle(_) | Value::Opaque(_) => "<opaque>".into(),
            value => crate::text_form::format_esc_json(value)
                .unwrap_or_else(|_| crate::text_form::log_text(value)),
        }
    }

    /// Requests that wait for an answer.
    #[must_use]
    pub fn pending(&self) -> &[Pending] {
        &self.machine.requests
    }
}
