//! `mixer serve`.

use super::addresses;
use super::runtime;
use super::select::{GuestFlags, OfServer};
use super::units;
use super::{Exit, output};
use clap::Args;
use mix_app_files::{Bucket, BucketSettings, Shelves, Storage};
use mix_http_api::{Docs, Settings};
use mix_identity::{Issuers, Subject};
use mix_runtime::download;
use mix_runtime::lock;
use mix_sandbox::{engine, open_files};
use mix_server::{self, IdentityOptions, Network, Options, TlsFiles};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Time for threads to end when everything else has.
const LAST_THREADS: Duration = Duration::from_millis(500);

/// Serves workspaces over HTTP.
#[derive(Debug, Args)]
pub struct Serve {
    /// A JSON object of flags; a flag or a variable wins over it.
    #[arg(long, value_name = "FILE", env = "MIXER_CONFIG")]
    config: Option<PathBuf>,
    /// Print what holds, and where it comes from, instead of serving.
    #[arg(long)]
    print_config: bool,
    /// Folder of workspaces; created if absent.
    #[arg(long, value_name = "DIR", env = "MIXER_WS_DIR")]
    ws_dir: PathBuf,
    /// Address to listen on.
    #[arg(
        long,
        value_name = "ADDR",
        env = "MIXER_HOST",
        default_value = "127.0.0.1"
    )]
    host: String,
    /// Port to listen on; 0: any free one.
    #[arg(long, value_name = "N", env = "MIXER_PORT", default_value_t = 8000, value_parser = units::count::<u16>)]
    port: u16,
    /// Public URL.
    #[arg(long, value_name = "URL", env = "MIXER_BASE_URL", value_parser = addresses::base)]
    base_url: Option<String>,
    /// Name of the server in topics and subjects of agents; the host of the public URL without it.
    #[arg(long, value_name = "NAME", env = "MIXER_SERVER_NAME", value_parser = addresses::name)]
    server_name: Option<String>,
    /// Run time of an agent.
    #[arg(long, value_name = "D", env = "MIXER_AGENT_TIMEOUT", default_value = "60s", value_parser = units::duration)]
    agent_timeout: Duration,
    /// Greatest run time that a caller can ask for.
    #[arg(long, value_name = "D", env = "MIXER_AGENT_TIMEOUT_MAX", default_value = "300s", value_parser = units::duration)]
    agent_timeout_max: Duration,
    /// Run time of an asynchronous run, and of work after an answer.
    #[arg(long, value_name = "D", env = "MIXER_POSTPONE_TIMEOUT", default_value = "60s", value_parser = units::duration)]
    postpone_timeout: Duration,
    /// Greatest run time of these that can be asked for.
    #[arg(long, value_name = "D", env = "MIXER_POSTPONE_TIMEOUT_MAX", default_value = "1h", value_parser = units::duration)]
    postpone_timeout_max: Duration,
    /// Executables kept in memory.
    #[arg(long, value_name = "SIZE", env = "MIXER_AGENT_CACHE_SIZE", default_value = "512MiB", value_parser = units::size)]
    agent_cache_size: u64,
    /// Runs at once; 4 per core without it.
    #[arg(long, value_name = "N", env = "MIXER_MAX_RUNS", value_parser = units::at_least_one)]
    max_runs: Option<usize>,
    /// Runs of one workspace at once; all without it.
    #[arg(long, value_name = "N", env = "MIXER_WS_MAX_RUNS", value_parser = units::at_least_one)]
    ws_max_runs: Option<usize>,
    /// Runs that may wait.
    #[arg(long, value_name = "N", env = "MIXER_RUN_QUEUE", default_value_t = 256, value_parser = units::count::<usize>)]
    run_queue: usize,
    /// Longest wait for a slot.
    #[arg(long, value_name = "D", env = "MIXER_RUN_QUEUE_WAIT", default_value = "5s", value_parser = units::duration)]
    run_queue_wait: Duration,
    /// Largest request body and response.
    #[arg(long, value_name = "SIZE", env = "MIXER_BODY_LIMIT", default_value = "32MiB", value_parser = units::size)]
    body_limit: u64,
    /// Largest agent parameters.
    #[arg(long, value_name = "SIZE", env = "MIXER_PARAMS_LIMIT", default_value = "1MiB", value_parser = units::size)]
    params_limit: u64,
    /// Largest package.
    #[arg(long, value_name = "SIZE", env = "MIXER_PACKAGE_LIMIT", default_value = "512MiB", value_parser = units::size)]
    package_limit: u64,
    /// Time of a query.
    #[arg(long, value_name = "D", env = "MIXER_QUERY_TIMEOUT", default_value = "30s", value_parser = units::duration)]
    query_timeout: Duration,
    /// Allowed origins of browsers; may be repeated.
    #[arg(
        long = "cors-origin",
        value_name = "O",
        env = "MIXER_CORS_ORIGIN",
        value_delimiter = ',',
        default_value = "*",
        value_parser = addresses::origin_or_any
    )]
    cors_origins: Vec<String>,
    /// Who sees the description of the interface (OpenAPI).
    #[arg(long, value_enum, env = "MIXER_DOCS", default_value = "public")]
    docs: DocsFlag,
    /// Certificates of the server, its own first (PEM); read again on SIGHUP.
    #[arg(
        long,
        value_name = "FILE",
        env = "MIXER_TLS_CERTS",
        requires = "tls_key"
    )]
    tls_certs: Option<PathBuf>,
    /// Key of the first certificate (PEM).
    #[arg(
        long,
        value_name = "FILE",
        env = "MIXER_TLS_KEY",
        requires = "tls_certs"
    )]
    tls_key: Option<PathBuf>,
    /// Requests a minute of a client address without a token, where callers are known; 0: any.
    #[arg(
        long,
        value_name = "N",
        env = "MIXER_ANON_RATE_LIMIT",
        default_value_t = 600,
        value_parser = units::count::<u32>
    )]
    anon_rate_limit: u32,
    /// Requests a minute of all callers of a workspace together; 0: any.
    #[arg(
        long,
        value_name = "N",
        env = "MIXER_WS_RATE_LIMIT",
        default_value_t = 0,
        value_parser = units::count::<u32>
    )]
    ws_rate_limit: u32,
    /// Folder of files that are served for paths that are no part of the interface.
    #[arg(long, value_name = "DIR", env = "MIXER_SERVE_FILES_FROM")]
    serve_files_from: Option<PathBuf>,
    /// Proxies, a range of addresses, whose `X-Forwarded-For` says where a request comes from; may be repeated.
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "MIXER_TRUSTED_PROXY",
        value_delimiter = ','
    )]
    trusted_proxies: Vec<Network>,
    /// Collector of OpenTelemetry that spans are sent to (OTLP over HTTP); none: nothing is traced.
    #[arg(long, value_name = "URL", env = "MIXER_OTLP_ENDPOINT", value_parser = addresses::collector)]
    otlp_endpoint: Option<http::Uri>,
    /// How long entries of activity logs are kept.
    #[arg(long, value_name = "D", env = "MIXER_ACTIVITY_RETENTION", default_value = "90d", value_parser = units::duration)]
    activity_retention: Duration,
    /// What a workspace may store, records and files together; any number of bytes without it.
    #[arg(long, value_name = "SIZE", env = "MIXER_WS_DISK_LIMIT", value_parser = units::size)]
    ws_disk_limit: Option<u64>,
    /// What the agents of a workspace may send and receive in an hour; any number of bytes without it.
    #[arg(long, value_name = "SIZE", env = "MIXER_WS_EGRESS_LIMIT", value_parser = units::size)]
    ws_egress_limit: Option<u64>,
    /// Separate origin (URL) at which only files of apps are served, pages and scripts among them as they are.
    #[arg(long, value_name = "URL", env = "MIXER_FILES_ORIGIN", value_parser = addresses::origin)]
    files_origin: Option<String>,
    /// Not offered: programs of the host run in no sandbox of this server.
    #[arg(long, env = "MIXER_ENABLE_COMMANDS", hide = true, value_parser = units::switch)]
    enable_commands: bool,
    /// Not offered: this server compiles nothing for its agents.
    #[arg(
        long,
        value_name = "URL",
        env = "MIXER_REMOTE_COMPILE_SERVER",
        hide = true
    )]
    remote_compile_server: Option<String>,
    #[command(flatten)]
    identity: IdentityFlags,
    #[command(flatten)]
    guests: GuestFlags,
}

