//! Compiling a block and running it on the native VM. What another runner of the same
//! blocks needs is public: [`compiled`], [`parse_command`], [`Told`].

use anyhow::{Context, Result, bail};
use mix_bytecode::Program;
use mix_compiler::{Compilation, CompileOptions, SourceFile, compile, compile_expression};
use mix_value::{Value, escjson, msgpack};
use mix_vm::{Action, Event, Options, Session, Step, Vm};

use crate::case_file::Block;
use crate::expect::{Outcome, Problem};
use crate::families::{Families, Table, ok};

/// Steps that one command may take.
const BUDGET: u64 = 50_000_000;

/// What a block gave.
#[derive(Debug)]
pub struct Run {
    /// Of the source text itself, if something is expected of it.
    pub source: Option<Did>,
    /// Of each command.
    pub commands: Vec<Did>,
    /// Codes of the warnings of the compiler.
    pub warnings: Vec<String>,
}

/// What one step gave.
#[derive(Debug, Clone)]
pub struct Did {
    /// Value, cells or error.
    pub outcome: Outcome,
    /// Lines of the log.
    pub log: Vec<String>,
}

impl From<Outcome> for Did {
    fn from(outcome: Outcome) -> Did {
        let log = Vec::new();
        Did { outcome, log }
    }
}

impl Run {
    /// The run of a block whose program is refused.
    #[must_use]
    pub fn refused(block: &Block, problem: Problem, warnings: Vec<String>) -> Run {
        let did = Did::from(Outcome::Error(problem));
        Run {
            source: Some(did.clone()),
            commands: block.commands.iter().map(|_| did.clone()).collect(),
            warnings,
        }
    }
}

/// What the compiler made of a block.
#[derive(Debug)]
pub enum Compiled {
    /// A program, with the codes of its warnings.
    Program(Box<Program>, Vec<String>),
    /// The first error, with the codes of the warnings.
    Refused(Problem, Vec<String>),
}

/// What phrases that are no expressions start with.
const DEFINITIONS: &[&str] = &["def ", "type ", "case ", "private ", "foreign "];

/// Is the first line that is neither a comment nor a directive a definition?
fn is_definition(block: &Block) -> bool {
    let mut lines = block.source.lines();
    let first = lines
        .find(|line| !line.starts_with("//") && !line.starts_with('#'))
        .unwrap_or("");
    DEFINITIONS.iter().any(|word| first.starts_with(word))
}

/// Compiles a block.
pub fn compiled(block: &Block) -> Result<Compiled> {
    let is_program = block
        .source
        .lines()
        .filter(|line| !line.starts_with("//"))
        .any(|line| line.starts_with("module ") || line.starts_with("static module "));
    let compilation = if is_program {
        let files = [SourceFile::new("test.mix", block.source.as_str())];
        compile(&files, &CompileOptions::default())
    } else {
        let compiled = compile_expression(&block.source, &[], &CompileOptions::default());
        match first_error(&compiled) {
            // Definitions alone need an expression to be a program.
            Some(problem) if is_definition(block) && problem.message.contains("end of text") => {
                let text = format!("{};; null", block.source);
                compile_expression(&text, &[], &CompileOptions::default())
            }
            _ => compiled,
        }
    };
    let warnings = codes(&compilation, "warnings");
    Ok(match first_error(&compilation) {
        Some(problem) => Compiled::Refused(problem, warnings),
        None => match compilation.program {
            Some(program) => Compiled::Program(Box::new(program), warnings),
            None => bail!("the compiler gave neither a program nor an error"),
        },
    })
}

/// Compiles a block and runs its commands natively.
pub fn run(block: &Block) -> Result<Run> {
    let (program, warnings) = match compiled(block)? {
        Compiled::Program(program, warnings) => (*program, warnings),
        Compiled::Refused(problem, warnings) => return Ok(Run::refused(block, problem, warnings)),
    };
    run_program(block, program, warnings)
}

