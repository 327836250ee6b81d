//! Streams whose items come in parts.

mod support;

use mix_value::packed::Received;
use mix_value::{Value, msgpack};
use mix_vm::{Event, ForeignCall, Host, HostFailure, Pending, Reply, Step};
use support::{Signature, arguments, asking, failed};

const FUNCTIONS: [Signature; 9] = [
    ("$t_all", 2, true),
    ("$t_all>", 2, true),
    ("$t_all>?", 2, false),
    ("$t_all>>", 3, true),
    ("$t_all>>?", 3, false),
    // Takes too few arguments, so there are no parts.
    ("$t_odd", 1, true),
    ("$t_odd>", 1, true),
    ("$t_odd>>", 2, true),
    ("$t_all*", 2, false),
];

/// What a family does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// Everything by the short ways.
    Short,
    /// Nothing by the short ways.
    Long,
    /// The first part by the short way, of the others every second one.
    Both,
    /// There are no parts at present.
    Whole,
    /// The third part fails.
    Failing,
    /// Parts are empty, for ever.
    Empty,
    /// Parts without a mark.
    Malformed,
}

/// A family with a stream of `0..count`, in parts of 10 and more.
struct Family {
    how: How,
    calls: Vec<String>,
    turn: bool,
}

fn int(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

impl Family {
    /// A part from `from` on, at most so many items of `count` ones.
    fn part(&self, count: i64, from: i64, most: i64) -> Result<Vec<u8>, HostFailure> {
        if self.how == How::Failing && from >= 20 {
            return Err(failed("ERR_IO"));
        }
        let most = if self.how == How::Empty { 0 } else { most };
        let end = count.min(from + most);
        let mark = if end < count { mark(end) } else { Value::Null };
        let items = (from..end).map(Value::Int);
        let mut items: Vec<Value> = std::iter::once(mark).chain(items).collect();
        if self.how == How::Malformed && from > 0 {
            items.clear();
        }
        Ok(msgpack::encode(&Value::Array(items)).expect("encodes"))
    }

    /// What a function answers, whether it is called or started.
    fn answer(&mut self, name: &str, args: &[u8]) -> Result<Vec<u8>, HostFailure> {
        let args = arguments(args);
        let subject = args[0].as_str().unwrap_or("?").to_owned();
        assert_eq!(subject, "of", "what the stream was asked of");
        if name.contains(">>") {
            let from = int(args[1].get("from").expect("the mark"));
            let most = int(&args[2]);
            self.calls.push(format!("{from}+{most}"));
            return self.part(1_000_000, from, most.min(10));
        }
        self.calls.push(name.to_owned());
        self.part(int(&args[1]), 0, 10)
    }
}

/// A mark is any value.
fn mark(from: i64) -> Value {
    Value::map([("from", Value::Int(from))])
}

impl Host for Family {
    fn call(&mut self, call: &mut ForeignCall<'_>) -> Result<(), Box<HostFailure>> {
        call.answer = self.answer_at_once(call.function, call.args)?;
        Ok(())
    }
}

impl Family {
    fn answer_at_once(&mut self, function: u32, args: &[u8]) -> Result<Received, HostFailure> {
        let name = FUNCTIONS[function as usize].0;
        assert!(name.ends_with('?'), "{name} is not called");
        self.turn = !self.turn;
        match self.how {
            How::Long | How::Whole => Err(failed("ERR_WAITS")),
            How::Both if self.turn => Err(failed("ERR_WAITS")),
            _ => self.answer(name, args).map(Received::from),
        }
    }
}

/// Runs a program whose output is an expression over `all` and `odd`; gives the result and what was asked.
fn run(expression: &str, how: How) -> (String, Vec<String>) {
    let declarations = r#"
  foreign def all : data -> data -> stream(data) = "$t_all"
  foreign def odd : data -> stream(data) = "$t_odd""#;
    let mut session = asking(declarations, expression, &FUNCTIONS, |_| 0);
    let mut family = Family {
        how,
        calls: Vec::new(),
        turn: false,
    };
    let mut result = None;
    for _ in 0..200 {
        let requests = match session.run(&mut family, 1 << 20) {
            Step::Event(Event::Result(value)) => {
                result = Some(format!("{:?}", msgpack::decode(&value).expect("a value")));
                session.take_requests()
            }
            Step::Event(Event::Issue(issue)) => {
                result = Some(issue.code);
                session.take_requests()
            }
            Step::Waiting(requests) => requests,
            Step::Idle => break,
            _ => continue,
        };
        for request in requests {
            let reply = match &request {
                Pending::Pull { .. } => Reply::Batch {
                    items: vec![vec![7], vec![8]],
                    end: true,
                },
                Pending::Start { call, function, .. }
                    if !FUNCTIONS[*function as usize].0.contains('>') =>
                {
                    family.calls.push("whole".to_owned());
                    Reply::Many(*call)
                }
                Pending::Start { .. } if how == How::Whole => Reply::Failed(failed("ERR_WAITS")),
                Pending::Start { function, args, .. } => {
                    match family.answer(FUNCTIONS[*function as usize].0, args) {
                        Ok(part) => Reply::One(part.into()),
                        Err(failure) => Reply::Failed(failure),
                    }
                }
            };
            session.resume(request.call(), reply);
        }
    }
    (result.unwrap_or_else(|| "none".to_owned()), family.calls)
}

fn sum(count: i64) -> String {
    format!("Int({})", count * (count - 1) / 2)
}

/// The sum of the first items.
fn first(count: i64) -> String {
    format!("stream.reduce((x, acc) -> acc + x, 0, stream.firstn({count}, t.all(\"of\", 1000)))")
}

#[test]
fn an_answer_that_fits_in_a_part_takes_one_call() {
    let (value, calls) = run("stream.toArray(t.all(\"of\", 3))", How::Short);
    assert_eq!(value, "Array([Int(0), Int(1), Int(2)])");
    assert_eq!(calls, ["$t_all>?"]);
    let (value, calls) = run("stream.toArray(t.all(\"of\", 0))", How::Long);
    assert_eq!(
        (value.as_str(), calls),
        ("Array([])", vec!["$t_all>".to_owned()])
    );
}

#[test]
fn parts_are_fetched_as_they_are_wanted_and_the_rest_is_left() {
    for how in [How::Short, How::Long, How::Both] {
        let (value, calls) = run(&first(35), how);
        assert_eq!(value, sum(35), "{how:?}");
        let last = calls.last().map(String::as_str);
        // The part from 30 on was the last one that was wanted.
        assert_eq!(last, Some("40+0"), "{how:?}: {calls:?}");
        let asked = ["10+1000", "20+2000", "30+2000", "40+0"];
        assert_eq!(calls[1..], asked, "{how:?}");
    }
}

#[test]
fn where_there_are_no_parts_the_function_itself_is_started() {
    let (value, calls) = run("stream.toArray(t.all(\"of\", 3))", How::Whole);
    assert_eq!(value, "Array([Int(7), Int(8)])");
    assert_eq!(calls, ["whole"]);
    let (value, calls) = run("stream.toArray(t.odd(\"of\"))", How::Short);
    assert_eq!(
        (value.as_str(), calls),
        ("Array([Int(7), Int(8)])", vec!["whole".to_owned()])
    );
}

#[test]
fn a_part_that_fails_comes_after_those_before() {
    assert_eq!(run(&first(20), How::Failing).0, sum(20));
    assert_eq!(run(&first(21), How::Failing).0, "ERR_IO");
    assert_eq!(run(&first(21), How::Malformed).0, "ERR_INTERNAL");
}

#[test]
fn empty_parts_do_not_keep_the_machine() {
    // Others have their turn between them; the run goes on until somebody ends it.
    let (value, calls) = run(&first(1), How::Empty);
    assert_eq!(value, "none");
    assert!(calls.len() > 10, "{calls:?}");
}
