//! Registered queries: records that hold a query under a name. They run without any code.

use crate::error::ApiError;
use crate::run::AgentRun;
use mix_value::{Map, Value, escjson, msgpack};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Kind of their records.
pub const KIND: &str = "cloud_query";

/// Members of a record, and what they are called in a request to the query endpoint.
const OPTIONS: [(&str, &str); 4] = [
    ("skip", "skip"),
    ("limit", "limit"),
    ("include_superseded", "includeSuperseded"),
    ("include_deleted", "includeDeleted"),
];

/// The request to the query endpoint that runs one: the caller's parameters over the declared defaults.
pub fn request(record: &Map, run: &AgentRun) -> Result<Value, ApiError> {
    let Ok(Value::Map(mut params)) = msgpack::decode(&run.params) else {
        return Err(ApiError::internal());
    };
    let Some(ast) = record.get("ast") else {
        let message = "the registered query has no ast";
        return Err(ApiError::new(500, "internal", message));
    };
    let mut request = Map::from([(Arc::from("queryAST"), ast.clone())]);
    for (stored, wanted) in OPTIONS {
        if let Some(value) = record.get(stored) {
            request.insert(Arc::from(wanted), value.clone());
        }
    }
    let mut values = defaults(record);
    if run.has_texts {
        read_texts(ast, &values, &mut params)?;
    }
    values.extend(params);
    request.insert(Arc::from("params"), Value::Map(values));
    Ok(Value::Map(request))
}

/// Texts that stand for something else because a query string cannot say it: numbers where the query wants one, and what has a
/// number or a truth value as its default.
fn read_texts(ast: &Value, defaults: &Map, params: &mut Map) -> Result<(), ApiError> {
    let counts = counts(ast);
    for (name, value) in params {
        let Value::String(text) = &*value else {
            continue;
        };
        let default = defaults.get(name);
        let is_number = |value: &Value| matches!(value, Value::Int(_) | Value::Float(_));
        let (read, wanted) = if counts.contains(&**name) || default.is_some_and(is_number) {
            let number = escjson::parse_plain(text).ok().filter(is_number);
            (number, "a number")
        } else if let Some(Value::Bool(_)) = default {
            (text.parse().ok().map(Value::Bool), "true or false")
        } else {
            continue;
        };
        *value = read.ok_or_else(|| {
            let message = format!("parameter {name} of the query must be {wanted}");
            ApiError::new(400, "bad_value", message)
        })?;
    }
    Ok(())
}

/// Names of the parameters that say how many results are skipped or wanted.
fn counts(ast: &Value) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut left = vec![ast];
    while let Some(node) = left.pop() {
        let Some(items) = node.as_array() else {
            continue;
        };
        left.extend(items);
        if let [opcode, function, arguments] = items
            && opcode.as_str() == Some("invoke")
            && matches!(function.as_str(), Some("skip" | "limit"))
            && let Some([argument]) = arguments.as_array()
            && let Some([opcode, name]) = argument.as_array()
            && opcode.as_str() == Some("param")
        {
            names.extend(name.as_str());
        }
    }
    names
}

/// The output of one, by the answer to its request.
pub fn output(answer: Value) -> Result<Value, ApiError> {
    match answer {
        Value::Map(mut answer) => match answer.remove("rows") {
            Some(rows @ Value::Array(_)) => Ok(Value::map([("result", rows)])),
            _ => Err(ApiError::internal()),
        },
        _ => Err(ApiError::internal()),
    }
}

/// Declared values of its parameters.
pub fn defaults(record: &Map) -> Map {
    match record.get("params") {
        Some(Value::Map(defaults)) => defaults.clone(),
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_result() {
        let answer = Value::map([("rows", Value::Array(vec![Value::Int(1)]))]);
        let output = output(answer).expect("rows");
        let rows = output.get("result").and_then(Value::as_array);
        assert_eq!(rows, Some(&[Value::Int(1)][..]));
        assert!(super::output(Value::Null).is_err());
    }

    #[test]
    fn texts_are_read_as_what_the_query_wants() {
        let ast = r#"[["comparison","==",["token","a"],["param","a"]],
            ["invoke","skip",[["param","from"]]],["invoke","limit",[["param","top"]]]]"#;
        let ast = escjson::parse_plain(ast).expect("JSON");
        let defaults = Map::from([
            (Arc::from("year"), Value::Int(2000)),
            (Arc::from("all"), Value::Bool(false)),
            (Arc::from("name"), Value::from("5")),
        ]);
        let read = |name: &str, text: &str| {
            let mut params = Map::from([(Arc::from(name), Value::from(text))]);
            let read = read_texts(&ast, &defaults, &mut params);
            read.map(|()| params[name].clone())
                .map_err(|error| error.code)
        };
        for (name, text, value) in [
            ("top", "3", Ok(Value::Int(3))),
            ("from", "1", Ok(Value::Int(1))),
            ("year", "1999.5", Ok(Value::float(1999.5))),
            ("all", "true", Ok(Value::Bool(true))),
            ("a", "1", Ok(Value::from("1"))),
            ("name", "1", Ok(Value::from("1"))),
            ("top", "many", Err("bad_value")),
            ("year", "", Err("bad_value")),
            ("year", "[1]", Err("bad_value")),
            ("all", "yes", Err("bad_value")),
        ] {
            assert_eq!(read(name, text), value, "{name}={text}");
        }
    }

    #[test]
    fn what_is_declared_is_a_default() {
        let params = Value::map([("n", Value::Int(2))]);
        let record = Map::from([(Arc::from("params"), params)]);
        assert_eq!(defaults(&record).get("n"), Some(&Value::Int(2)));
        assert!(defaults(&Map::new()).is_empty());
    }
}
