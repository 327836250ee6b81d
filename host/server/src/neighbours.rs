//! What a run reaches of its own server: records of other apps, as far as its caller or the
//! running agent may, and by HTTP everything that the server answers.
//!
//! A request of an agent to the server itself goes through the same plan, permissions and limits
//! as one from outside. It is answered without a connection, knows which agent asks, and has no
//! more time than the run has left.

mod tokens;

use super::handler;
use super::identity::Admitted;
use super::{Server, links, manage};
use http::{HeaderValue, Uri};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mix_http_api::ApiError;
use mix_identity::{Caller, Permission, RunningAgent, Target};
use mix_runtime::bindings::Failure;
use mix_runtime::home::{Answering, Authorizing, CALLERS_TOKEN, Home, InsideBody};
use mix_runtime::instance::failure;
use mix_runtime::neighbours::{Asked, Neighbours};
use mix_runtime::trace::Trace;
use mix_runtime::workspace::Place;
use mix_value::Value;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokens::Given;
use tokio::io::DuplexStream;

/// Bytes on their way on a connection of a run.
const WAY: usize = 64 * 1024;

/// How deep agents call each other.
pub const MAX_DEPTH: u32 = 32;

/// The rights of a run in its workspace.
pub struct Rights {
    server: Arc<Server>,
    who: Admitted,
    agent: RunningAgent,
    /// Calls of agents that this run is inside of.
    depth: u32,
    /// When the run ends; set when it has begun.
    end: OnceLock<Instant>,
    /// Somebody whom the run waits for has its slot.
    is_slot_lent: AtomicBool,
    /// Its place in a trace.
    trace: OnceLock<Trace>,
    /// Tokens of providers.
    given: Given,
}

impl Rights {
    /// Those of an agent that runs for somebody. `from`: the run that asked for it.
    pub fn of_run(
        server: &Arc<Server>,
        who: &Admitted,
        place: &Place,
        agent: &str,
        from: Option<&Inside>,
    ) -> Arc<Rights> {
        Arc::new(Rights {
            server: server.clone(),
            who: Admitted {
                caller: Caller {
                    agent: None,
                    ..who.caller.clone()
                },
                ..who.clone()
            },
            agent: RunningAgent {
                servers: server.names.clone(),
                workspace: place.workspace.clone(),
                app: place.app.clone(),
                agent: agent.to_owned(),
                here: true,
            },
            depth: from.map_or(0, |inside| inside.depth()),
            end: OnceLock::new(),
            is_slot_lent: AtomicBool::new(false),
            trace: OnceLock::new(),
            given: Given::default(),
        })
    }

    /// The run begins and has this long.
    pub fn begin(&self, time: Duration) {
        // A second beginning would not be one.
        let _ = self.end.set(Instant::now() + time);
    }

    /// What it does belongs to this place in a trace.
    pub fn belongs_to(&self, place: &Trace) {
        let _ = self.trace.set(place.clone());
    }

    /// Its caller, and the agent beside them.
    fn with_agent(&self, caller: Caller) -> Caller {
        Caller {
            agent: Some(self.agent.clone()),
            ..caller
        }
    }

    async fn allows(&self, permission: Permission, target: &Target) -> bool {
        let who = Admitted {
            caller: self.with_agent(self.who.caller.clone()),
            ..self.who.clone()
        };
        let ws = &self.agent.workspace;
        match manage::may(&self.server, &who, ws, permission, target).await {
            Ok(allowed) => allowed,
            Err(error) => {
                tracing::error!(?error, "the grants of a workspace cannot be read");
                false
            }
        }
    }

    /// Origins that the caller's token may be sent to.
    fn trusted(&self) -> impl Iterator<Item = &str> {
        let issuer = self.who.issuer.as_deref();
        let others = self.server.trusted_servers.iter().map(String::as_str);
        std::iter::once(self.server.base_url.as_str())
            .chain(others)
            .chain(issuer)
    }
}

impl Rights {
    /// The address of a link that runs an endpoint with the rights of the caller.
    async fn link(self: Arc<Self>, app: String, endpoint: String) -> Result<Value, Failure> {
        let endpoint = endpoint.trim_start_matches('/').to_owned();
        let ws = self.agent.workspace.clone();
        if !mix_http_api::is_linkable(&ws, &app, &endpoint) {
            let message = "an endpoint is agent/…, query/…, documents/… or files/…";
            return Err(failure("ERR_NOT_FOUND", message.to_owned()));
        }
        let made = tokio::task::spawn_blocking(move || {
            links::make(&self.server, &self.who, (&*ws, &*app), &endpoint, None)
                .map(|(_, path)| format!("{}{path}", self.server.base_url))
        });
        match made.await {
            Ok(Ok(url)) => Ok(Value::from(url)),
            Ok(Err(error)) => Err(failure("ERR_PERMISSION", error.message)),
            Err(error) => {
                tracing::error!(%error, "a link");
                let message = "the link cannot be made".to_owned();
                Err(failure("ERR_INTERNAL", message))
            }
        }
    }
}

