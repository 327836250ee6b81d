//! The task of an instance that is at work: it serves the jobs of a queue, any number at a time.

use super::job::{Job, Waiting, turns};
use super::{Instance, SPIN_LIMIT, Started, State};
use crate::bindings::Reply;
use crate::plugin::{Entry, Live, StartResult};
use crate::stream::{self, HostReply, OpenStreams};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use mix_sandbox::state::GuestState;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::mpsc;
use wasmtime::component::Accessor;

impl Instance {
    /// The task of the instance.
    pub(super) async fn work(
        self: Arc<Self>,
        mut live: Box<Live>,
        mut jobs: mpsc::UnboundedReceiver<Waiting>,
    ) {
        loop {
            let entry = live.entry.clone();
            let shared = self.code.is_shared();
            live.store.data_mut().spin_limit = shared.then_some(SPIN_LIMIT);
            let current = StdMutex::new(u32::MAX);
            let served = live
                .store
                .run_concurrent(async |accessor| {
                    self.serve(accessor, &entry, &mut jobs, &current).await
                })
                .await;
            live.store.data_mut().spin_limit = None;
            let function = *current.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = served.and_then(|served| served) {
                let mut state = self.state.lock().await;
                self.bury(&live.store, function, error);
                *state = State::Dead;
                drop(live);
                self.unlock();
                return;
            }
            let mut state = self.state.lock().await;
            // Senders hold the lock, so an empty queue stays empty.
            if jobs.is_empty() {
                *state = State::Idle(live);
                return;
            }
        }
    }

    /// Serves jobs until none is left.
    async fn serve(
        self: &Arc<Self>,
        accessor: &Accessor<GuestState>,
        entry: &Entry,
        jobs: &mut mpsc::UnboundedReceiver<Waiting>,
        current: &StdMutex<u32>,
    ) -> wasmtime::Result<()> {
        let streams = OpenStreams::default();
        let mut in_flight: FuturesUnordered<BoxFuture<'_, wasmtime::Result<()>>> =
            FuturesUnordered::new();
        let mut at_rest = true;
        loop {
            // Everything that waits in the queue goes first, so that the idle check below sees it.
            while let Ok(job) = jobs.try_recv() {
                in_flight.push(
                    self.job(accessor, entry, job, at_rest, &streams, current)
                        .boxed(),
                );
            }
            at_rest = false;
            if in_flight.is_empty() && streams.is_empty() {
                return Ok(());
            }
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => in_flight.push(self.job(accessor, entry, job, at_rest, &streams, current).boxed()),
                    None => return Ok(()),
                },
                Some(done) = in_flight.next(), if !in_flight.is_empty() => done?,
                () = streams.changed(), if !streams.is_empty() => {}
            }
        }
    }

    /// Does a job. `at_rest`: the instance did nothing else when the job came.
    async fn job(
        self: &Arc<Self>,
        accessor: &Accessor<GuestState>,
        entry: &Entry,
        job: Waiting,
        at_rest: bool,
        streams: &OpenStreams,
        current: &StdMutex<u32>,
    ) -> wasmtime::Result<()> {
        let note =
            |function: u32| *current.lock().unwrap_or_else(PoisonError::into_inner) = function;
        if self.is_untrusted() && !at_rest {
            // What the plugin has been told already comes first: if that is its end, the job has not begun.
            turns().await;
        }
        match job.begin() {
            Some(Job::Call(address, answer)) => {
                note(address.function);
                let (result,) = match entry {
                    Entry::Single { call, .. } => {
                        call.call_concurrent(accessor, (address.function, address.args))
                            .await?
                    }
                    Entry::Shared { call, .. } => {
                        call.call_concurrent(
                            accessor,
                            (address.session, address.function, address.args),
                        )
                        .await?
                    }
                };
                // A caller that is gone needs no answer.
                let _ = answer.send(Ok(result));
            }
            Some(Job::Start(address, answer)) => {
                let function = address.function;
                note(function);
                let (result,) = match entry {
                    Entry::Single { start, .. } => {
                        start
                            .call_concurrent(accessor, (function, address.args))
                            .await?
                    }
                    Entry::Shared { start, .. } => {
                        start
                            .call_concurrent(accessor, (address.session, function, address.args))
                            .await?
                    }
                };
                let started = self.receive(accessor, function, result, streams)?;
                let _ = answer.send(Ok(started));
            }
            Some(Job::Open(who, answer)) => {
                if let Entry::Shared { open, .. } = entry {
                    let (session,) = open.call_concurrent(accessor, (who,)).await?;
                    if answer.send(session).is_err()
                        && let Entry::Shared { close, .. } = entry
                    {
                        // Whoever asked is gone, so nobody else would close it.
                        close.call_concurrent(accessor, (session,)).await?;
                    }
                }
            }
            Some(Job::Close(session)) => {
                if let Entry::Shared { close, .. } = entry {
                    close.call_concurrent(accessor, (session,)).await?;
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Takes a reply out of the plugin's store.
    fn receive(
        self: &Arc<Self>,
        accessor: &Accessor<GuestState>,
        function: u32,
        result: StartResult,
        streams: &OpenStreams,
    ) -> wasmtime::Result<Started> {
        Ok(match result {
            Err(failure) => Err(failure),
            Ok(Reply::One(value)) => self.checked(function, value).map(HostReply::One),
            Ok(Reply::Many(items)) => {
                let (consumer, receiver) = stream::outgoing(streams, self.clone(), function);
                accessor.with(|access| items.pipe(access, consumer))?;
                Ok(HostReply::Many(receiver))
            }
        })
    }
}
