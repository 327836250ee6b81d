//! Reported errors.

use mix_plugin_sdk::{Failure, Value};

/// The array `mixStack` of a raw backtrace: itself, or that member of a map.
pub fn decode(backtrace: Value) -> Result<Value, Failure> {
    match backtrace {
        Value::Array(frames) => Ok(Value::Array(frames)),
        Value::Map(mut map) => match map.remove("mixStack") {
            Some(Value::Array(frames)) => Ok(Value::Array(frames)),
            None | Some(Value::Null | Value::Undefined) => Ok(Value::Array(Vec::new())),
            Some(other) => Err(expected_array(&other)),
        },
        Value::Null | Value::Undefined => Ok(Value::Array(Vec::new())),
        other => Err(expected_array(&other)),
    }
}

fn expected_array(found: &Value) -> Failure {
    Failure::new(
        "ERR_EXPECTED_ARRAY",
        format!("a backtrace is an array of frames, not {}", found.kind()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_frames() {
        let frames = Value::Array(vec![Value::map([("line", Value::Int(3))])]);
        assert_eq!(decode(frames.clone()).unwrap(), frames);
        assert_eq!(
            decode(Value::map([("mixStack", frames.clone())])).unwrap(),
            frames
        );
        assert_eq!(
            decode(Value::map([("code", Value::Null)])).unwrap(),
            Value::Array(vec![])
        );
        assert_eq!(
            decode(Value::Int(1)).unwrap_err().code,
            "ERR_EXPECTED_ARRAY"
        );
    }
}
