//! One request: plan, token and permission, what it asks for ([`dispatch`]), response.

use super::activity::Draft;
use super::encoding;
use super::identity::{Admitted, Asking};
use super::incoming::RequestBody;
use super::neighbours::{Inside, without_base};
use super::rate::network;
use super::reply::{Reply, ReplyBody};
use super::{Server, dispatch, incoming, links, manage, proxies};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use mix_app_files::Signer;
use mix_http_api::{Action, ApiError, Facts, FixedRequest, Need, NeedsBody, Plan};
use mix_runtime::home::InsideBody;
use mix_runtime::trace::{Open, Trace};
use mix_runtime::workspace::Place;
use std::convert::Infallible;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is known about a request, for the log.
#[derive(Default)]
pub struct Record {
    route: &'static str,
    place: String,
    user: String,
    /// The entry in the activity log, unless a run has taken it over.
    pub draft: Option<Draft>,
    /// The workspace of the entry is the one that the request is to make.
    pub makes_workspace: bool,
}

/// Where a request comes from.
pub struct Visit {
    /// Address of the client.
    pub client: IpAddr,
    /// Its token, for those who look at it again later.
    pub token: Option<String>,
    /// The connection after the response, if the request asks for that.
    pub upgrade: Option<OnUpgrade>,
    /// The client sends its body without waiting for a sign to do so.
    pub sends_at_once: bool,
    /// The run that makes the request.
    pub inside: Option<Inside>,
    /// Its place in a trace.
    pub trace: Option<Trace>,
}

/// Where the requests of runs come from.
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Answers one request.
pub async fn handle(
    server: Arc<Server>,
    request: Request<Incoming>,
    client: IpAddr,
) -> Result<Response<ReplyBody>, Infallible> {
    Ok(connected(server, request, client, None).await)
}

/// Answers a request that a run makes on a connection of its own.
pub async fn of_run(
    server: Arc<Server>,
    request: Request<Incoming>,
    inside: Inside,
) -> Result<Response<ReplyBody>, Infallible> {
    Ok(connected(server, request, LOCAL, Some(inside)).await)
}

async fn connected(
    server: Arc<Server>,
    mut request: Request<Incoming>,
    client: IpAddr,
    inside: Option<Inside>,
) -> Response<ReplyBody> {
    let upgrades = request.headers().contains_key(http::header::UPGRADE);
    let forwarded = request.headers().get_all("x-forwarded-for");
    let forwarded = forwarded.iter().filter_map(|line| line.to_str().ok());
    let visit = Visit {
        client: proxies::client(&server.trusted_proxies, client, forwarded),
        token: None,
        upgrade: upgrades.then(|| hyper::upgrade::on(&mut request)),
        sends_at_once: !request.headers().contains_key(http::header::EXPECT),
        inside,
        trace: None,
    };
    let request = request.map(RequestBody::Network);
    respond(server, request, visit).await
}

async fn respond(
    server: Arc<Server>,
    mut request: Request<RequestBody>,
    mut visit: Visit,
) -> Response<ReplyBody> {
    let start = Instant::now();
    if visit.inside.is_some()
        && let Some(uri) = without_base(request.uri(), &server.base_url)
    {
        *request.uri_mut() = uri;
    }
    let span = span_of(&server, &request, &visit);
    visit.trace = span.as_ref().map(|span| span.place().clone());
    let method = request.method().as_str().to_owned();
    let mut record = Record::default();
    let reply = answer(&server, request, visit, &mut record).await;
    let head = &reply.head;
    let time = start.elapsed();
    let bytes = match &reply.stream {
        _ if method == "HEAD" => 0,
        // How long a stream of events gets is not known yet.
        Some(streamed) => streamed.length().unwrap_or(0),
        None => head.body.len() as u64,
    };
    if let Some(span) = span {
        finish_span(span, &method, &record, head.status, head.code);
    }
    if let Some(draft) = record.draft.take() {
        // What fails to make a workspace is nothing for the log of the one that is there.
        if record.makes_workspace && head.status >= 400 {
            draft.discard();
        } else {
            draft.finish(head.status, head.code, bytes);
        }
    }
    server
        .metrics
        .request(record.route, &method, head.status, time, bytes);
    tracing::info!(
        target: "mixer::access",
        method = %method,
        route = record.route,
        place = %record.place,
        user = %record.user,
        status = head.status,
        code = head.code,
        ms = time.as_secs_f64() * 1e3,
        bytes,
        request = head.header("x-request-id").unwrap_or_default(),
        "request"
    );
    convert(reply, method == "HEAD")
}

