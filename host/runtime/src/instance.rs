//! A plugin instance of one run, or of one app.
//!
//! An instance is idle, at work, or dead. A synchronous function of an idle
//! instance is called without a queue: in place (`in_place`), on the stack of the VM that calls it, if the
//! plugin imports nothing that can wait ([`mix_sandbox::immediate`]); else by the task of its run.
//! The first function that may wait puts the instance to work: its caller makes the first steps
//! itself ([`crate::pace`]), and if they do not suffice, the work goes on in a task of its own,
//! which serves any number of functions at the same time and gives the
//! instance back when the last of them, and the last stream, has ended.
//!
//! A trap, a hang or too much memory kills the instance, never anything else:
//! the functions that had begun fail with a stable code, those that had not come back to their
//! callers ([`job`]), which have them done by a new instance.

mod death;
mod in_place;
pub mod job;
mod task;

use crate::bindings::{Caller, Failure};
use crate::contract;
use crate::desk::Desk;
use crate::instance::job::{Address, Answer, Job, NotBegun, Waiting};
use crate::lock::AppLock;
use crate::pace::Pace;
use crate::plugin::{CallResult, Entry, Live, PluginCode};
use crate::short::Answered;
use crate::stream::{self, HostReply};
use death::Death;
use futures::FutureExt;
use mix_sandbox::meter::{Meter, metered};
use mix_value::packed::Received;
use mix_value::{Value, msgpack};
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Time for a shared instance between two answers while guest code is spinning.
const SPIN_LIMIT: Duration = Duration::from_secs(60);

/// Multiple of its processor time that a synchronous function may take altogether.
const PAUSING: u32 = 10;

/// Largest value that a plugin may return, and largest item of a stream.
pub const MAX_VALUE: usize = 64 << 20;

/// Result of a function that waits.
pub type Started = Result<HostReply, Failure>;

/// A plugin instance and who may use it.
pub struct Instance {
    code: Arc<PluginCode>,
    state: Mutex<State>,
    /// Why it died: what came first.
    death: OnceLock<Death>,
    task: StdMutex<Option<AbortHandle>>,
    /// Held as long as the store lives.
    lock: StdMutex<Option<AppLock>>,
    /// Functions that wait and have not answered yet.
    in_flight: AtomicUsize,
    /// The functions whose last answers were no short ones.
    long: AtomicU64,
    pace: Pace,
}

/// One of the functions in flight.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

enum State {
    Idle(Box<Live>),
    Busy(mpsc::UnboundedSender<Waiting>),
    Dead,
}

impl Instance {
    /// An instance that was just made.
    pub fn new(code: Arc<PluginCode>, live: Live, lock: Option<AppLock>) -> Arc<Instance> {
        Arc::new(Instance {
            pace: Pace::new(code.functions.len(), code.is_shared()),
            code,
            state: Mutex::new(State::Idle(Box::new(live))),
            death: OnceLock::new(),
            task: StdMutex::new(None),
            lock: StdMutex::new(lock),
            in_flight: AtomicUsize::new(0),
            long: AtomicU64::new(0),
        })
    }

    /// Calls a function that never waits.
    ///
    /// An instance of a run is called by the task of the run, and dropped with it. Else the call
    /// is a task of its own, which finishes even if its caller is gone.
    pub async fn call(
        self: &Arc<Self>,
        address: Address,
        desk: &Desk,
    ) -> Result<CallResult, NotBegun> {
        let function = address.function;
        let done = match self.code.is_shared() {
            false => desk.ask(self.clone().call_here(address)).await.ok(),
            true => tokio::spawn(self.clone().call_here(address)).await.ok(),
        };
        done.unwrap_or_else(|| Ok(Err(self.failure(function))))
    }

