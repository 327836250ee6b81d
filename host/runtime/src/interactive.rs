//! A session of the VM that is driven action by action.
//!
//! The store lives in a task. [`Driven`] takes actions and gives events as they come, those of live
//! cells between two actions too. A trap, or an interaction that takes too long, ends the session:
//! the last event is then why it [`Ended`].

use crate::assembly::Assembly;
use crate::bindings::{Action, Event, Issue};
use crate::embedding;
use crate::listener::Listener;
use crate::neighbours::Neighbours;
use crate::programs::Executable;
use crate::run::{Outcome, caller, judge};
use crate::run_context::{AtHand, RunContext};
use crate::shares::{Shares, paced};
use crate::vm::Run;
use crate::workspace::Place;
use futures::channel::mpsc as actions;
use futures::future::BoxFuture;
use futures::{SinkExt, Stream};
use mix_sandbox::state::{Grants, GuestState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use wasmtime::component::{Destination, StreamProducer, StreamReader, StreamResult, VecBuffer};
use wasmtime::{Store, StoreContextMut};

/// Where a session runs and what it may use.
pub struct SessionRequest {
    /// Where.
    pub place: Place,
    /// The program that is loaded at the start.
    pub program: Arc<Executable>,
    /// On whose behalf.
    pub user: String,
    /// Time of one interaction.
    pub timeout: Duration,
    /// Linear memory.
    pub memory: usize,
    /// Variables, for `env`.
    pub environment: Vec<(&'static str, String)>,
    /// What it may do with the records of other apps; `None`: nothing.
    pub neighbours: Option<Arc<dyn Neighbours>>,
}

/// Why a session answers no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// An interaction took too long.
    #[error("the time limit was reached; the session is over")]
    TimedOut,
    /// Memory over.
    #[error("the memory limit was reached; the session is over")]
    OutOfMemory,
    /// Nobody drives it any more.
    #[error("the session was closed")]
    Closed,
    /// The VM, or the component that was run, failed; the log says how.
    #[error("the session broke off; the log has the cause")]
    Broken,
}

impl Ended {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Ended::TimedOut => "RT_TIMEOUT",
            Ended::OutOfMemory => "RT_MEMORY",
            Ended::Closed => "ERR_CANCELED",
            Ended::Broken => "RT_INTERNAL",
        }
    }
}

/// A session whose events come by themselves; dropped, it ends.
pub struct Driven {
    /// Where actions go, one after another.
    pub actions: mpsc::Sender<Action>,
    /// What happens; at the end why it ended.
    pub events: mpsc::Receiver<Result<Event, Ended>>,
}

/// Events that wait for whoever reads them; then the VM waits.
const MOST_EVENTS: usize = 16;

impl Driven {
    /// Loads the program and opens a session of it.
    pub async fn open(
        assembly: &Arc<Assembly>,
        request: SessionRequest,
    ) -> anyhow::Result<Result<Driven, Issue>> {
        let timeout = request.timeout;
        let opened = match open(assembly, request).await? {
            Ok(opened) => opened,
            Err(issue) => return Ok(Err(issue)),
        };
        let (actions, receiver) = mpsc::channel(1);
        let (told, events) = mpsc::channel(MOST_EVENTS);
        tokio::spawn(async move {
            let telling = told.clone();
            let work = async |store: &mut Store<GuestState>, run| {
                tell(store, run, receiver, telling, timeout).await
            };
            let ended = opened.drive(work).await;
            // Whoever reads may be gone.
            let _ = told.send(Err(ended)).await;
        });
        Ok(Ok(Driven { actions, events }))
    }
}

/// A session that has not begun.
struct Opened {
    store: Store<GuestState>,
    run: Run,
    context: Arc<RunContext>,
    shares: Arc<Shares>,
    workspace: String,
}

impl Opened {
    /// Does the work of a session to its end.
    async fn drive(
        mut self,
        work: impl AsyncFnOnce(&mut Store<GuestState>, Run) -> wasmtime::Result<Ended>,
    ) -> Ended {
        let serving = self.context.desk.serve(work(&mut self.store, self.run));
        match paced(&self.shares, &self.workspace, serving).await {
            Ok(ended) => ended,
            Err(error) => match judge(&self.store, error) {
                Outcome::OutOfMemory => Ended::OutOfMemory,
                Outcome::TimedOut => Ended::TimedOut,
                Outcome::Broken(reason) => {
                    tracing::error!(%reason, "the session broke off");
                    Ended::Broken
                }
                _ => Ended::Broken,
            },
        }
    }
}

