//! One run of an agent: a fresh VM instance and what it reaches.

use crate::assembly::{Assembly, Target};
use crate::bindings::{Action, AgentCall, Caller, Event, Failure, Issue};
use crate::contract;
use crate::desk::Desk;
use crate::families::{self, HostSession};
use crate::instance::job::{Address, NotBegun};
use crate::instance::{Instance, Started, failure};
use crate::lock::Locked;
use crate::neighbours::{self, Asked, Neighbours, Outside};
use crate::plugin::Access;
use crate::program_log;
use crate::programs::Executable;
use crate::progress::{Progress, Told};
use crate::remote_main::{self, RemoteMain};
use crate::room;
use crate::shares::paced;
use crate::stream::HostReply;
use crate::tape;
use crate::trace::{Kind, Open, Trace};
use crate::vm::{VmCode, unknown};
use crate::workspace::Place;
use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use mix_sandbox::state::{Grants, GuestState};
use mix_value::Value;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};
use wasmtime::component::{Source, StreamConsumer, StreamReader, StreamResult};
use wasmtime::{Store, StoreContextMut, Trap};

/// Instances that may end, one after the other, before a function of theirs has begun.
const ATTEMPTS: usize = 3;
/// The variable with the number of the caller's token.
const CALLERS_TOKEN: &str = "MIXER_RUN_TOKEN";

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
    /// The VM itself failed; the text is for the log.
    Broken(String),
}

/// What a run reaches outside of its VM.
pub struct RunContext {
    /// Everything shared.
    pub assembly: Arc<Assembly>,
    place: Place,
    caller: Caller,
    allowed: Option<Vec<Access>>,
    neighbours: Option<Arc<dyn Neighbours>>,
    /// Where its main database is, if not here.
    remote: Option<RemoteMain>,
    /// Where its calls belong to in a trace.
    trace: Option<Trace>,
    links: Arc<Mutex<Links>>,
    /// Sessions of the host's own families, by the same numbers.
    own: StdMutex<HashMap<usize, Arc<dyn HostSession>>>,
    /// Where its calls are made.
    pub desk: Desk,
}

#[derive(Clone)]
struct Link {
    instance: Arc<Instance>,
    session: u64,
}

/// The session of a family of the host, and the arguments for it.
type OwnCall = (Arc<dyn HostSession>, Vec<Value>);

