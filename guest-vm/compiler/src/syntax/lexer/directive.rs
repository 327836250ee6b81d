//! `#line`, `#push` and `#pop`: how lines are numbered.

use crate::syntax::source::LineMapping;
use std::sync::Arc;

/// Collects the line mappings of a text.
pub struct Directives {
    mappings: Vec<LineMapping>,
    /// For every open `#push`: file and number of the line after it, as they were before it.
    saved: Vec<(Arc<str>, u32)>,
    file: Arc<str>,
    /// Reported number minus physical number of the current lines.
    offset: i64,
}

/// Deeper nesting of `#push` is refused as malformed.
const MAX_DEPTH: usize = 1000;

impl Directives {
    pub fn new(file: Arc<str>) -> Self {
        Directives {
            mappings: Vec::new(),
            saved: Vec::new(),
            file,
            offset: 0,
        }
    }

    /// Applies a directive standing on a physical line; false if it is malformed.
    pub fn apply(&mut self, word: &str, rest: &str, physical: u32) -> bool {
        let next = physical + 1;
        if word == "pop" {
            if !rest.trim().is_empty() {
                return false;
            }
            let Some((file, line)) = self.saved.pop() else {
                return false;
            };
            self.map(next, line, file);
            return true;
        }
        let Some((line, file)) = parse(rest) else {
            return false;
        };
        if word == "push" {
            if self.saved.len() >= MAX_DEPTH {
                return false;
            }
            let after = (i64::from(next) + self.offset).max(1) as u32;
            self.saved.push((self.file.clone(), after));
        }
        let file = file.unwrap_or_else(|| self.file.clone());
        self.map(next, line, file);
        true
    }

    fn map(&mut self, first: u32, line: u32, file: Arc<str>) {
        self.offset = i64::from(line) - i64::from(first);
        self.file = file.clone();
        self.mappings.push(LineMapping { first, line, file });
    }

    pub fn finish(self) -> Vec<LineMapping> {
        self.mappings
    }
}

/// ` N "file"` or ` N`
fn parse(rest: &str) -> Option<(u32, Option<Arc<str>>)> {
    let trimmed = rest.trim();
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let (number, file) = match trimmed.find(|character: char| !character.is_ascii_digit()) {
        None => (trimmed, ""),
        Some(end) => (&trimmed[..end], &trimmed[end..]),
    };
    // Lines count from 1.
    let line = number.parse::<u32>().ok().filter(|line| *line > 0)?;
    let file = file.trim_start();
    if file.is_empty() {
        return Some((line, None));
    }
    let read = super::string::read(file);
    match read.result {
        Ok(name) if read.length == file.len() => Some((line, Some(Arc::from(name)))),
        _ => None,
    }
}
