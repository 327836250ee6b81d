//! What a caller who may asks for: what it names is there, its body is read, and it is done.

use super::activity::{self, Draft, Via};
use super::handler::{Record, Visit, rate_limited, refused};
use super::identity::{self, Admitted};
use super::incoming::{self, RequestBody};
use super::named::{enter, existing, looked_up};
use super::registered::Runnable;
use super::reply::Reply;
use super::runs::{self, Asked};
use super::sessions::{self, Opening};
use super::{Server, jobs, manage, records, topics};
use mix_http_api::{
    Action, AgentRun, ApiError, FamilyCall, Job, LOGGING_APP, Managed, NeedsBody, RunOutcome, Step,
};
use mix_runtime::trace::Kind;
use mix_runtime::workspace::Place;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who asks, and what the request leaves behind.
pub struct Caller<'a> {
    pub who: Admitted,
    pub visit: Visit,
    pub record: &'a mut Record,
}

/// What a request names, as far as it names anything.
struct Named {
    place: Option<Place>,
    runnable: Option<Runnable>,
}

/// Does what is asked for.
pub async fn dispatch(
    server: &Arc<Server>,
    pending: NeedsBody,
    body: RequestBody,
    caller: Caller<'_>,
) -> Reply {
    let named = match named(server, &pending, &caller.who, &caller.visit, caller.record).await {
        Ok(named) => named,
        Err(error) => {
            return refused(pending.refuse(error), body, caller.visit.sends_at_once).await;
        }
    };
    if let Some(flaw) = pending.flaw() {
        return refused(flaw, body, caller.visit.sends_at_once).await;
    }
    if pending.route.action == Action::Upload
        && let Err(error) = manage::files::check_ticket(server, &pending.route.id).await
    {
        return refused(pending.refuse(error), body, caller.visit.sends_at_once).await;
    }
    if pending.is_spooled() {
        return with_file(server, pending, body, caller).await;
    }
    let begun = Instant::now();
    let (bytes, _reserved) = match incoming::body(server, &pending, body).await {
        Ok(read) => read,
        Err(reply) => return reply.into(),
    };
    if let Err(error) = still_allowed(server, &pending, &caller.who, begun).await {
        return pending.refuse(error).into();
    }
    if let Some(draft) = &mut caller.record.draft {
        draft.set_bytes_in(bytes.len() as u64);
    }
    match pending.with_body(&bytes) {
        Step::Reply(reply) => reply.into(),
        Step::Run(run) => perform_run(server, *run, named, caller).await,
        Step::Call(call) => perform_call(server, *call, named.place, &caller).await,
        Step::Manage(managed) => perform_job(server, *managed, named.place, caller).await,
    }
}

/// A body that has come within so long is as good as one that was there.
const PROMPT: Duration = Duration::from_secs(1);

/// Whether a caller whose body took its time still may.
async fn still_allowed(
    server: &Arc<Server>,
    pending: &NeedsBody,
    who: &Admitted,
    begun: Instant,
) -> Result<(), ApiError> {
    if begun.elapsed() < PROMPT {
        return Ok(());
    }
    let need = &pending.need;
    let ws = identity::workspace_of(need, &pending.route);
    server.judge_again(who, need, ws).await
}

/// Finds what the request names, and begins its entry in the activity log.
async fn named(
    server: &Arc<Server>,
    pending: &NeedsBody,
    who: &Admitted,
    visit: &Visit,
    record: &mut Record,
) -> Result<Named, ApiError> {
    let route = &pending.route;
    if !route.ws.is_empty()
        && let Err(wait) = server
            .workspace_rate
            .count(|| route.ws.clone(), Instant::now())
    {
        let message = "too many requests to this workspace; send them more slowly";
        return Err(rate_limited(message, wait).with_detail("limit", "workspace".into()));
    }
    if route.app == LOGGING_APP {
        activity::make(server, &route.ws).await?;
    }
    let place = existing(server, route)?;
    record.makes_workspace = route.ws.is_empty();
    let via = match visit.inside {
        None => Via::Http,
        Some(_) => Via::Agent,
    };
    record.draft = Draft::of_request(server, who, route, via, pending.request_id());
    let runnable = match &place {
        Some(place) => looked_up(server, place, route).await?,
        None => None,
    };
    Ok(Named { place, runnable })
}

