//! What a plugin keeps between calls, as programs hold it.

use mix_value::Value;

use crate::{Answer, Encoded, Failure, IntoAnswer, IntoValue};

/// Names something that the instance keeps: an open file, a model, a connection.
///
/// Programs pass it back and can do nothing else with it: they cannot look inside, store it or send it away.
/// It is good for the run that got it; its number means nothing elsewhere, so whoever
/// takes one looks whether there is such a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub u64);

impl IntoValue for Handle {
    fn encode(self) -> Result<Encoded, Failure> {
        Value::Handle(self.0).encode()
    }
}

impl IntoAnswer for Handle {
    fn into_answer(self) -> Result<Answer, Failure> {
        self.encode().map(Answer::One)
    }
}

#[cfg(test)]
mod tests {
    use mix_value::msgpack;

    use super::*;
    use crate::Incoming;

    #[test]
    fn a_handle_comes_back_as_it_left() {
        let Encoded(bytes) = vec![Handle(7)].encode().unwrap();
        assert_eq!(
            msgpack::decode(&bytes).unwrap(),
            Value::Array(vec![Value::Handle(7)])
        );
        let mut incoming = Incoming::new("$test", 1, bytes);
        let mut arguments = incoming.arguments().unwrap();
        assert_eq!(arguments.take(), Ok(Handle(7)));
        let bytes = msgpack::encode(&Value::Array(vec![Value::Int(7)])).unwrap();
        let mut incoming = Incoming::new("$test", 1, bytes);
        let mut arguments = incoming.arguments().unwrap();
        let failure = arguments.take::<Handle>().unwrap_err();
        assert_eq!(failure.code, "ERR_EXPECTED_OPAQUE");
    }
}
