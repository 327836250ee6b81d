//! `make bench-serve`: what `mixer serve` serves, how it shares, and what it holds in memory.
//!
//! Everything is measured from outside, with the client on the same machine. Beside it, in the same
//! run: the smallest HTTP component under `wasmtime serve`, with an instance for each request and
//! with instances that are used again, and a Node.js server with the same answer. What is not
//! installed is left out and said so.
//!
//! `MIXER_GUESTS_DIR` (or `target/wasm32-wasip2/guest`) has to hold that component.

mod client;
mod load;
mod node;
mod process;

use client::Client;
use load::load;
use process::{Process, free_port};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const PROGRAM: &str = r#"
module ping(p:data)
  var cell m_params = p
  cell output = {ok: true}
module end

module endless(p:data)
  var cell m_params = p
  def spin(n) = do { var i = n; while (i >= 0) { i = i + 1 } return i }
  cell output = spin(0)
module end

module twenty(p:data)
  var cell m_params = p
  cell output = db.query(null, "kind == \"city\" | limit(20)") |> db.toArray
module end

module slow(p:data)
  var cell m_params = p
  var cell output : data = null
  on m_params do { co.sleep(m_params.seconds); output = "slept" }
module end
"#;

/// Workspaces that nobody uses.
const IDLE: usize = 10_000;

/// Agents that wait at once.
const SLOW: usize = 1_000;

/// Seconds that each of them waits.
const WAIT: u32 = 20;

type Done<T> = Result<T, Box<dyn std::error::Error>>;

fn main() {
    if let Err(error) = bench() {
        eprintln!("bench-serve: {error}");
        std::process::exit(1);
    }
}

fn bench() -> Done<()> {
    let mixer = PathBuf::from(env!("CARGO_BIN_EXE_mixer"));
    let scratch = tempfile::tempdir()?;
    let ws_dir = scratch.path().join("ws");
    let sources = scratch.path().join("app");
    std::fs::create_dir(&sources)?;
    std::fs::write(sources.join("main.mix"), PROGRAM)?;
    for ws in ["modest", "greedy"] {
        run(Command::new(&mixer)
            .arg("install")
            .arg(&sources)
            .arg("--ws-dir")
            .arg(&ws_dir)
            .args(["--ws", ws, "--app", "app"]))?;
    }
    let cities: Vec<serde_json::Value> = (0..1000)
        .map(|number| serde_json::json!({ "kind": "city", "name": format!("city {number}") }))
        .collect();
    let records = scratch.path().join("cities.json");
    std::fs::write(&records, serde_json::to_vec(&cities)?)?;
    run(Command::new(&mixer)
        .args(["db", "save"])
        .arg(&records)
        .arg("--ws-dir")
        .arg(&ws_dir)
        .args(["--ws", "modest", "--app", "app"]))?;

    println!("{:<64} {:>14}", "what", "value");
    println!("{}", "-".repeat(79));
    let server = serve(&mixer, &ws_dir)?;
    let ping = agent("modest", "ping");
    Client::connect(&server.address)?.post(&ping, "{}")?;
    drop(server);
    let server = serve(&mixer, &ws_dir)?;
    let start = Instant::now();
    Client::connect(&server.address)?.post(&ping, "{}")?;
    row(
        "first request after a start, native code cached",
        format!("{:.1} ms", start.elapsed().as_secs_f64() * 1e3),
    );
    let alone = load(&server.address, &ping, "{}")?;
    row(
        "requests/s: trivial agent, a fresh VM each, 16 connections",
        format!("{:.0}", alone.rate),
    );
    row("  p99", format!("{:.2} ms", alone.p99.as_secs_f64() * 1e3));
    peers(&mixer, scratch.path())?;
    let again = load(&server.address, &ping, "{}")?;
    row(
        "requests/s: trivial agent, once more",
        format!("{:.0}", again.rate),
    );
    let twenty = load(&server.address, &agent("modest", "twenty"), "{}")?;
    row(
        "requests/s: agent that reads 20 records by query",
        format!("{:.0}", twenty.rate),
    );
    shares(&server.address, &ping)?;
    drop(server);
    slow_agents(&mixer, &ws_dir)?;

    for number in 0..IDLE {
        std::fs::create_dir(ws_dir.join(format!("idle{number}")))?;
    }
    let server = serve(&mixer, &ws_dir)?;
    Client::connect(&server.address)?.post(&ping, "{}")?;
    row(
        &format!("memory with {IDLE} idle workspaces, one run done"),
        format!(
            "{:.0} MiB",
            server.resident_bytes() as f64 / f64::from(1 << 20)
        ),
    );
    Ok(())
}

