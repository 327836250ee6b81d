//! Records to save as arguments.

use mix_plugin_sdk::mix_value::msgpack::{self, Reader};
use mix_plugin_sdk::{FromArgument, Mismatch, Value};
use mix_store::{Draft, PlainReader};

/// A record that a call wants to save, which mostly needs not become a value.
#[derive(Debug, Clone)]
pub(crate) struct Input(pub Draft);

impl From<Value> for Input {
    fn from(value: Value) -> Input {
        Input(value.into())
    }
}

impl FromArgument for Input {
    fn from_argument(value: Value) -> Result<Input, Mismatch> {
        Ok(value.into())
    }

    fn from_wire(bytes: &[u8]) -> Option<(Input, usize)> {
        let (plain, length) = PlainReader::default().read(bytes)?;
        Some((Input(Draft::Plain(plain)), length))
    }

    fn list_from_wire(bytes: &[u8]) -> Option<(Vec<Input>, usize)> {
        let (count, mut position) = msgpack::array_start(bytes).ok()??;
        let mut plain = PlainReader::default();
        let mut inputs = Vec::new();
        for _ in 0..count {
            let rest = bytes.get(position..)?;
            if let Some((record, length)) = plain.read(rest) {
                inputs.push(Input(Draft::Plain(record)));
                position += length;
                continue;
            }
            let mut reader = Reader::at(bytes, position);
            inputs.push(msgpack::decode_next(&mut reader).ok()?.into());
            position = reader.position();
        }
        Some((inputs, position))
    }

    // Whether it can be saved is the store's to say.
    const ACCEPTS_UNDEFINED: bool = Value::ACCEPTS_UNDEFINED;
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::mix_value::Ref;
    use mix_plugin_sdk::{Failure, Incoming, Map};

    use super::*;

    fn incoming(values: &[Value]) -> Incoming {
        let bytes = msgpack::encode(&Value::Array(values.to_vec())).expect("encodes");
        Incoming::new("$test", values.len() as u8, bytes)
    }

    /// For each record of a list whether it stays encoded.
    fn taken(values: &[Value]) -> Result<Vec<bool>, Failure> {
        let mut incoming = incoming(&[Value::Array(values.to_vec()), Value::Int(7)]);
        let mut arguments = incoming.arguments()?;
        let inputs: Vec<Input> = arguments.take()?;
        assert_eq!(arguments.take::<Value>(), Ok(Value::Int(7)));
        let one = |(input, value): (&Input, &Value)| {
            if let Draft::Value(decoded) = &input.0 {
                assert_eq!(decoded, value);
            }
            matches!(input.0, Draft::Plain(_))
        };
        assert_eq!(inputs.len(), values.len());
        Ok(inputs.iter().zip(values).map(one).collect())
    }

    #[test]
    fn records_of_both_kinds_come_in_order() {
        let id = Ref::new("0123456789abcdefghijABCDEFGHIJ00").expect("a ref");
        let plain = Value::map([("a", Value::Int(1)), ("b", Value::from("two"))]);
        let other = Value::map([("_rmx_id", Value::Ref(id)), ("b", Value::from("two"))]);
        let nested = Value::map([("a", plain.clone())]);
        let empty = Value::Map(Map::new());
        for (values, expected) in [
            (vec![], vec![]),
            (vec![plain.clone(), empty.clone()], vec![true, true]),
            (
                vec![other.clone(), plain.clone(), nested.clone(), empty.clone()],
                vec![false, true, false, true],
            ),
            (
                vec![Value::Int(1), Value::Undefined, plain.clone()],
                vec![false, false, true],
            ),
        ] {
            assert_eq!(taken(&values), Ok(expected));
        }
        for (value, is_plain) in [(plain, true), (other, false), (Value::Int(1), false)] {
            let mut incoming = incoming(&[value]);
            let mut arguments = incoming.arguments().expect("as many");
            let input: Input = arguments.take().expect("any value");
            assert_eq!(matches!(input.0, Draft::Plain(_)), is_plain);
        }
        let mut incoming = incoming(&[Value::Int(1)]);
        let mut arguments = incoming.arguments().expect("as many");
        let failed = arguments.take::<Vec<Input>>();
        assert_eq!(failed.expect_err("no list").code, "ERR_EXPECTED_ARRAY");
    }
}
