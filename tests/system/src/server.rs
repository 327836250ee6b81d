//! A running `mixer serve` (or another server program) on a free port.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A server process that is killed when dropped.
pub struct Server {
    child: Child,
    base: String,
}

impl Server {
    /// Starts `mixer serve --ws-dir DIR --port 0` and waits for its address.
    pub fn mixer(ws_dir: &Path, arguments: &[&str]) -> Server {
        let mut command = Command::new(crate::mixer());
        command.arg("serve").arg("--ws-dir").arg(ws_dir);
        command.args(["--port", "0"]).args(arguments);
        command.env("RUST_LOG", "warn").stdout(Stdio::piped());
        let mut child = spawn(command);
        let stdout = child
            .stdout
            .take()
            .unwrap_or_else(|| unreachable!("stdout is piped"));
        let mut lines = BufReader::new(stdout).lines();
        let base = loop {
            match lines.next() {
                Some(Ok(line)) => {
                    if let Some(url) = line.strip_prefix("listening on ") {
                        break url.trim_end_matches('/').to_string();
                    }
                }
                _ => {
                    let _ = child.kill();
                    panic!("mixer serve ended before it listened");
                }
            }
        };
        Server { child, base }
    }

    /// Starts any command that listens on `port` and waits until it accepts connections.
    pub fn command(command: Command, port: u16) -> Server {
        let mut child = spawn(command);
        let end = Instant::now() + Duration::from_secs(120);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > end || matches!(child.try_wait(), Ok(Some(_))) {
                let _ = child.kill();
                panic!("the server did not start to listen on port {port}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Server {
            child,
            base: format!("http://127.0.0.1:{port}"),
        }
    }

    /// A port that was free a moment ago.
    pub fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map(|address| address.port())
            .unwrap_or_else(|error| panic!("no free port: {error}"))
    }

    /// `http://host:port`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET of a path: status and body.
    pub fn get(&self, path: &str) -> (u16, Vec<u8>) {
        answer(agent().get(format!("{}{path}", self.base)).call())
    }

    /// POST of a JSON text: status and body.
    pub fn post(&self, path: &str, json: &str) -> (u16, Vec<u8>) {
        answer(
            agent()
                .post(format!("{}{path}", self.base))
                .header("content-type", "application/json")
                .send(json),
        )
    }

    /// DELETE of a path: status and body.
    pub fn delete(&self, path: &str) -> (u16, Vec<u8>) {
        answer(agent().delete(format!("{}{path}", self.base)).call())
    }

    /// Kills the process at once, as a power cut would.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(mut command: Command) -> Child {
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, Vec<u8>) {
    let response = result.unwrap_or_else(|error| panic!("no answer: {error}"));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response
        .into_body()
        .into_reader()
        .read_to_end(&mut body)
        .unwrap_or_else(|error| panic!("the body broke off: {error}"));
    (status, body)
}

/// A body read as JSON.
pub fn response_json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|error| {
        panic!("not JSON ({error}): {}", String::from_utf8_lossy(body));
    })
}