/// Who sees the description of the interface.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum DocsFlag {
    /// Everybody.
    Public,
    /// Callers with a token.
    Auth,
    /// Nobody.
    Off,
}

/// Who may do what. Without any of these, and on a loopback address, everything is open.
#[derive(Debug, Args)]
#[command(next_help_heading = "Identity")]
struct IdentityFlags {
    /// Key set of an identity service; may be repeated.
    #[arg(long = "jwks-url", value_name = "URL", env = "MIXER_JWKS_URL", value_delimiter = ',', value_parser = download::address)]
    jwks_urls: Vec<http::Uri>,
    /// Accepted issuer of its tokens; may be repeated; any without it.
    #[arg(
        long = "jwks-issuer",
        value_name = "S",
        env = "MIXER_JWKS_ISSUER",
        value_delimiter = ','
    )]
    jwks_issuers: Vec<String>,
    /// Accepted audience of its tokens; may be repeated; any without it.
    #[arg(
        long = "jwks-audience",
        value_name = "S",
        env = "MIXER_JWKS_AUDIENCE",
        value_delimiter = ','
    )]
    jwks_audiences: Vec<String>,
    /// May do everything, for instance user/ada@example.com; may be repeated.
    #[arg(long = "server-admin", value_name = "SUBJECT", env = "MIXER_SERVER_ADMIN", value_delimiter = ',', value_parser = subject)]
    server_admins: Vec<Subject>,
    /// May create workspaces; may be repeated.
    #[arg(long = "workspace-creator", value_name = "SUBJECT", env = "MIXER_WORKSPACE_CREATOR", value_delimiter = ',', value_parser = subject)]
    workspace_creators: Vec<Subject>,
    /// A server whose agents are believed to be what it says; may be repeated.
    #[arg(long = "trusted-server", value_name = "URL", env = "MIXER_TRUSTED_SERVER", value_delimiter = ',', value_parser = download::address)]
    trusted_servers: Vec<http::Uri>,
    /// Prints a token for this user, who is an administrator; on a loopback address only.
    #[arg(long, value_name = "USER", env = "MIXER_DEV_TOKEN", value_parser = user)]
    dev_token: Option<String>,
}

