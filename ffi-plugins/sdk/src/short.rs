//! Calls of at most one block, for a host that stands between (`mix:packed/short` in `wit/packed`).

use std::cell::RefCell;
use std::rc::Rc;

use mix_value::packed::{Received, Short};

use crate::bindings::family::mix::ffi::types;
use crate::bindings::short::exports::mix::packed::short::{Answer, ShortValue};
use crate::function::{Tables, answer_into, find};
use crate::{Failure, Outgoing};

type Answered = Result<Vec<u8>, types::Failure>;

thread_local! {
    /// What the last call answered that is no short value. Whoever called takes it at once.
    static KEPT: RefCell<Option<Answered>> = const { RefCell::new(None) };
}

/// Behind `call`.
pub fn call_short<S>(
    functions: Tables<S>,
    session: impl FnOnce() -> Result<Rc<S>, Failure>,
    number: u32,
    ShortValue { size, bytes }: ShortValue,
) -> Answer {
    // The longer way says what is wrong with such a call.
    let Ok(args) = Received::try_from(Short { size, bytes }) else {
        return Answer::Declined;
    };
    if find(functions, number).is_none() {
        return Answer::Declined;
    }
    let mut answer = Outgoing::default();
    let answered = match answer_into(&mut answer, functions, session, number, args) {
        Ok(()) => match Short::new(&answer) {
            Some(Short { size, bytes }) => return Answer::Value(ShortValue { size, bytes }),
            None => Ok(answer.into_bytes()),
        },
        Err(failure) => Err(failure.into()),
    };
    KEPT.replace(Some(answered));
    Answer::Kept
}

/// Behind `take`.
pub fn take_kept() -> Answered {
    let nothing = || Err(Failure::internal("no answer is kept").into());
    KEPT.take().unwrap_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use mix_value::{Value, msgpack};

    use super::*;
    use crate::{Bytes, Function, IntoValue, Run};

    static ECHO: &[Function<()>] = &[
        Function {
            name: "$test_echo",
            params: 1,
            doc: "Gives back what it gets.",
            run: Run::Call(|_, args, to| args.arguments()?.take::<Bytes>()?.hand_over(to)),
        },
        Function {
            name: "$test_fill",
            params: 1,
            doc: "As many bytes as it is told.",
            run: Run::Call(|_, args, to| {
                let length = args.arguments()?.take::<i64>()?;
                vec![7_u8; length as usize].hand_over(to)
            }),
        },
    ];

    static TABLES: Tables<()> = &[&ECHO];

    /// The answer to one argument; none if the call is declined.
    fn ask(number: u32, argument: &Value) -> Option<Answered> {
        let args = msgpack::encode(&Value::Array(vec![argument.clone()])).expect("encoded");
        let Short { size, bytes } = Short::new(&args)?;
        let args = ShortValue { size, bytes };
        match call_short(TABLES, || Ok(Rc::new(())), number, args) {
            Answer::Value(ShortValue { size, bytes }) => {
                let short = Short { size, bytes };
                Some(Ok(short.get().expect("a true size").to_vec()))
            }
            Answer::Kept => Some(take_kept()),
            Answer::Declined => None,
        }
    }

    #[test]
    fn answers_of_any_length_come_one_way_or_the_other() {
        for length in 0..100 {
            let filled = ask(1, &Value::Int(length))
                .expect("called")
                .expect("filled");
            let expected = Value::Binary(vec![7; length as usize].into());
            assert_eq!(msgpack::decode(&filled), Ok(expected));
            assert!(take_kept().is_err(), "it is taken once");
        }
    }

    #[test]
    fn failures_are_kept_and_what_is_not_there_is_declined() {
        let failed = ask(0, &Value::Bool(true)).expect("called");
        assert_eq!(failed.expect_err("no binary").code, "ERR_EXPECTED_BINARY");
        assert!(ask(2, &Value::Null).is_none());
        let forged = ShortValue {
            size: 33,
            bytes: Default::default(),
        };
        let answer = call_short(TABLES, || Ok(Rc::new(())), 0, forged);
        assert!(matches!(answer, Answer::Declined));
    }
}
