//! The configuration file of `mixer serve`: a JSON object of its flags.
//!
//! A flag wins over its environment variable, that over the file, the file over the default. So
//! what the file says becomes a flag exactly where neither of the other two says anything.

use super::Exit;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use mix_value::escjson;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::path::Path;

/// Largest configuration.
const LARGEST: u64 = 1 << 20;
/// The command that has a configuration.
const SERVE: &str = "serve";
/// The flag that names the file.
const FLAG: &str = "config";
/// Its environment variable.
const VARIABLE: &str = "MIXER_CONFIG";
/// Flags whose values are not shown.
const SECRET: [&str; 2] = ["secrets-key", "http-proxy"];

/// The flags that a configuration may have: those of `mixer serve`, and those of all commands.
pub struct Flags {
    of_all: Vec<Arg>,
    of_server: Vec<Arg>,
}

impl Flags {
    /// Those of the commands of `mixer`.
    pub fn of(mixer: &Command) -> Flags {
        let flags = |command: &Command| command.get_arguments().cloned().collect();
        Flags {
            of_all: flags(mixer),
            of_server: mixer.find_subcommand(SERVE).map(flags).unwrap_or_default(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arg> {
        self.of_server.iter().chain(&self.of_all)
    }

    /// Whether the command is the one that has a configuration. The value of a flag before it is no command.
    fn mean_server(&self, arguments: &[OsString]) -> bool {
        let mut arguments = arguments.iter().skip(1).map(|one| one.to_string_lossy());
        while let Some(argument) = arguments.next() {
            if !argument.starts_with('-') {
                return argument == SERVE;
            }
            let name = argument.strip_prefix("--").unwrap_or_default();
            let named = self
                .of_all
                .iter()
                .find(|flag| flag.get_long() == Some(name));
            if named.is_some_and(|flag| flag.get_action().takes_values()) {
                arguments.next();
            }
        }
        false
    }
}

/// The arguments with what the configuration file adds, and the names that it decided.
pub fn with_file(
    arguments: Vec<OsString>,
    flags: &Flags,
) -> Result<(Vec<OsString>, Vec<String>), Exit> {
    let Some(path) = given(&arguments).filter(|_| flags.mean_server(&arguments)) else {
        return Ok((arguments, Vec::new()));
    };
    let shown = Path::new(&path).display().to_string();
    let text = mix_input_file::read_text(Path::new(&path), LARGEST)
        .map_err(|error| Exit::usage(format!("--config {shown}: {error}")))?;
    let members: Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| Exit::usage(format!("--config {shown}: {error}")))?;
    // Of a flag that stands there twice nobody knows which one was meant.
    let strict = escjson::Options {
        mode: escjson::Mode::Plain,
        duplicates: escjson::Duplicates::Refuse,
        ..escjson::Options::default()
    };
    escjson::parse_with(&text, &strict)
        .map_err(|error| Exit::usage(format!("--config {shown}: {error}")))?;
    let mut arguments = arguments;
    let mut decided = Vec::new();
    for (name, value) in members {
        let known = flags
            .all()
            .find(|flag| flag.get_long() == Some(name.as_str()));
        let Some(known) = known.filter(|_| name != FLAG) else {
            return Err(Exit::usage(format!(
                "--config {shown}: there is no flag {name:?}"
            )));
        };
        let in_environment = known
            .get_env()
            .is_some_and(|variable| std::env::var_os(variable).is_some());
        if in_environment || is_given(&arguments, &name) {
            continue;
        }
        let takes_value = known.get_action().takes_values();
        let wrong = || {
            Exit::usage(format!(
                "--config {shown}: {name} has a value of a wrong kind"
            ))
        };
        let values = match value {
            Value::Array(items) => items,
            one => vec![one],
        };
        for value in values {
            let text = match value {
                Value::Bool(flag) if !takes_value => {
                    if flag {
                        arguments.push(format!("--{name}").into());
                    }
                    continue;
                }
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                // The variables of agents.
                object @ Value::Object(_) => object.to_string(),
                _ => return Err(wrong()),
            };
            if !takes_value {
                return Err(wrong());
            }
            arguments.push(format!("--{name}={text}").into());
        }
        decided.push(name);
    }
    Ok((arguments, decided))
}

fn given(arguments: &[OsString]) -> Option<OsString> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == format!("--{FLAG}") {
            return arguments.next().cloned();
        }
        if let Some(path) = text.strip_prefix(&format!("--{FLAG}=")) {
            return Some(path.into());
        }
    }
    std::env::var_os(VARIABLE)
}

fn is_given(arguments: &[OsString], name: &str) -> bool {
    let (alone, with_value) = (format!("--{name}"), format!("--{name}="));
    arguments.iter().any(|argument| {
        let text = argument.to_string_lossy();
        text == alone || text.starts_with(&with_value)
    })
}

/// Every flag with its values and where they come from, as JSON.
pub fn print(flags: &Flags, matches: &ArgMatches, decided: &[String]) -> String {
    let mut all = Map::new();
    for argument in flags.all() {
        let Some(name) = argument.get_long() else {
            continue;
        };
        if matches!(name, "help" | "print-config") {
            continue;
        }
        let id = argument.get_id().as_str();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) if decided.iter().any(|one| one == name) => "file",
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            Some(_) => "default",
            None => "unset",
        };
        let values: Vec<Value> = matches
            .get_raw(id)
            .into_iter()
            .flatten()
            .map(|value| match SECRET.contains(&name) {
                true => Value::from("***"),
                false => Value::from(value.to_string_lossy().into_owned()),
            })
            .collect();
        let value = match values.len() {
            0 => Value::Null,
            1 => values.into_iter().next().unwrap_or_default(),
            _ => Value::Array(values),
        };
        all.insert(
            name.to_owned(),
            serde_json::json!({ "value": value, "from": source }),
        );
    }
    serde_json::to_string_pretty(&Value::Object(all)).unwrap_or_default()
}