impl IdentityFlags {
    fn options(self, listening: IpAddr) -> Result<IdentityOptions, Exit> {
        let mut server_admins = self.server_admins;
        if let Some(user) = &self.dev_token {
            if !listening.is_loopback() {
                return Err(Exit::usage("--dev-token needs a loopback address"));
            }
            server_admins.push(subject_of_user(user).map_err(Exit::usage)?);
        }
        Ok(IdentityOptions {
            key_urls: self.jwks_urls,
            issuers: Issuers {
                issuers: self.jwks_issuers,
                audiences: self.jwks_audiences,
            },
            server_admins,
            workspace_creators: self.workspace_creators,
            dev_user: self.dev_token,
            trusted_servers: self.trusted_servers,
        })
    }
}

fn subject(text: &str) -> Result<Subject, String> {
    match Subject::parse(text) {
        Some(Subject::Domain(host)) if !host.contains('.') => {
            Err(format!("the domain {host:?} is a public suffix"))
        }
        Some(subject) => Ok(subject),
        None => Err(Subject::wanted(text).to_owned()),
    }
}

fn user(text: &str) -> Result<String, String> {
    subject_of_user(text).map(|_| text.to_owned())
}

/// The subject of the process token of a user: by e-mail, else by `sub`.
fn subject_of_user(user: &str) -> Result<Subject, String> {
    let form = if user.contains('@') { "" } else { "sub:" };
    subject(&format!("user/{form}{user}")).map_err(|_| format!("{user:?} is no user name"))
}

impl Serve {
    /// True if the configuration is to be printed.
    pub fn prints_config(&self) -> bool {
        self.print_config
    }

