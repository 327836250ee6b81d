//! Phrases that are entered one after the other (language 8).
//!
//! All definitions of a session are phrases of one module. Every new phrase is compiled
//! together with the earlier ones, but a definition whose value is known and that the new
//! phrase does not touch is not evaluated again: the program holds its value as a constant.
//! Touched is what the phrase defines and what reads it, directly or not.

use crate::codegen::walk::{Named, named};
use crate::codegen::{Goal, PhraseGoal};
use crate::core::{self, SlotId, SlotKind};
use crate::issue::Severity;
use crate::pipeline::{
    Build, Compilation, CompileOptions, RESULT, SESSION, SourceFile, failed, on_large_stack,
};
use crate::syntax::ast::{
    CellForm, Def, DefForm, ExprKind, Ident, Import, Module, Phrase, PhraseKind, SessionItem,
    Symbol, Unit, UnitItem,
};
use crate::syntax::parser::{self, NodeIds};
use crate::syntax::source::SourceMap;
use crate::syntax::span::{SourceId, Span};
use crate::tables::{HashMap, HashSet};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a piece of input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entered {
    /// A definition, import, type, case, pragma, observer: added to the session.
    Definition {
        /// The names it defines.
        names: Vec<String>,
        /// Run once for its effect (`def _ = e`), not kept.
        effect: bool,
        /// A type only: the definition is to follow.
        declares: bool,
    },
    /// An expression.
    Expression,
    /// A module.
    Module {
        /// Its name.
        name: String,
    },
    /// `#name rest`
    Command {
        /// The word after `#`.
        name: String,
        /// The rest of the line.
        rest: String,
    },
}

/// One piece of input with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub entered: Entered,
    /// Its text.
    pub text: String,
}

/// Input taken apart.
#[derive(Debug)]
pub struct Input {
    /// In text order.
    pub pieces: Vec<Piece>,
    /// The errors of the syntax, with their text.
    pub compilation: Compilation,
    /// The text ends where more is needed: in a bracket, a string, a module.
    pub incomplete: bool,
}

/// A value that the program of a phrase gives, after the printed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The name of the definition.
    pub name: String,
    /// It is a public cell that was evaluated because of the phrase.
    pub told: bool,
    /// It was evaluated earlier: an observer or the initializer may have assigned it now.
    pub earlier: bool,
}

/// A compiled phrase.
#[derive(Debug)]
pub struct PhraseProgram {
    /// The program: its expression gives an array of the printed value (null without an
    /// expression) and one binary in wire form, or null, for each of `kept`.
    pub compilation: Compilation,
    /// Whose values the program gives.
    pub kept: Vec<Kept>,
    /// All names of the session with their types.
    pub types: Vec<(String, String)>,
}

/// The name under which [`PhraseProgram::types`] has the type of the entered expression.
pub const EXPRESSION: &str = RESULT;

/// Takes input apart.
pub fn read(text: &str) -> Input {
    on_large_stack(
        || read_here(text),
        |issue| Input {
            pieces: Vec::new(),
            compilation: failed(issue),
            incomplete: false,
        },
    )
}

fn read_here(text: &str) -> Input {
    let mut sources = SourceMap::new();
    let source = sources.add("<input>", text);
    let (items, issues) = parser::parse_session(&mut sources, source, &mut NodeIds::default());
    let end = text.trim_end().len() as u32;
    // A directive is about the lines that follow.
    let only_directives = !text.trim().is_empty()
        && text
            .lines()
            .all(|line| line.trim().is_empty() || is_directive(line));
    let incomplete = only_directives
        || issues.iter().any(|issue| {
            issue.severity() == Severity::Error
                && (issue.span.start >= end
                    || matches!(issue.code.as_str(), "LEX_COMMENT")
                    || unclosed_text(issue.code.as_str(), text))
        });
    let directed = text.lines().any(is_directive);
    let pieces = items.iter().map(|item| piece(item, text));
    let pieces = pieces.map(|(mut piece, span)| {
        if directed && !matches!(piece.entered, Entered::Command { .. }) {
            // Taken out of the text it keeps its place.
            let at = sources.locate(span);
            let indent = " ".repeat(at.start_column.saturating_sub(1) as usize);
            piece.text = format!(
                "#line {} \"{}\"\n{indent}{}",
                at.start_line, at.file, piece.text
            );
        }
        piece
    });
    let pieces = pieces.collect();
    let (errors, warnings) = issues
        .into_iter()
        .partition(|issue| issue.severity() == Severity::Error);
    Input {
        pieces,
        compilation: Compilation {
            program: None,
            errors,
            warnings,
            sources,
        },
        incomplete,
    }
}

