//! Comparing what happened with what a file expects.

/// What a step of a block gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An expression and its value, as a REPL prints it.
    Value(String),
    /// Cells in the order of their messages, with values as EscJSON.
    Cells(Vec<(String, String)>),
    /// A compile-time or runtime error.
    Error(Problem),
    /// Definitions without an error.
    Compiled,
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problem {
    /// Its stable code.
    pub code: String,
    /// Its message.
    pub message: String,
    /// `["file",line,column,line,column]` if it has a place.
    pub location: String,
    /// `[["module","function",line],…]`
    pub stack: String,
}

/// How undefined is printed.
const UNDEFINED: &str = r#"{"_rmx_type":"{tag}undefined"}"#;

/// Is this what was expected? `warnings` are the codes of the compiler's warnings,
/// `log` is what the step wrote.
#[must_use]
pub fn fits(expected: &str, outcome: &Outcome, warnings: &[String], log: &[String]) -> bool {
    if let Some((expected, lines)) = expected.split_once(" with LOG ") {
        return lines.split(" | ").eq(log.iter().map(String::as_str))
            && fits(expected, outcome, warnings, &[]);
    }
    let (expected, warning) = match expected.split_once(" with WARN_") {
        Some((expected, warning)) => (expected.trim(), Some(warning.trim())),
        None => (expected, None),
    };
    if let Some(warning) = warning
        && !warnings
            .iter()
            .any(|code| code.strip_prefix("WARN_") == Some(warning))
    {
        return false;
    }
    match outcome {
        Outcome::Error(problem) => expected
            .strip_prefix('!')
            .is_some_and(|e| fits_error(e, problem)),
        Outcome::Value(value) => {
            let expected = if expected == "U" { UNDEFINED } else { expected };
            normal(value) == expected
        }
        Outcome::Cells(cells) => fits_cells(expected, cells),
        Outcome::Compiled => expected == "(nothing)",
    }
}

fn fits_error(expected: &str, problem: &Problem) -> bool {
    let (code, rest) = expected.split_once(' ').unwrap_or((expected, ""));
    if code != problem.code {
        return false;
    }
    let rest = rest.trim();
    if let Some(location) = rest.strip_prefix("at ") {
        return problem.location == location;
    }
    if let Some(rest) = rest.strip_prefix("message ") {
        let (message, stack) = rest.split_once(", mixStack ").unwrap_or((rest, ""));
        return message.trim_matches('"') == problem.message
            && (stack.is_empty() || stack == problem.stack);
    }
    rest.is_empty()
}

fn fits_cells(expected: &str, cells: &[(String, String)]) -> bool {
    let shown = |all: bool| -> Vec<String> {
        cells
            .iter()
            .filter(|(_, value)| all || !value.starts_with(r#"{"_rmx_type":"msg_view_invoke""#))
            .map(|(name, value)| format!("{name} = {}", normal(value)))
            .collect()
    };
    // Action values are mostly left out in the files.
    if expected == "(nothing)" {
        return shown(false).is_empty();
    }
    let expected = normal(&expected.replace(" then ", " ; "));
    let wanted: Vec<String> = expected
        .split(" ; ")
        .map(|part| match part.split_once(" = ") {
            Some((name, value)) => format!("{} = {}", name.trim(), value.trim()),
            None => part.trim().to_owned(),
        })
        .collect();
    shown(false) == wanted || shown(true) == wanted
}

/// The text with the short id of the module in names of closures replaced by `X`.
fn normal(text: &str) -> String {
    const START: &str = "\"$closure_";
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let (before, after) = rest.split_at(at + START.len());
        out.push_str(before);
        let end = after.find('"').unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        match name.rsplit_once('_') {
            Some((_, number)) => {
                out.push_str("X_");
                out.push_str(number);
            }
            None => out.push_str(name),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(list: &[(&str, &str)]) -> Outcome {
        Outcome::Cells(
            list.iter()
                .map(|(n, v)| ((*n).into(), (*v).into()))
                .collect(),
        )
    }

    #[test]
    fn compares() {
        assert!(fits("7", &Outcome::Value("7".into()), &[], &[]));
        assert!(fits("U", &Outcome::Value(UNDEFINED.into()), &[], &[]));
        assert!(!fits("8", &Outcome::Value("7".into()), &[], &[]));
        let problem = Problem {
            code: "RT_FAIL".into(),
            message: "no".into(),
            ..Problem::default()
        };
        assert!(fits("!RT_FAIL", &Outcome::Error(problem.clone()), &[], &[]));
        assert!(fits(
            "!RT_FAIL message \"no\"",
            &Outcome::Error(problem.clone()),
            &[],
            &[]
        ));
        assert!(!fits("!RT_INDEX", &Outcome::Error(problem), &[], &[]));
        let set = r#"{"_rmx_type":"msg_view_invoke","env":"$cloenv_1","name":"$closure_ab_0"}"#;
        let outcome = cells(&[("a", "1"), ("set", set), ("b", "[2]")]);
        assert!(fits("a = 1 ; b = [2]", &outcome, &[], &[]));
        assert!(fits("a = 1   then   b = [2]", &outcome, &[], &[]));
        assert!(fits(
            "a = 1 with WARN_X",
            &cells(&[("a", "1")]),
            &["WARN_X".into()],
            &[]
        ));
        assert!(!fits(
            "a = 1 with WARN_Y",
            &cells(&[("a", "1")]),
            &["WARN_X".into()],
            &[]
        ));
        let log = ["a".to_owned(), "b".to_owned()];
        assert!(fits(
            "a = 1 with LOG a | b",
            &cells(&[("a", "1")]),
            &[],
            &log
        ));
        assert!(!fits("a = 1 with LOG a", &cells(&[("a", "1")]), &[], &log));
        assert!(fits("(nothing)", &cells(&[("set", set)]), &[], &[]));
        assert_eq!(normal(set).matches("$closure_X_0").count(), 1);
    }
}
