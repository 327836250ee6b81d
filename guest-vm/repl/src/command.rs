//! The `#` commands (language 8).

use mix_compiler::session;
use mix_value::{escjson, msgpack};
use mix_vm::{Action, Event, Issue};

use crate::machine::Machine;
use crate::repl::{Output, Repl, for_client, shown};

/// What `#help` shows.
pub(crate) const COMMANDS: &[(&str, &str)] = &[
    ("#load M args", "new view stack with an instance of M"),
    ("#push M args", "instance of M on top of the stack"),
    ("#pop", "removes the top view"),
    (
        "#input M.c J",
        "assigns var cell c of the top view; without M. one of the session",
    ),
    ("#invoke NAME \"ENV\" J", "invokes an action"),
    ("#mark text", "prints --- text"),
    (
        "#debug on|off",
        "shows interactions, updated cells and runs of observers",
    ),
    ("#help", "lists the commands"),
    ("#quit", "ends the session"),
];

/// The environment of an action that is a cell, as it is typed.
const ITS_CELL: &str = "\"$agent_environment\"";

/// An error of a command in the format of run-time errors.
fn failure(code: &str, message: impl Into<String>) -> Output {
    Output::Failure(Issue {
        code: code.into(),
        class: "runtime".into(),
        message: message.into(),
        // An empty map.
        params: vec![0x80],
        location: None,
        mix_stack: Vec::new(),
    })
}

impl Repl {
    pub(crate) fn command(
        &mut self,
        name: &str,
        rest: &str,
        machine: &mut dyn Machine,
        out: &mut Vec<Output>,
    ) {
        let rest = rest.trim();
        let (first, others) = rest.split_once(' ').unwrap_or((rest, ""));
        let needs = |what: &str| failure("RT_FAIL", format!("#{name} needs {what}"));
        match (name, first, others.trim()) {
            ("load" | "push", "", _) => {
                return out.push(needs("the name of a module, as in `#load counter`"));
            }
            ("input", _, "") => {
                return out.push(needs("a cell and a constant, as in `#input counter.n 5`"));
            }
            ("invoke", "", _) => {
                let what = "an action and its environment, as in `#invoke counter.inc \"$agent_environment\" 5`";
                return out.push(needs(what));
            }
            _ => {}
        }
        if matches!(name, "input" | "invoke") && self.names(first) {
            let given = match name {
                "input" => written(others),
                _ => argument_of(first, others),
            };
            if self.debug {
                out.push(Output::Text(format!("debug: interaction #{name} {rest}")));
            }
            return match given {
                Ok(constant) => self.interaction(name, first, &constant, machine, out),
                Err(problem) => out.push(*problem),
            };
        }
        let action = match name {
            "quit" => return out.push(Output::Quit),
            "mark" => return out.push(Output::Mark(rest.to_string())),
            "help" => {
                let lines: Vec<String> = COMMANDS
                    .iter()
                    .map(|(form, meaning)| format!("{form:<24}{meaning}"))
                    .collect();
                return out.push(Output::Text(lines.join("\n")));
            }
            "debug" => {
                match rest {
                    "on" => self.debug = true,
                    "off" => self.debug = false,
                    _ => return out.push(failure("RT_FAIL", "#debug takes on or off")),
                }
                if let Some(session) = self.views {
                    machine.act(session, Action::Trace(self.debug));
                }
                return;
            }
            "load" | "push" => arguments(others).map(|args| {
                let module = first.to_string();
                match name {
                    "load" => Action::Load { module, args },
                    _ => Action::Push { module, args },
                }
            }),
            "pop" => Ok(Action::Pop),
            "input" => constant(others).map(|value| Action::Input {
                cell: first.to_string(),
                value,
            }),
            "invoke" => invocation(first, others),
            other => {
                let message = format!("there is no command #{other}; #help lists them");
                return out.push(failure("RT_FAIL", message));
            }
        };
        match action {
            Ok(action) => self.act(name, rest, action, machine, out),
            Err(problem) => out.push(failure("ERR_PARSE", problem)),
        }
    }

    /// `#input` and `#invoke` of a cell of the session: the phrase that does it.
    fn interaction(
        &mut self,
        command: &str,
        cell: &str,
        constant: &str,
        machine: &mut dyn Machine,
        out: &mut Vec<Output>,
    ) {
        let (phrase, code, what) = match command {
            "input" => {
                let phrase = session::assignment(cell, constant);
                (Some(phrase), "RT_NO_CELL", "no assignable cell")
            }
            _ => {
                let phrase = self.invocation(cell, constant);
                (phrase, "RT_NO_ACTION", "unknown action")
            }
        };
        let done = phrase.is_some_and(|phrase| self.carry_out(&phrase, machine, out));
        if !done {
            out.push(failure(code, format!("{what} {cell}")));
        }
    }

