//! The limit of memory: programs that want more end with `RT_MEMORY`, whatever they use it for.

use mix_allocator::Counted;
use mix_compiler::{CompileOptions, compile_expression};
use mix_vm::{Action, Event, MemoryLimit, NoFunctions, NoHost, Options, Step, Vm};

#[global_allocator]
static ALLOCATED: Counted = Counted::new();

/// Bytes.
const MOST: usize = 32 << 20;

/// The code of the issue with which an expression ends, or nothing.
fn issue(expression: &str) -> Option<String> {
    let compilation = compile_expression(expression, &[], &CompileOptions::default());
    let Some(program) = compilation.program else {
        panic!("{}", compilation.text());
    };
    let options = Options {
        memory: Some(MemoryLimit::Counted {
            used: || ALLOCATED.used(),
            most: MOST,
        }),
        ..Options::default()
    };
    let vm = Vm::of_program(program, &NoFunctions, &options).expect("it loads");
    let mut session = vm.session();
    session.set_budget(Some(10_000_000));
    session.act(Action::Evaluate);
    loop {
        match session.run(&mut NoHost, 100_000) {
            Step::Event(Event::Issue(issue)) => return Some(issue.code),
            Step::Event(_) | Step::Ready => {}
            Step::Idle => return None,
            _ => panic!("it waits for nothing"),
        }
    }
}

// One test: others at the same time would count too.
#[test]
fn programs_end_at_the_limit() {
    let doubling = "do { var s = \"ab\"; while (true) { s = s + s } return s }";
    assert_eq!(issue(doubling).as_deref(), Some("RT_MEMORY"));
    let arrays = "do { var a = [1]; while (true) { a = a + a } return array.length(a) }";
    assert_eq!(issue(arrays).as_deref(), Some("RT_MEMORY"));
    let one_by_one = "do { var a = []; while (true) { a = a + [a] } return array.length(a) }";
    assert_eq!(issue(one_by_one).as_deref(), Some("RT_MEMORY"));
    let stream = "stream.toArray(stream.initUnbound(k -> k)) |> array.length";
    assert_eq!(issue(stream).as_deref(), Some("RT_MEMORY"));
    // One function of the library after the other, no code of Mix between them.
    let natives = "stream.toArray(stream.initUnbound(number.abs)) |> array.length";
    assert_eq!(issue(natives).as_deref(), Some("RT_MEMORY"));
    // One step that would take many times the limit is not begun.
    let flat = "let a = array.enumerate(1000); array.flatten(array.map(_ -> a, a)) |> array.length";
    assert_eq!(issue(flat), None);
    let flat =
        "let a = array.enumerate(20000); array.flatten(array.map(_ -> a, a)) |> array.length";
    assert_eq!(issue(flat).as_deref(), Some("ERR_TOO_LARGE"));
    let flat = "let a = array.enumerate(9000); array.flatten(array.map(_ -> a, a)) |> array.length";
    assert_eq!(issue(flat).as_deref(), Some("RT_MEMORY"));
    let enumerated = "array.enumerate(90000000) |> array.length";
    assert_eq!(issue(enumerated).as_deref(), Some("RT_MEMORY"));
    let groups = "do { var p = \"()\"; for (let i = 0; i < 12; i = i + 1) { p = p + p } \
        return array.length(regex.findAllSubmatch(-1, ok^(regex.compile(p)), string.concat(\"\", array.map(_ -> \"a\", array.enumerate(4000))))) }";
    assert_eq!(issue(groups).as_deref(), Some("ERR_TOO_LARGE"));
    let merged = "do { var a : data = [1]; for (let i = 0; i < 60; i = i + 1) { a = [a, a] } return container.deepMerge(a, a) }";
    assert_eq!(issue(merged).as_deref(), Some("RT_MEMORY"));
    // No program catches it.
    let caught = "try (do { var s = \"ab\"; while (true) { s = s + s } return s })";
    assert_eq!(issue(caught).as_deref(), Some("RT_MEMORY"));
    // What is given back does not count.
    let modest = "do { var n = 0; for (let i = 0; i < 1000; i = i + 1) { n = n + array.length(array.enumerate(100000)) } return n }";
    assert_eq!(issue(modest), None);
    // Small in memory, long when written: each of the forty arrays holds the one before twice.
    let shared = "do { var a = [1]; for (let i = 0; i < 40; i = i + 1) { a = [a, a] } return string.formatJSON(a) }";
    assert_eq!(issue(shared).as_deref(), Some("ERR_TOO_LARGE"));
}
