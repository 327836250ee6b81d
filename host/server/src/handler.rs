//! One request: plan, token and permission, existence, body, what it asks for, response.

use super::identity::Admitted;
use super::occupancy::Presence;
use super::registered::{self, Runnable};
use super::{Server, incoming, manage, records, runs};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use mix_http_api::{
    Action, ApiError, Facts, Job, Managed, NeedsBody, Plan, Route, RunOutcome, Step,
};
use mix_runtime::workspace::Place;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

/// What is known about a request, for the log.
#[derive(Default)]
struct Record {
    route: &'static str,
    place: String,
    user: String,
}

/// Answers one request.
pub async fn handle(
    server: Arc<Server>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let start = Instant::now();
    let method = request.method().as_str().to_owned();
    let mut record = Record::default();
    let answer = answer(&server, request, &mut record).await;
    tracing::info!(
        target: "mixer::access",
        method = %method,
        route = record.route,
        place = %record.place,
        user = %record.user,
        status = answer.status,
        code = answer.code,
        ms = start.elapsed().as_secs_f64() * 1e3,
        bytes = answer.body.len(),
        request = answer.header("x-request-id").unwrap_or_default(),
        "request"
    );
    Ok(convert(answer))
}

fn convert(answer: mix_http_api::Response) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        builder = builder.header(*name, value);
    }
    builder
        .body(Full::new(Bytes::from(answer.body)))
        .unwrap_or_else(|error| {
            // Only a header value with control characters can get here, and no answer is made with one.
            tracing::error!(%error, "malformed response");
            let mut response = Response::new(Full::default());
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
}

async fn answer(
    server: &Arc<Server>,
    request: Request<Incoming>,
    record: &mut Record,
) -> mix_http_api::Response {
    let (parts, body) = request.into_parts();
    let facts = Facts {
        request_id: random_text(22),
        uptime_seconds: server.started.elapsed().as_secs(),
        trouble: (!server.ws_dir.is_dir()).then_some("missing"),
        key_trouble: server
            .identity
            .as_ref()
            .and_then(|identity| identity.trouble()),
    };
    let Some(head) = incoming::head(&parts) else {
        let error = ApiError::new(431, "headers_too_large", "the request line is too long");
        return mix_http_api::refuse(&server.settings, &facts, error);
    };
    let mut pending = match mix_http_api::plan(&server.settings, head, &facts) {
        Plan::Reply(reply) => return reply,
        Plan::Body(pending) => pending,
    };
    record.route = pending.route.pattern;
    if server.stopping.is_raised() {
        return pending.refuse(ApiError::new(
            503,
            "shutting_down",
            "the server is shutting down",
        ));
    }
    match admit(server, &mut pending).await {
        Ok(who) => {
            record.user = who.caller.name();
            record.place = format!("{}/{}", pending.route.ws, pending.route.app);
            admitted(server, *pending, body, who).await
        }
        Err(error) => pending.refuse(error),
    }
}

async fn admit(server: &Arc<Server>, pending: &mut NeedsBody) -> Result<Admitted, ApiError> {
    match &server.identity {
        // The plan has decided already.
        None => Ok(Admitted {
            caller: mix_identity::Caller::anonymous(),
            everything: true,
        }),
        Some(identity) => {
            let token = pending.token.take();
            identity
                .admit(
                    &server.grants,
                    &server.ws_dir,
                    token.as_deref(),
                    &pending.need,
                    &pending.route,
                )
                .await
        }
    }
}

async fn admitted(
    server: &Arc<Server>,
    pending: NeedsBody,
    body: Incoming,
    who: Admitted,
) -> mix_http_api::Response {
    let route = pending.route.clone();
    let place = match existing(server, &route) {
        Ok(place) => place,
        Err(error) => return pending.refuse(error),
    };
    let runnable = match &place {
        Some(place) => match runnable(server, place, &route).await {
            Ok(runnable) => runnable,
            Err(error) => return pending.refuse(error),
        },
        None => None,
    };
    if let Some(flaw) = pending.flaw() {
        return flaw;
    }
    let (bytes, _reserved) = match incoming::body(server, &pending, body).await {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    match (pending.with_body(&bytes), place, runnable) {
        (Step::Reply(reply), ..) => reply,
        (Step::Run(run), Some(place), Some(runnable)) => {
            match server.occupancy.enter(&place.workspace, &place.app) {
                Some(presence) => runs::answer(server, place, &who, *run, runnable, presence).await,
                None => run.finish(RunOutcome::Canceled),
            }
        }
        (Step::Run(run), ..) => run.finish(RunOutcome::NoSuchAgent),
        (Step::Call(call), Some(place), _) => {
            match server.occupancy.enter(&place.workspace, &place.app) {
                Some(_presence) => records::answer(server, place, &who.caller.name(), *call).await,
                None => call.refuse(no_such_app()),
            }
        }
        (Step::Call(call), None, _) => call.refuse(no_such_app()),
        (Step::Manage(managed), ..) => manage(server, who, *managed).await,
    }
}

/// Does a job of the server itself. What a caller has begun is done to its end even if the caller
/// leaves: half of it would leave records, folders and what is known of them apart.
async fn manage(server: &Arc<Server>, who: Admitted, managed: Managed) -> mix_http_api::Response {
    let managed = Arc::new(managed);
    let work = {
        let (server, managed) = (server.clone(), managed.clone());
        async move {
            let Ok(_presence) = enter(&server, &managed) else {
                return Err(no_such_app());
            };
            manage::perform(&server, &who, &managed).await
        }
    };
    // Nobody is served by waiting for a signal when the caller has left.
    if matches!(managed.job, Job::AwaitSignal { .. }) {
        return managed.finish(work.await);
    }
    let result = tokio::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(request = %managed.request_id, %error, "a job broke off");
        Err(ApiError::internal())
    });
    managed.finish(result)
}

