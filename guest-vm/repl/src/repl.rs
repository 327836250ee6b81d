//! Phrases: what was defined, what it is worth, and what a new one changes.

use std::collections::BTreeMap;

use mix_compiler::issue::{Code, Issue as Problem};
use mix_compiler::session::{self, Entered, Input, PhraseProgram, Piece};
use mix_compiler::{Compilation, CompileOptions, SourceFile};
use mix_value::{Value, escjson, msgpack};
use mix_vm::{Action, Event, Issue};

use crate::machine::Machine;

/// Something to be shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The value of an expression: EscJSON, or `<function>` and the like.
    Value(String),
    /// A cell has a new value: `name = value`.
    Cell {
        /// Its name.
        name: String,
        /// EscJSON.
        value: String,
    },
    /// A line of the log.
    Log(String),
    /// Errors and warnings of the compiler, as text.
    Compile(String),
    /// An error of a run; its display is the printed form.
    Failure(Issue),
    /// `#mark text`: the line `--- text`.
    Mark(String),
    /// Text for people: `#help`, `#debug`.
    Text(String),
    /// The session ends.
    Quit,
}

/// A phrase that the session keeps.
#[derive(Clone, Debug)]
struct Earlier {
    text: String,
    /// The module it is.
    module: Option<String>,
    /// The names it defines.
    defines: Vec<String>,
    /// It declares their types only.
    declares: bool,
}

/// A read-eval-print loop.
#[derive(Debug)]
pub struct Repl {
    pub(crate) files: Vec<SourceFile>,
    /// Compiled libraries whose modules can be imported, and fetched texts.
    pub(crate) options: CompileOptions,
    earlier: Vec<Earlier>,
    /// Declarations without their definitions, and definitions that need those.
    held: Vec<Earlier>,
    /// Values of definitions in wire form.
    pub(crate) values: BTreeMap<String, Vec<u8>>,
    /// Names of the session with their types.
    pub(crate) types: Vec<(String, String)>,
    /// The session of the view stack.
    pub(crate) views: Option<u64>,
    /// `#debug on`
    pub(crate) debug: bool,
}

impl Repl {
    /// A loop in which the modules of `files` can be imported and loaded.
    #[must_use]
    pub fn new(files: Vec<SourceFile>) -> Self {
        Self {
            files,
            options: CompileOptions::default(),
            earlier: Vec::new(),
            held: Vec::new(),
            values: BTreeMap::new(),
            types: Vec::new(),
            views: None,
            debug: false,
        }
    }

    /// The same loop with these options: their libraries can be imported too.
    #[must_use]
    pub fn with_options(mut self, options: CompileOptions) -> Self {
        self.options = options;
        self
    }

    /// True if nothing more is needed to read the text; an empty line or `;;` ends any text.
    #[must_use]
    pub fn is_complete(&self, text: &str) -> bool {
        let ends = text.trim_end().ends_with(";;") || text.ends_with("\n\n");
        ends || text.trim().is_empty() || !session::read(text).incomplete
    }

    /// Adds the modules of a file, or replaces those of one with the same name.
    pub fn add_file(&mut self, file: SourceFile) {
        self.files.retain(|other| other.name != file.name);
        self.files.push(file);
    }

    /// Takes input and gives what is to be shown.
    pub fn enter(&mut self, text: &str, machine: &mut dyn Machine) -> Vec<Output> {
        let Input {
            pieces,
            compilation,
            ..
        } = session::read(text);
        let mut out = Vec::new();
        if !compilation.errors.is_empty() {
            out.push(Output::Compile(compilation.text()));
        }
        for piece in pieces {
            let before = out.len();
            match &piece.entered {
                Entered::Command { name, rest } => self.command(name, rest, machine, &mut out),
                _ => self.phrase(&piece, machine, &mut out),
            }
            let failed = out[before..].iter().any(|output| {
                matches!(output, Output::Failure(_) | Output::Quit)
                    || matches!(output, Output::Compile(text) if text.starts_with("error"))
            });
            // What follows was written in the belief that this would work.
            if failed {
                break;
            }
            self.overhear(machine, &mut out);
        }
        out
    }

    /// The type of an expression, or the errors as text.
    pub fn type_of(&self, expression: &str) -> Result<String, String> {
        let program = self.compile(expression, None, &[]);
        if !program.compilation.errors.is_empty() {
            return Err(program.compilation.text());
        }
        program
            .types
            .into_iter()
            .find(|(name, _)| name == session::EXPRESSION)
            .map(|(_, ty)| ty)
            .ok_or_else(|| "this is no expression".to_string())
    }

