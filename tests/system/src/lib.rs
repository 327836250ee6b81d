//! Harness of the whole-system tests.
//!
//! The tests use what a user has: the `mixer` binary (built by `make mixer`, see
//! [`mixer`]), a folder, and HTTP. [`Server`] starts `mixer serve` on a free port
//! and stops it when dropped; [`Console`] runs the commands of a documentation
//! page in one shell and compares what they print; [`Sink`] is an HTTP server
//! that keeps what is posted to it, [`Socket`] a WebSocket client, [`Events`] reads a stream of events, [`Gate`] one that holds requests back; [`IdentityService`] signs
//! tokens and serves its keys, [`Provider`] is one of sign-in; [`broker`] is a message broker, [`peer`] the server's side of WebSocket,
//! [`loopback`] a server that answers as a function says.

pub mod broker;
mod console;
mod events;
mod gate;
mod hostile;
mod identity_service;
pub mod loopback;
pub mod peer;
mod provider;
mod server;
mod sink;
mod socket;
mod stock;

pub use console::{Console, Example, examples};
pub use events::{Event, Events};
pub use gate::Gate;
pub use hostile::{hostile, what_survives};
pub use identity_service::{IdentityService, identity_flags, now};
pub use provider::Provider;
pub use server::{Answer, Server, response_json};
pub use sink::Sink;
pub use socket::Socket;
pub use stock::{composed, stock_server, stock_server_with};

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the repository.
pub fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .canonicalize()
        .unwrap_or_else(|error| panic!("the repository folder cannot be resolved: {error}"))
}

/// The `mixer` binary under test: `$MIXER`, else the one beside the test binary.
pub fn mixer() -> PathBuf {
    if let Some(path) = std::env::var_os("MIXER") {
        return PathBuf::from(path);
    }
    let path = std::env::current_exe()
        .ok()
        .and_then(|test| Some(test.parent()?.parent()?.join("mixer")))
        .filter(|path| path.exists());
    path.unwrap_or_else(|| panic!("no mixer binary: run `make mixer` first or set MIXER"))
}

/// The folder of the built components.
pub fn components() -> PathBuf {
    match std::env::var_os("MIXER_GUESTS_DIR") {
        Some(path) => PathBuf::from(path),
        None => mixer()
            .parent()
            .and_then(|release| Some(release.parent()?.join("wasm32-wasip2/guest")))
            .unwrap_or_else(|| {
                panic!("the mixer binary has no target folder; set MIXER_GUESTS_DIR")
            }),
    }
}

/// What a finished command printed.
pub struct Finished {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// Standard output as text.
    pub stdout: String,
    /// Standard error as text.
    pub stderr: String,
}

/// Runs `mixer` with these arguments to its end.
pub fn run_mixer<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Finished {
    run_mixer_with(&[], arguments)
}

/// The same with further variables in its environment.
pub fn run_mixer_with<S: AsRef<std::ffi::OsStr>>(
    variables: &[(&str, &str)],
    arguments: impl IntoIterator<Item = S>,
) -> Finished {
    let output = Command::new(mixer())
        .args(arguments)
        .env("RUST_LOG", "warn")
        .envs(variables.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("mixer cannot be started: {error}"));
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `mixer run` of an agent of a program with parameters and further arguments.
pub fn run_agent(program: &str, agent: &str, params: &Value, more: &[&str]) -> Finished {
    let params = params.to_string();
    let first = ["run", program, agent, "--params", &params];
    run_mixer(first.into_iter().chain(more.iter().copied()))
}

/// What a command that ended well printed, as JSON.
#[track_caller]
pub fn output(done: &Finished) -> Value {
    assert_eq!(done.code, 0, "{}", done.stderr);
    response_json(done.stdout.as_bytes())
}

/// A component with a manifest in front of its own.
pub fn declared(component: &[u8], manifest: &str) -> Vec<u8> {
    /// Magic number and version.
    const HEAD: usize = 8;
    fn leb128(mut value: usize, bytes: &mut Vec<u8>) {
        while value > 0x7f {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
    }
    let mut section = Vec::new();
    let name = b"mix-plugin";
    leb128(name.len(), &mut section);
    section.extend(name);
    section.extend(manifest.as_bytes());
    let mut bytes = component[..HEAD].to_vec();
    bytes.push(0);
    leb128(section.len(), &mut bytes);
    bytes.extend(section);
    bytes.extend(&component[HEAD..]);
    bytes
}

/// `mixer install` of a program or an app into an app of a workspace.
#[track_caller]
pub fn install(program: impl AsRef<Path>, ws_dir: impl AsRef<Path>, workspace: &str, app: &str) {
    let program = program.as_ref().display().to_string();
    let ws_dir = ws_dir.as_ref().display().to_string();
    let done = run_mixer([
        "install", &program, "--ws-dir", &ws_dir, "--ws", workspace, "--app", app,
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}