    fn act(
        &mut self,
        name: &str,
        rest: &str,
        action: Action,
        machine: &mut dyn Machine,
        out: &mut Vec<Output>,
    ) {
        let opened = match name {
            "load" => match self.open_views(machine, out) {
                Some(session) => Some(session),
                None => return,
            },
            _ => None,
        };
        let Some(session) = opened.or(self.views) else {
            return out.push(failure("RT_FAIL", "there is no view; #load M starts one"));
        };
        if self.debug {
            out.push(Output::Text(format!("debug: interaction #{name} {rest}")));
        }
        let events = machine.act(session, action);
        let failed = events.iter().any(|event| matches!(event, Event::Issue(_)));
        self.show(events, out);
        if opened.is_some() {
            // The views that were there stay if there are no new ones.
            let over = match failed {
                false => self.views.replace(session),
                true => opened,
            };
            if let Some(over) = over {
                machine.close(over);
            }
        }
    }

    /// What an interaction tells: cells, then lines of the log, then errors.
    fn show(&self, events: Vec<Event>, out: &mut Vec<Output>) {
        let (mut logs, mut failures) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Output {
                    cell,
                    value,
                    version,
                } => {
                    if self.debug {
                        let text = format!("debug: updated {cell}, version {version}");
                        out.push(Output::Text(text));
                    }
                    if let Ok(value) = shown(&value) {
                        out.push(Output::Cell { name: cell, value });
                    }
                }
                Event::Log(line) => logs.push(Output::Log(line)),
                Event::Issue(issue) => failures.push(Output::Failure(issue)),
                event => out.extend(for_client(&event)),
            }
        }
        out.append(&mut logs);
        out.append(&mut failures);
    }

    /// The interactions of the views that nothing was entered for, those of live cells.
    pub(crate) fn overhear(&self, machine: &mut dyn Machine, out: &mut Vec<Output>) {
        if let Some(session) = self.views {
            let events = machine.told(session);
            self.show(events, out);
        }
    }

    /// Starts a session with all modules there are, for a new view stack.
    fn open_views(&self, machine: &mut dyn Machine, out: &mut Vec<Output>) -> Option<u64> {
        let compilation = self.modules();
        if !compilation.errors.is_empty() {
            out.push(Output::Compile(compilation.text()));
            return None;
        }
        let executable = self.executable(compilation.program?, out)?;
        if let Err(issue) = machine.load(&executable) {
            out.push(Output::Failure(*issue));
            return None;
        }
        let session = machine.open();
        if self.debug {
            machine.act(session, Action::Trace(true));
        }
        Some(session)
    }
}

/// An EscJSON constant as phrases write it.
fn written(text: &str) -> Result<String, Box<Output>> {
    let problem = |error: String| Box::new(failure("ERR_PARSE", format!("{text}: {error}")));
    let value = escjson::parse(text.trim()).map_err(|error| problem(error.to_string()))?;
    escjson::format(&value).map_err(|error| problem(error.to_string()))
}

/// The argument of an action of the session.
fn argument_of(name: &str, rest: &str) -> Result<String, Box<Output>> {
    let parts = split(rest);
    if parts.first().map(String::as_str) != Some(ITS_CELL) {
        let message =
            format!("unknown action {name}; one of the session has the environment {ITS_CELL}");
        return Err(Box::new(failure("RT_NO_ACTION", message)));
    }
    written(parts.get(1).map_or("null", String::as_str))
}

fn invocation(name: &str, rest: &str) -> Result<Action, String> {
    let parts = split(rest);
    let env = match parts.first() {
        Some(text) => match escjson::parse(text) {
            Ok(mix_value::Value::String(env)) => env.to_string(),
            _ => return Err("the environment is a string".to_string()),
        },
        None => {
            return Err("#invoke needs an environment, for instance \"$agent_environment\"".into());
        }
    };
    Ok(Action::Invoke {
        name: name.to_string(),
        env,
        arg: constant(parts.get(1).map_or("null", String::as_str))?,
        next_actions: constant("[]")?,
    })
}

/// The wire form of an EscJSON constant.
fn constant(text: &str) -> Result<Vec<u8>, String> {
    let value = escjson::parse(text.trim()).map_err(|error| format!("{text}: {error}"))?;
    msgpack::encode(&value).map_err(|error| error.to_string())
}

/// EscJSON constants separated by spaces, as one array.
fn arguments(text: &str) -> Result<Vec<u8>, String> {
    constant(&format!("[{}]", split(text).join(",")))
}

/// Splits at spaces outside of strings and brackets.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for c in text.chars() {
        if !quoted && depth == 0 && c.is_whitespace() {
            if !part.is_empty() {
                parts.push(std::mem::take(&mut part));
            }
            continue;
        }
        match c {
            '"' if !escaped => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        part.push(c);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn constants_are_split_at_spaces_outside_of_them() {
        let parts = split(r#"1  "a b" {"x": [1, 2]} "q\" r""#);
        assert_eq!(parts, ["1", r#""a b""#, r#"{"x": [1, 2]}"#, r#""q\" r""#]);
    }
}
