//! The HTTP interface: what the operator decides, what requests share, and how the server starts.
//!
//! What a request means and what its answer looks like is decided by
//! `mix-http-api`; this module does the input and output.
//!
//! `connections` come in, requests become answers in `handler`, which asks who may, and `dispatch`, which has it done; `jobs` are
//! those of the server itself; runs wait for a slot (`slots`), and tell what happens as
//! `events` if they are asked to. What lasts longer than a request has rooms of its own: `topics`,
//! `sessions`, `signals`.
//!
//! Without any flag of identity, and on a loopback address, nobody is known and everything is
//! open; otherwise `identity` asks for a token and decides by the grants of the workspace.

// The futures of requests are nested deeply, from the connection to the call of a plugin.
#![recursion_limit = "256"]

mod activity;
mod bodies;
mod connections;
mod dispatch;
mod elsewhere;
mod encoding;
mod events;
mod grants;
mod handler;
mod identity;
mod incoming;
mod issuing;
mod jobs;
mod lanes;
mod links;
mod maintained;
mod manage;
pub mod mcp;
mod metrics;
mod named;
mod neighbours;
mod occupancy;
mod patience;
mod proxies;
mod rate;
mod readers;
mod records;
mod registered;
mod reply;
mod runs;
mod sessions;
mod sign_in;
mod signals;
mod slots;
mod standing;
mod static_files;
mod swagger;
mod telemetry;
mod tls;
mod topics;
mod turns;

pub use identity::IdentityOptions;
pub use proxies::Network;
pub use tls::TlsFiles;

use activity::Activities;
use anyhow::{Context, Result};
use bodies::Bodies;
use grants::Grants;
use identity::Identity;
use lanes::Lanes;
use links::Links;
use maintained::Maintained;
use mcp::Conversations;
use metrics::Metrics;
use mix_address_rules::THIS_MACHINE;
use mix_app_files::{Shelves, Storage};
use mix_http_api::{Access, Settings};
use mix_runtime::assembly::Assembly;
use mix_runtime::environment::Hosted;
use mix_runtime::programs::Installed;
use occupancy::Occupancy;
use rate::Rate;
use readers::Readers;
use sign_in::UnderWay;
use signals::Signals;
use slots::{Limits, Slots};
use static_files::StaticFiles;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tls::Tls;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use turns::Turns;

/// Instances of agents that one run may keep, each in a session.
const KEPT_BY_RUN: usize = 16;

/// Calls of the record store at once, for each run at once.
const CALLS_PER_RUN: usize = 4;

/// Bodies of the greatest size that are in memory at once.
const LARGE_BODIES: u64 = 16;

/// What the operator decided.
pub struct Options {
    /// Folder of workspaces.
    pub ws_dir: PathBuf,
    /// The files of their apps.
    pub files: Arc<Shelves>,
    /// Address to listen on.
    pub address: SocketAddr,
    /// Public URL, if it is not the address.
    pub base_url: Option<String>,
    /// Name of the server in topics and subjects of agents; the host of the URL without it.
    pub server_name: Option<String>,
    /// What answers depend on.
    pub settings: Settings,
    /// Runs at once.
    pub max_runs: usize,
    /// Runs of one workspace at once.
    pub workspace_runs: usize,
    /// Waiting runs.
    pub run_queue: usize,
    /// Longest wait for a slot.
    pub run_queue_wait: Duration,
    /// Time of a call to the record store.
    pub query_timeout: Duration,
    /// Linear memory of a run.
    pub agent_memory: usize,
    /// Bytes of executables kept in memory.
    pub agent_cache: u64,
    /// The operator's variables for agents.
    pub environment: Option<String>,
    /// Who may do what.
    pub identity: IdentityOptions,
    /// Certificates; none: no TLS.
    pub tls: Option<TlsFiles>,
    /// Requests a minute of a client address without a token, where callers are known; 0: any.
    pub anonymous_rate: u32,
    /// Requests a minute of all callers of a workspace together; 0: any.
    pub workspace_rate: u32,
    /// How long entries of activity logs are kept.
    pub activity_retention: Duration,
    /// Where spans are sent; none: nothing is traced.
    pub collector: Option<http::Uri>,
    /// Files for paths that are no part of the interface.
    pub static_files: Option<PathBuf>,
    /// Proxies that say whom a request comes from.
    pub trusted_proxies: Vec<Network>,
}

