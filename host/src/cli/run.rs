//! `mixer run`.

use super::Exit;
use super::execution;
use super::install::Program;
use super::output;
use super::package;
use super::select::GuestFlags;
use super::units;
use clap::Args;
use mix_install::Request;
use mix_runtime::bindings::Issue;
use mix_runtime::programs::{self, Executable, Installed, Missing};
use mix_runtime::run::{BROKE_OFF, Outcome, RunRequest};
use mix_runtime::tape::Tape;
use mix_runtime::workspace::Place;
use mix_value::{Map, Value, escjson, msgpack};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Largest text of parameters: a value that passes from the host to the VM has 64 MiB, and fewer as bytes than as a text.
const LARGEST_PARAMS: u64 = 256 << 20;

/// Runs one agent.
#[derive(Debug, Args)]
pub struct Run {
    /// `PATH AGENT` (a `.mix`, a `.mixexe`, a `.wasm`, a `.remix` or a folder), or `AGENT` of an installed app.
    #[arg(required = true, num_args = 1..=2, value_names = ["PATH", "AGENT"])]
    what: Vec<String>,
    /// Folder of workspaces; a temporary one without it.
    #[arg(long, value_name = "DIR", env = "MIXER_WS_DIR")]
    ws_dir: Option<PathBuf>,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local")]
    ws: String,
    /// App; named after PATH without it.
    #[arg(long, value_name = "A")]
    app: Option<String>,
    /// Parameters as EscJSON: the text, `@FILE`, or `-` for standard input.
    #[arg(long, value_name = "JSON|@FILE|-", default_value = "{}")]
    params: String,
    /// On whose behalf.
    #[arg(long, value_name = "NAME", default_value = "anonymous")]
    user: String,
    /// Run time.
    #[arg(long, value_name = "D", default_value = "60s", value_parser = units::duration)]
    timeout: Duration,
    /// Keeps all HTTP exchanges in a file, without credentials.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Answers HTTP requests from a recorded file and sends nothing.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Strings and binaries are printed as they are.
    #[arg(long)]
    raw: bool,
    /// Plain JSON, no tags.
    #[arg(long)]
    no_esc: bool,
    #[command(flatten)]
    guests: GuestFlags,
}

/// True for what stands for sources or a program rather than for an installed agent.
fn names_a_program(what: &str) -> bool {
    let path = Path::new(what);
    let ending = path.extension().and_then(|ending| ending.to_str());
    what.contains('/')
        || matches!(ending, Some("mix" | "mixexe" | "remix" | "wasm"))
        || path.exists()
}

impl Run {
    pub fn execute(self) -> Result<(), Exit> {
        let params = params(&self.params)?;
        // Refused before anything is installed.
        self.guests.environment()?;
        let scratch;
        let (place, agent, program) = match self.what.as_slice() {
            [agent] => {
                let (Some(ws_dir), Some(app)) = (&self.ws_dir, &self.app) else {
                    return Err(Exit::usage(match names_a_program(agent) {
                        true => format!("the agent is missing: mixer run {agent} AGENT"),
                        false => "running an installed agent needs --ws-dir and --app (or give PATH AGENT)".to_owned(),
                    }));
                };
                let place = Place::new(ws_dir, &self.ws, app).map_err(Exit::usage)?;
                let program = Installed::new(u64::MAX)
                    .find(&place, agent)
                    .map_err(|missing| missing_exit(&missing, &place, agent))?;
                (place, agent, program)
            }
            [path, agent] => {
                let path = Path::new(path);
                let app = self
                    .app
                    .clone()
                    .unwrap_or_else(|| programs::name_after(path));
                let ws_dir = match &self.ws_dir {
                    Some(ws_dir) => ws_dir.clone(),
                    None => {
                        scratch = execution::scratch()?;
                        scratch.path().to_owned()
                    }
                };
                let place = Place::new(&ws_dir, &self.ws, &app).map_err(Exit::usage)?;
                if package::is_package(path) {
                    let request = Request {
                        actor: self.user.clone(),
                        ..Request::default()
                    };
                    let guests = Some(&self.guests);
                    let done = package::install(path, &ws_dir, &self.ws, &request, false, guests)?;
                    let app = self.app.clone().or(done.app).unwrap_or(app);
                    let place = Place::new(&ws_dir, &self.ws, &app).map_err(Exit::usage)?;
                    let program = Installed::new(u64::MAX)
                        .find(&place, agent)
                        .map_err(|missing| missing_exit(&missing, &place, agent))?;
                    return self.run(params, place, agent, program);
                }
                let program = Program::load(path, &[])?;
                program
                    .install(&place)
                    .map_err(|error| Exit::io(format!("{error:#}")))?;
                let program = program.with_agent(agent).ok_or_else(Exit::reported)?;
                (place, agent, Arc::new(program))
            }
            _ => return Err(Exit::usage("give PATH AGENT or AGENT")),
        };
        self.run(params, place, agent, program)
    }

