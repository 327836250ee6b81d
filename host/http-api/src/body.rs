//! Bodies of requests as values.

use crate::error::ApiError;
use crate::form::{parse_pairs, twice};
use crate::head::Head;
use crate::json;
use mix_value::escjson::UndefinedMembers;
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

/// 501 for a body that comes in another form than in chunks: what it says would be read as something else. A proxy in front may see
/// its end elsewhere, so the connection serves no further request.
pub(crate) fn check_transfer(head: &Head) -> Result<(), ApiError> {
    let transfer = head.all("transfer-encoding", ",");
    let transfer = transfer.trim();
    if transfer.is_empty() || transfer.eq_ignore_ascii_case("chunked") {
        return Ok(());
    }
    let message = "send the body with Transfer-Encoding: chunked and no other coding, or with its Content-Length";
    let mut error = ApiError::new(501, "bad_transfer_coding", message);
    error.headers = vec![("connection", "close".to_owned())];
    Err(error)
}

/// 415 for a text in another encoding than UTF-8, of which ASCII is a part.
pub(crate) fn check_charset(head: &Head) -> Result<(), ApiError> {
    let charset = head.media_parameter("charset").unwrap_or_default();
    let is_known = ["", "utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known));
    if is_known {
        return Ok(());
    }
    Err(ApiError::new(
        415,
        "bad_media_type",
        "send the body in UTF-8",
    ))
}

/// A JSON or MessagePack body; none is `{}`.
pub(crate) fn value(head: &Head, body: &[u8]) -> Result<Value, ApiError> {
    value_with(head, body, UndefinedMembers::Drop)
}

/// The same, with what may be undefined in JSON. MessagePack says it in any place.
pub(crate) fn value_with(
    head: &Head,
    body: &[u8],
    undefined: UndefinedMembers,
) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Map(Map::new()));
    }
    match head.media_type().as_deref() {
        Some("application/json") => {
            check_charset(head)?;
            json::tagged(body, undefined)
        }
        Some("application/msgpack") => packed(body),
        _ => Err(ApiError::new(
            415,
            "bad_media_type",
            "send application/json or application/msgpack as Content-Type",
        )),
    }
}

/// A MessagePack body. It can carry what JSON cannot, and nobody may send.
pub(crate) fn packed(body: &[u8]) -> Result<Value, ApiError> {
    let bad = |message: String| ApiError::new(400, "bad_value", message);
    let value =
        msgpack::decode(body).map_err(|error| bad(format!("the body is no value: {error}")))?;
    if has_opaque(&value) {
        return Err(bad("tokens and handles cannot be sent".to_owned()));
    }
    Ok(value)
}

fn has_opaque(value: &Value) -> bool {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Token(_) | Value::Handle(_) => return true,
            Value::Array(items) => left.extend(items),
            Value::Map(map) => left.extend(map.values()),
            Value::Case(case) => left.extend(case.argument.as_deref()),
            _ => {}
        }
    }
    false
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
    check_charset(head)?;
    let text =
        std::str::from_utf8(body).map_err(|_| ApiError::bad_param("the form is not UTF-8"))?;
    let mut members = Map::new();
    for (name, value) in parse_pairs(text)? {
        let value = Value::String(Arc::from(value.as_str()));
        if members.insert(Arc::from(name.as_str()), value).is_some() {
            return Err(twice(&name));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_not_sent_in_any_form() {
        let token = Value::Token(mix_value::Token::Reference(1));
        let members = Value::map([("a", Value::Array(vec![token]))]);
        let body = msgpack::encode(&members).expect("encoded");
        let kind = ("content-type".to_owned(), "application/msgpack".to_owned());
        let head = Head {
            headers: vec![kind],
            ..Head::default()
        };
        assert_eq!(
            value(&head, &body).map_err(|error| error.code),
            Err("bad_value")
        );
    }

    #[test]
    fn texts_are_utf_8() {
        let judged = |media_type: &str| {
            let head = Head {
                headers: vec![("content-type".to_owned(), media_type.to_owned())],
                ..Head::default()
            };
            let body = match media_type.starts_with(FORM) {
                true => object_or_form(&head, b"a=1"),
                false => object(&head, br#"{"a":1}"#),
            };
            body.map(|members| members.len())
                .map_err(|error| (error.status, error.code))
        };
        for good in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON; Charset=\"UTF-8\"",
            "application/json; charset=us-ascii; profile=x",
            "application/x-www-form-urlencoded; charset=UTF-8",
        ] {
            assert_eq!(judged(good), Ok(1), "{good}");
        }
        for other in [
            "application/json; charset=utf-16",
            "application/json; charset=iso-8859-1",
            "application/x-www-form-urlencoded; charset=latin1",
        ] {
            assert_eq!(judged(other), Err((415, "bad_media_type")), "{other}");
        }
    }
}
