//! Issues as the editor shows them.

use crate::documents::{Documents, address_of};
use crate::position::Lines;
use lsp_types::{
    Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, Location, NumberOrString,
    PublishDiagnosticsParams, Uri,
};
use mix_compiler::analysis::Analysis;
use mix_compiler::issue::{Issue, Severity};
use mix_compiler::syntax::span::{SourceId, Span};
use std::path::Path;

/// Issues of one document that are told.
const MOST: usize = 1000;

/// The issues of a document.
pub fn of(documents: &mut Documents, uri: &Uri) -> Option<PublishDiagnosticsParams> {
    let version = documents.get(uri)?.version;
    let analysis = documents.analysis(uri)?;
    let issues = analysis
        .compilation
        .errors
        .iter()
        .chain(&analysis.compilation.warnings);
    // The document is the first source; issues elsewhere are told where they are.
    let own = issues.filter(|issue| issue.span.source == SourceId(0));
    let diagnostics = own
        .take(MOST)
        .map(|issue| diagnostic(analysis, uri, issue))
        .collect();
    Some(PublishDiagnosticsParams {
        uri: uri.clone(),
        diagnostics,
        version: Some(version),
    })
}

fn diagnostic(analysis: &Analysis, uri: &Uri, issue: &Issue) -> Diagnostic {
    let mut message = issue.message();
    if let Some(hint) = &issue.hint {
        message.push_str("\nhelp: ");
        message.push_str(hint);
    }
    let related: Vec<DiagnosticRelatedInformation> = issue
        .notes
        .iter()
        .filter_map(|note| {
            Some(DiagnosticRelatedInformation {
                location: location(analysis, uri, note.span)?,
                message: note.text.clone(),
            })
        })
        .collect();
    Diagnostic {
        range: location(analysis, uri, issue.span)
            .map(|place| place.range)
            .unwrap_or_default(),
        severity: Some(match issue.severity() {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
        }),
        code: Some(NumberOrString::String(issue.code.as_str().to_owned())),
        source: Some("mix".to_owned()),
        message,
        related_information: (!related.is_empty()).then_some(related),
        ..Diagnostic::default()
    }
}

/// A place in one of the sources; `None` if it is in no file.
pub fn location(analysis: &Analysis, uri: &Uri, span: Span) -> Option<Location> {
    let source = analysis.compilation.sources.get(span.source)?;
    let range = Lines::new(&source.text).range(span.start, span.end);
    let uri = match span.source {
        SourceId(0) => uri.clone(),
        _ if source.name.starts_with('<') => return None,
        _ => address_of(Path::new(&*source.name))?,
    };
    Some(Location { uri, range })
}
