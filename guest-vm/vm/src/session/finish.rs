//! What is told at the end of an interaction, and what follows it: the chain of
//! next actions, idle actions, the result of an agent (language 4.12, 4.15, 4.16).

use super::{Kind, Session};
use crate::boundary::{Event, Issue};
use crate::failure::Failure;
use crate::heap::{Array, Map, Value};
use crate::machine::{Outcome, Routine, Uncaught};
use crate::wire;

impl Session {
    pub(super) fn end_work(&mut self) {
        if let Some(number) = self.work.take().and_then(|work| work.number) {
            self.events.push_back(Event::Done(number));
        }
    }

    pub(super) fn close(&mut self, outcome: Outcome) {
        self.routine = Routine::default();
        if matches!(outcome, Outcome::Failed(_)) && self.machine.scheduler.main != 0 {
            self.machine.kill_interaction();
        }
        self.machine.retire_main();
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
            Outcome::OutOfFuel(_) | Outcome::Waiting | Outcome::Exited => {}
        }
    }

    pub(super) fn issue_of(uncaught: &Uncaught) -> Issue {
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
        issue
    }

    fn close_failed(&mut self, uncaught: &Uncaught) {
        self.machine.surroundings.next_actions.clear();
        self.machine.surroundings.idle_actions.clear();
        self.events
            .push_back(Event::Issue(Self::issue_of(uncaught)));
        if let Some(work) = &mut self.work
            && let (Some(instance), false) = (work.instance, work.answered)
        {
            // An action of the chain has failed: the expression sees what was there before it.
            work.chain.clear();
            if let Err(failure) = self.evaluate(instance) {
                let outcome = self.machine.uncaught(&mut self.routine, failure);
                self.close(outcome);
            }
            return;
        }
        let kind = self.work.as_ref().map(|work| work.kind.clone());
        let sheet = &self.machine.sheet;
        let current = sheet.current;
        let unborn = sheet
            .view()
            .is_some_and(|view| !view.ended && view.top.is_none());
        let ends = match kind {
            Some(Kind::Agent | Kind::Evaluate | Kind::Expression) => true,
            Some(Kind::View | Kind::Persistent(_)) => unborn,
            _ => false,
        };
        let own_view = !sheet.stack.contains(&current) || kind == Some(Kind::View);
        if ends && own_view {
            self.machine.kill_view(current);
            self.machine.sheet.end_view(current);
        }
        self.end_work();
    }

    fn close_done(&mut self, value: Value) -> Result<(), Failure> {
        let Some(kind) = self.work.as_ref().map(|work| work.kind.clone()) else {
            return Ok(());
        };
        match kind {
            Kind::Evaluate | Kind::Expression => {
                if self.expects_expression(&value) {
                    self.take_chain();
                    return self.follow_chain(kind);
                }
                let event = if kind == Kind::Evaluate {
                    Event::Evaluated(self.machine.printed(&value))
                } else {
                    Event::Result(wire::encode(&value)?)
                };
                self.events.push_back(event);
                self.drop_view();
                self.end_work();
                return Ok(());
            }
            _ => {
                if !kind.is_agent() {
                    self.emit_outputs();
                }
                self.take_chain();
            }
        }
        self.follow_chain(kind)
    }

    fn take_chain(&mut self) {
        let next = std::mem::take(&mut self.machine.surroundings.next_actions);
        if let Some(work) = &mut self.work {
            work.chain = next.into();
        }
    }

    /// True if what is done came before the expression: the instance of its module, or an action of the chain.
    fn expects_expression(&mut self, value: &Value) -> bool {
        let program = &self.machine.loaded.program;
        let Some(function) = program.expression else {
            return false;
        };
        let module = program.functions[function.index()].module;
        match &mut self.work {
            Some(work) if !work.answered => {
                if let Ok(instance) = self.machine.sheet.instance_of(value, module) {
                    work.instance = Some(instance);
                }
                work.instance.is_some()
            }
            _ => false,
        }
    }

    /// Runs the next action of the chain, or ends the work.
    fn follow_chain(&mut self, kind: Kind) -> Result<(), Failure> {
        let Some(work) = &mut self.work else {
            return Ok(());
        };
        if work.chain.is_empty() && kind.is_agent() && !work.answered {
            work.answered = true;
            let output = self.output()?;
            self.events.push_back(Event::Result(output));
            if let Kind::Persistent(agent) = &kind {
                let view = self.machine.sheet.current;
                self.machine.sheet.agents.insert(agent.clone(), view);
            }
        }
        let Some(work) = &mut self.work else {
            return Ok(());
        };
        // The idle actions of a one-shot agent run once its answer is given.
        if work.chain.is_empty() && kind == Kind::Agent {
            work.chain = std::mem::take(&mut self.machine.surroundings.idle_actions).into();
        }
        let Some(head) = work.chain.pop_front() else {
            if let (Kind::Evaluate | Kind::Expression, Some(instance)) = (&kind, work.instance) {
                return self.evaluate(instance);
            }
            if kind == Kind::Agent {
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
        let view = self.machine.sheet.current;
        self.machine.kill_view(view);
        self.machine.sheet.end_view(view);
    }

    /// The encoded value of cell `output` of the top instance.
    fn output(&self) -> Result<Vec<u8>, Failure> {
        let sheet = &self.machine.sheet;
        let missing = || Failure::internal("agent without an instance");
        let top = sheet.view().and_then(|view| view.top).ok_or_else(missing)?;
        let module = sheet.instances[top.0 as usize].module;
        let slot = self.machine.loaded.program.modules[module.index()].cell("output");
        let cell = slot
            .and_then(|slot| sheet.cell_in(top, slot.0))
            .ok_or_else(missing)?;
        let value = sheet.ready(cell).ok_or_else(missing)?;
        wire::encode(value).map_err(|failure| failure.about("cell output"))
    }

    /// One event per public cell of the top instance that was updated.
    fn emit_outputs(&mut self) {
        let Some(view) = self.machine.sheet.view_mut() else {
            return;
        };
        let mut cells = std::mem::take(&mut view.unseen);
        cells.sort_unstable();
        cells.dedup();
        let sheet = &self.machine.sheet;
        for id in cells {
            let Some(node) = sheet.cell(id) else { continue };
            let cell = sheet.short_name(&self.machine.loaded, id);
            // Functions and the like cannot leave the VM: such cells are not emitted.
            if let Some(Ok(value)) = sheet.ready(id).map(wire::encode) {
                self.events.push_back(Event::Output {
                    cell,
                    version: node.version,
                    value,
                });
            }
        }
    }
}

impl Kind {
    fn is_agent(&self) -> bool {
        matches!(self, Kind::Agent | Kind::Persistent(_))
    }
}