/// A raw string that is still open: quotes in threes come in pairs.
fn unclosed_text(code: &str, text: &str) -> bool {
    code == "LEX_STRING" && text.matches("\"\"\"").count() % 2 == 1
}

fn is_directive(line: &str) -> bool {
    line.strip_prefix("#line")
        .is_some_and(|rest| rest.starts_with([' ', '\t']))
}

fn piece(item: &SessionItem, text: &str) -> (Piece, Span) {
    let (entered, span) = match item {
        SessionItem::Phrase(phrase) => (
            Entered::Definition {
                names: names_of(phrase),
                effect: matches!(
                    &phrase.kind,
                    PhraseKind::Def(Def {
                        form: DefForm::Effect { .. },
                        ..
                    })
                ),
                declares: match &phrase.kind {
                    PhraseKind::Def(def) => matches!(def.form, DefForm::Declaration { .. }),
                    PhraseKind::Cell(cell) => matches!(cell.form, CellForm::Declaration { .. }),
                    _ => false,
                },
            },
            phrase.span,
        ),
        SessionItem::Expr(expr) => (Entered::Expression, expr.span),
        SessionItem::Module(module) => (
            Entered::Module {
                name: module.name.text.to_string(),
            },
            module.span,
        ),
        SessionItem::Command(command) => (
            Entered::Command {
                name: command.name.text.to_string(),
                rest: command.rest.to_string(),
            },
            command.span,
        ),
    };
    let text = text
        .get(span.start as usize..span.end as usize)
        .unwrap_or_default();
    let piece = Piece {
        entered,
        text: text.to_string(),
    };
    (piece, span)
}

fn names_of(phrase: &Phrase) -> Vec<String> {
    crate::check::defined_names(phrase)
        .into_iter()
        .map(|(name, ..)| name.text.to_string())
        .collect()
}

/// The phrase that assigns a constant, in EscJSON, to a cell of the session.
#[must_use]
pub fn assignment(cell: &str, constant: &str) -> String {
    interaction(&format!(
        "let value : data = _escJSON_ {constant}; self.{cell} = value"
    ))
}

/// The phrase that carries out the action that a cell of the session is, with a constant in
/// EscJSON as its argument; none if the phrase that defines the cell says something else.
#[must_use]
pub fn invocation(definition: &str, cell: &str, constant: &str) -> Option<String> {
    let work = || invocation_here(definition, cell, constant);
    on_large_stack(work, |_| None)
}

