//! The sources of a compilation and how byte offsets become lines and columns.
//!
//! Lines and columns are 1-based; columns count Unicode scalar values. The
//! directives `#line`, `#push` and `#pop` change which file and line a physical
//! line is reported as; columns are always those of the physical line.

use super::span::{SourceId, Span};
use std::sync::Arc;

/// A place as the user sees it: `[file, start_line, start_col, end_line, end_col]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// File name, after `#line` mapping.
    pub file: Arc<str>,
    /// First line, 1-based.
    pub start_line: u32,
    /// First column, 1-based.
    pub start_column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column after the last character.
    pub end_column: u32,
}

/// How the lines from `first` on (a physical line) are numbered, until the next mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineMapping {
    /// Physical line, 1-based, where the mapping starts.
    pub first: u32,
    /// The number that line is reported as.
    pub line: u32,
    /// The file it is reported in.
    pub file: Arc<str>,
}

/// One source text.
#[derive(Debug, Clone)]
pub struct Source {
    /// The name given by the caller (usually a path).
    pub name: Arc<str>,
    /// The text.
    pub text: Arc<str>,
    /// Byte offset of the start of every physical line.
    line_starts: Vec<u32>,
    /// Byte offsets that are inside a character, not at its start; empty for ASCII text.
    inner_bytes: Vec<u32>,
    /// Ascending by `first`; filled by the lexer from the directives.
    mappings: Vec<LineMapping>,
}

/// All sources of a compilation, addressed by [`SourceId`].
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> Self {
        SourceMap::default()
    }

    /// Adds a source and returns its number.
    pub fn add(&mut self, name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> SourceId {
        let text: Arc<str> = text.into();
        let mut line_starts = vec![0];
        line_starts.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(offset, _)| offset as u32 + 1),
        );
        let inner_bytes = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| (0x80..0xc0).contains(byte))
            .map(|(offset, _)| offset as u32)
            .collect();
        self.sources.push(Source {
            name: name.into(),
            text,
            line_starts,
            inner_bytes,
            mappings: Vec::new(),
        });
        SourceId(self.sources.len() as u32 - 1)
    }

    /// The source with that number, if there is one.
    pub fn get(&self, source: SourceId) -> Option<&Source> {
        self.sources.get(source.0 as usize)
    }

    /// Installs the mappings that the directives of a source define.
    pub fn set_mappings(&mut self, source: SourceId, mappings: Vec<LineMapping>) {
        if let Some(source) = self.sources.get_mut(source.0 as usize) {
            source.mappings = mappings;
        }
    }

    /// Where a span lies, for the user. A span of an unknown source has an empty file name.
    pub fn locate(&self, span: Span) -> Location {
        let Some(source) = self.get(span.source) else {
            return Location {
                file: Arc::from(""),
                start_line: 1,
                start_column: 1,
                end_line: 1,
                end_column: 1,
            };
        };
        let (start_physical, start_column) = source.physical(span.start);
        let (end_physical, end_column) = source.physical(span.end.max(span.start));
        let (file, start_line) = source.mapped(start_physical);
        let (_, end_line) = source.mapped(end_physical);
        Location {
            file,
            start_line,
            start_column,
            // A directive inside the span may renumber its end before its start.
            end_line: end_line.max(start_line),
            end_column,
        }
    }

    /// The reported line of the start of a span (for line tables).
    pub fn line_of(&self, span: Span) -> u32 {
        self.get(span.source).map_or(0, |source| {
            let (physical, _) = source.physical(span.start);
            source.mapped(physical).1
        })
    }
}

impl Source {
    /// Physical 1-based line and column of a byte offset.
    pub fn physical(&self, offset: u32) -> (u32, u32) {
        let offset = offset.min(self.text.len() as u32);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        // Bytes inside characters take no column; an offset there counts as the character.
        let inner_until = |end: u32| self.inner_bytes.partition_point(|inner| *inner <= end);
        let inner = inner_until(offset) - inner_until(start);
        let column = (offset - start) as usize - inner;
        // A byte order mark takes no column.
        let mark = usize::from(line == 1 && offset >= 3 && self.text.starts_with('\u{feff}'));
        (line as u32, (column - mark) as u32 + 1)
    }

    /// The text of a physical line without its line end.
    pub fn line_text(&self, line: u32) -> &str {
        let index = (line as usize).saturating_sub(1);
        let Some(start) = self.line_starts.get(index) else {
            return "";
        };
        let end = self
            .line_starts
            .get(index + 1)
            .map_or(self.text.len(), |next| *next as usize);
        self.text[*start as usize..end]
            .trim_end_matches(['\n', '\r'])
            .trim_start_matches('\u{feff}')
    }

    fn mapped(&self, physical: u32) -> (Arc<str>, u32) {
        let index = self
            .mappings
            .partition_point(|mapping| mapping.first <= physical);
        match index.checked_sub(1).map(|at| &self.mappings[at]) {
            Some(mapping) => (
                mapping.file.clone(),
                mapping.line.saturating_add(physical - mapping.first),
            ),
            None => (self.name.clone(), physical),
        }
    }
}
