//! Whose files are meant.

use std::path::{Path, PathBuf};

use mix_file_path::folder_name;
use mix_plugin_sdk::mix_value::Case;
use mix_plugin_sdk::{Failure, FromArgument, Mismatch, Value, caller};

use crate::storage::Storage;

/// The first argument of every function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Designator {
    /// `null`: the app that runs.
    Current,
    /// `some(app)`, `workspace_app(app)`: an app of the workspace.
    App(String),
}

impl FromArgument for Designator {
    fn from_argument(value: Value) -> Result<Designator, Mismatch> {
        let mismatch = Mismatch::new("ERR_EXPECTED_CASE", "null, some(app) or workspace_app(app)");
        match value {
            Value::Null => Ok(Designator::Current),
            Value::Case(Case {
                name,
                argument: Some(argument),
            }) => {
                // The cases that a module defines carry its name: `file.workspace_app`.
                let short = name.rsplit('.').next().unwrap_or(&name);
                match (short, *argument) {
                    ("some" | "workspace_app", Value::String(app)) => {
                        Ok(Designator::App(app.to_string()))
                    }
                    _ => Err(mismatch),
                }
            }
            _ => Err(mismatch),
        }
    }
}

impl Designator {
    /// The files of that app.
    pub fn storage(&self) -> Result<Storage, Failure> {
        let who = caller();
        match self {
            Designator::Current => {}
            Designator::App(app) if *app == who.app => {}
            Designator::App(app) => {
                return Err(Failure::new(
                    "ERR_PERMISSION",
                    format!("no rights for the files of app {app:?}"),
                ));
            }
        }
        let granted = Path::new("/files");
        if granted.is_dir() {
            return Ok(Storage::new(granted.to_path_buf(), who));
        }
        let workspace = match std::env::var("MIXER_WS") {
            Ok(name) if !name.is_empty() => name,
            _ if !who.workspace.is_empty() => who.workspace.clone(),
            _ => "local".to_string(),
        };
        if Path::new("/ws").is_dir() && is_workspace(&workspace) && !who.app.is_empty() {
            let folder: PathBuf = ["/ws", &workspace, &folder_name(&who.app), "files"]
                .iter()
                .collect();
            return Ok(Storage::new(folder, who));
        }
        Err(Failure::unsupported(
            "this run is given no folder for files",
        ))
    }
}

fn is_workspace(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    name.len() <= 64 && !name.starts_with('-') && name.bytes().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, argument: Value) -> Value {
        Value::Case(Case {
            name: name.into(),
            argument: Some(Box::new(argument)),
        })
    }

    #[test]
    fn reads_all_forms() {
        let parse = |value| Designator::from_argument(value);
        assert_eq!(parse(Value::Null), Ok(Designator::Current));
        assert_eq!(
            parse(case("some", Value::string("a"))),
            Ok(Designator::App("a".into()))
        );
        assert_eq!(
            parse(case("file.workspace_app", Value::string("a"))),
            Ok(Designator::App("a".into()))
        );
        for bad in [
            case("file.remote_app", Value::map::<&str>([])),
            Value::string("a"),
            case("some", Value::Int(1)),
            case("none", Value::string("a")),
            Value::Int(1),
        ] {
            assert_eq!(parse(bad).unwrap_err().code, "ERR_EXPECTED_CASE");
        }
    }

    #[test]
    fn other_apps_are_refused() {
        let other = Designator::App("other".into());
        assert_eq!(other.storage().unwrap_err().code, "ERR_PERMISSION");
    }

    #[test]
    fn folders_of_apps() {
        assert_eq!(folder_name("my.app_1-x"), "my%2Eapp_1-x");
        assert_eq!(folder_name("../x"), "%2E%2E%2Fx");
        assert!(is_workspace("local") && !is_workspace("../x") && !is_workspace("-x"));
    }
}
