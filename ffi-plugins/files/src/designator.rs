//! Whose files are meant.

use mix_plugin_sdk::mix_value::Case;
use mix_plugin_sdk::{Caller, Failure, FromArgument, Mismatch, Value};

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
    /// Refuses all apps but the one that runs.
    pub fn check(&self, who: &Caller) -> Result<(), Failure> {
        match self {
            Designator::App(app) if *app != who.app => Err(Failure::new(
                "ERR_PERMISSION",
                format!("no rights for the files of app {app:?}"),
            )),
            _ => Ok(()),
        }
    }
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
        let who = Caller {
            app: "own".into(),
            ..Caller::default()
        };
        assert_eq!(Designator::Current.check(&who), Ok(()));
        assert_eq!(Designator::App("own".into()).check(&who), Ok(()));
        let refused = Designator::App("other".into()).check(&who).unwrap_err();
        assert_eq!(refused.code, "ERR_PERMISSION");
    }
}
