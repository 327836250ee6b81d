//! The records of activity logs, natively on their files: no component is kept alive for them.

use super::{Entry, Postponed};
use crate::Server;
use crate::records::{map, text};
use mix_http_api::{ActivityFilter, ApiError, Done, LOGGING_APP, is_workspace_name};
use mix_runtime::workspace::Place;
use mix_store::query::{Pipeline, QueryItem, QueryOptions};
use mix_store::time::{format_time, parse_time};
use mix_store::{Database, OpenOptions, Rewriting, SaveOptions, StoreError};
use mix_value::{Map, Ref, Value};
use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Who writes it.
const SYSTEM: &str = "_rmx_system";

/// Longest wait for somebody who reads the records, in milliseconds.
const LOCK_WAIT: u64 = 10_000;

/// Entries that are removed at once.
const REMOVED_AT_ONCE: u64 = 100_000;

fn options(create: bool, lock_wait: u64) -> OpenOptions {
    OpenOptions {
        name: Some(LOGGING_APP.to_owned()),
        create,
        lock_wait,
        program: "mixer serve".to_owned(),
        ..OpenOptions::default()
    }
}

/// Writes entries to the logs of their workspaces; how many could not be written.
pub async fn append(server: &Arc<Server>, entries: Vec<Entry>) -> u64 {
    let mut of_workspace: HashMap<String, Vec<Value>> = HashMap::new();
    for mut entry in entries {
        let workspace = std::mem::take(&mut entry.workspace);
        let records = of_workspace.entry(workspace).or_default();
        records.push(record(entry));
    }
    let mut lost = 0;
    for (workspace, records) in of_workspace {
        let many = records.len() as u64;
        let work = move |place: &Place, lock_wait| {
            let database = Database::open(&place.folder(), options(true, lock_wait))?;
            let saving = SaveOptions::default().with_actor(SYSTEM);
            database.save(records.clone(), &saving)?;
            database.close()
        };
        if let Err(error) = with_log(server, &workspace, work).await {
            tracing::error!(workspace, many, error, "activities are not logged");
            lost += many;
        }
    }
    lost
}

/// Makes the log of a workspace that has none yet: it is an app of every workspace.
pub async fn make(server: &Arc<Server>, workspace: &str) -> Result<(), ApiError> {
    let is_there = Place::new(&server.ws_dir, workspace, LOGGING_APP)
        .is_ok_and(|place| place.folder().join("v2").is_dir());
    if is_there {
        return Ok(());
    }
    let work = |place: &Place, lock_wait| {
        Database::open(&place.folder(), options(true, lock_wait))?.close()
    };
    with_log(server, workspace, work).await.map_err(|error| {
        tracing::error!(workspace, error, "the activity log cannot be made");
        ApiError::internal()
    })
}

/// Removes the entries that began before a time, in all workspaces.
pub async fn remove_before(server: &Arc<Server>, time: i64) {
    let ws_dir = server.ws_dir.clone();
    let listing = tokio::task::spawn_blocking(move || {
        let mut names = Vec::new();
        for item in std::fs::read_dir(ws_dir).into_iter().flatten().flatten() {
            if let Ok(name) = item.file_name().into_string()
                && is_workspace_name(&name)
                && item.path().join(LOGGING_APP).join("v2").is_dir()
            {
                names.push(name);
            }
        }
        names
    });
    for workspace in listing.await.unwrap_or_default() {
        while remove_some(server, &workspace, format_time(time)).await {}
    }
}

/// Removes entries that began before a time; true if there may be more.
async fn remove_some(server: &Arc<Server>, workspace: &str, before: String) -> bool {
    let (send, found) = mpsc::channel();
    let work = move |place: &Place, lock_wait| {
        let ids = old_entries(&place.folder(), &before)?;
        let many = ids.len() as u64;
        // Most of the time nothing is too old.
        if !ids.is_empty() {
            let database = Database::open(&place.folder(), options(false, lock_wait))?;
            database.rewrite(&Rewriting::Purge { ids })?;
            database.close()?;
        }
        // Whoever asks waits for it.
        let _ = send.send(many);
        Ok(())
    };
    if let Err(error) = with_log(server, workspace, work).await {
        tracing::error!(
            workspace,
            error,
            "old entries of the activity log are not removed"
        );
    }
    found.try_recv() == Ok(REMOVED_AT_ONCE)
}

