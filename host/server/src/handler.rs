//! One request: plan, token and permission, existence, body, what it asks for, response.

use super::activity::{self, Draft, Via};
use super::encoding;
use super::identity::{Admitted, Asking};
use super::incoming::RequestBody;
use super::named::{enter, enter_for, existing, looked_up};
use super::neighbours::{Inside, without_base};
use super::rate::network;
use super::reply::{Reply, ReplyBody};
use super::runs::Asked;
use super::sessions::{self, Opening};
use super::{Server, elsewhere, incoming, links, manage, proxies, records, runs, topics};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use mix_app_files::Signer;
use mix_http_api::{
    Action, ApiError, Elsewhere, Facts, Job, LOGGING_APP, Managed, Need, NeedsBody, Plan,
    RunOutcome, Step,
};
use mix_install::Request as InstallRequest;
use mix_runtime::home::InsideBody;
use mix_runtime::trace::{Kind, Open, Trace};
use mix_runtime::workspace::Place;
use std::convert::Infallible;
use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tempfile::TempPath;

/// What is known about a request, for the log.
#[derive(Default)]
struct Record {
    route: &'static str,
    place: String,
    user: String,
    /// The entry in the activity log, unless a run has taken it over.
    draft: Option<Draft>,
    /// The workspace of the entry is the one that the request is to make.
    makes_workspace: bool,
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
    sends_at_once: bool,
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
    let bytes = head.body.len();
    if let Some(span) = span {
        finish_span(span, &method, &record, head.status, head.code);
    }
    if let Some(draft) = record.draft.take() {
        // What fails to make a workspace is nothing for the log of the one that is there.
        if record.makes_workspace && head.status >= 400 {
            draft.discard();
        } else {
            draft.finish(head.status, head.code, bytes as u64);
        }
    }
    server
        .metrics
        .request(record.route, &method, head.status, time, bytes as u64);
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
    let tracer = server.tracer.get()?;
    let by_run = visit.inside.as_ref().and_then(Inside::traceparent);
    let header = request.headers().get("traceparent");
    let header = by_run.or_else(|| Some(header?.to_str().ok()?.to_owned()));
    tracer.request(header.as_deref(), request.method().as_str().to_owned())
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
        None => ReplyBody::Whole(Bytes::from(reply.head.body)),
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
        metrics: match parts.uri.path().trim_end_matches('/') {
            "/v1/metrics" => server.metrics.text(server).into_bytes(),
            _ => Vec::new(),
        },
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

/// Whether files can be written.
async fn disk_trouble(server: &Server) -> Option<&'static str> {
    let ws_dir = server.ws_dir.clone();
    let trying = tokio::task::spawn_blocking(move || {
        let mut file = tempfile::Builder::new()
            .prefix(manage::packages::UPLOAD)
            .tempfile_in(ws_dir)?;
        file.write_all(b"ready")
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

async fn planned(
    server: &Arc<Server>,
    mut head: mix_http_api::Head,
    facts: &Facts,
    body: RequestBody,
    mut visit: Visit,
    record: &mut Record,
) -> Reply {
    let asked = server.static_files.get();
    let asked = asked.and_then(|files| Some((files, static_path(server, &head)?)));
    let maker = links::follow(server, &mut head);
    let mut pending = match mix_http_api::plan(&server.settings, head, facts) {
        Plan::Reply(reply) if reply.code == "no_such_route" => {
            return match asked {
                Some((files, path)) => {
                    let (files, spare) = (files.clone(), reply.clone());
                    let finding = tokio::task::spawn_blocking(move || files.answer(&path, reply));
                    finding.await.unwrap_or_else(|_| spare.into())
                }
                None => reply.into(),
            };
        }
        Plan::Reply(reply) => {
            if reply.status == 413 && visit.sends_at_once {
                incoming::let_pass(body).await;
            }
            return reply.into();
        }
        Plan::Body(pending) => pending,
    };
    record.route = pending.route.pattern;
    // What a run asks for while it ends is part of its run.
    if server.stopping.load(Ordering::Acquire) && visit.inside.is_none() {
        let error = ApiError::new(503, "shutting_down", "the server is shutting down");
        return pending.refuse(error).into();
    }
    if server.identity.is_some()
        && visit.inside.is_none()
        && pending.token.is_none()
        && let Err(wait) = server
            .anonymous
            .count(|| network(visit.client), Instant::now())
    {
        let message = "too many requests without a token; send them more slowly";
        return pending.refuse(rate_limited(message, wait)).into();
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
            admitted(server, *pending, body, who, visit, record).await
        }
        Err(error) => pending.refuse(error).into(),
    }
}

/// The path of a request that may be one for a file of the operator.
fn static_path(server: &Server, head: &mix_http_api::Head) -> Option<String> {
    let reads = matches!(head.method.as_str(), "GET" | "HEAD");
    let is_here = !mix_http_api::is_files_origin(&server.settings, head);
    (reads && is_here).then(|| head.path().to_owned())
}

fn rate_limited(message: &str, wait: Duration) -> ApiError {
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

async fn admitted(
    server: &Arc<Server>,
    pending: NeedsBody,
    body: RequestBody,
    who: Admitted,
    visit: Visit,
    record: &mut Record,
) -> Reply {
    let route = pending.route.clone();
    if !route.ws.is_empty()
        && let Err(wait) = server
            .workspace_rate
            .count(|| route.ws.clone(), Instant::now())
    {
        let message = "too many requests to this workspace; send them more slowly";
        let error = rate_limited(message, wait).with_detail("limit", "workspace".into());
        return pending.refuse(error).into();
    }
    if route.app == LOGGING_APP
        && let Err(error) = activity::make(server, &route.ws).await
    {
        return pending.refuse(error).into();
    }
    let place = match existing(server, &route) {
        Ok(place) => place,
        Err(error) => return pending.refuse(error).into(),
    };
    record.makes_workspace = route.ws.is_empty();
    let via = match visit.inside {
        None => Via::Http,
        Some(_) => Via::Agent,
    };
    record.draft = Draft::of_request(server, &who, &route, via, pending.request_id());
    let runnable = match &place {
        Some(place) => match looked_up(server, place, &route).await {
            Ok(runnable) => runnable,
            Err(error) => return pending.refuse(error).into(),
        },
        None => None,
    };
    if let Some(flaw) = pending.flaw() {
        if visit.sends_at_once {
            incoming::let_pass(body).await;
        }
        return flaw.into();
    }
    if route.action == Action::Upload
        && let Err(error) = manage::files::check_ticket(server, &route.id).await
    {
        return pending.refuse(error).into();
    }
    if pending.is_spooled() {
        let upload = match incoming::spool(server, &pending, body).await {
            Ok(upload) => upload,
            Err(reply) => return reply.into(),
        };
        if let Some(draft) = &mut record.draft {
            draft.set_bytes_in(std::fs::metadata(&upload).map_or(0, |file| file.len()));
        }
        return match pending.with_body(&[]) {
            Step::Manage(managed) => {
                if let (Some(draft), Job::Import { name, .. }) = (&mut record.draft, &managed.job) {
                    draft.set_workspace(name);
                }
                manage(server, who, *managed, Some(upload)).await
            }
            Step::Reply(reply) => reply.into(),
            Step::Run(run) => run.finish(RunOutcome::Internal).into(),
            Step::Call(call) => call.refuse(ApiError::internal()).into(),
        };
    }
    let (bytes, _reserved) = match incoming::body(server, &pending, body).await {
        Ok(read) => read,
        Err(reply) => return reply.into(),
    };
    if let Some(draft) = &mut record.draft {
        draft.set_bytes_in(bytes.len() as u64);
    }
    match (pending.with_body(&bytes), place, runnable) {
        (Step::Reply(reply), ..) => reply.into(),
        (Step::Run(run), Some(place), Some(runnable)) => {
            match enter(server, &place.workspace, &place.app).await {
                Ok(presence) => {
                    let asked = Asked {
                        place,
                        who: &who,
                        run: *run,
                        inside: visit.inside,
                        trace: visit.trace,
                    };
                    runs::answer(server, asked, runnable, presence, &mut record.draft).await
                }
                Err(error) if error.code == "busy" => run.refuse(error).into(),
                Err(_) => run.finish(RunOutcome::Canceled).into(),
            }
        }
        (Step::Run(run), ..) => run.finish(RunOutcome::NoSuchAgent).into(),
        (Step::Call(call), Some(place), _) => {
            match enter(server, &place.workspace, &place.app).await {
                Ok(_presence) => {
                    let span = visit.trace.as_ref();
                    let span = span.and_then(|place| place.begin(call.function, Kind::Internal));
                    let response = records::answer(server, place, &who.caller.name(), *call).await;
                    if let Some(mut span) = span.filter(|_| response.status >= 400) {
                        span.fail(response.code);
                    }
                    response
                }
                Err(error) => call.refuse(error),
            }
            .into()
        }
        (Step::Call(call), None, _) => call.refuse(ApiError::no_such_app()).into(),
        (Step::Manage(mut managed), place, _) => match (&mut managed.job, place) {
            (Job::CreateWorkspace(name), _) => {
                let name = match name.clone().map_or_else(manage::made_up_name, Ok) {
                    Ok(made_up) => name.insert(made_up).clone(),
                    Err(error) => return managed.finish(Err(error)).into(),
                };
                if let Some(draft) = &mut record.draft {
                    draft.set_workspace(&name);
                }
                manage(server, who, *managed, None).await
            }
            (Job::Subscribe { topic, last }, _) => {
                let (topic, last) = (topic.clone(), *last);
                topics::subscribe(server, &who, visit, *managed, &topic, last)
            }
            (Job::Session { purpose, key }, Some(place)) => {
                let (purpose, key) = (purpose.clone(), key.clone());
                let presence = match enter(server, &place.workspace, &place.app).await {
                    Ok(presence) => presence,
                    Err(error) => return managed.finish(Err(error)).into(),
                };
                let opening = Opening {
                    place,
                    who,
                    presence,
                    purpose,
                    key,
                };
                sessions::begin(server, visit, *managed, opening).await
            }
            _ => manage(server, who, *managed, None).await,
        },
    }
}

/// Does a job of the server itself. What a caller has begun is done to its end even if the caller
/// leaves: half of it would leave records, folders and what is known of them apart.
async fn manage(
    server: &Arc<Server>,
    who: Admitted,
    managed: Managed,
    upload: Option<TempPath>,
) -> Reply {
    let managed = Arc::new(managed);
    let work = {
        let (server, managed) = (server.clone(), managed.clone());
        async move {
            let _presence = enter_for(&server, &managed).await?;
            perform(&server, &who, &managed, upload).await
        }
    };
    // Nobody is served by waiting for a signal when the caller has left.
    let result = if matches!(managed.job, Job::AwaitSignal { .. }) {
        work.await
    } else {
        tokio::spawn(work).await.unwrap_or_else(|error| {
            tracing::error!(request = %managed.request_id, %error, "a job broke off");
            Err(ApiError::internal())
        })
    };
    result.unwrap_or_else(|error| managed.finish(Err(error)).into())
}

/// Jobs that come with a body in a file, or answer with one, and all others.
async fn perform(
    server: &Arc<Server>,
    who: &Admitted,
    managed: &Managed,
    upload: Option<TempPath>,
) -> Result<Reply, ApiError> {
    let done = match (&managed.job, upload) {
        (
            Job::Install {
                from,
                force,
                dry_run,
                platform,
                surface,
            },
            upload,
        ) => {
            let upload = given(server, upload, from.as_ref(), "").await?;
            let request = InstallRequest {
                force: *force,
                platform: platform.clone(),
                surface: surface.clone(),
                actor: who.caller.name(),
            };
            let ws = &managed.route.ws;
            manage::packages::install(server, who, ws, upload, request, *dry_run).await
        }
        (
            Job::Import {
                from,
                remote,
                name,
                replace,
                grants,
            },
            upload,
        ) => {
            let path = format!("/v1/ws/{remote}/export");
            let upload = given(server, upload, from.as_ref(), &path).await?;
            manage::packages::import(server, who, name, upload, *replace, *grants).await
        }
        (Job::Upload, Some(upload)) => {
            manage::files::upload(server, &managed.route.id, upload).await
        }
        (Job::PushExport { to, ws }, _) => {
            manage::packages::push(server, &managed.route.ws, to, ws).await
        }
        (Job::Export { history }, _) => {
            return manage::packages::export(server, managed, *history).await;
        }
        (Job::GetFile(path), _) => {
            let is_served = managed.route.action == Action::GetFile;
            return manage::files::serve(server, managed, path, is_served).await;
        }
        _ => manage::perform(server, who, managed).await,
    };
    Ok(managed.finish(done).into())
}

/// The package of a request: its body, or what lies at an address.
async fn given(
    server: &Arc<Server>,
    upload: Option<TempPath>,
    from: Option<&Elsewhere>,
    path: &str,
) -> Result<TempPath, ApiError> {
    match (from, upload) {
        (Some(from), _) => elsewhere::fetch(server, from, path).await,
        (None, Some(upload)) => Ok(upload),
        (None, None) => Err(ApiError::internal()),
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