/// Runs the commands of a block with its compiled program natively.
pub fn run_program(block: &Block, program: Program, warnings: Vec<String>) -> Result<Run> {
    let is_expression = program.expression.is_some();
    // Through the executable format, so that places and names in errors are those of a program
    // whose sources are gone.
    let program = mix_bytecode::decode(&mix_bytecode::encode(&program))?;
    let vm = match Vm::of_program(program, &Table, &Options::default()) {
        Ok(vm) => vm,
        Err(issue) => return Ok(Run::refused(block, problem_of(&issue), warnings)),
    };
    let mut session = vm.session();
    session.set_random_seed(1);
    let mut families = Families::new()?;
    let source = match (&block.expected, is_expression) {
        (None, _) => None,
        (Some(_), true) => Some(act(&mut session, &mut families, Action::Evaluate)?),
        (Some(_), false) => Some(Outcome::Compiled.into()),
    };
    let mut commands = Vec::new();
    for (command, _) in &block.commands {
        let action = parse_command(command).with_context(|| format!("command {command}"))?;
        commands.push(act(&mut session, &mut families, action)?);
    }
    Ok(Run {
        source,
        commands,
        warnings,
    })
}

fn codes(compilation: &Compilation, list: &str) -> Vec<String> {
    let report = compilation.report();
    let issues = report
        .get(list)
        .and_then(|issues| issues.as_array().cloned())
        .unwrap_or_default();
    issues
        .iter()
        .filter_map(|issue| Some(issue.get("code")?.as_str()?.to_owned()))
        .collect()
}

/// The first error of a compilation.
#[must_use]
pub fn first_error(compilation: &Compilation) -> Option<Problem> {
    let report = compilation.report();
    let issue = report.get("errors")?.as_array()?.first()?;
    let text = |key: &str| {
        issue
            .get(key)
            .and_then(|v| v.as_str())
            .unwrap_or("")
            .to_owned()
    };
    Some(Problem {
        code: text("code"),
        message: text("message"),
        location: issue
            .get("location")
            .map(ToString::to_string)
            .unwrap_or_default(),
        stack: String::new(),
    })
}

/// An issue as it is compared.
#[must_use]
pub fn problem_of(issue: &mix_vm::Issue) -> Problem {
    let frames: Vec<String> = issue
        .mix_stack
        .iter()
        .map(|frame| {
            format!(
                "[\"{}\",\"{}\",{}]",
                frame.module, frame.function, frame.line
            )
        })
        .collect();
    let location = issue.location.as_ref().map_or(String::new(), |at| {
        let (line, column) = (at.start_line, at.start_column);
        format!(
            "[\"{}\",{line},{column},{},{}]",
            at.file, at.end_line, at.end_column
        )
    });
    Problem {
        code: issue.code.clone(),
        message: issue.message.clone(),
        location,
        stack: format!("[{}]", frames.join(",")),
    }
}

/// Does one action and collects what the session tells.
pub fn act(session: &mut Session, families: &mut Families, action: Action) -> Result<Did> {
    let mut told = Told::of(&action);
    session.set_budget(Some(BUDGET));
    let number = session.act(action);
    loop {
        match session.run(families, 1_000_000) {
            Step::Ready => {}
            Step::Waiting(requests) if requests.is_empty() => {
                families.forget(&session.canceled_requests());
                match families.wake() {
                    Some((call, reply)) => session.resume(call, reply),
                    None => bail!("the session waits for nothing"),
                }
            }
            Step::Waiting(requests) => {
                for request in requests {
                    if let Some((call, reply)) = families.answer(request) {
                        session.resume(call, reply);
                    }
                }
            }
            // Live cells are not waited for.
            Step::Idle | Step::Listening(_) | Step::Event(Event::Done(_)) => break,
            Step::Event(event) => told.add(event)?,
        }
    }
    told.did().with_context(|| format!("action {number}"))
}

/// What a session tells about one action.
#[derive(Debug)]
pub struct Told {
    is_agent: bool,
    cells: Vec<(String, String)>,
    problem: Option<Problem>,
    value: Option<String>,
    log: Vec<String>,
}

impl Told {
    /// Nothing yet.
    #[must_use]
    pub fn of(action: &Action) -> Told {
        Told {
            is_agent: match action {
                Action::RunAgent { agent, .. } => !agent.is_empty(),
                Action::CallAgent { .. } => true,
                _ => false,
            },
            cells: Vec::new(),
            problem: None,
            value: None,
            log: Vec::new(),
        }
    }