fn old_entries(folder: &std::path::Path, before: &str) -> Result<Vec<Ref>, StoreError> {
    let query = Pipeline::parse("_rmx_type == \"activity\" && start < $before")?;
    let options = QueryOptions {
        params: Map::from([("before".into(), Value::from(before))]),
        limit: Some(REMOVED_AT_ONCE),
        ..QueryOptions::default()
    };
    let database = look(folder)?;
    let mut ids = Vec::new();
    for item in database.query(&query, &options)? {
        if let Ok(Value::Map(record)) = QueryItem::into_value(item?)
            && let Some(Value::Ref(id)) = record.get("_rmx_id")
        {
            ids.push(id.clone());
        }
    }
    Ok(ids)
}

/// The log as it is now, without disturbing anybody.
fn look(folder: &std::path::Path) -> Result<Database, StoreError> {
    let options = OpenOptions {
        read_only: true,
        create: false,
        ..OpenOptions::default()
    };
    Database::open(folder, options)
}

/// Works on the log of a workspace that is there, at first as if nobody had it open.
async fn with_log(
    server: &Arc<Server>,
    workspace: &str,
    work: impl Fn(&Place, u64) -> Result<(), StoreError> + Send + Sync + 'static,
) -> Result<(), String> {
    let Ok(place) = Place::new(&server.ws_dir, workspace, LOGGING_APP) else {
        return Ok(());
    };
    let Some(_presence) = server.occupancy.enter(workspace, LOGGING_APP) else {
        // The workspace is being deleted, and its log with it.
        return Ok(());
    };
    let _turn = server.activities.turn.lock().await;
    let work = Arc::new(work);
    let attempt = |lock_wait| {
        let (work, place) = (work.clone(), place.clone());
        tokio::task::spawn_blocking(move || {
            if !place.workspace_folder().is_dir() {
                return Ok(());
            }
            work(&place, lock_wait)
        })
    };
    let done = match attempt(0).await {
        Ok(Err(StoreError::Locked { .. })) => {
            // Somebody has read it over HTTP, which keeps it open.
            server.assembly.closed(&place, attempt(LOCK_WAIT)).await
        }
        other => other,
    };
    match done {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn record(entry: Entry) -> Value {
    let Entry {
        workspace: _,
        activity,
        subject,
        anonymous,
        app,
        agent,
        start,
        duration,
        queued,
        status,
        code,
        bytes_in,
        bytes_out,
        via,
        postponed,
        request_id,
    } = entry;
    let mut record = match map([
        ("_rmx_type", text("activity")),
        ("activity", text(activity)),
        ("subject", text(&subject)),
        ("anonymous", Value::Bool(anonymous)),
        ("start", text(&format_time(start))),
        ("durationMs", milliseconds(duration)),
        ("queuedMs", milliseconds(queued)),
        ("status", Value::Int(i64::from(status))),
        ("bytesIn", number(bytes_in)),
        ("bytesOut", number(bytes_out)),
        ("via", text(via.name())),
        ("requestId", text(&request_id)),
    ]) {
        Value::Map(record) => record,
        _ => Map::new(),
    };
    for (name, value) in [
        ("app", app.as_str()),
        ("agent", agent.as_str()),
        ("code", code),
    ] {
        record.insert(name.into(), text(value));
    }
    if let Some(Postponed { duration, code }) = postponed {
        let members = map([
            ("durationMs", milliseconds(duration)),
            ("code", text(&code)),
        ]);
        record.insert("postponed".into(), members);
    }
    Value::Map(record)
}

/// Milliseconds, with microseconds behind the point.
fn milliseconds(time: Duration) -> Value {
    Value::Float(time.as_micros() as f64 / 1e3)
}

fn number(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Entries of a workspace that a filter finds.
pub async fn count(
    server: &Arc<Server>,
    ws: &str,
    filter: &ActivityFilter,
) -> Result<Done, ApiError> {
    let mut query = "_rmx_type == \"activity\"".to_owned();
    let mut params = Map::new();
    match filter.subject.as_deref() {
        None => {}
        Some("anonymous") => query.push_str(" && anonymous == true"),
        Some("all-users") => query.push_str(" && anonymous == false"),
        Some(subject) => {
            query.push_str(" && subject == $subject");
            params.insert("subject".into(), text(subject));
        }
    }
    if let Some(activity) = &filter.activity {
        query.push_str(" && activity == $activity");
        params.insert("activity".into(), text(activity));
    }
    for (name, condition, bound) in [
        ("from", " && start >= $from", &filter.start),
        ("to", " && start < $to", &filter.end),
    ] {
        if let Some(time) = bound {
            query.push_str(condition);
            params.insert(name.into(), text(&moment(time)?));
        }
    }
    query.push_str(" | count()");
    let place =
        Place::new(&server.ws_dir, ws, LOGGING_APP).map_err(|_| ApiError::bad_name("workspace"))?;
    let end = Instant::now() + server.query_timeout;
    let counting = tokio::task::spawn_blocking(move || counted(&place, &query, params, end));
    match counting.await {
        Ok(Ok(number)) => Ok(Done::Value(200, map([("count", Value::Int(number))]))),
        Ok(Err(error)) => Err(crate::manage::failed(&error)),
        Err(error) => {
            tracing::error!(%error, "counting broke off");
            Err(ApiError::internal())
        }
    }
}

fn counted(place: &Place, query: &str, params: Map, end: Instant) -> Result<i64, StoreError> {
    let database = match look(&place.folder()) {
        Err(StoreError::NoSuchDb(_)) => return Ok(0),
        other => other?,
    };
    let options = QueryOptions {
        params,
        deadline: Some(end),
        ..QueryOptions::default()
    };
    let mut number = 0;
    for item in database.query(&Pipeline::parse(query)?, &options)? {
        if let Ok(Value::Int(found)) = QueryItem::into_value(item?) {
            number = found;
        }
    }
    Ok(number)
}

/// A time in the form that records have.
fn moment(time: &Value) -> Result<String, ApiError> {
    /// The years 0 to 9999, which have a text form.
    const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;
    let found = match time {
        Value::Int(time) => Some(*time),
        Value::String(text) => parse_time(text),
        _ => None,
    };
    found
        .filter(|time| RANGE.contains(time))
        .map(format_time)
        .ok_or_else(|| {
            ApiError::bad_param(
                "start and end are times (2026-01-31T12:00:00.000Z) or milliseconds since 1970",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_form() {
        let text = |time| moment(&time).ok();
        assert_eq!(
            text(Value::Int(0)).as_deref(),
            Some("1970-01-01T00:00:00.000Z")
        );
        assert_eq!(
            text(Value::from("2026-01-31T12:00:00Z")).as_deref(),
            Some("2026-01-31T12:00:00.000Z")
        );
        for wrong in [Value::Int(i64::MAX), Value::from("yesterday"), Value::Null] {
            assert_eq!(text(wrong), None);
        }
    }

    #[test]
    fn the_record_has_the_facts_and_no_content() {
        let entry = Entry {
            workspace: "acme".to_owned(),
            activity: "run-agent",
            subject: "user/ada@example.com".to_owned(),
            anonymous: false,
            app: "movies".to_owned(),
            agent: "report".to_owned(),
            start: 0,
            duration: Duration::from_micros(1_500),
            queued: Duration::ZERO,
            status: 200,
            code: "",
            bytes_in: 2,
            bytes_out: 7,
            via: super::super::Via::Async,
            postponed: Some(Postponed {
                duration: Duration::from_secs(2),
                code: "RT_FAIL".to_owned(),
            }),
            request_id: "r".to_owned(),
        };
        let text = mix_value::escjson::format(&record(entry)).expect("it has a text form");
        assert_eq!(
            text,
            r#"{"_rmx_type":"activity","activity":"run-agent","agent":"report","anonymous":false,"app":"movies","bytesIn":2,"bytesOut":7,"code":"","durationMs":1.5,"postponed":{"code":"RT_FAIL","durationMs":2000},"queuedMs":0,"requestId":"r","start":"1970-01-01T00:00:00.000Z","status":200,"subject":"user/ada@example.com","via":"async"}"#
        );
    }
}