    fn run(
        &self,
        params: Vec<u8>,
        place: Place,
        agent: &str,
        program: Arc<Executable>,
    ) -> Result<(), Exit> {
        let tape = match (&self.record, &self.replay) {
            (Some(path), _) => Some(Tape::record(path)),
            (None, Some(path)) => Some(Tape::replay(path)),
            (None, None) => None,
        };
        let tape = tape
            .transpose()
            .map_err(|error| Exit::io(format!("{error:#}")))?;
        let request = RunRequest {
            params,
            user: self.user.clone(),
            ..execution::request(&self.guests, place, agent, program, self.timeout)?
        };
        let outcome = execution::outcome(&self.guests, tape, request)?;
        print(outcome, &self.what.join(" "), self.raw, !self.no_esc)
    }
}

/// Parameters in their wire form.
fn params(text: &str) -> Result<Vec<u8>, Exit> {
    let read;
    let text = match text.strip_prefix('@') {
        Some(path) => {
            read = mix_input_file::read_text(Path::new(path), LARGEST_PARAMS)
                .map_err(|error| Exit::io(format!("{path}: {error}")))?;
            read.as_str()
        }
        None if text == "-" => {
            let input = mix_input_file::read_text_of_standard_input(LARGEST_PARAMS)
                .map_err(|error| Exit::io(format!("standard input: {error}")))?;
            read = input;
            read.as_str()
        }
        None => text,
    };
    let value = if text.trim().is_empty() {
        Value::Map(Map::new())
    } else {
        escjson::parse(text).map_err(|error| Exit::usage(format!("--params: {error}")))?
    };
    msgpack::encode(&value).map_err(|error| Exit::usage(format!("--params: {error}")))
}

fn missing_exit(missing: &Missing, place: &Place, agent: &str) -> Exit {
    match missing {
        Missing::Workspace => Exit::failed(format!(
            "error no_such_ws: no workspace {}",
            place.workspace
        )),
        Missing::App => Exit::failed(format!("error no_such_app: no app {}", place.app)),
        Missing::Agent => Exit::failed(format!(
            "error no_such_agent: app {} has no agent {agent}",
            place.app
        )),
        Missing::Damaged(reason) => Exit::failed(format!("error incompatible_code: {reason}")),
    }
}

/// Prints an output, or says why there is none.
pub fn print(outcome: Outcome, what: &str, raw: bool, tags: bool) -> Result<(), Exit> {
    match outcome {
        Outcome::Output(bytes) => {
            let value = msgpack::decode(&bytes).map_err(|error| {
                Exit::failed(format!(
                    "error RT_INTERNAL: the output is no value: {error}"
                ))
            })?;
            let text = match (&value, raw) {
                (Value::String(text), true) => text.as_bytes().to_vec(),
                (Value::Binary(bytes), true) => bytes.to_vec(),
                _ => {
                    let text = if tags {
                        escjson::format(&value).map_err(|error| error.to_string())
                    } else {
                        escjson::format_plain(&value).map_err(|error| error.to_string())
                    };
                    (text.map_err(|error| {
                        Exit::failed(format!("error ERR_NOT_SERIALIZABLE: {error}"))
                    })? + "\n")
                        .into_bytes()
                }
            };
            output::bytes(&text)
        }
        Outcome::Issue(issue) if issue.code == "RT_TIMEOUT" => {
            Err(Exit::timed_out(describe(&issue)))
        }
        Outcome::Issue(issue) => Err(Exit::failed(describe(&issue))),
        Outcome::NotLoaded(issue) => Err(Exit::failed(format!("{} ({what})", describe(&issue)))),
        Outcome::TimedOut => Err(Exit::timed_out(format!(
            "error RT_TIMEOUT: {what} ran out of time"
        ))),
        Outcome::OutOfMemory => Err(Exit::failed(format!(
            "error RT_MEMORY: {what} ran out of memory"
        ))),
        Outcome::Broken(reason) => {
            tracing::error!(%reason, "{BROKE_OFF}");
            Err(Exit::failed(format!(
                "error RT_INTERNAL: {BROKE_OFF}; the log says how"
            )))
        }
    }
}

/// `error CODE: message`, the place, the stack.
fn describe(issue: &Issue) -> String {
    let mut text = format!("error {}: {}", issue.code, issue.message);
    if let Some(place) = &issue.location {
        text.push_str(&format!(
            "\n  at {}:{}:{}",
            place.file, place.start_line, place.start_column
        ));
    }
    for frame in &issue.mix_stack {
        text.push_str(&format!(
            "\n  at {}.{}:{}",
            frame.module, frame.function, frame.line
        ));
    }
    text
}
