//! A running `mixer serve` (or another server program) on a free port.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Events;
use serde_json::Value;

/// A server process that is killed when dropped.
pub struct Server {
    child: Child,
    base: String,
    token: Option<String>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; null without one.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        response_json(&self.body)
    }

    /// Code of the error in the body; empty if there is none.
    pub fn code(&self) -> String {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        value["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_string()
    }

    /// First header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Server {
    /// Starts `mixer serve --ws-dir DIR --port 0` and waits for its address.
    pub fn mixer(ws_dir: &Path, arguments: &[&str]) -> Server {
        Server::mixer_logging(ws_dir, arguments, Stdio::inherit()).0
    }

    /// As [`Server::mixer`], with its log.
    pub fn mixer_with_log(ws_dir: &Path, arguments: &[&str]) -> (Server, ChildStderr) {
        let (server, log) = Server::mixer_logging(ws_dir, arguments, Stdio::piped());
        (
            server,
            log.unwrap_or_else(|| unreachable!("stderr is piped")),
        )
    }

    fn mixer_logging(
        ws_dir: &Path,
        arguments: &[&str],
        log: Stdio,
    ) -> (Server, Option<ChildStderr>) {
        let mut command = Command::new(crate::mixer());
        command.arg("serve").arg("--ws-dir").arg(ws_dir);
        command.args(["--port", "0"]).args(arguments);
        command.env("RUST_LOG", "warn");
        command.stdout(Stdio::piped()).stderr(log);
        let mut child = spawn(command);
        let log = child.stderr.take();
        let stdout = child
            .stdout
            .take()
            .unwrap_or_else(|| unreachable!("stdout is piped"));
        let mut lines = BufReader::new(stdout).lines();
        let mut token = None;
        let base = loop {
            match lines.next() {
                Some(Ok(line)) => {
                    if let Some(printed) = line.strip_prefix("dev token ") {
                        token = Some(printed.to_string());
                    }
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
        (Server { child, base, token }, log)
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
            token: None,
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

    /// The token that the server printed at its start, if it did.
    pub fn dev_token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Any request. `body` comes with its media type.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &str)>,
    ) -> Answer {
        let body = body.map(|(media_type, text)| (media_type, text.as_bytes()));
        self.send_bytes(method, path, headers, body)
    }

    /// The same with a body of bytes.
    pub fn send_bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &[u8])>,
    ) -> Answer {
        let response = self.request(method, path, headers, body);
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = value.to_str().unwrap_or_default().to_string();
                (name.as_str().to_string(), value)
            })
            .collect();
        let (status, body) = answer(Ok(response));
        Answer {
            status,
            headers,
            body,
        }
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &[u8])>,
    ) -> ureq::http::Response<ureq::Body> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((media_type, _)) = body {
            request = request.header("content-type", media_type);
        }
        let unusable = |error| panic!("{method} {path} is no request: {error}");
        let result = match body {
            Some((_, bytes)) => agent().run(request.body(bytes.to_vec()).unwrap_or_else(unusable)),
            None => {
                let unusable = |error| panic!("{method} {path} is no request: {error}");
                agent().run(request.body(()).unwrap_or_else(unusable))
            }
        };
        result.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Any request whose answer is a stream of events, which is read as they come.
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &[u8])>,
    ) -> (u16, Events) {
        let response = self.request(method, path, headers, body);
        let status = response.status().as_u16();
        (status, Events::new(response.into_body().into_reader()))
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

    /// Asks the process to stop, as an operator does.
    pub fn terminate(&self) {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        asked.unwrap_or_else(|error| panic!("kill: {error}"));
    }

    /// Waits for the end of the process: its exit code.
    pub fn wait(mut self) -> Option<i32> {
        let ended = self.child.wait();
        ended.unwrap_or_else(|error| panic!("wait: {error}")).code()
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
        .allow_non_standard_methods(true)
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
