//! Big and deep sources and programs: they work, or are refused with a clear issue.

mod support;

use mix_compiler::{CompileOptions, SourceFile, check, compile};
use mix_vm::{Action, Event, NoHost, Step};
use support::{evaluate, events, load, told, value};

/// Codes of the errors of a source, with their places.
fn errors(source: &str) -> Vec<(String, u32, u32)> {
    let files = [SourceFile::new("big.mix", source)];
    let checked = check(&files, &CompileOptions::default());
    let report = checked.report();
    let list = report["errors"].as_array().expect("a report lists errors");
    list.iter()
        .map(|error| {
            let code = error["code"].as_str().expect("an issue has a code");
            let at = |index: usize| error["location"][index].as_u64().expect("a number") as u32;
            (code.to_owned(), at(1), at(2))
        })
        .collect()
}

#[test]
fn a_source_of_ten_megabytes() {
    let mut source = String::from("module big(p:data)\n  var cell m_params = p\n");
    let mut defs = 0;
    while source.len() < 2 << 20 {
        source.push_str(&format!(
            "  def f{defs} : number -> number\n  def f{defs}(n) = n + {defs} // one of many\n"
        ));
        defs += 1;
    }
    source.push_str("/*");
    source.push_str(&"a long comment\n".repeat((5 << 20) / 15));
    source.push_str("*/\n  def text = \"");
    source.push_str(&"0123456789".repeat(3 << 20 >> 3));
    source.push_str("\"\n");
    source.push_str(&format!(
        "  cell output = f{}(1) + string.length(text)\nmodule end\n",
        defs - 1
    ));
    assert!(source.len() > 10 << 20, "{} bytes", source.len());
    let mut session = load(&source);
    session.act(Action::RunAgent {
        agent: "big".into(),
        params: value("1"),
    });
    let expected = defs + 10 * (3 << 20 >> 3);
    assert_eq!(told(&events(&mut session)), format!("result {expected}"));
}

#[test]
fn literals_of_a_hundred_thousand_elements() {
    let numbers: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    let array = format!("[{}]", numbers.join(","));
    assert_eq!(
        evaluate(&format!("let a = {array}; array.length(a) + a[99999]")),
        "199999"
    );
    // Elements that are computed, so that no constant can stand for the whole.
    let computed: Vec<String> = (0..100_000).map(|_| "x".to_owned()).collect();
    let array = format!("[{}]", computed.join(","));
    assert_eq!(
        evaluate(&format!("def f(x) = array.length({array}) ;; f(1)")),
        "100000"
    );
    let entries: Vec<String> = (0..20_000).map(|key| format!("k{key}: {key}")).collect();
    let map = format!("{{{}}}", entries.join(","));
    assert_eq!(
        evaluate(&format!("let m = {map}; map.length(m) + m.k19999")),
        "39999"
    );
}

/// How often one can go into a value in some way.
fn depth(into: &str, value: &str) -> String {
    format!(
        "def depth(x) {{ var v = x : data; var n = 0; while (v{into}?) {{ v = v{into}; n = n + 1 }}; return n }} ;; \
         depth({value})"
    )
}

/// Text in which `open` and `close` stand around `inner` ten thousand times.
fn nested(open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(10_000), close.repeat(10_000))
}

