//! Positions: the protocol counts lines and UTF-16 units from 0, the compiler bytes.

use lsp_types::{Position, Range};

/// A text with the starts of its lines.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Finds the lines of a text.
    pub fn new(text: &'a str) -> Lines<'a> {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// The position of a byte; one inside a character counts as its start.
    pub fn position(&self, byte: usize) -> Position {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        // The first line starts at 0, so there is one before every byte.
        let line = self.starts.partition_point(|start| *start <= byte) - 1;
        let column = self.text[self.starts[line]..byte].encode_utf16().count();
        Position::new(line as u32, column as u32)
    }

    /// The byte of a position; beyond the end of a line it is that end.
    pub fn byte(&self, position: Position) -> usize {
        let line = position.line as usize;
        let Some(start) = self.starts.get(line).copied() else {
            return self.text.len();
        };
        let end = self
            .starts
            .get(line + 1)
            .map_or(self.text.len(), |next| next - 1);
        let mut units = position.character as usize;
        for (at, character) in self.text[start..end].char_indices() {
            if units < character.len_utf16() {
                return start + at;
            }
            units -= character.len_utf16();
        }
        end
    }

    /// The range of some bytes.
    pub fn range(&self, start: u32, end: u32) -> Range {
        Range::new(self.position(start as usize), self.position(end as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_utf16_units() {
        let lines = Lines::new("a\né😀b\n");
        assert_eq!(lines.position(2), Position::new(1, 0));
        assert_eq!(lines.position(8), Position::new(1, 3));
        assert_eq!(lines.byte(Position::new(1, 3)), 8);
        // Inside the pair of units of one character.
        assert_eq!(lines.byte(Position::new(1, 2)), 4);
        assert_eq!(lines.byte(Position::new(1, 99)), 9);
        assert_eq!(lines.byte(Position::new(9, 0)), 10);
        assert_eq!(lines.position(99), Position::new(2, 0));
        assert_eq!(lines.position(3), Position::new(1, 0));
    }
}
