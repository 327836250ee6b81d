//! Sessions as people type them, on a VM in the process.

use std::collections::HashMap;

use mix_bytecode::library::{Library, decode};
use mix_compiler::{CompileOptions, SourceFile, compile_library};
use mix_repl::{Machine, Output, Repl};
use mix_vm::{Action, Event, Issue, NoFunctions, NoHost, Options, Session, Step, Vm};

/// Runs programs in the process.
#[derive(Default)]
struct Native {
    vm: Option<Vm>,
    sessions: HashMap<u64, Session>,
    opened: u64,
}

impl Machine for Native {
    fn load(&mut self, executable: &[u8]) -> Result<(), Box<Issue>> {
        self.vm = Some(Vm::load(executable, &NoFunctions, &Options::default()).map_err(Box::new)?);
        Ok(())
    }

    fn open(&mut self) -> u64 {
        self.opened += 1;
        let vm = self.vm.as_ref().expect("a program is loaded");
        let mut session = vm.session();
        // Different for every session, as in a real one.
        session.set_random_seed(self.opened);
        self.sessions.insert(self.opened, session);
        self.opened
    }

    fn act(&mut self, session: u64, action: Action) -> Vec<Event> {
        let session = self.sessions.get_mut(&session).expect("an open session");
        session.act(action);
        let mut events = Vec::new();
        loop {
            match session.run(&mut NoHost, 10_000) {
                Step::Event(Event::Done(_)) => return events,
                Step::Event(event) => events.push(event),
                Step::Ready => {}
                Step::Idle | Step::Listening(_) | Step::Waiting(_) => return events,
            }
        }
    }

    fn told(&mut self, session: u64) -> Vec<Event> {
        let session = self.sessions.get_mut(&session).expect("an open session");
        let mut events = Vec::new();
        loop {
            match session.run(&mut NoHost, 10_000) {
                Step::Event(event) => events.push(event),
                Step::Ready => {}
                Step::Idle | Step::Listening(_) | Step::Waiting(_) => return events,
            }
        }
    }

    fn close(&mut self, session: u64) {
        self.sessions.remove(&session);
    }
}

fn text(output: &Output) -> String {
    match output {
        Output::Value(text) | Output::Text(text) => text.clone(),
        Output::Cell { name, value } => format!("{name} = {value}"),
        Output::Log(line) => format!("log {line}"),
        Output::Compile(text) => {
            let first = text.lines().next().unwrap_or_default();
            first.split(' ').take(2).collect::<Vec<_>>().join(" ")
        }
        Output::Failure(issue) => format!("!{}", issue.code),
        Output::Mark(text) => format!("--- {text}"),
        Output::Quit => "quit".into(),
    }
}

struct Loop {
    repl: Repl,
    machine: Native,
}

impl Loop {
    fn new(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(name, text)| SourceFile::new(*name, *text));
        Loop {
            repl: Repl::new(files.collect()),
            machine: Native::default(),
        }
    }

    fn enter(&mut self, input: &str) -> String {
        let shown = self.repl.enter(input, &mut self.machine);
        shown.iter().map(text).collect::<Vec<_>>().join(" ; ")
    }

    /// All of what is shown.
    fn whole(&mut self, input: &str) -> String {
        format!("{:?}", self.repl.enter(input, &mut self.machine))
    }

    #[track_caller]
    fn says(&mut self, input: &str, expected: &str) {
        assert_eq!(self.enter(input), expected, "{input}");
    }
}

