//! How issues are shown: for people with the source line and a caret, for tools as JSON.

use super::{Issue, Severity};
use crate::syntax::source::SourceMap;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Longer source lines are cut around the column.
const MAX_WIDTH: usize = 160;

/// ```text
/// error NAME_UNBOUND films.mix:3:9: unknown name cuont
///   |
/// 3 | def n = cuont(rows)
///   |         ^^^^^
///   = help: did you mean count?
/// ```
pub fn to_text(issue: &Issue, sources: &SourceMap) -> String {
    let at = issue.location(sources);
    let severity = match issue.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{severity} {} {}:{}:{}: {}",
        issue.code.as_str(),
        at.file,
        at.start_line,
        at.start_column,
        issue.message()
    );
    let indent = at.start_line.to_string().len();
    if let Some(source) = sources.get(issue.span.source) {
        let (line, column) = source.physical(issue.span.start);
        let (end_line, end_column) = source.physical(issue.span.end);
        let text = source.line_text(line);
        let length = text.chars().count();
        let first = column as usize - 1;
        let last = match end_line == line {
            true => (end_column as usize - 1).max(first + 1),
            false => length.max(first + 1),
        };
        let cut = first.saturating_sub(MAX_WIDTH / 2);
        let shown: String = text.chars().skip(cut).take(MAX_WIDTH).collect();
        let carets = (last - first).min(MAX_WIDTH - (first - cut).min(MAX_WIDTH - 1));
        // Tabs before the caret keep it under the right character.
        let margin: String = text
            .chars()
            .skip(cut)
            .take(first - cut)
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        let space = " ".repeat(indent);
        let _ = writeln!(out, "{space} |");
        let _ = writeln!(out, "{} | {shown}", at.start_line);
        let _ = writeln!(out, "{space} | {margin}{}", "^".repeat(carets));
    }
    if let Some(hint) = &issue.hint {
        let _ = writeln!(out, "{} = help: {hint}", " ".repeat(indent));
    }
    out
}

/// `{code, class, message, params, location, hint?}`
pub fn to_json(issue: &Issue, sources: &SourceMap) -> Value {
    let at = issue.location(sources);
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
        "location": [&*at.file, at.start_line, at.start_column, at.end_line, at.end_column],
    });
    if let Some(hint) = &issue.hint {
        shown["hint"] = Value::from(hint.as_str());
    }
    shown
}

/// `{"errors":[…],"warnings":[…]}`
pub fn report(errors: &[Issue], warnings: &[Issue], sources: &SourceMap) -> Value {
    let list = |issues: &[Issue]| -> Vec<Value> {
        issues.iter().map(|issue| to_json(issue, sources)).collect()
    };
    json!({ "errors": list(errors), "warnings": list(warnings) })
}