impl Options {
    /// For a command that works on a folder of workspaces itself: defaults of `serve`, no address.
    pub fn of_command(ws_dir: PathBuf) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            files: Shelves::new(&ws_dir, Storage::default(), 0),
            ws_dir,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            base_url: None,
            server_name: None,
            settings: Settings::default(),
            max_runs: 4 * cores,
            workspace_runs: 4 * cores,
            run_queue: 256,
            run_queue_wait: Duration::from_secs(5),
            query_timeout: Duration::from_secs(30),
            agent_memory: 256 << 20,
            agent_cache: 512 << 20,
            environment: None,
            identity: IdentityOptions::default(),
            tls: None,
            anonymous_rate: 0,
            workspace_rate: 0,
            activity_retention: Duration::from_secs(90 * 24 * 3600),
            collector: None,
            static_files: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// A server that listens.
pub struct Server {
    assembly: Arc<Assembly>,
    settings: Arc<Settings>,
    ws_dir: PathBuf,
    files: Arc<Shelves>,
    base_url: String,
    programs: Installed,
    slots: Slots,
    calls: Slots,
    bodies: Bodies,
    query_timeout: Duration,
    agent_memory: usize,
    environment: Option<String>,
    /// `None`: nobody is known, and everything is open.
    identity: Option<Identity>,
    grants: Grants,
    occupancy: Arc<Occupancy>,
    maintained: Arc<Maintained>,
    disk: handler::Disk,
    metrics: Metrics,
    activities: Arc<Activities>,
    /// Where spans go; not set: nothing is traced.
    telemetry: OnceLock<telemetry::Telemetry>,
    /// Places of runs that have answered and go on.
    background: Arc<Semaphore>,
    /// How often those may ask who have no token.
    anonymous: Rate<IpAddr>,
    /// How often the callers of a workspace may ask together.
    workspace_rate: Rate<String>,
    signals: Signals,
    /// Users who are signing in.
    under_way: UnderWay,
    /// Turns of those who refresh tokens of providers.
    refreshing: Lanes,
    /// What providers of sign-in have told.
    providers: sign_in::Told,
    /// Turns of those who change what an app says of itself.
    describing: Lanes,
    /// Turns of those who change the apps of a workspace.
    installing: Turns,
    links: Links,
    conversations: Conversations,
    run_queue_wait: Duration,
    started: Instant,
    /// Streams of topics.
    streams: Readers,
    /// Interactive sessions.
    sessions: Readers,
    /// Its names in subjects of agents and in topics; the first is the one that it uses.
    names: Arc<[String]>,
    /// Servers that believe the agents of this one, and whose agents it believes.
    trusted_servers: Vec<String>,
    /// Files for paths that are no part of the interface.
    static_files: OnceLock<Arc<StaticFiles>>,
    trusted_proxies: Vec<Network>,
    /// Keys of tokens that this server issues.
    keys: issuing::Keys,
    stopping: AtomicBool,
    /// True when streams have to end.
    ending: watch::Sender<bool>,
}

impl Server {
    /// The name of the server in subjects of agents.
    fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Host and port of the public URL.
    fn authority(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }

    /// The organisation of a workspace.
    async fn org_of(&self, ws: &str) -> String {
        match self.grants.of(ws).await {
            Ok(rights) if !rights.org.is_empty() => rights.org.clone(),
            Ok(_) => ws.to_owned(),
            Err(error) => {
                tracing::error!(?error, "the owner and org of a workspace cannot be read");
                ws.to_owned()
            }
        }
    }

    /// What a run of a workspace of that organisation sees of the server.
    fn hosting<'a>(&'a self, org: &'a str) -> Hosted<'a> {
        Hosted {
            base_url: &self.base_url,
            server_name: self.name(),
            org,
        }
    }

    /// Whether this is one of its names.
    fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|own| name.eq_ignore_ascii_case(own))
    }

    fn new(
        assembly: Arc<Assembly>,
        mut options: Options,
        base_url: String,
        identity: Option<Identity>,
    ) -> Arc<Server> {
        let bodies = Bodies::new(
            options.settings.body_limit.saturating_mul(LARGE_BODIES),
            options.run_queue_wait,
        );
        let signals = Signals::new(options.settings.body_limit);
        let keys = issuing::Keys::new(options.ws_dir.clone(), base_url.clone());
        let names = names(options.server_name.take(), &base_url);
        let server = Arc::new(Server {
            assembly,
            settings: Arc::new(options.settings),
            grants: Grants::new(options.ws_dir.clone()),
            occupancy: Arc::default(),
            maintained: Arc::default(),
            disk: handler::Disk::default(),
            metrics: Metrics::default(),
            activities: Arc::default(),
            telemetry: OnceLock::new(),
            background: Arc::new(Semaphore::new(options.max_runs)),
            anonymous: Rate::new(options.anonymous_rate),
            workspace_rate: Rate::new(options.workspace_rate),
            signals,
            under_way: UnderWay::default(),
            refreshing: Lanes::default(),
            providers: sign_in::Told::default(),
            describing: Lanes::default(),
            installing: Turns::default(),
            links: Links::of(&options.ws_dir),
            conversations: Conversations::default(),
            run_queue_wait: options.run_queue_wait,
            identity,
            ws_dir: options.ws_dir,
            files: options.files,
            base_url,
            programs: Installed::new(options.agent_cache),
            slots: Slots::new(Limits {
                total: options.max_runs,
                per_owner: options.workspace_runs,
                queue: options.run_queue,
                wait: options.run_queue_wait,
            }),
            calls: Slots::new(Limits {
                total: options.max_runs * CALLS_PER_RUN,
                per_owner: options.workspace_runs * CALLS_PER_RUN,
                queue: options.run_queue,
                wait: options.run_queue_wait,
            }),
            bodies,
            query_timeout: options.query_timeout,
            agent_memory: options.agent_memory,
            environment: options.environment,
            started: Instant::now(),
            streams: Readers::new(readers::Limits {
                user: 100,
                address: 20,
                runs: connections::MAX_CONNECTIONS / 8,
                total: connections::MAX_CONNECTIONS / 2,
            }),
            sessions: Readers::new(readers::Limits {
                user: 20,
                address: 5,
                runs: options.max_runs.max(KEPT_BY_RUN),
                total: 4 * options.max_runs.max(KEPT_BY_RUN),
            }),
            names,
            trusted_servers: options
                .identity
                .trusted_servers
                .iter()
                .map(|server| server.to_string().trim_end_matches('/').to_owned())
                .collect(),
            static_files: OnceLock::new(),
            trusted_proxies: options.trusted_proxies,
            keys,
            stopping: AtomicBool::new(false),
            ending: watch::Sender::new(false),
        });
        server.grants.attach(&server);
        server
    }
}

