//! Golden tests of lexer and parser: source text to a dump of the tree, or to its errors.

mod accepted;
mod dump;
mod hostile;
mod places;
mod refused;

use mix_compiler::issue::Issue;
use mix_compiler::syntax::ast::{SessionItem, Unit};
use mix_compiler::syntax::parser::{NodeIds, parse_session, parse_unit};
use mix_compiler::syntax::source::SourceMap;

/// Parses session input.
fn session(text: &str) -> (Vec<SessionItem>, Vec<Issue>, SourceMap) {
    let mut sources = SourceMap::new();
    let source = sources.add("test", text);
    let (items, issues) = parse_session(&mut sources, source, &mut NodeIds::default());
    (items, issues, sources)
}

/// Parses a source file.
fn unit(text: &str) -> (Unit, Vec<Issue>, SourceMap) {
    let mut sources = SourceMap::new();
    let source = sources.add("test", text);
    let (unit, issues) = parse_unit(&mut sources, source, &mut NodeIds::default());
    (unit, issues, sources)
}

/// `CODE line:col-line:col` of every issue.
fn shown(issues: &[Issue], sources: &SourceMap) -> Vec<String> {
    issues
        .iter()
        .map(|issue| {
            let at = issue.location(sources);
            format!(
                "{} {}:{}-{}:{}",
                issue.code.as_str(),
                at.start_line,
                at.start_column,
                at.end_line,
                at.end_column
            )
        })
        .collect()
}
