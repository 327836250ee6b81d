//! The component as a command: `app.wasm AGENT --params JSON`.

use std::io::{Read, Write};

use mix_http_api::{ApiError, RunOutcome};
use mix_value::{Value, escjson};

use crate::{agent, app, embedded, settings};

const USAGE: &str = "\
usage: app.wasm AGENT [--params JSON|-] [--timeout D] [--raw] [--no-esc]

  --params JSON   parameters, an object; - reads them from standard input
  --timeout D     run time: 500ms, 60s (as without it), 2m, 1h
  --raw           strings and binaries are printed as they are
  --no-esc        plain JSON, no tags

The output of the agent is printed. Its exit code is 0, or 1 if it failed.";

/// Run time without `--timeout`, in milliseconds.
const TIMEOUT_MS: u64 = 60_000;

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Help,
    Run(Run),
}

#[derive(Debug, PartialEq, Eq)]
struct Run {
    agent: String,
    params: String,
    timeout_ms: u64,
    raw: bool,
    tags: bool,
}

/// Runs the command; false: it failed, and standard error says why.
pub async fn execute() -> bool {
    let wanted = wanted(std::env::args().skip(1));
    let run = match wanted {
        Ok(Wanted::Run(run)) => run,
        Ok(Wanted::Help) => {
            let agents = app::with(|app| app.agents());
            let written = writeln!(
                std::io::stdout(),
                "{USAGE}\n\nagents: {}",
                agents.join(", ")
            );
            return written.is_ok();
        }
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return false;
        }
    };
    match output(&run).await {
        Ok(bytes) => {
            let mut out = std::io::stdout();
            match out.write_all(&bytes).and_then(|()| out.flush()) {
                Ok(()) => true,
                Err(error) => {
                    eprintln!("error: standard output: {error}");
                    false
                }
            }
        }
        Err(message) => {
            eprintln!("{message}");
            false
        }
    }
}

/// Reads the arguments after the name of the program.
fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut agent = None;
    let mut run = Run {
        agent: String::new(),
        params: String::new(),
        timeout_ms: TIMEOUT_MS,
        raw: false,
        tags: true,
    };
    while let Some(argument) = arguments.next() {
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_string())),
            _ => (argument.as_str(), None),
        };
        let mut value = || {
            let value = attached.clone().or_else(|| arguments.next());
            value.ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--help" | "-h" => return Ok(Wanted::Help),
            "--params" => run.params = value()?,
            "--timeout" => {
                let text = value()?;
                run.timeout_ms = settings::millis(&text)
                    .ok_or_else(|| format!("{text:?} is no duration (500ms, 60s, 2m, 1h)"))?;
            }
            "--raw" => run.raw = true,
            "--no-esc" => run.tags = false,
            _ if name.starts_with('-') => return Err(format!("unknown option {name}")),
            _ if agent.is_some() => {
                return Err(format!("{argument:?} is one argument too many"));
            }
            _ => agent = Some(argument),
        }
    }
    run.agent = agent.ok_or("name the agent to be run")?;
    Ok(Wanted::Run(run))
}

async fn output(run: &Run) -> Result<Vec<u8>, String> {
    let text = if run.params == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| format!("error: standard input: {error}"))?;
        text
    } else {
        run.params.clone()
    };
    let params = embedded::parameters(&text)
        .map_err(|error| format!("error {}: {}", error.code, error.message))?;
    let value = match agent::run(&run.agent, params, Some(run.timeout_ms)).await {
        RunOutcome::Output(value) => value,
        RunOutcome::Failed {
            code,
            message,
            stack,
        } => {
            let frames = agent::frames(&stack);
            let frames: String = frames.iter().map(|at| format!("\n  at {at}")).collect();
            return Err(format!("error {code}: {message}{frames}"));
        }
        outcome => {
            let error = outcome.error(&run.agent).unwrap_or_else(ApiError::internal);
            return Err(format!("error {}: {}", error.code, error.message));
        }
    };
    let text = match (&value, run.raw) {
        (Value::String(text), true) => return Ok(text.as_bytes().to_vec()),
        (Value::Binary(bytes), true) => return Ok(bytes.to_vec()),
        _ if run.tags => escjson::format(&value).map_err(|error| error.to_string()),
        _ => escjson::format_plain(&value).map_err(|error| error.to_string()),
    };
    text.map(|text| (text + "\n").into_bytes())
        .map_err(|error| format!("error ERR_NOT_SERIALIZABLE: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Wanted, String> {
        wanted(arguments.iter().map(|argument| argument.to_string()))
    }

    #[test]
    fn arguments_are_read_in_any_order() {
        let expected = Run {
            agent: "report".to_string(),
            params: "{\"a\":\"b=c\"}".to_string(),
            timeout_ms: 2_000,
            raw: true,
            tags: true,
        };
        let given = [
            "--raw",
            "--params",
            "{\"a\":\"b=c\"}",
            "report",
            "--timeout=2s",
        ];
        assert_eq!(read(&given), Ok(Wanted::Run(expected)));
        assert_eq!(read(&["x", "--help"]), Ok(Wanted::Help));
        for bad in [
            &[][..],
            &["a", "b"],
            &["a", "--params"],
            &["a", "--speed", "1"],
            &["a", "--timeout", "soon"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
