//! Calling the record store.

use mix_http_api::{ApiError, CallFailure, FamilyCall, Response};
use mix_value::{Value, msgpack};

use crate::app;
use crate::bindings::mix::ffi::family;
use crate::bindings::mix::ffi::types::{Failure, Reply};

/// Performs a call and makes its response.
pub async fn call(call: FamilyCall) -> Response {
    let Some(number) = app::with(|app| app.function(call.function)) else {
        return call.refuse(ApiError::new(
            404,
            "no_such_route",
            "this component has no record store",
        ));
    };
    let Ok(args) = msgpack::encode(&call.args) else {
        return call.refuse(ApiError::new(
            400,
            "bad_value",
            "the values have no wire form",
        ));
    };
    let result = match family::start(number, args).await {
        Ok(Reply::One(bytes)) => {
            msgpack::decode(&bytes).map_err(|error| broken(&error.to_string()))
        }
        Ok(Reply::Many(_)) => Err(broken("a stream instead of a value")),
        Err(failure) => Err(failed(failure)),
    };
    call.finish(result)
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
    eprintln!("error: the record store gave no value: {reason}");
    CallFailure {
        code: "ERR_INTERNAL".to_string(),
        message: "the record store gave no value".to_string(),
        detail: None::<Value>,
    }
}
