//! Agents called by the program itself (stdlib 2.27): each runs in a session of its own inside
//! this one. A plain call has a session for itself, a persistent agent keeps its one.

use std::collections::VecDeque;
use std::rc::Rc;

use super::Session;
use crate::boundary::{Action, Event, Host, HostFailure, Issue, Reply, Step};
use crate::failure::Failure;
use crate::heap::Value;
use crate::machine::{AgentCall, Machine, Next, Ret, Wait};
use crate::routine::Block;

/// Longest chain of agents that call each other.
const MAX_DEPTH: u32 = 32;

/// Requests of one session of the tree of sessions have these bits in common.
pub(super) const SPACE: u32 = 32;

/// A session inside another one.
#[derive(Debug)]
pub(super) struct Child {
    session: Box<Session>,
    /// The persistent agent that it keeps.
    agent: Option<Box<str>>,
    /// Who waits, in the order of the calls.
    calls: VecDeque<u64>,
    /// What the call in progress gave.
    outcome: Option<Reply>,
    /// It may have something to do.
    runnable: bool,
}

impl Child {
    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Machine {
    /// `#agent_call(persistent, name, data)`: the routine waits for what the agent gives.
    pub(crate) fn call_agent(
        &mut self,
        persistent: bool,
        agent: &str,
        params: &Value,
        ret: Ret,
    ) -> Result<Next, Failure> {
        let params = crate::wire::encode(params)?;
        if self.loaded.program.module_named(agent).is_none() {
            return Err(Failure::new(
                "ERR_NOT_FOUND",
                format!("there is no agent {agent}"),
            ));
        }
        if self.scheduler.is_doomed() {
            return Ok(Next::Exit);
        }
        let call = self.new_call();
        self.agent_calls.push(AgentCall {
            call,
            persistent,
            agent: agent.into(),
            params,
        });
        let wait = Wait::Result(ret);
        Ok(self.park(Block::Call { call, wait }))
    }
}

impl Session {
    /// True if agents were called.
    pub(super) fn has_agents(&self) -> bool {
        !self.children.is_empty() || !self.machine.agent_calls.is_empty()
    }

    /// Begins the calls of agents that routines have asked for.
    fn begin_calls(&mut self) {
        for asked in std::mem::take(&mut self.machine.agent_calls) {
            if !self.machine.scheduler.awaits(asked.call) {
                continue;
            }
            if self.depth >= MAX_DEPTH {
                let message = format!("more than {MAX_DEPTH} agents call each other");
                self.answers
                    .push_back((asked.call, failed("ERR_AGENT", message)));
                continue;
            }
            let agent = asked.agent.to_string();
            let params = asked.params;
            let kept = self
                .children
                .iter_mut()
                .find(|child| asked.persistent && child.agent.as_deref() == Some(&*asked.agent));
            let child = match kept {
                Some(child) => child,
                None => {
                    let child = Child {
                        session: Box::new(self.inner_session()),
                        agent: asked.persistent.then(|| asked.agent.clone()),
                        calls: VecDeque::new(),
                        outcome: None,
                        runnable: true,
                    };
                    self.children.push(child);
                    // Just pushed.
                    let Some(child) = self.children.last_mut() else {
                        return;
                    };
                    child
                }
            };
            child.calls.push_back(asked.call);
            child.runnable = true;
            child.session.act(if asked.persistent {
                Action::CallAgent { agent, params }
            } else {
                Action::RunAgent { agent, params }
            });
        }
    }

    fn inner_session(&mut self) -> Session {
        let mut inner = Session::new(Rc::clone(&self.machine.loaded));
        inner.depth = self.depth + 1;
        inner.spaces = Rc::clone(&self.spaces);
        let space = inner.spaces.get() + 1;
        inner.spaces.set(space);
        inner.space = space;
        inner.machine.next_call = space << SPACE;
        inner.machine.dropped_streams = Rc::clone(&self.machine.dropped_streams);
        inner.machine.left_parts = Rc::clone(&self.machine.left_parts);
        let surroundings = &mut self.machine.surroundings;
        inner.set_random_seed(surroundings.random.wrapping_add(space));
        inner
    }