impl RunContext {
    /// A context without any instance yet.
    pub fn new(
        assembly: Arc<Assembly>,
        place: Place,
        caller: Caller,
        allowed: Option<Vec<Access>>,
        neighbours: Option<Arc<dyn Neighbours>>,
        environment: &[(&'static str, String)],
    ) -> Arc<RunContext> {
        let remote = RemoteMain::of(environment, &place.app);
        Arc::new(RunContext {
            assembly,
            place,
            caller,
            allowed,
            remote,
            trace: neighbours.as_ref().and_then(|one| one.trace()),
            neighbours,
            links: Arc::default(),
            own: StdMutex::new(HashMap::new()),
            desk: Desk::default(),
        })
    }

    /// The number of its caller's token, if it has one.
    pub fn token(&self) -> Option<u64> {
        let variables = self.neighbours.as_ref()?.variables();
        let token = variables.iter().find(|(name, _)| *name == CALLERS_TOKEN)?;
        token.1.parse().ok()
    }

    /// Where the main database of the run is, if a call is about that and it is not here.
    fn remote(&self, target: Target, args: &[u8]) -> Option<&RemoteMain> {
        let remote = self.remote.as_ref()?;
        let code = self.assembly.plugins.get(target.plugin)?;
        let answers = || remote.answers(self.assembly.name_of(target), args);
        (code.access == Access::Records && answers()).then_some(remote)
    }

    /// The span of a call, if the run is traced.
    fn span(&self, target: Target) -> Option<Open> {
        let name = self.assembly.name_of(target);
        self.trace.as_ref()?.begin(name, Kind::Internal)
    }

    /// A synchronous function of an instance that is there and can be called in place.
    /// Else the arguments come back, for [`RunContext::call`].
    pub fn call_in_place(
        &self,
        function: u32,
        args: Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<Result<Vec<u8>, Failure>, Vec<u8>> {
        let Some(target) = self.assembly.target(function) else {
            return Err(args);
        };
        let Ok(links) = self.links.try_lock() else {
            return Err(args);
        };
        let Some(link) = links.0.get(&(target.plugin, None)) else {
            return Err(args);
        };
        // What is outside of the app takes permission first, what is stored takes room.
        if link.instance.is_shared()
            && (!contract::is_short_way(self.assembly.name_of(target))
                || self.remote(target, &args).is_some()
                || neighbours::outside(&self.place.app, &args).is_some())
        {
            return Err(args);
        }
        let address = Address {
            session: link.session,
            function: target.function,
            args,
        };
        let span = self.trace.as_ref().and_then(|_| self.span(target));
        let result = link.instance.call_in_place(address, deadline);
        let result = result.map_err(|address| address.args);
        if let Some(mut span) = span {
            match &result {
                Ok(Err(failure)) => span.fail(&*failure.code),
                Ok(Ok(_)) => {}
                // It is made another way, and recorded there.
                Err(_) => span.discard(),
            }
        }
        result
    }

    /// A synchronous function, by its number in the VM's import.
    /// `deadline`: when the run ends.
    pub async fn call(
        self: &Arc<Self>,
        function: u32,
        args: Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, Failure> {
        let target = self
            .assembly
            .target(function)
            .ok_or_else(|| unknown(function))?;
        let span = self.trace.as_ref().and_then(|_| self.span(target));
        let result = self.call_target(target, args, deadline).await;
        match (span, &result) {
            // It is started instead, and recorded there.
            (Some(span), Err(failure)) if failure.code == contract::WAITS => span.discard(),
            (Some(mut span), Err(failure)) => span.fail(&*failure.code),
            _ => {}
        }
        result
    }

    async fn call_target(
        self: &Arc<Self>,
        target: Target,
        args: Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<Vec<u8>, Failure> {
        if let Some((session, args)) = self.own_session(target, &args)? {
            return families::encoded(session.call(target.function, &args));
        }
        if self.remote(target, &args).is_some() {
            return Err(remote_main::waits());
        }
        let mut attempt = Attempt::first(args);
        loop {
            let desk = Some(&self.desk);
            let (link, address) = self.address(desk, target, attempt.args).await?;
            // It may be there only now.
            let address = match link.instance.call_in_place(address, deadline) {
                Ok(result) => return result,
                Err(address) => address,
            };
            let code = &self.assembly.plugins[target.plugin];
            let name = &code.functions[target.function as usize].name;
            if code.is_shared() && contract::is_short_way(name) {
                return link.instance.call_short_way(address, &self.desk).await;
            }
            match link.instance.call(address, &self.desk).await {
                Ok(result) => return result,
                Err(back) => attempt = Attempt::after(attempt.number, back, &link, target)?,
            }
        }
    }

    /// The session of a family of the host, with the arguments for it; none for a plugin.
    fn own_session(&self, target: Target, args: &[u8]) -> Result<Option<OwnCall>, Failure> {
        let Some(own) = self.assembly.host_family(target) else {
            return Ok(None);
        };
        let access = own.family.access_of(target.function);
        let refused =
            |allowed: &Vec<Access>| access != Access::Nothing && !allowed.contains(&access);
        if self.allowed.as_ref().is_some_and(refused) {
            let message = format!("family {} is not allowed here (--allow)", own.family.name());
            return Err(failure("ERR_PERMISSION", message));
        }
        let args = families::arguments(&own.functions[target.function as usize], args)?;
        let mut sessions = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions
            .entry(target.plugin)
            .or_insert_with(|| own.family.open(&self.caller, self.neighbours.clone()));
        Ok(Some((session.clone(), args)))
    }

    /// A function that may wait.
    pub async fn start(self: &Arc<Self>, function: u32, args: Vec<u8>) -> Started {
        let target = self
            .assembly
            .target(function)
            .ok_or_else(|| unknown(function))?;
        self.start_from(Some(&self.desk), target, args).await
    }

    /// A function that may wait, by plugin and number, for what a call of this run needs.
    pub async fn start_inside(self: &Arc<Self>, target: Target, args: Vec<u8>) -> Started {
        self.start_from(Some(&self.desk), target, args).await
    }

    /// A function that may wait, by plugin and number, for somebody who is in no store.
    pub async fn start_target(self: &Arc<Self>, target: Target, args: Vec<u8>) -> Started {
        self.start_from(None, target, args).await
    }

    async fn start_from(
        self: &Arc<Self>,
        desk: Option<&Desk>,
        target: Target,
        args: Vec<u8>,
    ) -> Started {
        let span = self.trace.as_ref().and_then(|_| self.span(target));
        let started = self.start_traced(desk, target, args).await;
        if let (Some(mut span), Err(failure)) = (span, &started) {
            span.fail(&*failure.code);
        }
        started
    }

    async fn start_traced(
        self: &Arc<Self>,
        desk: Option<&Desk>,
        target: Target,
        args: Vec<u8>,
    ) -> Started {
        if let Some((session, args)) = self.own_session(target, &args)? {
            let result = session.start(target.function, args).await;
            return families::encoded(result).map(HostReply::One);
        }
        if let Some(remote) = self.remote(target, &args) {
            let function = self.assembly.name_of(target);
            return remote.start(self, function, args).await;
        }
        if let Some(function) = self.assembly.server_function(target)
            && let Some(neighbours) = &self.neighbours
            && let Some(asked) = Asked::read(function, &self.place.app, &args)
            && let Some(answer) = neighbours.clone().answer(asked)
        {
            return families::encoded(answer.await).map(HostReply::One);
        }
        let code = &self.assembly.plugins[target.plugin];
        match &self.assembly.tape {
            Some(tape) if code.name == tape::FAMILY => {
                let function = &code.functions[target.function as usize].name;
                let run = async |args| self.start_linked(desk, target, args).await;
                tape.start(function, args, run).await
            }
            _ => self.start_linked(desk, target, args).await,
        }
    }

    async fn start_linked(
        self: &Arc<Self>,
        desk: Option<&Desk>,
        target: Target,
        args: Vec<u8>,
    ) -> Started {
        let mut attempt = Attempt::first(args);
        loop {
            let (link, address) = self.address(desk, target, attempt.args).await?;
            match link.instance.start(address, desk).await {
                Ok(started) => return started,
                Err(back) => attempt = Attempt::after(attempt.number, back, &link, target)?,
            }
        }
    }

    /// The instance of this run for a function, and its address there.
    async fn address(
        self: &Arc<Self>,
        desk: Option<&Desk>,
        target: Target,
        args: Vec<u8>,
    ) -> Result<(Link, Address), Failure> {
        let outside = self.outside(target, &args).await?;
        let link = self.link(desk, (target.plugin, outside)).await?;
        let address = Address {
            session: link.session,
            function: target.function,
            args,
        };
        Ok((link, address))
    }

    /// Where the database of a call is, if it is outside of the own app: there the run
    /// must be allowed to do what it wants.
    async fn outside(&self, target: Target, args: &[u8]) -> Result<Option<Outside>, Failure> {
        let code = &self.assembly.plugins[target.plugin];
        if code.access != Access::Records || !code.is_shared() {
            return Ok(None);
        }
        let function = &code.functions[target.function as usize].name;
        room::check(&self.assembly, &self.place.workspace, function, args).await?;
        let outside = neighbours::outside(&self.place.app, args);
        if let Some(Outside::App(app)) = &outside {
            let writes = neighbours::writes(function);
            let may = match &self.neighbours {
                Some(neighbours) => neighbours.clone().may(app.clone(), writes).await,
                None => false,
            };
            if !may {
                return Err(neighbours::forbidden(app, writes));
            }
        }
        Ok(outside)
    }

    /// The instance of a plugin for this run, made at the first call. Callers get it in the order
    /// in which they came.
    async fn link(self: &Arc<Self>, desk: Option<&Desk>, wanted: Wanted) -> Result<Link, Failure> {
        let links = self.links.clone().lock_owned().await;
        if let Some(link) = links.alive(&wanted) {
            return Ok(link);
        }
        let is_shared = self.assembly.plugins[wanted.0].is_shared();
        let making = self.clone().make_link(wanted, links);
        // Not here: a store cannot be entered from inside a host function of another one. To open what
        // many runs share may take its time, so that is done by a task of its own.
        let made = match desk.filter(|desk| !is_shared && desk.is_open()) {
            Some(desk) => desk.ask(making).await.ok(),
            None => tokio::spawn(making).await.ok(),
        };
        match made {
            // The lock comes back with the link: whoever waits for it goes on after this caller.
            Some((_links, link)) => link,
            None => Err(failure("ERR_CANCELED", "the run is over".to_owned())),
        }
    }

    async fn make_link(
        self: Arc<Self>,
        wanted: Wanted,
        mut links: OwnedMutexGuard<Links>,
    ) -> (OwnedMutexGuard<Links>, Result<Link, Failure>) {
        let made = self.new_link(&wanted).await;
        if let Ok(link) = &made {
            links.0.insert(wanted, link.clone());
        }
        (links, made)
    }

    async fn new_link(&self, (plugin, outside): &Wanted) -> Result<Link, Failure> {
        let plugin = *plugin;
        let code = &self.assembly.plugins[plugin];
        if self.allowed.as_ref().is_some_and(|allowed| {
            !matches!(code.access, Access::Nothing | Access::Granted)
                && !allowed.contains(&code.access)
        }) {
            let message = format!("plugin {} is not allowed here (--allow)", code.name);
            return Err(failure("ERR_PERMISSION", message));
        }
        let refused = |error: anyhow::Error| {
            if let Some(locked) = error.downcast_ref::<Locked>() {
                return locked.failure();
            }
            tracing::warn!(plugin = %code.name, error = %format!("{error:#}"), "plugin cannot be instantiated");
            failure("ERR_INTERNAL", format!("plugin {} cannot start", code.name))
        };
        if code.is_shared() {
            let (mut place, mut who) = (self.place.clone(), self.caller.clone());
            if let Some(outside) = outside {
                place = outside.place(&self.place)?;
                who.app.clone_from(&place.app);
            }
            let instance = self
                .assembly
                .shared(plugin, &place, &who)
                .await
                .map_err(refused)?;
            let session = instance.open(who).await?;
            Ok(Link { instance, session })
        } else {
            let instance = self
                .assembly
                .instantiate(plugin, &self.place, &self.caller, self.neighbours.as_ref())
                .await
                .map_err(refused)?;
            Ok(Link {
                instance,
                session: 0,
            })
        }
    }
}

/// A function that is to begin, in an instance that may end before it has.
struct Attempt {
    number: usize,
    args: Vec<u8>,
}

impl Attempt {
    fn first(args: Vec<u8>) -> Attempt {
        Attempt { number: 1, args }
    }

    /// The next one, by another instance, unless there were too many.
    fn after(
        number: usize,
        NotBegun(args): NotBegun,
        ended: &Link,
        target: Target,
    ) -> Result<Attempt, Failure> {
        if number == ATTEMPTS {
            return Err(ended.instance.failure(target.function));
        }
        Ok(Attempt {
            number: number + 1,
            args,
        })
    }
}

/// The number of a plugin, and where its instance is if it is not that of the own app.
type Wanted = (usize, Option<Outside>);

/// The instances of a run. They end with it.
#[derive(Default)]
struct Links(HashMap<Wanted, Link>);

impl Links {
    fn alive(&self, wanted: &Wanted) -> Option<Link> {
        let link = self.0.get(wanted)?;
        (!link.instance.is_dead()).then(|| link.clone())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for (_, link) in self.0.drain() {
            if link.session == 0 {
                link.instance.abort();
            } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                // Whoever stopped the run shall not wait for the store.
                runtime.spawn(async move { link.instance.close(link.session).await });
            }
        }
    }
}

/// Makes everything durable before the program ends.
pub async fn flush(assembly: &Arc<Assembly>) {
    assembly.flush().await;
}

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
        let vm = match assembly.vms.of(&request.program.foreign).await {
            Ok(vm) => vm,
            Err(error) => return Outcome::Broken(format!("{error:#}")),
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
        let end = End(StdMutex::new(deadline));
        let grants = Grants {
            environment: request.environment.clone(),
            memory: request.memory,
            ..Grants::default()
        };

        match GuestState::store(&assembly.engine, grants) {
            Err(error) => Outcome::Broken(format!("{error:#}")),
            Ok(mut store) => {
                store.data_mut().deadline = Some(deadline);
                store.data_mut().owner = Some(Box::new(context.clone()));
                let running = drive(vm, &mut store, &who, &request, early, &end);
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

/// When a run ends that does not end by itself. What comes after its answer has a time of its own.
struct End(StdMutex<Instant>);

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

/// What a trap of the VM means.
pub fn judge(store: &Store<GuestState>, error: wasmtime::Error) -> Outcome {
    if store.data().limits.exceeded {
        return Outcome::OutOfMemory;
    }
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        return Outcome::TimedOut;
    }
    Outcome::Broken(format!("{error:#}\n{}", store.data().stderr()))
}

/// Takes events out of the VM's store.
pub struct Listener {
    events: mpsc::UnboundedSender<Event>,
    gauge: Option<Arc<Gauge>>,
}

/// Bytes of events that wait to be read; a VM that has told so much has to wait.
const MOST_WAITING: usize = 8 << 20;

/// How much waits to be read.
#[derive(Default)]
struct Gauge {
    waiting: AtomicUsize,
    listener: AtomicWaker,
}

/// Events that are read as they come, however slowly.
pub struct Heard {
    events: mpsc::UnboundedReceiver<Event>,
    gauge: Arc<Gauge>,
}

impl Heard {
    /// The next event; `None` at the end of the session.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.events.recv().await?;
        self.gauge
            .waiting
            .fetch_sub(weight(&event), Ordering::AcqRel);
        self.gauge.listener.wake();
        Some(event)
    }
}

/// About the memory that an event takes.
fn weight(event: &Event) -> usize {
    let bytes = match event {
        Event::Output(output) => output.cell.len() + output.value.len(),
        Event::Log(line) => line.len(),
        Event::ClientActions(value) | Event::Result(value) | Event::IdleActions(value) => {
            value.len()
        }
        Event::Issue(issue) => issue.message.len() + issue.params.len(),
        Event::Done(_) => 0,
    };
    bytes + size_of::<Event>()
}

impl Listener {
    /// A listener and where its events arrive.
    pub fn new() -> (Listener, mpsc::UnboundedReceiver<Event>) {
        let (events, received) = mpsc::unbounded_channel();
        let gauge = None;
        (Listener { events, gauge }, received)
    }

    /// The same for a reader that may be slow: the VM waits for it.
    pub fn patient() -> (Listener, Heard) {
        let (send, events) = mpsc::unbounded_channel();
        let gauge = Arc::new(Gauge::default());
        let listener = Listener {
            events: send,
            gauge: Some(gauge.clone()),
        };
        (listener, Heard { events, gauge })
    }
}

impl StreamConsumer<GuestState> for Listener {
    type Item = Event;

    fn poll_consume(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<GuestState>,
        mut source: Source<'_, Event>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some(gauge) = &self.gauge {
            gauge.listener.register(context.waker());
            if gauge.waiting.load(Ordering::Acquire) > MOST_WAITING {
                return match finish {
                    true => Poll::Ready(Ok(StreamResult::Cancelled)),
                    false => Poll::Pending,
                };
            }
        }
        let mut events = Vec::with_capacity(16);
        source.read(store, &mut events)?;
        for event in events {
            if let Some(gauge) = &self.gauge {
                gauge.waiting.fetch_add(weight(&event), Ordering::AcqRel);
            }
            if self.events.send(event).is_err() {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
