//! What is entered, taken apart, and phrases that are made of it.

use crate::issue::Severity;
use crate::large_stack::on_large_stack;
use crate::pipeline::{Compilation, failed};
use crate::syntax::ast::{
    CellForm, Def, DefForm, ExprKind, Phrase, PhraseKind, SessionItem, UnitItem,
};
use crate::syntax::parser::{self, NodeIds};
use crate::syntax::source::SourceMap;
use crate::syntax::span::Span;

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
    /// In text order; after errors those that begin a line further down.
    pub pieces: Vec<Piece>,
    /// The errors of the syntax, with their text.
    pub compilation: Compilation,
    /// The text ends where more is needed: in a bracket, a string, a module.
    pub incomplete: bool,
}

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
    let errors = issues
        .iter()
        .filter(|issue| issue.severity() == Severity::Error);
    let sound = match errors.map(|issue| issue.span.start).max() {
        Some(error) => items
            .iter()
            .position(|item| is_after(item, error, text))
            .unwrap_or(items.len()),
        None => 0,
    };
    let pieces = items[sound..].iter().map(|item| piece(item, text));
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

/// Does the item begin a line behind the error, so that it is a phrase of its own whatever the one
/// with the error was meant to be?
fn is_after(item: &SessionItem, error: u32, text: &str) -> bool {
    let start = match item {
        SessionItem::Phrase(Phrase {
            kind: PhraseKind::Broken(_),
            ..
        }) => return false,
        SessionItem::Phrase(phrase) => phrase.span.start,
        SessionItem::Expr(expr) => expr.span.start,
        SessionItem::Module(module) => module.span.start,
        SessionItem::Command(command) => command.span.start,
    };
    let before = text.get(..start as usize).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    start >= error && before.contains('\n') && line.trim().is_empty()
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

pub(super) fn names_of(phrase: &Phrase) -> Vec<String> {
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
