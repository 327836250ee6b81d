//! `mixer repl`: the loop between a person, or a pipe, and [`mix_repl::Repl`].
//!
//! `mix_repl` knows phrases, types and what is printed; the machine runs
//! programs in the VM component; this module reads and writes.
//! Lines that begin with `:` are the tool's own commands, everything else goes to `mix_repl`.

mod editor;
mod machine;

pub use machine::{Setting, VmMachine};

use anyhow::{Context, Result};
use mix_repl::{Output, Repl};
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest file for `:load`.
const MAX_FILE: u64 = 10 << 20;

const HELP: &str = "\
:type EXPR   the type of an expression
:load FILE   enters the contents of a file
:doc NAME    what the library says of a module or function
:help        these lines and the commands of the language
:quit        ends the session";

/// The REPL, shared with the editor, which asks it about completeness and names.
type Shared = Arc<Mutex<Repl>>;

fn lock(repl: &Shared) -> MutexGuard<'_, Repl> {
    repl.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One REPL with its machine.
pub struct Loop {
    repl: Shared,
    machine: VmMachine,
}

enum Next {
    Go,
    End,
}

impl Loop {
    /// A loop over a fresh REPL.
    pub fn new(repl: Repl, machine: VmMachine) -> Loop {
        Loop {
            repl: Arc::new(Mutex::new(repl)),
            machine,
        }
    }

    /// Reads phrases until `#quit` or the end of input: edited lines on a terminal, plain ones otherwise.
    pub fn run(mut self) -> Result<()> {
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            self.run_edited()
        } else {
            self.run_piped(std::io::stdin().lock())
        }
    }

    fn run_edited(&mut self) -> Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(
            std::io::stdout(),
            "Mix {version} (#help lists the commands)"
        )?;
        let mut editor = editor::Editor::new(&self.repl);
        while let Some(text) = editor.read()? {
            if let Next::End = self.enter(&text)? {
                break;
            }
        }
        Ok(())
    }

    fn run_piped(&mut self, input: impl BufRead) -> Result<()> {
        let mut text = String::new();
        for line in input.lines() {
            let line = line.context("standard input cannot be read as text")?;
            text.push_str(&line);
            text.push('\n');
            if text.trim().is_empty() {
                text.clear();
                continue;
            }
            if !is_complete(&self.repl, &text) {
                continue;
            }
            if let Next::End = self.enter(&std::mem::take(&mut text))? {
                return Ok(());
            }
        }
        if !text.trim().is_empty() {
            self.enter(&text)?;
        }
        Ok(())
    }

    fn enter(&mut self, text: &str) -> Result<Next> {
        match text.trim().strip_prefix(':') {
            Some(command) => self.command(command.trim()),
            None => self.phrase(text),
        }
    }

    fn command(&mut self, command: &str) -> Result<Next> {
        let (name, argument) = command
            .split_once(char::is_whitespace)
            .unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("quit" | "q", _) => return Ok(Next::End),
            ("help" | "h", _) => {
                say(HELP)?;
                return self.phrase("#help");
            }
            ("type" | "t", "") => say("error: `:type` needs an expression, as in `:type 1 + 1`")?,
            ("type" | "t", expression) => {
                let answer = lock(&self.repl).type_of(expression);
                match answer {
                    Ok(found) => say(&found)?,
                    Err(issues) => say(issues.trim_end())?,
                }
            }
            ("load" | "l", "") => say("error: `:load` needs a file, as in `:load shop.mix`")?,
            ("load" | "l", path) => match read(path) {
                Ok(text) => return self.phrase(&text),
                Err(error) => say(&format!("error: {error:#}"))?,
            },
            ("doc" | "d", "") => say("error: `:doc` needs a name, as in `:doc array.map`")?,
            ("doc" | "d", name) => match document(name) {
                Some(text) => say(&text)?,
                None => say(&format!("error: the library has no {name}"))?,
            },
            (name, _) => say(&format!(
                "error: there is no command `:{name}`; `:help` lists them"
            ))?,
        }
        Ok(Next::Go)
    }

    fn phrase(&mut self, text: &str) -> Result<Next> {
        let outputs = lock(&self.repl).enter(text, &mut self.machine);
        for output in outputs {
            match output {
                Output::Value(text) | Output::Text(text) => say(&text)?,
                Output::Cell { name, value } => say(&format!("{name} = {value}"))?,
                Output::Log(line) => say(&line)?,
                Output::Compile(text) => say(text.trim_end())?,
                Output::Failure(mut issue) => {
                    // The frame around an expression has no line of its own.
                    issue.mix_stack.retain(|frame| frame.line > 0);
                    say(issue.to_string().trim_end())?;
                }
                Output::Mark(text) => say(&format!("--- {text}"))?,
                Output::Quit => return Ok(Next::End),
            }
        }
        Ok(Next::Go)
    }
}

/// What the library says of `module`, `module.name` or a predefined name.
fn document(name: &str) -> Option<String> {
    let (module, member) = match name.split_once('.') {
        Some((module, member)) => (module, Some(member)),
        None if mix_stdlib::source(name).is_none() => ("prelude", Some(name)),
        None => (name, None),
    };
    let module = mix_compiler::library_documentation(module)?;
    let (signature, text) = match member {
        None => {
            let names: Vec<&str> = module.items.iter().map(|item| item.name.as_str()).collect();
            let text = format!("{}\n\n{}", module.text.trim_end(), names.join(", "));
            (module.signature, text)
        }
        Some(member) => {
            let item = module.items.into_iter().find(|item| item.name == member)?;
            (item.signature, item.text)
        }
    };
    Some(format!("{signature}\n{}", text.trim_end()))
}

fn is_complete(repl: &Shared, text: &str) -> bool {
    text.trim_start().starts_with(':') || lock(repl).is_complete(text)
}

fn read(path: &str) -> Result<String> {
    let about = || format!("{path} cannot be read");
    mix_input_file::read_text(Path::new(path), MAX_FILE).with_context(about)
}

/// One answer on standard output.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").context("standard output is closed")?;
    out.flush().context("standard output is closed")
}
