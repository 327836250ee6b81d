//! Everything that runs share: the VM, the plugins, the table of functions.

mod replacement;
mod shared;

pub use replacement::{Replacement, functions_of};

use crate::bindings::{Caller, Function, copy};
use crate::compose::Hostless;
use crate::families::HostFamily;
use crate::families::files::Files;
use crate::families::mqtt::Mqtt;
use crate::families::mqtt::broker::Broker;
use crate::families::websocket::WebSocket;
use crate::guests;
use crate::instance::Instance;
use crate::lock;
use crate::manifest::{Allowance, Grant};
use crate::neighbours::{Neighbours, ServerFunction};
use crate::plugin::{Access, LARGEST_COMPONENT, Linkers, PluginCode, Standing, named_twice};
use crate::secrets_key::Keys;
use crate::shares::Shares;
use crate::tape::Tape;
use crate::vm::Vms;
use crate::workspace::{Place, private_folder};
use anyhow::{Context, Result, bail};
use mix_app_files::Shelves;
use mix_sandbox::engine;
use mix_sandbox::messages::Lines;
use mix_sandbox::meter::processor_time_of_process;
use mix_sandbox::outbound::traffic::{Allowances, Traffic};
use mix_sandbox::outbound::{Egress, Outbound};
use mix_sandbox::state::Grants;
use replacement::{compose_in_place, refuse_clashes, replace};
use shared::Slots;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex};
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
    /// Instances of apps.
    shared: StdMutex<Slots>,
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
        let families = plugins.len();
        for path in &policy.plugins {
            let label = || path.display().to_string();
            let bytes = mix_input_file::read(path, LARGEST_COMPONENT).with_context(label)?;
            let name = plugin_name(path);
            let standing = Standing::Further(&policy.grants);
            let plugin = PluginCode::load(&engine, &linkers, &name, &bytes, standing).await;
            let plugin = plugin.with_context(label)?;
            plugins.push(plugin);
        }
        for grant in &policy.grants {
            refuse_ungiven(grant, &plugins[..families], &plugins[families..])?;
        }
        if !policy.plugins.is_empty() || !policy.families.is_empty() {
            refuse_clashes(&engine, &linkers, &hostless, &own, &plugins).await?;
        }
        refuse_one_name(&plugins, families)?;
        let (host_families, functions, targets) = numbered(&plugins, own);
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
                grants.logged = Lines::Warnings(&about);
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
                grants.logged = Lines::OfPlugin(&code.name);
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

/// A grant is for a further plugin.
fn refuse_ungiven(grant: &Grant, families: &[PluginCode], further: &[PluginCode]) -> Result<()> {
    let name = &grant.plugin;
    let is_among = |plugins: &[PluginCode]| plugins.iter().any(|plugin| plugin.name == *name);
    if is_among(further) {
        return Ok(());
    }
    if is_among(families) || guests::FAMILIES.contains(&name.as_str()) {
        bail!(
            "nothing can be granted to {name}: it is a family, or stands in the place of one, and gets what that gets"
        );
    }
    bail!("there is no plugin {name} to grant anything to")
}

/// What a plugin is granted, and its folder, go by its name.
fn refuse_one_name(plugins: &[PluginCode], families: usize) -> Result<()> {
    for (number, plugin) in plugins.iter().enumerate().skip(families) {
        let name = &plugin.name;
        let is_taken = plugins[..number].iter().any(|other| other.name == *name);
        if is_taken || guests::FAMILIES.contains(&name.as_str()) {
            return Err(named_twice(name));
        }
    }
    Ok(())
}

/// Name of a plugin in messages to programs: no path.
pub fn plugin_name(path: &Path) -> String {
    match path.file_stem() {
        Some(stem) => stem.to_string_lossy().into_owned(),
        None => "plugin".to_owned(),
    }
}

/// All functions one after another, those of the plugins first, with what each of them is.
fn numbered(
    plugins: &[PluginCode],
    own: Vec<Arc<dyn HostFamily>>,
) -> (Vec<OwnFamily>, Vec<Function>, Vec<Target>) {
    let described = own.into_iter().map(|family| OwnFamily {
        functions: family.describe(),
        family,
    });
    let host_families: Vec<OwnFamily> = described.collect();
    let of_plugins = plugins.iter().map(|plugin| &plugin.functions);
    let of_host = host_families.iter().map(|own| &own.functions);
    let (mut functions, mut targets) = (Vec::new(), Vec::new());
    for (plugin, described) in of_plugins.chain(of_host).enumerate() {
        for (function, described) in (0u32..).zip(described) {
            functions.push(copy(described));
            targets.push(Target { plugin, function });
        }
    }
    (host_families, functions, targets)
}