/// The span of a request, if requests are traced and its caller wants it.
fn span_of(server: &Server, request: &Request<RequestBody>, visit: &Visit) -> Option<Open> {
    let tracer = &server.telemetry.get()?.tracer;
    let name = request.method().as_str().to_owned();
    if let Some(by_run) = visit.inside.as_ref().and_then(Inside::trace) {
        let state = by_run.state().unwrap_or_default();
        return tracer.request(Some(&by_run.header()), state, name);
    }
    let header = request.headers().get("traceparent");
    let header = header.and_then(|header| header.to_str().ok());
    let lines = request.headers().get_all("tracestate");
    // A line that is no text makes the whole none.
    let lines = lines.iter().map(|line| line.to_str().unwrap_or("?"));
    tracer.request(header, &lines.collect::<Vec<_>>().join(","), name)
}

fn finish_span(mut span: Open, method: &str, record: &Record, status: u16, code: &'static str) {
    if !record.route.is_empty() {
        span.rename(format!("{method} {}", record.route));
        span.note("http.route", record.route);
    }
    span.note("http.request.method", method);
    span.note("http.response.status_code", status.to_string());
    if !record.place.is_empty() {
        span.note("mixer.place", record.place.as_str());
    }
    if status >= 500 {
        span.fail(code);
    }
}

