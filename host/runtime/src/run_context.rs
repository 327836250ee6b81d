//! What a run reaches outside of its VM: its instances of plugins, the families of the host, the records
//! of other apps. A call finds its instance here, makes it at first use, and goes on with another one if
//! that ended before the function had begun.

mod in_place;

use crate::assembly::{Assembly, Target};
use crate::bindings::{Caller, Failure};
use crate::contract;
use crate::desk::Desk;
use crate::families::{self, HostSession};
use crate::instance::job::{Address, NotBegun};
use crate::instance::{Instance, Started, failure};
use crate::lock::Locked;
use crate::neighbours::{self, Asked, Neighbours, Outside};
use crate::plugin::{Access, PluginCode};
use crate::remote_main;
use crate::room;
use crate::stream::HostReply;
use crate::tape;
use crate::trace::{Kind, Open, Trace};
use crate::vm::unknown;
use crate::workspace::Place;
use mix_remote_database::RemoteMain;
use mix_value::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Instant;
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use in_place::AtHand;

/// Instances that may end, one after the other, before a function of theirs has begun.
const ATTEMPTS: usize = 3;
/// The variable with the number of the caller's token.
const CALLERS_TOKEN: &str = "MIXER_RUN_TOKEN";

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
        let remote = remote_main::of(environment, &place.app);
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
            let address = match code.is_shared() && !neighbours::writes(name) {
                false => address,
                true => match link.instance.call_in_turn(address, deadline).await {
                    Ok(result) => return result,
                    Err(address) => address,
                },
            };
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
        let tape = self.assembly.tape.as_ref();
        if access == Access::Network && tape.is_some_and(|tape| tape.is_replayed()) {
            let message = "a replayed run opens no connections (--replay)".to_owned();
            return Err(failure("ERR_UNSUPPORTED", message));
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
        match (span, &started) {
            // Another function is started instead, and recorded there.
            (Some(span), Err(failure)) if failure.code == contract::WAITS => span.discard(),
            (Some(mut span), Err(failure)) => span.fail(&*failure.code),
            _ => {}
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
            return remote_main::start(remote, self, function, args).await;
        }
        if let Some(function) = self.assembly.server_function(target)
            && let Some(neighbours) = &self.neighbours
            && let Some(asked) = Asked::read(function, &self.place.app, &args)
            && let Some(answer) = neighbours.clone().answer(asked)
        {
            return families::encoded(answer.await).map(HostReply::One);
        }
        let code = &self.assembly.plugins[target.plugin];
        let function = &code.functions[target.function as usize].name;
        match &self.assembly.tape {
            Some(tape) if tape::holds(function) => {
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
        let size = args.len();
        let mut attempt = Attempt::first(args);
        loop {
            let (link, address) = self.address(desk, target, attempt.args).await?;
            match link.instance.start(address, desk).await {
                // Others might say so to have the disk tried again and again.
                Ok(Err(failure)) if self.assembly.plugins[target.plugin].is_record_store() => {
                    let function = self.assembly.name_of(target);
                    return Err(room::judged(&self.place, function, size, failure).await);
                }
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
        let mut links = self.links.clone().lock_owned().await;
        let link = links.alive(&wanted);
        if let Some(link) = link.or_else(|| self.link_in_place(&mut links, &wanted)) {
            return Ok(link);
        }
        let is_shared = self.assembly.plugins[wanted.0].is_shared();
        let making = self.clone().make_link(wanted, links);
        // Not here: a store cannot be entered from inside a host function of another one by functions that may
        // wait. To open what many runs share may take its time, so that is done by a task of its own.
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

    /// A session of what the runs of the app share, where it is there and at rest.
    fn link_in_place(&self, links: &mut Links, wanted: &Wanted) -> Option<Link> {
        let (plugin, None) = *wanted else {
            return None;
        };
        let code = self.assembly.plugins.get(plugin)?;
        if !code.is_shared() || !code.in_place || self.refuses(code) {
            return None;
        }
        let instance = self.assembly.shared_at_hand(plugin, &self.place)?;
        let session = instance.open_in_place(&self.caller)?;
        let link = Link { instance, session };
        links.0.insert(wanted.clone(), link.clone());
        Some(link)
    }

    /// True if the run may not reach plugins of that kind.
    fn refuses(&self, code: &PluginCode) -> bool {
        self.allowed.as_ref().is_some_and(|allowed| {
            !matches!(code.access, Access::Nothing | Access::Granted)
                && !allowed.contains(&code.access)
        })
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
        if self.refuses(code) {
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
            } else if link.instance.close_in_place(link.session) {
                // Most stores are at rest.
            } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                // Whoever stopped the run shall not wait for the store.
                runtime.spawn(async move { link.instance.close(link.session).await });
            }
        }
    }
}
