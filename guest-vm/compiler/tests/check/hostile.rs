//! Sources made to exhaust the checker: they end, with an error or without. The sizes are such
//! that time growing with the square of them would keep the tests from ending.

use crate::{expression_errors, module_errors};
use std::fmt::Write;

#[test]
fn types_of_exponential_size() {
    let mut text = String::from("module m def a0 = [x -> x, 1]\n");
    for level in 1..80 {
        let _ = writeln!(text, "def a{level} = [a{}, a{}]", level - 1, level - 1);
    }
    text.push_str("def same = if (true) a79 else a79 cell c = a79 module end");
    module_errors(&text);
    let nested = "let f0 = x -> [x, x]; let f1 = x -> f0(f0(x)); let f2 = x -> f1(f1(x)); \
                  let f3 = x -> f2(f2(x)); let f4 = x -> f3(f3(x)); let f5 = x -> f4(f4(x)); f5(x -> x)";
    expression_errors(nested);
}

#[test]
fn types_of_great_depth() {
    let mut text = String::from("module m def a0 = [x -> x, 1]\n");
    for level in 1..20_000 {
        let _ = writeln!(text, "def a{level} = [a{}, x -> x]", level - 1);
    }
    text.push_str("module end");
    module_errors(&text);
}

#[test]
fn long_chains() {
    let sum = vec!["1"; 900].join(" + ");
    expression_errors(&sum);
    let pipes = format!("1{}", " |> (x -> x + 1)".repeat(900));
    expression_errors(&pipes);
    let unknown = format!("let f(x) = x{}; f(1)", " + x".repeat(900));
    expression_errors(&unknown);
    let fields = format!("let f(x) = x{}; f({{}})", ".a".repeat(900));
    expression_errors(&fields);
    let mut lets = String::new();
    for index in 0..900 {
        let _ = write!(lets, "let x{index} = {index}; ");
    }
    lets.push('1');
    expression_errors(&lets);
}

#[test]
fn many_phrases() {
    let mut text = String::from("module m\n");
    for index in 0..5_000 {
        let _ = writeln!(text, "def f{index}(x) = x.a{index} + {index}");
    }
    for index in 1..2_000 {
        let _ = writeln!(
            text,
            "cell c{index} = {}",
            if index == 1 {
                "1".into()
            } else {
                format!("c{} + 1", index - 1)
            }
        );
    }
    text.push_str("module end");
    assert_eq!(module_errors(&text), Vec::<String>::new());
}

#[test]
fn long_chains_of_imports() {
    let mut text = String::new();
    for index in 0..1_000 {
        let _ = writeln!(text, "module m{index} import m{} module end", index + 1);
    }
    text.push_str("module m1000 module end");
    module_errors(&text);
}

#[test]
fn many_unknown_names() {
    let mut text = String::from("module m\n");
    for index in 0..50_000 {
        let _ = writeln!(text, "def a{index} = unknownName{index}");
    }
    text.push_str("module end");
    assert_eq!(module_errors(&text).len(), 50_000);
}

#[test]
fn many_definitions_of_one_name() {
    let text = format!("module m\n{}module end", "def a = 1\n".repeat(50_000));
    assert_eq!(module_errors(&text), Vec::<String>::new());
}

#[test]
fn wide_types_and_literals() {
    let mut fields = String::new();
    let mut values = String::new();
    for index in 0..15_000 {
        let _ = write!(
            fields,
            "{}f{index}: number",
            if index > 0 { ", " } else { "" }
        );
        let _ = write!(
            values,
            "{}f{index}: {index}",
            if index > 0 { ", " } else { "" }
        );
    }
    let text = format!("module m type r = {{{fields}}} def a(x: r) = x.f1 module end");
    assert_eq!(module_errors(&text), Vec::<String>::new());
    let text = format!("module m def a = {{{values}}} module end");
    assert_eq!(module_errors(&text), Vec::<String>::new());
    let numbers = vec!["1"; 100_000].join(",");
    for ty in ["", ": array(number)", ": data"] {
        let text = format!("module m def a {ty} = [{numbers}] module end");
        assert_eq!(module_errors(&text), Vec::<String>::new(), "{ty}");
    }
}

#[test]
fn many_locals() {
    let mut text = String::from("module m def f(n) = do {\n");
    for index in 0..50_000 {
        let _ = writeln!(text, "let x{index} = n + {index};");
    }
    text.push_str("return x0 } module end");
    assert_eq!(module_errors(&text), Vec::<String>::new());
}

#[test]
fn stray_brackets() {
    let open = "[".repeat(300_000);
    let close = ")".repeat(300_000);
    let text = format!("module m def a = {open}{close} module end");
    assert_eq!(module_errors(&text), ["SYN_NESTING"]);
}
