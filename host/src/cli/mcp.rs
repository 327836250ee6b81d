//! `mixer mcp`.

use super::select::GuestFlags;
use super::{Exit, runtime};
use clap::Args;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use mix_runtime::download::{self, Client};
use mix_server::Options;
use mix_server::mcp::Local;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc};

/// Longest message, either way.
const MAX_MESSAGE: usize = 32 << 20;

/// Messages that are worked on at once.
const MAX_OPEN: usize = 64;

const SESSION: &str = "mcp-session-id";

/// Offers agents as tools.
#[derive(Debug, Args)]
pub struct Mcp {
    /// Server that has the workspace.
    #[arg(
        long,
        value_name = "URL",
        env = "MIXER_SERVER",
        default_value = "http://localhost:8000",
        conflicts_with = "ws_dir"
    )]
    server: String,
    /// Token for the server.
    #[arg(long, value_name = "T", env = "MIXER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Folder of workspaces, instead of a server.
    #[arg(long, value_name = "DIR", env = "MIXER_WS_DIR")]
    ws_dir: Option<PathBuf>,
    /// Workspace.
    #[arg(long, value_name = "W", default_value = "local")]
    ws: String,
    /// Only tools of this app.
    #[arg(long, value_name = "A")]
    app: Option<String>,
    #[command(flatten)]
    guests: GuestFlags,
}

/// Who answers messages.
enum Desk {
    Local(Box<Local>),
    Remote(Box<Remote>),
}

impl Mcp {
    pub fn execute(self) -> Result<(), Exit> {
        if !mix_http_api::is_workspace_name(&self.ws) {
            return Err(Exit::usage(format!(
                "--ws {:?} is no name of a workspace",
                self.ws
            )));
        }
        if let Some(app) = self
            .app
            .as_ref()
            .filter(|app| !mix_http_api::is_app_name(app))
        {
            return Err(Exit::usage(format!("--app {app:?} is no name of an app")));
        }
        runtime()?.block_on(async {
            let desk = match &self.ws_dir {
                Some(ws_dir) => {
                    let ws_dir = std::path::absolute(ws_dir).map_err(Exit::io)?;
                    if !ws_dir.join(&self.ws).is_dir() {
                        return Err(Exit::failed(format!(
                            "error no_such_ws: no workspace {}",
                            self.ws
                        )));
                    }
                    let environment = self.guests.environment()?;
                    let assembly = self.guests.assemble().await?;
                    let mut options = Options::of_command(ws_dir);
                    options.agent_memory = self.guests.agent_memory as usize;
                    options.environment = environment;
                    let local = Local::new(assembly, options, self.ws.clone(), self.app.clone());
                    Desk::Local(Box::new(local))
                }
                None => Desk::Remote(Box::new(self.remote()?)),
            };
            converse(Arc::new(desk)).await
        })
    }

    fn remote(&self) -> Result<Remote, Exit> {
        let base = self.server.trim_end_matches('/');
        let app = self.app.as_ref().map(|app| format!("?app={app}"));
        let address = format!("{base}/v1/ws/{}/mcp{}", self.ws, app.unwrap_or_default());
        let wrong = || Exit::usage(format!("--server {:?} is no address", self.server));
        let address: Uri = address.parse().map_err(|_| wrong())?;
        if !matches!(address.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        let token = match &self.token {
            Some(token) => Some(
                HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| Exit::usage("--token has characters that no token has"))?,
            ),
            None => None,
        };
        Ok(Remote {
            client: download::client().map_err(Exit::io)?,
            address,
            token,
            session: std::sync::Mutex::default(),
        })
    }
}

