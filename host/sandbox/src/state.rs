//! What every guest store holds: its WASI context, its limits, its deadline.

use crate::engine::TICK;
use crate::messages::{Lines, Messages};
use crate::meter::{Meter, processor_time};
use crate::outbound::{Egress, OutboundHooks};
use std::any::Any;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::RuntimeFlavor;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// WASI handles (files, requests, ...) alive in one store, if it is not told otherwise.
const MAX_HANDLES: usize = 10_000;

/// Data of a guest store.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: OutboundHooks,
    /// Memory in use and allowed.
    pub limits: Limits,
    /// When guest code is stopped; `None`: never.
    pub deadline: Option<Instant>,
    /// How long guest code may be on the processor without a pause; `None`: for ever.
    pub spin_limit: Option<Duration>,
    spinning_since: Instant,
    last_tick: Instant,
    /// A call that may pause, and the processor time that it may take.
    pub metered: Option<(Meter, Duration)>,
    /// A call in place that must not take long; none in any other code.
    in_place: Option<InPlace>,
    /// What the store belongs to, for the host functions of whoever made it.
    pub owner: Option<Box<dyn Any + Send + Sync>>,
    stderr: Messages,
}

/// A call that is made in place, without a pause.
#[derive(Debug, Clone, Copy)]
pub struct InPlace {
    /// Processor time that it may take: on a busy machine a call is not punished for others.
    pub limit: Duration,
    /// When the run ends for which it is made.
    pub deadline: Option<Instant>,
    /// Processor time of the thread at its first tick: the clock of a call that ends before it is
    /// never read. The call stays on its thread.
    since: Option<Duration>,
}

impl InPlace {
    /// A call that begins now.
    pub fn within(limit: Duration, deadline: Option<Instant>) -> InPlace {
        InPlace {
            limit,
            deadline,
            since: None,
        }
    }

    /// Makes the call.
    pub fn call<R>(
        self,
        store: &mut Store<GuestState>,
        call: impl FnOnce(&mut Store<GuestState>) -> R,
    ) -> R {
        // The ticks since the call before are not its own. Nor is the next one, which may come at
        // once: only a call that takes longer than a tick sends the tasks of its thread elsewhere.
        store.set_epoch_deadline(2);
        store.data_mut().in_place = Some(self);
        let result = call(store);
        store.data_mut().in_place = None;
        result
    }
}

/// Time for another thread to take over the tasks of this one.
const HANDOVER: Duration = Duration::from_millis(1);

/// Hands what else this worker thread has to do to another thread.
fn leave_worker() {
    if is_worker() {
        tokio::task::block_in_place(|| std::thread::sleep(HANDOVER));
    }
}

/// Work that keeps its thread waiting; what else a worker thread has to do is done by another one
/// meanwhile. It may wait for futures.
pub fn while_others_work<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if is_worker() {
        return tokio::task::block_in_place(work);
    }
    // Nobody may wait for a future where the only worker is at work.
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn is_worker() -> bool {
    tokio::runtime::Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// What a guest is given.
#[derive(Clone, Default)]
pub struct Grants<'a> {
    /// Folders of the host and their names in the guest, all read-write.
    pub folders: Vec<(&'a Path, &'a str)>,
    /// Environment variables.
    pub environment: Vec<(&'a str, String)>,
    /// Outbound requests; `None`: refused.
    pub outbound: Option<Egress>,
    /// Most linear memory, over all memories of the store.
    pub memory: usize,
    /// WASI handles (files, requests, ...) that may be alive; `None`: 10,000.
    pub handles: Option<usize>,
    /// What it writes to its standard output and error that goes into the log.
    pub logged: Lines<'a>,
    /// True if file operations may block the thread, because it is the store's own.
    pub own_thread: bool,
}

/// Memory of a store.
pub struct Limits {
    allowed: usize,
    used: usize,
    /// Set when a growth was refused: the trap that follows is one of memory.
    pub exceeded: bool,
}

impl GuestState {
    /// A store for one guest.
    pub fn store(engine: &Engine, grants: Grants<'_>) -> anyhow::Result<Store<GuestState>> {
        let stderr = Messages::new(grants.logged);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stderr(stderr.clone());
        wasi.stdout(stderr.clone());
        wasi.allow_blocking_current_thread(grants.own_thread);
        for (name, value) in &grants.environment {
            wasi.env(name, value);
        }
        for (folder, name) in &grants.folders {
            wasi.preopened_dir(folder, name, FsPerms::ReadWrite)?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(grants.handles.unwrap_or(MAX_HANDLES));
        let mut store = Store::new(
            engine,
            GuestState {
                wasi: wasi.build(),
                table,
                http: WasiHttpCtx::new(),
                hooks: OutboundHooks::new(grants.outbound),
                limits: Limits {
                    allowed: grants.memory,
                    used: 0,
                    exceeded: false,
                },
                deadline: None,
                spin_limit: None,
                spinning_since: Instant::now(),
                last_tick: Instant::now(),
                metered: None,
                in_place: None,
                owner: None,
                stderr,
            },
        );
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            Ok(if state.tick() {
                UpdateDeadline::Interrupt
            } else if state.in_place.is_some() {
                // It cannot pause, so the other tasks of this thread go elsewhere.
                leave_worker();
                UpdateDeadline::Continue(1)
            } else {
                UpdateDeadline::Yield(1)
            })
        });
        Ok(store)
    }

    /// Called once per tick while guest code is on the processor; true: it has to stop.
    fn tick(&mut self) -> bool {
        let now = Instant::now();
        // After a pause it counts anew: a guest that works a little now and then does not spin.
        if now.duration_since(self.last_tick) > 3 * TICK {
            self.spinning_since = now;
        }
        self.last_tick = now;
        if let Some(call) = &mut self.in_place {
            let spent = processor_time();
            let since = *call.since.get_or_insert(spent);
            let over = call.deadline.is_some_and(|deadline| now >= deadline);
            if over || spent.saturating_sub(since) >= call.limit {
                return true;
            }
        }
        let metered = self.metered.as_ref();
        metered.is_some_and(|(meter, limit)| meter.spent() >= *limit)
            || self.deadline.is_some_and(|deadline| now >= deadline)
            || self
                .spin_limit
                .is_some_and(|limit| now.duration_since(self.spinning_since) >= limit)
    }

    /// What the store belongs to, if it is of that type.
    pub fn owner<T: Any>(&self) -> Option<&T> {
        self.owner.as_ref()?.downcast_ref()
    }

    /// The same, to change it.
    pub fn owner_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.owner.as_mut()?.downcast_mut()
    }

    /// What the guest wrote to its standard error, for the log.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used + desired.saturating_sub(current);
        if used > self.allowed {
            self.exceeded = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 20_000)
    }
}