fn invocation_here(definition: &str, cell: &str, constant: &str) -> Option<String> {
    let mut sources = SourceMap::new();
    let source = sources.add("<input>", definition);
    let (items, _) = parser::parse_session(&mut sources, source, &mut NodeIds::default());
    let (param, body) = items.iter().find_map(|item| match item {
        SessionItem::Phrase(Phrase {
            kind: PhraseKind::Cell(found),
            ..
        }) if &*found.name.text == cell => match &found.form {
            CellForm::Value { body, .. } => match &body.kind {
                ExprKind::Action { param, body } => Some((param, body.span)),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })?;
    let body = definition.get(body.start as usize..body.end as usize)?;
    Some(match param {
        Some(param) => interaction(&format!(
            "let {} : data = _escJSON_ {constant}; {body}",
            param.text
        )),
        None => interaction(body),
    })
}

/// A phrase that is an interaction of its own and checks types when it runs, as input from outside is checked.
fn interaction(body: &str) -> String {
    format!("_pragma_ {{strictTyping: false}} on () do {{ {body} }}")
}

/// The modules of a source text with the names that others see in them, for completion.
pub fn members(text: &str) -> Vec<(String, Vec<String>)> {
    on_large_stack(|| members_here(text), |_| Vec::new())
}

fn members_here(text: &str) -> Vec<(String, Vec<String>)> {
    let mut sources = SourceMap::new();
    let source = sources.add("<input>", text);
    let (unit, _) = parser::parse_unit(&mut sources, source, &mut NodeIds::default());
    let modules = unit.items.iter().filter_map(|item| match item {
        UnitItem::Module(module) => Some(module),
        UnitItem::ModuleAlias(_) => None,
    });
    modules
        .map(|module| {
            let names = module.phrases.iter().flat_map(|phrase| {
                let names = crate::check::defined_names(phrase);
                names
                    .into_iter()
                    .filter(|(_, private, _)| !private)
                    .map(|(name, ..)| name.text.to_string())
            });
            let mut names: Vec<String> = names.collect();
            names.sort();
            names.dedup();
            (module.name.text.to_string(), names)
        })
        .collect()
}

/// Compiles a phrase with the earlier ones, after them or at position `at` among them (where
/// it replaces one that was there). `known` are values of earlier definitions in
/// wire form; warnings about earlier phrases are not repeated.
pub fn compile_phrase(
    earlier: &[String],
    at: Option<usize>,
    phrase: &str,
    files: &[SourceFile],
    options: &CompileOptions,
    known: &BTreeMap<String, Vec<u8>>,
) -> PhraseProgram {
    let (mut kept, mut types) = (Vec::new(), Vec::new());
    let work = || {
        let build = Build::new(options);
        build.phrase((earlier, at), phrase, files, known, &mut kept, &mut types)
    };
    let compilation = on_large_stack(work, failed);
    PhraseProgram {
        compilation,
        kept,
        types,
    }
}

impl Build<'_> {
    fn phrase(
        mut self,
        (earlier, at): (&[String], Option<usize>),
        phrase: &str,
        files: &[SourceFile],
        known: &BTreeMap<String, Vec<u8>>,
        kept: &mut Vec<Kept>,
        types: &mut Vec<(String, String)>,
    ) -> Compilation {
        let mut units = self.parse(files);
        let mut phrases = Vec::new();
        let mut modules = Vec::new();
        let source = self.sources.add("<input>", phrase);
        let (entered, issues) = parser::parse_session(&mut self.sources, source, &mut self.ids);
        self.issues.extend(issues);
        let mut changed = HashSet::default();
        let mut has_module = false;
        for item in &entered {
            match item {
                SessionItem::Phrase(phrase) => changed.extend(names_of(phrase)),
                SessionItem::Module(module) => {
                    has_module = true;
                    changed.insert(module.name.text.to_string());
                }
                SessionItem::Expr(_) => {
                    changed.insert(RESULT.to_string());
                }
                SessionItem::Command(_) => {}
            }
        }
        let mut entered = Some(entered);
        for (index, text) in earlier.iter().enumerate() {
            if at == Some(index) {
                for item in entered.take().into_iter().flatten() {
                    add(item, &mut phrases, &mut modules);
                }
            }
            let source = self
                .sources
                .add(format!("<phrase {}>", index + 1), text.as_str());
            let (items, issues) = parser::parse_session(&mut self.sources, source, &mut self.ids);
            self.issues.extend(issues);
            for item in items {
                add(item, &mut phrases, &mut modules);
            }
        }
        for item in entered.into_iter().flatten() {
            add(item, &mut phrases, &mut modules);
        }
        let whole = Span::new(source, 0, phrase.len() as u32);
        let session = Module {
            is_static: false,
            name: ident(SESSION, whole),
            type_vars: Vec::new(),
            params: Vec::new(),
            meta: None,
            source: None,
            phrases,
            span: whole,
        };
        units.push(Unit { items: modules });
        units.push(Unit {
            items: vec![UnitItem::Module(Rc::new(session))],
        });
        let core = self.check(&units, Some(SESSION.to_string()));
        *types = std::mem::take(&mut self.session_types);
        // What was said about earlier phrases is not said again.
        self.issues
            .retain(|issue| issue.severity() == Severity::Error || issue.span.source == source);
        let mut core = core;
        let goal = core
            .as_mut()
            .map(|core| {
                let entered = Entry {
                    changed: &changed,
                    has_module,
                    source,
                };
                phrase_goal(core, &entered, known, kept)
            })
            .unwrap_or_default();
        self.finish(core, Some(Goal::Phrase(&goal)))
    }
}

fn ident(text: &str, span: Span) -> Ident {
    Ident {
        text: Symbol::from(text),
        span,
    }
}

/// Makes input part of the module of the session.
fn add(item: SessionItem, phrases: &mut Vec<Phrase>, modules: &mut Vec<UnitItem>) {
    match item {
        SessionItem::Phrase(phrase) => phrases.push(phrase),
        SessionItem::Expr(body) => {
            let span = body.span;
            let form = DefForm::Value {
                ty: None,
                meta: None,
                body,
            };
            let kind = PhraseKind::Def(Def {
                private: false,
                name: ident(RESULT, span),
                form,
            });
            phrases.push(Phrase { kind, span });
        }
        SessionItem::Module(module) => {
            if module.params.is_empty() {
                let span = module.name.span;
                let kind = PhraseKind::Import(Import {
                    binding: None,
                    module: module.name.clone(),
                    type_binds: Vec::new(),
                    args: None,
                });
                phrases.push(Phrase { kind, span });
            }
            modules.push(UnitItem::Module(Rc::new(module)));
        }
        SessionItem::Command(_) => {}
    }
}

/// What was entered.
struct Entry<'a> {
    /// The names that it defines.
    changed: &'a HashSet<String>,
    /// A module is part of it.
    has_module: bool,
    /// Its text.
    source: SourceId,
}