#[test]
fn ten_thousand_nested_brackets() {
    let evaluated = |text: String| evaluate(&format!("def f(x) = x ;; case box(data) ;; {text}"));
    for (open, inner, close, into) in [
        ("[", "[]", "]", "[0]"),
        ("{a:", "{}", "}", ".a"),
        ("{a: [", "{}", "]}", ".a[0]"),
        ("{a: f([", "{}", "])}", ".a[0]"),
    ] {
        let text = depth(into, &nested(open, inner, close));
        assert_eq!(evaluated(text), "10000", "{open}");
    }
    for (open, inner, close, value) in [
        ("(1 + ", "1", ")", "10001"),
        ("f(", "1", ")", "1"),
        ("array.get(0, [", "1", "])", "1"),
        ("-", "1", "", "1"),
        ("not ", "true", "", "true"),
        ("do { return ", "1", " }", "1"),
        ("if (true) ", "1", " else 2", "1"),
        ("(x -> x)(", "1", ")", "1"),
        ("let a = 1; ", "2", "", "2"),
        ("(1 |> (x -> x + ", "1", "))", "10001"),
    ] {
        assert_eq!(evaluated(nested(open, inner, close)), value, "{open}");
    }
    // Three pairs of brackets each time.
    let statements = format!(
        "{}1{}",
        "do { if (true) { return ".repeat(4_000),
        " } }".repeat(4_000)
    );
    assert_eq!(evaluated(statements), "1");
    let deep = nested("[", "1", "]");
    assert_eq!(evaluated(deep.clone()), deep);
    assert!(evaluated(nested("box(", "1", ")")).starts_with("{\"_rmx_type\""));
    // Values so deep exist, but do not leave the program.
    let mut session = load(&format!(
        "module deep\n  cell output = {deep}\nmodule end\n"
    ));
    session.act(Action::RunAgent {
        agent: "deep".into(),
        params: value("1"),
    });
    let told = told(&events(&mut session));
    assert!(
        told.contains("ERR_NOT_SERIALIZABLE cell output: value is nested too deeply"),
        "{told}"
    );
    // Types are not so deep.
    for (open, inner, close) in [
        ("array(", "data", ")"),
        ("{a: ", "data", "}"),
        ("(", "data", ") -> data"),
    ] {
        let source = format!(
            "module deep\n  def x : {}\n  def x = fail(\"\")\nmodule end\n",
            nested(open, inner, close)
        );
        let found = errors(&source);
        assert!(
            found.iter().any(|(code, ..)| code == "SYN_NESTING"),
            "{open}: {found:?}"
        );
    }
    // Text nests no deeper than the limit.
    let source = format!(
        "module deep\n  def x = {}{}\nmodule end\n",
        "[".repeat(40_000),
        "]".repeat(40_000)
    );
    assert_eq!(errors(&source)[0].0, "SYN_NESTING");
    // Parentheses around parentheses mean nothing, however many they are.
    let nested = nested("(", "1 + 2", ")");
    assert_eq!(evaluate(&format!("3 * {nested}")), "9");
    // What is far below the limit has a text.
    let shallow = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert_eq!(evaluate(&shallow), shallow);
    // Brackets that are never closed end in issues, not in a crash.
    for open in [
        "[",
        "(",
        "{",
        "{a:",
        "/*",
        "\"",
        "\"\"\"",
        "do {",
        "switch (x) {",
    ] {
        let source = format!("module deep\n  def x = {}", open.repeat(10_000));
        assert!(!errors(&source).is_empty(), "{open}");
    }
}

#[test]
fn places_count_unicode_scalar_values() {
    // A smile is one character of four bytes; the accent is a character of its own.
    let source = "module place\n  def x = \"\u{1f600}e\u{301}\" + unknown\nmodule end\n";
    let found = errors(source);
    assert!(
        found.contains(&("NAME_UNBOUND".to_owned(), 2, 19)),
        "{found:?}"
    );
    // A letter outside of ASCII is no identifier, and is reported where it stands.
    let source = "module place\n  def x = 1 // \u{fc}\n  def y = \u{fc}ber\nmodule end\n";
    let found = errors(source);
    assert_eq!(found.first(), Some(&("LEX_BAD_CHAR".to_owned(), 3, 11)));
    // Run-time places count the same.
    let mut session = load(
        "module place(p:data)\n  var cell m_params = p\n  cell output = [\"\u{1f600}\u{1f600}\", m_params[5]]\nmodule end\n",
    );
    session.act(Action::RunAgent {
        agent: "place".into(),
        params: value("[]"),
    });
    let issue = events(&mut session)
        .into_iter()
        .find_map(|event| match event {
            Event::Issue(issue) => Some(issue),
            _ => None,
        })
        .expect("index 5 does not exist");
    let place = issue.location.expect("a place");
    assert_eq!(
        (issue.code.as_str(), place.start_line, place.start_column),
        ("RT_INDEX", 3, 24)
    );
}

