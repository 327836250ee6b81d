//! What an install did, or would do.

use mix_package::{Format, Warning};
use mix_value::{Map, Value};

/// What became of one app.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppReport {
    /// The app.
    pub name: String,
    /// `created`, `replaced`, `updated` or `skipped`.
    pub action: &'static str,
    /// Why it was skipped.
    pub reason: Option<&'static str>,
    /// New records.
    pub saved: u64,
    /// Records saved over existing ones.
    pub replaced: u64,
    /// Records left out because of duplicates.
    pub skipped: u64,
    /// Records deleted first.
    pub deleted: u64,
    /// Files written.
    pub written: u64,
    /// Files deleted first.
    pub removed: u64,
}

/// What an install did, or would do.
#[derive(Debug, Clone)]
pub struct Report {
    /// Format of the package.
    pub format: Format,
    /// Identity of the package line.
    pub id: Option<String>,
    /// Apps, in the order of the package.
    pub apps: Vec<AppReport>,
    /// Where the client goes.
    pub navigate: Option<Value>,
    /// What was not as it should be.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// As the interface shows it; `setup` says what became of the agent `_rmx_setup`.
    pub fn to_value(&self, setup: Value) -> Value {
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let apps = self.apps.iter().map(|app| {
            let mut members = Map::from([
                ("name".into(), Value::from(app.name.as_str())),
                ("action".into(), Value::from(app.action)),
                (
                    "records".into(),
                    Value::map([
                        ("saved", number(app.saved)),
                        ("replaced", number(app.replaced)),
                        ("skipped", number(app.skipped)),
                        ("deleted", number(app.deleted)),
                    ]),
                ),
                (
                    "files".into(),
                    Value::map([
                        ("written", number(app.written)),
                        ("deleted", number(app.removed)),
                    ]),
                ),
            ]);
            if let Some(reason) = app.reason {
                members.insert("reason".into(), Value::from(reason));
            }
            Value::Map(members)
        });
        let warnings = self.warnings.iter().map(|warning| {
            let mut members = Map::from([
                ("code".into(), Value::from(warning.code)),
                ("message".into(), Value::from(warning.message.as_str())),
            ]);
            if let Some(entry) = &warning.entry {
                members.insert("entry".into(), Value::from(entry.as_str()));
            }
            Value::Map(members)
        });
        let mut members = Map::from([
            ("ok".into(), Value::Bool(true)),
            ("format".into(), Value::from(self.format.name())),
            ("apps".into(), Value::Array(apps.collect())),
            ("setup".into(), setup),
            ("warnings".into(), Value::Array(warnings.collect())),
        ]);
        if let Some(id) = &self.id {
            members.insert("id".into(), Value::from(id.as_str()));
        }
        if let Some(navigate) = &self.navigate {
            members.insert("navigate".into(), navigate.clone());
        }
        Value::Map(members)
    }
}