/// Boxed, as [`crate::run::run`] is.
fn open(
    assembly: &Arc<Assembly>,
    request: SessionRequest,
) -> BoxFuture<'_, anyhow::Result<Result<Opened, Issue>>> {
    Box::pin(async move {
        if request.program.component().is_some() {
            let message = "a component that mixer has not built has agents, but no sessions here";
            return Ok(Err(embedding::failed(
                "ERR_UNSUPPORTED",
                message.to_owned(),
            )));
        }
        let vm = assembly.vms.of(&request.program.foreign).await?;
        let who = caller(&request.place, "", &request.user, None);
        let grants = Grants {
            environment: request.environment.clone(),
            memory: request.memory,
            ..Grants::default()
        };
        let mut store = GuestState::store(&assembly.engine, grants)?;
        store.data_mut().deadline = Some(Instant::now() + request.timeout);
        let context = RunContext::new(
            assembly.clone(),
            request.place.clone(),
            who.clone(),
            None,
            request.neighbours,
            &request.environment,
        );
        store.data_mut().owner = Some(Box::new(AtHand::new(context.clone())));
        let run = match vm.start(&mut store, &who, &request.program).await? {
            Ok(run) => run,
            Err(issue) => return Ok(Err(issue)),
        };
        Ok(Ok(Opened {
            store,
            run,
            context,
            shares: assembly.shares.clone(),
            workspace: request.place.workspace,
        }))
    })
}

/// Passes actions on one after another, and events as they come. An interaction has its time; in
/// between the session may take as long as it likes.
async fn tell(
    store: &mut Store<GuestState>,
    run: Run,
    mut actions: mpsc::Receiver<Action>,
    told: mpsc::Sender<Result<Event, Ended>>,
    timeout: Duration,
) -> wasmtime::Result<Ended> {
    store
        .run_concurrent(async |accessor| {
            let (mut send, receiver) = actions::channel(1);
            let stream = accessor.with(|access| StreamReader::new(access, Actions(receiver)))?;
            let (events,) = run.call_concurrent(accessor, (stream,)).await?;
            let (listener, mut received) = Listener::patient();
            accessor.with(|access| events.pipe(access, listener))?;
            let mut until: Option<Instant> = None;
            accessor.with(|mut access| access.data_mut().deadline = None);
            loop {
                let over = async {
                    match until {
                        Some(until) => tokio::time::sleep_until(until.into()).await,
                        None => std::future::pending().await,
                    }
                };
                let event = tokio::select! {
                    // Live cells that tell without end do not keep back an action.
                    biased;
                    action = actions.recv(), if until.is_none() => {
                        let Some(action) = action else {
                            return Ok(Ended::Closed);
                        };
                        until = Some(Instant::now() + timeout);
                        accessor.with(|mut access| access.data_mut().deadline = until);
                        if send.send(action).await.is_err() {
                            return Ok(Ended::Broken);
                        }
                        continue;
                    }
                    event = received.recv() => event,
                    () = over => return Ok(Ended::TimedOut),
                };
                let Some(event) = event else {
                    return Ok(Ended::Broken);
                };
                if matches!(event, Event::Done(_)) {
                    until = None;
                    accessor.with(|mut access| access.data_mut().deadline = None);
                }
                if told.send(Ok(event)).await.is_err() {
                    return Ok(Ended::Closed);
                }
            }
        })
        .await?
}

/// The stream of actions, from a channel.
struct Actions(actions::Receiver<Action>);

impl StreamProducer<GuestState> for Actions {
    type Item = Action;
    type Buffer = VecBuffer<Action>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        _store: StoreContextMut<'a, GuestState>,
        mut destination: Destination<'a, Action, VecBuffer<Action>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match Pin::new(&mut self.0).poll_next(context) {
            Poll::Ready(Some(action)) => {
                destination.set_buffer(vec![action].into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