/// A job whose body is kept in a file.
async fn with_file(
    server: &Arc<Server>,
    pending: NeedsBody,
    body: RequestBody,
    caller: Caller<'_>,
) -> Reply {
    let begun = Instant::now();
    let upload = match incoming::spool(server, &pending, body).await {
        Ok(upload) => upload,
        Err(reply) => return reply.into(),
    };
    if let Err(error) = still_allowed(server, &pending, &caller.who, begun).await {
        return pending.refuse(error).into();
    }
    let draft = &mut caller.record.draft;
    if let Some(draft) = draft {
        draft.set_bytes_in(std::fs::metadata(&upload).map_or(0, |file| file.len()));
    }
    match pending.with_body(&[]) {
        Step::Manage(managed) => {
            if let (Some(draft), Job::Import { name, .. }) = (draft, &managed.job) {
                draft.set_workspace(name);
            }
            jobs::finish(server, caller.who, *managed, Some(upload)).await
        }
        Step::Reply(reply) => reply.into(),
        Step::Run(run) => run.finish(RunOutcome::Internal).into(),
        Step::Call(call) => call.refuse(ApiError::internal()).into(),
    }
}

async fn perform_run(
    server: &Arc<Server>,
    run: AgentRun,
    named: Named,
    caller: Caller<'_>,
) -> Reply {
    let (Some(place), Some(runnable)) = (named.place, named.runnable) else {
        return run.finish(RunOutcome::NoSuchAgent).into();
    };
    let presence = match enter(server, &place.workspace, &place.app).await {
        Ok(presence) => presence,
        Err(error) if error.code == "busy" => return run.refuse(error).into(),
        Err(_) => return run.finish(RunOutcome::Canceled).into(),
    };
    let asked = Asked {
        place,
        who: &caller.who,
        run,
        inside: caller.visit.inside,
        trace: caller.visit.trace,
    };
    runs::answer(server, asked, runnable, presence, &mut caller.record.draft).await
}

async fn perform_call(
    server: &Arc<Server>,
    call: FamilyCall,
    place: Option<Place>,
    caller: &Caller<'_>,
) -> Reply {
    let Some(place) = place else {
        return call.refuse(ApiError::no_such_app()).into();
    };
    let _presence = match enter(server, &place.workspace, &place.app).await {
        Ok(presence) => presence,
        Err(error) => return call.refuse(error).into(),
    };
    let trace = caller.visit.trace.as_ref();
    let span = trace.and_then(|place| place.begin(call.function, Kind::Internal));
    let response = records::answer(server, place, &caller.who.caller.name(), call).await;
    if let Some(mut span) = span.filter(|_| response.status >= 400) {
        span.fail(response.code);
    }
    response.into()
}

async fn perform_job(
    server: &Arc<Server>,
    mut managed: Managed,
    place: Option<Place>,
    caller: Caller<'_>,
) -> Reply {
    match (&mut managed.job, place) {
        (Job::CreateWorkspace(name), _) => {
            let name = match name.clone().map_or_else(manage::made_up_name, Ok) {
                Ok(made_up) => name.insert(made_up).clone(),
                Err(error) => return managed.finish(Err(error)).into(),
            };
            if let Some(draft) = &mut caller.record.draft {
                draft.set_workspace(&name);
            }
            jobs::finish(server, caller.who, managed, None).await
        }
        (Job::Subscribe { topic, last }, _) => {
            let (topic, last) = (topic.clone(), *last);
            topics::subscribe(server, &caller.who, caller.visit, managed, &topic, last)
        }
        (Job::Session { purpose, key }, Some(place)) => {
            let (purpose, key) = (purpose.clone(), key.clone());
            let presence = match enter(server, &place.workspace, &place.app).await {
                Ok(presence) => presence,
                Err(error) => return managed.finish(Err(error)).into(),
            };
            let opening = Opening {
                place,
                who: caller.who,
                presence,
                purpose,
                key,
            };
            sessions::begin(server, caller.visit, managed, opening).await
        }
        _ => jobs::finish(server, caller.who, managed, None).await,
    }
}
