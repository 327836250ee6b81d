//! Calling the record store, and other families; the aliases and registered queries among the records.

use std::path::Path;

use mix_file_path::folder_name;
use mix_http_api::alias::{Alias, found, lookup};
use mix_http_api::{AgentRun, ApiError, CallFailure, FamilyCall, Response, registered};
use mix_value::{Map, Value, msgpack};

use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::{Failure, Reply};
use crate::{app, settings};

/// Performs a call and makes its response.
pub async fn call(call: FamilyCall) -> Response {
    match function(call.function, &call.args).await {
        None => call.refuse(ApiError::new(
            404,
            "no_such_route",
            "this component has no record store",
        )),
        Some(result) => call.finish(result),
    }
}

/// The alias of that name, a record of the app.
pub async fn alias(name: &str) -> Result<Option<Alias>, ApiError> {
    let record = registered_as(Alias::KIND, name).await?;
    record.map(|record| Alias::of(name, &record)).transpose()
}

/// The registered query of that name.
pub async fn query(name: &str) -> Result<Option<Map>, ApiError> {
    registered_as(registered::KIND, name).await
}

async fn registered_as(kind: &str, name: &str) -> Result<Option<Map>, ApiError> {
    if !are_there() {
        return Ok(None);
    }
    let request = Value::Map(lookup(kind, name));
    match ask("$db_http_query", request).await? {
        None => Ok(None),
        Some(answer) => found(answer),
    }
}

/// Runs a registered query with the parameters of a request.
pub async fn registered(record: &Map, run: &AgentRun) -> Result<Value, ApiError> {
    let request = registered::request(record, run)?;
    let answer = ask("$db_http_query", request).await?;
    registered::output(answer.ok_or_else(ApiError::internal)?)
}

/// Names of the parameters of a registered query.
pub async fn params(record: &Map) -> Result<Vec<String>, ApiError> {
    let ast = record.get("ast").cloned().unwrap_or(Value::Null);
    let answer = ask("$db_http_parse", Value::map([("queryAST", ast)])).await?;
    let names = answer.as_ref().and_then(|answer| answer.get("params"));
    let names = names
        .and_then(Value::as_array)
        .ok_or_else(ApiError::internal)?;
    let names = names.iter().filter_map(Value::as_str);
    Ok(names.map(str::to_string).collect())
}

/// What the record store says about the app's own database; none without a record store.
async fn ask(name: &str, request: Value) -> Result<Option<Value>, ApiError> {
    // Null is the app's own database.
    let args = Value::Array(vec![Value::Null, request]);
    let answer = function(name, &args).await.transpose();
    answer.map_err(|failure| failure.error(true))
}

/// Asking for what is registered shall not make a database where there is none.
fn are_there() -> bool {
    let app = app::with(|app| folder_name(&app.name));
    let workspace = folder_name(&settings::workspace());
    // A host may open the folder of the app alone.
    let folders = [
        Path::new("/app").to_owned(),
        Path::new("/ws").join(workspace).join(app),
    ];
    folders.iter().any(|folder| folder.join("v2").is_dir())
}

/// Calls a function of a family that gives one value; `None`: there is none of that name.
pub async fn function(name: &str, args: &Value) -> Option<Result<Value, CallFailure>> {
    let number = app::with(|app| app.function(name))?;
    let Ok(args) = msgpack::encode(args) else {
        return Some(Err(CallFailure {
            code: "bad_value".to_string(),
            message: "the values have no wire form".to_string(),
            detail: None,
        }));
    };
    Some(match family::start(number, args).await {
        Ok(Reply::One(bytes)) => {
            msgpack::decode(&bytes).map_err(|error| broken(&error.to_string()))
        }
        Ok(Reply::Many(_)) => Err(broken("a stream instead of a value")),
        Err(failure) => Err(failed(failure)),
    })
}

fn failed(failure: Failure) -> CallFailure {
    let detail = failure
        .detail
        .and_then(|bytes| msgpack::decode(&bytes).ok());
    CallFailure {
        code: failure.code,
        message: failure.message,
        detail,
    }
}

fn broken(reason: &str) -> CallFailure {
    eprintln!("error: a family gave no value: {reason}");
    CallFailure {
        code: "ERR_INTERNAL".to_string(),
        message: "a family gave no value".to_string(),
        detail: None::<Value>,
    }
}
