//! Agent parameters from a query string or a body.

use crate::body::{check_charset, packed};
use crate::control::Control;
use crate::error::ApiError;
use crate::form::parse_pairs;
use crate::head::Head;
use crate::json;
use crate::multipart;
use crate::plan::Settings;
use mix_value::{Map, Value};
use std::sync::Arc;

/// Deepest nesting of `a[b][c]=d`.
const MAX_FORM_DEPTH: usize = 128;

/// Parameters of a GET: every value a string, a repeated name an array of strings.
pub(crate) fn of_query(pairs: Vec<(String, String)>) -> Value {
    let mut map = Map::new();
    for (name, value) in pairs {
        add_repeated(&mut map, &name, text(&value));
    }
    Value::Map(map)
}

/// Whether a body is a form, whose values are texts as those of a query string.
pub(crate) fn is_form(head: &Head) -> bool {
    matches!(
        head.media_type().as_deref(),
        Some("application/x-www-form-urlencoded" | "multipart/form-data")
    )
}

fn add_repeated(map: &mut Map, name: &str, value: Value) {
    match map.get_mut(name) {
        None => {
            map.insert(Arc::from(name), value);
        }
        Some(Value::Array(items)) => items.push(value),
        Some(found) => {
            let first = std::mem::replace(found, Value::Null);
            *found = Value::Array(vec![first, value]);
        }
    }
}

/// Parameters of a POST.
pub(crate) fn of_body(
    settings: &Settings,
    head: &Head,
    control: &Control,
    body: &[u8],
) -> Result<Value, ApiError> {
    let media_type = head.media_type();
    if body.is_empty() && !control.include_raw_body {
        return Ok(Value::Map(Map::new()));
    }
    let value = match media_type.as_deref() {
        Some("application/json") => {
            check_charset(head)?;
            limit(settings, body.len())?;
            if body.is_empty() {
                return Ok(Value::Map(Map::new()));
            }
            json::body(
                body,
                control.input_tags.unwrap_or(!control.include_raw_body),
            )?
        }
        Some("application/msgpack") => {
            limit(settings, body.len())?;
            packed(body)?
        }
        Some("application/x-www-form-urlencoded") => {
            check_charset(head)?;
            limit(settings, body.len())?;
            let text = std::str::from_utf8(body)
                .map_err(|_| ApiError::bad_param("the form is not UTF-8"))?;
            of_form(parse_pairs(text)?)?
        }
        Some("multipart/form-data") => {
            let boundary = head.media_parameter("boundary").unwrap_or_default();
            let mut map = Map::new();
            for (name, value) in multipart::parse(body, &boundary)? {
                add_repeated(&mut map, &name, value);
            }
            Value::Map(map)
        }
        _ if control.include_raw_body => Value::Map(Map::new()),
        _ => return Err(bad_media_type()),
    };
    match &value {
        Value::Map(_) => {}
        _ => return Err(ApiError::bad_param("agent parameters must be an object")),
    }
    Ok(value)
}

/// 413 `params_too_large` above the limit.
pub(crate) fn limit(settings: &Settings, bytes: usize) -> Result<(), ApiError> {
    if bytes as u64 > settings.params_limit {
        return Err(ApiError::new(
            413,
            "params_too_large",
            format!(
                "the parameters are larger than {} bytes",
                settings.params_limit
            ),
        ));
    }
    Ok(())
}

/// 415.
pub(crate) fn bad_media_type() -> ApiError {
    ApiError::new(
        415,
        "bad_media_type",
        "send application/json, application/msgpack or a form as Content-Type",
    )
}

/// `a=1`, `a[b]=c` (maps), `a[]=c` (arrays).
fn of_form(pairs: Vec<(String, String)>) -> Result<Value, ApiError> {
    let mut root = Map::new();
    for (name, value) in pairs {
        let (first, keys) = form_path(&name);
        if keys.is_empty() {
            add_repeated(&mut root, first, text(&value));
            continue;
        }
        if keys.len() >= MAX_FORM_DEPTH {
            return Err(ApiError::bad_param("form names are nested too deeply"));
        }
        let slot = root.entry(Arc::from(first)).or_insert(Value::Undefined);
        put(slot, &keys, text(&value), &name)?;
    }
    Ok(Value::Map(root))
}

/// `a[b][]` as `a` and `["b", ""]`; a name without well-formed brackets is one plain name.
fn form_path(name: &str) -> (&str, Vec<&str>) {
    let Some(open) = name.find('[').filter(|at| *at > 0) else {
        return (name, Vec::new());
    };
    let mut keys = Vec::new();
    let mut rest = &name[open..];
    while let Some(inner) = rest.strip_prefix('[') {
        let Some(close) = inner.find(']') else {
            return (name, Vec::new());
        };
        keys.push(&inner[..close]);
        rest = &inner[close + 1..];
    }
    if rest.is_empty() {
        (&name[..open], keys)
    } else {
        (name, Vec::new())
    }
}

/// Walks down without recursion; `Undefined` marks a slot not yet used.
fn put(slot: &mut Value, keys: &[&str], value: Value, name: &str) -> Result<(), ApiError> {
    let clash = || ApiError::bad_param(format!("form name {name} is used in two ways"));
    let mut slot = slot;
    for key in keys {
        if matches!(slot, Value::Undefined) {
            *slot = if key.is_empty() {
                Value::Array(Vec::new())
            } else {
                Value::Map(Map::new())
            };
        }
        slot = match slot {
            Value::Map(map) if !key.is_empty() => {
                map.entry(Arc::from(*key)).or_insert(Value::Undefined)
            }
            Value::Array(items) if key.is_empty() => {
                items.push(Value::Undefined);
                items.last_mut().ok_or_else(clash)?
            }
            _ => return Err(clash()),
        };
    }
    match slot {
        Value::Undefined => {
            *slot = value;
            Ok(())
        }
        _ => Err(clash()),
    }
}

fn text(value: &str) -> Value {
    Value::String(Arc::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> String {
        let value = of_form(parse_pairs(body).expect("well formed")).expect("consistent");
        mix_value::escjson::format(&value).expect("plain")
    }

    #[test]
    fn forms_nest() {
        assert_eq!(
            form("a=1&a=2&b[c]=3&b[d][e]=4&f[]=5&f[]=6"),
            r#"{"a":["1","2"],"b":{"c":"3","d":{"e":"4"}},"f":["5","6"]}"#
        );
        assert_eq!(form("[x]=1&a[b=2"), r#"{"[x]":"1","a[b":"2"}"#);
        assert!(of_form(parse_pairs("a[b]=1&a[]=2").expect("pairs")).is_err());
    }
}