#[test]
fn expressions_and_definitions() {
    let mut s = Loop::new(&[]);
    s.says("1 + 2 * 3", "7");
    s.says("def twice(x) = x * 2", "");
    s.says("twice(21)", "42");
    s.says("let f(a, b) = a - b; 3 |> f(10)", "7");
    s.says("{}.x", r#"{"_rmx_type":"{tag}undefined"}"#);
    s.says("x -> x", "<function>");
    s.says("[1, 2][]", "<stream>");
    s.says("1 +", "error SYN_UNEXPECTED");
    s.says("nothing + 1", "error NAME_UNBOUND");
    s.says(r#"fail("no")"#, "!RT_FAIL");
    s.says("1 ;; 2 ;; 3", "1 ; 2 ; 3");
    s.says("case box(number)", "");
    s.says("box(3)", r#"{"_rmx_type":"{tag}case:box","_rmx_value":3}"#);
    s.says("type pair = [number, number]", "");
    s.says("[1, 2]: pair", "[1,2]");
}

#[test]
fn the_last_definition_wins_for_all_users() {
    let mut s = Loop::new(&[]);
    s.says("def x = 1", "");
    s.says("def y(u) = x + u", "");
    s.says("def z = y(10)", "");
    s.says("[x, y(1), z]", "[1,2,11]");
    s.says("def x = 5", "warning WARN_REDEFINED");
    s.says("[x, y(1), z]", "[5,6,15]");
    s.says("case x", "error NAME_KIND");
    s.says("x", "5");
}

#[test]
fn values_are_computed_once() {
    let mut s = Loop::new(&[]);
    s.says(r#"def a = do { debug("once"); return 7 }"#, "log once");
    s.says("a", "7");
    s.says("a + 1", "8");
    s.says("def b = a * 2", "");
    s.says("b", "14");
    s.says(r#"def _ = debug("effect")"#, "log effect");
    s.says("b", "14");
    s.says("def r = random.pseudoRandomFloat(null)", "");
    let first = s.enter("r");
    assert_eq!(s.enter("r"), first);
    s.says(r#"def broken = fail("no")"#, "!RT_FAIL");
    s.says("broken", "error NAME_UNBOUND");
}

#[test]
fn cells_join_one_spreadsheet() {
    let mut s = Loop::new(&[]);
    s.says("var cell n = 2", "n = 2");
    s.says("cell double = n * 2", "double = 4");
    s.says("private cell hidden = double + 1", "");
    s.says("[n, double, hidden]", "[2,4,5]");
    s.says(
        "var cell n = 10",
        "warning WARN_REDEFINED ; double = 20 ; n = 10",
    );
    s.says("hidden", "21");
    s.says("cell c : number", "");
    s.says("c", "error NAME_NOT_DEFINED");
    s.says("cell c = hidden + 1", "c = 22");
}

#[test]
fn modules_see_the_definitions_of_the_session() {
    let mut s = Loop::new(&[("given.mix", "module given def k = 9 module end")]);
    s.says("def vat = 0.5", "");
    s.says("def gross(n) = n * (1 + vat)", "");
    s.says("case red | green(number)", "");
    s.says("type colour = red | green", "");
    s.says("def k = 4", "");
    s.says(
        "module till
           var cell net = 10  cell sum = gross(net)
           def k = 5  cell both = [k, global.k]
           cell tint : colour = green(3)
           cell seen = (global.red -> 1 | green(n) -> n)(tint)  cell taken = green^(tint)
         module end",
        "",
    );
    let first = r#"net = 10 ; sum = 15 ; both = [5,4] ; tint = {"_rmx_type":"{tag}case:green","_rmx_value":3} ; seen = 3 ; taken = 3"#;
    s.says("#load till", first);
    s.says("#input till.net 20", "net = 20 ; sum = 30");
    // A value has the same cases inside and outside.
    s.says("(green(n) -> n | _ -> 0)(contents(till.tint))", "3");
    s.says(
        "[(global.red -> 1 | _ -> 2)(red), global.green^(green(7))]",
        "[1,7]",
    );
    // What is defined again holds in modules too.
    s.says("def vat = 1", "warning WARN_REDEFINED");
    s.says("contents(till.sum)", "20");
    // A name of the session that hides one of the library does so in modules.
    s.says(r#"def floor(x) = "mine""#, "");
    s.says("module low cell h = floor(2.5) module end", "");
    s.says("#load low", r#"h = "mine""#);
}

#[test]
fn what_modules_do_not_see_of_the_session() {
    let mut s = Loop::new(&[("given.mix", "module given def k = 9 module end")]);
    s.says("def free = 1", "");
    s.says("var cell q = 1", "q = 1");
    s.says("def reader = link(q)", "");
    s.says("module first cell n = free module end", "");
    s.says("def user = contents(first.n)", "");
    for hidden in ["q", "reader", "user"] {
        let whole = s.whole(&format!("module second cell a = {hidden} module end"));
        assert!(whole.contains("NAME_UNBOUND"), "{whole}");
        assert!(whole.contains("give the module a parameter"), "{whole}");
    }
    s.says("module second cell a = free + 1 module end", "");
    s.says("#load second", "a = 2");
    // Files have nothing to do with the session.
    let mut s = Loop::new(&[("given.mix", "module given def k = free module end")]);
    s.says("def free = 1", "error NAME_UNBOUND");
}

#[test]
fn modules_and_commands() {
    let mut s = Loop::new(&[("given.mix", "module given cell g = 4 def k = 9 module end")]);
    s.says(
        "module counter
           var cell n = 0  cell double = n * 2
           cell inc = action (k) { debug(\"inc\"); n = n + k }
         module end",
        "",
    );
    assert!(s.enter("#load counter").starts_with("n = 0 ; double = 0"));
    s.says("def later = 1", "");
    s.says(
        r#"#invoke counter.inc "$agent_environment" 5"#,
        "n = 5 ; double = 10 ; log inc",
    );
    s.says("#input counter.n 7", "n = 7 ; double = 14");
    s.says("#input counter.double 7", "!RT_NO_CELL");
    s.says("#push given", "g = 4");
    s.says("#pop", "");
    s.says("#pop", "!RT_FAIL");
    s.says("#input counter.n 8", "n = 8 ; double = 16");
    s.says("#load nothing", "!RT_NO_MODULE");
    s.says("#mark here", "--- here");
    s.says("#nonsense", "!RT_FAIL");
    s.says("#input counter.n {", "!ERR_PARSE");
    s.says("#quit", "quit");
    s.says("import given", "");
    s.says("given.k", "9");
    s.says("counter", "<module counter>");
}

#[test]
fn observers_run_when_what_they_watch_is_updated() {
    let mut s = Loop::new(&[]);
    s.says("var cell n = 1", "n = 1");
    s.says("var cell seen = 0", "seen = 0");
    s.says("cell twice = seen * 2", "twice = 0");
    s.says(r#"on n do { debug("n"); seen = n }"#, "");
    s.says("n", "1");
    s.says(
        "var cell n = 5",
        "warning WARN_REDEFINED ; seen = 5 ; twice = 10 ; n = 5 ; log n",
    );
    s.says("[n, seen, twice]", "[5,5,10]");
    s.says(r#"on () do { debug("once") }"#, "log once");
    s.says("[n, seen, twice]", "[5,5,10]");
    s.says(
        "initializer { n = 7 }",
        "seen = 7 ; twice = 14 ; n = 7 ; log n",
    );
    s.says("n + twice", "21");
    // Entering it is an interaction of its own: who watches what it assigns sees the new value.
    s.says(
        "on () do { n = 9 }",
        "seen = 9 ; twice = 18 ; n = 9 ; log n",
    );
    s.says("[n, seen, twice]", "[9,9,18]");
}

#[test]
fn what_is_declared_is_defined_by_a_later_phrase() {
    let mut s = Loop::new(&[]);
    s.says("def fact : number -> number", "");
    s.says("1 + 1", "2");
    s.says("def other = 5", "");
    s.says("other", "5");
    s.says("fact(3)", "error NAME_NOT_DEFINED");
    s.says(
        "def fact(n) = if (n < 2) 1 else n * fact(m - 1)",
        "error NAME_UNBOUND",
    );
    s.says("def fact(n) = if (n < 2) 1 else n * fact(n - 1)", "");
    s.says("fact(5)", "120");
    // One needs the other.
    s.says("def even : number -> bool", "");
    s.says("def odd : number -> bool", "");
    s.says("def even(n) = if (n == 0) true else odd(n + 1)", "");
    s.says("even(2)", "error NAME_NOT_DEFINED");
    s.says("def even(n) = if (n == 0) true else odd(n - 1)", "");
    s.says("def odd(n) = if (n == 0) false else even(n - 1)", "");
    s.says("[even(10), odd(10), other]", "[true,false,5]");
    // The declared type holds.
    s.says("def id : A -> A", "");
    s.says("def id(x) = x + 1", "error TYPE_GENERALITY");
    s.says("def id(x) = x", "");
    s.says(r#"[id(1), id("a")]"#, r#"[1,"a"]"#);
}

#[test]
fn cells_of_the_session_take_input() {
    let mut s = Loop::new(&[]);
    s.says("#input n 5", "!RT_FAIL");
    s.says("var cell n = 1", "n = 1");
    s.says("cell twice = n * 2", "twice = 2");
    s.says("cell step = if (n'?) n - n' else 0", "step = 0");
    s.says("#input n 5", "n = 5 ; twice = 10 ; step = 4");
    s.says("[n, twice, step]", "[5,10,4]");
    s.says(r#"on n do { debug("now " + n) }"#, "");
    s.says("#input n 6", "n = 6 ; twice = 12 ; step = 1 ; log now 6");
    s.says(r#"#input n "x""#, "!RT_TYPE");
    s.says("#input twice 5", "!RT_NO_CELL");
    s.says("#input other 5", "!RT_FAIL");
    s.says("#input n {", "!ERR_PARSE");
    s.says(
        r#"#input n {"_rmx_type":"{tag}undefined"}"#,
        "!RT_UNDEFINED_STORED",
    );
    s.says("n", "6");
    s.says("def k = 2", "");
    s.says("#input k 5", "!RT_NO_CELL");
    // A name may be that of a parameter somewhere, and a case.
    s.says("var cell value = null : data", "value = null");
    let case = r#"{"_rmx_type":"{tag}case:ok","_rmx_value":[1,"a \"b\" {str}"]}"#;
    s.says(&format!("#input value {case}"), &format!("value = {case}"));
    s.says("datacase(value)", r#""case""#);
    // Cells of a view have the name of its module before theirs.
    s.says("module m var cell n = 7 module end", "");
    s.says("#load m", "n = 7");
    s.says("#input m.n 8", "n = 8");
    s.says("#input n 9", "n = 9 ; twice = 18 ; step = 3 ; log now 9");
    // Strict or not, what comes from outside is checked when it comes.
    s.says("_pragma_ {strictTyping: true}", "");
    s.says("#input n 10", "n = 10 ; twice = 20 ; step = 1 ; log now 10");
}

#[test]
fn actions_of_the_session_are_invoked() {
    let mut s = Loop::new(&[]);
    s.says("var cell n = 1", "n = 1");
    s.says("private var cell calls = 0", "");
    s.says("cell twice = n * 2", "twice = 2");
    s.enter("cell inc = action (k) { if (k > 100) { fail(\"too much\") } n = n + k; calls = calls + 1 }");
    s.enter("cell reset = action { n = 0; if (calls > 0) { return null } n = 1000 }");
    s.says(
        r#"#invoke inc "$agent_environment" 5"#,
        "n = 6 ; twice = 12",
    );
    s.says(r#"#invoke inc "$agent_environment" 500"#, "!RT_FAIL");
    s.says("[n, twice, calls]", "[6,12,1]");
    s.says(r#"#invoke reset "$agent_environment""#, "n = 0 ; twice = 0");
    s.says(r#"#invoke inc "$cloenv_1" 5"#, "!RT_NO_ACTION");
    s.says(r#"#invoke twice "$agent_environment""#, "!RT_NO_ACTION");
    s.says(r#"#invoke other "$agent_environment""#, "!RT_FAIL");
    // Through a function of the session.
    s.says("def raise(appstate, by) { n = n + by }", "");
    s.enter("cell up = action (k) { raise(appstate, k) }");
    s.says(r#"#invoke up "$agent_environment" 3"#, "n = 3 ; twice = 6");
    // The one that was defined last.
    s.enter("cell inc = action (_) { n = -1 }");
    s.says(r#"#invoke inc "$agent_environment""#, "n = -1 ; twice = -2");
}

#[test]
fn the_chain_after_an_action_of_the_session_runs() {
    let mut s = Loop::new(&[]);
    s.says("var cell a = 0 var cell seen = 0", "a = 0 ; seen = 0");
    s.enter("cell second = action (k) { seen = seen + a + (if (k == null) 0 else k) }");
    s.enter("cell first = action (k) { a = k; setNextActions(appstate, [second, second with .arg = 100]) }");
    s.says(
        r#"#invoke first "$agent_environment" 21"#,
        "a = 21 ; seen = 142",
    );
    s.says("[a, seen]", "[21,142]");
    // What is not for the session goes to a client, with all that comes behind.
    s.enter("cell asks = action { a = 1; pushNextActions(appstate, [second, {_rmx_type: \"msg_view_pop\"}, second]) }");
    let told = s.enter(r#"#invoke asks "$agent_environment""#);
    let pops = r#"$nextActions = [{"_rmx_type":"msg_view_pop"},{"_rmx_type":"msg_view_invoke","#;
    assert!(told.starts_with(pops), "{told}");
    assert!(told.ends_with(" ; a = 1 ; seen = 143"), "{told}");
    s.says("[a, seen]", "[1,143]");
    // An error drops the rest of the chain, not what was done before.
    s.enter("cell fails = action { a = 9; fail(\"no\") }");
    s.enter("cell begins = action { a = 2; setNextActions(appstate, [second, fails, second]) }");
    s.says(
        r#"#invoke begins "$agent_environment""#,
        "a = 2 ; seen = 145 ; !RT_FAIL",
    );
    s.says("[a, seen]", "[2,145]");
    // Actions that were made in the course of it.
    s.enter(
        "cell makes = action { let by = 5; setNextActions(appstate, [action { a = a + by }]) }",
    );
    s.says(r#"#invoke makes "$agent_environment""#, "a = 7");
}

#[test]
fn a_module_can_be_entered_again() {
    let mut s = Loop::new(&[]);
    s.says("module m def v = 1 module end", "");
    s.says("def w = m.v + 1", "");
    s.says("w", "2");
    s.says("module m def v = 10 module end", "");
    s.says("[m.v, w]", "[10,11]");
}

#[test]
fn parameters_of_modules() {
    let mut s = Loop::new(&[]);
    s.says("module p(a, b) cell sum = a + b module end", "");
    s.says("#load p 3 4", "sum = 7");
    s.says(r#"#load p "x y" "z""#, r#"sum = "x yz""#);
    s.says("#load p 1", "!RT_PARAM");
}

#[test]
fn views_stay_when_no_new_ones_can_be_loaded() {
    let mut s = Loop::new(&[]);
    s.says("module m(k) var cell n = 10 / k - 10 / k + k cell t = if (n > 5) fail(\"big\") else n module end", "");
    s.says("#load m 3", "n = 3 ; t = 3");
    s.says("#load nope", "!RT_NO_MODULE");
    s.says("#load m", "!RT_PARAM");
    s.says("#load m 9", "!RT_FAIL");
    s.says("#input m.n 4", "n = 4 ; t = 4");
}

#[test]
fn directives_name_the_place_of_what_follows() {
    let mut s = Loop::new(&[]);
    assert!(!s.repl.is_complete("#line 40 \"gen.mix\""));
    let out = s.whole("#line 40 \"gen.mix\"\ndef a = b");
    assert!(out.contains("gen.mix:40:9"), "{out}");
    s.says(
        "#line 7 \"gen.mix\"\ndef one = 1\n  def f(x) = one + fail(x)",
        "",
    );
    let out = s.whole("f(\"no\") + 1");
    assert!(out.contains("line: 8"), "{out}");
}

#[test]
fn complete_and_incomplete_input() {
    let s = Loop::new(&[]);
    for text in [
        "1 + 2",
        "def f(x) = x",
        "",
        "module m cell c = 1 module end",
        "(1 +;;",
    ] {
        assert!(s.repl.is_complete(text), "{text}");
    }
    for text in [
        "(1 +",
        "def f(x) =",
        "module m cell c = 1",
        "do { 1",
        "/* open",
        "\"\"\"raw",
    ] {
        assert!(!s.repl.is_complete(text), "{text}");
    }
}

#[test]
fn what_follows_a_bad_phrase_on_lines_of_its_own_is_entered() {
    let mut s = Loop::new(&[]);
    // The first line could go on, so that it is read together with the next one.
    let text = "let y = 3\ndef f(a,\n  b) = a + b\n";
    assert!(!s.repl.is_complete("let y = 3\n"));
    assert!(s.repl.is_complete(text));
    let out = s.whole(text);
    assert!(out.contains("SYN_UNEXPECTED"), "{out}");
    s.says("f(1, 2)", "3");
    let out = s.whole("let z = 1\nmodule m\n  cell c = 7\nmodule end\n");
    assert!(out.contains("SYN_UNEXPECTED"), "{out}");
    s.says("#load m", "c = 7");
    // Nothing of a module with an error is, nor what stands on the same line.
    let out = s.whole("module n\n  def a = )\n  def hidden = 1\nmodule end\n");
    assert!(out.contains("SYN_UNEXPECTED"), "{out}");
    s.says("hidden", "error NAME_UNBOUND");
    s.whole("1 + ;; def same = 2");
    s.says("same", "error NAME_UNBOUND");
}

#[test]
fn types_and_completions() {
    let mut s = Loop::new(&[]);
    s.enter("def point = {across: 1, down: 2}");
    s.enter("def pointless(x: number) = [x]");
    assert_eq!(s.repl.type_of("1 + 2").as_deref(), Ok("number"));
    assert!(s.repl.type_of("nothing").is_err());
    let texts = |line: &str| {
        let found = s.repl.complete(line, line.len());
        found.into_iter().map(|c| c.text).collect::<Vec<_>>()
    };
    assert_eq!(texts("1 + poi"), ["point", "pointless"]);
    assert_eq!(texts("point."), ["across", "down"]);
    assert!(texts("array.ma").contains(&"map".to_string()));
    assert_eq!(texts("#inp"), ["#input"]);
    assert!(texts("stri").contains(&"string".to_string()));
}

/// A library of these modules that uses other libraries.
fn library(text: &str, name: &str, used: &[Library]) -> Library {
    let options = CompileOptions {
        libraries: used.to_vec(),
        ..CompileOptions::default()
    };
    let files = [SourceFile::new("library.mix", text)];
    let (compilation, file) = compile_library(&files, name, "1", &options);
    let file = file.unwrap_or_else(|| panic!("{}", compilation.text()));
    decode(&file).expect("the compiler writes what can be read")
}

#[test]
fn compiled_libraries_can_be_used() {
    let lower = "module measures case metres(number) def double(m : metres) = self.metres(metres^(m) * 2) module end";
    let lower = library(lower, "measures", &[]);
    let upper = "module fields(size)
           import measures
           var cell n = size  cell wide = measures.double(measures.metres(n))
           def area(k) = size * k
         module end";
    let upper = library(upper, "fields", std::slice::from_ref(&lower));
    let mut s = Loop::new(&[]);
    s.repl = s.repl.with_options(CompileOptions {
        libraries: vec![lower, upper],
        ..CompileOptions::default()
    });
    s.says("import measures", "");
    let doubled = r#"{"_rmx_type":"{tag}case:measures.metres","_rmx_value":6}"#;
    s.says("measures.double(measures.metres(3))", doubled);
    s.says("def twice = measures.double", "");
    s.says("twice(measures.metres(3))", doubled);
    s.says("def six = measures.metres^(twice(measures.metres(3)))", "");
    s.says("import f = fields(7)", "");
    s.says("f.area(six)", "42");
    s.says("contents(f.n)", "7");
    s.says(
        "module user import fields(2) cell c = contents(fields.n) + 1 module end",
        "",
    );
    s.says("#load user", "c = 3");
    s.says(
        "#load fields 4",
        r#"n = 4 ; wide = {"_rmx_type":"{tag}case:measures.metres","_rmx_value":8}"#,
    );
    s.says("import nowhere", "error MOD_UNKNOWN");
    let found = s.repl.complete("measures.do", 11);
    assert_eq!(found[0].text, "double");
    assert!(s.repl.complete("fie", 3).iter().any(|c| c.text == "fields"));
}

#[test]
fn observers_are_shown_while_debugging() {
    let mut s = Loop::new(&[]);
    s.says(
        "module watch
           var cell n = 0  var cell seen = 0
           on n when n > 0 do { seen = n }
           on (n, seen) do { debug(\"both\") }
         module end",
        "log both",
    );
    s.says("#debug on", "");
    s.says(
        "#load watch",
        "debug: interaction #load watch ; debug: updated n, version 1 ; n = 0 ; \
         debug: updated seen, version 1 ; seen = 0 ; log debug: on n,seen of watch runs ; log both",
    );
    s.says(
        "#input watch.n 2",
        "debug: interaction #input watch.n 2 ; debug: updated n, version 2 ; n = 2 ; \
         debug: updated seen, version 2 ; seen = 2 ; log debug: on n of watch runs ; \
         log debug: on n,seen of watch runs ; log both",
    );
    s.says("#debug off", "");
    s.says("#input watch.n 0", "n = 0 ; log both");
    s.says("#debug maybe", "!RT_FAIL");
}

#[test]
fn values_without_a_text_form_are_named() {
    let mut s = Loop::new(&[("shop.mix", "module shop cell price = 5 module end")]);
    s.says("import shop", "");
    s.says("shop", "<module shop>");
    s.says("shop.price", "<link shop_1.price>");
    s.says("array", "<module array>");
    s.says("[array == array, array == map]", "[true,false]");
    s.says("var cell n = 1", "n = 1");
    s.says("link(n)", "<link n>");
    s.says("[x -> x][0]", "<function>");
    s.says("number.parse", "<function>");
    s.says("1 ++ 2", "<stream>");
    s.says("auth.emptyToken()", "<token>");
    s.says("~regex \"a+\"", "<opaque>");
}

#[test]
fn live_cells_are_told_without_a_further_command() {
    let mut s = Loop::new(&[]);
    let module = "module ticks
  def channel = co.channelCreate()
  live cell latest = co.consume(co.channelToStream(channel))
  private cell push = action (x) { co.channelEmit(channel, x); co.channelEmit(channel, x + 1) }
module end";
    s.says(module, "");
    s.says("#load ticks", "latest = null");
    s.says(
        "#invoke ticks.push \"$agent_environment\" 5",
        "latest = 5 ; latest = 6",
    );
    s.says("1 + 1", "2");
}