/// What works in a place is there while the place is not being deleted; what makes or deletes a
/// place sees to that itself.
fn enter(server: &Server, managed: &Managed) -> Result<Option<Presence>, ()> {
    let route = &managed.route;
    let by_itself = matches!(
        managed.job,
        Job::CreateWorkspace(_) | Job::DeleteWorkspace | Job::CreateApp(_) | Job::DeleteApp
    );
    if by_itself || route.ws.is_empty() {
        return Ok(None);
    }
    let presence = server.occupancy.enter(&route.ws, &route.app);
    presence.map(Some).ok_or(())
}

/// What a request to run something means; `None` for other requests.
async fn runnable(
    server: &Arc<Server>,
    place: &Place,
    route: &Route,
) -> Result<Option<Runnable>, ApiError> {
    match route.action {
        Action::RunAgent => registered::find(server, place, &route.name).await.map(Some),
        Action::RunQuery => match registered::query(server, place, &route.name).await? {
            Some(query) => Ok(Some(Runnable::Query(query))),
            None => Err(ApiError::new(
                404,
                "not_found",
                "no registered query of that name",
            )),
        },
        _ => Ok(None),
    }
}

/// What the path names must be there before the body is read. `None`: it names no app, or one that
/// the request makes.
fn existing(server: &Server, route: &Route) -> Result<Option<Place>, ApiError> {
    if route.ws.is_empty() {
        return Ok(None);
    }
    let makes_app = matches!(route.action, Action::CreateApp | Action::PutAppmeta);
    // Grants may speak of apps that are not there yet.
    let about_grants = matches!(
        route.action,
        Action::ListGrants | Action::AddGrant | Action::GetGrant | Action::DeleteGrant
    );
    let app = if route.app.is_empty() {
        "_rmx_none"
    } else {
        &route.app
    };
    let place =
        Place::new(&server.ws_dir, &route.ws, app).map_err(|_| ApiError::bad_name("app"))?;
    if !place.workspace_folder().is_dir() {
        return Err(ApiError::new(404, "no_such_ws", "no such workspace"));
    }
    if route.app.is_empty() || makes_app || about_grants {
        return Ok(None);
    }
    if !place.folder().is_dir() {
        return Err(no_such_app());
    }
    Ok(Some(place))
}

fn no_such_app() -> ApiError {
    ApiError::new(404, "no_such_app", "no such app")
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
