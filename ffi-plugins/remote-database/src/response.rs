//! Responses of family `http` that come as a stream.

use crate::{Failure, failure};
use mix_value::{Value, msgpack};

/// The response whose body came in pieces: its map, the pieces, or a map with the error at the end.
pub fn whole(parts: Vec<Vec<u8>>) -> Result<Vec<u8>, Failure> {
    let parts: Result<Vec<Value>, _> = parts.iter().map(|part| msgpack::decode(part)).collect();
    let mut parts = parts
        .map_err(|error| broken(&error.to_string()))?
        .into_iter();
    let mut response = match parts.next() {
        Some(Value::Map(response)) => response,
        _ => return Err(broken("a response that is no map")),
    };
    let (mut text, mut bytes) = (String::new(), Vec::new());
    let mut is_text = false;
    for part in parts {
        match part {
            Value::String(piece) => {
                is_text = true;
                text.push_str(&piece);
            }
            Value::Binary(piece) => bytes.extend_from_slice(&piece),
            Value::Map(error) => return encoded(Value::Map(error)),
            _ => return Err(broken("a piece of a body of another kind")),
        }
    }
    let body = match is_text {
        true => Value::string(text),
        false => Value::binary(bytes),
    };
    response.insert("body".into(), body);
    encoded(Value::Map(response))
}

fn encoded(value: Value) -> Result<Vec<u8>, Failure> {
    msgpack::encode(&value).map_err(|error| broken(&error.to_string()))
}

fn broken(reason: &str) -> Failure {
    failure(
        "ERR_INTERNAL",
        format!("a response cannot be read: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_in_pieces_are_put_together() {
        let encode = |value: Value| msgpack::encode(&value).unwrap();
        let head = Value::map([("status", Value::Int(200))]);
        let parts = vec![
            encode(head.clone()),
            encode(Value::string("a")),
            encode(Value::string("b")),
        ];
        let response = msgpack::decode(&whole(parts).unwrap()).unwrap();
        assert_eq!(response.get("body"), Some(&Value::string("ab")));
        assert_eq!(response.get("status"), Some(&Value::Int(200)));
        let error = Value::map([("error", Value::string("ERR_TIMEOUT: x"))]);
        let parts = vec![
            encode(head),
            encode(Value::binary(b"a".as_slice())),
            encode(error.clone()),
        ];
        assert_eq!(msgpack::decode(&whole(parts).unwrap()).unwrap(), error);
    }
}
