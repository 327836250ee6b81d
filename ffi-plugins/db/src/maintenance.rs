//! Work on the files as a whole, for HTTP endpoints: what administrators ask for.

use std::rc::Rc;

use mix_plugin_sdk::mix_value::Ref;
use mix_plugin_sdk::{Failure, Map, Value};
use mix_store::time::parse_moment;
use mix_store::{Database, Rewritten, id_argument};

use crate::databases::resolve;
use crate::failures::{bad_value, failure};
use crate::session::Session;

/// Carries out `op` of the request; the report has the watermark afterwards.
pub(crate) async fn modify(
    session: Rc<Session>,
    database: Value,
    request: Map,
) -> Result<Map, Failure> {
    let target = resolve(&session, &database)?;
    let database = target.writable()?;
    let op = request.get("op").and_then(Value::as_str);
    match op.unwrap_or_default() {
        "setFlags" => set_flags(database, &request),
        "purge" => {
            let ids = list(&request, "ids")?;
            let ids: Result<Vec<Ref>, _> = ids.iter().map(id_argument).collect();
            rewritten(database.purge(&ids.map_err(failure)?))
        }
        "prune" => {
            let text = request.get("cutoff").and_then(Value::as_str);
            let time = text.and_then(parse_moment);
            let expected = "cutoff must be a time such as 2026-01-31T12:00:00.000Z";
            rewritten(database.prune(time.ok_or_else(|| bad_value(expected))?))
        }
        "compact" => {
            let history = flag(&request, "keepHistory")?.unwrap_or(false);
            let deleted = flag(&request, "keepDeleted")?.unwrap_or(false);
            rewritten(database.compact(history, deleted))
        }
        "reindex" => {
            database.reindex().map_err(failure)?;
            Ok(report(database))
        }
        "flush" => {
            database.flush().map_err(failure)?;
            Ok(report(database))
        }
        _ => Err(bad_value(
            "op must be \"setFlags\", \"purge\", \"prune\", \"compact\", \"reindex\" or \"flush\"",
        )),
    }
}

fn list<'a>(request: &'a Map, name: &str) -> Result<&'a [Value], Failure> {
    let list = request.get(name).and_then(Value::as_array);
    list.ok_or_else(|| bad_value(&format!("{name} must be an array")))
}

fn flag(request: &Map, name: &str) -> Result<Option<bool>, Failure> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(bad_value(&format!("{name} must be true or false"))),
    }
}

fn set_flags(database: &Database, request: &Map) -> Result<Map, Failure> {
    let bound = database.view().bound();
    let row = |row: &Value| {
        let row = row.as_int().and_then(|row| u32::try_from(row).ok());
        row.filter(|row| *row < bound)
            .ok_or_else(|| bad_value(&format!("rows must be numbers below {bound}")))
    };
    let rows = list(request, "rows")?
        .iter()
        .map(row)
        .collect::<Result<Vec<u32>, _>>()?;
    let (superseded, deleted) = (flag(request, "superseded")?, flag(request, "deleted")?);
    if superseded.is_none() && deleted.is_none() {
        return Err(bad_value("give superseded, deleted or both"));
    }
    let set = |flag: Option<bool>| -> Vec<(u32, bool)> {
        let flag = flag.into_iter();
        flag.flat_map(|flag| rows.iter().map(move |row| (*row, flag)))
            .collect()
    };
    database
        .set_flags(&set(superseded), &set(deleted))
        .map_err(failure)?;
    let mut report = report(database);
    report.insert("rows".into(), count(rows.len() as u64));
    Ok(report)
}

fn count(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn report(database: &Database) -> Map {
    Map::from([("watermark".into(), Value::from(database.watermark()))])
}

fn rewritten(done: mix_store::Result<Rewritten>) -> Result<Map, Failure> {
    let done = done.map_err(failure)?;
    Ok(Map::from([
        ("rowsBefore".into(), count(done.rows_before)),
        ("rowsAfter".into(), count(done.rows_after)),
        ("bytesBefore".into(), count(done.bytes_before)),
        ("bytesAfter".into(), count(done.bytes_after)),
        ("watermark".into(), Value::from(done.watermark)),
    ]))
}
