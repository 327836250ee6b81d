//! `make bench`: what crossing, starting and serving cost, as one table of medians.
//!
//! Everything is measured from outside, against the real programs: `mixer serve`,
//! the composed component under `stock-wasmtime serve`, a Node.js `http` server
//! with the same answer. What is not installed is left out and said so.
//! Programs beside those of other languages are measured by `mix-bench-vm`.
//!
//! `MIXER_GUESTS_DIR` (or `target/wasm32-wasip2/guest`) has to hold the hostile
//! test plugin, whose echo is the plugin function that is crossed to, and the words plugin, which the SDK made.

mod client;
mod in_process;
#[path = "../../tests/bench-vm/src/large.rs"]
mod large;
mod load;
mod node;
mod process;

use client::Client;
use load::load;
use process::{Process, free_port};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Apps by what their programs reach: what a program does not use costs its runs nothing.
const APPS: [(&str, &str); 4] = [
    ("trivial", TRIVIAL),
    ("families", FAMILIES),
    ("plugin", PLUGIN),
    ("records", RECORDS),
];

const TRIVIAL: &str = r#"
module ping(p:data)
  var cell m_params = p
  cell output = {ok: true}
module end
"#;

const FAMILIES: &str = r#"
module families
  foreign def random : number -> data = "$crypto_random_bytes"
  foreign def sha256 : binary -> binary = "$crypto_sha256"
  foreign def clock : null -> number = "$core_monotonic"
  foreign def sleep : number -> data = "$core_sleep"
module end

module crossFamilies(p:data)
  import families
  import binary
  var cell m_params = p
  def nothing(n) = do { var i = 0; var last = null; while (i < n) { last = null; i = i + 1 } return i }
  def pure(n) = do { var i = 0; var last = families.random(0); while (i < n) { last = families.random(0); i = i + 1 } return i }
  def hash(n, bytes) = do { var i = 0; var last = bytes; while (i < n) { last = families.sha256(bytes); i = i + 1 } return i }
  def clock(n) = do { var i = 0; var last = 0; while (i < n) { last = families.clock(); i = i + 1 } return i }
  def sleep(n) = do { var i = 0; var last = families.sleep(0); while (i < n) { last = families.sleep(0); i = i + 1 } return i }
  def run(kind, n) = do {
    if (kind == "pure") { return pure(n) }
    if (kind == "hash") { return hash(n, binary.ofString("0123456789abcdef")) }
    if (kind == "clock") { return clock(n) }
    if (kind == "sleep") { return sleep(n) }
    return nothing(n)
  }
  cell output = run(m_params.kind, m_params.n)
module end
"#;

const PLUGIN: &str = r#"
module plugin
  foreign def echo : data -> data = "$hostile_echo"
  foreign def count : string -> number = "$words_count"
module end

module crossPlugin(p:data)
  import plugin
  import binary
  var cell m_params = p
  def text(doublings) = do {
    var t = "0123456789abcdef";
    var i = 0;
    while (i < doublings) { t = t + t; i = i + 1 }
    return t
  }
  def nothing(n, v) = do { var i = 0; var last = v; while (i < n) { last = v; i = i + 1 } return i }
  def echo(n, v) = do { var i = 0; var last = v; while (i < n) { last = plugin.echo(v); i = i + 1 } return i }
  def count(n, v) = do { var i = 0; var last = 0; while (i < n) { last = plugin.count(v); i = i + 1 } return i }
  def run(kind, n, v) = do {
    if (kind == "echo") { return echo(n, v) }
    if (kind == "count") { return count(n, v) }
    if (kind == "echoBinary") { return echo(n, binary.ofString(v)) }
    return nothing(n, v)
  }
  cell output = run(m_params.kind, m_params.n, text(m_params.doublings))
module end
"#;

const RECORDS: &str = r#"
module records
  foreign def watermark : data -> data = "$db_getWatermark"
  foreign def save : data -> data -> data = "$db_save_one"
  foreign def get : data -> data -> data = "$db_get_one"
module end

module crossRecords(p:data)
  import records
  var cell m_params = p
  def nothing(n) = do { var i = 0; var last = null; while (i < n) { last = null; i = i + 1 } return i }
  def watermark(n) = do { var i = 0; var last = records.watermark(null); while (i < n) { last = records.watermark(null); i = i + 1 } return i }
  def get(n) = do {
    let id = records.save(null, {_rmx_type: "{tag}sample", title: "The Kid", year: 1921, rating: 8.3})._rmx_id;
    var i = 0; var last = records.get(null, id);
    while (i < n) { last = records.get(null, id); i = i + 1 }
    return i
  }
  def run(kind, n) = do {
    if (kind == "watermark") { return watermark(n) }
    if (kind == "get") { return get(n) }
    return nothing(n)
  }
  cell output = run(m_params.kind, m_params.n)
module end
"#;

fn main() {
    if let Err(error) = bench() {
        eprintln!("bench: {error}");
        std::process::exit(1);
    }
}

type Done<T> = Result<T, Box<dyn std::error::Error>>;

