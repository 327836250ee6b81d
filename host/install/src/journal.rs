//! What an install is about to do, on disk: after a crash it is done again or not at all.

use mix_package::{PackageError, Result};
use mix_value::{Map, Value, escjson};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

const JOURNAL: &str = "journal.json";

/// What is done with one app.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// The app.
    pub app: String,
    /// Name of its folder.
    pub folder: String,
    /// True if a whole new app lies in the staging folder.
    pub is_whole: bool,
    /// Records to be deleted and saved.
    pub sets: Vec<SetStep>,
    /// The record about the app, with its id.
    pub metadata: Option<Map>,
    /// The record about the install, with its id.
    pub install: Option<Map>,
    /// Programs and resources that are not in the package go.
    pub replaces_code: bool,
    /// Patterns of files that go.
    pub deletions: Vec<String>,
    /// Files that come.
    pub files: Vec<String>,
    /// Libraries that no program uses go.
    pub has_code: bool,
}

/// Records of one set.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SetStep {
    /// Clauses of the query whose records are deleted first.
    pub delete: Option<Value>,
    /// Names of options of saving.
    pub options: Vec<String>,
    /// Files with the records, in the staging folder.
    pub batches: Vec<String>,
}

/// The whole install.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Journal {
    /// True from the point of no return on.
    pub committing: bool,
    /// Who installs.
    pub actor: String,
    pub steps: Vec<Step>,
}

/// True if the install in this folder has to be finished.
pub(crate) fn is_committing(folder: &Path) -> bool {
    matches!(read(folder), Ok(Some(journal)) if journal.committing)
}

pub(crate) fn write(folder: &Path, journal: &Journal) -> Result<()> {
    let text = escjson::format(&journal.to_value())
        .map_err(|error| PackageError::new("internal", error.to_string()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(folder.join(JOURNAL))
        .map_err(|error| error.error)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

pub(crate) fn read(folder: &Path) -> Result<Option<Journal>> {
    let text = match fs::read_to_string(folder.join(JOURNAL)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value = escjson::parse(&text).ok();
    let journal = value.as_ref().and_then(Value::as_map).and_then(Journal::of);
    journal
        .map(Some)
        .ok_or_else(|| PackageError::new("internal", "the journal is damaged"))
}

fn texts(list: &[String]) -> Value {
    Value::Array(list.iter().map(|text| Value::from(text.as_str())).collect())
}

fn map_or_null(map: Option<&Map>) -> Value {
    map.map_or(Value::Null, |map| Value::Map(map.clone()))
}

impl Journal {
    fn to_value(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            let sets = step.sets.iter().map(|set| {
                Value::map([
                    ("delete", set.delete.clone().unwrap_or(Value::Null)),
                    ("options", texts(&set.options)),
                    ("batches", texts(&set.batches)),
                ])
            });
            Value::map([
                ("app", Value::from(step.app.as_str())),
                ("folder", Value::from(step.folder.as_str())),
                ("isWhole", Value::Bool(step.is_whole)),
                ("sets", Value::Array(sets.collect())),
                ("metadata", map_or_null(step.metadata.as_ref())),
                ("install", map_or_null(step.install.as_ref())),
                ("replacesCode", Value::Bool(step.replaces_code)),
                ("deletions", texts(&step.deletions)),
                ("files", texts(&step.files)),
                ("hasCode", Value::Bool(step.has_code)),
            ])
        });
        Value::map([
            ("committing", Value::Bool(self.committing)),
            ("actor", Value::from(self.actor.as_str())),
            ("steps", Value::Array(steps.collect())),
        ])
    }

    fn of(map: &Map) -> Option<Journal> {
        let steps = map.get("steps")?.as_array()?;
        Some(Journal {
            committing: map.get("committing")?.as_bool()?,
            actor: map.get("actor")?.as_str()?.to_owned(),
            steps: steps
                .iter()
                .map(|step| Step::of(step.as_map()?))
                .collect::<Option<_>>()?,
        })
    }
}

impl Step {
    fn of(map: &Map) -> Option<Step> {
        let text = |name: &str| Some(map.get(name)?.as_str()?.to_owned());
        let flag = |name: &str| map.get(name)?.as_bool();
        let record = |name: &str| map.get(name).and_then(Value::as_map).cloned();
        let sets = map.get("sets")?.as_array()?;
        Some(Step {
            app: text("app")?,
            folder: text("folder")?,
            is_whole: flag("isWhole")?,
            sets: sets
                .iter()
                .map(|set| {
                    let set = set.as_map()?;
                    Some(SetStep {
                        delete: set.get("delete").filter(|value| !value.is_null()).cloned(),
                        options: list(set, "options")?,
                        batches: list(set, "batches")?,
                    })
                })
                .collect::<Option<_>>()?,
            metadata: record("metadata"),
            install: record("install"),
            replaces_code: flag("replacesCode")?,
            deletions: list(map, "deletions")?,
            files: list(map, "files")?,
            has_code: flag("hasCode")?,
        })
    }
}

fn list(map: &Map, name: &str) -> Option<Vec<String>> {
    let items = map.get(name)?.as_array()?.iter();
    items.map(|item| Some(item.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(folder.path()).expect("none"), None);
        let journal = Journal {
            committing: true,
            actor: "ada".to_owned(),
            steps: vec![Step {
                app: "a.b".to_owned(),
                folder: "a%2Eb".to_owned(),
                is_whole: false,
                sets: vec![SetStep {
                    delete: Some(Value::Array(vec![])),
                    options: vec!["Upsert".to_owned()],
                    batches: vec!["0-0.mp".to_owned()],
                }],
                metadata: Some(Map::from([("a".into(), Value::Int(1))])),
                install: None,
                replaces_code: true,
                deletions: vec!["*.x".to_owned()],
                files: vec!["/a".to_owned()],
                has_code: false,
            }],
        };
        write(folder.path(), &journal).expect("written");
        assert_eq!(read(folder.path()).expect("read"), Some(journal));
        assert!(is_committing(folder.path()));
        fs::write(folder.path().join(JOURNAL), "{").expect("written");
        assert!(read(folder.path()).is_err() && !is_committing(folder.path()));
    }
}
