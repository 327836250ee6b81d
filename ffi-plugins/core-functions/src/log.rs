//! Log lines. They go to standard error, which the host reads.

use std::io::Write;

/// Longest line that is written; the rest is cut.
const LONGEST: usize = 64 * 1024;

/// A line with its severity.
pub fn log(severity: String, text: String) {
    write(&line(&severity, &text));
}

/// A line of `debug`.
pub fn debug(text: String) {
    write(&line("debug", &text));
}

/// One line of output for one call: control characters could forge further ones.
fn line(severity: &str, text: &str) -> String {
    let mut line = String::with_capacity(severity.len() + text.len() + 3);
    for (part, limit) in [(severity, 32), (": ", 2), (text, LONGEST)] {
        let mut end = part.len().min(limit);
        while !part.is_char_boundary(end) {
            end -= 1;
        }
        for char in part[..end].chars() {
            match char {
                '\n' => line.push_str("\\n"),
                '\t' => line.push('\t'),
                c if c.is_control() => line.extend(c.escape_default()),
                c => line.push(c),
            }
        }
        if end < part.len() {
            line.push('…');
        }
    }
    line.push('\n');
    line
}

fn write(line: &str) {
    // A closed standard error must not fail the program that logs.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_line() {
        assert_eq!(
            line("info", "a\nb\u{1b}[0m\r"),
            "info: a\\nb\\u{1b}[0m\\r\n"
        );
        assert_eq!(line("info", "ü").len(), "info: ü\n".len());
    }

    #[test]
    fn long_lines_are_cut_at_a_character() {
        let long = "ü".repeat(LONGEST);
        let cut = line("info", &long);
        assert!(cut.len() < LONGEST + 32 && cut.ends_with("…\n"));
    }
}
