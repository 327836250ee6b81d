//! Reading every row of a view, and checking what hangs together.

use mix_value::Value;

use super::View;
use crate::batch::content_hash;
use crate::error::Result;
use crate::fields;
use crate::ids::id_of;
use crate::record::Record;

impl View {
    /// Reads every row and checks what hangs together; one line for each finding, at most 1000.
    pub fn check(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for segment in &self.table.base().segments {
            if let Err(error) = segment.verify() {
                findings.push(error.to_string());
            }
        }
        for row in 0..self.bound {
            if findings.len() >= 1000 {
                findings.push("there is more".into());
                break;
            }
            if let Err(finding) = self.check_row(row) {
                findings.push(format!("row {row}: {finding}"));
            }
        }
        findings
    }

    fn check_row(&self, row: u32) -> std::result::Result<(), String> {
        let record = Record::new(
            row,
            self.table.body(row).map_err(|error| error.to_string())?,
        );
        let value = record.value().map_err(|error| error.to_string())?;
        let read = |result: Result<Option<u32>>| result.map_err(|error| error.to_string());
        let text = |field: &str| {
            value
                .get(field)
                .and_then(Value::as_ref_value)
                .map(|id| id.as_str().to_owned())
        };
        let rev = text(fields::REV).ok_or("has no revision")?;
        if read(self.row_of_revision(&rev))? != Some(row) {
            return Err(format!("its revision {rev} belongs to another row"));
        }
        let previous = text(fields::PREVIOUS);
        let id = text(fields::ID).and_then(|id| id_of(&id));
        let before = match id {
            Some(id) => read(self.table.newest(&id, row))?,
            None => return Err("has no id".into()),
        };
        let expected = match before {
            None => None,
            Some(before) => Some(Record::new(
                before,
                self.table.body(before).map_err(|error| error.to_string())?,
            )),
        };
        let expected = expected
            .and_then(|record| record.rev().ok())
            .map(|rev| rev.as_str().to_owned());
        // What a rewriting removed may still be named.
        let dangles = match (&expected, previous.as_deref()) {
            (None, Some(rev)) => read(self.row_of_revision(rev))?.is_none(),
            _ => false,
        };
        if previous != expected && !dangles {
            return Err(format!(
                "{} is {previous:?}, the version before is {expected:?}",
                fields::PREVIOUS
            ));
        }
        let Some(stored) = value.get(fields::CONTENT_HASH).and_then(Value::as_str) else {
            let deleted = value.get(fields::DELETED).and_then(Value::as_bool);
            return if deleted == Some(true) {
                Ok(())
            } else {
                Err("has no content hash".into())
            };
        };
        let content = value.as_map().into_iter().flatten();
        let content = content.filter(|(key, _)| !fields::is_engine_owned(key));
        let content = content
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        match content_hash(&content) {
            Ok(hash) if hash == stored => Ok(()),
            _ => Err("its content does not match its hash".into()),
        }
    }
}
