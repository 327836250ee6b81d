//! Everything that runs share: the VM, the plugins, the table of functions.

use crate::bindings::{Caller, FAMILY, Function, copy};
use crate::compose::Hostless;
use crate::families::HostFamily;
use crate::families::files::Files;
use crate::families::mqtt::Mqtt;
use crate::families::mqtt::broker::Broker;
use crate::families::websocket::WebSocket;
use crate::guests;
use crate::instance::Instance;
use crate::instance::job::Address;
use crate::lock;
use crate::manifest::{Allowance, Grant};
use crate::neighbours::{Neighbours, ServerFunction};
use crate::plugin::{Access, Linkers, PluginCode, Standing};
use crate::secrets_key::Keys;
use crate::shares::Shares;
use crate::tape::Tape;
use crate::vm::Vms;
use crate::workspace::{Place, private_folder};
use anyhow::{Context, Result, bail};
use mix_app_files::Shelves;
use mix_sandbox::engine;
use mix_sandbox::meter::processor_time_of_process;
use mix_sandbox::outbound::traffic::{Allowances, Traffic};
use mix_sandbox::outbound::{Egress, Outbound};
use mix_sandbox::state::Grants;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use tokio::sync::Mutex;
use wasmtime::Engine;

/// Linear memory of a plugin instance.
const PLUGIN_MEMORY: usize = 256 << 20;

/// Files, requests and other handles of the host that a plugin may hold: each may be an open file of
/// this process.
const PLUGIN_HANDLES: usize = 4_000;

/// The families that stand behind the host.
const BEHIND_HOST: [(&str, &[u8], Access); 5] = [
    ("db", guests::DB, Access::Records),
    ("files", guests::FILES, Access::Files),
    ("http", guests::HTTP, Access::Network),
    ("secrets", guests::SECRETS, Access::Secrets),
    ("wasm", guests::WASM, Access::Nothing),
];

/// Time for the calls that are under way when the records of an app are closed.
const RETIREMENT: std::time::Duration = std::time::Duration::from_secs(2);

/// Apps whose record instance is kept.
const MAX_SHARED: usize = 256;

/// What the operator decides about guests.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Further plugins.
    pub plugins: Vec<PathBuf>,
    /// What they are granted.
    pub grants: Vec<Grant>,
    /// Components in the place of families behind the host, by the name of the family.
    pub families: Vec<(String, Replacement)>,
    /// Where the exchanges of family `http` are kept or taken from.
    pub tape: Option<Arc<Tape>>,
    /// The files of a server, for the family of the host; without them a component works on the folder of the app.
    pub files: Option<Arc<Shelves>>,
    /// Bytes that a workspace may send and receive in an hour; 0: any number.
    pub egress_per_hour: u64,
    /// Replacement for the VM component.
    pub vm: Option<PathBuf>,
    /// Environment variables of the families (`MIXER_HTTP_TIMEOUT`, ...).
    pub variables: Vec<(String, String)>,
    /// Linear memory of the instance that holds an app's records.
    pub db_memory: usize,
    /// Memory for programs that are kept loaded; 0: each run loads its program.
    pub snapshot_memory: usize,
    /// Linear memory of a module that an agent loads.
    pub wasm_memory: usize,
    /// Keys that the users' secrets are sealed under; `None`: each workspace has its own.
    pub secrets_keys: Option<Keys>,
}

/// What stands in the place of a family.
#[derive(Debug, Clone)]
pub enum Replacement {
    /// The one that keeps everything in memory.
    Memory,
    /// A component.
    File(PathBuf),
}

