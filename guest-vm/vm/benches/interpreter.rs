//! Micro-benchmarks: calls, loops, text, maps, arrays, streams.

use divan::Bencher;
use mix_compiler::CompileOptions;
use mix_vm::{Action, Event, NoFunctions, NoHost, Options, Step, Vm};

fn main() {
    divan::main();
}

/// Runs an expression once per sample and checks its value.
fn bench(bencher: Bencher<'_, '_>, source: &str, expected: &str) {
    let compilation = mix_compiler::compile_expression(source, &[], &CompileOptions::default());
    let program = compilation
        .program
        .clone()
        .unwrap_or_else(|| panic!("{}", compilation.text()));
    if std::env::var_os("MIX_DISASSEMBLE").is_some() {
        eprintln!("{}", mix_bytecode::disassemble::disassemble(&program));
    }
    let bytes = mix_bytecode::encode(&program);
    let vm = Vm::load(&bytes, &NoFunctions, &Options::default()).expect("loads");
    bencher.bench_local(|| {
        let mut session = vm.session();
        session.act(Action::Evaluate);
        loop {
            match session.run(&mut NoHost, u64::MAX) {
                Step::Event(Event::Evaluated(text)) => {
                    assert_eq!(text, expected);
                    return;
                }
                Step::Event(Event::Issue(issue)) => panic!("{issue}"),
                Step::Idle | Step::Listening(_) => panic!("no value"),
                _ => {}
            }
        }
    });
}

#[divan::bench(sample_count = 20)]
fn fib_27(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        "def fib : number -> number def fib(n) = if (n < 2) n else fib(n - 1) + fib(n - 2) ;; fib(27)",
        "196418",
    );
}

#[divan::bench(sample_count = 20)]
fn loop_million(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        "do { var s = 0; var i = 0; while (i < 1000000) { s = s + i; i = i + 1 } return s }",
        "499999500000",
    );
}

#[divan::bench(sample_count = 20)]
fn build_text(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        r#"do { var s = ""; var i = 0; while (i < 100000) { s = s + "ab" + i; i = i + 1 } return string.length(s) }"#,
        "688890",
    );
}

#[divan::bench(sample_count = 20)]
fn update_map(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        r#"do { var m : map(number) = {}; var i = 0; while (i < 50000) { m.("k" + i) = i; i = i + 1 } return map.length(m) }"#,
        "50000",
    );
}

#[divan::bench(sample_count = 20)]
fn push_array(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        "do { var a : array(number) = []; var i = 0; while (i < 100000) { a = a + [i]; i = i + 1 } return array.length(a) }",
        "100000",
    );
}

#[divan::bench(sample_count = 20)]
fn array_functions(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        "array.enumerate(100000) |> array.map(x -> x * 2) |> array.filter(x -> x % 3 == 0) |> array.reduce((x, acc) -> x + acc, 0)",
        "3333366666",
    );
}

#[divan::bench(sample_count = 20)]
fn streams(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        "stream.enumerate(100000) |> stream.map(x -> x * 2) |> stream.filter(x -> x % 3 == 0) |> stream.reduce((x, acc) -> x + acc, 0)",
        "3333366666",
    );
}
