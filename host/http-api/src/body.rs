//! Bodies of requests as values.

use crate::error::ApiError;
use crate::form::parse_pairs;
use crate::head::Head;
use crate::json;
use mix_value::{Map, Value, msgpack};
use std::sync::Arc;

const FORM: &str = "application/x-www-form-urlencoded";

/// 415 for a body that is compressed: nothing is unpacked here.
pub(crate) fn check_coding(head: &Head) -> Result<(), ApiError> {
    let coding = head.header("content-encoding").map(str::trim);
    match coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        None | Some("") => Ok(()),
        Some(_) => Err(ApiError::new(
            415,
            "bad_media_type",
            "send the body without a Content-Encoding",
        )),
    }
}

/// A JSON or MessagePack body; none is `{}`.
pub(crate) fn value(head: &Head, body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Map(Map::new()));
    }
    match head.media_type().as_deref() {
        Some("application/json") => json::body(body, true),
        Some("application/msgpack") => msgpack::decode(body).map_err(|error| {
            ApiError::new(400, "bad_value", format!("the body is no value: {error}"))
        }),
        _ => Err(ApiError::new(
            415,
            "bad_media_type",
            "send application/json or application/msgpack as Content-Type",
        )),
    }
}

/// A body that is an object.
pub(crate) fn object(head: &Head, body: &[u8]) -> Result<Map, ApiError> {
    match value(head, body)? {
        Value::Map(members) => Ok(members),
        _ => Err(ApiError::bad_param("the body must be an object")),
    }
}

/// A body that is an object or, for old clients, a form; every member of a form is a string.
pub(crate) fn object_or_form(head: &Head, body: &[u8]) -> Result<Map, ApiError> {
    if head.media_type().as_deref() != Some(FORM) {
        return object(head, body);
    }
    let text =
        std::str::from_utf8(body).map_err(|_| ApiError::bad_param("the form is not UTF-8"))?;
    let mut members = Map::new();
    for (name, value) in parse_pairs(text)? {
        let value = Value::String(Arc::from(value.as_str()));
        if members.insert(Arc::from(name.as_str()), value).is_some() {
            return Err(ApiError::bad_param(format!("{name} is given twice")));
        }
    }
    Ok(members)
}

/// 400 for a member that is none of these.
pub(crate) fn refuse_unknown(members: &Map, known: &[&str]) -> Result<(), ApiError> {
    match members.keys().find(|name| !known.contains(&name.as_ref())) {
        Some(name) => Err(ApiError::bad_param(format!("unknown member {name}"))),
        None => Ok(()),
    }
}

/// Takes a member that must be a string if it is there; null counts as absent.
pub(crate) fn take_text(members: &mut Map, name: &str) -> Result<Option<String>, ApiError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.to_string())),
        Some(_) => Err(ApiError::bad_param(format!("{name} must be a string"))),
    }
}