/// Prepared once, used by every run.
pub struct Assembly {
    /// The engine.
    pub engine: Engine,
    /// The VM.
    pub vms: Vms,
    /// Families behind the host, in the order in which they were linked.
    pub plugins: Vec<Arc<PluginCode>>,
    /// Families of the host itself, numbered after the plugins.
    host_families: Vec<OwnFamily>,
    /// The topics of this process; none where a component keeps them.
    pub broker: Option<Arc<Broker>>,
    /// Functions of all of them, one after another.
    pub functions: Vec<Function>,
    /// Plugin and number of each of them.
    targets: Vec<Target>,
    /// The files of a server, and what workspaces may store.
    pub files: Option<Arc<Shelves>>,
    /// What workspaces may send and receive.
    allowances: Option<Allowances>,
    /// Functions of families that a server answers itself.
    of_server: Vec<(Target, ServerFunction)>,
    /// Outbound requests.
    pub outbound: Arc<Outbound>,
    /// Processor time of workspaces.
    pub shares: Arc<Shares>,
    variables: Vec<(String, String)>,
    db_memory: usize,
    wasm_memory: usize,
    secrets_keys: Option<Keys>,
    /// Where the exchanges of family `http` are kept or taken from.
    pub tape: Option<Arc<Tape>>,
    shared: StdMutex<HashMap<(usize, PathBuf), Arc<Shared>>>,
}

/// The place of an app's instance: locked while one is made, so that only its own app waits.
struct Shared {
    instance: Mutex<Option<Arc<Instance>>>,
    last_used: StdMutex<std::time::Instant>,
    /// Nothing of it is on disk, so it stays until the process ends.
    in_memory: bool,
}

impl Shared {
    fn note_use(&self, now: std::time::Instant) {
        let mut last_used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last_used = now;
    }
}

/// A family of the host, with its functions.
pub struct OwnFamily {
    /// The family.
    pub family: Arc<dyn HostFamily>,
    /// In the order of their numbers.
    pub functions: Vec<Function>,
}

/// A function of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Number of the plugin; from the number of plugins on those of the host's own families.
    pub plugin: usize,
    /// Number of the function in it.
    pub function: u32,
}

