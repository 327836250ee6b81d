//! Hostile text: deep nesting and garbage give errors, never a crash.

use mix_compiler::{CompileOptions, SourceFile, check};

fn codes(text: String) -> Vec<&'static str> {
    let file = SourceFile::new("hostile", format!("module m {text}"));
    check(&[file], &CompileOptions::default())
        .errors
        .iter()
        .map(|issue| issue.code.as_str())
        .collect()
}

#[test]
fn nesting_is_bounded() {
    const DEPTH: usize = 100_000;
    for (open, middle, close) in [
        ("(0 + ", "1", ")"),
        ("[", "1", "]"),
        ("{a:", "1", "}"),
        ("f(", "1", ")"),
        ("x -> ", "1", ""),
        ("-", "1", ""),
        ("not ", "a", ""),
        ("if (a) 1 else ", "2", ""),
        ("let a = 1; ", "2", ""),
        ("1 ++ ", "s", ""),
        ("do { ", "1", " }"),
        ("do { if (a) { ", "1", " } }"),
        ("([", "a", "] -> 1)"),
    ] {
        let text = format!(
            "def x = {}{middle}{}",
            open.repeat(DEPTH),
            close.repeat(DEPTH)
        );
        assert!(codes(text).contains(&"SYN_NESTING"), "{open}");
    }
    let constant = format!("{}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    assert!(codes(format!("def x = _escJSON_ {constant}")).contains(&"SYN_NESTING"));
    let ty = format!("{}a{}", "(".repeat(DEPTH), ")".repeat(DEPTH));
    assert!(codes(format!("def x : {ty}")).contains(&"SYN_NESTING"));
    assert!(codes(format!("def x = type({ty})")).contains(&"SYN_NESTING"));
    assert!(codes(format!("def x : {}a", "a -> ".repeat(DEPTH))).contains(&"SYN_NESTING"));
    let chain = "if (a) { } else ".repeat(DEPTH);
    assert!(codes(format!("def x = do {{ {chain} {{ }} }}")).contains(&"SYN_NESTING"));
}

#[test]
fn what_is_allowed_is_compiled() {
    let deep = 10_000;
    for text in [
        // Pairs right inside one another are one, however many.
        format!("def x = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("def x = {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!(
            "def x = {}1{}",
            "{a: f(".repeat(deep / 2),
            ")}".repeat(deep / 2)
        ),
        // The type is as deep as the text.
        format!("def x = {}1{}", "(y -> ".repeat(180), ")".repeat(180)),
        format!("def x = {}1", "if (true) 1 else ".repeat(deep)),
        format!("def x = {}1", "let a = 1; ".repeat(deep)),
        format!(
            "def x {{ {}return 1{} }}",
            "if (true) { ".repeat(deep),
            "}".repeat(deep)
        ),
        format!(
            "def x = {}null{}",
            "do { return ".repeat(deep),
            " }".repeat(deep)
        ),
        format!("def x = 1{}", " + 1".repeat(3900)),
        format!("def x = 1{}", " |> f".repeat(3900)),
        format!("def x = \"\"{}", ".b".repeat(3900)),
        format!("def x = {{}}{}", " with .a = 1".repeat(3900)),
    ] {
        let file = SourceFile::new("deep", format!("module m def f(x) = x {text} cell c = x"));
        let result = mix_compiler::compile(&[file], &CompileOptions::default());
        let codes: Vec<&str> = result
            .errors
            .iter()
            .map(|issue| issue.code.as_str())
            .collect();
        assert!(
            codes.iter().all(|code| code.starts_with("TYPE_")),
            "{codes:?} {}",
            &text[..60]
        );
    }
}

#[test]
fn chains_are_bounded() {
    for (start, link) in [
        ("a", " + a"),
        ("a", " |> f"),
        ("a", ".b"),
        ("a", "(1)"),
        ("a", "?"),
        ("a", " with .b = 1"),
        ("a : t", " : t"),
    ] {
        let long = format!("def a = 1 def x = {start}{}", link.repeat(100_000));
        assert!(codes(long).contains(&"SYN_NESTING"), "{link}");
    }
}

#[test]
fn every_prefix_of_a_program_is_survived() {
    let text = "module m(x:number) import p(1) var cell c : array(number) = [x, {a: \"b\\n\"}.a] \
                def f(y) { for (let z in y) { if (z > 1) { return [z] } } } on c when c'? do { c = [] } module end";
    for end in 0..text.len() {
        let file = SourceFile::new("prefix", &text[..end]);
        let _ = check(&[file], &CompileOptions::default());
    }
}

#[test]
fn garbage_is_survived() {
    // A small generator of token soup, the same in every run.
    let words = [
        "def", "cell", "(", ")", "[", "]", "{", "}", "->", "|", "x", "1", "\"a\"", ";", ";;",
        "module", "end", "case", "let", "=", "when", "if", "else", ".", ",", "~", "#", ":", "do",
        "\\", "\"", "'", "on", "type", "<var>", "for", "in",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..40 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(words[(state % words.len() as u64) as usize]);
            text.push(' ');
        }
        let file = SourceFile::new("soup", text);
        let _ = check(&[file], &CompileOptions::default());
    }
}

#[test]
fn text_must_be_utf8() {
    let file = SourceFile::new("bytes", b"module m def x = \"\xff\"".to_vec());
    let result = check(&[file], &CompileOptions::default());
    assert_eq!(result.errors[0].code.as_str(), "LEX_BAD_CHAR");
    assert_eq!(result.errors[0].message(), "unexpected character byte 0xff");
}
