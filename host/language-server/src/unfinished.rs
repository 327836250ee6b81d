//! Text that is being written: how the definition around the cursor could end.

/// Words that a definition starts with.
const STARTS: &[&str] = &[
    "def",
    "cell",
    "var cell",
    "live cell",
    "private",
    "alias",
    "import",
    "on",
    "initializer",
    "case",
    "type",
    "module",
    "static module",
    "foreign",
    "declare",
    "_pragma_",
];

/// Texts in which the definition with the cursor ends behind it, likely ones first: what is open
/// is closed, and the rest of the definition is left out.
pub fn endings<'a>(
    before: &'a str,
    cursor: &'a str,
    after: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let closing = closing(before);
    let rest = following(after);
    // The value of a `let`, a branch, a condition.
    let fillings = ["", "; null", " else null"];
    let plain = fillings.map(|filling| format!("{filling}{closing}"));
    let mut conditions = Vec::new();
    if let Some(outer) = closing.strip_prefix(')') {
        conditions.push(format!(") null else null{outer}"));
        conditions.push(format!(") {{}}{outer}"));
    }
    // The type of a parameter: the value of the function is still to come.
    conditions.push(format!("{closing} = null"));
    let all = plain.into_iter().chain(conditions);
    all.map(move |ending| format!("{before}{cursor}{ending}\n{rest}"))
}

/// The brackets that close what is open at the end of a text.
fn closing(text: &str) -> String {
    let mut open = Vec::new();
    let mut rest = text;
    let mut line_starts = true;
    while let Some(character) = rest.chars().next() {
        if line_starts && starts_definition(rest) {
            // What an earlier definition left open is not ended here.
            open.clear();
        }
        line_starts = character == '\n';
        let length = match character {
            '"' if rest.starts_with("\"\"\"") => end_of(rest, 3, "\"\"\""),
            '"' => string(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => end_of(rest, 2, "*/"),
            _ => character.len_utf8(),
        };
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' => {
                open.pop();
            }
            _ => {}
        }
        rest = &rest[length..];
    }
    open.into_iter().rev().collect()
}

/// The byte behind the first `mark` after the first `from` bytes.
fn end_of(text: &str, from: usize, mark: &str) -> usize {
    text[from..]
        .find(mark)
        .map_or(text.len(), |at| from + at + mark.len())
}

/// The length of the string that a text starts with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '"' if !escaped => return at + 1,
            '\n' => return at,
            _ => escaped = character == '\\' && !escaped,
        }
    }
    text.len()
}

fn starts_definition(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t']);
    STARTS.iter().any(|word| {
        line.strip_prefix(word)
            .is_some_and(|rest| rest.starts_with([' ', '\t', '\n', '(', '{']))
    })
}

/// The definitions after the one that goes on at the start of a text.
fn following(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        // The first line belongs to the cursor.
        if at > 0 && starts_definition(line) {
            return &text[at..];
        }
        at += line.len();
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_closed() {
        assert_eq!(closing("def f(x) = g([x, {a: "), "}])");
        assert_eq!(closing("def s = \"(\\\"[\" /* { */ // (\n + h("), ")");
        assert_eq!(closing("def a = (\n  def b = ["), "]");
        assert_eq!(closing("def r = \"\"\"(\"\"\" + (\"ü"), ")");
    }

    #[test]
    fn the_rest_of_the_definition_is_left_out() {
        let first = endings("def a = f(", "X", ") + 1\n  + 2\ndef b = 2").next();
        assert_eq!(first.as_deref(), Some("def a = f(X)\ndef b = 2"));
    }
}