impl Assembly {
    /// Composes, compiles (or takes native code from the cache) and links everything.
    pub async fn new(policy: &Policy, outbound: Arc<Outbound>) -> Result<Assembly> {
        let engine = engine::engine()?;
        let linkers = Linkers::new(&engine)?;
        let mut plugins = Vec::new();
        for (name, bytes, access) in BEHIND_HOST {
            let replacement = policy.families.iter().find(|(family, _)| family == name);
            if name == "files" && replacement.is_none() && policy.files.is_some() {
                continue;
            }
            let plugin = match replacement {
                None => {
                    let standing = Standing::BuiltIn(access);
                    PluginCode::load(&engine, &linkers, name, bytes, standing).await?
                }
                Some((_, replacement)) => {
                    replace(&engine, &linkers, name, access, replacement).await?
                }
            };
            plugins.push(plugin);
        }
        let mut hostless = Hostless::default();
        let mqtt = Mqtt::new(outbound.clone());
        let mut broker = Some(mqtt.broker().clone());
        let mut own: Vec<Arc<dyn HostFamily>> =
            vec![Arc::new(mqtt), Arc::new(WebSocket::new(outbound.clone()))];
        let is_replaced = policy.families.iter().any(|(family, _)| family == "files");
        if let Some(shelves) = policy.files.as_ref().filter(|_| !is_replaced) {
            own.push(Arc::new(Files::new(shelves.clone())));
        }
        let replaced = policy
            .families
            .iter()
            .filter(|(family, _)| BEHIND_HOST.iter().all(|(name, ..)| name != family));
        for (name, replacement) in replaced {
            if let Some(number) = own.iter().position(|family| family.name() == name) {
                let access = own.remove(number).access();
                broker = broker.filter(|_| name != "mqtt");
                plugins.push(replace(&engine, &linkers, name, access, replacement).await?);
                continue;
            }
            compose_in_place(&engine, &linkers, &mut hostless, name, replacement).await?;
        }
        for path in &policy.plugins {
            let label = || path.display().to_string();
            let bytes = std::fs::read(path).with_context(label)?;
            let name = plugin_name(path);
            let standing = Standing::Further(&policy.grants);
            let plugin = PluginCode::load(&engine, &linkers, &name, &bytes, standing).await;
            let plugin = plugin.with_context(label)?;
            plugins.push(plugin);
        }
        if let Some(grant) = policy
            .grants
            .iter()
            .find(|grant| plugins.iter().all(|plugin| plugin.name != grant.plugin))
        {
            bail!("there is no plugin {} to grant anything to", grant.plugin);
        }
        if !policy.plugins.is_empty() || !policy.families.is_empty() {
            refuse_clashes(&engine, &linkers, &hostless, &own, &plugins).await?;
        }
        let mut functions = Vec::new();
        let mut targets = Vec::new();
        for (number, plugin) in plugins.iter().enumerate() {
            for (function, described) in (0u32..).zip(&plugin.functions) {
                functions.push(copy(described));
                targets.push(Target {
                    plugin: number,
                    function,
                });
            }
        }
        let mut host_families = Vec::new();
        for family in own {
            let described = family.describe();
            for (function, described) in (0u32..).zip(&described) {
                functions.push(copy(described));
                targets.push(Target {
                    plugin: plugins.len() + host_families.len(),
                    function,
                });
            }
            host_families.push(OwnFamily {
                family,
                functions: described,
            });
        }
        let vms = Vms::new(&engine, policy, hostless, &functions);
        if policy.vm.is_some() {
            // Whoever brings a VM wants to know at once whether it fits.
            vms.alone().await?;
        }
        let of_server = functions
            .iter()
            .zip(&targets)
            .filter_map(|(function, target)| {
                let function: &Function = function;
                Some((*target, ServerFunction::of_name(&function.name)?))
            })
            .collect();
        Ok(Assembly {
            files: policy.files.clone(),
            allowances: (policy.egress_per_hour > 0)
                .then(|| Allowances::new(policy.egress_per_hour)),
            of_server,
            engine,
            vms,
            plugins: plugins.into_iter().map(Arc::new).collect(),
            host_families,
            broker,
            functions,
            targets,
            outbound,
            shares: Arc::new(Shares::new(
                std::thread::available_parallelism().map_or(1, usize::from),
                processor_time_of_process,
            )),
            variables: policy.variables.clone(),
            db_memory: policy.db_memory,
            wasm_memory: policy.wasm_memory,
            secrets_keys: policy.secrets_keys.clone(),
            tape: policy.tape.clone(),
            shared: StdMutex::default(),
        })
    }

    /// The plugin function behind a number of the VM's import.
    pub fn target(&self, function: u32) -> Option<Target> {
        self.targets.get(function as usize).copied()
    }

    /// The name of the function behind a target.
    pub fn name_of(&self, target: Target) -> &str {
        let number = target.function as usize;
        let function = match self.plugins.get(target.plugin) {
            Some(plugin) => plugin.functions.get(number),
            None => self
                .host_family(target)
                .and_then(|own| own.functions.get(number)),
        };
        function.map_or("an unknown function", |function| &function.name)
    }

    /// The family of the host behind a target.
    pub fn host_family(&self, target: Target) -> Option<&OwnFamily> {
        let number = target.plugin.checked_sub(self.plugins.len())?;
        self.host_families.get(number)
    }

    /// The function that a target is, if a server answers it in the place of its family.
    pub fn server_function(&self, target: Target) -> Option<ServerFunction> {
        self.of_server
            .iter()
            .find(|(own, _)| *own == target)
            .map(|(_, function)| *function)
    }

    /// The plugin function of that name.
    pub fn find(&self, name: &str) -> Option<Target> {
        let number = self
            .functions
            .iter()
            .position(|function| function.name == name)?;
        self.targets.get(number).copied()
    }

