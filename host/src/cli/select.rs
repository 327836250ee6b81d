//! Which agent of which app: shared by the commands that take a workspace.

use super::Exit;
use super::units;
use clap::Args;
use mix_app_files::Shelves;
use mix_runtime::assembly::{Assembly, Policy, Replacement, plugin_name};
use mix_runtime::guests;
use mix_runtime::manifest::Grant;
use mix_runtime::plugin::LARGEST_COMPONENT;
use mix_runtime::programs::Executable;
use mix_runtime::secrets_key::{self, KeyError};
use mix_runtime::standalone::{self, Recipe};
use mix_runtime::tape::Tape;
use mix_sandbox::outbound::{Outbound, Proxy};
use mix_value::escjson;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Flags that decide what guests can do; shared by `run`, `eval` and `serve`.
#[derive(Debug, Clone, Args)]
pub struct GuestFlags {
    /// Further foreign functions (a component); may be repeated.
    #[arg(
        long = "plugin",
        value_name = "FILE",
        env = "MIXER_PLUGIN",
        value_delimiter = ','
    )]
    pub plugins: Vec<PathBuf>,
    /// What a plugin is granted: `NAME=http,http:HOST,folder,env:NAME,memory:SIZE,time:D,calls:N`; may be repeated.
    #[arg(long = "grant", value_name = "GRANT", env = "MIXER_GRANT", value_delimiter = ';', value_parser = grant)]
    pub grants: Vec<Grant>,
    /// Another component in the place of a family: `NAME=FILE`, or `files=memory`; may be repeated.
    #[arg(long = "family", value_name = "NAME=FILE", env = "MIXER_FAMILY", value_delimiter = ',', value_parser = family)]
    pub families: Vec<(String, Replacement)>,
    /// Replacement for the VM component.
    #[arg(long, value_name = "FILE", env = "MIXER_MIXRT_WASM")]
    pub mixrt_wasm: Option<PathBuf>,
    /// Lifts the rules about addresses and schemes of outbound requests.
    #[arg(long, env = "MIXER_DANGEROUS_HTTP_MODE", value_parser = units::switch)]
    pub dangerous_http_mode: bool,
    /// Time of an outbound request.
    #[arg(long, value_name = "D", env = "MIXER_HTTP_TIMEOUT", default_value = "60s", value_parser = units::duration)]
    pub http_timeout: Duration,
    /// Largest response to an outbound request.
    #[arg(long, value_name = "SIZE", env = "MIXER_HTTP_RESPONSE_LIMIT", default_value = "100MiB", value_parser = units::size)]
    pub http_response_limit: u64,
    /// Extra variables that agents see, a JSON object.
    #[arg(long, value_name = "JSON", env = "MIXER_ENV")]
    pub env: Option<String>,
    /// Linear memory of a run.
    #[arg(long, value_name = "SIZE", env = "MIXER_AGENT_MEMORY", default_value = "256MiB", value_parser = units::size_from(4))]
    pub agent_memory: u64,
    /// Linear memory of the record store of an app.
    #[arg(long, value_name = "SIZE", env = "MIXER_DB_MEMORY", default_value = "1GiB", value_parser = units::size_from(16))]
    pub db_memory: u64,
    /// Memory for programs that are kept loaded, so that their runs begin at once; 0: each run loads its program.
    #[arg(long, value_name = "SIZE", env = "MIXER_SNAPSHOT_MEMORY", default_value = "256MiB", value_parser = units::size_or_none)]
    pub snapshot_memory: u64,
    /// When a commit of records is acknowledged: on disk, or with `off` as soon as it is written, so that a power cut may take the last ones.
    #[arg(long, value_enum, env = "MIXER_DB_SYNC", default_value = "full")]
    pub db_sync: SyncFlag,
    /// Memory of a query, and largest result of one; at most 64MiB.
    #[arg(long, value_name = "SIZE", env = "MIXER_QUERY_MAX_BYTES", default_value = "64MiB", value_parser = query_bytes)]
    pub query_max_bytes: u64,
    /// Proxy that all outbound requests of agents go through, http://[USER:PASSWORD@]HOST:PORT; the proxy variables of the environment are not looked at.
    #[arg(long, value_name = "URL", env = "MIXER_HTTP_PROXY", hide_env_values = true, value_parser = proxy)]
    pub http_proxy: Option<Proxy>,
    /// Where the key of the users' secrets comes from: `file:PATH`, `env:NAME` or `command:COMMAND`; without it each workspace has a key of its own.
    #[arg(
        long,
        value_name = "SOURCE",
        env = "MIXER_SECRETS_KEY",
        hide_env_values = true
    )]
    pub secrets_key: Option<String>,
    /// Linear memory of a WebAssembly module that an agent loads.
    #[arg(long, value_name = "SIZE", env = "MIXER_WASM_MEMORY", default_value = "256MiB", value_parser = units::size)]
    pub wasm_memory: u64,
    /// Time of a call of a WebAssembly module.
    #[arg(long, value_name = "D", env = "MIXER_WASM_TIMEOUT", default_value = "30s", value_parser = units::duration)]
    pub wasm_timeout: Duration,
}

