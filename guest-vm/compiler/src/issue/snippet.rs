//! A source line with the marked part underlined.

use super::render::{Paint, Style};
use crate::syntax::source::{Source, SourceMap};
use crate::syntax::span::Span;
use std::fmt::Write;

/// Longer source lines are cut around the marked part.
const MAX_WIDTH: usize = 120;

/// What is kept before the marked part of a cut line.
const LEAD: usize = 60;

/// ```text
///   |
/// 3 | def n = cuont(rows)
///   |         ^^^^^
/// ```
pub(super) fn write(out: &mut String, sources: &SourceMap, span: Span, mark: char, paint: &Paint) {
    let Some(source) = sources.get(span.source) else {
        return;
    };
    let at = sources.locate(span);
    let number = at.start_line.to_string();
    let bar = paint.with(Style::Frame, "|");
    let space = " ".repeat(number.len());
    let line = Line::of(source, span);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{space} {bar}");
    let _ = writeln!(
        out,
        "{} {bar} {}",
        paint.with(Style::Frame, &number),
        line.shown
    );
    let style = match mark {
        '^' => Style::Mark,
        _ => Style::Note,
    };
    let marks = paint.with(style, &mark.to_string().repeat(line.width));
    let _ = writeln!(out, "{space} {bar} {}{marks}", line.margin);
}

/// How wide the line numbers of a place are.
pub(super) fn margin(sources: &SourceMap, span: Span) -> String {
    " ".repeat(sources.locate(span).start_line.to_string().len())
}

struct Line {
    shown: String,
    /// White space up to the marked part.
    margin: String,
    /// Columns that are marked.
    width: usize,
}

impl Line {
    fn of(source: &Source, span: Span) -> Line {
        let (line, column) = source.physical(span.start);
        let (end_line, end_column) = source.physical(span.end);
        let text = source.line_text(line);
        let first = column as usize - 1;
        let length = text.chars().count();
        let last = match end_line == line {
            true => (end_column as usize - 1).max(first + 1),
            false => length.max(first + 1),
        };
        let cut = match length > MAX_WIDTH && first > LEAD {
            true => first - LEAD,
            false => 0,
        };
        let mut shown = String::new();
        let mut margin = String::new();
        if cut > 0 {
            shown.push('…');
            margin.push(' ');
        }
        for (index, character) in text.chars().enumerate().skip(cut).take(MAX_WIDTH) {
            // What would end the line or move the cursor is shown as a space.
            let visible = match character {
                '\t' => '\t',
                character if character.is_control() => ' ',
                character => character,
            };
            shown.push(visible);
            if index < first {
                // Tabs before the mark keep it under the right character.
                margin.push(if character == '\t' { '\t' } else { ' ' });
            }
        }
        if length > cut + MAX_WIDTH {
            shown.push('…');
        }
        Line {
            shown: shown.trim_end().to_string(),
            margin,
            width: (last - first).min((cut + MAX_WIDTH).saturating_sub(first).max(1)),
        }
    }
}
