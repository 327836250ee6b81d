//! Issues: what the compiler reports, with a stable code, a message made from a
//! template, the place and, where one is known, a mend.

mod code;
pub mod render;
mod snippet;

pub use code::{Class, Code, WARNINGS};

use crate::syntax::source::{Location, SourceMap};
use crate::syntax::span::Span;

/// An error or warning of the compiler.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// Stable code; fixes class and message template.
    pub code: Code,
    /// Values of the template's placeholders.
    pub params: Vec<(&'static str, String)>,
    /// Where.
    pub span: Span,
    /// Other places that belong to it: the declaration, the first definition, the open bracket.
    pub notes: Vec<Note>,
    /// What the user could do about it.
    pub hint: Option<String>,
}

/// A further place of an issue.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// Whether an issue stops the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The unit is not run.
    Error,
    /// Worth knowing.
    Warning,
}

impl Issue {
    /// An issue without parameters.
    pub fn new(code: Code, span: Span) -> Self {
        Issue {
            code,
            params: Vec::new(),
            span,
            notes: Vec::new(),
            hint: None,
        }
    }

    /// Adds the value of a placeholder.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.params.push((name, value.to_string()));
        self
    }

    /// Adds a suggestion.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a suggestion, if there is one and the issue has none yet.
    pub fn hint_if(mut self, hint: Option<impl Into<String>>) -> Self {
        if self.hint.is_none() {
            self.hint = hint.map(Into::into);
        }
        self
    }

    /// Adds a further place.
    pub fn note(mut self, span: Span, text: impl Into<String>) -> Self {
        self.notes.push(Note {
            span,
            text: text.into(),
        });
        self
    }

    /// Error or warning.
    pub fn severity(&self) -> Severity {
        match self.code.class() {
            Class::Warning => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The template with its placeholders filled in.
    pub fn message(&self) -> String {
        let mut message = String::new();
        let mut rest = self.code.template();
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else {
                break;
            };
            let name = &rest[open + 1..open + close];
            message.push_str(&rest[..open]);
            match self.params.iter().find(|(param, _)| *param == name) {
                Some((_, value)) => message.push_str(value),
                None => message.push_str(&rest[open..=open + close]),
            }
            rest = &rest[open + close + 1..];
        }
        message.push_str(rest);
        message
    }

    /// The place as file, lines and columns.
    pub fn location(&self, sources: &SourceMap) -> Location {
        sources.locate(self.span)
    }
}