/// One message per line in, one per line out, until the input ends. Answers come as they are
/// ready; one task writes them.
async fn converse(desk: Arc<Desk>) -> Result<(), Exit> {
    let (answers, mut ready) = mpsc::channel::<String>(MAX_OPEN);
    let writing = tokio::spawn(async move {
        let mut out = tokio::io::stdout();
        while let Some(mut answer) = ready.recv().await {
            answer.push('\n');
            out.write_all(answer.as_bytes()).await?;
            out.flush().await?;
        }
        Ok::<(), std::io::Error>(())
    });
    let open = Arc::new(Semaphore::new(MAX_OPEN));
    let mut input = BufReader::new(tokio::io::stdin());
    let mut first = true;
    loop {
        let mut line = Vec::new();
        let limit = MAX_MESSAGE as u64 + 1;
        let read = (&mut input).take(limit).read_until(b'\n', &mut line).await;
        if read.map_err(|error| Exit::io(format!("standard input: {error}")))? == 0 {
            break;
        }
        if line.len() > MAX_MESSAGE {
            return Err(Exit::io(format!(
                "a message is longer than {MAX_MESSAGE} bytes"
            )));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        // The semaphore is never closed.
        let permit = open.clone().acquire_owned().await.ok();
        let (desk, answers) = (desk.clone(), answers.clone());
        let work = async move {
            let _permit = permit;
            if let Some(answer) = desk.take(line).await {
                // Nobody reads any more: the end is near.
                let _ = answers.send(answer).await;
            }
        };
        // A session begins before anything else is asked in it.
        if std::mem::take(&mut first) {
            work.await;
        } else {
            tokio::spawn(work);
        }
        if writing.is_finished() {
            break;
        }
    }
    // What was asked is answered.
    let _ = open.acquire_many(MAX_OPEN as u32).await;
    drop(answers);
    let written = writing.await.map_err(Exit::failed)?;
    if let Desk::Local(local) = desk.as_ref() {
        local.close().await;
    }
    written.map_err(|error| Exit::io(format!("standard output: {error}")))
}

impl Desk {
    async fn take(&self, message: Vec<u8>) -> Option<String> {
        match self {
            Desk::Local(local) => local.take(&message).await,
            Desk::Remote(remote) => remote.take(message).await,
        }
    }
}

/// A server that messages are handed on to.
struct Remote {
    client: Client<Full<bytes::Bytes>>,
    address: Uri,
    token: Option<HeaderValue>,
    session: std::sync::Mutex<Option<HeaderValue>>,
}

impl Remote {
    async fn take(&self, message: Vec<u8>) -> Option<String> {
        // A request wants an answer even when the server gives none.
        let id = serde_json::from_slice(&message)
            .ok()
            .and_then(|message: serde_json::Value| message.get("id").cloned());
        match self.exchange(message).await {
            Ok(answer) => answer,
            Err(reason) => {
                tracing::error!(%reason, "the server");
                let error = serde_json::json!({ "code": -32603, "message": reason });
                let answer = serde_json::json!({ "jsonrpc": "2.0", "id": id?, "error": error });
                Some(answer.to_string())
            }
        }
    }

    async fn exchange(&self, message: Vec<u8>) -> Result<Option<String>, String> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.address.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Full::from(message))
            .map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.extend(
            self.token
                .clone()
                .map(|token| (header::AUTHORIZATION, token)),
        );
        if let Some(session) = self.kept().clone() {
            headers.insert(SESSION, session);
        }
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|error| {
            format!(
                "{} cannot be reached: {}",
                self.address,
                download::root(&error)
            )
        })?;
        if let Some(session) = answer.headers().get(SESSION) {
            *self.kept() = Some(session.clone());
        }
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_MESSAGE)
            .collect()
            .await;
        let body = body
            .map_err(|error| format!("the answer of {} cannot be read: {error}", self.address))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let is_message = serde_json::from_str::<serde_json::Value>(&text)
            .is_ok_and(|message| message.get("jsonrpc").is_some());
        if is_message {
            return Ok(Some(text));
        }
        match status.as_u16() {
            202 => Ok(None),
            status => Err(format!("{} answers {status}: {text}", self.address)),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<HeaderValue>> {
        self.session
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