/// Which values are known, and which ones the program gives. Observers of cells that the phrase
/// does not touch are left out, and so is an initializer that was entered earlier.
fn phrase_goal(
    core: &mut core::Program,
    entered: &Entry,
    known: &BTreeMap<String, Vec<u8>>,
    kept: &mut Vec<Kept>,
) -> PhraseGoal {
    let Some(index) = core
        .modules
        .iter()
        .position(|module| &*module.name == SESSION)
    else {
        return PhraseGoal::default();
    };
    let id = core::ModuleId(index as u32);
    let (touched, assigned) = active(core, id, entered);
    let module = &core.modules[index];
    let mut goal = PhraseGoal {
        module: id,
        ..PhraseGoal::default()
    };
    for (index, slot) in module.slots.iter().enumerate() {
        let at = SlotId(index as u32);
        let cell = match &slot.kind {
            SlotKind::Value(_) => None,
            SlotKind::Cell(cell) => Some(cell),
            _ => continue,
        };
        if &*slot.name == RESULT {
            goal.result = Some(at);
            continue;
        }
        if !touched.contains(&at)
            && let Some(bytes) = known.get(&*slot.name)
        {
            goal.known.insert(at, bytes.clone());
            if !assigned.contains(&at) {
                continue;
            }
            goal.keep.push(at);
            kept.push(Kept {
                name: slot.name.to_string(),
                told: cell.is_some_and(|cell| cell.public),
                earlier: true,
            });
            continue;
        }
        goal.keep.push(at);
        kept.push(Kept {
            name: slot.name.to_string(),
            earlier: false,
            told: touched.contains(&at) && cell.is_some_and(|cell| cell.public),
        });
    }
    if goal.result.is_none() {
        // The expression may be a function.
        let function = module.find(RESULT);
        goal.result = function
            .filter(|slot| matches!(module.slots[slot.0 as usize].kind, SlotKind::Function(_)));
    }
    goal
}

/// Leaves out the observers and the initializer that have nothing to do with what was entered;
/// gives the slots that it touches, and the cells that the others may assign.
fn active(
    core: &mut core::Program,
    id: core::ModuleId,
    entered: &Entry,
) -> (HashSet<SlotId>, HashSet<SlotId>) {
    let mut touched = touched(core, id, entered, &HashSet::default());
    let mut assigned: HashSet<SlotId> = HashSet::default();
    loop {
        let module = core.module(id);
        let runs = |observer: &core::Observer| match observer.watched.is_empty() {
            true => observer.span.source == entered.source,
            false => {
                let mut watched = observer.watched.iter();
                watched.any(|slot| touched.contains(slot) || assigned.contains(slot))
            }
        };
        let keep: Vec<bool> = module.observers.iter().map(runs).collect();
        let observers = module.observers.iter().zip(&keep);
        let mut bodies: Vec<&core::Expr> = observers
            .filter(|(_, runs)| **runs)
            .map(|(observer, _)| &*observer.body.body)
            .collect();
        let initializer = module.initializer.as_ref();
        let initializer =
            initializer.filter(|function| function.body.span.source == entered.source);
        bodies.extend(initializer.map(|function| &*function.body));
        let found = assigned_by(module, id, bodies);
        if !found.is_subset(&assigned) {
            assigned.extend(found);
            // What reads an assigned cell is evaluated again.
            touched = self::touched(core, id, entered, &assigned);
            continue;
        }
        let ran = initializer.is_some();
        let module = &mut core.modules[id.0 as usize];
        let mut keep = keep.into_iter();
        module.observers.retain(|_| keep.next().unwrap_or(true));
        if !ran {
            module.initializer = None;
            // What was entered earlier is considered after what `on ()` assigns, as if that had
            // come in an interaction of its own.
            let entered_now = module
                .observers
                .iter()
                .position(|observer| observer.watched.is_empty() && observer.guard.is_none());
            if let Some(at) = entered_now {
                module.initializer = Some(module.observers.remove(at).body);
            }
        }
        return (touched, assigned);
    }
}

