//! Lines, columns, directives, and how issues are shown.

use super::{session, unit};
use mix_compiler::issue::render;

fn first_location(text: &str) -> String {
    let (_, issues, sources) = session(text);
    let at = issues[0].location(&sources);
    format!(
        "{}:{}:{}-{}:{}",
        at.file, at.start_line, at.start_column, at.end_line, at.end_column
    )
}

#[test]
fn columns_count_scalar_values() {
    assert_eq!(first_location("\"é😀\" + $"), "test:1:8-1:9");
    assert_eq!(first_location("\u{feff}$"), "test:1:1-1:2");
    assert_eq!(first_location("1 +\r\n\t$"), "test:2:2-2:3");
}

#[test]
fn directives_renumber_lines() {
    assert_eq!(
        first_location("#line 40 \"gen.mix\"\ndef a = $"),
        "gen.mix:40:9-40:10"
    );
    assert_eq!(first_location("#line 40\n\ndef a = $"), "test:41:9-41:10");
    let (_, issues, sources) = unit(
        "module m\n#push 10 \"a\"\n#push 20 \"b\"\ndef x = $\n#pop\ndef y = $\n#pop\ndef z = $\n#pop\n",
    );
    let lines: Vec<String> = issues
        .iter()
        .map(|issue| {
            let at = issue.location(&sources);
            format!("{} {}:{}", issue.code.as_str(), at.file, at.start_line)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "LEX_BAD_CHAR b:20",
            "LEX_BAD_CHAR a:11",
            // The line after the first #push would have had number 3.
            "LEX_BAD_CHAR test:3",
        ]
    );
}

#[test]
fn a_hash_elsewhere_is_a_token() {
    let (_, issues, _) = unit("module m def x = [\n#a: 1]");
    assert!(issues.is_empty());
}

#[test]
fn shown_for_people() {
    let (_, issues, sources) = session("def a = 1\n\tdef b = [1, return 2]");
    assert_eq!(
        render::to_text(&issues[0], &sources),
        "error SYN_STATEMENT test:2:14: return is a statement; use it in a do block\n  \
         |\n\
         2 | \tdef b = [1, return 2]\n  \
         | \t            ^^^^^^\n  \
         = help: an expression needs no `return`; statements stand in `do { … }`\n"
    );
}

#[test]
fn shown_for_tools() {
    let (_, issues, sources) = session("12ab");
    assert_eq!(
        render::report(&issues, &[], &sources).to_string(),
        r#"{"errors":[{"class":"lex","code":"LEX_NUMBER","hint":"a name does not start with a digit; after a number comes a space or an operator","location":["test",1,1,1,5],"message":"malformed number 12ab","params":{"text":"12ab"}}],"warnings":[]}"#
    );
}
