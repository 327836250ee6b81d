//! The VM component as the machine of the REPL: each session is an instance of its own.

use mix_repl::Machine;
use mix_runtime::assembly::Assembly;
use mix_runtime::bindings as wit;
use mix_runtime::interactive::{Driven, Ended, SessionRequest};
use mix_runtime::neighbours;
use mix_runtime::programs::Executable;
use mix_runtime::workspace::Place;
use mix_vm::{Action, Event, Issue, Location, TraceFrame};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// A session that has told nothing for so long has nothing to tell at the moment.
const QUIET: Duration = Duration::from_millis(25);

/// Events of live cells that are shown at once; the others come with the next input.
const MOST_TOLD: usize = 1_000;

/// Where and for whom phrases run.
pub struct Setting {
    /// Where.
    pub place: Place,
    /// Time of one interaction.
    pub timeout: Duration,
    /// Linear memory.
    pub memory: usize,
    /// Variables, for `env`.
    pub environment: Vec<(&'static str, String)>,
}

/// Runs programs in instances of the VM component.
pub struct VmMachine {
    assembly: Arc<Assembly>,
    runtime: Handle,
    setting: Setting,
    program: Option<Arc<Executable>>,
    /// Opened by `load`, which must know whether the program links.
    fresh: Option<Driven>,
    /// Those that ended say why until they are closed.
    sessions: HashMap<u64, Result<Driven, Ended>>,
    next: u64,
}

impl VmMachine {
    /// A machine without a program; not to be used from a task of `runtime`.
    pub fn new(assembly: Arc<Assembly>, runtime: Handle, setting: Setting) -> VmMachine {
        VmMachine {
            assembly,
            runtime,
            setting,
            program: None,
            fresh: None,
            sessions: HashMap::new(),
            next: 0,
        }
    }

    fn start(&self) -> Result<Driven, Box<Issue>> {
        // No program was loaded: the loop asks for a session only after one was.
        let program = self
            .program
            .clone()
            .ok_or_else(|| Box::new(ended(Ended::Broken)))?;
        let request = SessionRequest {
            place: self.setting.place.clone(),
            program,
            user: "anonymous".to_owned(),
            timeout: self.setting.timeout,
            memory: self.setting.memory,
            environment: self.setting.environment.clone(),
            neighbours: Some(std::sync::Arc::new(neighbours::All)),
        };
        match self.runtime.block_on(Driven::open(&self.assembly, request)) {
            Ok(opened) => opened.map_err(|found| Box::new(issue(found))),
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "no session");
                Err(Box::new(ended(Ended::Broken)))
            }
        }
    }
}

impl Machine for VmMachine {
    fn load(&mut self, executable: &[u8]) -> Result<(), Box<Issue>> {
        let program = Executable::read(executable.to_vec()).map_err(|error| {
            tracing::error!(error = %format!("{error:#}"), "the compiler made no executable");
            Box::new(ended(Ended::Broken))
        })?;
        self.program = Some(Arc::new(program));
        self.fresh = Some(self.start()?);
        Ok(())
    }

    fn open(&mut self) -> u64 {
        self.next += 1;
        // A session that cannot start is missed, and said so, at its first action.
        if let Some(session) = self.fresh.take().or_else(|| self.start().ok()) {
            self.sessions.insert(self.next, Ok(session));
        }
        self.next
    }

    fn act(&mut self, session: u64, action: Action) -> Vec<Event> {
        let Some(action) = wit_action(action) else {
            return vec![Event::Issue(ended(Ended::Broken))];
        };
        let mut events = Vec::new();
        let Some(open) = self.sessions.get_mut(&session) else {
            return vec![Event::Issue(ended(Ended::Broken))];
        };
        let driven = match open {
            Ok(driven) => driven,
            Err(why) => return vec![Event::Issue(ended(*why))],
        };
        // Why a session takes no actions any more is among its events.
        let _ = driven.actions.blocking_send(action);
        loop {
            match driven.events.blocking_recv() {
                Some(Ok(wit::Event::Done(_))) => return events,
                Some(Ok(told)) => events.push(event(told)),
                over => {
                    let why = over.and_then(Result::err).unwrap_or(Ended::Broken);
                    *open = Err(why);
                    events.push(Event::Issue(ended(why)));
                    return events;
                }
            }
        }
    }

    fn told(&mut self, session: u64) -> Vec<Event> {
        let mut events = Vec::new();
        let Some(open) = self.sessions.get_mut(&session) else {
            return events;
        };
        while events.len() < MOST_TOLD {
            let Ok(driven) = open else { break };
            let next = async { tokio::time::timeout(QUIET, driven.events.recv()).await };
            match self.runtime.block_on(next) {
                Err(_) => break,
                Ok(Some(Ok(told))) => events.push(event(told)),
                Ok(over) => {
                    let why = over.and_then(Result::err).unwrap_or(Ended::Broken);
                    *open = Err(why);
                    events.push(Event::Issue(ended(why)));
                }
            }
        }
        events
    }

    fn close(&mut self, session: u64) {
        self.sessions.remove(&session);
    }
}

/// `None`: the contract has no such action.
fn wit_action(action: Action) -> Option<wit::Action> {
    Some(match action {
        Action::RunAgent { agent, params } => {
            wit::Action::RunAgent(wit::AgentCall { agent, params })
        }
        Action::Load { module, args } => wit::Action::Load(wit::Push { module, args }),
        Action::Push { module, args } => wit::Action::Push(wit::Push { module, args }),
        Action::Pop => wit::Action::Pop,
        Action::Input { cell, value } => wit::Action::Input(wit::Input { cell, value }),
        Action::Invoke {
            name,
            env,
            arg,
            next_actions,
        } => wit::Action::Invoke(wit::Invocation {
            name,
            env,
            arg,
            next_actions,
        }),
        Action::Evaluate => return None,
        other => {
            let (name, env, arg) = other.as_invocation()?;
            wit::Action::Invoke(wit::Invocation {
                name: name.to_owned(),
                env,
                arg,
                // An empty array.
                next_actions: vec![0x90],
            })
        }
    })
}

fn event(event: wit::Event) -> Event {
    match event {
        wit::Event::Output(output) => Event::Output {
            cell: output.cell,
            version: output.version,
            value: output.value,
        },
        wit::Event::Log(line) => Event::Log(line),
        wit::Event::ClientActions(actions) => Event::ClientActions(actions),
        wit::Event::Result(value) => Event::Result(value),
        wit::Event::IdleActions(actions) => Event::IdleActions(actions),
        wit::Event::Issue(found) => Event::Issue(issue(found)),
        wit::Event::Done(number) => Event::Done(number),
    }
}

fn issue(issue: wit::Issue) -> Issue {
    Issue {
        code: issue.code,
        class: issue.class,
        message: issue.message,
        params: issue.params,
        location: issue.location.map(|at| Location {
            file: at.file,
            start_line: at.start_line,
            start_column: at.start_column,
            end_line: at.end_line,
            end_column: at.end_column,
        }),
        mix_stack: issue
            .mix_stack
            .into_iter()
            .map(|frame| TraceFrame {
                module: frame.module,
                function: frame.function,
                line: frame.line,
            })
            .collect(),
    }
}

/// The end of a session as an issue of the interaction that met it.
fn ended(why: Ended) -> Issue {
    Issue {
        code: why.code().to_owned(),
        class: "runtime".to_owned(),
        message: why.to_string(),
        // An empty map.
        params: vec![0x80],
        location: None,
        mix_stack: Vec::new(),
    }
}
