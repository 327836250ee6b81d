//! Ids of records as arguments.

use mix_plugin_sdk::mix_value::WELL_FORMED_LEN;
use mix_plugin_sdk::mix_value::msgpack::{self, Token};
use mix_plugin_sdk::{Failure, FromArgument, Mismatch, Value};
use mix_store::id_argument;

use crate::failures::failure;

/// An id of a record, which has no memory of its own if it is as long as those that are stored.
#[derive(Debug, Clone)]
pub(crate) enum Id {
    /// The bytes of a text of that length.
    Whole([u8; WELL_FORMED_LEN]),
    /// Any other, or no id at all.
    Other(Value),
}

impl Id {
    /// Does something with the text of the id.
    pub fn with_text<R>(
        &self,
        work: impl FnOnce(&str) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        match self {
            // They come from a text.
            Id::Whole(bytes) => work(std::str::from_utf8(bytes).unwrap_or_default()),
            Id::Other(value) => work(id_argument(value).map_err(failure)?.as_str()),
        }
    }

    fn of_text(text: &str) -> Option<Id> {
        text.as_bytes().try_into().ok().map(Id::Whole)
    }
}

impl From<Value> for Id {
    fn from(value: Value) -> Id {
        Id::Other(value)
    }
}

impl FromArgument for Id {
    fn from_argument(value: Value) -> Result<Id, Mismatch> {
        Ok(value.into())
    }

    fn from_token(token: &Token<'_>) -> Option<Id> {
        match token {
            Token::Ref(text) | Token::Str(text) => Id::of_text(text),
            _ => None,
        }
    }

    fn list_from_wire(bytes: &[u8]) -> Option<(Vec<Id>, usize)> {
        let (count, mut position) = msgpack::array_start(bytes).ok()??;
        // Never room for more than came.
        let mut ids = Vec::with_capacity(count.min(bytes.len() / WELL_FORMED_LEN));
        for _ in 0..count {
            let (token, length) = msgpack::short(bytes.get(position..)?)?;
            ids.push(Id::from_token(&token)?);
            position += length;
        }
        Some((ids, position))
    }

    // Which of the codes of the store it is that tells.
    const ACCEPTS_UNDEFINED: bool = true;
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::Incoming;
    use mix_plugin_sdk::mix_value::Ref;

    use super::*;

    /// The ids of a list, by whatever way it comes.
    fn taken(values: &[Value]) -> Result<Vec<String>, Failure> {
        let arguments = Value::Array(vec![Value::Array(values.to_vec()), Value::Null]);
        let bytes = msgpack::encode(&arguments).expect("encoded");
        let mut incoming = Incoming::new("$test", 2, bytes);
        let mut arguments = incoming.arguments()?;
        let ids: Vec<Id> = arguments.take()?;
        assert_eq!(arguments.take::<Value>(), Ok(Value::Null));
        let texts = ids
            .iter()
            .map(|id| id.with_text(|text| Ok(text.to_owned())));
        texts.collect()
    }

    #[test]
    fn ids_of_any_length_come_in_order() {
        let whole = "0123456789abcdefghijABCDEFGHIJ--";
        let refer = |text: &str| Value::Ref(Ref::new(text).expect("a ref"));
        for others in [
            vec![],
            vec![refer("p")],
            vec![Value::from("a text")],
            vec![refer(&"x".repeat(256))],
            vec![refer(whole); 300],
        ] {
            let mut values = vec![refer(whole), Value::from(whole)];
            values.extend(others);
            let expected: Vec<String> = values
                .iter()
                .map(|id| id_argument(id).expect("an id").as_str().to_owned())
                .collect();
            assert_eq!(taken(&values), Ok(expected));
        }
        assert_eq!(taken(&[]), Ok(Vec::new()));
        for wrong in [Value::Int(1), Value::from(""), Value::Undefined] {
            let failed = taken(&[refer(whole), wrong.clone()]).expect_err("no id");
            assert_eq!(failed.code, "ERR_EXPECTED_REF", "{wrong:?}");
        }
    }
}
