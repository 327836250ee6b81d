//! Routines of one agent: their requests overlap, in `mixer` and in the composed component
//! under a stock WASI host; what is still under way when the run ends is cancelled.

use std::path::Path;
use std::process::Command;

use mix_system_tests::{Gate, Server, install, repository, response_json, run_mixer};
use serde_json::{Value, json};

/// Requests of one agent that have to be under way at once.
const REQUESTS: usize = 100;

fn program() -> String {
    let folder = repository().join("tests/system/programs/routines");
    folder.display().to_string()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The answers to all requests: their numbers as texts, ascending.
fn numbers() -> Value {
    let mut numbers: Vec<String> = (0..REQUESTS).map(|k| k.to_string()).collect();
    numbers.sort();
    json!(numbers)
}

fn parameters(gate: &Gate) -> String {
    json!({ "url": gate.url(), "count": REQUESTS }).to_string()
}

#[test]
fn a_hundred_requests_of_one_agent_overlap() {
    // No request is answered before all have come in.
    let gate = Gate::start(REQUESTS);
    let done = run_mixer([
        "run",
        &program(),
        "overlap",
        "--params",
        &parameters(&gate),
        "--dangerous-http-mode",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(response_json(done.stdout.as_bytes()), numbers());
}

/// Lets this process and those it starts have as many open connections as the test below needs;
/// the usual limit is below that. Where it cannot be raised the test fails, saying what was refused.
fn raise_connection_limit() {
    let process = std::process::id().to_string();
    // Answered by an error where the limit is high enough and may not be touched.
    let _ = Command::new("prlimit")
        .args(["--pid", &process, "--nofile=8192:"])
        .stderr(std::process::Stdio::null())
        .status();
}

#[test]
fn a_thousand_requests_of_a_hundred_agents_overlap() {
    const AGENTS: usize = 100;
    const EACH: usize = 10;
    raise_connection_limit();
    let folder = tempfile::tempdir().expect("a scratch folder");
    install(program(), folder.path(), "local", "routines");
    let runs = AGENTS.to_string();
    let server = Server::mixer(
        folder.path(),
        &[
            "--dangerous-http-mode",
            "--agent-timeout",
            "60s",
            "--max-runs",
            &runs,
        ],
    );
    // No request is answered before those of all agents have come in.
    let gate = Gate::start(AGENTS * EACH);
    let parameters = json!({ "url": gate.url(), "count": EACH }).to_string();
    let wanted: Vec<String> = (0..EACH).map(|k| k.to_string()).collect();
    std::thread::scope(|scope| {
        let agents: Vec<_> = (0..AGENTS)
            .map(|_| {
                let path = "/v1/ws/local/app/routines/agent/overlap/run";
                scope.spawn(|| server.post(path, &parameters))
            })
            .collect();
        for agent in agents {
            let (status, body) = agent.join().expect("the request is answered");
            let body = String::from_utf8_lossy(&body).into_owned();
            assert_eq!(status, 200, "{body}");
            assert_eq!(response_json(body.as_bytes()), json!(wanted));
        }
    });
}

#[test]
fn they_overlap_in_the_composed_component() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let executable = text(&folder.path().join("routines.mixexe"));
    let component = text(&folder.path().join("routines.wasm"));
    let done = run_mixer(["build", &program(), "-o", &executable]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let done = run_mixer(["compose", &executable, "-o", &component]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let port = Server::free_port();
    let mut command = Command::new(mix_system_tests::mixer().with_file_name("stock-wasmtime"));
    command.args(["serve", "-S", "cli", "--addr", &format!("127.0.0.1:{port}")]);
    command.args(["--env", "MIXER_DANGEROUS_HTTP_MODE=true", "--dir"]);
    command
        .arg(format!("{}::/ws", text(folder.path())))
        .arg(&component);
    let server = Server::command(command, port);
    let gate = Gate::start(REQUESTS);
    let (status, body) = server.post(
        "/v1/ws/local/app/routines/agent/overlap/run",
        &parameters(&gate),
    );
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 200, "{body}");
    assert_eq!(response_json(body.as_bytes()), numbers());
}

#[test]
fn what_is_under_way_when_the_run_ends_is_cancelled() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    install(program(), folder.path(), "local", "routines");
    let server = Server::mixer(folder.path(), &["--dangerous-http-mode"]);
    let gate = Gate::start(0);
    let (status, body) = server.post(
        "/v1/ws/local/app/routines/agent/lingers/run",
        &parameters(&gate),
    );
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!((status, body.trim()), (200, "\"when-held\""));
    gate.wait_for_close();
}

#[test]
fn a_deadlock_is_named() {
    let done = run_mixer(["run", &program(), "stuck", "--params", "null"]);
    assert_ne!(done.code, 0);
    let wanted = "ERR_DEADLOCK: no routine can go on: the main routine (stuck.cell output:26) waits for a value of a channel";
    assert!(done.stderr.contains(wanted), "{}", done.stderr);
}
