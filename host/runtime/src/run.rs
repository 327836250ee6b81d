//! One run of an agent: a fresh VM instance, driven to its end within its time and memory.

use crate::assembly::Assembly;
use crate::bindings::{Action, AgentCall, Caller, Event, Issue};
use crate::embedding::EmbeddingCode;
use crate::environment;
use crate::listener::Listener;
use crate::neighbours::Neighbours;
use crate::plugin::Access;
use crate::program_log;
use crate::programs::Executable;
use crate::progress::{Progress, Told};
use crate::run_context::{AtHand, RunContext};
use crate::shares::paced;
use crate::vm::VmCode;
use crate::workspace::Place;
use futures::future::BoxFuture;
use mix_sandbox::state::{Grants, GuestState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use wasmtime::component::StreamReader;
use wasmtime::{Store, Trap};

/// What is to be run.
pub struct RunRequest {
    /// Where.
    pub place: Place,
    /// Which agent.
    pub agent: String,
    /// Encoded parameters.
    pub params: Vec<u8>,
    /// The program.
    pub program: Arc<Executable>,
    /// On whose behalf.
    pub user: String,
    /// Time.
    pub timeout: Duration,
    /// Linear memory.
    pub memory: usize,
    /// Variables of the run, for `env`.
    pub environment: Vec<(&'static str, String)>,
    /// Kinds of plugins that the run may reach; `None`: all.
    pub allowed: Option<Vec<Access>>,
    /// Who is told what happens in between.
    pub progress: Option<Progress>,
    /// What it may do with the records of other apps; `None`: nothing.
    pub neighbours: Option<Arc<dyn Neighbours>>,
}

/// How a run answers before it ends: what its idle actions do comes after the answer.
pub struct Early {
    /// Who is told the output.
    pub answer: oneshot::Sender<Outcome>,
    /// Time for what comes after it.
    pub time: Duration,
}

/// What became of it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Encoded value of cell `output`.
    Output(Vec<u8>),
    /// Runtime error.
    Issue(Box<Issue>),
    /// The program cannot be loaded.
    NotLoaded(Box<Issue>),
    /// Time over.
    TimedOut,
    /// Memory over.
    OutOfMemory,
    /// The VM, or the component that was run, failed; the text is for the log.
    Broken(String),
}

/// What [`Outcome::Broken`] is called, whosever component has failed.
pub const BROKE_OFF: &str = "the run broke off";

/// The caller of a run, with its deadline.
pub fn caller(place: &Place, agent: &str, user: &str, timeout: Option<Duration>) -> Caller {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Caller {
        workspace: place.workspace.clone(),
        app: place.app.clone(),
        agent: agent.to_owned(),
        user: user.to_owned(),
        deadline: timeout.map_or(0, |timeout| (now + timeout).as_millis() as u64),
    }
}

/// Runs an agent to its end.
pub async fn run(assembly: &Arc<Assembly>, request: RunRequest) -> Outcome {
    run_answering(assembly, request, None).await
}

/// Runs an agent to its end. Its output goes to `early` as soon as it is there; the outcome is then
/// that of what came after it: an empty output if nothing failed.
///
/// Boxed so that the engine's part of it is compiled with this crate, once.
pub fn run_answering(
    assembly: &Arc<Assembly>,
    request: RunRequest,
    early: Option<Early>,
) -> BoxFuture<'_, Outcome> {
    Box::pin(async move {
        // The first run that needs a form of the VM waits until it is compiled, at no cost of its own time.
        let vms = &assembly.vms;
        let guest = match request.program.component() {
            Some(component) => Guest::Component(component),
            None => match vms.of_agent(&request.program, &request.agent).await {
                Ok(vm) => Guest::Vm(vm),
                Err(error) => return Outcome::Broken(format!("{error:#}")),
            },
        };
        let who = caller(
            &request.place,
            &request.agent,
            &request.user,
            // Plugins serve what comes after the answer too.
            Some(request.timeout + early.as_ref().map_or(Duration::ZERO, |early| early.time)),
        );
        let context = RunContext::new(
            assembly.clone(),
            request.place.clone(),
            who.clone(),
            request.allowed.clone(),
            request.neighbours.clone(),
            &request.environment,
        );
        let deadline = Instant::now() + request.timeout;
        let end = End(Mutex::new(deadline));
        let grants = Grants {
            environment: match guest {
                Guest::Vm(_) => request.environment.clone(),
                Guest::Component(_) => environment::operators(&request.environment),
            },
            memory: request.memory,
            ..Grants::default()
        };

        match GuestState::store(&assembly.engine, grants) {
            Err(error) => Outcome::Broken(format!("{error:#}")),
            Ok(mut store) => {
                store.data_mut().deadline = Some(deadline);
                store.data_mut().owner = Some(Box::new(AtHand::new(context.clone())));
                let running = async {
                    match guest {
                        Guest::Vm(vm) => drive(vm, &mut store, &who, &request, early, &end).await,
                        // Nothing comes after its output.
                        Guest::Component(component) => component.run(&mut store, &request).await,
                    }
                };
                let running = context.desk.serve(running);
                let running = paced(&assembly.shares, &request.place.workspace, running);
                match end.within(running).await {
                    Some(Ok(outcome)) => outcome,
                    Some(Err(error)) => judge(&store, error),
                    None => Outcome::TimedOut,
                }
            }
        }
    })
}

