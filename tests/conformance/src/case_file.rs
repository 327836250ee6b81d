//! The format of the files: source text with its expected result beside it.
//!
//! ```text
//! // E25                                  a comment at the start of a block names it
//! 2 + 3 |> (n -> n * 10)  //= 50          an expression and its value as EscJSON
//!
//! // E18
//! true + 1  //= !TYPE_OPERATOR            a compile-time or runtime error by its code
//!
//! // E96
//! module pm(x:number) def twice = 2 * x module end
//! module use4 import pm(4)  cell s = pm.twice module end
//! #load use4  //= s = 8                   a command and the cells it emits
//! ```
//!
//! Blocks are separated by blank lines. `U` stands for undefined, `(nothing)`
//! for no emitted cell. Commands are those of the REPL (`#load`, `#push`,
//! `#pop`, `#input`, `#invoke`), `#refresh`, and two for agents: `#agent M J` is a one-shot
//! call, `#call M J` one of a persistent agent.

/// One block: a source text and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name, unique in its file: from the comment, else the line.
    pub name: String,
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

fn is_command(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or("");
    COMMANDS.contains(&word)
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
            line: index + 1,
            source: String::new(),
            expected: None,
            commands: Vec::new(),
        });
        let (code, expected) = match line.rsplit_once(MARK) {
            Some((code, expected)) => (code, Some(expected.trim().to_owned())),
            None => (line, None),
        };
        if is_command(code) {
            let expected = expected.unwrap_or_else(|| "(nothing)".to_owned());
            block.commands.push((code.trim().to_owned(), expected));
        } else if block.source.is_empty() && expected.is_none() && code.starts_with("//") {
            block.name = code.trim_start_matches('/').trim().to_owned();
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
            "// title\n\n// E1 sum\n1 + 1  //= 2\n\nmodule m\n  cell c = 1\nmodule end\n#load m  //= c = 1\n#pop\n",
        );
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].name, "E1 sum");
        assert_eq!(blocks[0].source, "1 + 1\n");
        assert_eq!(blocks[0].expected.as_deref(), Some("2"));
        assert_eq!(blocks[1].name, "line 6");
        assert_eq!(blocks[1].commands[0], ("#load m".into(), "c = 1".into()));
        assert_eq!(blocks[1].commands[1], ("#pop".into(), "(nothing)".into()));
    }
}
