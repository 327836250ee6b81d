//! Runs the `console` blocks of a documentation page in one shell.
//!
//! A block holds lines `$ command`, continued by lines `> more`, and below each
//! what it prints. A line `...` stands for any number of lines, `…` inside a
//! line for any text.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// One command of a page with the output it shows.
#[derive(Debug, Clone)]
pub struct Example {
    /// Line of the command in the page, counted from 1.
    pub line: usize,
    /// The command, continuation lines included.
    pub command: String,
    /// Expected output lines.
    pub output: Vec<String>,
}

/// All examples of a Markdown text, in order.
pub fn examples(markdown: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut in_console = false;
    for (index, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_console = !in_console && line.trim() == "```console";
            continue;
        }
        if !in_console {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            found.push(Example {
                line: index + 1,
                command: command.to_string(),
                output: Vec::new(),
            });
            continue;
        }
        let Some(example) = found.last_mut() else {
            continue;
        };
        match line.strip_prefix('>') {
            Some(more) if example.output.is_empty() => {
                example.command.push('\n');
                example
                    .command
                    .push_str(more.strip_prefix(' ').unwrap_or(more));
            }
            _ => example.output.push(line.to_string()),
        }
    }
    found
}

/// A shell that lives for one page.
pub struct Console {
    shell: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

const END: &str = "--end-of-command--";

impl Console {
    /// Starts a shell in `folder` with `mixer` on its path.
    pub fn start(folder: &Path) -> Console {
        let tools = crate::mixer()
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("setsid")
            .args(["bash", "--noprofile", "--norc"])
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("RUST_LOG", "warn")
            .env("MIX_REPOSITORY", crate::repository())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("no shell: {error}"));
        let mut input = shell
            .stdin
            .take()
            .unwrap_or_else(|| unreachable!("stdin is piped"));
        let output = shell
            .stdout
            .take()
            .unwrap_or_else(|| unreachable!("stdout is piped"));
        let _ = writeln!(input, "exec 2>&1");
        Console {
            shell,
            input,
            output: BufReader::new(output),
        }
    }

    /// Runs one command and returns the lines it printed.
    pub fn run(&mut self, command: &str) -> Vec<String> {
        let _ = writeln!(self.input, "{command}\necho; echo {END}$?");
        let mut lines = Vec::new();
        for line in (&mut self.output).lines() {
            let Ok(line) = line else { break };
            if line.starts_with(END) {
                break;
            }
            lines.push(line);
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Runs an example and says what differs, if anything does.
    pub fn check(&mut self, example: &Example) -> Result<(), String> {
        let got = self.run(&example.command);
        let mut expected: Vec<&str> = example.output.iter().map(String::as_str).collect();
        while expected.last().is_some_and(|line| line.is_empty()) {
            expected.pop();
        }
        if matches(&expected, &got) {
            return Ok(());
        }
        Err(format!(
            "line {}: $ {}\nexpected:\n{}\ngot:\n{}\n",
            example.line,
            example.command,
            expected.join("\n"),
            got.join("\n")
        ))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // The shell leads its own session: what it left in the background ends with it.
        let group = format!("-{}", self.shell.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.shell.wait();
    }
}

fn matches(expected: &[&str], got: &[String]) -> bool {
    match expected.split_first() {
        None => got.is_empty(),
        Some((&"...", rest)) => (0..=got.len()).any(|skip| matches(rest, &got[skip..])),
        Some((line, rest)) => {
            got.first().is_some_and(|first| line_matches(line, first)) && matches(rest, &got[1..])
        }
    }
}

fn line_matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut remainder) = parts.next().and_then(|start| line.strip_prefix(start)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        match remainder.find(part) {
            Some(at) => remainder = &remainder[at + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    match last {
        None => remainder.is_empty(),
        Some("") => true,
        Some(part) => line.ends_with(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_and_other_code_is_not() {
        let page = "# x\n```rust\n$ no\n```\n```console\n$ echo a \\\n>  b\na b\n\n$ true\n```\n";
        let found = examples(page);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].command, "echo a \\\n b");
        assert_eq!(found[0].output, ["a b", ""]);
        assert_eq!(found[1].line, 10);
    }

    #[test]
    fn wildcards_match_lines_and_text() {
        let got = ["a".to_string(), "b 17 c".to_string(), "d".to_string()];
        assert!(matches(&["...", "b … c", "d"], &got));
        assert!(matches(&["a", "..."], &got));
        assert!(!matches(&["a", "b … d", "d"], &got));
        assert!(!matches(&["a"], &got));
    }

    #[test]
    fn a_shell_runs_commands_in_order() {
        let folder = std::env::temp_dir();
        let mut console = Console::start(&folder);
        assert_eq!(console.run("x=4; printf %s $x"), ["4"]);
        let example = Example {
            line: 1,
            command: "echo $x; false".into(),
            output: vec!["4".into()],
        };
        assert_eq!(console.check(&example), Ok(()));
    }
}