fn bench() -> Done<()> {
    let mixer = PathBuf::from(env!("CARGO_BIN_EXE_mixer"));
    let scratch = tempfile::tempdir()?;
    // All of it for the composed component, and an app of each part for `mixer serve`.
    let all = scratch.path().join("bench");
    std::fs::create_dir(&all)?;
    for (app, program) in APPS {
        let folder = scratch.path().join(app);
        std::fs::create_dir(&folder)?;
        std::fs::write(folder.join("main.mix"), program)?;
        std::fs::write(all.join(format!("{app}.mix")), program)?;
    }
    let folder = scratch.path().join("large");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("main.mix"), large::source("large"))?;
    let plugins = plugins(&mixer)
        .ok_or("the hostile test plugin or the words plugin is not built (make bench, or MIXER_GUESTS_DIR)")?;
    let plugins = plugins
        .each_ref()
        .map(|file| ["--plugin".as_ref(), file.as_os_str()]);
    let ws_dir = scratch.path().join("ws");
    // A folder of workspaces has one server, so another one has its own.
    let loading_ws_dir = scratch.path().join("loading");
    let install = |app: &str, ws_dir: &Path| {
        run(Command::new(&mixer).args([
            "install".as_ref(),
            scratch.path().join(app).as_os_str(),
            "--ws-dir".as_ref(),
            ws_dir.as_os_str(),
        ]))
    };
    for app in APPS.map(|(app, _)| app).into_iter().chain(["large"]) {
        install(app, &ws_dir)?;
    }
    install("large", &loading_ws_dir)?;

    println!("{:<64} {:>12} {:>8}", "what", "median", "ratio");
    println!("{}", "-".repeat(86));
    let cold = median(
        (0..9)
            .map(|_| time(|| run(Command::new(&mixer).args(["eval", "1"]))))
            .collect::<Done<_>>()?,
    );
    row("starting: a process (`mixer eval 1`)", millis(cold), "");

    let server = Process::start(
        Command::new(&mixer)
            .args([
                "serve".as_ref(),
                "--port".as_ref(),
                "0".as_ref(),
                "--ws-dir".as_ref(),
                ws_dir.as_os_str(),
            ])
            .args(plugins.as_flattened()),
    )?;
    let mut client = Client::connect(&server.address)?;
    let ping = agent("trivial", "ping");
    let warm = repeated(400, || client.post(&ping, "{}"))?;
    row(
        "starting: a run on a warm server, request included",
        micros(warm),
        "",
    );
    let big = agent("large", "large");
    let (kept, loading) = (repeated(400, || client.post(&big, "{}"))?, {
        let server = Process::start(Command::new(&mixer).args([
            "serve".as_ref(),
            "--port".as_ref(),
            "0".as_ref(),
            "--snapshot-memory".as_ref(),
            "0".as_ref(),
            "--ws-dir".as_ref(),
            loading_ws_dir.as_os_str(),
        ]))?;
        let mut client = Client::connect(&server.address)?;
        repeated(100, || client.post(&big, "{}"))?
    });
    row(
        "the same of an app of 1 MB, loaded by each run",
        micros(loading),
        "",
    );
    row(
        "the same, kept loaded",
        micros(kept),
        &format!("x{:.1}", loading.as_secs_f64() / kept.as_secs_f64()),
    );
    for (what, app, agent) in [
        ("the trivial agent", "trivial", "ping"),
        ("an app of 1 MB", "large", "large"),
    ] {
        let run = in_process::run(&ws_dir, app, agent)?;
        let text = format!("starting: an instance that has the program, {what}");
        row(&text, micros(run.instance), "");
        row("  the whole run, without a server", micros(run.whole), "");
    }
    let crossing = agent("plugin", "crossPlugin");
    // By turns, so that what the machine does besides is in both.
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..800 {
        for (kind, times) in ["echo", "nothing"].into_iter().zip(&mut times) {
            let body = format!(r#"{{"kind":"{kind}","n":1,"doublings":0}}"#);
            times.push(time(|| client.post(&crossing, &body))?);
        }
    }
    let [called, not_called] = times.map(median);
    row(
        "starting: an instance of a plugin, and its first call",
        micros(called.saturating_sub(not_called)),
        "",
    );
    crossings("mixer", &server.address, None)?;

    match stock(&mixer) {
        None => println!("(stock-wasmtime is not built: the composed component is left out)"),
        Some(stock) => {
            let composed = scratch.path().join("bench.wasm");
            run(Command::new(&mixer)
                .args(["compose".as_ref(), all.as_os_str()])
                .args(plugins.as_flattened())
                .args(["-o".as_ref(), composed.as_os_str()]))?;
            let port = free_port()?;
            let address = format!("127.0.0.1:{port}");
            let mount = format!("{}::/ws", ws_dir.display());
            let _component = Process::start_quiet(
                Command::new(&stock)
                    .args(["serve", "-S", "cli", "--dir", &mount, "--addr", &address])
                    .arg(&composed),
                &address,
            )?;
            crossings("composed", &address, Some("bench"))?;
        }
    }

    let ours = load(&server.address, &ping, "{}")?;
    row(
        "requests/s: trivial agent, 16 connections",
        format!("{:.0}", ours.rate),
        "",
    );
    row("  p99", millis(ours.p99), "");
    if let Some(node) = node::start(scratch.path())? {
        let theirs = load(&node.address, "/", "{}")?;
        row(
            "requests/s: Node.js http",
            format!("{:.0}", theirs.rate),
            &format!("x{:.2}", ours.rate / theirs.rate),
        );
        row("  p99", millis(theirs.p99), "");
    }

    Ok(())
}