    fn compile(&self, phrase: &str, replaces: Option<&str>, held: &[Earlier]) -> PhraseProgram {
        let is_replaced =
            |earlier: &&Earlier| replaces.is_some() && earlier.module.as_deref() == replaces;
        let at = self
            .earlier
            .iter()
            .position(|earlier| is_replaced(&earlier));
        let earlier: Vec<String> = self
            .earlier
            .iter()
            .filter(|earlier| !is_replaced(earlier))
            .chain(held)
            .map(|earlier| earlier.text.clone())
            .collect();
        let (files, options) = (&self.files, &self.options);
        session::compile_phrase(&earlier, at, phrase, files, options, &self.values)
    }

    /// A compiled program, joined with the libraries that it uses, as an executable.
    pub(crate) fn executable(
        &self,
        program: mix_bytecode::Program,
        out: &mut Vec<Output>,
    ) -> Option<Vec<u8>> {
        match mix_bytecode::link(program, &self.options.libraries) {
            Ok(program) => Some(mix_bytecode::encode(&program)),
            Err(error) => {
                out.push(Output::Compile(format!("error: {error}\n")));
                None
            }
        }
    }

    fn phrase(&mut self, piece: &Piece, machine: &mut dyn Machine, out: &mut Vec<Output>) {
        let module = match &piece.entered {
            Entered::Module { name } => Some(name.clone()),
            _ => None,
        };
        let new = Earlier {
            text: piece.text.clone(),
            module: module.clone(),
            defines: match &piece.entered {
                Entered::Definition { names, .. } => names.clone(),
                _ => Vec::new(),
            },
            declares: matches!(piece.entered, Entered::Definition { declares: true, .. }),
        };
        let Some((program, with_held)) = self.compile_new(&new, piece) else {
            return;
        };
        let notes = program.compilation.text();
        if !notes.is_empty() {
            out.push(Output::Compile(notes));
        }
        let types = program.types.clone();
        let Some(printed) = self.evaluate(program, machine, out) else {
            return;
        };
        match &piece.entered {
            Entered::Expression => {
                if let Some(Value::String(text)) = printed {
                    out.push(Output::Value(text.to_string()));
                }
                return;
            }
            // Its effect has happened.
            Entered::Definition { effect: true, .. } => return,
            _ => {}
        }
        if with_held {
            self.earlier.append(&mut self.held);
        }
        let same = |earlier: &&mut Earlier| module.is_some() && earlier.module == module;
        match self.earlier.iter_mut().find(same) {
            Some(earlier) => *earlier = new,
            None => self.earlier.push(new),
        }
        self.types = types;
        self.types.retain(|(name, _)| name != session::EXPRESSION);
        cells_first(out);
    }

    /// Compiles a phrase, with what is held if it has to do with that; none if it is held too, because
    /// something that was declared is still to be defined.
    fn compile_new(&mut self, new: &Earlier, piece: &Piece) -> Option<(PhraseProgram, bool)> {
        let module = new.module.as_deref();
        let completes = |held: &Earlier| held.defines.iter().any(|name| new.defines.contains(name));
        if !self.held.iter().any(completes) {
            let alone = self.compile(&new.text, module, &[]);
            let lacks = self.held.is_empty() && !new.declares;
            if lacks || alone.compilation.errors.is_empty() {
                return Some((alone, false));
            }
        }
        // What is entered again takes the place of what was held.
        let is_again = |held: &Earlier| held.declares == new.declares && completes(held);
        let held: Vec<Earlier> = self
            .held
            .iter()
            .filter(|held| !is_again(held))
            .cloned()
            .collect();
        let mut program = self.compile(&new.text, module, &held);
        let errors = &mut program.compilation.errors;
        let is_open = |issue: &Problem| issue.code == Code::NameNotDefined;
        if errors.is_empty() {
            self.held = held;
            return Some((program, true));
        }
        let defines = matches!(piece.entered, Entered::Definition { effect: false, .. });
        if defines && errors.iter().all(is_open) {
            self.held = held;
            self.held.push(new.clone());
            return None;
        }
        if !errors.iter().all(is_open) {
            errors.retain(|issue| !is_open(issue));
        }
        Some((program, true))
    }

