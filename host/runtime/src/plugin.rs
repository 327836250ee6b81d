//! Plugins: compiled, described, ready to be instantiated.

use crate::bindings::{
    Answer, BINDING, Caller, FAMILY, Failure, Function, NEEDS, Reply, SHARED_FAMILY, SHORT,
    ShortValue,
};
use crate::compose;
use crate::contract;
use crate::manifest::{Allowance, Grant, Manifest, allow};
use anyhow::{Context, Result, anyhow, bail};
use mix_sandbox::linker::linker;
use mix_sandbox::state::{Grants, GuestState};
use mix_sandbox::{blocking, immediate};
use std::borrow::Cow;
use std::time::{Duration, Instant};
use wasmparser::Parser;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, TypedFunc};
use wasmtime::{Engine, Store, Trap};

/// Result of a synchronous function.
pub type CallResult = std::result::Result<Vec<u8>, Failure>;
/// Result of a function that waits, still tied to the plugin's store.
pub type StartResult = std::result::Result<Reply, Failure>;

/// Time that a plugin may take to start and to say what it offers.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Largest component that is read: those with a language of their own inside have some twenty megabytes.
pub const LARGEST_COMPONENT: u64 = 128 << 20;

/// Memory for what a plugin says about itself: a few bytes of the plugin may stand for many here.
const MAX_DESCRIPTION: usize = 16 << 20;

/// What plugins may import.
pub struct Linkers {
    /// All of WASI.
    pub all: Linker<GuestState>,
    /// What never waits.
    pub immediate: Linker<GuestState>,
    /// What keeps its thread while it waits.
    pub blocking: Linker<GuestState>,
}

impl Linkers {
    /// All of them.
    pub fn new(engine: &Engine) -> Result<Linkers> {
        Ok(Linkers {
            all: linker(engine)?,
            immediate: immediate::linker(engine)?,
            blocking: blocking::linker(engine)?,
        })
    }
}

/// A plugin that can be instantiated.
pub struct PluginCode {
    /// Name in messages: `db`, or the file name of a `--plugin`.
    pub name: String,
    /// Its functions, in the order of their numbers.
    pub functions: Vec<Function>,
    /// What its instances are given.
    pub access: Access,
    /// What it says about itself.
    pub manifest: Manifest,
    /// What it is granted beyond that, and its limits.
    pub allowance: Allowance,
    /// The version of `mix:ffi` that it was built for.
    pub version: String,
    /// True for the families that are part of this program: their replies need no check.
    pub trusted: bool,
    /// True if nothing that it imports leaves its thread: its synchronous functions are called in place.
    pub in_place: bool,
    pre: InstancePre<GuestState>,
    indexes: Indexes,
}

/// What an instance is given of its run's app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The app's folder at `/app`, one instance for all runs of the app.
    Records,
    /// The app's files at `/files`.
    Files,
    /// Guarded outbound requests.
    Network,
    /// The sealed values of the workspace's users at `/secrets`, and the key they are sealed under.
    Secrets,
    /// Nothing at all.
    Nothing,
    /// What its manifest needs and the operator granted.
    Granted,
}

/// How a plugin is taken in.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    /// A family that is part of this program.
    BuiltIn(Access),
    /// A component of somebody else in the place of such a family.
    InPlaceOf(Access),
    /// A further plugin, with what its operator grants.
    Further(&'a [Grant]),
    /// Looked at only: it is granted whatever it needs.
    Inspected,
}

/// Places of the exports, looked up once.
struct Indexes {
    shared: Option<SharedIndexes>,
    short: Option<ShortIndexes>,
    call: ComponentExportIndex,
    start: ComponentExportIndex,
    describe: ComponentExportIndex,
    bind: Option<ComponentExportIndex>,
    needs: Option<ComponentExportIndex>,
}

struct SharedIndexes {
    open: ComponentExportIndex,
    close: ComponentExportIndex,
}

struct ShortIndexes {
    call: ComponentExportIndex,
    take: ComponentExportIndex,
}

/// An instance in its store.
pub struct Live {
    /// The store.
    pub store: Store<GuestState>,
    /// The exports.
    pub entry: Entry,
}

/// Typed exports of an instance.
#[derive(Clone)]
pub enum Entry {
    /// `family`: serves one run.
    Single {
        /// `call`.
        call: TypedFunc<(u32, Vec<u8>), (CallResult,)>,
        /// `start`.
        start: TypedFunc<(u32, Vec<u8>), (StartResult,)>,
        /// The way for short values, if it has one.
        short: Option<ShortCalls>,
    },
    /// `shared-family`: serves many runs.
    Shared {
        /// `call`.
        call: TypedFunc<(u64, u32, Vec<u8>), (CallResult,)>,
        /// `start`.
        start: TypedFunc<(u64, u32, Vec<u8>), (StartResult,)>,
        /// `open-session`.
        open: TypedFunc<(Caller,), (u64,)>,
        /// `close-session`.
        close: TypedFunc<(u64,), ()>,
    },
}

