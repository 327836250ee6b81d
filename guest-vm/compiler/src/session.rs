//! Phrases that are entered one after the other (language 8).
//!
//! All definitions of a session are phrases of one module. Every new phrase is compiled
//! together with the earlier ones, but a definition whose value is known and that the new
//! phrase does not touch is not evaluated again: the program holds its value as a constant.
//! Touched is what the phrase defines and what reads it, directly or not (`touched`).

mod globals;
mod input;
mod touched;

pub use input::{Entered, Input, Piece, assignment, invocation, members, read};

use crate::codegen::{Goal, PhraseGoal};
use crate::core::{self, SlotId, SlotKind};
use crate::issue::Severity;
use crate::large_stack::on_large_stack;
use crate::pipeline::{Build, Compilation, CompileOptions, RESULT, SESSION, SourceFile, failed};
use crate::syntax::ast::{
    Def, DefForm, Ident, Import, Module, Phrase, PhraseKind, SessionItem, Symbol, Unit, UnitItem,
};
use crate::syntax::parser;
use crate::syntax::span::Span;
use crate::tables::HashSet;
use input::names_of;
use std::collections::BTreeMap;
use std::rc::Rc;
use touched::{Entry, active};

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
        let mut texts: Vec<&str> = earlier.iter().map(String::as_str).collect();
        texts.insert(at.unwrap_or(texts.len()).min(texts.len()), phrase);
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
        let globals = self.globals(&texts, names_of_modules(&modules), &units);
        // They come first: modules see them when they are checked themselves.
        has_module |= globals.is_some();
        units.splice(..0, globals);
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

/// Compiles the modules of files and those that were entered in a session, whose texts are in
/// `entered` and whose other phrases are in `phrases`.
pub fn compile_modules(
    files: &[SourceFile],
    entered: &[SourceFile],
    phrases: &[String],
    options: &CompileOptions,
) -> Compilation {
    let work = || {
        let mut build = Build::new(options);
        let mut units = build.parse(files);
        let modules = build.parse(entered);
        let texts: Vec<&str> = phrases.iter().map(String::as_str).collect();
        let names = names_of_modules(modules.iter().flat_map(|unit| &unit.items));
        let globals = build.globals(&texts, names, &units);
        units.splice(..0, globals);
        units.extend(modules);
        let core = build.check(&units, None);
        build.finish(core, Some(Goal::Modules(&options.entries)))
    };
    on_large_stack(work, failed)
}

fn names_of_modules<'a>(items: impl IntoIterator<Item = &'a UnitItem>) -> HashSet<Symbol> {
    let names = items.into_iter().map(|item| match item {
        UnitItem::Module(module) => module.name.text.clone(),
        UnitItem::ModuleAlias(alias) => alias.name.text.clone(),
    });
    names.collect()
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
