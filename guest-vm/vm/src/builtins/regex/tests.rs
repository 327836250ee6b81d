//! Matching against the rules of the library.

use super::*;

fn all(pattern: &str, text: &str) -> Vec<String> {
    let pattern = Pattern::new(pattern).expect("a good pattern");
    let found = pattern
        .find_all(text, usize::MAX)
        .expect("a search cannot fail");
    found
        .into_iter()
        .map(|(start, end)| text[start..end].to_owned())
        .collect()
}

fn groups(pattern: &str, text: &str) -> Vec<String> {
    let pattern = Pattern::new(pattern).expect("a good pattern");
    let span = pattern
        .find(text, 0, false)
        .expect("a search cannot fail")
        .expect("a match");
    pattern
        .groups(text, span)
        .into_iter()
        .map(|group| group.map_or("-".to_owned(), |(start, end)| text[start..end].to_owned()))
        .collect()
}

#[test]
fn leftmost_longest() {
    assert_eq!(all("a|ab", "xabz"), ["ab"]);
    assert_eq!(all("a*", "baac"), ["", "aa", ""]);
    assert_eq!(all("", "éa"), ["", "", ""]);
    assert_eq!(all("[0-9]+", "é12x345"), ["12", "345"]);
    assert_eq!(all("(?i)straße", "STRAßE"), ["STRAßE"]);
    assert_eq!(all(r"\bfoo\b", "foo foobar éfoo"), ["foo", "foo"]);
    assert_eq!(all(r"\w+", "aé_1"), ["a", "_1"]);
    assert_eq!(all(r"[\d.]+", "1.5 ٣"), ["1.5"]);
    assert_eq!(all(r"\D", "1é"), ["é"]);
    assert_eq!(all(r"\pL+", "aé1"), ["aé"]);
    assert_eq!(all("(?m)^.", "a\nb"), ["a", "b"]);
    assert_eq!(all(r"\<\>", "<>"), ["<>"]);
}

#[test]
fn classes_in_brackets_hold_characters() {
    assert_eq!(all("[[{]", "a[{"), ["[", "{"]);
    assert_eq!(all("[][]", "[]x"), ["[", "]"]);
    assert_eq!(all("[^][]+", "[ab]"), ["ab"]);
    assert_eq!(all("[a&&b]+", "a&b"), ["a&b"]);
    assert_eq!(all("[~~]", "~"), ["~"]);
    assert_eq!(all("[+--]+", "+,-."), ["+,-"]);
    assert_eq!(all("[a-]+", "a-b"), ["a-"]);
    assert_eq!(all("[[:alpha:]_]+", "a_1"), ["a_"]);
    assert_eq!(all("[[:^alpha:]]+", "ab1"), ["1"]);
    assert_eq!(all(r"[\]\d]+", "]5x"), ["]5"]);
    assert_eq!(all(r"\[[\[x]", "[[ [x"), ["[[", "[x"]);
    assert!(Pattern::new("[[:foo:]]").is_err());
    assert!(Pattern::new("[a").is_err());
    assert!(Pattern::new("[z-a]").is_err());
}

#[test]
fn groups_follow_greedy_order() {
    assert_eq!(groups("(a+)(b*)", "caabx"), ["aab", "aa", "b"]);
    assert_eq!(groups("(x)|(y)", "y"), ["y", "-", "y"]);
    assert_eq!(
        groups("(a|ab)(c|bcd)(d*)", "abcd"),
        ["abcd", "a", "bcd", ""]
    );
    assert_eq!(groups("(a*)(a*)", "aaa"), ["aaa", "aaa", ""]);
    assert_eq!(groups("(?:(a)|b)*", "ab"), ["ab", "a"]);
    assert_eq!(groups(r"(a|ab)\b", "ab"), ["ab", "ab"]);
}

#[test]
fn refuses_what_the_dialect_lacks() {
    for pattern in [
        "a*?",
        "(?=a)",
        r"\1",
        "(",
        "a{1001}",
        "(?x)a",
        "[z-a]",
        r"\b{start}",
        "(?U)a*",
    ] {
        let refused = Pattern::new(pattern)
            .err()
            .map(|failure| failure.code().to_owned());
        assert_eq!(refused.as_deref(), Some("ERR_REGEX"), "{pattern}");
    }
    // Too large once the repetitions are written out.
    assert!(Pattern::new(r"((\pL{1000}){1000}){1000}").is_err());
}

#[test]
fn hostile_patterns_stay_linear() {
    let text = "a".repeat(20_000);
    assert_eq!(all("(a*)*b", &text), Vec::<String>::new());
    assert_eq!(all("(a|a)*", &text).len(), 1);
    assert_eq!(groups("(a?){500}(a*)", &text).len(), 3);
}

#[test]
fn all_matches_are_found_in_linear_time() {
    // Each search alone runs to the end of the text.
    let text = "a".repeat(400_000);
    assert_eq!(all("a.*z|a", &text).len(), 400_000);
    assert_eq!(all("a(a*|b)*z|aa", &text).len(), 200_000);
    let text = "ab ".repeat(100_000);
    assert_eq!(all(r"(?s)\w+.*!|b", &text).len(), 100_000);
    assert_eq!(all("a[^!]*!|b ", &text).len(), 100_000);
}

#[test]
fn long_texts_have_the_matches_of_short_ones() {
    let part = "a1 é22,b\n ab-ab aab\tfoo foobar éfoo [x] 1.5 zz\n";
    let long = part.repeat(2 * SHORT / part.len());
    for pattern in [
        "a|ab", "a*", "", "[0-9]+", r"\bfoo\b", r"\w+", r"\pL+", "(?m)^.", "(?m)$", "(?m)^$",
        r"\z", "^", r"\<|\>", "a.*z|a", "(ab|-)*", "é|", "(?s).*", "[^x]*x", "zz\n\\z", "(a|b)*b",
        r"\B", "x{0}",
    ] {
        let pattern = Pattern::new(pattern).expect("a good pattern");
        let one_by_one = successive(&long, usize::MAX, |from| pattern.find(&long, from, false));
        let found = pattern
            .find_all(&long, usize::MAX)
            .expect("a search cannot fail");
        assert_eq!(found, one_by_one.expect("a search cannot fail"));
        let some = pattern
            .find_all(&long, FEW + 1)
            .expect("a search cannot fail");
        assert_eq!(some, found[..found.len().min(FEW + 1)]);
    }
}