/// The same answer from others.
fn peers(mixer: &Path, scratch: &Path) -> Done<()> {
    let folder = match std::env::var_os("MIXER_GUESTS_DIR") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => mixer
            .parent()
            .and_then(|path| Some(path.parent()?.join("wasm32-wasip2/guest"))),
    };
    let hello = folder.map(|folder| folder.join("mix_test_http_hello.wasm"));
    let stock = mixer.parent().map(|folder| folder.join("stock-wasmtime"));
    match (
        hello.filter(|path| path.is_file()),
        stock.filter(|path| path.is_file()),
    ) {
        (Some(hello), Some(stock)) => {
            for (what, uses) in [
                ("a fresh instance each", "1"),
                ("instances used again", "128"),
            ] {
                let port = free_port()?;
                let address = format!("127.0.0.1:{port}");
                let server = Process::start_quiet(
                    Command::new(&stock)
                        .args([
                            "serve",
                            "-S",
                            "cli",
                            "-W",
                            "component-model-async=y",
                            "-O",
                            "pooling-allocator=y",
                        ])
                        .args(["--addr", &address, "--max-instance-reuse-count", uses])
                        .arg(&hello),
                    &address,
                )?;
                let theirs = load(&server.address, "/", "{}")?;
                let what = format!("requests/s: wasmtime serve of a Rust hello, {what}");
                row(&what, format!("{:.0}", theirs.rate));
            }
        }
        _ => println!("(wasmtime serve: mix_test_http_hello.wasm or stock-wasmtime is not built)"),
    }
    if let Some(node) = node::start(scratch)? {
        let theirs = load(&node.address, "/", "{}")?;
        row("requests/s: Node.js http", format!("{:.0}", theirs.rate));
    }
    Ok(())
}

/// Memory while many agents wait, each with its VM.
fn slow_agents(mixer: &Path, ws_dir: &Path) -> Done<()> {
    let runs = SLOW.to_string();
    let mut command = Command::new(mixer);
    command.args(["serve", "--port", "0", "--max-runs", &runs, "--ws-dir"]);
    let server = Process::start(command.arg(ws_dir))?;
    let path = agent("modest", "slow");
    Client::connect(&server.address)?.post(&path, "{\"seconds\":0.01}")?;
    let before = server.resident_bytes();
    let mut waiting = Vec::new();
    for _ in 0..SLOW {
        let (address, path) = (server.address.clone(), path.clone());
        let body = format!("{{\"seconds\":{WAIT}}}");
        let client = std::thread::Builder::new().stack_size(128 << 10);
        waiting.push(client.spawn(move || {
            let mut client = Client::connect(&address).map_err(|error| error.to_string())?;
            client.post(&path, &body).map_err(|error| error.to_string())
        })?);
    }
    let mut most = 0;
    while waiting.iter().any(|one| !one.is_finished()) {
        most = most.max(server.resident_bytes());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let mut failed = 0;
    let mut reason = String::new();
    for one in waiting {
        if let Err(error) = one.join().map_err(|_| "a client panicked")? {
            failed += 1;
            reason = error;
        }
    }
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    row(
        &format!("memory with {SLOW} slow agents at once"),
        mib(most),
    );
    row("  before them", mib(before));
    row(
        "  of them failed",
        format!("{failed}{}{reason}", if failed > 0 { ": " } else { "" }),
    );
    Ok(())
}

/// What is left of the agent's rate beside loops of somebody else, in turn with its rate alone: machines have better
/// and worse seconds.
fn shares(address: &str, path: &str) -> Done<()> {
    for _ in 0..3 {
        let alone = load(address, path, "{}")?.rate;
        let shared = beside_loops(address, path)?;
        row(
            "requests/s: trivial agent, and beside endless loops of others",
            format!("{alone:.0}, {shared:.0}"),
        );
        row(
            "  of its fair share, half of what it has alone",
            format!("{:.0} %", 200.0 * shared / alone),
        );
    }
    Ok(())
}

/// The rate of the agent while sixteen connections of another workspace run endless loops.
fn beside_loops(address: &str, path: &str) -> Done<f64> {
    let over = Arc::new(AtomicBool::new(false));
    let mut loops = Vec::new();
    for _ in 0..16 {
        let (over, address) = (over.clone(), address.to_owned());
        loops.push(std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                // Its end is a time limit, or no free slot: both are failures.
                if let Ok(mut client) = Client::connect(&address) {
                    let _ = client.post(
                        &format!("{}?timeout=1000", agent("greedy", "endless")),
                        "{}",
                    );
                }
            }
        }));
    }
    let measured = load(address, path, "{}");
    over.store(true, Ordering::Relaxed);
    for one in loops {
        one.join().map_err(|_| "a client panicked")?;
    }
    Ok(measured?.rate)
}

fn serve(mixer: &Path, ws_dir: &Path) -> Done<Process> {
    Process::start(
        Command::new(mixer)
            .args(["serve", "--port", "0", "--ws-dir"])
            .arg(ws_dir),
    )
}

fn agent(ws: &str, name: &str) -> String {
    format!("/v1/ws/{ws}/app/app/agent/{name}/run")
}

fn run(command: &mut Command) -> Done<()> {
    let done = command
        .env("RUST_LOG", "error")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if done.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    Err(format!("{command:?}: {}", text.trim()).into())
}

fn row(what: &str, value: String) {
    println!("{what:<64} {value:>14}");
}