    /// Runs the program of a phrase, keeps the values of definitions and tells those of cells;
    /// gives the printed value, unless it fails.
    fn evaluate(
        &mut self,
        program: PhraseProgram,
        machine: &mut dyn Machine,
        out: &mut Vec<Output>,
    ) -> Option<Option<Value>> {
        let executable = self.executable(program.compilation.program?, out)?;
        let mut given = run(&executable, machine, out)?.into_iter();
        let printed = given.next();
        for (kept, value) in program.kept.iter().zip(given) {
            let bytes = match value {
                // Actions name their environment in the session that made them.
                Value::Binary(bytes) if !names_action(&bytes) => bytes.to_vec(),
                _ => {
                    self.values.remove(&kept.name);
                    continue;
                }
            };
            let news = !kept.earlier || self.values.get(&kept.name) != Some(&bytes);
            if kept.told
                && news
                && let Ok(value) = shown(&bytes)
            {
                let name = kept.name.clone();
                out.push(Output::Cell { name, value });
            }
            self.values.insert(kept.name.clone(), bytes);
        }
        Some(printed)
    }

    /// Whether the session has a value of that name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.types.iter().any(|(known, _)| known == name)
    }

    /// The phrase that carries out the action that a cell of the session is.
    pub(crate) fn invocation(&self, cell: &str, constant: &str) -> Option<String> {
        let latest = self.earlier.iter().rev();
        let mut defining = latest.filter(|earlier| earlier.defines.iter().any(|name| name == cell));
        session::invocation(&defining.next()?.text, cell, constant)
    }

    /// Runs a phrase that is not kept; false if it does not compile.
    pub(crate) fn carry_out(
        &mut self,
        phrase: &str,
        machine: &mut dyn Machine,
        out: &mut Vec<Output>,
    ) -> bool {
        let program = self.compile(phrase, None, &[]);
        let compiles = program.compilation.errors.is_empty();
        if compiles {
            self.evaluate(program, machine, out);
            cells_first(out);
        }
        compiles
    }

    /// The program of all modules, for `#load`.
    pub(crate) fn modules(&self) -> Compilation {
        let (mut entered, mut phrases) = (Vec::new(), Vec::new());
        for earlier in &self.earlier {
            match &earlier.module {
                Some(name) => entered.push(SourceFile::new(name.as_str(), earlier.text.as_str())),
                None => phrases.push(earlier.text.clone()),
            }
        }
        session::compile_modules(&self.files, &entered, &phrases, &self.options)
    }
}

/// Actions that are for a client.
pub(crate) fn for_client(event: &Event) -> Option<Output> {
    let (name, actions) = match event {
        Event::ClientActions(actions) => ("$nextActions", actions),
        Event::IdleActions(actions) => ("$idle_actions", actions),
        _ => return None,
    };
    let value = shown(actions).ok()?;
    let name = name.to_owned();
    Some(Output::Cell { name, value })
}

/// Runs the program of a phrase; gives the array that it computes, unless it fails.
fn run(executable: &[u8], machine: &mut dyn Machine, out: &mut Vec<Output>) -> Option<Vec<Value>> {
    if let Err(issue) = machine.load(executable) {
        out.push(Output::Failure(*issue));
        return None;
    }
    let session = machine.open();
    // The expression takes no parameters: a MessagePack nil.
    let (agent, params) = (String::new(), vec![0xc0]);
    let events = machine.act(session, Action::RunAgent { agent, params });
    machine.close(session);
    let mut given = None;
    for event in events {
        match event {
            Event::Log(line) => out.push(Output::Log(line)),
            Event::Issue(issue) => out.push(Output::Failure(issue)),
            Event::Result(bytes) => {
                if let Ok(Value::Array(items)) = msgpack::decode(&bytes) {
                    given = Some(items.to_vec());
                }
            }
            event => out.extend(for_client(&event)),
        }
    }
    given
}

/// EscJSON of a value in wire form.
pub(crate) fn shown(bytes: &[u8]) -> Result<String, String> {
    let value = msgpack::decode(bytes).map_err(|error| error.to_string())?;
    escjson::format(&value).map_err(|error| error.to_string())
}

/// In the order of an interaction: what it logs comes after the cells, and errors come last.
fn cells_first(out: &mut [Output]) {
    out.sort_by_key(|output| match output {
        Output::Failure(_) => 2,
        Output::Log(_) => 1,
        _ => 0,
    });
}

fn names_action(bytes: &[u8]) -> bool {
    let mark = b"msg_view_invoke";
    bytes.windows(mark.len()).any(|window| window == mark)
}
