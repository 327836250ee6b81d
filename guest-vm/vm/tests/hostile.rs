//! Hostile programs: mutated executables, endless loops, deep values, deep calls.

mod support;

use mix_compiler::{CompileOptions, SourceFile};
use mix_vm::{Action, Event, NoFunctions, NoHost, Options, Session, Step, Vm};
use support::{evaluate, value};

const PROGRAM: &str = r#"
module hostile(p:data)
  case leaf(number) | node([data, data])
  def walk : data -> number
  def walk = (self.leaf(n) -> n | self.node([a, b]) -> walk(a) + walk(b) | _ -> 0)
  var cell m_params = p
  var cell n = 1
  cell twice = n * 2
  cell bump = action (k) { n = n + withDefault(1, k) }
  on n when n > 3 do { n = 0 }
  cell output = do {
    var total = 0;
    var m = {a: [1, 2], b: {c: "x"}};
    for (let x in [1, 2, 3][] ++ [4][]) { total = total + x; m.a[0] = total; m.b.d = "y" + x }
    switch (m) { case {a: [first, ~multiple _], z?: z} when first > 0: total = total + first case _: total = 0 }
    let r = try fail("no");
    return {total, r, walked: walk(node([leaf(1), leaf(total)])), kept: array.map(x -> x + total, [1, 2])}
  }
module end
"#;

fn executable() -> Vec<u8> {
    let files = [SourceFile::new("hostile.mix", PROGRAM)];
    let compilation = mix_compiler::compile(&files, &CompileOptions::default());
    let Some(program) = &compilation.program else {
        panic!("{}", compilation.text())
    };
    mix_bytecode::encode(program)
}

/// A small generator of repeatable numbers.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}

/// Runs everything there is for a bounded time; only a panic is wrong.
fn exercise(session: &mut Session) {
    session.set_budget(Some(20_000));
    session.act(Action::RunAgent {
        agent: "hostile".into(),
        params: value("1"),
    });
    session.act(Action::Load {
        module: "hostile".into(),
        args: value("[1]"),
    });
    session.act(Action::Input {
        cell: "n".into(),
        value: value("4"),
    });
    session.act(Action::Invoke {
        name: "hostile.bump".into(),
        env: "$agent_environment".into(),
        arg: value("3"),
        next_actions: value("[]"),
    });
    for _ in 0..10_000 {
        match session.run(&mut NoHost, 5_000) {
            Step::Idle | Step::Listening(_) | Step::Waiting(_) => return,
            Step::Ready | Step::Event(_) => {}
        }
    }
}

#[test]
fn the_unchanged_program_runs() {
    let vm = Vm::load(&executable(), &NoFunctions, &Options::default()).expect("loads");
    let mut session = vm.session();
    session.act(Action::RunAgent {
        agent: "hostile".into(),
        params: value("1"),
    });
    let told = support::told(&support::events(&mut session));
    assert_eq!(
        told,
        r#"result {"kept":[21,22],"r":{"_rmx_type":"{tag}case:error","_rmx_value":"no"},"total":20,"walked":21}"#
    );
}