/// Typed functions of `short`.
#[derive(Clone)]
pub struct ShortCalls {
    /// `call`.
    pub call: TypedFunc<(u32, ShortValue), (Answer,)>,
    /// `take`.
    pub take: TypedFunc<(), (CallResult,)>,
}

/// The error for two plugins that grants cannot tell apart.
pub fn named_twice(name: &str) -> anyhow::Error {
    anyhow!(
        "two plugins are named {name}, or a plugin and a family (in their manifests, or as files): what is granted goes by \
         the name, so give one of them another"
    )
}

impl PluginCode {
    /// Compiles a plugin (or takes its native code from the cache) and asks it for its functions.
    pub async fn load(
        engine: &Engine,
        linkers: &Linkers,
        name: &str,
        bytes: &[u8],
        standing: Standing<'_>,
    ) -> Result<PluginCode> {
        if Parser::is_core_wasm(bytes) {
            bail!("plugin {name} is a core module: mixer plugin component makes a component of it");
        }
        if !Parser::is_component(bytes) {
            bail!("plugin {name} is no WebAssembly component");
        }
        // The record store works on the thread of whoever calls it, so that reading takes no task.
        let keeps_its_thread = matches!(standing, Standing::BuiltIn(Access::Records));
        let bytes = match keeps_its_thread {
            true => Cow::Owned(compose::cached_clocked(name, bytes)?),
            false => Cow::Borrowed(bytes),
        };
        let component = Component::new(engine, &bytes).map_err(|error| {
            let text = format!("{error:#}");
            let reason = text.lines().next().unwrap_or_default().to_owned();
            anyhow!("plugin {name} is not a component of this engine: {reason}")
        })?;
        let (indexes, version) =
            Indexes::find(&component).with_context(|| format!("plugin {name}"))?;
        let manifest = match standing {
            Standing::BuiltIn(_) => Manifest::default(),
            _ => Manifest::of(&bytes).with_context(|| format!("plugin {name}"))?,
        };
        let name = manifest.name.clone().unwrap_or_else(|| name.to_owned());
        let alone = indexes.shared.is_none();
        let in_place = match keeps_its_thread {
            true => linkers.blocking.instantiate_pre(&component),
            false => linkers.immediate.instantiate_pre(&component),
        };
        let (pre, in_place) = match in_place {
            Ok(pre) if alone || keeps_its_thread => (pre, true),
            _ => {
                let pre = linkers
                    .all
                    .instantiate_pre(&component)
                    .map_err(anyhow::Error::from)
                    .with_context(|| {
                        format!("plugin {name} imports what the host does not offer")
                    })?;
                (pre, false)
            }
        };
        let mut code = PluginCode {
            name: name.clone(),
            functions: Vec::new(),
            access: Access::Granted,
            manifest,
            allowance: Allowance::default(),
            version,
            trusted: matches!(standing, Standing::BuiltIn(_)),
            in_place,
            pre,
            indexes,
        };
        let needs;
        (code.functions, needs) = code
            .describe(engine)
            .await
            .with_context(|| format!("plugin {name} cannot be asked for its functions"))?;
        // Here and nowhere else, because whoever takes a plugin in comes here.
        if let Some(flaw) = contract::flaw(&code.functions) {
            bail!("plugin {name} describes {flaw}");
        }
        for need in needs {
            let need = need
                .parse()
                .map_err(|error| anyhow!("plugin {name}: what it needs is malformed: {error}"))?;
            if !code.manifest.needs.contains(&need) {
                code.manifest.needs.push(need);
            }
        }
        (code.access, code.allowance) = match standing {
            Standing::BuiltIn(access) | Standing::InPlaceOf(access) => {
                (access, Allowance::of_family())
            }
            Standing::Further(grants) => {
                let allowance = allow(&name, &code.manifest, grants)
                    .with_context(|| format!("plugin {name}"))?;
                (Access::Granted, allowance)
            }
            Standing::Inspected => (Access::Granted, Allowance::default()),
        };
        Ok(code)
    }

    /// True for the record store that is part of the program.
    pub fn is_record_store(&self) -> bool {
        self.trusted && self.access == Access::Records
    }

    /// True if one instance serves many runs.
    pub fn is_shared(&self) -> bool {
        self.indexes.shared.is_some()
    }

