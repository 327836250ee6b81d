//! Calling the record store, and other families.

use mix_http_api::{ApiError, CallFailure, FamilyCall, Response};
use mix_value::{Value, msgpack};

use crate::app;
use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::{Failure, Reply};

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