/// What a run is driven by.
enum Guest<'a> {
    /// The VM, with the program.
    Vm(&'a VmCode),
    /// A component that has the agent itself.
    Component(&'a EmbeddingCode),
}

/// When a run ends that does not end by itself. What comes after its answer has a time of its own.
struct End(Mutex<Instant>);

impl End {
    fn at(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// `None`: it is over, and the VM did not stop by itself.
    async fn within<T>(&self, running: impl Future<Output = T>) -> Option<T> {
        /// Time for the VM to stop.
        const GRACE: Duration = Duration::from_millis(50);
        let mut running = std::pin::pin!(running);
        loop {
            let at = self.at();
            match tokio::time::timeout_at((at + GRACE).into(), &mut running).await {
                Ok(done) => return Some(done),
                Err(_) if self.at() > at => {}
                Err(_) => return None,
            }
        }
    }
}

async fn drive(
    vm: &VmCode,
    store: &mut Store<GuestState>,
    who: &Caller,
    request: &RunRequest,
    mut early: Option<Early>,
    end: &End,
) -> wasmtime::Result<Outcome> {
    let run = match vm.start(store, who, &request.program).await? {
        Ok(run) => run,
        Err(issue) => return Ok(Outcome::NotLoaded(Box::new(issue))),
    };
    let action = Action::RunAgent(AgentCall {
        agent: request.agent.clone(),
        params: request.params.clone(),
    });
    store
        .run_concurrent(async |accessor| {
            let actions = accessor.with(|access| StreamReader::new(access, vec![action]))?;
            let (events,) = run.call_concurrent(accessor, (actions,)).await?;
            let (listener, mut received) = Listener::new();
            accessor.with(|access| events.pipe(access, listener))?;
            let mut outcome = None;
            let mut is_answered = false;
            while let Some(event) = received.recv().await {
                match event {
                    Event::Result(value) => {
                        outcome = Some(match early.take() {
                            None => Outcome::Output(value),
                            Some(Early { answer, time }) => {
                                let until = Instant::now() + time;
                                end.set(until);
                                accessor
                                    .with(|mut access| access.data_mut().deadline = Some(until));
                                is_answered = true;
                                // Whoever has left does not want it.
                                let _ = answer.send(Outcome::Output(value));
                                Outcome::Output(Vec::new())
                            }
                        });
                    }
                    Event::Issue(issue) if outcome.is_none() => {
                        outcome = Some(Outcome::Issue(Box::new(issue)))
                    }
                    Event::Issue(issue) => {
                        tracing::warn!(
                            target: "mix-vm",
                            workspace = %request.place.workspace,
                            app = %request.place.app,
                            agent = %request.agent,
                            code = %issue.code,
                            "{}",
                            issue.message
                        );
                        if is_answered {
                            outcome = Some(Outcome::Issue(Box::new(issue)));
                        }
                    }
                    Event::Log(line) => {
                        program_log::write(&line, &request.place, &request.agent);
                        if let Some(progress) = &request.progress {
                            progress.tell(Told::Log(line));
                        }
                    }
                    Event::ClientActions(actions) => {
                        if let Some(progress) = &request.progress {
                            progress.tell(Told::Actions(actions));
                        }
                    }
                    Event::Output(_) | Event::IdleActions(_) | Event::Done(_) => {}
                }
            }
            Ok(outcome.unwrap_or_else(|| {
                Outcome::Broken("the session ended without a result".to_owned())
            }))
        })
        .await?
}

/// What a trap means.
pub fn judge(store: &Store<GuestState>, error: wasmtime::Error) -> Outcome {
    if store.data().limits.exceeded {
        return Outcome::OutOfMemory;
    }
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        return Outcome::TimedOut;
    }
    Outcome::Broken(format!("{error:#}\n{}", store.data().stderr()))
}