    /// Calls the short way of a function of a shared instance, by the task of the run, and not at
    /// all if the instance does something else: whoever shares it is not waited for.
    pub async fn call_short_way(self: &Arc<Self>, address: Address, desk: &Desk) -> CallResult {
        if self.code.in_place {
            // It could have been called where the caller stands.
            return Err(not_short());
        }
        let (send, answer) = oneshot::channel();
        let mut work = self.clone().short_way(address, send).boxed();
        let begin = async move {
            let step = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
            if step.is_pending() {
                // Interrupted by the epoch. The instance belongs to others too, so it goes on
                // even if this run ends.
                tokio::spawn(work);
            }
        };
        if desk.ask(begin).await.is_err() {
            return Err(not_short());
        }
        answer.await.unwrap_or_else(|_| Err(not_short()))
    }

    /// Drops `answer` if the instance is not at rest.
    async fn short_way(self: Arc<Self>, address: Address, answer: oneshot::Sender<CallResult>) {
        let function = address.function;
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        let mut live = match std::mem::replace(&mut *state, State::Dead) {
            State::Idle(live) => live,
            other => {
                *state = other;
                return;
            }
        };
        live.store.data_mut().spin_limit = Some(SPIN_LIMIT);
        let called = call_entry(&mut live, address).await;
        live.store.data_mut().spin_limit = None;
        let result = match called {
            Ok(result) => {
                *state = State::Idle(live);
                self.checked_call(function, result)
            }
            Err(error) => {
                let failure = self.bury(&live.store, function, error);
                drop(live);
                self.unlock();
                Err(failure)
            }
        };
        // A caller that is gone needs no answer.
        let _ = answer.send(result);
    }

    async fn call_here(self: Arc<Self>, address: Address) -> Result<CallResult, NotBegun> {
        let function = address.function;
        let mut state = self.state.lock().await;
        // A call that is dropped on its way leaves a dead instance behind.
        let answer = match std::mem::replace(&mut *state, State::Dead) {
            State::Dead => return Err(NotBegun(address.args)),
            State::Idle(mut live) => {
                let failure =
                    match call_now(&mut live, address, self.code.allowance.limits.time).await {
                        Ok(result) => {
                            *state = State::Idle(live);
                            return Ok(self.checked_call(function, result));
                        }
                        Err(error) => self.bury(&live.store, function, error),
                    };
                drop(live);
                self.unlock();
                return Ok(Err(failure));
            }
            State::Busy(jobs) => {
                let (send, answer) = oneshot::channel();
                self.hand_over(&jobs, Waiting::new(Job::Call(address, send)));
                *state = State::Busy(jobs);
                answer
            }
        };
        drop(state);
        // How long that takes depends on what else the instance does; the deadline of the run ends the waiting.
        let result = self.answered(function, answer).await?;
        Ok(result.and_then(|result| self.checked_call(function, result)))
    }

    /// What became of a function that was handed to the task.
    async fn answered<T>(
        &self,
        function: u32,
        answer: oneshot::Receiver<Answer<T>>,
    ) -> Result<Result<T, Failure>, NotBegun> {
        match answer.await {
            Ok(Ok(result)) => Ok(Ok(result)),
            Ok(Err(not_begun)) => {
                self.buried().await;
                Err(not_begun)
            }
            Err(_) => {
                self.buried().await;
                Ok(Err(self.failure(function)))
            }
        }
    }

    /// Starts a function that may wait. `desk`: the one of the run from whose store it is
    /// started; `None` for somebody who is in no store.
    pub async fn start(
        self: &Arc<Self>,
        address: Address,
        desk: Option<&Desk>,
    ) -> Result<Started, NotBegun> {
        let function = address.function;
        let _place = match self.take_place(function) {
            Ok(place) => place,
            Err(failure) => return Ok(Err(failure)),
        };
        let (send, answer) = oneshot::channel();
        let job = Waiting::new(Job::Start(address, send));
        match desk {
            _ if !self.pace.may_begin_here(function) => self.submit(job, false).await,
            None => self.submit(job, true).await,
            Some(desk) if desk.is_open() => {
                let instance = self.clone();
                let work = async move { instance.submit(job, true).await };
                // Of a run that is over nobody waits for the answer.
                let _ = desk.ask(work).await;
            }
            Some(_) => self.submit(job, false).await,
        };
        let result = self.answered(function, answer).await?;
        Ok(result.and_then(|started| started))
    }

