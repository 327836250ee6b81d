//! Compiles and runs programs for the tests.

#![allow(dead_code, reason = "each test file uses a part")]

use mix_compiler::{CompileOptions, SourceFile};
use mix_value::{Value, msgpack};
use mix_vm::{Action, Event, HostFailure, Linked, NoFunctions, NoHost, Options, Session, Step, Vm};

/// Fuel of a slice; small, so that interrupted runs are tested everywhere.
const SLICE: u64 = 50;

/// The text that a REPL prints for an expression, or `!CODE`.
pub fn evaluate(source: &str) -> String {
    let compilation = mix_compiler::compile_expression(source, &[], &CompileOptions::default());
    let Some(program) = compilation.program else {
        return format!("compile: {}", compilation.text());
    };
    let bytes = mix_bytecode::encode(&program);
    let vm = match Vm::load(&bytes, &NoFunctions, &Options::default()) {
        Ok(vm) => vm,
        Err(issue) => return format!("load: {issue}"),
    };
    let mut session = vm.session();
    session.act(Action::Evaluate);
    for event in events(&mut session) {
        match event {
            Event::Evaluated(text) => return text,
            Event::Issue(issue) if issue.code == "RT_INTERNAL" => return issue.to_string(),
            Event::Issue(issue) => return format!("!{}", issue.code),
            _ => {}
        }
    }
    "nothing".into()
}

/// Compiles modules.
pub fn load(source: &str) -> Session {
    let files = [SourceFile::new("test.mix", source)];
    let compilation = mix_compiler::compile(&files, &CompileOptions::default());
    let Some(program) = compilation.program else {
        panic!("{}", compilation.text())
    };
    let bytes = mix_bytecode::encode(&program);
    match Vm::load(&bytes, &NoFunctions, &Options::default()) {
        Ok(vm) => vm.session(),
        Err(issue) => panic!("{issue}"),
    }
}

/// A foreign function: its name, how many arguments it takes, whether it may wait.
pub type Signature = (&'static str, u8, bool);

/// A session that runs an agent whose output is an expression. Module `t` has the declarations, whose functions are
/// these; `family` tells the number of the family of one.
pub fn asking(
    declarations: &str,
    expression: &str,
    functions: &[Signature],
    family: impl Fn(&str) -> u32,
) -> Session {
    let source = format!(
        r#"
module t
{declarations}
module end
module main(p:data)
  import t
  import stream
  var cell m_params = p
  cell output = {expression}
module end
"#
    );
    let files = [SourceFile::new("test.mix", source)];
    let compilation = mix_compiler::compile(&files, &CompileOptions::default());
    let Some(program) = compilation.program else {
        panic!("{}", compilation.text())
    };
    let find = |name: &str| {
        let mut functions = functions.iter().zip(0..);
        let ((_, params, waits), index) = functions.find(|((known, ..), _)| *known == name)?;
        Some(Linked {
            index,
            params: *params,
            waits: *waits,
            family: family(name),
        })
    };
    let bytes = mix_bytecode::encode(&program);
    let vm = Vm::load(&bytes, &find, &Options::default()).expect("loads");
    let mut session = vm.session();
    session.act(Action::RunAgent {
        agent: "main".into(),
        params: vec![0xc0],
    });
    session
}

/// The arguments of a call.
pub fn arguments(args: &[u8]) -> Vec<Value> {
    match msgpack::decode(args) {
        Ok(Value::Array(args)) => args,
        other => panic!("arguments are an array: {other:?}"),
    }
}

/// A failure of a foreign function.
pub fn failed(code: &str) -> HostFailure {
    HostFailure {
        code: code.into(),
        message: "it failed".into(),
        detail: None,
    }
}

/// Runs until the session is idle.
pub fn events(session: &mut Session) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..10_000_000 {
        match session.run(&mut NoHost, SLICE) {
            Step::Event(event) => events.push(event),
            Step::Ready => {}
            Step::Idle => return events,
            Step::Listening(requests) if requests.is_empty() => return events,
            Step::Listening(requests) => panic!("listens for {requests:?}"),
            Step::Waiting(requests) => panic!("waits for {requests:?}"),
        }
    }
    panic!("runs for ever")
}

/// Events in the notation of the specification: `c = 1 ; d = 2` or `!CODE`.
pub fn told(events: &[Event]) -> String {
    let mut parts = Vec::new();
    for event in events {
        match event {
            Event::Output { cell, value, .. } => parts.push(format!("{cell} = {}", text(value))),
            Event::Issue(issue) => parts.push(format!("!{} {}", issue.code, issue.message)),
            Event::Log(line) => parts.push(format!("log {line}")),
            Event::Result(value) => parts.push(format!("result {}", text(value))),
            Event::ClientActions(value) => parts.push(format!("client {}", text(value))),
            Event::IdleActions(value) => parts.push(format!("idle {}", text(value))),
            Event::Evaluated(text) => parts.push(text.clone()),
            Event::Done(_) => {}
        }
    }
    parts.join(" ; ")
}

/// EscJSON of an encoded value.
pub fn text(bytes: &[u8]) -> String {
    let value = mix_vm::wire::decode(bytes).expect("the VM encodes well");
    mix_vm::text_form::format_esc_json(&value).expect("outputs are data")
}

/// An encoded value from its EscJSON.
pub fn value(text: &str) -> Vec<u8> {
    mix_value::msgpack::encode(&mix_value::escjson::parse(text).expect("test data")).expect("data")
}
