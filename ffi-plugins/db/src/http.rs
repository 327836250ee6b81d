//! The store for HTTP endpoints and tools: same calls, their shapes.

use std::rc::Rc;

use mix_plugin_sdk::mix_value::msgpack::Writer;
use mix_plugin_sdk::{Encoded, Failure, IntoValue, Map, Value};
use mix_store::query::{Pipeline, PreparedQuery, QueryOptions};
use mix_store::{Record, SaveOptions, View, id_argument};

use crate::answers::{EMPTY, Rows, records_or_empty, refs};
use crate::databases::{resolve, resolve_to_read};
use crate::failures::{bad_value, coded, failure};
use crate::querying::{encode, moment, most_bytes, next_batch, options};
use crate::session::Session;
use crate::writing::{delete as delete_many, write};

fn absent(view: &View, id: &str) -> Failure {
    let shown: String = id.chars().take(60).collect();
    match view.is_tombstoned(id) {
        Ok(true) => coded(
            "ERR_NOT_FOUND",
            "deleted",
            &format!("the record {shown} was deleted"),
        ),
        Ok(false) => coded(
            "ERR_NOT_FOUND",
            "not_found",
            &format!("there is no record {shown}"),
        ),
        // What cannot be read may be there: that is no answer about the record.
        Err(error) => failure(error),
    }
}

pub(crate) async fn get(
    session: Rc<Session>,
    database: Value,
    id: String,
) -> Result<Encoded, Failure> {
    id_argument(&Value::from(id.as_str())).map_err(failure)?;
    let view = resolve_to_read(&session, &database)?.view()?;
    match view.get(&id).map_err(failure)? {
        Some(record) => Ok(Encoded(record.encoded().to_vec())),
        None => Err(absent(&view, &id)),
    }
}

pub(crate) async fn delete(
    session: Rc<Session>,
    database: Value,
    id: Value,
) -> Result<(), Failure> {
    let view = resolve(&session, &database)?.view()?;
    let deleted = delete_many(&session, &database, std::slice::from_ref(&id))?;
    match deleted.first() {
        Some(Some(_)) => Ok(()),
        _ => Err(absent(&view, id_argument(&id).map_err(failure)?.as_str())),
    }
}

/// What a save answers with.
enum Want {
    Records,
    Ids,
    Nothing,
}

pub(crate) async fn save(
    session: Rc<Session>,
    database: Value,
    request: Map,
) -> Result<Encoded, Failure> {
    let Some(Value::Array(input)) = request.get("records") else {
        return Err(bad_value("records must be an array"));
    };
    let want = match request.get("want").map_or(Some("records"), Value::as_str) {
        Some("records") => Want::Records,
        Some("ids") => Want::Ids,
        Some("none") => Want::Nothing,
        _ => return Err(bad_value("want must be \"records\", \"ids\" or \"none\"")),
    };
    let projection = match request.get("projection") {
        None | Some(Value::Null) => None,
        Some(ast) => Some(Pipeline::from_value(ast).map_err(|error| failure(error.into()))?),
    };
    // Of what is deleted the last version, and none of what is not there.
    let saved: Vec<Option<Record>> = match request.get("op").map_or(Some("save"), Value::as_str) {
        Some("delete") => {
            named_options(SaveOptions::default(), &request)?;
            delete_many(&session, &database, input)?
        }
        Some("save") => store(&session, &database, input, &request, false)?,
        Some("upsert") => store(&session, &database, input, &request, true)?,
        _ => return Err(bad_value("op must be \"save\", \"upsert\" or \"delete\"")),
    };
    let view = resolve(&session, &database)?.view()?;
    let watermark = view.watermark();
    match want {
        Want::Nothing => answer(None, &watermark),
        Want::Ids => {
            let records: Vec<Record> = saved.into_iter().flatten().collect();
            let ids = Value::Array(refs(&records)?);
            answer(Some(("ids", ids.encode()?)), &watermark)
        }
        Want::Records => {
            let rows = match projection {
                None => records_or_empty(&saved)?.encode()?,
                Some(projection) => project(&saved, &view, &projection)?,
            };
            answer(Some(("records", rows)), &watermark)
        }
    }
}

/// Options with those that a request names.
fn named_options(options: SaveOptions, request: &Map) -> Result<SaveOptions, Failure> {
    let Some(names) = request.get("options") else {
        return Ok(options);
    };
    let names: Option<Vec<&str>> = names
        .as_array()
        .and_then(|names| names.iter().map(Value::as_str).collect());
    let names = names.ok_or_else(|| bad_value("options must be an array of strings"))?;
    options.with_names(names).map_err(failure)
}

fn store(
    session: &Session,
    database: &Value,
    input: &[Value],
    request: &Map,
    upsert: bool,
) -> Result<Vec<Option<Record>>, Failure> {
    let target = resolve(session, database)?;
    let mut options = named_options(target.save_options(session), request)?;
    options.upsert |= upsert;
    let saved = write(target.writable()?, |database| {
        database.save(input.to_vec(), &options)
    })?;
    Ok(saved.into_iter().map(Some).collect())
}