#[test]
fn tail_calls_of_every_sort_need_constant_space() {
    for source in [
        // Mutual, through branches and blocks.
        "def odd : number -> bool def even : number -> bool def even(n) = if (n == 0) true else odd(n - 1) \
         def odd(n) = do { if (n == 0) { return false } return even(n - 1) } ;; even(1000000)",
        // Through a function value and a pipe.
        "def go : (number -> bool) -> number -> bool def go(f, n) = if (n == 0) f(0) else n - 1 |> go(f) ;; go(x -> x == 0, 1000000)",
        // Through the arms of a lambda that is called where it is written.
        "def down : number -> bool def down(n) = n |> (0 -> true | m -> down(m - 1)) ;; down(1000000)",
        // Through a switch.
        "def down : number -> bool def down(n) { switch (n) { case 0: return true case m: return down(m - 1) } } ;; down(1000000)",
    ] {
        assert_eq!(evaluate(source), "true", "{source}");
    }
}

#[test]
fn recursion_without_end_is_a_stack_failure_that_can_be_caught() {
    let endless = "def f : number -> number def f(n) = 1 + f(n + 1) ;; ";
    assert_eq!(evaluate(&format!("{endless} f(0)")), "!RT_STACK");
    let caught = format!("{endless} try f(0) |> (error(text) -> text | other -> \"none\")");
    assert_eq!(evaluate(&caught), "\"RT_STACK: stack limit exceeded\"");
    // Many registers for each frame reach their limit before that of frames.
    let many: Vec<String> = (0..200)
        .map(|index| format!("let v{index} = n + {index};"))
        .collect();
    let sum: Vec<String> = (0..200).map(|index| format!("v{index}")).collect();
    let wide = format!(
        "def g : number -> number def g(n) = {} g(n + 1) + {} ;; g(0)",
        many.join(" "),
        sum.join(" + ")
    );
    assert_eq!(evaluate(&wide), "!RT_STACK");
}

#[test]
fn functions_of_many_registers() {
    // More registers than the short window of the interpreter has, called from it and calling it.
    let many: Vec<String> = (0..400)
        .map(|index| format!("let v{index} = n + {index};"))
        .collect();
    // In groups: a sum of 400 is nested as deep as the compiler allows.
    let sum: Vec<String> = (0..20)
        .map(|group| {
            let group: Vec<String> = (0..20)
                .map(|index| format!("v{}", group * 20 + index))
                .collect();
            format!("({})", group.join(" + "))
        })
        .collect();
    let source = format!(
        "def small : number -> number def small(n) = n * 2 \
         def wide : number -> number def wide(n) {{ {} return small({}) }} \
         def deep : number -> number -> number def deep(k, n) = if (k == 0) wide(n) else wide(n) + deep(k - 1, n) ;; deep(100, 1)",
        many.join(" "),
        sum.join(" + ")
    );
    let one = 2 * (400 + 399 * 400 / 2);
    assert_eq!(evaluate(&source), (one * 101).to_string());
}

#[test]
fn endless_loops_of_every_sort_end_with_their_budget() {
    for body in [
        "do { while (true) { } return 1 }",
        "do { var i = 0; while (i < 1) { i = i * 2 } return i }",
        "do { for (let i = 0; i >= 0; i = i + 1) { } return 1 }",
        "spin(0)",
        "array.length(stream.toArray(stream.enumerate(1000000000)))",
        "array.map(x -> spin(x), [1, 2])",
        "try spin(0)",
    ] {
        let source = format!(
            "module loop(p:data) var cell m_params = p def spin : number -> number def spin(n) = spin(n + 1) cell output = {body} module end"
        );
        let files = [SourceFile::new("loop.mix", source.as_str())];
        let compilation = compile(&files, &CompileOptions::default());
        assert!(compilation.program.is_some(), "{}", compilation.text());
        let mut session = load(&source);
        session.set_budget(Some(200_000));
        session.act(Action::RunAgent {
            agent: "loop".into(),
            params: value("1"),
        });
        let mut code = None;
        loop {
            match session.run(&mut NoHost, 10_000) {
                Step::Event(Event::Issue(issue)) => code = Some(issue.code),
                Step::Event(_) | Step::Ready => {}
                _ => break,
            }
        }
        assert_eq!(code.as_deref(), Some("RT_TIMEOUT"), "{body}");
    }
}