    /// A fresh instance of a plugin for one run.
    pub async fn instantiate(
        &self,
        plugin: usize,
        place: &Place,
        who: &Caller,
        neighbours: Option<&Arc<dyn Neighbours>>,
    ) -> Result<Arc<Instance>> {
        let code = &self.plugins[plugin];
        let (folder, key_folder, about);
        let mut lock = None;
        let mut grants = self.grants();
        match code.access {
            Access::Files => {
                place.create()?;
                folder = place.files();
                grants.folders.push((&folder, "/files"));
            }
            Access::Records if place.is_memory() => {
                grants.memory = self.db_memory;
                grants.own_thread = true;
            }
            Access::Records => {
                place.create()?;
                folder = place.folder();
                grants.folders.push((&folder, "/app"));
                grants.memory = self.db_memory;
                grants.own_thread = true;
                about = folder.display().to_string();
                grants.logged_about = Some(&about);
                grants.environment.push(("MIXER_DB_LOCKED", "1".to_owned()));
                lock = Some(lock::take(&folder).await?);
            }
            Access::Network => {
                let mut egress = Egress::anywhere(self.outbound.clone(), self.traffic(place));
                if let Some(neighbours) = neighbours {
                    egress.home = neighbours.clone().home();
                    grants.environment.extend(neighbours.variables());
                }
                grants.outbound = Some(egress);
            }
            Access::Secrets => {
                folder = place.secrets();
                private_folder(&folder)?;
                grants.folders.push((&folder, "/secrets"));
                if let Some(neighbours) = neighbours {
                    grants.environment.extend(neighbours.variables());
                }
                match &self.secrets_keys {
                    Some(keys) => {
                        let keys = format!("keys:{}", keys.as_text());
                        grants.environment.push(("MIXER_SECRETS_KEY", keys));
                    }
                    None => {
                        key_folder = place.keys();
                        private_folder(&key_folder)?;
                        grants.folders.push((&key_folder, "/keys"));
                    }
                }
            }
            Access::Granted => {
                let Allowance {
                    http,
                    folder: own_folder,
                    variables,
                    limits,
                } = &code.allowance;
                grants.memory = limits.memory;
                grants.handles = Some(PLUGIN_HANDLES);
                grants.outbound = http.clone().map(|hosts| Egress {
                    outbound: self.outbound.clone(),
                    hosts,
                    home: None,
                    traffic: self.traffic(place),
                });
                grants.environment = variables
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.clone()))
                    .collect();
                if *own_folder {
                    folder = place.plugin(&code.name);
                    private_folder(&folder)?;
                    grants.folders.push((&folder, "/data"));
                }
            }
            // Room for the module, for its memory while it grows, and for what is passed.
            Access::Nothing => grants.memory = PLUGIN_MEMORY.saturating_add(2 * self.wasm_memory),
        }
        let live = code.instantiate(&self.engine, grants, Some(who)).await?;
        Ok(Instance::new(code.clone(), live, lock))
    }

    /// The instance that all runs of an app share.
    pub async fn shared(
        &self,
        plugin: usize,
        place: &Place,
        who: &Caller,
    ) -> Result<Arc<Instance>> {
        let slot = self.slot(plugin, place);
        let mut instance = slot.instance.lock().await;
        if let Some(found) = instance.as_ref().filter(|found| !found.is_dead()) {
            return Ok(found.clone());
        }
        // The dead one first: it may hold what the new one needs.
        *instance = None;
        // What it serves is of many runs.
        let made = self.instantiate(plugin, place, who, None).await?;
        *instance = Some(made.clone());
        Ok(made)
    }

    /// The same if it is there, and nobody makes or closes it.
    pub fn shared_at_hand(&self, plugin: usize, place: &Place) -> Option<Arc<Instance>> {
        let slot = self.slots().get(&(plugin, place.folder()))?.clone();
        slot.note_use(std::time::Instant::now());
        let instance = slot.instance.try_lock().ok()?;
        instance.clone().filter(|found| !found.is_dead())
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(usize, PathBuf), Arc<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, plugin: usize, place: &Place) -> Arc<Shared> {
        let now = std::time::Instant::now();
        let mut shared = self.slots();
        if shared.len() >= MAX_SHARED {
            // Only what nobody holds may go.
            let idle = |entry: &Arc<Shared>| {
                !entry.in_memory
                    && Arc::strong_count(entry) == 1
                    && entry.instance.try_lock().is_ok_and(|instance| {
                        instance
                            .as_ref()
                            .is_none_or(|instance| Arc::strong_count(instance) == 1)
                    })
            };
            let oldest = shared
                .iter()
                .filter(|(_, entry)| idle(entry))
                .min_by_key(|(_, entry)| {
                    *entry
                        .last_used
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                })
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                shared.remove(&oldest);
            }
        }
        let slot = shared.entry((plugin, place.folder())).or_insert_with(|| {
            Arc::new(Shared {
                instance: Mutex::new(None),
                last_used: StdMutex::new(now),
                in_memory: place.is_memory(),
            })
        });
        slot.note_use(now);
        slot.clone()
    }

    /// Flushes and drops all shared instances; the program is about to end.
    pub async fn flush(&self) {
        self.close(Path::new("")).await;
    }

    /// Flushes and drops the shared instances of the apps in or below a folder.
    pub async fn close(&self, folder: &Path) {
        let slots: Vec<(usize, Arc<Shared>)> = self
            .slots()
            .extract_if(|(_, place), _| place.starts_with(folder))
            .map(|((plugin, _), slot)| (plugin, slot))
            .collect();
        for (plugin, slot) in slots {
            if let Some(instance) = slot.instance.lock().await.take() {
                if !slot.in_memory {
                    self.flush_one(plugin, &instance).await;
                }
                if !instance.is_dead() {
                    instance.settle().await;
                }
            }
        }
    }

    /// Does work for which nobody else may have the records of an app open. Runs that want them
    /// wait.
    pub async fn closed<T>(&self, place: &Place, work: impl Future<Output = T>) -> T {
        let mut slots = Vec::new();
        for (plugin, code) in self.plugins.iter().enumerate() {
            if code.is_shared() {
                slots.push((plugin, self.slot(plugin, place)));
            }
        }
        let mut held = Vec::new();
        for (plugin, slot) in &slots {
            let mut instance = slot.instance.lock().await;
            if let Some(instance) = instance.take() {
                self.flush_one(*plugin, &instance).await;
                instance.retire(RETIREMENT).await;
            }
            held.push(instance);
        }
        work.await
    }

    /// Makes the records of the apps in or below a folder durable; they stay open.
    pub async fn checkpoint(&self, folder: &Path) {
        let slots: Vec<(usize, Arc<Shared>)> = self
            .slots()
            .iter()
            .filter(|((_, place), slot)| place.starts_with(folder) && !slot.in_memory)
            .map(|((plugin, _), slot)| (*plugin, slot.clone()))
            .collect();
        for (plugin, slot) in slots {
            let instance = slot.instance.lock().await.clone();
            if let Some(instance) = instance {
                self.flush_one(plugin, &instance).await;
            }
        }
    }

    async fn flush_one(&self, plugin: usize, instance: &Arc<Instance>) {
        let flush = self.plugins[plugin]
            .functions
            .iter()
            .position(|function| function.name == "$db_flush");
        let (Some(function), false) = (flush, instance.is_dead()) else {
            return;
        };
        let who = Caller {
            workspace: String::new(),
            app: String::new(),
            agent: String::new(),
            user: "_rmx_system".to_owned(),
            deadline: 0,
        };
        let Ok(session) = instance.open(who).await else {
            return;
        };
        let address = Address {
            session,
            function: function as u32,
            // An array with null: the app's own database.
            args: vec![0x91, 0xc0],
        };
        let started = instance.start(address, None).await;
        let flushed = started.unwrap_or_else(|_| Err(instance.failure(function as u32)));
        if let Err(failure) = flushed {
            tracing::error!(code = %failure.code, "records are not flushed: {}", failure.message);
        }
        instance.close(session).await;
    }

    /// What a workspace has sent and received, if that is limited.
    fn traffic(&self, place: &Place) -> Option<Arc<Traffic>> {
        let allowances = self.allowances.as_ref()?;
        Some(allowances.of(&place.workspace))
    }

    fn grants(&self) -> Grants<'_> {
        Grants {
            environment: self
                .variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect(),
            memory: PLUGIN_MEMORY,
            ..Grants::default()
        }
    }
}