    /// Takes one event.
    pub fn add(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Output { cell, value, .. } => {
                let name = cell.rsplit('.').next().unwrap_or(&cell).to_owned();
                self.cells.push((name, show(&value)?));
            }
            // After the answer of an agent only its idle actions can fail.
            Event::Issue(issue) if self.is_agent && self.value.is_some() => {
                self.log.push(format!("{}: {}", issue.code, issue.message));
            }
            Event::Issue(issue) => {
                self.problem.get_or_insert_with(|| problem_of(&issue));
            }
            Event::Result(result) if self.is_agent => {
                self.value = Some(escjson::format(&ok(msgpack::decode(&result)?)?)?);
            }
            Event::Result(result) => self.value = Some(show(&result)?),
            Event::Evaluated(text) => self.value = Some(text),
            Event::Log(line) => self.log.push(line),
            Event::ClientActions(list) => {
                self.cells.push(("$nextActions".to_owned(), show(&list)?));
            }
            Event::IdleActions(list) => {
                self.cells.push(("$idle_actions".to_owned(), show(&list)?));
            }
            Event::Done(_) => {}
        }
        Ok(())
    }

    /// The outcome, once all is told.
    pub fn did(self) -> Result<Did> {
        let outcome = match (self.problem, self.value) {
            (Some(problem), _) => Outcome::Error(problem),
            (None, Some(value)) => Outcome::Value(value),
            (None, None) if self.is_agent => bail!("the agent gave no result"),
            (None, None) => Outcome::Cells(self.cells),
        };
        Ok(Did {
            outcome,
            log: self.log,
        })
    }
}

fn show(encoded: &[u8]) -> Result<String> {
    match msgpack::decode(encoded)? {
        Value::Token(_) => Ok(TOKEN.to_owned()),
        value => Ok(escjson::format(&with_tokens_shown(value))?),
    }
}

/// What a session prints for a token, which has no EscJSON form.
const TOKEN: &str = "<token>";

fn with_tokens_shown(value: Value) -> Value {
    match value {
        Value::Token(_) => Value::String(TOKEN.into()),
        Value::Array(elements) => {
            Value::Array(elements.into_iter().map(with_tokens_shown).collect())
        }
        other => other,
    }
}

/// A command line of a REPL.
pub fn parse_command(line: &str) -> Result<Action> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
    let name = name.to_owned();
    Ok(match word {
        "#load" => Action::Load {
            module: name,
            args: array(arguments)?,
        },
        "#push" => Action::Push {
            module: name,
            args: array(arguments)?,
        },
        "#pop" => Action::Pop,
        "#refresh" => Action::Refresh,
        "#call" => Action::CallAgent {
            agent: name,
            params: encode(arguments)?,
        },
        "#input" => Action::Input {
            cell: name,
            value: encode(arguments)?,
        },
        "#agent" => Action::RunAgent {
            agent: name,
            params: encode(arguments)?,
        },
        "#invoke" => {
            let values = split_constants(arguments);
            let env = match values.first() {
                Some(text) => text.trim_matches('"').to_owned(),
                None => bail!("#invoke needs an environment"),
            };
            let arg = encode(values.get(1).map_or("null", |text| text.as_str()))?;
            Action::Invoke {
                name,
                env,
                arg,
                next_actions: encode("[]")?,
            }
        }
        other => bail!("unknown command {other}"),
    })
}

fn encode(text: &str) -> Result<Vec<u8>> {
    let value = escjson::parse(text).with_context(|| format!("constant {text:?}"))?;
    Ok(msgpack::encode(&value)?)
}

/// Constants separated by spaces, as one encoded array.
fn array(text: &str) -> Result<Vec<u8>> {
    encode(&format!("[{}]", split_constants(text).join(",")))
}

/// Splits at spaces outside of strings and brackets.
fn split_constants(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for c in text.chars() {
        if !quoted && depth == 0 && c == ' ' {
            parts.push(String::new());
            continue;
        }
        match c {
            '"' if !escaped => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        // The list is never empty.
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