    pub fn execute(self) -> Result<(), Exit> {
        let ip: IpAddr = match self.host.as_str() {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            text => text
                .trim_matches(['[', ']'])
                .parse()
                .map_err(|_| Exit::usage(format!("--host {text} is no address")))?,
        };
        if let Some(file) = &self.config {
            tracing::info!(file = %file.display(), "configuration");
        }
        if self.enable_commands {
            return Err(Exit::usage(
                "--enable-commands: this server has no sandbox for programs of the host, so agents cannot be allowed to run them; leave the flag out",
            ));
        }
        if self.remote_compile_server.is_some() {
            return Err(Exit::usage(
                "--remote-compile-server: agents of this server do not compile programs; leave the flag out",
            ));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let max_runs = self.max_runs.unwrap_or(4 * cores);
        if max_runs > engine::MOST_RUNS {
            let most = engine::MOST_RUNS;
            return Err(Exit::usage(format!("--max-runs is at most {most}")));
        }
        engine::make_room_for(max_runs);
        open_files::make_room();
        let environment = self.guests.environment()?;
        let identity = self.identity.options(ip)?;
        let bucket = BucketSettings::read(|name| std::env::var(name).ok()).map_err(Exit::usage)?;
        let ws_dir = std::path::absolute(&self.ws_dir).map_err(Exit::io)?;
        let locked = lock::server(&ws_dir).map_err(|error| Exit::io(format!("{error:#}")))?;
        let Some(_lock) = locked else {
            return Err(Exit::busy(format!(
                "error: another server runs on {}",
                ws_dir.display()
            )));
        };
        let workspace_runs = self.ws_max_runs.unwrap_or(max_runs).min(max_runs);
        let runtime = runtime()?;
        let storage = {
            // The bucket uses its tasks.
            let _inside = runtime.enter();
            match bucket.map(Bucket::new).transpose().map_err(Exit::usage)? {
                Some(bucket) => Storage::on(bucket),
                None => Storage::default(),
            }
        };
        let files = Shelves::new(&ws_dir, storage, self.ws_disk_limit.unwrap_or(0));
        let options = Options {
            ws_dir,
            files: files.clone(),
            address: SocketAddr::new(ip, self.port),
            base_url: self.base_url,
            server_name: self.server_name,
            settings: Settings {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                body_limit: self.body_limit,
                params_limit: self.params_limit,
                package_limit: self.package_limit,
                agent_timeout_ms: self.agent_timeout.min(self.agent_timeout_max).as_millis() as u64,
                agent_timeout_max_ms: self.agent_timeout_max.as_millis() as u64,
                postpone_timeout_ms: self
                    .postpone_timeout
                    .min(self.postpone_timeout_max)
                    .as_millis() as u64,
                postpone_timeout_max_ms: self.postpone_timeout_max.as_millis() as u64,
                cors_origins: self.cors_origins,
                files_origin: self.files_origin,
                docs: match self.docs {
                    DocsFlag::Public => Docs::Public,
                    DocsFlag::Auth => Docs::Auth,
                    DocsFlag::Off => Docs::Off,
                },
                ..Settings::default()
            },
            max_runs,
            workspace_runs,
            run_queue: self.run_queue,
            run_queue_wait: self.run_queue_wait,
            query_timeout: self.query_timeout,
            agent_memory: self.guests.agent_memory as usize,
            agent_cache: self.agent_cache_size,
            environment,
            identity,
            tls: self
                .tls_certs
                .zip(self.tls_key)
                .map(|(certificates, key)| TlsFiles { certificates, key }),
            anonymous_rate: self.anon_rate_limit,
            workspace_rate: self.ws_rate_limit,
            activity_retention: self.activity_retention,
            collector: self.otlp_endpoint,
            static_files: self.serve_files_from,
            trusted_proxies: self.trusted_proxies,
        };
        let of_server = OfServer {
            files,
            egress_per_hour: self.ws_egress_limit.unwrap_or(0),
        };
        let served = runtime.block_on(async {
            let assembly = self.guests.assemble_with(None, Some(of_server)).await?;
            mix_server::serve(assembly, options, |url| {
                // A closed standard output is no reason to stop serving.
                let _ = output::line(format_args!("listening on {url}"));
            })
            .await
            .map_err(|error| Exit::io(format!("{error:#}")))
        });
        // What did not end in the time it had, such as the look-up of a name, ends with the process.
        runtime.shutdown_timeout(LAST_THREADS);
        served
    }
}