impl Neighbours for Rights {
    fn answer(self: Arc<Self>, asked: Asked) -> Option<mix_runtime::neighbours::Answering> {
        let answering = async move {
            match asked {
                Asked::Link { app, endpoint } => self.link(app, endpoint).await,
                Asked::ProviderToken(name) => self.provider_token(&name).await,
                Asked::ForgetToken(name) => self.forget_token(&name).await,
                Asked::TokenExtra { name, token } => self.token_extra(&name, token).await,
                Asked::TokenText(token) => self.token_text(token).await,
            }
        };
        Some(Box::pin(async move {
            apart(answering).await.unwrap_or_else(|| {
                let message = "the server cannot answer".to_owned();
                Err(failure("ERR_INTERNAL", message))
            })
        }))
    }

    fn may(
        self: Arc<Self>,
        app: String,
        writes: bool,
    ) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        let permission = if writes {
            Permission::Write
        } else {
            Permission::Read
        };
        Box::pin(async move { self.allows(permission, &Target::App(app)).await })
    }

    fn home(self: Arc<Self>) -> Option<Arc<dyn Home>> {
        Some(self)
    }

    fn trace(&self) -> Option<Trace> {
        self.trace.get().cloned()
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![("MIXER_OWN_ORIGIN", self.server.base_url.clone())];
        if self.who.token.is_some() {
            let origins: Vec<&str> = self.trusted().collect();
            variables.push(("MIXER_RUN_TOKEN", CALLERS_TOKEN.to_string()));
            variables.push(("MIXER_TOKEN_ORIGINS", origins.join(",")));
        }
        variables
    }
}

impl Home for Rights {
    fn is_own(&self, uri: &Uri) -> bool {
        is_origin(uri, &self.server.base_url)
    }

    fn answer(
        self: Arc<Self>,
        mut request: http::Request<InsideBody>,
        with_token: bool,
    ) -> Answering {
        let inside = Inside {
            rights: self.clone(),
            as_caller: with_token && self.who.token.is_some(),
        };
        if inside.as_caller {
            // It was verified when the run began.
            request.headers_mut().remove(http::header::AUTHORIZATION);
        }
        let server = self.server.clone();
        Box::pin(async move { handler::inside(server, request, inside).await })
    }

    fn connect(self: Arc<Self>, with_token: bool) -> DuplexStream {
        let (near, far) = tokio::io::duplex(WAY);
        let server = self.server.clone();
        let as_caller = with_token && self.who.token.is_some();
        let inside = Inside {
            rights: self,
            as_caller,
        };
        let service =
            service_fn(move |request| handler::of_run(server.clone(), request, inside.clone()));
        tokio::spawn(async move {
            let serving = http1::Builder::new().serve_connection(TokioIo::new(far), service);
            if let Err(error) = serving.with_upgrades().await {
                tracing::debug!(%error, "a connection of a run broke off");
            }
        });
        near
    }

    fn authorization(self: Arc<Self>, uri: Uri, token: u64) -> Authorizing {
        Box::pin(async move {
            if token != CALLERS_TOKEN {
                let asking = async move { self.provider_authorization(&uri, token).await };
                return apart(asking).await.flatten();
            }
            let is_trusted = self.trusted().any(|origin| is_origin(&uri, origin));
            let token = self.who.token.as_deref().filter(|_| is_trusted)?;
            tokens::bearer(token)
        })
    }

    fn usual_authorization(self: Arc<Self>, uri: Uri) -> Authorizing {
        Box::pin(async move {
            // Nobody has a token kept for nobody.
            self.who.caller.user.as_ref()?;
            let asking = async move { self.domain_authorization(&uri).await };
            apart(asking).await.flatten()
        })
    }

    fn origin(&self, uri: &Uri) -> Option<HeaderValue> {
        let mut trusted = self.server.trusted_servers.iter();
        let target = trusted.find(|origin| is_origin(uri, origin))?;
        self.server.keys.origin_token(&self.agent, target)
    }

    fn trace(&self) -> Option<(HeaderValue, Option<HeaderValue>)> {
        let trace = self.trace.get()?;
        let place = HeaderValue::from_str(&trace.header()).ok()?;
        let state = trace
            .state()
            .and_then(|state| HeaderValue::from_str(state).ok());
        Some((place, state))
    }
}

