//! What is refused, with code and place; one error per phrase.

use super::{dump, session, shown, unit};
use mix_compiler::syntax::ast::UnitItem;

const CASES: &[(&str, &str)] = &[
    ("\"abc", "LEX_STRING 1:1-1:2"),
    ("\"abc\n\" + 1", "LEX_STRING 1:1-1:2"),
    ("\"\"\"abc\"\"", "LEX_STRING 1:1-1:4"),
    ("12ab", "LEX_NUMBER 1:1-1:5"),
    ("1.5e", "LEX_NUMBER 1:1-1:5"),
    ("1e999", "LEX_NUMBER 1:1-1:6"),
    ("\"\\q\"", "LEX_ESCAPE 1:2-1:4"),
    ("\"\\u12\"", "LEX_ESCAPE 1:2-1:6"),
    ("\"\\ud800\"", "LEX_ESCAPE 1:2-1:8"),
    ("\"\\ud800\\u0041\"", "LEX_ESCAPE 1:2-1:8"),
    ("\"\\u{110000}\"", "LEX_ESCAPE 1:2-1:12"),
    ("\"\\u{}\"", "LEX_ESCAPE 1:2-1:6"),
    ("1 /* a", "LEX_COMMENT 1:3-1:5"),
    ("a $b", "LEX_BAD_CHAR 1:3-1:4"),
    ("a ! b", "LEX_BAD_CHAR 1:3-1:4"),
    ("é", "LEX_BAD_CHAR 1:1-1:2"),
    ("#line x", "LEX_DIRECTIVE 1:1-1:8"),
    ("#line 0", "LEX_DIRECTIVE 1:1-1:8"),
    ("1 < 2 < 3", "SYN_NONASSOC 1:7-1:8"),
    ("(x -> 1 | (a, b) -> 2)", "SYN_ARITY 1:11-1:22"),
    ("if (1 < 2) \"y\"", "SYN_ELSE 1:1-1:15"),
    ("[1, return 2]", "SYN_STATEMENT 1:5-1:11"),
    ("f(x = 1)", "SYN_STATEMENT 1:5-1:6"),
    ("x = 1", "SYN_STATEMENT 1:3-1:4"),
    ("(while (a) { b })", "SYN_STATEMENT 1:2-1:7"),
    (
        "def f(x) = if (x) { return 1 } else { return 2 }",
        "SYN_STATEMENT 1:21-1:27",
    ),
    ("if (a) { b = 1 } else { c = 2 }", "SYN_STATEMENT 1:12-1:13"),
    ("def f([a, b]) = a", "SYN_PARAM_PATTERN 1:7-1:13"),
    ("let f(a, 3) = a; f", "SYN_PARAM_PATTERN 1:10-1:11"),
    ("do { var [a, b] = c }", "SYN_VAR_PATTERN 1:10-1:16"),
    ("do { for (var {a} in c) { } }", "SYN_VAR_PATTERN 1:15-1:18"),
    ("[~multiple a, ~multiple b] -> a", "SYN_PATTERN 1:15-1:26"),
    ("~multiple a -> a", "SYN_PATTERN 1:1-1:2"),
    ("c(a, b) -> a", "SYN_PATTERN 1:4-1:5"),
    ("case Foo", "SYN_CASE_NAME 1:6-1:9"),
    ("_pragma_ {a: b}", "SYN_CONST 1:14-1:15"),
    (
        "_escJSON_ {_rmx_type:\"{tag}zzz\"}",
        "SYN_ESCJSON 1:11-1:33",
    ),
    ("~regex \"(\"", "SYN_REGEX 1:8-1:11"),
    ("~regex \"a+?\"", "SYN_REGEX 1:8-1:13"),
    ("[1, 2,]", "SYN_UNEXPECTED 1:6-1:7"),
    ("f(1", "SYN_UNEXPECTED 1:4-1:4"),
    ("1 +", "SYN_UNEXPECTED 1:4-1:4"),
    ("1 + x -> x", "SYN_UNEXPECTED 1:3-1:4"),
    ("do { if (.a) { } }", "SYN_UNEXPECTED 1:10-1:11"),
    ("do { .a = 1 }", "SYN_UNEXPECTED 1:6-1:8"),
    ("do { f(a) = 1 }", "SYN_UNEXPECTED 1:6-1:10"),
    ("module M def x = 1", "SYN_UNEXPECTED 1:19-1:19"),
    (
        "module M module N def x = 1 module end module end",
        "SYN_MODULE 1:10-1:16",
    ),
    (
        "module M initializer { } def x = 1 module end",
        "SYN_INITIALIZER 1:26-1:35",
    ),
    (
        "module M initializer { } initializer { } module end",
        "SYN_INITIALIZER 1:26-1:41",
    ),
    (
        "module M def x = 10 ;; [0] ;; module end",
        "SYN_EXPR_PHRASE 1:24-1:27",
    ),
    ("private import x", "SYN_UNEXPECTED 1:9-1:15"),
    ("def if = 1", "SYN_UNEXPECTED 1:5-1:7"),
];

#[test]
fn codes_and_places() {
    for (source, expected) in CASES {
        let (_, issues, sources) = session(source);
        assert_eq!(shown(&issues, &sources), [*expected], "{source}");
    }
}

#[test]
fn other_phrases_survive_and_broken_names_are_kept() {
    let text = "module m def a = (1 + 2  def b = 3 cell c = [  var cell d = 4 case e(number) | F type t = \
                def g = \"\\q\" + 1 + def h { return { x = 1 } } def i = 5 module end";
    let (unit, issues, sources) = unit(text);
    let UnitItem::Module(module) = &unit.items[0] else {
        panic!("a module was expected");
    };
    assert_eq!(
        dump::module(module),
        "(module m (broken a) (def b 3) (broken c) (var-cell d 4) (broken e F) (broken ) (broken g) (broken h) (def i 5))"
    );
    let codes: Vec<&str> = issues.iter().map(|issue| issue.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "SYN_UNEXPECTED",
            "SYN_UNEXPECTED",
            "SYN_CASE_NAME",
            "SYN_UNEXPECTED",
            // The bad token precedes the bad end of the same phrase.
            "LEX_ESCAPE",
            "SYN_STATEMENT",
        ],
        "{:?}",
        shown(&issues, &sources)
    );
}

#[test]
fn definitions_need_a_module_in_a_file() {
    let (_, issues, sources) = unit("def a = 1 def b = 2");
    assert_eq!(shown(&issues, &sources), ["SYN_MODULE 1:1-1:4"]);
}

#[test]
fn messages_name_what_was_found() {
    let (_, issues, _) = session("def x = (1 + ]");
    assert_eq!(
        issues[0].message(),
        "unexpected `]`, expected an expression"
    );
}

#[test]
fn unclosed_brackets_are_named() {
    let (_, issues, _) = session("def x = f(1)\ndef y = g([1, 2)\ndef z = 3");
    assert_eq!(issues.len(), 1);
    let (_, issues, sources) = session("def y =\n  g(1, [2, 3]\ndef z = 3");
    let note = &issues[0].notes[0];
    assert_eq!(note.text, "this `(` is never closed");
    let at = sources.locate(note.span);
    assert_eq!((at.start_line, at.start_column), (2, 4));
}