/// When commits are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SyncFlag {
    /// Before they are acknowledged.
    Full,
    /// Whenever the system likes.
    Off,
}

/// Variables that `--env` may not set.
const RESERVED: [&str; 27] = [
    "hostEnvironment",
    "isAgent",
    "isBuilder",
    "workspace",
    "org",
    "app",
    "agent",
    "user",
    "userID",
    "userIsAnonymous",
    "userIsVerified",
    "userPseudonym",
    "token",
    "baseURL",
    "agentBaseURL",
    "localAgentBaseURL",
    "session",
    "cloudAgentDomain",
    "errorInfo",
    "timezone",
    "platformVersion",
    "requestHeaders",
    "requestMethod",
    "requestBody",
    "m_params",
    "output",
    "rmx",
];

/// What runs on a server have beside the flags of all.
pub struct OfServer {
    /// The files of apps.
    pub files: Arc<Shelves>,
    /// Bytes that a workspace may send and receive in an hour; 0: any number.
    pub egress_per_hour: u64,
}

impl GuestFlags {
    /// Everything that runs share.
    pub async fn assemble(&self) -> Result<Arc<Assembly>, Exit> {
        self.assemble_with(None, None).await
    }

    /// The same with requests recorded or replayed, or with what a server has.
    pub async fn assemble_with(
        &self,
        tape: Option<Tape>,
        server: Option<OfServer>,
    ) -> Result<Arc<Assembly>, Exit> {
        refuse_twofold(&self.families)?;
        let replacements = self.families.iter().filter_map(|(_, file)| match file {
            Replacement::File(path) => Some(path),
            Replacement::Memory => None,
        });
        for plugin in self.plugins.iter().chain(replacements) {
            if let Err(error) = mix_input_file::open(plugin) {
                return Err(Exit::usage(format!("plugin {}: {error}", plugin.display())));
            }
        }
        let mut variables = vec![
            (
                "MIXER_HTTP_TIMEOUT".to_owned(),
                format!("{}ms", self.http_timeout.as_millis().max(1)),
            ),
            (
                "MIXER_HTTP_RESPONSE_LIMIT".to_owned(),
                self.http_response_limit.to_string(),
            ),
            // The host takes client certificates from the family before anything is sent.
            ("MIXER_HTTP_CLIENT_TLS".to_owned(), "true".to_owned()),
            ("MIXER_WASM_MEMORY".to_owned(), self.wasm_memory.to_string()),
            (
                "MIXER_WASM_TIMEOUT".to_owned(),
                self.wasm_timeout.as_secs().max(1).to_string(),
            ),
        ];
        let query_bytes = self.query_max_bytes.to_string();
        variables.push(("MIXER_QUERY_MAX_BYTES".to_owned(), query_bytes));
        if self.db_sync == SyncFlag::Off {
            tracing::warn!("a power cut may take the last commits (--db-sync off)");
            variables.push(("MIXER_DB_SYNC".to_owned(), "off".to_owned()));
        }
        if self.dangerous_http_mode {
            tracing::warn!(
                "outbound requests are not limited to public addresses (--dangerous-http-mode)"
            );
            variables.push(("MIXER_DANGEROUS_HTTP_MODE".to_owned(), "true".to_owned()));
        }
        let secrets_keys = match &self.secrets_key {
            Some(source) => Some(secrets_key::read(source).map_err(key_exit)?),
            None => None,
        };
        let policy = Policy {
            plugins: self.plugins.clone(),
            grants: self.grants.clone(),
            families: self.families.clone(),
            tape: tape.map(Arc::new),
            egress_per_hour: server.as_ref().map_or(0, |server| server.egress_per_hour),
            files: server.map(|server| server.files),
            vm: self.mixrt_wasm.clone(),
            variables,
            db_memory: self.db_memory as usize,
            snapshot_memory: self.snapshot_memory as usize,
            wasm_memory: self.wasm_memory as usize,
            secrets_keys,
        };
        let outbound = Outbound::through(self.http_proxy.clone(), self.dangerous_http_mode);
        match Assembly::new(&policy, outbound).await {
            Ok(assembly) => Ok(Arc::new(assembly)),
            Err(error)
                if !self.plugins.is_empty()
                    || !self.families.is_empty()
                    || !self.grants.is_empty()
                    || self.mixrt_wasm.is_some() =>
            {
                Err(Exit::usage(format!("{error:#}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The checked text of `--env`.
    pub fn environment(&self) -> Result<Option<String>, Exit> {
        let Some(text) = &self.env else {
            return Ok(None);
        };
        let parsed: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| Exit::usage(format!("--env is no JSON: {error}")))?;
        let serde_json::Value::Object(members) = parsed else {
            return Err(Exit::usage("--env must be a JSON object"));
        };
        let strict = escjson::Options {
            mode: escjson::Mode::Plain,
            duplicates: escjson::Duplicates::Refuse,
            ..escjson::Options::default()
        };
        escjson::parse_with(text, &strict)
            .map_err(|error| Exit::usage(format!("--env: {error}")))?;
        if let Some(name) = members
            .keys()
            .find(|name| RESERVED.contains(&name.as_str()))
        {
            return Err(Exit::usage(format!("--env must not set {name}")));
        }
        Ok(Some(text.clone()))
    }
}

/// The values of an answer have to pass from plugin to host.
fn query_bytes(text: &str) -> Result<u64, String> {
    const MOST: u64 = 64 << 20;
    match units::size(text)? {
        bytes @ 1..=MOST => Ok(bytes),
        _ => Err("it must be between 1 byte and 64MiB".to_owned()),
    }
}

fn proxy(text: &str) -> Result<Proxy, String> {
    text.parse()
}

fn grant(text: &str) -> Result<Grant, String> {
    Grant::parse(text, units::size, units::duration)
}

/// `NAME=FILE` or `NAME=memory`.
pub fn family(text: &str) -> Result<(String, Replacement), String> {
    match text.split_once('=') {
        Some((name, "memory")) => Ok((name.to_owned(), Replacement::Memory)),
        Some((name, path)) if !path.is_empty() => {
            Ok((name.to_owned(), Replacement::File(PathBuf::from(path))))
        }
        _ => Err("a family is replaced by NAME=FILE, or files=memory".to_owned()),
    }
}

/// A family has one component in its place.
fn refuse_twofold(families: &[(String, Replacement)]) -> Result<(), Exit> {
    for (number, (name, _)) in families.iter().enumerate() {
        if families[..number].iter().any(|(other, _)| other == name) {
            return Err(Exit::usage(format!(
                "--family: {name} is to be replaced twice"
            )));
        }
    }
    Ok(())
}

/// What a component of an app is made of beside its programs; shared by `build` and `compose`.
#[derive(Debug, Clone, Default, Args)]
pub struct Ingredients {
    /// Further foreign functions (a component); may be repeated.
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    /// What a plugin is granted: `NAME=http,env:NAME`; may be repeated.
    #[arg(long = "grant", value_name = "GRANT", value_delimiter = ';', value_parser = grant)]
    grants: Vec<Grant>,
    /// Another component in the place of a family: `NAME=FILE`, or `files=memory`; may be repeated.
    #[arg(long = "family", value_name = "NAME=FILE", value_parser = family)]
    families: Vec<(String, Replacement)>,
    /// The program that embeds the component brings a family of functions: import `mix:ffi/family`.
    #[arg(long)]
    open_family: bool,
}

impl Ingredients {
    /// True if a flag was given.
    pub fn any(&self) -> bool {
        self.open_family
            || !self.plugins.is_empty()
            || !self.families.is_empty()
            || !self.grants.is_empty()
    }

    /// Reads the components.
    pub fn recipe(self, app: String, programs: Vec<(String, Executable)>) -> Result<Recipe, Exit> {
        refuse_twofold(&self.families)?;
        let read = |path: &PathBuf| {
            mix_input_file::read(path, LARGEST_COMPONENT)
                .map_err(|error| Exit::io(format!("{}: {error}", path.display())))
        };
        let mut plugins = Vec::new();
        for path in &self.plugins {
            plugins.push((plugin_name(path), read(path)?));
        }
        let mut replaced = Vec::new();
        for (name, replacement) in self.families {
            let bytes =
                match replacement {
                    Replacement::Memory => guests::in_memory(&name)
                        .map(<[u8]>::to_vec)
                        .ok_or_else(|| {
                            Exit::usage(format!("family {name} has no form that lives in memory"))
                        })?,
                    Replacement::File(path) => read(&path)?,
                };
            replaced.push((name, bytes));
        }
        Ok(Recipe {
            app,
            programs,
            plugins,
            grants: self.grants,
            replaced,
            open_family: self.open_family,
        })
    }
}

/// Makes the component.
pub fn component(recipe: &Recipe) -> Result<Vec<u8>, Exit> {
    super::runtime()?
        .block_on(standalone::build(recipe))
        .map_err(|error| Exit::failed(format!("error: {error:#}")))
}

fn key_exit(error: KeyError) -> Exit {
    match error {
        KeyError::Source | KeyError::Malformed(_) | KeyError::TooMany(_) => {
            Exit::usage(format!("--secrets-key: {error}"))
        }
        KeyError::Unreadable(..) | KeyError::Command(..) => {
            Exit::io(format!("--secrets-key: {error}"))
        }
    }
}
