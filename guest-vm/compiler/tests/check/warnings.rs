//! Warnings: when they come and how they are silenced.

use mix_compiler::{CompileOptions, SourceFile};

fn warnings(body: &str) -> Vec<String> {
    let files = [SourceFile::new(
        "test.mix",
        format!("module m {body} module end"),
    )];
    let result = mix_compiler::check(&files, &CompileOptions::default());
    assert!(result.errors.is_empty(), "{body}\n{}", result.text());
    result
        .warnings
        .iter()
        .map(|issue| issue.code.as_str().to_string())
        .collect()
}

#[test]
fn warnings_of_correct_programs() {
    for (body, expected) in [
        ("def x = 1 def x = 2", vec!["WARN_REDEFINED"]),
        (
            "case a | b(number) type t = a | b def f : t -> number def f = (self.a -> 1)",
            vec!["WARN_NONEXHAUSTIVE"],
        ),
        (
            "case a | b(number) type t = a | b def f : t -> number def f = (self.a -> 1 | b(_) -> 2)",
            vec![],
        ),
        (
            "def f : option(number) -> number def f = (some(x) -> x)",
            vec!["WARN_NONEXHAUSTIVE"],
        ),
        ("def f = (x -> 1 | null -> 2)", vec!["WARN_UNREACHABLE"]),
        ("case a def f(x) = (a -> 1)(x)", vec!["WARN_SHADOWCASE"]),
        ("def f(r: {name: string}) = r.nam", vec!["WARN_NOFIELD"]),
        (
            "def f : number -> number _meta_ {deprecated: true} def f(x) = x def g = f(1)",
            vec!["WARN_DEPRECATED"],
        ),
        (
            "def f : number -> number _meta_ {renamed: true, replacement: \"g\"} def f(x) = x def g = f(1)",
            vec!["WARN_RENAMED"],
        ),
        (
            "_pragma_ {warningFilter: \"-redefined\"} def x = 1 def x = 2",
            vec![],
        ),
        (
            "_pragma_ {warningFilter: \"+downcast\"} def f(d: data): number = d",
            vec!["WARN_DOWNCAST"],
        ),
        ("def f(d: data): number = d", vec![]),
        (
            "def f(x) = do { switch (x) { case {a: b}: return b case _: return null } }",
            vec![],
        ),
    ] {
        assert_eq!(warnings(body), expected, "{body}");
    }
}

#[test]
fn hints_name_the_mend() {
    let files = [SourceFile::new(
        "test.mix",
        "module m def total = 1 def y = totl def z = array.lenght([]) def w : strng -> null module end",
    )];
    let result = mix_compiler::check(&files, &CompileOptions::default());
    let hints: Vec<String> = result
        .errors
        .iter()
        .filter_map(|issue| issue.hint.clone())
        .collect();
    assert_eq!(
        hints,
        [
            "did you mean total?",
            "did you mean array.length?",
            "did you mean string?"
        ]
    );
}