/// The cells of the session that code may assign: itself, in functions that it names, and in actions that it
/// may hand on.
fn assigned_by(
    module: &core::Module,
    id: core::ModuleId,
    bodies: Vec<&core::Expr>,
) -> HashSet<SlotId> {
    let mut found = HashSet::default();
    let mut seen = HashSet::default();
    // Bodies that run, and formulas, which assign nothing but may be made of actions.
    let mut work: Vec<(&core::Expr, bool)> = bodies.into_iter().map(|body| (body, true)).collect();
    while let Some((body, runs)) = work.pop() {
        if runs {
            crate::codegen::walk::assigned(body, &mut |slot| {
                found.insert(slot);
            });
        }
        named(body, id, &mut |name| {
            let next = match name {
                Named::Slot(slot) => match &module.slots[slot.0 as usize].kind {
                    SlotKind::Function(function) => Some((&*function.body, runs)),
                    SlotKind::Value(value) => Some((&*value.body, false)),
                    SlotKind::Cell(cell) => Some((&*cell.formula.body, false)),
                    _ => None,
                },
                Named::Action(number) => {
                    let action = module.actions.get(number as usize);
                    action.map(|action| (&*action.function.body, true))
                }
                Named::Module(_) => None,
            };
            if let Some(next) = next
                && seen.insert((name, next.1))
            {
                work.push(next);
            }
        });
    }
    found
}

/// The slots with changed names, and all that read them or an assigned cell. After a module was entered, what
/// uses modules of the program counts as changed: it may be one that the entered one is part of.
fn touched(
    core: &core::Program,
    id: core::ModuleId,
    entered: &Entry,
    assigned: &HashSet<SlotId>,
) -> HashSet<SlotId> {
    let has_module = entered.has_module;
    let module = core.module(id);
    let mut users = Vec::new();
    let mut readers: HashMap<SlotId, Vec<SlotId>> = HashMap::default();
    for (index, slot) in module.slots.iter().enumerate() {
        let at = SlotId(index as u32);
        let body = match &slot.kind {
            SlotKind::Function(body) | SlotKind::Value(body) | SlotKind::Effect(body) => body,
            SlotKind::Import(import) => &import.body,
            SlotKind::Cell(cell) => &cell.formula,
            SlotKind::Alias(alias) => &alias.link,
            _ => continue,
        };
        let mut bodies = vec![&*body.body];
        let mut seen = HashSet::default();
        while let Some(body) = bodies.pop() {
            let mut actions = Vec::new();
            named(body, id, &mut |name| match name {
                Named::Slot(source) => readers.entry(source).or_default().push(at),
                Named::Action(number) => actions.push(number),
                Named::Module(other) if has_module && !core.module(other).library => {
                    users.push(at);
                }
                Named::Module(_) => {}
            });
            for number in actions {
                if seen.insert(number)
                    && let Some(action) = module.actions.get(number as usize)
                {
                    bodies.push(&action.function.body);
                }
            }
        }
    }
    let mut touched = HashSet::default();
    let mut work: Vec<SlotId> = module
        .slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| entered.changed.contains(&*slot.name))
        .map(|(index, _)| SlotId(index as u32))
        .chain(users)
        .collect();
    for slot in assigned {
        work.extend(readers.get(slot).into_iter().flatten());
    }
    while let Some(slot) = work.pop() {
        if touched.insert(slot) {
            work.extend(readers.get(&slot).into_iter().flatten());
        }
    }
    touched
}
