//! A composed component under a stock WASI host.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Server, mixer, run_mixer};

/// `mixer build`: the app in `source` as one component in `folder`.
pub fn composed(source: &Path, folder: &Path) -> PathBuf {
    let component = folder.join("app.wasm");
    let done = run_mixer([
        "build".as_ref(),
        source.as_os_str(),
        "-o".as_ref(),
        component.as_os_str(),
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    component
}

/// `wasmtime serve` of a component, with `ws_dir` as its folder of workspaces and these
/// variables. What it says on its standard error goes to `log`.
pub fn stock_server(
    component: &Path,
    ws_dir: &Path,
    variables: &[&str],
    log: &std::fs::File,
) -> Server {
    stock_server_with(&[], component, ws_dir, variables, log)
}

/// The same with options of the engine.
pub fn stock_server_with(
    options: &[&str],
    component: &Path,
    ws_dir: &Path,
    variables: &[&str],
    log: &std::fs::File,
) -> Server {
    let port = Server::free_port();
    let mut command = Command::new(mixer().with_file_name("stock-wasmtime"));
    command.args(["serve", "-S", "cli", "--addr", &format!("127.0.0.1:{port}")]);
    command.args(options);
    for variable in variables {
        command.args(["--env", variable]);
    }
    command
        .arg("--dir")
        .arg(format!("{}::/ws", ws_dir.display()))
        .arg(component);
    let log = log
        .try_clone()
        .unwrap_or_else(|error| panic!("the log cannot be shared: {error}"));
    command.stderr(Stdio::from(log));
    Server::command(command, port)
}
