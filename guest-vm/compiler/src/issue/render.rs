//! How issues are shown: for people with the source line and a caret, for tools as JSON.

use super::{Issue, Severity, snippet};
use crate::syntax::source::{Location, SourceMap};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Parts of a message that a terminal may colour.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Error,
    Warning,
    /// The message itself.
    Title,
    /// Line numbers and bars.
    Frame,
    Mark,
    Note,
    Help,
}

/// Colours, or none.
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// The text in a style.
    pub(super) fn with(&self, style: Style, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_string();
        }
        let code = match style {
            Style::Error | Style::Mark => "1;31",
            Style::Warning => "1;33",
            Style::Title => "1",
            Style::Frame => "34",
            Style::Note => "1;36",
            Style::Help => "1;32",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// ```text
/// error NAME_UNBOUND films.mix:3:9: unknown name cuont
///   |
/// 3 | def n = cuont(rows)
///   |         ^^^^^
///   = help: did you mean count?
/// ```
pub fn to_text(issue: &Issue, sources: &SourceMap) -> String {
    shown(issue, sources, &Paint { on: false })
}

/// The same with the colours of a terminal.
pub fn to_terminal(issue: &Issue, sources: &SourceMap) -> String {
    shown(issue, sources, &Paint { on: true })
}

fn shown(issue: &Issue, sources: &SourceMap, paint: &Paint) -> String {
    let at = issue.location(sources);
    let (severity, style) = match issue.severity() {
        Severity::Error => ("error", Style::Error),
        Severity::Warning => ("warning", Style::Warning),
    };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{} {}:{}:{}: {}",
        paint.with(style, &format!("{severity} {}", issue.code.as_str())),
        at.file,
        at.start_line,
        at.start_column,
        paint.with(Style::Title, &issue.message())
    );
    snippet::write(&mut out, sources, issue.span, '^', paint);
    for note in &issue.notes {
        let place = sources.locate(note.span);
        let _ = writeln!(
            out,
            "{}{} {}:{}:{}: {}",
            snippet::margin(sources, issue.span),
            paint.with(Style::Note, " = note"),
            place.file,
            place.start_line,
            place.start_column,
            note.text
        );
        snippet::write(&mut out, sources, note.span, '-', paint);
    }
    if let Some(hint) = &issue.hint {
        let _ = writeln!(
            out,
            "{}{}: {hint}",
            snippet::margin(sources, issue.span),
            paint.with(Style::Help, " = help")
        );
    }
    out
}

/// `{code, class, message, params, location, notes?, hint?}`
pub fn to_json(issue: &Issue, sources: &SourceMap) -> Value {
    let params: Map<String, Value> = issue
        .params
        .iter()
        .map(|(name, value)| ((*name).to_string(), Value::from(value.as_str())))
        .collect();
    let mut shown = json!({
        "code": issue.code.as_str(),
        "class": issue.code.class().as_str(),
        "message": issue.message(),
        "params": params,
        "location": location(&issue.location(sources)),
    });
    if !issue.notes.is_empty() {
        let notes = issue.notes.iter().map(|note| {
            json!({
                "message": note.text,
                "location": location(&sources.locate(note.span)),
            })
        });
        shown["notes"] = Value::Array(notes.collect());
    }
    if let Some(hint) = &issue.hint {
        shown["hint"] = Value::from(hint.as_str());
    }
    shown
}

fn location(at: &Location) -> Value {
    json!([
        &*at.file,
        at.start_line,
        at.start_column,
        at.end_line,
        at.end_column
    ])
}

/// `{"errors":[…],"warnings":[…]}`
pub fn report(errors: &[Issue], warnings: &[Issue], sources: &SourceMap) -> Value {
    let list = |issues: &[Issue]| -> Vec<Value> {
        issues.iter().map(|issue| to_json(issue, sources)).collect()
    };
    json!({ "errors": list(errors), "warnings": list(warnings) })
}