    /// A place among the functions in flight, as long as it is held.
    fn take_place(&self, function: u32) -> Result<Place<'_>, Failure> {
        let most = self.code.allowance.limits.calls;
        let place = Place(&self.in_flight);
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= most {
            return Err(failure(
                "ERR_TOO_LARGE",
                format!(
                    "{most} functions of plugin {} are in flight already, so {} cannot start",
                    self.code.name,
                    self.function_name(function)
                ),
            ));
        }
        Ok(place)
    }

    /// Opens a session of a shared instance, for somebody who is in no store.
    pub async fn open(self: &Arc<Self>, who: Caller) -> Result<u64, Failure> {
        let (send, answer) = oneshot::channel();
        self.submit(Waiting::new(Job::Open(who, send)), true).await;
        answer.await.map_err(|_| self.failure(u32::MAX))
    }

    /// Ends a session, for somebody who is in no store.
    pub async fn close(self: &Arc<Self>, session: u64) {
        // A dead instance has no sessions left to close.
        self.submit(Waiting::new(Job::Close(session)), true).await;
    }

    /// Waits until everything that was asked for is done.
    pub async fn settle(&self) {
        for _ in 0..500 {
            if !matches!(&*self.state.lock().await, State::Busy(_)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the instance as soon as it is at rest, and after `patience` in any case. Its store and
    /// its lock are gone then; whoever used it finds another one at the next call.
    pub async fn retire(&self, patience: Duration) {
        let end = Instant::now() + patience;
        loop {
            let mut state = self.state.lock().await;
            let busy = matches!(&*state, State::Busy(_));
            if busy && Instant::now() < end {
                drop(state);
                tokio::time::sleep(Duration::from_millis(2)).await;
                continue;
            }
            // One that has died before keeps its cause.
            let _ = self.death.set(Death {
                code: "ERR_CANCELED",
                what: "was closed in",
                function: u32::MAX,
            });
            *state = State::Dead;
            break;
        }
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
            while !task.is_finished() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // It may have come to its end at the last moment and given the store back.
            *self.state.lock().await = State::Dead;
        }
        self.unlock();
    }

    /// Stops whatever it does; the run that owns it is over.
    pub fn abort(&self) {
        if let Some(task) = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            task.abort();
        }
    }

    /// Puts a job into the queue of the task. One that cannot be taken says so to its caller.
    fn hand_over(&self, jobs: &mpsc::UnboundedSender<Waiting>, job: Waiting) {
        if jobs.send(job).is_err() {
            self.lost();
        }
    }

    /// Hands a job to the task of the instance. If there is none, the work begins: `here`, as far
    /// as it goes without waiting, and then in a task. A dead instance drops the job, which says so
    /// to its caller.
    async fn submit(self: &Arc<Self>, job: Waiting, here: bool) {
        let function = job.function();
        let (live, jobs) = {
            let mut state = self.state.lock().await;
            if let State::Busy(jobs) = &*state {
                return self.hand_over(jobs, job);
            }
            let State::Idle(live) = std::mem::replace(&mut *state, State::Dead) else {
                return;
            };
            let (send, jobs) = mpsc::unbounded_channel();
            // The other end is here.
            let _ = send.send(job);
            *state = State::Busy(send);
            (live, jobs)
        };
        let mut work = self.clone().work(live, jobs).boxed();
        if here {
            let begun = Instant::now();
            let steps = poll_fn(|context| Poll::Ready(work.as_mut().poll(context)));
            // A panic leaves a queue behind that nobody serves, as that of a task does.
            let steps = AssertUnwindSafe(steps).catch_unwind().await;
            self.pace.note(function, begun.elapsed());
            if !matches!(steps, Ok(Poll::Pending)) {
                return;
            }
        }
        // Locked before the task can end and another one begin.
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_dead() {
            // Retired meanwhile: its store goes with the work.
            return;
        }
        let spawned = match crate::threads::of_shared(self.code.is_shared()) {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        };
        *task = Some(spawned.abort_handle());
    }

    fn checked_call(&self, function: u32, result: CallResult) -> CallResult {
        result.and_then(|value| self.checked(function, value))
    }

    fn checked_answer(&self, function: u32, answered: Answered) -> Answered {
        let value = match answered {
            Answered::Whole(result) => return Answered::Whole(self.checked_call(function, result)),
            Answered::Short(value) => value,
        };
        let judged = match Received::try_from(value) {
            Ok(bytes) => self.judged(function, &bytes),
            Err(error) => Err(self.no_value(function, error)),
        };
        match judged {
            Ok(()) => Answered::Short(value),
            Err(failure) => Answered::Whole(Err(failure)),
        }
    }

    /// Refuses what is too large or no value at all.
    fn checked(&self, function: u32, value: Vec<u8>) -> Result<Vec<u8>, Failure> {
        if value.len() > MAX_VALUE {
            let message = format!(
                "the reply of {} is larger than {MAX_VALUE} bytes",
                self.label(function)
            );
            return Err(failure("ERR_TOO_LARGE", message));
        }
        self.judged(function, &value).map(|()| value)
    }

    /// Refuses what is no value at all.
    fn judged(&self, function: u32, value: &[u8]) -> Result<(), Failure> {
        if self.code.trusted {
            return Ok(());
        }
        stream::check_value(value).map_err(|error| self.no_value(function, error))
    }

    fn no_value(&self, function: u32, error: impl std::fmt::Display) -> Failure {
        let label = self.label(function);
        failure(
            "ERR_INTERNAL",
            format!("the reply of {label} is no Mix value: {error}"),
        )
    }

    /// True if it serves many runs.
    pub fn is_shared(&self) -> bool {
        self.code.is_shared()
    }

    /// True if replies have to be checked.
    pub fn is_untrusted(&self) -> bool {
        !self.code.trusted
    }

    fn label(&self, function: u32) -> String {
        format!(
            "{} (plugin {})",
            self.function_name(function),
            self.code.name
        )
    }

    fn function_name(&self, function: u32) -> &str {
        match self.code.functions.get(function as usize) {
            Some(found) => &found.name,
            None => "an unknown function",
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.abort();
    }
}

/// A call on an idle instance. `limit`: its processor time.
async fn call_now(
    live: &mut Live,
    address: Address,
    limit: Duration,
) -> wasmtime::Result<CallResult> {
    let meter = Meter::default();
    live.store.data_mut().metered = Some((meter.clone(), limit));
    // Whoever pauses again and again is not on the processor for long, and yet keeps the run.
    live.store.data_mut().deadline = Some(Instant::now() + limit * PAUSING);
    // The epoch stops what computes; this stops what sleeps.
    let result = match metered(&meter, limit * 2, call_entry(live, address)).await {
        Ok(result) => result,
        Err(overslept) => Err(wasmtime::Error::new(overslept)),
    };
    live.store.data_mut().deadline = None;
    live.store.data_mut().metered = None;
    result
}

async fn call_entry(live: &mut Live, address: Address) -> wasmtime::Result<CallResult> {
    let Live { store, entry } = live;
    let (result,) = match entry {
        Entry::Single { call, .. } => {
            call.call_async(&mut *store, (address.function, address.args))
                .await?
        }
        Entry::Shared { call, .. } => {
            call.call_async(
                &mut *store,
                (address.session, address.function, address.args),
            )
            .await?
        }
    };
    Ok(result)
}

/// The answer in the place of a short way: start the function.
fn not_short() -> Failure {
    failure(contract::WAITS, "start the function".to_owned())
}

/// As [`failure`], with a code of the record store in its detail.
pub fn failure_of(code: &str, of: &str, message: String) -> Failure {
    let detail = Value::map([("code", Value::from(of))]);
    Failure {
        detail: msgpack::encode(&detail).ok(),
        ..failure(code, message)
    }
}

/// A failure made by the host.
pub fn failure(code: &str, message: String) -> Failure {
    Failure {
        code: code.to_owned(),
        message,
        detail: None,
    }
}