/// The component that an operator put in the place of a family.
async fn replace(
    engine: &Engine,
    linkers: &Linkers,
    name: &str,
    access: Access,
    replacement: &Replacement,
) -> Result<PluginCode> {
    match replacement {
        Replacement::Memory => {
            let bytes = guests::in_memory(name)
                .with_context(|| format!("family {name} has no form that lives in memory"))?;
            let standing = Standing::BuiltIn(Access::Nothing);
            PluginCode::load(engine, linkers, name, bytes, standing).await
        }
        Replacement::File(path) => {
            let label = || path.display().to_string();
            let bytes = std::fs::read(path).with_context(label)?;
            let standing = Standing::InPlaceOf(access);
            PluginCode::load(engine, linkers, name, &bytes, standing)
                .await
                .with_context(label)
        }
    }
}

/// Name of a plugin in messages to programs: no path.
pub fn plugin_name(path: &Path) -> String {
    match path.file_stem() {
        Some(stem) => stem.to_string_lossy().into_owned(),
        None => "plugin".to_owned(),
    }
}

/// The component that an operator put in the place of a family that is composed with the VM.
/// It is told who calls and given the variables of its run, as the VM is, and nothing else.
async fn compose_in_place(
    engine: &Engine,
    linkers: &Linkers,
    hostless: &mut Hostless,
    name: &str,
    replacement: &Replacement,
) -> Result<()> {
    if hostless.iter().all(|(family, _)| family != name) {
        let behind = BEHIND_HOST.iter().map(|(name, ..)| *name);
        let names: Vec<&str> = hostless
            .iter()
            .map(|(name, _)| name)
            .chain(behind)
            .chain(["mqtt", "websocket"])
            .collect();
        bail!(
            "there is no family {name} to be replaced: {}",
            names.join(", ")
        );
    }
    let path = match replacement {
        Replacement::File(path) => path,
        Replacement::Memory => bail!("family {name} has no form that lives in memory"),
    };
    let label = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(label)?;
    let standing = Standing::InPlaceOf(Access::Nothing);
    let code = PluginCode::load(engine, linkers, name, &bytes, standing)
        .await
        .with_context(label)?;
    if code.is_shared() {
        bail!(
            "{}: family {name} is composed with the VM, so it must export {FAMILY} itself",
            label()
        );
    }
    hostless.replace(name, bytes);
    Ok(())
}

/// Two plugins with a function of the same name cannot be linked.
async fn refuse_clashes(
    engine: &Engine,
    linkers: &Linkers,
    hostless: &Hostless,
    own: &[Arc<dyn HostFamily>],
    plugins: &[PluginCode],
) -> Result<()> {
    let mut composed = Vec::new();
    for (name, bytes) in hostless.iter() {
        let standing = Standing::InPlaceOf(Access::Nothing);
        composed.push(PluginCode::load(engine, linkers, name, bytes, standing).await?);
    }
    let described: Vec<_> = own
        .iter()
        .map(|family| (family.name(), family.describe()))
        .collect();
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for (name, functions) in &described {
        owners.extend(functions.iter().map(|function| (&*function.name, *name)));
    }
    for plugin in composed.iter().chain(plugins) {
        for function in &plugin.functions {
            if let Some(other) = owners.insert(&function.name, &plugin.name) {
                bail!(
                    "function {} is offered by two plugins: {other} and {}",
                    function.name,
                    plugin.name
                );
            }
        }
    }
    Ok(())
}