fn convert(reply: Reply, is_head: bool) -> Response<ReplyBody> {
    let mut builder = Response::builder().status(reply.head.status);
    for (name, value) in &reply.head.headers {
        builder = builder.header(*name, value);
    }
    let body = match reply.stream {
        Some(streamed) if is_head => {
            // The length is told, the content is not read.
            if let Some(length) = streamed.length() {
                builder = builder.header("content-length", length);
            }
            ReplyBody::Whole(Bytes::new())
        }
        Some(streamed) => ReplyBody::Streamed(streamed),
        // The length is told, the content is not sent.
        None if is_head => ReplyBody::Whole(Bytes::from(reply.head.body)),
        None => ReplyBody::of_bytes(reply.head.body),
    };
    builder.body(body).unwrap_or_else(|error| {
        // Only a header value with control characters can get here, and no answer is made with one.
        tracing::error!(%error, "malformed response");
        let mut response = Response::new(ReplyBody::Whole(Bytes::new()));
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Answers a request that a run makes.
pub async fn inside(
    server: Arc<Server>,
    request: Request<InsideBody>,
    inside: Inside,
) -> Response<InsideBody> {
    let visit = Visit {
        client: LOCAL,
        token: None,
        upgrade: None,
        sends_at_once: false,
        inside: Some(inside),
        trace: None,
    };
    let request = request.map(RequestBody::Inside);
    let response = respond(server, request, visit).await;
    response.map(BodyExt::boxed_unsync)
}

async fn answer(
    server: &Arc<Server>,
    request: Request<RequestBody>,
    visit: Visit,
    record: &mut Record,
) -> Reply {
    let (parts, body) = request.into_parts();
    let facts = Facts {
        request_id: random_text(22),
        uptime_seconds: server.started.elapsed().as_secs(),
        trouble: match parts.uri.path().starts_with("/v1/health") {
            true => (!server.ws_dir.is_dir()).then_some("missing"),
            false => None,
        },
        disk_trouble: match parts.uri.path().trim_end_matches('/') {
            "/v1/health/ready" => disk_trouble(server).await,
            _ => None,
        },
        activity_drops: server.activities.dropped(),
        key_trouble: server
            .identity
            .as_ref()
            .and_then(|identity| identity.trouble()),
    };
    let mut head = match incoming::head(&parts) {
        Ok(head) => head,
        Err(message) => {
            let error = ApiError::new(431, "headers_too_large", message);
            return mix_http_api::refuse(&server.settings, &facts, error).into();
        }
    };
    encoding::without_marks(&mut head);
    let packs = encoding::accepts_gzip(&head);
    let mut reply = planned(server, head, &facts, body, visit, record).await;
    if packs && reply.stream.is_none() {
        encoding::compress(&mut reply.head);
    }
    reply
}

/// Room that a record store needs to go on writing: that of the log that a checkpoint takes over.
const LEAST_ROOM: u64 = 4 << 20;

/// What was found out about the disk last, and when that was begun. One finds out at a time: anybody may ask.
#[derive(Default)]
pub struct Disk(tokio::sync::Mutex<Option<(Instant, Option<&'static str>)>>);

/// Whether files can be written, and whether there is room for them.
async fn disk_trouble(server: &Server) -> Option<&'static str> {
    let asked = Instant::now();
    let mut found = server.disk.0.lock().await;
    if let Some((begun, trouble)) = *found
        && begun >= asked
    {
        return trouble;
    }
    let begun = Instant::now();
    let trouble = look_at_disk(server).await;
    *found = Some((begun, trouble));
    trouble
}

async fn look_at_disk(server: &Server) -> Option<&'static str> {
    let ws_dir = server.ws_dir.clone();
    let trying = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(manage::packages::UPLOAD)
            .tempfile_in(&ws_dir)?;
        file.write_all(b"ready")?;
        match rustix::fs::statvfs(&ws_dir) {
            // File systems that count no blocks say nothing about room.
            Ok(told) if told.f_blocks > 0 && room(&told) < LEAST_ROOM => {
                Err(ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    });
    let error = match trying.await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error.kind(),
        Err(_) => ErrorKind::Other,
    };
    Some(match error {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "disk_full",
        _ => "unwritable",
    })
}

/// Bytes that the server may still write.
fn room(told: &rustix::fs::StatVfs) -> u64 {
    told.f_bavail.saturating_mul(told.f_frsize)
}

async fn planned(
    server: &Arc<Server>,
    mut head: mix_http_api::Head,
    facts: &Facts,
    body: RequestBody,
    mut visit: Visit,
    record: &mut Record,
) -> Reply {
    let asked = server.static_files.get();
    let asked = asked.and_then(|files| {
        let request = FixedRequest::of(&server.settings, &head, facts)?;
        Some((files, request))
    });
    let maker = links::follow(server, &mut head);
    let mut pending = match mix_http_api::plan(&server.settings, head, facts) {
        Plan::Reply(reply) if reply.code == "no_such_route" => {
            let Some((files, request)) = asked else {
                return refused(reply, body, visit.sends_at_once).await;
            };
            let (files, spare) = (files.clone(), reply.clone());
            let finding = tokio::task::spawn_blocking(move || files.answer(&request, reply));
            return finding.await.unwrap_or_else(|_| spare.into());
        }
        Plan::Reply(reply) => return refused(reply, body, visit.sends_at_once).await,
        Plan::Body(pending) => pending,
    };
    record.route = pending.route.pattern;
    // What a run asks for while it ends is part of its run.
    if server.stopping.load(Ordering::Acquire) && visit.inside.is_none() {
        let error = ApiError::new(503, "shutting_down", "the server is shutting down");
        return refused(pending.refuse(error), body, visit.sends_at_once).await;
    }
    if server.identity.is_some()
        && visit.inside.is_none()
        && pending.token.is_none()
        && let Err(wait) = server
            .anonymous
            .count(|| network(visit.client), Instant::now())
    {
        let message = "too many requests without a token; send them more slowly";
        let error = rate_limited(message, wait);
        return refused(pending.refuse(error), body, visit.sends_at_once).await;
    }
    if matches!(pending.route.action, Action::Subscribe | Action::Session) {
        visit.token = pending.token.clone();
    }
    if let Some(inside) = &visit.inside
        && let Err(error) = inside.check_depth()
    {
        return pending.refuse(error).into();
    }
    match admit(server, &mut pending, visit.inside.as_ref(), maker).await {
        Ok(who) => {
            record.user = who.caller.name();
            record.place = format!("{}/{}", pending.route.ws, pending.route.app);
            let caller = dispatch::Caller { who, visit, record };
            dispatch::dispatch(server, *pending, body, caller).await
        }
        Err(error) => refused(pending.refuse(error), body, visit.sends_at_once).await,
    }
}

/// A reply for which the body of the request is not needed. It is let pass all the same, so that the connection can
/// serve the next request, and whoever still sends can read the reply.
pub async fn refused(
    reply: mix_http_api::Response,
    body: RequestBody,
    sends_at_once: bool,
) -> Reply {
    if sends_at_once {
        incoming::let_pass(body).await;
    }
    reply.into()
}

/// Too many requests: when to come again.
pub fn rate_limited(message: &str, wait: Duration) -> ApiError {
    let mut error = ApiError::new(429, "rate_limited", message);
    let seconds = wait.as_secs() + 1;
    error.headers = vec![("retry-after", seconds.to_string())];
    error
}

/// Whether the address of a file is signed: true, false, or not at all.
async fn is_signed(server: &Server, pending: &NeedsBody) -> Option<bool> {
    let (expiry, signature) = pending.signature()?;
    let route = &pending.route;
    let place = Place::new(&server.ws_dir, &route.ws, &route.app).ok()?;
    if !place.folder().is_dir() {
        return Some(false);
    }
    let path = route.path.clone();
    let checking = tokio::task::spawn_blocking(move || {
        let names = (place.workspace.as_str(), place.app.as_str());
        let signer = Signer::of(&place.keys());
        signer.is_ok_and(|signer| signer.is_valid(names, &path, &expiry, &signature))
    });
    Some(checking.await.unwrap_or(false))
}

/// Whether the request is allowed: to its caller, or, through a link, to the maker of that.
async fn admit(
    server: &Arc<Server>,
    pending: &mut NeedsBody,
    inside: Option<&Inside>,
    maker: Option<Admitted>,
) -> Result<Admitted, ApiError> {
    match &server.identity {
        // The plan has decided already.
        None => Ok(Admitted::anonymous(true)),
        Some(identity) => {
            if let Some(maker) = maker {
                let (need, route) = (&pending.need, &pending.route);
                return identity.judge(server, maker, need, route).await;
            }
            let token = pending.token.take();
            let signed = match pending.need {
                Need::ReadFile(_) => is_signed(server, pending).await,
                _ => None,
            };
            if signed == Some(true) {
                return Ok(Admitted::anonymous(false));
            }
            let asking = Asking {
                token: token.as_deref(),
                origin: pending.header("x-rmx-origin"),
                inside,
            };
            let admitted = identity
                .admit(server, &asking, &pending.need, &pending.route)
                .await;
            match admitted {
                Err(error) if signed.is_some() && matches!(error.status, 401 | 403) => {
                    let message = "the signature of the address is wrong, or too old";
                    Err(ApiError::new(403, "bad_signature", message))
                }
                other => other,
            }
        }
    }
}

/// Random letters, digits, `-` and `_`.
pub fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = vec![0u8; length];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness ids repeat; requests are served all the same.
        bytes.fill(0);
    }
    bytes
        .iter()
        .map(|byte| LETTERS[usize::from(byte & 63)] as char)
        .collect()
}
