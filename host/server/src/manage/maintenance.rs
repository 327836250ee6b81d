//! Work on the records of an app as a whole, with nobody else at them.

use crate::Server;
use crate::maintained;
use crate::records::map;
use mix_http_api::{ApiError, CallFailure, Done, Maintenance};
use mix_runtime::workspace::Place;
use mix_store::{Database, OpenOptions, Rewriting, Rewritten, StoreError};
use mix_value::Value;
use std::sync::Arc;

/// Longest wait for the lock of the records, in milliseconds.
const LOCK_WAIT: u64 = 10_000;

pub async fn modify(
    server: &Arc<Server>,
    place: &Place,
    work: Maintenance,
) -> Result<Done, ApiError> {
    let Some(_turn) = server.maintained.enter(place) else {
        return Err(maintained::refused());
    };
    if !place.folder().join("v2").is_dir() {
        return Ok(Done::Value(200, map([("rows", Value::Int(0))])));
    }
    let _paused = server.occupancy.pause(&place.workspace, &place.app);
    let (folder, app) = (place.folder(), place.app.clone());
    let working = tokio::task::spawn_blocking(move || {
        let options = OpenOptions {
            name: Some(app),
            create: false,
            lock_wait: LOCK_WAIT,
            program: "mixer serve".to_owned(),
            ..OpenOptions::default()
        };
        let database = Database::open(&folder, options)?;
        let report = perform(&database, work)?;
        database.close()?;
        Ok(report)
    });
    match server.assembly.closed(place, working).await {
        Ok(Ok(report)) => Ok(Done::Value(200, report)),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => {
            tracing::error!(%error, "maintenance broke off");
            Err(ApiError::internal())
        }
    }
}

fn perform(database: &Database, work: Maintenance) -> Result<Value, StoreError> {
    let rewriting = match work {
        Maintenance::SetFlags {
            rows,
            superseded,
            deleted,
        } => {
            let list = |flag: Option<bool>| -> Vec<(u32, bool)> {
                let flagged = |flag| rows.iter().map(move |row| (*row, flag));
                flag.map_or_else(Vec::new, |flag| flagged(flag).collect())
            };
            database.set_flags(&list(superseded), &list(deleted))?;
            return Ok(map([("rows", Value::Int(rows.len() as i64))]));
        }
        Maintenance::Reindex => {
            database.reindex()?;
            return Ok(map([("watermark", Value::from(database.watermark()))]));
        }
        Maintenance::Flush => {
            database.flush()?;
            return Ok(map([("watermark", Value::from(database.watermark()))]));
        }
        Maintenance::Purge(ids) => Rewriting::Purge { ids },
        Maintenance::Prune(cutoff) => Rewriting::Prune {
            before: moment(&cutoff)?,
        },
        Maintenance::Compact {
            keep_history,
            keep_deleted,
        } => Rewriting::Compact {
            keep_history,
            keep_deleted,
        },
    };
    Ok(report(&database.rewrite(&rewriting)?))
}

/// A time, as text or in milliseconds since 1970.
fn moment(cutoff: &Value) -> Result<i64, StoreError> {
    let time = match cutoff {
        Value::Int(time) => Some(*time),
        Value::String(text) => mix_store::time::parse_moment(text),
        _ => None,
    };
    time.ok_or_else(|| StoreError::BadValue {
        path: "cutoff".to_owned(),
        reason: "a time such as 2026-01-31 or 2026-01-31T12:00:00.000Z is expected".to_owned(),
    })
}

fn report(done: &Rewritten) -> Value {
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    map([
        ("rowsBefore", number(done.rows_before)),
        ("rowsAfter", number(done.rows_after)),
        ("bytesBefore", number(done.bytes_before)),
        ("bytesAfter", number(done.bytes_after)),
        ("watermark", Value::from(done.watermark.as_str())),
    ])
}

/// The failure as the endpoints of records tell it.
pub fn failed(error: &StoreError) -> ApiError {
    CallFailure {
        code: error.program_code().to_owned(),
        message: error.to_string(),
        detail: Some(Value::Map(error.details())),
    }
    .error(false)
}