/// In a task of its own: what is asked may enter stores, which is not possible inside of another
/// one. `None`: it broke off, which is logged.
async fn apart<T: Send + 'static>(asking: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let done = tokio::spawn(asking).await;
    done.inspect_err(|error| tracing::error!(%error, "a question of a run broke off"))
        .ok()
}

/// An address without the path of the public URL, as a proxy passes it on; `None`: it has none.
pub fn without_base(uri: &Uri, base: &str) -> Option<Uri> {
    let base = base.parse::<Uri>().ok()?;
    let path = Some(base.path().trim_end_matches('/')).filter(|path| !path.is_empty())?;
    let rest = uri.path_and_query()?.as_str().strip_prefix(path)?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rest.parse().ok().filter(|_| rest.starts_with('/'))?);
    Uri::from_parts(parts).ok()
}

/// Whether an address belongs to an origin, which is a URL whose path does not matter.
pub fn is_origin(uri: &Uri, origin: &str) -> bool {
    fn parts(uri: &Uri) -> Option<(&str, &str, u16)> {
        let scheme = uri.scheme_str()?;
        let port = uri.port_u16().unwrap_or(match scheme {
            "https" => 443,
            _ => 80,
        });
        Some((scheme, uri.host()?, port))
    }
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    match (parts(uri), parts(&origin)) {
        (Some((scheme, host, port)), Some((other, wanted, same))) => {
            scheme == other && port == same && host.eq_ignore_ascii_case(wanted)
        }
        _ => false,
    }
}

/// A request that a run makes.
#[derive(Clone)]
pub struct Inside {
    rights: Arc<Rights>,
    /// It is made as the caller of the run.
    as_caller: bool,
}

/// The slot of a run, as long as somebody has it whom the run waits for.
pub struct Lent(Arc<Rights>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.is_slot_lent.store(false, Ordering::Release);
    }
}

impl Inside {
    /// The workspace of the run.
    pub fn workspace(&self) -> &str {
        &self.rights.agent.workspace
    }

    /// Calls of agents that the request is inside of.
    fn depth(&self) -> u32 {
        self.rights.depth + 1
    }

    /// Fails where agents call each other too deep.
    pub fn check_depth(&self) -> Result<(), ApiError> {
        if self.depth() <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("agents call each other more than {MAX_DEPTH} deep");
        let error = ApiError::new(500, "agent_error", message);
        Err(error.with_detail("code", "ERR_AGENT".into()))
    }

    /// Who asks, if that is not said by a token in the request.
    pub fn caller(&self) -> Option<&Admitted> {
        self.as_caller.then_some(&self.rights.who)
    }

    /// The same with the running agent beside them.
    pub fn with_agent(&self, who: Admitted) -> Admitted {
        Admitted {
            caller: self.rights.with_agent(who.caller),
            ..who
        }
    }

    /// The place in a trace that the request belongs to.
    pub fn trace(&self) -> Option<&Trace> {
        self.rights.trace.get()
    }

    /// Milliseconds that the run has left.
    pub fn left_ms(&self) -> u64 {
        let Some(end) = self.rights.end.get() else {
            return 0;
        };
        let left = end.saturating_duration_since(Instant::now());
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
    }

    /// The slot of the run that asks: it waits for this call, as it may for others that find none.
    pub fn borrow_slot(&self) -> Option<Lent> {
        let lent = &self.rights.is_slot_lent;
        let taken = lent.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok().then(|| Lent(self.rights.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_with_their_ports() {
        for (uri, origin, same) in [
            ("https://a.example.com/x?y", "https://A.example.com", true),
            ("https://a.example.com:443/", "https://a.example.com", true),
            ("http://a.example.com/", "https://a.example.com", false),
            ("https://a.example.com:444/", "https://a.example.com", false),
            ("https://b.example.com/", "https://a.example.com", false),
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000", true),
            ("/v1", "http://127.0.0.1:8000", false),
        ] {
            let uri: Uri = uri.parse().expect("an address");
            assert_eq!(is_origin(&uri, origin), same, "{uri} {origin}");
        }
    }

    #[test]
    fn the_path_of_the_public_url_is_taken_off() {
        for (uri, base, rest) in [
            (
                "https://h/mix/v1/ws?a=b",
                "https://h/mix",
                Some("/v1/ws?a=b"),
            ),
            ("/mix/v1/ws", "https://h/mix", Some("/v1/ws")),
            ("https://h/v1/ws", "https://h/mix", None),
            ("https://h/mixer/v1", "https://h/mix", None),
            ("https://h/v1/ws", "https://h", None),
        ] {
            let uri: Uri = uri.parse().expect("an address");
            let taken = without_base(&uri, base);
            let path = taken.as_ref().and_then(Uri::path_and_query);
            assert_eq!(path.map(|path| path.as_str()), rest, "{uri} {base}");
        }
    }
}