/// The name that the operator gives to a server, or the host of its URL; then host and port.
fn names(given: Option<String>, base_url: &str) -> Arc<[String]> {
    let rest = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default().to_owned();
    let own = given.or_else(|| host_of(base_url));
    let mut names = vec![own.unwrap_or_else(|| authority.clone()), authority];
    names.dedup();
    names.into()
}

/// Serves until a signal comes; `listening` is told the URL.
pub async fn serve(
    assembly: Arc<Assembly>,
    mut options: Options,
    listening: impl FnOnce(&str),
) -> Result<()> {
    // Whoever can connect shall not wait for a compiler.
    tokio::try_join!(assembly.vms.alone(), assembly.vms.composed())?;
    let listener = TcpListener::bind(options.address)
        .await
        .with_context(|| format!("{} cannot be listened on", options.address))?;
    let address = listener.local_addr()?;
    let tls = options.tls.take().map(Tls::new).transpose()?.map(Arc::new);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let base_url = options
        .base_url
        .take()
        .unwrap_or_else(|| format!("{scheme}://{address}"));
    for own in own_addresses(address) {
        assembly.outbound.add_own_address(own);
    }
    let mut settings = std::mem::take(&mut options.settings);
    if address.ip().is_loopback() {
        let mut hosts: Vec<String> = THIS_MACHINE.map(str::to_owned).into();
        hosts.extend(host_of(&base_url));
        settings.allowed_hosts = Some(hosts);
    }
    let dev_user = options.identity.dev_user.clone();
    let identity = if address.ip().is_loopback() && options.identity.is_empty() {
        settings.access = Access::Open { records: true };
        None
    } else {
        if options.identity.is_empty() {
            tracing::warn!(
                "listening on a public address without --jwks-url or --server-admin: only what is granted to anonymous is allowed"
            );
        }
        settings.access = Access::Identity;
        Some(Identity::start(options.identity.clone()).await?)
    };
    let dev_token = match (&identity, &dev_user) {
        (Some(identity), Some(user)) => identity.process_token(user),
        _ => None,
    };
    let files_origin = settings.files_origin.as_deref();
    options.files.reached_at(&base_url, files_origin);
    let (ws_dir, files) = (options.ws_dir.clone(), options.files.clone());
    tokio::task::spawn_blocking(move || {
        manage::remove_leftovers(&ws_dir, files.storage());
        manage::recover(&ws_dir, files.storage());
    })
    .await?;
    let static_files = match &options.static_files {
        Some(folder) => Some(Arc::new(StaticFiles::new(folder)?)),
        None => None,
    };
    manage::files::settle_all(&options.ws_dir, &options.files);
    manage::files::sweep(options.ws_dir.clone(), options.files.clone());
    options.settings = settings;
    let retention = options.activity_retention;
    let telemetry = match &options.collector {
        Some(collector) => Some(telemetry::start(collector, &options.settings.version)?),
        None => None,
    };
    let server = Server::new(assembly, options, base_url, identity);
    activity::start(&server, retention);
    // Nobody else sets these.
    if let Some(files) = static_files {
        let _ = server.static_files.set(files);
    }
    if let Some(telemetry) = telemetry {
        let _ = server.telemetry.set(telemetry);
    }
    if let Some(token) = dev_token {
        // Without it nobody gets in: a closed standard output ends the start.
        writeln!(std::io::stdout(), "dev token {token}").context("standard output")?;
    }
    // Whoever reads that it listens may end it.
    let signals = connections::Minded::new()?;
    listening(&format!("{scheme}://{address}"));
    connections::accept(&server, listener, tls, signals).await
}

/// The addresses under which the server is reached: those of all interfaces if it listens on all.
fn own_addresses(listening: SocketAddr) -> Vec<SocketAddr> {
    if !listening.ip().is_unspecified() {
        return vec![listening];
    }
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces
            .iter()
            .map(|interface| SocketAddr::new(interface.ip(), listening.port()))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "the addresses of this machine are unknown");
            vec![listening]
        }
    }
}

fn host_of(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    Some(uri.host()?.to_ascii_lowercase())
}
