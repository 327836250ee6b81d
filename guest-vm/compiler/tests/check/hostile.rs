//! Sources made to exhaust the checker: they end soon, with an error or without.

use crate::{expression_errors, module_errors};
use std::fmt::Write;
use std::time::{Duration, Instant};

fn soon<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(20), "{what} took {taken:?}");
    result
}

#[test]
fn types_of_exponential_size() {
    let mut text = String::from("module m def a0 = [x -> x, 1]\n");
    for level in 1..80 {
        let _ = writeln!(text, "def a{level} = [a{}, a{}]", level - 1, level - 1);
    }
    text.push_str("def same = if (true) a79 else a79 cell c = a79 module end");
    soon("exponential types", || module_errors(&text));
    let nested = "let f0 = x -> [x, x]; let f1 = x -> f0(f0(x)); let f2 = x -> f1(f1(x)); \
                  let f3 = x -> f2(f2(x)); let f4 = x -> f3(f3(x)); let f5 = x -> f4(f4(x)); f5(x -> x)";
    soon("nested pairs", || expression_errors(nested));
}

#[test]
fn types_of_great_depth() {
    let mut text = String::from("module m def a0 = [x -> x, 1]\n");
    for level in 1..20_000 {
        let _ = writeln!(text, "def a{level} = [a{}, x -> x]", level - 1);
    }
    text.push_str("module end");
    soon("deep types", || module_errors(&text));
}

#[test]
fn long_chains() {
    let sum = vec!["1"; 900].join(" + ");
    soon("a sum", || expression_errors(&sum));
    let pipes = format!("1{}", " |> (x -> x + 1)".repeat(900));
    soon("pipes", || expression_errors(&pipes));
    let unknown = format!("let f(x) = x{}; f(1)", " + x".repeat(900));
    soon("delayed sums", || expression_errors(&unknown));
    let fields = format!("let f(x) = x{}; f({{}})", ".a".repeat(900));
    soon("fields", || expression_errors(&fields));
    let mut lets = String::new();
    for index in 0..900 {
        let _ = write!(lets, "let x{index} = {index}; ");
    }
    lets.push('1');
    soon("lets", || expression_errors(&lets));
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
    assert_eq!(
        soon("many phrases", || module_errors(&text)),
        Vec::<String>::new()
    );
}

#[test]
fn long_chains_of_imports() {
    let mut text = String::new();
    for index in 0..1_000 {
        let _ = writeln!(text, "module m{index} import m{} module end", index + 1);
    }
    text.push_str("module m1000 module end");
    soon("imports", || module_errors(&text));
}
