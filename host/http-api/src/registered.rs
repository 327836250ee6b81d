//! Registered queries: records that hold a query under a name. They run without any code.

use crate::error::ApiError;
use crate::run::AgentRun;
use mix_value::{Map, Value, msgpack};
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
    let Ok(Value::Map(params)) = msgpack::decode(&run.params) else {
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
    values.extend(params);
    request.insert(Arc::from("params"), Value::Map(values));
    Ok(Value::Map(request))
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
    fn what_is_declared_is_a_default() {
        let params = Value::map([("n", Value::Int(2))]);
        let record = Map::from([(Arc::from("params"), params)]);
        assert_eq!(defaults(&record).get("n"), Some(&Value::Int(2)));
        assert!(defaults(&Map::new()).is_empty());
    }
}
