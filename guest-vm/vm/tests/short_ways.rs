//! Foreign functions that may wait and need not always.

mod support;

use mix_value::packed::Received;
use mix_value::{Value, msgpack};
use mix_vm::{Event, ForeignCall, Host, HostFailure, Pending, Reply, Step};
use support::{Signature, arguments, asking, failed};

/// A family in which `$t_get` and `$t_all` have short ways.
const FUNCTIONS: [Signature; 8] = [
    ("$t_get", 1, true),
    ("$t_get?", 1, false),
    ("$t_all", 1, true),
    ("$t_all*", 1, false),
    ("$t_slow", 1, true),
    // Takes other arguments, so it is none.
    ("$t_slow?", 2, false),
    ("$t_own", 1, true),
    // Of another family, so it is none.
    (FOREIGN, 1, false),
];

/// A function of another family that is called like a short way of this one.
const FOREIGN: &str = "$t_own?";

/// What the short ways give, and which calls were made.
#[derive(Default)]
struct Family {
    closed: bool,
    calls: Vec<String>,
}

fn name_of(function: u32) -> &'static str {
    FUNCTIONS[function as usize].0
}

fn argument(args: &[u8]) -> Value {
    arguments(args).remove(0)
}

impl Host for Family {
    fn call(&mut self, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
        call.answer = self.answer_at_once(call.function, call.args)?;
        Ok(())
    }
}

impl Family {
    fn answer_at_once(&mut self, function: u32, args: &[u8]) -> Result<Received, HostFailure> {
        let name = name_of(function);
        let argument = argument(args);
        self.calls.push(format!("{name}{argument:?}"));
        match argument {
            _ if self.closed => Err(failed("ERR_WAITS")),
            Value::String(code) => Err(failed(&code)),
            number if name == "$t_all*" => {
                let items = Value::Array(vec![number, Value::Int(8)]);
                Ok(msgpack::encode(&items).expect("encodes").into())
            }
            number => Ok(msgpack::encode(&number).expect("encodes").into()),
        }
    }
}

/// Runs a program whose output is an expression over `get`, `all` and `slow`; gives the result,
/// the calls that were made at once, and the functions that were started.
fn run(expression: &str, closed: bool) -> (String, Vec<String>, Vec<&'static str>) {
    let declarations = r#"
  foreign def get : data -> data = "$t_get"
  foreign def all : data -> stream(data) = "$t_all"
  foreign def slow : data -> data = "$t_slow"
  foreign def own : data -> data = "$t_own""#;
    let family = |name: &str| u32::from(name == FOREIGN);
    let mut session = asking(declarations, expression, &FUNCTIONS, family);
    let mut family = Family {
        closed,
        ..Family::default()
    };
    let mut started = Vec::new();
    for _ in 0..1_000 {
        match session.run(&mut family, 1 << 20) {
            Step::Event(Event::Result(value)) => {
                let value = msgpack::decode(&value).expect("a value");
                return (format!("{value:?}"), family.calls, started);
            }
            Step::Event(Event::Issue(issue)) => return (issue.code, family.calls, started),
            Step::Waiting(requests) => {
                for request in requests {
                    match request {
                        Pending::Start {
                            call,
                            function,
                            args,
                        } => {
                            started.push(name_of(function));
                            let value = msgpack::encode(&argument(&args)).expect("encodes");
                            let reply = match name_of(function) {
                                "$t_all" => Reply::Many(call),
                                _ => Reply::One(value.into()),
                            };
                            session.resume(call, reply);
                        }
                        Pending::Pull { call, .. } => {
                            let items = vec![vec![7], vec![8]];
                            session.resume(call, Reply::Batch { items, end: true });
                        }
                    }
                }
            }
            _ => {}
        }
    }
    panic!("runs for ever")
}

#[test]
fn what_need_not_wait_is_not_started() {
    let short = run("t.get(7)", false);
    assert_eq!(
        short,
        ("Int(7)".into(), vec!["$t_get?Int(7)".into()], vec![])
    );
    let (value, calls, started) = run("stream.toArray(t.all(7))", false);
    assert_eq!(value, "Array([Int(7), Int(8)])");
    assert_eq!((calls.len(), started.len()), (1, 0));
}

#[test]
fn what_must_wait_is_started() {
    let (value, calls, started) = run("t.get(7)", true);
    assert_eq!(value, "Int(7)");
    assert_eq!(
        (calls, started),
        (vec!["$t_get?Int(7)".to_owned()], vec!["$t_get"])
    );
    let (value, _, started) = run("stream.toArray(t.all(7))", true);
    assert_eq!(
        (value.as_str(), started),
        ("Array([Int(7), Int(8)])", vec!["$t_all"])
    );
}

#[test]
fn a_failure_of_the_short_way_is_that_of_the_function() {
    let (code, _, started) = run(r#"t.get("ERR_IO")"#, false);
    assert_eq!((code.as_str(), started.len()), ("ERR_IO", 0));
    let (_, _, started) = run(r#"t.get("ERR_WAITS")"#, false);
    assert_eq!(started, ["$t_get"]);
}

#[test]
fn a_function_with_other_arguments_is_no_short_way() {
    let (value, calls, started) = run("t.slow(7)", false);
    assert_eq!(
        (value.as_str(), calls.len(), started),
        ("Int(7)", 0, vec!["$t_slow"])
    );
}

#[test]
fn a_function_of_another_family_is_no_short_way() {
    let (value, calls, started) = run("t.own(7)", false);
    assert_eq!(
        (value.as_str(), calls.len(), started),
        ("Int(7)", 0, vec!["$t_own"])
    );
}

#[test]
fn a_foreign_function_does_not_choose_codes_of_the_language() {
    let code = |code: &str| run(&format!("try t.get(\"{code}\")"), false).0;
    assert!(code("ERR_GONE").contains("ERR_GONE: it failed"));
    assert!(code("WEATHER_2").contains("WEATHER_2: it failed"));
    for odd in ["RT_TIMEOUT", "RT_FAIL", "err", "ERR-X", "2", ""] {
        let caught = code(odd);
        assert!(
            caught.contains("ERR_INTERNAL: ") && caught.contains("it failed"),
            "{odd}: {caught}"
        );
    }
}
