//! The format of the files: source text with its expected result beside it.
//!
//! ```text
//! // § 2.4/level-2 the pipe is loose      a comment at the start of a block names it
//! 2 + 3 |> (n -> n * 10)  //= 50          an expression and its value as EscJSON
//!
//! // § 4.3 § 7.2 no row                   and the rules that it checks
//! true + 1  //= !TYPE_OPERATOR            a compile-time or runtime error by its code
//!
//! // § 10.7 E96
//! module pm(x:number) def twice = 2 * x module end
//! module use4 import pm(4)  cell s = pm.twice module end
//! #load use4  //= s = 8                   a command and the cells it emits
//! ```
//!
//! Blocks are separated by blank lines. `U` stands for undefined, `(nothing)`
//! for no emitted cell; ` with WARN_X` asks for a warning and ` with LOG a | b` for lines of
//! the log. What goes to the client is listed like cells, as `$nextActions` and
//! `$idle_actions`. Commands are those of the REPL (`#load`, `#push`,
//! `#pop`, `#input`, `#invoke`), `#refresh`, and two for agents: `#agent M J` is a one-shot
//! call, `#call M J` one of a persistent agent.

/// One block: a source text and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name, unique in its file: from the comment, else the line.
    pub name: String,
    /// The rules that the comment names: `4.3` or `4.3/plus`.
    pub rules: Vec<String>,
    /// First line, from 1.
    pub line: usize,
    /// The source text.
    pub source: String,
    /// What the source text gives, unless only commands are checked.
    pub expected: Option<String>,
    /// Commands, with what each gives.
    pub commands: Vec<(String, String)>,
}

/// What separates a text from its expected result.
const MARK: &str = "  //= ";

/// Words that start a command line.
const COMMANDS: &[&str] = &[
    "#load", "#push", "#pop", "#input", "#invoke", "#refresh", "#agent", "#call",
];

/// Is this line a command? `#push N` is a directive of the text, and so is `#pop` before the
/// first command.
fn is_command(line: &str, block: &Block) -> bool {
    let mut words = line.split_whitespace();
    match words.next().unwrap_or("") {
        "#push" => !words
            .next()
            .is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit())),
        "#pop" => !block.commands.is_empty(),
        word => COMMANDS.contains(&word),
    }
}

/// Reads a file.
#[must_use]
pub fn parse(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            blocks.extend(open.take().filter(is_check));
            continue;
        }
        let block = open.get_or_insert_with(|| Block {
            name: format!("line {}", index + 1),
            rules: Vec::new(),
            line: index + 1,
            source: String::new(),
            expected: None,
            commands: Vec::new(),
        });
        let (code, expected) = match line.rsplit_once(MARK) {
            Some((code, expected)) => (code, Some(expected.trim().to_owned())),
            None => (line, None),
        };
        if is_command(code, block) {
            let expected = expected.unwrap_or_else(|| "(nothing)".to_owned());
            block.commands.push((code.trim().to_owned(), expected));
        } else if block.source.is_empty() && expected.is_none() && code.starts_with("//") {
            let (rules, name) = header(code.trim_start_matches('/').trim());
            block.name = name;
            block.rules = rules;
            block.line = index + 1;
        } else {
            block.source.push_str(code);
            block.source.push('\n');
            if expected.is_some() {
                block.expected = expected;
            }
        }
    }
    blocks.extend(open.take().filter(is_check));
    blocks
}

/// Splits `§ 4.3 § 2.4/level-2 the pipe` into rules and name.
fn header(text: &str) -> (Vec<String>, String) {
    let mut rules = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('§') {
        let after = after.trim_start();
        let (rule, tail) = after.split_once(' ').unwrap_or((after, ""));
        rules.push(rule.to_owned());
        rest = tail.trim_start();
    }
    (rules, if rest.is_empty() { text } else { rest }.to_owned())
}

/// False for blocks of comments alone.
fn is_check(block: &Block) -> bool {
    block.expected.is_some() || !block.commands.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_blocks() {
        let blocks = parse(
            "// title\n\n// § 4.3 § 2.4/level-9 E1 sum\n1 + 1  //= 2\n\nmodule m\n  cell c = 1\nmodule end\n#load m  //= c = 1\n#pop\n",
        );
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].name, "E1 sum");
        assert_eq!(blocks[0].rules, ["4.3", "2.4/level-9"]);
        assert_eq!(blocks[0].source, "1 + 1\n");
        assert_eq!(blocks[0].expected.as_deref(), Some("2"));
        assert_eq!(blocks[1].name, "line 6");
        assert_eq!(blocks[1].commands[0], ("#load m".into(), "c = 1".into()));
        assert_eq!(blocks[1].commands[1], ("#pop".into(), "(nothing)".into()));
    }
}