/// What a projection makes of records. In the place of those that were not there is an empty map.
fn project(
    saved: &[Option<Record>],
    view: &View,
    projection: &Pipeline,
) -> Result<Encoded, Failure> {
    let mut rows = Rows::new();
    for (place, there) in saved.split(Option::is_none).enumerate() {
        if place > 0 {
            rows.push(EMPTY);
        }
        if there.is_empty() && !saved.is_empty() {
            continue;
        }
        let values = there
            .iter()
            .flatten()
            .map(Record::value)
            .collect::<Result<Vec<_>, _>>()
            .map_err(failure)?;
        project_into(&mut rows, values, view, projection)?;
    }
    rows.into_array()?.encode()
}

fn project_into(
    rows: &mut Rows,
    values: Vec<Value>,
    view: &View,
    projection: &Pipeline,
) -> Result<(), Failure> {
    let options = QueryOptions::default();
    let prepared =
        PreparedQuery::new(projection, &options).map_err(|error| failure(error.into()))?;
    let mut execution = prepared
        .run_over(values, view.clone(), &options)
        .map_err(failure)?;
    loop {
        let batch = execution.next_batch(100).map_err(failure)?;
        if batch.is_empty() {
            return Ok(());
        }
        for item in batch {
            rows.push(&encode(item)?);
        }
    }
}

/// A map of the encoded member and the watermark.
fn answer(member: Option<(&str, Encoded)>, watermark: &str) -> Result<Encoded, Failure> {
    let too_large = |error: mix_plugin_sdk::mix_value::msgpack::EncodeError| {
        Failure::new("ERR_TOO_LARGE", error.to_string())
    };
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer
        .map(1 + usize::from(member.is_some()))
        .map_err(too_large)?;
    if let Some((key, Encoded(bytes))) = &member {
        writer.str(key).map_err(too_large)?;
        writer.raw(bytes);
    }
    writer.str("watermark").map_err(too_large)?;
    writer.str(watermark).map_err(too_large)?;
    Ok(Encoded(out))
}

/// The pipeline of a request: `query` as text or `queryAST` as clauses.
fn pipeline(request: &Map) -> Result<Pipeline, Failure> {
    let given = |key: &str| request.get(key).filter(|value| !value.is_null());
    match (given("query"), given("queryAST")) {
        (Some(_), Some(_)) => Err(bad_value("give query or queryAST, not both")),
        (Some(Value::String(text)), None) => {
            Pipeline::parse(text).map_err(|error| failure(error.into()))
        }
        (Some(_), None) => Err(bad_value("query must be a string")),
        (None, Some(ast)) => Pipeline::from_value(ast).map_err(|error| failure(error.into())),
        (None, None) => Pipeline::parse("").map_err(|error| failure(error.into())),
    }
}

/// Whether something could not be written. A component is not told of a want of room: that is an error like others.
fn is_unwritten(failure: &Failure) -> bool {
    let detail = failure.detail.as_ref();
    let code = detail.and_then(|detail| detail.get("code"));
    matches!(code.and_then(Value::as_str), Some("disk_full" | "db_io"))
}

pub(crate) async fn query(
    session: Rc<Session>,
    database: Value,
    request: Map,
) -> Result<Encoded, Failure> {
    let pipeline = pipeline(&request)?;
    let options = options(&session, &request)?;
    let target = match resolve(&session, &database) {
        // There may be no database yet, and none can be begun: then there are no records either.
        Err(failure) if is_unwritten(&failure) => resolve_to_read(&session, &database)?,
        found => found?,
    };
    let view = moment(&target, &options)?;
    match request.get("explain") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::Bool(true)) => {
            return view.explain(&pipeline, &options).map_err(failure)?.encode();
        }
        Some(_) => return Err(bad_value("explain must be a bool")),
    }
    let watermark = view.watermark();
    let mut execution = view.query(&pipeline, &options).map_err(failure)?;
    let mut rows = Rows::new();
    loop {
        let batch = next_batch(&mut execution).await?;
        if batch.is_empty() {
            break;
        }
        for row in batch {
            rows.push(&row);
            let most = most_bytes();
            if rows.size() > most {
                return Err(coded(
                    "ERR_QUERY",
                    "result_too_large",
                    &format!("the rows take more than {most} bytes; use limit"),
                ));
            }
        }
    }
    answer(Some(("rows", rows.into_array()?.encode()?)), &watermark)
}

pub(crate) async fn parse(
    session: Rc<Session>,
    database: Value,
    request: Map,
) -> Result<Map, Failure> {
    // Every database has the same language.
    let _ = (session, database);
    let pipeline = pipeline(&request)?;
    let params = pipeline.params().into_iter().map(Value::String).collect();
    Ok(Map::from([
        ("ast".into(), pipeline.to_value()),
        ("params".into(), Value::Array(params)),
    ]))
}

pub(crate) async fn stat(session: Rc<Session>, database: Value) -> Result<Map, Failure> {
    let target = resolve(&session, &database)?;
    let view = target.view()?;
    let stat = view.stat().map_err(failure)?;
    let int = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    Ok(Map::from([
        ("watermark".into(), Value::from(view.watermark())),
        ("generation".into(), Value::from(view.generation())),
        ("rows".into(), int(stat.rows)),
        ("live".into(), int(stat.live)),
        ("bytes".into(), int(stat.bytes)),
    ]))
}

pub(crate) async fn check(session: Rc<Session>, database: Value) -> Result<Map, Failure> {
    let findings = resolve(&session, &database)?.view()?.check();
    Ok(Map::from([
        ("ok".into(), Value::Bool(findings.is_empty())),
        (
            "findings".into(),
            Value::Array(findings.into_iter().map(Value::from).collect()),
        ),
    ]))
}
