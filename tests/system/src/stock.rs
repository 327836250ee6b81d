//! A composed component under a stock WASI host.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Server, mixer, run_mixer};

/// `mixer build` and `mixer compose`: the app in `source` as one component in `folder`.
pub fn composed(source: &Path, folder: &Path) -> PathBuf {
    let (program, component) = (folder.join("app.mixexe"), folder.join("app.wasm"));
    let text = |path: &Path| path.display().to_string();
    let name = source.file_name().and_then(|name| name.to_str());
    let name = name.expect("programs of tests have names");
    for arguments in [
        &["build", &text(source), "-o", &text(&program)][..],
        &[
            "compose",
            &text(&program),
            "-o",
            &text(&component),
            "--app",
            name,
        ],
    ] {
        let done = run_mixer(arguments);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
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
    let port = Server::free_port();
    let mut command = Command::new(mixer().with_file_name("stock-wasmtime"));
    command.args(["serve", "-S", "cli", "--addr", &format!("127.0.0.1:{port}")]);
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
