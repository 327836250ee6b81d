//! Calling the record store, and other families; the aliases among the records.

use std::path::Path;

use mix_file_path::folder_name;
use mix_http_api::alias::{Alias, found, lookup};
use mix_http_api::{ApiError, CallFailure, FamilyCall, Response};
use mix_value::{Value, msgpack};

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
    if !are_there() {
        return Ok(None);
    }
    let request = Value::Map(lookup(Alias::KIND, name));
    // Null is the app's own database.
    let args = Value::Array(vec![Value::Null, request]);
    let record = match function("$db_http_query", &args).await {
        None => None,
        Some(Ok(answer)) => found(answer)?,
        Some(Err(failure)) => return Err(failure.error(true)),
    };
    record.map(|record| Alias::of(name, &record)).transpose()
}

/// Asking for an alias shall not make a database where there is none.
fn are_there() -> bool {
    let app = app::with(|app| folder_name(&app.name));
    let workspace = folder_name(&settings::workspace());
    Path::new("/ws")
        .join(workspace)
        .join(app)
        .join("v2")
        .is_dir()
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