    /// A fresh instance that knows its caller, if it wants to.
    pub async fn instantiate(
        &self,
        engine: &Engine,
        grants: Grants<'_>,
        who: Option<&Caller>,
    ) -> Result<Live> {
        let mut store = GuestState::store(engine, grants)?;
        store.data_mut().deadline = Some(Instant::now() + START_LIMIT);
        let instance = within_limit(self.pre.instantiate_async(&mut store)).await?;
        let at = &self.indexes;
        let entry = match &at.shared {
            None => Entry::Single {
                call: instance.get_typed_func(&mut store, at.call)?,
                start: instance.get_typed_func(&mut store, at.start)?,
                short: match &at.short {
                    Some(short) => Some(ShortCalls {
                        call: instance.get_typed_func(&mut store, short.call)?,
                        take: instance.get_typed_func(&mut store, short.take)?,
                    }),
                    None => None,
                },
            },
            Some(shared) => Entry::Shared {
                call: instance.get_typed_func(&mut store, at.call)?,
                start: instance.get_typed_func(&mut store, at.start)?,
                open: instance.get_typed_func(&mut store, shared.open)?,
                close: instance.get_typed_func(&mut store, shared.close)?,
            },
        };
        if let (Some(index), Some(who)) = (&at.bind, who) {
            let bind: TypedFunc<(Caller,), ()> = instance.get_typed_func(&mut store, index)?;
            within_limit(bind.call_async(&mut store, (who.clone(),))).await?;
        }
        store.data_mut().deadline = None;
        Ok(Live { store, entry })
    }

    /// Its functions, and what it needs beside what its manifest says.
    async fn describe(&self, engine: &Engine) -> Result<(Vec<Function>, Vec<String>)> {
        let grants = Grants {
            // Nothing is granted yet.
            memory: self.allowance.limits.memory,
            ..Grants::default()
        };
        let mut store = GuestState::store(engine, grants)?;
        store.set_hostcall_fuel(MAX_DESCRIPTION);
        store.data_mut().deadline = Some(Instant::now() + START_LIMIT);
        let instance = within_limit(self.pre.instantiate_async(&mut store)).await?;
        let describe: TypedFunc<(), (Vec<Function>,)> =
            instance.get_typed_func(&mut store, self.indexes.describe)?;
        let (functions,) = within_limit(describe.call_async(&mut store, ())).await?;
        let needs = match &self.indexes.needs {
            None => Vec::new(),
            Some(index) => {
                let needs: TypedFunc<(), (Vec<String>,)> =
                    instance.get_typed_func(&mut store, index)?;
                within_limit(needs.call_async(&mut store, ())).await?.0
            }
        };
        Ok((functions, needs))
    }
}

impl Indexes {
    /// The exports, and the version of the contract that they have.
    fn find(component: &Component) -> Result<(Indexes, String)> {
        let exports: Vec<String> = component
            .component_type()
            .exports(component.engine())
            .map(|(name, _)| name.to_owned())
            .collect();
        // An interface of a compatible version will do as well as that of this one.
        let exported = |name: &str| contract::compatible(name, exports.iter().map(String::as_str));
        let interface = |name: &str| component.get_export_index(None, exported(name)?);
        let function = |instance: &ComponentExportIndex, name: &str| {
            component
                .get_export_index(Some(instance), name)
                .ok_or_else(|| anyhow!("its interface has no function {name}"))
        };
        let shared = interface(SHARED_FAMILY);
        let Some(family) = shared.or_else(|| interface(FAMILY)) else {
            bail!("{}", contract::missing(FAMILY, &exports));
        };
        let version = exported(SHARED_FAMILY)
            .or_else(|| exported(FAMILY))
            .and_then(|name| name.split_once('@'))
            .map_or_else(String::new, |(_, version)| version.to_owned());
        let bind = match interface(BINDING) {
            Some(binding) if shared.is_none() => Some(function(&binding, "bind")?),
            _ => None,
        };
        let indexes = Indexes {
            shared: match &shared {
                Some(shared) => Some(SharedIndexes {
                    open: function(shared, "open-session")?,
                    close: function(shared, "close-session")?,
                }),
                None => None,
            },
            short: match interface(SHORT) {
                Some(short) => Some(ShortIndexes {
                    call: function(&short, "call")?,
                    take: function(&short, "take")?,
                }),
                None => None,
            },
            call: function(&family, "call")?,
            start: function(&family, "start")?,
            describe: function(&family, "describe")?,
            bind,
            needs: match interface(NEEDS) {
                Some(needs) => Some(function(&needs, "needs")?),
                None => None,
            },
        };
        Ok((indexes, version))
    }
}

/// Ends what waits; the deadline of the store ends what spins.
async fn within_limit<T>(work: impl Future<Output = wasmtime::Result<T>>) -> Result<T> {
    let late = || anyhow!("it did not answer within {} s", START_LIMIT.as_secs());
    match tokio::time::timeout(START_LIMIT, work).await {
        Ok(Err(error)) if error.downcast_ref() == Some(&Trap::Interrupt) => Err(late()),
        Ok(done) => Ok(done?),
        Err(_) => Err(late()),
    }
}
