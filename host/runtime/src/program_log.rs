//! Lines that programs write, in the log of the host.

use crate::workspace::Place;
use tracing::Level;

/// Writes a line of a program at `place`: what `logging` wrote with its severity, what
/// `debug` wrote as information.
pub fn write(line: &str, place: &Place, agent: &str) {
    let (level, text) = severity(line);
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                target: "mix-vm",
                Level::$level,
                workspace = %place.workspace,
                app = %place.app,
                agent = %agent,
                "{text}"
            )
        };
    }
    match level {
        Level::ERROR => event!(ERROR),
        Level::WARN => event!(WARN),
        _ => event!(INFO),
    }
}

/// The severity that a line begins with, and the text after it.
fn severity(line: &str) -> (Level, &str) {
    [
        ("error: ", Level::ERROR),
        ("warning: ", Level::WARN),
        ("info: ", Level::INFO),
    ]
    .into_iter()
    .find_map(|(word, level)| Some((level, line.strip_prefix(word)?)))
    .unwrap_or((Level::INFO, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_severity() {
        assert_eq!(severity("error: no"), (Level::ERROR, "no"));
        assert_eq!(severity("warning: error: x"), (Level::WARN, "error: x"));
        assert_eq!(severity("info: "), (Level::INFO, ""));
        assert_eq!(severity("errors: 3"), (Level::INFO, "errors: 3"));
    }
}