    /// Lets the agents go on; true if something came of it.
    pub(super) fn run_agents(&mut self, host: &mut dyn Host, slice: &mut u64) -> bool {
        self.begin_calls();
        self.drop_unwanted();
        let mut changed = !self.answers.is_empty();
        for index in 0..self.children.len() {
            while self.children[index].runnable && *slice > 0 {
                changed = true;
                self.step_agent(host, index, slice);
            }
        }
        // A plain call is over with its answer.
        let mut over = Vec::new();
        self.children.retain_mut(|child| {
            let keep = child.agent.is_some() || !child.calls.is_empty();
            if !keep {
                over.extend(child.session.canceled_requests());
            }
            keep
        });
        self.canceled.extend(over);
        changed
    }

    fn step_agent(&mut self, host: &mut dyn Host, index: usize, slice: &mut u64) {
        let child = &mut self.children[index];
        child.session.machine.budget = self.machine.budget;
        let step = child.session.run(host, *slice);
        self.machine.budget = child.session.machine.budget;
        // Each step counts: what the inner session uses of it is not told apart.
        match step {
            Step::Event(Event::Log(line)) => self.machine.surroundings.log(line),
            Step::Event(Event::Result(bytes)) => child.outcome = Some(Reply::One(bytes.into())),
            Step::Event(Event::Issue(issue)) => {
                child.outcome.get_or_insert_with(|| refused(&issue));
            }
            Step::Event(Event::Done(_)) => {
                let missing = || failed("ERR_AGENT", "the agent gave no result".into());
                let reply = child.outcome.take().unwrap_or_else(missing);
                if let Some(call) = child.calls.pop_front() {
                    self.answers.push_back((call, reply));
                }
                child.runnable = !child.calls.is_empty();
            }
            Step::Event(_) => {}
            Step::Ready => *slice = 0,
            Step::Waiting(requests) | Step::Listening(requests) => {
                child.runnable = false;
                self.machine.requests.extend(requests);
            }
            Step::Idle => child.runnable = false,
        }
        *slice = slice.saturating_sub(1);
    }

    /// Ends the plain calls that nobody waits for any longer.
    fn drop_unwanted(&mut self) {
        let scheduler = &self.machine.scheduler;
        let mut over = Vec::new();
        self.children.retain_mut(|child| {
            let wanted =
                child.agent.is_some() || child.calls.iter().any(|call| scheduler.awaits(*call));
            if !wanted {
                over.extend(child.session.give_up());
            }
            wanted
        });
        self.machine
            .requests
            .retain(|request| !over.contains(&request.call()));
        self.canceled.extend(over);
    }

    /// Ends everything; gives the requests that are under way.
    fn give_up(&mut self) -> Vec<u64> {
        self.abort("ERR_CANCELED", "nobody waits for the agent");
        self.machine.kill_everybody();
        for child in &mut self.children {
            self.canceled.extend(child.session.give_up());
        }
        self.canceled_requests()
    }

    /// Hands an answer to the inner session whose request it was; gives it back if there is none.
    pub(super) fn route(&mut self, call: u64, reply: Reply) -> Option<Reply> {
        if call >> SPACE == self.space {
            self.answers.push_back((call, reply));
            return None;
        }
        let mut reply = reply;
        for child in &mut self.children {
            match child.session.route(call, reply) {
                None => {
                    child.runnable = true;
                    return None;
                }
                Some(unknown) => reply = unknown,
            }
        }
        Some(reply)
    }
}

fn failed(code: &str, message: String) -> Reply {
    Reply::Failed(HostFailure {
        code: code.into(),
        message,
        detail: None,
    })
}

/// The failure of an agent as that of its call.
fn refused(issue: &Issue) -> Reply {
    if issue.code == "ERR_NOT_SERIALIZABLE" {
        failed("ERR_NOT_SERIALIZABLE", issue.message.clone())
    } else {
        failed("ERR_AGENT", issue.text())
    }
}