/// What is crossed to, and how: text of the row, app, agent, kind of loop, doublings of 16 bytes, crossings.
/// So many of the short ones that the start of the run's family or plugin, which has rows of its own, does not count.
const CROSSINGS: [(&str, &str, &str, &str, u32, u32); 11] = [
    (
        "sync, pure function of a family composed with the VM",
        "families",
        "crossFamilies",
        "pure",
        0,
        1_000_000,
    ),
    (
        "the same, SHA-256 of 16 bytes (with its own work)",
        "families",
        "crossFamilies",
        "hash",
        0,
        500_000,
    ),
    (
        "the same, and a WASI call of the family (clock)",
        "families",
        "crossFamilies",
        "clock",
        0,
        200_000,
    ),
    (
        "sync to a plugin, 16 bytes",
        "plugin",
        "crossPlugin",
        "echo",
        0,
        500_000,
    ),
    (
        "sync to an SDK plugin, 16 bytes (with its own work)",
        "plugin",
        "crossPlugin",
        "count",
        0,
        500_000,
    ),
    (
        "sync to a plugin, 1 KiB",
        "plugin",
        "crossPlugin",
        "echo",
        6,
        10_000,
    ),
    (
        "sync to a plugin, 64 KiB",
        "plugin",
        "crossPlugin",
        "echo",
        12,
        1_000,
    ),
    (
        "sync to a plugin, a binary of 1 MiB",
        "plugin",
        "crossPlugin",
        "echoBinary",
        16,
        100,
    ),
    (
        "async to a family composed with the VM",
        "families",
        "crossFamilies",
        "sleep",
        0,
        2_000,
    ),
    (
        "async to the record store",
        "records",
        "crossRecords",
        "watermark",
        0,
        2_000,
    ),
    (
        "async to the record store: a record by its id",
        "records",
        "crossRecords",
        "get",
        0,
        2_000,
    ),
];

/// One line per kind of crossing and size; the loop without a crossing is taken off.
fn crossings(assembly: &str, address: &str, only_app: Option<&str>) -> Done<()> {
    let mut client = Client::connect(address)?;
    for (what, app, name, kind, doublings, count) in CROSSINGS {
        let path = agent(only_app.unwrap_or(app), name);
        let mut measure = |kind: &str| -> Done<Duration> {
            let body = format!(r#"{{"kind":"{kind}","n":{count},"doublings":{doublings}}}"#);
            repeated(5, || client.post(&path, &body))
        };
        let with = match measure(kind) {
            Ok(with) => with,
            Err(error) => {
                println!("({assembly}: {what}: {error})");
                client = Client::connect(address)?;
                continue;
            }
        };
        let without = measure("nothing")?;
        let each = with.saturating_sub(without).as_secs_f64() / f64::from(count);
        // There and back.
        let bytes = 2.0 * f64::from(16 << doublings);
        let rate = match doublings {
            0..12 => String::new(),
            _ => format!("{:.1} GB/s", bytes / each / 1e9),
        };
        row(
            &format!("{assembly}: {what}"),
            format!("{:.2} us", each * 1e6),
            &rate,
        );
    }
    Ok(())
}

fn agent(app: &str, name: &str) -> String {
    format!("/v1/ws/local/app/{app}/agent/{name}/run")
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
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    )
    .into())
}

fn plugins(mixer: &Path) -> Option<[PathBuf; 2]> {
    let folder = match std::env::var_os("MIXER_GUESTS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => mixer.parent()?.parent()?.join("wasm32-wasip2/guest"),
    };
    let files =
        ["mix_test_plugin_hostile.wasm", "mix_example_words.wasm"].map(|file| folder.join(file));
    files.iter().all(|path| path.is_file()).then_some(files)
}

fn stock(mixer: &Path) -> Option<PathBuf> {
    Some(mixer.parent()?.join("stock-wasmtime")).filter(|path| path.is_file())
}

fn time(work: impl FnOnce() -> Done<()>) -> Done<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn repeated(count: usize, mut work: impl FnMut() -> Done<()>) -> Done<Duration> {
    work()?;
    Ok(median(
        (0..count).map(|_| time(&mut work)).collect::<Done<_>>()?,
    ))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn row(what: &str, value: String, ratio: &str) {
    println!("{what:<64} {value:>12} {ratio:>8}");
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn micros(time: Duration) -> String {
    format!("{:.0} us", time.as_secs_f64() * 1e6)
}