#[test]
fn mutated_executables_never_panic() {
    let original = executable();
    let mut numbers = Numbers(1);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = original.clone();
        for _ in 0..=numbers.next(3) {
            let at = 20 + numbers.next(bytes.len() - 20);
            bytes[at] = match numbers.next(3) {
                0 => numbers.next(256) as u8,
                1 => bytes[at].wrapping_add(1),
                _ => bytes[at] ^ (1 << numbers.next(8)),
            };
        }
        // With a right checksum the mutation reaches decoder, verifier and interpreter.
        let sum = mix_bytecode::checksum::crc32c(&bytes[20..]);
        bytes[16..20].copy_from_slice(&sum.to_le_bytes());
        match Vm::load(&bytes, &NoFunctions, &Options::default()) {
            Ok(vm) => {
                accepted += 1;
                exercise(&mut vm.session());
            }
            Err(issue) => {
                refused += 1;
                assert!(issue.code.starts_with("ERR_"), "{issue}");
            }
        }
    }
    assert!(
        accepted > 100 && refused > 100,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn damaged_files_are_refused_with_a_reason() {
    let good = executable();
    let refusal = |bytes: &[u8]| match Vm::load(bytes, &NoFunctions, &Options::default()) {
        Ok(_) => panic!("accepted"),
        Err(issue) => issue.message,
    };
    assert_eq!(refusal(b""), "not a Mix executable");
    assert_eq!(
        refusal(b"\x7fELF............................"),
        "not a Mix executable"
    );
    assert!(refusal(&good[..good.len() - 1]).contains("bytes expected"));
    let mut other = good.clone();
    other[8] = 9;
    assert!(refusal(&other).contains("version 9 is not supported"));
    let mut flipped = good;
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert!(refusal(&flipped).contains("checksum"));
}

#[test]
fn an_endless_loop_ends_with_its_budget() {
    let source =
        "module loop(p:data) cell output = do { while (true) { debug(\"x\") } } module end";
    let mut session = support::load(source);
    session.set_budget(Some(100_000));
    session.act(Action::RunAgent {
        agent: "loop".into(),
        params: value("1"),
    });
    let mut issue = None;
    loop {
        match session.run(&mut NoHost, 1_000) {
            Step::Event(Event::Issue(found)) => issue = Some(found),
            Step::Idle | Step::Listening(_) => break,
            _ => {}
        }
    }
    assert_eq!(issue.map(|issue| issue.code).as_deref(), Some("RT_TIMEOUT"));
}

/// Runs an expression by small slices and gives the code with which it ends, and how often it
/// gave the driver its turn.
fn sliced(expression: &str, budget: u64, slice: u64) -> (Option<String>, u32) {
    let compilation = mix_compiler::compile_expression(expression, &[], &CompileOptions::default());
    let Some(program) = compilation.program else {
        panic!("{}", compilation.text())
    };
    let vm = Vm::of_program(program, &NoFunctions, &Options::default()).expect("it loads");
    let mut session = vm.session();
    session.set_budget(Some(budget));
    session.act(Action::Evaluate);
    let (mut code, mut turns) = (None, 0);
    loop {
        match session.run(&mut NoHost, slice) {
            Step::Event(Event::Issue(issue)) => code = Some(issue.code),
            Step::Ready => turns += 1,
            Step::Event(_) => {}
            _ => return (code, turns),
        }
    }
}

#[test]
fn functions_of_the_library_alone_end_with_the_budget() {
    for endless in [
        "stream.toArray(stream.initUnbound(number.abs))",
        "stream.length(stream.initUnbound(number.abs))",
        "stream.last(stream.initUnbound(number.abs))",
        "stream.isEmpty(stream.filter(number.isNaN, stream.initUnbound(number.abs)))",
        "stream.toArray(stream.map(number.abs, stream.initUnbound(number.abs)))",
        "try stream.toArray(stream.initUnbound(number.abs))",
    ] {
        let (code, turns) = sliced(endless, 20_000, 100);
        assert_eq!(code.as_deref(), Some("RT_TIMEOUT"), "{endless}");
        assert!(turns >= 190, "{endless}: {turns} turns");
    }
    // What is interrupted at any place goes on there.
    let sum = "stream.initUnbound(number.abs) |> stream.firstn(500) |> stream.toArray |> array.reduce((a, b) -> a + b, 0)";
    for slice in 1..20 {
        assert_eq!(
            sliced(
                &format!("if (({sum}) == 124750) 1 else fail(\"wrong\")"),
                100_000,
                slice
            )
            .0,
            None
        );
    }
}

#[test]
fn parts_that_are_held_many_times_are_walked_once() {
    let build = "do { var a : data = [1]; var b : data = [1]; \
        for (let i = 0; i < 60; i = i + 1) { a = [a, {x: a}, some(a)]; b = [b, {x: b}, some(b)] } ";
    assert_eq!(evaluate(&format!("{build} return a == b }}")), "true");
    assert_eq!(evaluate(&format!("{build} return a <= b }}")), "true");
    assert_eq!(
        evaluate(&format!("{build} return [a, 1] < [b, 2] }}")),
        "true"
    );
    assert_eq!(
        evaluate(&format!("{build} return [a, 1] == [b, 2] }}")),
        "false"
    );
    assert_eq!(
        evaluate(&format!(
            "{build} return array.length(array.sort(x -> x, [[a, 2], [b, 1]])) }}"
        )),
        "2"
    );
    assert_eq!(
        evaluate(&format!("{build} let c = a |> type(data); return 1 }}")),
        "1"
    );
    assert_eq!(
        evaluate(&format!(
            "{build} return binary.length(binary.formatRmxCode(a)) }}"
        )),
        "!ERR_TOO_LARGE"
    );
}

#[test]
fn deep_calls_and_tail_calls() {
    let deep = |n: u32| {
        evaluate(&format!(
            "def f : number -> number def f(n) = if (n == 0) 0 else 1 + f(n - 1) ;; f({n})"
        ))
    };
    assert_eq!(deep(50_000), "50000");
    assert_eq!(deep(1_000_000), "!RT_STACK");
    assert_eq!(
        evaluate("def g : number -> number def g(n) = if (n == 0) 7 else g(n - 1) ;; g(1000000)"),
        "7"
    );
}

#[test]
fn deep_values_use_no_stack() {
    let nest = "do { var a : data = []; var i = 0; while (i < 300000) { a = [a]; i = i + 1 } ";
    assert_eq!(evaluate(&format!("{nest} return 1 }}")), "1");
    assert_eq!(
        evaluate(&format!("{nest} let b = a; return [b] == [a] }}")),
        "true"
    );
    assert_eq!(evaluate(&format!("{nest} return a < [a] }}")), "true");
    assert_eq!(
        evaluate(&format!(
            "{nest} return string.length(string.formatEscJSON(a)) }}"
        )),
        "600002"
    );
}
